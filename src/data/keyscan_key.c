/*
 * src/data/keyscan_key.c
 *		Reading a row's key: carried whole where membership is asked, hashed otherwise.
 *
 * Values whose equality is equality of bits are hashed here, and carried as
 * they are.  Integers are widened, so that an int4 column and the int8 column
 * it references give the same key.  Text of a deterministic collation is
 * carried if it is short; a row with a longer one is left to SQL, and a column
 * of mostly longer ones compared by value, as all types that cannot be carried.
 * Where a hash is enough they go through the type's own hash function, with the
 * column's collation, so that values which the type calls equal have equal
 * hashes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "core/compat.h"
#include "core/relation.h"
#include "core/typecode.h"
#include "data/keyscan_internal.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

/* Words of a carried text, and bytes: the last one is the length. */
#define TEXT_WORDS 4
#define TEXT_BYTES (TEXT_WORDS * 8 - 1)

/* What stands for a null that is equal to other nulls. */
#define NULL_WORD UINT64CONST(0xA0761D6478BD642F)

static int	word_bytes(Oid type);
static bool is_text(Oid type);
static int	average_width(Oid relid, AttrNumber attnum);
static void open_column(KeyColumn *col, const VoxScanKey *key, int i, Oid leaf, bool carried);
static void open_hash(KeyColumn *col, Oid type, Oid leaf);
static bool carry_text(Datum value, uint64 *words);
static bool read_uuid(Datum value, bool padded, uint64 *words);

/*
 * Bytes of a by-value type whose equality is equality of bits, once integers
 * are widened; 0 for any other type.
 */
static int
word_bytes(Oid type)
{
	switch (type)
	{
		case BOOLOID:
		case CHAROID:
			return 1;
		case INT2OID:
			return 2;
		case INT4OID:
		case OIDOID:
		case DATEOID:
			return 4;
		case INT8OID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case TIMEOID:
			return 8;
		default:
			return type_is_enum(type) ? 4 : 0;
	}
}

static bool
is_text(Oid type)
{
	return type == TEXTOID || type == VARCHAROID;
}

/* Words that a column takes of a carried key; 0 if it cannot be carried. */
static int
carried_words(const VoxScanKey *key, int i)
{
	Oid			type;
	int32		typmod;
	Oid			collation;

	get_atttypetypmodcoll(key->relid, key->cols[i].attnum, &type, &typmod, &collation);
	type = getBaseType(type);
	if (key->cols[i].form == VOX_FORM_UUID || type == UUIDOID)
		return 2;
	if (is_text(type))
		return get_collation_isdeterministic(collation) ? TEXT_WORDS : 0;
	return word_bytes(type) > 0 ? 1 : 0;
}

/*
 * Can the key be read?  Returns why not, a sentence, or NULL.  A carried key's
 * width in words is put into *words.
 */
const char *
voxanne_key_plan(const VoxScanKey *key, bool carried, int *words)
{
	*words = 0;
	for (int i = 0; i < key->ncols; i++)
	{
		Oid			type = getBaseType(get_atttype(key->relid, key->cols[i].attnum));
		int			width = carried ? carried_words(key, i) : 0;
		const char *reason = NULL;

		if (carried && width == 0)
			return "The key cannot be carried.";
		if (!carried && type != UUIDOID && word_bytes(type) == 0)
			reason = voxanne_key_unhashable(type);
		if (reason != NULL)
			return reason;
		*words += width;
	}
	return *words > KEY_MAX_WORDS ? "The key is too wide to be carried." : NULL;
}

/* Bits are comparable between equal types, and between integers since they are widened. */
const char *
voxanne_key_mismatch(const VoxScanKey *child, const VoxScanKey *parent)
{
	for (int i = 0; i < child->ncols; i++)
	{
		Oid			left = getBaseType(get_atttype(child->relid, child->cols[i].attnum));
		Oid			right = getBaseType(get_atttype(parent->relid, parent->cols[i].attnum));

		if (child->cols[i].form == VOX_FORM_UUID)
			left = UUIDOID;
		if (parent->cols[i].form == VOX_FORM_UUID)
			right = UUIDOID;
		if (left == right || (is_text(left) && is_text(right)))
			continue;
		if ((left != INT2OID && left != INT4OID && left != INT8OID) ||
			(right != INT2OID && right != INT4OID && right != INT8OID))
			return "The scan does not compare columns of different types.";
	}
	return NULL;
}

/*
 * Is a column's text too long to be carried, in most rows?
 */
bool
voxanne_key_is_long(const VoxScanKey *key)
{
	for (int i = 0; i < key->ncols; i++)
		if (is_text(getBaseType(get_atttype(key->relid, key->cols[i].attnum))) &&
			key->cols[i].form == VOX_FORM_VALUE &&
			average_width(key->relid, key->cols[i].attnum) > TEXT_BYTES)
			return true;
	return false;
}

/* What ANALYZE found; 0 if it never ran. */
static int
average_width(Oid relid, AttrNumber attnum)
{
	int			width = get_attavgwidth(relid, attnum);
	HeapTuple	tuple = width > 0 ? NULL :
		SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid), Int16GetDatum(attnum), BoolGetDatum(true));

	if (HeapTupleIsValid(tuple))
	{
		width = ((Form_pg_statistic) GETSTRUCT(tuple))->stawidth;
		ReleaseSysCache(tuple);
	}
	return width;
}

