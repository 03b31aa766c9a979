/*
 * src/data/keyscan_rows.h
 *		Rows of a table as the scan engine reads them, and what its sides make of them.
 */
#ifndef VOXANNE_KEYSCAN_ROWS_H
#define VOXANNE_KEYSCAN_ROWS_H

#include "access/htup_details.h"
#include "data/keyscan_internal.h"
#include "fmgr.h"
#include "utils/rel.h"

/* Longest key that is carried whole, in 8-byte words: a uuid and a text. */
#define KEY_MAX_WORDS 6

/* Words of a carried text, and bytes: the last one is the length. */
#define TEXT_WORDS 4
#define TEXT_BYTES (TEXT_WORDS * 8 - 1)

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

#endif							/* VOXANNE_KEYSCAN_ROWS_H */
