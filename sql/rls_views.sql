-- rls_views: views that are granted for writing and write as their owner; what a session can do bears each finding out.
\getenv srcdir PG_ABS_SRCDIR
\set file :srcdir '/sql/common/supabase.psql'
\set ECHO none
\i :file
\set ECHO all
CREATE SCHEMA rls_views;
GRANT USAGE ON SCHEMA rls_views TO anon, authenticated;
SET search_path = rls_views, public;
-- An owner whom no policy binds, and one whom they do.
CREATE ROLE regress_views_admin BYPASSRLS;
CREATE ROLE regress_views_plain;
GRANT USAGE ON SCHEMA rls_views TO regress_views_admin, regress_views_plain;
CREATE TABLE calls (id int, org_id uuid NOT NULL);
INSERT INTO calls VALUES (1, 'aaaaaaaa-0000-0000-0000-000000000000'), (2, 'bbbbbbbb-0000-0000-0000-000000000000');
ALTER TABLE calls ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON calls USING (org_id = (SELECT public.auth_org_id()));
GRANT ALL ON calls TO authenticated, regress_views_admin, regress_views_plain;
GRANT EXECUTE ON FUNCTION public.auth_org_id() TO regress_views_admin, regress_views_plain;
GRANT CREATE ON SCHEMA rls_views TO regress_views_admin, regress_views_plain;
CREATE VIEW found AS SELECT severity, check_name, relation, role, command, verdict, detail, remedy
FROM rls_audit('{rls_views}') WHERE check_name <> 'login_bypasses_rls';
-- How many rows of tenant B a statement of tenant A's user leaves or makes: 1 if it does nothing to them.
CREATE FUNCTION public.rls_views_left(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n text;
BEGIN
	PERFORM set_config('request.jwt.claims', '{"app_metadata": {"org_id": "aaaaaaaa-0000-0000-0000-000000000000"}}', true);
	PERFORM set_config('role', 'authenticated', true);
	EXECUTE statement;
	PERFORM set_config('role', 'none', true);
	SELECT count(*) INTO n FROM rls_views.calls WHERE org_id = 'bbbbbbbb-0000-0000-0000-000000000000' AND id < 10;
	RAISE EXCEPTION USING ERRCODE = 'YYYYY', MESSAGE = n;
EXCEPTION
	WHEN SQLSTATE 'YYYYY' THEN RETURN SQLERRM;
	WHEN OTHERS THEN RETURN SQLSTATE;
END $$;
CREATE FUNCTION tries(view text) RETURNS TABLE (inserted text, changed text, deleted text) LANGUAGE sql AS $$
	SELECT public.rls_views_left(format('INSERT INTO rls_views.%I VALUES (3, ''bbbbbbbb-0000-0000-0000-000000000000'')', view)),
		public.rls_views_left(format('UPDATE rls_views.%I SET id = 10', view)),
		public.rls_views_left(format('DELETE FROM rls_views.%I', view)) $$;
SELECT * FROM found;

-- Loud: granted for writing only, a column of it, below a view that runs as whoever asks.
CREATE VIEW intake AS SELECT id, org_id FROM calls;
ALTER VIEW intake OWNER TO regress_views_admin;
GRANT INSERT ON intake TO authenticated;
SELECT * FROM found;
SELECT * FROM tries('intake');
GRANT UPDATE (id) ON intake TO authenticated;
GRANT DELETE ON intake TO anon, authenticated;
SELECT * FROM found;
SELECT * FROM tries('intake');
CREATE VIEW api WITH (security_invoker = true) AS SELECT * FROM intake;
GRANT INSERT, UPDATE, DELETE ON api TO authenticated;
SELECT relation, role, command, detail, remedy FROM found ORDER BY relation;
SELECT * FROM tries('api');
SELECT DISTINCT remedy FROM found \gexec
SELECT * FROM found;
SELECT * FROM tries('api');
ALTER VIEW intake RESET (security_invoker);
DROP VIEW api;

-- With SELECT it is one row for both.
REVOKE DELETE ON intake FROM anon;
GRANT SELECT ON intake TO anon, authenticated;
SELECT * FROM found;
REVOKE INSERT, UPDATE, DELETE ON intake FROM authenticated;
SELECT command, detail FROM found;
DROP VIEW intake;

-- What a view tests binds what it finds; what is inserted only by the check option.
CREATE VIEW own AS SELECT id, org_id FROM calls WHERE org_id = public.auth_org_id();
ALTER VIEW own OWNER TO regress_views_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON own TO authenticated;
SELECT severity, check_name, command, verdict, detail FROM found ORDER BY check_name;
SELECT * FROM tries('own');
ALTER VIEW own SET (check_option = local);
SELECT severity, check_name, command, verdict, detail FROM found ORDER BY check_name;
SELECT * FROM tries('own');
REVOKE SELECT ON own FROM authenticated;
SELECT severity, check_name, command, verdict, detail FROM found ORDER BY check_name;
ALTER VIEW own RESET (check_option);
CREATE VIEW above WITH (check_option = cascaded) AS SELECT * FROM own;
ALTER VIEW above OWNER TO regress_views_admin;
GRANT INSERT ON above TO authenticated;
SELECT severity, check_name, relation, command, verdict FROM found ORDER BY relation, check_name;
SELECT inserted FROM tries('above');
DROP VIEW above, own;

-- Quiet: an owner whom the policies bind, or who may not write the table; views that cannot be written; triggers, which
-- run as whoever asks; a role that policies never bind.
CREATE VIEW bound AS SELECT id, org_id FROM calls;
ALTER VIEW bound OWNER TO regress_views_plain;
CREATE VIEW poor AS SELECT id, org_id FROM calls;
ALTER VIEW poor OWNER TO regress_views_admin;
CREATE VIEW fixed AS SELECT DISTINCT id, org_id FROM calls;
ALTER VIEW fixed OWNER TO regress_views_admin;
CREATE VIEW triggered AS SELECT id, org_id FROM calls;
ALTER VIEW triggered OWNER TO regress_views_admin;
CREATE FUNCTION ignore() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER instead INSTEAD OF INSERT OR UPDATE OR DELETE ON triggered FOR EACH ROW EXECUTE FUNCTION ignore();
CREATE VIEW service AS SELECT id, org_id FROM calls;
ALTER VIEW service OWNER TO regress_views_admin;
GRANT INSERT, UPDATE, DELETE ON bound, poor, fixed, triggered TO authenticated;
GRANT INSERT, UPDATE, DELETE ON service TO service_role;
REVOKE INSERT, UPDATE, DELETE ON calls FROM regress_views_admin;
SELECT * FROM found;
SELECT v, t.* FROM unnest('{bound,poor,fixed,triggered}'::text[]) v, tries(v) t;
-- Loud again: that owner may delete; the other one is bound by a policy that binds to nothing.
GRANT DELETE ON calls TO regress_views_admin;
CREATE POLICY intake ON calls FOR INSERT TO regress_views_plain WITH CHECK (true);
SELECT severity, relation, command, detail FROM found ORDER BY relation;
SELECT v, t.* FROM unnest('{bound,poor}'::text[]) v, tries(v) t;

RESET search_path;
SET client_min_messages = warning;
DROP FUNCTION public.rls_views_left(text);
DROP SCHEMA rls_views CASCADE;
REVOKE ALL ON FUNCTION public.auth_org_id() FROM regress_views_admin, regress_views_plain;
DROP ROLE regress_views_admin, regress_views_plain;
\set file :srcdir '/sql/common/supabase_drop.psql'
\set ECHO none
\i :file
