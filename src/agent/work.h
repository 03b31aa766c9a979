/*
 * src/agent/work.h
 *		The reading of a backup, cut into units for several threads.
 */
#ifndef VOXANNE_AGENT_WORK_H
#define VOXANNE_AGENT_WORK_H

#include "manifest.h"

/* A file's part that one thread reads by itself; a multiple of every READ_SIZE and page size */
#define PIECE_SIZE ((uint64_t) 64 << 20)

#define NO_PIECE UINT32_MAX

/* Whole file or one piece of it. */
typedef struct Unit
{
	uint32_t	file;			/* number in the manifest */
	uint32_t	piece;			/* index, or NO_PIECE: the whole file */
} Unit;

/* A file that is read in pieces, whose checksums can be joined. */
typedef struct Split
{
	uint32_t	file;
	uint32_t	first_piece;
	uint32_t	n_pieces;
	_Atomic uint32_t left;		/* pieces that are not read yet */
	_Atomic bool disturbed;		/* one could not be read, or not in peace */
	char	   *bad_header;		/* why it is no incremental file, or NULL; set
								 * by who reads the first piece */
} Split;

typedef struct Piece
{
	uint32_t	split;			/* index */
	uint32_t	crc;
} Piece;

typedef struct Work
{
	Unit	   *units;			/* in the order in which to begin them */
	uint32_t	n_units;
	_Atomic uint32_t next;
	Split	   *splits;
	uint32_t	n_splits;
	Piece	   *pieces;
	uint32_t	n_pieces;
	uint64_t	bytes;
} Work;

extern void work_plan(Work *work, const Manifest *manifest);
extern const Unit *work_next(Work *work);
extern uint64_t piece_start(const Work *work, uint32_t piece);
extern uint64_t piece_end(const Work *work, const Manifest *manifest, uint32_t piece);
extern void work_free(Work *work);

#endif							/* VOXANNE_AGENT_WORK_H */
