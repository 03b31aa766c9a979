/*
 * src/agent/pgbackrest_files.c
 *		The files of one backup in a repository of pgBackRest.
 *
 * backup.manifest lists them all with size and SHA-1, in whichever backup of
 * the chain they lie, as a file or as a stretch of a bundle of small ones.  So
 * one manifest is enough to verify a backup with all that it builds on.  What
 * is stored as changed blocks only (repo1-block) is not put together here, and
 * what is encrypted not read: it is counted, and the proof is less.
 */
#include "repository_files.h"
#include "decompress.h"
#include "digest.h"
#include "jobs.h"
#include "json.h"
#include "pgbackrest_info.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE ((size_t) 256 * 1024)
#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

/* A file as the manifest has it */
typedef struct RepositoryFile
{
	char	   *path;			/* of the cluster, "pg_data/..." */
	char	   *reference;		/* backup that holds it, NULL: this one */
	char	   *sha1;			/* NULL: of an empty file */
	int64_t		size;
	int64_t		stored;			/* bytes in the repository; -1: as many */
	int64_t		bundle;			/* number of the bundle, -1: a file of its own */
	int64_t		offset;			/* in that */
	int64_t		blocks;			/* of the map of changed blocks; -1: it is
								 * whole */
} RepositoryFile;

static const JsonField file_fields[] = {
	{"checksum", FIELD_TEXT, offsetof(RepositoryFile, sha1), NULL, NULL},
	{"reference", FIELD_TEXT, offsetof(RepositoryFile, reference), NULL, NULL},
	{"size", FIELD_COUNT, offsetof(RepositoryFile, size), NULL, NULL},
	{"repo-size", FIELD_COUNT, offsetof(RepositoryFile, stored), NULL, NULL},
	{"bni", FIELD_COUNT, offsetof(RepositoryFile, bundle), NULL, NULL},
	{"bno", FIELD_COUNT, offsetof(RepositoryFile, offset), NULL, NULL},
	{"bim", FIELD_COUNT, offsetof(RepositoryFile, blocks), NULL, NULL},
	{0}
};

typedef struct RepositoryBackup
{
	/* unchanging once the threads run */
	const Options *options;
	Backup		place;			/* only its directory, that of all backups */
	const char *id;
	RepositoryFile *files;
	uint32_t	n_files;
	uint64_t	bytes;			/* stored */
	bool		compressed;
	bool		gzip;			/* with that */
	bool		raw;			/* where that has zlib's header in bundles,
								 * and nothing in it tells what it is */
	bool		deep;
	Pace		pace;

	_Atomic uint32_t next;
	_Atomic uint64_t n_read;
	_Atomic uint64_t n_blocks;	/* files that are stored as blocks */
	_Atomic uint64_t n_opaque;	/* compressed by what we do not know */

	/* under the lock */
	pthread_mutex_t lock;
	Check	   *present;
	Check	   *contents;
} RepositoryBackup;

/* A stretch of a file, to be read from its start to its end */
typedef struct Stretch
{
	RepositoryBackup *backup;
	int			fd;
	off_t		at;
	uint64_t	left;
} Stretch;

/* Can it be the name of a backup's directory?  A stranger wrote it. */
static bool
is_backup_name(const char *name)
{
	return path_is_safe(name, strlen(name)) && strchr(name, '/') == NULL;
}

static void
__attribute__((format(printf, 4, 5)))
problem(RepositoryBackup *backup, Check *check, const RepositoryFile *file, const char *fmt,...)
{
	va_list		args;
	char	   *text;

	va_start(args, fmt);
	text = vformat(fmt, args);
	va_end(args);
	pthread_mutex_lock(&backup->lock);
	check_problem(check, file->path, "%s", text);
	pthread_mutex_unlock(&backup->lock);
	free(text);
}

/* One line of the section of files; NULL, or what is wrong with it. */
static const char *
add_file(RepositoryBackup *backup, const char *path, const char *value, size_t len)
{
	RepositoryFile file = {.size = -1,.stored = -1,.bundle = -1,.blocks = -1};
	const char *error;
	JsonReader	r;

	json_reader_open_text(&r, value, len, 4096);
	if (json_expect(&r, JSON_OBJECT, "a line of it is no file"))
		json_read_fields(&r, file_fields, &file);
	error = r.error;
	json_reader_close(&r);
	if (error != NULL)
		return error;
	if (file.size < 0 || (file.size > 0 && (file.sha1 == NULL || strlen(file.sha1) != 40)) || file.offset < 0)
		return "a file lacks its size or checksum";
	if (!path_is_safe(path, strlen(path)) || (file.reference != NULL && !is_backup_name(file.reference)))
		return "a path leads out of the backup";
	file.path = xstrdup(path);
	if (file.stored < 0)
		file.stored = file.size;
	if ((backup->n_files & (backup->n_files - 1)) == 0)
		backup->files = xrealloc(backup->files, (backup->n_files == 0 ? 1 : backup->n_files * 2) * sizeof(RepositoryFile));
	backup->files[backup->n_files++] = file;
	backup->bytes += (uint64_t) file.stored;
	return NULL;
}

