/*
 * src/backup/options.c
 *		Options of a backup target.
 *
 * An option is a row of the table below and a column of backup_target; a name
 * that is not there is an error, not ignored, because a misspelt "max_age"
 * would otherwise mean "24 hours".  So is an option that the target's kind has
 * no use for: whoever sets critical_tables believes that somebody looks for
 * them.
 */
#include "postgres.h"

#include "backup/options.h"
#include "backup/target.h"
#include "backup/window.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/json.h"
#include "core/words.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

typedef struct OptionDefinition OptionDefinition;
typedef Datum (*ParseOption) (const OptionDefinition *definition, const JsonbValue *value);

struct OptionDefinition
{
	const char *name;
	ParseOption parse;
	Oid			type;
	const char *standard;		/* as JSON, or NULL: null */
	const char *example;		/* as JSON */
	bool		special;		/* only for kinds that list it */
	int64		least;			/* in what its parser says */
	int64		most;
};

static Datum parse_interval(const OptionDefinition *definition, const JsonbValue *value);
static Datum parse_window(const OptionDefinition *definition, const JsonbValue *value);
static Datum parse_bytes(const OptionDefinition *definition, const JsonbValue *value);
static Datum parse_fraction(const OptionDefinition *definition, const JsonbValue *value);
static Datum parse_boolean(const OptionDefinition *definition, const JsonbValue *value);
static Datum parse_tables(const OptionDefinition *definition, const JsonbValue *value);
static Datum parse_directory(const OptionDefinition *definition, const JsonbValue *value);

/* What a parser wants, for hints. */
static const struct
{
	ParseOption parse;
	const char *form;
}			forms[] = {
	{parse_interval, "an interval as a string"},
	{parse_window, "two times of day in the server's time zone (log_timezone) as a string"},
	{parse_bytes, "a number of bytes, or a string with a unit"},
	{parse_fraction, "a number, of which 0.1 stands for 10 %"},
	{parse_boolean, "true or false"},
	{parse_tables, "an array of names of tables, as strings"},
	{parse_directory, "the path of a directory below one of voxanne_ops.backup_directories as a string"},
};

#define YEARS(n) ((n) * 366 * USECS_PER_DAY)

/*
 * The limits of backup_target's constraints, and what keeps sums of times in
 * range.  Intervals in microseconds, fractions in millionths.
 */
static const OptionDefinition definitions[] = {
	{"status_interval", parse_interval, INTERVALOID, "\"1 hour\"", "\"1 hour\"", false, USECS_PER_SEC, YEARS(1)},
	{"verify_interval", parse_interval, INTERVALOID, "\"1 day\"", "\"1 day\"", false, USECS_PER_SEC, YEARS(1)},
	{"verify_window", parse_window, TEXTOID, NULL, "\"01:00-05:30\"", false, 0, 0},
	{"max_age", parse_interval, INTERVALOID, "\"24 hours\"", "\"24 hours\"", false, USECS_PER_SEC, YEARS(10)},
	{"time_limit", parse_interval, INTERVALOID, "\"10 minutes\"", "\"10 minutes\"", false, USECS_PER_SEC, USECS_PER_DAY},
	{"verify_time_limit", parse_interval, INTERVALOID, "\"6 hours\"", "\"6 hours\"", false, USECS_PER_SEC, USECS_PER_DAY},
	{"min_size", parse_bytes, INT8OID, NULL, "\"10 GB\"", true, 1, PG_INT64_MAX},
	{"max_size_change", parse_fraction, NUMERICOID, "0.10", "0.25", true, 1000, INT64CONST(1000) * 1000000},
	{"pitr_window", parse_interval, INTERVALOID, NULL, "\"30 days\"", true, USECS_PER_SEC, YEARS(10)},
	{"critical_tables", parse_tables, TEXTARRAYOID, NULL, "[\"public.appointments\"]", true, 1, 1000},
	{"repository", parse_directory, TEXTOID, NULL, "\"/var/lib/pgbackrest\"", true, 0, 0},
	{"external", parse_boolean, BOOLOID, "false", "true", false, 0, 0},
	{"retention", parse_interval, INTERVALOID, NULL, "\"1 year\"", false, USECS_PER_HOUR, YEARS(10)},
};

StaticAssertDecl(lengthof(definitions) <= VOX_MAX_OPTIONS, "VOX_MAX_OPTIONS is too small");

static const OptionDefinition *find_option(const char *name, const VoxKind *kind);
static bool is_usable(const OptionDefinition *definition, const VoxKind *kind);
static void set_option(VoxTargetOptions *options, const OptionDefinition *definition, const JsonbValue *value);
static void set_standard(VoxTargetOptions *options, const OptionDefinition *definition);
static char *list_options(const VoxKind *kind);
static char *string_value(const OptionDefinition *definition, const JsonbValue *value, const char *problem);
static Datum interval_input(PG_FUNCTION_ARGS);
static Datum try_input(const OptionDefinition *definition, PGFunction input, Datum argument);
VOXANNE_NORETURN static void unknown_option(const char *name, const VoxKind *kind);
VOXANNE_NORETURN static void useless_option(const OptionDefinition *definition, const VoxKind *kind);
VOXANNE_NORETURN static void wrong_value(const OptionDefinition *definition, const char *detail);

