/*
 * src/agent/manifest.h
 *		backup_manifest, versions 1 and 2.
 */
#ifndef VOXANNE_AGENT_MANIFEST_H
#define VOXANNE_AGENT_MANIFEST_H

#include "agent.h"

/* One listed file; kept small, as there may be millions. */
typedef struct ManifestFile
{
	const char *path;			/* relative, checked: no "..", no empty part */
	uint64_t	size;
	bool		found;			/* somebody met it on disk */
} ManifestFile;

typedef struct Manifest
{
	int			version;
	uint64_t	system_identifier;	/* version 2 only, else 0 */
	int64_t		newest;			/* latest Last-Modified, seconds since 1970,
								 * or NO_TIME */

	/*
	 * WAL that a restore needs: from the oldest range's start to the newest's
	 * end
	 */
	uint32_t	timeline;		/* 0: the manifest lists none */
	uint64_t	start_lsn;
	uint64_t	end_lsn;

	/* the files, by number and, through slots, by path */
	uint32_t	n_files;
	uint64_t	total_size;
	ManifestFile **blocks;		/* each of FILES_PER_BLOCK */
	uint32_t   *slots;			/* hash table of file numbers + 1; 0: free */
	uint32_t	n_slots;		/* a power of two */
	uint64_t	seed;			/* of the hash, so that nobody can prepare
								 * collisions */
	char	   *arena;			/* where the next path goes */
	size_t		arena_left;
} Manifest;

#define NO_TIME INT64_MIN
#define FILES_PER_BLOCK 8192

extern bool manifest_checksum_ok(int fd, char **problem);
extern bool manifest_read(Manifest *manifest, int fd, char **problem);
extern ManifestFile *manifest_file(const Manifest *manifest, uint32_t number);
extern ManifestFile *manifest_find(const Manifest *manifest, const char *path);
extern int64_t manifest_time(const char *str);

/* in manifest_files.c */
extern bool manifest_add(Manifest *manifest, const char *path, size_t len, uint64_t size);

#endif							/* VOXANNE_AGENT_MANIFEST_H */
