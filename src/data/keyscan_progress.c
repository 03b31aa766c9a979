/*
 * src/data/keyscan_progress.c
 *		How far running data checks are: view data_check_progress.
 *
 * A few slots in shared memory, there only when the library is preloaded.  A
 * call takes a free slot or does without; its participants add to the counters
 * every few hundred rows.  A slot is given back by the call, or else by the end
 * of the process.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "core/compat.h"
#include "core/shared.h"
#include "data/keyscan_progress.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "utils/acl.h"
#include "utils/builtins.h"

/* Calls whose progress is shown at the same time. */
#define SLOTS 64

typedef struct ProgressSlot
{
	pg_atomic_uint32 pid;		/* 0: free */
	Oid			database;
	Oid			userid;
	pg_atomic_uint32 relid;
	pg_atomic_uint32 phase;
	pg_atomic_uint64 blocks_total;
	pg_atomic_uint64 blocks_done;
	pg_atomic_uint64 rows;
	pg_atomic_uint64 spilled;
} ProgressSlot;

static ProgressSlot *slots = NULL;
static int	own_slot = -1;

static const char *const phase_names[] = {
	[VOX_PHASE_SCANNING] = "scanning",
	[VOX_PHASE_MATCHING] = "matching",
};

static void init_slots(void *area);
static void give_back(int code, Datum arg);

VOXANNE_FUNCTION(voxanne_data_check_progress);

/*
 * Ask for the slots; from _PG_init().
 */
void
voxanne_progress_share(void)
{
	voxanne_share("voxanne_ops data checks", sizeof(ProgressSlot) * SLOTS, init_slots, (void **) &slots);
}

static void
init_slots(void *area)
{
	ProgressSlot *slot = area;

	for (int i = 0; i < SLOTS; i++, slot++)
	{
		pg_atomic_init_u32(&slot->pid, 0);
		pg_atomic_init_u32(&slot->relid, 0);
		pg_atomic_init_u32(&slot->phase, 0);
		pg_atomic_init_u64(&slot->blocks_total, 0);
		pg_atomic_init_u64(&slot->blocks_done, 0);
		pg_atomic_init_u64(&slot->rows, 0);
		pg_atomic_init_u64(&slot->spilled, 0);
	}
}

/*
 * Take a slot for a call; -1, which the other functions accept, if there is
 * none.
 */
int
voxanne_progress_begin(void)
{
	static bool registered = false;

	if (slots == NULL)
		return -1;
	if (!registered)
	{
		before_shmem_exit(give_back, (Datum) 0);
		registered = true;
	}
	voxanne_progress_end(own_slot);
	for (int i = 0; i < SLOTS; i++)
	{
		uint32		free_slot = 0;

		if (!pg_atomic_compare_exchange_u32(&slots[i].pid, &free_slot, (uint32) MyProcPid))
			continue;
		own_slot = i;
		slots[i].database = MyDatabaseId;
		slots[i].userid = GetUserId();
		pg_atomic_write_u64(&slots[i].spilled, 0);
		return i;
	}
	return -1;
}

/* What the call turns to now; starts the counters anew. */
void
voxanne_progress_phase(int slot, Oid relid, VoxPhase phase, uint64 blocks_total)
{
	if (slot < 0)
		return;
	pg_atomic_write_u32(&slots[slot].relid, relid);
	pg_atomic_write_u32(&slots[slot].phase, phase);
	if (phase == VOX_PHASE_MATCHING)
		return;
	pg_atomic_write_u64(&slots[slot].blocks_total, blocks_total);
	pg_atomic_write_u64(&slots[slot].blocks_done, 0);
	pg_atomic_write_u64(&slots[slot].rows, 0);
}

void
voxanne_progress_add(int slot, uint64 blocks, uint64 rows)
{
	if (slot < 0)
		return;
	pg_atomic_fetch_add_u64(&slots[slot].blocks_done, blocks);
	pg_atomic_fetch_add_u64(&slots[slot].rows, rows);
}

void
voxanne_progress_spilled(int slot, uint64 bytes)
{
	if (slot >= 0)
		pg_atomic_fetch_add_u64(&slots[slot].spilled, bytes);
}

/* Give the slot back. */
void
voxanne_progress_end(int slot)
{
	if (slot < 0 || slot != own_slot)
		return;
	own_slot = -1;
	pg_atomic_write_u32(&slots[slot].pid, 0);
}

static void
give_back(int code, Datum arg)
{
	voxanne_progress_end(own_slot);
}

/*
 * data_check_progress: a row for each running call.  What a role may not see
 * in pg_stat_activity either is null.  ERROR 55000 without preload.
 */
Datum
voxanne_data_check_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	if (slots == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("progress of data checks is known only if voxanne_ops is preloaded"),
				 errhint("Add voxanne_ops to shared_preload_libraries and restart the server; SELECT * FROM backup_status() shows the statement.")));
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < SLOTS; i++)
	{
		ProgressSlot *slot = &slots[i];
		uint32		pid = pg_atomic_read_u32(&slot->pid);
		Datum		values[8];
		bool		nulls[8] = {false};

		if (pid == 0)
			continue;
		values[0] = Int32GetDatum((int32) pid);
		values[1] = ObjectIdGetDatum(slot->database);
		values[2] = ObjectIdGetDatum(pg_atomic_read_u32(&slot->relid));
		values[3] = CStringGetTextDatum(phase_names[pg_atomic_read_u32(&slot->phase)]);
		values[4] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->blocks_total));
		values[5] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->blocks_done));
		values[6] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->rows));
		values[7] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->spilled));
		if (!has_privs_of_role(GetUserId(), slot->userid) &&
			!has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
			memset(nulls + 2, true, sizeof(nulls) - 2);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
