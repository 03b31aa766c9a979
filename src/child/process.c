/*
 * src/child/process.c
 *		A process with pipes at its standard descriptors.
 *
 * posix_spawn(), not fork(): a copy of a backend, even for an instant, would
 * run the server's exit callbacks and hold its memory.  The process inherits
 * nothing but three pipes: no descriptor of the server, no environment, no
 * signal disposition.  It stays in the backend's process group, so that cancel
 * and shutdown, which the server sends to the group, reach it too.
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/process.h"
#include "portability/instr_time.h"
#include "storage/fd.h"

#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
#define HAVE_CLOSEFROM_ACTION
#endif
#endif

#define FIRST_INHERITED_FD 3
#define NICE_VALUE 10

/* How long an end at once waits after SIGTERM and after SIGKILL */
#define TERM_GRACE_MS 200
#define KILL_GRACE_MS 500

/* Where there is no exit_fd */
#define POLL_MS 5

/* All that a child sees of an environment. */
static char *const child_environment[] = {
	"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", NULL
};

/* The child's ends of the pipes, in the order of its descriptors */
typedef struct ChildEnds
{
	int			fd[3];
} ChildEnds;

static int	open_pipes(VoxProcess *process, ChildEnds *ends);
static int	open_pipe(int *parent, int *child, bool child_reads);
static int	spawn(VoxProcess *process, const char *const *argv, const ChildEnds *ends);
static int	add_closes(posix_spawn_file_actions_t *actions);
static bool wait_for_exit(VoxProcess *process, int milliseconds);

void
voxanne_process_init(VoxProcess *process)
{
	memset(process, 0, sizeof(*process));
	process->input = process->output = process->errors = process->exit_fd = -1;
}

/*
 * Start argv[0].  0, or an errno with nothing left open; never an ERROR.  The
 * parent's pipe ends do not block.
 */
int
voxanne_process_start(VoxProcess *process, const char *const *argv)
{
	ChildEnds	ends = {{-1, -1, -1}};
	int			error = open_pipes(process, &ends);

	if (error == 0)
		error = spawn(process, argv, &ends);
	for (int i = 0; i < 3; i++)
	{
		if (ends.fd[i] >= 0)
			close(ends.fd[i]);
	}
	if (error != 0)
	{
		voxanne_process_close_all(process);
		return error;
	}
	(void) setpriority(PRIO_PROCESS, process->pid, NICE_VALUE);
#ifdef SYS_pidfd_open
	process->exit_fd = syscall(SYS_pidfd_open, process->pid, 0);
#endif
	return 0;
}

/*
 * Reserve descriptors, which leaves fd.c room to open files, and open the
 * pipes.  Room for the three ends that live only until the start is reserved
 * too: it is what exit_fd and the wait set take afterwards.
 */
static int
open_pipes(VoxProcess *process, ChildEnds *ends)
{
	int			error;

	while (process->reserved < 6)
	{
		if (!AcquireExternalFD())
			return EMFILE;
		process->reserved++;
	}
	error = open_pipe(&process->input, &ends->fd[0], true);
	if (error == 0)
		error = open_pipe(&process->output, &ends->fd[1], false);
	if (error == 0)
		error = open_pipe(&process->errors, &ends->fd[2], false);
	return error;
}

/* A descriptor's copy above the standard ones, which the spawn replaces. */
static int
move_up(int fd)
{
	int			moved;

	if (fd > STDERR_FILENO)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_INHERITED_FD);
	close(fd);
	return moved;
}

static int
open_pipe(int *parent, int *child, bool child_reads)
{
	int			fd[2];

	if (pipe2(fd, O_CLOEXEC) != 0)
		return errno;
	*child = move_up(fd[child_reads ? 0 : 1]);
	*parent = move_up(fd[child_reads ? 1 : 0]);
	if (*child < 0 || *parent < 0 || fcntl(*parent, F_SETFL, O_NONBLOCK) != 0)
		return errno;
	return 0;
}

