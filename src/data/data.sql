-- data: duplicates, orphans, invalid values, how data checks run.

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
'Rows whose reference leads nowhere, or to a row that it should not lead to (runbook 4.4): one row per reference and fault; none if all is well.
relation: the table whose references are checked (a view is an error); NULL: all tables in schemas.
schemas: where to look for tables, and for the parents of undeclared references.
inferred: also columns that no foreign key covers but whose name and type point at a table, together with the tenant where the table''s primary key is tenant and id.
include_deleted: for inferred references, count soft-deleted rows as well; a declared foreign key is checked for all rows.
max_rows: how many rows sample shows at most.
source: declared, not_valid, not_enforced, triggers_disabled or inferred. kind: orphan, malformed_reference (a value that is not of the parent''s type), match_full (null in part): a row has one of these at most; soft_orphan (the row is live, its parent soft-deleted by deleted_at, is_deleted or archived_at; rows with status cancelled or no_show do not count), cross_tenant (the parent''s org_id, tenant_id or organization_id, whichever both tables have first and the reference does not contain, differs from the row''s; neither is null; not where a table whose key is parent and tenant says that a parent has several): a row with a parent may have both of these; fk_target_suspect (the foreign key leads to a table whose name has nothing in common with the column''s, while two other columns of the name at least, or a table of that name, suggest another) or skipped (the check could not run: locked, not readable, row security, or failed; detail says why).
orphans: rows with the fault; checked: rows with a complete reference; both null for fk_target_suspect and skipped. confidence: 1 for declared references; for inferred ones 0.4 or 0.2 for the name, 0.3 for the type and 0.3 times the share of rows whose parent exists; 0.3 in all where the parent has no row, or none of 20 different values and more is in it; below 0.7 nothing is reported, below 0.85 there is no remedy.
child, child_columns, parent, parent_columns, constraint_name: the reference. sample: array of objects with the primary key (or ctid) and the reference, for cross_tenant also both tenants, ordered by age and key.
remedy: for orphans sets the reference to null or moves the rows to voxanne_quarantine.row_image, and makes the key hold (advice says how many rows violate it, soft-deleted ones included); for soft orphans does what the key''s ON DELETE would, with copies, NULL where it would refuse; for cross_tenant adds a foreign key with the tenant, NOT VALID, that stops new rows and changes none.
Severity: orphans: critical where a foreign key claims to hold, else warning; cross_tenant: critical, warning below confidence 0.85; soft_orphan: warning, info where the row could not be soft-deleted itself; fk_target_suspect: info.
Rows in foreign tables: each server is read at an instant of its own, so that a row may look like an orphan whose parent was written in between; no remedy; their column id stands for the primary key that they cannot have.
Reads all rows of child and parent; locks tables in ACCESS SHARE mode without waiting.';

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
relation: an ordinary, partitioned or foreign table, without inheritance children (anything else is an error).
key_columns: the columns that should be unique together; compared by their types'' default equality.
tenant_column: a column more, so that rows of different tenants are never duplicates; NULL: org_id, tenant_id or organization_id where the table has one.
nulls_distinct: a row with a null in its key has no duplicate; false: nulls are equal.
include_deleted: compare soft-deleted rows (deleted_at, is_deleted, archived_at) as well.
max_groups: how many groups are listed, those with the oldest keepers first; more of them give a check_skipped row.
key_values: the key by column. rows: rows in the group. keep_id: the row to keep, that with the oldest created_at, then the lowest primary key; the ctid in a table without primary key.
duplicate_ids: the other rows, 1000 at most. oldest, newest: created_at. references_to_move: rows that reference the others through foreign keys; NULL if not all of those can be read.
remedy: merges the group in one transaction: makes what references the others reference the keeper, then soft-deletes the others or moves them to voxanne_quarantine.row_image; fails as a whole where a referencing table''s unique key is in the way; a row stays whose references cannot be moved (by a generated column, or one that is null in the keeper: advice names it). advice: the unique index that prevents it, and how many rows violate it.
A check_skipped row says why the table could not be read. Severity: warning. Locks tables in ACCESS SHARE mode without waiting.';

