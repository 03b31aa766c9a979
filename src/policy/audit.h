/*
 * src/policy/audit.h
 *		State of one rls_audit() call, and the parts that work on it.
 */
#ifndef VOXANNE_AUDIT_H
#define VOXANNE_AUDIT_H

#include "core/finding.h"
#include "judge.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/relcache.h"

/* The privileges whose use row security governs, and TRUNCATE, which it does not. */
#define VOX_GOVERNED_PRIVILEGES (ACL_SELECT | ACL_INSERT | ACL_UPDATE | ACL_DELETE)

/* A role under audit. */
typedef struct VoxAuditRole
{
	Oid			oid;			/* for PUBLIC: a role that is nothing else */
	const char *name;			/* as it is in pg_roles; NULL: PUBLIC */
	const char *shown;			/* quoted, for messages and SQL */
	bool		exempt;			/* superuser or BYPASSRLS: policies never
								 * apply */
} VoxAuditRole;

/* A policy of the table at hand. */
typedef struct VoxPolicy
{
	const char *name;
	char		command;		/* as in pg_policy: r a w d, * for all */
	bool		permissive;
	List	   *roles;			/* oids; 0: PUBLIC */
	Node	   *using;			/* or NULL; subselects peeled */
	Node	   *check;			/* or NULL; subselects peeled */
	Node	   *stored_using;	/* as stored, for remedies */
	Node	   *stored_check;
} VoxPolicy;

/* The table at hand; it is open and locked in AccessShareLock. */
typedef struct VoxTable
{
	Relation	rel;
	const char *name;			/* quoted identity */
	AttrNumber	tenant;			/* or InvalidAttrNumber */
	List	   *policies;		/* VoxPolicy *, by name */
	AclMode    *granted;		/* per audited role: privileges on the table
								 * or a column */
} VoxTable;

typedef struct VoxAudit
{
	VoxSink    *sink;
	const char *tenant_column;
	VoxAuditRole *roles;
	int			role_count;
	List	   *tables;			/* oids, by name */
	List	   *views;			/* oids, by name; materialized ones, too */
	List	   *helpers;		/* TenantHelper *, see helper.c */
	List	   *needs;			/* Need *, see dependency.c */
	struct Emptiable **emptiable;	/* per audited role, see truncate.c; or
									 * NULL */
	MemoryContext context;		/* of the whole call */
	MemoryContext table_context;	/* reset after each table */
} VoxAudit;

typedef enum VoxVerdict
{
	VOX_LEAK,					/* a role reaches rows that are not its own */
	VOX_LOCKOUT,				/* a role does not reach rows that it should */
	VOX_ERROR,					/* a query fails */
	VOX_PERFORMANCE,
	VOX_HYGIENE
} VoxVerdict;

/* A finding with rls_audit()'s own columns; unset members are NULL. */
typedef struct VoxAuditFinding
{
	VoxSeverity severity;
	VoxVerdict	verdict;
	const char *check;
	const char *object;			/* quoted identity; default: relation */
	const char *discriminator;	/* of the key */
	const char *detail;
	const char *advice;
	const char *remedy;
	const char *relation;		/* quoted identity */
	const char *policy;			/* as in pg_policy */
	const char *role;			/* as in pg_roles */
	const char *command;
	const char *metadata;		/* text of a jsonb object */
} VoxAuditFinding;

/* audit.c */
extern void voxanne_audit_report(VoxAudit *audit, const VoxAuditFinding *finding);
extern void voxanne_audit_skip(VoxAudit *audit, const char *object, const char *reason,
							   const char *advice);

/* table.c */
extern void voxanne_audit_open_table(VoxAudit *audit, Relation rel, VoxTable *table);
extern bool voxanne_policy_applies(const VoxPolicy *policy, char command, Oid role);
extern List *voxanne_audit_list(ArrayType *schemas, const char *relkinds);

/* effective.c */
extern bool voxanne_effective(Relation rel, Oid role, CmdType command, AclMode perms,
							  List **old_row, List **new_row);
extern VoxBinding voxanne_binding_of(const char *role, VoxBinding binding);

/* one file for each group of checks */
extern void voxanne_check_foreign(VoxAudit *audit, VoxTable *table);
extern void voxanne_check_switched_off(VoxAudit *audit, VoxTable *table);
extern void voxanne_check_owner(VoxAudit *audit, VoxTable *table);
extern void voxanne_check_exposure(VoxAudit *audit, VoxTable *table);
extern void voxanne_check_lockout(VoxAudit *audit, VoxTable *table);
extern void voxanne_check_dead_policies(VoxAudit *audit, VoxTable *table);
extern void voxanne_check_text_comparison(VoxAudit *audit, VoxTable *table);
extern void voxanne_check_principal(VoxAudit *audit, VoxTable *table);
extern Node *voxanne_guard_settings(Node *node);
extern bool voxanne_is_user_written(Node *node);
extern void voxanne_check_dependencies(VoxAudit *audit, VoxTable *table);
extern List *voxanne_clauses_of(VoxTable *table, VoxAuditRole *role, AclMode granted);
extern void voxanne_check_recursion(VoxAudit *audit, VoxTable *table);
extern void voxanne_report_needs(VoxAudit *audit);
extern void voxanne_note_truncate(VoxAudit *audit, VoxTable *table);
extern void voxanne_report_truncate(VoxAudit *audit);
extern void voxanne_check_unindexed(VoxAudit *audit, VoxTable *table);
extern void voxanne_check_view(VoxAudit *audit, VoxTable *view);
extern void voxanne_check_roles(VoxAudit *audit);

/* descent.c */
extern Node *voxanne_view_query(Relation rel);
extern List *voxanne_relations_in(Node *node);

/* lockout.c */
extern char *voxanne_revocation(VoxTable *table, VoxAuditRole *role, AclMode privileges);
extern char *voxanne_revocations(VoxAudit *audit, VoxTable *table, const AclMode *access);

/* helper.c */
extern void voxanne_helper_vote(VoxAudit *audit, VoxTable *table);
extern char *voxanne_helper_predicate(VoxAudit *audit, VoxTable *table);
extern bool voxanne_helper_is_usual(VoxAudit *audit, VoxTable *table, const char **claim);

/* words.c */
extern char *voxanne_privilege_words(AclMode privileges);
extern char *voxanne_role_words(VoxAudit *audit, const bool *chosen, const char *separator);
extern const char *voxanne_only_role(VoxAudit *audit, const bool *chosen);
extern char *voxanne_json_access(VoxAudit *audit, const AclMode *privileges);
extern char *voxanne_deparse(VoxTable *table, Node *expr);
extern char *voxanne_free_policy_name(VoxTable *table, const char *suffix);

#endif							/* VOXANNE_AUDIT_H */
