/*
 * src/data/keyscan_memory.c
 *		What a run may have of memory.
 *
 * What participants use of shared memory is counted, and stays below
 * maintenance_work_mem.  It comes in segments that double in size, so that the
 * last one would often be as large as all others together, and hardly used: the
 * area has a limit of its own, a little higher, which makes its last segment a
 * small one.  An allocation that fails because of it is like one beyond the
 * count: what asked for it spills, or leaves the question to SQL.
 *
 * Memory that is touched for the first time costs a page fault for every few
 * kilobytes, which can take longer than everything that is done with an entry.
 * So the kernel is asked to map memory as a whole, and private memory is kept
 * from one partition to the next.
 */
#include "postgres.h"

#include <sys/mman.h>
#include <unistd.h>

#include "core/compat.h"
#include "data/keyscan_internal.h"
#include "utils/memutils.h"

/* Kept for the rows that matter, at the most. */
#define MOST_FOR_CANDIDATES (16 * 1024 * 1024)

/* What the area may have beyond what is counted: pages that are not whole, small things. */
#define AREA_SLACK (8 * 1024 * 1024)

/* By how much that grows at the least for what cannot be done without. */
#define ONE_MORE (1024 * 1024)

/* How often that is tried. */
#define MOST_TRIES 16

/* Private memory for one partition, which all participants may have together. */
#define SCRATCH_SHARE 4

/* A participant may always have this much of it. */
#define MIN_SCRATCH (4 * 1024 * 1024)

/*
 * Have the area keep to the run's memory from now on.  For the leader, before
 * others take part.
 */
void
voxanne_limit_area(KeyscanShared *shared, dsa_area *area)
{
	pg_atomic_init_u64(&shared->area_limit, shared->memory_limit + AREA_SLACK);
	dsa_set_size_limit(area, shared->memory_limit + AREA_SLACK);
}

/*
 * What entries may take of the run's memory; the rest is for the rows that matter.
 */
uint64
voxanne_entries_limit(const Keyscan *run)
{
	uint64		limit = run->shared->memory_limit;

	return limit - Min(limit / 8, MOST_FOR_CANDIDATES);
}

/*
 * Shared memory; invalid if the run would then have more than the limit.  To be
 * given back by voxanne_free().
 */
dsa_pointer
voxanne_allocate(Keyscan *run, Size bytes, uint64 limit)
{
	KeyscanShared *shared = run->shared;
	dsa_pointer pointer = InvalidDsaPointer;

	if (pg_atomic_fetch_add_u64(&shared->memory_used, bytes) + bytes <= limit)
		pointer = dsa_allocate_extended(run->area, bytes, DSA_ALLOC_HUGE | DSA_ALLOC_NO_OOM);
	if (!DsaPointerIsValid(pointer))
		pg_atomic_fetch_sub_u64(&shared->memory_used, bytes);
	return pointer;
}

/*
 * Shared memory that cannot be done without, beyond all limits if need be.
 */
dsa_pointer
voxanne_allocate_anyway(Keyscan *run, Size bytes)
{
	dsa_pointer pointer = voxanne_allocate(run, bytes, PG_UINT64_MAX);

	/*
	 * more than once, as others may take what we make room for, or set their
	 * lower limit after ours
	 */
	for (int i = 0; !DsaPointerIsValid(pointer) && i < MOST_TRIES; i++)
	{
		dsa_set_size_limit(run->area, pg_atomic_add_fetch_u64(&run->shared->area_limit, Max(bytes * 2, ONE_MORE)));
		pointer = voxanne_allocate(run, bytes, PG_UINT64_MAX);
	}
	if (!DsaPointerIsValid(pointer))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("A data check could not get %zu bytes of shared memory.", bytes)));
	return pointer;
}

void
voxanne_free(Keyscan *run, dsa_pointer pointer, Size bytes)
{
	dsa_free(run->area, pointer);
	pg_atomic_fetch_sub_u64(&run->shared->memory_used, bytes);
}

/*
 * Have memory that is about to be written mapped at once instead of with a page
 * fault for every page.  Where the kernel cannot (Linux before 5.14) or will
 * not, pages are mapped when they are touched.
 */
void
voxanne_populate(void *address, Size bytes)
{
#ifdef MADV_POPULATE_WRITE
	uintptr_t	page = sysconf(_SC_PAGESIZE);
	uintptr_t	start = TYPEALIGN(page, (uintptr_t) address);
	uintptr_t	end = TYPEALIGN_DOWN(page, (uintptr_t) address + bytes);

	if (end > start)
		(void) madvise((void *) start, end - start, MADV_POPULATE_WRITE);
#endif
}

/*
 * May a participant have this much private memory for a partition?  If not, as
 * when all rows are alike, SQL must answer.
 */
bool
voxanne_scratch_fits(const Keyscan *run, Size bytes)
{
	return bytes <= Max(run->shared->memory_limit / SCRATCH_SHARE / run->shared->nparticipants, MIN_SCRATCH);
}

/*
 * Private memory for so many bytes, with anything in it; until the next call
 * for the same purpose.
 */
void *
voxanne_scratch(Keyscan *run, Scratch which, Size bytes)
{
	if (run->scratch_bytes[which] >= bytes)
		return run->scratch[which];
	if (run->scratch[which] != NULL)
		pfree(run->scratch[which]);
	run->scratch[which] = NULL;
	run->scratch_bytes[which] = 0;
	run->scratch[which] = MemoryContextAllocHuge(run->context, bytes);
	run->scratch_bytes[which] = bytes;
	return run->scratch[which];
}
