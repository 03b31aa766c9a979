/*
 * src/data/run.h
 *		What all data checks do alike: settings, snapshot, arguments, what can be read.
 */
#ifndef VOXANNE_RUN_H
#define VOXANNE_RUN_H

#include "core/finding.h"
#include "fmgr.h"
#include "nodes/pg_list.h"

/* Why a check was not reached, for a finding's detail. */
#define OUT_OF_TIME "It was not reached in the time that voxanne_ops.time_budget or statement_timeout leaves."

extern int	voxanne_run_begin(VoxSink *sink, FunctionCallInfo fcinfo);
extern void voxanne_run_snapshot(void);
extern void voxanne_run_end(VoxSink *sink, int nestlevel, bool sorted);
extern char *voxanne_run_refusal(Oid relid, List *columns);
extern char *voxanne_run_object(Oid relid);

extern List *voxanne_argument_names(FunctionCallInfo fcinfo, int argno, const char *argument);
extern List *voxanne_argument_schemas(FunctionCallInfo fcinfo, int argno);
extern int	voxanne_argument_count(FunctionCallInfo fcinfo, int argno, const char *argument);
extern bool voxanne_argument_bool(FunctionCallInfo fcinfo, int argno, const char *argument);
extern void voxanne_argument_required(FunctionCallInfo fcinfo, int argno, const char *argument);
extern Datum voxanne_name_array(Oid relid, List *columns);

#endif							/* VOXANNE_RUN_H */
