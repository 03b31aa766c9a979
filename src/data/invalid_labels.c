/*
 * src/data/invalid_labels.c
 *		Text columns that hold one of a few labels, and labels that are not of them.
 *
 * Nothing but the rows says what the labels are, so these rules are made from
 * them: a spelling that differs from a more frequent one in case, blanks or
 * hyphens only is the same label written otherwise; and where the schema has
 * an enum for the column, of the same name but not used, a label that it has
 * not.  Letters wrong are not looked for: "inactive" is no mistake.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/query.h"
#include "data/invalid.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* How many a detail lists. */
#define LISTED_LABELS 5

typedef struct Label
{
	char	   *text;
	int64		rows;
	const char *proper;			/* the more frequent spelling of the same; or
								 * NULL */
	bool		known;			/* by the enum */
} Label;

static Label *found_labels(const VoxScanQuestion *found, int *count);
static int	by_frequency(const void *a, const void *b);
static Label *read_labels(const VoxTable *table, AttrNumber attnum, bool live_only, int *count);
static char *fold(const char *label);
static void find_variants(Label *labels, int count);
static const char *look_up(const VoxTable *table, AttrNumber attnum, Label *labels, int count);
static VoxInvalidRule *make_rule(const VoxTable *table, AttrNumber attnum, const Label *labels, int count,
								 bool variants);

/*
 * The rules (VoxInvalidRule *) that a column's labels suggest and that rows
 * break.  "found" is what the scan engine was asked about the column; where it
 * has not answered, the table is read once.  It is locked, settings pinned.
 */
List *
voxanne_invalid_label_rules(const VoxTable *table, AttrNumber attnum, bool live_only,
							const VoxScanQuestion *found)
{
	const char *column = quote_identifier(get_attname(table->relid, attnum, false));
	int			count;
	Label	   *labels = found != NULL && found->answered ? found_labels(found, &count) :
		read_labels(table, attnum, live_only, &count);
	List	   *rules = NIL;
	const char *enum_name;
	VoxInvalidRule *rule;

	find_variants(labels, count);
	rule = make_rule(table, attnum, labels, count, true);
	if (rule != NULL)
	{
		rule->kind = "label_variant";
		rule->severity = VOX_WARNING;
		rule->fault = psprintf("%s %s spelled unlike the rest: %s",
							   strchr("aeio", *column) ? "an" : "a", column, rule->fault);
		rule->advice = "Write these as the rest: whoever asks for the label by name misses them.";
		rules = lappend(rules, rule);
	}
	enum_name = look_up(table, attnum, labels, count);
	rule = enum_name == NULL ? NULL : make_rule(table, attnum, labels, count, false);
	if (rule != NULL)
	{
		rule->kind = "label_unknown";
		rule->severity = VOX_INFO;
		rule->fault = psprintf("a %s that type %s does not have: %s", column, enum_name, rule->fault);
		rule->advice = "See whether these are mistakes; if not, the type is behind, if so, give the column that type.";
		rules = lappend(rules, rule);
	}
	return rules;
}

/* What the scan engine has counted, as read_labels() returns it. */
static Label *
found_labels(const VoxScanQuestion *found, int *count)
{
	Label	   *labels;

	*count = Max(found->nlabels, 0);
	labels = palloc0_array(Label, *count + 1);
	for (int i = 0; i < *count; i++)
	{
		labels[i].text = found->labels[i].text;
		labels[i].rows = (int64) found->labels[i].rows;
	}
	qsort(labels, *count, sizeof(Label), by_frequency);
	return labels;
}

static int
by_frequency(const void *a, const void *b)
{
	const Label *left = a;
	const Label *right = b;

	if (left->rows != right->rows)
		return left->rows > right->rows ? -1 : 1;
	return strcmp(left->text, right->text);
}

