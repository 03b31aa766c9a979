/*
 * t/modules/fuzz/live_memory.c
 *		Freeing after each run what the agent leaves to the end of its process.
 *
 * The agent leaves small texts to the end, which does not come here: what its
 * allocator (memory.c, included below) gave during a run is freed after it.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent_readers.h"

/* Of the sanitizers' runtime; gcc comes without the header. */
extern int	__sanitizer_install_malloc_and_free_hooks(void (*malloc_hook) (const volatile void *, size_t), void (*free_hook) (const volatile void *));

#define MAX_LIVE (1 << 16)

/* Allocations of this run that nobody has freed; a table with open addressing. */
static void *live[MAX_LIVE];
static size_t n_live;
static bool sweeping;

static size_t
live_slot(const void *pointer)
{
	size_t		slot = ((uintptr_t) pointer >> 4) * UINT64_C(0x9e3779b97f4a7c15) % MAX_LIVE;

	while (live[slot] != NULL && live[slot] != pointer)
		slot = (slot + 1) % MAX_LIVE;
	return slot;
}

static void *
remember(void *pointer)
{
	if (pointer != NULL && ++n_live > MAX_LIVE / 2)
		abort();
	if (pointer != NULL)
		live[live_slot(pointer)] = pointer;
	return pointer;
}

/* Called by the sanitizer for everything that is freed. */
static void
forget_freed(const volatile void *pointer)
{
	size_t		slot = live_slot((const void *) pointer);

	if (sweeping || live[slot] == NULL)
		return;
	live[slot] = NULL;
	n_live--;
	for (slot = (slot + 1) % MAX_LIVE; live[slot] != NULL; slot = (slot + 1) % MAX_LIVE)
	{
		void	   *moved = live[slot];

		live[slot] = NULL;
		live[live_slot(moved)] = moved;
	}
}

static void
ignore_allocated(const volatile void *pointer, size_t size)
{
}

/* Free what the run has left. */
void
free_live(void)
{
	if (n_live == 0)
		return;
	sweeping = true;
	for (size_t slot = 0; slot < MAX_LIVE; slot++)
	{
		if (live[slot] == NULL)
			continue;
		free(live[slot]);
		live[slot] = NULL;
	}
	n_live = 0;
	sweeping = false;
}

static int
tracked_vasprintf(char **result, const char *fmt, va_list args)
{
	int			len = vasprintf(result, fmt, args);

	if (len >= 0)
		remember(*result);
	return len;
}

#define malloc(size) remember(malloc(size))
#define realloc(old, size) remember(realloc(old, size))
#define vasprintf tracked_vasprintf
#include "../../../src/agent/memory.c"
#undef malloc
#undef realloc
#undef vasprintf

/* To be called once. */
void
watch_memory(void)
{
	if (__sanitizer_install_malloc_and_free_hooks(ignore_allocated, forget_freed) == 0)
		abort();
}
