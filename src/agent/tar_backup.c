/*
 * src/agent/tar_backup.c
 *		Base backups in tar format: pg_basebackup --format=tar.
 *
 * The archives are read from their starts to their ends and never unpacked: of
 * each member digest, pages and WAL are looked at as it comes by.  pg_control,
 * which says how large pages are, is the last member, so they are taken to have
 * their usual size until then; where they have not, they are not judged.
 *
 * At level "status" the members of an uncompressed archive are stepped over; a
 * compressed one is not read.
 */
#include "tar_backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jobs.h"
#include "reader.h"

#define MAX_ARCHIVES 200		/* each is an open descriptor */

/* How nearly every server is built */
static const Layout usual_layout = {.known = true,.page_size = 8192,.segment_pages = 131072};

/* State of the reading. */
typedef struct TarBackup
{
	Report	   *report;
	Backup	   *backup;
	const Options *options;
	bool		deep;			/* level "verify" */
	Pace		pace;
	Reader		reader;
	Archive		archives[MAX_ARCHIVES];
	uint32_t	n_archives;
	TarSegments segments;

	Check	   *readable;		/* archives */
	Check	   *sizes;
	Check	   *extra;
	Check	   *types;
	Check	   *checksums;
	Check	   *changed;
	uint32_t	matching;		/* files that have the checksum that they
								 * should */
	uint32_t	unread;			/* archives of whose members we know nothing */

	/* what was met of these */
	char		version[16];
	unsigned char control[CONTROL_FILE_SIZE + 1];
	ssize_t		control_len;	/* -1: nothing */
} TarBackup;

/* What the members of an archive of this name belong to, as a prefix of their paths; NULL: it is none of ours. */
static char *
prefix_of(const char *name)
{
	size_t		stem;
	size_t		digits = strspn(name, "0123456789");

	(void) compression_of_name(name, &stem);
	if (stem < 5 || strncmp(name + stem - 4, ".tar", 4) != 0)
		return NULL;
	stem -= 4;
	if (stem == 4 && strncmp(name, "base", 4) == 0)
		return xstrdup("");
	if (stem == 6 && strncmp(name, "pg_wal", 6) == 0)
		return xstrdup("pg_wal/");
	if (stem == digits && name[0] != '0' && digits <= 10)
		return format("pg_tblspc/%.*s/", (int) digits, name);
	return NULL;
}

