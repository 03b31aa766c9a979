-- core: the vocabulary of every room.

CREATE TYPE @extschema@.voxanne_severity AS ENUM ('info', 'warning', 'critical');
COMMENT ON TYPE @extschema@.voxanne_severity IS
'How bad a finding is (runbook 5.2): info = review daily, warning = within an hour, critical = respond immediately. Compares in this order.';

-- For this script alone, which drops it once it has run.
CREATE FUNCTION @extschema@.voxanne_reset_privileges() RETURNS void
LANGUAGE C AS 'MODULE_PATHNAME', 'voxanne_reset_privileges';
COMMENT ON FUNCTION @extschema@.voxanne_reset_privileges() IS
'Takes every privilege on every object of the extension away from everybody but its owner. ERROR 55000 outside of the extension''s script.';

