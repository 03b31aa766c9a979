/*
 * src/data/keyscan_probe.c
 *		The keys of a referenced table as sets, and looking them up.
 *
 * A set is an open-addressing table of whole keys, so that a hit is one as
 * surely as a miss.  All sets of a parent together do not fit in cache: the slots
 * for the keys of a batch of rows are fetched before any of them is looked at.
 * The fetches follow each other closely, as what they wait for (each for a page
 * table's entry, too) then overlaps; one here and there among the reading of rows
 * would be waited for in full.
 */
#include "postgres.h"

#include "core/compat.h"
#include "data/keyscan_rows.h"
#include "data/keyscan_store.h"
#include "port/pg_bitutils.h"

struct Prober
{
	SharedSide *parent;
	const KeySet *sets;			/* by partition, with addresses of their slots */
	const uint64 **slots;
	int			words;
	bool		hits;			/* they are what is reported */
	List	   *followers;		/* Prober *: see voxanne_probe_follow() */
	Lot			lot;
};

static void set_add(uint64 *slots, KeySet *set, const uint64 *key, uint64 hash, int words);
static void report(Prober *prober, RowId row);

/* Is the key all zeros, which marks a free slot? */
static inline bool
is_zero(const uint64 *key, int words)
{
	uint64		any = 0;

	for (int w = 0; w < words; w++)
		any |= key[w];
	return any == 0;
}

static inline bool
is_equal(const uint64 *a, const uint64 *b, int words)
{
	uint64		differ = 0;

	for (int w = 0; w < words; w++)
		differ |= a[w] ^ b[w];
	return differ == 0;
}

/*
 * Build the set of one partition of a parent from its entries, each a hash and
 * the key.  Without memory for it the side overflows.
 */
void
voxanne_build_set(Keyscan *run, SharedSide *side, int partition)
{
	uint64		count = voxanne_entries_count(run, side, partition);
	StoreReader reader;
	KeySet	   *set = &side_partitions(run, side)[partition].set;
	int			words = side->words;
	uint64		size = pg_nextpower2_64(Max(count + count / 2, 4));
	Size		bytes = size * words * sizeof(uint64);
	uint64	   *slots;

	if (count == 0)
		return;
	set->slots = voxanne_allocate(run, bytes, run->shared->memory_limit);
	if (!DsaPointerIsValid(set->slots))
	{
		pg_atomic_write_u32(&side->overflow, 1);
		return;
	}
	set->mask = size - 1;
	set->bytes = bytes;
	slots = dsa_get_address(run->area, set->slots);
	voxanne_populate(slots, bytes);
	memset(slots, 0, bytes);
	voxanne_entries_begin(run, side, partition, &reader);
	while (voxanne_entries_read(run, &reader))
		for (uint32 at = 0; at < reader.bytes; at += side->entry_size)
		{
			const uint64 *entry = (const uint64 *) (reader.data + at);

			set_add(slots, set, entry + 1, entry[0], words);
		}
}

static void
set_add(uint64 *slots, KeySet *set, const uint64 *key, uint64 hash, int words)
{
	uint64		slot = hash & set->mask;

	if (is_zero(key, words))
	{
		set->has_zero = true;
		return;
	}
	for (;; slot = (slot + 1) & set->mask)
	{
		uint64	   *at = slots + slot * words;

		if (is_zero(at, words))
			memcpy(at, key, words * sizeof(uint64));
		if (is_equal(at, key, words))
			return;
	}
}

/*
 * Give a parent's sets back; by one participant, when nobody looks anything up
 * any more.
 */
void
voxanne_free_sets(Keyscan *run, SharedSide *side)
{
	SharedPartition *partitions = side_partitions(run, side);

	for (int i = 0; i < 1 << side->partition_bits; i++)
	{
		KeySet	   *set = &partitions[i].set;

		if (!DsaPointerIsValid(set->slots))
			continue;
		voxanne_free(run, set->slots, set->bytes);
		set->slots = InvalidDsaPointer;
	}
}

/*
 * Start looking keys up in the parent of a child side, whose sets are built.
 */
