/*
 * src/agent/chain.c
 *		The backups that an incremental one builds on, back to a full one.
 *
 * pg_combinebackup makes a whole backup of all of them, so each must be there,
 * belong to the next and be intact itself, and each file of which one holds
 * changed pages only must be whole in an older one.  Of the WAL only the newest
 * one's is needed: a page of an older one that was torn while that was taken is
 * in the next one again, as everything is that WAL since its start names.
 */
#include "contents.h"
#include "incremental.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CHAIN 1000
#define MAX_NAMES 8				/* in a sentence */

/* State of the walk from the newest to the oldest. */
typedef struct Chain
{
	Backup	   *newest;
	Options		options;		/* with which each is read */
	const Place *places;
	int			n_places;
	Check	   *check;			/* backup_chain */
	Check	   *priors;			/* prior_backups */

	uint32_t   *pending;		/* numbers of files that no backup so far has
								 * whole */
	uint32_t	n_pending;
	bool		lost;			/* a manifest could not be read, so that
								 * nothing more is known of them */
	bool		other_checksums;	/* one has no data checksums, the newest
									 * has */
	char	   *missing;		/* sentence about the one that is not there,
								 * or NULL */
	bool		gone;			/* it was looked for */
	bool		unproven;		/* some contents could be compared with
								 * nothing */
} Chain;

/* What fails only the backup itself, and not what builds on it */
static const char *const own_checks[] = {
	"wal_segments", "wal_records", "backup_found", "clock_skew", "backup_chain", "prior_backups"
};

static bool
is_own(const char *check)
{
	for (size_t i = 0; i < sizeof(own_checks) / sizeof(own_checks[0]); i++)
	{
		if (strcmp(check, own_checks[i]) == 0)
			return true;
	}
	return false;
}

/* Can nothing that builds on the backup with this report be restored? */
static bool
is_damaged(const Report *report)
{
	for (int i = 0; i < report->n_checks; i++)
	{
		if (report->checks[i].result == CHECK_FAILED && !is_own(report->checks[i].name))
			return true;
	}
	return false;
}

/* Where a backup starts, as its label or, failing that, its manifest says */
static BackupStart
start_of(const Backup *backup)
{
	BackupStart start = backup->label.start;

	if (!backup->label.known && backup->manifest_read && backup->manifest.n_ranges > 0)
	{
		start.lsn = manifest_start_lsn(&backup->manifest);
		start.timeline = backup->manifest.ranges[backup->manifest.n_ranges - 1].timeline;
	}
	return start;
}

/* Does a backup hold, or say that it holds, less than a whole cluster? */
bool
is_chained(const Backup *backup)
{
	return backup->label.prior.lsn != 0 || (!backup->label.known && backup->incremental.n > 0);
}

/* Note a backup as the next one of the chain. */
static void
add_link(Backup *newest, const Backup *backup, bool broken)
{
	newest->chain = xrealloc(newest->chain, (size_t) (newest->n_chain + 1) * sizeof(ChainLink));
	newest->chain[newest->n_chain++] = (ChainLink)
	{
		.id = backup->id == NULL ? NULL : xstrdup(backup->id),
			.start = start_of(backup),
			.read = backup->manifest_read,
			.full = !is_chained(backup),
			.finished_at = backup->manifest_read ? backup->manifest.newest : NO_TIME,
			.size = backup->manifest.total_size,
			.broken = broken,
	};
}

/* Does the label say of the backup's start what the manifest says?  If not, "check" does. */
static void
check_start(Check *check, const Backup *backup)
{
	const Manifest *manifest = &backup->manifest;
	const WalRange *first = manifest->n_ranges == 0 ? NULL : &manifest->ranges[manifest->n_ranges - 1];

	if (!backup->manifest_read || first == NULL || !backup->label.known)
		return;
	if (first->start_lsn != backup->label.start.lsn || first->timeline != backup->label.start.timeline)
		check_problem(check, backup->id, "starts at %s on timeline %" PRIu32 " according to backup_label, at %s on timeline %" PRIu32
					  " according to its manifest", format_lsn(backup->label.start.lsn), backup->label.start.timeline,
					  format_lsn(first->start_lsn), first->timeline);
}

/* Which files of the newest backup are to be found in older ones */
static void
list_pending(Chain *chain)
{
	const Manifest *manifest = &chain->newest->manifest;

	for (uint32_t i = 0; i < manifest->n_files; i++)
	{
		if (!is_incremental(manifest_file (manifest, i)->path))
			continue;
		if ((chain->n_pending & (chain->n_pending - 1)) == 0)
			chain->pending = xrealloc(chain->pending, (chain->n_pending == 0 ? 1 : 2 * chain->n_pending) * sizeof(uint32_t));
		chain->pending[chain->n_pending++] = i;
	}
}

