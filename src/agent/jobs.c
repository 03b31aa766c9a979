/*
 * src/agent/jobs.c
 *		Work for several threads.
 *
 * Threads and not processes, as the sandbox allows no processes and results
 * need no pipes.
 */
#include "jobs.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>

#define STACK_SIZE ((size_t) 512 * 1024)

/* The thread that tells how far we are. */
static void *
tell_progress(void *pace)
{
	pace_tell_until_over(pace);
	return NULL;
}

static int
job_count(const Options *options)
{
	cpu_set_t	cpus;
	int			n = 1;

	if (options->jobs > 0)
		return options->jobs;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		n = CPU_COUNT(&cpus);
	return n < MAX_DEFAULT_JOBS ? n : MAX_DEFAULT_JOBS;
}

/*
 * Do the work with this thread and as many more as there may be, but not more
 * than there are units; "work" takes one unit after the other until there is
 * none.  Ends the pace.
 */
void
run_jobs(const Options *options, Pace *pace, uint32_t n_units, void *(*work) (void *argument), void *argument)
{
	int			jobs = job_count(options);
	pthread_t	threads[MAX_JOBS];
	pthread_t	teller;
	bool		telling;
	int			n = 0;
	pthread_attr_t attr;

	/*
	 * each further arena would reserve 64 MB of the address space that we may
	 * take
	 */
	mallopt(M_ARENA_MAX, 2);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	telling = options->progress && pthread_create(&teller, &attr, tell_progress, pace) == 0;
	while (n < jobs - 1 && (uint32_t) n + 1 < n_units && pthread_create(&threads[n], &attr, work, argument) == 0)
		n++;
	work(argument);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	pace_over(pace);
	if (telling)
		pthread_join(teller, NULL);
	pthread_attr_destroy(&attr);
}
