/*
 * src/agent/incremental.h
 *		Files of an incremental backup that hold only the pages that changed.
 */
#ifndef VOXANNE_AGENT_INCREMENTAL_H
#define VOXANNE_AGENT_INCREMENTAL_H

#include "backup.h"

#define INCREMENTAL_PREFIX "INCREMENTAL."

/* Magic number, number of blocks, length: what every such file begins with */
#define INCREMENTAL_START_SIZE 12

/* The header of one, as its bytes come; zeroed before the first one. */
typedef struct Incremental
{
	/* unchanging while one file is read */
	uint32_t	page_size;
	uint32_t	segment_pages;
	uint64_t	file_size;

	uint64_t	taken;			/* bytes of the header that have come */
	unsigned char start[INCREMENTAL_START_SIZE];

	/* known when the start has come */
	uint32_t	n_blocks;
	uint32_t	length;			/* blocks that the whole file has at least */
	uint64_t	header_size;	/* where the first page lies */

	uint32_t   *blocks;			/* of the pages, in their order */
	uint32_t	room;
	char	   *problem;		/* why this is no such file, or NULL */
} Incremental;

#define NO_BLOCK (-1)

extern bool is_incremental(const char *path);
extern char *path_of_whole(const char *path);
extern void incremental_begin(Incremental *incremental, const Layout *layout, uint64_t file_size);
extern bool incremental_add(Incremental *incremental, const unsigned char *data, size_t len);
extern int64_t incremental_block(const Incremental *incremental, uint64_t offset);
extern void incremental_free(Incremental *incremental);

#endif							/* VOXANNE_AGENT_INCREMENTAL_H */
