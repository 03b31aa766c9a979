/*
 * src/agent/catalog.c
 *		Judging what a backup tool says of its backups.
 *
 * A list is a claim.  What can be seen in it: whether there is a backup of this
 * cluster, whether the newest is one that its own tool calls good, and whether
 * all that it builds on is listed as well.
 */
#include "catalog.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A clock may be so much ahead of ours; seconds */
#define CLOCK_SLACK 60

/* WAL that a backup waits for comes sooner than this; seconds */
#define WAIT_LIMIT 3600

/* So many of the newest backups are printed; there may be thousands, and a row of the log holds them. */
#define MAX_PRINTED 20

static int
compare_backups(const void *a, const void *b)
{
	const CatalogBackup *x = a;
	const CatalogBackup *y = b;

	if (x->finished_at != y->finished_at)
		return x->finished_at < y->finished_at ? -1 : 1;
	return strcmp(x->id, y->id);
}

/* Is what a backup needs there and good? */
static void
look_at_need(const Catalog *catalog, CatalogBackup *backup, const char *id)
{
	const CatalogBackup *needed = find_catalog_backup(catalog, id);

	if (strcmp(id, backup->id) == 0)
		return;
	if (needed == NULL || !needed->complete)
		backup->missing = id;
	else if (needed->bad_pages)
		backup->broken = id;
}

/*
 * Follow what a backup builds on to a full one, where its tool tells the way and not just the beginning.  A loop, which only a damaged list has, ends after as many
 * steps as there are backups, and then what it needs is missing.
 */
static void
look_at_chain(const Catalog *catalog, CatalogBackup *backup)
{
	const CatalogBackup *at = backup;
	const CatalogBackup *root = backup->root == NULL ? NULL : find_catalog_backup(catalog, backup->root);
	int			steps = 0;

	for (int i = 0; i < backup->n_references; i++)
		look_at_need(catalog, backup, backup->references[i]);
	while (at != NULL && at->prior != NULL && backup->missing == NULL)
	{
		look_at_need(catalog, backup, at->prior);
		if (steps++ > catalog->n_backups)
			backup->missing = at->prior;
		at = find_catalog_backup(catalog, at->prior);
	}
	if (root != NULL && backup->missing == NULL && strcmp(root->type, "incr") == 0)
		backup->missing = format("the parent of %s", root->id);
}

/* Which are of this cluster, and the newest of these that is complete. */
static void
find_newest(Catalog *catalog, uint64_t system_identifier)
{
	for (int i = 0; i < catalog->n_backups; i++)
	{
		CatalogBackup *backup = &catalog->backups[i];

		backup->foreign = system_identifier != 0 && backup->system_identifier != 0 &&
			backup->system_identifier != system_identifier;
		look_at_chain(catalog, backup);
		if (backup->complete && !backup->foreign)
			catalog->found = backup;
	}
}

static int
count_complete(const Catalog *catalog)
{
	int			complete = 0;

	for (int i = 0; i < catalog->n_backups; i++)
		complete += catalog->backups[i].complete;
	return complete;
}

/* Check catalog: the tool knows the name, and lists a backup. */
static void
judge_list(Report *report, const Catalog *catalog)
{
	Check	   *check = report_check(report, "catalog");
	const CatalogTool *tool = catalog->tool;
	const char *remark = catalog->remark == NULL ? "" : format(": %s", catalog->remark);
	int			complete = count_complete(catalog);

	if (!catalog->named)
		check_set(check, CHECK_FAILED, "%s knows no %s \"%s\"%s.", tool->title, tool->noun, catalog->name, remark);
	else if (complete == 0)
		check_set(check, CHECK_FAILED, "%s lists no complete backup of %s \"%s\"%s%s%s.", tool->title, tool->noun, catalog->name,
				  remark, catalog->in_progress ? "; one is in progress" : "", catalog->behind == NULL ? "" : format("; %s", catalog->behind));
	else if (catalog->inconsistent)
		check_set(check, CHECK_WARNING, "%s lists %s of %s \"%s\", but says%s.", tool->title,
				  count_of((uint64_t) complete, "backup", "backups"), tool->noun, catalog->name, remark);
	else
		check_set(check, CHECK_PASSED, "%s lists %s of %s \"%s\"%s.", tool->title,
				  count_of((uint64_t) complete, "complete backup", "complete backups"), tool->noun, catalog->name,
				  catalog->in_progress ? "; another one is in progress" : "");
}

