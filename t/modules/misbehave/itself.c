/*
 * t/modules/misbehave/itself.c
 *		Its own memory, limits and rights.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "misbehave.h"

#define MANY 5000
#define FAR_BEYOND ((size_t) 5 << 30)

static long
map(size_t size, int protection, int flags, int fd)
{
	void	   *address = mmap(NULL, size, protection, flags, fd, 0);

	return address == MAP_FAILED ? -1 : munmap(address, size);
}

static long
protect(bool by_key)
{
	void	   *address = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (by_key)
		return syscall(SYS_pkey_mprotect, address, 4096L, PROT_READ | PROT_EXEC, -1L);
	return mprotect(address, 4096, PROT_READ | PROT_EXEC);
}

void
use_memory(void)
{
	int			program = open("/proc/self/exe", O_RDONLY);

	TRY("executable memory", map(4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1));
	TRY("memory made executable", protect(false));
	TRY("memory made executable by key", protect(true));
	if (program >= 0)
		TRY("executable file", map(4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, program));
	else
		TRY("executable file", map(4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, STDIN_FILENO));
	TRY("all memory executable", personality(READ_IMPLIES_EXEC));
	TRY("memory file", syscall(SYS_memfd_create, "x", 0L));
	TRY("much memory", map(FAR_BEYOND, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1));
	TRY("locked memory", mlock(stdout, 1));
	TRY("page faults", syscall(SYS_userfaultfd, 0L));
}

static long
open_many(void)
{
	int			first = dup(STDOUT_FILENO);
	int			last = first;
	int			error;

	for (int i = 0; i < MANY && last >= 0; i++)
		last = dup(STDOUT_FILENO);
	error = errno;
	for (int fd = first; first >= 0 && fd <= first + MANY; fd++)
	{
		if (fd != INHERITED)
			syscall(SYS_close, fd);
	}
	errno = error;
	return last;
}

static long
raise_limit(int resource)
{
	struct rlimit limits = {0, 0};

	if (getrlimit(resource, &limits) != 0)
		return -1;
	return setrlimit(resource, &limits);
}

/* Prctls go past the function below. */
static long
undo(int option, unsigned long value)
{
	return syscall(SYS_prctl, option, value, 0L, 0L, 0L);
}

void
become_other(void)
{
	TRY("outlive the parent", undo(PR_SET_PDEATHSIG, 0));
	TRY("be traced", undo(PR_SET_DUMPABLE, 1));
	TRY("many descriptors", open_many());
	TRY("set a limit", raise_limit(RLIMIT_CORE));
	TRY("kernel's ring", syscall(SYS_io_uring_setup, 1L, NULL) == 0 || errno == EFAULT ? 0 : -1);
	TRY("bpf", syscall(SYS_bpf, 0L, NULL, 0L));
	TRY("performance counters", syscall(SYS_perf_event_open, NULL, 0L, -1L, -1L, 0L) == 0 || errno == EFAULT ? 0 : -1);
	TRY("filter of one's own", syscall(SYS_seccomp, 2L, 0L, "") == 0 || errno == EOPNOTSUPP ? 0 : -1);
	TRY("set the user", syscall(SYS_setuid, (long) getuid()));
	TRY("set the users", syscall(SYS_setresuid, -1L, -1L, -1L));
	TRY("set the group", syscall(SYS_setgid, (long) getgid()));
	TRY("become root", syscall(SYS_setuid, 0L));
	TRY("mount", mount("none", "/mnt", "tmpfs", 0, NULL));
	TRY("other root", chroot("/tmp"));
	TRY("enter a namespace", setns(STDIN_FILENO, 0) == 0 || errno == EINVAL ? 0 : -1);
	TRY("session", setsid());
	TRY("new namespace", unshare(CLONE_NEWUSER));
}
