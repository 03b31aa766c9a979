/*
 * src/backup/verdict.c
 *		What one result of run says about its target.
 *
 * The agent reads strangers' bytes, so its document is not trusted to have the
 * agreed shape: whatever is missing or of another type reads as absent, and a
 * document that says neither success nor warning is a failure.
 */
#include "postgres.h"

#include <math.h>

#include "backup/kind.h"
#include "backup/verdict.h"
#include "core/utc.h"
#include "core/words.h"

/* The verdict under way. */
typedef struct Judgement
{
	VoxVerdict *verdict;
	VoxJson		errors[VOX_SEVERITY_COUNT]; /* elements of an array each */
	VoxJson		checks;
	const char *worst_detail;	/* of the first check that is as bad as the
								 * verdict */
} Judgement;

static void judge_document(Judgement *judgement, const VoxQuestion *question, JsonbContainer *document);
static void judge_checks(Judgement *judgement, JsonbContainer *checks);
static void judge_backup_age(Judgement *judgement, const VoxQuestion *question);
static void judge_min_size(Judgement *judgement, const VoxQuestion *question);
static void judge_size_change(Judgement *judgement, const VoxQuestion *question);
static const char *claimed_proof(JsonbContainer *document, const char *most);
static const char *aged(const VoxKind *kind);
static void read_backup(VoxVerdict *verdict, JsonbContainer *backup);
static void take_check(Judgement *judgement, const char *name, const char *result,
					   const char *detail, const char *hint, JsonbContainer *check);
static void put_check(VoxJson *json, const char *name, const char *result,
					  const char *detail, const char *hint, JsonbContainer *check);
static char *join_errors(const Judgement *judgement);
static char *good_message(const VoxVerdict *verdict, const VoxQuestion *question);

static const char *const statuses[VOX_SEVERITY_COUNT] = {
	[VOX_INFO] = "success",
	[VOX_WARNING] = "warning",
	[VOX_CRITICAL] = "failure",
};

static const char *const proofs[] = {"listed", "present", "checksummed", "restored"};

/* What else of a document is kept, if it has it. */
static const char *const kept_members[] = {"recovery_window", "backups", "wal", "sandbox"};

/* Problems of the verification itself, which say nothing about the backup. */
static const char *const verifier_problems[] = {
	"verifier_error", "verifier_timeout", "verifier_busy", "version_mismatch", "unknown_kind",
	"unreachable", "auth", "entitlement", "redirected", "bad_response", "bad_request", "secret_file",
	"tls", "too_large", "address_refused", "http_not_allowed", "bad_url", "user_info",
	"program_not_started", "program_failed", "program_timeout", "program_output",
};

/*
 * Judge a target's result.  The result is what run wrote, converted to the
 * database's encoding; NULL if it wrote none.
 */
void
voxanne_verdict_reach(const VoxQuestion *question, JsonbContainer *result, VoxVerdict *verdict)
{
	Judgement	judgement = {.verdict = verdict};
	JsonbContainer *document = voxanne_json_child(result, "answer");
	char	   *problem = voxanne_json_text(result, "problem");
	char	   *detail = voxanne_json_text(result, "detail");
	VoxJson		details;

	memset(verdict, 0, sizeof(*verdict));
	verdict->finished_at = DT_NOBEGIN;
	verdict->size_bytes = -1;
	(void) voxanne_json_int64(result, "duration", &verdict->duration);
	for (int i = 0; i < VOX_SEVERITY_COUNT; i++)
		voxanne_json_start(&judgement.errors[i]);
	voxanne_json_start(&judgement.checks);
	voxanne_json_open(&judgement.checks, NULL, '[');

	if (document != NULL && problem == NULL)
		judge_document(&judgement, question, document);
	else
		take_check(&judgement, problem == NULL ? "verifier_error" : problem, "failed",
				   detail == NULL ? question->problem_detail : detail, NULL, NULL);

	voxanne_json_close(&judgement.checks, ']');
	voxanne_json_start(&details);
	voxanne_json_open(&details, NULL, '{');
	voxanne_json_put_container(&details, "backup", voxanne_json_child(document, "backup"));
	voxanne_json_put_raw(&details, "checks", judgement.checks.text.data);
	if (voxanne_json_text(result, "origin") != NULL)
	{
		voxanne_json_put_text(&details, "origin", voxanne_json_text(result, "origin"));
		voxanne_json_put_text(&details, "at", voxanne_json_text(document, "at"));
	}
	for (int i = 0; i < (int) lengthof(kept_members); i++)
		if (voxanne_json_child(document, kept_members[i]) != NULL)
			voxanne_json_put_container(&details, kept_members[i], voxanne_json_child(document, kept_members[i]));
	voxanne_json_put_text(&details, "agent_version", voxanne_json_text(document, "version"));
	voxanne_json_close(&details, '}');

	verdict->details = details.text.data;
	if (verdict->severity > VOX_INFO)
		verdict->errors = join_errors(&judgement);
	verdict->message = judgement.worst_detail == NULL ? good_message(verdict, question) :
		pstrdup(judgement.worst_detail);
}

