/*
 * src/data/table.c
 *		A user's table as the data checks see it: what is a row's id, is it live, how old is it.
 *
 * Values become text through format(), which calls a type's output function.
 * A cast to text or to_jsonb() would call a cast function where a user has
 * defined one for his type.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/relation.h"
#include "data/distributed.h"
#include "data/table.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static const VoxSoftDelete soft_deletes[] = {
	{"deleted_at", "IS NULL", "pg_catalog.now()", true},
	{"is_deleted", "IS NOT TRUE", "true", false},
	{"archived_at", "IS NULL", "pg_catalog.now()", true},
};

/* The names by which the column goes that says whose a row is, the likeliest first. */
static const char *const tenant_columns[] = {"org_id", "tenant_id", "organization_id"};

/*
 * A table with foreign rows can have no primary key, a distributed one may have
 * none, and what ctid their rows have is up to the other server: they go by this
 * column.
 */
#define FOREIGN_KEY_COLUMN "id"

/* Values of a column status that make a row void: an appointment takes no time. */
const char *const voxanne_inactive_labels[] = {"cancelled", "canceled", "no_show", "no-show", "noshow", NULL};

static bool has_rules(Oid relid);
static bool is_time_type(Oid type);
static char *order_column(Oid relid, const char *alias, AttrNumber attnum);

/*
 * ERROR unless the relation is a table whose rows can be checked: an ordinary,
 * partitioned or foreign one, not another session's temporary one.  Views are
 * refused because their bodies would run as the caller.
 */
void
voxanne_require_table(Oid relid, const char *argument)
{
	char		relkind = get_rel_relkind(relid);
	char	   *name = voxanne_relation_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("argument \"%s\" names a relation that does not exist: oid %u", argument, relid),
				 errhint("Give its name, e.g. %s => 'public.appointments'.", argument)));
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE && relkind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a table", name),
				 errdetail("Only the rows of ordinary, partitioned and foreign tables can be checked."),
				 errhint("Name the table that holds the rows.")));
	if (isAnyTempNamespace(get_rel_namespace(relid)) && !isTempOrTempToastNamespace(get_rel_namespace(relid)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s is a temporary table of another session", name),
				 errdetail("Its rows are in that session's memory."),
				 errhint("Call the function in the session that created it.")));
}

/*
 * Fill in a table's description; the caller holds a lock on it.  Only for what
 * voxanne_require_table() accepts.
 */
void
voxanne_table_describe(VoxTable *table, Oid relid)
{
	VoxDistribution distribution;

	memset(table, 0, sizeof(*table));
	table->relid = relid;
	table->name = voxanne_relation_name(relid);
	table->partitioned = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
	table->distributed = voxanne_distribution(relid, &distribution);
	table->from = psprintf("%s%s", table->partitioned || table->distributed ? "" : "ONLY ", table->name);
	table->foreign = table->distributed || voxanne_is_foreign(relid);
	table->rules = has_rules(relid);
	table->pk = voxanne_primary_key(relid);
	if (table->foreign && table->pk == NIL && voxanne_find_column(relid, FOREIGN_KEY_COLUMN) != InvalidAttrNumber)
		table->pk = list_make1_int(voxanne_find_column(relid, FOREIGN_KEY_COLUMN));

	table->created_at = voxanne_find_column(relid, "created_at");
	if (table->created_at != InvalidAttrNumber &&
		!is_time_type(voxanne_column_type(relid, table->created_at)))
		table->created_at = InvalidAttrNumber;

	for (int i = 0; i < (int) lengthof(soft_deletes); i++)
	{
		AttrNumber	attnum = voxanne_find_column(relid, soft_deletes[i].column);
		Oid			type = attnum == InvalidAttrNumber ? InvalidOid : voxanne_column_type(relid, attnum);

		if (!OidIsValid(type) || !(soft_deletes[i].is_time ? is_time_type(type) : type == BOOLOID))
			continue;
		table->soft_delete = lappend(table->soft_delete, unconstify(VoxSoftDelete *, &soft_deletes[i]));
		if (table->mark == NULL && get_attgenerated(relid, attnum) == '\0')
			table->mark = &soft_deletes[i];
	}
}

/* pg_class.relhasrules says so for a while after the last rule is gone. */
static bool
has_rules(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	bool		rules = rel->rd_rules != NULL;

	table_close(rel, NoLock);
	return rules;
}

/*
 * The columns that every query about a table's rows reads, as an integer list.
 */
List *
voxanne_table_id_columns(const VoxTable *table)
{
	List	   *columns = list_copy(table->pk);

	if (table->created_at != InvalidAttrNumber)
		columns = list_append_unique_int(columns, table->created_at);
	return list_concat_unique_int(columns, voxanne_table_soft_columns(table));
}

/* The columns that say whether a row is soft-deleted, as an integer list. */
List *
voxanne_table_soft_columns(const VoxTable *table)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, table->soft_delete)
		columns = lappend_int(columns, voxanne_find_column(table->relid, ((const VoxSoftDelete *) lfirst(lc))->column));
	return columns;
}

