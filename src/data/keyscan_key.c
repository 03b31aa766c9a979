/*
 * src/data/keyscan_key.c
 *		Reading the keys of rows: carried whole where membership is asked, hashed otherwise.
 *
 * A batch of rows is read column by column: how a column is read is found out
 * once for all of them, and the multiplications of one row's hash need not wait
 * for each other, as the processor works on those of its neighbours meanwhile.
 */
#include "postgres.h"

#include "core/compat.h"
#include "data/keyscan_rows.h"
#include "utils/uuid.h"

/* What stands for a null that is equal to other nulls. */
#define NULL_WORD UINT64CONST(0xA0761D6478BD642F)

static void drop_nulls(const KeyReader *reader, const RowBatch *rows, KeyBatch *keys);
static void read_uuids(const KeyColumn *col, const RowBatch *rows, KeyBatch *keys, int offset, int stride);
static void read_words(const KeyColumn *col, const RowBatch *rows, KeyBatch *keys, int offset, int stride);
static void read_others(KeyColumn *col, const RowBatch *rows, KeyBatch *keys, int offset, int stride);
static bool carry_text(Datum value, uint64 *words);
static bool read_uuid(Datum value, bool padded, uint64 *words);

/* Fold one word into a hash. */
static inline uint64
mix(uint64 hash, uint64 word)
{
	hash = (hash ^ word) * UINT64CONST(0x9FB21C651E98DF25);
	return hash ^ (hash >> 32);
}

/* Have every bit of what was folded in reach every bit of the hash. */
static inline uint64
finish(uint64 hash)
{
	hash *= UINT64CONST(0xD6E8FEB86659FD93);
	return hash ^ (hash >> 29);
}

/* Widen a by-value datum to a word. */
static inline uint64
word_of(Datum value, int bytes)
{
	switch (bytes)
	{
		case 1:
			return (uint64) (uint8) DatumGetChar(value);
		case 2:
			return (uint64) (int64) DatumGetInt16(value);
		case 4:
			return (uint64) (int64) DatumGetInt32(value);
		default:
			return (uint64) DatumGetInt64(value);
	}
}

/* The hash of a value by its type's function. */
static uint64
hash_of(KeyColumn *col, Datum value)
{
	if (col->extended)
		return DatumGetUInt64(FunctionCall2Coll(&col->hash, col->collation, value, UInt64GetDatum(0)));
	return DatumGetUInt32(FunctionCall1Coll(&col->hash, col->collation, value));
}

/* A value that takes a call to read, as words; their number, or 0 if it is for SQL to decide. */
static int
read_value(KeyColumn *col, Datum value, uint64 *words)
{
	switch (col->method)
	{
		case KEY_TEXT:
			return carry_text(value, words) ? TEXT_WORDS : 0;
		case KEY_UUID_TEXT:
			return read_uuid(value, col->padded, words) ? 2 : 0;
		default:
			words[0] = hash_of(col, value);
			return 1;
	}
}

/*
 * Read the keys of the rows that "keys" names, which then names those whose key
 * was read, in the same order.  Rows with a null that matters are left out; so
 * are those that SQL must decide, which are listed.  May leave memory in the
 * current context.
 */
void
voxanne_key_read(KeyReader *reader, const RowBatch *rows, KeyBatch *keys)
{
	int			offset = 0;

	drop_nulls(reader, rows, keys);
	keys->nundecided = 0;
	for (int k = 0; k < keys->count; k++)
		keys->hashes[k] = UINT64CONST(0x8EBC6AF09C88C6E3);
	for (int i = 0; i < reader->ncols; i++)
	{
		KeyColumn  *col = &reader->cols[i];

		if (col->method == KEY_UUID)
			read_uuids(col, rows, keys, offset, reader->words);
		else if (col->method == KEY_WORD)
			read_words(col, rows, keys, offset, reader->words);
		else
			read_others(col, rows, keys, offset, reader->words);
		offset += reader->words == 0 ? 0 : col->width;
	}
	for (int k = 0; k < keys->count; k++)
		keys->hashes[k] = finish(keys->hashes[k]) & reader->hash_mask;
}

/* Leave out the rows with a null that matters. */
static void
drop_nulls(const KeyReader *reader, const RowBatch *rows, KeyBatch *keys)
{
	for (int i = 0; i < reader->ncols; i++)
	{
		const KeyColumn *col = &reader->cols[i];

		if (!col->null_equal && batch_any_null(rows, col->attnum))
			voxanne_keys_drop(keys, batch_nulls(rows, col->attnum));
	}
}

/*
 * Leave out the rows for which an array, by row, says so.
 */
void
voxanne_keys_drop(KeyBatch *keys, const bool *dropped)
{
	int			kept = 0;

	for (int k = 0; k < keys->count; k++)
	{
		uint16		row = keys->rows[k];

		keys->rows[kept] = row;
		kept += !dropped[row];
	}
	keys->count = kept;
}

