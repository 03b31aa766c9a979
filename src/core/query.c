/*
 * src/core/query.c
 *		A SELECT of ours over users' tables, that runs nobody's code as the caller.
 *
 * Even a plain SELECT can run functions that somebody else wrote: an operator,
 * cast or hash function of a type of his, or, while it is only being planned, a function in
 * an index, CHECK constraint, partition key or statistics object (the planner
 * folds calls with constant arguments).  With a superuser as caller that would
 * hand him the cluster.  So the analyzed query and the tables it reads are
 * searched for functions of foreign owners first; if there are any, the query
 * runs as the tables' owner, who has let that code in, restricted so that
 * nothing it does outlives the query.  The caller's own rights must have been
 * checked before, with voxanne_unreadable().
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic_ext.h"
#include "core/compat.h"
#include "core/trees.h"
#include "core/privileges.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/typecode.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* What a query would run and read. */
typedef struct Exposure
{
	Oid			caller;
	bool		foreign_code;	/* found in the expression being walked */
	bool		query_foreign;	/* the query itself calls foreign code */
	List	   *relations;		/* oids of all tables read */
	List	   *hosts;			/* oids of those that bring foreign code with
								 * them */
} Exposure;

static bool is_foreign_function(Oid funcid, void *context);
static bool expose_walker(Node *node, void *context);
static void expose_grouping(List *clauses, Exposure *exposure);
static void expose_relation(Oid relid, Exposure *exposure);
static void expose_text(int cache, Oid key, AttrNumber attnum, Exposure *exposure);
static bool relation_brings_code(Oid relid, Exposure *exposure);
static Oid	choose_user(Exposure *exposure);

/*
 * Append a parameter; returns its placeholder, "$1".
 */
char *
voxanne_query_argument(VoxQuery *query, Oid type, Datum value, bool isnull)
{
	int			i = query->nargs++;

	if (i == 0)
	{
		query->types = palloc_array(Oid, 1);
		query->values = palloc_array(Datum, 1);
		query->nulls = palloc_array(char, 1);
	}
	else
	{
		query->types = repalloc(query->types, sizeof(Oid) * query->nargs);
		query->values = repalloc(query->values, sizeof(Datum) * query->nargs);
		query->nulls = repalloc(query->nulls, query->nargs);
	}
	query->types[i] = type;
	query->values[i] = value;
	query->nulls[i] = isnull ? 'n' : ' ';
	return psprintf("$%d", i + 1);
}

/*
 * Run a SELECT in the active snapshot and return the number of rows, which are
 * in SPI_tuptable.  SPI must be connected, settings pinned and the tables
 * locked.  Never writes: the server refuses it.  ERROR 42501 if it would run
 * foreign code and there is no single owner to run it as.
 */
uint64
voxanne_query_run(VoxQuery *query)
{
	Exposure	exposure = {.caller = GetUserId()};
	VoxIdentity identity;
	SPIPlanPtr	plan;
	ListCell   *lc;
	Oid			userid;
	int			result;

	plan = SPI_prepare_cursor(query->sql, query->nargs, query->types,
							  CURSOR_OPT_PARALLEL_OK);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", query->sql, SPI_result_code_string(SPI_result));

	foreach(lc, SPI_plan_get_plan_sources(plan))
		(void) expose_walker((Node *) ((CachedPlanSource *) lfirst(lc))->query_list, &exposure);
	userid = choose_user(&exposure);

	if (OidIsValid(userid))
		voxanne_become(userid, &identity);
	result = SPI_execute_plan(plan, query->values, query->nulls, true, 0);
	if (OidIsValid(userid))
		voxanne_become_again(&identity);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not run \"%s\": %s", query->sql, SPI_result_code_string(result));
	return SPI_processed;
}

/*
 * The one number that a SELECT returns.
 */
int64
voxanne_query_number(VoxQuery *query)
{
	bool		isnull;

	if (voxanne_query_run(query) != 1)
		elog(ERROR, "query \"%s\" did not return one row", query->sql);
	return voxanne_value_int64(0, 1, &isnull);
}

/*
 * The same for a SELECT without parameters.
 */
int64
voxanne_query_count(const char *sql)
{
	VoxQuery	query = {.sql = sql};

	return voxanne_query_number(&query);
}

/*
 * The one jsonb, not null, that a SELECT returns, in the current context.  SPI
 * is connected here.
 */
Jsonb *
voxanne_query_jsonb(VoxQuery *query)
{
	MemoryContext context = CurrentMemoryContext;
	Datum		value;
	bool		isnull;

	SPI_connect();
	if (voxanne_query_run(query) != 1)
		elog(ERROR, "query \"%s\" did not return one row", query->sql);
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (isnull)
		elog(ERROR, "query \"%s\" returned null", query->sql);
	MemoryContextSwitchTo(context);
	value = PointerGetDatum(DatumGetJsonbPCopy(value));
	SPI_finish();
	return DatumGetJsonbP(value);
}

/*
 * A bigint (or timestamp with time zone) of the last result; 0 if null.
 */
int64
voxanne_value_int64(uint64 row, int column, bool *isnull)
{
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);

	return *isnull ? 0 : DatumGetInt64(value);
}

/*
 * Does the function belong to somebody who is neither a superuser nor the
 * caller?  Those two gain nothing by being called.
 */
static bool
is_foreign_function(Oid funcid, void *context)
{
	Exposure   *exposure = context;
	HeapTuple	tuple;
	Oid			owner = InvalidOid;

	if (funcid < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
		ReleaseSysCache(tuple);
	}
	if (owner == exposure->caller || (OidIsValid(owner) && superuser_arg(owner)))
		return false;
	exposure->foreign_code = true;
	return true;
}

