/*
 * src/agent/dump_blobs.c
 *		Large objects of a dump that keeps each in a file.
 *
 * One list, or since PostgreSQL 17 several, has a line for each: its oid and
 * its file, whose name follows from the oid.
 */
#include "dump_blobs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE 64				/* of a list; real ones have less than 40 */

/* Is this "blob_<oid>.dat"? */
bool
is_blob_file(const char *name, uint32_t *oid)
{
	char		expected[MAX_LINE];
	uint64_t	value;

	if (strncmp(name, "blob_", 5) != 0)
		return false;
	value = strtoull(name + 5, NULL, 10);
	if (value == 0 || value > UINT32_MAX)
		return false;
	*oid = (uint32_t) value;
	snprintf(expected, sizeof(expected), "blob_%" PRIu32 ".dat", *oid);
	return strcmp(name, expected) == 0;
}

/* Is this "blobs.toc" or "blobs_<id>.toc"? */
bool
is_blobs_toc(const char *name)
{
	size_t		digits;

	if (strncmp(name, "blobs", 5) != 0)
		return false;
	name += 5;
	if (name[0] == '_')
	{
		digits = strspn(name + 1, "0123456789");
		name += digits > 0 ? digits + 1 : 0;
	}
	return strcmp(name, ".toc") == 0;
}

static void
add_oid(OidList *list, uint32_t oid)
{
	if (list->n == list->room)
	{
		list->room = list->room == 0 ? 64 : 2 * list->room;
		list->oids = xrealloc(list->oids, list->room * sizeof(uint32_t));
	}
	list->oids[list->n++] = oid;
}

/* The file of this large object is there. */
void
blobs_met(Blobs *blobs, uint32_t oid)
{
	add_oid(&blobs->met, oid);
}

/* A line of a list, without its newline. */
static bool
take_line(Blobs *blobs, const char *line)
{
	char	   *end;
	uint64_t	oid = strtoull(line, &end, 10);
	uint32_t	of_file;

	if (end == line || *end != ' ' || !is_blob_file(end + 1, &of_file) || of_file != oid)
		return false;
	add_oid(&blobs->wanted, of_file);
	return true;
}

/* Read a list; what is wrong with it, or NULL. */
char *
blobs_read_toc(Blobs *blobs, Stream *in)
{
	char		line[MAX_LINE];
	size_t		len = 0;
	uint64_t	number = 1;
	const unsigned char *data;
	size_t		got;

	blobs->listed = true;
	while ((got = stream_look(in, &data)) > 0)
	{
		for (size_t i = 0; i < got; i++)
		{
			if (data[i] != '\n' && len < sizeof(line) - 1)
			{
				line[len++] = (char) data[i];
				continue;
			}
			line[len] = '\0';
			if (data[i] != '\n' || !take_line(blobs, line))
				return format("line %" PRIu64 " of the list of large objects makes no sense", number);
			number++;
			len = 0;
		}
		stream_pass(in, got);
	}
	if (in->problem != NULL)
		return xstrdup(in->problem);
	return len == 0 ? NULL : xstrdup("the list of large objects is cut off");
}

static int
compare_oids(const void *a, const void *b)
{
	uint32_t	x = *(const uint32_t *) a;
	uint32_t	y = *(const uint32_t *) b;

	return x < y ? -1 : x > y;
}

static void
sort_oids(OidList *list)
{
	if (list->n > 0)
		qsort(list->oids, list->n, sizeof(uint32_t), compare_oids);
}

static void
blob_problem(DumpRun *run, uint32_t oid, const char *problem)
{
	check_problem(run->present, format("large object %" PRIu32, oid), "%s", problem);
}

/* Is every large object of the lists there once, and no other?  Counts them, and forgets them. */
void
blobs_compare(Blobs *blobs, DumpRun *run)
{
	OidList    *wanted = &blobs->wanted;
	OidList    *met = &blobs->met;
	uint32_t	j = 0;

	run->dump->n_blobs = met->n;
	sort_oids(wanted);
	sort_oids(met);
	for (uint32_t i = 0; i < wanted->n; i++)
	{
		if (i > 0 && wanted->oids[i] == wanted->oids[i - 1])
		{
			blob_problem(run, wanted->oids[i], "it is listed twice");
			continue;
		}
		for (; j < met->n && met->oids[j] < wanted->oids[i]; j++)
			blob_problem(run, met->oids[j], "no list has it, or its file is there twice");
		if (j < met->n && met->oids[j] == wanted->oids[i])
			j++;
		else
			blob_problem(run, wanted->oids[i], "its file is missing");
	}
	for (; j < met->n; j++)
		blob_problem(run, met->oids[j], "no list has it, or its file is there twice");
	free(wanted->oids);
	free(met->oids);
	memset(blobs, 0, sizeof(*blobs));
}
