/*
 * t/modules/pagecache/pagecache.c
 *		How much of files the page cache holds.
 *
 * "count FILE..." prints the number of bytes in whole pages, "drop FILE..."
 * has the kernel forget them as far as it will, "tells FILE" exits with 0 if
 * the kernel can say that a read would have to wait for the storage.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void
fail(const char *what)
{
	perror(what);
	exit(2);
}

static long
resident(int fd)
{
	size_t		page = (size_t) sysconf(_SC_PAGESIZE);
	unsigned char *pages;
	struct stat st;
	void	   *at;
	size_t		n;
	long		count = 0;

	if (fstat(fd, &st) != 0)
		fail("fstat");
	if (st.st_size == 0)
		return 0;
	n = ((size_t) st.st_size + page - 1) / page;
	at = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	pages = malloc(n);
	if (at == MAP_FAILED || pages == NULL || mincore(at, (size_t) st.st_size, pages) != 0)
		fail("mincore");
	for (size_t i = 0; i < n; i++)
		count += pages[i] & 1;
	munmap(at, (size_t) st.st_size);
	free(pages);
	return count * (long) page;
}

int
main(int argc, char **argv)
{
	long		sum = 0;

	for (int i = 2; i < argc; i++)
	{
		int			fd = open(argv[i], O_RDONLY);
		char		byte;
		struct iovec first = {&byte, 1};

		if (fd < 0)
			fail(argv[i]);
		if (strcmp(argv[1], "count") == 0)
			sum += resident(fd);
		else if (strcmp(argv[1], "tells") == 0 && preadv2(fd, &first, 1, 0, RWF_NOWAIT) != 1)
			return 1;
		else if (strcmp(argv[1], "drop") == 0 && (fsync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0))
			fail("drop");
		close(fd);
	}
	if (argc > 1 && strcmp(argv[1], "count") == 0)
		printf("%ld\n", sum);
	return 0;
}
