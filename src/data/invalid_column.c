/*
 * src/data/invalid_column.c
 *		A table's columns as the rules about invalid values see them: names and types.
 *
 * Names are compared in snake_case, and a duration's without its unit, so that
 * one list of names fits most schemas.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/compat.h"
#include "data/invalid.h"
#include "data/invalid_column.h"
#include "lib/stringinfo.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* Names of columns that hold one of a few labels. */
#define LABELS "status *_status stage *_stage role *_role priority outcome"

/* Units that a duration's name may end in, in seconds. */
static const struct
{
	const char *suffix;
	double		seconds;
}			units[] =

{
	{"_milliseconds", 0.001}, {"_millis", 0.001}, {"_ms", 0.001},
	{"_seconds", 1}, {"_secs", 1}, {"_sec", 1}, {"_s", 1},
	{"_minutes", 60}, {"_mins", 60}, {"_min", 60},
	{"_hours", 3600}, {"_hrs", 3600}, {"_days", 86400},
};

static void describe_column(VoxInvalidTable *table, Form_pg_attribute att);
static int	type_class(Oid base);
static char *snake_case(const char *name);
static void split_unit(VoxInvalidColumn *column);

/*
 * Describe the columns of a table, which is locked, but for those dropped.
 */
void
voxanne_invalid_describe(VoxInvalidTable *table, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	memset(table, 0, sizeof(*table));
	table->rel = rel;
	table->columns = palloc0_array(VoxInvalidColumn, desc->natts);
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			describe_column(table, TupleDescAttr(desc, i));
}

static void
describe_column(VoxInvalidTable *table, Form_pg_attribute att)
{
	VoxInvalidColumn *column = &table->columns[table->ncolumns++];
	const char *quoted = quote_identifier(NameStr(att->attname));

	column->attnum = att->attnum;
	column->base = getBaseType(att->atttypid);
	column->type = type_class(column->base);
	column->not_null = voxanne_column_not_null(RelationGetDescr(table->rel), att->attnum);
	column->full_name = snake_case(NameStr(att->attname));
	column->name = column->full_name;
	if (column->type & (TYPE_NUMBER | TYPE_INTERVAL))
		split_unit(column);
	if (column->type == TYPE_TEXT && att->atttypid != TEXTOID)
		column->ref = psprintf("%s::text", quoted);
	else
		column->ref = column->base == att->atttypid ? pstrdup(quoted) :
			psprintf("%s::%s", quoted, format_type_be(column->base));
}

/* An extension's type counts as text if it is text in all but name, as citext is. */
static int
type_class(Oid base)
{
	switch (base)
	{
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return TYPE_TEXT;
		case DATEOID:
			return TYPE_DATE;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return TYPE_MOMENT;
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			return TYPE_NUMBER;
		case INTERVALOID:
			return TYPE_INTERVAL;
		default:
			if (type_is_enum(base))
				return TYPE_ENUM;
			return IsBinaryCoercible(base, TEXTOID) && !IsPolymorphicType(base) ? TYPE_TEXT : 0;
	}
}

/* startedAt and "Started At" as started_at. */
static char *
snake_case(const char *name)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *c = name; *c != '\0'; c++)
	{
		if (*c >= 'A' && *c <= 'Z' && c > name && c[-1] >= 'a' && c[-1] <= 'z')
			appendStringInfoChar(&buf, '_');
		appendStringInfoChar(&buf, *c == ' ' || *c == '-' ? '_' :
							 *c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
	}
	return buf.data;
}

static void
split_unit(VoxInvalidColumn *column)
{
	int			len = strlen(column->full_name);

	for (int i = 0; i < (int) lengthof(units); i++)
	{
		int			tail = strlen(units[i].suffix);

		if (len > tail && strcmp(column->full_name + len - tail, units[i].suffix) == 0)
		{
			column->unit = units[i].seconds;
			column->name = pnstrdup(column->full_name, len - tail);
			return;
		}
	}
}

/*
 * The text columns (an integer list) whose names say that they hold one of a
 * few labels.
 */
List *
voxanne_invalid_label_columns(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *columns = NIL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && type_class(getBaseType(att->atttypid)) == TYPE_TEXT &&
			voxanne_invalid_name_fits(snake_case(NameStr(att->attname)), LABELS))
			columns = lappend_int(columns, att->attnum);
	}
	return columns;
}

/* The first column of these types with one of these names, or NULL. */
const VoxInvalidColumn *
voxanne_invalid_find_named(const VoxInvalidTable *table, const char *names, int types)
{
	for (int i = 0; i < table->ncolumns; i++)
		if ((table->columns[i].type & types) && voxanne_invalid_name_fits(table->columns[i].name, names))
			return &table->columns[i];
	return NULL;
}

/* The column of exactly this name and the same type as another, or NULL. */
const VoxInvalidColumn *
voxanne_invalid_find_one(const VoxInvalidTable *table, const char *name, const VoxInvalidColumn *like)
{
	for (int i = 0; i < table->ncolumns; i++)
		if (table->columns[i].base == like->base && strcmp(table->columns[i].name, name) == 0)
			return &table->columns[i];
	return NULL;
}

/* Is a name one of those in a list, in which a * stands for anything? */
bool
voxanne_invalid_name_fits(const char *name, const char *names)
{
	int			len = strlen(name);

	for (const char *word = names; *word != '\0'; word += strspn(word, " "))
	{
		int			word_len = strcspn(word, " ");
		const char *star = memchr(word, '*', word_len);
		int			head = star == NULL ? word_len : (int) (star - word);
		int			tail = star == NULL ? 0 : word_len - head - 1;

		if ((star == NULL ? len == word_len : len >= head + tail) &&
			strncmp(name, word, head) == 0 &&
			strncmp(name + len - tail, word + word_len - tail, tail) == 0)
			return true;
		word += word_len;
	}
	return false;
}

/* Is the column's default the empty string, so that this is a value like others? */
bool
voxanne_invalid_defaults_to_empty(Relation rel, AttrNumber attnum)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;

	for (int i = 0; constr != NULL && i < constr->num_defval; i++)
	{
		Datum		tree = CStringGetTextDatum(constr->defval[i].adbin);
		const char *shown;

		if (constr->defval[i].adnum != attnum)
			continue;
		shown = TextDatumGetCString(DirectFunctionCall2(pg_get_expr, tree, ObjectIdGetDatum(RelationGetRelid(rel))));
		return strncmp(shown, "''", 2) == 0 && shown[2] != '\'';
	}
	return false;
}

/* A column's own name, quoted. */
const char *
voxanne_invalid_plain_name(const VoxInvalidTable *table, const VoxInvalidColumn *column)
{
	return quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(table->rel), column->attnum - 1)->attname));
}
