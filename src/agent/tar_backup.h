/*
 * src/agent/tar_backup.h
 *		A base backup in tar format: its archives, and the WAL in them.
 */
#ifndef VOXANNE_AGENT_TAR_BACKUP_H
#define VOXANNE_AGENT_TAR_BACKUP_H

#include "tar.h"
#include "wal.h"

/* base.tar, <oid>.tar or pg_wal.tar, compressed or not */
typedef struct Archive
{
	char	   *name;
	char	   *prefix;			/* of its members' paths in the backup */
	Compression compression;
	int			fd;
	uint64_t	size;
} Archive;

/* A WAL segment in an archive */
typedef struct TarSegment
{
	char		name[WAL_NAME_SIZE];
	uint32_t	archive;		/* index */
	uint64_t	size;
	uint64_t	offset;			/* of its first byte, decompressed */
} TarSegment;

typedef struct TarSegments
{
	TarSegment *items;
	uint32_t	n;
	uint32_t	room;
} TarSegments;

extern void tar_segments_add(TarSegments *segments, const char *name, uint32_t archive, const Tar *tar);
extern void verify_tar_wal(Report *report, const Backup *backup, const Archive *archives, TarSegments *segments,
						   Pace *pace, PageFindings *findings);

#endif							/* VOXANNE_AGENT_TAR_BACKUP_H */