CREATE FUNCTION @extschema@.find_duplicate_appointments(
	relation regclass DEFAULT NULL,
	tolerance interval DEFAULT '0',
	overlapping boolean DEFAULT true,
	same text[] DEFAULT '{contact,provider,org_without_provider}',
	tenant text DEFAULT NULL,
	since timestamptz DEFAULT NULL,
	include_deleted boolean DEFAULT false,
	max_groups int DEFAULT 1000)
RETURNS TABLE (
	severity @extschema@.voxanne_severity, object text, detail text, advice text, remedy text, key text,
	kind text, tenant_id text, identity text, starts_at timestamptz, ends_at timestamptz, rows int,
	keep_id text, duplicate_ids text[], references_to_move bigint)
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'voxanne_find_duplicate_appointments';
COMMENT ON FUNCTION @extschema@.find_duplicate_appointments(regclass, interval, boolean, text[], text, timestamptz, boolean, int) IS
'Double bookings (runbook 4.1): one row per group of appointments that take the same time of the same person, within one tenant; none if all is well.
relation: the table; NULL: appointments on the search_path. Its columns are found by name and type: scheduled_at (starts_at, start_at, start_time); duration_minutes, duration or ends_at (end_at, end_time); org_id (tenant_id, organization_id); contact_id (patient_id, customer_id, client_id), phone, email; provider_id (staff_id, practitioner_id, employee_id); status; deleted_at, is_deleted, archived_at.
tolerance: starts that close count as the same. overlapping: also times that overlap; a length of NULL is 30 minutes, one of 0 or less overlaps nothing; a time ends before its end, so 10:00-10:30 and 10:30-11:00 do not overlap.
same: contact (without contact_id the phone number, without that the e-mail address on the row; without any a row is not compared), provider, org_without_provider (any two appointments of a tenant none of whose appointments has a provider: at most a warning, no remedy).
tenant: one tenant only. since: leave out what starts earlier. include_deleted: compare soft-deleted rows as well; appointments with status cancelled or no_show are never compared.
max_groups: how many groups are listed, the most urgent first; more of them give a check_skipped row.
kind: exact (all start at the same time), near (all within tolerance), overlap. identity: whose time, e.g. contact:17. starts_at, ends_at: the first start and the last end. rows: appointments in the group, which conflicts join directly or through others.
keep_id: the one with the oldest created_at, then the lowest primary key. duplicate_ids: those that conflict with an older one that stays, 1000 at most; the others need not go. references_to_move: rows that reference duplicate_ids through foreign keys; NULL if not all of those can be read.
detail: each appointment with its id, start, length and contact: name, full_name or display_name of the table that the contact column refers to, where the caller can read it, else the id.
remedy: sets their status to cancelled, or without such a status soft-deletes them; never deletes; ends, as comments, with the calendar_link of those that have one and, where no argument leaves appointments out, with the exclusion constraint per contact or provider that keeps new ones out once all groups are settled, and how many appointments violate it (of a partitioned table before PostgreSQL 17, one for each partition; where it is not partitioned by tenant, contact or provider, the reason why there is none; nothing for types that btree_gist cannot compare). Times in detail are in the session''s time zone.
Severity: critical if the group reaches into the future, warning for the last seven days, else info. Order: most severe, then earliest. Locks tables in ACCESS SHARE mode without waiting.';

CREATE FUNCTION @extschema@.find_invalid_data(
	relation regclass DEFAULT NULL,
	schemas name[] DEFAULT '{public}',
	include_deleted boolean DEFAULT false,
	max_rows int DEFAULT 20)
