/*
 * src/data/keyscan_plan.c
 *		The scan engine: from questions to sides, steps and workers.
 *
 * All tables are opened here once, with the caller's locks, so that a question
 * the engine does not take is known before anything is scanned.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "core/compat.h"
#include "data/keyscan_rows.h"
#include "data/keyscan_store.h"
#include "miscadmin.h"
#include "optimizer/paths.h"
#include "port/pg_bitutils.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* A partition of this many bytes stays in cache while it is matched. */
#define PARTITION_BYTES (160 * 1024)
#define MAX_PARTITION_BITS 11

/* Rows of a block, where the table has never been analyzed. */
#define ROWS_PER_BLOCK 60.0

/* A table with sides that are in no step yet. */
typedef struct PlanTable
{
	Oid			relid;
	bool		only;
	List	   *leaves;
	uint64		blocks;
	double		rows;
	List	   *sides;			/* numbers */
} PlanTable;

static void add_question(KeyscanPlan *plan, VoxScanQuestion *question);
static const char *add_reference(KeyscanPlan *plan, VoxScanQuestion *question);
static bool is_carried(const VoxScanQuestion *question, int *words);
static int	add_side(KeyscanPlan *plan, const SharedSide *start, const VoxScanKey *key, int question);
static const char *list_leaves(const VoxScanKey *key, List **leaves);
static const char *examine_leaf(Oid relid, bool *is_leaf);
static List *plan_tables(KeyscanPlan *plan);
static void measure_table(KeyscanPlan *plan, PlanTable *table);
static void plan_steps(KeyscanPlan *plan, List *tables);
static PlanTable *next_table(KeyscanPlan *plan, List *tables, bool ready_only);
static bool is_ready(KeyscanPlan *plan, const PlanTable *table);
static bool has_parent_side(KeyscanPlan *plan, const PlanTable *table);
static void add_step(KeyscanPlan *plan, PlanTable *table, bool parents_only);
static int	entry_size(const SharedSide *side);
static int	partition_bits(const KeyscanPlan *plan, int side, uint64 memory_limit);

/*
 * Plan a run.  Questions that the engine does not take are marked with the
 * reason; plan->nsides is 0 if none is left.  Everything is in the current
 * context.
 */
void
voxanne_keyscan_plan(KeyscanPlan *plan, VoxScanQuestion *questions, int count)
{
	memset(plan, 0, sizeof(*plan));
	plan->questions = questions;
	plan->nquestions = count;
	plan->sides = palloc0_array(SharedSide, count * 2 + 1);
	plan->steps = palloc0_array(SharedStep, count * 2 + 1);
	plan->rows = palloc0_array(double, count * 2 + 1);
	for (int i = 0; i < count; i++)
		add_question(plan, &questions[i]);
	voxanne_choose_leaders(plan);
	if (plan->nsides > 0)
		plan_steps(plan, plan_tables(plan));
}

/* Turn one question into sides, or say why SQL must answer it. */
static void
add_question(KeyscanPlan *plan, VoxScanQuestion *question)
{
	static const SideKind kinds[] = {
		[VOX_SCAN_UNIQUE] = SIDE_UNIQUE,
		[VOX_SCAN_OVERLAP] = SIDE_OVERLAP,
		[VOX_SCAN_RULES] = SIDE_RULES,
		[VOX_SCAN_LABELS] = SIDE_LABELS,
	};
	bool		is_reference = question->kind == VOX_SCAN_REFERENCE;
	List	   *leaves;
	int			words = 0;

	question->answered = question->late = false;
	question->nrows = question->checked = 0;
	question->rows = NULL;
	if (question->reason != NULL)
		return;
	question->reason = list_leaves(&question->key, &leaves);
	if (question->reason == NULL && (question->kind == VOX_SCAN_UNIQUE || question->kind == VOX_SCAN_OVERLAP))
		question->reason = voxanne_key_plan(&question->key, false, &words);
	if (question->reason == NULL && is_reference)
		question->reason = add_reference(plan, question);
	else if (question->reason == NULL)
	{
		SharedSide	side = {.kind = kinds[question->kind],.parent = -1};

		add_side(plan, &side, &question->key, question - plan->questions);
	}
}