/* Open one archive; what cannot be opened is a problem. */
static void
add_archive(TarBackup *tar, const char *name)
{
	Archive    *archive = &tar->archives[tar->n_archives];
	char	   *prefix = prefix_of(name);
	struct stat st;

	if (prefix == NULL)
		return;
	if (tar->n_archives == MAX_ARCHIVES)
	{
		check_problem(tar->readable, name, "not read: there are more than %d archives", MAX_ARCHIVES);
		tar->unread++;
		return;
	}
	archive->fd = openat(tar->backup->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (archive->fd < 0 || fstat(archive->fd, &st) != 0)
		check_problem(tar->readable, name, "%s", errno == ELOOP ? "is a symbolic link" :
					  format("unreadable: %s", describe_errno(errno)));
	else if (!S_ISREG(st.st_mode))
		check_problem(tar->readable, name, "is not a regular file");
	else if (st.st_size == 0)
		check_problem(tar->readable, name, "is empty");
	else
	{
		archive->name = xstrdup(name);
		archive->prefix = prefix;
		archive->compression = compression_of_name(name, NULL);
		archive->size = (uint64_t) st.st_size;
		tar->n_archives++;
		return;
	}
	tar->unread++;
	if (archive->fd >= 0)
		close(archive->fd);
	free(prefix);
}

static int
compare_archives(const void *a, const void *b)
{
	return strcmp(((const Archive *) a)->name, ((const Archive *) b)->name);
}

/* Open all archives, and the sum of their sizes. */
static uint64_t
open_archives(TarBackup *tar)
{
	DIR		   *stream = fdopendir(openat(tar->backup->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;
	uint64_t	size = 0;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
		add_archive(tar, entry->d_name);
	if (stream != NULL)
		closedir(stream);
	if (tar->n_archives > 0)
		qsort(tar->archives, tar->n_archives, sizeof(Archive), compare_archives);
	for (uint32_t i = 0; i < tar->n_archives; i++)
		size += tar->archives[i].size;
	return size;
}

static void
close_archives(TarBackup *tar)
{
	for (uint32_t i = 0; i < tar->n_archives; i++)
	{
		close(tar->archives[i].fd);
		free(tar->archives[i].name);
		free(tar->archives[i].prefix);
	}
	free(tar->segments.items);
}

/* The member's path in the backup, or NULL if it leads elsewhere. */
static char *
path_of(const Archive *archive, const char *member)
{
	while (member[0] == '/' || (member[0] == '.' && member[1] == '/'))
		member += member[0] == '/' ? 1 : 2;
	if (strcmp(member, "..") == 0 || strncmp(member, "../", 3) == 0 || strstr(member, "/../") != NULL ||
		(strlen(member) >= 3 && strcmp(member + strlen(member) - 3, "/..") == 0))
		return NULL;
	return format("%s%s", archive->prefix, member);
}

/* Keep the start of the files that tell about the whole backup. */
static void
keep_start(TarBackup *tar, const char *path, const unsigned char *data, size_t len)
{
	if (strcmp(path, "global/pg_control") == 0)
	{
		tar->control_len = len < sizeof(tar->control) ? (ssize_t) len : (ssize_t) sizeof(tar->control);
		memcpy(tar->control, data, (size_t) tar->control_len);
	}
	else if (strcmp(path, "PG_VERSION") == 0)
		memcpy(tar->version, data, len < sizeof(tar->version) - 1 ? len : sizeof(tar->version) - 1);
}

/* Fill the reader's buffer from a member; false if it cannot be read. */
static bool
fill_buffer(TarBackup *tar, Tar *archive, size_t want)
{
	size_t		have = 0;

	while (have < want)
	{
		ssize_t		got = tar_read(archive, tar->reader.buffer + have, want - have);

		if (got <= 0)
			return false;
		have += (size_t) got;
	}
	return true;
}

/* Level "status": of the files that tell about the whole backup there is nothing else to read. */
static void
keep_file(TarBackup *tar, Tar *archive, const char *path)
{
	size_t		len = archive->member.size < READ_SIZE ? (size_t) archive->member.size : READ_SIZE;

	if (is_incremental(path))
	{
		if (len > INCREMENTAL_START_SIZE)
			len = INCREMENTAL_START_SIZE;
		add_incremental(tar->report, tar->backup, path, archive->member.size, tar->reader.buffer,
						fill_buffer(tar, archive, len) ? (ssize_t) len : -1, false);
	}
	else if ((strcmp(path, "global/pg_control") == 0 || strcmp(path, "PG_VERSION") == 0) && fill_buffer(tar, archive, len))
		keep_start(tar, path, tar->reader.buffer, len);
}

/* Read a listed file: its digest and its pages. */
static void
read_contents(TarBackup *tar, Tar *archive, const char *path, ManifestFile *file, uint32_t number)
{
	Reader	   *reader = &tar->reader;
	ReadOrder	order = {.file = number};
	RelationFile relation;
	bool		is_relation = relation_file(path, &usual_layout, &relation);
	bool		in_header = is_incremental(path);
	unsigned char digest[MAX_DIGEST_SIZE];
	uint64_t	at = 0;

	if (!digest_begin(&reader->digest, (DigestKind) file->digest_kind))
		return;
	incremental_begin(&reader->incremental, &usual_layout, archive->member.size);
	if (in_header && archive->member.size == 0)
		add_incremental(tar->report, tar->backup, path, 0, reader->buffer, 0, true);
	while (at < archive->member.size)
	{
		uint64_t	rest = archive->member.size - at;
		size_t		want = rest < READ_SIZE ? (size_t) rest : READ_SIZE;

		if (!fill_buffer(tar, archive, want))
			return;				/* the archive's problem */
		if (at == 0)
			keep_start(tar, path, reader->buffer, want);
		if (at == 0 && in_header)
			add_incremental(tar->report, tar->backup, path, archive->member.size, reader->buffer, (ssize_t) want, true);
		if (in_header)
			in_header = !incremental_add(&reader->incremental, reader->buffer, want);
		(void) digest_add(&reader->digest, reader->buffer, want);
		if (is_relation && !in_header)
			reader_check_pages(reader, &order, &relation, at, want);
		at += want;
	}
	if (is_incremental(path) && reader->incremental.problem != NULL && tar->backup->incremental.check != NULL)
		check_problem(tar->backup->incremental.check, path, "%s", reader->incremental.problem);
	if (file->digest_kind == DIGEST_NONE || archive->member.size != file->size)
		return;
	if (digest_end(&reader->digest, digest) &&
		memcmp(digest, manifest_digest(file), digest_size((DigestKind) file->digest_kind)) == 0)
		tar->matching++;
	else
		check_problem(tar->checksums, path, "does not have the %s checksum that the manifest states",
					  digest_name((DigestKind) file->digest_kind));
}

/* Is this the path of a WAL segment?  Then its name. */
static const char *
segment_name(const char *path)
{
	const char *name = path + 7;

	return strncmp(path, "pg_wal/", 7) == 0 && strlen(name) == WAL_NAME_SIZE - 1 &&
		strspn(name, "0123456789ABCDEF") == WAL_NAME_SIZE - 1 ? name : NULL;
}

/* A file among an archive's members. */
static void
visit_file(TarBackup *tar, Tar *archive, uint32_t index, const char *path)
{
	const Manifest *manifest = &tar->backup->manifest;
	ManifestFile *file = tar->backup->manifest_read ? manifest_find(manifest, path) : NULL;
	const char *segment = segment_name(path);

	if (segment != NULL)
		tar_segments_add(&tar->segments, segment, index, archive);
	if (!tar->deep)
		keep_file(tar, archive, path);
	if (file == NULL)
	{
		if (is_compared(path) && tar->backup->manifest_read)
			check_problem(tar->extra, path, "not in the manifest");
		return;
	}
	if (!is_compared(path))
		return;
	if (file->found)
	{
		check_problem(tar->extra, path, "is there twice");
		return;
	}
	file->found = true;
	if (archive->member.size != file->size)
		check_problem(tar->sizes, path, "has %" PRIu64 " bytes, not %" PRIu64, archive->member.size, file->size);
	else
		file->wanted = tar->deep;
	if (tar->deep)
		read_contents(tar, archive, path, file, manifest_number(manifest, file));
}

/* One member of an archive. */
static void
visit_member(TarBackup *tar, Tar *archive, uint32_t index)
{
	const TarMember *member = &archive->member;
	char	   *path = path_of(&tar->archives[index], member->path);

	if (path == NULL)
		check_problem(tar->types, member->path, "leads out of the backup");
	else if (member->type == TAR_FILE)
		visit_file(tar, archive, index, path);
	else if (member->type == TAR_LINK)
	{
		if (strcmp(path, "pg_wal") != 0 &&
			(strncmp(path, "pg_tblspc/", 10) != 0 || !is_tablespace_name(path + 10)))
			check_problem(tar->types, path, "symbolic link where none belongs");
	}
	else if (member->type != TAR_DIRECTORY)
		check_problem(tar->types, path, "is something else than a file, directory or symbolic link");
	free(path);
}

/* Go through one archive. */
static void
read_archive(TarBackup *tar, uint32_t index)
{
	const Archive *archive = &tar->archives[index];
	FileSource	file;
	Stream		in;
	Tar			members;
	struct stat before;
	struct stat after;

	if (!tar->deep && archive->compression != COMPRESSION_NONE)
	{
		tar->unread++;
		return;
	}
	if (fstat(archive->fd, &before) != 0)
		return;
	file_source_open(&file, archive->fd, &tar->pace, false);
	stream_open_file(&in, archive->compression, &file);
	tar_open(&members, &in);
	while (tar_next(&members))
		visit_member(tar, &members, index);
	if (members.problem != NULL)
	{
		check_problem(tar->readable, archive->name, "cannot be read to its end: %s", members.problem);
		tar->unread++;
	}
	if (tar->changed != NULL && (fstat(archive->fd, &after) != 0 || after.st_size != before.st_size ||
								 after.st_mtim.tv_sec != before.st_mtim.tv_sec ||
								 after.st_mtim.tv_nsec != before.st_mtim.tv_nsec))
		check_problem(tar->changed, archive->name, "changed while it was read");
	tar_close(&members);
	stream_close(&in);
	file_source_close(&file);
}

/* All archives, in the shape that run_jobs() calls. */
static void *
read_archives(void *argument)
{
	TarBackup  *tar = argument;

	for (uint32_t i = 0; i < tar->n_archives; i++)
		read_archive(tar, i);
	return NULL;
}

/* pg_control has come, or not: checks pg_control_readable and system_identifier. */
static void
judge_control(TarBackup *tar)
{
	Backup	   *backup = tar->backup;
	bool		not_read = tar->control_len < 0 && tar->unread > 0 && tar->readable->n_problems == 0;

	take_version(backup, tar->version);
	if (not_read)
	{
		check_set(report_check(tar->report, "pg_control_readable"), CHECK_SKIPPED,
				  "The archives are compressed: only level verify reads them.");
		return;
	}
	take_control_file(tar->report, backup, tar->options->system_identifier, tar->control, tar->control_len,
					  tar->control_len < 0 ? "it is in none of the archives" : NULL);
	backup->odd_layout = backup->layout.known && (backup->layout.page_size != usual_layout.page_size ||
												  backup->layout.segment_pages != usual_layout.segment_pages);
}

/* The sentences of the checks that the reading filled. */
static void
conclude(TarBackup *tar)
{
	static char all[] = "";
	char	   *closed[1] = {all};
	const Manifest *manifest = &tar->backup->manifest;

	check_conclude(tar->readable, tar->unread == 0 ? "All archives can be read." :
				   "The archives are there. As some are compressed, only level verify reads them.",
				   "archive", "archives", "cannot be read.");
	if (!tar->backup->manifest_read)
		return;
	check_conclude(tar->sizes, "Every file that was met has the size that the manifest states.",
				   "file has", "files have", "a wrong size.");
	check_conclude(tar->extra, "No file was met that the manifest does not list.",
				   "file is", "files are", "not in the manifest, or there twice.");
	check_conclude(tar->types, "There are only files, directories and links to tablespaces.",
				   "member is", "members are", "neither a file nor a directory nor a link that belongs here.");
	check_presence(tar->report, manifest, closed, tar->unread > 0 ? 1 : 0);
}

/* Level "verify": what the contents say, when all have come by. */
static void
conclude_contents(TarBackup *tar)
{
	Backup	   *backup = tar->backup;
	PageFindings *findings = &tar->reader.findings;

	conclude_checksums(tar->checksums, &backup->manifest, tar->matching);
	check_conclude(tar->changed, "No archive changed while the backup was verified.",
				   "archive was", "archives were", "changed while the backup was verified.");
	findings_sort(findings, &backup->manifest);
	verify_tar_wal(tar->report, backup, tar->archives, &tar->segments, &tar->pace, findings);
	report_pages(tar->report, backup, findings, tar->reader.n_pages);
}

/*
 * Compare the backup's archives with its manifest: the checks of a plain
 * backup, and archives_readable.
 */
void
read_tar_backup(Report *report, Backup *backup, const Options *options)
{
	static TarBackup tar;
	uint64_t	size;

	memset(&tar, 0, sizeof(tar));
	tar.report = report;
	tar.backup = backup;
	tar.options = options;
	tar.deep = strcmp(options->level, "verify") == 0 && backup->manifest_read;
	tar.control_len = -1;
	tar.readable = report_check(report, "archives_readable");
	if (backup->manifest_read)
	{
		tar.sizes = report_check(report, "file_sizes");
		tar.extra = report_check(report, "no_extra_files");
		tar.types = report_check(report, "file_types");
	}
	if (tar.deep)
	{
		tar.checksums = report_check(report, "file_checksums");
		tar.changed = report_check(report, "changed_during_read");
	}
	size = open_archives(&tar);
	backup->layout = usual_layout;
	tar.reader.backup = backup;
	tar.reader.options = options;
	tar.reader.pace = &tar.pace;
	reader_open(&tar.reader);
	pace_start(&tar.pace, options, size);
	if (tar.deep)
		run_jobs(options, &tar.pace, 1, read_archives, &tar);
	else
		(void) read_archives(&tar);
	backup->layout = (Layout)
	{
		0
	};
	judge_control(&tar);
	conclude(&tar);
	if (tar.deep)
		conclude_contents(&tar);
	conclude_incremental(report, backup);
	reader_close(&tar.reader);
	close_archives(&tar);
}
