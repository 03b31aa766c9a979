/*
 * src/agent/verify_dump.c
 *		Command verify-dump: is this dump intact?
 *
 * Level "status" reads the header and the table of contents and looks at what
 * can be seen without reading the data.  Level "verify" reads every byte, once.
 * A dump has no checksum of its own, so the digest of its bytes is part of the
 * answer: whoever remembers it notices a change that nobody made.
 */
#include "backup.h"
#include "dump.h"
#include "jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static ExitStatus verify_dump(const Options *options);

static const char *const verify_dump_options[] = {"level", "within", "jobs", "rate", "io-priority", "progress", "table", "remembered", NULL};

const Command verify_dump_command = {
	.name = "verify-dump",
	.operand = "PATH",
	.summary = "Verify a dump of pg_dump or pg_dumpall, or the newest in a directory of them.",
	.options = verify_dump_options,
	.run = verify_dump,
};

/* When the dump was begun */
static int64_t
made_at(const Dump *dump)
{
	return dump_time(&dump->header, dump->modified_at);
}

/* Seconds since then, a clock in the past aside. */
static int64_t
age_of(const Dump *dump)
{
	return dump->now > made_at(dump) ? dump->now - made_at(dump) : 0;
}

/* Member "backup", as far as it is known. */
static void
print_members(JsonWriter *w, const void *subject)
{
	const Dump *dump = subject;
	const DumpHeader *header = &dump->header;

	if (dump->id == NULL)
		return;
	json_open(w, "backup", '{');
	json_text(w, "id", dump->id);
	json_text(w, "path", dump->path);
	json_text(w, "format", dump->format->name);
	json_text(w, "finished_at", iso_time(made_at(dump)));
	json_integer(w, "age_seconds", age_of(dump));
	json_integer(w, "size_bytes", (int64_t) dump->size);
	if (dump->good_sha256 != NULL)
		json_text(w, "sha256", dump->good_sha256);
	if (dump->sha256[0] != '\0' && (dump->good_sha256 == NULL || strcmp(dump->good_sha256, dump->sha256) != 0))
		json_text(w, "sha256_found", dump->sha256);
	if (header->database != NULL)
		json_text(w, "database", header->database);
	if (header->server_version != NULL)
		json_text(w, "server_version", header->server_version);
	if (header->dump_version != NULL)
		json_text(w, "dump_version", header->dump_version);
	if (dump->entries_read)
		json_integer(w, "entries", dump->n_entries);
	if (dump->sha256[0] != '\0' && dump->tables_known && !dump->uncounted)
		json_integer(w, "rows", (int64_t) dump->n_rows);
	json_close(w, '}');
}

static void
print_summary(FILE *out, const void *subject)
{
	const Dump *dump = subject;

	if (dump->id == NULL)
		return;
	fprintf(out, "%s format, %" PRIu64 " kB, made %s, %" PRId64 " h %02d min ago\n", dump->format->name,
			dump->size / 1000, iso_time(made_at(dump)), age_of(dump) / 3600, (int) (age_of(dump) / 60 % 60));
	if (dump->sha256[0] != '\0')
		fprintf(out, "SHA-256 %s\n", dump->sha256);
}

/*
 * Open the path that the caller named: a file or a directory, nothing else,
 * which could do something when it is opened.  False with the report's error
 * set.
 */
static bool
open_dump(Report *report, Dump *dump, const Options *options)
{
	const char *path = options->path;
	int			place = open(path, O_PATH | O_CLOEXEC);
	char		name[64];
	struct stat st;

	if (place < 0 || fstat(place, &st) != 0)
		report_location(report, path, errno);
	else if (!is_within(options, place))
		report_error(report, "path_outside",
					 format("Path \"%s\" does not lie in one of the allowed directories.", path), NULL);
	else if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		report_error(report, "path_type", format("Path \"%s\" is neither a file nor a directory.", path), NULL);
	else
	{
		dump->is_directory = S_ISDIR(st.st_mode);
		snprintf(name, sizeof(name), "/proc/self/fd/%d", place);
		dump->fd = dump->is_directory ? openat(place, ".", O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC) :
			open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (dump->fd < 0)
			report_location(report, path, errno);
	}
	if (place >= 0)
		close(place);
	return report->error_code == NULL;
}

