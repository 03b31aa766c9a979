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

/* in keyscan_plan.c */
extern void voxanne_keyscan_plan(KeyscanPlan *plan, VoxScanQuestion *questions, int count);
extern int	voxanne_keyscan_workers(const KeyscanPlan *plan);
extern void voxanne_plan_entries(KeyscanPlan *plan, uint64 memory_limit);

/* in keyscan_leader.c */
extern void voxanne_choose_leaders(KeyscanPlan *plan);
extern bool voxanne_same_key(const VoxScanKey *a, const VoxScanKey *b);

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

/* Report a row as a candidate. */
static inline void
lot_add(Lot *lot, RowId row)
{
	if (lot->count == LOT)
		voxanne_lot_flush(lot);
	lot->rows[lot->count++] = row;
}

#endif							/* VOXANNE_KEYSCAN_INTERNAL_H */
