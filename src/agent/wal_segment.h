/*
 * src/agent/wal_segment.h
 *		Reading one segment of an archive, whatever compressed it.
 */
#ifndef VOXANNE_AGENT_WAL_SEGMENT_H
#define VOXANNE_AGENT_WAL_SEGMENT_H

#include "stream.h"
#include "wal.h"
#include "wal_archive.h"

typedef struct SegmentReader
{
	bool		is_open;
	bool		sealed;			/* see Archive */
	const SegmentFile *file;
	int			fd;
	Compression method;
	FileSource	source;
	Decompressor *decompressor;
	bool		hashing;
	Digest		digest;			/* SHA-1 of what was read */
	uint32_t	crc;			/* the same */
	uint64_t	pos;			/* bytes that were read */
	bool		over;

	/* why it cannot be read, or not to its end; NULL: nothing so far */
	char	   *problem;
	SegmentState state;			/* that the problem makes the file have */
} SegmentReader;

/* WAL of an archive: the segment that is being verified, and what continues it. */
typedef struct ArchiveWal
{
	const Archive *archive;
	Pace	   *pace;			/* or NULL */
	SegmentReader own;
	SegmentReader beyond;
	SegmentReader *current;
} ArchiveWal;

extern bool segment_open(SegmentReader *reader, const Archive *archive, const SegmentFile *file, Pace *pace,
						 bool hashing);
extern ssize_t segment_read(SegmentReader *reader, unsigned char *buffer, size_t size);
extern void segment_close(SegmentReader *reader);

extern void archive_wal_open(Wal *wal, ArchiveWal *place, const Archive *archive, Pace *pace);
extern void archive_wal_close(Wal *wal);
extern SegmentState judge_header(Wal *wal, char **problem);

#endif							/* VOXANNE_AGENT_WAL_SEGMENT_H */
