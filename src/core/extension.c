/*
 * src/core/extension.c
 *		The extension's own objects, wherever it was installed.
 *
 * Object names carry no schema, so the two functions that only the script
 * calls guard what follows from that: no collision with what is there already,
 * and no privilege that a schema's default privileges hand out.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "core/compat.h"
#include "core/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static void read_extension(Oid *schema, Oid *owner, char **version);
static void check_name(Oid schema, const char *kind, const char *name);
static bool routine_exists(Oid schema, const char *name);
static void run_script_command(const char *command);

VOXANNE_FUNCTION(voxanne_check_names);
VOXANNE_FUNCTION(voxanne_reset_privileges);

/*
 * Schema of the extension in this database and, if asked, the role that owns
 * it; InvalidOid where it is not installed.
 */
Oid
voxanne_extension_schema(Oid *owner)
{
	Oid			schema;

	read_extension(&schema, owner, NULL);
	return schema;
}

/*
 * Version of the SQL objects in this database; NULL where there are none.
 */
char *
voxanne_extension_version(void)
{
	char	   *version;

	read_extension(NULL, NULL, &version);
	return version;
}

/* Read our row of pg_extension; what is asked for is InvalidOid or NULL if there is none. */
static void
read_extension(Oid *schema, Oid *owner, char **version)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Form_pg_extension form = NULL;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("voxanne_ops"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		form = (Form_pg_extension) GETSTRUCT(tuple);
	if (schema != NULL)
		*schema = form == NULL ? InvalidOid : form->extnamespace;
	if (owner != NULL)
		*owner = form == NULL ? InvalidOid : form->extowner;
	if (version != NULL)
	{
		bool		isnull = true;
		Datum		value = form == NULL ? (Datum) 0 :
			heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(rel), &isnull);

		*version = isnull ? NULL : TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * Quoted, schema-qualified name of one of our objects.  ERROR 55000 where the
 * extension is not installed.
 */
char *
voxanne_own_name(const char *name)
{
	Oid			schema = voxanne_extension_schema(NULL);

	if (!OidIsValid(schema))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"voxanne_ops\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION voxanne_ops;")));
	return quote_qualified_identifier(get_namespace_name(schema), name);
}

/*
 * Keep the extension from being dropped before the end of this transaction.
 * DROP EXTENSION takes this lock before that of any member, so whoever holds
 * it before he locks a member cannot deadlock with it.  Without "wait" it is
 * BUSY while somebody drops it; GONE where it is not installed.
 */
VoxLockResult
voxanne_hold_extension(bool wait)
{
	Oid			extension = get_extension_oid("voxanne_ops", true);
	LOCKTAG		tag;

	if (!OidIsValid(extension))
		return VOX_LOCK_GONE;
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId, extension, 0);
	if (LockAcquire(&tag, AccessShareLock, false, !wait) == LOCKACQUIRE_NOT_AVAIL)
		return VOX_LOCK_BUSY;
	AcceptInvalidationMessages();
	return get_extension_oid("voxanne_ops", true) == extension ? VOX_LOCKED : VOX_LOCK_GONE;
}

/*
 * voxanne_check_names(objects text[])
 *
 * "objects" holds "KIND name" for everything that the script is about to
 * create in this function's own schema.  ERROR 42710 for the first that exists.
 */
Datum
voxanne_check_names(PG_FUNCTION_ARGS)
{
	Oid			schema = get_func_namespace(fcinfo->flinfo->fn_oid);
	Datum	   *objects;
	int			count;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT,
					  &objects, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *kind = TextDatumGetCString(objects[i]);
		char	   *name = strrchr(kind, ' ');

		if (name == NULL)
			elog(ERROR, "malformed object \"%s\"", kind);
		*name++ = '\0';
		check_name(schema, kind, name);
	}
	PG_RETURN_VOID();
}

