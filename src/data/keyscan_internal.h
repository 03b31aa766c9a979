/*
 * src/data/keyscan_internal.h
 *		What the files of the scan engine share.
 *
 * A run scans each table once, in steps.  Every question has one or two sides;
 * a side says what a scanned row contributes:
 *
 *	UNIQUE	 an entry (row, hash); entries with equal hashes become candidates
 *	OVERLAP  an entry (row, hash, range); ranges that meet become candidates
 *	PARENT	 its whole key, put into the set that CHILD sides look up
 *	CHILD	 a look-up; a miss (or a hit, where that is asked) becomes a candidate.
 *			 Nothing is kept but in a table that references itself: there it
 *			 is an entry (row, hash, key), looked up once the parent's set is built
 *	RULES	 counts; a row that breaks a rule becomes a candidate
 *	LABELS	 counts by label, handed over at the end of the scan
 *
 * Entries are partitioned by the top bits of the hash as they come, so that
 * matching works on one partition at a time, in cache.
 *
 * Locking: the leader fills KeyscanShared before workers start.  From then on
 * atomics are atomics, a side's chunk lists are pushed to by compare-and-swap
 * during a scan and only read after the barrier that ends it, and everything
 * else is constant.
 */
#ifndef VOXANNE_KEYSCAN_INTERNAL_H
#define VOXANNE_KEYSCAN_INTERNAL_H

#include "access/htup_details.h"
#include "access/relscan.h"
#include "core/settings.h"
#include "data/keyscan.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "port/atomics.h"
#include "storage/barrier.h"
#include "storage/buffile.h"
#include "storage/sharedfileset.h"
#include "utils/dsa.h"

/* Longest key that is carried whole, in 8-byte words: a uuid and a text. */
#define KEY_MAX_WORDS 6

/* Words of a carried text, and bytes: the last one is the length. */
#define TEXT_WORDS 4
#define TEXT_BYTES (TEXT_WORDS * 8 - 1)

/* A chunk of entries, header included. */
#define CHUNK_BYTES 8192

typedef enum SideKind
{
	SIDE_UNIQUE,
	SIDE_OVERLAP,
	SIDE_PARENT,
	SIDE_CHILD,
	SIDE_RULES,
	SIDE_LABELS
} SideKind;

/*
 * A row as the engine names it: the blocks of a step's leaves, one leaf after the
 * other, counted through, and the offset in the block.
 */
typedef uint64 RowId;

#if BLCKSZ <= 8192
#define ROWID_OFFSET_BITS 9
#else
#define ROWID_OFFSET_BITS 11
#endif
StaticAssertDecl(MaxHeapTuplesPerPage < 1 << ROWID_OFFSET_BITS, "offsets fit in a RowId");

#define ROWID_MAKE(block, offset) (((uint64) (block) << ROWID_OFFSET_BITS) | (offset))
#define ROWID_BLOCK(row) ((row) >> ROWID_OFFSET_BITS)
#define ROWID_OFFSET(row) ((OffsetNumber) ((row) & ((1 << ROWID_OFFSET_BITS) - 1)))

/* Bits of a RowId from which on a word has too few left for a hash. */
#define WIDE_ROW_BITS 33

/*
 * An entry begins with a word that holds its row and as much of its hash as
 * there is room for, see entry_word().  Less memory is what makes the scan
 * fast: where a hash that is cut short makes rows candidates that share no key,
 * the exact SQL drops them.
 */
typedef struct UniqueEntry
{
	uint64		word;
	uint64		hash;			/* absent where the word has enough of it */
} UniqueEntry;

typedef struct OverlapEntry
{
	uint64		word;
	int64		start;
	uint32		seconds;		/* its length, rounded up; PG_UINT32_MAX: has
								 * no end */
	uint32		hash;			/* the lower half */
} OverlapEntry;

/* Entries of one partition, in a list; those in a file have offset instead of data. */
typedef struct Chunk
{
	dsa_pointer next;
	uint32		used;			/* bytes of entries */
	int32		file;			/* the temporary file that holds them; -1:
								 * they follow here */
	int			fileno;
	off_t		offset;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} Chunk;

