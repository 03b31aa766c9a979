/*
 * src/core/shared.c
 *		Areas of shared memory, each owned by one room.
 *
 * One pair of hooks for all rooms.  A room asks in _PG_init() and finds its
 * pointer set in every process once the server is up; without preload the
 * pointer stays NULL, and the room must do without or say so.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/shared.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

typedef struct SharedArea
{
	const char *name;
	Size		size;
	void		(*init) (void *area);
	void	  **area;
} SharedArea;

static List *areas = NIL;
static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

static void request_areas(void);
static void find_areas(void);

/*
 * Have "*area" point to "size" bytes of shared memory under "name", zeroed and
 * then given to "init" once; crash restarts begin anew.  To be called from
 * _PG_init(); does nothing if the library is not being preloaded.  Locking
 * inside of the area is the room's business.
 */
void
voxanne_share(const char *name, Size size, void (*init) (void *area), void **area)
{
	MemoryContext old;
	SharedArea *entry;

	if (!process_shared_preload_libraries_in_progress)
		return;

	if (areas == NIL)
	{
		previous_request_hook = shmem_request_hook;
		shmem_request_hook = request_areas;
		previous_startup_hook = shmem_startup_hook;
		shmem_startup_hook = find_areas;
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	entry = palloc_object(SharedArea);
	entry->name = name;
	entry->size = size;
	entry->init = init;
	entry->area = area;
	areas = lappend(areas, entry);
	MemoryContextSwitchTo(old);
}

/*
 * Was the library loaded by shared_preload_libraries when the server started?
 */
bool
voxanne_preloaded(void)
{
	return areas != NIL;
}

static void
request_areas(void)
{
	ListCell   *lc;

	if (previous_request_hook != NULL)
		previous_request_hook();
	foreach(lc, areas)
		RequestAddinShmemSpace(((SharedArea *) lfirst(lc))->size);
}

static void
find_areas(void)
{
	ListCell   *lc;

	if (previous_startup_hook != NULL)
		previous_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	foreach(lc, areas)
	{
		SharedArea *entry = (SharedArea *) lfirst(lc);
		bool		found;

		*entry->area = ShmemInitStruct(entry->name, entry->size, &found);
		if (!found)
		{
			memset(*entry->area, 0, entry->size);
			if (entry->init != NULL)
				entry->init(*entry->area);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}
