-- rls: each check of rls_audit() quiet on a healthy schema, loud on the fault, quiet after its own remedy.
-- Numbers in parentheses name the fixture; rls_corpus has the others.
\getenv srcdir PG_ABS_SRCDIR
\set file :srcdir '/sql/common/supabase.psql'
\set ECHO none
\i :file
\set ECHO all
CREATE SCHEMA rls_app;
GRANT USAGE ON SCHEMA rls_app TO anon, authenticated;
SET search_path = rls_app, public;

-- Healthy (1, 4, 10, 20): tenants bound by the helper, a public list without tenants, a table for the service only,
-- a partitioned table whose leaf only the service can name.
CREATE TABLE appointments (id int PRIMARY KEY, org_id uuid NOT NULL, user_id uuid, note text);
CREATE INDEX appointments_org ON appointments (org_id);
ALTER TABLE appointments ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON appointments TO anon, authenticated;
CREATE POLICY tenant ON appointments USING (org_id = (SELECT public.auth_org_id()));
CREATE TABLE feature_flags (key text PRIMARY KEY);
ALTER TABLE feature_flags ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON feature_flags TO anon, authenticated;
CREATE POLICY anybody ON feature_flags FOR SELECT USING (true);
CREATE TABLE webhook_log (id int, org_id uuid);
GRANT ALL ON webhook_log TO service_role;
CREATE TABLE call_logs (id int, org_id uuid NOT NULL) PARTITION BY RANGE (id);
ALTER TABLE call_logs ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON call_logs TO authenticated;
CREATE POLICY tenant ON call_logs FOR SELECT TO authenticated USING (org_id = (SELECT public.auth_org_id()));
CREATE TABLE call_logs_1 PARTITION OF call_logs FOR VALUES FROM (0) TO (1000);
CREATE VIEW findings AS SELECT * FROM rls_audit('{rls_app}') WHERE check_name <> 'login_bypasses_rls';
SELECT key FROM findings;

-- Row security off (24): only INSERT and UPDATE granted; one column granted; a partitioned parent; its leaf by name (20).
CREATE TABLE leads (id int, org_id uuid NOT NULL, phone text);
GRANT INSERT, UPDATE ON leads TO authenticated;
CREATE TABLE contacts (id int, org_id uuid NOT NULL, phone text);
GRANT SELECT (phone) ON contacts TO anon;
CREATE TABLE events (id int, org_id uuid NOT NULL) PARTITION BY RANGE (id);
GRANT SELECT ON events TO PUBLIC;
GRANT SELECT ON call_logs_1 TO authenticated;
SELECT severity, key, role, verdict, detail FROM findings;
SELECT remedy FROM findings;
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
-- A table without tenants: reading is a note, writing a warning.
CREATE TABLE countries (code text);
GRANT SELECT ON countries TO anon, authenticated;
CREATE TABLE settings (name text);
GRANT SELECT, UPDATE ON settings TO authenticated;
SELECT severity, key, detail, remedy FROM findings;
SELECT remedy FROM findings WHERE remedy IS NOT NULL \gexec
REVOKE UPDATE ON settings FROM authenticated;
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
DROP TABLE countries, settings, leads, contacts, events;

-- A schema that the role may not enter hides its tables.
CREATE SCHEMA rls_closed;
CREATE TABLE rls_closed.leads (org_id uuid);
GRANT ALL ON rls_closed.leads TO anon;
SELECT key FROM rls_audit('{rls_closed}') WHERE relation IS NOT NULL;
GRANT USAGE ON SCHEMA rls_closed TO anon;
SELECT key FROM rls_audit('{rls_closed}') WHERE relation IS NOT NULL;
DROP TABLE rls_closed.leads;
DROP SCHEMA rls_closed;

-- Policies while row security is off.
ALTER TABLE appointments DISABLE ROW LEVEL SECURITY;
SELECT severity, key, detail, remedy, metadata FROM findings;
SELECT remedy FROM findings \gexec
SELECT key FROM findings;

