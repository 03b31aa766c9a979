-- backup: targets, what is refused, what backup_status() says, who may.
-- Whatever the server is configured to, the rows about targets are the same.
CREATE VIEW target_state AS
SELECT severity, object, key, target, kind, last_status, proof, last_verified IS NULL AS never, remedy
FROM backup_status() WHERE object NOT IN ('worker', 'wal_archive', 'alerts', 'heartbeat');
SELECT * FROM target_state;
SELECT object FROM backup_status() WHERE object IN ('worker', 'wal_archive') ORDER BY object;

-- refused: names, kinds, locations, options
SET voxanne_ops.backup_directories = 'backup';
SET voxanne_ops.backup_directories = '/backup, "/srv';
SET voxanne_ops.backup_directories = '/backup, "/srv/my backups"';
SELECT add_backup_target(NULL, 'basebackup', '/backup/nightly');
SELECT add_backup_target('', 'basebackup', '/backup/nightly');
SELECT add_backup_target('*', 'basebackup', '/backup/nightly');
SELECT add_backup_target(E'two\nlines', 'basebackup', '/backup/nightly');
SELECT add_backup_target(repeat('x', 64), 'basebackup', '/backup/nightly');
SELECT add_backup_target('nightly', 'pg_dump', '/backup/nightly');
SELECT add_backup_target('nightly', NULL, '/backup/nightly');
SELECT add_backup_target('nightly', 'basebackup', NULL);
SELECT add_backup_target('nightly', 'basebackup', '');
SELECT add_backup_target('nightly', 'basebackup', 'backup/nightly');
SELECT add_backup_target('nightly', 'basebackup', '/backup/../etc');
SELECT add_backup_target('nightly', 'basebackup', '/backups/nightly');
SELECT add_backup_target('nightly', 'basebackup', '/' || repeat('x', 2000));
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '[]');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '"max_age"');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"max_agee": "1 day"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"colour": "blue"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"max_age": 24}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"max_age": true}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"max_age": {"hours": 1}}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"max_age": ["1 day"]}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"max_age": "a day"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"status_interval": "0"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"status_interval": "-1 day"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"status_interval": "1000 years"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"time_limit": "2 days"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"verify_time_limit": "2 days"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"verify_interval": "0"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"verify_window": "1:00-5:00"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"verify_window": "01:00-25:00"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"verify_window": "24:00-05:00"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"verify_window": "01:00-01:60"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"verify_window": "01:00-01:00"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"verify_window": ["01:00-02:00"]}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"min_size": 0}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"min_size": "-1 GB"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"min_size": "10 GiB"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"min_size": 1e30}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"min_size": []}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"max_size_change": "10%"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"max_size_change": 0}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"max_size_change": 1e400}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"retention": "1 s"}');
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly', '{"critical_tables": ["public.appointments"]}');
SELECT count(*) FROM backup_target;
SET voxanne_ops.backup_directories = '';
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly');

-- accepted
SET voxanne_ops.backup_directories = '/backup, "/srv/my backups"';
SELECT add_backup_target('nightly', 'basebackup', '/backup/nightly');
SELECT add_backup_target('it''s "weekly"', 'basebackup', '/srv/my backups/a, b',
	'{"status_interval": "1 day", "verify_interval": "7 days", "max_age": "8 days", "time_limit": "30 minutes", "verify_time_limit": "12 hours"}');
SELECT add_backup_target('itself', 'basebackup', '/backup/', NULL);
SELECT verify_window, min_size, max_size_change, pitr_window, critical_tables, retention FROM backup_target WHERE name = 'nightly';
SELECT name, kind, location, status_interval, verify_interval, max_age, time_limit, verify_time_limit, paused_at, requested_at,
	system_identifier = (SELECT system_identifier FROM pg_control_system()) AS this_cluster
FROM backup_target ORDER BY name COLLATE "C";
SELECT add_backup_target('nightly', 'basebackup', '/backup/other');
SELECT remove_backup_target('itself');
SELECT * FROM target_state;

-- names that do not exist
SELECT remove_backup_target('nigthly');
SELECT remove_backup_target(NULL);
SELECT pause_backup_target('monthly', 'moving');
SELECT resume_backup_target('monthly');
SELECT request_verification('monthly');
CALL verify_backup('monthly');

