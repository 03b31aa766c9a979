/*
 * src/data/keyscan_scan.c
 *		One pass over a table: every row, once, for every side that wants it.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "core/compat.h"
#include "core/relation.h"
#include "data/keyscan_internal.h"
#include "data/keyscan_progress.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Rows after which memory is given back, interrupts are served and progress is told. */
#define ROWS_PER_PAUSE 256

/* Rows by which the tuples that will be read are fetched into the cache ahead. */
#define ROWS_AHEAD 6

/* What one side makes of the rows of the step. */
typedef struct Emitter
{
	SharedSide *side;
	const VoxScanQuestion *question;	/* NULL: a parent side */
	StoreWriter *writer;		/* all but CHILD, unless it is stored */
	Prober	   *prober;			/* CHILD, carried */
	ValueSide  *values;			/* PARENT and CHILD that are compared by value */
	RuleSide   *rules;			/* RULES */
	LabelSide  *labels;			/* LABELS */
	struct Emitter *leader;		/* CHILD: that of side->leader, or NULL */
	bool		probed;			/* CHILD: the present row was looked up */
	uint64		checked;

	/* of the present leaf */
	KeyReader	reader;
	VoxScanSkip skips[VOX_MAX_SKIPS];
	TimeReader	times;			/* OVERLAP */
} Emitter;

static int	open_emitters(Keyscan *run, Emitter *emitters);
static bool open_emitter(Keyscan *run, SharedSide *side, Emitter *emitter);
static AttrNumber point_at_leaf(Emitter *emitter, Relation leaf);
static void want_columns(const Emitter *emitter, RowReader *rows);
static void scan_leaf(Keyscan *run, const SharedLeaf *leaf, Emitter *emitters, int count);
static void read_rows(Keyscan *run, const SharedLeaf *leaf, TableScanDesc scan, RowReader *rows,
					  const VoxRow *row, Emitter *emitters, int count);
static inline void fetch_ahead(HeapScanDesc scan, bool new_page);
static bool pause_scan(Keyscan *run, uint64 rows, uint64 blocks);
static bool is_skipped(const Emitter *emitter, const VoxRow *row);
static uint32 seconds_to(int64 start, int64 end);
static void emit(Emitter *emitter, const VoxRow *row, RowId id);
static inline void emit_key(Emitter *emitter, const VoxRow *row, RowId id);
static inline void fill_unique(const SharedSide *side, UniqueEntry *entry, uint64 hash, RowId id);
static inline void fill_overlap(const Emitter *emitter, OverlapEntry *entry, uint64 hash, const VoxRow *row, RowId id);
static inline void fill_parent(const SharedSide *side, uint64 *entry, uint64 hash, const uint64 *words);
static inline void emit_value(Emitter *emitter, const VoxRow *row);
static void emit_child(Emitter *emitter, const VoxRow *row, RowId id);
static void close_emitters(Emitter *emitters, int count);

/*
 * Scan this participant's share of the present step's table.
 */
void
voxanne_scan_step(Keyscan *run)
{
	const SharedStep *step = &run->steps[run->step];
	Emitter    *emitters = palloc0_array(Emitter, run->shared->nsides);
	int			count = open_emitters(run, emitters);

	for (int i = 0; i < step->nleaves; i++)
		scan_leaf(run, &run->leaves[step->first_leaf + i], emitters, count);
	close_emitters(emitters, count);
	pfree(emitters);
}

/* Leaders come before those that follow them. */
static int
open_emitters(Keyscan *run, Emitter *emitters)
{
	int			count = 0;

	for (int i = 0; i < run->shared->nsides; i++)
		if (run->sides[i].leader < 0)
			count += open_emitter(run, &run->sides[i], &emitters[count]);
	for (int i = 0; i < run->shared->nsides; i++)
	{
		Emitter    *emitter = &emitters[count];

		if (run->sides[i].leader < 0 || !open_emitter(run, &run->sides[i], emitter))
			continue;
		for (int j = 0; j < count; j++)
			if (emitters[j].side == &run->sides[run->sides[i].leader])
				emitter->leader = &emitters[j];
		if (emitter->leader != NULL)
			voxanne_probe_follow(emitter->prober, emitter->leader->prober);
		count++;
	}
	return count;
}

/*
 * False if the side has nothing to do with the step, or is a child whose
 * parent's keys did not fit in memory, which cannot be answered here.
 */
