/*
 * src/core/shared.h
 *		Areas of shared memory, each owned by one room.
 */
#ifndef VOXANNE_SHARED_H
#define VOXANNE_SHARED_H

extern void voxanne_share(const char *name, Size size, void (*init) (void *area), void **area);
extern bool voxanne_preloaded(void);

#endif							/* VOXANNE_SHARED_H */
