/*
 * src/data/keyscan_key_plan.c
 *		Which keys the scan can read, and preparing to read them from a table's rows.
 *
 * Values whose equality is equality of bits are hashed by the scan itself, and
 * carried as they are.  Integers are widened, so that an int4 column and the int8
 * column it references give the same key.  Text of a deterministic collation is
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
#include "core/compat.h"
#include "core/relation.h"
#include "core/typecode.h"
#include "data/keyscan_rows.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

static int	word_bytes(Oid type);
static bool is_text(Oid type);
static int	average_width(Oid relid, AttrNumber attnum);
static void open_column(KeyColumn *col, const VoxScanKey *key, int i, Oid leaf, bool carried);
static void open_hash(KeyColumn *col, Oid type, Oid leaf);

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
	col->width = col->method == KEY_TEXT ? TEXT_WORDS : col->method == KEY_WORD || col->method == KEY_HASH ? 1 : 2;
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
