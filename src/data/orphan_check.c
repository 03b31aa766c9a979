/*
 * src/data/orphan_check.c
 *		What find_orphans() checks: rows whose reference leads nowhere.
 *
 * Every reference is a check of its own: one that cannot run, or fails, is a
 * finding and does not hide the others.  All of them are put to the scan engine
 * together, which reads each table once; those it does not take are asked of SQL
 * one by one.
 */
#include "postgres.h"

#include "core/attempt.h"
#include "core/compat.h"
#include "core/finding.h"
#include "core/relation.h"
#include "core/words.h"
#include "data/check.h"
#include "data/orphan_remedy.h"
#include "data/orphan_row.h"
#include "data/reference_parent.h"
#include "data/reference_target.h"
#include "data/run.h"
#include "data/table.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

/* The least score, of 100, with which an inferred reference is reported. */
#define REPORTED_SCORE 70

/* What is asked of the scan engine about one reference; NULL: nothing. */
typedef struct ReferenceScans
{
	VoxScanQuestion *orphans;
	VoxScanQuestion *parents[VOX_PARENT_FAULTS];
} ReferenceScans;

/* How a fault is named: in column kind, in the key, in the detail. */
static const struct
{
	const char *kind;
	const char *check;
	const char *sentence;		/* rows of child have a column ... */
}			faults[VOX_REFERENCE_FAULTS] =

{
	[VOX_FAULT_ORPHAN] = {"orphan", "orphan_rows", "that is not in"},
	[VOX_FAULT_MALFORMED] = {"malformed_reference", "malformed_reference", "that is no uuid and so cannot be in"},
	[VOX_FAULT_PARTIAL] = {"match_full", "match_full", "null in part, which MATCH FULL forbids, to"},
};

/* The same for what is wrong with a parent; kind and key have one name. */
static const struct
{
	const char *kind;
	const char *sentence;		/* rows of child lead by column to ... */
}			parent_faults[VOX_PARENT_FAULTS] =

{
	[VOX_PARENT_DELETED] = {"soft_orphan", "a soft-deleted row of"},
	[VOX_PARENT_OTHER_TENANT] = {"cross_tenant", "a row of another tenant in"},
};

static List *list_references(Oid relid, List *schemas, bool inferred);
static List *ask_scan(const VoxOrphanCheck *check, VoxReference *reference, ReferenceScans *scans);
static const VoxScanQuestion *answered(const VoxScanQuestion *question);
static void check_reference(void *state);
static const char *reference_refusal(const VoxReference *reference);
static void report_fault(VoxOrphanCheck *check, VoxReferenceFault fault, const VoxReferenceAnswer *answer,
						 int score, bool live_only);
static void check_parent(VoxOrphanCheck *check, VoxParentFault fault, const VoxReferenceAnswer *answer,
						 int score, bool live_only);
static const char *parent_refusal(const VoxReference *reference, VoxParentFault fault);
static void check_targets(VoxOrphanCheck *check);
static void report_target(VoxOrphanCheck *check, const VoxTarget *target);

/*
 * List the references in question and lock (AccessShareLock, to the end of the
 * transaction) all tables concerned without waiting; those that cannot be locked
 * are skipped.
 */
void
voxanne_orphans_lock(VoxOrphanCheck *check)
{
	check->references = list_references(check->relid, check->schemas, check->inferred);
}

/*
 * What to ask the scan engine (VoxScanQuestion *).
 */
List *
voxanne_orphans_ask(VoxOrphanCheck *check)
{
	List	   *questions = NIL;
	ListCell   *lc;

	check->scans = palloc0_array(ReferenceScans, list_length(check->references) + 1);
	foreach(lc, check->references)
	{
		VoxReference *reference = lfirst(lc);

		if (reference->refusal == NULL)
			reference->refusal = reference_refusal(reference);
		if (reference->refusal == NULL)
			questions = list_concat(questions, ask_scan(check, reference, &check->scans[foreach_current_index(lc)]));
	}
	return questions;
}

/*
 * Report what is wrong with each reference.
 */
void
voxanne_orphans_report(VoxOrphanCheck *check)
{
	ListCell   *lc;

	foreach(lc, check->references)
	{
		char	   *failure;

		CHECK_FOR_INTERRUPTS();
		check->reference = lfirst(lc);
		check->scan = &check->scans[foreach_current_index(lc)];
		failure = voxanne_attempt(check_reference, check);
		if (failure != NULL)
			voxanne_orphan_skip(check->sink, check->reference, NULL, failure);
	}
	check_targets(check);
}

/* All references in question, their tables locked, or with the reason why not. */
static List *
list_references(Oid relid, List *schemas, bool inferred)
{
	List	   *references = voxanne_declared_references(relid, schemas);
	ListCell   *lc;

	if (inferred)
	{
		voxanne_run_snapshot();
		references = list_concat(references, voxanne_inferred_references(relid, schemas));
		PopActiveSnapshot();
	}
	foreach(lc, references)
	{
		VoxReference *reference = lfirst(lc);

		if (reference->refusal == NULL)
			reference->refusal = voxanne_lock_to_read(reference->child);
		if (reference->refusal == NULL)
			reference->refusal = voxanne_lock_to_read(reference->parent);
	}
	return references;
}