/* Look for the pending files in an older backup: what it has whole is pending no longer. */
static void
find_pending(Chain *chain, const Backup *backup, bool full)
{
	uint32_t	left = 0;

	for (uint32_t i = 0; i < chain->n_pending; i++)
	{
		const char *path = manifest_file (&chain->newest->manifest, chain->pending[i])->path;
		char	   *whole = path_of_whole(path);

		if (manifest_find(&backup->manifest, whole) != NULL)
			;
		else if (!full && manifest_find(&backup->manifest, path) != NULL)
			chain->pending[left++] = chain->pending[i];
		else
			check_problem(chain->check, path, "has no file to start from: \"%s\" lists no %s", backup->id, whole);
		free(whole);
	}
	chain->n_pending = left;
}

/* Take over what is wrong with an older backup. */
static void
take_problems(Chain *chain, const Backup *backup, const Report *report)
{
	for (int i = 0; i < report->n_checks; i++)
	{
		const Check *check = &report->checks[i];
		char	   *detail;

		if (check->result != CHECK_FAILED || is_own(check->name))
			continue;
		for (int j = 0; j < check->n_items; j++)
		{
			char	   *path = format("%s/%s", backup->id, check->items[j].path);

			check_problem(chain->priors, path, "%s", check->items[j].problem);
			free(path);
		}
		if (check->n_problems > 0)
			chain->priors->n_problems += check->n_problems - (uint64_t) check->n_items;
		if (check->n_items > 0)
			continue;
		detail = xstrdup(check->detail);
		detail[strlen(detail) - 1] = '\0';	/* the period */
		check_problem(chain->priors, backup->id, "%s: %s", check->name, detail);
		free(detail);
	}
}

/* Does an older backup belong to the same cluster as the newest? */
static void
compare_clusters(Chain *chain, const Backup *backup)
{
	const Backup *newest = chain->newest;

	if (backup->server_version != NULL && newest->server_version != NULL &&
		strcmp(backup->server_version, newest->server_version) != 0)
		check_problem(chain->priors, backup->id, "is of PostgreSQL %s, not %s", backup->server_version, newest->server_version);
	if (backup->layout.known && newest->layout.known &&
		(backup->layout.page_size != newest->layout.page_size || backup->layout.segment_pages != newest->layout.segment_pages))
		check_problem(chain->priors, backup->id, "has pages or files of another size");
	chain->other_checksums |= backup->layout.known && backup->layout.checksum_version == 0 &&
		newest->layout.known && newest->layout.checksum_version != 0;
}

/* Look at one older backup, which is open; closes it. */
static void
verify_link(Chain *chain, Backup *backup)
{
	Report	   *report = xmalloc(sizeof(Report));
	uint64_t	problems = chain->priors->n_problems;

	memset(report, 0, sizeof(*report));
	read_backup(report, backup, &chain->options);
	take_problems(chain, backup, report);
	compare_clusters(chain, backup);
	check_start(chain->priors, backup);
	chain->lost |= !backup->manifest_read;
	if (!chain->lost)
		find_pending(chain, backup, !is_chained(backup));
	add_link(chain->newest, backup, chain->priors->n_problems > problems);
	report_proof(report);
	chain->unproven |= report->unproven;

	manifest_free(&backup->manifest);
	close(backup->dir);
	for (int i = 0; i < report->n_checks; i++)
		free(report->checks[i].detail);
	free(report);
}

/* The one that should come next is not there. */
static void
note_missing(Chain *chain, const char *id, BackupStart start)
{
	Backup		nothing = {.label = {.known = true,.start = start}};

	add_link(chain->newest, &nothing, true);
	chain->gone = chain->n_places > 0;
	check_problem(chain->check, id, "builds on a backup that starts at %s on timeline %" PRIu32 ", which %s",
				  format_lsn(start.lsn), start.timeline, chain->gone ? "is not there" : "was not looked for");
	chain->missing = !chain->gone ?
		xstrdup("The backup that this one builds on was not looked for. Name the directory that holds both, or that one with --prior.") :
		format("The backup that \"%s\" builds on, from %s on timeline %" PRIu32 ", is not there.", id, format_lsn(start.lsn), start.timeline);
}

