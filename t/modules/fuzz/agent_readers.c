/*
 * t/modules/fuzz/agent_readers.c
 *		libFuzzer harness for what the agent reads of strangers: manifests, labels, requests, answers of stores, WAL, its archives,
 *		pages, incremental files and dumps.
 *
 * Built and run by tools/fuzz.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../src/agent/dump.h"
#include "../../../src/agent/dump_blobs.h"
#include "../../../src/agent/incremental.h"
#include "../../../src/agent/list.h"
#include "../../../src/agent/manifest.h"
#include "../../../src/agent/page.h"
#include "../../../src/agent/request.h"
#include "../../../src/agent/tar.h"
#include "../../../src/agent/archive_backups.h"
#include "../../../src/agent/wal.h"

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A manifest that is understood finds each of its files again. */
static void
fuzz_manifest(int fd)
{
	Manifest	manifest;
	char	   *problem = NULL;

	(void) manifest_checksum_ok(fd, &problem);
	free(problem);
	if (manifest_read(&manifest, fd, &problem))
	{
		for (uint32_t i = 0; i < manifest.n_files; i++)
		{
			if (manifest_find(&manifest, manifest_file (&manifest, i)->path) != manifest_file (&manifest, i))
				abort();
		}
	}
	free(problem);
	/* what would live until the process ends, paths aside */
	for (uint32_t i = 0; i * FILES_PER_BLOCK < manifest.n_files; i++)
		free(manifest.blocks[i]);
	free(manifest.blocks);
	free(manifest.slots);
}

/* A request that is understood names one URL. */
static void
fuzz_request(int fd)
{
	static Report report;
	Request		request;

	memset(&report, 0, sizeof(report));
	if (lseek(fd, 0, SEEK_SET) == 0 && read_request(&report, &request, fd, true) && request.url == NULL)
		abort();
	forget_request(&request);
	free(report.error_message);
	free(report.error_hint);
}

/* The answers of stores: whatever they are, a backup that is found has a name. */
static void
fuzz_answers(const uint8_t *data, size_t size)
{
	char	   *str = malloc(size + 1);
	S3Page		page = {0};
	ProjectBackups backups;

	memcpy(str, data, size);
	str[size] = '\0';

	if (s3_read_page(str, size, &page) == NULL && page.newest.key != NULL && page.newest.key[0] == '\0')
		abort();
	free(page.newest.key);
	free(page.newest.storage_class);
	free(page.token);
	if (supabase_read_answer(str, size, &backups) == NULL && (backups.completed_at >= 0) != (backups.completed_id != NULL))
		abort();
	free(str);
}

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
static void
fuzz_wal(int fd, const uint8_t *data, size_t size)
{
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
	free(walk_records(&wal, &walk));
	free(wal.buffer);
}

/* The input as the text of a history file: what is understood obeys the rules. */
static void
fuzz_history(const char *text)
{
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
		free(history.entries);
	}
	free(problem);
}

/* The input as the name of a file in an archive: what follows the digits is inside the name. */
static void
fuzz_wal_name(const char *text)
{
	WalName		name;

	parse_wal_name(text, &name);
	if (name.kind == NAME_SEGMENT && (name.tail > strlen(text) || name.timeline == 0))
		abort();
}

/* The input as the history of a backup. */
static void
fuzz_backup_history(const char *text)
{
	static Archive archive;

	if (read_backup_history(&archive, "000000010000000000000002.00000028.backup", text) &&
		(archive.n_windows != 1 || archive.windows[0].end_lsn < archive.windows[0].start_lsn || archive.windows[0].timeline == 0))
		abort();
}

/* The input as a path and a page. */
static void
fuzz_page(const uint8_t *data, size_t size)
{
	static unsigned char page[8192];
	Layout		layout = {.known = true,.page_size = sizeof(page),.segment_pages = 131072};
	RelationFile relation;
	PageFinding finding;
	char		path[64] = "";

	memcpy(path, data, size < sizeof(path) - 1 ? size : sizeof(path) - 1);
	if (relation_file(path, &layout, &relation) && relation.first.block % layout.segment_pages != 0)
		abort();
	memcpy(page, data, size < sizeof(page) ? size : sizeof(page));
	(void) page_fault(page, &layout, 1, UINT64_MAX, &finding);
}

