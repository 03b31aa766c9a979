-- rls_input: rls_audit() and rls_policies() with missing roles, bad input, odd names, little privilege.
SET client_min_messages = warning;
CREATE SCHEMA rls_input;
CREATE ROLE regress_rls_user;
CREATE ROLE regress_rls_reader;
GRANT USAGE ON SCHEMA rls_input TO PUBLIC;
CREATE TABLE rls_input.leads (id int, org_id uuid NOT NULL);
GRANT SELECT ON rls_input.leads TO PUBLIC;
CREATE TABLE rls_input.own_only (id int, org_id uuid NOT NULL);

-- Roles that do not exist: one finding each, and PUBLIC is audited in their place.
SELECT severity, key, check_name, detail, advice FROM rls_audit('{rls_input}', '{regress_rls_none,"Odd \"role"}')
WHERE check_name <> 'login_bypasses_rls' \gx
-- One that exists is enough; named twice it counts once; "public" is PUBLIC.
SELECT severity, key, role FROM rls_audit('{rls_input}', '{regress_rls_none,regress_rls_user,regress_rls_user}')
WHERE check_name <> 'login_bypasses_rls';
SELECT key, role, remedy, metadata FROM rls_audit('{rls_input}', '{public,regress_rls_user,public}') WHERE relation IS NOT NULL;
SELECT key, metadata FROM rls_audit('{rls_input}', '{}') WHERE relation IS NOT NULL;

-- Another tenant column; a column that no table has.
ALTER TABLE rls_input.leads ENABLE ROW LEVEL SECURITY;
ALTER TABLE rls_input.leads ADD "Mandant" int;
CREATE POLICY "by ""Mandant" ON rls_input.leads USING ("Mandant" = nullif(current_setting('app.mandant', true), '')::int OR true);
SELECT key, policy, detail, remedy FROM rls_audit('{rls_input}', '{public}', 'Mandant') WHERE relation IS NOT NULL;
SELECT key FROM rls_audit('{rls_input}', '{public}', 'nothing') WHERE relation IS NOT NULL;
DROP POLICY "by ""Mandant" ON rls_input.leads;
-- A dropped column is none.
ALTER TABLE rls_input.leads DISABLE ROW LEVEL SECURITY;
SELECT key, detail FROM rls_audit('{rls_input}', '{public}', 'Mandant') WHERE relation IS NOT NULL;
ALTER TABLE rls_input.leads DROP "Mandant";
SELECT key, detail FROM rls_audit('{rls_input}', '{public}', 'Mandant') WHERE relation IS NOT NULL;