static bool
open_emitter(Keyscan *run, SharedSide *side, Emitter *emitter)
{
	if (side->step != run->step)
		return false;
	if (side->kind == SIDE_CHILD &&
		pg_atomic_read_u32(&run->sides[side->parent].overflow) != 0)
	{
		pg_atomic_write_u32(&side->overflow, 1);
		return false;
	}
	emitter->side = side;
	emitter->question = side->kind == SIDE_PARENT ? NULL : &run->questions[side->question];
	if (side->by_value)
		emitter->values = voxanne_value_open(run, side);
	else if (side->kind == SIDE_RULES)
		emitter->rules = voxanne_rules_open(run, side);
	else if (side->kind == SIDE_LABELS)
		emitter->labels = voxanne_labels_open(run, side);
	else if (side->kind == SIDE_CHILD)
		emitter->prober = voxanne_probe_open(run, side);
	if (side->entry_size > 0)
		emitter->writer = voxanne_entries_open(run, side);
	return true;
}

/* Find an emitter's columns in a leaf; returns the last of them. */
static AttrNumber
point_at_leaf(Emitter *emitter, Relation rel)
{
	const VoxScanKey *key = &emitter->side->key;
	const VoxScanQuestion *question = emitter->question;
	Oid			leaf = RelationGetRelid(rel);
	AttrNumber	last = 0;

	if (emitter->values != NULL)
		last = voxanne_value_point(emitter->values, leaf);
	else if (emitter->rules != NULL)
		last = voxanne_rules_point(emitter->rules, rel);
	else
		voxanne_key_open(&emitter->reader, key, leaf, emitter->side->words);
	for (int i = 0; i < emitter->reader.ncols; i++)
		last = Max(last, emitter->reader.cols[i].attnum);
	for (int i = 0; i < key->nskips; i++)
	{
		emitter->skips[i] = key->skips[i];
		emitter->skips[i].attnum = voxanne_leaf_column(key, key->skips[i].attnum, leaf);
		last = Max(last, emitter->skips[i].attnum);
	}
	if (question == NULL)
		return last;
	voxanne_time_open(&emitter->times, question, leaf);
	return Max(Max(last, emitter->times.length), Max(emitter->times.start, emitter->times.end));
}

/* Have an emitter's columns read. */
static void
want_columns(const Emitter *emitter, RowReader *rows)
{
	const AttrNumber times[] = {emitter->times.start, emitter->times.end, emitter->times.length};

	if (emitter->values != NULL)
		voxanne_value_want(emitter->values, rows);
	if (emitter->rules != NULL)
		voxanne_rules_want(emitter->rules, rows);
	for (int i = 0; i < emitter->reader.ncols; i++)
		voxanne_row_want(rows, emitter->reader.cols[i].attnum);
	for (int i = 0; i < emitter->side->key.nskips; i++)
		voxanne_row_want(rows, emitter->skips[i].attnum);
	for (int i = 0; i < (int) lengthof(times); i++)
		if (times[i] != 0)
			voxanne_row_want(rows, times[i]);
}

/*
 * Scan our share of one leaf, unless the run is out of time.  The leader's
 * snapshot is active here; its lock on the table protects the whole group.
 */
static void
scan_leaf(Keyscan *run, const SharedLeaf *leaf, Emitter *emitters, int count)
{
	Relation	rel = table_open(leaf->relid, AccessShareLock);
	VoxRow		row;
	RowReader  *rows;
	TableScanDesc scan;
	MemoryContext old;
	AttrNumber	last = 0;

	for (int i = 0; i < count; i++)
	{
		AttrNumber	wanted = point_at_leaf(&emitters[i], rel);

		last = Max(last, wanted);
	}
	rows = voxanne_row_open(rel, last, &row);
	for (int i = 0; i < count; i++)
	{
		want_columns(&emitters[i], rows);
		if (emitters[i].rules != NULL)
			voxanne_rules_begin(emitters[i].rules, &row, last);
	}

	scan = table_beginscan_parallel(rel, (ParallelTableScanDesc) (run->scans + leaf->scan_offset));
	old = MemoryContextSwitchTo(run->row_context);
	read_rows(run, leaf, scan, rows, &row, emitters, count);
	MemoryContextSwitchTo(old);
	table_endscan(scan);
	for (int i = 0; i < count; i++)
		if (emitters[i].rules != NULL)
			voxanne_rules_end(emitters[i].rules);
	voxanne_row_close(rows);
	table_close(rel, NoLock);
}

