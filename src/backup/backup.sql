-- backup: targets, their verification, its log and state.

CREATE TABLE @extschema@.backup_target (
	name text NOT NULL,
	kind text NOT NULL,
	location text NOT NULL,
	status_interval interval NOT NULL DEFAULT '1 hour',
	verify_interval interval NOT NULL DEFAULT '1 day',
	max_age interval NOT NULL DEFAULT '24 hours',
	time_limit interval NOT NULL DEFAULT '10 minutes',
	verify_time_limit interval NOT NULL DEFAULT '6 hours',
	verify_window text,
	min_size bigint,
	max_size_change numeric NOT NULL DEFAULT 0.10,
	pitr_window interval,
	critical_tables text[],
	repository text,
	external boolean NOT NULL DEFAULT false,
	retention interval,
	paused_at timestamptz,
	paused_reason text,
	requested_at timestamptz,
	requested_level text,
	system_identifier bigint NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT backup_target_pkey PRIMARY KEY (name),
	CONSTRAINT backup_target_name CHECK (name <> '' AND name <> '*'),
	CONSTRAINT backup_target_status_interval CHECK (status_interval >= '1 second'),
	CONSTRAINT backup_target_verify_interval CHECK (verify_interval >= '1 second'),
	CONSTRAINT backup_target_max_age CHECK (max_age >= '1 second'),
	CONSTRAINT backup_target_time_limit CHECK (time_limit >= '1 second' AND time_limit <= '24 hours'),
	CONSTRAINT backup_target_verify_time_limit CHECK (verify_time_limit >= '1 second' AND verify_time_limit <= '24 hours'),
	CONSTRAINT backup_target_verify_window CHECK (verify_window ~ '^\d\d:\d\d-\d\d:\d\d$'),
	CONSTRAINT backup_target_min_size CHECK (min_size > 0),
	CONSTRAINT backup_target_max_size_change CHECK (max_size_change >= 0.001 AND max_size_change <= 1000),
	CONSTRAINT backup_target_pitr_window CHECK (pitr_window >= '1 second'),
	CONSTRAINT backup_target_retention CHECK (retention >= '1 hour')
);
ALTER TABLE @extschema@.backup_target ENABLE ROW LEVEL SECURITY;
SELECT pg_catalog.pg_extension_config_dump('@extschema@.backup_target', '');

COMMENT ON TABLE @extschema@.backup_target IS
'The backups to verify, one row each; kept by add_, pause_, resume_ and remove_backup_target(). Included in dumps.';
COMMENT ON COLUMN @extschema@.backup_target.name IS 'name, as the user calls it; "*" stands for all targets and is not a name';
COMMENT ON COLUMN @extschema@.backup_target.kind IS 'what made the backup or keeps it, which decides how it is verified: barman, basebackup, dump, http, pgbackrest, s3, supabase, wal_archive, walg';
COMMENT ON COLUMN @extschema@.backup_target.location IS 'where it lies: the absolute path of the directory or file (basebackup, dump, wal_archive), or a URL: of an object (http), of a bucket and a prefix, https://host/bucket/prefix (s3), of a project in the Management API (supabase); or a name: of a server (barman), a stanza (pgbackrest), a file in voxanne_ops.walg_config_directory (walg)';
COMMENT ON COLUMN @extschema@.backup_target.status_interval IS 'how often to verify at level "status"';
COMMENT ON COLUMN @extschema@.backup_target.verify_interval IS 'how often to verify at level "verify", which reads all contents';
COMMENT ON COLUMN @extschema@.backup_target.max_age IS 'an older backup is a warning, one older than twice that a failure';
COMMENT ON COLUMN @extschema@.backup_target.time_limit IS 'a verification at level "status" that takes longer is ended and counts as failed';
COMMENT ON COLUMN @extschema@.backup_target.verify_time_limit IS 'the same for level "verify"';
COMMENT ON COLUMN @extschema@.backup_target.verify_window IS
'between which times of day in the server''s time zone (setting log_timezone) the worker begins to verify at level "verify", as 22:00-05:30; one that was asked for begins at any time; null: at any time';
COMMENT ON COLUMN @extschema@.backup_target.min_size IS 'a backup of fewer bytes is a failure; null: any size will do';
COMMENT ON COLUMN @extschema@.backup_target.max_size_change IS
'a backup whose size differs from that of the good one before by more than this fraction (0.10: a tenth), up or down, is a warning';
COMMENT ON COLUMN @extschema@.backup_target.pitr_window IS 'so far back from now a restore to any moment must be possible; null: of kind supabase 30 days, of others nothing is asked';
COMMENT ON COLUMN @extschema@.backup_target.critical_tables IS 'tables that must be in the backup with their data, as SQL writes their names; null: none are named';
COMMENT ON COLUMN @extschema@.backup_target.repository IS
'kinds barman, pgbackrest, walg: directory in which the tool keeps its backups (repo1-path of pgBackRest, barman_home, or the directory that WALG_FILE_PREFIX names), below one of voxanne_ops.backup_directories, to be looked at as well; null: only what the tool says is known';
COMMENT ON COLUMN @extschema@.backup_target.external IS
'it is verified elsewhere and the results come by record_verification(): the worker does not verify it unless asked by name, location is not checked, and verify_interval, or status_interval for a kind without level verify, says how often results are expected';
COMMENT ON COLUMN @extschema@.backup_target.retention IS 'age at which its rows in backup_verification_log are deleted; null: voxanne_ops.log_retention';
COMMENT ON COLUMN @extschema@.backup_target.paused_at IS 'since when it is not verified; null: it is';
COMMENT ON COLUMN @extschema@.backup_target.paused_reason IS 'why it is not verified';
COMMENT ON COLUMN @extschema@.backup_target.requested_at IS 'when request_verification() queued it; null: it is not queued';
COMMENT ON COLUMN @extschema@.backup_target.requested_level IS 'for which level; null: it is not queued';
COMMENT ON COLUMN @extschema@.backup_target.system_identifier IS
'the cluster in which the target was added or last resumed; in any other, as after restoring a dump elsewhere, the target is suspended until resume_backup_target()';
COMMENT ON COLUMN @extschema@.backup_target.created_at IS 'when it was added';