/* The labels of a column, most frequent first; none if there are too many. */
static Label *
read_labels(const VoxTable *table, AttrNumber attnum, bool live_only, int *count)
{
	MemoryContext context = CurrentMemoryContext;
	const char *alias = quote_identifier(get_rel_name(table->relid));
	char	   *column = voxanne_column_ref(table->relid, alias, attnum);
	VoxQuery	query = {0};
	uint64		found;
	Label	   *labels;
	bool		isnull;

	query.sql = psprintf("SELECT label, rows FROM (SELECT (%s)::text COLLATE \"C\" AS label, count(*) AS rows"
						 " FROM %s AS %s WHERE %s AND %s IS NOT NULL GROUP BY 1 LIMIT %d) AS found ORDER BY 2 DESC, 1",
						 column, table->from, alias,
						 live_only ? voxanne_table_live(table, alias) : "true", column, VOX_MAX_LABELS + 1);
	SPI_connect();
	found = voxanne_query_run(&query);
	MemoryContextSwitchTo(context);
	*count = found > VOX_MAX_LABELS ? 0 : (int) found;
	labels = palloc0_array(Label, *count + 1);
	for (int i = 0; i < *count; i++)
	{
		labels[i].text = TextDatumGetCString(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		labels[i].rows = voxanne_value_int64(i, 2, &isnull);
	}
	SPI_finish();
	return labels;
}

/* What is left of a label without case, blanks around it and the kind of separator. */
static char *
fold(const char *label)
{
	char	   *folded = pstrdup(label + strspn(label, " \t\r\n"));
	int			len = strlen(folded);

	while (len > 0 && strchr(" \t\r\n", folded[len - 1]) != NULL)
		folded[--len] = '\0';
	for (char *c = folded; *c != '\0'; c++)
		*c = *c == ' ' || *c == '-' ? '_' : *c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c;
	return folded;
}

static void
find_variants(Label *labels, int count)
{
	for (int i = 0; i < count; i++)
	{
		char	   *folded = fold(labels[i].text);

		for (int j = 0; j < i && *folded != '\0' && labels[i].proper == NULL; j++)
			if (strcmp(folded, fold(labels[j].text)) == 0)
				labels[i].proper = labels[j].text;
	}
}

/*
 * Mark the labels that an enum has whose name is the column's, alone or after
 * the beginning of the table's (webhook_status for webhook_log.status), and
 * return its name; NULL if there is none or most labels are not of it.
 */
static const char *
look_up(const VoxTable *table, AttrNumber attnum, Label *labels, int count)
{
	MemoryContext context = CurrentMemoryContext;
	VoxQuery	query = {0};
	const char *name = NULL;
	int			known = 0;
	int			distinct = 0;
	uint64		found;

	query.sql = psprintf("SELECT fit.oid::regtype::text, e.enumlabel::text"
						 " FROM (SELECT t.oid FROM pg_type t, (SELECT %s AS col, %s AS rel) AS named"
						 " WHERE t.typnamespace = %u AND t.typtype = 'e'"
						 " AND (t.typname = col OR right(t.typname, length(col) + 1) = '_' || col"
						 " AND starts_with(rel, left(t.typname, - length(col) - 1)))"
						 " ORDER BY t.typname::text COLLATE \"C\" LIMIT 1) AS fit"
						 " JOIN pg_enum e ON e.enumtypid = fit.oid",
						 quote_literal_cstr(get_attname(table->relid, attnum, false)),
						 quote_literal_cstr(get_rel_name(table->relid)), get_rel_namespace(table->relid));
	SPI_connect();
	found = voxanne_query_run(&query);
	MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < found; row++)
	{
		char	   *label = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 2);

		name = pstrdup(SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1));
		for (int i = 0; i < count; i++)
			if (strcmp(labels[i].text, label) == 0)
			{
				labels[i].known = true;
				known++;
			}
	}
	SPI_finish();
	for (int i = 0; i < count; i++)
		distinct += labels[i].proper == NULL && labels[i].text[0] != '\0';
	return known * 2 > distinct ? name : NULL;
}

/* The rule that a column has none of the variants, or none of the unknown labels; NULL if it has none. */
static VoxInvalidRule *
make_rule(const VoxTable *table, AttrNumber attnum, const Label *labels, int count, bool variants)
{
	StringInfoData all;
	StringInfoData listed;
	VoxInvalidRule *rule;
	int			found = 0;

	initStringInfo(&all);
	initStringInfo(&listed);
	for (int i = 0; i < count; i++)
	{
		const Label *label = &labels[i];

		if (variants ? label->proper == NULL : label->known || label->proper != NULL || *label->text == '\0')
			continue;
		appendStringInfo(&all, "%s%s", found > 0 ? ", " : "", quote_literal_cstr(label->text));
		if (found++ < LISTED_LABELS)
			appendStringInfo(&listed, "%s%s (%lld)%s", listed.len > 0 ? ", " : "",
							 quote_literal_cstr(label->text), (long long) label->rows,
							 variants ? psprintf(" for %s", quote_literal_cstr(label->proper)) : "");
	}
	if (found == 0)
		return NULL;
	if (found > LISTED_LABELS)
		appendStringInfoString(&listed, " ...");

	rule = palloc0_object(VoxInvalidRule);
	rule->columns = list_make1_int(attnum);
	rule->valid = psprintf("%s::text COLLATE \"C\" NOT IN (%s)", voxanne_column_ref(table->relid, "", attnum), all.data);
	rule->fault = listed.data;
	return rule;
}
