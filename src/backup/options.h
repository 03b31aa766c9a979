/*
 * src/backup/options.h
 *		Options of a backup target.
 */
#ifndef VOXANNE_OPTIONS_H
#define VOXANNE_OPTIONS_H

#include "backup/kind.h"
#include "utils/jsonb.h"

/* An option as a value of its column in backup_target. */
typedef struct VoxTargetOption
{
	const char *name;
	Oid			type;
	Datum		value;
	bool		isnull;
	bool		given;			/* not just its standard value */
} VoxTargetOption;

#define VOX_MAX_OPTIONS 16

typedef struct VoxTargetOptions
{
	int			count;
	VoxTargetOption items[VOX_MAX_OPTIONS];
} VoxTargetOptions;

extern bool voxanne_option_is_true(const VoxTargetOptions *options, const char *name);
extern void voxanne_read_options(Jsonb *document, const VoxKind *kind, VoxTargetOptions *options);

#endif							/* VOXANNE_OPTIONS_H */