/* The newest of the chain that can be restored all the same, or NULL */
static const ChainLink *
restorable(const Backup *newest)
{
	const ChainLink *best = NULL;

	for (int i = newest->n_chain - 1; i >= 0 && !newest->chain[i].broken; i--)
		best = i > 0 ? &newest->chain[i] : NULL;
	return newest->chain[newest->n_chain - 1].full ? best : NULL;
}

/* The names of those that the newest builds on, the full one first; of many not all. */
static char *
name_priors(const Backup *newest)
{
	char	   *names = xstrdup("");
	int			left_out = newest->n_chain - 1 - MAX_NAMES;

	for (int i = newest->n_chain - 1; i > 0; i--)
	{
		char	   *longer = format("%s%s\"%s\"", names, *names == '\0' ? "" : ", ", newest->chain[i].id);

		free(names);
		names = longer;
		if (left_out > 0 && i == newest->n_chain - MAX_NAMES / 2)
		{
			longer = format("%s, %d more", names, left_out);
			free(names);
			names = longer;
			i -= left_out;
		}
	}
	return names;
}

/* Sentences of both checks. */
static void
conclude(Chain *chain)
{
	const Backup *newest = chain->newest;
	const ChainLink *left = restorable(newest);
	char	   *rest = left == NULL ? xstrdup("nothing of this chain can be restored") :
		format("of this chain, \"%s\" can be restored", left->id);

	if (chain->missing != NULL || chain->check->n_problems > 0)
		chain->newest->chain[0].broken = true;
	if (chain->missing != NULL)
		check_set(chain->check, CHECK_FAILED, "%s%s", chain->missing,
				  chain->gone ? format(" Put it back or take a new full backup; %s.", rest) : "");
	else if (chain->check->n_problems > 0)
		check_set(chain->check, CHECK_FAILED, "This backup and those that it builds on do not fit together. Take a new full backup.");
	else if (chain->lost)
		check_set(chain->check, CHECK_SKIPPED, "A manifest could not be read, so whether the backups fit together is not known.");
	else
		check_set(chain->check, CHECK_PASSED, "This incremental backup builds on %s: %s.",
				  count_of((uint64_t) newest->n_chain - 1, "backup", "backups"), name_priors(newest));

	if (chain->priors->n_problems > 0)
		check_set(chain->priors, CHECK_FAILED, "%s in backups that this one builds on. Take a new full backup; %s.",
				  count_of(chain->priors->n_problems, "thing is wrong", "things are wrong"), rest);
	else if (newest->n_chain == 1 || (newest->n_chain == 2 && chain->missing != NULL))
		check_set(chain->priors, CHECK_SKIPPED, "There is none to look at.");
	else if (chain->other_checksums)
		check_set(chain->priors, CHECK_WARNING, "Only some backups of the chain have data checksums: disable and enable them again in what pg_combinebackup makes, before it is started.");
	else
		check_set(chain->priors, CHECK_PASSED, "Those that it builds on are intact, as far as this level looks.");
}

/*
 * Checks backup_chain and prior_backups of an incremental backup, which has
 * been read; for any backup, what the document says of its place in a chain.
 */
void
verify_chain(Report *report, Backup *backup, const Options *options, const Place *places, int n_places)
{
	Chain		chain = {.newest = backup,.options = *options,.places = places,.n_places = n_places};
	BackupStart next = backup->label.prior;
	Backup		prior;

	/*
	 * what level status finds it looks for again, in whatever builds on this
	 * one
	 */
	add_link(backup, backup, strcmp(options->level, "verify") == 0 && is_damaged(report));
	if (!is_chained(backup))
		return;
	chain.check = report_check(report, "backup_chain");
	chain.priors = report_check(report, "prior_backups");
	if (backup->control_read)
		chain.options.system_identifier = backup->system_identifier;
	chain.lost = !backup->manifest_read;
	if (!chain.lost)
		list_pending(&chain);
	check_start(chain.check, backup);
	if (!backup->label.known)
		chain.missing = format("Which backup this one builds on is not known, as backup_label is of no use: %s. Take a new full backup.", backup->label_problem);

	for (const char *id = backup->id; next.lsn != 0 && chain.missing == NULL; id = backup->chain[backup->n_chain - 1].id)
	{
		memset(&prior, 0, sizeof(prior));
		prior.now = backup->now;
		if (backup->n_chain == MAX_CHAIN || !find_prior(places, n_places, backup, next, &prior))
			note_missing(&chain, id, next);
		else
		{
			next = prior.label.prior;
			verify_link(&chain, &prior);
		}
	}
	conclude(&chain);
	report->unproven |= chain.unproven;
	free(chain.pending);
}
