/*
 * src/data/orphan_remedy.c
 *		The SQL that removes what is wrong with a reference.
 *
 * Rows are never just deleted.  Where the reference may be null and nothing
 * says that the row is worthless without it, it is cleared; else the row is
 * moved to quarantine.  A row that other tables reference is left alone: its
 * deletion would cascade to rows that nobody has a copy of.  Then the foreign
 * key is made to hold: VALIDATE of one that claims to be valid does nothing,
 * so it is dropped and added in one statement, which also gives it triggers
 * that fire, and validated in a second one that blocks nobody.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/words.h"
#include "data/executor.h"
#include "core/relation.h"
#include "data/incoming.h"
#include "data/invalid.h"
#include "data/orphan_remedy.h"
#include "data/quarantine.h"
#include "data/table.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static bool is_clearable(const VoxTable *child, AttrNumber attnum);
static char *faulty_rows(const VoxReference *reference, VoxReferenceFault fault, const char *alias);
static char *move_rows(const VoxTable *child, const char *key, const char *condition);
static bool referenced_rows(const VoxReference *reference, const VoxTable *child, const char *condition,
							const VoxScanQuestion *found);
static int64 rows_of_other_tenants(const VoxReference *reference, VoxReferenceFault fault,
								   const VoxScanQuestion *found);
static int64 violating_rows(const VoxReference *reference, VoxReferenceFault fault, const VoxScanQuestion *found);
static char *constraint_statements(const VoxReference *reference, const VoxTable *child);
static char *foreign_key_statements(const VoxTable *child, const char *name, const char *definition,
									bool replace);
static char *inferred_definition(const VoxReference *reference);
static bool has_deferrable_trigger(Oid relid);
static bool is_inherited(Oid constraint);

/*
 * Advice and remedy for rows with a fault.  "found" is the scan engine's answer
 * or NULL, "score" what the reference is worth of 100, "key" the finding's.  Reads the tables that reference
 * the child, so it runs where the check runs.
 */
void
voxanne_orphan_remedy(const VoxReference *reference, VoxReferenceFault fault,
					  const VoxScanQuestion *found, int score, const char *key, VoxRemedy *remedy)
{
	VoxTable	child;
	List	   *clear = NIL;
	char	   *condition;
	int64		elsewhere;
	const char *then;
	const char *constraint;

	remedy->sql = NULL;
	if (score < VOX_SURE_ENOUGH)
	{
		remedy->advice = pstrdup("Find out whether the column is a reference at all: only part of its values have a parent, so there is no automatic remedy.");
		return;
	}

	if (voxanne_has_foreign_rows(reference))
	{
		remedy->advice = pstrdup("Ask again before you act, because rows of several servers are not read at the same instant; then correct them on the server that has them: there is no remedy across servers.");
		return;
	}
	elsewhere = rows_of_other_tenants(reference, fault, found);
	if (elsewhere > 0)
	{
		remedy->advice = psprintf("Correct the tenant or the reference of these rows by hand: what %s to is there, but belongs to another tenant, so there is no automatic remedy.",
								  voxanne_count_of(elsewhere, "of them refers", "of them refer"));
		return;
	}
	voxanne_table_describe(&child, reference->child);
	if (child.rules)
	{
		remedy->advice = pstrdup("Correct these rows by hand: the table has rules (CREATE RULE), so that a statement may do something else than it says.");
		return;
	}
	condition = faulty_rows(reference, fault, "gone");
	if (reference->source == VOX_REFERENCE_INFERRED || reference->on_delete == FKCONSTR_ACTION_SETNULL)
		clear = voxanne_clearable_columns(reference);
	if (clear == NIL && referenced_rows(reference, &child, condition, found))
	{
		remedy->advice = pstrdup("Restore the missing parents, from a backup if need be: other tables reference some of these rows, so they cannot be moved away.");
		return;
	}

	constraint = constraint_statements(reference, &child);
	then = *constraint == '\0' ? "" :
		psprintf(reference->source == VOX_REFERENCE_INFERRED ? ", then adds the foreign key (rows that violate it now: %lld)" :
				 ", then makes the foreign key hold again (rows that violate it now: %lld)",
				 (long long) violating_rows(reference, fault, found));
	remedy->advice = clear != NIL ?
		psprintf("Restore the missing parents if they are needed; the remedy keeps a copy of these rows in voxanne_quarantine.row_image and sets the reference to NULL%s.", then) :
		psprintf("Restore the missing parents if they are needed; the remedy moves these rows to voxanne_quarantine.row_image%s.", then);
	remedy->sql = psprintf("%s%s;%s%s", voxanne_quarantine_prepare(),
						   clear != NIL ?
						   voxanne_quarantine_update(&child, key, voxanne_set_null(child.relid, clear), condition) :
						   move_rows(&child, key, condition),
						   *constraint != '\0' && has_deferrable_trigger(child.relid) ? "\nSET CONSTRAINTS ALL IMMEDIATE;" : "",
						   constraint);
}

