/*
 * src/core/settings.c
 *		The settings voxanne_ops.*, in alphabetical order.
 *
 * What names a program, a place in the file system or on the network, or a
 * file with a secret, is for superusers only.
 */
#include "postgres.h"

#include <limits.h>

#include "core/settings.h"
#include "nodes/pg_list.h"
#include "utils/guc.h"
#include "utils/varlena.h"

char	   *voxanne_agent_path = NULL;
int			voxanne_alert_repeat_critical = 0;
int			voxanne_alert_repeat_warning = 0;
int			voxanne_alert_retention = 0;
bool		voxanne_allow_http = false;
char	   *voxanne_backup_directories = NULL;
char	   *voxanne_backup_urls = NULL;
char	   *voxanne_barman_config = NULL;
char	   *voxanne_barman_program = NULL;
char	   *voxanne_ca_file = NULL;
int			voxanne_clock_offset = 0;
char	   *voxanne_databases = NULL;
int			voxanne_executor = VOX_EXECUTOR_AUTO;
int			voxanne_hash_bits = 0;
char	   *voxanne_heartbeat_url_file = NULL;
char	   *voxanne_http_authorization_file = NULL;
char	   *voxanne_instance_name = NULL;
int			voxanne_lock_wait_critical = 0;
int			voxanne_lock_wait_warning = 0;
int			voxanne_log_retention = 0;
char	   *voxanne_pgbackrest_config = NULL;
char	   *voxanne_pgbackrest_program = NULL;
int			voxanne_rescan_interval = 0;
char	   *voxanne_s3_credentials_file = NULL;
char	   *voxanne_s3_region = NULL;
char	   *voxanne_supabase_token_file = NULL;
int			voxanne_time_budget = 0;
int			voxanne_verify_io_priority = VOX_IO_IDLE;
int			voxanne_verify_jobs = 0;
int			voxanne_verify_rate = 0;
char	   *voxanne_walg_config_directory = NULL;
char	   *voxanne_walg_program = NULL;
char	   *voxanne_webhook_url_file = NULL;

static const struct config_enum_entry executors[] = {
	{"auto", VOX_EXECUTOR_AUTO, false},
	{"scan", VOX_EXECUTOR_SCAN, false},
	{"sql", VOX_EXECUTOR_SQL, false},
	{NULL, 0, false}
};

static const struct config_enum_entry io_priorities[] = {
	{"idle", VOX_IO_IDLE, false},
	{"low", VOX_IO_LOW, false},
	{"normal", VOX_IO_NORMAL, false},
	{NULL, 0, false}
};

static bool check_absolute(char **newval, void **extra, GucSource source);
static bool check_databases(char **newval, void **extra, GucSource source);
static bool check_directories(char **newval, void **extra, GucSource source);
static bool check_urls(char **newval, void **extra, GucSource source);
static int	check_members(const char *list, bool of_paths, const char *syntax, bool (*passes) (const char *));
static bool is_database_name(const char *name);
static bool is_directory(const char *path);
static bool is_url(const char *url);