/* Judge the agent's document. */
static void
judge_document(Judgement *judgement, const VoxQuestion *question, JsonbContainer *document)
{
	VoxVerdict *verdict = judgement->verdict;
	char	   *result = voxanne_json_text(document, "result");
	JsonbContainer *error = voxanne_json_child(document, "error");
	const VoxKind *kind = voxanne_kind(question->kind);

	read_backup(verdict, voxanne_json_child(document, "backup"));
	judge_checks(judgement, voxanne_json_child(document, "checks"));
	judge_min_size(judgement, question);
	if (error != NULL)
	{
		char	   *code = voxanne_json_text(error, "code");

		take_check(judgement, code == NULL ? "verifier_error" : code, "failed",
				   voxanne_json_text(error, "message"), voxanne_json_text(error, "hint"), NULL);
	}
	else if (result == NULL || (verdict->severity < VOX_CRITICAL &&
								strcmp(result, "success") != 0 && strcmp(result, "warning") != 0))
		take_check(judgement, "verifier_error", "failed",
				   "The agent reported a failure without naming a failed check.", NULL, NULL);

	/* an old backup is intact all the same */
	if (verdict->severity < VOX_CRITICAL && kind != NULL)
		verdict->proof = claimed_proof(document, voxanne_kind_proof(kind, question->level));
	else if (verdict->backup_id != NULL)
		verdict->proof = "listed";
	judge_backup_age(judgement, question);
	judge_size_change(judgement, question);
}

/* The agent may say that it has shown less than a level shows at most. */
static const char *
claimed_proof(JsonbContainer *document, const char *most)
{
	char	   *claimed = voxanne_json_text(document, "proof");
	int			rank = voxanne_proof_rank(claimed);

	return rank < 0 || most == NULL || rank >= voxanne_proof_rank(most) ? most : voxanne_proof_name(rank);
}

static void
judge_checks(Judgement *judgement, JsonbContainer *checks)
{
	for (int i = 0; i < voxanne_json_length(checks); i++)
	{
		JsonbContainer *check = voxanne_json_element(checks, i);
		char	   *name = voxanne_json_text(check, "name");
		char	   *result = voxanne_json_text(check, "result");

		if (name != NULL && result != NULL)
			take_check(judgement, name, result, voxanne_json_text(check, "detail"), NULL, check);
	}
}

/* What a backup of the kind gets with time; the kind may be NULL, unknown. */
static const char *
aged(const VoxKind *kind)
{
	return kind == NULL || kind->aged == NULL ? "old" : kind->aged;
}

