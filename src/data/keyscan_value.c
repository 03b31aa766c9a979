/*
 * src/data/keyscan_value.c
 *		References by keys whose equality is not equality of bits: the parent's values are kept.
 *
 * Such a key is found by its hash and compared with the values that have the
 * same one, by the reference's own operator and under the parent's collation,
 * so that a hit is as sure as a miss.  The hash functions are those that belong
 * to the operator, one for each side of it, so int4 is found among int8, and
 * any two values that the operator calls equal have one hash.  An entry of the
 * parent is a hash and where its value is; values lie in shared memory, in
 * chunks of their own, until the last reference has been looked up.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "common/hashfn.h"
#include "core/compat.h"
#include "data/keyscan_rows.h"
#include "data/keyscan_store.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* Values that lie together; one that is longer than a chunk has its own. */
typedef struct ValueChunk
{
	dsa_pointer next;
	uint64		bytes;			/* allocated, this header included */
	char		data[FLEXIBLE_ARRAY_MEMBER];
} ValueChunk;

#define VALUES_AT MAXALIGN(offsetof(ValueChunk, data))

/* A value: its size, then the columns one after another, each aligned. */
typedef struct Value
{
	uint64		size;			/* with this header */
	char		columns[FLEXIBLE_ARRAY_MEMBER];
} Value;

#define COLUMNS_AT MAXALIGN(offsetof(Value, columns))

typedef struct ValueSlot
{
	uint64		hash;
	dsa_pointer value;			/* invalid: the slot is free */
} ValueSlot;

typedef struct ValueColumn
{
	AttrNumber	attnum;			/* of the present leaf */
	int16		typlen;			/* of the parent's type */
	bool		typbyval;
	bool		toasted;		/* the side's own values may be */
	bool		is_cast;
	Oid			collation;
	FmgrInfo	cast;			/* CHILD: to the type that the operator takes */
	FmgrInfo	hash;
	FmgrInfo	equal;			/* CHILD: parent = child */
} ValueColumn;

struct ValueSide
{
	Keyscan    *run;
	SharedSide *side;
	int			ncols;
	ValueColumn cols[INDEX_MAX_KEYS];
	Datum		values[INDEX_MAX_KEYS]; /* of the present row, cast */
	uint64		hash_mask;
	MemoryContext scratch;		/* reset with every row */

	/* PARENT: the chunk being filled */
	dsa_pointer chunk;
	Size		used;
	Size		room;

	/* CHILD */
	SharedSide *parent;
	SharedPartition *partitions;
	const ValueSlot **slots;	/* by partition of the parent */
	bool		hits;			/* they are what is reported */
	Lot			lot;
};

static void open_parent(ValueSide *values);
static bool read_values(ValueSide *values, const RowBatch *rows, int row, uint64 *hash);
static dsa_pointer store_value(ValueSide *values);
static char *room_for(ValueSide *values, Size bytes, dsa_pointer *pointer);
static Size column_size(const ValueColumn *col, Datum value);
static void put_column(const ValueColumn *col, Datum value, char *at);
static Datum get_column(const ValueColumn *col, const char *at);
static bool is_known(ValueSide *values, uint64 hash);
static bool is_equal(ValueSide *values, const Value *value);
static void add_to_set(Keyscan *run, ValueSlot *slots, uint64 mask, uint64 hash, dsa_pointer value);

/*
 * Start reading the keys of one side, in the current context.
 */
