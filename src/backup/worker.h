/*
 * src/backup/worker.h
 *		What the processes of this room have in common.
 */
#ifndef VOXANNE_WORKER_H
#define VOXANNE_WORKER_H

#include "backup/slots.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "postmaster/bgworker.h"

/* A row of pg_database. */
typedef struct VoxDatabase
{
	Oid			oid;
	NameData	name;
	bool		connectable;
} VoxDatabase;

/* What a worker that serves one slot has of its own; see voxanne_worker_serve(). */
typedef struct VoxWorkerJob
{
	const char *subject;		/* completes "... of database" in messages */
	const char *activity;		/* for pg_stat_activity */
	const NameData *database;	/* set by attach() */

	/*
	 * Take the slot over from the scheduler and arrange for it to be given
	 * back however we end; false if the scheduler does not want that any
	 * more.
	 */
	bool		(*attach) (void);
	void		(*work) (void);
	void		(*failed) (const char *error);	/* work() raised this, which
												 * has been logged */
} VoxWorkerJob;

#define VOX_SCHEDULER_TYPE "voxanne_ops scheduler"
#define VOX_VERIFIER_TYPE "voxanne_ops verifier"
#define VOX_MESSENGER_TYPE "voxanne_ops messenger"
#define VOX_PLANNER_TYPE "voxanne_ops planner"
#define VOX_RECORDER_TYPE "voxanne_ops recorder"

extern void voxanne_worker_begin(void);
extern void voxanne_worker_serve(const VoxWorkerJob *job);
extern void voxanne_worker_explain(ErrorContextCallback *callback, const char *subject,
								   const char *database);
extern void voxanne_worker_reload(void);
extern TimestampTz voxanne_worker_now(void);
extern void voxanne_worker_describe(BackgroundWorker *worker, const char *type,
									const char *function);
extern BackgroundWorkerHandle *voxanne_worker_start(BackgroundWorker *worker,
													const char *database);
extern void voxanne_worker_fed(void);
extern void voxanne_worker_report(const char *database, VoxCycleEnd end);
extern List *voxanne_worker_databases(void);
extern VoxCycleEnd voxanne_worker_database_state(Oid database);
extern char *voxanne_worker_caught(MemoryContext context);

#endif							/* VOXANNE_WORKER_H */
