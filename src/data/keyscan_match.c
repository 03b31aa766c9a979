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
#include "data/keyscan_rows.h"
#include "data/keyscan_store.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"

/* Entries that share a bucket while a partition is put in order, on average. */
#define BUCKET_ENTRIES 4

static void match_partition(Keyscan *run, SharedSide *side, int partition, Lot *lot);
static void match_stored(Keyscan *run, SharedSide *parent, int partition);
static void match_unique(Keyscan *run, SharedSide *side, int partition, Lot *lot);
static void match_overlap(Keyscan *run, SharedSide *side, int partition, Lot *lot);
static void sweep(const OverlapEntry *entries, uint64 count, Lot *lot);
static void order_entries(Keyscan *run, SharedSide *side, int partition, OverlapEntry *entries);

/*
 * Match this participant's share of a side's partitions.
 */
void
voxanne_match_side(Keyscan *run, SharedSide *side)
{
	uint32		npartitions = 1 << side->partition_bits;
	uint32		partition;
	Lot		   *lot;

	if (side->kind == SIDE_CHILD || side->kind == SIDE_RULES || side->kind == SIDE_LABELS)
		return;
	lot = palloc_object(Lot);
	lot->run = run;
	lot->side = side;
	lot->count = 0;
	while ((partition = pg_atomic_fetch_add_u32(&side->next_partition, 1)) < npartitions)
	{
		CHECK_FOR_INTERRUPTS();
		if (pg_atomic_read_u32(&side->overflow) == 0)
			match_partition(run, side, partition, lot);
		voxanne_entries_forget(run, side, partition);
	}
	voxanne_lot_flush(lot);
	pfree(lot);
}

/* Match one partition. */
static void
match_partition(Keyscan *run, SharedSide *side, int partition, Lot *lot)
{
	if (side->kind == SIDE_PARENT && side->by_value)
		voxanne_value_build(run, side, partition);
	else if (side->kind == SIDE_PARENT)
	{
		voxanne_build_set(run, side, partition);
		match_stored(run, side, partition);
	}
	else if (voxanne_entries_count(run, side, partition) < 2)
		return;
	else if (side->kind == SIDE_UNIQUE)
		match_unique(run, side, partition, lot);
	else
		match_overlap(run, side, partition, lot);
}

/* Look up what the table that a parent's keys come from has kept of its own references. */
static void
match_stored(Keyscan *run, SharedSide *parent, int partition)
{
	for (int i = 0; i < run->shared->nsides; i++)
	{
		SharedSide *child = &run->sides[i];

		if (!child->stored || &run->sides[child->parent] != parent)
			continue;
		if (pg_atomic_read_u32(&parent->overflow) != 0)
			pg_atomic_write_u32(&child->overflow, 1);
		else
			voxanne_probe_stored(run, child, partition);
		voxanne_entries_forget(run, child, partition);
	}
}

/*
 * Put one entry into the table of repeats, whose slots are entries; report it,
 * and the one it repeats, which is marked as reported in its last bit.
 */
static inline void
add_unique(const SharedSide *side, uint64 *table, int size_bits, const uint64 *entry, int words, Lot *lot)
{
	uint64		mask = (UINT64CONST(1) << size_bits) - 1;
	uint64		slot = words == 1 ? entry[0] >> (64 - size_bits) : entry[1] & mask;
	uint64	   *at;

	for (;; slot = (slot + 1) & mask)
	{
		at = table + slot * words;
		if (at[0] == 0)
		{
			memcpy(at, entry, words * sizeof(uint64));
			return;
		}
		if (entry_words_match(side, at[0], entry[0]) && (words == 1 || at[1] == entry[1]))
			break;
	}
	if ((at[0] & 1) == 0)
	{
		lot_add(lot, entry_row(side, at[0]));
		at[0] |= 1;
	}
	lot_add(lot, entry_row(side, entry[0]));
}

/* Rows whose hash another row has. */
static void
match_unique(Keyscan *run, SharedSide *side, int partition, Lot *lot)
{
	uint64		count = voxanne_entries_count(run, side, partition);
	int			size_bits = pg_leftmost_one_pos64(count) + 2;
	Size		bytes = (Size) side->entry_size << size_bits;
	StoreReader reader;
	uint64	   *table;

	/* the table's slots are numbered by bits of the hash */
	if ((side->entry_size == sizeof(uint64) && size_bits + side->row_bits > 63) ||
		!voxanne_scratch_fits(run, bytes))
	{
		pg_atomic_write_u32(&side->overflow, 1);
		return;
	}
	table = voxanne_scratch(run, SCRATCH_TABLE, bytes);
	memset(table, 0, bytes);
	voxanne_entries_begin(run, side, partition, &reader);
	while (voxanne_entries_read(run, &reader))
	{
		const uint64 *entry = (const uint64 *) reader.data;
		const uint64 *end = (const uint64 *) (reader.data + reader.bytes);

		if (side->entry_size == sizeof(uint64))
			for (; entry < end; entry++)
				add_unique(side, table, size_bits, entry, 1, lot);
		else
			for (; entry < end; entry += 2)
				add_unique(side, table, size_bits, entry, 2, lot);
	}
}

