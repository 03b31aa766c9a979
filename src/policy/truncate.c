/*
 * src/policy/truncate.c
 *		TRUNCATE, which row security does not govern.
 *
 * Default privileges that grant ALL hand it out with every new table, so one
 * finding per role names all the tables.
 */
#include "postgres.h"

#include "audit.h"
#include "core/words.h"
#include "lib/stringinfo.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* The tables that one role may empty. */
typedef struct Emptiable
{
	StringInfoData revocations; /* one statement a table */
	int			tables;
	bool		revocable;		/* every privilege has its statement */
} Emptiable;

/*
 * Note the roles that may empty a table with row security.
 */
void
voxanne_note_truncate(VoxAudit *audit, VoxTable *table)
{
	for (int i = 0; i < audit->role_count; i++)
	{
		Emptiable  *emptiable;
		char	   *statement;
		MemoryContext old;

		/* an owner's own right is a finding of its own */
		if (!(table->granted[i] & ACL_TRUNCATE) || audit->roles[i].exempt ||
			has_privs_of_role(audit->roles[i].oid, table->rel->rd_rel->relowner))
			continue;
		statement = voxanne_revocation(table, &audit->roles[i], ACL_TRUNCATE);
		old = MemoryContextSwitchTo(audit->context);
		if (audit->emptiable == NULL)
			audit->emptiable = palloc0_array(struct Emptiable *, audit->role_count);
		if (audit->emptiable[i] == NULL)
		{
			audit->emptiable[i] = palloc0_object(Emptiable);
			initStringInfo(&audit->emptiable[i]->revocations);
			audit->emptiable[i]->revocable = true;
		}
		emptiable = audit->emptiable[i];
		emptiable->tables++;
		if (statement == NULL)
			emptiable->revocable = false;
		else
			appendStringInfo(&emptiable->revocations, "%s%s", emptiable->revocations.len > 0 ? " " : "", statement);
		MemoryContextSwitchTo(old);
	}
}

/*
 * Report them, after all tables.
 */
void
voxanne_report_truncate(VoxAudit *audit)
{
	for (int i = 0; audit->emptiable != NULL && i < audit->role_count; i++)
	{
		Emptiable  *emptiable = audit->emptiable[i];
		VoxAuditRole *role = &audit->roles[i];
		VoxAuditFinding finding = {
			.severity = VOX_INFO,
			.verdict = VOX_LEAK,
			.check = "truncate_granted",
			.object = role->shown,
			.role = role->name,
			.command = "TRUNCATE",
			.advice = "Revoke it: no policy stops TRUNCATE, and an application does not need it.",
		};

		if (emptiable == NULL)
			continue;
		finding.detail = psprintf("%s may TRUNCATE %s with row security, all tenants' rows at once.", role->shown,
								  voxanne_count_of(emptiable->tables, "table", "tables"));
		finding.remedy = emptiable->revocable ? emptiable->revocations.data : NULL;
		voxanne_audit_report(audit, &finding);
	}
}
