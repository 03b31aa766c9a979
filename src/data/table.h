/*
 * src/data/table.h
 *		A user's table as the data checks see it: what is a row's id, is it live, how old is it.
 *
 * Everything here is SQL text for queries that run with pinned settings.
 */
#ifndef VOXANNE_TABLE_H
#define VOXANNE_TABLE_H

#include "access/attnum.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

/* How a table marks a row as deleted while keeping it. */
typedef struct VoxSoftDelete
{
	const char *column;
	const char *live;			/* after the column: what makes a row live */
	const char *deleted;		/* the value that marks it deleted */
	bool		is_time;		/* a time, else a flag */
} VoxSoftDelete;

typedef struct VoxTable
{
	Oid			relid;
	char	   *name;			/* quoted identity */
	char	   *from;			/* the same with ONLY, except for a
								 * partitioned or distributed table */
	bool		partitioned;
	bool		foreign;		/* has rows on other servers: in foreign
								 * tables, or distributed */
	bool		distributed;	/* by a distributed engine, which keeps all of
								 * them */
	bool		rules;			/* has rules, so that statements do something
								 * else than they say */
	List	   *pk;				/* columns of the primary key, or of a foreign
								 * table column id; NIL: rows go by their ctid */
	AttrNumber	created_at;		/* or InvalidAttrNumber */
	List	   *soft_delete;	/* of const VoxSoftDelete *, the best first */
	const VoxSoftDelete *mark;	/* the first of them that a statement can set;
								 * NULL: none, or all are generated */
} VoxTable;

extern const char *const voxanne_inactive_labels[];

extern void voxanne_require_table(Oid relid, const char *argument);
extern void voxanne_table_describe(VoxTable *table, Oid relid);
extern List *voxanne_table_id_columns(const VoxTable *table);
extern List *voxanne_table_soft_columns(const VoxTable *table);
extern const char *voxanne_table_unmarkable(const VoxTable *table);
extern char *voxanne_column_ref(Oid relid, const char *alias, AttrNumber attnum);
extern char *voxanne_column_list(Oid relid, const char *alias, List *columns);
extern char *voxanne_table_id(const VoxTable *table, const char *alias);
extern char *voxanne_table_id_literal(const VoxTable *table, const char *alias);
extern char *voxanne_table_id_equal(const VoxTable *table, const char *alias, const char *id);
extern char *voxanne_table_id_match(const VoxTable *table, const char *alias, List *literals);
extern char *voxanne_table_created(const VoxTable *table, const char *alias);
extern char *voxanne_table_seniority(const VoxTable *table, const char *alias);
extern char *voxanne_table_live(const VoxTable *table, const char *alias);
extern char *voxanne_status_active(Oid relid, const char *alias, AttrNumber status);
extern List *voxanne_tenant_names(void);
extern AttrNumber voxanne_tenant_column(Oid relid);
extern char *voxanne_not_null(Oid relid, const char *alias, AttrNumber attnum, bool not_null);
extern char *voxanne_table_sample(const VoxTable *table, const char *from, const char *alias, List *columns,
								  const char *more, List *read, const char *condition, int max_rows);
extern char *voxanne_json_value(Oid type, const char *expression);
extern Oid	voxanne_column_type(Oid relid, AttrNumber attnum);

/* accepts.c */
extern bool voxanne_column_accepts(Oid relid, AttrNumber attnum, const char *word);

/* equality.c */
extern char *voxanne_type_name(Oid type);
extern Oid	voxanne_equality_operator(Oid type);
extern void voxanne_operator_clause(StringInfo buf, const char *left, Oid left_type, Oid operator,
									const char *right, Oid right_type);
extern char *voxanne_equal_columns(Oid relid, const char *left, const char *right, AttrNumber attnum);

#endif							/* VOXANNE_TABLE_H */
