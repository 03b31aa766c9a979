/*
 * src/backup/turn.h
 *		One verification of a target at a time.
 */
#ifndef VOXANNE_TURN_H
#define VOXANNE_TURN_H

#include "utils/timestamp.h"

extern uint64 voxanne_turn(const char *target);
extern void voxanne_turn_await(const char *target);
extern bool voxanne_turn_try(Oid database, const char *target);
extern void voxanne_turn_end(Oid database, const char *target);
extern bool voxanne_turn_taken(const char *target);

/* So long after a target was found to be verified by a session it is looked at again, if that has not said before that it is done. */
#define VOX_TURN_PAUSE USECS_PER_MINUTE

#endif							/* VOXANNE_TURN_H */
