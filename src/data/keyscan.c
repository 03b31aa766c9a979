/*
 * src/data/keyscan.c
 *		The scan engine: the run and its participants.
 *
 * One question about one key costs SQL a sort or a hash table over the whole
 * table; several questions cost it several scans.  Here one parallel pass over
 * a table serves every question asked of it, and what comes out is not the
 * answer but the few rows that can matter to it: rows whose hash another row
 * has, whose time meets another's, whose whole key the parent lacks.  The
 * caller runs the exact SQL over those rows only, so that hash collisions
 * cannot change an answer and both executors share one definition of it.
 *
 * A question that the engine does not take is left unanswered, with a reason.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "core/compat.h"
#include "data/keyscan_progress.h"
#include "data/keyscan_rows.h"
#include "data/keyscan_store.h"
#include "miscadmin.h"
#include "storage/dsm.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

/* Keys of the table of contents */
#define TOC_SHARED UINT64CONST(1)
#define TOC_SIDES UINT64CONST(2)
#define TOC_STEPS UINT64CONST(3)
#define TOC_LEAVES UINT64CONST(4)
#define TOC_QUESTIONS UINT64CONST(5)
#define TOC_SCANS UINT64CONST(6)

PGDLLEXPORT void voxanne_keyscan_worker(dsm_segment *segment, shm_toc *toc);

static void run_plan(KeyscanPlan *plan, TimestampTz deadline, int progress, VoxScanStats *stats);
static void estimate_toc(ParallelContext *pcxt, const KeyscanPlan *plan);
static void fill_toc(ParallelContext *pcxt, KeyscanPlan *plan, dsa_area *area);
static void init_scans(KeyscanPlan *plan, char *scans);
static void init_shared(KeyscanShared *shared, const KeyscanPlan *plan, dsa_area *area, int nparticipants);
static void init_side(SharedSide *side, dsa_area *area, const VoxScanQuestion *questions);
static Keyscan *attach(shm_toc *toc, dsa_area *area, int number);
static dsm_segment *own_files(ParallelContext *pcxt, Keyscan *run);
static void participate(Keyscan *run);
static void finish_step(Keyscan *run);
static void collect(Keyscan *run, KeyscanPlan *plan);
static uint32 wait_event(void);

/*
 * Narrow the questions down.  The caller holds AccessShareLock or more on every
 * relation named and their leaves, and has an active snapshot taken after these
 * locks.  Uses parallel workers where there are any to be had.  Memory, shared
 * and private together, stays about maintenance_work_mem.  At the deadline (0:
 * none) what is not answered yet is left so.  Results are in the current
 * context.
 */
void
voxanne_keyscan(VoxScanQuestion *questions, int count, TimestampTz deadline, VoxScanStats *stats)
{
	KeyscanPlan plan;
	int			progress;

	memset(stats, 0, sizeof(*stats));
	if (IsInParallelMode())
	{
		for (int i = 0; i < count; i++)
			questions[i].reason = "The call is part of a parallel query.";
		return;
	}
	voxanne_keyscan_plan(&plan, questions, count);
	if (plan.nsides == 0)
		return;

	progress = voxanne_progress_begin();
	PG_TRY();
	{
		run_plan(&plan, deadline, progress, stats);
	}
	PG_FINALLY();
	{
		voxanne_progress_end(progress);
	}
	PG_END_TRY();
}