/* Check backup_age, which is ours: the agent does not know what is too old. */
static void
judge_backup_age(Judgement *judgement, const VoxQuestion *question)
{
	static const char *const results[VOX_SEVERITY_COUNT] = {
		[VOX_INFO] = "passed",[VOX_WARNING] = "warning",[VOX_CRITICAL] = "failed",
	};
	TimestampTz finished_at = judgement->verdict->finished_at;
	int64		age = question->now - finished_at;
	const VoxKind *kind = voxanne_kind(question->kind);
	VoxSeverity severity;

	if (TIMESTAMP_IS_NOBEGIN(finished_at))
		return;
	severity = voxanne_judge_age(age, question->max_age);
	take_check(judgement, VOX_AGE_CHECK, results[severity],
			   psprintf("%s is %s %s, %s the %s allowed.",
						kind == NULL || kind->subject == NULL ? "The backup" : kind->subject,
						voxanne_ago(age), aged(kind),
						severity == VOX_INFO ? "within" : "past", voxanne_ago(question->max_age)),
			   severity == VOX_INFO ? NULL : kind != NULL && kind->age_hint != NULL ? kind->age_hint :
			   "Find out why no newer backup was taken.", NULL);
}

/* Check min_size, ours as well: whatever is intact in a backup that is too small, not all is there. */
static void
judge_min_size(Judgement *judgement, const VoxQuestion *question)
{
	int64		size = judgement->verdict->size_bytes;

	if (question->min_size < 0 || judgement->verdict->backup_id == NULL)
		return;
	if (size < 0)
		take_check(judgement, VOX_MIN_SIZE_CHECK, "skipped", "The size of the backup is not known.", NULL, NULL);
	else if (size >= question->min_size)
		take_check(judgement, VOX_MIN_SIZE_CHECK, "passed",
				   psprintf("The backup has %s, at least %s are wanted.", voxanne_megabytes(size),
							voxanne_megabytes(question->min_size)), NULL, NULL);
	else
		take_check(judgement, VOX_MIN_SIZE_CHECK, "failed",
				   psprintf("The backup has %s, less than the %s wanted.", voxanne_megabytes(size),
							voxanne_megabytes(question->min_size)),
				   "Find out what is missing in it; if so little is right, change the target's option min_size.", NULL);
}

/* Check size_change: a backup half as large as the one before may be one of half the data. */
static void
judge_size_change(Judgement *judgement, const VoxQuestion *question)
{
	int64		size = judgement->verdict->size_bytes;
	int64		before = question->previous_size;
	double		change = before > 0 ? (double) size / (double) before - 1 : 0;
	bool		within = fabs(change) * 1e6 <= (double) question->max_size_change;
	char	   *detail;

	if (size < 0 || before <= 0 || question->max_size_change < 0)
		return;
	detail = psprintf("The backup has %s, %.1f %% %s than the good one before%s%s, which had %s.",
					  voxanne_megabytes(size), fabs(change) * 100, change < 0 ? "less" : "more",
					  question->previous_id == NULL ? "" : ", ", question->previous_id == NULL ? "" : question->previous_id,
					  voxanne_megabytes(before));
	take_check(judgement, VOX_SIZE_CHANGE_CHECK, within ? "passed" : "warning", detail,
			   within ? NULL : "Find out why; if such changes are usual, change the target's option max_size_change.", NULL);
}

/* A backup past its maximum age is a warning; past twice that one was missed for certain. */
VoxSeverity
voxanne_judge_age(int64 age, int64 max_age)
{
	if (age <= max_age)
		return VOX_INFO;
	return age / 2 <= max_age ? VOX_WARNING : VOX_CRITICAL;
}

static void
read_backup(VoxVerdict *verdict, JsonbContainer *backup)
{
	char	   *finished_at = voxanne_json_text(backup, "finished_at");

	verdict->backup_id = voxanne_json_text(backup, "id");
	if (!voxanne_parse_utc(finished_at, &verdict->finished_at))
		verdict->finished_at = DT_NOBEGIN;
	if (!voxanne_json_int64(backup, "size_bytes", &verdict->size_bytes) || verdict->size_bytes < 0)
		verdict->size_bytes = -1;
}

/*
 * Count a check and list it.  "check" is the agent's object, of which the
 * items are kept, or NULL.  A skipped check follows from another one's failure.
 */