-- Row security on, no policy.
CREATE TABLE reminders (id int, org_id uuid NOT NULL);
ALTER TABLE reminders ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON reminders TO authenticated;
SELECT severity, key, role, verdict, detail, advice, remedy FROM findings \gx
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
-- What was granted to PUBLIC cannot be taken from one role: no remedy.
GRANT SELECT ON reminders TO PUBLIC;
SELECT key, role, remedy FROM findings;
DROP TABLE reminders;

-- The application's migration (2): only INSERT is left.
CREATE POLICY tenant_insert ON appointments FOR INSERT WITH CHECK (org_id = (SELECT public.auth_org_id()));
DROP POLICY tenant ON appointments;
SELECT severity, key, role, command, verdict, detail, remedy FROM findings \gx
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
SELECT policy, command, roles, using_expr, check_expr FROM rls_policies('{rls_app}') WHERE relation = 'rls_app.appointments';
DROP POLICY tenant_insert ON appointments;
DROP POLICY appointments_tenant_select ON appointments;
DROP POLICY appointments_tenant_update ON appointments;
DROP POLICY appointments_tenant_delete ON appointments;
CREATE POLICY tenant ON appointments USING (org_id = (SELECT public.auth_org_id()));

-- SELECT alone: probably meant; the privileges that cannot be used can go.
GRANT INSERT, UPDATE ON call_logs TO authenticated;
SELECT severity, key, command, detail, remedy FROM findings \gx
SELECT remedy FROM findings \gexec
SELECT key FROM findings;

-- Always true (3): the service's policy without TO; the tenant's own policy does not help.
CREATE POLICY "Service role can manage" ON appointments USING (true) WITH CHECK (true);
SELECT severity, key, policy, command, verdict, detail, remedy, metadata FROM findings \gx
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
DROP POLICY "Service role can manage" ON appointments;
-- On a partitioned parent (20).
CREATE POLICY open ON call_logs USING (true);
SELECT severity, key, policy, command, verdict, detail, remedy FROM findings;
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
DROP POLICY open ON call_logs;

-- The tenant column not mentioned, and mentioned but not bound.
CREATE POLICY recent ON appointments FOR SELECT USING (note = 'public');
CREATE POLICY demo ON appointments FOR SELECT USING (org_id = '00000000-0000-0000-0000-000000000000');
SELECT severity, key, command, detail, remedy FROM findings;
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
DROP POLICY recent ON appointments;
DROP POLICY demo ON appointments;

-- WITH CHECK laxer than USING (11), USING laxer than WITH CHECK (12), a row tied to the caller but not its tenant.
ALTER POLICY tenant ON appointments WITH CHECK (org_id IS NOT NULL);
SELECT severity, key, command, detail, remedy, metadata FROM findings \gx
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
CREATE POLICY take ON appointments FOR UPDATE USING (true) WITH CHECK (org_id = (SELECT public.auth_org_id()));
SELECT severity, key, command, detail, remedy, metadata FROM findings \gx
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
DROP POLICY take ON appointments;
CREATE POLICY own ON appointments USING (user_id = auth.uid());
SELECT severity, key, command, detail, remedy, metadata FROM findings \gx
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
DROP POLICY own ON appointments;

-- Rows without a tenant shared with all (4 of part B): only where the column can be null.
ALTER POLICY tenant ON appointments USING (org_id = (SELECT public.auth_org_id()) OR org_id IS NULL)
	WITH CHECK (org_id = (SELECT public.auth_org_id()));
SELECT key FROM findings;
ALTER TABLE appointments ALTER org_id DROP NOT NULL;
SELECT severity, key, command, detail, remedy FROM findings \gx
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
ALTER POLICY tenant ON appointments USING (org_id IS NOT DISTINCT FROM public.auth_org_id());
SELECT severity, key, command, detail FROM findings;
ALTER POLICY tenant ON appointments USING (org_id = (SELECT public.auth_org_id()));
ALTER TABLE appointments ALTER org_id SET NOT NULL;

