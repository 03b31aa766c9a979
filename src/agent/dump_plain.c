/*
 * src/agent/dump_plain.c
 *		Dumps as SQL: pg_dump --format=plain, and pg_dumpall.
 *
 * They have no table of contents and no checksum, but a last comment, which is
 * only written when all went well.  A dump of a cluster holds complete dumps of
 * its databases, so that comment must be the cluster's own.  Which tables have
 * data is told by the comments before them; the SQL itself is hardly understood.
 */
#include "dump.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAIL_SIZE 1024
#define MAX_LINE 1024			/* of a line that may mean something */

static bool plain_begins(const unsigned char *start, size_t len);
static void verify_plain(DumpRun *run);

const DumpFormat plain_format = {
	.name = "plain",
	.begins = plain_begins,
	.verify = verify_plain,
};

/* Both kinds, with how they begin and end */
static const struct
{
	const char *what;
	const char *start;
	const char *end;
}			kinds[] = {
	{"database", "--\n-- PostgreSQL database dump\n--\n", "--\n-- PostgreSQL database dump complete\n--"},
	{"cluster", "--\n-- PostgreSQL database cluster dump\n--\n", "--\n-- PostgreSQL database cluster dump complete\n--"},
};

#define N_KINDS ((int) (sizeof(kinds) / sizeof(kinds[0])))

/* State of a reading. */
typedef struct Script
{
	DumpRun    *run;
	int			kind;			/* index, -1: none of them */
	char		line[MAX_LINE];
	size_t		length;			/* of the line, of which there may be less */
	char		tail[TAIL_SIZE];	/* the last bytes */
	size_t		tail_length;

	uint32_t	room;			/* for entries */
	EntryKind	announced;		/* what the last comment said that follows, or
								 * ENTRY_OTHER */
	char	   *schema;			/* of whom it said that */
	char	   *name;
	DumpEntry  *in_copy;		/* the table between whose COPY and end mark
								 * we are, or NULL */
	RowScan		scan;
} Script;

/* Comments that announce what follows, before and behind the name */
static const struct
{
	const char *start;
	const char *type;
	EntryKind	kind;
}			announcements[] = {
	{"-- Name: ", "; Type: TABLE; Schema: ", ENTRY_TABLE},
	{"-- Name: ", "; Type: TABLE ATTACH; Schema: ", ENTRY_ATTACH},
	{"-- Data for Name: ", "; Type: TABLE DATA; Schema: ", ENTRY_DATA},
};

/* Which of the kinds begins like this; -1: none. */
static int
kind_of(const unsigned char *start, size_t len)
{
	for (int i = 0; i < N_KINDS; i++)
	{
		size_t		wanted = strlen(kinds[i].start);

		if (len >= wanted && memcmp(start, kinds[i].start, wanted) == 0)
			return i;
	}
	return -1;
}

static bool
plain_begins(const unsigned char *start, size_t len)
{
	return kind_of(start, len) >= 0;
}

/* "-- Name: <name>; Type: <type>; Schema: <schema>; Owner: ..." */
static void
read_announcement(Script *script, const char *line)
{
	for (size_t i = 0; i < sizeof(announcements) / sizeof(announcements[0]); i++)
	{
		size_t		start = strlen(announcements[i].start);
		const char *type;
		const char *schema;
		const char *owner;

		if (strncmp(line, announcements[i].start, start) != 0 ||
			(type = strstr(line + start, announcements[i].type)) == NULL)
			continue;
		schema = type + strlen(announcements[i].type);
		if ((owner = strstr(schema, "; Owner: ")) == NULL)
			continue;
		free(script->name);
		free(script->schema);
		script->name = format("%.*s", (int) (type - line - (ptrdiff_t) start), line + start);
		script->schema = format("%.*s", (int) (owner - schema), schema);
		script->announced = announcements[i].kind;
		return;
	}
}

/* "COPY ... FROM stdin;" */
static bool
is_copy(const char *line)
{
	static const char end[] = " FROM stdin;";
	size_t		len = strlen(line);

	return strncmp(line, "COPY ", 5) == 0 && len > sizeof(end) && strcmp(line + len - (sizeof(end) - 1), end) == 0;
}

/*
 * What was announced is there: an entry like those of a table of contents, so
 * that the same questions can be asked.
 */
