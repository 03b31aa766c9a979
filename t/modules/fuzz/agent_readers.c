/*
 * t/modules/fuzz/agent_readers.c
 *		What the agent reads of strangers, one reader after the other, for a fuzzer.
 *
 * Built and run by tools/fuzz with libFuzzer, which takes the reader's name
 * from the environment (READER), and by t/fuzz.pl with a loop of its own
 * (replay.c).  A reader aborts when what it was told cannot be.
 *
 * The agent leaves small texts to the end of its process, which does not come
 * here: what its allocator (memory.c, included below) gave during a run is
 * freed after it.
 */
#include <curl/curl.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent_readers.h"

#include "../../../src/agent/archive_backups.h"
#include "../../../src/agent/backup.h"
#include "../../../src/agent/crc32c.h"
#include "../../../src/agent/dump.h"
#include "../../../src/agent/dump_blobs.h"
#include "../../../src/agent/http.h"
#include "../../../src/agent/incremental.h"
#include "../../../src/agent/list.h"
#include "../../../src/agent/manifest.h"
#include "../../../src/agent/page.h"
#include "../../../src/agent/request.h"
#include "../../../src/agent/tar.h"
#include "../../../src/agent/wal.h"

/* Of the sanitizers' runtime; gcc comes without the header. */
extern int	__sanitizer_install_malloc_and_free_hooks(void (*malloc_hook) (const volatile void *, size_t), void (*free_hook) (const volatile void *));

#define MAX_LIVE (1 << 16)

/* Allocations of this run that nobody has freed; a table with open addressing. */
static void *live[MAX_LIVE];
static size_t n_live;
static bool sweeping;

static size_t
live_slot(const void *pointer)
{
	size_t		slot = ((uintptr_t) pointer >> 4) * UINT64_C(0x9e3779b97f4a7c15) % MAX_LIVE;

	while (live[slot] != NULL && live[slot] != pointer)
		slot = (slot + 1) % MAX_LIVE;
	return slot;
}

static void *
remember(void *pointer)
{
	if (pointer != NULL && ++n_live > MAX_LIVE / 2)
		abort();
	if (pointer != NULL)
		live[live_slot(pointer)] = pointer;
	return pointer;
}

/* Called by the sanitizer for everything that is freed. */
static void
forget_freed(const volatile void *pointer)
{
	size_t		slot = live_slot((const void *) pointer);

	if (sweeping || live[slot] == NULL)
		return;
	live[slot] = NULL;
	n_live--;
	for (slot = (slot + 1) % MAX_LIVE; live[slot] != NULL; slot = (slot + 1) % MAX_LIVE)
	{
		void	   *moved = live[slot];

		live[slot] = NULL;
		live[live_slot(moved)] = moved;
	}
}

static void
ignore_allocated(const volatile void *pointer, size_t size)
{
}

static void
free_live(void)
{
	if (n_live == 0)
		return;
	sweeping = true;
	for (size_t slot = 0; slot < MAX_LIVE; slot++)
	{
		free(live[slot]);
		live[slot] = NULL;
	}
	n_live = 0;
	sweeping = false;
}

static int
tracked_vasprintf(char **result, const char *fmt, va_list args)
{
	int			len = vasprintf(result, fmt, args);

	if (len >= 0)
		remember(*result);
	return len;
}

#define malloc(size) remember(malloc(size))
#define realloc(old, size) remember(realloc(old, size))
#define vasprintf tracked_vasprintf
#include "../../../src/agent/memory.c"
#undef malloc
#undef realloc
#undef vasprintf

/* The input as a file */
static int
input_file(const uint8_t *data, size_t size)
{
	static int	fd = -1;

	if (fd < 0)
		fd = memfd_create("input", 0);
	if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t) size || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	return fd;
}

/* The input as a text */
static char *
input_text(const uint8_t *data, size_t size)
{
	char	   *str = xmalloc(size + 1);

	memcpy(str, data, size);
	str[size] = '\0';
	return str;
}

/* A manifest that is understood finds each of its files again. */
static void
fuzz_manifest(const uint8_t *data, size_t size)
{
	int			fd = input_file(data, size);
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
}

/* A request that is understood names one URL. */
static void
fuzz_request(const uint8_t *data, size_t size)
{
	static Report report;
	Request		request;

	memset(&report, 0, sizeof(report));
	if (read_request(&report, &request, input_file(data, size), true) && request.url == NULL)
		abort();
	forget_request(&request);
}

/* Pages of listings: whatever they are, a backup that is found has a name. */
static void
fuzz_s3(const uint8_t *data, size_t size)
{
	S3Page		page = {0};

	if (s3_read_page(input_text(data, size), size, &page) == NULL && page.newest.key != NULL && page.newest.key[0] == '\0')
		abort();
}

