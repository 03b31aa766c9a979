/*
 * src/agent/pace.c
 *		How fast to read, and how far we are.
 *
 * The limit is for all threads together: each takes its turn on one time line,
 * on which a read occupies as long as its bytes may take.
 */
#include "pace.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

/* What ioprio_set() wants, which no header of libc has: class and level. */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO(class, level) ((class) << 13 | (level))

static const struct
{
	const char *name;
	int			value;
}			priorities[] = {
	[IO_IDLE] = {"idle", IOPRIO(3, 0)},
	[IO_LOW] = {"low", IOPRIO(2, 7)},
	[IO_NORMAL] = {"normal", IOPRIO(2, 4)},
};

/* False for a word that there is not. */
bool
pace_parse_priority(const char *name, IoPriority *priority)
{
	for (size_t i = 0; i < sizeof(priorities) / sizeof(priorities[0]); i++)
	{
		if (strcmp(priorities[i].name, name) != 0)
			continue;
		*priority = (IoPriority) i;
		return true;
	}
	return false;
}

/* Have the kernel treat our reading so, and that of threads to come; where it has no such thing, as any. */
void
pace_lower(IoPriority priority)
{
	(void) syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priorities[priority].value);
}

static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static struct timespec
timespec_of(int64_t when)
{
	return (struct timespec)
	{
		.tv_sec = when / SECOND,.tv_nsec = when % SECOND
	};
}

void
pace_start(Pace *pace, const Options *options, uint64_t total)
{
	pthread_condattr_t attr;

	pace->rate = options->rate;
	pace->total = total > 0 ? total : 1;
	pace->progress = options->progress;
	pace->start = pace->next = now();
	pace->done = 0;
	pace->over = false;
	pthread_mutex_init(&pace->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pace->finished, &attr);
	pthread_condattr_destroy(&attr);
}

/* Count "bytes" that are about to be read, and wait until they may be. */
void
pace_wait(Pace *pace, size_t bytes)
{
	struct timespec turn;
	int64_t		time;

	pace->done += bytes;
	if (pace->rate == 0)
		return;
	time = now();
	pthread_mutex_lock(&pace->lock);
	if (pace->next < time)
		pace->next = time;
	time = pace->next;
	pace->next += (int64_t) ((double) bytes * (double) SECOND / (double) pace->rate);
	pthread_mutex_unlock(&pace->lock);
	turn = timespec_of(time);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &turn, NULL) == EINTR)
		;
}

static void
tell(const Pace *pace)
{
	uint64_t	done = pace->done;
	double		seconds = (double) (now() - pace->start) / (double) SECOND;

	/* what changed while it was read is read again */
	if (done > pace->total)
		done = pace->total;
	fprintf(stderr, "voxanne_agent: %3d %%, %" PRIu64 " of %" PRIu64 " MB, %.0f MB/s\n",
			(int) ((double) done * 100 / (double) pace->total), done / 1000000, pace->total / 1000000,
			seconds > 0 ? (double) done / 1000000 / seconds : 0.0);
}

/* Write a line a second, and a last one, until pace_over(). */
void
pace_tell_until_over(Pace *pace)
{
	int64_t		next = pace->start;

	pthread_mutex_lock(&pace->lock);
	while (!pace->over)
	{
		struct timespec until = timespec_of(next += SECOND);

		if (pthread_cond_timedwait(&pace->finished, &pace->lock, &until) == ETIMEDOUT && !pace->over)
			tell(pace);
	}
	pthread_mutex_unlock(&pace->lock);
	tell(pace);
}

void
pace_over(Pace *pace)
{
	pthread_mutex_lock(&pace->lock);
	pace->over = true;
	pthread_cond_broadcast(&pace->finished);
	pthread_mutex_unlock(&pace->lock);
}
