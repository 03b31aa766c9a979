/*
 * t/modules/fuzz/backup_readers.c
 *		What a base backup holds, as a directory or as tar archives.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent_readers.h"

#include "../../../src/agent/backup.h"
#include "../../../src/agent/crc32c.h"
#include "../../../src/agent/findings.h"
#include "../../../src/agent/incremental.h"
#include "../../../src/agent/manifest.h"
#include "../../../src/agent/page.h"
#include "../../../src/agent/stream.h"
#include "../../../src/agent/tar.h"

/* A manifest that is understood finds each of its files again. */
void
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

/* The input as a path and a page. */
void
fuzz_page(const uint8_t *data, size_t size)
{
	static unsigned char page[8192];
	Layout		layout = {.known = true,.page_size = sizeof(page),.segment_pages = 131072};
	RelationFile relation;
	PageFinding finding;
	uint32_t	sum;
	char		path[64] = "";

	memcpy(path, data, size < sizeof(path) - 1 ? size : sizeof(path) - 1);
	if (relation_file(path, &layout, &relation) && relation.first.block % layout.segment_pages != 0)
		abort();
	memcpy(page, data, size < sizeof(page) ? size : sizeof(page));
	page_sums(page, sizeof(page), 1, &sum);
	(void) page_fault(page, sum, &layout, 1, UINT64_MAX, &finding);
}

/* The input as a file of an incremental backup: the same whatever parts it comes in, and what is understood obeys the rules. */
void
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
void
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

/* The input as pg_control, and its end as PG_VERSION. */
void
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

/* And for pg_control. */
void
repair_control(uint8_t *data, size_t size)
{
	uint32_t	crc;

	if (size < 292)
		return;
	crc = crc32c_end(crc32c_add(CRC32C_INIT, data, 288));
	memcpy(data + 288, &crc, sizeof(crc));
}

/* The input as a tar archive, of which a member has as many bytes as it says, or the archive is cut off. */
void
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
void
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

/* The same for the headers of a tar archive. */
void
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
