/*
 * src/policy/view.c
 *		Views through which a role reads or writes what the policies would keep from it.
 *
 * A view runs as its owner unless it is security_invoker, and a materialized
 * view holds what its owner saw; if policies do not apply to the owner, or let
 * him see every tenant, they keep nothing from whoever may use the view.
 */
#include "postgres.h"

#include "audit.h"
#include "core/relation.h"
#include "descent.h"
#include "lib/stringinfo.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* Who gets to a table through the view, and how. */
typedef struct Passage
{
	bool		open;
	VoxDescent	descent;		/* of the first, if it is open */
	bool	   *roles;			/* per audited role */
	AclMode		privileges;
} Passage;

static void find_passage(VoxAudit *audit, VoxTable *view, CmdType command, AclMode privilege, Passage *passage);
static void find_writing(VoxAudit *audit, VoxTable *view, Passage *passage);
static void report_reading(VoxAudit *audit, VoxTable *view, const Passage *reading, const Passage *writing);
static void report_writing(VoxAudit *audit, VoxTable *view, const Passage *writing);
static char *select_revocations(VoxAudit *audit, VoxTable *view, const bool *roles);
static char *deed_words(AclMode privileges);
static char *make_invoker(const VoxDescent *descent);

/*
 * Report a view that shows a role under audit rows of every tenant, or lets it
 * write them.  One row for both, as one remedy is for both.
 */
void
voxanne_check_view(VoxAudit *audit, VoxTable *view)
{
	Passage		reading;
	Passage		writing;

	find_passage(audit, view, CMD_SELECT, ACL_SELECT, &reading);
	find_writing(audit, view, &writing);
	if (reading.open)
		report_reading(audit, view, &reading, &writing);
	if (writing.open && (!reading.open || (reading.descent.asks_caller && !writing.descent.asks_caller)))
		report_writing(audit, view, &writing);
}

/* The passage for roles that have the privilege on the view. */
static void
find_passage(VoxAudit *audit, VoxTable *view, CmdType command, AclMode privilege, Passage *passage)
{
	Oid			asking = InvalidOid;

	memset(passage, 0, sizeof(*passage));
	passage->descent.tenant_column = audit->tenant_column;
	passage->descent.command = command;
	passage->descent.privilege = privilege;
	passage->roles = palloc0_array(bool, audit->role_count);
	passage->privileges = privilege;
	for (int i = audit->role_count - 1; i >= 0; i--)
		if ((view->granted[i] & privilege) && !audit->roles[i].exempt)
		{
			passage->roles[i] = true;
			asking = audit->roles[i].oid;
		}
	passage->open = OidIsValid(asking) && voxanne_descend(&passage->descent, view->rel, asking, asking);
	/* what a materialized view stores no test of the caller filters */
	if (view->rel->rd_rel->relkind == RELKIND_MATVIEW)
		passage->descent.asks_caller = false;
}

/* All kinds of writing together; where one is certain, those that are. */
static void
find_writing(VoxAudit *audit, VoxTable *view, Passage *passage)
{
	static const struct
	{
		CmdType		command;
		AclMode		privilege;
	}			kinds[] = {
		{CMD_INSERT, ACL_INSERT}, {CMD_UPDATE, ACL_UPDATE}, {CMD_DELETE, ACL_DELETE}
	};

	memset(passage, 0, sizeof(*passage));
	for (int i = 0; i < (int) lengthof(kinds); i++)
	{
		Passage		one;

		find_passage(audit, view, kinds[i].command, kinds[i].privilege, &one);
		if (!one.open || (passage->open && one.descent.asks_caller && !passage->descent.asks_caller))
			continue;
		if (!passage->open || one.descent.asks_caller != passage->descent.asks_caller)
		{
			*passage = one;
			continue;
		}
		passage->privileges |= one.privileges;
		for (int r = 0; r < audit->role_count; r++)
			passage->roles[r] |= one.roles[r];
	}
}

