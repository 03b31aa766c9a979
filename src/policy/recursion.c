/*
 * src/policy/recursion.c
 *		Policies that lead back to their own table.
 *
 * The rewriter puts the policies for SELECT on every table that it finds in a
 * subselect of a policy.  If that is a table it comes from, and there are
 * subselects again, it gives up with 42P17, whatever they look into.
 */
#include "postgres.h"

#include "access/table.h"
#include "audit.h"
#include "core/relation.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/rel.h"
#include "utils/rls.h"

/* A way through policies from one table, as one role. */
typedef struct Search
{
	VoxAudit   *audit;
	VoxTable   *table;
	List	   *path;			/* oids: from the table to where we are */
	List	   *seen;			/* oids: been there */
} Search;

static List *endless_way(Search *search, int role, AclMode *endless);
static bool comes_back(Search *search, List *clauses, Oid userid);
static bool goes_on(Search *search, Oid userid);
static bool relation_comes_back(Search *search, Oid relid, Oid userid);
static List *next_clauses(Relation rel, Oid *userid);
static void report_cycle(Search *search, const List *way, AclMode endless);

/*
 * Report a table whose policies come back to it.
 */
void
voxanne_check_recursion(VoxAudit *audit, VoxTable *table)
{
	Search		search = {.audit = audit,.table = table};
	AclMode		endless = 0;
	List	   *way = NIL;

	for (int i = 0; i < audit->role_count; i++)
	{
		List	   *found = NIL;

		if (check_enable_rls(RelationGetRelid(table->rel), audit->roles[i].oid, true) == RLS_ENABLED)
			found = endless_way(&search, i, &endless);
		if (found != NIL && (way == NIL || (endless & ACL_SELECT)))
			way = found;
	}
	if (way != NIL)
		report_cycle(&search, way, endless);
}

/*
 * The way on which the rewriter comes back to the table, or NIL; the privileges
 * by whose use it does are added to "endless".  SELECT stands for all: once it
 * is there, no other is looked for.
 */
static List *
endless_way(Search *search, int role, AclMode *endless)
{
	static const AclMode privileges[] = {ACL_SELECT, ACL_INSERT, ACL_UPDATE, ACL_DELETE};
	VoxAuditRole *asking = &search->audit->roles[role];
	List	   *way = NIL;

	for (int i = 0; i < (int) lengthof(privileges) && !(*endless & ACL_SELECT); i++)
	{
		if (!(search->table->granted[role] & privileges[i]))
			continue;
		search->path = list_make1_oid(RelationGetRelid(search->table->rel));
		search->seen = NIL;
		if (!comes_back(search, voxanne_clauses_of(search->table, asking, privileges[i]), asking->oid))
			continue;
		*endless |= privileges[i];
		if (way == NIL)
			way = search->path;
	}
	return way;
}

/*
 * Does following the subselects of the clauses, as the rewriter does, lead back
 * to the table?  search->path then is the way.
 */
static bool
comes_back(Search *search, List *clauses, Oid userid)
{
	ListCell   *lc;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	foreach(lc, voxanne_relations_in((Node *) clauses))
	{
		if (lfirst_oid(lc) == linitial_oid(search->path))
			return goes_on(search, userid);
		if (list_member_oid(search->seen, lfirst_oid(lc)))
			continue;
		search->seen = lappend_oid(search->seen, lfirst_oid(lc));
		if (relation_comes_back(search, lfirst_oid(lc), userid))
			return true;
	}
	return false;
}

/*
 * Having come back to the table, does the rewriter find subselects again?  It
 * reads the table now, so the policies for SELECT count; without a subselect
 * among them it ends there.
 */
static bool
goes_on(Search *search, Oid userid)
{
	Relation	rel = search->table->rel;
	List	   *old_row;
	List	   *new_row;

	return check_enable_rls(RelationGetRelid(rel), userid, true) == RLS_ENABLED &&
		voxanne_effective(rel, userid, CMD_SELECT, ACL_SELECT, &old_row, &new_row);
}

static bool
relation_comes_back(Search *search, Oid relid, Oid userid)
{
	Relation	rel;
	List	   *clauses;
	bool		result;

	if (voxanne_try_lock(relid, AccessShareLock) != VOX_LOCKED)
		return false;
	rel = table_open(relid, NoLock);
	clauses = next_clauses(rel, &userid);
	search->path = lappend_oid(search->path, relid);
	result = comes_back(search, clauses, userid);
	if (!result)
		search->path = list_delete_last(search->path);
	table_close(rel, NoLock);
	UnlockRelationOid(relid, AccessShareLock);
	return result;
}

/*
 * What the rewriter goes on with: a table's policies for SELECT, a view's
 * query, which is run as the view's owner unless it is security_invoker.
 */
static List *
next_clauses(Relation rel, Oid *userid)
{
	List	   *old_row = NIL;
	List	   *new_row;

	if (rel->rd_rel->relkind == RELKIND_VIEW)
	{
		if (!RelationHasSecurityInvoker(rel))
			*userid = rel->rd_rel->relowner;
		return voxanne_view_query(rel) == NULL ? NIL : list_make1(voxanne_view_query(rel));
	}
	if (check_enable_rls(RelationGetRelid(rel), *userid, true) == RLS_ENABLED)
		voxanne_effective(rel, *userid, CMD_SELECT, ACL_SELECT, &old_row, &new_row);
	return old_row;
}

/*
 * A cycle by which nobody can read is found from each of its tables, and reported
 * at that audited one whose name comes first.
 */
static void
report_cycle(Search *search, const List *way, AclMode endless)
{
	VoxAuditFinding finding = {
		.severity = VOX_CRITICAL,
		.verdict = VOX_ERROR,
		.check = "policy_recursion",
		.relation = search->table->name,
		.advice = "Look the membership up in a SECURITY DEFINER function whose owner the policies do not bind.",
	};
	StringInfoData words;
	ListCell   *lc;

	initStringInfo(&words);
	foreach(lc, way)
	{
		char	   *name = voxanne_relation_name(lfirst_oid(lc));

		if ((endless & ACL_SELECT) && list_member_oid(search->audit->tables, lfirst_oid(lc)) &&
			strcmp(name, search->table->name) < 0)
			return;
		appendStringInfo(&words, "%s%s", words.len > 0 ? " over " : "", name);
	}
	if (!(endless & ACL_SELECT))
		finding.command = voxanne_privilege_words(endless);
	finding.detail = psprintf("Policies lead from %s back to %s: %s fails with 42P17.", words.data, search->table->name,
							  finding.command == NULL ? "every query there" :
							  psprintf("every statement there that needs %s", finding.command));
	voxanne_audit_report(search->audit, &finding);
}
