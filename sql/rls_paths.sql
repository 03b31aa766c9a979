-- rls_paths: what policies depend on, and ways around them; what a session meets bears each finding out.
\getenv srcdir PG_ABS_SRCDIR
\set file :srcdir '/sql/common/supabase.psql'
\set ECHO none
\i :file
\set ECHO all
CREATE SCHEMA rls_paths;
GRANT USAGE ON SCHEMA rls_paths TO anon, authenticated;
SET search_path = rls_paths, public;
CREATE TABLE appointments (id int, org_id uuid NOT NULL);
INSERT INTO appointments VALUES (1, 'aaaaaaaa-0000-0000-0000-000000000000'), (2, 'bbbbbbbb-0000-0000-0000-000000000000');
ALTER TABLE appointments ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON appointments TO authenticated;
CREATE POLICY tenant ON appointments USING (org_id = (SELECT public.auth_org_id()));
CREATE TABLE profiles (id uuid, org_id uuid NOT NULL);
INSERT INTO profiles VALUES ('00000000-0000-0000-0000-000000000001', 'aaaaaaaa-0000-0000-0000-000000000000');
ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON profiles TO authenticated;
CREATE POLICY own ON profiles FOR SELECT USING (id = (SELECT auth.uid()));
CREATE TABLE calls (id int, org_id uuid NOT NULL);
INSERT INTO calls VALUES (1, 'aaaaaaaa-0000-0000-0000-000000000000'), (2, 'bbbbbbbb-0000-0000-0000-000000000000');
ALTER TABLE calls ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON calls TO authenticated;
CREATE POLICY tenant ON calls FOR SELECT USING (org_id = (SELECT p.org_id FROM profiles p WHERE p.id = auth.uid()));
-- An owner whom no policy binds, whatever the name of the test's superuser.
CREATE ROLE regress_rls_admin BYPASSRLS;
GRANT USAGE ON SCHEMA rls_paths, auth TO regress_rls_admin;
CREATE VIEW public.rls_paths_findings AS SELECT * FROM rls_audit('{rls_paths}') WHERE check_name <> 'login_bypasses_rls';
SELECT key FROM rls_paths_findings;
-- Counts the rows of a relation that user 1 of tenant A sees, or says why not.
CREATE FUNCTION public.rls_paths_sees(rel text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n text;
BEGIN
	PERFORM set_config('request.jwt.claims', '{"role": "authenticated", "sub": "00000000-0000-0000-0000-000000000001",
		"app_metadata": {"org_id": "aaaaaaaa-0000-0000-0000-000000000000"}}', true);
	PERFORM set_config('role', 'authenticated', true);
	EXECUTE 'SELECT count(*) FROM ' || rel INTO n;
	RAISE EXCEPTION USING ERRCODE = 'YYYYY', MESSAGE = n || ' rows';
EXCEPTION
	WHEN SQLSTATE 'YYYYY' THEN RETURN SQLERRM;
	WHEN OTHERS THEN RETURN SQLSTATE;
END $$;
SELECT public.rls_paths_sees('appointments'), public.rls_paths_sees('calls');

-- EXECUTE taken from the helper, SELECT from the table of members, its policy lost (18).
REVOKE EXECUTE ON FUNCTION public.auth_org_id() FROM PUBLIC;
SELECT severity, key, role, verdict, detail, remedy FROM rls_paths_findings;
SELECT public.rls_paths_sees('appointments');
SELECT remedy FROM rls_paths_findings \gexec
SELECT public.rls_paths_sees('appointments'), (SELECT count(*) FROM rls_paths_findings) AS findings;
REVOKE SELECT ON profiles FROM authenticated;
SELECT severity, key, role, verdict, detail, remedy FROM rls_paths_findings;
SELECT public.rls_paths_sees('calls');
SELECT remedy FROM rls_paths_findings \gexec
SELECT public.rls_paths_sees('calls'), (SELECT count(*) FROM rls_paths_findings) AS findings;
ALTER POLICY own ON profiles TO service_role;
SELECT severity, key, role, verdict, detail, remedy FROM rls_paths_findings;
SELECT public.rls_paths_sees('calls');
ALTER POLICY own ON profiles TO public;

-- Policies that come back to their table (9): by themselves, through another table, through a view that runs as
-- whoever asks; not through a function whose owner they do not bind, nor through a view that runs as its owner.
CREATE TABLE roles_a (user_id uuid, org_id uuid NOT NULL);
ALTER TABLE roles_a ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON roles_a TO authenticated;
CREATE POLICY self ON roles_a USING (org_id IN (SELECT r.org_id FROM roles_a r WHERE r.user_id = auth.uid()));
SELECT severity, key, verdict, detail FROM rls_paths_findings;
SELECT public.rls_paths_sees('roles_a');
CREATE TABLE roles_b (user_id uuid, org_id uuid NOT NULL);
ALTER TABLE roles_b ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON roles_b TO authenticated;
CREATE POLICY other ON roles_b USING (org_id IN (SELECT r.org_id FROM roles_a r WHERE r.user_id = auth.uid()));
ALTER POLICY self ON roles_a USING (org_id IN (SELECT r.org_id FROM roles_b r WHERE r.user_id = auth.uid()));
SELECT severity, key, verdict, detail FROM rls_paths_findings;
SELECT public.rls_paths_sees('roles_a'), public.rls_paths_sees('roles_b');
CREATE VIEW mine WITH (security_invoker = true) AS SELECT * FROM roles_a WHERE user_id = auth.uid();
GRANT SELECT ON mine TO authenticated;
GRANT SELECT ON roles_a, appointments TO regress_rls_admin;
ALTER VIEW mine OWNER TO regress_rls_admin;
ALTER POLICY self ON roles_a USING (org_id IN (SELECT m.org_id FROM mine m));
ALTER POLICY other ON roles_b USING (org_id = (SELECT public.auth_org_id()));
SELECT severity, key, verdict, detail FROM rls_paths_findings;
SELECT public.rls_paths_sees('roles_a'), public.rls_paths_sees('roles_b');
ALTER VIEW mine SET (security_invoker = false);
REVOKE SELECT ON mine FROM authenticated;
GRANT SELECT (org_id) ON mine TO authenticated;
SELECT severity, key, verdict, detail FROM rls_paths_findings;
SELECT public.rls_paths_sees('roles_a');
CREATE FUNCTION my_orgs() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER AS
	$$ SELECT org_id FROM rls_paths.roles_a WHERE user_id = auth.uid() $$;
ALTER POLICY self ON roles_a USING (org_id IN (SELECT rls_paths.my_orgs()));
DROP VIEW mine;
SELECT severity, key FROM rls_paths_findings;
SELECT public.rls_paths_sees('roles_a');

-- A policy for INSERT may look into its own table, as a quota does: to read that ends, unless the policies for SELECT
-- have a subselect, into whatever; then nothing can be inserted, though all can be read.
CREATE FUNCTION public.rls_paths_does(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n int;
BEGIN
	PERFORM set_config('request.jwt.claims', '{"app_metadata": {"org_id": "aaaaaaaa-0000-0000-0000-000000000000"}}', true);
	PERFORM set_config('role', 'authenticated', true);
	EXECUTE statement;
	GET DIAGNOSTICS n = ROW_COUNT;
	RAISE EXCEPTION USING ERRCODE = 'YYYYY', MESSAGE = n || ' rows';
EXCEPTION
	WHEN SQLSTATE 'YYYYY' THEN RETURN SQLERRM;
	WHEN OTHERS THEN RETURN SQLSTATE;
END $$;
CREATE TABLE quota (id int, org_id uuid NOT NULL);
INSERT INTO quota VALUES (1, 'aaaaaaaa-0000-0000-0000-000000000000');
ALTER TABLE quota ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON quota TO authenticated;
CREATE POLICY own ON quota FOR SELECT USING (org_id = public.auth_org_id());
CREATE POLICY few ON quota FOR INSERT WITH CHECK (org_id = public.auth_org_id() AND (SELECT count(*) FROM quota) < 100);
CREATE POLICY open ON quota FOR UPDATE USING (org_id = public.auth_org_id() AND EXISTS (SELECT FROM quota q WHERE q.id > 0));
SELECT key FROM rls_paths_findings;
SELECT public.rls_paths_does('INSERT INTO quota VALUES (2, public.auth_org_id())'),
	public.rls_paths_does('UPDATE quota SET id = 2'), public.rls_paths_sees('quota');
ALTER POLICY own ON quota USING (org_id = (SELECT public.auth_org_id()));
SELECT severity, key, command, verdict, detail FROM rls_paths_findings;
SELECT public.rls_paths_does('INSERT INTO quota VALUES (2, public.auth_org_id())'),
	public.rls_paths_does('UPDATE quota SET id = 2'), public.rls_paths_sees('quota');
DROP TABLE quota;
DROP FUNCTION public.rls_paths_does(text);

-- Views (19): one that runs as its owner, below one that runs as whoever asks; figures; stored rows.
CREATE VIEW base AS SELECT * FROM appointments;
CREATE VIEW api WITH (security_invoker = true) AS SELECT * FROM base;
GRANT SELECT ON api, base TO authenticated;
CREATE VIEW figures AS SELECT org_id, count(*) FROM appointments GROUP BY org_id;
GRANT SELECT ON figures TO anon, authenticated;
CREATE MATERIALIZED VIEW stored AS SELECT * FROM appointments;
GRANT SELECT ON stored TO authenticated;
GRANT CREATE ON SCHEMA rls_paths TO regress_rls_admin;
ALTER VIEW base OWNER TO regress_rls_admin;
ALTER VIEW figures OWNER TO regress_rls_admin;
SELECT severity, key, role, verdict, detail, remedy FROM rls_paths_findings;
SELECT public.rls_paths_sees('api'), public.rls_paths_sees('base'), public.rls_paths_sees('figures'), public.rls_paths_sees('stored');
SELECT remedy FROM rls_paths_findings \gexec
SELECT key FROM rls_paths_findings;
SELECT public.rls_paths_sees('api'), public.rls_paths_sees('base'), public.rls_paths_sees('figures'), public.rls_paths_sees('stored');
-- Quiet: security_invoker in any spelling; an owner whom the policies bind; a view over an invoker's view.
CREATE ROLE regress_rls_plain;
GRANT USAGE ON SCHEMA rls_paths, auth TO regress_rls_plain;
GRANT EXECUTE ON FUNCTION public.auth_org_id() TO regress_rls_plain;
GRANT SELECT ON appointments TO regress_rls_plain;
ALTER VIEW base SET (security_invoker = t);
ALTER VIEW figures RESET (security_invoker);
ALTER VIEW figures OWNER TO regress_rls_plain;
SELECT key FROM rls_paths_findings;
SELECT public.rls_paths_sees('base'), public.rls_paths_sees('figures');
-- An owner whom the policies bind, but to nothing.
CREATE POLICY service ON appointments FOR SELECT TO regress_rls_plain USING (true);
SELECT severity, key, role, verdict, detail, remedy FROM rls_paths_findings;
SELECT public.rls_paths_sees('figures');
SELECT remedy FROM rls_paths_findings \gexec
SELECT public.rls_paths_sees('figures'), (SELECT count(*) FROM rls_paths_findings) AS findings;
DROP POLICY service ON appointments;
ALTER VIEW figures RESET (security_invoker);
-- A view that tests the caller itself: a note.
CREATE VIEW own_test AS SELECT * FROM appointments WHERE org_id = public.auth_org_id();
GRANT SELECT ON own_test TO authenticated;
ALTER VIEW own_test OWNER TO regress_rls_admin;
GRANT EXECUTE ON FUNCTION public.auth_org_id() TO regress_rls_admin;
SELECT severity, key, verdict, detail, remedy FROM rls_paths_findings;
SELECT public.rls_paths_sees('own_test');
SELECT remedy FROM rls_paths_findings \gexec
SELECT key FROM rls_paths_findings;

-- Foreign tables, which have no row security, where the role or PUBLIC has a user mapping or nobody needs one.
CREATE FOREIGN DATA WRAPPER rls_paths_wrapper;
CREATE SERVER rls_paths_server FOREIGN DATA WRAPPER rls_paths_wrapper;
CREATE FOREIGN TABLE far (id int, org_id uuid) SERVER rls_paths_server;
CREATE FOREIGN TABLE far_zones (id int) SERVER rls_paths_server;
SELECT key FROM rls_paths_findings;
GRANT SELECT, UPDATE ON far TO authenticated;
GRANT SELECT (id) ON far_zones TO anon, authenticated;
SELECT severity, key, role, verdict, detail, remedy, metadata FROM rls_paths_findings;
CREATE USER MAPPING FOR regress_rls_admin SERVER rls_paths_server;
SELECT key FROM rls_paths_findings;
CREATE USER MAPPING FOR anon SERVER rls_paths_server;
SELECT key, role FROM rls_paths_findings;
CREATE USER MAPPING FOR PUBLIC SERVER rls_paths_server;
SELECT key, role FROM rls_paths_findings;
SELECT remedy FROM rls_paths_findings \gexec
SELECT key FROM rls_paths_findings;
SET client_min_messages = warning;
DROP FOREIGN DATA WRAPPER rls_paths_wrapper CASCADE;
RESET client_min_messages;

-- TRUNCATE (25): one finding per role; granted to PUBLIC it is not taken from one role alone.
GRANT TRUNCATE ON appointments, calls TO authenticated;
SELECT severity, key, verdict, detail, remedy FROM rls_paths_findings;
SELECT remedy FROM rls_paths_findings \gexec
SELECT key FROM rls_paths_findings;
GRANT TRUNCATE ON calls TO PUBLIC;
SELECT key, remedy FROM rls_paths_findings;
REVOKE TRUNCATE ON calls FROM PUBLIC;

-- A large table without an index that begins with the tenant.
CREATE TABLE large (id int, org_id uuid NOT NULL);
INSERT INTO large SELECT i, 'aaaaaaaa-0000-0000-0000-000000000000' FROM generate_series(1, 10000) i;
CREATE INDEX ON large (id, org_id);
CREATE INDEX ON large (org_id) WHERE id > 5;
ALTER TABLE large ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON large TO authenticated;
CREATE POLICY tenant ON large USING (org_id = (SELECT public.auth_org_id()));
VACUUM ANALYZE large;
SELECT severity, key, verdict, detail, remedy FROM rls_paths_findings;
SELECT remedy FROM rls_paths_findings \gexec
SELECT key FROM rls_paths_findings;

RESET search_path;
SET client_min_messages = warning;
DROP VIEW public.rls_paths_findings;
DROP FUNCTION public.rls_paths_sees(text);
DROP SCHEMA rls_paths CASCADE;
REVOKE ALL ON SCHEMA auth FROM regress_rls_plain, regress_rls_admin;
REVOKE ALL ON FUNCTION public.auth_org_id() FROM regress_rls_plain, regress_rls_admin;
DROP ROLE regress_rls_plain, regress_rls_admin;
\set file :srcdir '/sql/common/supabase_drop.psql'
\set ECHO none
\i :file