#define CHUNK_CAPACITY (CHUNK_BYTES - offsetof(Chunk, data))

/* Memory that chunks are cut from, in a participant's list. */
typedef struct Slab
{
	dsa_pointer next;
	Size		bytes;
} Slab;

/* The set of keys of one partition of a parent; an all-zero slot is free. */
typedef struct KeySet
{
	dsa_pointer slots;
	uint64		mask;
	uint64		bytes;
	bool		has_zero;		/* the all-zero key is a member */
} KeySet;

typedef struct SharedPartition
{
	pg_atomic_uint64 chunks;	/* dsa_pointer of the first */
	pg_atomic_uint64 bytes;		/* of entries in them */
	KeySet		set;			/* PARENT, once matched */
} SharedPartition;

/* Functions by which keys are compared by value: see keyscan_value.c. */
typedef struct ValuePlan
{
	Oid			cast[INDEX_MAX_KEYS];	/* InvalidOid: none */
	Oid			hash[INDEX_MAX_KEYS];
	Oid			equal[INDEX_MAX_KEYS];	/* CHILD */
	Oid			collation[INDEX_MAX_KEYS];
} ValuePlan;

typedef struct SharedSide
{
	SideKind	kind;
	int			question;		/* -1: PARENT */
	int			parent;			/* CHILD: its PARENT side */
	int			leader;			/* CHILD: another one, whose hits are hits of
								 * this one; -1: none */
	int			step;			/* in which its table is scanned */
	int			last_step;		/* PARENT: after which its sets go */
	VoxScanKey	key;
	int			words;			/* PARENT, CHILD: width of the carried key */
	bool		stored;			/* CHILD: looked up when the table has been
								 * scanned, whose own keys are the parents */
	bool		by_value;		/* PARENT, CHILD: not carried, words is 0 */
	ValuePlan	values;			/* by_value */
	pg_atomic_uint64 kept;		/* by_value, PARENT: dsa_pointer of the first
								 * chunk of values */
	int			entry_size;
	int			partition_bits;
	int			row_bits;		/* of a RowId of its step */
	dsa_pointer partitions;		/* of SharedPartition */
	pg_atomic_uint32 next_partition;	/* to be matched */
	pg_atomic_uint64 checked;
	pg_atomic_uint64 candidates;
	pg_atomic_uint64 results;	/* dsa_pointer of a list of chunks of RowId */
	pg_atomic_uint32 overflow;	/* gave up: SQL must answer */
	dsa_pointer rules;			/* RULES: a SharedRules */
	pg_atomic_uint64 labels;	/* LABELS: dsa_pointer of a list of chunks */
} SharedSide;

typedef struct SharedLeaf
{
	Oid			relid;
	uint64		first_block;	/* in the step */
	Size		scan_offset;	/* of its ParallelTableScanDesc in the scans'
								 * space */
} SharedLeaf;

/* One pass over one table, for one or more sides; leaves are consecutive. */
typedef struct SharedStep
{
	Oid			relid;
	int			first_leaf;
	int			nleaves;
	uint64		blocks;
} SharedStep;

typedef struct KeyscanShared
{
	Barrier		barrier;
	SharedFileSet fileset;
	dsa_handle	area;
	uint64		memory_limit;	/* bytes */
	TimestampTz deadline;		/* 0: none */
	int			progress;		/* slot, or -1 */
	pg_atomic_uint32 stopped;	/* the deadline has passed */
	pg_atomic_uint32 steps_done;
	pg_atomic_uint64 memory_used;
	pg_atomic_uint64 area_limit;	/* bytes that the area may have */
	pg_atomic_uint64 scanned;
	pg_atomic_uint64 spilled;
	int			nsides;
	int			nsteps;
	int			nleaves;
	int			nparticipants;	/* at the most */
	/* arrays follow by key in the toc */
} KeyscanShared;

