/*
 * src/agent/label.c
 *		backup_label: where a backup begins, and on which one it builds.
 *
 * Of a backup in tar format it is among the first members of base.tar, so that
 * even a compressed one need not be read for it.
 */
#include "label.h"
#include "backup.h"
#include "history.h"
#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LABEL_NAME "backup_label"
#define MAX_LABEL 16384			/* it names a path, of at most 1024 bytes, and
								 * the rest is short */
#define MAX_MEMBERS 8			/* of base.tar, before it must have come */

/* What follows "label" at the start of a line of the text, in "value"; false if there is no such line. */
bool
find_line(const char *text, const char *label, char *value, size_t size)
{
	size_t		len = strlen(label);

	for (const char *line = text; line != NULL; line = strchr(line, '\n'), line = line == NULL ? NULL : line + 1)
	{
		if (strncmp(line, label, len) == 0)
		{
			snprintf(value, size, "%.*s", (int) strcspn(line + len, "\n"), line + len);
			return true;
		}
	}
	return false;
}

/* A position in WAL on the line that begins with "name", up to "end"; false if there is none. */
static bool
find_position(const char *text, const char *name, char end, uint64_t *lsn)
{
	char		value[1100];
	const char *rest;

	return find_line(text, name, value, sizeof(value)) && parse_lsn(value, &rest, lsn) && *rest == end && *lsn > 0;
}

static bool
find_timeline(const char *text, const char *name, uint32_t *timeline)
{
	char		value[16];
	uint64_t	number;

	if (!find_line(text, name, value, sizeof(value)) || strspn(value, "0123456789") != strlen(value) || value[0] == '\0')
		return false;
	number = strtoull(value, NULL, 10);
	*timeline = (uint32_t) number;
	return number > 0 && number <= UINT32_MAX;
}

/* Understand a backup_label; false with "problem" set, a part of a sentence. */
bool
parse_label(const char *text, BackupLabel *label, char **problem)
{
	char		value[2];
	bool		has_lsn = find_line(text, "INCREMENTAL FROM LSN: ", value, sizeof(value));
	bool		has_timeline = find_line(text, "INCREMENTAL FROM TLI: ", value, sizeof(value));

	memset(label, 0, sizeof(*label));
	*problem = NULL;
	if (!find_position(text, "START WAL LOCATION: ", ' ', &label->start.lsn))
		*problem = xstrdup("it does not state where in WAL the backup starts");
	else if (!find_timeline(text, "START TIMELINE: ", &label->start.timeline))
		*problem = xstrdup("it does not state on which timeline the backup starts");
	else if (has_lsn != has_timeline ||
			 (has_lsn && (!find_position(text, "INCREMENTAL FROM LSN: ", '\0', &label->prior.lsn) ||
						  !find_timeline(text, "INCREMENTAL FROM TLI: ", &label->prior.timeline))))
		*problem = xstrdup("what it states of the backup that this one builds on makes no sense");
	else if (label->prior.lsn >= label->start.lsn)
		*problem = xstrdup("it states that the backup builds on one that starts later");
	label->known = *problem == NULL;
	return label->known;
}

/* The text of backup_label in an archive; NULL if it does not come soon. */
static char *
find_in_archive(Tar *archive)
{
	for (int i = 0; i < MAX_MEMBERS && tar_next(archive); i++)
	{
		const char *name = archive->member.path;
		char	   *text;
		size_t		len = 0;
		ssize_t		got;

		if (strncmp(name, "./", 2) == 0)
			name += 2;
		if (strcmp(name, LABEL_NAME) != 0 || archive->member.type != TAR_FILE || archive->member.size >= MAX_LABEL)
			continue;
		text = xmalloc(MAX_LABEL);
		while ((got = tar_read(archive, (unsigned char *) text + len, MAX_LABEL - 1 - len)) > 0)
			len += (size_t) got;
		text[len] = '\0';
		return text;
	}
	return NULL;
}

/* The text of backup_label of a backup in tar format; NULL if there is none. */
static char *
read_from_tar(int dir)
{
	char	   *text = NULL;

	for (int i = 0; i < N_BASE_TARS && text == NULL; i++)
	{
		int			fd = openat(dir, base_tars[i], O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		FileSource	file;
		Stream		in;
		Tar			archive;

		if (fd < 0)
			continue;
		file_source_open(&file, fd, NULL, false);
		stream_open_file(&in, compression_of_name(base_tars[i], NULL), &file);
		tar_open(&archive, &in);
		text = find_in_archive(&archive);

		tar_close(&archive);
		stream_close(&in);
		file_source_close(&file);
		close(fd);
	}
	return text;
}

/* Read the label of the backup in a directory, of either format; NULL, or why it is not known. */
char *
read_label(int dir, BackupLabel *label)
{
	char		plain[MAX_LABEL];
	char	   *problem;
	ssize_t		got = read_small(dir, LABEL_NAME, plain, sizeof(plain) - 1, &problem);
	char	   *text = got < 0 ? read_from_tar(dir) : NULL;

	memset(label, 0, sizeof(*label));
	if (got < 0 && text == NULL)
		return problem;
	free(problem);
	if (text == NULL)
		plain[got] = '\0';
	(void) parse_label(text == NULL ? plain : text, label, &problem);
	free(text);
	return problem;
}