/* Every text setting: what it is, what else to know of it, its default, who sets it, what is refused. */
static const struct
{
	const char *name;
	const char *summary;
	const char *note;
	char	  **variable;
	const char *initial;
	GucContext	context;
	int			flags;
	GucStringCheckHook check;
}			text_settings[] = {

	{"voxanne_ops.agent_path",
		"Path of the program voxanne_agent.",
		"Empty: beside the postgres executable.",
	&voxanne_agent_path, "", PGC_SUSET, 0, check_absolute},
	{"voxanne_ops.backup_directories",
		"Directories below which backup targets may lie, separated by commas.",
		"Empty: none.",
	&voxanne_backup_directories, "", PGC_SUSET, GUC_LIST_INPUT, check_directories},
	{"voxanne_ops.backup_urls",
		"Beginnings of the URLs at which backup targets may lie, separated by commas.",
		"Where credentials are set, they are sent to these. Empty: none.",
	&voxanne_backup_urls, "", PGC_SUSET, GUC_LIST_INPUT, check_urls},
	{"voxanne_ops.barman_config",
		"Configuration file that the program of backup targets of kind barman is given.",
		"Empty: the program takes its own.",
	&voxanne_barman_config, "", PGC_SUSET, 0, check_absolute},
	{"voxanne_ops.barman_program",
		"Path of the program that says which backups Barman has.",
		"It is run by the server's user with fixed arguments and no shell. Empty: there can be no targets of kind barman.",
	&voxanne_barman_program, "", PGC_SUSET, 0, check_absolute},
	{"voxanne_ops.ca_file",
		"File with the CA certificates that servers of HTTPS URLs must present.",
		"Empty: those of the operating system.",
	&voxanne_ca_file, "", PGC_SUSET, 0, check_absolute},
	{"voxanne_ops.databases",
		"Databases whose backup targets the background worker verifies, separated by commas.",
		"Names are compared exactly, as pg_database has them. Empty: none.",
	&voxanne_databases, "postgres", PGC_SIGHUP, GUC_LIST_INPUT, check_databases},
	{"voxanne_ops.heartbeat_url_file",
		"File that holds the URL to be fetched after each good cycle of verifications.",
		"Readable for the server's user only, as the URL is a secret. Empty: none is fetched.",
	&voxanne_heartbeat_url_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_absolute},
	{"voxanne_ops.http_authorization_file",
		"File that holds the value of the header Authorization for backup targets of kind http.",
		"Readable for the server's user only. Empty: the header is not sent.",
	&voxanne_http_authorization_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_absolute},
	{"voxanne_ops.instance_name",
		"What alerts call this server.",
		"Empty: alerts name the database only.",
	&voxanne_instance_name, "", PGC_SIGHUP, 0, NULL},
	{"voxanne_ops.pgbackrest_config",
		"Configuration file that the program of backup targets of kind pgbackrest is given.",
		"Empty: the program takes its own.",
	&voxanne_pgbackrest_config, "", PGC_SUSET, 0, check_absolute},
	{"voxanne_ops.pgbackrest_program",
		"Path of the program that says which backups pgBackRest has.",
		"It is run by the server's user with fixed arguments and no shell. Empty: there can be no targets of kind pgbackrest.",
	&voxanne_pgbackrest_program, "", PGC_SUSET, 0, check_absolute},
	{"voxanne_ops.s3_credentials_file",
		"File that holds aws_access_key_id and aws_secret_access_key for backup targets of kind s3.",
		"Readable for the server's user only; in the format of ~/.aws/credentials.",
	&voxanne_s3_credentials_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_absolute},
	{"voxanne_ops.s3_region",
		"Region for which requests of backup targets of kind s3 are signed.",
		NULL,
	&voxanne_s3_region, "us-east-1", PGC_SIGHUP, 0, NULL},
	{"voxanne_ops.supabase_token_file",
		"File that holds the access token for backup targets of kind supabase.",
		"Readable for the server's user only.",
	&voxanne_supabase_token_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_absolute},
	{"voxanne_ops.walg_config_directory",
		"Directory with the configuration files that backup targets of kind walg name.",
		NULL,
	&voxanne_walg_config_directory, "", PGC_SUSET, 0, check_absolute},
	{"voxanne_ops.walg_program",
		"Path of the program that says which backups WAL-G has.",
		"It is run by the server's user with fixed arguments and no shell. Empty: there can be no targets of kind walg.",
	&voxanne_walg_program, "", PGC_SUSET, 0, check_absolute},
	{"voxanne_ops.webhook_url_file",
		"File that holds the URL to which alerts are posted.",
		"Readable for the server's user only, as the URL is a secret. Empty: no alerts are posted.",
	&voxanne_webhook_url_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_absolute},
};

