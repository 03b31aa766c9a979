/*
 * src/agent/manifest.c
 *		Reading backup_manifest, versions 1 and 2.
 *
 * Stricter than the server's own reader where that one is lax (a size that is
 * no whole number, paths that lead out of the backup): a manifest is a
 * stranger's text.  It is read twice, first for its checksum and then for what
 * it says, so that a damaged one gives one answer, not a heap of errors about
 * files.
 */
#include "manifest.h"
#include "digest.h"
#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_PATH_BYTES 1023		/* as MAXPGPATH of the server */

/* A file's members while its object is being read */
typedef struct FileMembers
{
	char		path[MAX_PATH_BYTES + 1];
	size_t		path_len;		/* 0: none yet */
	uint64_t	size;
	int			algorithm;		/* DigestKind, -1: none stated */
	unsigned char digest[MAX_DIGEST_SIZE];
	int			digest_size;	/* -1: none stated */
	unsigned int seen;			/* a bit for each member met */
} FileMembers;

/*
 * Seconds since 1970 of "YYYY-MM-DD HH:MM:SS GMT", as the server writes it;
 * NO_TIME for anything else, which is no error: a restore does not need it.
 */
int64_t
manifest_time(const char *str)
{
	struct tm	tm = {0};
	int			end = -1;

	if (sscanf(str, "%4d-%2d-%2d %2d:%2d:%2d GMT%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) != 6 || end < 0 || str[end] != '\0')
		return NO_TIME;
	if (tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
		tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 ||
		tm.tm_sec < 0 || tm.tm_sec > 60)
		return NO_TIME;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (int64_t) timegm(&tm);
}

/*
 * May this be the path of a file in a backup?  Not absolute, no empty, "." or
 * ".." part: such a path is never put together with another one.
 */
bool
path_is_safe(const char *path, size_t len)
{
	if (len == 0 || len > MAX_PATH_BYTES || strlen(path) != len)
		return false;
	for (;;)
	{
		size_t		part = strcspn(path, "/");

		if (part == 0 || (part == 1 && path[0] == '.') || (part == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		if (path[part] == '\0')
			return true;
		path += part + 1;
	}
}

/* Members of a file's object; each false with the reader's error set. */
static bool
read_path(JsonReader *r, FileMembers *file, int64_t *newest)
{
	if (!json_expect(r, JSON_STRING, "a path is not a string"))
		return false;
	if (file->path_len > 0)
		json_fail(r, "a file has both a path and an encoded path");
	else if (!path_is_safe(r->str, r->str_len))
		json_fail(r, "a path leads out of the backup or is malformed");
	if (r->error != NULL)
		return false;
	memcpy(file->path, r->str, r->str_len + 1);
	file->path_len = r->str_len;
	return true;
}

static bool
read_encoded_path(JsonReader *r, FileMembers *file, int64_t *newest)
{
	size_t		len;

	if (!json_expect(r, JSON_STRING, "an encoded path is not a string"))
		return false;
	len = r->str_len / 2;
	if (file->path_len > 0)
		json_fail(r, "a file has both a path and an encoded path");
	else if (len > MAX_PATH_BYTES || !decode_hex(r->str, r->str_len, (unsigned char *) file->path))
		json_fail(r, "an encoded path is malformed");
	if (r->error != NULL)
		return false;
	file->path[len] = '\0';
	if (!path_is_safe(file->path, len))
		json_fail(r, "an encoded path leads out of the backup or is malformed");
	file->path_len = len;
	return r->error == NULL;
}

static bool
read_size(JsonReader *r, FileMembers *file, int64_t *newest)
{
	if (!json_expect(r, JSON_NUMBER, "a size is not a number"))
		return false;
	if (!json_unsigned(r, &file->size) || file->size > INT64_MAX)
		json_fail(r, "a size is not a whole number below 2^63");
	return r->error == NULL;
}

static bool
read_last_modified(JsonReader *r, FileMembers *file, int64_t *newest)
{
	int64_t		time;

	if (!json_expect(r, JSON_STRING, "a time is not a string"))
		return false;
	time = manifest_time(r->str);
	if (time > *newest)
		*newest = time;
	return true;
}

static bool
read_algorithm(JsonReader *r, FileMembers *file, int64_t *newest)
{
	if (!json_expect(r, JSON_STRING, "a checksum algorithm is not a string"))
		return false;
	file->algorithm = digest_kind(r->str);
	if (file->algorithm < 0)
		json_fail(r, "unknown checksum algorithm");
	return r->error == NULL;
}

static bool
read_checksum(JsonReader *r, FileMembers *file, int64_t *newest)
{
	if (!json_expect(r, JSON_STRING, "a checksum is not a string"))
		return false;
	if (strspn(r->str, "0123456789abcdefABCDEF") != r->str_len)
		json_fail(r, "a checksum is not hexadecimal");
	else if (r->str_len > 2 * MAX_DIGEST_SIZE || !decode_hex(r->str, r->str_len, file->digest))
		json_fail(r, "a checksum does not have its algorithm's length");
	file->digest_size = (int) (r->str_len / 2);
	return r->error == NULL;
}

static const struct
{
	const char *name;
	bool		(*read) (JsonReader *r, FileMembers *file, int64_t *newest);
}			file_members[] = {
	{"Path", read_path},
	{"Encoded-Path", read_encoded_path},
	{"Size", read_size},
	{"Last-Modified", read_last_modified},
	{"Checksum-Algorithm", read_algorithm},
	{"Checksum", read_checksum},
};

#define N_FILE_MEMBERS (sizeof(file_members) / sizeof(file_members[0]))
#define SIZE_SEEN (1u << 2)

/* One file, its brace taken. */
static bool
read_file(JsonReader *r, Manifest *manifest)
{
	FileMembers file = {
		.algorithm = -1,
		.digest_size = -1,
	};
	bool		first = true;

	while (json_member(r, &first))
	{
		size_t		i = 0;

		while (i < N_FILE_MEMBERS && strcmp(r->str, file_members[i].name) != 0)
			i++;
		if (i == N_FILE_MEMBERS)
			json_fail(r, "a file has an unknown member");
		else if (file.seen & 1u << i)
			json_fail(r, "a file has the same member twice");
		if (r->error != NULL || !file_members[i].read(r, &file, &manifest->newest))
			return false;
		file.seen |= 1u << i;
	}
	if (r->error != NULL)
		return false;
	if (file.path_len == 0)
		json_fail(r, "a file has no path");
	else if (!(file.seen & SIZE_SEEN))
		json_fail(r, "a file has no size");
	else if (file.digest_size >= 0 && file.algorithm < 0)
		json_fail(r, "a file has a checksum without an algorithm");
	else if (file.algorithm >= 0 &&
			 (file.digest_size < 0 ? 0 : file.digest_size) != (int) digest_size((DigestKind) file.algorithm))
		json_fail(r, "a checksum does not have its algorithm's length");
	else if (!manifest_add(manifest, file.path, file.path_len, file.size,
						   file.algorithm < 0 ? DIGEST_NONE : (DigestKind) file.algorithm, file.digest))
		json_fail(r, "a path is listed twice");
	return r->error == NULL;
}

static bool
read_files(JsonReader *r, Manifest *manifest)
{
	bool		first = true;

	if (!json_expect(r, JSON_ARRAY, "\"Files\" is not an array"))
		return false;
	while (json_element(r, &first, JSON_OBJECT))
	{
		if (!read_file(r, manifest))
			return false;
	}
	return r->error == NULL;
}

/* "XXXXXXXX/XXXXXXXX", hexadecimal, each half at most eight digits */
static bool
parse_lsn(const char *str, uint64_t *lsn)
{
	size_t		high = strspn(str, "0123456789abcdefABCDEF");
	size_t		low;

	if (high < 1 || high > 8 || str[high] != '/')
		return false;
	low = strspn(str + high + 1, "0123456789abcdefABCDEF");
	if (low < 1 || low > 8 || str[high + 1 + low] != '\0')
		return false;
	*lsn = (uint64_t) strtoul(str, NULL, 16) << 32 | strtoul(str + high + 1, NULL, 16);
	return true;
}

/* One range of WAL, its brace taken; ranges come newest first. */
static bool
read_wal_range(JsonReader *r, Manifest *manifest)
{
	uint64_t	timeline = 0;
	uint64_t	lsn[2] = {0, 0};
	unsigned int seen = 0;
	bool		first = true;

	while (json_member(r, &first))
	{
		unsigned int bit = strcmp(r->str, "Timeline") == 0 ? 1 :
			strcmp(r->str, "Start-LSN") == 0 ? 2 :
			strcmp(r->str, "End-LSN") == 0 ? 4 : 0;

		if (bit == 0 || seen & bit)
			json_fail(r, "a WAL range has an unknown member or one twice");
		else if (bit == 1 && json_expect(r, JSON_NUMBER, "a timeline is not a number") &&
				 (!json_unsigned(r, &timeline) || timeline == 0 || timeline > UINT32_MAX))
			json_fail(r, "a timeline is out of range");
		else if (bit > 1 && json_expect(r, JSON_STRING, "a WAL position is not a string") &&
				 !parse_lsn(r->str, &lsn[bit / 4]))
			json_fail(r, "a WAL position is malformed");
		if (r->error != NULL)
			return false;
		seen |= bit;
	}
	if (r->error == NULL && seen != 7)
		json_fail(r, "a WAL range is incomplete");
	if (r->error == NULL && lsn[0] > lsn[1])
		json_fail(r, "a WAL range ends before it starts");
	if (r->error != NULL)
		return false;
	if (manifest->n_ranges == MAX_WAL_RANGES)
	{
		json_fail(r, "it lists too many WAL ranges");
		return false;
	}
	manifest->ranges[manifest->n_ranges++] = (WalRange)
	{
		(uint32_t) timeline, lsn[0], lsn[1]
	};
	return true;
}

static bool
read_wal_ranges(JsonReader *r, Manifest *manifest)
{
	bool		first = true;

	if (!json_expect(r, JSON_ARRAY, "\"WAL-Ranges\" is not an array"))
		return false;
	while (json_element(r, &first, JSON_OBJECT))
	{
		if (!read_wal_range(r, manifest))
			return false;
	}
	return r->error == NULL;
}

static bool
read_version(JsonReader *r, Manifest *manifest)
{
	uint64_t	version;

	if (!json_expect(r, JSON_NUMBER, "the manifest's version is not a number"))
		return false;
	if (!json_unsigned(r, &version) || version < 1 || version > 2)
		json_fail(r, "the manifest has a version other than 1 and 2");
	manifest->version = (int) version;
	return r->error == NULL;
}

static bool
read_system_identifier(JsonReader *r, Manifest *manifest)
{
	if (manifest->version < 2)
		json_fail(r, "a manifest of version 1 has a system identifier");
	else if (json_expect(r, JSON_NUMBER, "the system identifier is not a number") &&
			 !json_unsigned(r, &manifest->system_identifier))
		json_fail(r, "the system identifier is malformed");
	return r->error == NULL;
}

/* Compared with the contents by manifest_checksum_ok() already */
static bool
read_manifest_checksum(JsonReader *r, Manifest *manifest)
{
	return json_expect(r, JSON_STRING, "the manifest's checksum is not a string");
}

static const struct
{
	const char *name;
	bool		(*read) (JsonReader *r, Manifest *manifest);
	bool		required;
}			manifest_members[] = {

	/* the first member and the last one have their places */
	{"PostgreSQL-Backup-Manifest-Version", read_version, true},
	{"System-Identifier", read_system_identifier, false},
	{"Files", read_files, true},
	{"WAL-Ranges", read_wal_ranges, true},
	{"Manifest-Checksum", read_manifest_checksum, true},
};

#define N_MANIFEST_MEMBERS (sizeof(manifest_members) / sizeof(manifest_members[0]))

static void
read_members(JsonReader *r, Manifest *manifest)
{
	unsigned int seen = 0;
	bool		first = true;

	if (!json_expect(r, JSON_OBJECT, "it is not a JSON object"))
		return;
	while (json_member(r, &first))
	{
		size_t		i = 0;

		while (i < N_MANIFEST_MEMBERS && strcmp(r->str, manifest_members[i].name) != 0)
			i++;
		if ((seen == 0) != (i == 0))
			json_fail(r, "it does not begin with its version");
		else if (i == N_MANIFEST_MEMBERS)
			json_fail(r, "it has an unknown member");
		else if (seen & 1u << i || seen & 1u << (N_MANIFEST_MEMBERS - 1))
			json_fail(r, "it has a member twice, or one behind its checksum");
		if (r->error != NULL || !manifest_members[i].read(r, manifest))
			return;
		seen |= 1u << i;
	}
	for (size_t i = 0; i < N_MANIFEST_MEMBERS; i++)
	{
		if (manifest_members[i].required && !(seen & 1u << i))
			json_fail(r, "a member is missing");
	}
	if (manifest->version == 2 && manifest->system_identifier == 0)
		json_fail(r, "it has no system identifier");
	(void) json_expect(r, JSON_END, "something follows its end");
}

/*
 * Read all of it; false with a sentence, without final period, in "problem".
 * Memory: the files; nothing else grows with the manifest.
 */
bool
manifest_read(Manifest *manifest, int fd, char **problem)
{
	JsonReader	r;

	memset(manifest, 0, sizeof(*manifest));
	manifest->newest = NO_TIME;
	json_reader_open(&r, fd, 0, INT64_MAX, 2 * MAX_PATH_BYTES);
	read_members(&r, manifest);
	*problem = r.error == NULL ? NULL : format("line %lu: %s", r.line, r.error);
	json_reader_close(&r);
	return *problem == NULL;
}