ValueSide *
voxanne_value_open(Keyscan *run, SharedSide *side)
{
	ValueSide  *values = palloc0_object(ValueSide);
	const SharedSide *parent = side->kind == SIDE_PARENT ? side : &run->sides[side->parent];

	values->run = run;
	values->side = side;
	values->ncols = side->key.ncols;
	values->hash_mask = keyscan_hash_mask();
	values->scratch = AllocSetContextCreate(CurrentMemoryContext, "keyscan values", ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < values->ncols; i++)
	{
		ValueColumn *col = &values->cols[i];
		const ValuePlan *plan = &side->values;

		get_typlenbyval(getBaseType(get_atttype(parent->key.relid, parent->key.cols[i].attnum)),
						&col->typlen, &col->typbyval);
		col->toasted = get_typlen(getBaseType(get_atttype(side->key.relid, side->key.cols[i].attnum))) == -1;
		col->collation = plan->collation[i];
		col->is_cast = OidIsValid(plan->cast[i]);
		if (col->is_cast)
			fmgr_info(plan->cast[i], &col->cast);
		fmgr_info(plan->hash[i], &col->hash);
		if (OidIsValid(plan->equal[i]))
			fmgr_info(plan->equal[i], &col->equal);
	}
	if (side->kind == SIDE_CHILD)
		open_parent(values);
	return values;
}

/* The sets of the parent, which are built. */
static void
open_parent(ValueSide *values)
{
	Keyscan    *run = values->run;
	int			npartitions;

	values->parent = &run->sides[values->side->parent];
	values->partitions = side_partitions(run, values->parent);
	npartitions = 1 << values->parent->partition_bits;
	values->slots = palloc0_array(const ValueSlot *, npartitions);
	for (int i = 0; i < npartitions; i++)
		if (DsaPointerIsValid(values->partitions[i].set.slots))
			values->slots[i] = dsa_get_address(run->area, values->partitions[i].set.slots);
	values->hits = run->questions[values->side->question].hits;
	values->lot.run = run;
	values->lot.side = values->side;
}

/*
 * Prepare for the rows of a leaf; returns the last column that is read.
 */
AttrNumber
voxanne_value_point(ValueSide *values, Oid leaf)
{
	const VoxScanKey *key = &values->side->key;
	AttrNumber	last = 0;

	for (int i = 0; i < values->ncols; i++)
	{
		values->cols[i].attnum = voxanne_leaf_column(key, key->cols[i].attnum, leaf);
		last = Max(last, values->cols[i].attnum);
	}
	return last;
}

/*
 * Have the columns read.
 */
void
voxanne_value_want(const ValueSide *values, RowReader *rows)
{
	for (int i = 0; i < values->ncols; i++)
		voxanne_row_want(rows, values->cols[i].attnum);
}

/* Are some columns of the key null and others not? */
static bool
is_partial(const ValueSide *values, const RowBatch *rows, int row)
{
	int			nulls = 0;

	for (int i = 0; i < values->ncols; i++)
		nulls += batch_nulls(rows, values->cols[i].attnum)[row];
	return nulls > 0 && nulls < values->ncols;
}

/*
 * The row's key, as the operator takes it, and its hash; values are in the
 * scratch context.  False if a column is null.
 */
static bool
read_values(ValueSide *values, const RowBatch *rows, int row, uint64 *hash)
{
	uint64		h = UINT64CONST(0x8EBC6AF09C88C6E3);

	for (int i = 0; i < values->ncols; i++)
	{
		ValueColumn *col = &values->cols[i];
		Datum		value = batch_values(rows, col->attnum)[row];

		if (batch_nulls(rows, col->attnum)[row])
			return false;
		if (col->is_cast)
			value = FunctionCall1Coll(&col->cast, col->collation, value);
		else if (col->toasted)
			value = PointerGetDatum(PG_DETOAST_DATUM(value));
		values->values[i] = value;
		h = hash_bytes_uint32_extended(DatumGetUInt32(FunctionCall1Coll(&col->hash, col->collation, value)), h);
	}
	*hash = h & values->hash_mask;
	return true;
}

/*
 * Keep the value of a row of the parent and fill in its entry: hash and value.
 * Returns false, and there is no entry, if the key is null in part or there is
 * no memory left, with which the side overflows.
 */
