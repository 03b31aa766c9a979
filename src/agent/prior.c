/*
 * src/agent/prior.c
 *		Which backup does an incremental one build on?
 *
 * It says where in WAL that one starts, which no two backups of a cluster share.
 * So the names of directories mean nothing, and a backup that was moved or
 * renamed is found.  Of several that start there one with a manifest goes
 * before one without, one of the same cluster before another cluster's, a full
 * one, as pg_combinebackup makes it of an incremental one, before that, and
 * then the name that sorts first.
 */
#include "backup.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
#define HEAD_SIZE 256			/* of a manifest, in which it names its
								 * cluster */

/* State of a search. */
typedef struct Search
{
	BackupStart start;			/* what is looked for */
	uint64_t	system_identifier;	/* preferred */

	/* the best so far */
	int			dir;			/* -1: none */
	int			rank;
	char	   *path;
} Search;

/* How good a candidate is */
static int
rank_of(const Search *search, int dir, bool full)
{
	static const char name[] = "\"System-Identifier\": ";
	char		head[HEAD_SIZE + 1];
	char	   *problem;
	ssize_t		got = read_small(dir, "backup_manifest", head, HEAD_SIZE, &problem);
	const char *at;

	free(problem);
	if (got < 0)
		return full;
	head[got] = '\0';
	at = strstr(head, name);
	return (at != NULL && strtoull(at + sizeof(name) - 1, NULL, 10) == search->system_identifier ? 4 : 2) + full;
}

/* Consider an open directory, which is then the search's or closed. */
static void
consider(Search *search, int dir, char *path)
{
	BackupLabel label;
	char	   *problem = read_label(dir, &label);
	int			rank;

	free(problem);
	if (label.known && same_start(label.start, search->start))
	{
		rank = rank_of(search, dir, label.prior.lsn == 0);
		if (search->dir < 0 || rank > search->rank || (rank == search->rank && strcmp(path, search->path) < 0))
		{
			if (search->dir >= 0)
				close(search->dir);
			free(search->path);
			search->dir = dir;
			search->rank = rank;
			search->path = path;
			return;
		}
	}
	close(dir);
	free(path);
}

/* Consider what lies in a directory of backups. */
static void
consider_all(Search *search, const Place *place)
{
	DIR		   *stream = fdopendir(openat(place->dir, ".", OPEN_DIRECTORY));
	struct dirent *entry;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
	{
		int			dir = entry->d_name[0] == '.' ? -1 : openat(place->dir, entry->d_name, OPEN_DIRECTORY);

		if (dir >= 0)
			consider(search, dir, path_below(place->path, entry->d_name));
	}
	if (stream != NULL)
		closedir(stream);
}

/*
 * Find the backup with that start, on which "backup" builds, in the places;
 * then "prior" is open, with its label.  False if there is none.
 */
bool
find_prior(const Place *places, int n_places, const Backup *backup, BackupStart start, Backup *prior)
{
	Search		search = {
		.start = start,
		.system_identifier = backup->control_read ? backup->system_identifier : backup->manifest.system_identifier,
		.dir = -1,
	};

	for (int i = 0; i < n_places; i++)
	{
		if (holds_backup(places[i].dir))
			consider(&search, openat(places[i].dir, ".", OPEN_DIRECTORY), xstrdup(places[i].path));
		else
			consider_all(&search, &places[i]);
	}
	if (search.dir < 0)
		return false;
	name_backup(prior, search.dir, search.path);
	free(search.path);
	return true;
}
