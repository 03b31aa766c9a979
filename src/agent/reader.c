/*
 * src/agent/reader.c
 *		Reading files of a backup: checksums and pages in one go.
 *
 * A backup is read once and not again soon, so what reading brings into the
 * page cache is dropped behind us and does not displace what the server works
 * with.  What was there before is somebody else's and stays: the first read
 * that would have to wait for the storage tells.
 */
#include "reader.h"
#include "page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define BUFFER_ALIGNMENT 4096

void
reader_open(Reader *reader)
{
	void	   *buffer;

	if (posix_memalign(&buffer, BUFFER_ALIGNMENT, READ_SIZE) != 0)
		buffer = xmalloc(SIZE_MAX);
	reader->buffer = buffer;
}

void
reader_close(Reader *reader)
{
	close_last_directory(&reader->directory);
	digest_free(&reader->digest);
	incremental_free(&reader->incremental);
	free(reader->buffer);
}

/*
 * Read "want" bytes from "at"; less only at the file's end, -1 with errno set
 * on an error.  Sets "cold" if something was not in the page cache.
 */
ssize_t
read_file(int fd, unsigned char *buffer, size_t want, uint64_t at, bool *cold)
{
	size_t		have = 0;

	while (have < want)
	{
		struct iovec rest = {buffer + have, want - have};
		ssize_t		got = -1;

		if (!*cold)
			got = preadv2(fd, &rest, 1, (off_t) (at + have), RWF_NOWAIT);
		if (got < 0)
		{
			*cold = true;
			got = pread(fd, rest.iov_base, rest.iov_len, (off_t) (at + have));
		}
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		have += (size_t) got;
	}
	return (ssize_t) have;
}

/* Look at the whole pages in the buffer, which came from "at"; what is behind the last is none. */
void
reader_check_pages(Reader *reader, const ReadOrder *order, const RelationFile *relation, uint64_t at, size_t len)
{
	const Layout *layout = &reader->backup->layout;
	uint64_t	end_lsn = manifest_end_lsn(&reader->backup->manifest);
	uint32_t	sums[READ_SIZE / MIN_PAGE_SIZE];
	size_t		n_pages = len / layout->page_size;

	page_sums(reader->buffer, layout->page_size, n_pages, sums);
	for (size_t i = 0; i < n_pages; i++)
	{
		size_t		pos = i * layout->page_size;
		PageFinding finding;
		BlockName	name = relation->first;
		int64_t		page = !relation->incremental ? (int64_t) ((at + pos) / layout->page_size) :
			incremental_block(&reader->incremental, at + pos);

		if (page == NO_BLOCK)
			continue;
		name.block += (uint32_t) page;
		reader->n_pages++;
		if (!page_fault(reader->buffer + pos, sums[i], layout, name.block, end_lsn, &finding))
			continue;
		finding.name = name;
		finding.file = order->file;
		finding.page = (uint32_t) page;
		finding.second = order->second;
		finding.replayed = false;
		findings_add(&reader->findings, &finding);
	}
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
		a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Read the header of an incremental file; false if it is not what it should be, or cannot be read. */
static bool
read_header(Reader *reader, int fd, const ReadOrder *order, ReadResult *result)
{
	uint64_t	size = manifest_file (&reader->backup->manifest, order->file)->size;
	bool		cold = false;
	uint64_t	at = 0;
	ssize_t		got = 0;

	incremental_begin(&reader->incremental, &reader->backup->layout, size);
	do
	{
		at += (uint64_t) got;
		got = read_file(fd, reader->buffer, READ_SIZE, at, &cold);
	} while (got > 0 && !incremental_add(&reader->incremental, reader->buffer, (size_t) got));
	if (got < 0)
		result->error = errno;
	else if (got == 0 && reader->incremental.problem == NULL)
		result->changed = true;
	result->bad_header = reader->incremental.problem != NULL;
	return got > 0 && !result->bad_header;
}

/* The part of an open file: digest and pages. */
static ReadResult
read_part(Reader *reader, int fd, const ReadOrder *order)
{
	const ManifestFile *file = manifest_file (&reader->backup->manifest, order->file);
	RelationFile relation;
	bool		is_relation = reader->check_pages && relation_file(file->path, &reader->backup->layout, &relation);
	bool		has_header = reader->check_headers && is_incremental(file->path);
	bool		cold = false;
	uint64_t	first_cold = order->start;
	ReadResult	result = {0};
	uint64_t	at = order->start;

	if (order->end - at > READ_SIZE)
		posix_fadvise(fd, (off_t) at, (off_t) (order->end - at), POSIX_FADV_SEQUENTIAL);
	if (has_header && !read_header(reader, fd, order, &result))
		is_relation = false;
	if (result.error != 0)
		return result;
	result.complete = digest_begin(&reader->digest, (DigestKind) file->digest_kind);
	while (result.complete && at < order->end)
	{
		size_t		want = order->end - at < READ_SIZE ? (size_t) (order->end - at) : READ_SIZE;
		ssize_t		got;

		pace_wait(reader->pace, want);
		if (!cold)
			first_cold = at;
		got = read_file(fd, reader->buffer, want, at, &cold);
		if (got < 0)
			result.error = errno;
		result.complete = got == (ssize_t) want && digest_add(&reader->digest, reader->buffer, want);
		result.changed |= got >= 0 && got < (ssize_t) want;
		if (is_relation && result.complete)
			reader_check_pages(reader, order, &relation, at, want);
		at += want;
	}
	if (cold)
		posix_fadvise(fd, (off_t) first_cold, (off_t) (at - first_cold), POSIX_FADV_DONTNEED);
	if (!result.complete && result.error == 0 && !result.changed)
		result.error = ENOTSUP; /* the library refuses to hash */
	return result;
}

/* Read what the order says; the digest of it is in the making in reader->digest. */
ReadResult
reader_read(Reader *reader, const ReadOrder *order)
{
	const ManifestFile *file = manifest_file (&reader->backup->manifest, order->file);
	int			fd = open_file(reader->backup, reader->options, &reader->directory, file->path);
	ReadResult	result = {0};
	struct stat before;
	struct stat after;

	if (fd < 0 || fstat(fd, &before) != 0)
		result.error = errno;
	else if (!S_ISREG(before.st_mode) || (uint64_t) before.st_size != file->size)
		result.changed = true;
	else
	{
		result = read_part(reader, fd, order);
		if (result.error == 0 && (fstat(fd, &after) != 0 || !same_file(&before, &after)))
			result.changed = true;
	}
	if (fd >= 0)
		close(fd);
	return result;
}