/* The child's side and, unless another reference brought it already, the parent's. */
static const char *
add_reference(KeyscanPlan *plan, VoxScanQuestion *question)
{
	SharedSide	parent = {.kind = SIDE_PARENT};
	SharedSide	child = {.kind = SIDE_CHILD};
	List	   *leaves;
	const char *reason = list_leaves(&question->parent, &leaves);

	if (reason == NULL && !is_carried(question, &child.words))
	{
		child.by_value = parent.by_value = true;
		reason = voxanne_value_plan(question, &parent.values, &child.values);
	}
	if (reason != NULL)
		return reason;
	parent.words = child.words;

	child.parent = -1;
	for (int i = 0; i < plan->nsides; i++)
		if (plan->sides[i].kind == SIDE_PARENT && voxanne_same_key(&plan->sides[i].key, &question->parent) &&
			plan->sides[i].by_value == parent.by_value &&
			memcmp(&plan->sides[i].values, &parent.values, sizeof(ValuePlan)) == 0)
			child.parent = i;
	if (child.parent < 0)
		child.parent = add_side(plan, &parent, &question->parent, -1);
	child.stored = !child.by_value && question->key.relid == question->parent.relid &&
		question->key.only == question->parent.only;
	add_side(plan, &child, &question->key, question - plan->questions);
	return NULL;
}

/*
 * Is a reference's key to be carried, in *words, rather than compared by value?
 * Only by an equality that is one of bits: the server's own for its types.
 */
static bool
is_carried(const VoxScanQuestion *question, int *words)
{
	int			parent_words;
	bool		as_uuid = false;
	bool		own = true;

	for (int i = 0; i < question->key.ncols; i++)
	{
		as_uuid |= question->key.cols[i].form != VOX_FORM_VALUE || question->parent.cols[i].form != VOX_FORM_VALUE;
		own &= question->operators[i] < FirstNormalObjectId;
	}
	if (!own || voxanne_key_plan(&question->key, true, words) != NULL ||
		voxanne_key_plan(&question->parent, true, &parent_words) != NULL ||
		voxanne_key_mismatch(&question->key, &question->parent) != NULL ||
		(!as_uuid && (voxanne_key_is_long(&question->key) || voxanne_key_is_long(&question->parent))))
	{
		*words = 0;
		return false;
	}
	Assert(*words == parent_words);
	return true;
}

/* Append a side, of which kind, words, parent and how it is compared are set. */
static int
add_side(KeyscanPlan *plan, const SharedSide *start, const VoxScanKey *key, int question)
{
	SharedSide *side = &plan->sides[plan->nsides];

	*side = *start;
	side->question = question;
	side->step = -1;
	side->leader = -1;
	side->key = *key;
	return plan->nsides++;
}

/* Tables to scan for a key, or why the engine does not scan them. */
static const char *
list_leaves(const VoxScanKey *key, List **leaves)
{
	List	   *all = key->only ? list_make1_oid(key->relid) :
		find_all_inheritors(key->relid, NoLock, NULL);
	ListCell   *lc;

	*leaves = NIL;
	foreach(lc, all)
	{
		bool		is_leaf;
		const char *reason = examine_leaf(lfirst_oid(lc), &is_leaf);

		if (reason != NULL)
			return reason;
		if (is_leaf)
			*leaves = lappend_oid(*leaves, lfirst_oid(lc));
	}
	return NULL;
}