/* Hand every row of a scan to every emitter. */
static void
read_rows(Keyscan *run, const SharedLeaf *leaf, TableScanDesc scan, RowReader *rows, const VoxRow *row,
		  Emitter *emitters, int count)
{
	BlockNumber block = InvalidBlockNumber;
	uint64		nrows = 0;
	uint64		nblocks = 0;
	bool		going = true;
	HeapTuple	tuple;

	while (going && (tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		BlockNumber at = ItemPointerGetBlockNumberNoCheck(&tuple->t_self);
		RowId		id = ROWID_MAKE(leaf->first_block + at, ItemPointerGetOffsetNumberNoCheck(&tuple->t_self));

		fetch_ahead((HeapScanDesc) scan, at != block);
		voxanne_row_read(rows, tuple);
		for (int i = 0; i < count; i++)
			emit(&emitters[i], row, id);
		if (at != block)
		{
			block = at;
			nblocks++;
		}
		if (++nrows == ROWS_PER_PAUSE)
		{
			going = pause_scan(run, nrows, nblocks);
			nrows = nblocks = 0;
		}
	}
	pause_scan(run, nrows, nblocks);
}

/*
 * Fetch a tuple that is about to be read into the cache; on a new page all that
 * come before it as well.  The scan works on a page at a time, and has the list
 * of its visible rows.
 */
static inline void
fetch_ahead(HeapScanDesc scan, bool new_page)
{
	Page		page = BufferGetPage(scan->rs_cbuf);
	int			last = Min((int) scan->rs_cindex + ROWS_AHEAD, (int) scan->rs_ntuples - 1);

	for (int i = new_page ? scan->rs_cindex + 1 : scan->rs_cindex + ROWS_AHEAD; i <= last; i++)
	{
		const char *tuple = (char *) page + ItemIdGetOffset(PageGetItemId(page, scan->rs_vistuples[i]));

		__builtin_prefetch(tuple);
		__builtin_prefetch(tuple + PG_CACHE_LINE_SIZE / 2);
	}
}

/* Every few rows; false if the run is out of time. */
static bool
pause_scan(Keyscan *run, uint64 rows, uint64 blocks)
{
	KeyscanShared *shared = run->shared;

	MemoryContextReset(run->row_context);
	CHECK_FOR_INTERRUPTS();
	pg_atomic_fetch_add_u64(&shared->scanned, rows);
	voxanne_progress_add(shared->progress, blocks, rows);
	if (shared->deadline != 0 && GetCurrentTimestamp() >= shared->deadline)
		pg_atomic_write_u32(&shared->stopped, 1);
	return pg_atomic_read_u32(&shared->stopped) == 0;
}

/* Does a side pass over this row? */
static bool
is_skipped(const Emitter *emitter, const VoxRow *row)
{
	int			nskips = emitter->side->key.nskips;

	for (int i = 0; i < nskips; i++)
	{
		const VoxScanSkip *skip = &emitter->skips[i];
		Datum		value = row->values[skip->attnum - 1];
		bool		isnull = row->isnull[skip->attnum - 1];

		switch (skip->kind)
		{
			case VOX_SKIP_NOT_NULL:
				if (!isnull)
					return true;
				break;
			case VOX_SKIP_TRUE:
				if (!isnull && DatumGetBool(value))
					return true;
				break;
			case VOX_SKIP_BEFORE:
				if (isnull || DatumGetInt64(value) < skip->operand)
					return true;
				break;
			case VOX_SKIP_EQUAL:
				if (!isnull && DatumGetInt32(value) == (int32) skip->operand)
					return true;
				break;
		}
	}
	return false;
}

/* From one time to a later one, as OverlapEntry has it. */
static uint32
seconds_to(int64 start, int64 end)
{
	uint64		length = (uint64) end - (uint64) start;
	uint64		seconds = length / USECS_PER_SEC + (length % USECS_PER_SEC != 0);

	return (uint32) Min(seconds, PG_UINT32_MAX);
}

/* Hand one row to one side. */
static void
emit(Emitter *emitter, const VoxRow *row, RowId id)
{
	const SharedSide *side = emitter->side;
	bool		skipped = is_skipped(emitter, row);

	emitter->probed = false;
	if (emitter->rules != NULL)
		voxanne_rules_row(emitter->rules, skipped, id);
	else if (skipped != side->key.only_skipped)
		return;
	else if (emitter->labels != NULL)
		voxanne_labels_row(emitter->labels, row, emitter->reader.cols[0].attnum);
	else if (side->kind == SIDE_CHILD)
		emit_child(emitter, row, id);
	else if (side->by_value)
		emit_value(emitter, row);
	else
		emit_key(emitter, row, id);
}

/* Keep a row's key, as an entry of the side's kind. */
static inline void
emit_key(Emitter *emitter, const VoxRow *row, RowId id)
{
	const SharedSide *side = emitter->side;
	uint64		words[KEY_MAX_WORDS];
	uint64		hash;
	void	   *entry;

	if (side->kind == SIDE_OVERLAP && row->isnull[emitter->times.start - 1])
		return;
	if (voxanne_key_read(&emitter->reader, row, words, &hash) != KEY_READ)
		return;
	emitter->checked++;
	entry = voxanne_entries_next(emitter->writer, hash);
	if (side->kind == SIDE_UNIQUE)
		fill_unique(side, entry, hash, id);
	else if (side->kind == SIDE_OVERLAP)
		fill_overlap(emitter, entry, hash, row, id);
	else
		fill_parent(side, entry, hash, words);
}

static inline void
fill_unique(const SharedSide *side, UniqueEntry *entry, uint64 hash, RowId id)
{
	entry->word = entry_word(side, hash, id);
	if (side->entry_size == sizeof(UniqueEntry))
		entry->hash = hash;
}

static inline void
fill_overlap(const Emitter *emitter, OverlapEntry *entry, uint64 hash, const VoxRow *row, RowId id)
{
	int64		start = voxanne_time_start(&emitter->times, row);

	entry->word = entry_word(emitter->side, hash, id);
	entry->hash = (uint32) hash;
	entry->start = start;
	entry->seconds = emitter->question->ranges ? seconds_to(start, voxanne_time_end(&emitter->times, row, start)) : 0;
}

static inline void
fill_parent(const SharedSide *side, uint64 *entry, uint64 hash, const uint64 *words)
{
	entry[0] = hash;
	copy_words(entry + 1, words, side->words);
}

/* Keep a parent's key that is compared by value. */
static inline void
emit_value(Emitter *emitter, const VoxRow *row)
{
	uint64		hash;
	uint64		value;
	uint64	   *entry;

	if (!voxanne_value_keep(emitter->values, row, &hash, &value))
		return;
	entry = voxanne_entries_next(emitter->writer, hash);
	entry[0] = hash;
	entry[1] = value;
}

/* Look a row's key up; what the set cannot decide is for SQL to decide. */
static void
emit_child(Emitter *emitter, const VoxRow *row, RowId id)
{
	uint64		words[KEY_MAX_WORDS];
	uint64		hash;
	KeyResult	result;

	if (emitter->leader != NULL && emitter->leader->probed)
	{
		emitter->checked++;
		return;
	}
	if (emitter->values != NULL)
	{
		emitter->checked += voxanne_value_probe(emitter->values, row, id, emitter->question->match_full);
		return;
	}
	result = voxanne_key_read(&emitter->reader, row, words, &hash);
	if (result == KEY_NULL)
	{
		if (emitter->question->match_full && voxanne_key_partial(&emitter->reader, row))
			voxanne_probe_miss(emitter->prober, id);
		return;
	}
	emitter->checked++;
	emitter->probed = result == KEY_READ;
	if (!emitter->probed)
		voxanne_probe_miss(emitter->prober, id);
	else if (emitter->side->stored)
	{
		uint64	   *entry = voxanne_entries_next(emitter->writer, hash);

		entry[0] = id;
		entry[1] = hash;
		copy_words(entry + 2, words, emitter->side->words);
	}
	else
		voxanne_probe(emitter->prober, words, hash, id);
}

static void
close_emitters(Emitter *emitters, int count)
{
	for (int i = 0; i < count; i++)
	{
		Emitter    *emitter = &emitters[i];

		if (emitter->writer != NULL)
			voxanne_entries_close(emitter->writer);
		if (emitter->prober != NULL)
			voxanne_probe_close(emitter->prober);
		if (emitter->values != NULL)
			voxanne_value_close(emitter->values);
		if (emitter->rules != NULL)
			voxanne_rules_close(emitter->rules);
		if (emitter->labels != NULL)
			voxanne_labels_close(emitter->labels);
		pg_atomic_fetch_add_u64(&emitter->side->checked, emitter->checked);
	}
}