/* Are soft-deleted rows of the child passed over?  A foreign key holds for them, too. */
static bool
is_live_only(const VoxOrphanCheck *check, const VoxReference *reference)
{
	return reference->source == VOX_REFERENCE_INFERRED && !check->include_deleted;
}

/* The questions about one reference. */
static List *
ask_scan(const VoxOrphanCheck *check, VoxReference *reference, ReferenceScans *scans)
{
	bool		live_only = is_live_only(check, reference);
	List	   *questions;

	scans->orphans = palloc_object(VoxScanQuestion);
	scans->orphans->reason = voxanne_scan_reference(reference, live_only, scans->orphans);
	questions = list_make1(scans->orphans);
	if (scans->orphans->reason != NULL)
		return questions;
	for (int fault = 0; fault < VOX_PARENT_FAULTS; fault++)
	{
		VoxScanQuestion *question;

		if (voxanne_parent_condition(reference, (VoxParentFault) fault, live_only, "c") == NULL ||
			parent_refusal(reference, (VoxParentFault) fault) != NULL)
			continue;
		question = palloc_object(VoxScanQuestion);
		if (voxanne_scan_parent(reference, (VoxParentFault) fault, live_only, question) == NULL)
			questions = lappend(questions, scans->parents[fault] = question);
	}
	return questions;
}

/* A question that the scan engine has answered; NULL for any other. */
static const VoxScanQuestion *
answered(const VoxScanQuestion *question)
{
	return question != NULL && question->answered ? question : NULL;
}

/* One reference, start to end. */
static void
check_reference(void *state)
{
	VoxOrphanCheck *check = state;
	const VoxReference *reference = check->reference;
	bool		live_only = is_live_only(check, reference);
	const VoxScanQuestion *found = answered(check->scan->orphans);
	VoxReferenceAnswer answer;
	int			score;

	if (reference->refusal != NULL)
	{
		voxanne_orphan_skip(check->sink, check->reference, NULL, reference->refusal);
		return;
	}
	if (found == NULL && voxanne_out_of_time())
	{
		voxanne_orphan_skip(check->sink, check->reference, NULL, OUT_OF_TIME);
		return;
	}
	voxanne_execution_note(voxanne_reference_object(reference), voxanne_reference_discriminator(reference),
						   check->scan->orphans);
	voxanne_reference_ask(reference, live_only, found, &answer);
	score = voxanne_reference_score(reference, &answer, live_only);
	if (score < REPORTED_SCORE)
		return;
	for (int fault = 0; fault < VOX_REFERENCE_FAULTS; fault++)
		if (answer.faults[fault] > 0)
			report_fault(check, (VoxReferenceFault) fault, &answer, score, live_only);
	for (int fault = 0; fault < VOX_PARENT_FAULTS; fault++)
		check_parent(check, (VoxParentFault) fault, &answer, score, live_only);
}

/* Why the caller cannot read all of a reference, a sentence, or NULL. */
static const char *
reference_refusal(const VoxReference *reference)
{
	const char *refusal;
	VoxTable	child;

	voxanne_table_describe(&child, reference->child);
	refusal = voxanne_run_refusal(reference->child,
								  list_union_int(voxanne_table_id_columns(&child),
												 voxanne_reference_columns(reference, false)));
	if (refusal == NULL)
		refusal = voxanne_run_refusal(reference->parent, voxanne_reference_columns(reference, true));
	return refusal;
}

static void
report_fault(VoxOrphanCheck *check, VoxReferenceFault fault, const VoxReferenceAnswer *answer,
			 int score, bool live_only)
{
	const VoxReference *reference = check->reference;
	bool		claims_to_hold = reference->source == VOX_REFERENCE_DECLARED ||
		reference->source == VOX_REFERENCE_TRIGGERS_DISABLED;
	const VoxScanQuestion *found = answered(check->scan->orphans);
	char	   *object = voxanne_reference_object(reference);
	VoxRemedy	remedy;
	VoxFinding	finding = {
		.severity = claims_to_hold ? VOX_CRITICAL : VOX_WARNING,
		.object = object,
		.key = voxanne_finding_key(faults[fault].check, object, voxanne_reference_discriminator(reference)),
	};

	voxanne_orphan_remedy(reference, fault, found, score, finding.key, &remedy);
	finding.advice = remedy.advice;
	finding.remedy = remedy.sql;
	finding.detail = psprintf("%s a reference (%s) %s %s (%s)%s.",
							  voxanne_rows_that(answer->faults[fault], answer->checked + answer->faults[VOX_FAULT_PARTIAL],
												voxanne_relation_name(reference->child), "has", "have"),
							  voxanne_column_list(reference->child, "", voxanne_reference_columns(reference, false)),
							  faults[fault].sentence, voxanne_relation_name(reference->parent),
							  voxanne_column_list(reference->parent, "", voxanne_reference_columns(reference, true)),
							  voxanne_reference_source_clause(reference));

	voxanne_orphan_row(check->sink, check->reference, &finding, faults[fault].kind, answer->faults[fault], answer->checked, score,
					   voxanne_reference_sample(reference, fault, live_only, found, check->max_rows));
}

