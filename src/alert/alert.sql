-- alert: telling the world when a backup target turns bad or good.

CREATE FUNCTION @extschema@.test_alert(severity @extschema@.voxanne_severity DEFAULT 'info')
RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'voxanne_test_alert';
COMMENT ON FUNCTION @extschema@.test_alert(@extschema@.voxanne_severity) IS
'Post an alert of that severity, which says that it is a test, to the URL in the file voxanne_ops.webhook_url_file. Returns once it has been delivered. ERROR 55000 if the setting is empty, 58000 with the reason if it did not arrive within 15 s.';
