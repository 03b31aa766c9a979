-- rls_claims: policies that look for the tenant in the wrong place; what a session sees bears each finding out.
\getenv srcdir PG_ABS_SRCDIR
\set file :srcdir '/sql/common/supabase.psql'
\set ECHO none
\i :file
\set ECHO all
CREATE SCHEMA rls_claims;
GRANT USAGE ON SCHEMA rls_claims TO anon, authenticated;
SET search_path = rls_claims, public;
CREATE PROCEDURE make(name text, clause text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (id int, org_id uuid NOT NULL)', name);
	EXECUTE format('CREATE INDEX ON %I (org_id)', name);
	EXECUTE format('INSERT INTO %I VALUES (1, ''aaaaaaaa-0000-0000-0000-000000000000''), (2, ''bbbbbbbb-0000-0000-0000-000000000000'')', name);
	EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO authenticated', name);
	EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
	EXECUTE format('CREATE POLICY p ON %I USING (%s)', name, clause);
END $$;
-- Three healthy tables; the literal is only a text.
CALL make('h1', $$org_id = (SELECT (auth.jwt() -> 'app_metadata' ->> 'org_id')::uuid)$$);
CALL make('h2', $$org_id = (auth.jwt() #>> '{app_metadata,org_id}')::uuid AND 'user_metadata' <> 'x'$$);
CALL make('h3', $$org_id = nullif(current_setting('request.jwt.claims', true)::jsonb -> 'app_metadata' ->> 'org_id', '')::uuid$$);
CREATE VIEW findings AS SELECT * FROM rls_audit('{rls_claims}') WHERE check_name <> 'login_bypasses_rls';
-- One note: a setting cast to jsonb; the remedy puts NULLIF before it.
SELECT severity, key, verdict, detail, remedy FROM findings \gx
BEGIN;
SET LOCAL "request.jwt.claims" = '{}';
COMMIT;
SET ROLE authenticated;
\set VERBOSITY sqlstate
SELECT count(*) FROM h3;
\set VERBOSITY default
RESET ROLE;
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
SET ROLE authenticated;
SELECT count(*) FROM h3;
RESET ROLE;

-- The user's id for the tenant (5), a claim that the token does not have (7), a setting without NULLIF (8).
CALL make('f05', 'org_id = auth.uid()');
CALL make('f07', $$org_id = (SELECT (auth.jwt() ->> 'org_id')::uuid)$$);
CALL make('f08', $$org_id = current_setting('app.current_org_id', true)::uuid$$);
CALL make('f08_ok', $$org_id = nullif(current_setting('app.current_org_id', true), '')::uuid$$);
SELECT severity, key, verdict, detail, remedy FROM findings;
BEGIN;
SET LOCAL ROLE authenticated;
SET LOCAL "request.jwt.claims" = '{"role": "authenticated", "sub": "00000000-0000-0000-0000-000000000001", "app_metadata": {"org_id": "aaaaaaaa-0000-0000-0000-000000000000"}}';
SELECT (SELECT count(*) FROM h1) AS h1, (SELECT count(*) FROM h2) AS h2, (SELECT count(*) FROM h3) AS h3,
	(SELECT count(*) FROM f05) AS f05, (SELECT count(*) FROM f07) AS f07;
COMMIT;
BEGIN;
SET LOCAL app.current_org_id = 'aaaaaaaa-0000-0000-0000-000000000000';
COMMIT;
SET ROLE authenticated;
SELECT count(*) FROM f08_ok;
\set VERBOSITY sqlstate
SELECT count(*) FROM f08;
\set VERBOSITY default
RESET ROLE;
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
BEGIN;
SET LOCAL ROLE authenticated;
SET LOCAL "request.jwt.claims" = '{"role": "authenticated", "sub": "00000000-0000-0000-0000-000000000001", "app_metadata": {"org_id": "aaaaaaaa-0000-0000-0000-000000000000"}}';
SELECT (SELECT count(*) FROM f05) AS f05, (SELECT count(*) FROM f07) AS f07, (SELECT count(*) FROM f08) AS f08;
COMMIT;
DROP TABLE f05, f07, f08, f08_ok;

-- A claim that the user writes himself (22): by arrows, by path, in the table of users.
CREATE TABLE auth.users (id uuid, raw_user_meta_data jsonb, raw_app_meta_data jsonb);
GRANT SELECT ON auth.users TO authenticated;
CALL make('f22_arrow', $$org_id = (auth.jwt() -> 'user_metadata' ->> 'org_id')::uuid$$);
CALL make('f22_path', $$org_id = (auth.jwt() #>> '{user_metadata,org}')::uuid$$);
CALL make('f22_users', $$org_id = (SELECT (u.raw_user_meta_data ->> 'org_id')::uuid FROM auth.users u WHERE u.id = auth.uid())$$);
CALL make('f22_ok', $$org_id = (SELECT (u.raw_app_meta_data ->> 'org_id')::uuid FROM auth.users u WHERE u.id = auth.uid())$$);
SELECT severity, key, verdict, detail, remedy FROM findings;
BEGIN;
SET LOCAL ROLE authenticated;
SET LOCAL "request.jwt.claims" = '{"role": "authenticated", "app_metadata": {"org_id": "aaaaaaaa-0000-0000-0000-000000000000"}, "user_metadata": {"org_id": "bbbbbbbb-0000-0000-0000-000000000000"}}';
SELECT org_id FROM f22_arrow;
COMMIT;
SELECT remedy FROM findings WHERE remedy IS NOT NULL \gexec
SELECT key FROM findings;
DROP TABLE f22_arrow, f22_path, f22_users, f22_ok;

-- Where tenants are users, their id is right.
DROP TABLE h1, h2, h3;
CALL make('own1', 'org_id = auth.uid()');
CALL make('own2', 'org_id = auth.uid()');
SELECT key FROM findings;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA rls_claims CASCADE;
\set file :srcdir '/sql/common/supabase_drop.psql'
\set ECHO none
\i :file