/* One fault of parents that exist, asked and told; nothing where the tables do not allow the question. */
static void
check_parent(VoxOrphanCheck *check, VoxParentFault fault, const VoxReferenceAnswer *answer,
			 int score, bool live_only)
{
	const VoxReference *reference = check->reference;
	char	   *object = voxanne_reference_object(reference);
	char	   *discriminator = voxanne_reference_discriminator(reference);
	bool		sure = score >= VOX_SURE_ENOUGH;
	const char *refusal;
	VoxRemedy	remedy;
	VoxFinding	finding = {
		.severity = fault == VOX_PARENT_OTHER_TENANT ? (sure ? VOX_CRITICAL : VOX_WARNING) :
		voxanne_child_can_go(reference) ? VOX_WARNING : VOX_INFO,
		.object = object,
		.key = voxanne_finding_key(parent_faults[fault].kind, object, discriminator),
	};
	const VoxScanQuestion *found = answered(check->scan->parents[fault]);
	int64		count;

	if (voxanne_parent_condition(reference, fault, live_only, "c") == NULL)
		return;
	refusal = parent_refusal(reference, fault);
	if (refusal != NULL)
	{
		voxanne_orphan_skip(check->sink, reference, parent_faults[fault].kind, refusal);
		return;
	}
	if (found == NULL && voxanne_out_of_time())
	{
		voxanne_orphan_skip(check->sink, reference, parent_faults[fault].kind, OUT_OF_TIME);
		return;
	}
	count = voxanne_parent_ask(reference, fault, live_only, found);
	if (count == 0)
		return;
	voxanne_parent_remedy(reference, fault, sure, finding.key, &remedy);
	finding.advice = remedy.advice;
	finding.remedy = remedy.sql;
	finding.detail = psprintf("%s by %s to %s %s.",
							  voxanne_rows_that(count, answer->checked, voxanne_relation_name(reference->child), "leads", "lead"),
							  voxanne_column_list(reference->child, "", voxanne_reference_columns(reference, false)),
							  parent_faults[fault].sentence, voxanne_relation_name(reference->parent));
	voxanne_orphan_row(check->sink, check->reference, &finding, parent_faults[fault].kind, count, answer->checked, score,
					   voxanne_parent_sample(reference, fault, live_only, found, check->max_rows));
}

/* Why the columns that such a question needs besides the reference's cannot be read, or NULL. */
static const char *
parent_refusal(const VoxReference *reference, VoxParentFault fault)
{
	const char *refusal = voxanne_run_refusal(reference->child, voxanne_parent_columns(reference, fault, false));

	if (refusal == NULL)
		refusal = voxanne_run_refusal(reference->parent, voxanne_parent_columns(reference, fault, true));
	return refusal;
}

/* Foreign keys that seem to lead to the wrong table: a matter of catalogs, not of rows. */
static void
check_targets(VoxOrphanCheck *check)
{
	ListCell   *lc;

	foreach(lc, voxanne_suspect_targets(check->relid, check->schemas))
	{
		const VoxTarget *target = lfirst(lc);
		ListCell   *lc2;

		foreach(lc2, check->references)
		{
			check->reference = lfirst(lc2);
			if (check->reference->constraint == target->constraint && check->reference->refusal == NULL)
				report_target(check, target);
		}
	}
}

static void
report_target(VoxOrphanCheck *check, const VoxTarget *target)
{
	const VoxReference *reference = check->reference;
	char	   *object = voxanne_reference_object(reference);
	char	   *discriminator = voxanne_reference_discriminator(reference);
	char	   *meant = voxanne_relation_name(target->meant);
	VoxFinding	finding = {
		.severity = VOX_INFO,
		.object = object,
		.key = voxanne_finding_key("fk_target_suspect", object, discriminator),
	};

	if (meant == NULL)
		return;
	finding.detail = psprintf("Foreign key %s leads to %s, while %s.", quote_identifier(discriminator),
							  voxanne_relation_name(reference->parent),
							  target->uses == 0 ? psprintf("there is a table %s that the column is named after", meant) :
							  psprintf("%s to %s", voxanne_count_of(target->uses, "other column of this name leads",
																	"other columns of this name lead"), meant));
	finding.advice = psprintf("Check which table is meant: if it is %s, every value that is in both tables by chance passes the present key.", meant);
	voxanne_orphan_row(check->sink, check->reference, &finding, "fk_target_suspect", -1, -1, 100, NULL);
}