static void
take_check(Judgement *judgement, const char *name, const char *result,
		   const char *detail, const char *hint, JsonbContainer *check)
{
	VoxVerdict *verdict = judgement->verdict;
	VoxSeverity severity = VOX_INFO;

	if (strcmp(result, "failed") == 0)
		severity = VOX_CRITICAL;
	else if (strcmp(result, "warning") == 0)
		severity = VOX_WARNING;
	if (detail == NULL)
		detail = psprintf("Check %s gave no detail.", name);

	if (severity == VOX_CRITICAL)
		verdict->failed++;
	else if (strcmp(result, "skipped") != 0)
		verdict->passed++;
	put_check(&judgement->checks, name, result, detail, hint, check);
	if (severity == VOX_INFO)
		return;
	put_check(&judgement->errors[severity], name, result, detail, hint, check);
	if (severity > verdict->severity)
	{
		verdict->severity = severity;
		judgement->worst_detail = detail;
	}
}

static void
put_check(VoxJson *json, const char *name, const char *result,
		  const char *detail, const char *hint, JsonbContainer *check)
{
	JsonbContainer *items = voxanne_json_child(check, "items");
	int64		more_items = 0;

	voxanne_json_open(json, NULL, '{');
	voxanne_json_put_text(json, "check", name);
	voxanne_json_put_text(json, "result", result);
	voxanne_json_put_text(json, "detail", detail);
	if (hint != NULL)
		voxanne_json_put_text(json, "hint", hint);
	if (voxanne_json_length(items) > 0)
		voxanne_json_put_container(json, "items", items);
	if (voxanne_json_int64(check, "more_items", &more_items) && more_items > 0)
		voxanne_json_put_int64(json, "more_items", more_items);
	voxanne_json_close(json, '}');
}

/* One array, the worst first. */
static char *
join_errors(const Judgement *judgement)
{
	const char *failures = judgement->errors[VOX_CRITICAL].text.data;
	const char *warnings = judgement->errors[VOX_WARNING].text.data;

	return psprintf("[%s%s%s]", failures, *failures != '\0' && *warnings != '\0' ? "," : "", warnings);
}

static char *
good_message(const VoxVerdict *verdict, const VoxQuestion *question)
{
	return psprintf("Backup %s is %s: %s passed%s%s.",
					verdict->backup_id == NULL ? "(unnamed)" : verdict->backup_id,
					verdict->proof == NULL ? "good" : verdict->proof, voxanne_count_of(verdict->passed, "check", "checks"),
					verdict->size_bytes < 0 ? "" : psprintf(", %s", voxanne_megabytes(verdict->size_bytes)),
					TIMESTAMP_IS_NOBEGIN(verdict->finished_at) ? "" :
					psprintf(", %s %s", voxanne_ago(question->now - verdict->finished_at),
							 aged(voxanne_kind(question->kind))));
}

/* Place of a proof among those there are, the least first; -1 for NULL and for anything else. */
int
voxanne_proof_rank(const char *proof)
{
	for (int i = 0; proof != NULL && i < (int) lengthof(proofs); i++)
		if (strcmp(proofs[i], proof) == 0)
			return i;
	return -1;
}

/* The proof at that place, a constant; NULL for -1. */
const char *
voxanne_proof_name(int rank)
{
	return rank < 0 ? NULL : proofs[Min(rank, (int) lengthof(proofs) - 1)];
}

/* The log's status for a severity; a constant. */
const char *
voxanne_severity_status(VoxSeverity severity)
{
	return statuses[severity];
}

/* The severity of a status of the log; critical for anything else. */
VoxSeverity
voxanne_status_severity(const char *status)
{
	for (int i = 0; i < VOX_SEVERITY_COUNT; i++)
		if (strcmp(statuses[i], status) == 0)
			return (VoxSeverity) i;
	return VOX_CRITICAL;
}

/* Does a failed check of this name say that the verification, not the backup, is broken? */
bool
voxanne_is_verifier_problem(const char *check)
{
	for (int i = 0; check != NULL && i < (int) lengthof(verifier_problems); i++)
		if (strcmp(verifier_problems[i], check) == 0)
			return true;
	return false;
}
