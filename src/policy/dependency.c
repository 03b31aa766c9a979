/*
 * src/policy/dependency.c
 *		What policies need in order to work: functions and tables.
 *
 * A function that the role may not execute or a table that it may not read
 * makes every query fail; a table of which it sees no row makes the policy
 * true for nobody.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "audit.h"
#include "catalog/pg_proc.h"
#include "core/compat.h"
#include "core/relation.h"
#include "core/trees.h"
#include "core/words.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/rls.h"

/* Something that a role lacks; noted by each table, reported once. */
typedef struct Need
{
	const struct NeedKind *kind;
	Oid			object;
	char	   *name;			/* quoted identity */
	char	   *remedy;			/* without the roles at its end; or NULL */
	bool	   *roles;			/* per audited role */
	int			tables;			/* whose policies need it */
	Oid			last_table;
} Need;

typedef struct NeedKind
{
	const char *check;
	VoxSeverity severity;
	VoxVerdict	verdict;
	const char *lacks;			/* what the role cannot do with it */
	const char *use;			/* what policies do with it */
	const char *effect;
	const char *advice;
} NeedKind;

static const NeedKind no_execute = {
	"policy_function_denied", VOX_CRITICAL, VOX_ERROR,
	"may not execute", "call", "every query there fails",
	"Grant EXECUTE on the function; a policy runs its functions as the role that asks."
};
static const NeedKind no_select = {
	"policy_table_denied", VOX_CRITICAL, VOX_ERROR,
	"may not read", "look into", "every query there fails",
	"Grant SELECT on it, under row security of its own, or look it up in a SECURITY DEFINER function."
};
static const NeedKind no_rows = {
	"policy_table_empty", VOX_WARNING, VOX_LOCKOUT,
	"sees no row of", "look into", "they let no row through",
	"Write a policy for SELECT that shows the role its own rows of it."
};

/* One role's policies on one table. */
typedef struct Search
{
	VoxAudit   *audit;
	VoxTable   *table;
	int			role;			/* index */
} Search;

static bool function_walker(Node *node, Search *search);
static bool check_function(Oid funcid, void *context);
static void check_relation(Search *search, Oid relid);
static bool sees_nothing(Search *search, Oid relid);
static void need(Search *search, const NeedKind *kind, Oid object, char *name, char *remedy);

/*
 * Look at what the table's policies refer to; lacks are kept for
 * voxanne_report_needs().
 */
void
voxanne_check_dependencies(VoxAudit *audit, VoxTable *table)
{
	Search		search = {.audit = audit,.table = table};
	ListCell   *lc;

	for (search.role = 0; search.role < audit->role_count; search.role++)
	{
		Oid			role = audit->roles[search.role].oid;
		AclMode		granted = table->granted[search.role] & VOX_GOVERNED_PRIVILEGES;
		List	   *clauses;

		if (granted == 0 || check_enable_rls(RelationGetRelid(table->rel), role, true) != RLS_ENABLED)
			continue;
		clauses = voxanne_clauses_of(table, &audit->roles[search.role], granted);
		(void) function_walker((Node *) clauses, &search);
		foreach(lc, voxanne_relations_in((Node *) clauses))
			if (lfirst_oid(lc) != RelationGetRelid(table->rel))
			check_relation(&search, lfirst_oid(lc));
	}
}

/*
 * All that applies to those statements of the role on the table that may find or
 * write a row; for the privileges "granted".
 */
List *
voxanne_clauses_of(VoxTable *table, VoxAuditRole *role, AclMode granted)
{
	static const struct
	{
		AclMode		privilege;
		CmdType		statement;
	}			statements[] = {
		{ACL_SELECT, CMD_SELECT}, {ACL_INSERT, CMD_INSERT},
		{ACL_UPDATE, CMD_UPDATE}, {ACL_DELETE, CMD_DELETE}
	};
	VoxJudge	judge = {
		.desc = RelationGetDescr(table->rel),
		.tenant = table->tenant,
		.role = role->name,
	};
	List	   *clauses = NIL;

	for (int i = 0; i < (int) lengthof(statements); i++)
	{
		List	   *old_row;
		List	   *new_row;

		if (!(granted & statements[i].privilege))
			continue;
		voxanne_effective(table->rel, role->oid, statements[i].statement, statements[i].privilege,
						  &old_row, &new_row);
		if (voxanne_binding_of(role->name, voxanne_judge_all(&judge, old_row)) != VOX_NOTHING &&
			voxanne_binding_of(role->name, voxanne_judge_all(&judge, new_row)) != VOX_NOTHING)
			clauses = list_concat_unique(list_concat_unique(clauses, old_row), new_row);
	}
	return clauses;
}

