/*
 * src/agent/incremental.c
 *		Files of an incremental backup that hold only the pages that changed.
 *
 * Such a file begins with three numbers: a magic one, how many blocks it holds,
 * and how many the whole file has at least.  The numbers of the blocks follow,
 * counted from the start of the file and not of the relation, in ascending
 * order.  If there are any, zeros fill the header up to a multiple of a page,
 * and the pages come.  Numbers are in the byte order of the server's machine.
 *
 * pg_combinebackup believes what it reads; a block that is listed twice or lies
 * beyond a file's end would go unnoticed into the cluster.
 */
#include "incremental.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC UINT32_C(0xd3ae1f0d)

static bool
starts_with(const char *str, const char *start)
{
	return strncmp(str, start, strlen(start)) == 0;
}

/*
 * Does a file with this path hold only pages that changed, if its backup is an
 * incremental one?  Elsewhere a name means nothing.
 */
bool
is_incremental(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL || !starts_with(slash + 1, INCREMENTAL_PREFIX))
		return false;
	return starts_with(path, "base/") || starts_with(path, "pg_tblspc/") ||
		(starts_with(path, "global/") && slash == path + strlen("global"));
}

/* The path of the whole file that one with an incremental one's path stands for */
char *
path_of_whole(const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	return format("%.*s%s", (int) (name - path), path, name + strlen(INCREMENTAL_PREFIX));
}

/* A file of that size follows. */
void
incremental_begin(Incremental *incremental, const Layout *layout, uint64_t file_size)
{
	free(incremental->problem);
	*incremental = (Incremental)
	{
		.page_size = layout->page_size,
			.segment_pages = layout->segment_pages,
			.file_size = file_size,
			.blocks = incremental->blocks,
			.room = incremental->room,
	};
	if (file_size < INCREMENTAL_START_SIZE)
		incremental->problem = format("has %" PRIu64 " bytes, which is less than the header of an incremental file", file_size);
}

/* The three numbers have come. */
static void
read_start(Incremental *incremental)
{
	uint32_t	magic;
	uint64_t	size;

	memcpy(&magic, incremental->start, 4);
	memcpy(&incremental->n_blocks, incremental->start + 4, 4);
	memcpy(&incremental->length, incremental->start + 8, 4);
	size = INCREMENTAL_START_SIZE + (uint64_t) incremental->n_blocks * sizeof(uint32_t);
	if (incremental->n_blocks > 0)
		size = (size + incremental->page_size - 1) / incremental->page_size * incremental->page_size;
	incremental->header_size = size;
	size += (uint64_t) incremental->n_blocks * incremental->page_size;

	if (magic != MAGIC)
		incremental->problem = format("begins with %08" PRIX32 ", not with %08" PRIX32 " as an incremental file does", magic, MAGIC);
	else if (incremental->n_blocks > incremental->segment_pages)
		incremental->problem = format("states that it holds %" PRIu32 " blocks, more than the %" PRIu32 " of a whole file",
									  incremental->n_blocks, incremental->segment_pages);
	else if (incremental->length > incremental->segment_pages)
		incremental->problem = format("states a length of %" PRIu32 " blocks, more than the %" PRIu32 " of a whole file",
									  incremental->length, incremental->segment_pages);
	else if (incremental->file_size != size)
		incremental->problem = format("has %" PRIu64 " bytes, not %" PRIu64 " as with the %" PRIu32 " blocks that its header states",
									  incremental->file_size, size, incremental->n_blocks);
	else if (incremental->n_blocks > incremental->room)
	{
		incremental->blocks = xrealloc(incremental->blocks, incremental->n_blocks * sizeof(uint32_t));
		incremental->room = incremental->n_blocks;
	}
}

/* All numbers of blocks have come. */
static void
check_blocks(Incremental *incremental)
{
	for (uint32_t i = 0; i < incremental->n_blocks && incremental->problem == NULL; i++)
	{
		uint32_t	block = incremental->blocks[i];

		if (block >= incremental->segment_pages)
			incremental->problem = format("lists block %" PRIu32 ", beyond the %" PRIu32 " of a whole file",
										  block, incremental->segment_pages);
		else if (i > 0 && block == incremental->blocks[i - 1])
			incremental->problem = format("lists block %" PRIu32 " twice", block);
		else if (i > 0 && block < incremental->blocks[i - 1])
			incremental->problem = format("lists block %" PRIu32 " behind block %" PRIu32, block, incremental->blocks[i - 1]);
	}
}

/*
 * Take bytes of the file, from its start on and in their order, until they are
 * behind its header; true if no more are wanted: it is known or has a problem.
 */
bool
incremental_add(Incremental *incremental, const unsigned char *data, size_t len)
{
	size_t		part = 0;
	uint64_t	end;

	if (incremental->taken < INCREMENTAL_START_SIZE && incremental->problem == NULL)
	{
		part = INCREMENTAL_START_SIZE - (size_t) incremental->taken;
		if (part > len)
			part = len;
		memcpy(incremental->start + incremental->taken, data, part);
		incremental->taken += part;
		if (incremental->taken < INCREMENTAL_START_SIZE)
			return false;
		read_start(incremental);
	}
	end = INCREMENTAL_START_SIZE + (uint64_t) incremental->n_blocks * sizeof(uint32_t);
	if (incremental->problem != NULL || incremental->taken == end)
		return true;

	data += part;
	len -= part;
	if (len > end - incremental->taken)
		len = (size_t) (end - incremental->taken);
	memcpy((unsigned char *) incremental->blocks + (incremental->taken - INCREMENTAL_START_SIZE), data, len);
	incremental->taken += len;
	if (incremental->taken < end)
		return false;
	check_blocks(incremental);
	return true;
}

/* Which block of the whole file the page at this offset is; NO_BLOCK: none.  The header is known. */
int64_t
incremental_block(const Incremental *incremental, uint64_t offset)
{
	uint64_t	i;

	if (incremental->problem != NULL || offset < incremental->header_size)
		return NO_BLOCK;
	i = (offset - incremental->header_size) / incremental->page_size;
	return i < incremental->n_blocks ? (int64_t) incremental->blocks[i] : NO_BLOCK;
}

void
incremental_free(Incremental *incremental)
{
	free(incremental->problem);
	free(incremental->blocks);
	memset(incremental, 0, sizeof(*incremental));
}
