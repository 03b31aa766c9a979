/*
 * t/modules/misbehave/processes.c
 *		New processes and programs, and other processes: the parent and whoever else there is.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "misbehave.h"

static long
end_child(long pid)
{
	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid((pid_t) pid, NULL, 0);
	return pid;
}

static long
clone_as_3(void)
{
	uint64_t	arguments[8] = {0, 0, 0, 0, SIGCHLD};

	return end_child(syscall(SYS_clone3, arguments, sizeof(arguments)));
}

static void *
open_in_thread(void *unused)
{
	long		result = open(named("MISBEHAVE_FILE"), O_WRONLY);

	outcome("write in a thread", result);
	return NULL;
}

static long
make_thread(void)
{
	pthread_t	thread;

	errno = pthread_create(&thread, NULL, open_in_thread, NULL);
	if (errno != 0)
		return -1;
	pthread_join(thread, NULL);
	return 0;
}

static long
execute(void)
{
	char	   *const nothing[] = {NULL};

	return execve("/nonexistent", nothing, nothing) == 0 || errno == ENOENT ? 0 : -1;
}

static long
execute_at(void)
{
	char	   *const nothing[] = {NULL};

	return syscall(SYS_execveat, AT_FDCWD, "/nonexistent", nothing, nothing, 0) == 0 || errno == ENOENT ? 0 : -1;
}

void
make_processes(void)
{
	TRY("thread", make_thread());
	TRY("fork", end_child(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)));
	TRY("fork as clone3", clone_as_3());
	TRY("vfork", end_child(vfork()));
#ifdef SYS_fork
	TRY("fork as fork", end_child(syscall(SYS_fork)));
#endif
	TRY("execute", execute());
	TRY("execute at", execute_at());
}

static long
read_parent(bool write)
{
	char		byte;
	struct iovec mine = {&byte, 1};
	struct iovec theirs = {stdout, 1};

	return syscall(write ? SYS_process_vm_writev : SYS_process_vm_readv, (long) getppid(), &mine, write ? 0L : 1L, &theirs, 1L, 0L);
}

/* Have a descriptor's owner, whoever that may be, get a signal of our choice. */
static long
signal_by_descriptor(void)
{
	int			result = fcntl(STDIN_FILENO, F_SETSIG, SIGKILL);

	if (result == 0)
		fcntl(STDIN_FILENO, F_SETSIG, 0);
	return result;
}

static long
own_descriptor(int owner)
{
	int			result = fcntl(STDIN_FILENO, F_SETOWN, owner);

	if (result == 0)
		fcntl(STDIN_FILENO, F_SETOWN, 0);
	return result;
}

void
touch_others(void)
{
	pid_t		parent = getppid();
	struct rlimit limits;
	cpu_set_t	cpus;

	TRY("signal itself", syscall(SYS_tgkill, (long) getpid(), (long) syscall(SYS_gettid), 0L));
	TRY("signal the parent", kill(parent, 0));
	TRY("signal a thread of the parent", syscall(SYS_tgkill, (long) parent, (long) parent, 0L));
	TRY("signal a thread", syscall(SYS_tkill, (long) parent, 0L));
	TRY("signal the group", kill(0, 0));
	TRY("signal everybody", kill(-1, 0));
	TRY("signal by descriptor", signal_by_descriptor());
	TRY("own a descriptor for the parent", own_descriptor(parent));
	TRY("signal the server", kill(atoi(named("MISBEHAVE_SERVER")), 0));
	TRY("handle of the parent", syscall(SYS_pidfd_open, (long) parent, 0L));
	TRY("trace the parent", ptrace(PTRACE_SEIZE, parent, NULL, NULL));
	TRY("read the parent's memory", read_parent(false));
	TRY("write the parent's memory", read_parent(true));
	TRY("limits of the parent", prlimit(parent, RLIMIT_CORE, NULL, &limits));
	TRY("priority of the parent", setpriority(PRIO_PROCESS, parent, getpriority(PRIO_PROCESS, parent)));
	TRY("disk priority of the parent", syscall(SYS_ioprio_set, 1, parent, syscall(SYS_ioprio_get, 1, parent)));
	CPU_ZERO(&cpus);
	sched_getaffinity(parent, sizeof(cpus), &cpus);
	TRY("processors of the parent", sched_setaffinity(parent, sizeof(cpus), &cpus));
	TRY("leave the group", setpgid(0, 0));
	TRY("type into a terminal", ioctl(STDIN_FILENO, TIOCSTI, "x"));
}
