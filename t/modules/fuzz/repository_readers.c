/*
 * t/modules/fuzz/repository_readers.c
 *		What backup tools keep in their repositories.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent_readers.h"

#include "../../../src/agent/archive_backups.h"
#include "../../../src/agent/pgbackrest_info.h"
#include "../../../src/agent/repository_files.h"

/* The directory of a repository, with a directory in it; to be called once for each. */
static int
open_repository(const char *name, const char *inner)
{
	int			dir = input_directory(name);

	(void) mkdirat(dir, inner, 0700);
	return dir;
}

/* Take the backups of a repository into windows: each of these says what WAL it needs. */
static void
read_backups(int dir, void (*read) (Archive *archive, Check *check))
{
	static Report report;
	static Archive archive;

	memset(&report, 0, sizeof(report));
	memset(&archive, 0, sizeof(archive));
	archive.backups = dir;
	read(&archive, report_check(&report, "backups"));
	for (uint32_t i = 0; i < archive.n_windows; i++)
	{
		const BackupWindow *window = &archive.windows[i];

		if (!window->listed || window->id == NULL || window->timeline == 0 || window->end_lsn < window->start_lsn)
			abort();
	}
}

/* The input as a file of pgBackRest's and, as it is seldom whole, again with the checksum that it should state as its copy. */
static void
put_info(int dir, const char *name, const uint8_t *data, size_t size)
{
	char	   *copy = format("%s.copy", name);
	FILE	   *out;
	FILE	   *in;
	InfoChecksum checksum;

	put_file(dir, name, data, size);
	put_file(dir, copy, data, size);
	in = fdopen(openat(dir, copy, O_RDONLY | O_CLOEXEC), "r");
	out = fdopen(openat(dir, copy, O_WRONLY | O_APPEND | O_CLOEXEC), "a");
	if (in == NULL || out == NULL)
		abort();
	(void) scan_info(in, NULL, NULL, &checksum);
	fprintf(out, "\n[backrest]\nbackrest-checksum=\"%s\"\n", checksum.computed);
	fclose(in);
	fclose(out);
}

/* The input as pgBackRest's list of backups. */
void
fuzz_pgbackrest_info(const uint8_t *data, size_t size)
{
	static int	dir = -1;

	if (dir < 0)
		dir = input_directory("pgbackrest_info");
	put_info(dir, "backup.info", data, size);
	read_backups(dir, read_pgbackrest_backups);
}

/* The input as Barman's description of a backup. */
void
fuzz_barman_info(const uint8_t *data, size_t size)
{
	static int	dir = -1;

	if (dir < 0)
		dir = open_repository("barman_info", "meta");
	put_file(dir, "meta/20260128T030000-backup.info", data, size);
	read_backups(dir, read_barman_backups);
}

/* The input as pgBackRest's manifest of a backup, and that as the one file of it that there is. */
void
fuzz_pgbackrest_manifest(const uint8_t *data, size_t size)
{
	static const Options options = {.level = "verify",.jobs = 1};
	static Report report;
	static int	dir = -1;

	if (dir < 0)
		dir = open_repository("pgbackrest_manifest", "20260128-030000F");
	memset(&report, 0, sizeof(report));
	put_info(dir, "20260128-030000F/backup.manifest", data, size);
	if (verify_pgbackrest_files(&report, &options, dir, "20260128-030000F") != NULL && report_failed(&report))
		abort();
}
