-- alert: telling the world when a backup target turns bad or good.

CREATE TABLE @extschema@.alert_outbox (
	id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
	created_at timestamptz NOT NULL,
	severity @extschema@.voxanne_severity NOT NULL,
	message text NOT NULL,
	subject text NOT NULL,
	key text NOT NULL,
	event text NOT NULL,
	since timestamptz NOT NULL,
	open boolean NOT NULL,
	attempts integer NOT NULL DEFAULT 0,
	next_attempt_at timestamptz,
	sent_at timestamptz,
	outcome text,
	details jsonb NOT NULL,
	CONSTRAINT alert_outbox_pkey PRIMARY KEY (id),
	CONSTRAINT alert_outbox_event CHECK (event IN ('problem', 'reminder', 'recovery', 'removal')),
	CONSTRAINT alert_outbox_sent CHECK ((sent_at IS NULL) = (next_attempt_at IS NOT NULL))
);
CREATE UNIQUE INDEX alert_outbox_open ON @extschema@.alert_outbox (subject) WHERE open;
CREATE INDEX alert_outbox_unsent ON @extschema@.alert_outbox (subject, created_at) WHERE sent_at IS NULL;
ALTER TABLE @extschema@.alert_outbox ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE @extschema@.alert_outbox IS
'Alerts for the URL in voxanne_ops.webhook_url_file, one row each, written in the transaction that records the verification. Each is posted until it was delivered, so at least once; the receiver can tell a repetition by its id. Delivered rows older than voxanne_ops.alert_retention are deleted, but not the latest word on a problem that is not over. To give one up, delete its row. Not in dumps: a restored copy must not tell what its origin had to tell.';
COMMENT ON COLUMN @extschema@.alert_outbox.id IS 'in the message too, the same in every attempt';
COMMENT ON COLUMN @extschema@.alert_outbox.created_at IS 'when it was found to be told';
COMMENT ON COLUMN @extschema@.alert_outbox.severity IS 'critical: respond now; warning: review within an hour; info: what was told is over';
COMMENT ON COLUMN @extschema@.alert_outbox.message IS 'the text for people';
COMMENT ON COLUMN @extschema@.alert_outbox.subject IS 'what it is about: the name of a backup target';
COMMENT ON COLUMN @extschema@.alert_outbox.key IS 'the finding in backup_status(); while it stays the same nothing new is told but reminders';
COMMENT ON COLUMN @extschema@.alert_outbox.event IS
'problem: the subject turned bad, or its key or severity is another; reminder: voxanne_ops.alert_repeat_critical or _warning has passed since it was told; recovery: it is good again; removal: nobody verifies it any more';
COMMENT ON COLUMN @extschema@.alert_outbox.since IS 'when the subject turned bad';
COMMENT ON COLUMN @extschema@.alert_outbox.open IS 'the latest word on a problem that is not over; at most one row of a subject';
COMMENT ON COLUMN @extschema@.alert_outbox.attempts IS 'to deliver it that have ended';
COMMENT ON COLUMN @extschema@.alert_outbox.next_attempt_at IS
'when it is tried next, unless an earlier alert on the subject has to go first; while it is being posted, when it counts as not delivered; null: it was delivered';
COMMENT ON COLUMN @extschema@.alert_outbox.sent_at IS 'when it was delivered; null: not yet';
COMMENT ON COLUMN @extschema@.alert_outbox.outcome IS 'what came of the last attempt, without the URL''s path; null: none has ended';
COMMENT ON COLUMN @extschema@.alert_outbox.details IS 'what the message has besides text and id';

CREATE FUNCTION @extschema@.test_alert(severity @extschema@.voxanne_severity DEFAULT 'info')
RETURNS text
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'voxanne_test_alert';
COMMENT ON FUNCTION @extschema@.test_alert(@extschema@.voxanne_severity) IS
'Post an alert of that severity, which says that it is a test, to the URL in the file voxanne_ops.webhook_url_file, past alert_outbox. Returns what came back once it has been delivered: the HTTP status and the beginning of the answer. ERROR 55000 if the setting is empty, 58000 with the reason if it did not arrive within 15 s.';
