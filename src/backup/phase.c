/*
 * src/backup/phase.c
 *		The steps of a cycle that need the database, each in a process.
 *
 * A process cannot leave a database other than by ending.  So the verifier,
 * which may work for hours, and the messenger never enter one: a process of its
 * own reads the plan, another writes a result, others which alerts there are and
 * what became of them, and each is gone within moments.  Those that write are
 * started before there is something to write and wait, not yet connected, for
 * their request: once there is, a process to do so must not be found lacking.
 *
 * Request and reply travel through two queues in a dynamic shared memory
 * segment of the verifier's or messenger's.  When either side ends, however it does, the other
 * finds its queue detached.
 */
#include "postgres.h"

#include "access/xact.h"
#include "backup/cycle.h"
#include "backup/phase.h"
#include "backup/wake.h"
#include "backup/worker.h"
#include "core/compat.h"
#include "core/extension.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Of either queue; a longer text passes in pieces. */
#define QUEUE_SIZE ((Size) 65536)

/* What the process finds in bgw_extra. */
typedef struct PhaseOrder
{
	VoxPhase	phase;
	VoxLaneId	lane;			/* of a plan */
	Oid			database;
	dsm_handle	segment;
	NameData	name;			/* of the database, for messages */
} PhaseOrder;

StaticAssertDecl(sizeof(PhaseOrder) <= BGW_EXTRALEN, "PhaseOrder must fit into bgw_extra");

/* The end of whoever started it. */
struct VoxPhaseProcess
{
	BackgroundWorkerHandle *handle;
	dsm_segment *segment;
	shm_mq_handle *request;
	shm_mq_handle *reply;
	bool		busy;			/* it has what it needs to work */
};

/* The reply on the wire; the text follows with its terminating zero. */
typedef struct ReplyHeader
{
	VoxPhaseEnd end;
	int			encoding;
	VoxCycleDue due;
	bool		good;
	bool		has_text;
} ReplyHeader;

static const char *const phase_types[] = {
	[VOX_PHASE_PLAN] = VOX_PLANNER_TYPE,
	[VOX_PHASE_RECORD] = VOX_RECORDER_TYPE,
	[VOX_PHASE_CLAIM] = VOX_RECORDER_TYPE,
	[VOX_PHASE_SETTLE] = VOX_RECORDER_TYPE,
};

static const char *const phase_activities[] = {
	[VOX_PHASE_PLAN] = "read which backups are to be verified",
	[VOX_PHASE_RECORD] = "record the verification of backups",
	[VOX_PHASE_CLAIM] = "read which alerts are to be delivered",
	[VOX_PHASE_SETTLE] = "record the delivery of alerts",
};

/* The process that the verifier must not leave behind. */
static VoxPhaseProcess *current = NULL;

static void end_current(int code, Datum argument);
static void release(VoxPhaseProcess *process);
static void perform(const PhaseOrder *order, const char *request, VoxPhaseReply *reply);
static void perform_safely(const PhaseOrder *order, const char *request, VoxPhaseReply *reply);
static char *perform_in(const PhaseOrder *order, const char *request, TimestampTz now, VoxPhaseReply *reply);
static void send_reply(shm_mq_handle *queue, const VoxPhaseReply *reply);

/*
 * Start a process for one phase, which is that of a lane if it is a plan; it is
 * up to the caller to end it with voxanne_phase_finish() or _dismiss().  If the
 * caller ends first, it ends, too.  NULL if none is free.
 */