/* Check cluster: the backups are of this one. */
static void
judge_cluster(Report *report, const Catalog *catalog, uint64_t system_identifier)
{
	Check	   *check = report_check(report, "cluster");
	uint64_t	foreign = 0;
	uint64_t	other = 0;

	for (int i = 0; i < catalog->n_backups; i++)
	{
		foreign += catalog->backups[i].foreign;
		if (catalog->backups[i].foreign)
			other = catalog->backups[i].system_identifier;
	}
	if (foreign > 0 && catalog->found == NULL)
		check_set(check, CHECK_FAILED, "No backup is of this cluster, %" PRIu64 ": the newest is of %" PRIu64 ".", system_identifier, other);
	else if (catalog->found == NULL || catalog->found->system_identifier == 0 || system_identifier == 0)
		check_set(check, CHECK_SKIPPED, "It is not said of which cluster the backups are.");
	else if (foreign > 0)
		check_set(check, CHECK_PASSED, "The newest backup is of this cluster; %s of others and not looked at.",
				  count_of(foreign, "one is", "ones are"));
	else
		check_set(check, CHECK_PASSED, "The backups are of this cluster.");
}

/* Check newest_backup: what its own tool says against the newest, and of what came after it. */
static void
judge_newest(Report *report, const Catalog *catalog, int64_t now)
{
	Check	   *check = report_check(report, "newest_backup");
	const CatalogBackup *found = catalog->found;
	const char *title = catalog->tool->title;
	const CatalogBackup *failed = NULL;

	/* an id begins with a time or a segment, so a later one is greater */
	for (int i = 0; i < catalog->n_backups; i++)
	{
		const CatalogBackup *backup = &catalog->backups[i];

		if (backup->failed && strcmp(backup->id, found->id) > 0)
			failed = backup;
	}
	if (found->bad_pages)
		check_set(check, CHECK_FAILED, "%s met pages with bad checksums when it made %s: the data was damaged already.", title, found->id);
	else if (found->waiting && found->finished_at >= 0 && now - found->finished_at > WAIT_LIMIT)
		check_set(check, CHECK_WARNING, "%s has waited since %s for WAL without which it cannot be restored.", found->id,
				  utc_time(found->finished_at));
	else if (failed != NULL)
		check_set(check, CHECK_WARNING, "Backup %s failed; the newest complete one is %s.", failed->id, found->id);
	else if (found->retention != NULL && strcmp(found->retention, "OBSOLETE") == 0)
		check_set(check, CHECK_WARNING, "%s is obsolete by %s's retention policy, so that it will be deleted.", found->id, title);
	else
		check_set(check, CHECK_PASSED, "%s is complete, as %s says%s.", found->id, title,
				  found->waiting ? "; it waits for the last of its WAL" : "");
}

/* Check chains: whatever a backup builds on is listed, and without a known fault. */
static void
judge_chains(Report *report, const Catalog *catalog)
{
	Check	   *check = report_check(report, "chains");
	const CatalogBackup *found = catalog->found;
	uint64_t	differences = 0;

	for (int i = 0; i < catalog->n_backups; i++)
	{
		const CatalogBackup *backup = &catalog->backups[i];

		differences += backup->prior != NULL;
		if (backup->missing != NULL)
			check_problem(check, backup->id, "builds on %s, which is not there", backup->missing);
		else if (backup->broken != NULL)
			check_problem(check, backup->id, "builds on %s, which has bad pages", backup->broken);
		else if (backup->bad_pages && backup != found)
			check_problem(check, backup->id, "met pages with bad checksums when it was made");
	}
	if (found->missing != NULL || found->broken != NULL)
		check_set(check, CHECK_FAILED, "The newest backup, %s, cannot be restored without %s, which %s.", found->id,
				  found->missing != NULL ? found->missing : found->broken,
				  found->missing != NULL ? "is not listed" : "has bad pages");
	else if (check->n_problems > 0)
		check_set(check, CHECK_WARNING, "%s of no use, the newest not among them.",
				  count_of(check->n_problems, "older backup is", "older backups are"));
	else
		check_set(check, CHECK_PASSED, differences == 0 ? "All backups stand by themselves, as far as is known." :
				  "All that backups build on is listed.");
}

