/*
 * src/agent/archive_backups.c
 *		What an archive says about the backups that need it.
 *
 * The server archives TTTTTTTTXXXXXXXXYYYYYYYY.ZZZZZZZZ.backup at the end of
 * each base backup, which says what WAL it needs but not whether it still
 * exists.  pgBackRest and Barman list those that do.
 */
#include "archive_backups.h"
#include "label.h"
#include "pgbackrest_info.h"

#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TEXT ((size_t) 16 << 20)
#define MAX_VALUE 65536
#define OPEN_FILE (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static ssize_t
read_descriptor(void *source, unsigned char *buffer, size_t size)
{
	return read(*(int *) source, buffer, size);
}

/* Does an open file begin as what pgBackRest, or OpenSSL, has encrypted? */
bool
is_encrypted(int fd)
{
	char		start[ENCRYPTED_MAGIC_SIZE];

	return pread(fd, start, sizeof(start), 0) == (ssize_t) sizeof(start) && memcmp(start, ENCRYPTED_MAGIC, sizeof(start)) == 0;
}

/* What a text is compressed with, by its first bytes or its name; a problem if that cannot be read here. */
static Compression
text_compression(const Archive *archive, int fd, const char *name, char **problem)
{
	unsigned char start[COMPRESSION_MAGIC_SIZE];
	ssize_t		got = pread(fd, start, sizeof(start), 0);
	Compression method = got < 0 ? COMPRESSION_NONE : compression_of_magic(start, (size_t) got);
	Compression named = compression_of_name(name, NULL);

	if (method == COMPRESSION_NONE && !compression_readable(named))
		method = named;
	if (is_encrypted(fd) || (archive->sealed && method != named))
		*problem = xstrdup("it is encrypted");
	else if (!compression_readable(method))
		*problem = format("it is compressed with %s, which cannot be read here", compression_name(method));
	return method;
}

/* All of an open file, decompressed if it is compressed; NULL with "problem" set, and "opaque" if that is of our making. */
static char *
read_text(const Archive *archive, int fd, const char *name, char **problem, bool *opaque)
{
	Compression method = text_compression(archive, fd, name, problem);
	Decompressor *d;
	ssize_t		got;
	char	   *text;

	*opaque = *problem != NULL;
	if (*opaque)
		return NULL;
	text = xmalloc(MAX_TEXT + 1);
	d = decompress_open(method, read_descriptor, &fd);
	got = decompress_read(d, (unsigned char *) text, MAX_TEXT + 1);
	if (got < 0 || decompress_problem(d) != NULL)
		*problem = xstrdup(decompress_problem(d));
	else if (got == MAX_TEXT + 1)
		*problem = xstrdup("it is too long");
	else if (memchr(text, '\0', (size_t) got) != NULL)
		*problem = xstrdup("it is no text");
	decompress_close(d);
	if (*problem != NULL)
	{
		free(text);
		return NULL;
	}
	text = xrealloc(text, (size_t) got + 1);
	text[got] = '\0';
	return text;
}

/*
 * The text of a file of the archive; NULL with "problem" set.  "opaque": there
 * need be nothing wrong with it, it is encrypted or compressed by what we do
 * not know.
 */
char *
read_archive_text(const Archive *archive, int dir, const char *name, char **problem, bool *opaque)
{
	int			fd = openat(dir, name, OPEN_FILE);
	struct stat st;
	char	   *text = NULL;

	*problem = NULL;
	*opaque = false;
	if (fd < 0 || fstat(fd, &st) != 0)
		*problem = errno == ELOOP ? xstrdup("it is a symbolic link") : xstrdup(describe_errno(errno));
	else if (!S_ISREG(st.st_mode))
		*problem = xstrdup("it is not a regular file");
	else
		text = read_text(archive, fd, name, problem, opaque);

	if (fd >= 0)
		close(fd);
	return text;
}

/* The backup that began there if the caller has named it, or NULL. */
static BackupWindow *
seen_backup(const Archive *archive, uint32_t timeline, uint64_t start)
{
	for (uint32_t i = 0; i < archive->n_windows; i++)
	{
		if (archive->windows[i].seen && archive->windows[i].timeline == timeline && archive->windows[i].start_lsn == start)
			return &archive->windows[i];
	}
	return NULL;
}

