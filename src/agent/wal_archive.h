/*
 * src/agent/wal_archive.h
 *		An archive of WAL: its files, its timelines, the backups that it serves.
 *
 * Terms: a segment's number is its place in all of the cluster's WAL; a hole
 * is a segment that is missing between two that are there.
 */
#ifndef VOXANNE_AGENT_WAL_ARCHIVE_H
#define VOXANNE_AGENT_WAL_ARCHIVE_H

#include "history.h"
#include "report.h"
#include "wal_name.h"

/* The server counts time from 2000 on. */
#define SECONDS_TO_2000 INT64_C(946684800)

/* What a file begins with that pgBackRest, or OpenSSL, has encrypted */
#define ENCRYPTED_MAGIC "Salted__"
#define ENCRYPTED_MAGIC_SIZE 8

struct Archive;

/* Where an archive keeps what; see wal_layout.c. */
typedef struct ArchiveLayout
{
	const char *name;
	const char *description;	/* completes "is ..." */

	/* Is "dir" one?  Then add its directories. */
	bool		(*locate) (Report *report, struct Archive *archive, int dir);

	/* Read the tool's own list of backups; NULL: it has none. */
	void		(*read_backups) (struct Archive *archive, Check *check);
} ArchiveLayout;

/* A directory that holds segments, perhaps in directories named by their first digits. */
typedef struct ArchiveDirectory
{
	int			fd;
	int			error;			/* why it could not be opened, if fd is -1 */
	const char *prefix;			/* of paths in it, with a slash, or empty */
	bool		waiting;		/* what lies here is not in the archive yet */
} ArchiveDirectory;

#define MAX_ARCHIVE_DIRECTORIES 4

typedef enum SegmentState
{
	SEGMENT_PRESENT,			/* not looked at, or good */
	SEGMENT_WAITING,			/* may still be written */
	SEGMENT_BAD,
	SEGMENT_FOREIGN,			/* of another cluster */
	SEGMENT_UNREADABLE,			/* by us, and so by a restore */
	SEGMENT_OPAQUE,				/* encrypted, or compressed by what we do not
								 * know */
	SEGMENT_GONE				/* not there any more when it was looked at */
} SegmentState;

/* What reading a segment's contents showed */
typedef struct SegmentContents
{
	bool		read;
	bool		complete;		/* its records are good to its end */
	uint32_t	crc;			/* of all bytes */
	uint64_t	first_previous; /* see WalWalk */
	uint64_t	last_record;
	uint64_t	reached;
	int64_t		last_commit;
} SegmentContents;

/* A file with a segment's name; kept small, as there may be a million. */
typedef struct SegmentFile
{
	uint64_t	segment;
	uint64_t	size;			/* on disk */
	int64_t		mtime;
	uint32_t	timeline;
	uint32_t	log;
	uint32_t	seg;
	uint8_t		directory;
	uint8_t		tail;			/* number of what its name ends with */
	uint8_t		state;			/* SegmentState */
	uint8_t		compression;	/* by its name */
	bool		nested;			/* in a directory of its first digits */
	bool		partial;
	bool		has_sha1;
	unsigned char sha1[SHA1_SIZE];
	SegmentContents *contents;	/* NULL: not read */
} SegmentFile;

/* Text files of an archive: history files, backups' histories */
typedef struct ArchiveText
{
	char	   *name;			/* in its directory */
	uint32_t	timeline;
	WalNameKind kind;
	uint8_t		directory;
} ArchiveText;

/* Segments without a hole on one timeline */
typedef struct SegmentRange
{
	uint32_t	timeline;
	uint64_t	first;
	uint64_t	last;
} SegmentRange;

typedef struct SegmentRanges
{
	SegmentRange *items;
	uint32_t	n;
	uint32_t	size;
} SegmentRanges;

typedef struct Timeline
{
	uint32_t	id;
	bool		has_history;	/* true for timeline 1, which needs none */
	bool		opaque;			/* it has one that cannot be read here */
	History		history;
	SegmentRanges present;		/* whatever there is under these names */
	SegmentRanges good;			/* what recovery can use, as far as we looked */
} Timeline;

/* A backup that needs the archive, and how far it gets with it. */
typedef struct BackupWindow
{
	/* known from the start */
	char	   *id;
	uint32_t	timeline;		/* at its end */
	uint64_t	start_lsn;
	uint64_t	end_lsn;		/* 0: unknown */
	int64_t		ended_at;		/* seconds since 1970, or -1: unknown */
	bool		listed;			/* somebody says that it exists; else it may
								 * have been deleted */
	bool		seen;			/* somebody saw it, which is no news of today;
								 * unless there is a newer one it exists */
	bool		told;			/* the archive tells of it as well */
	char	   *flaw;			/* what its maker says is wrong, or NULL */

	/* set by find_windows() */
	bool		expired;		/* older than the archive, and not listed */
	bool		usable;			/* the WAL from its start to its end is there */
	bool		pending;		/* its end is not archived yet */
	bool		cut;			/* does not get to the newest segment */
	bool		own_timeline;	/* recovery to the latest timeline would fail */
	uint32_t	target;			/* timeline that it gets to */
	uint64_t	reach;			/* LSN */
	int64_t		last_commit;	/* before that, or NO_TIME: unknown */
	char	   *missing;		/* name of the segment that stops it, or NULL */
} BackupWindow;

