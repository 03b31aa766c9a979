/*
 * voxanne_ops.c
 *		The module: magic, settings, hooks, worker registration.  No logic.
 */
#include "postgres.h"

#include "backup/scheduler.h"
#include "backup/session_progress.h"
#include "backup/slots.h"
#include "child/child.h"
#include "core/compat.h"
#include "core/settings.h"
#include "data/keyscan_progress.h"
#include "fmgr.h"
#include "miscadmin.h"

VOXANNE_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	voxanne_define_settings();
	voxanne_child_init();
	voxanne_progress_share();
	voxanne_session_progress_share();
	voxanne_slots_define();

	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
		voxanne_scheduler_register();
}