/*
 * The columns to set to NULL so that the reference is void; NIL if some of
 * those needed cannot be.  The tenant's column stays.
 */
List *
voxanne_clearable_columns(const VoxReference *reference)
{
	VoxTable	child;
	List	   *columns = NIL;

	voxanne_table_describe(&child, reference->child);
	for (int i = 0; i < reference->natts; i++)
	{
		AttrNumber	attnum = reference->child_atts[i];
		bool		clearable = is_clearable(&child, attnum);

		if (reference->match_full && !clearable)
			return NIL;
		if (clearable && (reference->natts == 1 || reference->match_full || attnum != voxanne_tenant_column(child.relid)))
			columns = lappend_int(columns, attnum);
	}
	return columns;
}

/* A domain may refuse NULL by a rule of its own, a table by a CHECK instead of NOT NULL. */
static bool
is_clearable(const VoxTable *child, AttrNumber attnum)
{
	HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(child->relid), Int16GetDatum(attnum));
	bool		clearable = false;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT(tuple);

		clearable = !att->attnotnull &&
			getBaseType(att->atttypid) == att->atttypid &&
			!list_member_int(child->pk, attnum);
		ReleaseSysCache(tuple);
	}
	return clearable && voxanne_column_accepts(child->relid, attnum, NULL);
}

/* All rows that must go before the foreign key can hold; soft-deleted ones too. */
static char *
faulty_rows(const VoxReference *reference, VoxReferenceFault fault, const char *alias)
{
	char	   *orphan = voxanne_reference_condition(reference, VOX_FAULT_ORPHAN, alias);
	char	   *partial = voxanne_reference_condition(reference, VOX_FAULT_PARTIAL, alias);

	if (fault == VOX_FAULT_MALFORMED)
		return voxanne_reference_condition(reference, fault, alias);
	return strcmp(partial, "false") == 0 ? orphan : psprintf("((%s) OR (%s))", orphan, partial);
}

/* How many rows these are. */
static int64
violating_rows(const VoxReference *reference, VoxReferenceFault fault, const VoxScanQuestion *found)
{
	int64		count;

	SPI_connect();
	/* all rows count, also those that the scan passed over */
	count = voxanne_reference_count(reference, found != NULL && found->key.nskips == 0 ? found : NULL,
									faulty_rows(reference, fault, "c"));
	SPI_finish();
	return count;
}

/*
 * Of rows without parent, how many have one but for the tenant; 0 where the
 * tenant is no part of the reference, or a distributed engine would have to join
 * across tenants, which it may refuse.
 */
static int64
rows_of_other_tenants(const VoxReference *reference, VoxReferenceFault fault, const VoxScanQuestion *found)
{
	AttrNumber	child_tenant = voxanne_tenant_column(reference->child);
	AttrNumber	parent_tenant = voxanne_tenant_column(reference->parent);
	VoxReference rest = *reference;
	VoxTable	parent;
	int64		count;

	rest.natts = 0;
	for (int i = 0; i < reference->natts; i++)
	{
		if (reference->child_atts[i] == child_tenant && reference->parent_atts[i] == parent_tenant)
			continue;
		rest.child_atts[rest.natts] = reference->child_atts[i];
		rest.parent_atts[rest.natts] = reference->parent_atts[i];
		rest.operators[rest.natts++] = reference->operators[i];
	}
	if (fault != VOX_FAULT_ORPHAN || rest.natts == reference->natts || rest.natts == 0 ||
		voxanne_has_distributed_rows(reference))
		return 0;

	voxanne_table_describe(&parent, reference->parent);
	SPI_connect();
	count = voxanne_reference_count(reference, found,
									psprintf("%s AND EXISTS (SELECT FROM %s AS p WHERE %s)",
											 voxanne_reference_condition(reference, fault, "c"), parent.from,
											 voxanne_reference_join(&rest, "p", "c")));
	SPI_finish();
	return count;
}

/*
 * Does another row reference one of these?  Tables that cannot be read now
 * count as if they did.
 */
static bool
referenced_rows(const VoxReference *reference, const VoxTable *child, const char *condition,
				const VoxScanQuestion *found)
{
	VoxQuery	query = {0};
	VoxIncoming incoming;
	List	   *columns;
	const char *from = child->from;
	ListCell   *lc;
	bool		referenced;

	voxanne_incoming_lock(&incoming, child->relid);
	voxanne_incoming_check(&incoming);
	if (incoming.unknown != NULL)
		return true;
	if (incoming.references == NIL)
		return false;

	columns = list_union_int(voxanne_table_id_columns(child), voxanne_reference_columns(reference, false));
	foreach(lc, incoming.references)
		columns = list_union_int(columns, voxanne_reference_columns(lfirst(lc), true));
	/* the condition is about all rows, also those that the scan passed over */
	if (found != NULL && found->key.nskips == 0)
		from = voxanne_rows_found(&query, child, columns, found);

	SPI_connect();
	query.sql = psprintf("SELECT pg_catalog.count(*) FROM %s AS gone WHERE %s AND NOT (true%s)",
						 from, condition, voxanne_unreferenced(incoming.references, "gone"));
	referenced = voxanne_query_number(&query) > 0;
	SPI_finish();
	return referenced;
}