CREATE TABLE @extschema@.backup_verification_log (
	id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
	verified_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	backup_id text,
	backup_age_hours numeric,
	backup_size_mb numeric,
	status text NOT NULL,
	checks_passed integer NOT NULL DEFAULT 0,
	checks_failed integer NOT NULL DEFAULT 0,
	error_details jsonb,
	verification_details jsonb,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	target text,
	level text,
	proof text,
	duration interval,
	rpo interval,
	rto interval,
	CONSTRAINT backup_verification_log_pkey PRIMARY KEY (id),
	CONSTRAINT backup_verification_log_status CHECK (status IN ('success', 'warning', 'failure')),
	CONSTRAINT backup_verification_log_proof CHECK (proof IN ('listed', 'present', 'checksummed', 'restored'))
);
CREATE INDEX backup_verification_log_verified_at ON @extschema@.backup_verification_log (verified_at);
CREATE INDEX backup_verification_log_target ON @extschema@.backup_verification_log (target, verified_at);
ALTER TABLE @extschema@.backup_verification_log ENABLE ROW LEVEL SECURITY;
SELECT pg_catalog.pg_extension_config_dump('@extschema@.backup_verification_log', '');
GRANT SELECT ON @extschema@.backup_verification_log TO pg_monitor;
-- Without a policy row security would show a reader an empty log.  pg_dump leaves an extension's policies to its script.
CREATE POLICY voxanne_readers ON @extschema@.backup_verification_log FOR SELECT TO pg_monitor USING (true);

