/*
 * t/modules/misbehave/misbehave.c
 *		What a subverted voxanne_agent would try; preloaded into it by t/agent_sandbox.pl.
 *
 * Takes the place of a library function that the agent calls when it has
 * entered its sandbox, tries everything, prints "name: outcome" for each and
 * ends the process.  With MISBEHAVE=start it does the same before the agent
 * has begun, which shows that the attempts work where nothing forbids them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

int			EVP_DigestInit_ex(void *context, const void *type, void *engine);
int			curl_easy_perform(void *curl);

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

#define TRY(call) outcome(#call, (long) (call))
#define TRY_AS(name, call) outcome(name, (long) (call))

static long
connect_to(const char *port)
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
make_process(void)
{
	long		pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid;
}

static long
read_parent(void)
{
	char		byte;
	struct iovec mine = {&byte, 1};
	struct iovec theirs = {stdout, 1};

	return syscall(SYS_process_vm_readv, (long) getppid(), &mine, 1L, &theirs, 1L, 0L);
}

static long
executable_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static void
misbehave(void)
{
	char	   *const nothing[] = {NULL};
	char	   *target = getenv("MISBEHAVE_FILE");
	char		name[512];

	snprintf(name, sizeof(name), "%s.new", target);
	TRY_AS("create a file", open(name, O_WRONLY | O_CREAT, 0600));
	TRY_AS("write a file", open(target, O_WRONLY));
	TRY_AS("truncate a file", truncate(target, 0));
	TRY_AS("open and truncate", open(target, O_RDONLY | O_TRUNC));
	TRY_AS("change a mode", chmod(target, 0600));
	TRY_AS("rename", rename(target, name));
	TRY_AS("link", link(name, target));
	TRY_AS("symlink", symlink("x", "/tmp/misbehave.link"));
	TRY_AS("unlink", unlink(name));
	TRY_AS("mkdir", mkdir(name, 0700));
	TRY_AS("rmdir", rmdir(name));
	TRY_AS("read elsewhere", open(getenv("MISBEHAVE_SECRET"), O_RDONLY));
	TRY_AS("list elsewhere", open("/", O_RDONLY | O_DIRECTORY));
	TRY_AS("internet socket", socket(AF_INET, SOCK_STREAM, 0));
	TRY_AS("unix socket", socket(AF_UNIX, SOCK_STREAM, 0));
	TRY_AS("raw socket", socket(AF_PACKET, SOCK_RAW, 0));
	TRY_AS("other port", connect_to(getenv("MISBEHAVE_PORT")));
	TRY_AS("execute", execve("/nonexistent", nothing, nothing));
	TRY_AS("fork", make_process());
	TRY_AS("signal the parent", kill(getppid(), 0));
	TRY_AS("signal a thread of the parent", syscall(SYS_tgkill, (long) getppid(), (long) getppid(), 0L));
	TRY_AS("signal the group", kill(0, 0));
	TRY_AS("trace the parent", ptrace(PTRACE_SEIZE, getppid(), NULL, NULL));
	TRY_AS("read the parent's memory", read_parent());
	TRY_AS("mount", mount("none", "/mnt", "tmpfs", 0, NULL));
	TRY_AS("new namespace", unshare(CLONE_NEWUSER));
	TRY_AS("io_uring", syscall(SYS_io_uring_setup, 1L, NULL));
	TRY_AS("bpf", syscall(SYS_bpf, 0L, NULL, 0L));
	TRY_AS("memory file", syscall(SYS_memfd_create, "x", 0L));
	TRY_AS("executable memory", executable_memory());
	_exit(42);
}

/* First called by verify-backup for the manifest's checksum. */
int
EVP_DigestInit_ex(void *context, const void *type, void *engine)
{
	misbehave();
	return 0;
}

/* Called by fetch and post for the transfer. */
int
curl_easy_perform(void *curl)
{
	misbehave();
	return 0;
}

static void
__attribute__((constructor))
start(void)
{
	const char *when = getenv("MISBEHAVE");

	if (when != NULL && strcmp(when, "start") == 0)
		misbehave();
}
