/*
 * src/backup/target.h
 *		Backup targets with what is known of them, and our tables.
 */
#ifndef VOXANNE_TARGET_H
#define VOXANNE_TARGET_H

#include "backup/cycle.h"
#include "backup/window.h"
#include "core/compat.h"
#include "core/privileges.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

/*
 * Our tables, opened.  Between voxanne_store_open() and _close() we are
 * connected to SPI, act as the tables' owner, with pinned settings, and
 * CurrentMemoryContext is gone at the end.
 */
typedef struct VoxStore
{
	MemoryContext caller;		/* context to return results in */
	const char *targets;		/* quoted name of backup_target */
	const char *log;			/* quoted name of backup_verification_log */
	VoxIdentity saved;
	int			nestlevel;
	bool		snapshot;		/* we pushed one */
} VoxStore;

/* The latest result of a level that is not run each time. */
typedef struct VoxDeepResult
{
	TimestampTz verified_at;	/* DT_NOBEGIN: never */
	char	   *status;
	char	   *problem;
	char	   *problem_detail;
	int			failures;		/* in a row, counted to 16 */
	char	   *backup;			/* what the agent said of the backup, a JSON
								 * object, or NULL */
} VoxDeepResult;

/* A row of backup_target and the latest verification of it. */
typedef struct VoxTarget
{
	char	   *name;
	char	   *kind;
	char	   *location;
	int64		status_interval;	/* microseconds, as all intervals here */
	int64		verify_interval;
	int64		max_age;
	int64		time_limit;		/* of level status */
	int64		verify_time_limit;
	VoxWindow	verify_window;
	int64		min_size;		/* bytes; -1: any */
	int64		max_size_change;	/* millionths */
	char	   *critical_tables;	/* JSON array, or NULL */
	int64		pitr_window;
	char	   *base_backups;	/* JSON array, set by the planner for a kind
								 * that serves them, or NULL */
	char	   *repository;		/* directory of the tool that keeps the
								 * backups, or NULL */
	bool		external;		/* verified by others, the worker keeps off */
	TimestampTz paused_at;		/* DT_NOBEGIN: not paused */
	char	   *paused_reason;
	TimestampTz requested_at;	/* DT_NOBEGIN: not queued */
	char	   *requested_level;	/* for which; NULL: not queued */
	int64		system_identifier;
	TimestampTz created_at;

	/*
	 * of the latest row in the log, at whatever level, as the deeper ones do
	 * what the others do; verified_at is DT_NOBEGIN if there is none
	 */
	TimestampTz verified_at;
	char	   *level;
	char	   *backup_id;
	char	   *status;
	char	   *proof;			/* what was ever shown of that backup */
	TimestampTz finished_at;	/* the end of the backup, or of the last that
								 * was seen; DT_NOBEGIN: unknown */
	char	   *problem;		/* check that failed or warned first, or NULL */
	char	   *problem_detail;
	int			passed;
	int			failed;
	int			failures;		/* failed verifications in a row, counted to
								 * 16 */

	VoxDeepResult verify;		/* of the latest row at level verify */
} VoxTarget;

extern void voxanne_store_open(VoxStore *store, LOCKMODE lockmode);
extern void voxanne_store_close(VoxStore *store);
extern List *voxanne_targets(VoxStore *store, TimestampTz now);
extern VoxTarget *voxanne_find_target(List *targets, const char *name);
extern bool voxanne_target_has_level(const VoxTarget *target, const char *level);
extern bool voxanne_target_suspended(const VoxTarget *target);
extern void voxanne_check_not_suspended(const VoxTarget *target);
VOXANNE_NORETURN extern void voxanne_unknown_target(List *targets, const char *name);

/* in schedule.c */
extern int	voxanne_target_share(const VoxTarget *target, const char *level);
extern TimestampTz voxanne_target_due_at(const VoxTarget *target, const char *level, TimestampTz now);
extern TimestampTz voxanne_target_due(const VoxTarget *target, TimestampTz now);
extern TimestampTz voxanne_level_due(const VoxTarget *target, const char *level, TimestampTz now);

/* in plan.c */
extern void voxanne_cycle_dues(List *targets, TimestampTz now, VoxCycleDue *due);
extern List *voxanne_targets_at(List *targets, const char *level);
extern char *voxanne_cycle_plan_target(const VoxTarget *target, const char *level);

/* The levels.  Each does what those before it do. */
#define VOX_LEVEL_STATUS "status"
#define VOX_LEVEL_VERIFY "verify"

/* A verification may carry a time that is this much ahead of ours and still count. */
#define VOX_CLOCK_SLACK (USECS_PER_MINUTE)

#endif							/* VOXANNE_TARGET_H */
