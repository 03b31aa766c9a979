/*
 * src/agent/options.c
 *		The table of options.
 *
 * A row says where an option's value is stored and what it may be; which
 * command takes it, the command says.
 */
#include "options.h"
#include "pace.h"
#include "wal.h"
#include "wal_archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A whole decimal number in [1, max]. */
static bool
parse_number(const char *str, uint64_t max, uint64_t *value)
{
	if (*str == '\0' || strspn(str, "0123456789") != strlen(str))
		return false;
	errno = 0;
	*value = strtoull(str, NULL, 10);
	return errno == 0 && *value > 0 && *value <= max;
}

/* TIMELINE,LSN */
static bool
is_position(const char *str)
{
	uint32_t	timeline;
	uint64_t	lsn;

	return parse_position(str, NULL, &timeline, &lsn);
}

static bool
is_absolute(const char *str)
{
	return *str == '/';
}

static bool
is_something(const char *str)
{
	return *str != '\0';
}

static bool
is_level(const char *str)
{
	return strcmp(str, "status") == 0 || strcmp(str, "verify") == 0;
}

/* An option: how and where its value is stored, and what that may be. */
typedef struct OptionRow
{
	const char *name;

	/* false: the value is not allowed */
	bool		(*store) (const struct OptionRow *row, Options *options, const char *value);

	size_t		place;			/* in Options */
	size_t		count;			/* of a list: likewise, of its length */
	uint64_t	max;			/* of a number, which is at least 1 */
	bool		(*allowed) (const char *str);	/* of a text; NULL: any */
	const char *wanted;			/* completes "it must be"; NULL: see
								 * wanted_value() */
} OptionRow;

static void *
place_of(const OptionRow *row, Options *options)
{
	return (char *) options + row->place;
}

static bool
store_format(const OptionRow *row, Options *options, const char *value)
{
	options->json = strcmp(value, "json") == 0;
	return options->json || strcmp(value, "text") == 0;
}

static bool
store_flag(const OptionRow *row, Options *options, const char *value)
{
	*(bool *) place_of(row, options) = true;
	return true;
}

static bool
store_text(const OptionRow *row, Options *options, const char *value)
{
	*(const char **) place_of(row, options) = value;
	return row->allowed == NULL || row->allowed(value);
}

static void
append(const OptionRow *row, Options *options, const char *value)
{
	const char ***list = place_of(row, options);
	int		   *n = (int *) ((char *) options + row->count);

	*list = xrealloc(*list, (size_t) (*n + 1) * sizeof(char *));
	(*list)[(*n)++] = value;
}

static bool
store_list(const OptionRow *row, Options *options, const char *value)
{
	append(row, options, value);
	return row->allowed == NULL || row->allowed(value);
}

/*
 * A list of directories of --within.  They may be named through symbolic links:
 * what they are compared with has none any more.
 */
static bool
store_real_paths(const OptionRow *row, Options *options, const char *value)
{
	const char *resolved = realpath(value, NULL);

	append(row, options, resolved != NULL ? resolved : value);
	return is_absolute(value);
}

static bool
store_uint64(const OptionRow *row, Options *options, const char *value)
{
	return parse_number(value, row->max, place_of(row, options));
}

static bool
store_int(const OptionRow *row, Options *options, const char *value)
{
	uint64_t	number;

	if (!parse_number(value, row->max, &number))
		return false;
	*(int *) place_of(row, options) = (int) number;
	return true;
}

/* kB, stored as bytes */
static bool
store_rate(const OptionRow *row, Options *options, const char *value)
{
	uint64_t	number;

	if (!parse_number(value, row->max, &number))
		return false;
	options->rate = number * 1024;
	return true;
}

static bool
store_segment_size(const OptionRow *row, Options *options, const char *value)
{
	uint64_t	number;

	if (!parse_number(value, row->max, &number))
		return false;
	options->wal_segment_size = (uint32_t) number;
	return number >= MIN_WAL_SEGMENT && (number & (number - 1)) == 0;
}

static bool
store_priority(const OptionRow *row, Options *options, const char *value)
{
	return pace_parse_priority(value, &options->io_priority);
}

#define OPTION(member) offsetof(Options, member)

static const OptionRow option_rows[] = {
	{"format", store_format,.wanted = "text or json"},
	{"parent", store_int, OPTION(parent),.max = INT32_MAX},
	{"level", store_text, OPTION(level),.allowed = is_level,.wanted = "status or verify"},
	{"system-identifier", store_uint64, OPTION(system_identifier),.max = UINT64_MAX},
	{"within", store_real_paths, OPTION(within), OPTION(n_within)},
	{"prior", store_list, OPTION(priors), OPTION(n_priors),.allowed = is_something,.wanted = "the name of a directory"},
	{"jobs", store_int, OPTION(jobs),.max = MAX_JOBS,.wanted = "a number from 1 to 64"},
	{"rate", store_rate,.max = UINT64_MAX / 1024},
	{"io-priority", store_priority,.wanted = "idle, low or normal"},
	{"progress", store_flag, OPTION(progress)},
	{"table", store_list, OPTION(tables), OPTION(n_tables)},
	{"remembered", store_text, OPTION(remembered)},
	{"backup", store_list, OPTION(backups), OPTION(n_backups)},
	{"seen-backup", store_list, OPTION(seen_backups), OPTION(n_seen_backups)},
	{"server-position", store_text, OPTION(server_position),.allowed = is_position,.wanted = "TIMELINE,LSN, as in 1,0/3000060"},
	{"server-wal", store_text, OPTION(server_wal),.allowed = is_absolute},
	{"wal-segment-size", store_segment_size,.max = MAX_WAL_SEGMENT,.wanted = "a power of two from 1048576 to 1073741824"},
	{"pitr-window", store_uint64, OPTION(pitr_window),.max = UINT32_MAX},
	{"tool", store_text, OPTION(tool)},
	{"program", store_text, OPTION(program),.allowed = is_absolute},
	{"config", store_text, OPTION(config),.allowed = is_absolute},
	{"repository", store_text, OPTION(repository),.allowed = is_absolute},
	{"timeout", store_uint64, OPTION(timeout_ms),.max = 24 * 3600000,.wanted = "a number of milliseconds from 1 to 86400000"},
};

#define N_OPTIONS (sizeof(option_rows) / sizeof(option_rows[0]))

/* What the option takes, to be read after "it must be". */
const char *
wanted_value(int index)
{
	const OptionRow *row = &option_rows[index];

	if (row->wanted != NULL)
		return row->wanted;
	return row->allowed == is_absolute || row->store == store_real_paths ? "an absolute path" : "a whole number greater than 0";
}

/* The rows in their order and then --help, as getopt_long() wants them. */
const struct option *
describe_options(void)
{
	static struct option described[N_OPTIONS + 2];

	for (size_t i = 0; i < N_OPTIONS; i++)
	{
		described[i].name = option_rows[i].name;
		described[i].has_arg = option_rows[i].store == store_flag ? no_argument : required_argument;
		described[i].val = FOUND_OPTION;
	}
	described[N_OPTIONS].name = "help";
	described[N_OPTIONS].val = FOUND_HELP;
	return described;
}

/* Store the value of the option at this index of describe_options(); false if it is not allowed. */
bool
store_option(Options *options, int index, const char *value)
{
	return option_rows[index].store(&option_rows[index], options, value);
}
