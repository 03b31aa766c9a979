/*
 * t/modules/misbehave/files.c
 *		Files: the backup, what lies elsewhere, and changing any of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "misbehave.h"

#define FCHMODAT2 452

void
change_files(void)
{
	char	   *target = named("MISBEHAVE_FILE");
	char		name[512];
	char		dir[512];
	int			fd = open(target, O_RDONLY);
	uint64_t	how[3] = {O_WRONLY, 0, 0};

	snprintf(name, sizeof(name), "%s.new", target);
	snprintf(dir, sizeof(dir), "%s", target);
	*strrchr(dir, '/') = '\0';
	TRY("create a file", open(name, O_WRONLY | O_CREAT, 0600));
	TRY("create a file elsewhere", open(named("MISBEHAVE_ELSEWHERE"), O_RDWR | O_CREAT, 0600));
	TRY("create by reading", open(name, O_RDONLY | O_CREAT, 0600));
	TRY("creat", creat(name, 0600));
	TRY("create without a name", open(dir, O_WRONLY | O_TMPFILE, 0600));
	TRY("write a file", open(target, O_WRONLY));
	TRY("append to a file", open(target, O_RDWR | O_APPEND));
	TRY("write as openat2", syscall(SYS_openat2, AT_FDCWD, target, how, sizeof(how)));
	TRY("write elsewhere", open(named("MISBEHAVE_SECRET"), O_WRONLY));
	TRY("truncate a file", truncate(target, 0));
	TRY("open and truncate", open(target, O_RDONLY | O_TRUNC));
	TRY("change a mode", chmod(target, 0600));
	TRY("change a descriptor's mode", syscall(SYS_fchmod, fd, 0600));
	TRY("change a mode as fchmodat2", syscall(FCHMODAT2, AT_FDCWD, target, 0600, 0));
	TRY("change an owner", chown(target, -1, -1));
	TRY("change times", utimensat(AT_FDCWD, target, NULL, 0));
	TRY("set an attribute", setxattr(target, "user.x", "x", 1, 0));
	TRY("lock a file", flock(fd, LOCK_EX | LOCK_NB));
	TRY("rename", rename(target, name));
	TRY("rename over", syscall(SYS_renameat2, AT_FDCWD, name, AT_FDCWD, target, 0));
	TRY("link", link(target, name) == 0 || errno == EEXIST ? 0 : -1);
	TRY("symlink", symlink("x", named("MISBEHAVE_LINK")));
	TRY("unlink", unlink(name));
	TRY("mkdir", mkdir(name, 0700));
	TRY("rmdir", rmdir(name));
	TRY("fifo", mkfifo(name, 0600));
	TRY("unlink at", unlinkat(AT_FDCWD, name, 0));
	close(fd);
}

void
read_files(void)
{
	char		name[64];

	/* before others get its number */
	TRY("inherited descriptor", fcntl(INHERITED, F_GETFD));
	TRY("read the backup", open_and_read(named("MISBEHAVE_FILE")));
	TRY("read elsewhere", open_and_read(named("MISBEHAVE_SECRET")));
	TRY("list elsewhere", open("/", O_RDONLY | O_DIRECTORY));
	TRY("read postgresql.conf elsewhere", open_and_read(named("MISBEHAVE_CONF")));
	TRY("read pg_hba.conf elsewhere", open_and_read(named("MISBEHAVE_HBA")));
	TRY("read .pgpass elsewhere", open_and_read(named("MISBEHAVE_PGPASS")));
	TRY("read /etc/passwd elsewhere", open_and_read("/etc/passwd"));
	TRY("read the own environment elsewhere", open_and_read("/proc/self/environ"));
	snprintf(name, sizeof(name), "/proc/%d/environ", (int) getppid());
	TRY("read the parent's environment elsewhere", open_and_read(name));
	TRY("ask for a name elsewhere", access(named("MISBEHAVE_SECRET"), F_OK));
	TRY("watch a directory", inotify_init1(0));
	TRY("watch by signal", fcntl(0, F_NOTIFY, DN_CREATE));
	TRY("handle of a file", syscall(SYS_name_to_handle_at, AT_FDCWD, "/", NULL, NULL, 0) == 0 || errno == EFAULT ? 0 : -1);
}
