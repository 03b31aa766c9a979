/*
 * src/data/keyscan_row.c
 *		Taking the wanted columns out of the rows of one table.
 *
 * A slot deforms every column up to the last one that is wanted, for any kind
 * of tuple and of table.  The scan reads heap tuples only, millions of them, of
 * which a few columns matter: columns before the first wanted one are skipped
 * where their width is fixed, and values that nobody wants are not made.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "core/compat.h"
#include "data/keyscan_rows.h"
#include "utils/rel.h"

/* How a column lies in a tuple. */
typedef struct RowColumn
{
	int16		length;			/* -1: varlena, -2: string that ends with NUL */
	bool		byval;
	bool		wanted;
	uint8		align;			/* bytes, a power of two */
} RowColumn;

struct RowReader
{
	TupleDesc	desc;
	int			last;			/* column that is wanted */
	int			first;			/* column number, minus one, to begin with in
								 * a row without nulls, and where it is */
	uint32		first_offset;
	RowColumn	columns[FLEXIBLE_ARRAY_MEMBER];
};

static uint8 alignment(char align);

/*
 * Prepare to read rows of a table as far as the given column, into a batch,
 * whose arrays are made here.  Lives in the current context; the table stays open.
 */
RowReader *
voxanne_row_open(Relation rel, AttrNumber last, RowBatch *rows)
{
	RowReader  *reader = palloc0(offsetof(RowReader, columns) + sizeof(RowColumn) * last);

	reader->desc = RelationGetDescr(rel);
	reader->last = reader->first = last;
	for (int i = 0; i < last; i++)
	{
		Form_pg_attribute att = TupleDescAttr(reader->desc, i);

		reader->columns[i].length = att->attlen;
		reader->columns[i].byval = att->attbyval;
		reader->columns[i].align = alignment(att->attalign);
	}
	rows->count = 0;
	rows->values = palloc0_array(Datum, BATCH_STRIDE * Max(last, 1));
	rows->isnull = palloc0_array(bool, BATCH_STRIDE * Max(last, 1));
	rows->any_null = palloc0_array(bool, Max(last, 1));
	return reader;
}

static uint8
alignment(char align)
{
	switch (align)
	{
		case TYPALIGN_CHAR:
			return 1;
		case TYPALIGN_SHORT:
			return ALIGNOF_SHORT;
		case TYPALIGN_INT:
			return ALIGNOF_INT;
		default:
			return ALIGNOF_DOUBLE;
	}
}

/*
 * Have a column read; before the first row.
 */
void
voxanne_row_want(RowReader *reader, AttrNumber attnum)
{
	uint32		offset = 0;

	reader->columns[attnum - 1].wanted = true;
	for (reader->first = 0; reader->first < reader->last; reader->first++)
	{
		const RowColumn *column = &reader->columns[reader->first];

		if (column->length < 0 || column->wanted)
			break;
		offset = TYPEALIGN(column->align, offset) + column->length;
	}
	reader->first_offset = offset;
}

/* Where a value begins, from where the one before it has ended. */
static inline char *
align_value(const RowColumn *column, char *at)
{
	/* a varlena with a short header is not aligned, and padding is zero */
	if (column->length == -1 && *(uint8 *) at != 0)
		return at;
	return (char *) TYPEALIGN(column->align, (uintptr_t) at);
}

static inline char *
value_end(const RowColumn *column, char *at)
{
	if (column->length > 0)
		return at + column->length;
	return column->length == -1 ? at + VARSIZE_ANY(at) : at + strlen(at) + 1;
}

static inline void
set_null(RowBatch *rows, int column)
{
	rows->isnull[column * BATCH_STRIDE + rows->count] = true;
	rows->any_null[column] = true;
}

/*
 * Read the wanted columns of one more row into the batch, which has room for it.
 * Values that are not passed by value point into the tuple.
 */
void
voxanne_row_read(const RowReader *reader, HeapTuple tuple, RowBatch *rows)
{
	HeapTupleHeader header = tuple->t_data;
	bool		nulls = HeapTupleHasNulls(tuple);
	int			natts = Min(HeapTupleHeaderGetNatts(header), reader->last);
	char	   *at = (char *) header + header->t_hoff;
	int			i = 0;
	Datum	   *values = rows->values + rows->count;

	if (!nulls)
	{
		i = reader->first;
		at += reader->first_offset;
	}
	for (; i < natts; i++)
	{
		const RowColumn *column = &reader->columns[i];

		if (nulls && att_isnull(i, header->t_bits))
		{
			set_null(rows, i);
			continue;
		}
		at = align_value(column, at);
		if (column->wanted)
			values[i * BATCH_STRIDE] = fetch_att(at, column->byval, column->length);
		at = value_end(column, at);
	}
	/* columns that were added to the table after the row was written */
	for (i = natts; i < reader->last; i++)
		if (reader->columns[i].wanted)
		{
			bool		isnull;

			values[i * BATCH_STRIDE] = heap_getattr(tuple, i + 1, reader->desc, &isnull);
			if (isnull)
				set_null(rows, i);
		}
	rows->count++;
}

/*
 * Empty a batch.
 */
void
voxanne_rows_clear(const RowReader *reader, RowBatch *rows)
{
	for (int i = 0; i < reader->last; i++)
		if (rows->any_null[i])
		{
			memset(rows->isnull + i * BATCH_STRIDE, 0, rows->count * sizeof(bool));
			rows->any_null[i] = false;
		}
	rows->count = 0;
}

void
voxanne_row_close(RowReader *reader, RowBatch *rows)
{
	pfree(rows->values);
	pfree(rows->isnull);
	pfree(rows->any_null);
	pfree(reader);
}
