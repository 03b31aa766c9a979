/*
 * src/backup/assess.c
 *		How a target stands: one rule, one function.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "backup/assess.h"
#include "backup/verdict.h"
#include "core/words.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* A target counts as overdue when it is late by its interval, and by this at least. */
#define LEAST_LATENESS (10 * USECS_PER_MINUTE)

typedef void (*Rule) (const VoxTarget *target, TimestampTz now, VoxTargetState *state);

static void rule_suspended(const VoxTarget *target, TimestampTz now, VoxTargetState *state);
static void rule_paused(const VoxTarget *target, TimestampTz now, VoxTargetState *state);
static void rule_never_verified(const VoxTarget *target, TimestampTz now, VoxTargetState *state);
static void rule_last_verification(const VoxTarget *target, TimestampTz now, VoxTargetState *state);
static void rule_last_deep(const VoxTarget *target, TimestampTz now, VoxTargetState *state);
static void rule_age(const VoxTarget *target, TimestampTz now, VoxTargetState *state);
static void rule_overdue(const VoxTarget *target, TimestampTz now, VoxTargetState *state);
static void rule_deep_overdue(const VoxTarget *target, TimestampTz now, VoxTargetState *state);
static void note_result(VoxTargetState *state, const VoxTarget *target, const char *level, const char *status,
						const char *problem, const char *detail);
static void note(VoxTargetState *state, VoxSeverity severity, const char *check, char *detail,
				 const char *advice, char *remedy);
static char *call_on(const char *command, const VoxTarget *target);
static char *call_verify(const VoxTarget *target, const char *level);
static char *good_detail(const VoxTarget *target, TimestampTz now);

/* Among equally bad ones the first decides. */
static const Rule rules[] = {
	rule_suspended,
	rule_paused,
	rule_never_verified,
	rule_last_verification,
	rule_last_deep,
	rule_age,
	rule_overdue,
	rule_deep_overdue,
};

/* Judge a target by what the log holds of it. */
void
voxanne_assess_target(const VoxTarget *target, TimestampTz now, VoxTargetState *state)
{
	memset(state, 0, sizeof(*state));
	state->check = "backup_ok";
	state->active = TIMESTAMP_IS_NOBEGIN(target->paused_at) && !voxanne_target_suspended(target);
	for (int i = 0; i < (int) lengthof(rules); i++)
		rules[i] (target, now, state);
	if (state->detail == NULL)
		state->detail = good_detail(target, now);
}

static void
rule_suspended(const VoxTarget *target, TimestampTz now, VoxTargetState *state)
{
	if (voxanne_target_suspended(target))
		note(state, VOX_WARNING, "backup_suspended",
			 psprintf("Not verified, because the target was added in another cluster (system identifier "
					  UINT64_FORMAT ", this one has " UINT64_FORMAT ").",
					  (uint64) target->system_identifier, GetSystemIdentifier()),
			 "If this cluster has taken over and its own backups are at that location, resume the target; otherwise remove it.",
			 call_on("SELECT resume_backup_target", target));
}

static void
rule_paused(const VoxTarget *target, TimestampTz now, VoxTargetState *state)
{
	if (!TIMESTAMP_IS_NOBEGIN(target->paused_at))
		note(state, VOX_WARNING, "backup_paused",
			 psprintf("Paused %s ago: %s.", voxanne_ago(now - target->paused_at),
					  target->paused_reason == NULL ? "no reason given" : target->paused_reason),
			 "Resume it when the reason is gone; until then nobody notices if its backups break.",
			 call_on("SELECT resume_backup_target", target));
}

static void
rule_never_verified(const VoxTarget *target, TimestampTz now, VoxTargetState *state)
{
	if (state->active && TIMESTAMP_IS_NOBEGIN(target->verified_at))
		note(state, VOX_WARNING, "backup_never_verified",
			 pstrdup("Never verified."),
			 "Verify it now, or wait for the background worker.",
			 call_on("CALL verify_backup", target));
}

static void
rule_last_verification(const VoxTarget *target, TimestampTz now, VoxTargetState *state)
{
	if (state->active && !TIMESTAMP_IS_NOBEGIN(target->verified_at))
		note_result(state, target, target->level, target->status, target->problem, target->problem_detail);
}

/* What level verify found holds until it is run again, whatever the quicker levels say meanwhile. */
static void
rule_last_deep(const VoxTarget *target, TimestampTz now, VoxTargetState *state)
{
	const VoxDeepResult *verify = &target->verify;

	if (state->active && !TIMESTAMP_IS_NOBEGIN(verify->verified_at) && verify->verified_at != target->verified_at)
		note_result(state, target, VOX_LEVEL_VERIFY, verify->status, verify->problem, verify->problem_detail);
}

/* A result that is not good. */
static void
note_result(VoxTargetState *state, const VoxTarget *target, const char *level, const char *status,
			const char *problem, const char *detail)
{
	VoxSeverity severity = voxanne_status_severity(status);
	bool		verifier = voxanne_is_verifier_problem(problem);

	if (severity == VOX_INFO)
		return;
	note(state, severity,
		 verifier ? "backup_unverifiable" : severity == VOX_WARNING ? "backup_warning" : "backup_failed",
		 detail == NULL ? psprintf("The last verification ended with status %s.", status) : pstrdup(detail),
		 verifier ? "The verification itself did not work, which says nothing about the backup; repair that, then verify again." :
		 severity == VOX_WARNING ? "See error_details of its latest row in backup_verification_log, then verify again." :
		 "Take a new backup now, find out what happened to this one, then verify again.",
		 call_verify(target, level));
}

