/*
 * src/agent/sandbox.c
 *		What a run gives up before it reads a stranger's bytes.
 *
 * Two steps.  sandbox_prepare() is for every command, before anything else.
 * sandbox_enter() comes when all names that the caller gave are resolved and
 * nothing of what they lead to has been read.  Landlock, through raw system
 * calls because libc has none, limits the files and the TCP ports; seccomp
 * limits the system calls.  Where a kernel lacks one of them the run goes on
 * and its document says so: it still has no rights but its user's, and no
 * memory of the server.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The interface of Landlock up to its version 6; older kernel headers lack parts of it. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif
#define LL_CREATE_RULESET_VERSION 1
#define LL_RULE_PATH_BENEATH 1
#define LL_RULE_NET_PORT 2
#define LL_FS_READ_FILE (UINT64_C(1) << 2)
#define LL_FS_READ_DIR (UINT64_C(1) << 3)
#define LL_NET_CONNECT_TCP (UINT64_C(1) << 1)

typedef struct LandlockRuleset
{
	uint64_t	fs;
	uint64_t	net;
	uint64_t	scoped;
} LandlockRuleset;

typedef struct LandlockPath
{
	uint64_t	allowed;
	int32_t		parent_fd;
}			__attribute__((packed)) LandlockPath;

typedef struct LandlockPort
{
	uint64_t	allowed;
	uint64_t	port;
} LandlockPort;

#define MAX_ADDRESS_SPACE (UINT64_C(4) << 30)
#define MAX_DESCRIPTORS 4096	/* links of every backup in a directory of
								 * them */
#define SPARE_THREADS 1000		/* ours, and what the server may start before
								 * we start ours */
#define NICE_VALUE 10

/* Lower one limit, never raise it. */
static void
limit(int resource, rlim_t value)
{
	struct rlimit now;

	if (getrlimit(resource, &now) != 0)
		return;
	if (now.rlim_max != RLIM_INFINITY && now.rlim_max < value)
		value = now.rlim_max;
	now.rlim_cur = now.rlim_max = value;
	(void) setrlimit(resource, &now);
}

/* Close everything that was inherited but 0, 1 and 2. */
static void
close_inherited(void)
{
#ifdef SYS_close_range
	if (syscall(SYS_close_range, 3u, ~0u, 0u) == 0)
		return;
#endif
	for (long fd = 3, end = sysconf(_SC_OPEN_MAX); fd < end; fd++)
		close((int) fd);
}

/*
 * Threads cannot be told from a bomb by a filter, so their number is limited;
 * the kernel counts all processes of the user, and more than all that there are
 * can be none of his.
 */
static void
limit_threads(void)
{
	char		line[128] = "";
	int			fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	unsigned long existing = 0;

	if (fd < 0)
		return;
	if (read(fd, line, sizeof(line) - 1) > 0 && strchr(line, '/') != NULL)
		existing = strtoul(strchr(line, '/') + 1, NULL, 10);
	close(fd);
	if (existing > 0)
		limit(RLIMIT_NPROC, existing + SPARE_THREADS);
}

/* The first victim when memory gets short, not the server. */
static void
volunteer_for_oom(void)
{
	int			fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "1000", 4) < 0)
		errno = 0;				/* not allowed: an advantage lost, no more */
	close(fd);
}

/*
 * For every command: die with the parent, inherit nothing, leave no core, take
 * little.  False if the parent is gone already.
 */
bool
sandbox_prepare(pid_t parent)
{
	if (parent != 0)
	{
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			return false;		/* it ended before the request above could
								 * notice */
	}
	close_inherited();
	umask(077);
	volunteer_for_oom();
	(void) prctl(PR_SET_DUMPABLE, 0);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, MAX_DESCRIPTORS);
	limit(RLIMIT_MEMLOCK, 0);
	limit(RLIMIT_MSGQUEUE, 0);
	limit_threads();
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	limit(RLIMIT_AS, MAX_ADDRESS_SPACE);	/* sanitizers reserve terabytes */
#endif
	signal(SIGPIPE, SIG_IGN);
	(void) setpriority(PRIO_PROCESS, 0, NICE_VALUE);
	return true;
}

/*
 * Add what "path", relative to directory "dir", leads to, symbolic links
 * followed; what does not exist or cannot be reached is passed over.
 */
void
sandbox_allow(SandboxPlan *plan, int dir, const char *path)
{
	int			fd = openat(dir, path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return;
	plan->readable = xrealloc(plan->readable, (size_t) (plan->n_readable + 1) * sizeof(int));
	plan->readable[plan->n_readable++] = fd;
}

static void
allow_path(int ruleset, int fd)
{
	struct stat st;
	LandlockPath rule = {
		.allowed = LL_FS_READ_FILE,
		.parent_fd = fd,
	};

	if (fstat(fd, &st) != 0)
		return;
	if (S_ISDIR(st.st_mode))
		rule.allowed |= LL_FS_READ_DIR;
	(void) syscall(SYS_landlock_add_rule, ruleset, LL_RULE_PATH_BENEATH, &rule, 0u);
}

static void
allow_port(int ruleset, uint16_t port)
{
	LandlockPort rule = {
		.allowed = LL_NET_CONNECT_TCP,
		.port = port,
	};

	(void) syscall(SYS_landlock_add_rule, ruleset, LL_RULE_NET_PORT, &rule, 0u);
}

/*
 * Reading below the plan's paths and, with a network, connecting to its port
 * and to name servers is all that is left.  The version of Landlock, 0: none.
 */
static int
landlock_enter(const SandboxPlan *plan)
{
	/* rights that each version added: what is not handled would stay allowed */
	static const uint64_t fs_rights[] = {0, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff, 0xffff};
	LandlockRuleset attr = {0};
	long		abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t) 0, LL_CREATE_RULESET_VERSION);
	int			ruleset;
	bool		entered;

	if (abi < 1)
		return 0;
	attr.fs = fs_rights[abi < 6 ? abi : 6];
	attr.net = abi >= 4 ? 3 : 0;
	attr.scoped = abi >= 6 ? 3 : 0; /* abstract sockets and signals to the
									 * outside */
	ruleset = (int) syscall(SYS_landlock_create_ruleset, &attr,
							abi >= 6 ? sizeof(attr) : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t),
							0u);
	if (ruleset < 0)
		return 0;
	for (int i = 0; i < plan->n_readable; i++)
		allow_path(ruleset, plan->readable[i]);
	if (plan->network && abi >= 4)
	{
		allow_port(ruleset, plan->port);
		allow_port(ruleset, 53);	/* a long DNS answer comes by TCP */
	}
#ifdef VOXANNE_AGENT_COVERAGE
	entered = true;				/* counters are written at exit */
#else
	entered = syscall(SYS_landlock_restrict_self, ruleset, 0u) == 0;
#endif
	close(ruleset);
	return entered ? (int) abi : 0;
}

/* Give up what the plan does not keep, for good, and say what the kernel agreed to. */
void
sandbox_enter(const SandboxPlan *plan, Sandbox *sandbox)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		sandbox->landlock = landlock_enter(plan);
	for (int i = 0; i < plan->n_readable; i++)
		close(plan->readable[i]);
	sandbox->seccomp = seccomp_enter(plan->network);
	sandbox->entered = true;
}
