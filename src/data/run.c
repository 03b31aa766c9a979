/*
 * src/data/run.c
 *		What all data checks do alike: settings, snapshot, arguments, what can be read.
 *
 * The order matters.  Names are resolved with the caller's search_path, then
 * the settings are pinned, then all tables are locked, and only then the one
 * snapshot is taken in which every question is answered: a snapshot older than
 * the lock would report rows that a rewrite has moved meanwhile.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "core/privileges.h"
#include "core/relation.h"
#include "data/executor.h"
#include "data/run.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

/*
 * Settings that decide how values are printed, which go into remedies and
 * keys, and how our own queries are read; a lock timeout, for locks that we
 * cannot take beforehand without waiting (a partition attached since); and no
 * compiling, which takes seconds where much DDL has bloated the catalogs that
 * some of the queries read.
 */
static const char *const settings[][2] = {
	{"bytea_output", "hex"},
	{"DateStyle", "ISO"},
	{"extra_float_digits", "1"},
	{"IntervalStyle", "postgres"},
	{"jit", "off"},
	{"lock_timeout", "10ms"},
	{"standard_conforming_strings", "on"},
};

static bool has_unlogged_rows(Oid relid);

/*
 * A call begins: open the sink, pin the settings, forget the last call; returns
 * what voxanne_run_end() needs.
 */
int
voxanne_run_begin(VoxSink *sink, FunctionCallInfo fcinfo)
{
	int			nestlevel;

	voxanne_sink_open(sink, fcinfo);
	nestlevel = voxanne_pin_settings();

	for (int i = 0; i < (int) lengthof(settings); i++)
		voxanne_pin_setting(settings[i][0], settings[i][1]);
	voxanne_execution_begin();
	return nestlevel;
}

/*
 * Take the snapshot, after the tables were locked.
 */
void
voxanne_run_snapshot(void)
{
	PushActiveSnapshot(GetTransactionSnapshot());
}

/*
 * A call ends: return its findings, in the order in which all are sorted or as
 * they were added.
 */
void
voxanne_run_end(VoxSink *sink, int nestlevel, bool sorted)
{
	PopActiveSnapshot();
	voxanne_unpin_settings(nestlevel);
	if (sorted)
		voxanne_sink_close(sink);
	else
		voxanne_sink_close_unsorted(sink);
}

/*
 * Why these columns of a locked table (NIL: all) cannot be read completely by
 * the current user in the active snapshot, a sentence; NULL if they can.
 */
char *
voxanne_run_refusal(Oid relid, List *columns)
{
	char	   *refusal = voxanne_unreadable(relid, columns);

	if (refusal == NULL && voxanne_changed_since(relid, GetActiveSnapshot()))
		refusal = psprintf("%s was altered after this transaction's snapshot was taken.",
						   voxanne_relation_name(relid));
	if (refusal == NULL && RecoveryInProgress() && has_unlogged_rows(relid))
		refusal = psprintf("%s is unlogged, so its rows are not on a standby.", voxanne_relation_name(relid));
	return refusal;
}

/* Is the table, or one below it, unlogged? */
static bool
has_unlogged_rows(Oid relid)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (get_rel_persistence(lfirst_oid(lc)) == RELPERSISTENCE_UNLOGGED)
			return true;
	}
	return false;
}

/*
 * A table's name for a finding, even if it has just been dropped.
 */
char *
voxanne_run_object(Oid relid)
{
	char	   *name = voxanne_relation_name(relid);

	return name == NULL ? pstrdup("a dropped table") : name;
}

/*
 * An array argument as a list of strings.  ERROR 22004 for null elements and
 * 2202E for more than one dimension; NIL for an empty array.
 */
List *
voxanne_argument_names(FunctionCallInfo fcinfo, int argno, const char *argument)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(argno);
	bool		is_name = ARR_ELEMTYPE(array) == NAMEOID;
	List	   *names = NIL;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("argument \"%s\" must be a one-dimensional array", argument)));
	if (is_name)
		deconstruct_array(array, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &elements, &nulls, &count);
	else
		deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not contain nulls", argument)));
		names = lappend(names, is_name ? pstrdup(NameStr(*DatumGetName(elements[i]))) :
						TextDatumGetCString(elements[i]));
	}
	return names;
}

/*
 * The oids of the schemas that a name[] argument lists.  ERROR 3F000 for one
 * that does not exist.
 */
List *
voxanne_argument_schemas(FunctionCallInfo fcinfo, int argno)
{
	List	   *schemas = NIL;
	ListCell   *lc;

	voxanne_argument_required(fcinfo, argno, "schemas");
	foreach(lc, voxanne_argument_names(fcinfo, argno, "schemas"))
	{
		Oid			schema = get_namespace_oid(lfirst(lc), true);

		if (!OidIsValid(schema))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_SCHEMA),
					 errmsg("schema \"%s\" does not exist", (char *) lfirst(lc)),
					 errhint("List schemas that exist, e.g. schemas => '{public}'.")));
		schemas = list_append_unique_oid(schemas, schema);
	}
	return schemas;
}

/*
 * ERROR 22004 if an argument is null.
 */
void
voxanne_argument_required(FunctionCallInfo fcinfo, int argno, const char *argument)
{
	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", argument)));
}

/*
 * A number of rows or groups.  ERROR if it is null or negative.
 */
int
voxanne_argument_count(FunctionCallInfo fcinfo, int argno, const char *argument)
{
	voxanne_argument_required(fcinfo, argno, argument);
	if (PG_GETARG_INT32(argno) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must not be negative: %d", argument, PG_GETARG_INT32(argno))));
	return PG_GETARG_INT32(argno);
}

bool
voxanne_argument_bool(FunctionCallInfo fcinfo, int argno, const char *argument)
{
	voxanne_argument_required(fcinfo, argno, argument);
	return PG_GETARG_BOOL(argno);
}

/*
 * Columns as name[], for a row of a result; without those dropped meanwhile.
 */
Datum
voxanne_name_array(Oid relid, List *columns)
{
	Datum	   *elements = palloc_array(Datum, list_length(columns) + 1);
	int			count = 0;
	ListCell   *lc;

	foreach(lc, columns)
	{
		char	   *column = get_attname(relid, lfirst_int(lc), true);

		if (column != NULL)
			elements[count++] = DirectFunctionCall1(namein, CStringGetDatum(column));
	}
	return PointerGetDatum(construct_array(elements, count, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR));
}
