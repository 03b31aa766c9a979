/*
 * src/data/parent_remedy.c
 *		The SQL for rows whose parent is soft-deleted or another tenant's.
 *
 * A soft-deleted parent's children are treated as the foreign key would treat
 * them if the parent had really gone; where it would have refused, somebody
 * has to decide.  Which tenant a row belongs to, no statement can know: there
 * the remedy stops new rows by a foreign key with the tenant in it, and leaves
 * the old ones as they are.  It does not end in VALIDATE, which would fail, and
 * in an editor that runs all statements as one transaction undo the rest.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_constraint.h"
#include "commands/defrem.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/relation.h"
#include "data/quarantine.h"
#include "data/reference_parent.h"
#include "data/table.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static void deleted_remedy(const VoxReference *reference, bool sure, const char *key, VoxRemedy *remedy);
static char *undecided(const VoxReference *reference, const VoxTable *child, bool sure);
static void tenant_remedy(const VoxReference *reference, bool sure, VoxRemedy *remedy);
static int64 count_violations(const VoxReference *key);
static char *tenant_statements(const VoxReference *reference, const VoxReference *key, char **name);
static char *underscored(Oid relid, List *columns);
static char *key_options(const VoxReference *reference);

/* Can a row of the child be soft-deleted itself? */
bool
voxanne_child_can_go(const VoxReference *reference)
{
	VoxTable	child;

	voxanne_table_describe(&child, reference->child);
	return child.soft_delete != NIL;
}

/*
 * Advice and remedy for rows with a fault.  "sure" that it is a reference,
 * "key" is that of the finding.
 */
void
voxanne_parent_remedy(const VoxReference *reference, VoxParentFault fault, bool sure,
					  const char *key, VoxRemedy *remedy)
{
	remedy->sql = NULL;
	sure = sure && !voxanne_has_foreign_rows(reference);
	if (fault == VOX_PARENT_DELETED)
		deleted_remedy(reference, sure, key, remedy);
	else
		tenant_remedy(reference, sure, remedy);
}

static void
deleted_remedy(const VoxReference *reference, bool sure, const char *key, VoxRemedy *remedy)
{
	List	   *clear = NIL;
	const char *set = NULL;
	VoxTable	child;

	voxanne_table_describe(&child, reference->child);
	sure = sure && !child.rules;
	if (sure && reference->on_delete == FKCONSTR_ACTION_SETNULL)
		clear = voxanne_clearable_columns(reference);
	if (clear != NIL)
	{
		set = voxanne_set_null(child.relid, clear);
		remedy->advice = pstrdup("Restore the parents if they are needed; the remedy keeps a copy of these rows in voxanne_quarantine.row_image and sets the reference to NULL, as the foreign key does when a parent is deleted.");
	}
	else if (sure && reference->on_delete == FKCONSTR_ACTION_CASCADE && child.mark != NULL)
	{
		set = psprintf("%s = %s", quote_identifier(child.mark->column), child.mark->deleted);
		remedy->advice = pstrdup("Restore the parents if they are needed; the remedy keeps a copy of these rows in voxanne_quarantine.row_image and soft-deletes them, as the foreign key deletes them with their parents.");
	}
	else
	{
		remedy->advice = undecided(reference, &child, sure);
		return;
	}
	remedy->sql = psprintf("%s%s;", voxanne_quarantine_prepare(),
						   voxanne_quarantine_update(&child, key, set,
													 voxanne_parent_condition(reference, VOX_PARENT_DELETED, true, "gone")));
}

/* What somebody has to decide where no statement can. */
static char *
undecided(const VoxReference *reference, const VoxTable *child, bool sure)
{
	if (child->soft_delete == NIL)
		return pstrdup("Nothing to do if these rows are history; if they are still in use, restore the parents or give the rows others.");
	if (child->rules)
		return pstrdup("Restore the parents, or correct these rows by hand: the table has rules (CREATE RULE), so that a statement may do something else than it says.");
	if (sure && reference->on_delete == FKCONSTR_ACTION_CASCADE)
		return psprintf("Restore the parents, or change these rows so that they are soft-deleted as well: there is no automatic remedy%s.",
						voxanne_table_unmarkable(child));
	return pstrdup("Restore the parents, or soft-delete these rows as well: nothing says which of the two is meant.");
}

