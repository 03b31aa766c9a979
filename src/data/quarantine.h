/*
 * src/data/quarantine.h
 *		Where remedies put rows before they change or remove them.
 */
#ifndef VOXANNE_QUARANTINE_H
#define VOXANNE_QUARANTINE_H

#include "data/table.h"

extern const char *voxanne_quarantine_prepare(void);
extern char *voxanne_quarantine_insert(const char *relation, const char *key, const char *source);
extern char *voxanne_quarantine_update(const VoxTable *table, const char *key,
									   const char *set, const char *condition);

#endif							/* VOXANNE_QUARANTINE_H */