/* Run the plan with as many workers as can be had, and collect the answers. */
static void
run_plan(KeyscanPlan *plan, TimestampTz deadline, int progress, VoxScanStats *stats)
{
	ParallelContext *pcxt;
	dsm_segment *files;
	dsa_area   *area;
	Keyscan    *run;

	EnterParallelMode();
	pcxt = CreateParallelContext("voxanne_ops", "voxanne_keyscan_worker", voxanne_keyscan_workers(plan));
	estimate_toc(pcxt, plan);
	InitializeParallelDSM(pcxt);

	area = dsa_create(LWTRANCHE_PARALLEL_QUERY_DSA);
	fill_toc(pcxt, plan, area);
	run = attach(pcxt->toc, area, -1);
	voxanne_limit_area(run->shared, area);
	run->shared->deadline = deadline;
	run->shared->progress = progress;
	files = own_files(pcxt, run);

	LaunchParallelWorkers(pcxt);
	stats->workers = pcxt->nworkers_launched;
	participate(run);
	WaitForParallelWorkersToFinish(pcxt);

	collect(run, plan);
	stats->scanned = pg_atomic_read_u64(&run->shared->scanned);
	stats->spilled = pg_atomic_read_u64(&run->shared->spilled);
	if (files != NULL)
		dsm_detach(files);
	dsa_detach(area);
	DestroyParallelContext(pcxt);
	ExitParallelMode();
}

static void
estimate(shm_toc_estimator *estimator, Size bytes)
{
	shm_toc_estimate_chunk(estimator, bytes);
	shm_toc_estimate_keys(estimator, 1);
}

static void
estimate_toc(ParallelContext *pcxt, const KeyscanPlan *plan)
{
	estimate(&pcxt->estimator, sizeof(KeyscanShared));
	estimate(&pcxt->estimator, sizeof(SharedSide) * plan->nsides);
	estimate(&pcxt->estimator, sizeof(SharedStep) * plan->nsteps);
	estimate(&pcxt->estimator, sizeof(SharedLeaf) * Max(plan->nleaves, 1));
	estimate(&pcxt->estimator, sizeof(VoxScanQuestion) * plan->nquestions);
	estimate(&pcxt->estimator, Max(plan->scan_bytes, 1));
}

static void *
toc_place(shm_toc *toc, uint64 key, Size bytes)
{
	void	   *place = shm_toc_allocate(toc, bytes);

	shm_toc_insert(toc, key, place);
	return place;
}

/* Put the plan into shared memory. */
static void
fill_toc(ParallelContext *pcxt, KeyscanPlan *plan, dsa_area *area)
{
	shm_toc    *toc = pcxt->toc;
	KeyscanShared *shared = toc_place(toc, TOC_SHARED, sizeof(KeyscanShared));
	SharedSide *sides = toc_place(toc, TOC_SIDES, sizeof(SharedSide) * plan->nsides);

	init_shared(shared, plan, area, pcxt->nworkers + 1);
	init_scans(plan, toc_place(toc, TOC_SCANS, Max(plan->scan_bytes, 1)));
	voxanne_plan_entries(plan, shared->memory_limit);
	for (int i = 0; i < plan->nsides; i++)
	{
		sides[i] = plan->sides[i];
		init_side(&sides[i], area, plan->questions);
	}
	memcpy(toc_place(toc, TOC_STEPS, sizeof(SharedStep) * plan->nsteps), plan->steps,
		   sizeof(SharedStep) * plan->nsteps);
	memcpy(toc_place(toc, TOC_LEAVES, sizeof(SharedLeaf) * Max(plan->nleaves, 1)), plan->leaves,
		   sizeof(SharedLeaf) * plan->nleaves);
	memcpy(toc_place(toc, TOC_QUESTIONS, sizeof(VoxScanQuestion) * plan->nquestions), plan->questions,
		   sizeof(VoxScanQuestion) * plan->nquestions);
}

/* Prepare the scans of all leaves; they fix how many blocks there are to read. */
static void
init_scans(KeyscanPlan *plan, char *scans)
{
	for (int s = 0; s < plan->nsteps; s++)
	{
		SharedStep *step = &plan->steps[s];

		step->blocks = 0;
		for (int i = 0; i < step->nleaves; i++)
		{
			SharedLeaf *leaf = &plan->leaves[step->first_leaf + i];
			ParallelTableScanDesc scan = (ParallelTableScanDesc) (scans + leaf->scan_offset);
			Relation	rel = table_open(leaf->relid, NoLock);

			table_parallelscan_initialize(rel, scan, GetActiveSnapshot());
			leaf->first_block = step->blocks;
			step->blocks += ((ParallelBlockTableScanDesc) scan)->phs_nblocks;
			table_close(rel, NoLock);
		}
	}
}