/*
 * Rows whose time meets that of another row of the same hash.
 */
static void
match_overlap(Keyscan *run, SharedSide *side, int partition, Lot *lot)
{
	uint64		count = voxanne_entries_count(run, side, partition);
	OverlapEntry *entries;

	if (!voxanne_scratch_fits(run, count * sizeof(OverlapEntry)))
	{
		pg_atomic_write_u32(&side->overflow, 1);
		return;
	}
	entries = voxanne_scratch(run, SCRATCH_TABLE, count * sizeof(OverlapEntry));
	order_entries(run, side, partition, entries);
	sweep(entries, count, lot);
}

/* When a row's time ends at the latest. */
static inline int64
entry_end(const OverlapEntry *entry)
{
	int64		length = (int64) entry->seconds * USECS_PER_SEC;

	if (entry->seconds == PG_UINT32_MAX || entry->start > PG_INT64_MAX - length)
		return PG_INT64_MAX;
	return entry->start + length;
}

static inline int
compare_overlap(const OverlapEntry *a, const OverlapEntry *b, const SharedSide *side)
{
	if (!entry_words_match(side, a->word, b->word))
		return a->word < b->word ? -1 : 1;
	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return a->start < b->start ? -1 : a->start > b->start;
}

#define ST_SORT sort_overlap
#define ST_ELEMENT_TYPE OverlapEntry
#define ST_COMPARE_ARG_TYPE const SharedSide
#define ST_COMPARE(a, b, side) compare_overlap(a, b, side)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Copy a partition's entries, in order of hash and start: distributed over
 * buckets by their hash's top bits, and sorted within each.
 */
static void
order_entries(Keyscan *run, SharedSide *side, int partition, OverlapEntry *entries)
{
	uint64		count = voxanne_entries_count(run, side, partition);
	int			bits = Min(pg_leftmost_one_pos64(count / BUCKET_ENTRIES | 1) + 1, 63 - side->row_bits);
	uint32		nbuckets = 1 << bits;
	uint32	   *ends = voxanne_scratch(run, SCRATCH_COUNTS, nbuckets * sizeof(uint32));
	uint32		start = 0;
	StoreReader reader;

	memset(ends, 0, nbuckets * sizeof(uint32));
	voxanne_entries_begin(run, side, partition, &reader);
	while (voxanne_entries_read(run, &reader))
		for (uint32 at = 0; at < reader.bytes; at += sizeof(OverlapEntry))
			ends[((OverlapEntry *) (reader.data + at))->word >> (64 - bits)]++;
	for (uint32 i = 0; i < nbuckets; i++)
	{
		uint32		here = ends[i];

		ends[i] = start;
		start += here;
	}
	voxanne_entries_begin(run, side, partition, &reader);
	while (voxanne_entries_read(run, &reader))
		for (uint32 at = 0; at < reader.bytes; at += sizeof(OverlapEntry))
		{
			const OverlapEntry *entry = (OverlapEntry *) (reader.data + at);

			entries[ends[entry->word >> (64 - bits)]++] = *entry;
		}
	for (uint32 i = 0; i < nbuckets; i++)
	{
		start = i == 0 ? 0 : ends[i - 1];
		if (ends[i] - start > 1)
			sort_overlap(entries + start, ends[i] - start, side);
	}
}

/*
 * In order of start, a row matters that begins before an earlier one has ended,
 * or within the slack of the start before; and of the earlier ones each that the
 * very next meets.  A row that an earlier one reaches is so reported with that
 * earlier one, because all between the two begin within its reach as well.
 */
static void
sweep(const OverlapEntry *entries, uint64 count, Lot *lot)
{
	const SharedSide *side = lot->side;
	int64		slack = lot->run->questions[side->question].slack;
	int64		near = 0;		/* reached by the slack of those before */
	int64		end = 0;		/* reached by their ends */
	bool		first = true;

	for (uint64 i = 0; i < count; i++)
	{
		const OverlapEntry *entry = &entries[i];
		bool		last = i + 1 == count || entry[1].hash != entry->hash ||
			!entry_words_match(side, entry[1].word, entry->word);
		int64		own_near = entry->start > PG_INT64_MAX - slack ? PG_INT64_MAX : entry->start + slack;
		int64		own_end = entry_end(entry);

		if ((!first && (entry->start <= near || entry->start < end)) ||
			(!last && (entry[1].start <= own_near || entry[1].start < own_end)))
			lot_add(lot, entry_row(side, entry->word));
		near = own_near;
		end = first ? own_end : Max(end, own_end);
		first = last;
	}
}