COMMENT ON TABLE @extschema@.backup_verification_log IS
'What each verification of a backup target showed. Each result is followed by a row for target "*", the worst of all targets, so that ORDER BY verified_at DESC LIMIT 1 answers for all. Rows older than the target''s retention, or voxanne_ops.log_retention, are deleted, but never the latest of a target at a level. Included in dumps.';
COMMENT ON COLUMN @extschema@.backup_verification_log.id IS 'also in the notification';
COMMENT ON COLUMN @extschema@.backup_verification_log.verified_at IS 'when the verification ended; that of row "*" is later than that of the target before it';
COMMENT ON COLUMN @extschema@.backup_verification_log.backup_id IS 'the backup that was verified, as its kind names it; null where none was found and for "*"';
COMMENT ON COLUMN @extschema@.backup_verification_log.backup_age_hours IS 'age of that backup''s end at verified_at, in hours; for "*" the oldest';
COMMENT ON COLUMN @extschema@.backup_verification_log.backup_size_mb IS 'size of its files, in MiB (2^20 bytes)';
COMMENT ON COLUMN @extschema@.backup_verification_log.status IS
'success, warning, or failure; failure also where nothing could be verified, which error_details tells apart';
COMMENT ON COLUMN @extschema@.backup_verification_log.checks_passed IS 'checks that ran and did not fail, those with a warning included; for "*" the sum over all targets';
COMMENT ON COLUMN @extschema@.backup_verification_log.checks_failed IS 'checks that failed or could not run; for "*" the sum over all targets';
COMMENT ON COLUMN @extschema@.backup_verification_log.error_details IS
'null on success; else an array with an object {check, result, detail, ...} for each check that failed or warned. A check named verifier_error, verifier_timeout, verifier_busy or version_mismatch says that the verification did not work, which is no statement about the backup. For "*" an object {target, status, detail} for each target that is not good';
COMMENT ON COLUMN @extschema@.backup_verification_log.verification_details IS 'all checks and what is known of the backup; "origin": "external" for what record_verification() was given; for "*" the state of each target';
COMMENT ON COLUMN @extschema@.backup_verification_log.created_at IS 'when the row was written';
COMMENT ON COLUMN @extschema@.backup_verification_log.target IS 'name of the target, or "*"';
COMMENT ON COLUMN @extschema@.backup_verification_log.level IS 'what was asked for: status or verify; for "*" that of the target before it';
COMMENT ON COLUMN @extschema@.backup_verification_log.proof IS
'what was shown: listed (something says that it exists) < present (all its files are there with their sizes) < checksummed < restored; null: nothing. For "*" the least of all targets';
COMMENT ON COLUMN @extschema@.backup_verification_log.duration IS 'how long the verification took';
COMMENT ON COLUMN @extschema@.backup_verification_log.rpo IS 'data loss measured by a restore; null where nothing was restored';
COMMENT ON COLUMN @extschema@.backup_verification_log.rto IS 'time to recover measured by a restore; null where nothing was restored';

CREATE FUNCTION @extschema@.add_backup_target(name text, kind text, location text, options jsonb DEFAULT '{}')
RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'voxanne_add_backup_target';
COMMENT ON FUNCTION @extschema@.add_backup_target(text, text, text, jsonb) IS
'Add a backup to verify: name (1 to 63 bytes), kind (basebackup: a directory written by pg_basebackup, plain or tar, or one that holds such; dump: a file or directory written by pg_dump or pg_dumpall, or a directory of them; http: an object; s3: the newest object below a prefix; supabase: what the Management API says; wal_archive: a directory that archive_command or pg_receivewal fills, the directory of a server of Barman, or a repository of pgBackRest, where max_age is how long the archive may be behind the server; barman, pgbackrest, walg: what the program says that voxanne_ops.barman_program, voxanne_ops.pgbackrest_program or voxanne_ops.walg_program names), location (absolute path below one of voxanne_ops.backup_directories, outside of the data directory, or a URL that begins with one of voxanne_ops.backup_urls, or the name of a server, a stanza or a configuration file; not looked at before the first verification), options: an object whose members are columns of backup_target, whose comments say what they mean: {"status_interval": "1 hour", "verify_interval": "1 day", "verify_window": null, "max_age": "24 hours", "time_limit": "10 minutes", "verify_time_limit": "6 hours", "min_size": null, "max_size_change": 0.10, "pitr_window": "30 days", "critical_tables": null, "repository": null, "external": false, "retention": null} are the defaults. Intervals are text, min_size a number or text with a unit, like "10 GB". A kind refuses options that it has no use for. It is due at once. ERROR 22023 for a bad argument, 42710 for a name that is taken.';

CREATE FUNCTION @extschema@.alter_backup_target(name text, options jsonb)
RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'voxanne_alter_backup_target';
COMMENT ON FUNCTION @extschema@.alter_backup_target(text, jsonb) IS
'Change options of the target called name: those that are given, as in add_backup_target(); null is the default. What is known of its backups stays. ERROR 22023 for a bad option or none, 42704 if there is no such target.';

CREATE FUNCTION @extschema@.pause_backup_target(name text, reason text)
RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'voxanne_pause_backup_target';
COMMENT ON FUNCTION @extschema@.pause_backup_target(text, text) IS
'Stop verifying a target until resume_backup_target(); backup_status() shows the reason, and CALL verify_backup(name) still works. ERROR 22023 without a reason, 42704 if there is no target of that name.';

CREATE FUNCTION @extschema@.resume_backup_target(name text)
RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'voxanne_resume_backup_target';
COMMENT ON FUNCTION @extschema@.resume_backup_target(text) IS
'Verify a target again that was paused, or that is suspended because it was added in another cluster; from now on its backups must be of this cluster. ERROR 42704 if there is no target of that name.';

