/*
 * src/policy/view.c
 *		Views through which a role reads what the policies would keep from it.
 *
 * A view runs as its owner unless it is security_invoker, and a materialized
 * view holds what its owner saw; if policies do not apply to the owner, or let
 * him see every tenant, they keep nothing from whoever may read the view.  What counts is the way down to the
 * table, through any number of views.
 */
#include "postgres.h"

#include "access/table.h"
#include "audit.h"
#include "core/relation.h"
#include "core/trees.h"
#include "expression.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "rewrite/prs2lock.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

/* A way down from a view. */
typedef struct Descent
{
	VoxAudit   *audit;
	List	   *switches;		/* oids: views on the way that change the user */
	Oid			table;			/* a table with tenants reached as "userid" */
	Oid			userid;
	bool		asks_caller;	/* a query on the way looks at who is asking */
} Descent;

static void check_role(VoxAudit *audit, VoxTable *view, List *readers, const bool *reads);
static bool descend(Descent *descent, Relation rel, Oid userid, Oid asking);
static bool descend_into(Descent *descent, Oid relid, Oid userid, Oid asking);
static bool sees_all(Relation rel, Oid userid, AttrNumber tenant);
static bool relation_walker(Node *node, List **relations);
static char *make_invoker(Descent *descent);

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
 * Report a view that shows a role under audit rows of every tenant.
 */
void
voxanne_check_view(VoxAudit *audit, VoxTable *view)
{
	bool	   *reads = palloc0_array(bool, audit->role_count);
	List	   *readers = NIL;

	for (int i = 0; i < audit->role_count; i++)
		if ((view->granted[i] & ACL_SELECT) && !audit->roles[i].exempt)
		{
			reads[i] = true;
			readers = lappend_int(readers, i);
		}
	if (readers != NIL)
		check_role(audit, view, readers, reads);
}

static void
check_role(VoxAudit *audit, VoxTable *view, List *readers, const bool *reads)
{
	Oid			asking = audit->roles[linitial_int(readers)].oid;
	Descent		descent = {.audit = audit};
	bool		stored = view->rel->rd_rel->relkind == RELKIND_MATVIEW;
	Query	   *query = (Query *) voxanne_view_query(view->rel);
	char	   *table;
	VoxAuditFinding finding = {
		.verdict = VOX_LEAK,
		.check = "view_bypasses_rls",
		.relation = view->name,
		.command = "SELECT",
		.role = voxanne_only_role(audit, reads),
	};

	if (query == NULL || !descend(&descent, view->rel, asking, asking))
		return;
	table = voxanne_relation_name(descent.table);
	if (descent.asks_caller && !stored)
	{
		finding.check = "view_unproven";
		finding.severity = VOX_INFO;
		finding.verdict = VOX_HYGIENE;
		finding.detail = psprintf("Rows of %s are open to %s through this view as far as it tests the caller itself; it reads them as %s, whom no policy binds.",
								  table, voxanne_role_words(audit, reads, ", "), voxanne_role_name(descent.userid));
	}
	else
	{
		finding.severity = query->hasAggs ? VOX_WARNING : VOX_CRITICAL;
		finding.detail = psprintf("%s of %s are open to %s: this view %s.",
								  query->hasAggs ? "Figures over every tenant" : "Every tenant's rows", table,
								  voxanne_role_words(audit, reads, ", "),
								  stored ? "stores what its owner saw" :
								  psprintf("reads as %s, whom no policy binds", voxanne_role_name(descent.userid)));
	}
	finding.advice = stored ? "A materialized view has no row security: revoke the privilege and show it through a view that tests the tenant." :
		"Let the view run as whoever asks; the roles then need SELECT on the table, and its policies apply.";
	if (!stored)
		finding.remedy = make_invoker(&descent);
	else
	{
		StringInfoData buf;
		ListCell   *lc;

		initStringInfo(&buf);
		foreach(lc, readers)
		{
			char	   *revoke_sql = voxanne_revocation(view, &audit->roles[lfirst_int(lc)], ACL_SELECT);

			if (revoke_sql == NULL)
				break;
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? " " : "", revoke_sql);
		}
		finding.remedy = lc == NULL ? buf.data : NULL;
	}
	voxanne_audit_report(audit, &finding);
}

/*
 * Go through the relations that the view reads; true when a table with tenants
 * is read by another user than who is asking, and policies do not apply to him.
 */
static bool
descend(Descent *descent, Relation rel, Oid userid, Oid asking)
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
	if (contents.caller || contents.foreign_code)
		descent->asks_caller = true;
	foreach(lc, voxanne_relations_in(query))
		if (lfirst_oid(lc) != RelationGetRelid(rel) &&
			descend_into(descent, lfirst_oid(lc), userid, asking))
		return true;
	if (switches)
		descent->switches = list_delete_last(descent->switches);
	return false;
}

static bool
descend_into(Descent *descent, Oid relid, Oid userid, Oid asking)
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
			found = descend(descent, rel, userid, asking);
			break;
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			found = userid != asking &&
				sees_all(rel, userid, voxanne_find_column(relid, descent->audit->tenant_column));
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
 * Does a user who is not the one asking see rows of every tenant, whoever that
 * is?  Where only running a policy could tell, it is believed to bind him.
 */
static bool
sees_all(Relation rel, Oid userid, AttrNumber tenant)
{
	VoxJudge	judge = {.desc = RelationGetDescr(rel),.tenant = tenant};
	List	   *old_row;
	List	   *new_row;

	if (tenant == InvalidAttrNumber)
		return false;
	if (check_enable_rls(RelationGetRelid(rel), userid, true) != RLS_ENABLED)
		return true;
	voxanne_effective(rel, userid, CMD_SELECT, ACL_SELECT, &old_row, &new_row);
	return voxanne_judge_all(&judge, old_row) >= VOX_PINNED;
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

/* ALTER VIEW for each that changes the user on the way; NULL if one of them cannot. */
static char *
make_invoker(Descent *descent)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, descent->switches)
	{
		if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_VIEW)
			return NULL;
		appendStringInfo(&buf, "%sALTER VIEW %s SET (security_invoker = true);", buf.len > 0 ? " " : "",
						 voxanne_relation_name(lfirst_oid(lc)));
	}
	return buf.data;
}