/* Private memory that is used again for every partition. */
typedef enum Scratch
{
	SCRATCH_TABLE,				/* of hashes, or entries in order */
	SCRATCH_COUNTS,				/* of entries by bucket */
	SCRATCH_CHUNK,				/* read from a file */
	NSCRATCH
} Scratch;

/* A participant: the leader or a worker. */
typedef struct Keyscan
{
	KeyscanShared *shared;
	SharedSide *sides;
	SharedStep *steps;
	SharedLeaf *leaves;
	VoxScanQuestion *questions;
	char	   *scans;			/* parallel scan descriptors */
	dsa_area   *area;
	SharedFileSet *fileset;
	int			number;			/* -1: the leader */
	int			step;			/* being worked on */
	BufFile    *file;			/* this participant's temporary file of the
								 * step, if any */
	BufFile   **opened;			/* files of the step opened for reading, by
								 * participant */
	MemoryContext context;		/* lives as long as the run */
	MemoryContext row_context;	/* reset every few rows */
	dsa_pointer slabs;			/* this participant's, of the step */
	Size		slab_bytes;		/* size of the latest one */
	dsa_pointer slab_rest;		/* what is left of it */
	Size		slab_left;
	void	   *scratch[NSCRATCH];
	Size		scratch_bytes[NSCRATCH];
} Keyscan;

/* A run being prepared by the leader. */
typedef struct KeyscanPlan
{
	VoxScanQuestion *questions;
	int			nquestions;
	int			nsides;
	SharedSide *sides;			/* room for two a question */
	double	   *rows;			/* estimate, by side */
	int			nsteps;
	SharedStep *steps;			/* room for two a question */
	int			nleaves;
	int			leaf_room;
	SharedLeaf *leaves;
	uint64		blocks;			/* of all steps together */
	Size		scan_bytes;
	bool		serial;			/* workers could not read all tables */
} KeyscanPlan;

/* Rows of one page that are worked on at a time: few enough to stay in the fastest cache. */
#define BATCH_ROWS 128

/* From a column of a batch to the next, in rows: no power of two, which would crowd a few lines of the cache. */
#define BATCH_STRIDE (BATCH_ROWS + 8)

/* Rows, by column: those that somebody wants have values. */
typedef struct RowBatch
{
	int			count;
	RowId		ids[BATCH_ROWS];
	Datum	   *values;			/* undefined where a value is null */
	bool	   *isnull;
	bool	   *any_null;		/* by column */
} RowBatch;

/* How to read one column of a key from the rows of one leaf. */
typedef enum KeyMethod
{
	KEY_UUID,					/* 16 bytes */
	KEY_WORD,					/* a value of 8 bytes or less */
	KEY_TEXT,					/* carried whole if short */
	KEY_UUID_TEXT,				/* text that is read as a uuid */
	KEY_HASH					/* by the type's hash function */
} KeyMethod;

typedef struct KeyColumn
{
	AttrNumber	attnum;
	KeyMethod	method;
	bool		null_equal;
	int			bytes;			/* KEY_WORD: 8, 4, 2 or 1 */
	int			width;			/* words of a carried key */
	bool		extended;		/* KEY_HASH: takes a seed and gives 64 bits */
	bool		padded;			/* KEY_UUID_TEXT: trailing blanks mean nothing */
	Oid			collation;
	FmgrInfo	hash;
} KeyColumn;

typedef struct KeyReader
{
	int			ncols;
	int			words;			/* 0: only the hash is wanted */
	uint64		hash_mask;
	KeyColumn	cols[INDEX_MAX_KEYS];
} KeyReader;

/* The keys of some rows of a batch, side by side. */
typedef struct KeyBatch
{
	int			count;
	int			nundecided;
	uint16		rows[BATCH_ROWS];	/* their numbers in the batch */
	uint16		undecided[BATCH_ROWS];	/* rows with a key that cannot be
										 * carried: SQL decides */
	uint64		hashes[BATCH_ROWS];
	uint64		words[BATCH_ROWS * KEY_MAX_WORDS];	/* without gaps */
} KeyBatch;

