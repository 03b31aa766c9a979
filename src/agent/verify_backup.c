/*
 * src/agent/verify_backup.c
 *		Command verify-backup: is this base backup intact?
 *
 * Level "status" looks at names and sizes and reads the manifest and
 * pg_control only: seconds, so that it can run every hour.  Level "verify"
 * reads everything.
 */
#include "contents.h"
#include "incremental.h"
#include "page.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static ExitStatus verify_backup(const Options *options);

static const char *const verify_backup_options[] = {
	"level", "system-identifier", "within", "prior", "jobs", "rate", "io-priority", "progress", NULL
};

const Command verify_backup_command = {
	.name = "verify-backup",
	.operand = "PATH",
	.summary = "Verify a base backup, or the newest in a directory of them.",
	.options = verify_backup_options,
	.run = verify_backup,
};

/* Seconds since the backup was made, a clock in the past aside. */
static int64_t
age_of(const Backup *backup)
{
	return backup->now > backup->manifest.newest ? backup->now - backup->manifest.newest : 0;
}

/* Bytes that a restore of the backup gives; -1: not known. */
static int64_t
restored_size(const Backup *backup)
{
	const IncrementalFiles *files = &backup->incremental;
	uint32_t	listed = 0;

	if (!is_chained(backup))
		return (int64_t) backup->manifest.total_size;
	for (uint32_t i = 0; i < backup->manifest.n_files; i++)
		listed += is_incremental(manifest_file (&backup->manifest, i)->path);
	if (listed != files->n || files->unknown > 0 || backup->odd_layout)
		return -1;
	return (int64_t) (backup->manifest.total_size - files->bytes + files->pages * backup->layout.page_size);
}

/* Where the backup stands in a chain: members "chain", the oldest first, and "broken". */
static void
print_chain(JsonWriter *w, const Backup *backup)
{
	json_open(w, "chain", '[');
	for (int i = backup->n_chain - 1; i >= 0; i--)
	{
		const ChainLink *link = &backup->chain[i];

		if (link->id == NULL)
			continue;
		json_open(w, NULL, '{');
		json_text(w, "id", link->id);
		json_text(w, "type", link->full ? "full" : "incremental");
		json_text(w, "start_lsn", format_lsn(link->start.lsn));
		json_integer(w, "timeline", link->start.timeline);
		if (link->read && link->finished_at != NO_TIME)
			json_text(w, "finished_at", iso_time(link->finished_at));
		if (link->read)
			json_integer(w, "stored_bytes", (int64_t) link->size);
		json_close(w, '}');
	}
	json_close(w, ']');
	json_open(w, "broken", '[');
	for (int i = backup->n_chain - 1; i >= 0; i--)
	{
		if (!backup->chain[i].broken)
			continue;
		json_open(w, NULL, '{');
		json_text(w, "start_lsn", format_lsn(backup->chain[i].start.lsn));
		json_integer(w, "timeline", backup->chain[i].start.timeline);
		json_close(w, '}');
	}
	json_close(w, ']');
}

/* Member "backup", as far as it is known. */
static void
print_members(JsonWriter *w, const void *subject)
{
	const Backup *backup = subject;
	const Manifest *manifest = &backup->manifest;

	if (backup->id == NULL)
		return;
	json_open(w, "backup", '{');
	json_text(w, "id", backup->id);
	json_text(w, "path", backup->path);
	if (backup->manifest_read)
	{
		if (manifest->newest != NO_TIME)
		{
			json_text(w, "finished_at", iso_time(manifest->newest));
			json_integer(w, "age_seconds", age_of(backup));
		}
		if (restored_size(backup) >= 0)
			json_integer(w, "size_bytes", restored_size(backup));
		if (is_chained(backup))
			json_integer(w, "stored_bytes", (int64_t) manifest->total_size);
		json_integer(w, "files", manifest->n_files);
		json_integer(w, "manifest_version", manifest->version);
		if (manifest->n_ranges > 0)
		{
			json_integer(w, "timeline", manifest->ranges[0].timeline);
			json_text(w, "start_lsn", format_lsn(manifest_start_lsn(manifest)));
			json_text(w, "end_lsn", format_lsn(manifest_end_lsn(manifest)));
		}
	}
	if (backup->control_read)
		json_text(w, "system_identifier", format("%" PRIu64, backup->system_identifier));
	if (backup->server_version != NULL)
		json_text(w, "server_version", backup->server_version);
	if (backup->n_chain > 0)
		print_chain(w, backup);
	json_open(w, "tablespaces", '[');
	for (int i = 0; i < backup->n_tablespaces; i++)
	{
		json_open(w, NULL, '{');
		json_text(w, "oid", backup->tablespaces[i].oid);
		json_text(w, "location", backup->tablespaces[i].location);
		json_close(w, '}');
	}
	json_close(w, ']');
	json_close(w, '}');
}

static void
print_summary(FILE *out, const void *subject)
{
	const Backup *backup = subject;
	const Manifest *manifest = &backup->manifest;

	if (!backup->manifest_read)
		return;
	fprintf(out, "%s, %" PRIu64 " MB", count_of(manifest->n_files, "file", "files"),
			manifest->total_size / 1000000);
	if (manifest->newest != NO_TIME)
		fprintf(out, ", made %s, %" PRId64 " h %02d min ago", iso_time(manifest->newest),
				age_of(backup) / 3600, (int) (age_of(backup) / 60 % 60));
	fputc('\n', out);
}

