/*
 * src/policy/descent.c
 *		The way from a view down to the tables that a statement gets to through it.
 *
 * What counts is who the user is at the end of the way, through any number of
 * views: each runs as its owner or as whoever uses it.
 */
#include "postgres.h"

#include "access/table.h"
#include "audit.h"
#include "core/relation.h"
#include "core/trees.h"
#include "descent.h"
#include "expression.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/rls.h"

static List *relations_below(const VoxDescent *descent, Relation rel, Query *query);
static bool takes_over(Relation view, CmdType command);
static bool is_filter(const VoxDescent *descent, Relation rel);
static bool descend_into(VoxDescent *descent, Oid relid, Oid userid, Oid asking);
static bool reaches_all(const VoxDescent *descent, Relation rel, Oid userid, AttrNumber tenant);
static bool relation_walker(Node *node, List **relations);

/*
 * The query of a view or materialized view; NULL if it has none.
 */
Node *
voxanne_view_query(Relation rel)
{
	if (rel->rd_rules == NULL)
		return NULL;
	for (int i = 0; i < rel->rd_rules->numLocks; i++)
		if (rel->rd_rules->rules[i]->event == CMD_SELECT)
			return linitial(rel->rd_rules->rules[i]->actions);
	return NULL;
}

/*
 * Go through the relations that the statement gets to through the view; true
 * when it gets to a table with tenants as another user than who is asking, and
 * policies do not apply to him.
 */
bool
voxanne_descend(VoxDescent *descent, Relation rel, Oid userid, Oid asking)
{
	Node	   *query = voxanne_view_query(rel);
	bool		switches = rel->rd_rel->relkind == RELKIND_MATVIEW || !RelationHasSecurityInvoker(rel);
	VoxContents contents;
	ListCell   *lc;

	check_stack_depth();
	if (query == NULL)
		return false;
	if (switches)
	{
		userid = rel->rd_rel->relowner;
		descent->switches = lappend_oid(descent->switches, RelationGetRelid(rel));
	}
	voxanne_contents(query, InvalidAttrNumber, &contents);
	if ((contents.caller || contents.foreign_code) && is_filter(descent, rel))
		descent->asks_caller = true;
	if (rel->rd_rel->relkind == RELKIND_VIEW && RelationHasCascadedCheckOption(rel))
		descent->checked = true;
	foreach(lc, relations_below(descent, rel, (Query *) query))
		if (lfirst_oid(lc) != RelationGetRelid(rel) &&
			descend_into(descent, lfirst_oid(lc), userid, asking))
		return true;
	if (switches)
		descent->switches = list_delete_last(descent->switches);
	return false;
}

/*
 * Oids of the relations that the statement reads or, through a view that the
 * server makes updatable, the one that it writes.  What a trigger or a rule does
 * in its place is not known.
 */
static List *
relations_below(const VoxDescent *descent, Relation rel, Query *query)
{
	RangeTblRef *target;

	if (descent->command == CMD_SELECT)
		return voxanne_relations_in((Node *) query);
	if (rel->rd_rel->relkind != RELKIND_VIEW || takes_over(rel, descent->command) ||
		view_query_is_auto_updatable(query, descent->command != CMD_DELETE) != NULL)
		return NIL;
	target = linitial_node(RangeTblRef, query->jointree->fromlist);
	return list_make1_oid(rt_fetch(target->rtindex, query->rtable)->relid);
}

/* Does a rule or an INSTEAD OF trigger of the view do something else than the statement says? */
static bool
takes_over(Relation view, CmdType command)
{
	for (int i = 0; i < view->rd_rules->numLocks; i++)
		if (view->rd_rules->rules[i]->event == command)
			return true;
	return view->trigdesc != NULL &&
		(command == CMD_INSERT ? view->trigdesc->trig_insert_instead_row :
		 command == CMD_UPDATE ? view->trigdesc->trig_update_instead_row : view->trigdesc->trig_delete_instead_row);
}

/* Does what the view's query tests bind the statement?  An INSERT only by the check option. */
static bool
is_filter(const VoxDescent *descent, Relation rel)
{
	return descent->command != CMD_INSERT || descent->checked ||
		(rel->rd_rel->relkind == RELKIND_VIEW && RelationHasCheckOption(rel));
}

static bool
descend_into(VoxDescent *descent, Oid relid, Oid userid, Oid asking)
{
	Relation	rel;
	bool		found = false;

	if (voxanne_try_lock(relid, AccessShareLock) != VOX_LOCKED)
		return false;
	rel = table_open(relid, NoLock);
	switch (rel->rd_rel->relkind)
	{
		case RELKIND_VIEW:
		case RELKIND_MATVIEW:
			found = voxanne_descend(descent, rel, userid, asking);
			break;
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			found = userid != asking &&
				reaches_all(descent, rel, userid, voxanne_find_column(relid, descent->tenant_column));
			if (found)
			{
				descent->table = relid;
				descent->userid = userid;
			}
			break;
	}
	table_close(rel, NoLock);
	UnlockRelationOid(relid, AccessShareLock);
	return found;
}

/*
 * Does the statement get to rows of every tenant when a user who is not the one
 * asking runs it, whoever that is?  Where only running a policy could tell, it
 * is believed to bind him.
 */
static bool
reaches_all(const VoxDescent *descent, Relation rel, Oid userid, AttrNumber tenant)
{
	VoxJudge	judge = {.desc = RelationGetDescr(rel),.tenant = tenant};
	Oid			relid = RelationGetRelid(rel);
	List	   *old_row;
	List	   *new_row;

	if (tenant == InvalidAttrNumber)
		return false;
	if (descent->command != CMD_SELECT && pg_class_aclcheck(relid, userid, descent->privilege) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(relid, userid, descent->privilege, ACLMASK_ANY) != ACLCHECK_OK)
		return false;
	if (check_enable_rls(relid, userid, true) != RLS_ENABLED)
		return true;
	voxanne_effective(rel, userid, descent->command, descent->privilege, &old_row, &new_row);
	return voxanne_judge_all(&judge, descent->command == CMD_INSERT ? new_row : old_row) >= VOX_PINNED;
}

/*
 * Oids of the relations in FROM of a query or of an expression's subselects,
 * at any level, each once.
 */
List *
voxanne_relations_in(Node *node)
{
	List	   *relations = NIL;

	(void) relation_walker(node, &relations);
	return relations;
}

static bool
relation_walker(Node *node, List **relations)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		if (((RangeTblEntry *) node)->rtekind == RTE_RELATION)
			*relations = list_append_unique_oid(*relations, ((RangeTblEntry *) node)->relid);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, relation_walker, relations, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, relation_walker, relations);
}
