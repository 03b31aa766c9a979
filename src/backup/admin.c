/*
 * src/backup/admin.c
 *		SQL functions that keep backup_target.
 *
 * Who may execute them is decided by grants on the functions; the table itself
 * belongs to the extension's owner alone.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "backup/kind.h"
#include "backup/options.h"
#include "backup/target.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "backup/statement.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Longest name of a target in bytes: as an identifier, so that notifications and messages stay short. */
#define MAX_NAME (NAMEDATALEN - 1)

static char *text_argument(FunctionCallInfo fcinfo, int i, const char *name);
static void check_name(const char *name);
static const VoxKind *check_kind(const char *kind);
static void check_location(const VoxKind *kind, const char *location);
static void insert_target(VoxStore *store, const char *name, const char *kind,
						  const char *location, const VoxTargetOptions *options);
static void update_target(VoxStore *store, const char *name, const VoxTargetOptions *options);
static void change_target(FunctionCallInfo fcinfo, const char *function, const char *verb,
						  const char *rest, const char *value);
static int	queue(VoxStore *store, const char *name, const char *level);
static void check_may_queue(const VoxTarget *target);

VOXANNE_FUNCTION(voxanne_add_backup_target);
VOXANNE_FUNCTION(voxanne_alter_backup_target);
VOXANNE_FUNCTION(voxanne_pause_backup_target);
VOXANNE_FUNCTION(voxanne_resume_backup_target);
VOXANNE_FUNCTION(voxanne_remove_backup_target);
VOXANNE_FUNCTION(voxanne_request_verification);

/*
 * add_backup_target(name text, kind text, location text, options jsonb)
 */
Datum
voxanne_add_backup_target(PG_FUNCTION_ARGS)
{
	char	   *name = text_argument(fcinfo, 0, "name");
	char	   *kind_name = text_argument(fcinfo, 1, "kind");
	char	   *location = text_argument(fcinfo, 2, "location");
	const VoxKind *kind;
	VoxTargetOptions options;
	VoxStore	store;

	PreventCommandIfReadOnly("add_backup_target()");
	check_name(name);
	kind = check_kind(kind_name);
	voxanne_read_options(PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3), kind, &options);
	if (!voxanne_option_is_true(&options, "external"))
		check_location(kind, location);

	voxanne_store_open(&store, RowExclusiveLock);
	insert_target(&store, name, kind_name, location, &options);
	voxanne_store_close(&store);
	PG_RETURN_VOID();
}

/* The text argument, which must not be null. */
static char *
text_argument(FunctionCallInfo fcinfo, int i, const char *name)
{
	if (PG_ARGISNULL(i))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(i));
}

static void
check_name(const char *name)
{
	const char *problem = NULL;

	if (*name == '\0')
		problem = "It is empty.";
	else if (strcmp(name, "*") == 0)
		problem = "\"*\" stands for all targets.";
	else if (strlen(name) > MAX_NAME)
		problem = psprintf("It is longer than %d bytes.", MAX_NAME);
	for (const char *at = name; *at != '\0' && problem == NULL; at++)
		if ((unsigned char) *at < ' ' || *at == 0x7f)
			problem = "It contains a control character.";
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("backup target name \"%s\" is not valid", name),
				 errdetail("%s", problem),
				 errhint("A name is a short label, as in add_backup_target('nightly', ...).")));
}

static const VoxKind *
check_kind(const char *name)
{
	const VoxKind *kind = voxanne_kind(name);

	if (kind == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown kind of backup \"%s\"", name),
				 errhint("Known kinds: %s.", voxanne_kind_list())));
	return kind;
}

static void
check_location(const VoxKind *kind, const char *location)
{
	const char *hint;
	char	   *problem = kind->location_problem(kind, location, &hint);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a backup target cannot be at that location"),
				 errdetail("%s", problem),
				 errhint("%s", hint)));
}