static void
init_shared(KeyscanShared *shared, const KeyscanPlan *plan, dsa_area *area, int nparticipants)
{
	memset(shared, 0, sizeof(*shared));
	BarrierInit(&shared->barrier, 0);
	shared->area = dsa_get_handle(area);
	shared->memory_limit = (uint64) maintenance_work_mem * 1024;
	pg_atomic_init_u32(&shared->stopped, 0);
	pg_atomic_init_u32(&shared->steps_done, 0);
	pg_atomic_init_u64(&shared->memory_used, 0);
	pg_atomic_init_u64(&shared->scanned, 0);
	pg_atomic_init_u64(&shared->spilled, 0);
	shared->nsides = plan->nsides;
	shared->nsteps = plan->nsteps;
	shared->nleaves = plan->nleaves;
	shared->nparticipants = nparticipants;
}

/* Make a side's partitions, set its counters, share what a copy of its question does not hold. */
static void
init_side(SharedSide *side, dsa_area *area, const VoxScanQuestion *questions)
{
	int			count = 1 << side->partition_bits;
	SharedPartition *partitions;

	side->partitions = dsa_allocate0(area, sizeof(SharedPartition) * count);
	partitions = dsa_get_address(area, side->partitions);
	for (int i = 0; i < count; i++)
	{
		pg_atomic_init_u64(&partitions[i].chunks, InvalidDsaPointer);
		pg_atomic_init_u64(&partitions[i].bytes, 0);
	}
	pg_atomic_init_u32(&side->next_partition, 0);
	pg_atomic_init_u64(&side->checked, 0);
	pg_atomic_init_u64(&side->candidates, 0);
	pg_atomic_init_u64(&side->results, InvalidDsaPointer);
	pg_atomic_init_u64(&side->kept, InvalidDsaPointer);
	pg_atomic_init_u32(&side->overflow, 0);
	pg_atomic_init_u64(&side->labels, InvalidDsaPointer);
	if (side->kind == SIDE_RULES)
		voxanne_rules_share(area, side, questions[side->question].rules);
}

/* Look the run up in the table of contents: the same in the leader and in workers. */
static Keyscan *
attach(shm_toc *toc, dsa_area *area, int number)
{
	Keyscan    *run = palloc0_object(Keyscan);

	run->shared = shm_toc_lookup(toc, TOC_SHARED, false);
	run->sides = shm_toc_lookup(toc, TOC_SIDES, false);
	run->steps = shm_toc_lookup(toc, TOC_STEPS, false);
	run->leaves = shm_toc_lookup(toc, TOC_LEAVES, false);
	run->questions = shm_toc_lookup(toc, TOC_QUESTIONS, false);
	run->scans = shm_toc_lookup(toc, TOC_SCANS, false);
	run->area = area;
	run->number = number;
	run->opened = palloc0_array(BufFile *, run->shared->nparticipants);
	run->context = CurrentMemoryContext;
	run->row_context = AllocSetContextCreate(CurrentMemoryContext, "keyscan rows",
											 ALLOCSET_DEFAULT_SIZES);
	return run;
}

/*
 * The temporary files' owner is a segment of shared memory: they vanish when
 * the last participant lets go of it, error or not.  A parallel context without
 * workers has no segment, so it gets one for this alone, returned for detaching.
 */
