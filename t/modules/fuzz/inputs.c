/*
 * t/modules/fuzz/inputs.c
 *		The input in the shapes that the readers want.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent_readers.h"

#include "../../../src/agent/agent.h"

/* The input as a file */
int
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
char *
input_text(const uint8_t *data, size_t size)
{
	char	   *str = xmalloc(size + 1);

	memcpy(str, data, size);
	str[size] = '\0';
	return str;
}

/*
 * A directory for inputs that are files of one, of this name in TMPDIR, which
 * is for this run alone and is removed by the one who has set it.
 */
int
input_directory(const char *name)
{
	const char *parent = getenv("TMPDIR");
	char	   *path = NULL;
	int			dir;

	if (parent == NULL)
	{
		fprintf(stderr, "TMPDIR names no directory\n");
		exit(2);
	}
	if (asprintf(&path, "%s/%s", parent, name) < 0 || (mkdir(path, 0700) != 0 && errno != EEXIST))
		abort();
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(path);
	if (dir < 0)
		abort();
	return dir;
}

/* A file in a directory, in place of one of this name. */
void
put_file(int dir, const char *name, const uint8_t *data, size_t size)
{
	int			fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t) size)
		abort();
	close(fd);
}
