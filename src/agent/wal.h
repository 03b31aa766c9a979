/*
 * src/agent/wal.h
 *		WAL: segments, their pages, and the records in them.
 */
#ifndef VOXANNE_AGENT_WAL_H
#define VOXANNE_AGENT_WAL_H

#include "contents.h"

#define WAL_NAME_SIZE 25
#define WAL_BUFFER_SIZE ((size_t) 256 * 1024)

/* Sizes of a segment that the server can be told to use */
#define MIN_WAL_SEGMENT (UINT32_C(1) << 20)
#define MAX_WAL_SEGMENT (UINT32_C(1) << 30)

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

typedef struct Wal Wal;

/* The WAL of a backup; what a WalSource of one has as its place begins with this. */
typedef struct BackupWal
{
	const Backup *backup;
	bool		any;			/* there is some WAL, not none */

	/* Why the open segment is no file of the right size, or NULL. */
	char	   *(*segment_problem) (const Wal *wal);
} BackupWal;

/* Where segments come from: a backup's pg_wal, an archive. */
typedef struct WalSource
{
	/*
	 * Open a segment for a range and set timeline and name; false with errno
	 * set, ENOENT if there is none.
	 */
	bool		(*open) (Wal *wal, int range, uint64_t segment);

	/*
	 * Fill the buffer with what lies in the open segment from "start", a
	 * multiple of WAL_BUFFER_SIZE; less only at its end.  Bytes, or -1.
	 */
	ssize_t		(*fill) (Wal *wal, uint64_t start);
	void		(*close) (Wal *wal);
} WalSource;

/* WAL that is being read. */
struct Wal
{
	/* unchanging */
	const WalSource *source;
	void	   *place;			/* the source's own */
	uint64_t	system_identifier;
	const char *server_version; /* or NULL: any that is known */
	uint32_t	segment_size;
	uint32_t	page_size;

	uint16_t	magic;			/* of all pages, 0: none seen yet */

	/* the segment that is open */
	bool		is_open;
	uint64_t	segment;
	uint32_t	timeline;		/* of its name */
	int			range;			/* for which it was chosen */
	char		name[WAL_NAME_SIZE];

	/* what is in the buffer, of that segment */
	unsigned char *buffer;
	uint64_t	buffer_start;	/* in the segment */
	size_t		buffer_len;
};

extern bool backup_wal_name(Wal *wal, int range, uint64_t segment, int *choice);
extern void verify_backup_wal(Report *report, Wal *wal, PageFindings *findings);
extern char *wal_size_problem(const Wal *wal, uint64_t size);
extern void wal_segment_name(char *name, uint32_t timeline, uint64_t segment, uint32_t segment_size);
extern const char *wal_version(uint16_t magic);
extern bool wal_open_segment(Wal *wal, int range, uint64_t segment);
extern void wal_close_segment(Wal *wal);
extern bool wal_read(Wal *wal, uint64_t at, const unsigned char **data, size_t *len);
extern size_t wal_page_header(Wal *wal, uint64_t address, WalPageHeader *header, char **problem);

/* A walk along the records of a stretch of WAL. */
typedef struct WalWalk
{
	/* what to walk */
	int			range;
	uint64_t	start;			/* of a record or a page */
	uint64_t	end;			/* records that begin before this */
	PageFindings *findings;		/* to mark what WAL repairs, or NULL */

	/* what came of it */
	uint64_t	n_records;
	uint64_t	first_previous; /* where the first says that the one before
								 * begins; 0: unknown */
	uint64_t	last_record;	/* where the last begins, 0: none */
	uint64_t	reached;		/* behind the last good one */
	int64_t		last_commit;	/* microseconds since 2000, or NO_TIME */
	uint64_t	bad_segment;	/* where the problem is */
	bool		ran_out;		/* the problem: a segment is missing */
} WalWalk;

/* in wal_records.c */
extern char *walk_records(Wal *wal, WalWalk *walk);

#endif							/* VOXANNE_AGENT_WAL_H */
