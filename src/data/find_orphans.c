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
#include "data/reference.h"
#include "data/run.h"
#include "data/table.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

/* find_orphans()'s own columns, after the finding's. */
enum
{
	COL_CHILD, COL_CHILD_COLUMNS, COL_PARENT, COL_PARENT_COLUMNS, COL_SOURCE, COL_KIND,
	COL_ORPHANS, COL_CHECKED, COL_CONFIDENCE, COL_SAMPLE, COL_CONSTRAINT_NAME,
	OWN_COLS
};

/* Scores of an inferred reference, of 100: see infer.c. */
#define TYPE_SCORE 30
#define SHARE_SCORE 30
#define REPORTED_SCORE 70

typedef struct OrphanRun
{
	VoxSink		sink;
	bool		include_deleted;
	int			max_rows;
	VoxScanQuestion *scans;		/* those asked of the scan engine */
	int			nscans;

	/* the one being checked */
	const VoxReference *reference;
	const VoxScanQuestion *scan;	/* or NULL */
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

static List *list_references(Oid relid, List *schemas, bool inferred);
static void scan_references(OrphanRun *run, List *references, int *scan_of);
static void check_reference(void *state);
static const char *reference_refusal(const VoxReference *reference);
static int	reference_score(const VoxReference *reference, const VoxReferenceAnswer *answer);
static void report_fault(OrphanRun *run, VoxReferenceFault fault, const VoxReferenceAnswer *answer,
						 int score, bool live_only);
static void report_skip(OrphanRun *run, const char *reason);
static void fill_reference(const VoxReference *reference, Datum *own, bool *own_null);
static char *reference_object(const VoxReference *reference);
static char *reference_discriminator(const VoxReference *reference);
static char *source_clause(const VoxReference *reference);

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
	List	   *references;
	ListCell   *lc;
	int		   *scan_of;
	int			nestlevel;

	memset(&run, 0, sizeof(run));
	run.include_deleted = voxanne_argument_bool(fcinfo, 3, "include_deleted");
	run.max_rows = voxanne_argument_count(fcinfo, 4, "max_rows");
	if (OidIsValid(relid))
		voxanne_require_table(relid, "relation");

	voxanne_sink_open(&run.sink, fcinfo);
	nestlevel = voxanne_run_begin();
	voxanne_execution_begin();
	references = list_references(relid, schemas, inferred);
	voxanne_run_snapshot();
	scan_of = palloc_array(int, list_length(references) + 1);
	scan_references(&run, references, scan_of);
	foreach(lc, references)
	{
		int			scan = scan_of[foreach_current_index(lc)];
		char	   *failure;

		CHECK_FOR_INTERRUPTS();
		run.reference = lfirst(lc);
		run.scan = scan < 0 ? NULL : &run.scans[scan];
		failure = voxanne_attempt(check_reference, &run);
		if (failure != NULL)
			report_skip(&run, failure);
	}
	voxanne_run_end(nestlevel);
	voxanne_sink_close(&run.sink);
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

/* Ask the scan engine what it takes; scan_of[i]: number of the i-th reference's question, or -1. */
static void
scan_references(OrphanRun *run, List *references, int *scan_of)
{
	ListCell   *lc;

	run->scans = palloc_array(VoxScanQuestion, list_length(references) + 1);
	foreach(lc, references)
	{
		VoxReference *reference = lfirst(lc);
		VoxScanQuestion *question = &run->scans[run->nscans];
		bool		taken;

		if (reference->refusal == NULL)
			reference->refusal = reference_refusal(reference);
		taken = reference->refusal == NULL &&
			voxanne_scan_reference(reference, is_live_only(run, reference), question) == NULL;
		scan_of[foreach_current_index(lc)] = taken ? run->nscans++ : -1;
	}
	voxanne_scan(run->scans, run->nscans);
}

/* One reference, start to end. */
static void
check_reference(void *state)
{
	OrphanRun  *run = state;
	const VoxReference *reference = run->reference;
	bool		live_only = is_live_only(run, reference);
	const VoxScanQuestion *found = run->scan != NULL && run->scan->answered ? run->scan : NULL;
	VoxReferenceAnswer answer;
	int			score;

	if (reference->refusal != NULL)
	{
		report_skip(run, reference->refusal);
		return;
	}
	if (found == NULL && voxanne_out_of_time())
	{
		report_skip(run, OUT_OF_TIME);
		return;
	}
	voxanne_execution_note(reference_object(reference), reference_discriminator(reference), run->scan);
	voxanne_reference_ask(reference, live_only, found, &answer);
	score = reference_score(reference, &answer);
	if (score < REPORTED_SCORE)
		return;
	for (int fault = 0; fault < VOX_REFERENCE_FAULTS; fault++)
		if (answer.faults[fault] > 0)
			report_fault(run, (VoxReferenceFault) fault, &answer, score, live_only);
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
	const VoxScanQuestion *found = run->scan != NULL && run->scan->answered ? run->scan : NULL;
	char	   *object = reference_object(reference);
	Datum		own[OWN_COLS];
	bool		own_null[OWN_COLS];
	VoxRemedy	remedy;
	VoxFinding	finding = {
		.severity = claims_to_hold ? VOX_CRITICAL : VOX_WARNING,
		.object = object,
		.key = voxanne_finding_key(faults[fault].check, object, reference_discriminator(reference)),
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
							  source_clause(reference));

	fill_reference(reference, own, own_null);
	own[COL_KIND] = CStringGetTextDatum(faults[fault].kind);
	own[COL_ORPHANS] = Int64GetDatum(answer->faults[fault]);
	own[COL_CHECKED] = Int64GetDatum(answer->checked);
	own[COL_CONFIDENCE] = Float4GetDatum((float4) score / 100);
	own[COL_SAMPLE] = JsonbPGetDatum(voxanne_reference_sample(reference, fault, live_only, found, run->max_rows));
	own_null[COL_KIND] = own_null[COL_ORPHANS] = own_null[COL_CHECKED] = false;
	own_null[COL_CONFIDENCE] = own_null[COL_SAMPLE] = false;
	voxanne_sink_add(&run->sink, &finding, own, own_null);
}

/* A reference that could not be checked. */
static void
report_skip(OrphanRun *run, const char *reason)
{
	const VoxReference *reference = run->reference;
	char	   *object = reference_object(reference);
	Datum		own[OWN_COLS];
	bool		own_null[OWN_COLS];
	VoxFinding	finding = {
		.severity = VOX_WARNING,
		.object = object,
		.detail = reason,
		.advice = "Call find_orphans() again once that is settled: this reference may have orphans.",
		.key = voxanne_finding_key("check_skipped", object, reference_discriminator(reference)),
	};

	fill_reference(reference, own, own_null);
	own[COL_KIND] = CStringGetTextDatum("skipped");
	own_null[COL_KIND] = false;
	voxanne_sink_add(&run->sink, &finding, own, own_null);
}

/* The columns that say which reference it is; the others null. */
static void
fill_reference(const VoxReference *reference, Datum *own, bool *own_null)
{
	char	   *child = voxanne_relation_name(reference->child);
	char	   *parent = voxanne_relation_name(reference->parent);
	char	   *constraint = OidIsValid(reference->constraint) ? get_constraint_name(reference->constraint) : NULL;

	memset(own_null, true, sizeof(bool) * OWN_COLS);
	if (child != NULL)
	{
		own[COL_CHILD] = CStringGetTextDatum(child);
		own[COL_CHILD_COLUMNS] = voxanne_name_array(reference->child, voxanne_reference_columns(reference, false));
		own_null[COL_CHILD] = own_null[COL_CHILD_COLUMNS] = false;
	}
	if (parent != NULL)
	{
		own[COL_PARENT] = CStringGetTextDatum(parent);
		own[COL_PARENT_COLUMNS] = voxanne_name_array(reference->parent, voxanne_reference_columns(reference, true));
		own_null[COL_PARENT] = own_null[COL_PARENT_COLUMNS] = false;
	}
	own[COL_SOURCE] = CStringGetTextDatum(voxanne_reference_source(reference->source));
	own_null[COL_SOURCE] = false;
	if (constraint != NULL)
	{
		own[COL_CONSTRAINT_NAME] = DirectFunctionCall1(namein, CStringGetDatum(constraint));
		own_null[COL_CONSTRAINT_NAME] = false;
	}
}

/* The referencing columns: public.appointments.contact_id, or public.t (a, b). */
static char *
reference_object(const VoxReference *reference)
{
	char	   *child = voxanne_relation_name(reference->child);

	if (child == NULL)
		return psprintf("a dropped table, %s", reference_discriminator(reference));
	if (reference->natts == 1 && get_attname(reference->child, reference->child_atts[0], true) != NULL)
		return voxanne_column_name(reference->child, reference->child_atts[0]);
	return psprintf("%s (%s)", child,
					voxanne_column_list(reference->child, "", voxanne_reference_columns(reference, false)));
}

/* What tells two references of the same columns apart. */
static char *
reference_discriminator(const VoxReference *reference)
{
	char	   *name = OidIsValid(reference->constraint) ? get_constraint_name(reference->constraint) :
		voxanne_relation_name(reference->parent);

	return name == NULL ? pstrdup("dropped") : name;
}

/* The end of the detail: what the catalogs say about the reference. */
static char *
source_clause(const VoxReference *reference)
{
	const char *name = OidIsValid(reference->constraint) ?
		quote_identifier(get_constraint_name(reference->constraint)) : "";

	switch (reference->source)
	{
		case VOX_REFERENCE_DECLARED:
			return psprintf(", although foreign key %s claims to hold", name);
		case VOX_REFERENCE_NOT_VALID:
			return psprintf("; foreign key %s is NOT VALID", name);
		case VOX_REFERENCE_NOT_ENFORCED:
			return psprintf("; foreign key %s is NOT ENFORCED", name);
		case VOX_REFERENCE_TRIGGERS_DISABLED:
			return psprintf(", because triggers of foreign key %s are disabled", name);
		case VOX_REFERENCE_INFERRED:
			break;
	}
	return pstrdup("; no foreign key says so, but name, type and values do");
}
