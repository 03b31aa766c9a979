/*
 * src/child/abandoned.c
 *		Children that could not be ended.
 *
 * A process that waits for dead storage ignores even SIGKILL until the storage
 * answers.  It is remembered by pid and start time, and no second one with the
 * same purpose is started while it lives: an hour of a hung NFS server must
 * not leave sixty processes behind.  With preload all processes of the server
 * remember together; without, each for itself.
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/child.h"
#include "child/process.h"
#include "core/shared.h"
#include "storage/spin.h"

#define MAX_ABANDONED 32
#define PURPOSE_SIZE 128

typedef struct AbandonedChild
{
	pid_t		pid;			/* 0: free */
	uint64		start_time;		/* in clock ticks since boot, as /proc has it */
	char		purpose[PURPOSE_SIZE];
} AbandonedChild;

/* "mutex" protects all entries and is held for copying only. */
typedef struct AbandonedChildren
{
	slock_t		mutex;
	AbandonedChild entries[MAX_ABANDONED];
} AbandonedChildren;

static AbandonedChildren *shared_children = NULL;

static void init_children(void *area);
static AbandonedChildren *children(void);
static uint64 start_time_of(pid_t pid);
static void forget(const AbandonedChild *child);

/* To be called from _PG_init(). */
void
voxanne_child_init(void)
{
	voxanne_share("voxanne_ops children", sizeof(AbandonedChildren), init_children,
				  (void **) &shared_children);
}

static void
init_children(void *area)
{
	SpinLockInit(&((AbandonedChildren *) area)->mutex);
}

static AbandonedChildren *
children(void)
{
	static AbandonedChildren own_children;
	static bool own_initialized = false;

	if (shared_children != NULL)
		return shared_children;
	if (!own_initialized)
		init_children(&own_children);
	own_initialized = true;
	return &own_children;
}

/* Remember a process that could not be ended.  Never an ERROR. */
void
voxanne_abandoned_remember(pid_t pid, const char *purpose)
{
	AbandonedChildren *all = children();
	AbandonedChild child = {
		.pid = pid,
		.start_time = start_time_of(pid),
	};
	bool		stored = false;

	if (child.start_time == 0)
		return;					/* gone in the meantime */
	strlcpy(child.purpose, purpose, sizeof(child.purpose));

	SpinLockAcquire(&all->mutex);
	for (int i = 0; i < MAX_ABANDONED && !stored; i++)
	{
		if (all->entries[i].pid == 0)
		{
			all->entries[i] = child;
			stored = true;
		}
	}
	SpinLockRelease(&all->mutex);

	ereport(LOG,
			(errmsg("child process %d (%s) could not be ended", (int) pid, child.purpose),
			 errdetail("It probably waits for storage that does not answer."),
			 stored ? errhint("No other one is started for this purpose while it lives.") : 0));
}

/*
 * The pid of a living process that was abandoned with this purpose, or 0.
 * Those that have ended in the meantime are forgotten.
 */
pid_t
voxanne_abandoned_find(const char *purpose)
{
	AbandonedChildren *all = children();
	AbandonedChild copy[MAX_ABANDONED];
	pid_t		found = 0;

	SpinLockAcquire(&all->mutex);
	memcpy(copy, all->entries, sizeof(copy));
	SpinLockRelease(&all->mutex);

	for (int i = 0; i < MAX_ABANDONED; i++)
	{
		if (copy[i].pid == 0)
			continue;

		/*
		 * if it was this process's child, take it; of another's the parent or
		 * init does
		 */
		(void) waitpid(copy[i].pid, NULL, WNOHANG);
		if (start_time_of(copy[i].pid) != copy[i].start_time)
			forget(&copy[i]);
		else if (strncmp(copy[i].purpose, purpose, PURPOSE_SIZE - 1) == 0)
			found = copy[i].pid;
	}
	return found;
}

static void
forget(const AbandonedChild *child)
{
	AbandonedChildren *all = children();

	SpinLockAcquire(&all->mutex);
	for (int i = 0; i < MAX_ABANDONED; i++)
	{
		if (all->entries[i].pid == child->pid && all->entries[i].start_time == child->start_time)
			all->entries[i].pid = 0;
	}
	SpinLockRelease(&all->mutex);
}

/*
 * When a process started, which tells it from a later one with the same pid;
 * 0 if there is none or only its exit status is left.
 */
static uint64
start_time_of(pid_t pid)
{
	char		path[32];
	char		line[1024];
	unsigned long long start_time;
	char		state;
	char	   *behind_name;
	ssize_t		got;
	int			fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (got <= 0)
		return 0;
	line[got] = '\0';

	/* the program's name, in parentheses, may contain anything */
	behind_name = strrchr(line, ')');
	if (behind_name == NULL ||
		sscanf(behind_name + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			   &state, &start_time) != 2 || state == 'Z' || state == 'X')
		return 0;
	return start_time;
}