VoxPhaseProcess *
voxanne_phase_start(VoxPhase phase, VoxLaneId lane, Oid database, const char *name)
{
	static bool registered = false;
	VoxPhaseProcess *process = palloc_object(VoxPhaseProcess);
	PhaseOrder	order;
	BackgroundWorker worker;
	shm_mq	   *request;
	shm_mq	   *reply;

	Assert(current == NULL);
	if (!registered)
		before_shmem_exit(end_current, 0);
	registered = true;

	process->segment = dsm_create(2 * QUEUE_SIZE, 0);
	request = shm_mq_create(dsm_segment_address(process->segment), QUEUE_SIZE);
	reply = shm_mq_create((char *) dsm_segment_address(process->segment) + QUEUE_SIZE, QUEUE_SIZE);
	shm_mq_set_sender(request, MyProc);
	shm_mq_set_receiver(reply, MyProc);

	memset(&order, 0, sizeof(order));
	order.phase = phase;
	order.lane = lane;
	order.database = database;
	order.segment = dsm_segment_handle(process->segment);
	strlcpy(NameStr(order.name), name, NAMEDATALEN);
	voxanne_worker_describe(&worker, phase_types[phase], "voxanne_phase_main");
	memcpy(worker.bgw_extra, &order, sizeof(order));
	process->handle = voxanne_worker_start(&worker, name);
	if (process->handle == NULL)
	{
		dsm_detach(process->segment);
		pfree(process);
		return NULL;
	}

	/*
	 * with the handle, a process that never comes does not make us wait for
	 * ever
	 */
	process->request = shm_mq_attach(request, process->segment, process->handle);
	process->reply = shm_mq_attach(reply, process->segment, process->handle);
	process->busy = phase == VOX_PHASE_PLAN;
	current = process;
	return process;
}

/*
 * Give the process what it waits for: plan and results; "ping" if one is wanted
 * and ""; or the outcomes of alerts and "".  If it is gone, voxanne_phase_finish() will say so.
 */
void
voxanne_phase_request(VoxPhaseProcess *process, const char *first, const char *second)
{
	StringInfoData message;

	process->busy = true;
	initStringInfo(&message);
	appendBinaryStringInfo(&message, first, strlen(first) + 1);
	appendBinaryStringInfo(&message, second, strlen(second) + 1);
	(void) shm_mq_send(process->request, message.len, message.data, false, true);
	pfree(message.data);
}

/*
 * Wait for the process' reply and until it has left the database and is gone.
 */
void
voxanne_phase_finish(VoxPhaseProcess *process, VoxPhaseReply *reply)
{
	Size		length;
	void	   *data;

	memset(reply, 0, sizeof(VoxPhaseReply));
	if (shm_mq_receive(process->reply, &length, &data, false) == SHM_MQ_SUCCESS)
	{
		ReplyHeader header;

		Assert(length >= sizeof(header));
		memcpy(&header, data, sizeof(header));
		reply->end = header.end;
		reply->encoding = header.encoding;
		reply->due = header.due;
		reply->good = header.good;
		if (header.has_text)
			reply->text = pstrdup((char *) data + sizeof(header));
	}
	else
		reply->end = VOX_PHASE_LOST;

	if (WaitForBackgroundWorkerShutdown(process->handle) == BGWH_POSTMASTER_DIED)
		proc_exit(1);
	release(process);
}

/*
 * Send a recorder away that is not needed: it ends as its queue is detached.
 */
void
voxanne_phase_dismiss(VoxPhaseProcess *process)
{
	release(process);
}

static void
release(VoxPhaseProcess *process)
{
	current = NULL;
	shm_mq_detach(process->request);
	shm_mq_detach(process->reply);
	dsm_detach(process->segment);
	pfree(process->handle);
	pfree(process);
}

/*
 * The verifier ends while a process of its is there: end that, too.  One that
 * waits for its request sees to it by itself, one at work need not.
 */
static void
end_current(int code, Datum argument)
{
	if (current != NULL && current->busy)
		TerminateBackgroundWorker(current->handle);
	current = NULL;
}

/*
 * The process itself.
 */