/* Assignments that clear columns: a = NULL, b = NULL */
char *
voxanne_set_null(Oid relid, List *columns)
{
	StringInfoData set;
	ListCell   *lc;

	initStringInfo(&set);
	foreach(lc, columns)
		appendStringInfo(&set, "%s%s = NULL", set.len > 0 ? ", " : "",
						 voxanne_column_ref(relid, "", lfirst_int(lc)));
	return set.data;
}

/* One statement that moves the rows; those that got referenced meanwhile stay. */
static char *
move_rows(const VoxTable *child, const char *key, const char *condition)
{
	return psprintf("WITH gone AS (DELETE FROM %s AS gone WHERE %s%s RETURNING gone.*)\n%s",
					child->from, condition,
					voxanne_unreferenced(voxanne_references_to(child->relid), "gone"),
					voxanne_quarantine_insert(child->name, key, "gone"));
}

/* Statements after which the foreign key holds; empty where none can or should be there. */
static char *
constraint_statements(const VoxReference *reference, const VoxTable *child)
{
	const char *name;
	const char *definition;

	if (reference->source == VOX_REFERENCE_NOT_ENFORCED || reference->comparison != VOX_COMPARE_OPERATOR)
		return pstrdup("");

	if (reference->source == VOX_REFERENCE_INFERRED)
	{
		definition = inferred_definition(reference);
		if (definition == NULL)
			return pstrdup("");
		name = ChooseConstraintName(get_rel_name(child->relid),
									get_attname(child->relid, reference->child_atts[reference->natts - 1], false),
									"fkey", get_rel_namespace(child->relid), NIL);
		return foreign_key_statements(child, name, definition, false);
	}

	name = get_constraint_name(reference->constraint);
	if (reference->source == VOX_REFERENCE_NOT_VALID)
		return psprintf("\nALTER TABLE %s VALIDATE CONSTRAINT %s;", child->name, quote_identifier(name));
	if (is_inherited(reference->constraint))
		return pstrdup("");
	definition = TextDatumGetCString(DirectFunctionCall1(pg_get_constraintdef,
														 ObjectIdGetDatum(reference->constraint)));
	return foreign_key_statements(child, name, definition, true);
}

/* A partitioned table's key cannot be NOT VALID up to 17, so it is added and checked at once. */
static char *
foreign_key_statements(const VoxTable *child, const char *name, const char *definition, bool replace)
{
	const char *quoted = quote_identifier(name);
	char	   *drop = replace ? psprintf("DROP CONSTRAINT %s, ", quoted) : pstrdup("");

	if (child->partitioned)
		return psprintf("\nALTER TABLE %s %sADD CONSTRAINT %s %s;", child->name, drop, quoted, definition);
	return psprintf("\nALTER TABLE %s %sADD CONSTRAINT %s %s NOT VALID;"
					"\nALTER TABLE %s VALIDATE CONSTRAINT %s;",
					child->name, drop, quoted, definition, child->name, quoted);
}

/* The foreign key that is missing; NULL where the two tables cannot have one. */
static char *
inferred_definition(const VoxReference *reference)
{
	if (!voxanne_reference_possible(reference))
		return NULL;
	return psprintf("FOREIGN KEY (%s) REFERENCES %s (%s)",
					voxanne_column_list(reference->child, "", voxanne_reference_columns(reference, false)),
					voxanne_relation_name(reference->parent),
					voxanne_column_list(reference->parent, "", voxanne_reference_columns(reference, true)));
}

/* May a foreign key lead from the one table to the other, as far as their persistence and its columns go? */
bool
voxanne_reference_possible(const VoxReference *reference)
{
	char		child = get_rel_persistence(reference->child);
	char		parent = get_rel_persistence(reference->parent);

	if (voxanne_has_virtual(reference->child, voxanne_reference_columns(reference, false)))
		return false;
	return child == parent || (child == RELPERSISTENCE_UNLOGGED && parent == RELPERSISTENCE_PERMANENT);
}

/* Could a change of the table's rows leave events pending, which ALTER TABLE refuses? */
static bool
has_deferrable_trigger(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	bool		found = false;

	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers && !found; i++)
		found = rel->trigdesc->triggers[i].tgdeferrable;
	table_close(rel, NoLock);
	return found;
}

/* Is this a partition's copy of its parent's key, which only goes with that? */
static bool
is_inherited(Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	bool		inherited = false;

	if (HeapTupleIsValid(tuple))
	{
		inherited = OidIsValid(((Form_pg_constraint) GETSTRUCT(tuple))->conparentid);
		ReleaseSysCache(tuple);
	}
	return inherited;
}
