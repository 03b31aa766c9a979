/*
 * src/policy/exposure.c
 *		Rows of other tenants that a role can reach although row security is on.
 *
 * For each role and statement form the predicate that the server composes is
 * judged; only if that lets other tenants' rows through are the policies
 * searched for those to blame.  One finding per policy says what which role
 * can do with it.
 */
#include "postgres.h"

#include "audit.h"
#include "expression.h"
#include "lib/stringinfo.h"
#include "nodes/bitmapset.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/rel.h"
#include "utils/rls.h"

/* What can be done with a row of another tenant. */
typedef enum Deed
{
	DEED_READ,
	DEED_CHANGE,
	DEED_DELETE,
	DEED_INSERT,
	DEED_MOVE,
	DEED_COUNT
} Deed;

static const struct
{
	const char *verb;
	AclMode		privilege;
	char		command;		/* as in pg_policy */
	CmdType		statement;
	bool		new_row;		/* WITH CHECK decides, not USING */
}			deeds[DEED_COUNT] = {
	[DEED_READ] = {"read", ACL_SELECT, 'r', CMD_SELECT, false},
	[DEED_CHANGE] = {"change", ACL_UPDATE, 'w', CMD_UPDATE, false},
	[DEED_DELETE] = {"delete", ACL_DELETE, 'd', CMD_DELETE, false},
	[DEED_INSERT] = {"insert", ACL_INSERT, 'a', CMD_INSERT, true},
	[DEED_MOVE] = {"move", ACL_UPDATE, 'w', CMD_UPDATE, true},
};

#define OLD_ROW_DEEDS ((1 << DEED_READ) | (1 << DEED_CHANGE) | (1 << DEED_DELETE))
#define NEW_ROW_DEEDS ((1 << DEED_INSERT) | (1 << DEED_MOVE))

typedef enum Certainty
{
	CERTAIN,					/* rows of other tenants */
	WITHOUT_TENANT,				/* rows that belong to none */
	UNPROVEN					/* nobody can tell without running code */
} Certainty;

/* What a policy is to blame for. */
typedef struct Exposure
{
	VoxPolicy  *policy;			/* NULL: none by itself */
	Certainty	certainty;
	VoxBinding	worst;
	bool		beside_bound;	/* it widens what another arm binds */
	uint32	   *can;			/* per role, a bit per deed */
	uint32	   *bare;			/* ... only by a statement without WHERE */
} Exposure;

/* A role's turn. */
typedef struct Turn
{
	VoxAudit   *audit;
	VoxTable   *table;
	int			role;			/* index */
	List	  **exposures;
} Turn;

/* What a statement finds and may write. */
typedef struct Weight
{
	VoxBinding	old_row;
	VoxBinding	new_row;
	bool		saw_bound;
} Weight;

static void expose_role(Turn *turn);
static void expose_statement(Turn *turn, Deed old_deed, Deed new_deed);
static void weigh(Turn *turn, Deed deed, AclMode perms, Weight *weight);
static bool is_fault(const Weight *weight, Deed deed);
static void blame(Turn *turn, Deed deed, const Weight *weight, bool bare);
static void note(Turn *turn, VoxPolicy *policy, VoxBinding binding, Deed deed, bool saw_bound, bool bare);
static Node *clause_for(const VoxPolicy *policy, bool new_row);
static VoxJudge judge_for(Turn *turn);
static void report(VoxAudit *audit, VoxTable *table, Exposure *exposure);
static uint32 all_of(VoxAudit *audit, const uint32 *deeds_by_role);
static const char *check_name(const Exposure *exposure, uint32 can, uint32 bare);
static char *deed_words(const Exposure *exposure, uint32 can);
static char *reason_words(VoxTable *table, const Exposure *exposure, uint32 can);
static char *command_words(uint32 can);
static char *metadata(VoxAudit *audit, const Exposure *exposure);
static char *remedy(VoxAudit *audit, VoxTable *table, const Exposure *exposure, uint32 can);
static char *tightened(VoxAudit *audit, VoxTable *table, const Exposure *exposure, Node *stored);