/* The input as a file of an incremental backup: the same whatever parts it comes in, and what is understood obeys the rules. */
static void
fuzz_incremental(const uint8_t *data, size_t size)
{
	Layout		layout = {.known = true,.page_size = 1024,.segment_pages = 131072};
	Incremental whole = {0};
	Incremental parts = {0};
	size_t		at = 0;

	incremental_begin(&whole, &layout, size);
	incremental_begin(&parts, &layout, size);
	if (incremental_add(&whole, data, size) && whole.problem == NULL)
	{
		if (whole.n_blocks > layout.segment_pages || whole.header_size + (uint64_t) whole.n_blocks * layout.page_size != size)
			abort();
		for (uint32_t i = 0; i < whole.n_blocks; i++)
		{
			if (whole.blocks[i] >= layout.segment_pages || (i > 0 && whole.blocks[i] <= whole.blocks[i - 1]) ||
				incremental_block(&whole, whole.header_size + (uint64_t) i * layout.page_size) != (int64_t) whole.blocks[i])
				abort();
		}
	}
	while (at < size)
	{
		size_t		part = size - at < 7 ? size - at : 7;

		if (incremental_add(&parts, data + at, part))
			break;
		at += part;
	}
	if ((whole.problem == NULL) != (parts.problem == NULL) || whole.taken != parts.taken)
		abort();
	incremental_free(&whole);
	incremental_free(&parts);
}

/* The input as backup_label: a backup that is understood has a start, behind that of the one it builds on. */
static void
fuzz_label(const char *text)
{
	BackupLabel label;
	char	   *problem;

	if (parse_label(text, &label, &problem) &&
		(label.start.lsn == 0 || label.start.timeline == 0 || label.prior.lsn >= label.start.lsn ||
		 (label.prior.lsn == 0) != (label.prior.timeline == 0)))
		abort();
	free(problem);
}

/* The input as a dump in a file of each format, whatever it begins with. */
static void
fuzz_dump(int fd, const DumpFormat *format, size_t size)
{
	static Report report;
	static DumpRun run;
	static Options options = {.level = "verify"};
	WantedTable wanted = {.schema = "public",.name = "t",.label = "public.t"};
	Dump		dump = {.fd = fd,.id = "input",.path = "input",.format = format,.size = size,.wanted = &wanted,.n_wanted = 1};

	memset(&report, 0, sizeof(report));
	memset(&run, 0, sizeof(run));
	run.report = &report;
	run.dump = &dump;
	run.options = &options;
	run.deep = true;
	run.header = report_check(&report, "dump_header");
	pace_start(&run.pace, &options, size);
	file_source_open(&run.file, fd, NULL, false);
	format->verify(&run);
	conclude_tables(&run);
	conclude_kinds_of_data(&run);
	file_source_close(&run.file);
	for (uint32_t i = 0; i < dump.n_entries; i++)
	{
		free(dump.entries[i].schema);
		free(dump.entries[i].name);
		free(dump.entries[i].file);
	}
	free(dump.entries);
	free(dump.header.database);
	free(dump.header.server_version);
	free(dump.header.dump_version);
	for (int i = 0; i < report.n_checks; i++)
	{
		free(report.checks[i].detail);
		for (int j = 0; j < report.checks[i].n_items; j++)
		{
			free(report.checks[i].items[j].path);
			free(report.checks[i].items[j].problem);
		}
	}
}

/* The input as a tar archive, of which a member has as many bytes as it says, or the archive is cut off. */
static void
fuzz_tar(int fd)
{
	unsigned char buffer[4096];
	FileSource	file;
	Stream		in;
	Tar			tar;

	file_source_open(&file, fd, NULL, false);
	stream_open_file(&in, COMPRESSION_NONE, &file);
	tar_open(&tar, &in);
	while (tar_next(&tar))
	{
		uint64_t	size = tar.left;
		ssize_t		got;

		while ((got = tar_read(&tar, buffer, sizeof(buffer))) > 0)
			size -= (uint64_t) got;
		if (got == 0 && size != 0)
			abort();
	}
	tar_close(&tar);
	stream_close(&in);
	file_source_close(&file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const DumpFormat *const formats[] = {&custom_format, &tar_format, &plain_format};
	static int	fd = -1;
	char	   *str;

	if (fd < 0)
	{
		fd = memfd_create("input", 0);
		digest_load();
		page_init();
	}
	if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t) size)
		return 0;
	fuzz_manifest(fd);
	fuzz_request(fd);
	fuzz_answers(data, size);
	fuzz_wal(fd, data, size);
	fuzz_page(data, size);
	fuzz_incremental(data, size);
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		fuzz_dump(fd, formats[i], size);
	fuzz_tar(fd);
	str = malloc(size + 1);
	memcpy(str, data, size);
	str[size] = '\0';
	fuzz_history(str);
	fuzz_wal_name(str);
	fuzz_backup_history(str);
	fuzz_label(str);
	free(str);
	return 0;
}
