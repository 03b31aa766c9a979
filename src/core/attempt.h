/*
 * src/core/attempt.h
 *		Running one check so that its failure does not hide the others.
 */
#ifndef VOXANNE_ATTEMPT_H
#define VOXANNE_ATTEMPT_H

typedef void (*VoxAttempt) (void *state);

extern char *voxanne_attempt(VoxAttempt run, void *state);
extern char *voxanne_attempt_undone(VoxAttempt run, void *state);

#endif							/* VOXANNE_ATTEMPT_H */
