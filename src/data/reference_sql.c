/*
 * src/data/reference_sql.c
 *		Questions about references, answered by SQL: over all rows, or those that the scan found.
 *
 * The anti join is always NOT EXISTS: NOT IN finds nothing as soon as a parent
 * is null, and reads the parents once for every child.  A declared key's own
 * operators, collations and ONLY rules are used, as its triggers would.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/query.h"
#include "data/executor.h"
#include "data/reference.h"
#include "data/table.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

/*
 * What uuid_in() takes: hyphens after any group of four digits, braces around
 * the whole.  A value that does not match would abort the scan if it were cast.
 * No backslash: what '\' means in a remedy is up to the session that runs it.
 */
#define UUID_GROUPS "([0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4}"
#define UUID_PATTERN "^(" UUID_GROUPS "|[{]" UUID_GROUPS "[}])$"

static char *child_rows(VoxQuery *query, const VoxReference *reference, const VoxTable *child,
						const VoxScanQuestion *found);
static char *and_live(const VoxReference *reference, bool live_only, char *condition);
static char *is_uuid(const char *column);
static char *as_uuid(const char *column);
static char *all_null(const VoxReference *reference, const char *alias, bool null, const char *connective);
static char *collate_clause(const VoxReference *reference, int i);

/* The condition that parent row and child row belong together. */
char *
voxanne_reference_join(const VoxReference *reference, const char *parent, const char *child)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < reference->natts; i++)
	{
		char	   *left = voxanne_column_ref(reference->parent, parent, reference->parent_atts[i]);
		char	   *right = voxanne_column_ref(reference->child, child, reference->child_atts[i]);

		if (i > 0)
			appendStringInfoString(&buf, " AND ");
		switch (reference->comparison)
		{
			case VOX_COMPARE_OPERATOR:
				voxanne_operator_clause(&buf, left, voxanne_column_type(reference->parent, reference->parent_atts[i]),
										reference->operators[i],
										right, voxanne_column_type(reference->child, reference->child_atts[i]));
				appendStringInfoString(&buf, collate_clause(reference, i));
				break;
			case VOX_COMPARE_CHILD_TEXT:
				appendStringInfo(&buf, "%s OPERATOR(pg_catalog.=) %s", left, as_uuid(right));
				break;
			case VOX_COMPARE_PARENT_TEXT:
				appendStringInfo(&buf, "%s OPERATOR(pg_catalog.=) %s", as_uuid(left), right);
				break;
		}
	}
	return buf.data;
}

/* The condition that a child row, not counting soft deletion, has a fault. */
char *
voxanne_reference_condition(const VoxReference *reference, VoxReferenceFault fault, const char *alias)
{
	VoxTable	parent;
	char	   *key = voxanne_column_ref(reference->child, alias, reference->child_atts[0]);

	switch (fault)
	{
		case VOX_FAULT_MALFORMED:
			return reference->comparison == VOX_COMPARE_CHILD_TEXT ?
				psprintf("NOT %s", is_uuid(key)) : pstrdup("false");
		case VOX_FAULT_PARTIAL:
			return reference->match_full && reference->natts > 1 ?
				psprintf("(%s) AND (%s)", all_null(reference, alias, true, "OR"),
						 all_null(reference, alias, false, "OR")) : pstrdup("false");
		case VOX_FAULT_ORPHAN:
			break;
	}

	voxanne_table_describe(&parent, reference->parent);
	return psprintf("%s AND NOT EXISTS (SELECT FROM %s AS p WHERE %s)",
					voxanne_reference_complete(reference, alias), parent.from, voxanne_reference_join(reference, "p", alias));
}

/*
 * Count the rows with a key and those with each fault; "live_only" passes over
 * soft-deleted ones.  "found" is the scan engine's answer, or NULL.  The tables
 * are locked, settings pinned.
 */
void
voxanne_reference_ask(const VoxReference *reference, bool live_only, const VoxScanQuestion *found,
					  VoxReferenceAnswer *answer)
{
	if (voxanne_has_foreign_rows(reference))
	{
		voxanne_reference_ask_foreign(reference, live_only, answer);
		return;
	}
	memset(answer, 0, sizeof(*answer));
	if (found != NULL)
		answer->checked = (int64) found->checked;
	if (found != NULL && found->nrows == 0)
		return;

	SPI_connect();
	if (found == NULL)
		answer->checked = voxanne_reference_count(reference, NULL, and_live(reference, live_only, all_null(reference, "c", false, "AND")));
	for (int fault = 0; fault < VOX_REFERENCE_FAULTS; fault++)
	{
		char	   *condition = voxanne_reference_condition(reference, (VoxReferenceFault) fault, "c");

		if (strcmp(condition, "false") != 0)
			answer->faults[fault] = voxanne_reference_count(reference, found, and_live(reference, live_only, condition));
	}
	SPI_finish();
}

