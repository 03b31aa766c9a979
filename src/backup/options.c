/*
 * src/backup/options.c
 *		Options of a backup target.
 *
 * An option is a row of the table below; a name that is not there is an error,
 * not ignored, because a misspelt "max_age" would otherwise mean "24 hours".
 */
#include "postgres.h"

#include "backup/options.h"
#include "core/compat.h"
#include "core/words.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

typedef struct OptionDefinition
{
	const char *name;
	size_t		offset;			/* of its Interval in VoxTargetOptions */
	const char *standard;		/* value if it is not given */
	int64		least;			/* microseconds */
	int64		most;
} OptionDefinition;

/* The limits of backup_target's constraints, and what keeps sums of times in range. */
static const OptionDefinition definitions[] = {
	{"status_interval", offsetof(VoxTargetOptions, status_interval), "1 hour", USECS_PER_SEC, 366 * USECS_PER_DAY},
	{"verify_interval", offsetof(VoxTargetOptions, verify_interval), "1 day", USECS_PER_SEC, 366 * USECS_PER_DAY},
	{"max_age", offsetof(VoxTargetOptions, max_age), "24 hours", USECS_PER_SEC, 3660 * USECS_PER_DAY},
	{"time_limit", offsetof(VoxTargetOptions, time_limit), "10 minutes", USECS_PER_SEC, USECS_PER_DAY},
	{"verify_time_limit", offsetof(VoxTargetOptions, verify_time_limit), "6 hours", USECS_PER_SEC, USECS_PER_DAY},
};

static const OptionDefinition *find_option(const char *name);
static void set_option(VoxTargetOptions *options, const OptionDefinition *definition, const char *text);
static Interval *parse_interval(const OptionDefinition *definition, const char *text);
VOXANNE_NORETURN static void unknown_option(const char *name);
VOXANNE_NORETURN static void wrong_value(const OptionDefinition *definition, const char *detail);

/*
 * Read a jsonb object, or NULL for none; what it does not give has its
 * standard value.  ERROR 22023 for what is no object, for an unknown name and
 * for a wrong value.
 */
void
voxanne_read_options(Jsonb *document, VoxTargetOptions *options)
{
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;
	const OptionDefinition *definition = NULL;

	for (int i = 0; i < (int) lengthof(definitions); i++)
		set_option(options, &definitions[i], definitions[i].standard);
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
			definition = find_option(pnstrdup(value.val.string.val, value.val.string.len));
		else if (token == WJB_VALUE && value.type == jbvString)
			set_option(options, definition, pnstrdup(value.val.string.val, value.val.string.len));
		else if (token == WJB_VALUE)
			wrong_value(definition, "The value is not a string.");
	}
}

static const OptionDefinition *
find_option(const char *name)
{
	for (int i = 0; i < (int) lengthof(definitions); i++)
		if (strcmp(definitions[i].name, name) == 0)
			return &definitions[i];
	unknown_option(name);
}

static void
unknown_option(const char *name)
{
	List	   *names = NIL;
	const char *closest;

	for (int i = 0; i < (int) lengthof(definitions); i++)
		names = lappend(names, unconstify(char *, definitions[i].name));
	closest = voxanne_closest(name, names);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown option \"%s\" of a backup target", name),
			 closest != NULL ? errhint("Perhaps you meant \"%s\".", closest) :
			 errhint("Options are status_interval, verify_interval, max_age, time_limit and verify_time_limit.")));
}

static void
set_option(VoxTargetOptions *options, const OptionDefinition *definition, const char *text)
{
	Interval   *interval = parse_interval(definition, text);
	int64		length;

	/*
	 * months of 30 days; whatever is beyond 20 years either way has no place
	 * here and might overflow
	 */
	length = interval->month > 12 * 20 || interval->month < -12 * 20 ||
		interval->day > 366 * 20 || interval->day < -366 * 20 ||
		interval->time > 366 * 20 * USECS_PER_DAY || interval->time < -366 * 20 * USECS_PER_DAY ?
		PG_INT64_MAX : (interval->month * INT64CONST(30) + interval->day) * USECS_PER_DAY + interval->time;
	if (length < definition->least || length > definition->most)
		wrong_value(definition, psprintf("\"%s\" is not between %s and %s.", text,
										 voxanne_ago(definition->least), voxanne_ago(definition->most)));
	memcpy((char *) options + definition->offset, interval, sizeof(Interval));
}

/* The text as an interval; ERROR that names the option. */
static Interval *
parse_interval(const OptionDefinition *definition, const char *text)
{
	MemoryContext context = CurrentMemoryContext;
	Interval   *volatile interval = NULL;

	PG_TRY();
	{
		interval = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text),
														 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
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
	return interval;
}

static void
wrong_value(const OptionDefinition *definition, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"%s\" of a backup target has no valid value", definition->name),
			 errdetail("%s", detail),
			 errhint("Give an interval as a string, like {\"%s\": \"%s\"}.", definition->name, definition->standard)));
}
