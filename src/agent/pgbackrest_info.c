/*
 * src/agent/pgbackrest_info.c
 *		The files in which pgBackRest describes a repository: archive.info, backup.info, backup.manifest.
 *
 * They hold sections of lines KEY=VALUE, with values in JSON, and in the last
 * one the SHA-1 of all the others, written as one document,
 * {"SECTION":{"KEY":VALUE,...},...}.  Each has a copy beside it, NAME.copy.
 * pgBackRest takes that where the file itself is not whole, and where neither
 * is it restores nothing: the WAL and the backups alone are of no use to it.
 */
#include "archive_backups.h"
#include "pgbackrest_info.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_FILE (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* More than the longest line: that of a backup on which thousands of others build */
#define MAX_LINE (1 << 20)

/* The only one there is, since pgBackRest 1.0 */
#define KNOWN_FORMAT "5"

/* A file that is gone through */
typedef struct InfoScan
{
	InfoTaker	take;			/* or NULL */
	void	   *state;
	InfoChecksum *checksum;
	Digest		digest;
	bool		hashing;
	char	   *section;		/* of the line under way, or NULL */
	char	   *hashed;			/* of the last line that counts, or NULL */
} InfoScan;

static void
hash(InfoScan *scan, const char *text, size_t len)
{
	scan->hashing = scan->hashing && digest_add(&scan->digest, text, len);
}

static void
hash_text(InfoScan *scan, const char *text)
{
	hash(scan, text, strlen(text));
}

/* A key as a string of JSON, as pgBackRest writes it: only this much is escaped. */
static void
hash_key(InfoScan *scan, const char *key)
{
	static const char special[] = "\"\\\n\r\t\b\f";
	static const char letters[] = "\"\\nrtbf";

	hash_text(scan, "\"");
	while (*key != '\0')
	{
		size_t		plain = strcspn(key, special);

		hash(scan, key, plain);
		key += plain;
		if (*key != '\0')
		{
			hash_text(scan, "\\");
			hash(scan, &letters[strchr(special, *key) - special], 1);
			key++;
		}
	}
	hash_text(scan, "\"");
}

/* A line goes into the checksum; a section without lines does not. */
static void
hash_line(InfoScan *scan, const char *key, const char *value)
{
	if (scan->hashed == NULL || strcmp(scan->hashed, scan->section) != 0)
	{
		hash_text(scan, scan->hashed == NULL ? "\"" : "},\"");
		hash_text(scan, scan->section);
		hash_text(scan, "\":{");
		free(scan->hashed);
		scan->hashed = xstrdup(scan->section);
	}
	else
		hash_text(scan, ",");
	hash_key(scan, key);
	hash_text(scan, ":");
	hash_text(scan, value);
}

static bool
is_json(const char *text)
{
	size_t		len = strlen(text);
	JsonReader	r;

	json_reader_open_text(&r, text, len, len);
	json_skip(&r, json_next(&r), 0);
	return json_finish(&r) == NULL;
}

/*
 * Split a line and return its value, or NULL.  A key may hold "=", as names of
 * files do, so it ends before the first behind which there is JSON; else, as
 * our reader of that is stricter, before the first.
 */
static char *
split_line(char *line)
{
	char	   *first = strchr(line, '=');
	char	   *at = first;

	while (at != NULL && !is_json(at + 1))
		at = at - line < PATH_MAX ? strchr(at + 1, '=') : NULL;
	if (at == NULL)
		at = first;
	if (at == NULL || at == line)
		return NULL;
	*at = '\0';
	return at + 1;
}

/* NULL, or what is wrong with a line that is no section and not empty. */
static const char *
scan_value(InfoScan *scan, char *line)
{
	char	   *value = split_line(line);
	bool		own;

	if (value == NULL || scan->section == NULL)
		return "a line of it makes no sense";
	own = strcmp(scan->section, "backrest") == 0;
	if (own && strcmp(line, "backrest-checksum") == 0)
	{
		if (value[0] == '"')
			snprintf(scan->checksum->stated, sizeof(scan->checksum->stated), "%.*s", (int) strcspn(value + 1, "\""), value + 1);
		return NULL;
	}
	if (own && strcmp(line, "backrest-format") == 0 && strcmp(value, KNOWN_FORMAT) != 0)
		return "it is of a format that is not known";
	hash_line(scan, line, value);
	return scan->take == NULL ? NULL : scan->take(scan->state, scan->section, line, value, strlen(value));
}

/* NULL, or what is wrong with a line, which has no end. */
static const char *
scan_line(InfoScan *scan, char *line, size_t len)
{
	if (line[0] == '[' && line[len - 1] == ']')
	{
		free(scan->section);
		scan->section = format("%.*s", (int) len - 2, line + 1);
		return NULL;
	}
	return scan_value(scan, line);
}

/*
 * Go through a file from its start, and compute its checksum.  NULL, or what is
 * wrong with it, be it that "take" says so.
 */
const char *
scan_info(FILE *in, InfoTaker take, void *state, InfoChecksum *checksum)
{
	InfoScan	scan = {.take = take,.state = state,.checksum = checksum};
	unsigned char result[MAX_DIGEST_SIZE];
	char	   *line = xmalloc(MAX_LINE);
	const char *problem = NULL;

	memset(checksum, 0, sizeof(*checksum));
	scan.hashing = digest_begin(&scan.digest, DIGEST_SHA1);
	hash_text(&scan, "{");
	rewind(in);
	while (problem == NULL && fgets(line, MAX_LINE, in) != NULL)
	{
		size_t		len = strlen(line);

		if (len == 0 || (line[len - 1] != '\n' && !feof(in)))
			problem = "a line of it is too long or holds a zero byte";
		else if (line[len - 1] == '\n')
			line[--len] = '\0';
		if (problem == NULL && len > 0)
			problem = scan_line(&scan, line, len);
	}
	if (problem == NULL && ferror(in))
		problem = describe_errno(errno);
	hash_text(&scan, "}}");
	if (scan.hashing && digest_end(&scan.digest, result))
		digest_text(DIGEST_SHA1, result, checksum->computed);
	digest_free(&scan.digest);
	free(scan.section);
	free(scan.hashed);
	free(line);
	return problem;
}

