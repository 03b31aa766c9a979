/*
 * src/data/keyscan_candidates.c
 *		The rows that the scan engine's questions come down to.
 *
 * Participants report candidates in lots, into chunks in shared memory; at the
 * end the leader sorts them by table and place, which is the order in which
 * reading them back is cheapest.
 */
#include "postgres.h"

#include "core/compat.h"
#include "data/keyscan_store.h"

/* Candidates beyond which SQL over the whole table is no slower; those of rules are samples only. */
#define MAX_CANDIDATES 2000000
#define MAX_BROKEN 100000

static int	compare_rowids(const void *a, const void *b);

/*
 * Hand over the rows of a lot, and empty it.  Past the limit the side
 * overflows and keeps no more.
 */
void
voxanne_lot_flush(Lot *lot)
{
	SharedSide *side = lot->side;
	dsa_area   *area = lot->run->area;
	Size		bytes = lot->count * sizeof(RowId);
	dsa_pointer pointer;
	Chunk	   *chunk;
	uint64		head;
	uint64		most = side->kind == SIDE_RULES ? MAX_BROKEN : MAX_CANDIDATES;

	if (lot->count == 0)
		return;
	if (pg_atomic_fetch_add_u64(&side->candidates, lot->count) + lot->count > most)
	{
		pg_atomic_write_u32(&side->overflow, 1);
		lot->count = 0;
		return;
	}
	pointer = voxanne_allocate_anyway(lot->run, offsetof(Chunk, data) + bytes);
	chunk = dsa_get_address(area, pointer);
	chunk->used = bytes;
	memcpy(chunk->data, lot->rows, bytes);
	head = pg_atomic_read_u64(&side->results);
	do
		chunk->next = (dsa_pointer) head;
	while (!pg_atomic_compare_exchange_u64(&side->results, &head, (uint64) pointer));
	lot->count = 0;
}

/*
 * Put the candidates of a side, which has not overflowed, into its question.
 * For the leader, when all have finished.
 */
void
voxanne_collect(Keyscan *run, SharedSide *side, VoxScanQuestion *question)
{
	uint64		count = pg_atomic_read_u64(&side->candidates);
	RowId	   *ids = palloc_extended(sizeof(RowId) * Max(count, 1), MCXT_ALLOC_HUGE);
	const SharedLeaf *leaf = &run->leaves[run->steps[side->step].first_leaf];
	const SharedLeaf *last = leaf + run->steps[side->step].nleaves - 1;
	uint64		n = 0;

	for (dsa_pointer p = (dsa_pointer) pg_atomic_read_u64(&side->results); DsaPointerIsValid(p);)
	{
		Chunk	   *chunk = dsa_get_address(run->area, p);

		memcpy(ids + n, chunk->data, chunk->used);
		n += chunk->used / sizeof(RowId);
		p = chunk->next;
	}
	Assert(n == count);
	qsort(ids, n, sizeof(RowId), compare_rowids);

	question->rows = palloc_extended(sizeof(VoxScanRow) * Max(n, 1), MCXT_ALLOC_HUGE);
	for (uint64 i = 0; i < n; i++)
	{
		uint64		block = ROWID_BLOCK(ids[i]);

		while (leaf < last && leaf[1].first_block <= block)
			leaf++;
		question->rows[i].relid = leaf->relid;
		ItemPointerSet(&question->rows[i].tid, (BlockNumber) (block - leaf->first_block), ROWID_OFFSET(ids[i]));
	}
	question->nrows = n;
	question->checked = pg_atomic_read_u64(&side->checked);
	question->answered = true;
	pfree(ids);
}

static int
compare_rowids(const void *a, const void *b)
{
	RowId		left = *(const RowId *) a;
	RowId		right = *(const RowId *) b;

	return left < right ? -1 : left > right;
}
