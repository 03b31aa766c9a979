/*
 * src/agent/dump_tables.c
 *		Which tables a dump has, and whether with data.
 *
 * A dump can be intact and yet useless, because an option left out the data or
 * the definitions, or a table that matters.
 */
#include "dump.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* More levels of partitions than anybody has */
#define MAX_LEVELS 32

/*
 * Take one name from *str, as SQL writes it: quoted, or folded to lower case;
 * NULL if there is none.
 */
static char *
take_name(const char **str)
{
	const char *from = *str;
	char	   *name = xmalloc(strlen(from) + 1);
	size_t		len = 0;
	bool		quoted = *from == '"';

	if (quoted)
		from++;
	for (; *from != '\0'; from++)
	{
		if (quoted && *from == '"' && *++from != '"')
		{
			quoted = false;
			break;
		}
		if (!quoted && (*from == '.' || *from == '"' || *from == ' '))
			break;
		name[len++] = !quoted && *from >= 'A' && *from <= 'Z' ? (char) (*from - 'A' + 'a') : *from;
	}
	name[len] = '\0';
	*str = from;
	if (len > 0 && !quoted)
		return name;
	free(name);
	return NULL;
}

/* Take "schema.table" from *str, as SQL writes it; false if there is something else. */
bool
take_table_name(const char **str, WantedTable *wanted)
{
	wanted->schema = take_name(str);
	if (wanted->schema == NULL || **str != '.')
		return false;
	++*str;
	wanted->name = take_name(str);
	return wanted->name != NULL;
}

/* "schema.table" or, in any schema, "table", and nothing else; false if it is something else. */
bool
parse_table_name(const char *str, WantedTable *wanted)
{
	memset(wanted, 0, sizeof(*wanted));
	wanted->label = xstrdup(str);
	wanted->name = take_name(&str);
	if (wanted->name != NULL && *str == '.')
	{
		str++;
		wanted->schema = wanted->name;
		wanted->name = take_name(&str);
	}
	return wanted->name != NULL && *str == '\0';
}

/* The entry of a kind for a table, or NULL. */
DumpEntry *
find_table(Dump *dump, EntryKind kind, const char *schema, const char *name)
{
	for (uint32_t i = 0; i < dump->n_entries; i++)
	{
		DumpEntry  *entry = &dump->entries[i];

		if (entry->kind == kind && strcmp(entry->name, name) == 0 && strcmp(entry->schema, schema) == 0)
			return entry;
	}
	return NULL;
}

static void count_table(Dump *dump, WantedTable *wanted, const char *schema, const char *name, int level);

/* The tables that an entry makes partitions of this one. */
static void
count_partitions(Dump *dump, WantedTable *wanted, const DumpEntry *parent, int level)
{
	for (uint32_t i = 0; i < dump->n_entries; i++)
	{
		DumpEntry  *attach = &dump->entries[i];

		if (attach->kind != ENTRY_ATTACH || attach->counted)
			continue;
		for (int j = 0; j < 2; j++)
		{
			DumpEntry  *child = find_entry(dump, attach->parents[1 - j]);

			/* it depends on both, and is named like the partition */
			if (attach->parents[j] != parent->id || child == NULL || child->kind != ENTRY_TABLE ||
				strcmp(child->name, attach->name) != 0)
				continue;
			attach->counted = true;
			count_table(dump, wanted, child->schema, child->name, level + 1);
			break;
		}
	}
}

/* Count a table's rows, with those of its partitions; without a schema those of all tables of that name. */
static void
count_table(Dump *dump, WantedTable *wanted, const char *schema, const char *name, int level)
{
	for (uint32_t i = 0; i < dump->n_entries; i++)
	{
		DumpEntry  *entry = &dump->entries[i];

		if ((entry->kind != ENTRY_TABLE && entry->kind != ENTRY_DATA) || strcmp(entry->name, name) != 0 ||
			(schema != NULL && strcmp(entry->schema, schema) != 0))
			continue;
		wanted->present = true;
		if (entry->kind == ENTRY_DATA)
		{
			wanted->data = true;
			wanted->rows += entry->rows;
		}
		else if (level < MAX_LEVELS)
			count_partitions(dump, wanted, entry, level);
	}
}

/* Check tables_present, if any are wanted. */
void
conclude_tables(DumpRun *run)
{
	Dump	   *dump = run->dump;
	Check	   *check;

	if (dump->n_wanted == 0)
		return;
	check = report_check(run->report, "tables_present");
	if (!dump->tables_known)
	{
		check_set(check, CHECK_SKIPPED, dump->format == &plain_format ?
				  "Which tables a script has, only level verify finds out." :
				  "Without a table of contents nothing is known about tables.");
		return;
	}
	for (int i = 0; i < dump->n_wanted; i++)
	{
		WantedTable *wanted = &dump->wanted[i];

		for (uint32_t j = 0; j < dump->n_entries; j++)
			dump->entries[j].counted = false;
		count_table(dump, wanted, wanted->schema, wanted->name, 0);
		if (!wanted->present)
			check_problem(check, wanted->label, "it is not in the dump");
		else if (!wanted->data)
			check_problem(check, wanted->label, "the dump has its definition, but no data of it");
		else if (run->deep && wanted->rows == 0)
			check_problem(check, wanted->label, "it has no row");
	}
	if (check->n_problems > 0)
		check_set(check, CHECK_FAILED, "Of %s that must be there, %" PRIu64 " %s missing or without rows.",
				  count_of((uint64_t) dump->n_wanted, "table", "tables"), check->n_problems, check->n_problems == 1 ? "is" : "are");
	else
		check_set(check, CHECK_PASSED, "%s there as required, with %s.",
				  count_of((uint64_t) dump->n_wanted, "table is", "tables are"), run->deep ? "rows" : "data");
}

static uint64_t
count_entries(const Dump *dump, EntryKind kind)
{
	uint64_t	n = 0;

	for (uint32_t i = 0; i < dump->n_entries; i++)
		n += dump->entries[i].kind == kind;
	return n;
}

/* How much there is, to end a sentence with. */
static char *
amount(const Dump *dump)
{
	return format("%s%s%s", dump->n_rows == 0 && dump->uncounted ? ", as INSERTs" :
				  format(", in all %s", count_of(dump->n_rows, "row", "rows")),
				  dump->n_blobs == 0 ? "" : " and ",
				  dump->n_blobs == 0 ? "" : count_of(dump->n_blobs, "large object", "large objects"));
}

/* Check dump_contents: are there definitions and data? */
void
conclude_kinds_of_data(DumpRun *run)
{
	const Dump *dump = run->dump;
	Check	   *check;
	uint64_t	definitions = count_entries(dump, ENTRY_TABLE);
	uint64_t	data = count_entries(dump, ENTRY_DATA);

	if (!dump->tables_known)
		return;
	check = report_check(run->report, "dump_contents");
	if (definitions > 0 && data == 0)
		check_set(check, CHECK_WARNING, "The dump has the definitions of %s, but no data: it was made with --schema-only or the like.",
				  count_of(definitions, "table", "tables"));
	else if (definitions == 0 && data > 0)
		check_set(check, CHECK_WARNING, "The dump has the data of %s, but no definitions: it was made with --data-only or the like.",
				  count_of(data, "table", "tables"));
	else
		check_set(check, CHECK_PASSED, "The dump defines %s and has data of %" PRIu64 "%s.",
				  count_of(definitions, "table", "tables"), data, run->deep ? amount(dump) : "");
}
