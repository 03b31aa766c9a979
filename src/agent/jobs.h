/*
 * src/agent/jobs.h
 *		Work for several threads.
 */
#ifndef VOXANNE_AGENT_JOBS_H
#define VOXANNE_AGENT_JOBS_H

#include "pace.h"

extern void run_jobs(const Options *options, Pace *pace, uint32_t n_units, void *(*work) (void *argument),
					 void *argument);

#endif							/* VOXANNE_AGENT_JOBS_H */
