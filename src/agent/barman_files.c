/*
 * src/agent/barman_files.c
 *		The files of one backup of Barman's.
 *
 * With backup_method = postgres Barman keeps what pg_basebackup wrote, with its
 * manifest, in base/ID/data; that is verified as any base backup is, into a
 * report of its own of which only the result is told here.  Copies by rsync
 * and backups whose manifest was not kept have nothing to be compared with.
 */
#include "repository_files.h"
#include "page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

/* The WAL is the archive's to have, and Barman tells times and chains. */
static bool
is_known_otherwise(const Check *check)
{
	static const char *const names[] = {"wal_segments", "wal_records", "pages_unproven", "clock_skew", "backup_complete"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (strcmp(check->name, names[i]) == 0 && check->result != CHECK_FAILED)
			return true;
	}
	return false;
}

/* All checks of one report as one check of another. */
static void
fold(Check *check, const Report *report, const char *id)
{
	CheckResult worst = CHECK_PASSED;

	if (report->error_code != NULL)
		check_problem(check, report->error_code, "%s", report->error_message);
	for (int i = 0; i < report->n_checks; i++)
	{
		const Check *found = &report->checks[i];

		if ((found->result != CHECK_FAILED && found->result != CHECK_WARNING) || is_known_otherwise(found))
			continue;
		if (found->result > worst)
			worst = found->result;
		if (found->n_items == 0)
			check_problem(check, found->name, "%s", found->detail);
		for (int j = 0; j < found->n_items; j++)
			check_problem(check, found->items[j].path, "%s (%s)", found->items[j].problem, found->name);
	}
	if (check->n_problems > 0)
		check_set(check, worst == CHECK_WARNING ? CHECK_WARNING : CHECK_FAILED, "The files of %s are not as they were when they were backed up.", id);
}

/*
 * Check backup_files of a backup in a server's open directory; what was shown,
 * or NULL.
 */
const char *
verify_barman_files(Report *report, const Options *options, int server, const char *id)
{
	bool		deep = strcmp(options->level, "verify") == 0;
	char	   *path = format("base/%s/data", id);
	int			dir = strspn(id, "0123456789T") == strlen(id) ? openat(server, path, OPEN_DIRECTORY) : -1;
	Check	   *check = report_check(report, "backup_files");
	Options		inner = *options;
	Report	   *found;
	Backup		backup = {.now = time(NULL)};

	if (dir < 0)
		check_set(check, CHECK_FAILED, "\"%s\" cannot be read: %s.", path, describe_errno(errno));
	else if (faccessat(dir, "backup_manifest", F_OK, AT_SYMLINK_NOFOLLOW) != 0)
		check_set(check, CHECK_SKIPPED, "%s has no manifest, so that its files have nothing to be compared with.", id);
	if (check->result != CHECK_PASSED)
		return NULL;
	inner.path = path;
	found = xmalloc(sizeof(Report));
	memset(found, 0, sizeof(Report));
	page_init();
	if (locate_backup(found, &backup, dir, path))
		read_backup(found, &backup, &inner);
	fold(check, found, id);
	report_proof(found);
	deep &= !found->unproven;
	if (check->n_problems == 0)
		check_set(check, CHECK_PASSED, deep ? "The files of %s have the checksums that its manifest states, and its pages their own." :
				  "The files that the manifest of %s lists are there with their sizes.", id);
	free(found);
	return check->result == CHECK_FAILED ? NULL : deep ? "checksummed" : "present";
}
