/*
 * src/agent/dump_tar.c
 *		Dumps in tar format: pg_dump --format=tar.
 *
 * The first member is the table of contents; then come the data of its entries
 * and the large objects, each a file of its own.  Nothing has a checksum.
 */
#include "dump.h"
#include "dump_blobs.h"
#include "tar.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CONTENTS "toc.dat"

static bool tar_begins(const unsigned char *start, size_t len);
static bool read_tar_header(Stream *in, DumpHeader *header, char **problem);
static void verify_tar(DumpRun *run);

const DumpFormat tar_format = {
	.name = "tar",
	.begins = tar_begins,
	.read_header = read_tar_header,
	.verify = verify_tar,
};

static bool
tar_begins(const unsigned char *start, size_t len)
{
	return is_tar(start, len) && strcmp((const char *) start, CONTENTS) == 0;
}

static bool
read_tar_header(Stream *in, DumpHeader *header, char **problem)
{
	return stream_skip(in, TAR_BLOCK) && read_dump_header(in, header, problem);
}

/* The entry whose data are in a member of this name, or NULL. */
static DumpEntry *
entry_of_member(const Dump *dump, const char *path)
{
	char	   *end;
	uint64_t	id = strtoull(path, &end, 10);
	DumpEntry  *entry = end != path && strcmp(end, ".dat") == 0 && id <= INT32_MAX ? find_entry(dump, (int64_t) id) : NULL;

	return entry != NULL && entry->has_data && entry->kind != ENTRY_BLOBS ? entry : NULL;
}

/* Look at one member behind the table of contents. */
static void
read_member(DumpRun *run, Tar *tar, Blobs *blobs)
{
	const TarMember *member = &tar->member;
	DumpEntry  *entry = entry_of_member(run->dump, member->path);
	char	   *problem = NULL;
	uint32_t	oid;
	Stream		data;

	if (strcmp(member->path, "restore.sql") == 0)
		return;
	if (entry == NULL && !is_blob_file(member->path, &oid) && !is_blobs_toc(member->path))
	{
		check_problem(run->present, member->path, "the table of contents has no entry for this file");
		return;
	}
	if (entry != NULL && entry->seen)
	{
		check_problem(run->present, entry_label(entry), "its data, %s, are there twice", member->path);
		return;
	}
	if (entry != NULL)
		entry->seen = true;
	stream_open(&data, COMPRESSION_NONE, tar_read, tar);
	if (is_blobs_toc(member->path))
		problem = blobs_read_toc(blobs, &data);
	else if (entry == NULL)
		blobs_met(blobs, oid);
	else if (run->deep)
		problem = read_entry_data(run, entry, &data);
	else if (member->size == 0)
		problem = xstrdup("its file is empty");
	if (problem != NULL && tar->problem == NULL)
		check_problem(run->deep ? run->readable : run->present, entry != NULL ? entry_label(entry) : member->path, "%s", problem);
	free(problem);
	stream_close(&data);
}

/* Everything behind the table of contents: checks data_present, data_readable and dump_complete. */
static void
walk_members(DumpRun *run, Tar *tar)
{
	Dump	   *dump = run->dump;
	Blobs		blobs = {0};

	while (tar_next(tar))
		read_member(run, tar, &blobs);
	for (uint32_t i = 0; i < dump->n_entries; i++)
	{
		DumpEntry  *entry = &dump->entries[i];

		if (!entry->has_data || entry->seen)
			continue;
		if (entry->kind != ENTRY_BLOBS || !blobs.listed)
			check_problem(run->present, entry_label(entry), "its data are missing");
	}
	blobs_compare(&blobs, run);
	if (tar->problem != NULL)
		check_set(run->complete, CHECK_FAILED, "The archive cannot be read to its end: %s.", tar->problem);
	else
		check_set(run->complete, CHECK_PASSED, "The archive ends where it should.");
}

/* See DumpFormat. */
static void
verify_tar(DumpRun *run)
{
	Dump	   *dump = run->dump;
	char	   *problem = NULL;
	Stream		in;
	Stream		contents;
	Tar			tar;

	run->contents = report_check(run->report, "toc_readable");
	run->present = report_check(run->report, "data_present");
	run->readable = run->deep ? report_check(run->report, "data_readable") : NULL;
	run->complete = report_check(run->report, "dump_complete");
	stream_open_file(&in, dump->compression, &run->file);
	tar_open(&tar, &in);
	if (!tar_next(&tar))
		check_set(run->contents, CHECK_FAILED, "The archive cannot be read: %s.", tar.problem);
	else
	{
		stream_open(&contents, COMPRESSION_NONE, tar_read, &tar);
		if (!read_dump_header(&contents, &dump->header, &problem))
			conclude_header(run, problem);
		else if (conclude_header(run, NULL), !read_dump_toc(&contents, dump, false, &problem))
			conclude_toc(run, problem);
		else
		{
			conclude_toc(run, NULL);
			walk_members(run, &tar);
		}
		free(problem);
		stream_close(&contents);
	}
	tar_close(&tar);
	stream_close(&in);
}
