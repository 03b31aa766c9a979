/*
 * src/core/extension.h
 *		The extension's own objects, wherever it was installed.
 */
#ifndef VOXANNE_EXTENSION_H
#define VOXANNE_EXTENSION_H

#include "core/relation.h"

extern Oid	voxanne_extension_schema(Oid *owner);
extern char *voxanne_extension_version(void);
extern char *voxanne_own_name(const char *name);
extern VoxLockResult voxanne_hold_extension(bool wait);

#endif							/* VOXANNE_EXTENSION_H */
