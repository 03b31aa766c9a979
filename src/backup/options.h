/*
 * src/backup/options.h
 *		Options of a backup target.
 */
#ifndef VOXANNE_OPTIONS_H
#define VOXANNE_OPTIONS_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

typedef struct VoxTargetOptions
{
	Interval	status_interval;
	Interval	verify_interval;
	Interval	max_age;
	Interval	time_limit;
	Interval	verify_time_limit;
} VoxTargetOptions;

extern void voxanne_read_options(Jsonb *document, VoxTargetOptions *options);

#endif							/* VOXANNE_OPTIONS_H */
