/*
 * src/agent/dump_custom.c
 *		Dumps in custom format: pg_dump --format=custom.
 *
 * Behind the table of contents come the blocks of data, each with its kind and
 * the id of its entry, as chunks with their lengths.  The entries state where
 * their blocks are, unless the archive was written to a pipe; but only walking
 * from block to block shows that nothing is missing and nothing else is there.
 */
#include "dump.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_DATA 1
#define BLOCK_BLOBS 3

static bool custom_begins(const unsigned char *start, size_t len);
static void verify_custom(DumpRun *run);

const DumpFormat custom_format = {
	.name = "custom",
	.begins = custom_begins,
	.read_header = read_dump_header,
	.verify = verify_custom,
};

/* The chunks of one block, as a ByteSource. */
typedef struct Chunks
{
	Stream	   *in;
	const DumpHeader *header;
	uint64_t	left;			/* of the chunk under way */
	bool		over;			/* the chunk of length zero has come */
	char	   *problem;		/* the archive ends or has no chunk here */
} Chunks;

static bool
custom_begins(const unsigned char *start, size_t len)
{
	return is_archive(start, len);
}

/* The length of the next chunk; false at the end of the block or with a problem. */
static bool
next_chunk(Chunks *chunks)
{
	int64_t		len;

	if (chunks->over || chunks->problem != NULL ||
		!take_dump_int(chunks->in, chunks->header, &len, &chunks->problem))
		return false;
	if (len < 0)
	{
		chunks->problem = xstrdup("a length is negative");
		return false;
	}
	chunks->left = (uint64_t) len;
	chunks->over = len == 0;
	return !chunks->over;
}

static ssize_t
read_chunks(void *source, unsigned char *buffer, size_t size)
{
	Chunks	   *chunks = source;
	const unsigned char *data;
	size_t		len;

	if (chunks->left == 0 && !next_chunk(chunks))
	{
		errno = EIO;
		return chunks->problem == NULL ? 0 : -1;
	}
	len = stream_look(chunks->in, &data);
	if (len == 0)
	{
		chunks->problem = xstrdup(stream_why(chunks->in));
		errno = EIO;
		return -1;
	}
	if (len > chunks->left)
		len = (size_t) chunks->left;
	if (len > size)
		len = size;
	memcpy(buffer, data, len);
	stream_pass(chunks->in, len);
	chunks->left -= len;
	return (ssize_t) len;
}

/* Go to the block's end, whatever is in it; false if that is not to be found. */
static bool
finish_chunks(Chunks *chunks)
{
	while (chunks->problem == NULL && !chunks->over)
	{
		if (chunks->left > 0 && !stream_skip(chunks->in, chunks->left))
			chunks->problem = xstrdup(stream_why(chunks->in));
		else
			(void) next_chunk(chunks);
	}
	return chunks->problem == NULL;
}

/*
 * Read the data that begin here: of a table or of one large object.  False if
 * the archive cannot be followed any further, with "end" set.  What is wrong
 * with the data themselves goes to check data_readable.
 */
static bool
read_block(DumpRun *run, DumpEntry *entry, Stream *in, char **end)
{
	Chunks		chunks = {.in = in,.header = &run->dump->header};
	Stream		data;
	char	   *problem;
	bool		follows = next_chunk(&chunks);

	/*
	 * where there is nothing, some methods and versions write not even a
	 * frame
	 */
	stream_open(&data, follows ? run->dump->header.compression : COMPRESSION_NONE, read_chunks, &chunks);
	problem = read_entry_data(run, entry, &data);
	stream_close(&data);
	if (!finish_chunks(&chunks))
	{
		free(problem);
		*end = chunks.problem;
		return false;
	}
	if (problem != NULL)
		check_problem(run->readable, entry_label(entry), "%s", problem);
	free(problem);
	return true;
}

/* Read the large objects that begin here, up to the id 0. */
static bool
read_blobs(DumpRun *run, DumpEntry *entry, Stream *in, char **end)
{
	int64_t		oid;

	for (;;)
	{
		if (!take_dump_int(in, &run->dump->header, &oid, end))
			return false;
		if (oid == 0)
			return true;
		run->dump->n_blobs++;
		if (!read_block(run, entry, in, end))
			return false;
	}
}

/* Is a block of this kind and id one that should be here?  Else say so. */
static DumpEntry *
match_block(DumpRun *run, unsigned char kind, int64_t id, uint64_t at)
{
	DumpEntry  *entry = find_entry(run->dump, id);

	if (entry == NULL || !entry->has_data)
		check_problem(run->present, format("entry %" PRId64, id),
					  "there are data for it at byte %" PRIu64 ", but the table of contents has no such entry", at);
	else if (entry->seen)
		check_problem(run->present, entry_label(entry), "its data are there twice, once more at byte %" PRIu64, at);
	else if ((kind == BLOCK_BLOBS) != (entry->kind == ENTRY_BLOBS))
		check_problem(run->present, entry_label(entry), "its data at byte %" PRIu64 " are of the wrong kind", at);
	else
	{
		if (entry->offset_state == OFFSET_SET && entry->offset != at)
			check_problem(run->present, entry_label(entry), "its data are at byte %" PRIu64 ", not at %" PRIu64 " as stated",
						  at, entry->offset);
		entry->seen = true;
		return entry;
	}
	return NULL;
}

