/*
 * src/data/duplicate.h
 *		Rows with equal keys: what is asked, and the shape of an answer.
 */
#ifndef VOXANNE_DUPLICATE_H
#define VOXANNE_DUPLICATE_H

#include "data/incoming.h"
#include "data/keyscan.h"
#include "data/table.h"
#include "datatype/timestamp.h"
#include "utils/jsonb.h"

/* Ids listed of a group besides the keeper; the group's number of rows is exact all the same. */
#define VOX_GROUP_LISTED 1000

typedef struct VoxKeyQuestion
{
	VoxTable	table;
	List	   *columns;		/* of the key, an integer list, the tenant's
								 * first */
	bool		nulls_distinct; /* a row with a null in its key has no
								 * duplicate */
	bool		live_only;
	int			max_groups;
} VoxKeyQuestion;

/* A row that belongs to a group. */
typedef struct VoxMember
{
	char	   *id;				/* for people */
	char	   *literal;		/* for a statement; NULL in a table without
								 * primary key */
} VoxMember;

typedef struct VoxKeyGroup
{
	int64		rows;
	List	   *members;		/* of VoxMember *, the oldest, which is kept,
								 * first */
	Datum		key_values;		/* jsonb */
	bool		has_age;
	TimestampTz oldest;
	TimestampTz newest;
} VoxKeyGroup;

typedef struct VoxKeyAnswer
{
	int64		total;			/* groups there are */
	int64		surplus;		/* rows in them besides one of each */
	List	   *groups;			/* of VoxKeyGroup *, those listed, by their
								 * keepers' age */
} VoxKeyAnswer;

/* duplicate_sql.c */
extern void voxanne_key_ask(const VoxKeyQuestion *question, const VoxScanQuestion *found,
							VoxKeyAnswer *answer);

/* merge.c */
extern List *voxanne_member_literals(List *members);
extern Datum voxanne_member_ids(List *members);
extern char *voxanne_merge_remedy(const VoxTable *table, const VoxIncoming *incoming, List *members,
								  bool soft, const char *key);

#endif							/* VOXANNE_DUPLICATE_H */
