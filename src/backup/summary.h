/*
 * src/backup/summary.h
 *		The row "*": all targets together.
 */
#ifndef VOXANNE_SUMMARY_H
#define VOXANNE_SUMMARY_H

#include "backup/log.h"

extern void voxanne_summarize(List *targets, VoxLogRow *row);

#endif							/* VOXANNE_SUMMARY_H */