/*
 * Report the policies of a table with a tenant column that let rows of other
 * tenants, or of none, through.
 */
void
voxanne_check_exposure(VoxAudit *audit, VoxTable *table)
{
	List	   *exposures = NIL;
	Turn		turn = {audit, table, 0, &exposures};
	ListCell   *lc;

	if (table->tenant == InvalidAttrNumber)
		return;
	for (turn.role = 0; turn.role < audit->role_count; turn.role++)
		if (check_enable_rls(RelationGetRelid(table->rel), audit->roles[turn.role].oid, true) == RLS_ENABLED)
			expose_role(&turn);
	foreach(lc, exposures)
		report(audit, table, lfirst(lc));
}

static void
expose_role(Turn *turn)
{
	expose_statement(turn, DEED_READ, DEED_COUNT);
	expose_statement(turn, DEED_COUNT, DEED_INSERT);
	expose_statement(turn, DEED_CHANGE, DEED_MOVE);
	expose_statement(turn, DEED_DELETE, DEED_COUNT);
}

/*
 * Judge a statement by the rows it finds (old_deed) and those it writes
 * (new_deed; DEED_COUNT: none).  A statement with WHERE also has to pass the
 * SELECT policies; one without does not.
 */
static void
expose_statement(Turn *turn, Deed old_deed, Deed new_deed)
{
	Deed		deed = old_deed != DEED_COUNT ? old_deed : new_deed;
	AclMode		granted = turn->table->granted[turn->role];
	bool		filters = (deed == DEED_CHANGE || deed == DEED_DELETE) && (granted & ACL_SELECT);
	Weight		bare;
	Weight		filtered;
	Deed		each[2] = {old_deed, new_deed};

	if (!(granted & deeds[deed].privilege))
		return;
	weigh(turn, deed, deeds[deed].privilege, &bare);
	if (!is_fault(&bare, old_deed) && !is_fault(&bare, new_deed))
		return;
	if (filters)
		weigh(turn, deed, deeds[deed].privilege | ACL_SELECT, &filtered);

	for (int i = 0; i < 2; i++)
	{
		bool		only_bare = filters && !is_fault(&filtered, each[i]);

		if (is_fault(&bare, each[i]))
			blame(turn, each[i], filters && !only_bare ? &filtered : &bare, only_bare);
	}
}

/* Judge what the statement of a deed needs. */
static void
weigh(Turn *turn, Deed deed, AclMode perms, Weight *weight)
{
	VoxAuditRole *role = &turn->audit->roles[turn->role];
	VoxJudge	judge = judge_for(turn);
	List	   *old_row;
	List	   *new_row;

	voxanne_effective(turn->table->rel, role->oid, deeds[deed].statement, perms, &old_row, &new_row);
	weight->old_row = voxanne_binding_of(role->name, voxanne_judge_all(&judge, old_row));
	weight->new_row = voxanne_binding_of(role->name, voxanne_judge_all(&judge, new_row));
	weight->saw_bound = judge.saw_bound;
}

/*
 * Does the statement reach what is not the caller's?  A new row that is tied
 * to the caller by another column can still be put into any tenant.  What
 * finds nothing, or may write nothing, does nothing.
 */
static bool
is_fault(const Weight *weight, Deed deed)
{
	if (deed == DEED_COUNT || weight->old_row == VOX_NOTHING || weight->new_row == VOX_NOTHING)
		return false;
	if (!deeds[deed].new_row)
		return weight->old_row > VOX_SCOPED;
	return weight->new_row > VOX_BOUND &&
		!(weight->new_row == VOX_PINNED && weight->old_row == VOX_PINNED);
}

static VoxJudge
judge_for(Turn *turn)
{
	VoxJudge	judge = {
		.desc = RelationGetDescr(turn->table->rel),
		.tenant = turn->table->tenant,
		.role = turn->audit->roles[turn->role].name,
	};

	return judge;
}