/*
 * Read one block.  False at the end of the archive, or with "end" set where it
 * cannot be followed.
 */
static bool
next_block(DumpRun *run, Stream *in, char **end)
{
	static DumpEntry nobody = {.kind = ENTRY_OTHER};
	uint64_t	at = stream_at(in);
	unsigned char kind;
	DumpEntry  *entry;
	int64_t		id;

	if (!stream_take(in, &kind, 1))
	{
		if (in->problem != NULL)
			*end = xstrdup(in->problem);
		return false;
	}
	if (kind != BLOCK_DATA && kind != BLOCK_BLOBS)
	{
		*end = format("at byte %" PRIu64 " something begins that is no data", at);
		return false;
	}
	if (!take_dump_int(in, &run->dump->header, &id, end))
		return false;
	entry = match_block(run, kind, id, at);
	if (entry == NULL)
		entry = &nobody;
	return kind == BLOCK_BLOBS ? read_blobs(run, entry, in, end) : read_block(run, entry, in, end);
}

/* Level "verify": check data_present, data_readable and dump_complete. */
static void
walk_blocks(DumpRun *run, Stream *in)
{
	Dump	   *dump = run->dump;
	char	   *end = NULL;

	while (next_block(run, in, &end))
		;
	for (uint32_t i = 0; i < dump->n_entries; i++)
	{
		DumpEntry  *entry = &dump->entries[i];

		if (entry->has_data && !entry->seen)
			check_problem(run->present, entry_label(entry), "its data are missing");
	}
	if (end != NULL)
		check_set(run->complete, CHECK_FAILED, "The archive cannot be followed to its end, from byte %" PRIu64 " on: %s.",
				  stream_at(in), end);
	else
		check_set(run->complete, CHECK_PASSED, "The archive ends behind its last data.");
	free(end);
}

/*
 * Level "status": do the data begin where the entries say?  So an archive that
 * was cut off is noticed without reading it, unless the cut is in the last
 * table.  An archive that was written to a pipe says nothing.
 */
static void
check_offsets(DumpRun *run)
{
	Dump	   *dump = run->dump;
	unsigned char bytes[6];
	uint32_t	unknown = 0;

	for (uint32_t i = 0; i < dump->n_entries; i++)
	{
		const DumpEntry *entry = &dump->entries[i];
		uint32_t	id;

		if (!entry->has_data)
			continue;
		if (entry->offset_state != OFFSET_SET)
		{
			unknown++;
			continue;
		}
		if (entry->offset > INT64_MAX ||
			pread(dump->fd, bytes, sizeof(bytes), (off_t) entry->offset) != (ssize_t) sizeof(bytes))
		{
			check_problem(run->present, entry_label(entry), "its data are missing: the file ends before byte %" PRIu64, entry->offset);
			continue;
		}
		id = (uint32_t) bytes[2] | (uint32_t) bytes[3] << 8 | (uint32_t) bytes[4] << 16 | (uint32_t) bytes[5] << 24;
		if (bytes[0] != (entry->kind == ENTRY_BLOBS ? BLOCK_BLOBS : BLOCK_DATA) || bytes[1] != 0 ||
			(dump->header.int_size == 4 && id != entry->id))
			check_problem(run->present, entry_label(entry), "its data are not at byte %" PRIu64 " as stated", entry->offset);
	}
	if (run->present->n_problems == 0 && unknown > 0)
		check_set(run->present, CHECK_SKIPPED, "The archive was written to a pipe and does not state where its data are; level verify finds out.");
}

/* See DumpFormat. */
static void
verify_custom(DumpRun *run)
{
	Dump	   *dump = run->dump;
	char	   *problem = NULL;
	Stream		in;

	run->contents = report_check(run->report, "toc_readable");
	run->present = report_check(run->report, "data_present");
	stream_open_file(&in, dump->compression, &run->file);
	if (!read_dump_header(&in, &dump->header, &problem))
		conclude_header(run, problem);
	else if (conclude_header(run, NULL), dump->header.format != FORMAT_CUSTOM)
		check_set(run->header, CHECK_FAILED, "This is the table of contents of a dump in directory format, not the dump: its files are missing.");
	else if (!read_dump_toc(&in, dump, true, &problem))
		conclude_toc(run, problem);
	else
	{
		conclude_toc(run, NULL);
		if (run->deep)
		{
			run->readable = report_check(run->report, "data_readable");
			run->complete = report_check(run->report, "dump_complete");
			walk_blocks(run, &in);
		}
		else if (dump->compression == COMPRESSION_NONE)
			check_offsets(run);
		else
			check_set(run->present, CHECK_SKIPPED, "The archive is compressed as a whole: only level verify reads it.");
	}
	free(problem);
	stream_close(&in);
}