/* Numbers of segments by class */
typedef struct SegmentCounts
{
	uint64_t	found;
	uint64_t	pending;
	uint64_t	lost;
	uint64_t	bad;
	uint64_t	foreign;
} SegmentCounts;

typedef struct Archive
{
	const Options *options;
	char	   *path;
	int64_t		now;

	/* set by locate_archive() */
	const ArchiveLayout *layout;
	ArchiveDirectory directories[MAX_ARCHIVE_DIRECTORIES];
	int			n_directories;
	int			backups;		/* directory of backups, or -1 */
	char	   *backups_path;	/* its path, if it is open */
	bool		backups_named;	/* by the caller, whatever is said there */
	int			backups_errno;	/* why it could not be opened, 0: no reason */
	int			info;			/* directory of pgBackRest's archive.info, or
								 * -1 */

	/* set by find_backups() */
	uint64_t	n_opaque_lists; /* descriptions of backups that cannot be read
								 * here */
	bool		lists_unread;	/* not all could be read of what it says of
								 * backups */

	int			server_wal;		/* the server's pg_wal, or -1 */

	/* set by scan_archive() */
	SegmentFile *files;			/* sorted by timeline, segment, name */
	uint32_t	n_files;
	uint32_t	files_size;
	char	   *tails[UINT8_MAX];
	int			n_tails;
	ArchiveText *texts;
	uint32_t	n_texts;
	uint64_t	other_files;	/* whose names are none of WAL */
	uint64_t	total_size;

	/* set by read_identity() */
	bool		sealed;			/* WAL-G has encrypted what is compressed */
	uint64_t	system_identifier;
	uint32_t	segment_size;	/* 0: unknown */
	uint32_t	page_size;
	uint16_t	magic;			/* 0: unknown */
	bool		contents_read;	/* files have contents */

	/* set by find_timelines() */
	Timeline   *timelines;		/* by number */
	uint32_t	n_timelines;
	SegmentRanges holes;

	BackupWindow *windows;
	uint32_t	n_windows;

	/* set by compare_server() */
	bool		server_known;
	uint64_t	n_pending;		/* that the server still has */
	SegmentRanges lost;			/* that neither has */
	int64_t		behind_since;	/* NO_TIME: it is not */

	SegmentCounts counts;
	const SegmentFile *newest;	/* or NULL */
	int64_t		last_commit;
} Archive;

/* in wal_layout.c */
extern bool locate_archive(Report *report, Archive *archive, int location, SandboxPlan *plan);

/* in wal_archive.c */
extern bool scan_archive(Report *report, Archive *archive, Check *readable);
extern void list_archive_again(Archive *archive, Check *readable);
extern char *segment_path(const Archive *archive, const SegmentFile *file);
extern uint32_t first_file(const Archive *archive, uint32_t timeline, uint64_t segment);
extern void add_to_ranges(SegmentRanges *ranges, uint32_t timeline, uint64_t first, uint64_t last);
extern uint64_t count_ranges(const SegmentRanges *ranges);

/* in wal_headers.c */
extern bool read_identity(Archive *archive, Check *check);
extern void number_segments(Archive *archive, Check *check);

/* in wal_timelines.c */
extern void find_timelines(Report *report, Archive *archive);
extern uint64_t count_opaque_timelines(const Archive *archive);
extern void find_ranges(Archive *archive);
extern uint64_t oldest_on_way(const Archive *archive, const History *history);
extern uint64_t segment_of(const Archive *archive, uint64_t lsn);
extern char *segment_name(const Archive *archive, uint32_t timeline, uint64_t segment);
extern const History *history_of(const Archive *archive, uint32_t timeline);
extern Timeline *find_timeline(const Archive *archive, uint32_t id);
extern const SegmentRange *range_holding(const SegmentRanges *ranges, uint64_t segment);

/* in recovery_window.c */
extern BackupWindow *add_window(Archive *archive, const char *id);
extern void find_backups(Report *report, Archive *archive);
extern void find_windows(Report *report, Archive *archive);

/* in recovery_checks.c */
extern void check_windows(Report *report, const Archive *archive);

/* in wal_server.c */
extern bool parse_position(const char *str, const char **end, uint32_t *timeline, uint64_t *lsn);
extern void compare_server(Report *report, Archive *archive, Check *readable);

/* in verify_wal.c */
extern void examine_archive(Report *report, Archive *archive);
extern void print_archive(JsonWriter *w, const char *key, const Archive *archive);
extern void print_windows(JsonWriter *w, const Archive *archive);

#endif							/* VOXANNE_AGENT_WAL_ARCHIVE_H */
