-- core: the extension's objects, their owner-only privileges, the order of severities.
SELECT 'info'::voxanne_severity < 'warning' AND 'warning'::voxanne_severity < 'critical' AS ordered;
-- library, SQL objects and agent are of one version, and the SQL objects say so
SELECT library = sql AND agent = library AS same, sql = (SELECT extversion FROM pg_extension WHERE extname = 'voxanne_ops') AS named,
    preloaded = (advice IS NULL) AS advised FROM voxanne_ops_version();
SET voxanne_ops.agent_path = '/nonexistent/voxanne_agent';
SELECT library IS NOT NULL AS library, agent, advice LIKE 'The agent does not answer: %Install it%' AS advised FROM voxanne_ops_version();
RESET voxanne_ops.agent_path;
-- a reader sees the log, a stranger nothing
INSERT INTO backup_verification_log (verified_at, status, checks_passed, checks_failed, target, level)
    VALUES ('2026-01-01 00:00Z', 'success', 1, 0, 'seen', 'status');
CREATE ROLE regress_voxanne_reader IN ROLE pg_monitor;
CREATE ROLE regress_voxanne_stranger;
SET ROLE regress_voxanne_reader;
SELECT target, status FROM backup_verification_log WHERE target = 'seen';
SET ROLE regress_voxanne_stranger;
SELECT target, status FROM backup_verification_log WHERE target = 'seen';
SELECT library FROM voxanne_ops_version();
RESET ROLE;
DROP ROLE regress_voxanne_reader, regress_voxanne_stranger;
DELETE FROM backup_verification_log WHERE target = 'seen';
