/*
 * src/backup/summary.c
 *		The row "*": all targets together.
 *
 * The runbook's quick command shows one row, so that row must not be one
 * target's success while another one fails, or has not been verified for days.
 */
#include "postgres.h"

#include <limits.h>

#include "backup/assess.h"
#include "backup/summary.h"
#include "backup/verdict.h"
#include "core/json.h"
#include "core/utc.h"
#include "core/words.h"

/* What is summed up. */
typedef struct Summary
{
	VoxLogRow  *row;
	VoxJson		errors;			/* targets that are not good */
	VoxJson		details;		/* all targets */
	StringInfoData bad;			/* "nightly: ...; weekly: ..." */
	int			active;
	int			good;
	int			proof;			/* rank of the least proof so far; -1: nothing */
} Summary;

static void add_target(Summary *summary, const VoxTarget *target);
static void put_state(VoxJson *json, const VoxTarget *target, const VoxTargetState *state);

/*
 * Fill a row whose verified_at is set.  Paused and suspended targets are shown
 * in the details but do not decide; if there are no others, that is a warning.
 */
void
voxanne_summarize(List *targets, VoxLogRow *row)
{
	Summary		summary = {.row = row,.proof = INT_MAX};
	ListCell   *lc;

	row->target = "*";
	row->age = -1;
	row->size_bytes = -1;
	initStringInfo(&summary.bad);
	voxanne_json_start(&summary.errors);
	voxanne_json_open(&summary.errors, NULL, '[');
	voxanne_json_start(&summary.details);
	voxanne_json_open(&summary.details, NULL, '{');
	voxanne_json_open(&summary.details, "targets", '[');
	foreach(lc, targets)
		add_target(&summary, lfirst(lc));
	voxanne_json_close(&summary.details, ']');
	voxanne_json_close(&summary.details, '}');
	voxanne_json_close(&summary.errors, ']');

	row->details = summary.details.text.data;
	if (summary.active == 0)
	{
		row->severity = VOX_WARNING;
		row->message = "No target is verified: there is none, or all are paused or suspended.";
		return;
	}
	if (row->severity > VOX_INFO)
		row->errors = summary.errors.text.data;
	row->proof = voxanne_proof_name(summary.proof);
	row->message = psprintf("%d of %s good%s%s", summary.good,
							voxanne_count_of(summary.active, "backup target is", "backup targets are"),
							summary.bad.len > 0 ? "; " : ".", summary.bad.data);
}

static void
add_target(Summary *summary, const VoxTarget *target)
{
	VoxLogRow  *row = summary->row;
	VoxTargetState state;

	voxanne_assess_target(target, row->verified_at, &state);
	put_state(&summary->details, target, &state);
	if (!state.active)
		return;

	summary->active++;
	summary->proof = Min(summary->proof, voxanne_proof_rank(target->proof));
	row->severity = Max(row->severity, state.severity);
	row->passed += target->passed;
	row->failed += target->failed;
	if (!TIMESTAMP_IS_NOBEGIN(target->finished_at))
		row->age = Max(row->age, row->verified_at - target->finished_at);
	if (state.severity == VOX_INFO)
	{
		summary->good++;
		return;
	}
	put_state(&summary->errors, target, &state);
	appendStringInfo(&summary->bad, "%s%s: %s", summary->bad.len > 0 ? " " : "", target->name, state.detail);
}

static void
put_state(VoxJson *json, const VoxTarget *target, const VoxTargetState *state)
{
	voxanne_json_open(json, NULL, '{');
	voxanne_json_put_text(json, "target", target->name);
	voxanne_json_put_text(json, "status", voxanne_severity_status(state->severity));
	voxanne_json_put_text(json, "check", state->check);
	voxanne_json_put_text(json, "detail", state->detail);
	voxanne_json_put_text(json, "proof", target->proof);
	voxanne_json_put_text(json, "verified_at", TIMESTAMP_IS_NOBEGIN(target->verified_at) ? NULL :
						  voxanne_utc(target->verified_at));
	voxanne_json_close(json, '}');
}