CREATE FUNCTION @extschema@.remove_backup_target(name text)
RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'voxanne_remove_backup_target';
COMMENT ON FUNCTION @extschema@.remove_backup_target(text) IS
'Forget a target. Its rows in backup_verification_log stay, the backup is not touched. ERROR 42704 if there is no target of that name.';

CREATE PROCEDURE @extschema@.verify_backup(target text DEFAULT NULL, level text DEFAULT 'status')
LANGUAGE C AS 'MODULE_PATHNAME', 'voxanne_verify_backup';
COMMENT ON PROCEDURE @extschema@.verify_backup(text, text) IS
'Verify a target now, or all that are not paused, suspended or external and have the level: commits, runs voxanne_agent while it holds no snapshot, writes backup_verification_log, notifies on channel voxanne_ops and says in a NOTICE what it found. level: status (names and sizes; the default), or verify (also all contents, page checksums and WAL). ERROR 0A000 for a level that there is not, 25001 inside a transaction block, 42704 for an unknown target, 55000 without any.';

CREATE FUNCTION @extschema@.request_verification(target text DEFAULT NULL, level text DEFAULT 'status')
RETURNS integer
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'voxanne_request_verification';
COMMENT ON FUNCTION @extschema@.request_verification(text, text) IS
'Ask the background worker to verify a target, or all that are not paused, suspended or external and have the level, as soon as this transaction commits; returns at once how many were queued. level: as of verify_backup(). ERROR 0A000 for a level that there is not, 42704 for an unknown target, 55000 for one that is paused or suspended.';

CREATE FUNCTION @extschema@.record_verification(result json, target text DEFAULT NULL)
RETURNS text
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'voxanne_record_verification';
COMMENT ON FUNCTION @extschema@.record_verification(json, text) IS
'Record a verification that voxanne_agent --format json made elsewhere, as in a CI job beside a hosted database; result: its document, target: for which target, unless the document has a member "target". It is judged and told like one of our own, as verified now, and has "origin": "external" and "at", when it was made, in verification_details. Returns its status. ERROR 22023 for a document that is none of the agent''s, of another protocol, command, cluster or level than the target''s, from the future, older than a day or not newer than what is known of the target at that level; 42704 for an unknown target, 55000 for a suspended one, 54000 if it is longer than 4 MB.';

CREATE FUNCTION @extschema@.backup_status()
RETURNS TABLE (
	severity @extschema@.voxanne_severity, object text, detail text, advice text, remedy text, key text,
	target text, kind text, last_backup timestamptz, age interval, last_verified timestamptz,
	last_status text, proof text, next_due timestamptz, levels jsonb, sizes jsonb, recovery_window jsonb)
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'voxanne_backup_status';
GRANT EXECUTE ON FUNCTION @extschema@.backup_status() TO pg_monitor;
COMMENT ON FUNCTION @extschema@.backup_status() IS
'State of the backups: a row for each target with what was last shown of it, one for WAL archiving (object wal_archive), one for the background worker (object worker), one for alerts (object alerts) and, with voxanne_ops.heartbeat_url_file and preload, one for the heartbeat (object heartbeat). target, kind: as in backup_target. last_backup: when the backup that was last verified ended; age: since then; last_verified, last_status: of the last verification; proof: what was shown of that backup; next_due: when the worker verifies it again; levels: {level: {status, verified_at, check, next_due, last_good: {backup_id, finished_at, verified_at}}} of the last verification at each level, where check is the worst problem and last_good the newest backup that the level showed to be intact; sizes: [{backup_id, finished_at, size_mb, growth}] of the last 8 different backups that did not fail, the newest first, in MiB, growth against the one before as a fraction; recovery_window: what the last verification that looked at WAL says about the times to which a restore can go. What level verify found holds until it is run again. Without any target a critical row says how to add one. Read-only; works on a standby and without preload. Severities: a backup older than max_age is a warning, than twice that critical; a failed last verification is critical; never or no longer verified, alerts not delivered after three attempts and a lost heartbeat are warnings.';

-- The workers.

CREATE FUNCTION @extschema@._voxanne_backup_target_changed() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'voxanne_backup_target_changed';
COMMENT ON FUNCTION @extschema@._voxanne_backup_target_changed() IS
'Trigger of backup_target: wakes the background worker once the change has been committed. Not for use elsewhere.';
CREATE TRIGGER backup_target_changed
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON @extschema@.backup_target
	FOR EACH STATEMENT EXECUTE FUNCTION @extschema@._voxanne_backup_target_changed();