/* Every number, likewise. */
static const struct
{
	const char *name;
	const char *summary;
	const char *note;
	int		   *variable;
	int			initial;
	int			min;
	int			max;
	GucContext	context;
	int			flags;
}			number_settings[] = {

	{"voxanne_ops.alert_repeat_critical",
		"Time after which a critical alert is repeated while nothing has changed.",
		"0: never.",
	&voxanne_alert_repeat_critical, 3600, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_S},
	{"voxanne_ops.alert_repeat_warning",
		"Time after which an alert of severity warning is repeated while nothing has changed.",
		"0: never.",
	&voxanne_alert_repeat_warning, 24 * 3600, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_S},
	{"voxanne_ops.alert_retention",
		"Age at which rows of alert_outbox are deleted.",
		"Those that are not delivered, or the latest word on what is not over, are kept. 0: nothing is deleted.",
	&voxanne_alert_retention, 30 * 24 * 60, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MIN},
	{"voxanne_ops.clock_offset",
		"Time added to the clock by which background workers see what is due.",
		"For tests.",
	&voxanne_clock_offset, 0, -1000000000, 1000000000, PGC_SIGHUP, GUC_UNIT_S | GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE},
	{"voxanne_ops.hash_bits",
		"Bits that the scan engine keeps of a hash.",
		"For tests: few bits make different keys collide.",
	&voxanne_hash_bits, 64, 1, 64, PGC_USERSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE},
	{"voxanne_ops.lock_wait_critical",
		"Length of a wait for a lock from which it is critical.",
		NULL,
	&voxanne_lock_wait_critical, 5 * 60 * 1000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS},
	{"voxanne_ops.lock_wait_warning",
		"Length of a wait for a lock from which it is worth a warning.",
		"A queue behind waiting DDL that is this old is critical.",
	&voxanne_lock_wait_warning, 30 * 1000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS},
	{"voxanne_ops.log_retention",
		"Age at which rows of backup_verification_log are deleted.",
		"The latest row of a target at each level is kept; a target may have a retention of its own. 0: nothing is deleted.",
	&voxanne_log_retention, 90 * 24 * 60, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MIN},
	{"voxanne_ops.rescan_interval",
		"Time after which the background worker looks for changes of which nothing told it.",
		"0: never.",
	&voxanne_rescan_interval, 3600, 0, 7 * 24 * 3600, PGC_SIGHUP, GUC_UNIT_S},
	{"voxanne_ops.time_budget",
		"Time after which a data check returns what it has and lists what it did not reach.",
		"0: none.",
	&voxanne_time_budget, 0, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS},
	{"voxanne_ops.verify_jobs",
		"Number of threads with which the contents of a backup are read.",
		NULL,
	&voxanne_verify_jobs, 2, 1, 64, PGC_SIGHUP, 0},
	{"voxanne_ops.verify_rate",
		"How much of a backup's contents is read a second, at most.",
		"0: there is no limit.",
	&voxanne_verify_rate, 0, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_KB},
};

/*
 * Define all settings; called once, when the library is loaded.
 */
