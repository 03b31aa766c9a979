/*
 * src/core/query.h
 *		A SELECT of ours over users' tables, that runs nobody's code as the caller.
 */
#ifndef VOXANNE_QUERY_H
#define VOXANNE_QUERY_H

#include "executor/spi.h"
#include "utils/jsonb.h"

/* A query's text and parameters; zeroed, then filled by voxanne_query_argument(). */
typedef struct VoxQuery
{
	const char *sql;
	int			nargs;
	Oid		   *types;
	Datum	   *values;
	char	   *nulls;
} VoxQuery;

extern char *voxanne_query_argument(VoxQuery *query, Oid type, Datum value, bool isnull);
extern uint64 voxanne_query_run(VoxQuery *query);
extern int64 voxanne_query_number(VoxQuery *query);
extern int64 voxanne_query_count(const char *sql);
extern Jsonb *voxanne_query_jsonb(VoxQuery *query);

extern int64 voxanne_value_int64(uint64 row, int column, bool *isnull);

#endif							/* VOXANNE_QUERY_H */
