/*
 * src/data/find_orphans.c
 *		find_orphans(): rows whose reference leads nowhere.
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
#include "data/executor.h"
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

/* Scores of an inferred reference, of 100: see infer.c. */
#define TYPE_SCORE 30
#define SHARE_SCORE 30
#define REPORTED_SCORE 70

/* What is asked of the scan engine about one reference; NULL: nothing. */
typedef struct ReferenceScans
{
	VoxScanQuestion *orphans;
	VoxScanQuestion *parents[VOX_PARENT_FAULTS];
} ReferenceScans;

typedef struct OrphanRun
{
	VoxSink		sink;
	bool		include_deleted;
	int			max_rows;

	/* the one being checked */
	const VoxReference *reference;
	const ReferenceScans *scans;
} OrphanRun;

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
static ReferenceScans *scan_references(const OrphanRun *run, List *references);
static void ask_scan(const OrphanRun *run, VoxReference *reference, ReferenceScans *scans,
					 VoxScanQuestion *questions, int *count);
static const VoxScanQuestion *answered(const VoxScanQuestion *question);
static void check_reference(void *state);
static const char *reference_refusal(const VoxReference *reference);
static int	reference_score(const VoxReference *reference, const VoxReferenceAnswer *answer);
static void report_fault(OrphanRun *run, VoxReferenceFault fault, const VoxReferenceAnswer *answer,
						 int score, bool live_only);
static void check_parent(OrphanRun *run, VoxParentFault fault, const VoxReferenceAnswer *answer,
						 int score, bool live_only);
static const char *parent_refusal(const VoxReference *reference, VoxParentFault fault);
static void check_targets(OrphanRun *run, Oid relid, List *schemas, List *references);
static void report_target(OrphanRun *run, const VoxTarget *target);

VOXANNE_FUNCTION(voxanne_find_orphans);

/*
 * find_orphans(relation regclass, schemas name[], inferred boolean,
 *				include_deleted boolean, max_rows int)
 *
 * Locks (AccessShareLock, to the end of the transaction) all tables concerned
 * without waiting; those that cannot be locked are skipped.
 */
