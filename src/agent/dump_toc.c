/*
 * src/agent/dump_toc.c
 *		The table of contents of pg_dump's archives.
 *
 * Nothing in it is believed: what a length promises is read piece by piece and
 * mostly thrown away, the array of entries grows with what was really there,
 * and of names only the start is kept.  Of SQL nothing is understood but how
 * many columns a COPY has.
 */
#include "dump.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ENTRIES 20000000	/* more objects than a database can have in
								 * practice */
#define MAX_NAME 256			/* bytes of a name that are kept */

/* What came with which version of the format */
#define VERSION_SECTION 0x010b
#define VERSION_TABLE_AM 0x010e
#define VERSION_RELKIND 0x0110

#define MAX_SECTION 4

/* State of the reading. */
typedef struct TocReader
{
	Stream	   *in;
	const DumpHeader *header;
	bool		with_offsets;	/* custom format; others name files */
	uint32_t	number;			/* of the entry, from 1 */
	char	   *problem;
} TocReader;

static const struct
{
	const char *description;
	EntryKind	kind;
}			kinds[] = {
	{"TABLE", ENTRY_TABLE},
	{"TABLE DATA", ENTRY_DATA},
	{"BLOBS", ENTRY_BLOBS},
	{"TABLE ATTACH", ENTRY_ATTACH},
};

static bool fail(TocReader *r, const char *fmt,...) __attribute__((format(printf, 2, 3)));

/* The first problem counts. */
static bool
fail(TocReader *r, const char *fmt,...)
{
	va_list		args;

	if (r->problem == NULL)
	{
		va_start(args, fmt);
		r->problem = vformat(fmt, args);
		va_end(args);
	}
	return false;
}

static bool
take_int(TocReader *r, int64_t least, int64_t most, int64_t *value)
{
	uint64_t	at = stream_at(r->in);

	if (!take_dump_int(r->in, r->header, value, &r->problem))
		return false;
	if (*value < least || *value > most)
		return fail(r, "at byte %" PRIu64 " there is %" PRId64 " where that has no meaning", at, *value);
	return true;
}

/* Length of the text that follows; -1 if there is none. */
static bool
take_length(TocReader *r, int64_t *len)
{
	return take_int(r, -1, INT32_MAX, len);
}

/* Go over a text. */
static bool
skip_text(TocReader *r)
{
	int64_t		len;

	if (!take_length(r, &len))
		return false;
	return len < 0 || stream_skip(r->in, (uint64_t) len) || fail(r, "%s", stream_why(r->in));
}

/* A text, of which "size" - 1 bytes are kept; an absent one is an empty one. */
static bool
take_text(TocReader *r, char *str, size_t size)
{
	uint64_t	at = stream_at(r->in);
	int64_t		len;
	size_t		kept;

	str[0] = '\0';
	if (!take_length(r, &len))
		return false;
	if (len < 0)
		return true;
	kept = (uint64_t) len < size - 1 ? (size_t) len : size - 1;
	if (!stream_take(r->in, str, kept) || !stream_skip(r->in, (uint64_t) len - kept))
		return fail(r, "%s", stream_why(r->in));
	str[kept] = '\0';
	if (strlen(str) != kept)
		return fail(r, "at byte %" PRIu64 " there is a text with a zero byte", at);
	return true;
}

/* A whole number written as a text; 0 if it is absent. */
static bool
take_number(TocReader *r, bool *absent, uint32_t *number)
{
	uint64_t	at = stream_at(r->in);
	char		str[16];
	size_t		len;

	*number = 0;
	if (!take_text(r, str, sizeof(str)))
		return false;
	len = strlen(str);
	*absent = len == 0;
	if (strspn(str, "0123456789") != len || len > 10)
		return fail(r, "at byte %" PRIu64 " there is no number where one belongs", at);
	*number = (uint32_t) strtoull(str, NULL, 10);
	return true;
}

/*
 * A COPY statement: how many columns its list names, quoted or not.  An empty
 * table has no list, and no column.
 */