/*
 * Why no row can be soft-deleted although there is a column for it, as the end
 * of a sentence: ", as deleted_at is generated"; empty if there is none.
 */
const char *
voxanne_table_unmarkable(const VoxTable *table)
{
	if (table->mark != NULL || table->soft_delete == NIL)
		return "";
	return psprintf(", as %s is generated",
					quote_identifier(((const VoxSoftDelete *) linitial(table->soft_delete))->column));
}

/* A column of a query's alias: t."Contact Id" */
char *
voxanne_column_ref(Oid relid, const char *alias, AttrNumber attnum)
{
	const char *name = quote_identifier(get_attname(relid, attnum, false));

	return *alias == '\0' ? pstrdup(name) : psprintf("%s.%s", alias, name);
}

/* Several columns, with commas between them; without those dropped meanwhile. */
char *
voxanne_column_list(Oid relid, const char *alias, List *columns)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, columns)
	{
		if (get_attname(relid, lfirst_int(lc), true) != NULL)
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "",
							 voxanne_column_ref(relid, alias, lfirst_int(lc)));
	}
	return buf.data;
}

/* A row's id as text: its primary key, or its place in the table. */
char *
voxanne_table_id(const VoxTable *table, const char *alias)
{
	if (table->pk == NIL)
		return table->partitioned ?
			psprintf("pg_catalog.format('%%s %%s', %s.tableoid::pg_catalog.regclass, %s.ctid)", alias, alias) :
			psprintf("pg_catalog.format('%%s', %s.ctid)", alias);
	return psprintf(list_length(table->pk) == 1 ? "pg_catalog.format('%%s', %s)" :
					"pg_catalog.format('%%s', ROW(%s))",
					voxanne_column_list(table->relid, alias, table->pk));
}

/*
 * The condition that a row has the id "id", a text expression made by
 * voxanne_table_id() before; in a form that can use the primary key.
 */
char *
voxanne_table_id_equal(const VoxTable *table, const char *alias, const char *id)
{
	StringInfoData buf;
	Oid			type;

	if (list_length(table->pk) != 1)
		return psprintf("%s OPERATOR(pg_catalog.=) %s", voxanne_table_id(table, alias), id);
	type = getBaseType(voxanne_column_type(table->relid, linitial_int(table->pk)));
	initStringInfo(&buf);
	voxanne_operator_clause(&buf, voxanne_column_ref(table->relid, alias, linitial_int(table->pk)),
							voxanne_column_type(table->relid, linitial_int(table->pk)),
							voxanne_equality_operator(type),
							psprintf("%s::%s", id, voxanne_type_name(type)), type);
	return buf.data;
}

/*
 * A row's primary key as it can stand in a statement, '17'::bigint; the text
 * NULL for a table without one.
 */
char *
voxanne_table_id_literal(const VoxTable *table, const char *alias)
{
	StringInfoData format;
	ListCell   *lc;

	if (table->pk == NIL)
		return pstrdup("NULL::pg_catalog.text");

	initStringInfo(&format);
	foreach(lc, table->pk)
	{
		Oid			type = voxanne_column_type(table->relid, lfirst_int(lc));

		appendStringInfo(&format, "%s%%L::%s", format.len > 0 ? ", " : "", voxanne_type_name(type));
	}
	return psprintf("pg_catalog.format(%s, %s)",
					quote_literal_cstr(list_length(table->pk) == 1 ? format.data : psprintf("(%s)", format.data)),
					voxanne_column_list(table->relid, alias, table->pk));
}

/* The condition that selects rows by voxanne_table_id_literal(). */
char *
voxanne_table_id_match(const VoxTable *table, const char *alias, List *literals)
{
	char	   *columns = voxanne_column_list(table->relid, alias, table->pk);
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, literals)
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", (char *) lfirst(lc));
	return psprintf(list_length(table->pk) == 1 ? "%s IN (%s)" : "(%s) IN (%s)", columns, buf.data);
}

/* When a row was created, as timestamp with time zone; NULL where no column says so. */
char *
voxanne_table_created(const VoxTable *table, const char *alias)
{
	if (table->created_at == InvalidAttrNumber)
		return pstrdup("NULL::pg_catalog.timestamptz");
	return psprintf("%s::pg_catalog.timestamptz", voxanne_column_ref(table->relid, alias, table->created_at));
}

/* A total order of rows, the oldest first: by creation, then primary key. */
char *
voxanne_table_seniority(const VoxTable *table, const char *alias)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s NULLS LAST", voxanne_table_created(table, alias));
	foreach(lc, table->pk)
		appendStringInfo(&buf, ", %s", order_column(table->relid, alias, lfirst_int(lc)));
	if (table->pk == NIL)
		appendStringInfo(&buf, ", %s.tableoid, %s.ctid", alias, alias);
	return buf.data;
}

/* A column as a sort key that does not depend on a locale. */
static char *
order_column(Oid relid, const char *alias, AttrNumber attnum)
{
	char	   *column = voxanne_column_ref(relid, alias, attnum);

	return type_is_collatable(voxanne_column_type(relid, attnum)) ?
		psprintf("%s COLLATE pg_catalog.\"C\"", column) : column;
}

