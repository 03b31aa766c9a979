/*
 * src/agent/catalog_walg.c
 *		What WAL-G says: backup-list --detail --json.
 *
 * An array of backups, each with what its sentinel says; WAL-G writes that last,
 * so whatever is listed is complete.  A delta backup is named
 * base_SEGMENT_D_SEGMENT, after its own start and that of the one on which it
 * builds.
 */
#include "catalog.h"

#include <stdlib.h>
#include <string.h>

static const JsonField fields[] = {
	{"backup_name", FIELD_TEXT, BACKUP(id), NULL, NULL},
	{"wal_file_name", FIELD_TEXT, BACKUP(start_wal), NULL, NULL},
	{"start_time", FIELD_TIME, BACKUP(started_at), NULL, NULL},
	{"finish_time", FIELD_TIME, BACKUP(finished_at), NULL, NULL},
	{"start_lsn", FIELD_LSN, BACKUP(start_lsn), NULL, NULL},
	{"finish_lsn", FIELD_LSN, BACKUP(stop_lsn), NULL, NULL},
	{"system_identifier", FIELD_IDENTIFIER, BACKUP(system_identifier), NULL, NULL},
	{"uncompressed_size", FIELD_COUNT, BACKUP(size), NULL, NULL},
	{"compressed_size", FIELD_COUNT, BACKUP(stored), NULL, NULL},
	{0}
};

#define PREFIX "base_"
#define DELTA "_D_"

static int
arguments(const char **argv, int run, const char *config, const char *name)
{
	int			n = 1;

	argv[n++] = "--config";
	argv[n++] = format("%s/%s", config == NULL ? "" : config, name);
	argv[n++] = "backup-list";
	argv[n++] = "--detail";
	argv[n++] = "--json";
	return n;
}

/* The backup that begins in a segment, or its name as a full one if it is not listed. */
static char *
backup_of_segment(const Catalog *catalog, const char *segment)
{
	size_t		len = strlen(PREFIX) + strlen(segment);
	char	   *full = format("%s%s", PREFIX, segment);

	for (int i = 0; i < catalog->n_backups; i++)
	{
		const char *id = catalog->backups[i].id;

		if (strncmp(id, full, len) == 0 && (id[len] == '\0' || strncmp(id + len, DELTA, strlen(DELTA)) == 0))
			return xstrdup(id);
	}
	return full;
}

static void
read_backup(JsonReader *r, JsonToken token, Catalog *catalog)
{
	CatalogBackup *backup = read_catalog_backup(r, token, catalog, fields);

	if (r->error == NULL && (backup->id == NULL || backup->finished_at < 0))
		json_fail(r, "a backup lacks its name or time");
	backup->complete = true;
	backup->timeline = catalog_timeline(backup->start_wal);
}

/* What a backup's name says. */
static void
take_name(const Catalog *catalog, CatalogBackup *backup)
{
	const char *delta = strstr(backup->id, DELTA);

	backup->type = xstrdup(delta == NULL ? "full" : "incr");
	if (delta == NULL)
		return;

	/*
	 * its size is that of the difference, which no other can be compared with
	 */
	backup->prior = backup_of_segment(catalog, delta + strlen(DELTA));
	backup->size = -1;
}

static const char *
read_backups(Catalog *catalog, const ProgramOutput *outputs)
{
	const char *problem = read_catalog_array(catalog, outputs, read_backup);

	for (int i = 0; problem == NULL && i < catalog->n_backups; i++)
		take_name(catalog, &catalog->backups[i]);
	catalog->named = true;
	return problem;
}

const CatalogTool walg_tool = {
	.name = "walg",
	.title = "WAL-G",
	.noun = "configuration",
	.runs = 1,
	.arguments = arguments,
	.read = read_backups,
	.layout = "flat",
	.place = "wal_005",
};