static DumpEntry *
add_entry(Script *script)
{
	Dump	   *dump = script->run->dump;
	DumpEntry  *entry;

	if (dump->n_entries == script->room)
	{
		script->room = script->room == 0 ? 64 : 2 * script->room;
		dump->entries = xrealloc(dump->entries, script->room * sizeof(DumpEntry));
	}
	entry = &dump->entries[dump->n_entries++];
	*entry = (DumpEntry)
	{
		.id = dump->n_entries,.kind = (uint8_t) script->announced,.schema = script->schema,.name = script->name,
			.columns = UNKNOWN_COLUMNS
	};
	script->schema = script->name = NULL;
	script->announced = ENTRY_OTHER;
	return entry;
}

/* "ALTER TABLE ONLY <parent> ATTACH PARTITION <partition> ..." */
static void
add_partition(Script *script, const char *line)
{
	static const char start[] = "ALTER TABLE ONLY ";
	static const char middle[] = " ATTACH PARTITION ";
	Dump	   *dump = script->run->dump;
	WantedTable parent = {0};
	WantedTable child = {0};
	DumpEntry  *entries[2];

	if (strncmp(line, start, sizeof(start) - 1) != 0)
		return;
	line += sizeof(start) - 1;
	if (take_table_name(&line, &parent) && strncmp(line, middle, sizeof(middle) - 1) == 0 &&
		(line += sizeof(middle) - 1, take_table_name(&line, &child)) &&
		(entries[0] = find_table(dump, ENTRY_TABLE, parent.schema, parent.name)) != NULL &&
		(entries[1] = find_table(dump, ENTRY_TABLE, child.schema, child.name)) != NULL)
	{
		uint32_t	ids[2] = {entries[0]->id, entries[1]->id};

		memcpy(add_entry(script)->parents, ids, sizeof(ids));
	}
	free(parent.schema);
	free(parent.name);
	free(child.schema);
	free(child.name);
}

/* The data that were announced begin, if this is such a line. */
static void
begin_data(Script *script, const char *line)
{
	DumpEntry  *entry;

	if (is_copy(line))
	{
		entry = add_entry(script);
		entry->copy = true;
		script->in_copy = entry;
		scan_rows_begin(&script->scan, entry);
	}
	else if (strncmp(line, "INSERT INTO ", 12) == 0)
	{
		/* how many more there are cannot be told without understanding them */
		add_entry(script)->rows = 1;
		script->run->dump->uncounted = true;
	}
}

/* A whole line of SQL, or the start of one. */
static void
take_line(Script *script)
{
	const char *line = script->line;

	if (line[0] == '-')
		read_announcement(script, line);
	else if (script->announced == ENTRY_TABLE && (strncmp(line, "CREATE TABLE ", 13) == 0 ||
												  strncmp(line, "CREATE UNLOGGED TABLE ", 22) == 0))
		(void) add_entry(script);
	else if (script->announced == ENTRY_ATTACH)
		add_partition(script, line);
	else if (script->announced == ENTRY_DATA)
		begin_data(script, line);
}

/* Bytes of SQL up to the end of their line, or of COPY up to its end mark; how many were used. */
static size_t
take_bytes(Script *script, const unsigned char *data, size_t len)
{
	const unsigned char *end = memchr(data, '\n', len);
	size_t		part = end == NULL ? len : (size_t) (end - data);
	size_t		kept = script->length < MAX_LINE - 1 ? MAX_LINE - 1 - script->length : 0;

	if (kept > part)
		kept = part;
	memcpy(script->line + script->length, data, kept);
	script->length += kept;
	if (end == NULL)
		return len;
	script->line[script->length] = '\0';
	script->length = 0;
	take_line(script);
	return part + 1;
}

/* The rows of a COPY. */
static size_t
take_rows(Script *script, const unsigned char *data, size_t len)
{
	const unsigned char *end = memchr(data, '\n', len);
	size_t		part = end == NULL ? len : (size_t) (end - data) + 1;

	scan_rows(&script->scan, data, part);
	if (script->scan.over)
	{
		script->in_copy->rows = script->scan.rows;
		script->run->dump->n_rows += script->scan.rows;
		script->in_copy = NULL;
	}
	return part;
}

