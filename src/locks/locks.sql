-- locks: who waits for whom, and what to do about it.

CREATE TABLE @extschema@.advisory_lock_name (
	classid integer,
	objid bigint,
	label text NOT NULL CHECK (label <> ''),
	UNIQUE NULLS NOT DISTINCT (classid, objid),
	CHECK (classid IS NOT NULL OR objid IS NOT NULL),
	CHECK (classid IS NULL OR objid BETWEEN -2147483648 AND 2147483647)
);
ALTER TABLE @extschema@.advisory_lock_name ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE @extschema@.advisory_lock_name IS
'What the application''s advisory locks are for: blocking_locks() shows the label beside the number. For pg_advisory_lock(42): (NULL, 42, ''label''); for pg_advisory_lock(7, 42): (7, 42, ''label''); for every lock whose first key is 7: (7, NULL, ''label''). Holds for locks of this database. Readable and writable by its owner; kept by pg_dump.';
COMMENT ON COLUMN @extschema@.advisory_lock_name.classid IS 'first key of a lock with two keys; null: a lock with one key';
COMMENT ON COLUMN @extschema@.advisory_lock_name.objid IS 'the only key, or the second one; null: any second key';
COMMENT ON COLUMN @extschema@.advisory_lock_name.label IS 'what the lock is for, not empty';
SELECT pg_catalog.pg_extension_config_dump('@extschema@.advisory_lock_name', '');

CREATE FUNCTION @extschema@.blocking_locks(
	min_wait interval DEFAULT '0',
	database name DEFAULT NULL)
RETURNS TABLE (
	tree text,
	severity @extschema@.voxanne_severity,
	object text,
	detail text,
	advice text,
	remedy text,
	key text,
	depth integer,
	pid integer,
	root_pid integer,
	blocked_by integer[],
	kind text,
	waited interval,
	xact_age interval,
	state text,
	backend_type text,
	database_name name,
	user_name name,
	application_name text,
	client_addr inet,
	wants text,
	held text,
	target text,
	victims integer,
	query text,
	query_id bigint)
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'voxanne_blocking_locks';
GRANT EXECUTE ON FUNCTION @extschema@.blocking_locks(interval, name) TO pg_monitor;
COMMENT ON FUNCTION @extschema@.blocking_locks(interval, name) IS
'Everybody who waits for a lock and everybody who blocks them, as trees: the worst first, each from its root down; no rows: nobody waits (runbook 1.3).

min_wait: leave out trees in which nobody has waited this long (22023 if negative). database: only trees with a session of this database (3D000 if there is none); NULL: all.

One row per session, parallel workers counted with their leader, and per prepared transaction:
tree: pid, indented by depth. depth: 0 = a root, or a member of a deadlock; else one more than the deepest blocker. pid: NULL for a prepared transaction. root_pid: pid of the tree''s root; NULL below a prepared transaction or a deadlock. blocked_by: pids of all that block it, 0 for a prepared transaction, as in pg_blocking_pids() but each once, in order.
kind: root | prepared (a prepared transaction) | hard (somebody holds a conflicting lock) | soft (only queued behind somebody who waits for one) | cycle (deadlock) | recovery (WAL replay on a standby) | safe_snapshot (SERIALIZABLE READ ONLY DEFERRABLE).
waited: length of the present wait, NULL for who does not wait. xact_age: age of its transaction. wants: awaited mode. held: the modes that others wait for it to release. target: what it waits for or, at a root, what others want from it; a row is given with its primary key if you may SELECT that and the row is visible, an advisory lock with its label from advisory_lock_name. victims: client sessions below, directly or not, those that are still connecting included (of which nothing else may be known).
state, backend_type, database_name, user_name, application_name, client_addr, query, query_id: as in pg_stat_activity. query: for idle states the last one, which need not be the one that locked. state, query and what else pg_stat_activity hides from you is hidden here, target too.

severity (for roots and heads of queues; all others are info): critical = somebody has waited for voxanne_ops.lock_wait_critical (5 min), or more than 10 victims, or a queue behind a waiting relation lock is voxanne_ops.lock_wait_warning (30 s) old, or a prepared transaction at the root is older than voxanne_ops.lock_wait_critical; warning = somebody has waited for voxanne_ops.lock_wait_warning.

remedy: names the session of its own row, which is a root or the head of a queue, never somebody who only waits; does nothing if pid or transaction is another one by the time it is run. NULL where to wait or to ask is better; advice says which.

Takes no heavyweight lock but AccessShareLock on what it reads names from, and none that it would have to wait for. With more than 200 waiting processes queues are told from the times at which their waits began: detail says "approximate", blocked_by has only the nearest of those ahead.';