/* in keyscan_plan.c */
extern void voxanne_keyscan_plan(KeyscanPlan *plan, VoxScanQuestion *questions, int count);
extern int	voxanne_keyscan_workers(const KeyscanPlan *plan);
extern void voxanne_plan_entries(KeyscanPlan *plan, uint64 memory_limit);

/* in keyscan_leader.c */
extern void voxanne_choose_leaders(KeyscanPlan *plan);
extern bool voxanne_same_key(const VoxScanKey *a, const VoxScanKey *b);

/* in keyscan_key_plan.c */
extern const char *voxanne_key_plan(const VoxScanKey *key, bool carried, int *words);
extern const char *voxanne_key_mismatch(const VoxScanKey *child, const VoxScanKey *parent);
extern void voxanne_key_open(KeyReader *reader, const VoxScanKey *key, Oid leaf, int words);
extern const char *voxanne_key_unhashable(Oid type);
extern bool voxanne_is_users_function(Oid function, void *context);
extern bool voxanne_key_is_long(const VoxScanKey *key);
extern AttrNumber voxanne_leaf_column(const VoxScanKey *key, AttrNumber attnum, Oid leaf);

/* in keyscan_key.c */
extern void voxanne_key_read(KeyReader *reader, const RowBatch *rows, KeyBatch *keys);
extern void voxanne_keys_drop(KeyBatch *keys, const bool *dropped);
extern bool voxanne_key_partial(const KeyReader *reader, const RowBatch *rows, int row);

/* in keyscan_row.c */
typedef struct RowReader RowReader;
extern RowReader *voxanne_row_open(Relation rel, AttrNumber last, RowBatch *rows);
extern void voxanne_row_want(RowReader *reader, AttrNumber attnum);
extern void voxanne_row_read(const RowReader *reader, HeapTuple tuple, RowBatch *rows);
extern void voxanne_rows_clear(const RowReader *reader, RowBatch *rows);
extern void voxanne_row_close(RowReader *reader, RowBatch *rows);

/* in keyscan_time.c */
typedef struct TimeReader
{
	AttrNumber	start;			/* of the present leaf; 0: none */
	AttrNumber	end;
	AttrNumber	length;
	Oid			start_type;
	Oid			end_type;
	Oid			length_type;
	int64		default_length;
} TimeReader;
extern void voxanne_time_open(TimeReader *reader, const VoxScanQuestion *question, Oid leaf);
extern int64 voxanne_time_start(const TimeReader *reader, const RowBatch *rows, int row);
extern int64 voxanne_time_end(const TimeReader *reader, const RowBatch *rows, int row, int64 start);

/* in keyscan_store.c */
/* Where the next entry of a partition goes. */
typedef struct StoreCursor
{
	char	   *at;
	Size		left;
} StoreCursor;

/* Has copies of what every row needs: what is shared may be being written to. */
typedef struct StoreWriter
{
	Size		entry_size;
	int			partition_bits;
	StoreCursor *cursors;		/* by partition */
	Keyscan    *run;
	SharedSide *side;
	SharedPartition *partitions;
	Chunk	  **chunks;			/* being filled, by partition */
	dsa_pointer *pointers;		/* the same as dsa sees them */
} StoreWriter;

typedef struct StoreReader
{
	char	   *data;			/* entries side by side */
	uint32		bytes;
	dsa_pointer next;
} StoreReader;
extern StoreWriter *voxanne_entries_open(Keyscan *run, SharedSide *side);
extern void voxanne_entries_grow(StoreWriter *writer, uint32 partition);
extern void voxanne_entries_close(StoreWriter *writer);
extern void voxanne_entries_publish_file(Keyscan *run);
extern void voxanne_entries_close_files(Keyscan *run);
extern uint64 voxanne_entries_count(Keyscan *run, SharedSide *side, int partition);
extern void voxanne_entries_begin(Keyscan *run, SharedSide *side, int partition, StoreReader *reader);
extern bool voxanne_entries_read(Keyscan *run, StoreReader *reader);
extern void voxanne_entries_forget(Keyscan *run, SharedSide *side, int partition);
extern void voxanne_entries_release(Keyscan *run);

