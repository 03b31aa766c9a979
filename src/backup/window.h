/*
 * src/backup/window.h
 *		The time of day in which the worker may verify contents.
 */
#ifndef VOXANNE_WINDOW_H
#define VOXANNE_WINDOW_H

#include "datatype/timestamp.h"

/* Minutes after midnight in log_timezone; it passes midnight if "until" is not after "from". */
typedef struct VoxWindow
{
	int			from;			/* 0 to 1439; -1: any time */
	int			until;			/* 0 to 1440 */
	int			delay;			/* 0 to 999999: how much its beginning is put
								 * off, in millionths of a tenth of its
								 * length, or of an hour if that is less */
} VoxWindow;

extern bool voxanne_window_parse(const char *text, VoxWindow *window);
extern TimestampTz voxanne_window_next(const VoxWindow *window, TimestampTz time);
extern TimestampTz voxanne_window_before(const VoxWindow *window, TimestampTz time);

#endif							/* VOXANNE_WINDOW_H */