/* The tables that the caller wants to see; false with the report's error set. */
static bool
parse_tables(Report *report, Dump *dump, const Options *options)
{
	dump->wanted = xmalloc((size_t) options->n_tables * sizeof(WantedTable));
	for (int i = 0; i < options->n_tables; i++)
	{
		if (!parse_table_name(options->tables[i], &dump->wanted[i]))
		{
			report_error(report, "table_name", format("\"%s\" is not the name of a table.", options->tables[i]),
						 "Write it as in SQL: public.appointments, or \"My Schema\".\"Table\".");
			return false;
		}
	}
	dump->n_wanted = options->n_tables;
	return true;
}

/* Sentences of the checks that nothing but their items speaks for. */
static void
conclude(DumpRun *run)
{
	const Dump *dump = run->dump;
	Check	   *present = run->present;
	Check	   *readable = run->readable;

	if (run->header->detail == NULL)
		check_set(run->header, CHECK_SKIPPED, "There is nothing to read it from.");
	if (run->contents != NULL && run->contents->detail == NULL)
		check_set(run->contents, CHECK_SKIPPED, "Without a header that is understood it cannot be read.");
	if (present != NULL && present->detail == NULL)
	{
		if (!dump->entries_read)
			check_set(present, CHECK_SKIPPED, "What should be there is not known.");
		else if (present->n_problems > 0)
			check_set(present, CHECK_FAILED, "%s of the dump %s missing or out of place.",
					  count_of(present->n_problems, "part", "parts"), present->n_problems == 1 ? "is" : "are");
		else
			check_set(present, CHECK_PASSED, "All data are there that the table of contents lists: %s.",
					  count_of(dump->n_data, "part", "parts"));
	}
	if (readable != NULL && readable->detail == NULL)
	{
		if (!dump->entries_read)
			check_set(readable, CHECK_SKIPPED, "What should be there is not known.");
		else if (readable->n_problems > 0)
			check_set(readable, CHECK_FAILED, "%s of the dump %s damaged.",
					  count_of(readable->n_problems, "part", "parts"), readable->n_problems == 1 ? "is" : "are");
		else
			check_set(readable, CHECK_PASSED, "All data that were found can be read to their ends.");
	}
	if (run->complete != NULL && run->complete->detail == NULL)
		check_set(run->complete, CHECK_SKIPPED, "Where it should end is not known.");
}

/* Check clock_skew: a dump from the future has no age that means anything. */
static void
check_clock(Report *report, const Dump *dump)
{
	Check	   *check = report_check(report, "clock_skew");

	if (made_at(dump) > dump->now)
		check_set(check, CHECK_WARNING, "The dump was made %" PRId64 " s in the future; its age is counted as 0.",
				  made_at(dump) - dump->now);
	else
		check_set(check, CHECK_PASSED, "The dump was made at %s.", iso_time(made_at(dump)));
}

/*
 * Somebody changes the dump while we read it: it is being made or copied.  That
 * is no damage, and nothing else that was found means anything.
 */
static void
check_changed(Report *report, const Dump *dump, const struct stat *before)
{
	Check	   *check = report_check(report, "changed_during_read");
	struct stat after;

	if (fstat(dump->fd, &after) == 0 && after.st_size == before->st_size &&
		after.st_mtim.tv_sec == before->st_mtim.tv_sec && after.st_mtim.tv_nsec == before->st_mtim.tv_nsec)
	{
		check_set(check, CHECK_PASSED, "Nobody changed the dump while it was verified.");
		return;
	}
	for (int i = 0; i < report->n_checks; i++)
	{
		if (report->checks[i].result == CHECK_FAILED)
			report->checks[i].result = CHECK_SKIPPED;
	}
	check_set(check, CHECK_WARNING, "The dump was changed while it was verified, so what was found means nothing: it is being made or copied.");
}

