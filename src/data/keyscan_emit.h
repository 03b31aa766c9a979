/*
 * src/data/keyscan_emit.h
 *		What the sides of a step make of its rows.
 */
#ifndef VOXANNE_KEYSCAN_EMIT_H
#define VOXANNE_KEYSCAN_EMIT_H

#include "data/keyscan_rows.h"
#include "data/keyscan_store.h"

/* Rows that were read, and room for what a side at work makes of them. */
typedef struct Batch
{
	RowBatch	rows;
	bool		skipped[BATCH_ROWS];	/* rows that the side passes over */
	KeyBatch	keys;
} Batch;

typedef struct Emitter Emitter;

/* What one side makes of the rows of the step. */
struct Emitter
{
	void		(*emit) (Emitter *emitter, Batch *batch);
	SharedSide *side;
	const VoxScanQuestion *question;	/* NULL: a parent side */
	StoreWriter *writer;		/* all but CHILD, unless it is stored */
	Prober	   *prober;			/* CHILD, carried */
	ValueSide  *values;			/* PARENT and CHILD that are compared by value */
	RuleSide   *rules;			/* RULES */
	LabelSide  *labels;			/* LABELS */
	Emitter    *leader;			/* CHILD: that of side->leader, or NULL */
	bool		probed[BATCH_ROWS]; /* CHILD: rows that were looked up */
	uint64		checked;

	/* of the present leaf */
	KeyReader	reader;
	int			nskips;
	VoxScanSkip skips[VOX_MAX_SKIPS];
	bool		same_skips;		/* as the emitter before it */
	TimeReader	times;			/* OVERLAP */
};

extern int	voxanne_emitters_open(Keyscan *run, Emitter *emitters);
extern AttrNumber voxanne_emitters_point(Emitter *emitters, int count, Relation leaf);
extern void voxanne_emitters_begin(Emitter *emitters, int count, RowReader *rows, AttrNumber last);
extern void voxanne_emit(Emitter *emitter, Batch *batch);
extern void voxanne_emitters_end(Emitter *emitters, int count);
extern void voxanne_emitters_close(Emitter *emitters, int count);

#endif							/* VOXANNE_KEYSCAN_EMIT_H */
