/*
 * src/data/reference.h
 *		References between tables: what is asked about them, whoever answers.
 */
#ifndef VOXANNE_REFERENCE_H
#define VOXANNE_REFERENCE_H

#include "access/attnum.h"
#include "data/keyscan.h"
#include "nodes/pg_list.h"
#include "pg_config_manual.h"
#include "utils/jsonb.h"

/* Where a reference comes from. */
typedef enum VoxReferenceSource
{
	VOX_REFERENCE_DECLARED,		/* a foreign key that claims to hold */
	VOX_REFERENCE_NOT_VALID,	/* NOT VALID: holds for rows written since */
	VOX_REFERENCE_NOT_ENFORCED, /* NOT ENFORCED (18): documentation */
	VOX_REFERENCE_TRIGGERS_DISABLED,	/* claims to hold, but its triggers do
										 * not fire */
	VOX_REFERENCE_INFERRED		/* no foreign key; names and types suggest it */
} VoxReferenceSource;

#define VOX_REFERENCE_SOURCES (VOX_REFERENCE_INFERRED + 1)

/* How a child's value is compared with a parent's. */
typedef enum VoxComparison
{
	VOX_COMPARE_OPERATOR,		/* by the reference's operators */
	VOX_COMPARE_CHILD_TEXT,		/* uuids in a text column of the child */
	VOX_COMPARE_PARENT_TEXT		/* uuids in a text column of the parent */
} VoxComparison;

typedef struct VoxReference
{
	VoxReferenceSource source;
	Oid			constraint;		/* InvalidOid if inferred */
	Oid			child;
	Oid			parent;
	int			natts;
	AttrNumber	child_atts[INDEX_MAX_KEYS];
	AttrNumber	parent_atts[INDEX_MAX_KEYS];
	Oid			operators[INDEX_MAX_KEYS];	/* parent = child; unused unless
											 * VOX_COMPARE_OPERATOR */
	VoxComparison comparison;
	bool		match_full;
	char		on_delete;		/* FKCONSTR_ACTION_... */
	int			name_score;		/* inferred: what the names are worth, of 100 */
	const char *refusal;		/* why it cannot be checked, a sentence; or
								 * NULL */
} VoxReference;

/*
 * What is wrong with a child row; a row has at most one of these faults.  What
 * can be wrong with a parent that exists is in reference_parent.h.
 */
typedef enum VoxReferenceFault
{
	VOX_FAULT_ORPHAN,			/* complete key, no such parent */
	VOX_FAULT_MALFORMED,		/* a value that is not of the parent's type */
	VOX_FAULT_PARTIAL			/* MATCH FULL, and some columns are null, some
								 * not */
} VoxReferenceFault;

#define VOX_REFERENCE_FAULTS (VOX_FAULT_PARTIAL + 1)

typedef struct VoxReferenceAnswer
{
	int64		checked;		/* rows with a key */
	int64		faults[VOX_REFERENCE_FAULTS];	/* rows */
} VoxReferenceAnswer;

/* declared foreign keys: reference.c */
extern List *voxanne_declared_references(Oid child, List *schemas);
extern List *voxanne_references_to(Oid parent);
extern const char *voxanne_reference_source(VoxReferenceSource source);
extern bool voxanne_has_foreign_rows(const VoxReference *reference);
extern bool voxanne_has_distributed_rows(const VoxReference *reference);
extern List *voxanne_reference_columns(const VoxReference *reference, bool of_parent);

/* undeclared ones: infer.c */
extern List *voxanne_inferred_references(Oid child, List *schemas);
extern Datum voxanne_oid_array(List *oids);
extern bool voxanne_reference_compare(VoxReference *reference, Oid opclass);

/* infer_score.c */
extern int	voxanne_reference_score(const VoxReference *reference, const VoxReferenceAnswer *answer, bool live_only);

/* how a reference is called in a finding: reference_words.c */
extern char *voxanne_reference_object(const VoxReference *reference);
extern char *voxanne_reference_discriminator(const VoxReference *reference);
extern char *voxanne_reference_source_clause(const VoxReference *reference);

/* reference_sql.c */
extern char *voxanne_reference_condition(const VoxReference *reference, VoxReferenceFault fault,
										 const char *alias);
extern char *voxanne_reference_join(const VoxReference *reference, const char *parent, const char *child);
extern char *voxanne_reference_complete(const VoxReference *reference, const char *alias);
extern void voxanne_reference_ask(const VoxReference *reference, bool live_only,
								  const VoxScanQuestion *found, VoxReferenceAnswer *answer);
extern int64 voxanne_reference_count(const VoxReference *reference, const VoxScanQuestion *found,
									 const char *condition);
extern Jsonb *voxanne_reference_sample_where(const VoxReference *reference, const VoxScanQuestion *found,
											 const char *condition, const char *more, List *read, int max_rows);
extern Jsonb *voxanne_reference_sample(const VoxReference *reference, VoxReferenceFault fault,
									   bool live_only, const VoxScanQuestion *found, int max_rows);

/* the same for rows on other servers: reference_foreign_sql.c */
extern void voxanne_reference_ask_foreign(const VoxReference *reference, bool live_only,
										  VoxReferenceAnswer *answer);
extern Jsonb *voxanne_reference_sample_distributed(const VoxReference *reference, const char *condition,
												   int max_rows);

#endif							/* VOXANNE_REFERENCE_H */
