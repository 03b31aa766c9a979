/*
 * src/data/invalid.h
 *		Values that cannot be right: what is asked about a table's rows, whoever answers.
 */
#ifndef VOXANNE_INVALID_H
#define VOXANNE_INVALID_H

#include "core/severity.h"
#include "data/keyscan.h"
#include "data/table.h"
#include "nodes/pg_list.h"
#include "storage/block.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"

/*
 * One rule for the rows of one table: ours, about columns that it fits by name
 * and type, or a user's CHECK constraint that was never checked.  A row for
 * which the condition is null keeps the rule, as it keeps a CHECK.
 */
typedef struct VoxInvalidRule
{
	const char *kind;			/* column kind, and the check's name in keys */
	VoxSeverity severity;
	List	   *columns;		/* what it reads; NIL: the whole row */
	char	   *valid;			/* SQL condition; columns without alias */
	const char *fault;			/* what a row has that breaks it: "a blank
								 * name" */
	const char *advice;

	/* ours */
	bool		guessed;		/* a name says what the values should be; if
								 * most are not, the guess is wrong */
	bool		minority;		/* reported only if few rows break it */
	bool		can_be_check;	/* the condition holds for ever, so it can be
								 * a constraint */

	/* a user's constraint */
	Oid			constraint;		/* InvalidOid: ours */
	char	   *constraint_name;
	bool		enforced;
	bool		inherited;		/* by the table's children, too */
	Oid			run_as;			/* whose code it is; InvalidOid: the server's */
	const char *refusal;		/* why it cannot be run, a sentence; or NULL */
} VoxInvalidRule;

typedef struct VoxInvalidAnswer
{
	int64		checked;		/* rows that have all the columns */
	int64		rows;			/* rows that break the rule */
	int64		deleted_rows;	/* soft-deleted ones that do, not in "rows" */
} VoxInvalidAnswer;

/* our rules: invalid_rules.c */
extern List *voxanne_invalid_rules(Relation rel);
extern List *voxanne_invalid_label_columns(Relation rel);

/* rules that the rows themselves suggest: invalid_labels.c */
extern List *voxanne_invalid_label_rules(const VoxTable *table, AttrNumber attnum, bool live_only,
										 const VoxScanQuestion *found);

/* users' constraints: invalid_constraint.c */
extern List *voxanne_invalid_constraints(Relation rel, bool own_only);
extern bool voxanne_invalid_is_check(Relation rel, const char *valid);
extern Node *voxanne_invalid_condition(Relation rel, const char *condition);

/* answers: invalid_answer.c */
extern void voxanne_invalid_ask_rules(const VoxTable *table, List *rules, bool live_only,
									  const VoxScanQuestion *found, VoxInvalidAnswer *answers);
extern Jsonb *voxanne_invalid_sample(const VoxTable *table, const VoxInvalidRule *rule, bool live_only,
									 const VoxScanQuestion *found, int max_rows);

/* A table and what is asked about it. */
typedef struct VoxInvalidTarget
{
	Oid			relid;
	BlockNumber pages;			/* as last counted */
	List	   *rules;			/* ours */
	List	   *labels;			/* columns, an integer list */
	List	   *constraints;	/* users' */
	const char *refusal;		/* why it cannot be read, a sentence; or NULL */
	VoxScanQuestion *scan;		/* of the rules; or NULL */
	List	   *label_scans;	/* of VoxScanQuestion *, by column of labels */
} VoxInvalidTarget;

/* invalid_target.c */
extern List *voxanne_invalid_targets(Oid relid, List *schemas);

#endif							/* VOXANNE_INVALID_H */
