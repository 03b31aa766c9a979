/*
 * src/agent/manifest_files.c
 *		The files of a manifest, by number and by path.
 *
 * A cluster may have millions of files: 24 bytes of entry, 6 to 12 of hash
 * slot, the path and the digest themselves are what one costs, and growing
 * copies only slots.
 */
#include "manifest.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define ARENA_SIZE ((size_t) 1 << 20)
#define FIRST_SLOTS 4096u

static uint64_t
hash_path(const Manifest *manifest, const char *path)
{
	uint64_t	hash = manifest->seed;

	for (; *path != '\0'; path++)
		hash = (hash ^ (unsigned char) *path) * UINT64_C(0x100000001b3);
	hash ^= hash >> 32;
	hash *= UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

/* The file of a number below n_files. */
ManifestFile *
manifest_file(const Manifest *manifest, uint32_t number)
{
	return &manifest->blocks[number / FILES_PER_BLOCK][number % FILES_PER_BLOCK];
}

/* The slot that holds "path", or the free one where it belongs. */
static uint32_t *
find_slot(const Manifest *manifest, const char *path)
{
	uint32_t	mask = manifest->n_slots - 1;
	uint32_t	at = (uint32_t) hash_path(manifest, path) & mask;

	while (manifest->slots[at] != 0 &&
		   strcmp(manifest_file (manifest, manifest->slots[at] - 1)->path, path) != 0)
		at = (at + 1) & mask;
	return &manifest->slots[at];
}

/* The file listed as "path", or NULL. */
ManifestFile *
manifest_find(const Manifest *manifest, const char *path)
{
	uint32_t	number;

	if (manifest->n_slots == 0)
		return NULL;
	number = *find_slot(manifest, path);
	return number == 0 ? NULL : manifest_file (manifest, number - 1);
}

/* The number of a file of the manifest */
uint32_t
manifest_number(const Manifest *manifest, const ManifestFile *file)
{
	return *find_slot(manifest, file->path) - 1;
}

static void
grow_slots(Manifest *manifest)
{
	if (manifest->n_slots == 0 &&
		getrandom(&manifest->seed, sizeof(manifest->seed), 0) != sizeof(manifest->seed))
		manifest->seed = UINT64_C(0xcbf29ce484222325);
	manifest->n_slots = manifest->n_slots == 0 ? FIRST_SLOTS : manifest->n_slots * 2;
	free(manifest->slots);
	manifest->slots = xmalloc(manifest->n_slots * sizeof(uint32_t));
	memset(manifest->slots, 0, manifest->n_slots * sizeof(uint32_t));
	for (uint32_t i = 0; i < manifest->n_files; i++)
		*find_slot(manifest, manifest_file (manifest, i)->path) = i + 1;
}

/* The path and, behind its end, the digest. */
static const char *
store_path(Manifest *manifest, const char *path, size_t len, const unsigned char *digest, size_t digest_len)
{
	char	   *stored;
	size_t		size = len + 1 + digest_len;

	if (manifest->arena_left < size)
	{
		manifest->arenas = xrealloc(manifest->arenas, (manifest->n_arenas + 1) * sizeof(char *));
		manifest->arenas[manifest->n_arenas++] = manifest->arena = xmalloc(ARENA_SIZE);
		manifest->arena_left = ARENA_SIZE;
	}
	stored = manifest->arena;
	memcpy(stored, path, len);
	stored[len] = '\0';
	memcpy(stored + len + 1, digest, digest_len);
	manifest->arena += size;
	manifest->arena_left -= size;
	return stored;
}

/* What the manifest states of the file: digest_size() bytes. */
const unsigned char *
manifest_digest(const ManifestFile *file)
{
	return (const unsigned char *) file->path + strlen(file->path) + 1;
}

/* Add a file; false if the path is listed already, or there are too many. */
bool
manifest_add(Manifest *manifest, const char *path, size_t len, uint64_t size,
			 DigestKind kind, const unsigned char *digest)
{
	ManifestFile *file;
	uint32_t   *slot;

	if (manifest->n_files == UINT32_C(1) << 30)
		return false;
	if (manifest->n_files >= manifest->n_slots / 3 * 2)
		grow_slots(manifest);
	slot = find_slot(manifest, path);
	if (*slot != 0)
		return false;
	if (manifest->n_files % FILES_PER_BLOCK == 0)
	{
		uint32_t	block = manifest->n_files / FILES_PER_BLOCK;

		manifest->blocks = xrealloc(manifest->blocks, (block + 1) * sizeof(ManifestFile *));
		manifest->blocks[block] = xmalloc(FILES_PER_BLOCK * sizeof(ManifestFile));
	}
	*slot = ++manifest->n_files;
	manifest->total_size += size;
	file = manifest_file (manifest, manifest->n_files - 1);

	*file = (ManifestFile)
	{
		.path = store_path(manifest, path, len, digest, digest_size(kind)),
			.size = size,
			.digest_kind = (uint8_t) kind,
	};
	return true;
}

/* Forget the files; what else the manifest states stays. */
void
manifest_free(Manifest *manifest)
{
	for (uint32_t i = 0; i * FILES_PER_BLOCK < manifest->n_files; i++)
		free(manifest->blocks[i]);
	for (uint32_t i = 0; i < manifest->n_arenas; i++)
		free(manifest->arenas[i]);
	free(manifest->blocks);
	free(manifest->arenas);
	free(manifest->slots);
	manifest->blocks = NULL;
	manifest->arenas = NULL;
	manifest->slots = NULL;
	manifest->n_files = manifest->n_slots = manifest->n_arenas = 0;
	manifest->arena_left = 0;
}
