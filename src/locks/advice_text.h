/*
 * src/locks/advice_text.h
 *		The words of an advice and the statement of a remedy; private to this room.
 */
#ifndef VOXANNE_ADVICE_TEXT_H
#define VOXANNE_ADVICE_TEXT_H

#include "lib/stringinfo.h"
#include "locks/advice.h"

/* What the rules look at. */
typedef struct VoxCase
{
	const VoxForest *forest;
	const VoxNode *node;
	const VoxNaming *naming;
} VoxCase;

typedef enum VoxAction
{
	ACT_NONE,
	ACT_CANCEL,
	ACT_TERMINATE,
	ACT_ROLLBACK_PREPARED
} VoxAction;

extern char *voxanne_advice_expand(const char *text, const VoxCase *c);
extern char *voxanne_advice_remedy(const VoxCase *c, VoxAction action);
extern void voxanne_advice_queue_heads(StringInfo text, const VoxCase *c);
extern void voxanne_advice_privilege(StringInfo text, const VoxCase *c);

#endif							/* VOXANNE_ADVICE_TEXT_H */
