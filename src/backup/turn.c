/*
 * src/backup/turn.c
 *		One verification of a target at a time.
 *
 * Two that read the same backup at once take twice the time, and the older
 * result might be recorded last.  So whoever verifies a target holds a lock on
 * its name until the result is in the log: a lock of the server's, which needs
 * neither preload nor a connection to the database, is gone with its holder and
 * is shown by pg_locks and blocking_locks().  Its type is "userlock", of which
 * users cannot have any, so it never meets an advisory lock of theirs.
 *
 * A session waits for its turn, as it does for any lock.  The worker does not:
 * it has other targets.  It leaves the target to the session, whose commit
 * wakes it, and looks again after a while should that never come.
 */
#include "postgres.h"

#include "backup/turn.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"

static LOCKTAG turn_tag(Oid database, const char *target);

/* A number that stands for the target, never 0.  Targets that have the same take turns, too. */
uint64
voxanne_turn(const char *target)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) target, strlen(target), 0);

	return Max(hash, 1);
}

static LOCKTAG
turn_tag(Oid database, const char *target)
{
	uint64		hash = voxanne_turn(target);
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, database, (uint32) (hash >> 32), (uint32) hash, 0);
	tag.locktag_type = LOCKTAG_USERLOCK;
	return tag;
}

/*
 * Wait until nobody else verifies the target of this database, and keep others
 * from it until the transaction ends.  A cancel, statement_timeout and
 * lock_timeout end the wait as that for any lock.
 */
void
voxanne_turn_await(const char *target)
{
	LOCKTAG		tag = turn_tag(MyDatabaseId, target);

	if (LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL)
		return;
	ereport(NOTICE,
			(errmsg("backup target \"%s\" is being verified by another process", target),
			 errdetail("It is verified again once that has recorded its result."),
			 errhint("backup_verification_progress shows how far that is, blocking_locks() who it is.")));
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/*
 * The same for a worker, without waiting: false if somebody else verifies it.
 * Until voxanne_turn_end() or the end of the process.  Needs no transaction.
 */
bool
voxanne_turn_try(Oid database, const char *target)
{
	LOCKTAG		tag = turn_tag(database, target);

	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

void
voxanne_turn_end(Oid database, const char *target)
{
	LOCKTAG		tag = turn_tag(database, target);

	(void) LockRelease(&tag, ExclusiveLock, true);
}

/*
 * Does another session verify the target of this database?  A worker that does
 * is not noticed, as it is in no transaction; those who ask are its planner and
 * recorder.
 */
bool
voxanne_turn_taken(const char *target)
{
	LOCKTAG		tag = turn_tag(MyDatabaseId, target);
	int			count;

	(void) GetLockConflicts(&tag, ExclusiveLock, &count);
	return count > 0;
}