static dsm_segment *
own_files(ParallelContext *pcxt, Keyscan *run)
{
	dsm_segment *segment = NULL;

	if (pcxt->seg != NULL)
		run->fileset = &run->shared->fileset;
	else
	{
		segment = dsm_create(sizeof(SharedFileSet), 0);
		run->fileset = dsm_segment_address(segment);
	}
	SharedFileSetInit(run->fileset, pcxt->seg != NULL ? pcxt->seg : segment);
	return segment;
}

/*
 * Entry point of a parallel worker.
 */
void
voxanne_keyscan_worker(dsm_segment *segment, shm_toc *toc)
{
	KeyscanShared *shared = shm_toc_lookup(toc, TOC_SHARED, false);
	dsa_area   *area = dsa_attach(shared->area);
	Keyscan    *run = attach(toc, area, ParallelWorkerNumber);

	run->fileset = &shared->fileset;
	SharedFileSetAttach(run->fileset, segment);
	participate(run);
	dsa_detach(area);
}

/*
 * Work through the steps together with the other participants.  Each step is
 * two phases of the barrier, scanning and matching; one who comes late joins
 * the present phase.  The deadline can only pass in a scanning phase, so that
 * all see after the barrier whether it has.
 */
static void
participate(Keyscan *run)
{
	KeyscanShared *shared = run->shared;
	Barrier    *barrier = &shared->barrier;
	int			phase = BarrierAttach(barrier);

	while (phase < shared->nsteps * 2)
	{
		bool		scanning = phase % 2 == 0;
		bool		elected;

		/* the others left after the scan, if time was up in it */
		if (!scanning && pg_atomic_read_u32(&shared->stopped) != 0)
			break;
		run->step = phase / 2;
		if (run->number < 0)
			voxanne_progress_phase(shared->progress, run->steps[run->step].relid,
								   scanning ? VOX_PHASE_SCANNING : VOX_PHASE_MATCHING,
								   run->steps[run->step].blocks);
		if (scanning)
		{
			voxanne_scan_step(run);
			voxanne_entries_publish_file(run);
		}
		else
		{
			for (int i = 0; i < shared->nsides; i++)
				if (run->sides[i].step == run->step)
					voxanne_match_side(run, &run->sides[i]);
			voxanne_entries_close_files(run);
		}
		elected = BarrierArriveAndWait(barrier, wait_event());
		if (!scanning)
			voxanne_entries_release(run);
		if (elected && !scanning)
			finish_step(run);
		phase++;
	}
	BarrierDetach(barrier);
}

/* After a step, by one participant: give back what no later step needs. */
static void
finish_step(Keyscan *run)
{
	for (int i = 0; i < run->shared->nsides; i++)
		if (run->sides[i].kind == SIDE_PARENT && run->sides[i].last_step == run->step)
		{
			voxanne_free_sets(run, &run->sides[i]);
			voxanne_value_free(run, &run->sides[i]);
		}
	pg_atomic_write_u32(&run->shared->steps_done, run->step + 1);
}

/* The answers of all questions that have one. */
static void
collect(Keyscan *run, KeyscanPlan *plan)
{
	for (int i = 0; i < plan->nsides; i++)
	{
		SharedSide *side = &run->sides[i];
		VoxScanQuestion *question;

		if (side->kind == SIDE_PARENT)
			continue;
		question = &plan->questions[side->question];
		question->late = side->step >= (int) pg_atomic_read_u32(&run->shared->steps_done);
		if (question->late)
			question->reason = "Its time was up.";
		else if (side->kind == SIDE_RULES)
			voxanne_rules_collect(run, side, question);
		else if (side->kind == SIDE_LABELS)
			voxanne_labels_collect(run, side, question);
		else if (pg_atomic_read_u32(&side->overflow) != 0)
			question->reason = "Too many rows matter, or maintenance_work_mem is too small.";
		else
			voxanne_collect(run, side, question);
	}
}

static uint32
wait_event(void)
{
	static uint32 event = 0;

	if (event == 0)
		event = voxanne_new_wait_event("VoxanneKeyscan");
	return event;
}
