-- core: the extension's objects, their owner-only privileges, the order of severities.
SELECT 'info'::voxanne_severity < 'warning' AND 'warning'::voxanne_severity < 'critical' AS ordered;