/*
 * Read a jsonb object, or NULL for none; what it does not give, or gives as
 * null, has its standard value.  ERROR 22023 for what is no object, for an
 * unknown name, for one that the kind cannot use and for a wrong value.
 */
void
voxanne_read_options(Jsonb *document, const VoxKind *kind, VoxTargetOptions *options)
{
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;
	const OptionDefinition *definition = NULL;

	memset(options, 0, sizeof(*options));
	options->count = lengthof(definitions);
	for (int i = 0; i < (int) lengthof(definitions); i++)
		set_standard(options, &definitions[i]);
	if (document == NULL)
		return;
	if (!JB_ROOT_IS_OBJECT(document))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options of a backup target must be a JSON object"),
				 errhint("For example: {\"status_interval\": \"1 hour\", \"max_age\": \"24 hours\"}.")));

	iterator = JsonbIteratorInit(&document->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			definition = find_option(pnstrdup(value.val.string.val, value.val.string.len), kind);
		else if (token == WJB_VALUE)
			set_option(options, definition, &value);
	}
}

static const OptionDefinition *
find_option(const char *name, const VoxKind *kind)
{
	for (int i = 0; i < (int) lengthof(definitions); i++)
	{
		if (strcmp(definitions[i].name, name) != 0)
			continue;
		if (!is_usable(&definitions[i], kind))
			useless_option(&definitions[i], kind);
		return &definitions[i];
	}
	unknown_option(name, kind);
}

/* A kind that this library does not know, as after a downgrade, can use what all can. */
static bool
is_usable(const OptionDefinition *definition, const VoxKind *kind)
{
	if (strncmp(definition->name, "verify_", strlen("verify_")) == 0 && kind != NULL)
		return voxanne_kind_proof(kind, VOX_LEVEL_VERIFY) != NULL;
	return !definition->special || voxanne_kind_takes(kind, definition->name);
}

static void
set_option(VoxTargetOptions *options, const OptionDefinition *definition, const JsonbValue *value)
{
	VoxTargetOption *option = &options->items[definition - definitions];

	if (value->type == jbvNull)
		set_standard(options, definition);
	else
	{
		option->value = definition->parse(definition, value);
		option->isnull = false;
	}
	option->given = true;
}

static void
set_standard(VoxTargetOptions *options, const OptionDefinition *definition)
{
	VoxTargetOption *option = &options->items[definition - definitions];

	option->name = definition->name;
	option->type = definition->type;
	option->isnull = definition->standard == NULL;
	if (!option->isnull)
		option->value = definition->parse(definition,
										  getIthJsonbValueFromContainer(voxanne_json_parse(psprintf("[%s]", definition->standard)), 0));
}

static void
unknown_option(const char *name, const VoxKind *kind)
{
	List	   *names = NIL;
	const char *closest;

	for (int i = 0; i < (int) lengthof(definitions); i++)
		names = lappend(names, unconstify(char *, definitions[i].name));
	closest = voxanne_closest(name, names);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown option \"%s\" of a backup target", name),
			 errhint("%sOptions are %s.", closest == NULL ? "" : psprintf("Perhaps you meant \"%s\". ", closest),
					 list_options(kind))));
}

static void
useless_option(const OptionDefinition *definition, const VoxKind *kind)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a backup target of kind \"%s\" has no option \"%s\"", kind == NULL ? "?" : kind->name, definition->name),
			 errdetail("A verification of this kind cannot look at what the option is about."),
			 errhint("Options are %s.", list_options(kind))));
}

/* What the kind can use: "a, b and c". */
static char *
list_options(const VoxKind *kind)
{
	StringInfoData list;
	const char *pending = NULL;

	initStringInfo(&list);
	for (int i = 0; i < (int) lengthof(definitions); i++)
	{
		if (!is_usable(&definitions[i], kind))
			continue;
		if (pending != NULL)
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", pending);
		pending = definitions[i].name;
	}
	appendStringInfo(&list, " and %s", pending);
	return list.data;
}

static Datum
parse_interval(const OptionDefinition *definition, const JsonbValue *value)
{
	char	   *text = string_value(definition, value, "The value is not a string.");
	Interval   *interval = DatumGetIntervalP(try_input(definition, interval_input, CStringGetDatum(text)));
	int64		length;

	/*
	 * months of 30 days; whatever is beyond 20 years either way has no place
	 * here and might overflow
	 */
	length = interval->month > 12 * 20 || interval->month < -12 * 20 ||
		interval->day > 366 * 20 || interval->day < -366 * 20 ||
		interval->time > YEARS(20) || interval->time < -YEARS(20) ?
		PG_INT64_MAX : (interval->month * INT64CONST(30) + interval->day) * USECS_PER_DAY + interval->time;
	if (length < definition->least || length > definition->most)
		wrong_value(definition, psprintf("\"%s\" is not between %s and %s.", text,
										 voxanne_ago(definition->least), voxanne_ago(definition->most)));
	return IntervalPGetDatum(interval);
}