/* Take a line of the manifest, in the shape that read_info() calls. */
static const char *
take_line(void *state, const char *section, const char *key, const char *value, size_t len)
{
	RepositoryBackup *backup = state;

	if (strcmp(section, "target:file") == 0)
		return add_file(backup, key, value, len);
	if (strcmp(key, "option-compress-type") == 0)
	{
		backup->compressed = strcmp(value, "\"none\"") != 0;
		backup->gzip = strcmp(value, "\"gz\"") == 0;
	}
	else if (strcmp(key, "backup-bundle-raw") == 0)
		backup->raw = strcmp(value, "true") == 0;
	return NULL;
}

/* The manifest or, if that is not whole, its copy; NULL, or why it is of no use. */
static const char *
read_manifest(RepositoryBackup *backup, Check *check, InfoState *state)
{
	const char *problem;
	int			dir;

	if (!is_backup_name(backup->id))
		return "it cannot be the name of a backup";
	dir = openat(backup->place.dir, backup->id, OPEN_DIRECTORY);
	if (dir < 0)
		return describe_errno(errno);
	*state = read_info(dir, "backup.manifest", check, take_line, backup, &problem);
	close(dir);
	return problem == NULL && backup->n_files == 0 ? "it lists no file" : problem;
}

/* Check backup_manifest; true if the files are known from it. */
static bool
check_manifest(Report *report, RepositoryBackup *backup)
{
	Check	   *check = report_check(report, "backup_manifest");
	InfoState	state = INFO_DAMAGED;
	const char *problem = read_manifest(backup, check, &state);

	if (problem != NULL)
		check_set(check, state == INFO_ENCRYPTED ? CHECK_SKIPPED : CHECK_FAILED, "The manifest of %s cannot be used: %s.", backup->id, problem);
	else if (check->n_problems > 0)
		check_set(check, CHECK_WARNING, "Of the manifest of %s and its copy only one is whole.", backup->id);
	else
		check_set(check, CHECK_PASSED, "The manifest of %s and its copy have the checksums that they state.", backup->id);
	return problem == NULL;
}