/*
 * Take the history of a backup, a file of that name, into the windows; false
 * if it makes no sense.
 */
bool
read_backup_history(Archive *archive, const char *name, const char *text)
{
	char		value[256];
	const char *rest;
	uint64_t	start;
	uint64_t	end;
	uint32_t	timeline;
	BackupWindow *window;

	if (!find_line(text, "START WAL LOCATION: ", value, sizeof(value)) || !parse_lsn(value, &rest, &start) ||
		!find_line(text, "STOP WAL LOCATION: ", value, sizeof(value)) || !parse_lsn(value, &rest, &end) ||
		strncmp(rest, " (file ", 7) != 0 || end < start)
		return false;
	timeline = timeline_of_name(format("%.24s", rest + 7));
	if (timeline == 0)
		return false;
	window = seen_backup(archive, timeline, start);
	if (window != NULL)
	{
		window->told = true;
		return true;
	}
	/* without ".backup" and what compressed it */
	window = add_window(archive, format("%.33s", name));
	window->timeline = timeline;
	window->start_lsn = start;
	window->end_lsn = end;
	/* "2026-11-24 15:00:01 UTC"; what another abbreviation means is not known */
	if (find_line(text, "STOP TIME: ", value, sizeof(value)) && strlen(value) > 4 &&
		(strcmp(value + strlen(value) - 4, " UTC") == 0 || strcmp(value + strlen(value) - 4, " GMT") == 0))
	{
		value[strlen(value) - 4] = '\0';
		window->ended_at = parse_utc(value);
	}
	return true;
}

/* One backup of pgBackRest's list; texts are NULL where it says nothing */
typedef struct ListedBackup
{
	char	   *start;
	char	   *stop;
	char	   *start_lsn;
	char	   *stop_lsn;
	int64_t		ended_at;		/* or -1 */
	bool		error;			/* bad page checksums when it was made */
} ListedBackup;

static const JsonField listed_fields[] = {
	{"backup-archive-start", FIELD_TEXT, offsetof(ListedBackup, start), NULL, NULL},
	{"backup-archive-stop", FIELD_TEXT, offsetof(ListedBackup, stop), NULL, NULL},
	{"backup-lsn-start", FIELD_TEXT, offsetof(ListedBackup, start_lsn), NULL, NULL},
	{"backup-lsn-stop", FIELD_TEXT, offsetof(ListedBackup, stop_lsn), NULL, NULL},
	{"backup-timestamp-stop", FIELD_SECONDS, offsetof(ListedBackup, ended_at), NULL, NULL},
	{"backup-error", FIELD_FLAG, offsetof(ListedBackup, error), NULL, NULL},
	{NULL, FIELD_TEXT, 0, NULL, NULL}
};

/* Where they go, and what is wrong with them */
typedef struct BackupList
{
	Archive    *archive;
	Check	   *check;
} BackupList;

static bool
read_listed(JsonReader *r, ListedBackup *backup)
{
	*backup = (ListedBackup)
	{
		.ended_at = -1
	};
	if (json_expect(r, JSON_OBJECT, "it is no object"))
		json_read_fields(r, listed_fields, backup);
	return r->error == NULL;
}

/* Take a backup of pgBackRest's list into the windows; false if it makes no sense. */
static bool
add_listed(Archive *archive, const char *id, const ListedBackup *backup)
{
	uint64_t	start;
	uint64_t	end;
	BackupWindow *window;

	if (backup->start == NULL && backup->start_lsn == NULL)
		return true;			/* made of a server that was down: needs no
								 * WAL */
	if (backup->stop == NULL || timeline_of_name(backup->stop) == 0 ||
		backup->start_lsn == NULL || !parse_lsn(backup->start_lsn, NULL, &start) ||
		backup->stop_lsn == NULL || !parse_lsn(backup->stop_lsn, NULL, &end) || end < start)
		return false;
	window = add_window(archive, id);
	window->listed = true;
	window->timeline = timeline_of_name(backup->stop);
	window->start_lsn = start;
	window->end_lsn = end;
	window->ended_at = backup->ended_at;
	if (backup->error)
		window->flaw = xstrdup("pgBackRest met bad page checksums when it made it");
	return true;
}