-- an option is changed, and the others stay
SELECT alter_backup_target('nigthly', '{"max_age": "1 day"}');
SELECT alter_backup_target('nightly', '{}');
SELECT alter_backup_target('nightly', NULL);
SELECT alter_backup_target('nightly', '{"max_age": "a day"}');
SELECT alter_backup_target('nightly', '{"critical_tables": ["public.appointments"]}');
BEGIN;
SELECT alter_backup_target('nightly', '{"max_age": "8 h", "verify_window": "22:00-05:30", "min_size": "1 MB", "max_size_change": 0.25, "retention": "1 year"}');
SELECT max_age, verify_window, min_size, max_size_change, pitr_window, retention, verify_interval FROM backup_target WHERE name = 'nightly';
SELECT alter_backup_target('nightly', '{"max_age": null, "verify_window": null, "min_size": 1000}');
SELECT max_age, verify_window, min_size, max_size_change, pitr_window, retention, verify_interval FROM backup_target WHERE name = 'nightly';
ROLLBACK;

-- pause and resume
SELECT pause_backup_target('nightly', ' ');
SELECT pause_backup_target('nightly', NULL);
SELECT pause_backup_target('nightly', 'moving to other storage');
SELECT severity, key, remedy, next_due FROM target_state JOIN backup_status() USING (severity, key, remedy)
WHERE key LIKE '%:nightly';
SELECT request_verification('nightly');
SELECT resume_backup_target('nightly');
SELECT severity, key FROM target_state;

-- a request is kept in the row
BEGIN;
SELECT request_verification('nightly');
SELECT request_verification();
SELECT name, requested_at IS NOT NULL AS requested, requested_level FROM backup_target ORDER BY name COLLATE "C";
-- for the deepest level that was asked for
SELECT request_verification('nightly', 'verify'), request_verification('nightly', 'status'), request_verification(level => NULL);
SELECT name, requested_level FROM backup_target ORDER BY name COLLATE "C";
SELECT pause_backup_target('nightly', 'moving');
SELECT name, requested_at IS NOT NULL AS requested, requested_level FROM backup_target ORDER BY name COLLATE "C";
ROLLBACK;
SELECT request_verification('nightly', 'deep');

-- suspended: added in another cluster
BEGIN;
UPDATE backup_target SET system_identifier = 42 WHERE name = 'nightly';
SELECT severity, key, remedy FROM target_state WHERE target = 'nightly';
SELECT request_verification();
SAVEPOINT s;
\set VERBOSITY terse
SELECT request_verification('nightly');
\set VERBOSITY default
ROLLBACK TO s;
SELECT resume_backup_target('nightly');
SELECT severity, key FROM target_state WHERE target = 'nightly';
ROLLBACK;

