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

#include "exposure.h"
#include "utils/rel.h"
#include "utils/rls.h"

const DeedKind voxanne_deeds[DEED_COUNT] = {
	[DEED_READ] = {"read", ACL_SELECT, 'r', CMD_SELECT, false},
	[DEED_CHANGE] = {"change", ACL_UPDATE, 'w', CMD_UPDATE, false},
	[DEED_DELETE] = {"delete", ACL_DELETE, 'd', CMD_DELETE, false},
	[DEED_INSERT] = {"insert", ACL_INSERT, 'a', CMD_INSERT, true},
	[DEED_MOVE] = {"move", ACL_UPDATE, 'w', CMD_UPDATE, true},
};

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
static VoxJudge judge_for(Turn *turn);

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
		voxanne_report_exposure(audit, table, lfirst(lc));
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

	if (!(granted & voxanne_deeds[deed].privilege))
		return;
	weigh(turn, deed, voxanne_deeds[deed].privilege, &bare);
	if (!is_fault(&bare, old_deed) && !is_fault(&bare, new_deed))
		return;
	if (filters)
		weigh(turn, deed, voxanne_deeds[deed].privilege | ACL_SELECT, &filtered);

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

	voxanne_effective(turn->table->rel, role->oid, voxanne_deeds[deed].statement, perms, &old_row, &new_row);
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
	if (!voxanne_deeds[deed].new_row)
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
	bool		new_row = voxanne_deeds[deed].new_row;
	VoxBinding	binding = new_row ? weight->new_row : weight->old_row;
	bool		found = false;
	ListCell   *lc;

	foreach(lc, turn->table->policies)
	{
		VoxPolicy  *policy = lfirst(lc);
		Node	   *clause = voxanne_clause_for(policy, new_row);
		VoxJudge	judge = judge_for(turn);
		VoxBinding	own;

		if (!policy->permissive || clause == NULL ||
			!voxanne_policy_applies(policy, voxanne_deeds[deed].command, role))
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

/*
 * The clause of a policy that decides on the rows found or written.
 */
Node *
voxanne_clause_for(const VoxPolicy *policy, bool new_row)
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