/* Collect the tables and the foreign code of a query or an expression. */
static bool
expose_walker(Node *node, void *context)
{
	Exposure   *exposure = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;
		ListCell   *lc;

		foreach(lc, query->rtable)
		{
			RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

			if (rte->rtekind == RTE_RELATION)
				expose_relation(rte->relid, exposure);
		}
		expose_grouping(query->groupClause, exposure);
		expose_grouping(query->sortClause, exposure);
		expose_grouping(query->distinctClause, exposure);
		foreach(lc, query->windowClause)
		{
			expose_grouping(lfirst_node(WindowClause, lc)->partitionClause, exposure);
			expose_grouping(lfirst_node(WindowClause, lc)->orderClause, exposure);
		}
		(void) query_tree_walker(query, expose_walker, context, 0);
		exposure->query_foreign |= exposure->foreign_code;
		return false;
	}
	if (IsA(node, Var))
		(void) voxanne_visit_type_functions(((Var *) node)->vartype, is_foreign_function, context);
	(void) check_functions_in_node(node, is_foreign_function, context);
	return expression_tree_walker(node, expose_walker, context);
}

/* The operators by which rows are grouped and sorted. */
static void
expose_grouping(List *clauses, Exposure *exposure)
{
	ListCell   *lc;

	foreach(lc, clauses)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);

		(void) is_foreign_function(get_opcode(clause->eqop), exposure);
		if (OidIsValid(clause->sortop))
			(void) is_foreign_function(get_opcode(clause->sortop), exposure);
	}
}

/* Note a table of the query and whether it or a table below it brings foreign code. */
static void
expose_relation(Oid relid, Exposure *exposure)
{
	ListCell   *lc;

	if (relid < FirstNormalObjectId || list_member_oid(exposure->relations, relid))
		return;
	exposure->relations = lappend_oid(exposure->relations, relid);

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (relation_brings_code(lfirst_oid(lc), exposure))
		{
			exposure->hosts = lappend_oid(exposure->hosts, relid);
			return;
		}
	}
}

/*
 * Does the planner, reading this table, meet foreign code?  The stored trees
 * are looked at as they are: the relcache's accessors would already fold them.
 */
static bool
relation_brings_code(Oid relid, Exposure *exposure)
{
	Relation	rel = try_relation_open(relid, NoLock);
	bool		before = exposure->foreign_code;
	bool		brings;
	ListCell   *lc;

	if (rel == NULL)
		return false;
	exposure->foreign_code = false;

	foreach(lc, RelationGetIndexList(rel))
	{
		expose_text(INDEXRELID, lfirst_oid(lc), Anum_pg_index_indexprs, exposure);
		expose_text(INDEXRELID, lfirst_oid(lc), Anum_pg_index_indpred, exposure);
	}
	foreach(lc, RelationGetStatExtList(rel))
		expose_text(STATEXTOID, lfirst_oid(lc), Anum_pg_statistic_ext_stxexprs, exposure);
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		expose_text(PARTRELID, relid, Anum_pg_partitioned_table_partexprs, exposure);
	for (int i = 0; rel->rd_att->constr != NULL && i < rel->rd_att->constr->num_check; i++)
		(void) expose_walker(stringToNode(rel->rd_att->constr->check[i].ccbin), exposure);

	brings = exposure->foreign_code;
	exposure->foreign_code = before;
	relation_close(rel, NoLock);
	return brings;
}

/* Walk an expression that a catalog row holds as text. */
static void
expose_text(int cache, Oid key, AttrNumber attnum, Exposure *exposure)
{
	HeapTuple	tuple = SearchSysCache1(cache, ObjectIdGetDatum(key));
	bool		isnull;
	Datum		tree;

	if (!HeapTupleIsValid(tuple))
		return;
	tree = SysCacheGetAttr(cache, tuple, attnum, &isnull);
	if (!isnull)
		(void) expose_walker(stringToNode(TextDatumGetCString(tree)), exposure);
	ReleaseSysCache(tuple);
}

/*
 * The user to run the query as, restricted: InvalidOid for the caller, as he
 * is, unless the query meets foreign code.  Then it is the owner of the tables
 * that bring it (of all tables, if the query itself does), provided that there
 * is one such owner, that he can read all the tables and is no superuser.
 */
static Oid
choose_user(Exposure *exposure)
{
	List	   *hosts = exposure->query_foreign ? exposure->relations : exposure->hosts;
	Oid			owner = InvalidOid;
	ListCell   *lc;

	if (!exposure->query_foreign && exposure->hosts == NIL)
		return InvalidOid;

	foreach(lc, hosts)
	{
		Oid			host_owner = voxanne_relation_owner(lfirst_oid(lc));

		if (OidIsValid(owner) && owner != host_owner)
			owner = InvalidOid;
		else
			owner = host_owner;
		if (!OidIsValid(owner))
			break;
	}
	if (OidIsValid(owner) && superuser_arg(owner))
		owner = InvalidOid;
	foreach(lc, exposure->relations)
	{
		if (!OidIsValid(owner))
			break;
		if (pg_class_aclcheck(lfirst_oid(lc), owner, ACL_SELECT) != ACLCHECK_OK)
			owner = InvalidOid;
	}
	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("reading these tables would run functions of other users, and they have no single owner as whom that could be done")));
	return owner;
}