static bool
take_copy_statement(TocReader *r, DumpEntry *entry)
{
	static const char with_oids[] = "WITH OIDS";
	char		c;
	int64_t		len;
	bool		quoted = false;
	size_t		oids = 0;
	int			depth = 0;

	if (!take_length(r, &len))
		return false;
	entry->copy = len > 0;
	entry->columns = 0;
	for (; len > 0; len--)
	{
		if (!stream_take(r->in, &c, 1))
			return fail(r, "%s", stream_why(r->in));
		if (c == '"')
			quoted = !quoted;
		if (quoted)
			continue;
		if (c == '(' && depth++ == 0)
			entry->columns++;
		if (c == ')')
			depth--;
		if (c == ',' && depth == 1)
			entry->columns++;
		oids = oids < sizeof(with_oids) - 1 && c == with_oids[oids] ? oids + 1 : oids == sizeof(with_oids) - 1 ? oids : 0;
	}
	if (oids == sizeof(with_oids) - 1)
		entry->columns = UNKNOWN_COLUMNS;
	return true;
}

/* The ids that an entry depends on, up to the absent one that ends them; the first two are kept. */
static bool
take_dependencies(TocReader *r, DumpEntry *entry)
{
	for (int i = 0;; i++)
	{
		bool		absent;
		uint32_t	id;

		if (!take_number(r, &absent, &id))
			return false;
		if (absent)
			return true;
		if (i < 2)
			entry->parents[i] = id;
	}
}

/* Where the data of an entry are, in a custom archive. */
static bool
take_offset(TocReader *r, DumpEntry *entry)
{
	unsigned char state;
	unsigned char bytes[32];

	if (!stream_take(r->in, &state, 1) || !stream_take(r->in, bytes, r->header->offset_size))
		return fail(r, "%s", stream_why(r->in));
	if (state < OFFSET_UNKNOWN || state > OFFSET_NO_DATA)
		return fail(r, "an entry states its place in a way that does not exist");
	entry->offset_state = state;
	for (int i = 0; i < r->header->offset_size; i++)
	{
		if (i < 8)
			entry->offset |= (uint64_t) bytes[i] << (8 * i);
		else if (bytes[i] != 0)
			return fail(r, "an entry states a place that does not exist");
	}
	return true;
}

/* The file of an entry's data.  It lies beside the table of contents, nowhere else. */
static bool
take_file(TocReader *r, DumpEntry *entry)
{
	char		file[MAX_NAME];

	if (!take_text(r, file, sizeof(file)))
		return false;
	if (file[0] == '.' || strchr(file, '/') != NULL)
		return fail(r, "an entry names a file that cannot be its own");
	if (file[0] != '\0')
		entry->file = xstrdup(file);
	return true;
}

/* What kind of entry it is, and its names, of which we keep few. */
static void
classify(DumpEntry *entry, const char *description, const char *tag, const char *schema)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
	{
		if (strcmp(kinds[i].description, description) == 0)
			entry->kind = (uint8_t) kinds[i].kind;
	}
	if (entry->kind == ENTRY_TABLE || entry->kind == ENTRY_DATA)
		entry->schema = xstrdup(schema);
	if (entry->kind != ENTRY_OTHER || entry->has_data)
		entry->name = xstrdup(tag);
}

/* The order in which a table of contents has them. */
static bool
read_entry(TocReader *r, DumpEntry *entry)
{
	uint32_t	version = r->header->version;
	char		tag[MAX_NAME];
	char		description[MAX_NAME];
	char		schema[MAX_NAME];
	int64_t		number = 0;
	bool		absent;
	uint32_t	oid;

	if (!take_int(r, 1, INT32_MAX, &number))
		return false;
	entry->id = (uint32_t) number;
	if (!take_int(r, 0, 1, &number))
		return false;
	entry->has_data = number == 1;
	if (!take_number(r, &absent, &oid) || !take_number(r, &absent, &oid) ||
		!take_text(r, tag, sizeof(tag)) ||
		!take_text(r, description, sizeof(description)) ||
		(version >= VERSION_SECTION && !take_int(r, 0, MAX_SECTION, &number)) ||
		!skip_text(r) ||		/* definition */
		!skip_text(r) ||		/* how to drop it */
		!take_copy_statement(r, entry) ||
		!take_text(r, schema, sizeof(schema)) ||
		!skip_text(r) ||		/* tablespace */
		(version >= VERSION_TABLE_AM && !skip_text(r)) ||
		(version >= VERSION_RELKIND && !take_int(r, 0, UINT8_MAX, &number)) ||
		!skip_text(r) ||		/* owner */
		!skip_text(r) ||		/* with oids or not */
		!take_dependencies(r, entry) ||
		!(r->with_offsets ? take_offset(r, entry) : take_file(r, entry)))
		return false;
	classify(entry, description, tag, schema);
	return true;
}