static void
insert_target(VoxStore *store, const char *name, const char *kind,
			  const char *location, const VoxTargetOptions *options)
{
	StringInfoData columns;
	StringInfoData values;
	VoxStatement query;

	initStringInfo(&columns);
	initStringInfo(&values);
	voxanne_statement_start(&query, NULL);
	voxanne_bind_text(&query, name);
	voxanne_bind_text(&query, kind);
	voxanne_bind_text(&query, location);
	voxanne_bind_int64(&query, (int64) GetSystemIdentifier());
	for (int i = 0; i < options->count; i++)
	{
		const VoxTargetOption *option = &options->items[i];

		voxanne_bind(&query, option->type, option->value, option->isnull);
		appendStringInfo(&columns, ", %s", option->name);
		appendStringInfo(&values, ", $%d", query.nargs);
	}
	query.text = psprintf("INSERT INTO %s (name, kind, location, system_identifier%s)"
						  " VALUES ($1, $2, $3, $4%s) ON CONFLICT (name) DO NOTHING",
						  store->targets, columns.data, values.data);
	if (voxanne_statement_run(&query) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("backup target \"%s\" already exists", name),
				 errhint("Choose another name, change its options with alter_backup_target(), or first: SELECT remove_backup_target(%s);",
						 quote_literal_cstr(name))));
}

/*
 * alter_backup_target(name text, options jsonb)
 *
 * The options that are given, and no others; null is the standard value.
 */
Datum
voxanne_alter_backup_target(PG_FUNCTION_ARGS)
{
	char	   *name = text_argument(fcinfo, 0, "name");
	VoxStore	store;
	List	   *targets;
	VoxTarget  *target;
	VoxTargetOptions options;

	PreventCommandIfReadOnly("alter_backup_target()");
	voxanne_store_open(&store, RowExclusiveLock);
	targets = voxanne_targets(&store, GetCurrentTimestamp());
	target = voxanne_find_target(targets, name);
	if (target == NULL)
		voxanne_unknown_target(targets, name);
	voxanne_read_options(PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1), voxanne_kind(target->kind), &options);
	update_target(&store, name, &options);
	voxanne_store_close(&store);
	PG_RETURN_VOID();
}

static void
update_target(VoxStore *store, const char *name, const VoxTargetOptions *options)
{
	StringInfoData changes;
	VoxStatement query;

	initStringInfo(&changes);
	voxanne_statement_start(&query, NULL);
	voxanne_bind_text(&query, name);
	for (int i = 0; i < options->count; i++)
	{
		const VoxTargetOption *option = &options->items[i];

		if (!option->given)
			continue;
		voxanne_bind(&query, option->type, option->value, option->isnull);
		appendStringInfo(&changes, "%s%s = $%d", changes.len > 0 ? ", " : "", option->name, query.nargs);
	}
	if (changes.len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no option of backup target \"%s\" is given", name),
				 errhint("For example: SELECT alter_backup_target(%s, '{\"max_age\": \"26 hours\"}');", quote_literal_cstr(name))));
	query.text = psprintf("UPDATE %s SET %s WHERE name = $1", store->targets, changes.data);
	(void) voxanne_statement_run(&query);
}

/*
 * pause_backup_target(name text, reason text)
 */
Datum
voxanne_pause_backup_target(PG_FUNCTION_ARGS)
{
	char	   *reason = text_argument(fcinfo, 1, "reason");

	if (strspn(reason, " \t\r\n") == strlen(reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a reason is needed to pause a backup target"),
				 errhint("backup_status() shows it, as in: SELECT pause_backup_target('nightly', 'the storage is being replaced');")));
	change_target(fcinfo, "pause_backup_target()", "UPDATE",
				  "SET paused_at = clock_timestamp(), paused_reason = $2, requested_at = NULL, requested_level = NULL WHERE name = $1",
				  reason);
	PG_RETURN_VOID();
}

/*
 * resume_backup_target(name text)
 */
Datum
voxanne_resume_backup_target(PG_FUNCTION_ARGS)
{
	change_target(fcinfo, "resume_backup_target()", "UPDATE",
				  "SET paused_at = NULL, paused_reason = NULL, system_identifier = $2::bigint WHERE name = $1",
				  psprintf(INT64_FORMAT, (int64) GetSystemIdentifier()));
	PG_RETURN_VOID();
}

