/*
 * t/modules/misbehave/misbehave.c
 *		What a subverted voxanne_agent would try; preloaded into it by t/agent_sandbox.pl.
 *
 * Takes the place of the library function with which the agent ends the entry
 * of its sandbox, lets it, tries everything, prints "name: outcome" for each
 * and ends the process.  With MISBEHAVE=start it does the same before the agent
 * has begun, which shows that the attempts work where nothing forbids them;
 * with MISBEHAVE=i386 and x32 the one attempt that ends the process.  Nothing
 * that succeeds does harm to those who are alive.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FCHMODAT2 452
#define INHERITED 9
#define MANY 5000
#define FAR_BEYOND ((size_t) 5 << 30)

/* Printed without stdio, which may want to allocate or look at the terminal. */
static void
outcome(const char *name, long result)
{
	char		line[128];
	int			error = errno;
	int			len = snprintf(line, sizeof(line), "%s: %s\n", name,
							   result >= 0 ? "done" : strerrorname_np(error));

	if (write(STDOUT_FILENO, line, len) < 0)
		_exit(99);
}

#define TRY(name, call) outcome(name, (long) (call))

/* A file that the test names */
static char *
named(const char *variable)
{
	char	   *name = getenv(variable);

	return name == NULL ? "" : name;
}

static long
open_and_read(const char *name)
{
	char		byte;
	int			fd = open(name, O_RDONLY);
	long		result = fd < 0 ? -1 : read(fd, &byte, 1);

	if (fd >= 0)
		close(fd);
	return result;
}

static void
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

static void
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

static long
connect_tcp(const char *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int			sock = socket(AF_INET, SOCK_STREAM, 0);

	if (sock < 0)
		return -1;
	address.sin_port = htons(atoi(port));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(sock, (struct sockaddr *) &address, sizeof(address));
}

static long
connect_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int			sock = socket(AF_UNIX, SOCK_STREAM, 0);

	if (sock < 0)
		return -1;
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	return connect(sock, (struct sockaddr *) &address, sizeof(address));
}

static void
use_network(void)
{
	int			pair[2];

	TRY("internet socket", socket(AF_INET, SOCK_STREAM, 0));
	TRY("internet socket 6", socket(AF_INET6, SOCK_DGRAM, 0));
	TRY("route socket", socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
	TRY("stream pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	TRY("datagram pair", socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	TRY("unix socket", socket(AF_UNIX, SOCK_STREAM, 0));
	TRY("server's socket", connect_unix(named("MISBEHAVE_SOCKET")));
	TRY("other port", connect_tcp(named("MISBEHAVE_PORT")));
	TRY("raw socket", socket(AF_PACKET, SOCK_RAW, 0));
	TRY("kernel's events", socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT));
	TRY("virtual machine's socket", socket(AF_VSOCK, SOCK_STREAM, 0));
	TRY("kernel's ciphers", socket(AF_ALG, SOCK_SEQPACKET, 0));
	TRY("listen", listen(0, 1) == 0 || errno == ENOTSOCK ? 0 : -1);
}

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

static void
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

static void
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

/* System V memory of the server, which holds its interlock, and what else processes share. */
static long
attach_memory(void)
{
	void	   *address = shmat(atoi(named("MISBEHAVE_SHM")), NULL, 0);

	return address == (void *) -1 ? -1 : shmdt(address);
}

static void
share(void)
{
	TRY("server's shared memory", attach_memory());
	TRY("remove shared memory", shmctl(-1, IPC_RMID, NULL));
	TRY("server's dynamic memory elsewhere", open_and_read(named("MISBEHAVE_DSM")));
	TRY("new shared memory", shmctl(shmget(IPC_PRIVATE, 4096, 0600), IPC_RMID, NULL));
	TRY("semaphore", semctl(semget(IPC_PRIVATE, 1, 0600), 0, IPC_RMID));
	TRY("remove a semaphore", semctl(-1, 0, IPC_RMID));
	TRY("message queue", msgctl(msgget(IPC_PRIVATE, 0600), IPC_RMID, NULL));
	TRY("named message queue", syscall(SYS_mq_open, "misbehave", O_RDONLY, 0, NULL));
	TRY("keys", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1));
	TRY("new key", syscall(SYS_add_key, "user", "misbehave", "x", 1L, KEY_SPEC_PROCESS_KEYRING));
}

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

static void
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

static void
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

/* What the kernel ends a process for. */
static void
call_otherwise(const char *how)
{
#ifdef __x86_64__
	long		result = -ENOSYS;

	if (strcmp(how, "i386") == 0)
		__asm__ volatile ("int $0x80":"=a" (result):"a"(20L):"memory", "r8", "r9", "r10", "r11");

	else
		result = syscall(0x40000000 + SYS_getpid);
	outcome(how, result > 0 ? 0 : -1);
#endif
	_exit(42);
}

static void
misbehave(void)
{
	read_files();
	change_files();
	use_network();
	make_processes();
	touch_others();
	share();
	use_memory();
	become_other();
	_exit(42);
}

/* The agent's last step into its sandbox is a prctl. */
int
prctl(int option,...)
{
	unsigned long arguments[4];
	const char *when = getenv("MISBEHAVE");
	va_list		list;
	long		result;

	va_start(list, option);
	for (int i = 0; i < 4; i++)
		arguments[i] = va_arg(list, unsigned long);
	va_end(list);
	result = syscall(SYS_prctl, option, arguments[0], arguments[1], arguments[2], arguments[3]);
	if (option == PR_SET_SECCOMP && when != NULL)
	{
		if (strcmp(when, "late") == 0)
			misbehave();
		call_otherwise(when);
	}
	return (int) result;
}

static void
__attribute__((constructor))
start(void)
{
	const char *when = getenv("MISBEHAVE");

	if (when != NULL && strcmp(when, "start") == 0)
		misbehave();
}
