/*
 * src/backup/statement.h
 *		Queries of our own through SPI, with bound arguments.
 *
 *		VoxStatement	query;
 *
 *		voxanne_statement_start(&query, "SELECT a, b FROM t WHERE a = $1");
 *		voxanne_bind_text(&query, name);
 *		count = voxanne_statement_run(&query);
 *		... voxanne_field_text(0, 1) ...
 *
 * Between SPI_connect() and SPI_finish().  A result is valid until the next
 * query is run.
 */
#ifndef VOXANNE_STATEMENT_H
#define VOXANNE_STATEMENT_H

#include "datatype/timestamp.h"

#define VOX_STATEMENT_MAX_ARGS 32

typedef struct VoxStatement
{
	const char *text;
	int			nargs;
	Oid			types[VOX_STATEMENT_MAX_ARGS];
	Datum		values[VOX_STATEMENT_MAX_ARGS];
	char		nulls[VOX_STATEMENT_MAX_ARGS];
} VoxStatement;

extern void voxanne_statement_start(VoxStatement *query, const char *text);
extern void voxanne_bind(VoxStatement *query, Oid type, Datum value, bool isnull);
extern void voxanne_bind_text(VoxStatement *query, const char *value);
extern void voxanne_bind_int64(VoxStatement *query, int64 value);
extern void voxanne_bind_time(VoxStatement *query, TimestampTz value);
extern int	voxanne_statement_run(VoxStatement *query);

/* Fields of the last result; column numbers start at 1. */
extern char *voxanne_field_text(int row, int column);
extern int64 voxanne_field_int64(int row, int column, int64 if_null);
extern TimestampTz voxanne_field_time(int row, int column);

#endif							/* VOXANNE_STATEMENT_H */
