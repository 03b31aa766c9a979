/*
 * src/agent/manifest.h
 *		backup_manifest, versions 1 and 2.
 */
#ifndef VOXANNE_AGENT_MANIFEST_H
#define VOXANNE_AGENT_MANIFEST_H

#include "digest.h"

/* One listed file; kept small, as there may be millions. */
typedef struct ManifestFile
{
	const char *path;			/* relative, checked: no "..", no empty part;
								 * the digest follows its end */
	uint64_t	size;
	uint8_t		digest_kind;	/* DigestKind; DIGEST_NONE: size only */
	bool		found;			/* somebody met it on disk */
	bool		wanted;			/* its contents can and should be read */
	bool		reread;			/* it changed while it was read, so what was
								 * found in its pages at first counts no more */
} ManifestFile;

/* WAL that a restore needs, on one timeline */
typedef struct WalRange
{
	uint32_t	timeline;
	uint64_t	start_lsn;
	uint64_t	end_lsn;
} WalRange;

/* More switches of timeline during one backup than anybody has seen */
#define MAX_WAL_RANGES 64

typedef struct Manifest
{
	int			version;
	uint64_t	system_identifier;	/* version 2 only, else 0 */
	int64_t		newest;			/* latest Last-Modified, seconds since 1970,
								 * or NO_TIME */

	WalRange	ranges[MAX_WAL_RANGES]; /* the newest first */
	int			n_ranges;

	/* the files, by number and, through slots, by path */
	uint32_t	n_files;
	uint64_t	total_size;
	ManifestFile **blocks;		/* each of FILES_PER_BLOCK */
	uint32_t   *slots;			/* hash table of file numbers + 1; 0: free */
	uint32_t	n_slots;		/* a power of two */
	uint64_t	seed;			/* of the hash, so that nobody can prepare
								 * collisions */
	char	  **arenas;			/* all that were allocated */
	uint32_t	n_arenas;
	char	   *arena;			/* where the next path goes */
	size_t		arena_left;
} Manifest;

/* All WAL that a restore needs; 0 where the manifest lists none */
static inline uint64_t
manifest_start_lsn(const Manifest *manifest)
{
	return manifest->n_ranges > 0 ? manifest->ranges[manifest->n_ranges - 1].start_lsn : 0;
}

static inline uint64_t
manifest_end_lsn(const Manifest *manifest)
{
	return manifest->n_ranges > 0 ? manifest->ranges[0].end_lsn : 0;
}

#define NO_TIME INT64_MIN
#define FILES_PER_BLOCK 8192

extern bool manifest_read(Manifest *manifest, int fd, char **problem);
extern ManifestFile *manifest_file(const Manifest *manifest, uint32_t number);
extern uint32_t manifest_number(const Manifest *manifest, const ManifestFile *file);
extern ManifestFile *manifest_find(const Manifest *manifest, const char *path);
extern bool path_is_safe(const char *path, size_t len);
extern int64_t manifest_time(const char *str);

/* in manifest_files.c */
extern bool manifest_add(Manifest *manifest, const char *path, size_t len, uint64_t size,
						 DigestKind kind, const unsigned char *digest);
extern const unsigned char *manifest_digest(const ManifestFile *file);
extern void manifest_free(Manifest *manifest);

/* in manifest_checksum.c */
extern bool manifest_checksum_ok(int fd, char **problem);
extern bool decode_hex(const char *str, size_t len, unsigned char *bytes);

#endif							/* VOXANNE_AGENT_MANIFEST_H */