/* Keep the last bytes of the script. */
static void
keep_tail(Script *script, const unsigned char *data, size_t len)
{
	size_t		keep;

	if (len >= TAIL_SIZE)
	{
		memcpy(script->tail, data + len - TAIL_SIZE, TAIL_SIZE);
		script->tail_length = TAIL_SIZE;
		return;
	}
	keep = script->tail_length + len > TAIL_SIZE ? TAIL_SIZE - len : script->tail_length;
	memmove(script->tail, script->tail + script->tail_length - keep, keep);
	memcpy(script->tail + keep, data, len);
	script->tail_length = keep + len;
}

/* Level "verify": read everything. */
static void
read_script(Script *script, Stream *in)
{
	const unsigned char *data;
	size_t		len;

	while ((len = stream_look(in, &data)) > 0)
	{
		keep_tail(script, data, len);
		for (size_t used = 0; used < len;)
			used += script->in_copy != NULL ? take_rows(script, data + used, len - used) : take_bytes(script, data + used, len - used);
		stream_pass(in, len);
	}
}

/* Do the last bytes have the comment that ends a whole dump?  Of what follows it, only \unrestrict is allowed. */
static bool
ends_well(const Script *script)
{
	const char *wanted = kinds[script->kind].end;
	size_t		wanted_length = strlen(wanted);
	size_t		len = script->tail_length;

	while (len > 0)
	{
		size_t		line;

		while (len > 0 && (script->tail[len - 1] == '\n' || script->tail[len - 1] == '\r'))
			len--;
		for (line = len; line > 0 && script->tail[line - 1] != '\n'; line--)
			;
		if (len - line < 12 || memcmp(script->tail + line, "\\unrestrict ", 12) != 0)
			break;
		len = line;
	}
	return len >= wanted_length && memcmp(script->tail + len - wanted_length, wanted, wanted_length) == 0;
}

/* Level "status": the last bytes of the file, without what is before them. */
static bool
read_tail(Script *script)
{
	Dump	   *dump = script->run->dump;
	off_t		start = dump->size > TAIL_SIZE ? (off_t) (dump->size - TAIL_SIZE) : 0;
	ssize_t		got = dump->compression == COMPRESSION_NONE ? pread(dump->fd, script->tail, TAIL_SIZE, start) : -1;

	script->tail_length = got > 0 ? (size_t) got : 0;
	return got >= 0;
}

/* Check dump_complete. */
static void
conclude_end(const Script *script, const char *problem)
{
	Check	   *check = script->run->complete;

	if (problem != NULL)
		check_set(check, CHECK_FAILED, "The script cannot be read to its end: %s.", problem);
	else if (!ends_well(script))
		check_set(check, CHECK_FAILED, "The script does not end with \"PostgreSQL %sdump complete\": it is cut off, or the dump failed.",
				  script->kind == 0 ? "database " : "database cluster ");
	else if (script->in_copy != NULL)
		check_set(check, CHECK_FAILED, "The rows of %s have no end.", entry_label(script->in_copy));
	else
		check_set(check, CHECK_PASSED, "The script ends with \"PostgreSQL %sdump complete\".",
				  script->kind == 0 ? "database " : "database cluster ");
}

/* See DumpFormat. */
static void
verify_plain(DumpRun *run)
{
	Dump	   *dump = run->dump;
	Script		script = {.run = run};
	const unsigned char *data;
	size_t		len;
	Stream		in;

	run->complete = report_check(run->report, "dump_complete");
	stream_open_file(&in, dump->compression, &run->file);
	len = stream_look_far(&in, strlen(kinds[1].start), &data);
	script.kind = kind_of(data, len);
	if (script.kind < 0)
		check_set(run->header, CHECK_FAILED, "The script does not begin like one of pg_dump or pg_dumpall%s%s.",
				  in.problem == NULL ? "" : ": ", in.problem == NULL ? "" : in.problem);
	else
	{
		check_set(run->header, CHECK_PASSED, "A dump of a %s in plain format.", kinds[script.kind].what);
		dump->tables_known = run->deep;
		if (run->deep)
			read_script(&script, &in);
		if (run->deep || read_tail(&script))
			conclude_end(&script, in.problem);
		else
			check_set(run->complete, CHECK_SKIPPED, "The script is compressed: only level verify reads it.");
	}
	free(script.name);
	free(script.schema);
	stream_close(&in);
}
