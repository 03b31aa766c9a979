/*
 * src/child/child.c
 *		Running a program from a backend or a worker.
 *
 * The parent never blocks but in one wait: for its latch, the pipes, the
 * child's exit, the postmaster's death and the next deadline.  So cancel and
 * shutdown act at once, and neither a child that writes more than we read nor
 * one that reads less than we write can lock both up.  Needs no transaction, no
 * database and no preload.  However the run ends (result, cancel, FATAL), the
 * child is gone afterwards, or remembered as one that could not be ended.
 */
#include "postgres.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/child.h"
#include "child/process.h"
#include "core/compat.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#define READ_SIZE 65536
#define KEEP_ERRORS 4096
#define LAST_READS 32			/* more than the pipes can hold */

/* From SIGTERM to SIGKILL, and from there to giving up */
#define TERM_GRACE_MS 500
#define KILL_GRACE_MS 2000

/* How often to look for the child's exit where nothing announces it */
#define POLL_MS 50

typedef enum RunPhase
{
	RUN_NORMAL,
	RUN_TERMINATED,				/* SIGTERM was sent */
	RUN_KILLED,					/* SIGKILL too */
	RUN_ABANDONED,				/* neither helped */
	RUN_EXITED					/* status is set */
} RunPhase;

/* State of one run. */
typedef struct ChildRun
{
	/* unchanging */
	const VoxChildRequest *request;
	VoxChildResult *result;
	Size		input_len;
	instr_time	start;

	VoxProcess	process;
	WaitEventSet *wait_set;		/* NULL: to be made of what is open */
	Size		input_done;
	RunPhase	phase;
	int			phase_ends;		/* ms after start */
	VoxChildEnd ended_as;		/* why we ended it, from RUN_TERMINATED on */
	int			status;
} ChildRun;

static void start(ChildRun *run);
static void step(ChildRun *run);
static void make_wait_set(ChildRun *run);
static void free_wait_set(ChildRun *run);
static int	time_to_wait(const ChildRun *run);
static int	elapsed_ms(const ChildRun *run);
static void advance(ChildRun *run);
static void begin_end(ChildRun *run, VoxChildEnd as);
static void write_input(ChildRun *run);
static bool read_output(ChildRun *run);
static bool read_errors(ChildRun *run);
static void close_pipe(ChildRun *run, int *fd);
static void clean_up(int code, Datum arg);
static void conclude(ChildRun *run);

/*
 * Run a program to its end.  Fills "result", allocated in the caller's memory
 * context, for whatever happens to the child; ERROR or FATAL only for cancel,
 * shutdown and lack of memory, and then the child has been ended too.
 */
void
voxanne_child_run(const VoxChildRequest *request, VoxChildResult *result)
{
	ChildRun	run;
	pid_t		abandoned;

	Assert(request->deadline_ms > 0 && request->argv[0][0] == '/');
	memset(result, 0, sizeof(*result));
	initStringInfo(&result->output);
	initStringInfo(&result->errors);
	memset(&run, 0, sizeof(run));
	voxanne_process_init(&run.process);
	run.request = request;
	run.result = result;

	abandoned = voxanne_abandoned_find(request->purpose);
	if (abandoned != 0)
	{
		result->end = VOX_CHILD_BUSY;
		result->error = psprintf("Process %d, started earlier for the same purpose, could not be ended and still lives; "
								 "it probably waits for storage that does not answer.", (int) abandoned);
		return;
	}

	PG_ENSURE_ERROR_CLEANUP(clean_up, PointerGetDatum(&run));
	{
		start(&run);
		while (run.process.pid != 0 && run.phase != RUN_ABANDONED)
			step(&run);
		/* what killed the child may have been meant for us as well */
		CHECK_FOR_INTERRUPTS();

		/* what is left in the pipes; not what a grandchild may go on writing */
		for (int i = 0; i < LAST_READS && (read_output(&run) | read_errors(&run)); i++)
			CHECK_FOR_INTERRUPTS();
	}
	PG_END_ENSURE_ERROR_CLEANUP(clean_up, PointerGetDatum(&run));
	clean_up(0, PointerGetDatum(&run));
	conclude(&run);
}

