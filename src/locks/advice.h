/*
 * src/locks/advice.h
 *		How bad each party's part in a jam is, and what to do about it.
 */
#ifndef VOXANNE_ADVICE_H
#define VOXANNE_ADVICE_H

#include "locks/forest.h"
#include "locks/lockname.h"

typedef struct VoxAdvice
{
	char	   *advice;
	char	   *remedy;			/* NULL: none */
} VoxAdvice;

extern void voxanne_advise(VoxAdvice *advice, const VoxForest *forest, const VoxNode *node,
						   const VoxNaming *naming);

/* assess.c */
extern bool voxanne_assess(VoxForest *forest, const VoxActivity *activity);

/* describe.c */
extern char *voxanne_party_label(const VoxNode *node);
extern char *voxanne_describe(const VoxForest *forest, const VoxNode *node, const VoxWait *about,
							  const char *target, const char *held);
extern char *voxanne_duration(TimestampTz since, TimestampTz now);
extern char *voxanne_mode_names(const LOCKTAG *tag, LOCKMASK modes);

#endif							/* VOXANNE_ADVICE_H */
