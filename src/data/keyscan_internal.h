/*
 * src/data/keyscan_internal.h
 *		What the files of the scan engine share.
 *
 * A run scans each table once, in steps.  Every question has one or two sides;
 * a side says what a scanned row contributes:
 *
 *	UNIQUE	 an entry (hash, row); entries with equal hashes become candidates
 *	OVERLAP  an entry (hash, row, range); ranges that meet become candidates
 *	PARENT	 its whole key, put into the set that CHILD sides look up
 *	CHILD	 a look-up; a miss becomes a candidate.  Nothing is kept
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

#include "access/relscan.h"
#include "data/keyscan.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "port/atomics.h"
#include "storage/barrier.h"
#include "storage/buffile.h"
#include "storage/sharedfileset.h"
#include "utils/dsa.h"

/* Longest key that is carried whole, in 8-byte words: a uuid and a text. */
#define KEY_MAX_WORDS 6

/* A chunk of entries, header included: the largest size that dsa packs densely. */
#define CHUNK_BYTES 8192

typedef enum SideKind
{
	SIDE_UNIQUE,
	SIDE_OVERLAP,
	SIDE_PARENT,
	SIDE_CHILD
} SideKind;

/* A row as the engine names it: leaf (of the step), block and offset in one word. */
typedef uint64 RowId;

#define ROWID_MAKE(leaf, tid) \
	(((uint64) (leaf) << 48) | ((uint64) ItemPointerGetBlockNumberNoCheck(tid) << 16) | \
	 ItemPointerGetOffsetNumberNoCheck(tid))
#define ROWID_LEAF(row) ((int) ((row) >> 48))
#define ROWID_BLOCK(row) ((BlockNumber) ((row) >> 16))
#define ROWID_OFFSET(row) ((OffsetNumber) ((row) & 0xFFFF))
#define MAX_LEAVES 65535

typedef struct UniqueEntry
{
	uint64		hash;
	RowId		row;
} UniqueEntry;

typedef struct OverlapEntry
{
	uint64		hash;
	RowId		row;
	int64		start;
	int64		end;
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
	KeySet		set;			/* PARENT, once matched */
} SharedPartition;

typedef struct SharedSide
{
	SideKind	kind;
	int			question;		/* UNIQUE, OVERLAP, CHILD; else -1 */
	int			parent;			/* CHILD: its PARENT side */
	int			step;			/* in which its table is scanned */
	int			last_step;		/* PARENT: after which its sets go */
	VoxScanKey	key;
	int			words;			/* PARENT, CHILD: width of the carried key */
	int			entry_size;
	int			partition_bits;
	dsa_pointer partitions;		/* of SharedPartition */
	pg_atomic_uint32 next_partition;	/* to be matched */
	pg_atomic_uint64 checked;
	pg_atomic_uint64 candidates;
	pg_atomic_uint64 results;	/* dsa_pointer of a list of chunks of RowId */
	pg_atomic_uint32 overflow;	/* gave up: SQL must answer */
} SharedSide;

typedef struct SharedLeaf
{
	Oid			relid;
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
	pg_atomic_uint64 scanned;
	pg_atomic_uint64 spilled;
	int			nsides;
	int			nsteps;
	int			nleaves;
	int			nparticipants;	/* at the most */
	/* arrays follow by key in the toc */
} KeyscanShared;

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
	MemoryContext match_context;	/* reset with every partition */
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

/* What became of reading a key. */
typedef enum KeyResult
{
	KEY_READ,
	KEY_NULL,					/* a column that matters is null */
	KEY_UNDECIDED				/* not one that can be carried: SQL decides */
} KeyResult;

/* in keyscan_plan.c */
extern void voxanne_keyscan_plan(KeyscanPlan *plan, VoxScanQuestion *questions, int count);
extern int	voxanne_keyscan_workers(const KeyscanPlan *plan);
extern int	voxanne_partition_bits(const KeyscanPlan *plan, int side, uint64 memory_limit);

/* in keyscan_key.c */
extern const char *voxanne_key_plan(const VoxScanKey *key, bool carried, int *words);
extern const char *voxanne_key_mismatch(const VoxScanKey *child, const VoxScanKey *parent);
extern void voxanne_key_open(KeyReader *reader, const VoxScanKey *key, Oid leaf, int words);
extern KeyResult voxanne_key_read(KeyReader *reader, TupleTableSlot *slot, uint64 *words, uint64 *hash);
extern bool voxanne_key_partial(const KeyReader *reader, TupleTableSlot *slot);
extern AttrNumber voxanne_leaf_column(const VoxScanKey *key, AttrNumber attnum, Oid leaf);

/* in keyscan_store.c */
typedef struct StoreWriter StoreWriter;
extern StoreWriter *voxanne_entries_open(Keyscan *run, SharedSide *side);
extern void *voxanne_entries_next(StoreWriter *writer, uint64 hash);
extern void voxanne_entries_close(StoreWriter *writer);
extern void voxanne_entries_publish_file(Keyscan *run);
extern void voxanne_entries_close_files(Keyscan *run);
extern uint64 voxanne_entries_bytes(Keyscan *run, SharedSide *side, int partition);
extern char *voxanne_entries_read(Keyscan *run, SharedSide *side, int partition, uint64 *entries);
extern void voxanne_entries_free(Keyscan *run, SharedSide *side, int partition);
extern bool voxanne_entries_charge(Keyscan *run, uint64 bytes);
extern void voxanne_entries_return(Keyscan *run, uint64 bytes);

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
extern void voxanne_build_set(Keyscan *run, SharedSide *side, int partition, const uint64 *entries, uint64 count);
extern void voxanne_free_sets(Keyscan *run, SharedSide *side);
typedef struct Prober Prober;
extern Prober *voxanne_probe_open(Keyscan *run, SharedSide *child);
extern void voxanne_probe(Prober *prober, const uint64 *words, uint64 hash, RowId row);
extern void voxanne_probe_miss(Prober *prober, RowId row);
extern void voxanne_probe_close(Prober *prober);

/* in keyscan_scan.c */
extern void voxanne_scan_step(Keyscan *run);

static inline SharedPartition *
side_partitions(Keyscan *run, SharedSide *side)
{
	return (SharedPartition *) dsa_get_address(run->area, side->partitions);
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