/*
 * Why values of a type are not hashed by the scan, a sentence, or NULL.
 */
const char *
voxanne_key_unhashable(Oid type)
{
	if (!OidIsValid(lookup_type_cache(type, TYPECACHE_HASH_PROC)->hash_proc))
		return "A key column's type cannot be hashed.";
	if (voxanne_visit_type_functions(type, voxanne_is_users_function, NULL))
		return "A key column's type is compared or hashed by an ordinary user's function.";
	return NULL;
}

/*
 * Is a function an ordinary user's?  Those of superusers run as the caller, as
 * in any index; those of others must not.
 */
bool
voxanne_is_users_function(Oid function, void *context)
{
	HeapTuple	tuple;
	bool		users;

	if (function < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	users = !HeapTupleIsValid(tuple) || !superuser_arg(((Form_pg_proc) GETSTRUCT(tuple))->proowner);
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return users;
}

/*
 * Number, in a leaf, of a column of the key's relation, which may have other
 * numbers; 0 stays 0.
 */
AttrNumber
voxanne_leaf_column(const VoxScanKey *key, AttrNumber attnum, Oid leaf)
{
	if (attnum == 0 || leaf == key->relid)
		return attnum;
	return voxanne_find_column(leaf, get_attname(key->relid, attnum, false));
}

/*
 * Prepare to read the key from rows of one leaf: carried in so many words, or
 * its hash only.
 */
void
voxanne_key_open(KeyReader *reader, const VoxScanKey *key, Oid leaf, int words)
{
	memset(reader, 0, sizeof(*reader));
	reader->ncols = key->ncols;
	reader->words = words;
	reader->hash_mask = keyscan_hash_mask();
	for (int i = 0; i < key->ncols; i++)
		open_column(&reader->cols[i], key, i, leaf, words > 0);
}

static void
open_column(KeyColumn *col, const VoxScanKey *key, int i, Oid leaf, bool carried)
{
	Oid			type = getBaseType(get_atttype(key->relid, key->cols[i].attnum));

	col->attnum = voxanne_leaf_column(key, key->cols[i].attnum, leaf);
	col->null_equal = key->cols[i].null_equal;
	col->bytes = word_bytes(type);
	col->padded = type == BPCHAROID;
	if (key->cols[i].form == VOX_FORM_UUID)
		col->method = KEY_UUID_TEXT;
	else if (type == UUIDOID)
		col->method = KEY_UUID;
	else if (col->bytes > 0)
		col->method = KEY_WORD;
	else if (carried && is_text(type))
		col->method = KEY_TEXT;
	else
		open_hash(col, type, leaf);
}

static void
open_hash(KeyColumn *col, Oid type, Oid leaf)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_HASH_PROC_FINFO |
											  TYPECACHE_HASH_EXTENDED_PROC_FINFO);
	int32		typmod;

	col->method = KEY_HASH;
	col->extended = OidIsValid(entry->hash_extended_proc);
	fmgr_info_copy(&col->hash, col->extended ? &entry->hash_extended_proc_finfo :
				   &entry->hash_proc_finfo, CurrentMemoryContext);
	get_atttypetypmodcoll(leaf, col->attnum, &type, &typmod, &col->collation);
}

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
read_words(KeyColumn *col, Datum value, uint64 *words)
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
 * Read the key of a row.  "words" receives the carried key, if one is wanted.  May leave
 * memory in the current context.
 */
KeyResult
voxanne_key_read(KeyReader *reader, const VoxRow *row, uint64 *words, uint64 *hash)
{
	uint64		h = UINT64CONST(0x8EBC6AF09C88C6E3);
	KeyResult	result = KEY_READ;

	for (int i = 0; i < reader->ncols; i++)
	{
		KeyColumn  *col = &reader->cols[i];
		Datum		value = row->values[col->attnum - 1];
		uint64		here[TEXT_WORDS];
		int			count;

		if (row->isnull[col->attnum - 1])
		{
			if (!col->null_equal)
				return KEY_NULL;
			h = mix(h, NULL_WORD);
			continue;
		}
		switch (col->method)
		{
			case KEY_UUID:
				memcpy(here, DatumGetPointer(value), UUID_LEN);
				h = mix(mix(h, here[0]), here[1]);
				if (reader->words > 0)
				{
					words[0] = here[0];
					words[1] = here[1];
					words += 2;
				}
				continue;
			case KEY_WORD:
				here[0] = word_of(value, col->bytes);
				h = mix(h, here[0]);
				if (reader->words > 0)
					*words++ = here[0];
				continue;
			default:
				count = read_words(col, value, here);
				break;
		}
		if (count == 0)
			result = KEY_UNDECIDED;
		for (int w = 0; w < count; w++)
			h = mix(h, here[w]);
		if (reader->words > 0)
		{
			copy_words(words, here, count);
			words += count;
		}
	}
	*hash = finish(h) & reader->hash_mask;
	return result;
}

/* Are some columns of the key null and others not? */
bool
voxanne_key_partial(const KeyReader *reader, const VoxRow *row)
{
	int			nulls = 0;

	for (int i = 0; i < reader->ncols; i++)
		nulls += row->isnull[reader->cols[i].attnum - 1];
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