/* Open the manifest: check manifest_present; -1 if it cannot be read. */
static int
open_manifest(Report *report, const Backup *backup)
{
	Check	   *check = report_check(report, "manifest_present");
	int			fd = openat(backup->dir, "backup_manifest", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		check_set(check, CHECK_FAILED, "The backup has no manifest: it is in progress, was broken off, "
				  "or was made with --no-manifest.");
	else if (fd < 0 && errno == ELOOP)
		check_set(check, CHECK_FAILED, "backup_manifest is a symbolic link.");
	else if (fd < 0 || fstat(fd, &st) != 0)
		check_set(check, CHECK_FAILED, "backup_manifest is unreadable: %s.", describe_errno(errno));
	else if (!S_ISREG(st.st_mode))
		check_set(check, CHECK_FAILED, "backup_manifest is not a regular file.");
	else
		check_set(check, CHECK_PASSED, "The backup has a manifest of %" PRIu64 " bytes.", (uint64_t) st.st_size);

	if (fd >= 0 && check->result == CHECK_FAILED)
	{
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Checks manifest_present, manifest_checksum and manifest_parse. */
static void
read_manifest(Report *report, Backup *backup)
{
	int			fd = open_manifest(report, backup);
	Check	   *checksum;
	Check	   *parse;
	char	   *problem = NULL;

	if (fd < 0)
		return;
	checksum = report_check(report, "manifest_checksum");
	parse = report_check(report, "manifest_parse");
	if (!manifest_checksum_ok(fd, &problem))
	{
		check_set(checksum, CHECK_FAILED, "The manifest is damaged: %s.", problem);
		check_set(parse, CHECK_SKIPPED, "A damaged manifest says nothing about the files.");
	}
	else
	{
		check_set(checksum, CHECK_PASSED, "The manifest has the checksum that it states.");
		backup->manifest_read = manifest_read(&backup->manifest, fd, &problem);
		if (backup->manifest_read)
			check_set(parse, CHECK_PASSED, "The manifest, of version %d, lists %s.", backup->manifest.version,
					  count_of(backup->manifest.n_files, "file", "files"));
		else
			check_set(parse, CHECK_FAILED, "The manifest cannot be understood, %s.", problem);
	}
	close(fd);
}

/* Check clock_skew: a backup from the future has no age that means anything. */
static void
check_clock(Report *report, const Backup *backup)
{
	Check	   *check = report_check(report, "clock_skew");

	if (backup->manifest.newest == NO_TIME)
		check_set(check, CHECK_SKIPPED, "The manifest states no times, so the backup's age is unknown.");
	else if (backup->manifest.newest > backup->now)
		check_set(check, CHECK_WARNING, "The backup's newest file is %" PRId64 " s in the future; its age is counted as 0.",
				  backup->manifest.newest - backup->now);
	else
		check_set(check, CHECK_PASSED, "The backup's newest file is of %s.", iso_time(backup->manifest.newest));
}

/* Look at a backup that is open: all checks but those of where it was found and of its place in a chain. */
void
read_backup(Report *report, Backup *backup, const Options *options)
{
	read_manifest(report, backup);
	if (backup->is_tar)
		read_tar_backup(report, backup, options);
	else
	{
		read_control_file(report, backup, options->system_identifier);
		if (backup->manifest_read)
			read_tree(report, backup, options);
	}
	if (backup->manifest_read)
		check_clock(report, backup);
}

/* Look at the backup; nothing but the directories that were named can be read any more. */
static void
examine(Report *report, Backup *backup, Place *places, const Options *options)
{
	if (!locate_backup(report, backup, places[0].dir, options->path))
		return;
	read_backup(report, backup, options);

	/* its siblings, if it has any, are where those may be that it builds on */
	if (backup->siblings.dir >= 0)
		verify_chain(report, backup, options, places, options->n_priors + 1);
	else
		verify_chain(report, backup, options, places + 1, options->n_priors);
}

/* Open what the caller named; -1 with the report's error set. */
static int
open_allowed(Report *report, const char *path, const Options *options)
{
	int			dir = open_location(report, path);

	if (dir >= 0 && !is_within(options, dir))
		report_error(report, "path_outside",
					 format("Path \"%s\" does not lie in one of the allowed directories.", path), NULL);
	return dir;
}

static ExitStatus
verify_backup(const Options *options)
{
	static Report report;
	static Backup backup;
	SandboxPlan plan = {0};
	Place	   *places = xmalloc((size_t) (options->n_priors + 1) * sizeof(Place));

	report.command = verify_backup_command.name;
	report.members = print_members;
	report.summary = print_summary;
	report.subject = &backup;
	backup.now = time(NULL);
	digest_load();
	page_init();

	for (int i = 0; i <= options->n_priors && report.error_code == NULL; i++)
	{
		places[i].path = i == 0 ? options->path : options->priors[i - 1];
		places[i].dir = open_allowed(&report, places[i].path, options);
		if (report.error_code != NULL)
			break;
		sandbox_allow(&plan, places[i].dir, ".");
		allow_links(&plan, options, places[i].dir);
	}
	if (report.error_code == NULL)
	{
		sandbox_enter(&plan, &report.sandbox);
		examine(&report, &backup, places, options);
		report_proof(&report);
	}
	free(places);
	return report_print(&report, options->json);
}