/* ERROR if the name is taken.  A relation's name is also that of its row type. */
static void
check_name(Oid schema, const char *kind, const char *name)
{
	bool		routine = strcmp(kind, "FUNCTION") == 0 || strcmp(kind, "PROCEDURE") == 0;
	bool		taken = routine ? routine_exists(schema, name) :
		OidIsValid(get_relname_relid(name, schema)) ||
		OidIsValid(GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
								   CStringGetDatum(name), ObjectIdGetDatum(schema)));
	char	   *qualified;

	if (!taken)
		return;

	qualified = quote_qualified_identifier(get_namespace_name(schema), name);
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("%s already exists, so voxanne_ops cannot be created in this schema", qualified),
			 errdetail("Nothing has been changed."),
			 strcmp(name, "backup_verification_log") == 0 ?
			 errhint("To adopt the application's table: ALTER TABLE %s RENAME TO backup_verification_log_old; "
					 "CREATE EXTENSION voxanne_ops; then INSERT its rows into the new table, column by column.",
					 qualified) :
			 errhint("Rename it, or choose another schema: CREATE EXTENSION voxanne_ops SCHEMA extensions;")));
}

/* Any routine of this name counts: an overload could catch calls meant for ours. */
static bool
routine_exists(Oid schema, const char *name)
{
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	bool		found = false;

	for (int i = 0; i < list->n_members && !found; i++)
		found = ((Form_pg_proc) GETSTRUCT(&list->members[i]->tuple))->pronamespace == schema;
	ReleaseSysCacheList(list);
	return found;
}

/*
 * voxanne_reset_privileges()
 *
 * Takes every privilege on every member of the extension that is being created
 * or updated away from everybody but its owner, PUBLIC included.  ERROR outside
 * of an extension's script.
 */
Datum
voxanne_reset_privileges(PG_FUNCTION_ARGS)
{
	const char *query =
		"WITH member AS ("
		" SELECT classid, objid FROM pg_catalog.pg_depend"
		" WHERE refclassid = 'pg_catalog.pg_extension'::regclass AND refobjid = $1 AND deptype = 'e'),"
		" object AS ("
		" SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, c.oid::regclass::text AS name,"
		"  c.relowner AS owner, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r' END, relowner)) AS acl"
		" FROM member JOIN pg_catalog.pg_class c ON classid = 'pg_catalog.pg_class'::regclass AND objid = c.oid"
		" WHERE relkind IN ('r', 'v', 'm', 'S', 'f', 'p')"
		" UNION ALL"
		" SELECT CASE prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, p.oid::regprocedure::text,"
		"  p.proowner, coalesce(proacl, acldefault('f', proowner))"
		" FROM member JOIN pg_catalog.pg_proc p ON classid = 'pg_catalog.pg_proc'::regclass AND objid = p.oid"
		" UNION ALL"
		" SELECT 'TYPE', t.oid::regtype::text, t.typowner, coalesce(typacl, acldefault('T', typowner))"
		" FROM member JOIN pg_catalog.pg_type t ON classid = 'pg_catalog.pg_type'::regclass AND objid = t.oid"
		" WHERE typtype <> 'c' AND typelem = 0)"
		" SELECT DISTINCT format('REVOKE ALL ON %s %s FROM %s', kind, name,"
		"  CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_catalog.pg_get_userbyid(grantee)) END)"
		" FROM object, aclexplode(acl) WHERE grantee <> owner";
	Oid			argtypes[] = {OIDOID};
	Datum		args[1];
	SPITupleTable *found;
	uint64		count;

	if (!creating_extension)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("voxanne_reset_privileges() is only for the extension's script")));

	args[0] = ObjectIdGetDatum(CurrentExtensionObject);
	SPI_connect();
	if (SPI_execute_with_args(query, 1, argtypes, args, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not list the extension's privileges");
	found = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
		run_script_command(SPI_getvalue(found->vals[i], found->tupdesc, 1));
	SPI_finish();
	PG_RETURN_VOID();
}

static void
run_script_command(const char *command)
{
	if (SPI_execute(command, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not run \"%s\"", command);
}