static void
fuzz_supabase(const uint8_t *data, size_t size)
{
	ProjectBackups backups;

	if (supabase_read_answer(input_text(data, size), size, &backups) == NULL && (backups.completed_at >= 0) != (backups.completed_id != NULL))
		abort();
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
static void
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
static void
fuzz_wal_name(const uint8_t *data, size_t size)
{
	const char *text = input_text(data, size);
	WalName		name;

	parse_wal_name(text, &name);
	if (name.kind == NAME_SEGMENT && (name.tail > strlen(text) || name.timeline == 0))
		abort();
}

/* The input as the history of a backup. */
static void
fuzz_backup_history(const uint8_t *data, size_t size)
{
	const char *text = input_text(data, size);
	static Archive archive;

	memset(&archive, 0, sizeof(archive));
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
fuzz_label(const uint8_t *data, size_t size)
{
	const char *text = input_text(data, size);
	BackupLabel label;
	char	   *problem;

	if (parse_label(text, &label, &problem) &&
		(label.start.lsn == 0 || label.start.timeline == 0 || label.prior.lsn >= label.start.lsn ||
		 (label.prior.lsn == 0) != (label.prior.timeline == 0)))
		abort();
}

/* A dump in a file, or in a directory, whatever it begins with. */
static void
verify_input(const DumpFormat *format, int fd, bool is_directory, size_t size)
{
	static Report report;
	static DumpRun run;
	static Options options = {.level = "verify",.jobs = 1};
	WantedTable wanted = {.schema = "public",.name = "t",.label = "public.t"};
	Dump		dump = {.fd = fd,.is_directory = is_directory,.id = "input",.path = "input",.format = format,.size = size,.wanted = &wanted,.n_wanted = 1};

	memset(&report, 0, sizeof(report));
	memset(&run, 0, sizeof(run));
	run.report = &report;
	run.dump = &dump;
	run.options = &options;
	run.deep = true;
	run.header = report_check(&report, "dump_header");
	pace_start(&run.pace, &options, size);
	if (!is_directory)
		file_source_open(&run.file, fd, NULL, false);
	format->verify(&run);
	conclude_tables(&run);
	conclude_kinds_of_data(&run);
	if (!is_directory)
		file_source_close(&run.file);
}

static void
fuzz_dump_custom(const uint8_t *data, size_t size)
{
	verify_input(&custom_format, input_file(data, size), false, size);
}

static void
fuzz_dump_tar(const uint8_t *data, size_t size)
{
	verify_input(&tar_format, input_file(data, size), false, size);
}

static void
fuzz_dump_plain(const uint8_t *data, size_t size)
{
	verify_input(&plain_format, input_file(data, size), false, size);
}

/* Can it be the name of a file here, and of none of ours? */
static bool
is_plain_name(const char *name)
{
	return *name != '\0' && *name != '.' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") == strlen(name);
}

static char directory[64];

static void
remove_directory(void)
{
	rmdir(directory);
}

/* Files of a directory: each begins with a line "name length\n". */
static void
fuzz_dump_directory(const uint8_t *data, size_t size)
{
	static int	dir = -1;
	char		names[8][32];
	int			n = 0;
	size_t		pos = 0;

	if (dir < 0)
	{
		strcpy(directory, access("/dev/shm", W_OK) == 0 ? "/dev/shm/voxanne_fuzz.XXXXXX" : "/tmp/voxanne_fuzz.XXXXXX");
		if (mkdtemp(directory) == NULL || (dir = open(directory, O_RDONLY | O_DIRECTORY)) < 0 || atexit(remove_directory) != 0)
			abort();
	}
	while (n < 8 && pos < size)
	{
		const uint8_t *end = memchr(data + pos, '\n', size - pos < 60 ? size - pos : 60);
		char		line[64] = "";
		size_t		len;
		int			fd;

		if (end == NULL)
			break;
		memcpy(line, data + pos, (size_t) (end - data) - pos);
		pos = (size_t) (end - data) + 1;
		if (sscanf(line, "%31s %zu", names[n], &len) != 2 || !is_plain_name(names[n]))
			break;
		len = len < size - pos ? len : size - pos;
		fd = openat(dir, names[n], O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (fd < 0 || write(fd, data + pos, len) != (ssize_t) len)
			abort();
		close(fd);
		pos += len;
		n++;
	}
	verify_input(&directory_format, dir, true, size);
	for (int i = 0; i < n; i++)
		unlinkat(dir, names[i], 0);
}

/* The input as a tar archive, of which a member has as many bytes as it says, or the archive is cut off. */
static void
fuzz_tar(const uint8_t *data, size_t size)
{
	unsigned char buffer[4096];
	FileSource	file;
	Stream		in;
	Tar			tar;

	file_source_open(&file, input_file(data, size), NULL, false);
	stream_open_file(&in, COMPRESSION_NONE, &file);
	tar_open(&tar, &in);
	while (tar_next(&tar))
	{
		uint64_t	left = tar.left;
		ssize_t		got;

		while ((got = tar_read(&tar, buffer, sizeof(buffer))) > 0)
			left -= (uint64_t) got;
		if (got == 0 && left != 0)
			abort();
	}
	tar_close(&tar);
	stream_close(&in);
	file_source_close(&file);
}

/* What was compressed, up to 16 MB of it. */
static void
fuzz_decompress(const uint8_t *data, size_t size)
{
	Compression method = compression_of_magic(data, size < COMPRESSION_MAGIC_SIZE ? size : COMPRESSION_MAGIC_SIZE);
	FileSource	file;
	Stream		in;
	const unsigned char *part;
	size_t		len;

	if (!compression_readable(method))
		return;
	file_source_open(&file, input_file(data, size), NULL, false);
	stream_open_file(&in, method, &file);
	while (stream_at(&in) < (16 << 20) && (len = stream_look(&in, &part)) > 0)
		stream_pass(&in, len);
	stream_close(&in);
	file_source_close(&file);
}

/* The input as pg_control, and its end as PG_VERSION. */
static void
fuzz_control(const uint8_t *data, size_t size)
{
	static Report report;
	static Backup backup;
	char		version[16] = "";

	memset(&report, 0, sizeof(report));
	memset(&backup, 0, sizeof(backup));
	memcpy(version, data + (size < 15 ? 0 : size - 15), size < 15 ? size : 15);
	take_version(&backup, version);
	take_control_file(&report, &backup, 1, data, (ssize_t) size, NULL);
}

/* The other end of the connection that libcurl thinks it has */
static int	peer = -1;

/* These two take the place of libc's. */
int
socket(int domain, int type, int protocol)
{
	int			pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | (type & (SOCK_CLOEXEC | SOCK_NONBLOCK)), 0, pair) != 0)
		return -1;
	if (peer >= 0)
		close(peer);
	peer = pair[1];
	return pair[0];
}

static const uint8_t *answer;
static size_t answer_size;

int
connect(int fd, const struct sockaddr *address, socklen_t len)
{
	if (send(peer, answer, answer_size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 || shutdown(peer, SHUT_WR) != 0)
		return 0;
	return 0;
}

/* The input as all that an HTTP server says. */
static void
fuzz_http(const uint8_t *data, size_t size)
{
	static AnswerHeader wanted[] = {{"etag"}, {"x-amz-checksum-sha256"}, {"content-type"}};
	Transfer	transfer = {
		.request = {.url = "http://127.0.0.1:1/x",.allow_http = true,.connect_timeout_ms = 1000},
		.origin = "http://127.0.0.1:1",.host = "127.0.0.1:1",.method = "GET",.url = "http://127.0.0.1:1/x",
		.max_bytes = 1 << 16,.timeout_ms = 1000,.wanted = wanted,.n_wanted = 3,
	};

	answer = data;
	answer_size = size;
	(void) http_try(&transfer);
	if (transfer.body_len > transfer.max_bytes)
		abort();
	for (int i = 0; i < transfer.n_wanted; i++)
	{
		if (strlen(wanted[i].value) >= sizeof(wanted[i].value))
			abort();
	}
	http_close(&transfer);
	if (peer >= 0)
		close(peer);
	peer = -1;
}

/* Give the records of a changed segment the checksums that they need to be looked at. */
static void
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

/* The same for the headers of a tar archive. */
static void
repair_tar(uint8_t *data, size_t size)
{
	for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK)
	{
		uint8_t    *header = data + at;
		char		digits[8];
		unsigned int sum = 0;

		if (memcmp(header + 257, "ustar", 5) != 0)
			continue;
		memset(header + 148, ' ', 8);
		for (int i = 0; i < TAR_BLOCK; i++)
			sum += header[i];
		snprintf(digits, sizeof(digits), "%06o", sum);
		memcpy(header + 148, digits, 7);
	}
}

/* And for pg_control. */
static void
repair_control(uint8_t *data, size_t size)
{
	uint32_t	crc;

	if (size < 292)
		return;
	crc = crc32c_end(crc32c_add(CRC32C_INIT, data, 288));
	memcpy(data + 288, &crc, sizeof(crc));
}

const Reader readers[] = {
	{"backup_history", fuzz_backup_history},
	{"control", fuzz_control, repair_control},
	{"decompress", fuzz_decompress},
	{"dump_custom", fuzz_dump_custom},
	{"dump_directory", fuzz_dump_directory},
	{"dump_plain", fuzz_dump_plain},
	{"dump_tar", fuzz_dump_tar, repair_tar},
	{"history", fuzz_history},
	{"http", fuzz_http},
	{"incremental", fuzz_incremental},
	{"label", fuzz_label},
	{"manifest", fuzz_manifest},
	{"page", fuzz_page},
	{"request", fuzz_request},
	{"s3", fuzz_s3},
	{"supabase", fuzz_supabase},
	{"tar", fuzz_tar, repair_tar},
	{"wal", fuzz_wal, repair_wal},
	{"wal_name", fuzz_wal_name},
	{NULL}
};

/* The reader of this name, or NULL. */
const Reader *
find_reader(const char *name)
{
	for (const Reader *reader = readers; reader->name != NULL; reader++)
	{
		if (name != NULL && strcmp(reader->name, name) == 0)
			return reader;
	}
	return NULL;
}

/* To be called once. */
void
prepare_readers(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
	digest_load();
	page_init();
	if (__sanitizer_install_malloc_and_free_hooks(ignore_allocated, forget_freed) == 0)
		abort();
}

/* One run. */
void
read_input(const Reader *reader, const uint8_t *data, size_t size)
{
	reader->read(data, size);
	free_live();
}
