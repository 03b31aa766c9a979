-- policy: what row security really lets through, and to whom.

CREATE FUNCTION @extschema@.rls_audit(
	schemas name[] DEFAULT '{public}',
	roles name[] DEFAULT '{anon,authenticated}',
	tenant_column name DEFAULT 'org_id',
	OUT severity @extschema@.voxanne_severity,
	OUT object text,
	OUT detail text,
	OUT advice text,
	OUT remedy text,
	OUT key text,
	OUT check_name text,
	OUT relation text,
	OUT policy name,
	OUT role name,
	OUT command text,
	OUT verdict text,
	OUT runbook text,
	OUT metadata jsonb)
RETURNS SETOF record
LANGUAGE C AS 'MODULE_PATHNAME', 'voxanne_rls_audit';
COMMENT ON FUNCTION @extschema@.rls_audit(name[], name[], name) IS
'Leaks and lockouts of row security (runbook 1.5), one row per finding, most severe first. Reads catalogs only and runs nothing that a user wrote.
schemas: where to look. roles: those that the application''s users act as ("public" stands for PUBLIC; a role that does not exist gives check_skipped; if none exists, PUBLIC is audited). tenant_column: the column that names the tenant.
Effective predicates are composed by the server itself for each role and statement, and judged as trees. Own columns: check_name (the first part of key), relation and policy concerned, role (NULL: several, see metadata), command, verdict (leak, lockout, error, performance, hygiene), metadata ("can": what each role can do with other tenants'' rows; "without_where": only by a statement without WHERE; "access": privileges held), runbook (the section).
Errors: 3F000 unknown schema, 22004 null argument.';
GRANT EXECUTE ON FUNCTION @extschema@.rls_audit(name[], name[], name) TO pg_monitor;

CREATE FUNCTION @extschema@.rls_policies(
	schemas name[] DEFAULT '{public}',
	OUT relation text,
	OUT rls_enabled boolean,
	OUT rls_forced boolean,
	OUT policy name,
	OUT permissive boolean,
	OUT command text,
	OUT roles name[],
	OUT using_expr text,
	OUT check_expr text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT format('%I.%I', n.nspname, c.relname), c.relrowsecurity, c.relforcerowsecurity,
		p.polname, p.polpermissive,
		CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
			WHEN 'd' THEN 'DELETE' WHEN '*' THEN 'ALL' END,
		CASE WHEN p.polroles = '{0}' THEN '{public}'::name[]
			ELSE ARRAY(SELECT r.rolname FROM pg_roles r WHERE r.oid = ANY (p.polroles) ORDER BY r.rolname) END,
		pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid)
	FROM unnest(schemas) AS s(name)
	JOIN pg_namespace n ON n.oid = quote_ident(s.name)::regnamespace
	JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
	LEFT JOIN pg_policy p ON p.polrelid = c.oid
	WHERE NOT EXISTS (SELECT FROM pg_depend d
		WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e')
	ORDER BY n.nspname, c.relname, p.polname;
END;
COMMENT ON FUNCTION @extschema@.rls_policies(name[]) IS
'Every table of the schemas, but for those of extensions, with its row security switches and policies (runbook 1.5), one row per policy; a table without policies has one row with policy NULL. Unlike pg_policies it shows tables without policies, partitioned tables and whether row security is on, and all names carry their schemas. relation: the table. rls_enabled, rls_forced: its switches. permissive, command, roles: of the policy, {public} for PUBLIC. using_expr decides which rows are found, check_expr which may be written (NULL: using_expr does). Error 3F000 for an unknown schema; none are looked at if schemas is NULL.';
GRANT EXECUTE ON FUNCTION @extschema@.rls_policies(name[]) TO pg_monitor;
