/*
 * t/modules/restless/restless.c
 *		A file that changes while it is read; preloaded into voxanne_agent by t/agent_verify.pl.
 *
 * fstat() of the file with inode RESTLESS_INODE shows another time of
 * modification at each of the first RESTLESS_TIMES calls.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

int
fstat(int fd, struct stat *st)
{
	static _Atomic int calls;
	const char *inode = getenv("RESTLESS_INODE");
	const char *times = getenv("RESTLESS_TIMES");

	if (fstatat(fd, "", st, AT_EMPTY_PATH) != 0)
		return -1;
	if (inode != NULL && times != NULL && st->st_ino == (ino_t) atoll(inode) && calls < atoi(times))
		st->st_mtim.tv_sec += ++calls;
	return 0;
}
