/*
 * src/data/keyscan_scan.c
 *		One pass over a table: every row, once, for every side that wants it.
 *
 * Rows are read in batches, none of more than a page, and a batch is handed to one side
 * after the other: what a side is need not be found out again for every row, and
 * its code and data stay in cache while it works.  The page stays pinned until
 * its rows have been handed out, so that values may point into it.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "core/compat.h"
#include "data/keyscan_emit.h"
#include "data/keyscan_progress.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Rows after which memory is given back, interrupts are served and progress is told. */
#define ROWS_PER_PAUSE 256

/* Rows by which the tuples that will be read are fetched into the cache ahead. */
#define ROWS_AHEAD 6

static void scan_leaf(Keyscan *run, const SharedLeaf *leaf, Emitter *emitters, int count, Batch *batch);
static void read_rows(Keyscan *run, const SharedLeaf *leaf, TableScanDesc scan, RowReader *rows,
					  Emitter *emitters, int count, Batch *batch);
static inline void fetch_ahead(HeapScanDesc scan, bool new_page);
static bool pause_scan(Keyscan *run, uint64 rows, uint64 blocks);

/*
 * Scan this participant's share of the present step's table.
 */
void
voxanne_scan_step(Keyscan *run)
{
	const SharedStep *step = &run->steps[run->step];
	Emitter    *emitters = palloc0_array(Emitter, run->shared->nsides);
	int			count = voxanne_emitters_open(run, emitters);
	Batch	   *batch = palloc0_object(Batch);

	for (int i = 0; i < step->nleaves; i++)
		scan_leaf(run, &run->leaves[step->first_leaf + i], emitters, count, batch);
	voxanne_emitters_close(emitters, count);
	pfree(batch);
	pfree(emitters);
}

/*
 * Scan our share of one leaf, unless the run is out of time.  The leader's
 * snapshot is active here; its lock on the table protects the whole group.
 */
static void
scan_leaf(Keyscan *run, const SharedLeaf *leaf, Emitter *emitters, int count, Batch *batch)
{
	Relation	rel = table_open(leaf->relid, AccessShareLock);
	AttrNumber	last = voxanne_emitters_point(emitters, count, rel);
	RowReader  *rows = voxanne_row_open(rel, last, &batch->rows);
	TableScanDesc scan;
	MemoryContext old;

	voxanne_emitters_begin(emitters, count, rows, last);
	scan = table_beginscan_parallel(rel, (ParallelTableScanDesc) (run->scans + leaf->scan_offset));
	old = MemoryContextSwitchTo(run->row_context);
	read_rows(run, leaf, scan, rows, emitters, count, batch);
	MemoryContextSwitchTo(old);
	table_endscan(scan);
	voxanne_emitters_end(emitters, count);
	voxanne_row_close(rows, &batch->rows);
	table_close(rel, NoLock);
}

/* Hand every row of a scan to every emitter. */
static void
read_rows(Keyscan *run, const SharedLeaf *leaf, TableScanDesc scan, RowReader *rows,
		  Emitter *emitters, int count, Batch *batch)
{
	HeapScanDesc heap = (HeapScanDesc) scan;
	RowBatch   *here = &batch->rows;
	BlockNumber block = InvalidBlockNumber;
	uint64		nrows = 0;
	uint64		nblocks = 0;
	bool		going = true;
	HeapTuple	tuple;

	while (going && (tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		BlockNumber at = ItemPointerGetBlockNumberNoCheck(&tuple->t_self);

		fetch_ahead(heap, at != block);
		nblocks += at != block;
		block = at;
		here->ids[here->count] = ROWID_MAKE(leaf->first_block + at, ItemPointerGetOffsetNumberNoCheck(&tuple->t_self));
		voxanne_row_read(rows, tuple, here);
		if (here->count < BATCH_ROWS && (int) heap->rs_cindex + 1 < (int) heap->rs_ntuples)
			continue;
		nrows += here->count;
		for (int i = 0; i < count; i++)
			voxanne_emit(&emitters[i], batch);
		voxanne_rows_clear(rows, here);
		if (nrows >= ROWS_PER_PAUSE)
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