/*
 * remove_backup_target(name text)
 */
Datum
voxanne_remove_backup_target(PG_FUNCTION_ARGS)
{
	change_target(fcinfo, "remove_backup_target()", "DELETE FROM", "WHERE name = $1", NULL);
	PG_RETURN_VOID();
}

/*
 * Run a statement on the target that the first argument names: the table comes
 * between "verb" and "rest", $1 is the name and $2 "value", if there is one.
 * ERROR 42704 if there is no such target.
 */
static void
change_target(FunctionCallInfo fcinfo, const char *function, const char *verb,
			  const char *rest, const char *value)
{
	char	   *name = text_argument(fcinfo, 0, "name");
	VoxStore	store;
	VoxStatement query;
	List	   *targets;

	PreventCommandIfReadOnly(function);
	voxanne_store_open(&store, RowExclusiveLock);
	targets = voxanne_targets(&store, GetCurrentTimestamp());
	if (voxanne_find_target(targets, name) == NULL)
		voxanne_unknown_target(targets, name);
	voxanne_statement_start(&query, psprintf("%s %s %s", verb, store.targets, rest));
	voxanne_bind_text(&query, name);
	if (value != NULL)
		voxanne_bind_text(&query, value);
	voxanne_statement_run(&query);
	voxanne_store_close(&store);
}

/*
 * request_verification(target text, level text)
 */
Datum
voxanne_request_verification(PG_FUNCTION_ARGS)
{
	char	   *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *level = PG_ARGISNULL(1) ? pstrdup(VOX_LEVEL_STATUS) : text_to_cstring(PG_GETARG_TEXT_PP(1));
	VoxStore	store;
	int			count;

	PreventCommandIfReadOnly("request_verification()");
	voxanne_store_open(&store, RowExclusiveLock);
	count = queue(&store, name, level);
	voxanne_store_close(&store);
	PG_RETURN_INT32(count);
}

/*
 * Mark the targets; the trigger on the table wakes the worker when we commit.
 * A request for a deeper level that is there already stays.
 */
static int
queue(VoxStore *store, const char *name, const char *level)
{
	List	   *targets = voxanne_targets(store, GetCurrentTimestamp());
	List	   *wanted;
	VoxStatement query;
	int			count = 0;
	ListCell   *lc;

	if (name != NULL)
	{
		VoxTarget  *target = voxanne_find_target(targets, name);

		if (target == NULL)
			voxanne_unknown_target(targets, name);
		check_may_queue(target);
		voxanne_check_level(target, level);
		wanted = list_make1(target);
	}
	else
		wanted = voxanne_targets_at(targets, level);
	foreach(lc, wanted)
	{
		voxanne_statement_start(&query, psprintf(
												 "UPDATE %s SET requested_at = clock_timestamp(),"
												 " requested_level = CASE WHEN requested_level = $3 THEN $3 ELSE $4 END"
												 " WHERE name = $1 AND paused_at IS NULL AND system_identifier = $2", store->targets));
		voxanne_bind_text(&query, ((VoxTarget *) lfirst(lc))->name);
		voxanne_bind_int64(&query, (int64) GetSystemIdentifier());
		voxanne_bind_text(&query, VOX_LEVEL_VERIFY);
		voxanne_bind_text(&query, level);
		count += voxanne_statement_run(&query);
	}
	return count;
}

/* ERROR 55000 for a target that is paused or suspended. */
static void
check_may_queue(const VoxTarget *target)
{
	char	   *name = quote_literal_cstr(target->name);

	voxanne_check_not_suspended(target);
	if (!TIMESTAMP_IS_NOBEGIN(target->paused_at))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("backup target \"%s\" is paused", target->name),
				 errdetail("Reason: %s.", target->paused_reason == NULL ? "none given" : target->paused_reason),
				 errhint("Resume it: SELECT resume_backup_target(%s); or verify it once: CALL verify_backup(%s);",
						 name, name)));
}