/* The condition that a row is not soft-deleted. */
char *
voxanne_table_live(const VoxTable *table, const char *alias)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, table->soft_delete)
	{
		const VoxSoftDelete *how = lfirst(lc);

		appendStringInfo(&buf, "%s%s%s%s %s", buf.len > 0 ? " AND " : "",
						 alias, *alias == '\0' ? "" : ".", quote_identifier(how->column), how->live);
	}
	return buf.len > 0 ? buf.data : pstrdup("true");
}

/*
 * The condition that a row is neither cancelled nor missed by what its status
 * says; InvalidAttrNumber for a table without one.
 */
char *
voxanne_status_active(Oid relid, const char *alias, AttrNumber status)
{
	StringInfoData labels;

	if (status == InvalidAttrNumber)
		return pstrdup("true");
	initStringInfo(&labels);
	for (int i = 0; voxanne_inactive_labels[i] != NULL; i++)
		appendStringInfo(&labels, "%s'%s'", i > 0 ? ", " : "", voxanne_inactive_labels[i]);
	return psprintf("pg_catalog.lower(pg_catalog.format('%%s', %s)) NOT IN (%s)",
					voxanne_column_ref(relid, alias, status), labels.data);
}

/* The names by which a tenant's column goes, as char *. */
List *
voxanne_tenant_names(void)
{
	List	   *names = NIL;

	for (int i = 0; i < (int) lengthof(tenant_columns); i++)
		names = lappend(names, unconstify(char *, tenant_columns[i]));
	return names;
}

/* The column that says to which tenant a row belongs, or InvalidAttrNumber. */
AttrNumber
voxanne_tenant_column(Oid relid)
{
	for (int i = 0; i < (int) lengthof(tenant_columns); i++)
	{
		AttrNumber	attnum = voxanne_find_column(relid, tenant_columns[i]);

		if (attnum != InvalidAttrNumber)
			return attnum;
	}
	return InvalidAttrNumber;
}

/*
 * The condition that a column is (not) null.  A composite value with null
 * fields is a value: hence IS DISTINCT FROM for those.
 */
char *
voxanne_not_null(Oid relid, const char *alias, AttrNumber attnum, bool not_null)
{
	bool		composite = type_is_rowtype(voxanne_column_type(relid, attnum));

	return psprintf("%s IS %s", voxanne_column_ref(relid, alias, attnum),
					composite ? (not_null ? "DISTINCT FROM NULL" : "NOT DISTINCT FROM NULL") :
					(not_null ? "NOT NULL" : "NULL"));
}

/*
 * A query for the first rows of the table, or of a subquery of its rows, that a
 * condition selects, the oldest first: one jsonb array of objects that hold the
 * primary key (or "ctid"), these columns, and "more": ", name, value" for
 * jsonb_build_object(); fifty members in all at most.  "read": columns that
 * "more" reads besides.  The objects are made of the rows that were chosen: the
 * condition may select millions.
 */
char *
voxanne_table_sample(const VoxTable *table, const char *from, const char *alias, List *columns,
					 const char *more, List *read, const char *condition, int max_rows)
{
	List	   *shown = list_union_int(table->pk, columns);
	StringInfoData pairs;
	ListCell   *lc;

	initStringInfo(&pairs);
	if (table->pk == NIL)
		appendStringInfo(&pairs, "'ctid', %s", voxanne_table_id(table, alias));
	foreach(lc, shown)
		appendStringInfo(&pairs, "%s%s, %s", pairs.len > 0 ? ", " : "",
						 quote_literal_cstr(get_attname(table->relid, lfirst_int(lc), false)),
						 voxanne_json_value(voxanne_column_type(table->relid, lfirst_int(lc)),
											voxanne_column_ref(table->relid, alias, lfirst_int(lc))));
	return psprintf("SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(%s%s) ORDER BY \"place in order\"), '[]')"
					" FROM (SELECT first.*, pg_catalog.row_number() OVER () AS \"place in order\""
					" FROM (SELECT %s%s FROM %s AS %s WHERE %s ORDER BY %s LIMIT %d) AS first) AS %s",
					pairs.data, more, voxanne_column_list(table->relid, alias, list_union_int(shown, read)),
					table->pk == NIL ? psprintf("%s%s.ctid, %s.tableoid", shown == NIL && read == NIL ? "" : ", ", alias, alias) : "",
					from, alias, condition, voxanne_table_seniority(table, alias), max_rows, alias);
}

/*
 * An expression, of which nothing but a column reference is expected, as jsonb:
 * as to_jsonb() has it for the server's own types, else its text.
 */
char *
voxanne_json_value(Oid type, const char *expression)
{
	if (type < FirstNormalObjectId)
		return psprintf("pg_catalog.to_jsonb(%s)", expression);
	return psprintf("CASE WHEN %s IS DISTINCT FROM NULL THEN pg_catalog.to_jsonb(pg_catalog.format('%%s', %s)) END",
					expression, expression);
}

/* A column's type. */
Oid
voxanne_column_type(Oid relid, AttrNumber attnum)
{
	return get_atttype(relid, attnum);
}

static bool
is_time_type(Oid type)
{
	return type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID;
}