-- Compared as text (6): with the plain index, with one on the expression, without any; then in its own type.
ALTER POLICY tenant ON appointments USING (org_id::text = (SELECT public.auth_org_id()::text));
SELECT severity, key, verdict, detail, advice, remedy FROM findings \gx
CREATE INDEX appointments_org_text ON appointments ((org_id::text));
SELECT severity, detail FROM findings;
DROP INDEX appointments_org_text, appointments_org;
SELECT severity, detail FROM findings;
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
SELECT using_expr, check_expr FROM rls_policies('{rls_app}') WHERE relation = 'rls_app.appointments';
-- A claim is text from the start: what it should become is for a person to say.
ALTER POLICY tenant ON appointments USING (org_id::text = (SELECT auth.jwt() ->> 'org_id'));
SELECT severity, key, remedy FROM findings;
ALTER POLICY tenant ON appointments USING (org_id = (SELECT public.auth_org_id()));

-- Policies that do nothing (13).
CREATE POLICY add ON appointments FOR INSERT;
CREATE POLICY never ON appointments FOR SELECT USING (org_id = NULL);
CREATE POLICY no ON appointments AS RESTRICTIVE FOR INSERT;
SELECT severity, key, verdict, detail FROM findings;
SELECT remedy FROM findings \gexec
SELECT key FROM findings;

-- The owner, whom policies do not bind unless forced.
CREATE ROLE regress_rls_owner;
ALTER TABLE appointments OWNER TO regress_rls_owner;
GRANT regress_rls_owner TO authenticated;
SELECT severity, key, role, verdict, detail, remedy FROM findings;
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
ALTER TABLE appointments NO FORCE ROW LEVEL SECURITY;
ALTER TABLE appointments OWNER TO CURRENT_USER;
DROP ROLE regress_rls_owner;

-- Roles that no policy binds: one that users act as, directly and by membership; one that can log in.
ALTER ROLE authenticated BYPASSRLS;
SELECT severity, key, role, verdict, detail, remedy FROM findings;
SELECT remedy FROM findings \gexec
GRANT service_role TO authenticated;
SELECT severity, key, role, verdict, detail, remedy FROM findings;
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
CREATE ROLE regress_rls_bypass LOGIN BYPASSRLS;
CREATE ROLE regress_rls_member LOGIN IN ROLE service_role;
CREATE ROLE regress_rls_super LOGIN SUPERUSER;
CREATE ROLE regress_rls_nologin SUPERUSER;
SELECT severity, key, role, verdict, detail, remedy FROM rls_audit('{rls_app}') WHERE role ~ '^regress_rls_';
SELECT remedy FROM rls_audit('{rls_app}') WHERE role ~ '^regress_rls_' \gexec
SELECT key FROM rls_audit('{rls_app}') WHERE role ~ '^regress_rls_';
DROP ROLE regress_rls_bypass, regress_rls_member, regress_rls_super, regress_rls_nologin;

-- A membership as the way to tell tenants apart is taken over by the remedy, too.
DROP TABLE call_logs_1, webhook_log;
CREATE TABLE user_org_roles (user_id uuid, org_id uuid NOT NULL);
ALTER TABLE user_org_roles ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON user_org_roles TO authenticated;
CREATE POLICY own ON user_org_roles FOR SELECT USING (user_id = (SELECT auth.uid()));
DROP POLICY tenant ON appointments;
CREATE POLICY tenant ON appointments USING (org_id IN (SELECT r.org_id FROM user_org_roles r WHERE r.user_id = (SELECT auth.uid())));
ALTER POLICY tenant ON call_logs USING (true);
SELECT remedy FROM findings;
SELECT remedy FROM findings \gexec
SELECT key FROM findings;
-- Nothing to learn from: no remedy but advice.
ALTER POLICY tenant ON appointments USING (user_id = auth.uid()) WITH CHECK (false);
ALTER POLICY tenant ON call_logs USING (true);
SELECT severity, key, advice, remedy FROM findings;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA rls_app CASCADE;
\set file :srcdir '/sql/common/supabase_drop.psql'
\set ECHO none
\i :file
