/*
 * src/core/finding.h
 *		A finding, and the sink through which every LOOK function returns its rows.
 */
#ifndef VOXANNE_FINDING_H
#define VOXANNE_FINDING_H

#include "fmgr.h"
#include "nodes/execnodes.h"
#include "nodes/pg_list.h"

#include "core/severity.h"

/* Longest key, in bytes; a longer one ends in a hash of its tail. */
#define VOX_KEY_MAX 200

/* The six columns with which every finding begins, in this order. */
#define VOX_FINDING_COLS 6

typedef struct VoxFinding
{
	VoxSeverity severity;
	const char *object;			/* quoted identity:
								 * public.appointments.contact_id */
	const char *detail;			/* one sentence of fact, with the numbers */
	const char *advice;			/* one sentence: what to do and why; or NULL */
	const char *remedy;			/* SQL that does it, safe to paste; or NULL */
	const char *key;			/* voxanne_finding_key() */
} VoxFinding;

/*
 * State of one LOOK call.  Rows are kept until voxanne_sink_close(), which
 * orders them, so that two runs compare.
 */
typedef struct VoxSink
{
	/* set by voxanne_sink_open() and unchanging */
	ReturnSetInfo *rsinfo;
	int			first;			/* index of column severity */
	int			own_cols;		/* number of columns besides the six */
	Datum		severities[VOX_SEVERITY_COUNT]; /* oids of the enum's labels */
	MemoryContext context;		/* lives until voxanne_sink_close() */

	/* set by voxanne_sink_pass_on() */
	TupleDesc	passed;			/* own columns of the function whose findings
								 * come; NULL: they are this function's */
	const char *runbook;

	/* what was found so far */
	List	   *rows;			/* of SinkRow */
	int			count[VOX_SEVERITY_COUNT];
} VoxSink;

extern void voxanne_sink_open(VoxSink *sink, FunctionCallInfo fcinfo);
extern void voxanne_sink_add(VoxSink *sink, const VoxFinding *finding,
							 const Datum *own, const bool *own_null);
extern void voxanne_sink_skip(VoxSink *sink, const char *object,
							  const char *discriminator, const char *reason,
							  const char *advice);
extern void voxanne_sink_pass_on(VoxSink *sink, const char *function, const char *runbook);
extern void voxanne_sink_close(VoxSink *sink);
extern void voxanne_sink_close_unsorted(VoxSink *sink);
extern char *voxanne_finding_key(const char *check, const char *object,
								 const char *discriminator);

#endif							/* VOXANNE_FINDING_H */
