/*
 * t/modules/fuzz/wal_readers.c
 *		WAL, names in an archive of it, and histories.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent_readers.h"

#include "../../../src/agent/archive_backups.h"
#include "../../../src/agent/crc32c.h"
#include "../../../src/agent/wal.h"

static bool
open_input(Wal *wal, int range, uint64_t segment)
{
	return segment == wal->segment;
}

static ssize_t
fill_input(Wal *wal, uint64_t start)
{
	return pread(*(int *) wal->place, wal->buffer, WAL_BUFFER_SIZE, (off_t) start);
}

static void
close_input(Wal *wal)
{
}

/* The input as a WAL segment, which says itself where it belongs, and all of it wanted. */
void
fuzz_wal(const uint8_t *data, size_t size)
{
	int			fd = input_file(data, size);
	static const WalSource source = {open_input, fill_input, close_input};
	PageFinding finding = {.lsn = 1};
	PageFindings findings = {.items = &finding,.n = 1,.size = 1};
	Wal			wal = {.source = &source,.place = &fd,.segment_size = 1 << 24,.page_size = 8192,.timeline = 1,.is_open = true};
	WalWalk		walk = {.findings = &findings};
	uint64_t	start;

	if (size < WAL_LONG_HEADER)
		return;
	memcpy(&start, data + 8, sizeof(start));
	memcpy(&wal.system_identifier, data + 24, sizeof(uint64_t));
	start -= start % wal.segment_size;
	walk.start = start + WAL_LONG_HEADER;
	walk.end = start + size;
	wal.segment = start / wal.segment_size;
	wal.buffer = malloc(WAL_BUFFER_SIZE);
	(void) walk_records(&wal, &walk);
	free(wal.buffer);
}

/* The input as the text of a history file: what is understood obeys the rules. */
void
fuzz_history(const uint8_t *data, size_t size)
{
	const char *text = input_text(data, size);
	History		history;
	char	   *problem;

	if (history_parse(&history, 1000, text, &problem))
	{
		for (uint32_t i = 0; i < history.n; i++)
		{
			const HistoryEntry *entry = &history.entries[i];

			if (entry->timeline >= 1000 || !history_contains(&history, entry->timeline, entry->end) ||
				history_begin(&history, entry->timeline) > entry->end)
				abort();
		}
	}
}

/* The input as the name of a file in an archive: what follows the digits is inside the name. */
void
fuzz_wal_name(const uint8_t *data, size_t size)
{
	const char *text = input_text(data, size);
	WalName		name;

	parse_wal_name(text, &name);
	if (name.kind == NAME_SEGMENT && (name.tail > strlen(text) || name.timeline == 0))
		abort();
}

/* The input as the history of a backup. */
void
fuzz_backup_history(const uint8_t *data, size_t size)
{
	const char *text = input_text(data, size);
	static Archive archive;

	memset(&archive, 0, sizeof(archive));
	if (read_backup_history(&archive, "000000010000000000000002.00000028.backup", text) &&
		(archive.n_windows != 1 || archive.windows[0].end_lsn < archive.windows[0].start_lsn || archive.windows[0].timeline == 0))
		abort();
}

/* Give the records of a changed segment the checksums that they need to be looked at. */
void
repair_wal(uint8_t *data, size_t size)
{
	size_t		at = WAL_LONG_HEADER;

	while (at + 24 <= size)
	{
		uint32_t	total;
		uint32_t	crc;

		memcpy(&total, data + at, sizeof(total));
		if (total < 24 || total > size - at || at % 8192 + total > 8192)
			break;
		crc = crc32c_end(crc32c_add(crc32c_add(CRC32C_INIT, data + at + 24, total - 24), data + at, 20));
		memcpy(data + at + 20, &crc, sizeof(crc));
		at += (total + 7) & ~(size_t) 7;
	}
}