/* Note the permissive policies without which the deed would not be possible. */
static void
blame(Turn *turn, Deed deed, const Weight *weight, bool bare)
{
	Oid			role = turn->audit->roles[turn->role].oid;
	bool		new_row = deeds[deed].new_row;
	VoxBinding	binding = new_row ? weight->new_row : weight->old_row;
	bool		found = false;
	ListCell   *lc;

	foreach(lc, turn->table->policies)
	{
		VoxPolicy  *policy = lfirst(lc);
		Node	   *clause = clause_for(policy, new_row);
		VoxJudge	judge = judge_for(turn);
		VoxBinding	own;

		if (!policy->permissive || clause == NULL ||
			!voxanne_policy_applies(policy, deeds[deed].command, role))
			continue;
		own = voxanne_judge(&judge, clause);
		if (own <= (new_row ? VOX_BOUND : VOX_SCOPED))
			continue;
		note(turn, policy, Min(own, binding), deed, weight->saw_bound, bare);
		found = true;
	}
	if (!found)
		note(turn, NULL, binding, deed, weight->saw_bound, bare);
}

static Node *
clause_for(const VoxPolicy *policy, bool new_row)
{
	return new_row && policy->check != NULL ? policy->check : policy->using;
}

static void
note(Turn *turn, VoxPolicy *policy, VoxBinding binding, Deed deed, bool saw_bound, bool bare)
{
	Certainty	certainty = binding == VOX_OPAQUE || binding == VOX_GATED ? UNPROVEN :
		binding == VOX_SHARED_NULL ? WITHOUT_TENANT : CERTAIN;
	Exposure   *exposure = NULL;
	ListCell   *lc;

	foreach(lc, *turn->exposures)
	{
		exposure = lfirst(lc);
		if (exposure->policy == policy && exposure->certainty == certainty)
			break;
		exposure = NULL;
	}
	if (exposure == NULL)
	{
		exposure = palloc0_object(Exposure);
		exposure->policy = policy;
		exposure->certainty = certainty;
		exposure->can = palloc0_array(uint32, turn->audit->role_count);
		exposure->bare = palloc0_array(uint32, turn->audit->role_count);
		*turn->exposures = lappend(*turn->exposures, exposure);
	}
	exposure->worst = Max(exposure->worst, binding);
	exposure->beside_bound |= saw_bound;
	if (bare)
		exposure->bare[turn->role] |= 1 << deed;
	else
		exposure->can[turn->role] |= 1 << deed;
}

static void
report(VoxAudit *audit, VoxTable *table, Exposure *exposure)
{
	uint32		plain = all_of(audit, exposure->can);
	uint32		bare = all_of(audit, exposure->bare);
	uint32		can = plain | bare;
	VoxAuditFinding finding = {
		.verdict = exposure->certainty == UNPROVEN ? VOX_HYGIENE : VOX_LEAK,
		.check = check_name(exposure, plain, bare),
		.discriminator = exposure->policy == NULL ? NULL : exposure->policy->name,
		.relation = table->name,
		.policy = exposure->policy == NULL ? NULL : exposure->policy->name,
		.command = command_words(can),
		.metadata = metadata(audit, exposure),
	};
	bool	   *concerned = palloc_array(bool, audit->role_count);

	switch (exposure->certainty)
	{
		case CERTAIN:
			finding.severity = exposure->worst == VOX_SCOPED ||
				(exposure->worst != VOX_EVERYTHING && exposure->beside_bound) ?
				VOX_WARNING : VOX_CRITICAL;
			finding.advice = "Tie the tenant column to the caller in this policy, or drop the policy if another one already does its work.";
			break;
		case WITHOUT_TENANT:
			finding.severity = VOX_WARNING;
			finding.advice = "Exclude rows without a tenant, and make the column NOT NULL once all have one.";
			break;
		case UNPROVEN:
			finding.severity = VOX_INFO;
			finding.advice = "Read the policy, or try it as two tenants: only running it can tell.";
			break;
	}
	for (int i = 0; i < audit->role_count; i++)
		concerned[i] = (exposure->can[i] | exposure->bare[i]) != 0;
	finding.role = voxanne_only_role(audit, concerned);
	finding.detail = psprintf("%s%s can %s%s: %s.", exposure->certainty == UNPROVEN ? "Perhaps " : "",
							  voxanne_role_words(audit, concerned, ", "),
							  deed_words(exposure, can),
							  plain == 0 ? " by a statement without WHERE" : "",
							  reason_words(table, exposure, can));
	if (exposure->certainty != UNPROVEN)
		finding.remedy = remedy(audit, table, exposure, can);
	voxanne_audit_report(audit, &finding);
}

