-- locks: what the function promises, bad input, the table of labels.  Jams are in specs/ and t/.
SELECT provolatile, proparallel, prosecdef, proconfig, pg_get_function_arguments(oid) AS arguments
FROM pg_proc WHERE proname = 'blocking_locks';
SELECT string_agg(name || ' ' || format_type(type, NULL), ', ' ORDER BY n) AS columns
FROM pg_proc, unnest(proargnames, proallargtypes, proargmodes) WITH ORDINALITY AS column_of(name, type, mode, n)
WHERE proname = 'blocking_locks' AND mode = 't';

-- Nobody waits for anything of this session; one that only holds locks is not shown.
BEGIN;
LOCK TABLE advisory_lock_name;
SELECT count(*) FROM blocking_locks(database => current_database()) WHERE pid = pg_backend_pid();
ROLLBACK;

SELECT * FROM blocking_locks('-1 ms');
SELECT * FROM blocking_locks(database => 'no such database');

-- Calls that fail leave no lock on a catalog behind.
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation IN ('pg_authid'::regclass, 'pg_namespace'::regclass);

-- Labels: one key, two keys, a whole class.
INSERT INTO advisory_lock_name VALUES (NULL, 9223372036854775807, 'one key'), (1, -2147483648, 'two keys'), (1, NULL, 'class');
INSERT INTO advisory_lock_name VALUES (NULL, 9223372036854775807, 'again');
INSERT INTO advisory_lock_name VALUES (1, NULL, 'again');
INSERT INTO advisory_lock_name VALUES (1, 2147483648, 'second key out of range');
INSERT INTO advisory_lock_name VALUES (NULL, NULL, 'any lock');
INSERT INTO advisory_lock_name VALUES (1, 1, '');
INSERT INTO advisory_lock_name VALUES (1, 1, NULL);
SELECT relrowsecurity, NOT EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee <> relowner) AS owner_only
FROM pg_class WHERE relname = 'advisory_lock_name';
DELETE FROM advisory_lock_name;

-- What the runbook's reader is told about thresholds is what is set.
SELECT name, setting, unit, context, boot_val FROM pg_settings WHERE name LIKE 'voxanne_ops.lock_wait%' ORDER BY name COLLATE "C";
\set VERBOSITY sqlstate
SET voxanne_ops.lock_wait_warning = '-1';
\set VERBOSITY default