/* Why the engine does not scan a table; a partitioned one holds no rows itself. */
static const char *
examine_leaf(Oid relid, bool *is_leaf)
{
	Relation	rel = table_open(relid, AccessShareLock);
	char		relkind = rel->rd_rel->relkind;
	const char *reason = NULL;

	*is_leaf = relkind != RELKIND_PARTITIONED_TABLE;
	if (*is_leaf && (relkind != RELKIND_RELATION && relkind != RELKIND_MATVIEW))
		reason = "The scan reads tables only.";
	else if (*is_leaf && rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		reason = "The scan reads heap tables only.";
	else if (RELATION_IS_OTHER_TEMP(rel))
		reason = "It is a temporary table of another session.";
	table_close(rel, NoLock);
	return reason;
}

/* The tables to be scanned, each with its sides. */
static List *
plan_tables(KeyscanPlan *plan)
{
	List	   *tables = NIL;

	for (int i = 0; i < plan->nsides; i++)
	{
		const VoxScanKey *key = &plan->sides[i].key;
		PlanTable  *table = NULL;
		ListCell   *lc;

		foreach(lc, tables)
		{
			PlanTable  *known = lfirst(lc);

			if (known->relid == key->relid && known->only == key->only)
				table = known;
		}
		if (table == NULL)
		{
			table = palloc0_object(PlanTable);
			table->relid = key->relid;
			table->only = key->only;
			(void) list_leaves(key, &table->leaves);
			measure_table(plan, table);
			tables = lappend(tables, table);
		}
		table->sides = lappend_int(table->sides, i);
		plan->rows[i] = table->rows;
	}
	return tables;
}

static void
measure_table(KeyscanPlan *plan, PlanTable *table)
{
	ListCell   *lc;

	foreach(lc, table->leaves)
	{
		Relation	rel = table_open(lfirst_oid(lc), NoLock);
		BlockNumber blocks = RelationGetNumberOfBlocks(rel);

		table->blocks += blocks;
		table->rows += rel->rd_rel->reltuples > 0 && rel->rd_rel->relpages > 0 ?
			(double) rel->rd_rel->reltuples / rel->rd_rel->relpages * blocks : blocks * ROWS_PER_BLOCK;
		if (RelationUsesLocalBuffers(rel))
			plan->serial = true;
		table_close(rel, NoLock);
	}
}

/*
 * Order the passes, the smallest table first: a table's sides once all parents
 * that its references look up are built.  Where references form a circle, or a
 * table references itself by value, one table gets an extra pass for its keys
 * alone.
 */
static void
plan_steps(KeyscanPlan *plan, List *tables)
{
	while (tables != NIL)
	{
		PlanTable  *table = next_table(plan, tables, true);

		if (table != NULL)
		{
			add_step(plan, table, false);
			tables = list_delete_ptr(tables, table);
		}
		else
			add_step(plan, next_table(plan, tables, false), true);
	}
	for (int i = 0; i < plan->nsides; i++)
		if (plan->sides[i].kind == SIDE_CHILD)
		{
			SharedSide *parent = &plan->sides[plan->sides[i].parent];

			parent->last_step = Max(parent->last_step, plan->sides[i].step);
			plan->sides[i].stored &= parent->step == plan->sides[i].step;
		}
}

/* The smallest table that is ready, or (not ready_only) with parents to be built. */
static PlanTable *
next_table(KeyscanPlan *plan, List *tables, bool ready_only)
{
	PlanTable  *best = NULL;
	ListCell   *lc;

	foreach(lc, tables)
	{
		PlanTable  *table = lfirst(lc);

		if ((ready_only ? is_ready(plan, table) : has_parent_side(plan, table)) &&
			(best == NULL || table->blocks < best->blocks))
			best = table;
	}
	return best;
}

static bool
is_ready(KeyscanPlan *plan, const PlanTable *table)
{
	ListCell   *lc;

	foreach(lc, table->sides)
	{
		const SharedSide *side = &plan->sides[lfirst_int(lc)];

		if (side->kind == SIDE_CHILD && !side->stored && plan->sides[side->parent].step < 0)
			return false;
	}
	return true;
}

static bool
has_parent_side(KeyscanPlan *plan, const PlanTable *table)
{
	ListCell   *lc;

	foreach(lc, table->sides)
		if (plan->sides[lfirst_int(lc)].kind == SIDE_PARENT)
		return true;
	return false;
}

/* Append the pass over a table, for all its sides or only those that are parents. */
static void
add_step(KeyscanPlan *plan, PlanTable *table, bool parents_only)
{
	SharedStep *step = &plan->steps[plan->nsteps];
	ListCell   *lc;

	step->relid = table->relid;
	step->first_leaf = plan->nleaves;
	step->nleaves = list_length(table->leaves);
	step->blocks = table->blocks;
	plan->blocks += table->blocks;
	if (plan->leaves == NULL || plan->nleaves + step->nleaves > plan->leaf_room)
	{
		plan->leaf_room = (plan->nleaves + step->nleaves) * 2 + 8;
		plan->leaves = plan->leaves == NULL ? palloc_array(SharedLeaf, plan->leaf_room) :
			repalloc(plan->leaves, sizeof(SharedLeaf) * plan->leaf_room);
	}
	foreach(lc, table->leaves)
	{
		Relation	rel = table_open(lfirst_oid(lc), NoLock);
		SharedLeaf *leaf = &plan->leaves[plan->nleaves++];

		leaf->relid = lfirst_oid(lc);
		leaf->scan_offset = plan->scan_bytes;
		plan->scan_bytes += MAXALIGN(table_parallelscan_estimate(rel, GetActiveSnapshot()));
		table_close(rel, NoLock);
	}
	foreach(lc, table->sides)
	{
		SharedSide *side = &plan->sides[lfirst_int(lc)];

		if (parents_only && side->kind != SIDE_PARENT)
			continue;
		side->step = plan->nsteps;
		table->sides = foreach_delete_current(table->sides, lc);
	}
	plan->nsteps++;
}

/*
 * Workers worth starting: one from min_parallel_table_scan_size on, one more
 * for each tripling, as a parallel scan would get.
 */
int
voxanne_keyscan_workers(const KeyscanPlan *plan)
{
	uint64		threshold = Max(min_parallel_table_scan_size, 1);
	int			workers = 0;

	if (plan->serial)
		return 0;
	for (; plan->blocks >= threshold && workers < max_parallel_maintenance_workers; threshold *= 3)
		workers++;
	return workers;
}

/*
 * Settle how entries look and how they are partitioned, now that the steps'
 * blocks are known.
 */
void
voxanne_plan_entries(KeyscanPlan *plan, uint64 memory_limit)
{
	for (int i = 0; i < plan->nsides; i++)
	{
		SharedSide *side = &plan->sides[i];

		side->row_bits = pg_leftmost_one_pos64(plan->steps[side->step].blocks | 1) + 1 + ROWID_OFFSET_BITS;
		side->entry_size = entry_size(side);
		side->partition_bits = partition_bits(plan, i, memory_limit);
	}
}

static int
entry_size(const SharedSide *side)
{
	switch (side->kind)
	{
		case SIDE_UNIQUE:
			return side->row_bits < WIDE_ROW_BITS ? offsetof(UniqueEntry, hash) : sizeof(UniqueEntry);
		case SIDE_OVERLAP:
			return sizeof(OverlapEntry);
		case SIDE_PARENT:
			return (1 + (side->by_value ? 1 : side->words)) * sizeof(uint64);
		case SIDE_CHILD:
			return side->stored ? (2 + side->words) * sizeof(uint64) : 0;
		case SIDE_RULES:
		case SIDE_LABELS:
			return 0;
	}
	pg_unreachable();
}

/*
 * So many partitions that each fits in cache, but that the chunks being filled
 * take no more than a quarter of the memory.
 */
static int
partition_bits(const KeyscanPlan *plan, int side, uint64 memory_limit)
{
	double		bytes = plan->rows[side] * plan->sides[side].entry_size;
	int			participants = 1 + voxanne_keyscan_workers(plan);
	int			sharing = 0;
	int			bits = 0;

	if (plan->sides[side].stored)
		return plan->sides[plan->sides[side].parent].partition_bits;
	if (plan->sides[side].entry_size == 0)
		return 0;
	for (int i = 0; i < plan->nsides; i++)
		if (plan->sides[i].step == plan->sides[side].step && entry_size(&plan->sides[i]) > 0)
			sharing++;
	while (bits < MAX_PARTITION_BITS && bytes > PARTITION_BYTES * (double) (1 << bits) &&
		   (uint64) CHUNK_BYTES * sharing * participants * (1 << (bits + 1)) <= memory_limit / 4)
		bits++;
	return bits;
}