static void
tenant_remedy(const VoxReference *reference, bool sure, VoxRemedy *remedy)
{
	const char *correct = "Find out to which tenant each of these rows belongs and correct them by hand: whoever reads one reads another tenant's data";
	VoxReference key;
	VoxTable	child;
	char	   *name;
	int64		violations;

	if (!sure || !voxanne_tenant_key(reference, &key) || !voxanne_reference_possible(reference))
	{
		remedy->advice = psprintf("%s.", correct);
		return;
	}
	voxanne_table_describe(&child, reference->child);
	violations = count_violations(&key);
	if (child.partitioned)
	{
		remedy->advice = psprintf("%s; then add a foreign key (%s); rows that violate it now: %lld.", correct,
								  voxanne_column_list(child.relid, "", voxanne_reference_columns(&key, false)),
								  (long long) violations);
		return;
	}
	remedy->sql = tenant_statements(reference, &key, &name);
	remedy->advice = psprintf("%s; the remedy adds a foreign key (%s) that stops new ones, changes no row and is NOT VALID (rows that violate it now: %lld): once they are corrected, ALTER TABLE %s VALIDATE CONSTRAINT %s.",
							  correct, voxanne_column_list(child.relid, "", voxanne_reference_columns(&key, false)),
							  (long long) violations, child.name, quote_identifier(name));
}

/* How many rows keep the foreign key from being validated; soft-deleted ones count. */
static int64
count_violations(const VoxReference *key)
{
	VoxTable	child;
	int64		count;

	voxanne_table_describe(&child, key->child);
	SPI_connect();
	count = voxanne_query_count(psprintf("SELECT pg_catalog.count(*) FROM %s AS c WHERE %s", child.from,
										 voxanne_reference_condition(key, VOX_FAULT_ORPHAN, "c")));
	SPI_finish();
	return count;
}

/*
 * Statements that add the key and, where it is missing, the unique index that
 * it refers to, which other remedies may have made meanwhile.
 */
static char *
tenant_statements(const VoxReference *reference, const VoxReference *key, char **name)
{
	List	   *columns = voxanne_reference_columns(key, false);
	List	   *parent_columns = voxanne_reference_columns(key, true);
	char	   *parent = voxanne_relation_name(key->parent);
	StringInfoData buf;

	*name = ChooseConstraintName(get_rel_name(key->child), underscored(key->child, columns), "fkey",
								 get_rel_namespace(key->child), NIL);
	initStringInfo(&buf);
	if (!voxanne_has_unique_key(key->parent, parent_columns))
		appendStringInfo(&buf, "CREATE UNIQUE INDEX IF NOT EXISTS %s ON %s (%s);\n",
						 quote_identifier(makeObjectName(get_rel_name(key->parent), underscored(key->parent, parent_columns), "key")),
						 parent, voxanne_column_list(key->parent, "", parent_columns));
	appendStringInfo(&buf, "ALTER TABLE %s ADD CONSTRAINT %s FOREIGN KEY (%s) REFERENCES %s (%s)%s NOT VALID;",
					 voxanne_relation_name(key->child), quote_identifier(*name),
					 voxanne_column_list(key->child, "", columns), parent,
					 voxanne_column_list(key->parent, "", parent_columns), key_options(reference));
	return buf.data;
}

/* Column names as they go into the name of a constraint: org_id_contact_id */
static char *
underscored(Oid relid, List *columns)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, columns)
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? "_" : "", get_attname(relid, lfirst_int(lc), false));
	return buf.data;
}

/*
 * What the present key does on changes of a parent, for the new one, so that
 * neither gets in the other's way; setting null leaves the tenant alone.
 */
static char *
key_options(const VoxReference *reference)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(reference->constraint));
	char	   *columns = voxanne_column_list(reference->child, "", voxanne_reference_columns(reference, false));
	Form_pg_constraint constraint;
	StringInfoData buf;

	initStringInfo(&buf);
	if (!HeapTupleIsValid(tuple))
		return buf.data;
	constraint = (Form_pg_constraint) GETSTRUCT(tuple);
	if (constraint->confupdtype == FKCONSTR_ACTION_CASCADE)
		appendStringInfoString(&buf, " ON UPDATE CASCADE");
	switch (constraint->confdeltype)
	{
		case FKCONSTR_ACTION_RESTRICT:
			appendStringInfoString(&buf, " ON DELETE RESTRICT");
			break;
		case FKCONSTR_ACTION_CASCADE:
			appendStringInfoString(&buf, " ON DELETE CASCADE");
			break;
		case FKCONSTR_ACTION_SETNULL:
			appendStringInfo(&buf, " ON DELETE SET NULL (%s)", columns);
			break;
		case FKCONSTR_ACTION_SETDEFAULT:
			appendStringInfo(&buf, " ON DELETE SET DEFAULT (%s)", columns);
			break;
	}
	if (constraint->condeferrable)
		appendStringInfo(&buf, " DEFERRABLE%s", constraint->condeferred ? " INITIALLY DEFERRED" : "");
	ReleaseSysCache(tuple);
	return buf.data;
}
