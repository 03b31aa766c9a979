/*
 * src/data/invalid_column.h
 *		A table's columns as the rules about invalid values see them.
 */
#ifndef VOXANNE_INVALID_COLUMN_H
#define VOXANNE_INVALID_COLUMN_H

#include "access/attnum.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

/* What a type is to the rules; sets of them. */
#define TYPE_TEXT (1 << 0)
#define TYPE_DATE (1 << 1)
#define TYPE_MOMENT (1 << 2)	/* timestamp, with time zone or without */
#define TYPE_NUMBER (1 << 3)
#define TYPE_INTERVAL (1 << 4)
#define TYPE_ENUM (1 << 5)

/* A column as the rules see it. */
typedef struct VoxInvalidColumn
{
	AttrNumber	attnum;
	Oid			base;			/* its type, or a domain's base type */
	int			type;			/* TYPE_..., 0 for others */
	bool		not_null;
	char	   *name;			/* in snake_case, without a duration's unit */
	char	   *full_name;		/* with it */
	double		unit;			/* of a duration, in seconds; 0 if unknown */
	char	   *ref;			/* in an expression, as its base type */
} VoxInvalidColumn;

typedef struct VoxInvalidTable
{
	Relation	rel;
	VoxInvalidColumn *columns;
	int			ncolumns;
	bool		planned;
	bool		span;
	List	   *rules;			/* so far, of VoxInvalidRule */
} VoxInvalidTable;

/* invalid_column.c */
extern void voxanne_invalid_describe(VoxInvalidTable *table, Relation rel);
extern const VoxInvalidColumn *voxanne_invalid_find_named(const VoxInvalidTable *table, const char *names, int types);
extern const VoxInvalidColumn *voxanne_invalid_find_one(const VoxInvalidTable *table, const char *name,
														const VoxInvalidColumn *like);
extern bool voxanne_invalid_name_fits(const char *name, const char *names);
extern bool voxanne_invalid_defaults_to_empty(Relation rel, AttrNumber attnum);
extern const char *voxanne_invalid_plain_name(const VoxInvalidTable *table, const VoxInvalidColumn *column);

#endif							/* VOXANNE_INVALID_COLUMN_H */
