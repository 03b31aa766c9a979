/*
 * src/agent/control_file.c
 *		global/pg_control and PG_VERSION of a backup: whose it is, and of what version.
 */
#include "wal.h"
#include "crc32c.h"
#include "page.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>


/* The fields that we use stand where they stood in 13. */
static const struct
{
	uint32_t	number;
	const char *versions;
}			control_versions[] = {
	{1300, "13 to 16"},
	{1700, "17"},
	{1800, "18"},
};

#define VERSION_AT 8
#define PAGE_SIZE_AT 216
#define SEGMENT_PAGES_AT 220
#define WAL_PAGE_SIZE_AT 224
#define WAL_SEGMENT_SIZE_AT 228
#define CHECKSUM_VERSION_AT 252

/* Where pg_control's own checksum may stand; it moved as fields were added. */
#define CRC_FIRST 200
#define CRC_LAST 512

/* Does a checksum of all that precedes it stand where one may? */
static bool
checksum_ok(const unsigned char *data)
{
	uint32_t	crc = crc32c_add(CRC32C_INIT, data, CRC_FIRST);

	for (size_t at = CRC_FIRST; at <= CRC_LAST; at += sizeof(uint32_t))
	{
		uint32_t	stored;

		memcpy(&stored, data + at, sizeof(stored));
		if (stored == crc32c_end(crc))
			return true;
		crc = crc32c_add(crc, data + at, sizeof(stored));
	}
	return false;
}

static uint32_t
uint32_at(const unsigned char *data, size_t at)
{
	uint32_t	value;

	memcpy(&value, data + at, sizeof(value));
	return value;
}

/* A power of two in [min, max]? */
static bool
is_size(uint32_t value, uint32_t min, uint32_t max)
{
	return value >= min && value <= max && (value & (value - 1)) == 0;
}

/* How the cluster's files are laid out; unknown if the numbers make no sense. */
static void
read_layout(Backup *backup, const unsigned char *data)
{
	Layout	   *layout = &backup->layout;

	layout->page_size = uint32_at(data, PAGE_SIZE_AT);
	layout->segment_pages = uint32_at(data, SEGMENT_PAGES_AT);
	layout->wal_page_size = uint32_at(data, WAL_PAGE_SIZE_AT);
	layout->wal_segment_size = uint32_at(data, WAL_SEGMENT_SIZE_AT);
	layout->checksum_version = uint32_at(data, CHECKSUM_VERSION_AT);
	layout->known = is_size(layout->page_size, MIN_PAGE_SIZE, MAX_PAGE_SIZE) && layout->segment_pages > 0 &&
		is_size(layout->wal_page_size, MIN_PAGE_SIZE, 2 * MAX_PAGE_SIZE) &&
		is_size(layout->wal_segment_size, MIN_WAL_SEGMENT, MAX_WAL_SEGMENT);
}

/* The contents of PG_VERSION, to be cut behind its number. */
void
take_version(Backup *backup, char *str)
{
	size_t		len = strspn(str, "0123456789");

	if (len == 0 || len > 3 || str[len] != '\n')
		return;
	str[len] = '\0';
	backup->server_version = xstrdup(str);
}

/* Check pg_control_readable: of "len" bytes, -1: none, for which there may be a reason. */
static void
check_control_file(Report *report, Backup *backup, const unsigned char *data, ssize_t len, const char *problem)
{
	Check	   *check = report_check(report, "pg_control_readable");
	const char *versions = NULL;
	uint32_t	number;

	if (len != CONTROL_FILE_SIZE)
	{
		check_set(check, CHECK_FAILED, "global/pg_control cannot be read: %s.",
				  problem != NULL ? problem : format("it does not have %d bytes", CONTROL_FILE_SIZE));
		return;
	}
	memcpy(&backup->system_identifier, data, sizeof(uint64_t));
	number = uint32_at(data, VERSION_AT);
	for (size_t i = 0; i < sizeof(control_versions) / sizeof(control_versions[0]); i++)
	{
		if (control_versions[i].number == number)
			versions = control_versions[i].versions;
	}
	if (!checksum_ok(data))
	{
		check_set(check, CHECK_FAILED, "global/pg_control is damaged: its checksum does not match its contents.");
		return;
	}
	backup->control_read = true;
	if (versions != NULL)
		read_layout(backup, data);
	if (versions == NULL)
		check_set(check, CHECK_WARNING, "global/pg_control has the unknown version %" PRIu32 ".", number);
	else
		check_set(check, CHECK_PASSED, "global/pg_control is of PostgreSQL %s.",
				  backup->server_version != NULL ? backup->server_version : versions);
}

/*
 * Check system_identifier: pg_control's, the manifest's where it states one,
 * and the expected one where that is known are the same.
 */
static void
check_system_identifier(Report *report, const Backup *backup, uint64_t expected)
{
	Check	   *check = report_check(report, "system_identifier");
	uint64_t	stated = backup->manifest_read ? backup->manifest.system_identifier : 0;

	if (!backup->control_read)
		check_set(check, CHECK_SKIPPED, "global/pg_control could not be read.");
	else if (stated != 0 && stated != backup->system_identifier)
		check_set(check, CHECK_FAILED, "The manifest is of cluster %" PRIu64 ", global/pg_control of cluster %" PRIu64 ".",
				  stated, backup->system_identifier);
	else if (expected != 0 && expected != backup->system_identifier)
		check_set(check, CHECK_FAILED, "This is a backup of another cluster: %" PRIu64 ", not %" PRIu64 ".",
				  backup->system_identifier, expected);
	else if (expected != 0)
		check_set(check, CHECK_PASSED, "This is a backup of the expected cluster, %" PRIu64 ".", expected);
	else
		check_set(check, CHECK_PASSED, "This is a backup of cluster %" PRIu64 ".", backup->system_identifier);
}

/*
 * Checks pg_control_readable and system_identifier, of the contents of
 * global/pg_control; "expected" is 0 where unknown.
 */
void
take_control_file(Report *report, Backup *backup, uint64_t expected, const unsigned char *data, ssize_t len,
				  const char *problem)
{
	check_control_file(report, backup, data, len, problem);
	check_system_identifier(report, backup, expected);
}

/* The same, of a plain backup. */
void
read_control_file(Report *report, Backup *backup, uint64_t expected)
{
	unsigned char data[CONTROL_FILE_SIZE + 1];
	char		version[16];
	char	   *problem;
	ssize_t		got = read_small(backup->dir, "PG_VERSION", version, sizeof(version) - 1, &problem);

	if (got > 0)
	{
		version[got] = '\0';
		take_version(backup, version);
	}
	free(problem);
	got = read_small(backup->dir, "global/pg_control", data, sizeof(data), &problem);
	take_control_file(report, backup, expected, data, got, problem);
	free(problem);
}
