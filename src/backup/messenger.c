/*
 * src/backup/messenger.c
 *		The worker that tells the world what there is to tell of one database.
 *
 * claim, alert, settle: the first and the last in processes of their own
 * (phase.c), alert here, connected to no database.  It works beside the
 * verifier, for an endpoint that does not answer must not hold up a
 * verification that somebody waits for.
 */
#include "postgres.h"

#include "backup/messenger.h"
#include "backup/phase.h"
#include "backup/slots.h"
#include "backup/worker.h"
#include "core/compat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

typedef struct Messenger
{
	VoxSlot    *slot;
	Oid			database;
	NameData	name;
	uint64		generation;		/* the slot's tell_generation when we began */
	bool		ping;
	TimestampTz next;			/* when to tell again */
} Messenger;

static Messenger messenger;

static bool attach(void);
static void detach(int code, Datum argument);
static TimestampTz later(void);
static void work(void);
static void fail(const char *error);
static TimestampTz deliver(void);
static bool claim(VoxPhaseReply *reply);
static TimestampTz alert(const char *tell);

static const VoxWorkerJob job = {
	.subject = "alerts",
	.activity = "post alerts",
	.database = &messenger.name,
	.attach = attach,
	.work = work,
	.failed = fail,
};

/*
 * Started by the scheduler for one slot; ends when what was due is told or has
 * failed.
 */
void
voxanne_messenger_main(Datum argument)
{
	voxanne_worker_serve(&job);
}

/* Take over from the scheduler; false if it wants this messenger no more. */
static bool
attach(void)
{
	VoxMessengerOrder order;
	VoxSlot    *slot;
	bool		wanted;

	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));
	slot = &voxanne_slots->slots[order.slot];

	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	wanted = slot->telling && slot->tell_launch == order.launch;
	if (wanted)
	{
		slot->messenger_pid = MyProcPid;
		messenger.slot = slot;
		messenger.database = slot->database;
		messenger.name = slot->name;
		messenger.generation = slot->tell_generation;
		messenger.ping = slot->ping;
		slot->ping = false;
	}
	LWLockRelease(&voxanne_slots->lock);
	messenger.next = later();
	if (wanted)
		before_shmem_exit(detach, 0);
	return wanted;
}

/*
 * Give it back, whatever the reason that we end.  What a verifier has published
 * since we began may know of more than we do.
 */
static void
detach(int code, Datum argument)
{
	VoxSlot    *slot = messenger.slot;

	/* whatever the database says, there is a pause between two messengers */
	messenger.next = Max(messenger.next, TimestampTzPlusMilliseconds(voxanne_worker_now(), 1000));
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	slot->tell_due = slot->tell_generation == messenger.generation ? messenger.next :
		Min(slot->tell_due, messenger.next);
	slot->telling = false;
	slot->messenger_pid = 0;
	voxanne_slot_free(slot);
	LWLockRelease(&voxanne_slots->lock);
	ConditionVariableBroadcast(&voxanne_slots->changed);
	voxanne_wake_scheduler();
}

/* When to try again after something went wrong. */
static TimestampTz
later(void)
{
	return TimestampTzPlusMilliseconds(voxanne_worker_now(), VOX_BACKOFF_MIN);
}

static void
work(void)
{
	messenger.next = deliver();
}

static void
fail(const char *error)
{
	messenger.next = later();
}

/* Tell what is due; returns when to tell again. */
static TimestampTz
deliver(void)
{
	VoxPhaseReply reply;
	TimestampTz next;
	char	   *problem;

	if (voxanne_worker_database_state(messenger.database) != VOX_CYCLE_NONE)
		return DT_NOEND;
	if (!claim(&reply))
		return reply.end == VOX_PHASE_NO_EXTENSION ? DT_NOEND : later();
	next = reply.due.tell;
	if (reply.text == NULL)
		return next;

	SetDatabaseEncoding(reply.encoding);
	if (voxanne_cycle_has_alerts(reply.text))
		next = alert(reply.text);
	if (voxanne_cycle_ping(reply.text, &problem))
		voxanne_slots_pinged(messenger.database, problem);
	return next;
}

/* Ask the database; false if it did not answer, for which reply->end says why. */
static bool
claim(VoxPhaseReply *reply)
{
	VoxPhaseProcess *claimer = voxanne_phase_start(VOX_PHASE_CLAIM, 0, messenger.database, NameStr(messenger.name));

	reply->end = VOX_PHASE_LOST;
	if (claimer == NULL)
		return false;
	voxanne_phase_request(claimer, messenger.ping ? "ping" : "", "");
	voxanne_phase_finish(claimer, reply);
	return reply->end == VOX_PHASE_DONE;
}

/*
 * Post alerts and have noted what came of it; returns when to tell again.  What
 * is not noted is posted again, so nothing is begun that could not be noted.
 */
static TimestampTz
alert(const char *tell)
{
	VoxPhaseProcess *recorder = voxanne_phase_start(VOX_PHASE_SETTLE, 0, messenger.database, NameStr(messenger.name));
	VoxPhaseReply reply;
	char	   *outcomes;

	if (recorder == NULL)
		return later();
	voxanne_worker_fed();
	outcomes = voxanne_cycle_alert(tell);
	if (voxanne_worker_database_state(messenger.database) != VOX_CYCLE_NONE)
	{
		voxanne_phase_dismiss(recorder);
		return DT_NOEND;
	}
	voxanne_phase_request(recorder, outcomes, "");
	voxanne_phase_finish(recorder, &reply);
	return reply.end == VOX_PHASE_DONE ? reply.due.tell : later();
}
