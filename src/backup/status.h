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

/* In the room alert. */
extern void voxanne_status_alerts(VoxSink *sink);
extern void voxanne_status_heartbeat(VoxSink *sink);

extern bool voxanne_status_lock(VoxSink *sink, const char *const tables[], int count, const char *consequence);

#endif							/* VOXANNE_STATUS_H */
