/*
 * src/agent/verify_catalog.c
 *		Command verify-catalog: what a backup tool says it has, and whether its repository bears that out.
 *
 * One process: the tool's program runs first, as it cannot be confined; what it
 * printed is only kept.  Then the sandbox is entered, and inside it that is
 * parsed and the repository, if one is named, is read.  A second process for
 * parsing would hold nothing that this one has not given up by then.
 */
#include "backup.h"
#include "catalog.h"
#include "pgbackrest_info.h"
#include "wal.h"
#include "wal_archive.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_MS 60000
#define MAX_BACKUP_NAME 200

static ExitStatus verify_catalog(const Options *options);

static const char *const verify_catalog_options[] = {
	"tool", "program", "config", "repository", "timeout", "level", "system-identifier", "within", "jobs", "rate", "io-priority",
	"progress", "server-position", "server-wal", "wal-segment-size", "pitr-window", NULL
};

const Command verify_catalog_command = {
	.name = "verify-catalog",
	.operand = "NAME",
	.summary = "Verify what pgBackRest, Barman or WAL-G lists of a stanza, server or configuration.",
	.options = verify_catalog_options,
	.run = verify_catalog,
};

static const CatalogTool *const tools[] = {
	&pgbackrest_tool,
	&barman_tool,
	&walg_tool,
};

/* One run of the command. */
typedef struct CatalogRun
{
	const Options *options;
	bool		deep;			/* level verify */
	int64_t		now;
	Catalog		catalog;
	ProgramOutput outputs[MAX_PROGRAM_RUNS];
	bool		has_archive;	/* the repository was located */
	Archive		archive;
	Options		archive_options;
	const char *proof;			/* or NULL: nothing was shown */
} CatalogRun;

static const CatalogTool *
find_tool(const char *name)
{
	for (size_t i = 0; name != NULL && i < sizeof(tools) / sizeof(tools[0]); i++)
	{
		if (strcmp(tools[i]->name, name) == 0)
			return tools[i];
	}
	return NULL;
}

/* Can it be the name of a stanza, server or file?  It becomes an argument and part of a path. */
static bool
is_catalog_name(const char *name)
{
	return name[0] != '-' && name[0] != '.' && name[0] != '\0' &&
		name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")] == '\0';
}

/* The tool, if all that it needs is there; else NULL with the report's error set. */
static const CatalogTool *
check_options(Report *report, const Options *options)
{
	const CatalogTool *tool = find_tool(options->tool);

	if (tool == NULL)
		report_error(report, "bad_request", xstrdup("Option --tool must be pgbackrest, barman or walg."), NULL);
	else if (options->program == NULL)
		report_error(report, "bad_request", xstrdup("Option --program is missing."), NULL);
	else if (!is_catalog_name(options->path))
		report_error(report, "bad_request", format("\"%s\" cannot be the name of a %s.", options->path, tool->noun), NULL);
	return report->error_code == NULL ? tool : NULL;
}