/*
 * Fold a column of uuids into the hashes; keys that are carried, of "stride"
 * words, have it from word "offset" on.
 */
static void
read_uuids(const KeyColumn *col, const RowBatch *rows, KeyBatch *keys, int offset, int stride)
{
	const Datum *values = batch_values(rows, col->attnum);
	const bool *isnull = batch_nulls(rows, col->attnum);

	for (int k = 0; k < keys->count; k++)
	{
		uint16		row = keys->rows[k];
		uint64		here[2];

		if (isnull[row])
		{
			keys->hashes[k] = mix(keys->hashes[k], NULL_WORD);
			continue;
		}
		memcpy(here, DatumGetPointer(values[row]), UUID_LEN);
		keys->hashes[k] = mix(mix(keys->hashes[k], here[0]), here[1]);
		if (stride > 0)
			memcpy(keys->words + k * stride + offset, here, UUID_LEN);
	}
}

/* The same for a column of values that are passed by value. */
static void
read_words(const KeyColumn *col, const RowBatch *rows, KeyBatch *keys, int offset, int stride)
{
	const Datum *values = batch_values(rows, col->attnum);
	const bool *isnull = batch_nulls(rows, col->attnum);
	int			bytes = col->bytes;

	for (int k = 0; k < keys->count; k++)
	{
		uint16		row = keys->rows[k];
		uint64		here = isnull[row] ? NULL_WORD : word_of(values[row], bytes);

		keys->hashes[k] = mix(keys->hashes[k], here);
		if (stride > 0)
			keys->words[k * stride + offset] = here;
	}
}

/*
 * The same for values that take a call to read.  Rows with one that cannot be
 * carried are left out and listed.
 */
static void
read_others(KeyColumn *col, const RowBatch *rows, KeyBatch *keys, int offset, int stride)
{
	const Datum *values = batch_values(rows, col->attnum);
	const bool *isnull = batch_nulls(rows, col->attnum);
	int			kept = 0;

	for (int k = 0; k < keys->count; k++)
	{
		uint16		row = keys->rows[k];
		uint64		here[TEXT_WORDS] = {NULL_WORD};
		int			count = isnull[row] ? 1 : read_value(col, values[row], here);
		uint64		hash = keys->hashes[k];

		if (count == 0)
		{
			keys->undecided[keys->nundecided++] = row;
			continue;
		}
		for (int w = 0; w < count; w++)
			hash = mix(hash, here[w]);
		if (kept < k)
		{
			keys->rows[kept] = row;
			memcpy(keys->words + kept * stride, keys->words + k * stride, offset * sizeof(uint64));
		}
		keys->hashes[kept] = hash;
		if (stride > 0)
			memcpy(keys->words + kept * stride + offset, here, count * sizeof(uint64));
		kept++;
	}
	keys->count = kept;
}

/* Are some columns of the key null and others not? */
bool
voxanne_key_partial(const KeyReader *reader, const RowBatch *rows, int row)
{
	int			nulls = 0;

	for (int i = 0; i < reader->ncols; i++)
		nulls += batch_nulls(rows, reader->cols[i].attnum)[row];
	return nulls > 0 && nulls < reader->ncols;
}

/* A short text as words, its length in the last byte; false for a longer one. */
static bool
carry_text(Datum value, uint64 *words)
{
	struct varlena *packed;
	Size		length;

	if (VARATT_IS_EXTERNAL(DatumGetPointer(value)))
		return false;
	packed = PG_DETOAST_DATUM_PACKED(value);
	length = VARSIZE_ANY_EXHDR(packed);
	if (length > TEXT_BYTES)
		return false;
	memset(words, 0, TEXT_WORDS * sizeof(uint64));
	memcpy(words, VARDATA_ANY(packed), length);
	((unsigned char *) words)[TEXT_BYTES] = (unsigned char) (length + 1);
	return true;
}

static inline int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * Text as a uuid, in the forms that uuid_in() takes: a hyphen after any group of
 * four digits, braces around the whole.  False if it is none.
 */
static bool
read_uuid(Datum value, bool padded, uint64 *words)
{
	struct varlena *packed = PG_DETOAST_DATUM_PACKED(value);
	const char *at = VARDATA_ANY(packed);
	const char *end = at + VARSIZE_ANY_EXHDR(packed);
	unsigned char *bytes = (unsigned char *) words;

	while (padded && end > at && end[-1] == ' ')
		end--;
	if (end - at >= 2 && *at == '{' && end[-1] == '}')
	{
		at++;
		end--;
	}
	for (int i = 0; i < UUID_LEN; i++)
	{
		int			high = at < end ? hex_digit(*at) : -1;
		int			low = at + 1 < end ? hex_digit(at[1]) : -1;

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (unsigned char) (high << 4 | low);
		at += 2;
		if (i % 2 == 1 && i < UUID_LEN - 1 && at < end && *at == '-')
			at++;
	}
	return at == end;
}
