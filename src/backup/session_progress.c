/*
 * src/backup/session_progress.c
 *		How far verifications in sessions of users are, for the view
 *		backup_verification_progress.
 *
 * A few places in shared memory, there only when the library is preloaded.  A
 * session takes a free one for each target or does without; it gives it back
 * when the target is done, and however else that or the session ends.  A lock
 * protects them all, held for a few assignments.
 */
#include "postgres.h"

#include "backup/session_progress.h"
#include "child/child.h"
#include "core/shared.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

typedef struct SessionArea
{
	slock_t		lock;
	VoxSessionProgress sessions[VOX_MAX_SESSIONS];
} SessionArea;

static SessionArea *area = NULL;
static VoxSessionProgress *own = NULL;

static void init_area(void *memory);
static void note_progress(const char *errors);
static void give_back(int code, Datum argument);

/*
 * Ask for the places; from _PG_init().
 */
void
voxanne_session_progress_share(void)
{
	voxanne_share("voxanne_ops verifications of sessions", sizeof(SessionArea), init_area, (void **) &area);
}

static void
init_area(void *memory)
{
	SpinLockInit(&((SessionArea *) memory)->lock);
}

/* This session turns to a target, at a level, of which the agent will say how far it is. */
void
voxanne_session_progress_begin(const char *target, const char *level)
{
	static bool registered = false;
	TimestampTz now = GetCurrentTimestamp();

	if (area == NULL)
		return;
	if (!registered)
		before_shmem_exit(give_back, (Datum) 0);
	registered = true;
	SpinLockAcquire(&area->lock);
	for (int i = 0; i < VOX_MAX_SESSIONS && own == NULL; i++)
		if (area->sessions[i].pid == 0)
			own = &area->sessions[i];
	if (own != NULL)
	{
		memset(own, 0, sizeof(*own));
		own->pid = MyProcPid;
		own->database = MyDatabaseId;
		own->started = now;
		strlcpy(NameStr(own->target), target, NAMEDATALEN);
		strlcpy(own->level, level, sizeof(own->level));
	}
	SpinLockRelease(&area->lock);
	voxanne_agent_heard = own == NULL ? NULL : note_progress;
}

/* It is done with it, or gave up. */
void
voxanne_session_progress_end(void)
{
	if (own == NULL)
		return;
	voxanne_agent_heard = NULL;
	SpinLockAcquire(&area->lock);
	own->pid = 0;
	SpinLockRelease(&area->lock);
	own = NULL;
}

static void
give_back(int code, Datum argument)
{
	voxanne_session_progress_end();
}

/* Those that are under way, into room for VOX_MAX_SESSIONS; how many. */
int
voxanne_session_progress_copy(VoxSessionProgress *sessions)
{
	int			n = 0;

	if (area == NULL)
		return 0;
	SpinLockAcquire(&area->lock);
	for (int i = 0; i < VOX_MAX_SESSIONS; i++)
		if (area->sessions[i].pid != 0)
			sessions[n++] = area->sessions[i];
	SpinLockRelease(&area->lock);
	return n;
}

static void
note_progress(const char *errors)
{
	uint64		done_mb;
	uint64		total_mb;

	if (!voxanne_agent_progress(errors, &done_mb, &total_mb))
		return;
	SpinLockAcquire(&area->lock);
	own->done_mb = done_mb;
	own->total_mb = total_mb;
	SpinLockRelease(&area->lock);
}

/* How far the agent is, which it says once a second: "voxanne_agent:  42 %, 420 of 1000 MB, 250 MB/s"; false if it did not. */
bool
voxanne_agent_progress(const char *errors, uint64 *done_mb, uint64 *total_mb)
{
	unsigned long long done;
	unsigned long long total;
	bool		known = false;

	for (const char *line = strstr(errors, "voxanne_agent: "); line != NULL; line = strstr(line + 1, "voxanne_agent: "))
	{
		if (strchr(line, '\n') == NULL || sscanf(line, "voxanne_agent: %*d %%, %llu of %llu MB", &done, &total) != 2)
			continue;
		*done_mb = done;
		*total_mb = total;
		known = true;
	}
	return known;
}
