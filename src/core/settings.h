/*
 * src/core/settings.h
 *		The settings voxanne_ops.*, in alphabetical order.
 */
#ifndef VOXANNE_SETTINGS_H
#define VOXANNE_SETTINGS_H

extern char *voxanne_agent_path;
extern char *voxanne_backup_directories;

extern void voxanne_define_settings(void);

#endif							/* VOXANNE_SETTINGS_H */
