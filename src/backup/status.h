/*
 * src/backup/status.h
 *		Rows of backup_status().
 */
#ifndef VOXANNE_STATUS_H
#define VOXANNE_STATUS_H

#include "core/finding.h"

/* in status_archive.c */
extern void voxanne_status_archive(VoxSink *sink);

/* in status_worker.c */
extern void voxanne_status_worker(VoxSink *sink);

#endif							/* VOXANNE_STATUS_H */
