-- data: duplicates, orphans.

CREATE FUNCTION @extschema@.find_orphans(
	relation regclass DEFAULT NULL,
	schemas name[] DEFAULT '{public}',
	inferred boolean DEFAULT true,
	include_deleted boolean DEFAULT false,
	max_rows int DEFAULT 20)
RETURNS TABLE (
	severity @extschema@.voxanne_severity, object text, detail text, advice text, remedy text, key text,
	child text, child_columns name[], parent text, parent_columns name[],
	source text, kind text, orphans bigint, checked bigint, confidence real, sample jsonb, constraint_name name)
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'voxanne_find_orphans';
COMMENT ON FUNCTION @extschema@.find_orphans(regclass, name[], boolean, boolean, int) IS
'Rows whose reference leads nowhere (runbook 4.4): one row per reference and fault; none if all is well.
relation: the table whose references are checked (a view or foreign table is an error); NULL: all tables in schemas.
schemas: where to look for tables, and for the parents of undeclared references.
inferred: also columns that no foreign key covers but whose name and type point at a table.
include_deleted: for inferred references, count soft-deleted rows as well; a declared foreign key is checked for all rows.
max_rows: how many rows sample shows at most.
source: declared, not_valid, not_enforced, triggers_disabled or inferred. kind: orphan, malformed_reference (a value that is not of the parent''s type), match_full (null in part) or skipped (the check could not run: locked, not readable, row security, foreign table, or failed; detail says why).
orphans: rows with the fault; checked: rows with a complete reference. confidence: 1 for declared references; for inferred ones 0.4 or 0.2 for the name, 0.3 for the type and 0.3 times the share of rows whose parent exists; below 0.7 nothing is reported, below 0.85 there is no remedy.
sample: array of objects with the primary key (or ctid) and the reference, ordered by age and key.
Severity: critical where a foreign key claims to hold, else warning. Reads all rows of child and parent; locks tables in ACCESS SHARE mode without waiting.';

CREATE FUNCTION @extschema@.find_duplicates(
	relation regclass,
	key_columns name[],
	tenant_column name DEFAULT NULL,
	nulls_distinct boolean DEFAULT true,
	include_deleted boolean DEFAULT false,
	max_groups int DEFAULT 1000)
RETURNS TABLE (
	severity @extschema@.voxanne_severity, object text, detail text, advice text, remedy text, key text,
	key_values jsonb, rows int, keep_id text, duplicate_ids text[], oldest timestamptz, newest timestamptz,
	references_to_move bigint)
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'voxanne_find_duplicates';
COMMENT ON FUNCTION @extschema@.find_duplicates(regclass, name[], name, boolean, boolean, int) IS
'Rows with equal keys (runbook 4.1): one row per group; none if all keys are unique.
relation: an ordinary or partitioned table, without inheritance children (anything else is an error).
key_columns: the columns that should be unique together; compared by their types'' default equality.
tenant_column: a column more, so that rows of different tenants are never duplicates; NULL: org_id where the table has one.
nulls_distinct: a row with a null in its key has no duplicate; false: nulls are equal.
include_deleted: compare soft-deleted rows (deleted_at, is_deleted, archived_at) as well.
max_groups: how many groups are listed, those with the oldest keepers first; more of them give a check_skipped row.
key_values: the key by column. rows: rows in the group. keep_id: the row to keep, that with the oldest created_at, then the lowest primary key; the ctid in a table without primary key.
duplicate_ids: the other rows, 1000 at most. oldest, newest: created_at. references_to_move: rows that reference the others through foreign keys; NULL if not all of those can be read.
remedy: merges the group in one transaction: makes what references the others reference the keeper, then soft-deletes the others or moves them to voxanne_quarantine.row_image; fails as a whole where a referencing table''s unique key is in the way. advice: the unique index that prevents it.
A check_skipped row says why the table could not be read. Severity: warning. Locks tables in ACCESS SHARE mode without waiting.';