/* Take a line of backup.info, in the shape that read_info() calls. */
static const char *
take_listed(void *state, const char *section, const char *key, const char *value, size_t len)
{
	BackupList *list = state;
	ListedBackup backup;
	JsonReader	r;

	if (strcmp(section, "backup:current") != 0)
		return NULL;
	json_reader_open_text(&r, value, len, MAX_VALUE);
	if (!read_listed(&r, &backup) || !add_listed(list->archive, key, &backup))
		check_problem(list->check, key, "%s", r.error != NULL ? r.error : "it does not say what WAL it needs");
	json_reader_close(&r);
	return NULL;
}

/* pgBackRest's backup.info: a line of JSON for each backup in its section "backup:current". */
void
read_pgbackrest_backups(Archive *archive, Check *check)
{
	BackupList	list = {archive, check};
	const char *problem;
	InfoState	state = read_info(archive->backups, "backup.info", NULL, take_listed, &list, &problem);

	if (state == INFO_ENCRYPTED)
		archive->n_opaque_lists++;
	else if (state != INFO_WHOLE)
		check_problem(check, "backup.info", "%s", problem);
}

/* Barman's backup.info: lines "key=value". */
static void
read_barman_backup(Archive *archive, Check *check, const char *id, const char *path)
{
	char	   *problem;
	bool		opaque;
	char	   *text = read_archive_text(archive, archive->backups, path, &problem, &opaque);
	char		status[64];
	char		start[64];
	char		end[64];
	char		segment[64];
	char		time[64];
	uint64_t	start_lsn;
	uint64_t	end_lsn;

	if (text == NULL)
	{
		check_problem(check, path, "%s", problem);
		return;
	}
	if (!find_line(text, "status=", status, sizeof(status)) ||
		(strcmp(status, "DONE") != 0 && strcmp(status, "WAITING_FOR_WALS") != 0))
	{
		free(text);
		return;					/* in progress, or failed: no backup */
	}
	if (!find_line(text, "begin_xlog=", start, sizeof(start)) || !parse_lsn(start, NULL, &start_lsn) ||
		!find_line(text, "end_xlog=", end, sizeof(end)) || !parse_lsn(end, NULL, &end_lsn) || end_lsn < start_lsn ||
		!find_line(text, "end_wal=", segment, sizeof(segment)) || timeline_of_name(segment) == 0)
		check_problem(check, path, "it does not say what WAL it needs");
	else
	{
		BackupWindow *window = add_window(archive, id);

		window->listed = true;
		window->timeline = timeline_of_name(segment);
		window->start_lsn = start_lsn;
		window->end_lsn = end_lsn;
		if (find_line(text, "end_time=", time, sizeof(time)))
			window->ended_at = parse_utc(time);
	}
	free(text);
}

/* Barman lists a backup in base/ID/backup.info or, from 3.13 on, in meta/ID-backup.info. */
void
read_barman_backups(Archive *archive, Check *check)
{
	static const struct
	{
		const char *dir;
		const char *suffix;
	}			places[] = {{"base", "/backup.info"}, {"meta", "-backup.info"}};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
	{
		int			fd = openat(archive->backups, places[i].dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		DIR		   *stream = fd < 0 ? NULL : fdopendir(fd);
		struct dirent *entry;

		if (fd < 0 && errno != ENOENT)
			check_problem(check, places[i].dir, "%s", describe_errno(errno));
		while (stream != NULL && (entry = readdir(stream)) != NULL)
		{
			size_t		id = strspn(entry->d_name, "0123456789T");
			const char *rest = entry->d_name + id;
			char	   *path = format("%s/%s%s", places[i].dir, entry->d_name, i == 0 ? places[i].suffix : "");

			if (id > 0 && strcmp(rest, i == 0 ? "" : places[i].suffix) == 0 &&
				(faccessat(archive->backups, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT))
				read_barman_backup(archive, check, format("%.*s", (int) id, entry->d_name), path);
			free(path);
		}
		if (stream != NULL)
			closedir(stream);
	}
}