/* in keyscan_memory.c */
extern void voxanne_limit_area(KeyscanShared *shared, dsa_area *area);
extern uint64 voxanne_entries_limit(const Keyscan *run);
extern dsa_pointer voxanne_allocate(Keyscan *run, Size bytes, uint64 limit);
extern dsa_pointer voxanne_allocate_anyway(Keyscan *run, Size bytes);
extern void voxanne_free(Keyscan *run, dsa_pointer pointer, Size bytes);
extern void voxanne_populate(void *address, Size bytes);
extern bool voxanne_scratch_fits(const Keyscan *run, Size bytes);
extern void *voxanne_scratch(Keyscan *run, Scratch which, Size bytes);

/* in keyscan_candidates.c */
#define LOT 1024
typedef struct Lot
{
	Keyscan    *run;
	SharedSide *side;
	int			count;
	RowId		rows[LOT];
} Lot;
extern void voxanne_lot_flush(Lot *lot);
extern void voxanne_collect(Keyscan *run, SharedSide *side, VoxScanQuestion *question);

/* in keyscan_match.c */
extern void voxanne_match_side(Keyscan *run, SharedSide *side);

/* in keyscan_probe.c */
extern void voxanne_build_set(Keyscan *run, SharedSide *side, int partition);
extern void voxanne_free_sets(Keyscan *run, SharedSide *side);
typedef struct Prober Prober;
extern Prober *voxanne_probe_open(Keyscan *run, SharedSide *child);
extern void voxanne_probe(Prober *prober, const KeyBatch *keys, const RowId *ids);
extern void voxanne_probe_miss(Prober *prober, RowId row);
extern void voxanne_probe_follow(Prober *prober, Prober *leader);
extern void voxanne_probe_close(Prober *prober);
extern void voxanne_probe_stored(Keyscan *run, SharedSide *child, int partition);

/* in keyscan_value_plan.c */
extern const char *voxanne_value_plan(const VoxScanQuestion *question, ValuePlan *parent, ValuePlan *child);

/* in keyscan_value.c */
typedef struct ValueSide ValueSide;
extern ValueSide *voxanne_value_open(Keyscan *run, SharedSide *side);
extern AttrNumber voxanne_value_point(ValueSide *values, Oid leaf);
extern void voxanne_value_want(const ValueSide *values, RowReader *rows);
extern bool voxanne_value_keep(ValueSide *values, const RowBatch *rows, int row, uint64 *hash, uint64 *value);
extern bool voxanne_value_probe(ValueSide *values, const RowBatch *rows, int row, bool match_full);
extern void voxanne_value_close(ValueSide *values);
extern void voxanne_value_build(Keyscan *run, SharedSide *side, int partition);
extern void voxanne_value_free(Keyscan *run, SharedSide *side);

/*
 * A bound of a column: a range, or another column that it must not exceed (or,
 * "strictly", must be less than).
 */
typedef struct VoxBound
{
	AttrNumber	attnum;
	AttrNumber	other;			/* 0: the range */
	int8		width;			/* of the values, bytes */
	int8		other_width;
	bool		strictly;
	int64		lowest;
	int64		highest;
} VoxBound;

#define VOX_MAX_BOUNDS 8

/* in keyscan_bounds.c */
extern int	voxanne_bounds_find(Node *condition, VoxBound *bounds);
extern bool voxanne_bound_mark(const VoxBound *bound, const RowBatch *rows, bool *beyond);

/* in keyscan_rules.c */
typedef struct SharedRules SharedRules;
typedef struct RuleSide RuleSide;
extern void voxanne_rules_share(dsa_area *area, SharedSide *side, List *rules);
extern RuleSide *voxanne_rules_open(Keyscan *run, SharedSide *side);
extern AttrNumber voxanne_rules_point(RuleSide *rules, Relation leaf);
extern void voxanne_rules_want(const RuleSide *rules, RowReader *rows);
extern void voxanne_rules_begin(RuleSide *rules, AttrNumber last);
extern void voxanne_rules_count(RuleSide *rules, const RowBatch *rows, const bool *skipped);
extern void voxanne_rules_end(RuleSide *rules);
extern void voxanne_rules_close(RuleSide *rules);
extern void voxanne_rules_collect(Keyscan *run, SharedSide *side, VoxScanQuestion *question);