/* Input and output functions of casts need no privilege. */
static bool
function_walker(Node *node, Search *search)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, function_walker, search, 0);
	if (!IsA(node, CoerceViaIO))
		(void) check_functions_in_node(node, check_function, search);
	return expression_tree_walker(node, function_walker, search);
}

static bool
check_function(Oid funcid, void *context)
{
	Search	   *search = context;
	char	   *name;

	if (funcid < FirstNormalObjectId ||
		voxanne_function_executable(funcid, search->audit->roles[search->role].oid))
		return false;
	name = format_procedure_qualified(funcid);
	need(search, &no_execute, funcid, name, psprintf("GRANT EXECUTE ON FUNCTION %s TO", name));
	return false;
}

static void
check_relation(Search *search, Oid relid)
{
	Oid			role = search->audit->roles[search->role].oid;
	char	   *name = voxanne_relation_name(relid);

	if (name == NULL)
		return;
	if (pg_class_aclcheck(relid, role, ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(relid, role, ACL_SELECT, ACLMASK_ANY) != ACLCHECK_OK)
		need(search, &no_select, relid, name,
			 check_enable_rls(relid, role, true) == RLS_ENABLED ?
			 psprintf("GRANT SELECT ON %s TO", name) : NULL);
	else if (check_enable_rls(relid, role, true) == RLS_ENABLED && sees_nothing(search, relid))
		need(search, &no_rows, relid, name, NULL);
}

static bool
sees_nothing(Search *search, Oid relid)
{
	VoxAuditRole *role = &search->audit->roles[search->role];
	VoxJudge	judge = {.role = role->name};
	Relation	rel;
	List	   *old_row;
	List	   *new_row;
	bool		result;

	if (voxanne_try_lock(relid, AccessShareLock) != VOX_LOCKED)
		return false;			/* it gets its own check_skipped */
	rel = table_open(relid, NoLock);
	judge.desc = RelationGetDescr(rel);
	judge.tenant = voxanne_find_column(relid, search->audit->tenant_column);
	voxanne_effective(rel, role->oid, CMD_SELECT, ACL_SELECT, &old_row, &new_row);
	result = voxanne_judge_all(&judge, old_row) == VOX_NOTHING;
	table_close(rel, NoLock);
	UnlockRelationOid(relid, AccessShareLock);
	return result;
}

static void
need(Search *search, const NeedKind *kind, Oid object, char *name, char *remedy)
{
	VoxAudit   *audit = search->audit;
	MemoryContext old = MemoryContextSwitchTo(audit->context);
	Oid			table = RelationGetRelid(search->table->rel);
	Need	   *found = NULL;
	ListCell   *lc;

	foreach(lc, audit->needs)
		if (((Need *) lfirst(lc))->kind == kind && ((Need *) lfirst(lc))->object == object)
		found = lfirst(lc);
	if (found == NULL)
	{
		found = palloc0_object(Need);
		found->kind = kind;
		found->object = object;
		found->name = pstrdup(name);
		found->remedy = remedy == NULL ? NULL : pstrdup(remedy);
		found->roles = palloc0_array(bool, audit->role_count);
		audit->needs = lappend(audit->needs, found);
	}
	found->roles[search->role] = true;
	if (found->last_table != table)
		found->tables++;
	found->last_table = table;
	MemoryContextSwitchTo(old);
}

/*
 * Report what was found lacking, after all tables.
 */
void
voxanne_report_needs(VoxAudit *audit)
{
	ListCell   *lc;

	foreach(lc, audit->needs)
	{
		Need	   *found = lfirst(lc);
		char	   *roles = voxanne_role_words(audit, found->roles, ", ");
		VoxAuditFinding finding = {
			.severity = found->kind->severity,
			.verdict = found->kind->verdict,
			.check = found->kind->check,
			.object = found->name,
			.advice = found->kind->advice,
			.role = voxanne_only_role(audit, found->roles),
		};

		finding.detail = psprintf("%s %s %s, which policies of %s %s: %s.", roles, found->kind->lacks,
								  found->name, voxanne_count_of(found->tables, "table", "tables"),
								  found->kind->use, found->kind->effect);
		if (found->remedy != NULL)
			finding.remedy = psprintf("%s %s;", found->remedy, roles);
		voxanne_audit_report(audit, &finding);
	}
}