/*
 * Number of the child's rows, alias c, that meet a condition.  SPI is connected.
 */
int64
voxanne_reference_count(const VoxReference *reference, const VoxScanQuestion *found, const char *condition)
{
	VoxQuery	query = {0};
	VoxTable	child;

	voxanne_table_describe(&child, reference->child);
	query.sql = psprintf("SELECT pg_catalog.count(*) FROM %s AS c WHERE %s",
						 child_rows(&query, reference, &child, found), condition);
	return voxanne_query_number(&query);
}

/* A condition on c, for rows that are not soft-deleted if so asked. */
static char *
and_live(const VoxReference *reference, bool live_only, char *condition)
{
	VoxTable	child;

	if (!live_only)
		return condition;
	voxanne_table_describe(&child, reference->child);
	return psprintf("%s AND %s", voxanne_table_live(&child, "c"), condition);
}

/* What to select the child's rows from. */
static char *
child_rows(VoxQuery *query, const VoxReference *reference, const VoxTable *child, const VoxScanQuestion *found)
{
	List	   *columns;

	if (found == NULL)
		return child->from;
	columns = list_union_int(voxanne_table_id_columns(child), voxanne_reference_columns(reference, false));
	for (int fault = 0; fault < VOX_PARENT_FAULTS; fault++)
		columns = list_union_int(columns, voxanne_parent_columns(reference, (VoxParentFault) fault, false));
	columns = list_delete_int(columns, InvalidAttrNumber);
	return voxanne_rows_found(query, child, columns, found);
}

/*
 * The first rows with a fault, by age and key.
 */
Jsonb *
voxanne_reference_sample(const VoxReference *reference, VoxReferenceFault fault,
						 bool live_only, const VoxScanQuestion *found, int max_rows)
{
	if (fault == VOX_FAULT_ORPHAN && voxanne_has_distributed_rows(reference))
		return voxanne_reference_sample_distributed(reference,
													and_live(reference, live_only, voxanne_reference_complete(reference, "c")),
													max_rows);
	return voxanne_reference_sample_where(reference, found,
										  and_live(reference, live_only, voxanne_reference_condition(reference, fault, "c")),
										  "", NIL, max_rows);
}

/*
 * The first rows of the child, alias c, for which a condition holds, as a
 * jsonb array of objects that hold the row's primary key (or "ctid") and the
 * reference, and "more", which may read other columns: see voxanne_table_sample().
 */
Jsonb *
voxanne_reference_sample_where(const VoxReference *reference, const VoxScanQuestion *found,
							   const char *condition, const char *more, List *read, int max_rows)
{
	VoxQuery	query = {0};
	VoxTable	child;

	voxanne_table_describe(&child, reference->child);
	query.sql = voxanne_table_sample(&child, child_rows(&query, reference, &child, found), "c",
									 voxanne_reference_columns(reference, false), more, read, condition, max_rows);
	return voxanne_query_jsonb(&query);
}

static char *
is_uuid(const char *column)
{
	return psprintf("%s::pg_catalog.text COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.~) '%s'", column, UUID_PATTERN);
}

/* Null where the text is not a uuid. */
static char *
as_uuid(const char *column)
{
	return psprintf("CASE WHEN %s THEN %s::pg_catalog.text::pg_catalog.uuid END", is_uuid(column), column);
}

/* The columns of the child's key are (not) null, all of them or any. */
static char *
all_null(const VoxReference *reference, const char *alias, bool null, const char *connective)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < reference->natts; i++)
		appendStringInfo(&buf, "%s%s%s%s", i > 0 ? " " : "", i > 0 ? connective : "", i > 0 ? " " : "",
						 voxanne_not_null(reference->child, alias, reference->child_atts[i], !null));
	return buf.data;
}

/* The condition that a child row has a complete key that could be a parent's. */
char *
voxanne_reference_complete(const VoxReference *reference, const char *alias)
{
	return reference->comparison == VOX_COMPARE_CHILD_TEXT ?
		is_uuid(voxanne_column_ref(reference->child, alias, reference->child_atts[0])) :
		all_null(reference, alias, false, "AND");
}

/* Where the two columns differ in collation, the parent's counts. */
static char *
collate_clause(const VoxReference *reference, int i)
{
	Oid			parent_type,
				child_type,
				parent_collation,
				child_collation;
	int32		typmod;

	get_atttypetypmodcoll(reference->parent, reference->parent_atts[i], &parent_type, &typmod, &parent_collation);
	get_atttypetypmodcoll(reference->child, reference->child_atts[i], &child_type, &typmod, &child_collation);
	if (!OidIsValid(parent_collation) || parent_collation == child_collation)
		return pstrdup("");
	return psprintf(" COLLATE %s", generate_collation_name(parent_collation));
}
