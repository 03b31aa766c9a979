/*
 * src/agent/verify_backup.c
 *		Command verify-backup: is this base backup intact?
 *
 * Level "status" looks at names and sizes and reads the manifest and
 * pg_control only: seconds, so that it can run every hour.  Level "verify"
 * reads everything.
 */
#include "contents.h"
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
	"level", "system-identifier", "within", "jobs", "rate", "progress", NULL
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
		json_integer(w, "size_bytes", (int64_t) manifest->total_size);
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

/* Look at the backup; nothing but its directories can be read any more. */
static void
examine(Report *report, Backup *backup, int location, const Options *options)
{
	if (!locate_backup(report, backup, location, options->path))
		return;
	read_manifest(report, backup);
	if (backup->is_tar)
		read_tar_backup(report, backup, options);
	else
	{
		read_control_file(report, backup, options->system_identifier);
		if (backup->manifest_read)
			read_tree(report, backup, options);
	}
	if (!backup->manifest_read)
		return;
	check_clock(report, backup);
}

static ExitStatus
verify_backup(const Options *options)
{
	static Report report;
	static Backup backup;
	SandboxPlan plan = {0};
	int			location;

	report.command = verify_backup_command.name;
	report.members = print_members;
	report.summary = print_summary;
	report.subject = &backup;
	backup.now = time(NULL);
	digest_load();
	page_init();

	location = open_location(&report, options->path);
	if (location >= 0 && !is_within(options, location))
		report_error(&report, "path_outside",
					 format("Path \"%s\" does not lie in one of the allowed directories.", options->path), NULL);
	if (report.error_code == NULL)
	{
		sandbox_allow(&plan, location, ".");
		allow_links(&plan, options, location);
		sandbox_enter(&plan, &report.sandbox);
		examine(&report, &backup, location, options);
	}
	return report_print(&report, options->json);
}
