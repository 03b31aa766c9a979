/*
 * src/agent/wal.h
 *		WAL segments that lie in a directory.
 */
#ifndef VOXANNE_AGENT_WAL_H
#define VOXANNE_AGENT_WAL_H

#include "contents.h"

#define WAL_NAME_SIZE 25
#define WAL_BUFFER_SIZE ((size_t) 256 * 1024)

/* Header of a WAL page; the long one, at the start of a segment, has the rest. */
typedef struct WalPageHeader
{
	uint16_t	magic;
	uint16_t	info;
	uint32_t	timeline;
	uint64_t	address;
	uint32_t	remaining;		/* bytes of a record that began before */
	uint32_t	padding;
	uint64_t	system_identifier;
	uint32_t	segment_size;
	uint32_t	page_size;
} WalPageHeader;

#define WAL_SHORT_HEADER 24
#define WAL_LONG_HEADER 40

/* Flags of a page */
#define WAL_CONTINUES 0x0001
#define WAL_HAS_LONG_HEADER 0x0002
#define WAL_OVERWRITES 0x0008	/* the record that began before was given up */

/* The WAL of a backup. */
typedef struct Wal
{
	/* unchanging */
	const Backup *backup;
	int			dir;
	uint32_t	segment_size;
	uint32_t	page_size;

	uint16_t	magic;			/* of all pages, 0: none seen yet */

	/* the segment that is open */
	int			fd;				/* -1: none */
	uint64_t	segment;
	uint32_t	timeline;		/* of its name */
	int			range;			/* for which it was chosen */
	char		name[WAL_NAME_SIZE];

	/* what is in the buffer, of that segment */
	unsigned char *buffer;
	uint64_t	buffer_start;	/* in the segment */
	size_t		buffer_len;
} Wal;

extern bool wal_open_segment(Wal *wal, int range, uint64_t segment);
extern void wal_close_segment(Wal *wal);
extern bool wal_read(Wal *wal, uint64_t at, const unsigned char **data, size_t *len);
extern size_t wal_page_header(Wal *wal, uint64_t address, WalPageHeader *header, char **problem);

/* in wal_records.c */
extern char *walk_records(Wal *wal, int range, PageFindings *findings, uint64_t *n_records);

#endif							/* VOXANNE_AGENT_WAL_H */
