/*
 * src/agent/pace.h
 *		How fast to read, and how far we are.
 */
#ifndef VOXANNE_AGENT_PACE_H
#define VOXANNE_AGENT_PACE_H

#include <pthread.h>

#include "agent.h"

/* Shared by all threads. */
typedef struct Pace
{
	/* unchanging */
	uint64_t	rate;			/* bytes a second, 0: no limit */
	uint64_t	total;			/* bytes to read, at least 1 */
	bool		progress;		/* tell on standard error */
	int64_t		start;			/* nanoseconds, as the rest */

	_Atomic uint64_t done;

	/* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t finished;
	int64_t		next;			/* when the next read may begin */
	bool		over;
} Pace;

extern bool pace_parse_priority(const char *name, IoPriority *priority);
extern void pace_lower(IoPriority priority);
extern void pace_start(Pace *pace, const Options *options, uint64_t total);
extern void pace_wait(Pace *pace, size_t bytes);
extern void pace_tell_until_over(Pace *pace);
extern void pace_over(Pace *pace);

#endif							/* VOXANNE_AGENT_PACE_H */