/* The repository's directory, or the part of it that is this name's; -1 with the report's error set. */
static int
open_repository(Report *report, CatalogRun *run)
{
	const Options *options = run->options;
	int			repository = open_location(report, options->repository);
	const CatalogTool *tool = run->catalog.tool;
	char	   *place = format("%s%s", tool->place, tool->named ? options->path : "");
	int			fd = repository < 0 ? -1 : openat(repository, place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	run->archive.path = xstrdup(options->repository);
	if (repository >= 0 && fd < 0 && errno == EACCES)
		report_location(report, format("%s/%s", options->repository, place), errno);
	if (fd >= 0)
	{
		close(repository);
		run->archive.path = format("%s/%s", options->repository, place);
		repository = fd;
	}
	free(place);
	if (repository >= 0 && report->error_code == NULL && !is_within(options, repository))
		report_error(report, "path_outside",
					 format("Path \"%s\" does not lie in one of the allowed directories.", options->repository), NULL);
	return repository;
}

/* Open what of the repository is to be read, and let the sandbox keep it. */
static void
locate_repository(Report *report, CatalogRun *run, SandboxPlan *plan)
{
	int			location = open_repository(report, run);

	run->archive_options = *run->options;
	run->archive.options = &run->archive_options;
	run->archive.now = run->now;
	if (report->error_code == NULL && locate_archive(report, &run->archive, location, plan))
		run->has_archive = true;
}

/* Run the tool's program as often as it takes; false with the report's error set. */
static bool
run_tool(Report *report, CatalogRun *run)
{
	const Options *options = run->options;
	const CatalogTool *tool = run->catalog.tool;
	int64_t		deadline = monotonic_ms() + (int64_t) (options->timeout_ms > 0 ? options->timeout_ms : DEFAULT_TIMEOUT_MS);

	for (int i = 0; i < tool->runs; i++)
	{
		const char *argv[MAX_PROGRAM_ARGUMENTS] = {options->program};

		argv[tool->arguments(argv, i, options->config, options->path)] = NULL;
		if (!run_program(report, argv, deadline, &run->outputs[i]))
			return false;
	}
	return true;
}

/* The program ended with an error: repeat what it said about it. */
static void
report_exit(Report *report, const CatalogRun *run, const ProgramOutput *output)
{
	const char *words = run->catalog.remark != NULL ? first_words(run->catalog.remark) :
		last_words(output->errors, output->errors_len);

	report_error(report, "program_failed",
				 format("Program \"%s\" ended with exit status %d%s%s", run->options->program, output->exit_status,
						*words == '\0' ? "." : ". It said: ", words),
				 "Run it by hand as the operating system user of the server.");
}

/* Are all backups named as backups are?  The names go into a log, to a terminal, and become parts of paths. */
static bool
are_named(const Catalog *catalog)
{
	for (int i = 0; i < catalog->n_backups; i++)
	{
		const char *id = catalog->backups[i].id;

		if (strlen(id) > MAX_BACKUP_NAME || !is_catalog_name(id))
			return false;
	}
	return true;
}

/* Parse what the program printed; false with the report's error set. */
static bool
read_catalog(Report *report, CatalogRun *run)
{
	Catalog    *catalog = &run->catalog;
	const ProgramOutput *output = &run->outputs[0];
	const char *problem;

	if (output->exit_status != 0 && !catalog->tool->speaks)
		report_exit(report, run, output);
	else
	{
		problem = catalog->tool->read(catalog, run->outputs);
		if (problem == NULL && !are_named(catalog))
			problem = "the name of a backup is not one";
		if (output->exit_status != 0)
			report_exit(report, run, output);
		else if (problem != NULL)
			report_error(report, "bad_response", format("What \"%s\" printed cannot be understood: %s.", run->options->program, problem),
						 format("It must be %s's own program, and print nothing else on standard output.", catalog->tool->title));
		else if (catalog->unreadable != NULL)
			report_error(report, "program_failed", format("%s could not look at its repository: %s.", catalog->tool->title,
														  first_words(catalog->unreadable)), NULL);
	}
	return report->error_code == NULL;
}

/* Is pgBackRest's list encrypted, so that only pgBackRest itself can tell what it says? */
static bool
is_list_encrypted(const Archive *archive)
{
	const char *problem;

	return archive->info >= 0 && archive->backups >= 0 &&
		read_info(archive->backups, "backup.info", NULL, NULL, NULL, &problem) == INFO_ENCRYPTED;
}

/* WAL-G's archive does not tell of backups, an encrypted one of pgBackRest not to us: let the list do so. */
static void
name_backups(CatalogRun *run)
{
	const Catalog *catalog = &run->catalog;
	Options    *options = &run->archive_options;

	run->archive.backups_named = true;
	options->backups = xmalloc((size_t) catalog->n_backups * sizeof(char *));
	for (int i = 0; i < catalog->n_backups; i++)
	{
		const CatalogBackup *backup = &catalog->backups[i];

		if (backup->complete && !backup->foreign && backup->timeline > 0 && backup->start_lsn > 0)
			options->backups[options->n_backups++] =
				format("%s,%" PRId64 ",%s,%s", format_lsn(backup->start_lsn), backup->timeline,
					   backup->stop_lsn == 0 ? "" : backup->finished_at < 0 ? format_lsn(backup->stop_lsn) :
					   format("%s@%" PRId64, format_lsn(backup->stop_lsn), backup->finished_at), backup->id);
	}
}

/*
 * A list that is empty may be so because the program cannot read what it would
 * list: what the repository shows of that, to be said with it.
 */
static void
look_behind_list(CatalogRun *run)
{
	Archive    *archive = &run->archive;
	Check		lists = {0};

	if (!run->has_archive || archive->layout->read_backups == NULL || archive->backups < 0)
		return;
	for (int i = 0; i < run->catalog.n_backups; i++)
	{
		if (run->catalog.backups[i].complete)
			return;
	}
	archive->layout->read_backups(archive, &lists);
	if (lists.n_items > 0)
		run->catalog.behind = format("\"%s/%s\": %s", archive->backups_path, lists.items[0].path, lists.items[0].problem);
	else if (archive->n_windows > 0)
		run->catalog.behind = format("\"%s\" tells of %s", archive->backups_path, count_of(archive->n_windows, "backup", "backups"));
}

/* Check repository: the directory is the tool's, and has the backup that the list calls newest. */
static bool
judge_repository(Report *report, CatalogRun *run)
{
	Check	   *check = report_check(report, "repository");
	const Archive *archive = &run->archive;
	const CatalogTool *tool = run->catalog.tool;
	bool		lists = !archive->backups_named;
	bool		there = !lists;

	for (uint32_t i = 0; i < archive->n_windows; i++)
		there |= strcmp(archive->windows[i].id, run->catalog.found->id) == 0;
	if (strcmp(tool->layout, archive->layout->name) != 0)
		check_set(check, CHECK_FAILED, "\"%s\" is %s, not a repository of %s.", archive->path, archive->layout->description, tool->title);
	else if (!there && archive->lists_unread)
		check_set(check, CHECK_FAILED, "%s is listed, but not among what could be read of the backups in \"%s\".",
				  run->catalog.found->id, archive->path);
	else if (!there)
		check_set(check, CHECK_FAILED, "%s is listed, but \"%s\" does not tell of it.", run->catalog.found->id, archive->path);
	else
		check_set(check, CHECK_PASSED, "\"%s\" is where %s keeps %s.", archive->path, tool->title, lists ? run->catalog.found->id : "its WAL");
	return check->result == CHECK_PASSED;
}

/* The files of the newest backup, which decide what was shown of it. */
static void
verify_files(Report *report, CatalogRun *run)
{
	const CatalogTool *tool = run->catalog.tool;
	const char *shown = NULL;

	if (tool->verify_files == NULL)
		check_set(report_check(report, "backup_files"), CHECK_SKIPPED, "The files of backups of %s are not looked at, only WAL.", tool->title);
	else if (run->archive.backups >= 0)
		shown = tool->verify_files(report, &run->archive_options, run->archive.backups, run->catalog.found->id);
	if (shown != NULL && (tool->whole || strcmp(run->catalog.found->type, "incr") != 0))
		run->proof = shown;
}

/* All that needs no rights any more. */
static void
examine(Report *report, CatalogRun *run)
{
	if (!read_catalog(report, run))
		return;
	look_behind_list(run);
	judge_catalog(report, &run->catalog, run->options->system_identifier, run->now);
	if (run->catalog.found == NULL)
		return;
	run->proof = "listed";
	if (run->has_archive)
	{
		if (run->archive.layout->read_backups == NULL || is_list_encrypted(&run->archive))
			name_backups(run);
		examine_archive(report, &run->archive);
		if (judge_repository(report, run))
			verify_files(report, run);
	}
	else if (run->deep || run->options->pitr_window > 0)
		check_set(report_check(report, "repository"), CHECK_SKIPPED, "No repository is named, so only the list was looked at%s.",
				  run->options->pitr_window > 0 ? ", which does not tell how far back a restore can go" : "");
}

/* Without the repository: what the list says of where a restore could begin. */
static void
print_listed_windows(JsonWriter *w, const Catalog *catalog)
{
	json_open(w, "recovery_window", '[');
	for (int i = 0; i < catalog->n_backups; i++)
	{
		const CatalogBackup *backup = &catalog->backups[i];

		if (!backup->complete || backup->foreign || backup->missing != NULL)
			continue;
		json_open(w, NULL, '{');
		json_text(w, "backup", backup->id);
		json_text(w, "from", utc_time(backup->finished_at));
		json_text(w, "shown", "listed");
		json_close(w, '}');
	}
	json_close(w, ']');
}

static void
print_members(JsonWriter *w, const void *subject)
{
	const CatalogRun *run = subject;

	if (run->catalog.tool != NULL)
		json_text(w, "provider", run->catalog.tool->name);
	if (run->proof != NULL)
		json_text(w, "proof", run->proof);
	print_catalog(w, &run->catalog, run->now);
	if (run->archive.newest != NULL)
	{
		print_archive(w, "wal", &run->archive);
		print_windows(w, &run->archive);
	}
	else if (run->catalog.found != NULL)
		print_listed_windows(w, &run->catalog);
}

static void
print_summary(FILE *out, const void *subject)
{
	const CatalogRun *run = subject;
	const CatalogBackup *found = run->catalog.found;

	if (found != NULL)
		fprintf(out, "newest backup %s, of %s%s\n", found->id, utc_time(found->finished_at),
				found->size < 0 ? "" : format(", %" PRId64 " bytes", found->size));
}

static ExitStatus
verify_catalog(const Options *options)
{
	static Report report;
	static CatalogRun run;
	SandboxPlan plan = {0};

	report.command = verify_catalog_command.name;
	report.members = print_members;
	report.summary = print_summary;
	report.subject = &run;
	run.options = options;
	run.deep = strcmp(options->level, "verify") == 0;
	run.now = time(NULL);
	run.catalog.name = options->path;
	run.catalog.tool = check_options(&report, options);
	digest_load();

	if (report.error_code == NULL && options->repository != NULL)
		locate_repository(&report, &run, &plan);
	if (report.error_code == NULL && run_tool(&report, &run))
	{
		sandbox_enter(&plan, &report.sandbox);
		examine(&report, &run);
	}
	return report_print(&report, options->json);
}