/* A file or its copy, as far as it is known */
typedef struct InfoCopy
{
	FILE	   *in;				/* or NULL */
	InfoState	state;
	char	   *problem;		/* if it is not whole */
} InfoCopy;

/* Is the file of this name whole? */
static void
open_copy(InfoCopy *copy, int dir, const char *name)
{
	int			fd = openat(dir, name, OPEN_FILE);
	const char *problem = NULL;
	InfoChecksum checksum;
	struct stat st;

	copy->state = INFO_DAMAGED;
	if (fd < 0 || fstat(fd, &st) != 0)
	{
		copy->state = errno == ENOENT ? INFO_DAMAGED : INFO_UNREADABLE;
		problem = errno == ELOOP ? "it is a symbolic link" : errno == ENOENT ? "it is missing" : describe_errno(errno);
	}
	else if (!S_ISREG(st.st_mode))
		problem = "it is not a regular file";
	else if (is_encrypted(fd))
	{
		copy->state = INFO_ENCRYPTED;
		problem = "it is encrypted";
	}
	else if ((copy->in = fdopen(fd, "r")) == NULL)
		problem = describe_errno(errno);
	else
		problem = scan_info(copy->in, NULL, NULL, &checksum);
	if (copy->in == NULL && fd >= 0)
		close(fd);
	if (problem == NULL && checksum.stated[0] == '\0')
		problem = "it states no checksum, so it is cut off";
	/* empty where the library computes no SHA-1 */
	if (problem == NULL && checksum.computed[0] != '\0' && strcmp(checksum.computed, checksum.stated) != 0)
		copy->problem = format("it has the checksum %s, not %s as it states", checksum.computed, checksum.stated);
	else if (problem != NULL)
		copy->problem = xstrdup(problem);
	else
		copy->state = INFO_WHOLE;
}

static void
close_copy(InfoCopy *copy)
{
	if (copy->in != NULL)
		fclose(copy->in);
	free(copy->problem);
}

/*
 * Read file "name" of a directory or, if that is not whole, its copy: "take"
 * gets each line of it.  What is wrong with either becomes an item of check
 * "copies", if it is not NULL, but not that neither can be read by us or both
 * are encrypted.
 * "problem" tells why the file itself, or what "take" says, is of no use.
 */
InfoState
read_info(int dir, const char *name, Check *copies, InfoTaker take, void *state, const char **problem)
{
	const char *names[2] = {name, format("%s.copy", name)};
	InfoCopy	copy[2] = {{0}};
	InfoState	best;
	InfoChecksum checksum;

	for (int i = 0; i < 2; i++)
		open_copy(&copy[i], dir, names[i]);
	best = copy[0].state < copy[1].state ? copy[0].state : copy[1].state;
	*problem = best == INFO_WHOLE ? NULL : xstrdup(copy[0].problem);
	for (int i = 0; i < 2; i++)
	{
		if (copies == NULL)
			break;
		if (copy[i].state == INFO_DAMAGED || (copy[i].state == INFO_UNREADABLE && best == INFO_WHOLE))
			check_problem(copies, names[i], "%s", copy[i].problem);
	}
	if (best == INFO_WHOLE && take != NULL)
		*problem = scan_info(copy[copy[0].state == INFO_WHOLE ? 0 : 1].in, take, state, &checksum);
	for (int i = 0; i < 2; i++)
		close_copy(&copy[i]);
	return *problem == NULL || best != INFO_WHOLE ? best : INFO_DAMAGED;
}

/*
 * Check info_files of a stanza: without archive.info or its copy pgBackRest
 * finds no WAL, without backup.info or its copy no backup.  The directories may
 * be -1, and are not looked at then.
 */
void
check_info_files(Report *report, int archive, int backups)
{
	const struct
	{
		int			dir;
		const char *name;
	}			files[] = {{archive, "archive.info"}, {backups, "backup.info"}};
	Check	   *check = report_check(report, "info_files");
	InfoState	worst = INFO_WHOLE;
	const char *which = NULL;
	const char *why = NULL;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
	{
		const char *problem;
		InfoState	state = files[i].dir < 0 ? INFO_WHOLE : read_info(files[i].dir, files[i].name, check, NULL, NULL, &problem);

		if (state <= worst)
			continue;
		worst = state;
		which = files[i].name;
		why = problem;
	}
	if (worst == INFO_DAMAGED)
		check_set(check, CHECK_FAILED, "pgBackRest can restore nothing from here: %s is not whole, and neither is its copy.", which);
	else if (check->n_problems > 0)
		check_set(check, CHECK_WARNING, "%s not whole; pgBackRest can use the other of the two copies.",
				  count_of(check->n_problems, "file is", "files are"));
	else if (worst != INFO_WHOLE)
		check_set(check, CHECK_SKIPPED, "Whether %s is whole cannot be told: %s.", which, why);
	else
		check_set(check, CHECK_PASSED, "The files that describe the repository, and their copies, have the checksums that they state.");
}