CREATE PROCEDURE @extschema@.await_verification()
LANGUAGE C AS 'MODULE_PATHNAME', 'voxanne_await_verification';
COMMENT ON PROCEDURE @extschema@.await_verification() IS
'Have the background worker verify what is due in this database and return when the results are in backup_verification_log, after request_verification() for example. Holds no snapshot while it waits; statement_timeout bounds the wait. ERROR 25001 inside a transaction block; 55000 without preload, on a standby, if voxanne_ops.databases does not list this database, or if the worker does not come or does not take the database up within 10 s; 58000 if the cycle itself failed, which says nothing about the backups.';

CREATE FUNCTION @extschema@._voxanne_verification_progress()
RETURNS TABLE (
	database text, level text, phase text, pid integer, last_start timestamptz, last_end timestamptz, last_result text,
	last_error text, next_due timestamptz, cycles bigint, scheduler_pid integer, scheduler_wakeups bigint,
	target text, done_mb bigint, total_mb bigint)
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'voxanne_verification_progress';
GRANT EXECUTE ON FUNCTION @extschema@._voxanne_verification_progress() TO pg_monitor;
COMMENT ON FUNCTION @extschema@._voxanne_verification_progress() IS
'Rows of the view backup_verification_progress.';

CREATE VIEW @extschema@.backup_verification_progress AS
SELECT * FROM @extschema@._voxanne_verification_progress();
GRANT SELECT ON @extschema@.backup_verification_progress TO pg_monitor;
COMMENT ON VIEW @extschema@.backup_verification_progress IS
'What the background worker does: two rows for each database of voxanne_ops.databases, as it may verify at both levels at once, of whatever database it is asked; and what sessions do that CALL verify_backup(): a row for each, with phase "called". ERROR 55000 without preload; no rows where the scheduler does not run, as on a standby.';
COMMENT ON COLUMN @extschema@.backup_verification_progress.database IS 'name, as in voxanne_ops.databases';
COMMENT ON COLUMN @extschema@.backup_verification_progress.level IS 'status or verify: what the rest of the row is about';
COMMENT ON COLUMN @extschema@.backup_verification_progress.phase IS
'idle; starting; planning (connected to the database, reads what is due); running (verifies; nobody is connected); recording (connected, writes the log); alerting (at level status: nothing is verified at that, and alerts or the heartbeat are posted; nobody is connected but, for a moment, to read them and to note what came of it); called (a session verifies, whose pid it is; it has no cycles)';
COMMENT ON COLUMN @extschema@.backup_verification_progress.pid IS 'of the verifier, as in pg_stat_activity, or while alerting of the messenger, or of the session; null when idle';
COMMENT ON COLUMN @extschema@.backup_verification_progress.last_start IS 'when the present or last cycle began, or the session''s verification of the target; null: none since the server started';
COMMENT ON COLUMN @extschema@.backup_verification_progress.last_end IS 'when the last cycle ended';
COMMENT ON COLUMN @extschema@.backup_verification_progress.last_result IS
'recorded; nothing due; no such database; database allows no connections; extension not installed; failed (the cycle itself; what it found of the backups is in backup_verification_log)';
COMMENT ON COLUMN @extschema@.backup_verification_progress.last_error IS 'why the last cycle failed; null if it did not';
COMMENT ON COLUMN @extschema@.backup_verification_progress.next_due IS 'when the next cycle begins if nothing changes; null: only when something does, or after voxanne_ops.rescan_interval';
COMMENT ON COLUMN @extschema@.backup_verification_progress.cycles IS 'that ended since the server started';
COMMENT ON COLUMN @extschema@.backup_verification_progress.scheduler_pid IS 'of the scheduler, the same in all rows; null: it does not run';
COMMENT ON COLUMN @extschema@.backup_verification_progress.scheduler_wakeups IS 'how often it woke since the server started, the same in all rows';

COMMENT ON COLUMN @extschema@.backup_verification_progress.target IS 'that is verified; null while none is';
COMMENT ON COLUMN @extschema@.backup_verification_progress.done_mb IS 'of its contents, in MB (10^6 bytes), read so far; null where nothing is known of it, as at level status';
COMMENT ON COLUMN @extschema@.backup_verification_progress.total_mb IS 'of its contents, to be read';

-- The last statement of this part: what a new installation holds is due.
CREATE FUNCTION @extschema@._voxanne_extension_created() RETURNS void
LANGUAGE C AS 'MODULE_PATHNAME', 'voxanne_extension_created';
COMMENT ON FUNCTION @extschema@._voxanne_extension_created() IS
'Wakes the background worker once CREATE EXTENSION has been committed.';
SELECT @extschema@._voxanne_extension_created();
DROP FUNCTION @extschema@._voxanne_extension_created();
