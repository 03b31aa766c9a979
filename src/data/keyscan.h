/*
 * src/data/keyscan.h
 *		The scan engine: narrows questions about keys down to the few rows that matter.
 */
#ifndef VOXANNE_KEYSCAN_H
#define VOXANNE_KEYSCAN_H

#include "access/attnum.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "pg_config_manual.h"
#include "storage/itemptr.h"

typedef enum VoxScanKind
{
	VOX_SCAN_UNIQUE,			/* rows that share their key with another row */
	VOX_SCAN_OVERLAP,			/* rows whose time meets that of another row
								 * with the same key */
	VOX_SCAN_REFERENCE,			/* rows whose key no row of the parent has, or
								 * any has */
	VOX_SCAN_RULES,				/* rows that break conditions */
	VOX_SCAN_LABELS				/* the values of a text column that has few */
} VoxScanKind;

/* How a column becomes part of a key. */
typedef enum VoxScanForm
{
	VOX_FORM_VALUE,				/* as it is */
	VOX_FORM_UUID				/* text that is read as a uuid */
} VoxScanForm;

typedef struct VoxScanColumn
{
	AttrNumber	attnum;
	VoxScanForm form;
	bool		null_equal;		/* nulls are equal; else a row with a null
								 * here is passed over */
} VoxScanColumn;

/* Rows that a key passes over. */
typedef enum VoxSkipKind
{
	VOX_SKIP_NOT_NULL,			/* those with a value in the column */
	VOX_SKIP_TRUE,				/* a boolean column */
	VOX_SKIP_BEFORE,			/* a timestamp column; nulls too */
	VOX_SKIP_EQUAL				/* a 4-byte value: an enum's label */
} VoxSkipKind;

typedef struct VoxScanSkip
{
	AttrNumber	attnum;
	VoxSkipKind kind;
	int64		operand;
} VoxScanSkip;

#define VOX_MAX_SKIPS 12

typedef struct VoxScanKey
{
	Oid			relid;
	bool		only;			/* not the partitions or inheritance children */
	int			ncols;
	VoxScanColumn cols[INDEX_MAX_KEYS];
	int			nskips;			/* rows passed over */
	VoxScanSkip skips[VOX_MAX_SKIPS];
	bool		only_skipped;	/* rather all others are passed over */
} VoxScanKey;

/*
 * A condition that rows should keep; one for which it is null keeps it.  Its
 * functions are the server's and parallel safe.
 */
typedef struct VoxScanRule
{
	List	   *columns;		/* those a row must have to be "checked" */
	struct Node *valid;			/* about the columns of the key's relation,
								 * varno 1; ready to be executed */
} VoxScanRule;

/* What became of a rule: see VoxInvalidAnswer. */
typedef struct VoxScanCount
{
	uint64		checked;
	uint64		broken;
	uint64		skipped_broken; /* by rows that are passed over */
} VoxScanCount;

typedef struct VoxScanLabel
{
	char	   *text;
	uint64		rows;
} VoxScanLabel;

/* A column with more values than this has no labels. */
#define VOX_MAX_LABELS 100

/* A row: table (a leaf of the key's relation) and place. */
typedef struct VoxScanRow
{
	Oid			relid;
	ItemPointerData tid;
} VoxScanRow;

typedef struct VoxScanQuestion
{
	/* set by the caller */
	VoxScanKind kind;
	VoxScanKey	key;
	VoxScanKey	parent;			/* reference: as many columns */
	Oid			operators[INDEX_MAX_KEYS];	/* reference: parent = child;
											 * unused where text is read as a
											 * uuid */
	bool		match_full;		/* reference: a key that is null in part is a
								 * miss */
	bool		hits;			/* reference: which rows have a parent rather
								 * than which have none */
	AttrNumber	start;			/* overlap: a timestamp, with time zone or
								 * without */
	AttrNumber	end;			/* overlap: another one, or 0 */
	AttrNumber	length;			/* overlap: a column of minutes (an integer or
								 * decimal number) or an interval, or 0 */
	int			default_minutes;	/* overlap: where end and length are null
									 * or 0 */
	int64		slack;			/* overlap: microseconds between two starts
								 * that count as meeting */
	bool		ranges;			/* overlap: times that overlap meet as well */
	List	   *rules;			/* rules: of VoxScanRule *; the key has no
								 * columns */

	const char *reason;			/* why SQL must answer; NULL: ask the scan */

	/* set by voxanne_keyscan(), reason as well */
	bool		answered;		/* false: ask SQL instead, see reason */
	bool		late;			/* not answered, because the deadline has
								 * passed */
	uint64		checked;		/* rows with a complete key */
	uint64		nrows;
	VoxScanRow *rows;			/* by table and place; rules: that break any,
								 * unless they are too many to list */
	bool		listed;			/* rules: "rows" has all of them */
	VoxScanCount *counts;		/* rules: by rule */
	int			nlabels;		/* labels: in no order; -1: too many */
	VoxScanLabel *labels;
} VoxScanQuestion;

/* How a run went; the same for all its questions. */
typedef struct VoxScanStats
{
	int			workers;		/* besides this backend */
	uint64		scanned;		/* rows read */
	uint64		spilled;		/* bytes written to temporary files */
} VoxScanStats;

extern int64 voxanne_interval_bound(const Interval *interval);
extern void voxanne_keyscan(VoxScanQuestion *questions, int count, TimestampTz deadline,
							VoxScanStats *stats);

#endif							/* VOXANNE_KEYSCAN_H */
