/*
 * src/agent/reader.h
 *		Reading files of a backup: checksums and pages in one go.
 */
#ifndef VOXANNE_AGENT_READER_H
#define VOXANNE_AGENT_READER_H

#include "backup.h"
#include "findings.h"
#include "incremental.h"
#include "pace.h"

/* A multiple of every page size; small enough to stay in the cache between checksum and pages */
#define READ_SIZE ((size_t) 256 * 1024)

/* What one thread reads with. */
typedef struct Reader
{
	/* unchanging */
	const Backup *backup;
	const Options *options;
	Pace	   *pace;
	bool		check_pages;
	bool		check_headers;	/* of incremental files */
	unsigned char *buffer;		/* READ_SIZE, page-aligned */

	LastDirectory directory;
	Digest		digest;
	Incremental incremental;	/* header of the file that is read, if it has
								 * one */
	PageFindings findings;
	uint64_t	n_pages;
} Reader;

/* How the reading of a file, or of a part of one, ended. */
typedef struct ReadResult
{
	int			error;			/* errno, 0: none */
	bool		complete;		/* all bytes were read, and the digest is
								 * theirs */
	bool		changed;		/* somebody changed the file meanwhile */
	bool		bad_header;		/* reader->incremental.problem says why */
} ReadResult;

/* What part of a file to read, as which time */
typedef struct ReadOrder
{
	uint32_t	file;			/* number in the manifest */
	uint64_t	start;			/* a multiple of READ_SIZE */
	uint64_t	end;
	bool		second;
} ReadOrder;

extern ssize_t read_file(int fd, unsigned char *buffer, size_t want, uint64_t at, bool *cold);
extern void reader_open(Reader *reader);
extern void reader_close(Reader *reader);
extern void reader_check_pages(Reader *reader, const ReadOrder *order, const RelationFile *relation, uint64_t at,
							   size_t len);
extern ReadResult reader_read(Reader *reader, const ReadOrder *order);

#endif							/* VOXANNE_AGENT_READER_H */