/* in keyscan_labels.c */
typedef struct LabelSide LabelSide;
extern LabelSide *voxanne_labels_open(Keyscan *run, SharedSide *side);
extern void voxanne_labels_row(LabelSide *labels, const RowBatch *rows, int row, AttrNumber attnum);
extern void voxanne_labels_close(LabelSide *labels);
extern void voxanne_labels_collect(Keyscan *run, SharedSide *side, VoxScanQuestion *question);

/* in keyscan_scan.c */
extern void voxanne_scan_step(Keyscan *run);

static inline SharedPartition *
side_partitions(Keyscan *run, SharedSide *side)
{
	return (SharedPartition *) dsa_get_address(run->area, side->partitions);
}

/* The bits of a hash that count: all of them, but in tests. */
static inline uint64
keyscan_hash_mask(void)
{
	return voxanne_hash_bits == 64 ? ~UINT64CONST(0) : ~(~UINT64CONST(0) >> voxanne_hash_bits);
}

static inline uint32
hash_partition(const SharedSide *side, uint64 hash)
{
	return side->partition_bits == 0 ? 0 : (uint32) (hash >> (64 - side->partition_bits));
}

/*
 * An entry's first word: from the top, the hash without the bits that say which
 * partition; the row; a bit that matching is free to use.
 */
static inline uint64
entry_word(const SharedSide *side, uint64 hash, RowId row)
{
	uint64		row_mask = ~UINT64CONST(0) >> (63 - side->row_bits);

	return ((hash << side->partition_bits) & ~row_mask) | row << 1;
}

static inline RowId
entry_row(const SharedSide *side, uint64 word)
{
	return (word & (~UINT64CONST(0) >> (63 - side->row_bits))) >> 1;
}

/* Do two words have the same hash, as far as they hold it? */
static inline bool
entry_words_match(const SharedSide *side, uint64 a, uint64 b)
{
	return (a ^ b) >> side->row_bits >> 1 == 0;
}

/* Copy a carried key, most often a uuid or an integer, without a call. */
static inline void
copy_words(uint64 *to, const uint64 *from, int words)
{
	if (words > 2)
		memcpy(to, from, words * sizeof(uint64));
	else if (words > 0)
	{
		to[0] = from[0];
		to[words - 1] = from[words - 1];
	}
}

/* A column's values in a batch, by row. */
static inline const Datum *
batch_values(const RowBatch *rows, AttrNumber attnum)
{
	return rows->values + (attnum - 1) * BATCH_STRIDE;
}

static inline const bool *
batch_nulls(const RowBatch *rows, AttrNumber attnum)
{
	return rows->isnull + (attnum - 1) * BATCH_STRIDE;
}

static inline bool
batch_any_null(const RowBatch *rows, AttrNumber attnum)
{
	return rows->any_null[attnum - 1];
}

/*
 * Room for the next entry of the partition that the hash belongs to; valid
 * until the next call.
 */
static inline void *
voxanne_entries_next(StoreWriter *writer, uint64 hash)
{
	uint32		partition = writer->partition_bits == 0 ? 0 : (uint32) (hash >> (64 - writer->partition_bits));
	StoreCursor *cursor = &writer->cursors[partition];
	void	   *entry;

	if (unlikely(cursor->left < writer->entry_size))
		voxanne_entries_grow(writer, partition);
	entry = cursor->at;
	cursor->at += writer->entry_size;
	cursor->left -= writer->entry_size;
	return entry;
}

/* Report a row as a candidate. */
static inline void
lot_add(Lot *lot, RowId row)
{
	if (lot->count == LOT)
		voxanne_lot_flush(lot);
	lot->rows[lot->count++] = row;
}

#endif							/* VOXANNE_KEYSCAN_INTERNAL_H */