/* Open what holds a file, and tell how that is compressed; -1 with errno set. */
static int
open_stored(RepositoryBackup *backup, const RepositoryFile *file, LastDirectory *last, Compression *method)
{
	static const struct
	{
		const char *suffix;
		Compression method;
	}			suffixes[] = {
		{"", COMPRESSION_NONE}, {".pgbi", COMPRESSION_NONE}, {".gz", COMPRESSION_GZIP}, {".lz4", COMPRESSION_LZ4}, {".zst", COMPRESSION_ZSTD},
		{".bz2", COMPRESSION_BZIP2}
	};
	const char *holder = file->reference != NULL ? file->reference : backup->id;
	int			fd = -1;

	*method = COMPRESSION_NONE;
	if (file->bundle >= 0)
	{
		unsigned char start[COMPRESSION_MAGIC_SIZE];
		char	   *path = format("%s/bundle/%" PRId64, holder, file->bundle);
		ssize_t		got;

		fd = open_file(&backup->place, backup->options, last, path);
		free(path);
		got = fd < 0 ? 0 : pread(fd, start, sizeof(start), (off_t) file->offset);
		if (backup->raw && backup->gzip)
			*method = COMPRESSION_GZIP;
		else if (backup->compressed && got > 0)
			*method = compression_of_magic(start, (size_t) got);
		return fd;
	}
	for (size_t i = 0; fd < 0 && i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
	{
		char	   *path = format("%s/%s%s", holder, file->path, suffixes[i].suffix);

		fd = open_file(&backup->place, backup->options, last, path);
		*method = suffixes[i].method;
		free(path);
		if (fd < 0 && errno != ENOENT)
			break;
	}
	return fd;
}

static ssize_t
read_stretch(void *source, unsigned char *buffer, size_t size)
{
	Stretch    *stretch = source;
	size_t		want = stretch->left < size ? (size_t) stretch->left : size;
	ssize_t		got;

	pace_wait(&stretch->backup->pace, want);
	got = want == 0 ? 0 : pread(stretch->fd, buffer, want, stretch->at);
	if (got > 0)
	{
		stretch->at += got;
		stretch->left -= (uint64_t) got;
		stretch->backup->pace.done += (uint64_t) got;
	}
	return got;
}

/* Read a file that is open and compare it with the manifest. */
static void
read_contents(RepositoryBackup *backup, const RepositoryFile *file, int fd, Compression method, unsigned char *buffer, Digest *digest)
{
	Stretch		stretch = {.backup = backup,.fd = fd,.at = (off_t) file->offset,.left = (uint64_t) file->stored};
	unsigned char result[MAX_DIGEST_SIZE];
	char		text[2 * MAX_DIGEST_SIZE + 1] = "";
	Decompressor *d;
	uint64_t	size = 0;
	ssize_t		got;

	if (!compression_readable(method))
	{
		backup->n_opaque++;
		return;
	}
	d = decompress_open(method, read_stretch, &stretch);
	(void) digest_begin(digest, DIGEST_SHA1);
	while ((got = decompress_read(d, buffer, READ_SIZE)) > 0 && size <= (uint64_t) file->size)
	{
		size += (uint64_t) got;
		(void) digest_add(digest, buffer, (size_t) got);
	}
	if (digest_end(digest, result))
		digest_text(DIGEST_SHA1, result, text);
	if (got < 0 || decompress_problem(d) != NULL)
		problem(backup, backup->contents, file, "%s", decompress_problem(d) != NULL ? decompress_problem(d) : "cannot be read");
	else if (size != (uint64_t) file->size)
		problem(backup, backup->contents, file, "holds %s%" PRIu64 " bytes, not %" PRId64, size > (uint64_t) file->size ? "more than " : "",
				size > (uint64_t) file->size ? (uint64_t) file->size : size, file->size);
	else if (file->size > 0 && strcmp(text, file->sha1) != 0)
		problem(backup, backup->contents, file, "has SHA-1 %s, not %s", text, file->sha1);
	else
		backup->n_read++;
	decompress_close(d);
	(void) posix_fadvise(fd, (off_t) file->offset, (off_t) file->stored, POSIX_FADV_DONTNEED);
}

/* Is one file there, as long as the manifest says, and with level verify as it was? */
static void
look_at_file(RepositoryBackup *backup, const RepositoryFile *file, LastDirectory *last, unsigned char *buffer, Digest *digest)
{
	Compression method;
	struct stat st;
	int			fd = open_stored(backup, file, last, &method);
	uint64_t	end = (uint64_t) file->offset + (uint64_t) file->stored;

	if (fd < 0 && errno == ENOENT && file->size == 0 && file->bundle < 0)
		return;					/* where there are bundles, empty files are
								 * not stored */
	if (fd < 0 || fstat(fd, &st) != 0)
		problem(backup, backup->present, file, "%s%s", errno == ENOENT ? "missing" : describe_errno(errno),
				file->reference != NULL ? format(", in %s", file->reference) : "");
	else if (!S_ISREG(st.st_mode))
		problem(backup, backup->present, file, "is no regular file");
	else if (file->bundle >= 0 ? (uint64_t) st.st_size < end : file->size > 0 && (uint64_t) st.st_size != end)
		problem(backup, backup->present, file, "has %" PRIu64 " bytes stored, not %" PRIu64, (uint64_t) st.st_size, end);
	else if (file->blocks >= 0)
		backup->n_blocks++;
	else if (backup->deep && file->size > 0)
		read_contents(backup, file, fd, method, buffer, digest);
	if (fd >= 0)
		close(fd);
}

/* In the shape that run_jobs() calls. */
static void *
look_at_files(void *argument)
{
	RepositoryBackup *backup = argument;
	LastDirectory last = {0};
	Digest		digest = {0};
	unsigned char *buffer = xmalloc(READ_SIZE);
	uint32_t	i;

	while ((i = backup->next++) < backup->n_files)
		look_at_file(backup, &backup->files[i], &last, buffer, &digest);
	close_last_directory(&last);
	digest_free(&digest);
	free(buffer);
	return NULL;
}

static void
conclude(RepositoryBackup *backup)
{
	Check	   *present = backup->present;
	Check	   *contents = backup->contents;

	check_conclude(present, format("All %s that the manifest of %s lists are there with their sizes.",
								   count_of(backup->n_files, "file", "files"), backup->id),
				   "file is", "files are", "missing or has another size.");
	if (contents != NULL)
		check_conclude(contents, format("%s not empty have the SHA-1 that the manifest states%s%s.", count_of(backup->n_read, "file", "files"),
										backup->n_blocks == 0 ? "" :
										format("; %s stored as changed blocks and not read", count_of(backup->n_blocks, "is", "are")),
										backup->n_opaque == 0 ? "" :
										format("; %s compressed in a way that cannot be read here", count_of(backup->n_opaque, "is", "are"))),
					   "file is", "files are", "not as it was when it was backed up.");
}

/*
 * Checks backup_manifest, backup_files and, with level verify, backup_contents,
 * of a backup in the open directory "backups" of a stanza; what was shown, or
 * NULL.
 */
const char *
verify_pgbackrest_files(Report *report, const Options *options, int backups, const char *id)
{
	RepositoryBackup backup = {
		.options = options,
		.place = {.dir = backups},
		.id = id,
		.deep = strcmp(options->level, "verify") == 0,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};

	if (!check_manifest(report, &backup))
		return NULL;
	backup.present = report_check(report, "backup_files");
	if (backup.deep)
		backup.contents = report_check(report, "backup_contents");
	pace_start(&backup.pace, options, backup.bytes);
	run_jobs(options, &backup.pace, backup.n_files, look_at_files, &backup);
	conclude(&backup);
	if (backup.present->n_problems > 0 || (backup.contents != NULL && backup.contents->n_problems > 0))
		return NULL;
	return backup.deep && backup.n_blocks == 0 && backup.n_opaque == 0 ? "checksummed" : "present";
}
