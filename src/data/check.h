/*
 * src/data/check.h
 *		The data checks, in the three steps that let several of them share a scan.
 *
 * First a check locks its tables; then, in the snapshot taken after that, it
 * says what the scan engine should be asked; when all questions of all checks
 * have been scanned together, it reports.  A step that fails is a finding.
 */
#ifndef VOXANNE_CHECK_H
#define VOXANNE_CHECK_H

#include "core/finding.h"
#include "data/duplicate.h"
#include "data/executor.h"

/* References that lead nowhere, or to a row that they should not lead to: orphan_check.c. */
typedef struct VoxOrphanCheck
{
	/* set by the caller */
	VoxSink    *sink;
	Oid			relid;			/* InvalidOid: all tables of the schemas */
	List	   *schemas;
	bool		inferred;
	bool		include_deleted;
	int			max_rows;

	/* private to orphan_check.c */
	List	   *references;
	struct ReferenceScans *scans;	/* by reference */
	const VoxReference *reference;	/* the one being checked */
	const struct ReferenceScans *scan;
} VoxOrphanCheck;

extern void voxanne_orphans_lock(VoxOrphanCheck *check);
extern List *voxanne_orphans_ask(VoxOrphanCheck *check);
extern void voxanne_orphans_report(VoxOrphanCheck *check);

/* Rows with equal keys, of one key: duplicate_check.c. */
typedef struct VoxDuplicateCheck
{
	/* set by the caller, in "question" all but the table */
	VoxSink    *sink;
	Oid			relid;
	VoxKeyQuestion question;

	/* private to duplicate_check.c */
	VoxIncoming incoming;
	char	   *refusal;		/* why it cannot be done, a sentence, and what
								 * to do; or NULL */
	const char *advice;
	VoxScanQuestion *scan;
	int64		surplus;		/* rows that a unique index would not take */
} VoxDuplicateCheck;

extern List *voxanne_key_columns(Oid relid, List *names, const char *argument, AttrNumber tenant);
extern AttrNumber voxanne_key_column(Oid relid, const char *name);
extern void voxanne_duplicates_lock(VoxDuplicateCheck *check);
extern List *voxanne_duplicates_ask(VoxDuplicateCheck *check);
extern void voxanne_duplicates_report(VoxDuplicateCheck *check);

/* Values that cannot be right: invalid_check.c. */
typedef struct VoxInvalidCheck
{
	/* set by the caller */
	VoxSink    *sink;
	Oid			relid;			/* InvalidOid: all tables of the schemas */
	List	   *schemas;
	bool		include_deleted;
	int			max_rows;

	/* private to invalid_check.c */
	List	   *targets;
	const struct VoxInvalidTarget *target;	/* the one being checked */
	AttrNumber	label;			/* the column whose labels are looked at, or
								 * InvalidAttrNumber */
	const VoxScanQuestion *label_scan;
	const struct VoxInvalidRule *constraint;	/* both not set: all rules of
												 * ours */
	List	   *constraint_names;	/* proposed so far for the target */
} VoxInvalidCheck;

extern void voxanne_invalid_lock(VoxInvalidCheck *check);
extern List *voxanne_invalid_ask(VoxInvalidCheck *check);
extern void voxanne_invalid_report(VoxInvalidCheck *check);

#endif							/* VOXANNE_CHECK_H */
