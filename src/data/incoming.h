/*
 * src/data/incoming.h
 *		What references a table's rows: foreign keys of other tables, and of itself.
 */
#ifndef VOXANNE_INCOMING_H
#define VOXANNE_INCOMING_H

#include "data/reference.h"
#include "data/table.h"

typedef struct VoxIncoming
{
	List	   *references;		/* of VoxReference * */
	const char *unknown;		/* why not all of them can be read, a
								 * sentence; or NULL */
	List	   *filled;			/* columns of the table, an integer list, that
								 * are not null in the rows to be merged */
} VoxIncoming;

extern void voxanne_incoming_lock(VoxIncoming *incoming, Oid relid);
extern void voxanne_incoming_check(VoxIncoming *incoming);
extern char *voxanne_unreferenced(List *references, const char *alias);
extern int64 *voxanne_incoming_count(VoxIncoming *incoming, const VoxTable *table, List *groups);
extern char *voxanne_incoming_move(const VoxIncoming *incoming, const VoxTable *table,
								   const char *keeper, List *losers);
extern char *voxanne_incoming_stuck(const VoxIncoming *incoming);
extern Datum voxanne_text_array(List *strings);
extern Datum voxanne_int_array(List *numbers);

#endif							/* VOXANNE_INCOMING_H */