RETURNS TABLE (
	severity @extschema@.voxanne_severity, object text, detail text, advice text, remedy text, key text,
	kind text, relation_name text, columns name[], rows bigint, checked bigint, sample jsonb, constraint_name name)
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'voxanne_find_invalid_data';
COMMENT ON FUNCTION @extschema@.find_invalid_data(regclass, name[], boolean, int) IS
'Values that cannot be right, or hardly (runbook 4.3): one row per rule and column with the number of rows that break it; none if all is well. Columns are found by name (snake_case or camelCase) and type in any table.
relation: the table (a view or foreign table is an error); NULL: all tables in schemas but partitions, which are part of their parent, and tables of extensions. A table is read without its inheritance children.
schemas: where to look for tables. include_deleted: count soft-deleted rows (deleted_at, is_deleted, archived_at) as well; constraints are checked for all rows.
max_rows: how many rows sample shows at most.
kind, as warning: duration_not_positive (where a start is planned) and duration_negative; date_not_finite; date_in_future for created_at, updated_at and births; date_too_early (before 1980); wrong_order (a start after its end; updated_at more than a minute before created_at); over_before_start (status completed, no_show or attended, more than a day before the planned start); blank_text in names, phones and e-mails that are NOT NULL and do not default to ''''; label_variant (in a text column status, stage, role, priority or outcome with at most 100 labels: one that differs from a more frequent one in case, blanks or hyphens only); no_phone (fewer than three digits, or an @, and no SIP address); no_email (RFC 5321; quoted local parts, domains in any script and address literals are fine).
kind, as info: duration_too_long (a day for what is planned, a week from started_at to ended_at); date_in_future for what has happened; date_too_early for births before 1900; date_too_late (planned more than a year ahead); date_implausible (any other date before 1000 or after 2200, but not the year 9999 or infinity); label_unknown (a label that the enum of the columns name, e.g. webhook_status for webhook_log.status, does not have, if it has most); and, where at most one row in 20 does it, blank_text and phone_format (not E.164). no_phone and no_email are info if most rows are so: then it is the guess from the name that is wrong.
kind of constraints: not_valid_check (a CHECK, or from 18 on a NOT NULL, that is NOT VALID; a warning with rows that violate it, info with remedy if there are none), not_enforced_check (18). A constraint is run as the table''s owner, in a read-only subtransaction that is undone; of a superuser''s tables only if all it calls is known to be harmless. skipped: the check could not run (locked, not readable, row security, foreign table, or failed; detail says why).
relation_name: the table. columns: what the rule reads. rows: rows that break the rule; a null breaks none. checked: rows that have all the columns; for constraints, all rows. sample: array of objects with the primary key (or ctid) and the columns, oldest first. constraint_name: of a constraint of the table.
remedy: for warnings, the rule as a CHECK constraint, NOT VALID, with the number of rows that violate it, soft-deleted ones included; for a constraint that no row violates, VALIDATE. Never changes a row. Reads each table once for all rules and labels, once more for each constraint and for each rule that very many rows break; where SQL answers, once more for each rule that is broken and each column of labels. Locks tables in ACCESS SHARE mode without waiting.';

CREATE FUNCTION @extschema@.check_data(
	relation regclass DEFAULT NULL,
	unique_keys text[] DEFAULT '{}',
	schemas name[] DEFAULT '{public}',
	inferred boolean DEFAULT true,
	include_deleted boolean DEFAULT false,
	max_rows int DEFAULT 20)
RETURNS TABLE (
	severity @extschema@.voxanne_severity, object text, detail text, advice text, remedy text, key text,
	check_name text, runbook text, metadata jsonb)
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'voxanne_check_data';
COMMENT ON FUNCTION @extschema@.check_data(regclass, text[], name[], boolean, boolean, int) IS
'What find_orphans() and find_invalid_data() report, and find_duplicates() for each key that is named, of one table or of all, with each table read once for all of it (runbook 4.1, 4.3, 4.4): their findings; none if all is well.
relation: the table; NULL: all tables in schemas.
unique_keys: keys of the relation that should be unique, each a list of columns as SQL writes them: ''{"scheduled_at, contact_id", vapi_call_id}''. The tenant''s column is part of each, as in find_duplicates().
schemas, inferred, include_deleted, max_rows: as in find_orphans() and find_invalid_data().
check_name: the first part of key. runbook: the section. metadata: an object of the columns that the function which makes this check alone has after key; NULL where it has nothing to say in them.
Double bookings are not among these checks: see find_duplicate_appointments(). Locks tables in ACCESS SHARE mode without waiting.';

CREATE FUNCTION @extschema@.data_check_execution()
RETURNS TABLE (relation text, question text, executor text, workers int, rows_read bigint, spilled_bytes bigint, reason text)
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'voxanne_data_check_execution';
COMMENT ON FUNCTION @extschema@.data_check_execution() IS
'How the last call of find_duplicates(), find_duplicate_appointments(), find_orphans(), find_invalid_data() or check_data() in this session was answered: one row per question; none before the first call.
relation, question: what was asked of which table or column. executor: scan (the scan engine narrowed the table down) or sql; the answer is the same.
workers: parallel processes besides the session''s own that the scan got; rows_read: rows it read for all questions of the call; spilled_bytes: what it wrote to temporary files because maintenance_work_mem was used up. NULL for sql.
reason: why the scan was not used; NULL where it was. See setting voxanne_ops.executor (auto, scan or sql).';

CREATE FUNCTION @extschema@._voxanne_data_check_progress(
	OUT pid int, OUT datid oid, OUT relid oid, OUT phase text, OUT blocks_total bigint, OUT blocks_done bigint,
	OUT rows_done bigint, OUT spilled_bytes bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'voxanne_data_check_progress';
COMMENT ON FUNCTION @extschema@._voxanne_data_check_progress() IS
'What view data_check_progress shows. ERROR 55000 if the library is not preloaded.';
GRANT EXECUTE ON FUNCTION @extschema@._voxanne_data_check_progress() TO pg_monitor;

CREATE VIEW @extschema@.data_check_progress AS
SELECT p.pid, d.datname, p.relid,
       CASE WHEN d.datname = pg_catalog.current_database() THEN p.relid::pg_catalog.regclass::text END AS relation,
       p.phase, p.blocks_done, p.blocks_total, p.rows_done, p.spilled_bytes
FROM @extschema@._voxanne_data_check_progress() AS p
LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) p.datid;
GRANT SELECT ON @extschema@.data_check_progress TO pg_monitor;
COMMENT ON VIEW @extschema@.data_check_progress IS
'Data checks that are scanning tables now, a row per session; sessions of other roles show details to members of pg_read_all_stats only. ERROR 55000 if the library is not preloaded.
pid: the session. relid, relation: the table being scanned (relation: in this database only). phase: scanning (reading it) or matching (finding what matters of it).
blocks_done, blocks_total: blocks of the table read by all processes of the scan. rows_done: rows read of it. spilled_bytes: written to temporary files by the call so far.';
COMMENT ON COLUMN @extschema@.data_check_progress.pid IS 'the session, as in pg_stat_activity';
COMMENT ON COLUMN @extschema@.data_check_progress.datname IS 'its database';
COMMENT ON COLUMN @extschema@.data_check_progress.relid IS 'oid of the table being scanned';
COMMENT ON COLUMN @extschema@.data_check_progress.relation IS 'its name, in this database only';
COMMENT ON COLUMN @extschema@.data_check_progress.phase IS 'scanning (reading the table) or matching (finding what matters of it)';
COMMENT ON COLUMN @extschema@.data_check_progress.blocks_done IS 'blocks of the table read by all processes of the scan';
COMMENT ON COLUMN @extschema@.data_check_progress.blocks_total IS 'blocks that the table has';
COMMENT ON COLUMN @extschema@.data_check_progress.rows_done IS 'rows read of it';
COMMENT ON COLUMN @extschema@.data_check_progress.spilled_bytes IS 'written to temporary files by the call so far';
