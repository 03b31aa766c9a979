/*
 * src/data/quarantine.c
 *		Where remedies put rows before they change or remove them.
 *
 * One ordinary table that belongs to whoever runs the first remedy: DROP
 * EXTENSION leaves it alone.  It has a schema of its own, because a table in
 * public would be served to the network by PostgREST and would look like a
 * table with orphans itself; row security without policies hides it from
 * everybody but its owner even where default privileges give it away.  A row
 * is kept as jsonb, so that a later change of its table cannot break a remedy.
 */
#include "postgres.h"

#include "data/quarantine.h"
#include "utils/builtins.h"

/* Statements that create the table where it does not exist. */
const char *
voxanne_quarantine_prepare(void)
{
	return
		"CREATE SCHEMA IF NOT EXISTS voxanne_quarantine;\n"
		"CREATE TABLE IF NOT EXISTS voxanne_quarantine.row_image"
		" (taken_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),"
		" taken_by pg_catalog.name NOT NULL DEFAULT current_user,"
		" relation pg_catalog.text NOT NULL, finding pg_catalog.text NOT NULL,"
		" row_data pg_catalog.jsonb NOT NULL);\n"
		"ALTER TABLE voxanne_quarantine.row_image ENABLE ROW LEVEL SECURITY;\n";
}

/*
 * An INSERT, without semicolon, that stores the rows of "source", an item of a
 * FROM clause and what may follow it.  The item is, or has the alias, "gone".
 */
char *
voxanne_quarantine_insert(const char *relation, const char *key, const char *source)
{
	return psprintf("INSERT INTO voxanne_quarantine.row_image (relation, finding, row_data)"
					" SELECT %s, %s, pg_catalog.to_jsonb(gone.*) FROM %s",
					quote_literal_cstr(relation), quote_literal_cstr(key), source);
}

/*
 * One statement, without semicolon, that keeps a copy of rows and changes
 * them: those, alias "gone", for which "condition" holds, by the assignments
 * in "set".
 */
char *
voxanne_quarantine_update(const VoxTable *table, const char *key, const char *set, const char *condition)
{
	return psprintf("WITH kept AS (%s)\nUPDATE %s AS gone SET %s WHERE %s",
					voxanne_quarantine_insert(table->name, key,
											  psprintf("%s AS gone WHERE %s", table->from, condition)),
					table->from, set, condition);
}