-- Errors.
SELECT count(*) FROM rls_audit('{rls_input,"no such"}');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM rls_policies('{"no such"}');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM rls_audit(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM rls_audit('{rls_input}', '{anon,NULL}');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM rls_audit('{NULL}');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM rls_audit(tenant_column => NULL);
\echo :LAST_ERROR_SQLSTATE

-- Odd identifiers: everything is quoted, the remedy runs, the key stays short.
CREATE SCHEMA "rls.Odd ""s";
GRANT USAGE ON SCHEMA "rls.Odd ""s" TO PUBLIC;
CREATE TABLE "rls.Odd ""s"."t; DROP" ("org id" uuid NOT NULL);
GRANT SELECT ON "rls.Odd ""s"."t; DROP" TO regress_rls_user;
ALTER TABLE "rls.Odd ""s"."t; DROP" ENABLE ROW LEVEL SECURITY;
CREATE POLICY "p'""; --" ON "rls.Odd ""s"."t; DROP" USING (true);
CREATE TABLE "rls.Odd ""s".aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg ("org id" uuid NOT NULL);
CREATE POLICY aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg
	ON "rls.Odd ""s".aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg
	USING ("org id" = nullif(current_setting('app.org', true), '')::uuid);
GRANT SELECT ON "rls.Odd ""s".aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg TO regress_rls_user;
SELECT key, policy, remedy FROM rls_audit('{"rls.Odd \"s"}', '{regress_rls_user}', 'org id') WHERE relation IS NOT NULL \gx
SELECT remedy FROM rls_audit('{"rls.Odd \"s"}', '{regress_rls_user}', 'org id') WHERE relation IS NOT NULL \gexec
SELECT key FROM rls_audit('{"rls.Odd \"s"}', '{regress_rls_user}', 'org id') WHERE relation IS NOT NULL;
SELECT relation, policy, using_expr FROM rls_policies('{"rls.Odd \"s"}') \gx
DROP TABLE "rls.Odd ""s"."t; DROP", "rls.Odd ""s".aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg;
DROP SCHEMA "rls.Odd ""s";

-- Tables of extensions are not the user's to change.
ALTER EXTENSION voxanne_ops ADD TABLE rls_input.leads;
SELECT key FROM rls_audit('{rls_input}', '{public}') WHERE relation IS NOT NULL;
ALTER EXTENSION voxanne_ops DROP TABLE rls_input.leads;
SELECT key FROM rls_audit('{rls_input}', '{public}') WHERE relation IS NOT NULL;

-- A READ ONLY transaction, row_security off, an empty search_path, hostile operators ahead of pg_catalog.
BEGIN READ ONLY;
SELECT key FROM rls_audit('{rls_input}', '{public}') WHERE relation IS NOT NULL;
COMMIT;
SET row_security = off;
ALTER TABLE rls_input.leads ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_rows ON rls_input.leads USING (true);
SELECT key FROM rls_audit('{rls_input}', '{public}') WHERE relation IS NOT NULL;
SHOW row_security;
RESET row_security;
CREATE FUNCTION rls_input.hostile(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile'; END $$;
CREATE OPERATOR rls_input.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = rls_input.hostile);
CREATE FUNCTION rls_input.hostile(name, name) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile'; END $$;
CREATE OPERATOR rls_input.= (LEFTARG = name, RIGHTARG = name, FUNCTION = rls_input.hostile);
SET search_path = rls_input, pg_catalog, public;
SELECT key FROM public.rls_audit('{rls_input}', '{public}') WHERE relation IS NOT NULL;
SELECT relation, policy FROM public.rls_policies('{rls_input}');
SHOW search_path;
SET search_path = '';
SELECT key FROM public.rls_audit('{rls_input}', '{public}') WHERE relation IS NOT NULL;
RESET search_path;

-- A function that a domain's constraint calls is not run to look at a policy, though it is immutable and its arguments
-- are constant: it would run as whoever looks.
CREATE FUNCTION rls_input.spy(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'ran as %', current_user; END $$;
CREATE DOMAIN rls_input.base AS uuid CHECK (rls_input.spy(1));
CREATE DOMAIN rls_input.above AS rls_input.base;
CREATE TABLE rls_input.trap (id int, org_id uuid NOT NULL);
GRANT SELECT ON rls_input.trap TO PUBLIC;
ALTER TABLE rls_input.trap ENABLE ROW LEVEL SECURITY;
CREATE POLICY lure ON rls_input.trap USING (lower(org_id::rls_input.above::text) = 'a');
SELECT key, verdict FROM rls_audit('{rls_input}', '{public}') WHERE relation = 'rls_input.trap';
CREATE DOMAIN rls_input.free AS uuid;
ALTER POLICY lure ON rls_input.trap USING (lower(org_id::rls_input.free::text) = 'a');
SELECT key, verdict FROM rls_audit('{rls_input}', '{public}') WHERE relation = 'rls_input.trap';
DROP TABLE rls_input.trap;

-- Who may call it: pg_monitor, who need not be able to read a row; nobody else.
SET ROLE regress_rls_reader;
SELECT count(*) FROM rls_audit('{rls_input}');
SELECT count(*) FROM rls_policies('{rls_input}');
RESET ROLE;
GRANT pg_monitor TO regress_rls_reader;
REVOKE SELECT ON rls_input.leads FROM PUBLIC;
GRANT SELECT ON rls_input.leads TO regress_rls_user;
SET ROLE regress_rls_reader;
SELECT key FROM rls_audit('{rls_input}', '{regress_rls_user}') WHERE relation IS NOT NULL;
SELECT relation, policy FROM rls_policies('{rls_input}');
RESET ROLE;

DROP TABLE rls_input.leads, rls_input.own_only;
DROP SCHEMA rls_input CASCADE;
DROP ROLE regress_rls_user, regress_rls_reader;