/* Start it, or note why not. */
static void
start(ChildRun *run)
{
	const VoxChildRequest *request = run->request;
	int			error = voxanne_process_start(&run->process, request->argv);

	INSTR_TIME_SET_CURRENT(run->start);
	run->phase_ends = request->deadline_ms;
	run->input_len = request->input == NULL ? 0 : strlen(request->input);
	if (run->input_len == 0)
		voxanne_process_close(&run->process, &run->process.input);
	if (error != 0)
	{
		run->result->end = VOX_CHILD_NOT_STARTED;
		run->result->error = psprintf("Program \"%s\" could not be started: %s.",
									  request->argv[0], strerror(error));
	}
}

/* Wait for something to happen, and deal with it. */
static void
step(ChildRun *run)
{
	WaitEvent	events[6];
	int			count;

	CHECK_FOR_INTERRUPTS();
	if (ShutdownRequestPending)
		ereport(FATAL,
				(errcode(ERRCODE_ADMIN_SHUTDOWN),
				 errmsg("terminating background process due to administrator command")));

	if (run->wait_set == NULL)
		make_wait_set(run);
	count = WaitEventSetWait(run->wait_set, time_to_wait(run), events, lengthof(events),
							 voxanne_wait_event("VoxanneChild"));
	for (int i = 0; i < count; i++)
	{
		int		   *fd = (int *) events[i].user_data;

		if (events[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
		else if (fd == &run->process.input)
			write_input(run);
		else if (fd == &run->process.output)
			(void) read_output(run);
		else if (fd == &run->process.errors)
			(void) read_errors(run);
	}
	if (voxanne_process_reap(&run->process, &run->status))
		run->phase = RUN_EXITED;
	else
		advance(run);
}

/* A set of what is open; made anew whenever a pipe is closed. */
static void
make_wait_set(ChildRun *run)
{
	VoxProcess *process = &run->process;

	run->wait_set = voxanne_create_wait_set(6);
	AddWaitEventToSet(run->wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	if (IsUnderPostmaster)
		AddWaitEventToSet(run->wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	if (process->exit_fd >= 0)
		AddWaitEventToSet(run->wait_set, WL_SOCKET_READABLE, process->exit_fd, NULL, &process->exit_fd);
	if (process->input >= 0)
		AddWaitEventToSet(run->wait_set, WL_SOCKET_WRITEABLE, process->input, NULL, &process->input);
	if (process->output >= 0)
		AddWaitEventToSet(run->wait_set, WL_SOCKET_READABLE, process->output, NULL, &process->output);
	if (process->errors >= 0)
		AddWaitEventToSet(run->wait_set, WL_SOCKET_READABLE, process->errors, NULL, &process->errors);
}

static void
free_wait_set(ChildRun *run)
{
	if (run->wait_set != NULL)
		FreeWaitEventSet(run->wait_set);
	run->wait_set = NULL;
}

static int
elapsed_ms(const ChildRun *run)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, run->start);
	return (int) Min(INSTR_TIME_GET_MILLISEC(now), (double) PG_INT32_MAX);
}

static int
time_to_wait(const ChildRun *run)
{
	int			left = Max(run->phase_ends - elapsed_ms(run), 0);

	/* one more, so that rounding does not wake us just before the time */
	return run->process.exit_fd >= 0 ? left + 1 : Min(left + 1, POLL_MS);
}

/* The present phase's time may be over. */
static void
advance(ChildRun *run)
{
	if (elapsed_ms(run) < run->phase_ends)
		return;

	if (run->phase == RUN_NORMAL)
		begin_end(run, VOX_CHILD_TIMED_OUT);
	else if (run->phase == RUN_TERMINATED)
	{
		kill(run->process.pid, SIGKILL);
		run->phase = RUN_KILLED;
		run->phase_ends = elapsed_ms(run) + KILL_GRACE_MS;
	}
	else
		run->phase = RUN_ABANDONED;
}

/* Ask the child to end, and note why. */
static void
begin_end(ChildRun *run, VoxChildEnd as)
{
	if (run->phase != RUN_NORMAL || run->process.pid == 0)
		return;
	kill(run->process.pid, SIGTERM);
	run->phase = RUN_TERMINATED;
	run->phase_ends = elapsed_ms(run) + TERM_GRACE_MS;
	run->ended_as = as;
}

/* Write what the pipe takes; close it behind the last byte, or if nobody reads. */
static void
write_input(ChildRun *run)
{
	int		   *fd = &run->process.input;
	ssize_t		done = write(*fd, run->request->input + run->input_done, run->input_len - run->input_done);

	if (done > 0)
		run->input_done += done;
	if (run->input_done == run->input_len ||
		(done < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
		close_pipe(run, fd);
}

/* Bytes read, 0 if there are none now; closes the pipe at its end. */
static Size
read_pipe(ChildRun *run, int *fd, char *buffer)
{
	ssize_t		got;

	if (*fd < 0)
		return 0;
	got = read(*fd, buffer, READ_SIZE);
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
		close_pipe(run, fd);
	return got > 0 ? (Size) got : 0;
}

/* Read some standard output; false if there is none. */
static bool
read_output(ChildRun *run)
{
	char		buffer[READ_SIZE];
	StringInfo	output = &run->result->output;
	Size		got = read_pipe(run, &run->process.output, buffer);
	Size		room = run->request->max_output - output->len;

	appendBinaryStringInfo(output, buffer, Min(got, room));
	if (got > room)
	{
		run->result->output_truncated = true;
		begin_end(run, VOX_CHILD_OVERFLOWED);
		close_pipe(run, &run->process.output);
	}
	return got > 0;
}

/* Read some standard error, of which the end is kept; false if there is none. */
static bool
read_errors(ChildRun *run)
{
	char		buffer[READ_SIZE];
	StringInfo	errors = &run->result->errors;
	Size		got = read_pipe(run, &run->process.errors, buffer);

	appendBinaryStringInfo(errors, buffer, got);
	if (errors->len > KEEP_ERRORS)
	{
		int			excess = errors->len - KEEP_ERRORS;

		memmove(errors->data, errors->data + excess, KEEP_ERRORS + 1);
		errors->len = KEEP_ERRORS;
	}
	if (got > 0 && run->request->heard != NULL)
		run->request->heard(errors->data);
	return got > 0;
}

static void
close_pipe(ChildRun *run, int *fd)
{
	/* a set must not hold a descriptor that is closed */
	free_wait_set(run);
	voxanne_process_close(&run->process, fd);
}

/*
 * End and forget whatever is left of the run; also the callback of an early
 * exit.  A child that cannot be ended is remembered.
 */
static void
clean_up(int code, Datum arg)
{
	ChildRun   *run = (ChildRun *) DatumGetPointer(arg);

	free_wait_set(run);
	if (run->process.pid != 0 && (run->phase == RUN_ABANDONED || !voxanne_process_end(&run->process)))
		voxanne_abandoned_remember(run->process.pid, run->request->purpose);
	run->process.pid = 0;
	voxanne_process_close_all(&run->process);
}

/* Say how it ended. */
static void
conclude(ChildRun *run)
{
	VoxChildResult *result = run->result;
	const char *program = run->request->argv[0];

	if (result->end == VOX_CHILD_NOT_STARTED)
		return;
	if (run->phase == RUN_ABANDONED)
	{
		result->end = VOX_CHILD_ABANDONED;
		result->error = psprintf("Program \"%s\" did not finish within %d ms and could not be ended; "
								 "it probably waits for storage that does not answer.",
								 program, run->request->deadline_ms);
	}
	else if (result->output_truncated)
	{
		result->end = VOX_CHILD_OVERFLOWED;
		result->error = psprintf("Program \"%s\" printed more than %zu bytes and was ended.",
								 program, run->request->max_output);
	}
	else if (run->ended_as == VOX_CHILD_TIMED_OUT)
	{
		result->end = VOX_CHILD_TIMED_OUT;
		result->error = psprintf("Program \"%s\" did not finish within %d ms and was ended.",
								 program, run->request->deadline_ms);
	}
	else if (run->status == -1)
	{
		result->end = VOX_CHILD_SIGNALED;
		result->error = psprintf("Program \"%s\" ended, but somebody else took its exit status.", program);
	}
	else if (WIFSIGNALED(run->status))
	{
		result->end = VOX_CHILD_SIGNALED;
		result->signal = WTERMSIG(run->status);
		result->error = psprintf("Program \"%s\" was ended by signal %d: %s.",
								 program, result->signal, pg_strsignal(result->signal));
	}
	else
	{
		result->end = VOX_CHILD_EXITED;
		result->exit_code = WEXITSTATUS(run->status);
	}
}
