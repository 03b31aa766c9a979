/*
 * src/core/privileges.h
 *		What the caller may read, and switching to another user or search_path.
 */
#ifndef VOXANNE_PRIVILEGES_H
#define VOXANNE_PRIVILEGES_H

#include "nodes/pg_list.h"

/* The user and security context to return to. */
typedef struct VoxIdentity
{
	Oid			userid;
	int			context;
} VoxIdentity;

extern char *voxanne_unreadable(Oid relid, List *columns);
extern int	voxanne_pin_settings(void);
extern int	voxanne_pin_settings_for_policies(void);
extern void voxanne_pin_setting(const char *name, const char *value);
extern void voxanne_unpin_settings(int nestlevel);
extern void voxanne_become(Oid userid, VoxIdentity *saved);
extern void voxanne_become_again(const VoxIdentity *saved);

#endif							/* VOXANNE_PRIVILEGES_H */
