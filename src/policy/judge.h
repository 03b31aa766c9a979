/*
 * src/policy/judge.h
 *		What a policy's predicate lets through, seen from the tenant column.
 */
#ifndef VOXANNE_JUDGE_H
#define VOXANNE_JUDGE_H

#include "access/attnum.h"
#include "access/tupdesc.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

/*
 * From strict to lax.  For the two members that cannot be judged from the
 * outside, what is certain about another arm of an OR has the last word, so
 * AND takes the smaller and OR the larger.
 */
typedef enum VoxBinding
{
	VOX_NOTHING,				/* no row: constant false or null */
	VOX_BOUND,					/* rows whose tenant column equals a value of
								 * the caller's */
	VOX_SCOPED,					/* rows tied to the caller by another column */
	VOX_OPAQUE,					/* depends on code that is not run here */
	VOX_GATED,					/* every row, for callers who pass a test of
								 * themselves */
	VOX_SHARED_NULL,			/* rows without a tenant, for everybody */
	VOX_PINNED,					/* rows of a tenant that the policy names, for
								 * everybody */
	VOX_UNBOUND,				/* rows of any tenant that pass a test of the
								 * row itself */
	VOX_EVERYTHING				/* every row */
} VoxBinding;

typedef struct VoxJudge
{
	/* the table and who asks; unchanging */
	TupleDesc	desc;
	AttrNumber	tenant;			/* or InvalidAttrNumber */
	const char *role;			/* name of the asking role; NULL: any */

	/* what was met on the way */
	bool		saw_bound;		/* an arm that is VOX_BOUND */
	List	   *callers;		/* Node *: what the tenant column equals there */
} VoxJudge;

extern VoxBinding voxanne_judge(VoxJudge *judge, Node *clause);
extern VoxBinding voxanne_judge_all(VoxJudge *judge, List *clauses);

#endif							/* VOXANNE_JUDGE_H */