/*
 * Start the program with the pipes, nothing else open, default signals and
 * none blocked.
 */
static int
spawn(VoxProcess *process, const char *const *argv, const ChildEnds *ends)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t	all;
	sigset_t	none;
	pid_t		pid;
	int			error = posix_spawn_file_actions_init(&actions);

	if (error != 0)
		return error;
	error = posix_spawnattr_init(&attributes);
	if (error != 0)
	{
		posix_spawn_file_actions_destroy(&actions);
		return error;
	}

	sigfillset(&all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);
	sigemptyset(&none);
	for (int i = 0; i < 3 && error == 0; i++)
		error = posix_spawn_file_actions_adddup2(&actions, ends->fd[i], i);
	if (error == 0)
		error = add_closes(&actions);
	if (error == 0)
		error = posix_spawnattr_setsigdefault(&attributes, &all);
	if (error == 0)
		error = posix_spawnattr_setsigmask(&attributes, &none);
	if (error == 0)
		error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	if (error == 0)
		error = posix_spawn(&pid, argv[0], &actions, &attributes, (char *const *) argv, child_environment);
	if (error == 0)
		process->pid = pid;

	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

/* Close in the child whatever the server has open without O_CLOEXEC. */
static int
add_closes(posix_spawn_file_actions_t *actions)
{
#ifdef HAVE_CLOSEFROM_ACTION
	return posix_spawn_file_actions_addclosefrom_np(actions, FIRST_INHERITED_FD);
#else
	DIR		   *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int			error = 0;

	if (dir == NULL)
		return errno;
	while (error == 0 && (entry = readdir(dir)) != NULL)
	{
		int			fd = atoi(entry->d_name);

		if (fd >= FIRST_INHERITED_FD && fd != dirfd(dir))
			error = posix_spawn_file_actions_addclose(actions, fd);
	}
	closedir(dir);
	return error;
#endif
}

/* Close one of the parent's ends, if it is open. */
void
voxanne_process_close(VoxProcess *process, int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Close what is open and give the reserved descriptors back. */
void
voxanne_process_close_all(VoxProcess *process)
{
	voxanne_process_close(process, &process->input);
	voxanne_process_close(process, &process->output);
	voxanne_process_close(process, &process->errors);
	voxanne_process_close(process, &process->exit_fd);
	for (; process->reserved > 0; process->reserved--)
		ReleaseExternalFD();
}

/*
 * Has it exited?  If so there is nothing left of it, and "status" is as
 * waitpid() gives it, -1 where somebody else has taken it.  Waits for this
 * process only: other libraries' children are not ours to take.
 */
bool
voxanne_process_reap(VoxProcess *process, int *status)
{
	pid_t		got;

	if (process->pid == 0)
		return true;
	do
		got = waitpid(process->pid, status, WNOHANG);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		return false;
	if (got < 0)
		*status = -1;
	process->pid = 0;
	return true;
}

/*
 * End it: SIGTERM, and soon SIGKILL.  False if it is still there, which takes
 * less than a second to know.  For clean-up: no ERROR, no interrupts.
 */
bool
voxanne_process_end(VoxProcess *process)
{
	if (process->pid == 0)
		return true;
	kill(process->pid, SIGTERM);
	if (wait_for_exit(process, TERM_GRACE_MS))
		return true;
	kill(process->pid, SIGKILL);
	return wait_for_exit(process, KILL_GRACE_MS);
}

static bool
wait_for_exit(VoxProcess *process, int milliseconds)
{
	instr_time	start;
	int			status;

	INSTR_TIME_SET_CURRENT(start);
	while (!voxanne_process_reap(process, &status))
	{
		struct pollfd exited = {.fd = process->exit_fd,.events = POLLIN};
		instr_time	now;
		int			left;

		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, start);
		left = milliseconds - (int) INSTR_TIME_GET_MILLISEC(now);
		if (left <= 0)
			return false;
		(void) poll(&exited, 1, process->exit_fd >= 0 ? left : POLL_MS);
	}
	return true;
}