static void
rule_age(const VoxTarget *target, TimestampTz now, VoxTargetState *state)
{
	VoxSeverity severity;
	int64		age = now - target->finished_at;

	if (!state->active || TIMESTAMP_IS_NOBEGIN(target->finished_at))
		return;
	severity = voxanne_judge_age(age, target->max_age);
	if (severity == VOX_INFO || (target->problem != NULL && strcmp(target->problem, VOX_AGE_CHECK) == 0 &&
								 severity <= state->severity))
		return;
	note(state, severity, "backup_stale",
		 psprintf("The newest backup seen is %s old, past the %s allowed.",
				  voxanne_ago(age), voxanne_ago(target->max_age)),
		 "Find out why no newer backup was taken and take one; if there is a newer one, verify it.",
		 call_on("CALL verify_backup", target));
}

static void
rule_overdue(const VoxTarget *target, TimestampTz now, VoxTargetState *state)
{
	TimestampTz due;

	if (!state->active || TIMESTAMP_IS_NOBEGIN(target->verified_at))
		return;
	if (target->external && voxanne_target_has_level(target, VOX_LEVEL_VERIFY))
		return;
	due = target->verified_at + target->status_interval;
	if (target->failures > 0)
		due = Max(due, target->verified_at + USECS_PER_HOUR);
	if (now > due + Max(target->status_interval, LEAST_LATENESS))
		note(state, VOX_WARNING, "backup_overdue",
			 psprintf("Last verified %s ago, although it is due every %s.",
					  voxanne_ago(now - target->verified_at), voxanne_ago(target->status_interval)),
			 "See the row of the worker for why it does not verify; verify the backup by hand meanwhile.",
			 call_on("CALL verify_backup", target));
}

static void
rule_deep_overdue(const VoxTarget *target, TimestampTz now, VoxTargetState *state)
{
	bool		never = TIMESTAMP_IS_NOBEGIN(target->verify.verified_at);
	TimestampTz due = (never ? target->created_at : target->verify.verified_at) + target->verify_interval;

	if (!state->active || TIMESTAMP_IS_NOBEGIN(target->verified_at) ||
		!voxanne_target_has_level(target, VOX_LEVEL_VERIFY))
		return;
	if (target->verify.failures > 0)
		due += USECS_PER_HOUR;
	due = voxanne_window_next(&target->verify_window, due);
	if (now > due + Max(target->verify_interval, LEAST_LATENESS))
		note(state, VOX_WARNING, "backup_overdue",
			 never ? psprintf("Its contents were never verified, although that is due every %s.",
							  voxanne_ago(target->verify_interval)) :
			 psprintf("Its contents were last verified %s ago, although that is due every %s.",
					  voxanne_ago(now - target->verify.verified_at), voxanne_ago(target->verify_interval)),
			 "See the row of the worker for why it does not verify; verify the backup by hand meanwhile.",
			 call_verify(target, VOX_LEVEL_VERIFY));
}

/*
 * Take a problem: the worst, or the first of the worst, gives its name, advice
 * and remedy.  What two levels found in the same words is said once.
 */
static void
note(VoxTargetState *state, VoxSeverity severity, const char *check, char *detail,
	 const char *advice, char *remedy)
{
	if (state->detail == NULL || severity > state->severity)
	{
		state->severity = severity;
		state->check = check;
		state->advice = advice;
		state->remedy = remedy;
		state->detail = state->detail == NULL ? detail : psprintf("%s %s", detail, state->detail);
	}
	else if (strstr(state->detail, detail) == NULL)
		state->detail = psprintf("%s %s", state->detail, detail);
}

static char *
call_on(const char *command, const VoxTarget *target)
{
	return psprintf("%s(%s);", command, quote_literal_cstr(target->name));
}

/* The default level is not spelt out. */
static char *
call_verify(const VoxTarget *target, const char *level)
{
	if (level == NULL || strcmp(level, VOX_LEVEL_STATUS) == 0)
		return call_on("CALL verify_backup", target);
	return psprintf("CALL verify_backup(%s, %s);", quote_literal_cstr(target->name), quote_literal_cstr(level));
}

static char *
good_detail(const VoxTarget *target, TimestampTz now)
{
	const VoxDeepResult *verify = &target->verify;

	return psprintf("Backup is %s, %s%s passed %s ago%s.",
					target->proof == NULL ? "good" : target->proof,
					TIMESTAMP_IS_NOBEGIN(target->finished_at) ? "" :
					psprintf("%s old; ", voxanne_ago(now - target->finished_at)),
					voxanne_count_of(target->passed, "check", "checks"), voxanne_ago(now - target->verified_at),
					TIMESTAMP_IS_NOBEGIN(verify->verified_at) || verify->verified_at == target->verified_at ? "" :
					psprintf("; contents last verified %s ago", voxanne_ago(now - verify->verified_at)));
}