static void
report_reading(VoxAudit *audit, VoxTable *view, const Passage *reading, const Passage *writing)
{
	const VoxDescent *descent = &reading->descent;
	bool		stored = view->rel->rd_rel->relkind == RELKIND_MATVIEW;
	bool		aggregates = ((Query *) voxanne_view_query(view->rel))->hasAggs;
	bool		writes = writing->open && !writing->descent.asks_caller && !descent->asks_caller;
	char	   *table = voxanne_relation_name(descent->table);
	VoxAuditFinding finding = {
		.verdict = VOX_LEAK,
		.check = "view_bypasses_rls",
		.relation = view->name,
		.command = voxanne_privilege_words(ACL_SELECT | (writes ? writing->privileges : 0)),
		.role = voxanne_only_role(audit, reading->roles),
	};

	if (descent->asks_caller)
	{
		finding.check = "view_unproven";
		finding.severity = VOX_INFO;
		finding.verdict = VOX_HYGIENE;
		finding.detail = psprintf("Rows of %s are open to %s through this view as far as it tests the caller itself; it reads them as %s, whom no policy binds.",
								  table, voxanne_role_words(audit, reading->roles, ", "), voxanne_role_name(descent->userid));
	}
	else
	{
		finding.severity = aggregates ? VOX_WARNING : VOX_CRITICAL;
		finding.detail = psprintf("%s of %s are open to %s%s: this view %s.",
								  aggregates ? "Figures over every tenant" : "Every tenant's rows", table,
								  voxanne_role_words(audit, reading->roles, ", "),
								  !writes ? "" : psprintf(", and %s can %s them", voxanne_role_words(audit, writing->roles, ", "),
														  deed_words(writing->privileges)),
								  stored ? "stores what its owner saw" :
								  psprintf("%s as %s, whom no policy binds", writes ? "works" : "reads",
										   voxanne_role_name(descent->userid)));
	}
	finding.advice = stored ? "A materialized view has no row security: revoke the privilege and show it through a view that tests the tenant." :
		"Let the view run as whoever asks; the roles then need SELECT on the table, and its policies apply.";
	finding.remedy = stored ? select_revocations(audit, view, reading->roles) : make_invoker(descent);
	voxanne_audit_report(audit, &finding);
}

static void
report_writing(VoxAudit *audit, VoxTable *view, const Passage *writing)
{
	const VoxDescent *descent = &writing->descent;
	bool		proven = !descent->asks_caller;
	VoxAuditFinding finding = {
		.severity = proven ? VOX_CRITICAL : VOX_INFO,
		.verdict = proven ? VOX_LEAK : VOX_HYGIENE,
		.check = proven ? "view_bypasses_rls" : "view_unproven",
		.relation = view->name,
		.command = voxanne_privilege_words(writing->privileges),
		.role = voxanne_only_role(audit, writing->roles),
		.advice = "Let the view run as whoever asks; the roles then need the same privileges on the table, and its policies apply.",
		.remedy = make_invoker(descent),
	};

	finding.detail = psprintf("%s can %s %s of %s through this view%s: it writes them as %s, whom no policy binds.",
							  voxanne_role_words(audit, writing->roles, ", "), deed_words(writing->privileges),
							  proven ? "every tenant's rows" : "rows", voxanne_relation_name(descent->table),
							  proven ? "" : " as far as it tests the caller itself",
							  voxanne_role_name(descent->userid));
	voxanne_audit_report(audit, &finding);
}

/* REVOKE SELECT for each of these roles; NULL if that would not do for one of them. */
static char *
select_revocations(VoxAudit *audit, VoxTable *view, const bool *roles)
{
	AclMode    *access = palloc0_array(AclMode, audit->role_count);

	for (int i = 0; i < audit->role_count; i++)
		if (roles[i])
			access[i] = ACL_SELECT;
	return voxanne_revocations(audit, view, access);
}

/* "insert, change and delete" */
static char *
deed_words(AclMode privileges)
{
	static const struct
	{
		AclMode		privilege;
		const char *verb;
	}			deeds[] = {
		{ACL_INSERT, "insert"}, {ACL_UPDATE, "change"}, {ACL_DELETE, "delete"}
	};
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < (int) lengthof(deeds); i++)
	{
		if (!(privileges & deeds[i].privilege))
			continue;
		privileges &= ~deeds[i].privilege;
		appendStringInfo(&buf, "%s%s", buf.len == 0 ? "" : privileges != 0 ? ", " : " and ", deeds[i].verb);
	}
	return buf.data;
}

/* ALTER VIEW for each that changes the user on the way; NULL if one of them cannot. */
static char *
make_invoker(const VoxDescent *descent)
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
