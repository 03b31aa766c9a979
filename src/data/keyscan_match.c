/*
 * src/data/keyscan_match.c
 *		What becomes of the entries once a table has been scanned.
 *
 * Participants take partitions one at a time; a partition fits in cache, so
 * that finding repeats is a walk through a small hash table, finding overlaps a
 * small sort and a sweep.
 */
#include "postgres.h"

#include "core/compat.h"
#include "data/keyscan_internal.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

/* A partition may always take this much private memory. */
#define MIN_PARTITION_MEMORY (4 * 1024 * 1024)

/* A slot of the table of repeats: an entry's number plus one, and whether it was reported. */
#define REPORTED UINT32_C(0x80000000)

static void match_partition(Keyscan *run, SharedSide *side, int partition);
static void match_unique(const UniqueEntry *entries, uint64 count, Lot *lot);
static void match_overlap(OverlapEntry *entries, uint64 count, const VoxScanQuestion *question, Lot *lot);
static int	compare_overlap(const void *a, const void *b);

/*
 * Match this participant's share of a side's partitions.
 */
void
voxanne_match_side(Keyscan *run, SharedSide *side)
{
	uint32		npartitions = 1 << side->partition_bits;
	uint32		partition;

	if (side->kind == SIDE_CHILD)
		return;
	while ((partition = pg_atomic_fetch_add_u32(&side->next_partition, 1)) < npartitions)
	{
		MemoryContext old = MemoryContextSwitchTo(run->match_context);

		CHECK_FOR_INTERRUPTS();
		if (pg_atomic_read_u32(&side->overflow) == 0)
			match_partition(run, side, partition);
		voxanne_entries_free(run, side, partition);
		MemoryContextSwitchTo(old);
		MemoryContextReset(run->match_context);
	}
}

/*
 * Match one partition, unless its entries would take more memory than the run
 * may have (all rows alike, say): then the side overflows.
 */
static void
match_partition(Keyscan *run, SharedSide *side, int partition)
{
	Lot		   *lot;
	void	   *entries;
	uint64		count;

	if (voxanne_entries_bytes(run, side, partition) > Max(run->shared->memory_limit / 4, MIN_PARTITION_MEMORY))
	{
		pg_atomic_write_u32(&side->overflow, 1);
		return;
	}
	entries = voxanne_entries_read(run, side, partition, &count);
	if (side->kind == SIDE_PARENT)
	{
		voxanne_build_set(run, side, partition, entries, count);
		return;
	}
	if (count < 2)
		return;
	lot = palloc0_object(Lot);
	lot->run = run;
	lot->side = side;
	if (side->kind == SIDE_UNIQUE)
		match_unique(entries, count, lot);
	else
		match_overlap(entries, count, &run->questions[side->question], lot);
	voxanne_lot_flush(lot);
}

/* Rows whose hash another row has. */
static void
match_unique(const UniqueEntry *entries, uint64 count, Lot *lot)
{
	uint32		size = pg_nextpower2_32(Max((uint32) count * 2, 8));
	uint32	   *table = MemoryContextAllocExtended(CurrentMemoryContext, sizeof(uint32) * (Size) size,
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (uint32 i = 0; i < count; i++)
	{
		uint32		slot = (uint32) entries[i].hash & (size - 1);

		while (table[slot] != 0 && entries[(table[slot] & ~REPORTED) - 1].hash != entries[i].hash)
			slot = (slot + 1) & (size - 1);
		if (table[slot] == 0)
		{
			table[slot] = i + 1;
			continue;
		}
		if ((table[slot] & REPORTED) == 0)
		{
			lot_add(lot, entries[table[slot] - 1].row);
			table[slot] |= REPORTED;
		}
		lot_add(lot, entries[i].row);
	}
}

/*
 * Rows whose time meets that of another row of the same hash: in order of
 * start, one that begins before an earlier one has ended, or within the slack
 * of the start before; and of the earlier ones each that the very next meets.
 * A row that an earlier one reaches is so reported with that earlier one,
 * because all between the two begin within its reach as well.
 */
static void
match_overlap(OverlapEntry *entries, uint64 count, const VoxScanQuestion *question, Lot *lot)
{
	int64		near = 0;		/* reached by the slack of those before */
	int64		end = 0;		/* reached by their ends */

	qsort(entries, count, sizeof(OverlapEntry), compare_overlap);
	for (uint64 i = 0; i < count; i++)
	{
		bool		first = i == 0 || entries[i - 1].hash != entries[i].hash;
		bool		last = i + 1 == count || entries[i + 1].hash != entries[i].hash;
		int64		own_near = entries[i].start > PG_INT64_MAX - question->slack ? PG_INT64_MAX :
			entries[i].start + question->slack;

		if ((!first && (entries[i].start <= near || entries[i].start < end)) ||
			(!last && (entries[i + 1].start <= own_near || entries[i + 1].start < entries[i].end)))
			lot_add(lot, entries[i].row);
		near = own_near;
		end = first ? entries[i].end : Max(end, entries[i].end);
	}
}

static int
compare_overlap(const void *a, const void *b)
{
	const OverlapEntry *left = a;
	const OverlapEntry *right = b;

	if (left->hash != right->hash)
		return left->hash < right->hash ? -1 : 1;
	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return left->row < right->row ? -1 : left->row > right->row;
}
