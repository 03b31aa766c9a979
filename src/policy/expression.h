/*
 * src/policy/expression.h
 *		Expressions of policies: simplified, folded and classified without running
 *		anything that a user wrote.
 */
#ifndef VOXANNE_EXPRESSION_H
#define VOXANNE_EXPRESSION_H

#include "access/attnum.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"

/* What one operand of a comparison stands for. */
typedef enum VoxOperand
{
	VOX_TENANT,					/* the tenant column, perhaps cast */
	VOX_TENANT_PART,			/* cast such that tenants become one */
	VOX_COLUMN,					/* another column of the row */
	VOX_CALLER,					/* a value that belongs to the calling session */
	VOX_CONSTANT,				/* the same for everybody */
	VOX_OTHER
} VoxOperand;

/* What occurs anywhere in an expression. */
typedef struct VoxContents
{
	bool		row;			/* a column of the policy's table */
	bool		tenant;			/* its tenant column */
	bool		foreign_code;	/* a function that is not built in */
	bool		caller;			/* a built-in function that knows the session */
	bool		subselect;
	bool		changing;		/* a built-in function that is not immutable */
} VoxContents;

/* fold.c */
extern Node *voxanne_peel_subselects(Node *node);
extern Const *voxanne_fold(Node *node);
extern bool voxanne_is_equality(Oid opno);
extern bool voxanne_is_inequality(Oid opno);

/* cast.c */
typedef enum VoxCastLoss
{
	VOX_CAST_KEEPS,				/* different values stay different */
	VOX_CAST_MAY_LOSE,			/* some, such as very long ones, may not */
	VOX_CAST_LOSES
} VoxCastLoss;

extern Node *voxanne_peel_casts(Node *node);
extern Node *voxanne_peel_keeping_casts(Node *node);
extern VoxCastLoss voxanne_cast_loss(Node *node);

/* caller.c */
extern bool voxanne_has_escaping_var(Node *node);
extern bool voxanne_caller_derived(Node *node);
extern VoxOperand voxanne_operand(Node *node, AttrNumber tenant);
extern void voxanne_contents(Node *node, AttrNumber tenant, VoxContents *contents);

/* claims.c */
extern bool voxanne_is_anonymous(const char *role);
extern bool voxanne_claim_path(Node *node, List **keys);
extern char *voxanne_claim_name(Node *node);
extern Const *voxanne_known_of_role(Node *node, const char *role);
extern bool voxanne_known_null(Node *node, const char *role, bool *is_null);

/* subselect.c */
typedef enum VoxTie
{
	VOX_TIE_NONE,
	VOX_TIE_SHADOWED,			/* a column was meant for the row but compares
								 * with itself */
	VOX_TIE_COLUMN,				/* the row is tied to the caller by a column */
	VOX_TIE_TENANT				/* ... by the tenant column */
} VoxTie;

extern bool voxanne_subselect_of_caller(SubLink *sublink);
extern VoxTie voxanne_subselect_tie(SubLink *sublink, AttrNumber tenant);

#endif							/* VOXANNE_EXPRESSION_H */
