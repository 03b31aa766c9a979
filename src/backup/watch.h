/*
 * src/backup/watch.h
 *		Which slot stands for which database.
 */
#ifndef VOXANNE_WATCH_H
#define VOXANNE_WATCH_H

extern bool voxanne_watch_databases(void);

#endif							/* VOXANNE_WATCH_H */