Datum
voxanne_find_orphans(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	List	   *schemas = voxanne_argument_schemas(fcinfo, 1);
	bool		inferred = voxanne_argument_bool(fcinfo, 2, "inferred");
	OrphanRun	run;
	ReferenceScans *scans;
	List	   *references;
	ListCell   *lc;
	int			nestlevel;

	memset(&run, 0, sizeof(run));
	run.include_deleted = voxanne_argument_bool(fcinfo, 3, "include_deleted");
	run.max_rows = voxanne_argument_count(fcinfo, 4, "max_rows");
	if (OidIsValid(relid))
		voxanne_require_table(relid, "relation");

	nestlevel = voxanne_run_begin(&run.sink, fcinfo);
	references = list_references(relid, schemas, inferred);
	voxanne_run_snapshot();
	scans = scan_references(&run, references);
	foreach(lc, references)
	{
		char	   *failure;

		CHECK_FOR_INTERRUPTS();
		run.reference = lfirst(lc);
		run.scans = &scans[foreach_current_index(lc)];
		failure = voxanne_attempt(check_reference, &run);
		if (failure != NULL)
			voxanne_orphan_skip(&run.sink, run.reference, NULL, failure);
	}
	check_targets(&run, relid, schemas, references);
	voxanne_run_end(&run.sink, nestlevel, true);
	PG_RETURN_VOID();
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
is_live_only(const OrphanRun *run, const VoxReference *reference)
{
	return reference->source == VOX_REFERENCE_INFERRED && !run->include_deleted;
}

/* Ask the scan engine, in one run, what it takes; an entry for each reference. */
static ReferenceScans *
scan_references(const OrphanRun *run, List *references)
{
	ReferenceScans *scans = palloc0_array(ReferenceScans, list_length(references) + 1);
	VoxScanQuestion *questions = palloc_array(VoxScanQuestion,
											  list_length(references) * (1 + VOX_PARENT_FAULTS) + 1);
	int			count = 0;
	ListCell   *lc;

	foreach(lc, references)
	{
		VoxReference *reference = lfirst(lc);

		if (reference->refusal == NULL)
			reference->refusal = reference_refusal(reference);
		if (reference->refusal == NULL)
			ask_scan(run, reference, &scans[foreach_current_index(lc)], questions, &count);
	}
	voxanne_scan(questions, count);
	return scans;
}

/* Append the questions about one reference. */
static void
ask_scan(const OrphanRun *run, VoxReference *reference, ReferenceScans *scans,
		 VoxScanQuestion *questions, int *count)
{
	bool		live_only = is_live_only(run, reference);

	scans->orphans = &questions[(*count)++];
	scans->orphans->reason = voxanne_scan_reference(reference, live_only, scans->orphans);
	if (scans->orphans->reason != NULL)
		return;
	for (int fault = 0; fault < VOX_PARENT_FAULTS; fault++)
	{
		if (voxanne_parent_condition(reference, (VoxParentFault) fault, live_only, "c") != NULL &&
			parent_refusal(reference, (VoxParentFault) fault) == NULL &&
			voxanne_scan_parent(reference, (VoxParentFault) fault, live_only, &questions[*count]) == NULL)
			scans->parents[fault] = &questions[(*count)++];
	}
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
	OrphanRun  *run = state;
	const VoxReference *reference = run->reference;
	bool		live_only = is_live_only(run, reference);
	const VoxScanQuestion *found = answered(run->scans->orphans);
	VoxReferenceAnswer answer;
	int			score;

	if (reference->refusal != NULL)
	{
		voxanne_orphan_skip(&run->sink, run->reference, NULL, reference->refusal);
		return;
	}
	if (found == NULL && voxanne_out_of_time())
	{
		voxanne_orphan_skip(&run->sink, run->reference, NULL, OUT_OF_TIME);
		return;
	}
	voxanne_execution_note(voxanne_reference_object(reference), voxanne_reference_discriminator(reference),
						   run->scans->orphans);
	voxanne_reference_ask(reference, live_only, found, &answer);
	score = reference_score(reference, &answer);
	if (score < REPORTED_SCORE)
		return;
	for (int fault = 0; fault < VOX_REFERENCE_FAULTS; fault++)
		if (answer.faults[fault] > 0)
			report_fault(run, (VoxReferenceFault) fault, &answer, score, live_only);
	for (int fault = 0; fault < VOX_PARENT_FAULTS; fault++)
		check_parent(run, (VoxParentFault) fault, &answer, score, live_only);
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

/* How sure it is that this is a reference, of 100. */
static int
reference_score(const VoxReference *reference, const VoxReferenceAnswer *answer)
{
	int64		found = answer->checked - answer->faults[VOX_FAULT_ORPHAN] - answer->faults[VOX_FAULT_MALFORMED];

	if (reference->source != VOX_REFERENCE_INFERRED)
		return 100;
	return reference->name_score + TYPE_SCORE +
		(answer->checked == 0 ? 0 : (int) (SHARE_SCORE * found / answer->checked));
}

static void
report_fault(OrphanRun *run, VoxReferenceFault fault, const VoxReferenceAnswer *answer,
			 int score, bool live_only)
{
	const VoxReference *reference = run->reference;
	bool		claims_to_hold = reference->source == VOX_REFERENCE_DECLARED ||
		reference->source == VOX_REFERENCE_TRIGGERS_DISABLED;
	const VoxScanQuestion *found = answered(run->scans->orphans);
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
	finding.detail = psprintf("%lld of %lld rows of %s have a reference (%s) %s %s (%s)%s.",
							  (long long) answer->faults[fault],
							  (long long) (answer->checked + answer->faults[VOX_FAULT_PARTIAL]),
							  voxanne_relation_name(reference->child),
							  voxanne_column_list(reference->child, "", voxanne_reference_columns(reference, false)),
							  faults[fault].sentence, voxanne_relation_name(reference->parent),
							  voxanne_column_list(reference->parent, "", voxanne_reference_columns(reference, true)),
							  voxanne_reference_source_clause(reference));

	voxanne_orphan_row(&run->sink, run->reference, &finding, faults[fault].kind, answer->faults[fault], answer->checked, score,
					   voxanne_reference_sample(reference, fault, live_only, found, run->max_rows));
}

/* One fault of parents that exist, asked and told; nothing where the tables do not allow the question. */
static void
check_parent(OrphanRun *run, VoxParentFault fault, const VoxReferenceAnswer *answer,
			 int score, bool live_only)
{
	const VoxReference *reference = run->reference;
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
	const VoxScanQuestion *found = answered(run->scans->parents[fault]);
	int64		count;

	if (voxanne_parent_condition(reference, fault, live_only, "c") == NULL)
		return;
	refusal = parent_refusal(reference, fault);
	if (refusal != NULL)
	{
		voxanne_orphan_skip(&run->sink, reference, parent_faults[fault].kind, refusal);
		return;
	}
	if (found == NULL && voxanne_out_of_time())
	{
		voxanne_orphan_skip(&run->sink, reference, parent_faults[fault].kind, OUT_OF_TIME);
		return;
	}
	count = voxanne_parent_ask(reference, fault, live_only, found);
	if (count == 0)
		return;
	voxanne_parent_remedy(reference, fault, sure, finding.key, &remedy);
	finding.advice = remedy.advice;
	finding.remedy = remedy.sql;
	finding.detail = psprintf("%lld of %lld rows of %s lead by %s to %s %s.", (long long) count,
							  (long long) answer->checked, voxanne_relation_name(reference->child),
							  voxanne_column_list(reference->child, "", voxanne_reference_columns(reference, false)),
							  parent_faults[fault].sentence, voxanne_relation_name(reference->parent));
	voxanne_orphan_row(&run->sink, run->reference, &finding, parent_faults[fault].kind, count, answer->checked, score,
					   voxanne_parent_sample(reference, fault, live_only, found, run->max_rows));
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
check_targets(OrphanRun *run, Oid relid, List *schemas, List *references)
{
	ListCell   *lc;

	foreach(lc, voxanne_suspect_targets(relid, schemas))
	{
		const VoxTarget *target = lfirst(lc);
		ListCell   *lc2;

		foreach(lc2, references)
		{
			run->reference = lfirst(lc2);
			if (run->reference->constraint == target->constraint && run->reference->refusal == NULL)
				report_target(run, target);
		}
	}
}

static void
report_target(OrphanRun *run, const VoxTarget *target)
{
	const VoxReference *reference = run->reference;
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
							  psprintf("%lld other columns of this name lead to %s", (long long) target->uses, meant));
	finding.advice = psprintf("Check which table is meant: if it is %s, every value that is in both tables by chance passes the present key.", meant);
	voxanne_orphan_row(&run->sink, run->reference, &finding, "fk_target_suspect", -1, -1, 100, NULL);
}