bool
voxanne_value_keep(ValueSide *values, const RowBatch *rows, int row, uint64 *hash, uint64 *value)
{
	MemoryContext old = MemoryContextSwitchTo(values->scratch);
	bool		kept = false;

	if (pg_atomic_read_u32(&values->side->overflow) == 0 && read_values(values, rows, row, hash))
	{
		*value = (uint64) store_value(values);
		kept = DsaPointerIsValid((dsa_pointer) *value);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(values->scratch);
	return kept;
}

/*
 * Look up the key of a row of the child, and report the row if no parent has
 * it, or one has, as asked.  Returns whether the row has a complete key.
 */
bool
voxanne_value_probe(ValueSide *values, const RowBatch *rows, int row, bool match_full)
{
	MemoryContext old = MemoryContextSwitchTo(values->scratch);
	uint64		hash;
	bool		complete = read_values(values, rows, row, &hash);

	if (complete ? is_known(values, hash) == values->hits : match_full && is_partial(values, rows, row))
		lot_add(&values->lot, rows->ids[row]);
	MemoryContextSwitchTo(old);
	MemoryContextReset(values->scratch);
	return complete;
}

/*
 * The side has seen all its rows: hand over what was found.
 */
void
voxanne_value_close(ValueSide *values)
{
	if (values->side->kind == SIDE_CHILD)
		voxanne_lot_flush(&values->lot);
	MemoryContextDelete(values->scratch);
}

/* Copy the present value into shared memory; invalid, and the side overflows, without room. */
static dsa_pointer
store_value(ValueSide *values)
{
	Size		size = COLUMNS_AT;
	dsa_pointer pointer;
	Value	   *value;
	char	   *at;

	for (int i = 0; i < values->ncols; i++)
		size += column_size(&values->cols[i], values->values[i]);
	value = (Value *) room_for(values, size, &pointer);
	if (value == NULL)
		return InvalidDsaPointer;
	value->size = size;
	at = (char *) value + COLUMNS_AT;
	for (int i = 0; i < values->ncols; i++)
	{
		put_column(&values->cols[i], values->values[i], at);
		at += column_size(&values->cols[i], values->values[i]);
	}
	return pointer;
}

/* Room for a value in the chunk being filled, or in a new one. */
static char *
room_for(ValueSide *values, Size bytes, dsa_pointer *pointer)
{
	Keyscan    *run = values->run;
	ValueChunk *chunk;

	if (!DsaPointerIsValid(values->chunk) || values->used + bytes > values->room)
	{
		Size		size = Max(VALUES_AT + bytes, CHUNK_BYTES);
		uint64		head = pg_atomic_read_u64(&values->side->kept);

		values->chunk = voxanne_allocate(run, size, run->shared->memory_limit);
		if (!DsaPointerIsValid(values->chunk))
		{
			pg_atomic_write_u32(&values->side->overflow, 1);
			return NULL;
		}
		values->used = VALUES_AT;
		values->room = size;
		chunk = dsa_get_address(run->area, values->chunk);
		chunk->bytes = size;
		do
			chunk->next = (dsa_pointer) head;
		while (!pg_atomic_compare_exchange_u64(&values->side->kept, &head, (uint64) values->chunk));
	}
	*pointer = values->chunk + values->used;
	values->used += bytes;
	return dsa_get_address(run->area, *pointer);
}

static Size
column_size(const ValueColumn *col, Datum value)
{
	return MAXALIGN(col->typbyval ? sizeof(Datum) : datumGetSize(value, false, col->typlen));
}

/* What is between the end of a value and the next is zeroed: values are compared as bytes, too. */
static void
put_column(const ValueColumn *col, Datum value, char *at)
{
	Size		size;

	if (col->typbyval)
	{
		memcpy(at, &value, sizeof(Datum));
		return;
	}
	size = datumGetSize(value, false, col->typlen);
	memcpy(at, DatumGetPointer(value), size);
	memset(at + size, 0, MAXALIGN(size) - size);
}

static Datum
get_column(const ValueColumn *col, const char *at)
{
	Datum		value;

	if (!col->typbyval)
		return PointerGetDatum(at);
	memcpy(&value, at, sizeof(Datum));
	return value;
}

/* Has a parent the present key, whose hash this is? */
static bool
is_known(ValueSide *values, uint64 hash)
{
	uint32		partition = hash_partition(values->parent, hash);
	const ValueSlot *slots = values->slots[partition];
	uint64		mask = values->partitions[partition].set.mask;

	if (slots == NULL)
		return false;
	for (uint64 i = hash & mask; DsaPointerIsValid(slots[i].value); i = (i + 1) & mask)
		if (slots[i].hash == hash &&
			is_equal(values, dsa_get_address(values->run->area, slots[i].value)))
			return true;
	return false;
}

/* Is a parent's value the present key, by the reference's operators? */
static bool
is_equal(ValueSide *values, const Value *value)
{
	const char *at = (const char *) value + COLUMNS_AT;

	for (int i = 0; i < values->ncols; i++)
	{
		ValueColumn *col = &values->cols[i];
		Datum		theirs = get_column(col, at);

		if (!DatumGetBool(FunctionCall2Coll(&col->equal, col->collation, theirs, values->values[i])))
			return false;
		at += column_size(col, theirs);
	}
	return true;
}

/*
 * Build the set of one partition of a parent from its entries, each a hash and
 * a value.  Without memory for it the side overflows.
 */
void
voxanne_value_build(Keyscan *run, SharedSide *side, int partition)
{
	uint64		count = voxanne_entries_count(run, side, partition);
	KeySet	   *set = &side_partitions(run, side)[partition].set;
	uint64		size = pg_nextpower2_64(Max(count + count / 2, 4));
	StoreReader reader;
	ValueSlot  *slots;

	if (count == 0)
		return;
	set->bytes = size * sizeof(ValueSlot);
	set->slots = voxanne_allocate(run, set->bytes, run->shared->memory_limit);
	if (!DsaPointerIsValid(set->slots))
	{
		pg_atomic_write_u32(&side->overflow, 1);
		return;
	}
	set->mask = size - 1;
	slots = dsa_get_address(run->area, set->slots);
	memset(slots, 0, set->bytes);
	voxanne_entries_begin(run, side, partition, &reader);
	while (voxanne_entries_read(run, &reader))
		for (uint32 at = 0; at < reader.bytes; at += side->entry_size)
		{
			const uint64 *entry = (const uint64 *) (reader.data + at);

			add_to_set(run, slots, set->mask, entry[0], (dsa_pointer) entry[1]);
		}
}

/* Add a value unless the same bytes are there: many rows alike would make look-ups slow. */
static void
add_to_set(Keyscan *run, ValueSlot *slots, uint64 mask, uint64 hash, dsa_pointer value)
{
	const Value *ours = dsa_get_address(run->area, value);
	uint64		i = hash & mask;

	CHECK_FOR_INTERRUPTS();
	for (; DsaPointerIsValid(slots[i].value); i = (i + 1) & mask)
		if (slots[i].hash == hash)
		{
			const Value *theirs = dsa_get_address(run->area, slots[i].value);

			if (theirs->size == ours->size && memcmp(theirs, ours, ours->size) == 0)
				return;
		}
	slots[i].hash = hash;
	slots[i].value = value;
}

/*
 * Give a parent's values back; by one participant, when nobody looks anything
 * up any more.
 */
void
voxanne_value_free(Keyscan *run, SharedSide *side)
{
	dsa_pointer p = (dsa_pointer) pg_atomic_exchange_u64(&side->kept, InvalidDsaPointer);

	while (DsaPointerIsValid(p))
	{
		ValueChunk *chunk = dsa_get_address(run->area, p);
		dsa_pointer next = chunk->next;

		voxanne_free(run, p, chunk->bytes);
		p = next;
	}
}
