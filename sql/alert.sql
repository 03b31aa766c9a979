-- What alert_outbox and test_alert() refuse, without a network.
SET search_path = public, pg_catalog;
BEGIN;
INSERT INTO alert_outbox (created_at, severity, message, subject, key, event, since, open, next_attempt_at, details)
VALUES (now(), 'critical', 'CRITICAL [x] nightly: bad', 'nightly', 'backup_failed:nightly', 'problem', now(), true, now(), '{}');
SELECT severity, subject, event, open, attempts, sent_at IS NULL AS waits, outcome FROM alert_outbox;
-- it waits for a webhook, whether there is one or not; without, the remedy gives it up
SELECT key = CASE current_setting('voxanne_ops.webhook_url_file') WHEN '' THEN 'alerts_failing:alerts' ELSE 'alerts_ok:alerts' END AS key,
  detail LIKE '1 alert is not delivered yet, the oldest is from % ago.%' AS detail
FROM backup_status() WHERE object = 'alerts';
\set VERBOSITY terse
SAVEPOINT s;
-- one open row a subject
INSERT INTO alert_outbox (created_at, severity, message, subject, key, event, since, open, next_attempt_at, details)
SELECT created_at, severity, message, subject, key, event, since, open, next_attempt_at, details FROM alert_outbox;
ROLLBACK TO s;
-- what is delivered is not tried again, what is not is
UPDATE alert_outbox SET sent_at = now();
ROLLBACK TO s;
UPDATE alert_outbox SET next_attempt_at = NULL;
ROLLBACK TO s;
UPDATE alert_outbox SET event = 'noise';
ROLLBACK TO s;
SELECT coalesce(remedy, 'DELETE FROM public.alert_outbox WHERE sent_at IS NULL;') AS remedy FROM backup_status() WHERE object = 'alerts' \gexec
SELECT key IN ('alerts_off:alerts', 'alerts_ok:alerts') AS quiet FROM backup_status() WHERE object = 'alerts';
ROLLBACK;
\set VERBOSITY default

-- nothing is written by looking
SELECT count(*) FROM alert_outbox;

-- settings are not for everybody
CREATE ROLE alert_nobody;
SET ROLE alert_nobody;
SELECT count(*) FROM pg_settings WHERE name IN ('voxanne_ops.webhook_url_file', 'voxanne_ops.heartbeat_url_file');
SET voxanne_ops.webhook_url_file = '/tmp/x';
SELECT count(*) FROM alert_outbox;
SELECT test_alert();
RESET ROLE;
DROP ROLE alert_nobody;

SELECT test_alert(NULL);
SELECT test_alert('loud');
SET voxanne_ops.alert_repeat_critical = 1;
ALTER SYSTEM SET voxanne_ops.heartbeat_url_file = 'relative/path';
SELECT name, boot_val, unit, context FROM pg_settings WHERE name LIKE 'voxanne\_ops.alert\_%' ORDER BY name;