/* Check clock_skew: a backup from the future makes its age a guess. */
static void
judge_clock(Report *report, const CatalogBackup *found, int64_t now)
{
	Check	   *check = report_check(report, "clock_skew");

	if (found->finished_at > now + CLOCK_SLACK)
		check_set(check, CHECK_WARNING, "%s ended at %s, which is in the future: the clocks differ.", found->id, utc_time(found->finished_at));
	else
		check_set(check, CHECK_PASSED, "%s ended at %s.", found->id, utc_time(found->finished_at));
}

/* Judge the list, and find the newest backup in it.  "system_identifier" is 0 if it is not known. */
void
judge_catalog(Report *report, Catalog *catalog, uint64_t system_identifier, int64_t now)
{
	if (catalog->n_backups > 0)
		qsort(catalog->backups, (size_t) catalog->n_backups, sizeof(CatalogBackup), compare_backups);
	find_newest(catalog, system_identifier);
	judge_list(report, catalog);
	if (count_complete(catalog) > 0)
		judge_cluster(report, catalog, system_identifier);
	if (catalog->found == NULL)
		return;
	judge_newest(report, catalog, now);
	judge_chains(report, catalog);
	judge_clock(report, catalog->found, now);
}

/* A member that is left out where nothing is known of it */
static void
put_text(JsonWriter *w, const char *key, const char *value)
{
	if (value != NULL)
		json_text(w, key, value);
}

static void
put_count(JsonWriter *w, const char *key, int64_t value)
{
	if (value >= 0)
		json_integer(w, key, value);
}

static void
print_backup(JsonWriter *w, const CatalogBackup *backup)
{
	json_text(w, "id", backup->id);
	put_text(w, "type", backup->type);
	put_text(w, "prior", backup->prior);
	put_text(w, "started_at", utc_time(backup->started_at));
	put_text(w, "finished_at", utc_time(backup->finished_at));
	put_count(w, "size_bytes", backup->size);
	put_count(w, "stored_bytes", backup->stored);
	put_text(w, "status", backup->status);
	put_text(w, "retention", backup->retention);
	if (backup->bad_pages)
		json_boolean(w, "error", true);
	put_text(w, "missing", backup->missing);
	put_text(w, "start_wal", backup->start_wal);
	put_text(w, "stop_wal", backup->stop_wal);
	put_text(w, "start_lsn", backup->start_lsn == 0 ? NULL : format_lsn(backup->start_lsn));
	put_text(w, "end_lsn", backup->stop_lsn == 0 ? NULL : format_lsn(backup->stop_lsn));
	put_count(w, "timeline", backup->timeline);
	put_text(w, "system_identifier", backup->system_identifier == 0 ? NULL : format("%" PRIu64, backup->system_identifier));
}

/* Members "backup", the newest, and "backups", the last of all. */
void
print_catalog(JsonWriter *w, const Catalog *catalog, int64_t now)
{
	const CatalogBackup *found = catalog->found;

	if (found != NULL)
	{
		json_open(w, "backup", '{');
		print_backup(w, found);
		json_integer(w, "age_seconds", found->finished_at > now ? 0 : now - found->finished_at);
		json_close(w, '}');
	}
	if (!catalog->named)
		return;
	json_integer(w, "n_backups", catalog->n_backups);
	json_boolean(w, "in_progress", catalog->in_progress);
	put_text(w, "last_wal", catalog->last_wal);
	json_open(w, "backups", '[');
	for (int i = catalog->n_backups > MAX_PRINTED ? catalog->n_backups - MAX_PRINTED : 0; i < catalog->n_backups; i++)
	{
		json_open(w, NULL, '{');
		print_backup(w, &catalog->backups[i]);
		json_close(w, '}');
	}
	json_close(w, ']');
}