/* interval_in() with the one argument that try_input() has. */
static Datum
interval_input(PG_FUNCTION_ARGS)
{
	return DirectFunctionCall3(interval_in, PG_GETARG_DATUM(0), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

static Datum
parse_window(const OptionDefinition *definition, const JsonbValue *value)
{
	char	   *text = string_value(definition, value, "The value is not a string.");
	VoxWindow	window;

	if (!voxanne_window_parse(text, &window))
		wrong_value(definition, psprintf("\"%s\" is not of the form HH:MM-HH:MM, with two different times.", text));
	return CStringGetTextDatum(text);
}

static Datum
parse_bytes(const OptionDefinition *definition, const JsonbValue *value)
{
	char	   *text;
	int64		bytes;

	if (value->type == jbvNumeric)
		text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));

	else
		text = string_value(definition, value, "The value is neither a number nor a string.");

	bytes = DatumGetInt64(try_input(definition, pg_size_bytes, CStringGetTextDatum(text)));
	if (bytes < definition->least || bytes > definition->most)
		wrong_value(definition, psprintf("%s is not more than 0 bytes.", text));
	return Int64GetDatum(bytes);
}

static Datum
parse_fraction(const OptionDefinition *definition, const JsonbValue *value)
{
	double		number;

	if (value->type != jbvNumeric)
		wrong_value(definition, "The value is not a number.");
	number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
	if (!(number * 1e6 >= (double) definition->least && number * 1e6 <= (double) definition->most))
		wrong_value(definition, psprintf("The number is not between %g and %g.",
										 (double) definition->least / 1e6, (double) definition->most / 1e6));
	return NumericGetDatum(DatumGetNumericCopy(NumericGetDatum(value->val.numeric)));
}

static Datum
parse_boolean(const OptionDefinition *definition, const JsonbValue *value)
{
	if (value->type != jbvBool)
		wrong_value(definition, "The value is neither true nor false.");
	return BoolGetDatum(value->val.boolean);
}

/* Names as SQL writes them, with a schema or without. */
static Datum
parse_tables(const OptionDefinition *definition, const JsonbValue *value)
{
	JsonbContainer *array = value->type == jbvBinary ? value->val.binary.data : NULL;
	int			count = voxanne_json_length(array);
	Datum	   *names = palloc_array(Datum, count + 1);

	if (array == NULL || !JsonContainerIsArray(array))
		wrong_value(definition, "The value is not an array.");
	if (count < definition->least || count > definition->most)
		wrong_value(definition, psprintf("It names %d tables, and must name between %d and %d.",
										 count, (int) definition->least, (int) definition->most));
	for (int i = 0; i < count; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);
		char	   *name = string_value(definition, element, "An element of the array is not a string.");
		List	   *parts = NIL;

		if (!SplitIdentifierString(pstrdup(name), '.', &parts) || parts == NIL || list_length(parts) > 2)
			wrong_value(definition, psprintf("\"%s\" is not the name of a table, with its schema or without.", name));
		names[i] = CStringGetTextDatum(list_length(parts) == 1 ? quote_identifier(linitial(parts)) :
									   quote_qualified_identifier(linitial(parts), lsecond(parts)));
	}
	return PointerGetDatum(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
parse_directory(const OptionDefinition *definition, const JsonbValue *value)
{
	char	   *path = string_value(definition, value, "The value is not a string.");
	const char *hint;
	char	   *problem = voxanne_directory_problem(path, &hint);

	if (problem != NULL)
		wrong_value(definition, problem);
	return CStringGetTextDatum(path);
}

static char *
string_value(const OptionDefinition *definition, const JsonbValue *value, const char *problem)
{
	if (value->type != jbvString)
		wrong_value(definition, problem);
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/*
 * What an input function makes of the argument; its ERROR becomes one that
 * names the option.  To catch that without a subtransaction is safe because
 * these functions touch nothing but memory.
 */
static Datum
try_input(const OptionDefinition *definition, PGFunction input, Datum argument)
{
	MemoryContext context = CurrentMemoryContext;
	volatile Datum result = (Datum) 0;

	PG_TRY();
	{
		result = DirectFunctionCall1(input, argument);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		wrong_value(definition, psprintf("The server says: %s.", error->message));
	}
	PG_END_TRY();
	return result;
}

static void
wrong_value(const OptionDefinition *definition, const char *detail)
{
	const char *form = "";

	for (int i = 0; i < (int) lengthof(forms); i++)
		if (forms[i].parse == definition->parse)
			form = forms[i].form;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"%s\" of a backup target has no valid value", definition->name),
			 errdetail("%s", detail),
			 errhint("Give %s, like {\"%s\": %s}.", form, definition->name, definition->example)));
}

/* The value of an option that is true or false. */
bool
voxanne_option_is_true(const VoxTargetOptions *options, const char *name)
{
	for (int i = 0; i < options->count; i++)
		if (strcmp(options->items[i].name, name) == 0)
			return DatumGetBool(options->items[i].value);
	return false;
}