static int
compare_entries(const void *a, const void *b)
{
	uint32_t	x = ((const DumpEntry *) a)->id;
	uint32_t	y = ((const DumpEntry *) b)->id;

	return x < y ? -1 : x > y;
}

/* Put the entries in the order of their ids, each of which must be there once. */
static bool
order_entries(TocReader *r, Dump *dump)
{
	if (dump->n_entries > 0)
		qsort(dump->entries, dump->n_entries, sizeof(DumpEntry), compare_entries);
	for (uint32_t i = 0; i < dump->n_entries; i++)
	{
		if (i > 0 && dump->entries[i].id == dump->entries[i - 1].id)
			return fail(r, "two entries have the id %" PRIu32, dump->entries[i].id);
		if (dump->entries[i].has_data)
			dump->n_data++;
	}
	return true;
}

/*
 * Read a table of contents, which follows a header; false with "problem" set,
 * to complete "The table of contents is damaged: ...".
 */
bool
read_dump_toc(Stream *in, Dump *dump, bool with_offsets, char **problem)
{
	TocReader	r = {.in = in,.header = &dump->header,.with_offsets = with_offsets};
	int64_t		n = 0;
	uint32_t	room = 0;

	*problem = NULL;
	(void) take_int(&r, 0, MAX_ENTRIES, &n);
	while (r.problem == NULL && dump->n_entries < n)
	{
		if (dump->n_entries == room)
		{
			room = room == 0 ? 64 : 2 * room;
			dump->entries = xrealloc(dump->entries, room * sizeof(DumpEntry));
		}
		memset(&dump->entries[dump->n_entries], 0, sizeof(DumpEntry));
		r.number++;
		if (read_entry(&r, &dump->entries[dump->n_entries]))
			dump->n_entries++;
		else
			*problem = format("entry %" PRIu32 " of %" PRId64 ": %s", r.number, n, r.problem);
	}
	if (r.problem == NULL)
		dump->entries_read = dump->tables_known = order_entries(&r, dump);
	if (*problem == NULL)
		*problem = r.problem;
	else
		free(r.problem);
	return dump->entries_read;
}

/* The entry of that id, or NULL. */
DumpEntry *
find_entry(const Dump *dump, int64_t id)
{
	DumpEntry	key = {.id = (uint32_t) id};

	if (id <= 0 || id > INT32_MAX || dump->n_entries == 0)
		return NULL;
	return bsearch(&key, dump->entries, dump->n_entries, sizeof(DumpEntry), compare_entries);
}

/* What an entry with data is called in messages. */
char *
entry_label(const DumpEntry *entry)
{
	if (entry->kind == ENTRY_BLOBS)
		return format("large objects (entry %" PRIu32 ")", entry->id);
	if (entry->kind != ENTRY_DATA)
		return format("%s (entry %" PRIu32 ")", entry->name == NULL ? "" : entry->name, entry->id);
	return entry->schema[0] == '\0' ? xstrdup(entry->name) : format("%s.%s", entry->schema, entry->name);
}

/* Check toc_readable; "problem" is NULL if it could be read. */
void
conclude_toc(DumpRun *run, const char *problem)
{
	if (problem != NULL)
		check_set(run->contents, CHECK_FAILED, "The table of contents is damaged: %s.", problem);
	else
		check_set(run->contents, CHECK_PASSED, "The table of contents has %s, %" PRIu32 " of them with data.",
				  count_of(run->dump->n_entries, "entry", "entries"), run->dump->n_data);
}