void
voxanne_define_settings(void)
{
	for (int i = 0; i < (int) lengthof(text_settings); i++)
		DefineCustomStringVariable(text_settings[i].name, text_settings[i].summary, text_settings[i].note,
								   text_settings[i].variable, text_settings[i].initial,
								   text_settings[i].context, text_settings[i].flags,
								   text_settings[i].check, NULL, NULL);
	for (int i = 0; i < (int) lengthof(number_settings); i++)
		DefineCustomIntVariable(number_settings[i].name, number_settings[i].summary, number_settings[i].note,
								number_settings[i].variable, number_settings[i].initial,
								number_settings[i].min, number_settings[i].max,
								number_settings[i].context, number_settings[i].flags,
								NULL, NULL, NULL);
	DefineCustomBoolVariable("voxanne_ops.allow_http",
							 "Allow URLs with http:// as well as https://.",
							 "For tests: everything, secrets included, travels in clear.",
							 &voxanne_allow_http, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("voxanne_ops.executor",
							 "Who answers data checks: the scan engine, SQL, or whichever suits the question.",
							 "The answer does not depend on it.",
							 &voxanne_executor, VOX_EXECUTOR_AUTO, executors,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("voxanne_ops.verify_io_priority",
							 "How reading backups stands against other reading at the storage.",
							 "idle: only when nobody else wants to read; low: after the others; normal: like the others.",
							 &voxanne_verify_io_priority, VOX_IO_IDLE, io_priorities,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("voxanne_ops");
}

/* The word for voxanne_ops.verify_io_priority, a constant, as the agent takes it. */
const char *
voxanne_io_priority_name(void)
{
	return io_priorities[voxanne_verify_io_priority].name;
}

/* A path must not depend on somebody's current directory. */
static bool
check_absolute(char **newval, void **extra, GucSource source)
{
	if (**newval == '\0' || is_absolute_path(*newval))
		return true;
	GUC_check_errdetail("The path must be absolute.");
	return false;
}

/*
 * A list, of paths or of words, whose members each pass a test, which says why
 * not; "syntax" says what to write where it is no list.  Returns the number of
 * members, or -1 with the reason told.
 */
static int
check_members(const char *list, bool of_paths, const char *syntax, bool (*passes) (const char *))
{
	char	   *copy = pstrdup(list);
	List	   *members = NIL;
	ListCell   *lc;
	bool		valid = of_paths ? SplitDirectoriesString(copy, ',', &members) : SplitGUCList(copy, ',', &members);
	int			count = list_length(members);

	if (!valid)
		GUC_check_errdetail("%s", syntax);
	foreach(lc, members)
		valid = valid && passes(lfirst(lc));
	if (of_paths)
		list_free_deep(members);
	else
		list_free(members);
	pfree(copy);
	return valid ? count : -1;
}

/* A list of at most VOX_MAX_DATABASES names that a database could have. */
static bool
check_databases(char **newval, void **extra, GucSource source)
{
	int			count = check_members(*newval, false,
									  "It must be a list of names separated by commas; quote a name with spaces or commas.",
									  is_database_name);

	if (count > VOX_MAX_DATABASES)
		GUC_check_errdetail("It must not have more than %d names.", VOX_MAX_DATABASES);
	return count >= 0 && count <= VOX_MAX_DATABASES;
}

static bool
is_database_name(const char *name)
{
	if (strlen(name) < NAMEDATALEN)
		return true;
	GUC_check_errdetail("\"%s\" is longer than the name of a database can be.", name);
	return false;
}

/* A list of absolute paths. */
static bool
check_directories(char **newval, void **extra, GucSource source)
{
	return check_members(*newval, true,
						 "It must be a list of paths separated by commas; quote a path with commas.",
						 is_directory) >= 0;
}

static bool
is_directory(const char *path)
{
	if (is_absolute_path(path))
		return true;
	GUC_check_errdetail("\"%s\" is not an absolute path.", path);
	return false;
}

/* A list of beginnings of URLs, each with a whole host. */
static bool
check_urls(char **newval, void **extra, GucSource source)
{
	return check_members(*newval, false,
						 "It must be a list of URLs separated by commas; quote a URL with commas.",
						 is_url) >= 0;
}

static bool
is_url(const char *url)
{
	const char *host = strncmp(url, "https://", 8) == 0 ? url + 8 : strncmp(url, "http://", 7) == 0 ? url + 7 : NULL;

	if (host != NULL && host[strcspn(host, "/")] == '/' && host[0] != '/' && strpbrk(host, "?#@") == NULL)
		return true;
	GUC_check_errdetail("\"%s\" is not of the form https://host/ or https://host/path.", url);
	return false;
}