void
voxanne_phase_main(Datum argument)
{
	PhaseOrder	order;
	VoxPhaseReply reply;
	ErrorContextCallback callback;
	dsm_segment *segment;
	shm_mq	   *queue;
	shm_mq_handle *requests;
	shm_mq_handle *replies;
	Size		length;
	void	   *request = NULL;

	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));
	voxanne_worker_begin();
	segment = dsm_attach(order.segment);
	if (segment == NULL)
		return;
	queue = dsm_segment_address(segment);
	shm_mq_set_receiver(queue, MyProc);
	requests = shm_mq_attach(queue, segment, NULL);
	queue = (shm_mq *) ((char *) dsm_segment_address(segment) + QUEUE_SIZE);
	shm_mq_set_sender(queue, MyProc);
	replies = shm_mq_attach(queue, segment, NULL);

	if (order.phase != VOX_PHASE_PLAN &&
		shm_mq_receive(requests, &length, &request, false) != SHM_MQ_SUCCESS)
		return;					/* it came to nothing */

	voxanne_worker_reload();
	BackgroundWorkerInitializeConnectionByOid(order.database, InvalidOid, 0);

	voxanne_worker_explain(&callback, phase_types[order.phase], NameStr(order.name));
	perform_safely(&order, request, &reply);
	error_context_stack = callback.previous;

	/* what has been committed is not called lost: no interrupt since then */
	HOLD_INTERRUPTS();
	send_reply(replies, &reply);
	RESUME_INTERRUPTS();
	pgstat_report_stat(true);
}

/* An error is logged here, and its message is the reply. */
static void
perform_safely(const PhaseOrder *order, const char *request, VoxPhaseReply *reply)
{
	MemoryContext context = CurrentMemoryContext;

	memset(reply, 0, sizeof(VoxPhaseReply));
	reply->encoding = GetDatabaseEncoding();
	PG_TRY();
	{
		perform(order, request, reply);
	}
	PG_CATCH();
	{
		reply->text = voxanne_worker_caught(context);
		reply->end = VOX_PHASE_ERROR;
	}
	PG_END_TRY();
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* One transaction.  "request" is what voxanne_phase_request() was given. */
static void
perform(const PhaseOrder *order, const char *request, VoxPhaseReply *reply)
{
	MemoryContext context = CurrentMemoryContext;
	TimestampTz now = voxanne_worker_now();
	char	   *text = NULL;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, phase_activities[order->phase]);

	XactReadOnly = order->phase == VOX_PHASE_PLAN;
	voxanne_wake_suppress();
	if (voxanne_hold_extension(true) != VOX_LOCKED)
		reply->end = VOX_PHASE_NO_EXTENSION;
	else
		text = perform_in(order, request, now, reply);

	if (text !=NULL)
		reply->text = MemoryContextStrdup(context, text);

	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

/* Within the transaction; returns what the reply's text is to be. */
static char *
perform_in(const PhaseOrder *order, const char *request, TimestampTz now, VoxPhaseReply *reply)
{
	switch (order->phase)
	{
		case VOX_PHASE_PLAN:
			return voxanne_cycle_plan(now, order->lane, &reply->due);
		case VOX_PHASE_RECORD:
			reply->good = voxanne_cycle_record(request, request + strlen(request) + 1, now, &reply->due);
			break;
		case VOX_PHASE_CLAIM:
			return voxanne_cycle_claim(request[0] != '\0', now, &reply->due);
		case VOX_PHASE_SETTLE:
			voxanne_cycle_settle(request, now, &reply->due);
			break;
	}
	return NULL;
}

/* Blocks until the verifier has read it; if that is gone there is nobody to tell. */
static void
send_reply(shm_mq_handle *queue, const VoxPhaseReply *reply)
{
	ReplyHeader header;
	StringInfoData message;

	memset(&header, 0, sizeof(header));
	header.end = reply->end;
	header.encoding = reply->encoding;
	header.due = reply->due;
	header.good = reply->good;
	header.has_text = reply->text !=NULL;
	initStringInfo(&message);
	appendBinaryStringInfo(&message, (char *) &header, sizeof(header));
	if (reply->text !=NULL)
		appendBinaryStringInfo(&message, reply->text, strlen(reply->text) + 1);
	(void) shm_mq_send(queue, message.len, message.data, false, true);
}