static uint32
all_of(VoxAudit *audit, const uint32 *deeds_by_role)
{
	uint32		result = 0;

	for (int i = 0; i < audit->role_count; i++)
		result |= deeds_by_role[i];
	return result;
}

static const char *
check_name(const Exposure *exposure, uint32 can, uint32 bare)
{
	if (exposure->certainty == UNPROVEN)
		return "tenant_unproven";
	if (exposure->certainty == WITHOUT_TENANT)
		return "tenant_null_shared";
	if (!((can | bare) & OLD_ROW_DEEDS))
		return "tenant_check_lax";
	if (can == 0)
		return "tenant_bare_write";
	return exposure->worst == VOX_EVERYTHING ? "policy_always_true" : "tenant_unbound";
}

/* "read and delete rows of every tenant, insert rows for any tenant" */
static char *
deed_words(const Exposure *exposure, uint32 can)
{
	StringInfoData buf;
	const char *whose = exposure->certainty == WITHOUT_TENANT ? "rows without a tenant" :
		exposure->worst == VOX_EVERYTHING || exposure->certainty == UNPROVEN ?
		"rows of every tenant" : "rows of other tenants";

	initStringInfo(&buf);
	for (int d = 0; d < DEED_COUNT; d++)
	{
		if (!(can & OLD_ROW_DEEDS & (1 << d)))
			continue;
		appendStringInfo(&buf, "%s%s", buf.len == 0 ? "" :
						 (can & OLD_ROW_DEEDS) >> (d + 1) ? ", " : " and ", deeds[d].verb);
	}
	if (buf.len > 0)
		appendStringInfo(&buf, " %s", whose);
	if (can & (1 << DEED_INSERT))
		appendStringInfo(&buf, "%sinsert rows %s", buf.len > 0 ? ", " : "",
						 exposure->certainty == WITHOUT_TENANT ? "without a tenant" : "for any tenant");
	if (can & (1 << DEED_MOVE))
		appendStringInfo(&buf, "%smove rows %s", buf.len > 0 ? ", " : "",
						 exposure->certainty == WITHOUT_TENANT ? "out of any tenant" : "to any tenant");
	return buf.data;
}

static char *
reason_words(VoxTable *table, const Exposure *exposure, uint32 can)
{
	const VoxPolicy *policy = exposure->policy;
	const char *column = quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(table->rel),
																table->tenant - 1)->attname));
	bool		new_row = !(can & OLD_ROW_DEEDS);
	VoxContents contents;
	char	   *name;

	if (policy == NULL)
		return pstrdup("no policy by itself, but all together");
	name = psprintf("%spolicy %s", new_row && policy->check != NULL ? "WITH CHECK of " : "",
					quote_identifier(policy->name));
	voxanne_contents(clause_for(policy, new_row), table->tenant, &contents);
	switch (exposure->worst)
	{
		case VOX_EVERYTHING:
			return psprintf("%s is always true", name);
		case VOX_SHARED_NULL:
			return psprintf("%s lets them through", name);
		case VOX_GATED:
			return psprintf("%s tests only who is asking", name);
		case VOX_SCOPED:
			return psprintf("%s ties the row to the caller, but not its %s", name, column);
		case VOX_PINNED:
			return psprintf("%s names a tenant, the same for everybody", name);
		case VOX_OPAQUE:
			return psprintf("%s depends on code that the audit does not run", name);
		default:
			return psprintf(contents.tenant ? "%s does not tie %s to the caller" :
							contents.subselect ? "%s has a subselect that does not look at this table's %s" :
							"%s does not mention %s", name, column);
	}
}