/*
 * Check unchanged: has the dump the digest that an earlier run found?  Only
 * where it is the same one: of the same name, size and time.  Then nobody has
 * written another one, and what differs was changed by the storage.  What was
 * remembered stays the good one until there is another dump.
 */
static void
check_remembered(Report *report, Dump *dump, const char *remembered)
{
	char	   *same = format("%s %" PRIu64 " %s %s", dump->sha256, dump->size, iso_time(made_at(dump)), dump->id);
	size_t		digest = strcspn(remembered, " ");
	Check	   *check;

	if (dump->sha256[0] != '\0' && digest == strlen(dump->sha256) && strcmp(same + digest, remembered + digest) == 0)
	{
		dump->good_sha256 = format("%.*s", (int) digest, remembered);
		check = report_check(report, "unchanged");
		if (memcmp(same, remembered, digest) == 0)
			check_set(check, CHECK_PASSED, "The dump has the SHA-256 that it had when it was verified before.");
		else
			check_set(check, CHECK_FAILED, "Bit rot: the dump is the one that was verified before, of the same name, size and time, but its bytes have changed. "
					  "Its SHA-256 is %s and was %.*s.", dump->sha256, (int) digest, remembered);
	}
	free(same);
}

/* Read the dump as deep as it is wanted; in the shape that run_jobs() calls. */
static void *
read_dump(void *argument)
{
	DumpRun    *run = argument;
	Dump	   *dump = run->dump;

	if (dump->is_directory)
	{
		dump->format->verify(run);
		return NULL;
	}
	file_source_open(&run->file, dump->fd, &run->pace, run->deep);
	dump->format->verify(run);
	file_source_rest(&run->file);
	file_source_digest(&run->file, dump->sha256);
	file_source_close(&run->file);
	return NULL;
}

/* Read the dump and come to a verdict. */
static void
examine(Report *report, Dump *dump, const Options *options)
{
	static DumpRun run;
	struct stat before;

	if (!locate_dump(report, dump, options->path) || fstat(dump->fd, &before) != 0)
		return;
	run.report = report;
	run.dump = dump;
	run.options = options;
	run.deep = strcmp(options->level, "verify") == 0;
	run.header = report_check(report, "dump_header");
	dump->size = dump->is_directory ? directory_size(dump->fd) : (uint64_t) before.st_size;
	pace_start(&run.pace, options, dump->size);
	/* a directory's files are several threads' work, which its format begins */
	if (run.deep && !dump->is_directory)
		run_jobs(options, &run.pace, 1, read_dump, &run);
	else
		(void) read_dump(&run);
	conclude(&run);
	conclude_tables(&run);
	conclude_kinds_of_data(&run);
	check_clock(report, dump);
	if (options->remembered != NULL)
		check_remembered(report, dump, options->remembered);
	check_changed(report, dump, &before);
	if (dump->good_sha256 == NULL && dump->sha256[0] != '\0' && !report_failed(report))
		dump->good_sha256 = dump->sha256;
}

static ExitStatus
verify_dump(const Options *options)
{
	static Report report;
	static Dump dump = {.fd = -1,.header.created_at = NO_TIME};
	SandboxPlan plan = {0};

	report.command = verify_dump_command.name;
	report.members = print_members;
	report.summary = print_summary;
	report.subject = &dump;
	dump.now = time(NULL);
	tzset();
	digest_load();

	if (parse_tables(&report, &dump, options) && open_dump(&report, &dump, options))
	{
		if (dump.is_directory)
			sandbox_allow(&plan, dump.fd, ".");
		sandbox_enter(&plan, &report.sandbox);
		examine(&report, &dump, options);
	}
	return report_print(&report, options->json);
}
