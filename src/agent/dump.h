/*
 * src/agent/dump.h
 *		What pg_dump and pg_dumpall write.
 */
#ifndef VOXANNE_AGENT_DUMP_H
#define VOXANNE_AGENT_DUMP_H

#include "manifest.h"
#include "report.h"
#include "stream.h"

/* A table that must be in the dump, with rows */
typedef struct WantedTable
{
	char	   *schema;			/* NULL: any */
	char	   *name;
	char	   *label;			/* as it is shown */
	bool		present;		/* its definition, or its data */
	bool		data;			/* the dump has data for it, be they no row */
	uint64_t	rows;
} WantedTable;

/* Entries of a table of contents, as far as they matter */
typedef enum EntryKind
{
	ENTRY_OTHER,
	ENTRY_TABLE,
	ENTRY_DATA,					/* rows of a table */
	ENTRY_BLOBS,				/* large objects */
	ENTRY_ATTACH				/* makes a table a partition */
} EntryKind;

/* What an entry says about the place of its data */
typedef enum OffsetState
{
	OFFSET_UNKNOWN = 1,
	OFFSET_SET = 2,
	OFFSET_NO_DATA = 3
} OffsetState;

#define UNKNOWN_COLUMNS UINT32_MAX

typedef struct DumpEntry
{
	uint32_t	id;
	uint32_t	columns;		/* of rows that COPY wrote, or UNKNOWN_COLUMNS */
	uint32_t	parents[2];		/* of ENTRY_ATTACH: ids that it depends on */
	uint8_t		kind;			/* EntryKind */
	uint8_t		offset_state;	/* OffsetState; custom format only */
	bool		has_data;
	bool		copy;			/* rows are lines of COPY, not INSERTs */
	bool		seen;			/* its data were met */
	bool		counted;		/* for a wanted table that is judged */
	uint64_t	offset;
	uint64_t	rows;
	char	   *schema;			/* of tables and their data, or NULL */
	char	   *name;			/* of these and of ENTRY_ATTACH, or NULL */
	char	   *file;			/* its data's, in directory and tar format */
} DumpEntry;

/* Header of an archive */
typedef struct DumpHeader
{
	uint32_t	version;		/* 0x010e: 1.14; 0: none was read */
	uint8_t		int_size;
	uint8_t		offset_size;
	uint8_t		format;
	Compression compression;	/* of the data of a custom archive */
	int64_t		created_at;		/* seconds since 1970, or NO_TIME */
	char	   *database;
	char	   *server_version;
	char	   *dump_version;
} DumpHeader;

/* Formats, as they are numbered in headers */
#define FORMAT_CUSTOM 1
#define FORMAT_TAR 3			/* and directory */

typedef struct Dump
{
	/* set by locate_dump() */
	char	   *path;
	const char *id;				/* last part of path */
	int			fd;				/* the file, or the directory; -1: none */
	bool		is_directory;
	Compression compression;	/* of the whole file */
	const struct DumpFormat *format;
	int64_t		modified_at;	/* seconds since 1970 */
	int64_t		now;

	/* set while it is read */
	DumpHeader	header;
	uint64_t	size;			/* bytes of its files */
	DumpEntry  *entries;		/* by id, when all are read */
	uint32_t	n_entries;
	uint32_t	n_data;			/* those with data */
	bool		entries_read;
	bool		tables_known;	/* all tables and their data are among the
								 * entries */
	_Atomic uint64_t n_rows;	/* that COPY wrote */
	_Atomic bool uncounted;		/* there are others */
	uint64_t	n_blobs;
	char		sha256[2 * MAX_DIGEST_SIZE + 1];	/* empty: not computed */
	char	   *good_sha256;	/* what it was when the dump was good, or NULL */
	WantedTable *wanted;
	int			n_wanted;
} Dump;

/* State of a run. */
typedef struct DumpRun
{
	Report	   *report;
	Dump	   *dump;
	const Options *options;
	bool		deep;			/* level "verify" */
	Pace		pace;
	FileSource	file;			/* of a dump in one file */

	Check	   *header;
	Check	   *contents;		/* table of contents, or NULL */
	Check	   *present;		/* everything that should be there, once */
	Check	   *readable;		/* and its data make sense; NULL: not deep */
	Check	   *complete;		/* it ends where it should */
} DumpRun;

typedef struct DumpFormat
{
	const char *name;
	/* Does a file begin like this?  NULL: it is no file. */
	bool		(*begins) (const unsigned char *start, size_t len);

	/*
	 * Header of a file of this format, for a choice among several; may be
	 * NULL.
	 */
	bool		(*read_header) (Stream *in, DumpHeader *header, char **problem);
	void		(*verify) (DumpRun *run);
} DumpFormat;


/* in dump_header.c */
extern bool is_archive(const unsigned char *start, size_t len);
extern bool read_dump_header(Stream *in, DumpHeader *header, char **problem);
extern bool take_dump_int(Stream *in, const DumpHeader *header, int64_t *value, char **problem);
extern void conclude_header(DumpRun *run, const char *problem);

/* in dump_toc.c */
extern bool read_dump_toc(Stream *in, Dump *dump, bool with_offsets, char **problem);
extern DumpEntry *find_entry(const Dump *dump, int64_t id);
extern char *entry_label(const DumpEntry *entry);
extern void conclude_toc(DumpRun *run, const char *problem);

/* in dump_rows.c */
typedef struct RowScan
{
	bool		copy;
	uint32_t	columns;
	uint64_t	rows;
	char	   *problem;

	/* the line under way */
	uint64_t	length;
	uint32_t	tabs;
	unsigned char first[2];
	bool		over;			/* the end mark has come */
	unsigned int newlines;		/* since then, or of INSERTs at their end */
} RowScan;

extern void scan_rows_begin(RowScan *scan, const DumpEntry *entry);
extern void scan_rows(RowScan *scan, const unsigned char *data, size_t len);
extern char *scan_rows_end(RowScan *scan);
extern char *read_entry_data(DumpRun *run, DumpEntry *entry, Stream *in);

/* in dump_tables.c */
extern bool take_table_name(const char **str, WantedTable *wanted);
extern bool parse_table_name(const char *str, WantedTable *wanted);
extern DumpEntry *find_table(Dump *dump, EntryKind kind, const char *schema, const char *name);
extern void conclude_tables(DumpRun *run);
extern void conclude_kinds_of_data(DumpRun *run);

/* in dump_locate.c */
extern int64_t dump_time(const DumpHeader *header, int64_t modified_at);
extern uint64_t directory_size(int dir);
extern bool locate_dump(Report *report, Dump *dump, const char *path);

/* in dump_custom.c, dump_directory.c, dump_tar.c, dump_plain.c */
extern const DumpFormat custom_format;
extern const DumpFormat directory_format;
extern const DumpFormat tar_format;
extern const DumpFormat plain_format;

#endif							/* VOXANNE_AGENT_DUMP_H */