static char *
command_words(uint32 can)
{
	AclMode		privileges = 0;

	for (int d = 0; d < DEED_COUNT; d++)
		if (can & (1 << d))
			privileges |= deeds[d].privilege;
	return voxanne_privilege_words(privileges);
}

/* {"can": {"anon": ["read"]}, "without_where": {"anon": ["change"]}} */
static char *
metadata(VoxAudit *audit, const Exposure *exposure)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "{");
	for (int kind = 0; kind < 2; kind++)
	{
		const uint32 *by_role = kind == 0 ? exposure->can : exposure->bare;
		const char *between = "";

		appendStringInfo(&buf, kind == 0 ? "\"can\": {" : ", \"without_where\": {");
		for (int r = 0; r < audit->role_count; r++)
		{
			const char *comma = "";

			if (by_role[r] == 0)
				continue;
			appendStringInfoString(&buf, between);
			escape_json(&buf, audit->roles[r].shown);
			appendStringInfoString(&buf, ": [");
			for (int d = 0; d < DEED_COUNT; d++)
				if (by_role[r] & (1 << d))
				{
					appendStringInfo(&buf, "%s\"%s\"", comma, deeds[d].verb);
					comma = ", ";
				}
			appendStringInfoChar(&buf, ']');
			between = ", ";
		}
		appendStringInfoChar(&buf, '}');
	}
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

/*
 * ALTER POLICY that makes the lax clause bind the tenant, or NULL if the
 * database does not show how tenants are told apart.
 */
static char *
remedy(VoxAudit *audit, VoxTable *table, const Exposure *exposure, uint32 can)
{
	const VoxPolicy *policy = exposure->policy;
	bool		fix_check;
	bool		fix_using;
	char	   *using = NULL;
	char	   *check = NULL;

	if (policy == NULL)
		return NULL;
	fix_using = (can & OLD_ROW_DEEDS) != 0;
	fix_check = (can & NEW_ROW_DEEDS) && (policy->check != NULL || !fix_using);
	if (fix_using)
		using = tightened(audit, table, exposure, policy->stored_using);
	if (fix_check && policy->check != NULL && policy->using != NULL && !fix_using &&
		exposure->certainty == CERTAIN && exposure->worst != VOX_SCOPED)
		check = voxanne_deparse(table, policy->stored_using);
	else if (fix_check)
		check = tightened(audit, table, exposure,
						  policy->check != NULL ? policy->stored_check : policy->stored_using);
	if ((fix_using && using == NULL) || (fix_check && check == NULL))
		return NULL;
	return psprintf("ALTER POLICY %s ON %s%s%s;", quote_identifier(policy->name), table->name,
					using == NULL ? "" : psprintf(" USING (%s)", using),
					check == NULL ? "" : psprintf(" WITH CHECK (%s)", check));
}

/* The clause (whose text has its parentheses) with the tenant bound; of one that is always true nothing needs to stay. */
static char *
tightened(VoxAudit *audit, VoxTable *table, const Exposure *exposure, Node *stored)
{
	const char *column = quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(table->rel),
																table->tenant - 1)->attname));
	char	   *predicate;

	if (exposure->certainty == WITHOUT_TENANT)
		return psprintf("%s AND %s IS NOT NULL", voxanne_deparse(table, stored), column);
	predicate = voxanne_helper_predicate(audit, table);
	if (predicate == NULL || exposure->worst == VOX_EVERYTHING)
		return predicate;
	return psprintf("%s AND %s", voxanne_deparse(table, stored), predicate);
}
