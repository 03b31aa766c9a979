/*
 * src/policy/effective.c
 *		The predicate that really applies to a role's statement.
 *
 * The server composes it from all policies (role membership, PERMISSIVE and
 * RESTRICTIVE, USING in place of WITH CHECK, the SELECT policies that a WHERE
 * or RETURNING pulls in), so the server is asked, for a statement that is
 * never run.
 */
#include "postgres.h"

#include "access/table.h"
#include "audit.h"
#include "core/compat.h"
#include "expression.h"
#include "nodes/makefuncs.h"
#include "parser/parse_relation.h"
#include "rewrite/rowsecurity.h"
#include "utils/rel.h"

static List *peel_all(List *clauses);

/*
 * What the rows that the statement finds, and those that it writes, must
 * satisfy: clauses that must all hold, subselects peeled.  "perms" are the
 * privileges that the statement needs; ACL_SELECT among them is what a WHERE
 * or RETURNING adds.  Row security must apply to the role (check_enable_rls());
 * setting row_security must be on and the table be locked.  True if there are
 * subselects among the clauses, peeled ones included.
 */
bool
voxanne_effective(Relation rel, Oid role, CmdType command, AclMode perms,
				  List **old_row, List **new_row)
{
	Query	   *query = makeNode(Query);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	List	   *quals;
	List	   *checks;
	List	   *clauses = NIL;
	bool		has_row_security;
	bool		has_sublinks;
	ListCell   *lc;

	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(rel);
	rte->relkind = rel->rd_rel->relkind;
	rte->rellockmode = AccessShareLock;
	voxanne_rte_ask(query, rte, role, perms);

	query->commandType = command;
	query->resultRelation = command == CMD_SELECT ? 0 : 1;
	query->rtable = list_make1(rte);
	get_row_security_policies(query, rte, 1, &quals, &checks, &has_row_security, &has_sublinks);

	foreach(lc, checks)
		clauses = lappend(clauses, ((WithCheckOption *) lfirst(lc))->qual);
	*old_row = peel_all(quals);
	*new_row = peel_all(clauses);
	return has_sublinks;
}

static List *
peel_all(List *clauses)
{
	List	   *peeled = NIL;
	ListCell   *lc;

	foreach(lc, clauses)
		peeled = lappend(peeled, voxanne_peel_subselects(lfirst(lc)));
	return peeled;
}

/*
 * What a judgement means for a role: rows of the caller's own there are none
 * for a role without users.
 */
VoxBinding
voxanne_binding_of(const char *role, VoxBinding binding)
{
	if ((binding == VOX_BOUND || binding == VOX_SCOPED) && voxanne_is_anonymous(role))
		return VOX_NOTHING;
	return binding;
}