-- what the log says decides
CREATE FUNCTION pg_temp.logged(target text, status text, ago interval, age_hours int, error jsonb, proof text DEFAULT 'present',
	level text DEFAULT 'status', backup text DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$
	INSERT INTO backup_verification_log (target, status, verified_at, proof, checks_passed, level, backup_id, error_details, verification_details)
	VALUES ($1, $2, now() - $3, $6, 9, $7, $8, $5, jsonb_build_object('backup', jsonb_build_object('finished_at',
		to_char((now() - $3 - $4 * interval '1 hour') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))))
	RETURNING target;
$$;
-- The interval of which this is a little less, as each target is due by a share of its own before its time.
CREATE FUNCTION pg_temp.nominal(due interval) RETURNS interval LANGUAGE sql AS $$
	SELECT i FROM unnest('{10 seconds,1 minute,2 minutes,1 hour}'::interval[]) i WHERE due > i * 0.9 AND due <= i $$;
BEGIN;
SELECT pg_temp.logged('nightly', 'success', '2 hours', 10, NULL, 'checksummed', 'verify');
SELECT pg_temp.logged('nightly', 'success', '30 min', 10, NULL);
SELECT severity, key, target, last_status, proof FROM target_state;
SELECT round(extract(epoch FROM age) / 3600) AS age_hours, pg_temp.nominal(next_due - last_verified) AS interval
FROM backup_status() WHERE target = 'nightly';
SELECT pg_temp.logged('nightly', 'warning', '20 min', 10,
	'[{"check": "clock_skew", "detail": "The backup is from the future."}]');
SELECT severity, key, detail, remedy FROM backup_status() WHERE target = 'nightly';
SELECT pg_temp.logged('nightly', 'failure', '10 min', 10,
	'[{"check": "sizes", "detail": "A file is short."}]', 'listed');
SELECT severity, key, detail, proof, remedy FROM backup_status() WHERE target = 'nightly';
SELECT pg_temp.logged('nightly', 'failure', '9 min', 10,
	'[{"check": "verifier_error", "detail": "The agent is missing."}]', NULL);
SELECT severity, key, detail, proof FROM backup_status() WHERE target = 'nightly';
SELECT pg_temp.logged('nightly', 'success', '8 min', 30, NULL);
SELECT severity, key FROM target_state WHERE target = 'nightly';
SELECT pg_temp.logged('nightly', 'success', '7 min', 49, NULL);
SELECT severity, key FROM target_state WHERE target = 'nightly';
SELECT pg_temp.logged('nightly', 'success', '6 min', 1, NULL);
SELECT severity, key FROM target_state WHERE target = 'nightly';
ROLLBACK;
-- not verified for long; and old on top of it
BEGIN;
SELECT pg_temp.logged('nightly', 'success', '6 hours', 1, NULL, 'checksummed', 'verify');
SELECT pg_temp.logged('it''s "weekly"', 'success', '4 days', 1, NULL, 'checksummed', 'verify');
SELECT pg_temp.logged('nightly', 'success', '5 hours', 1, NULL);
SELECT severity, key, detail FROM backup_status() WHERE target = 'nightly';
SELECT pg_temp.logged('it''s "weekly"', 'success', '3 days', 400, NULL);
SELECT severity, key, detail, remedy FROM backup_status() WHERE target LIKE '%weekly%';
-- rows from a clock that was wrong, and rows of another shape, do no harm
SELECT pg_temp.logged('nightly', 'failure', '-30 days', 0, '"?"');
INSERT INTO backup_verification_log (target, status, error_details, verification_details)
VALUES ('it''s "weekly"', 'warning', '{"message": "adopted"}', '[1]'), (NULL, 'failure', NULL, NULL);
SELECT severity, key, detail FROM backup_status() WHERE target IS NOT NULL;
ROLLBACK;

-- a backup from the future has no age
BEGIN;
SELECT pg_temp.logged('nightly', 'warning', '1 min', -100, '[{"check": "clock_skew", "detail": "The backup is from the future."}]');
SELECT severity, key, age, last_backup > now() AS later FROM backup_status() WHERE target = 'nightly';
ROLLBACK;

-- back-off: a failing target is tried less often, down to once an hour
BEGIN;
UPDATE backup_target SET status_interval = '10 seconds' WHERE name = 'nightly';
PREPARE pause AS SELECT pg_temp.nominal(next_due - last_verified) AS pause FROM backup_status() WHERE target = 'nightly';
SELECT pg_temp.logged('nightly', 'success', '1 hour', 1, NULL, 'checksummed', 'verify');
SELECT pg_temp.logged('nightly', 'failure', '20 s', 1, NULL);
EXECUTE pause;
SELECT pg_temp.logged('nightly', 'failure', '19 s', 1, NULL);
EXECUTE pause;
SELECT count(pg_temp.logged('nightly', 'failure', i * interval '1 s', 1, NULL)) FROM generate_series(10, 18) i;
EXECUTE pause;
SELECT pg_temp.logged('nightly', 'warning', '9 s', 1, NULL);
EXECUTE pause;
ROLLBACK;

-- levels: what the deep one found holds until it is run again, and so does what it showed of a backup
BEGIN;
SELECT pg_temp.logged('nightly', 'success', '2 hours', 1, NULL, 'checksummed', 'verify', 'monday');
SELECT pg_temp.logged('nightly', 'success', '10 min', 1, NULL, 'present', 'status', 'monday');
SELECT severity, key, proof, pg_temp.nominal(next_due - last_verified) AS next, levels ? 'verify' AS both FROM backup_status() WHERE target = 'nightly';
SELECT pg_temp.logged('nightly', 'success', '9 min', 1, NULL, 'present', 'status', 'tuesday');
SELECT proof FROM backup_status() WHERE target = 'nightly';
SELECT pg_temp.logged('nightly', 'failure', '8 min', 1, '[{"check": "page_checksums", "detail": "1 of 9 pages is damaged."}]', 'listed', 'verify', 'tuesday');
SELECT pg_temp.logged('nightly', 'success', '7 min', 1, NULL, 'present', 'status', 'tuesday');
SELECT severity, key, detail, remedy, last_status, proof FROM backup_status() WHERE target = 'nightly';
SELECT level, result->>'status' AS status, result->>'check' AS check, result->>'verified_at' <> '' AS at
FROM backup_status(), jsonb_each(levels) AS l(level, result) WHERE target = 'nightly' ORDER BY level;
SELECT pg_temp.logged('nightly', 'success', '6 min', 1, NULL, 'checksummed', 'verify', 'tuesday');
SELECT severity, key, proof FROM backup_status() WHERE target = 'nightly';
ROLLBACK;
-- what both found in the same words is said once
BEGIN;
SELECT pg_temp.logged('nightly', 'failure', '9 min', 1, '[{"check": "backup_found", "detail": "No complete backup lies there."}]', 'listed', 'verify');
SELECT pg_temp.logged('nightly', 'failure', '8 min', 1, '[{"check": "backup_found", "detail": "No complete backup lies there."}]', 'listed');
SELECT severity, key, detail, remedy FROM backup_status() WHERE target = 'nightly';
ROLLBACK;
BEGIN;
SELECT pg_temp.logged('nightly', 'success', '10 min', 1, NULL);
SELECT severity, key, next_due <= clock_timestamp() AS due FROM backup_status() WHERE target = 'nightly';
UPDATE backup_target SET created_at = now() - interval '3 days' WHERE name = 'nightly';
SELECT severity, key, detail, remedy FROM backup_status() WHERE target = 'nightly';
SELECT pg_temp.logged('nightly', 'success', '3 days', 1, NULL, 'checksummed', 'verify');
SELECT severity, key, detail, remedy FROM backup_status() WHERE target = 'nightly';
ROLLBACK;

-- CALL in a transaction block, in a function, at a level that is not there, read-only
BEGIN;
CALL verify_backup();
ROLLBACK;
CREATE FUNCTION pg_temp.in_function() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL verify_backup(); END $$;
\set SHOW_CONTEXT never
SELECT pg_temp.in_function();
\set SHOW_CONTEXT errors
-- but in a procedure's own transaction it can
DO $$ BEGIN CALL verify_backup(); END $$;
CALL verify_backup('nightly', 'deep');
BEGIN READ ONLY;
CALL verify_backup();
ROLLBACK;
BEGIN READ ONLY;
SELECT severity, key FROM target_state;
SELECT pause_backup_target('nightly', 'no');
ROLLBACK;

-- nothing for strangers; the full answer for pg_monitor
CREATE ROLE regress_stranger;
CREATE ROLE regress_monitor IN ROLE pg_monitor;
GRANT SELECT ON target_state TO regress_monitor;
SET ROLE regress_stranger;
SELECT count(*) FROM backup_status() WHERE object NOT IN ('alerts', 'heartbeat');
SELECT add_backup_target('x', 'basebackup', '/backup/x');
SELECT request_verification();
SELECT test_alert();
CALL verify_backup();
SELECT count(*) FROM backup_target;
SELECT count(*) FROM backup_verification_log;
SET ROLE regress_monitor;
SELECT severity, key FROM backup_status() WHERE target IS NOT NULL;
SELECT count(*) FROM backup_verification_log;
SELECT remove_backup_target('nightly');
SELECT alter_backup_target('nightly', '{"max_age": "1 day"}');
RESET ROLE;
-- a search_path that hides pg_catalog, and one without our schema
CREATE SCHEMA hostile;
CREATE FUNCTION hostile.count(text) RETURNS int LANGUAGE sql AS 'SELECT 1/0';
CREATE FUNCTION hostile.coalesce_guard(text, text) RETURNS bool LANGUAGE sql AS 'SELECT (1/0)::bool';
CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.coalesce_guard);
SET search_path = hostile, public, pg_catalog;
SELECT remove_backup_target('nightly');
SELECT remove_backup_target('it''s "weekly"');
RESET search_path;
SELECT count(*) FROM backup_target;
CALL verify_backup();
SELECT request_verification();

DROP SCHEMA hostile CASCADE;
DROP VIEW target_state;
DROP ROLE regress_monitor;
DROP ROLE regress_stranger;
