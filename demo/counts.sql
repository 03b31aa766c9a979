-- How much each check finds, by severity.
SELECT check_function AS "function",
       count(*) FILTER (WHERE severity = 'critical') AS critical,
       count(*) FILTER (WHERE severity = 'warning') AS warning,
       count(*) FILTER (WHERE severity = 'info') AS info
  FROM (SELECT 1 AS n, 'find_duplicate_appointments()' AS check_function, severity FROM find_duplicate_appointments()
        UNION ALL
        SELECT 2, 'find_duplicates(''contacts'', ''{org_id,phone}'')', severity FROM find_duplicates('contacts', '{org_id,phone}')
        UNION ALL
        SELECT 3, 'find_orphans()', severity FROM find_orphans()
        UNION ALL
        SELECT 4, 'find_invalid_data()', severity FROM find_invalid_data()
        UNION ALL
        SELECT 5, 'rls_audit()', severity FROM rls_audit()
        UNION ALL
        SELECT 6, 'blocking_locks()', severity FROM blocking_locks()) AS found
       RIGHT JOIN (VALUES (1, 'find_duplicate_appointments()'), (2, 'find_duplicates(''contacts'', ''{org_id,phone}'')'),
                          (3, 'find_orphans()'), (4, 'find_invalid_data()'), (5, 'rls_audit()'), (6, 'blocking_locks()')) AS called (n, check_function)
       USING (n, check_function)
 GROUP BY n, check_function
 ORDER BY n;