Prober *
voxanne_probe_open(Keyscan *run, SharedSide *child)
{
	Prober	   *prober = palloc0_object(Prober);
	SharedSide *parent = &run->sides[child->parent];
	SharedPartition *partitions = side_partitions(run, parent);
	int			npartitions = 1 << parent->partition_bits;
	KeySet	   *sets = palloc0_array(KeySet, npartitions);

	prober->parent = parent;
	prober->words = child->words;
	prober->hits = run->questions[child->question].hits;
	prober->slots = palloc0_array(const uint64 *, npartitions);
	for (int i = 0; i < npartitions; i++)
	{
		sets[i] = partitions[i].set;
		if (DsaPointerIsValid(sets[i].slots))
			prober->slots[i] = dsa_get_address(run->area, sets[i].slots);
	}
	prober->sets = sets;
	prober->lot.run = run;
	prober->lot.side = child;
	return prober;
}

/*
 * Report a row without looking anything up.
 */
void
voxanne_probe_miss(Prober *prober, RowId row)
{
	lot_add(&prober->lot, row);
}

/*
 * From now on rows that the leader misses are misses here, too: of what the
 * leader looks up nothing else can be one.  The leader is to be closed first.
 */
void
voxanne_probe_follow(Prober *prober, Prober *leader)
{
	leader->followers = lappend(leader->followers, prober);
}

static void
report(Prober *prober, RowId row)
{
	ListCell   *lc;

	lot_add(&prober->lot, row);
	foreach(lc, prober->followers)
		lot_add(&((Prober *) lfirst(lc))->lot, row);
}

/* Is the key, of so many words, in the set? */
static pg_attribute_always_inline bool
is_member(const Prober *prober, uint64 hash, const uint64 *key, int words)
{
	uint32		partition = hash_partition(prober->parent, hash);
	const KeySet *set = &prober->sets[partition];
	const uint64 *slots = prober->slots[partition];
	uint64		slot = hash & set->mask;

	if (is_zero(key, words))
		return set->has_zero;
	if (slots == NULL)
		return false;
	for (;; slot = (slot + 1) & set->mask)
	{
		const uint64 *at = slots + slot * words;

		if (is_equal(at, key, words))
			return true;
		if (is_zero(at, words))
			return false;
	}
}

/*
 * Look keys up, whose slots are being fetched; inlined, so that the width of one
 * or two uuids is a constant.
 */
static pg_attribute_always_inline void
look_up(Prober *prober, const KeyBatch *keys, const RowId *ids, int words)
{
	for (int k = 0; k < keys->count; k++)
		if (is_member(prober, keys->hashes[k], keys->words + k * words, words) == prober->hits)
			report(prober, ids[keys->rows[k]]);
}

/*
 * Look up the keys of rows with these ids, by row of the batch; rows are reported
 * that miss, or hit, where that is asked.
 */
void
voxanne_probe(Prober *prober, const KeyBatch *keys, const RowId *ids)
{
	for (int k = 0; k < keys->count; k++)
	{
		uint32		partition = hash_partition(prober->parent, keys->hashes[k]);

		if (prober->slots[partition] != NULL)
			__builtin_prefetch(prober->slots[partition] +
							   (keys->hashes[k] & prober->sets[partition].mask) * prober->words);
	}
	if (prober->words == 2)
		look_up(prober, keys, ids, 2);
	else if (prober->words == 4)
		look_up(prober, keys, ids, 4);
	else
		look_up(prober, keys, ids, prober->words);
}

/*
 * Hand over what was reported.
 */
void
voxanne_probe_close(Prober *prober)
{
	voxanne_lot_flush(&prober->lot);
}

/*
 * Look up the keys of one partition that a table which references itself has
 * kept, now that the parent's set of it is built.
 */
void
voxanne_probe_stored(Keyscan *run, SharedSide *child, int partition)
{
	Prober	   *prober = voxanne_probe_open(run, child);
	KeyBatch   *keys = palloc_object(KeyBatch);
	RowId		ids[BATCH_ROWS];
	StoreReader reader;

	keys->count = 0;
	voxanne_entries_begin(run, child, partition, &reader);
	while (voxanne_entries_read(run, &reader))
		for (uint32 at = 0; at < reader.bytes; at += child->entry_size)
		{
			const uint64 *entry = (const uint64 *) (reader.data + at);

			ids[keys->count] = entry[0];
			keys->rows[keys->count] = keys->count;
			keys->hashes[keys->count] = entry[1];
			copy_words(keys->words + keys->count * child->words, entry + 2, child->words);
			if (++keys->count < BATCH_ROWS)
				continue;
			voxanne_probe(prober, keys, ids);
			keys->count = 0;
		}
	voxanne_probe(prober, keys, ids);
	voxanne_probe_close(prober);
	pfree(keys);
	pfree(unconstify(KeySet *, prober->sets));
	pfree(prober->slots);
	pfree(prober);
}
