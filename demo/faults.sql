-- Faults for the demo: each is one that happens to such an application.  Run after demo/data.sql.
--
--   psql -d DATABASE [-v today=2026-01-31] -f demo/faults.sql
--
-- "-- finds: FUNCTION SEVERITY KEY" under a fault is a finding that it must produce, with * for any text
-- and {tag} for the id of an appointment that book() made; "-- finds nothing" stands where something looks like a fault and is none.  t/demo.pl holds the
-- functions to these lines, in both directions: all of them, and nothing else.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
\if :{?today}
\else
  SELECT (now() AT TIME ZONE 'UTC')::date AS today \gset
\endif
-- Nobody works on Saturdays or in the evening, so what is booked there meets nothing else.
SELECT (date_trunc('week', :'today'::timestamp) + interval '12 days')::date AS upcoming,
       :'today'::date - 2 AS recent,
       (date_trunc('week', :'today'::timestamp) - interval '282 days')::date AS old
\gset

BEGIN;
CREATE FUNCTION pg_temp.demo_id(kind text, n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql
AS $$ SELECT md5(kind || ':' || n)::uuid $$;
CREATE FUNCTION pg_temp.book(tag text, org int, contact int, provider int, day date, hour time,
                             minutes int DEFAULT 30, status text DEFAULT 'confirmed') RETURNS void LANGUAGE sql
AS $$
INSERT INTO public.appointments (id, org_id, contact_id, service_type, scheduled_at, duration_minutes, status, provider_id, created_at, updated_at)
SELECT md5('fault ' || tag)::uuid, pg_temp.demo_id('org', org), pg_temp.demo_id('contact', org * 1000000 + contact), 'consultation',
       (day + hour) AT TIME ZONE 'UTC', minutes, status::public.appointment_status, pg_temp.demo_id('user', org * 10 + provider),
       least(day::timestamptz, now()) - interval '3 days' + length(tag) * interval '1 second',
       least(day::timestamptz, now()) - interval '3 days' + length(tag) * interval '1 second'
$$;

\echo '  duplicate and overlapping appointments'

-- A retried webhook booked twice, next week.
-- finds: find_duplicate_appointments critical duplicate_appointments:public.appointments:{retry}
SELECT pg_temp.book('retry', 1, 1, 1, :'upcoming', '09:00'), pg_temp.book('retry again', 1, 1, 1, :'upcoming', '09:00') \g /dev/null

-- The same, a few days ago: two records of one visit.
-- finds: find_duplicate_appointments warning duplicate_appointments:public.appointments:{visit}
SELECT pg_temp.book('visit', 1, 2, 1, :'recent', '20:00', 30, 'completed'), pg_temp.book('visit again', 1, 2, 1, :'recent', '20:00', 30, 'completed') \g /dev/null

-- The same, most of a year ago.
-- finds: find_duplicate_appointments info duplicate_appointments:public.appointments:{old}
SELECT pg_temp.book('old', 1, 3, 1, :'old', '09:00', 30, 'completed'), pg_temp.book('old again', 1, 3, 1, :'old', '09:00', 30, 'completed') \g /dev/null

-- One contact with two providers at once: the application locks the start of a slot, not its length.
-- finds: find_duplicate_appointments critical duplicate_appointments:public.appointments:{contact}
SELECT pg_temp.book('contact', 1, 4, 1, :'upcoming', '10:00', 45), pg_temp.book('contact too', 1, 4, 2, :'upcoming', '10:15', 45) \g /dev/null

-- One provider with two contacts at once.
-- finds: find_duplicate_appointments critical duplicate_appointments:public.appointments:{provider}
SELECT pg_temp.book('provider', 1, 5, 3, :'upcoming', '10:00', 45), pg_temp.book('provider too', 1, 6, 3, :'upcoming', '10:30', 45) \g /dev/null

-- A long appointment over two short ones that are hours apart: each pair counts, not only neighbours.
-- finds: find_duplicate_appointments critical duplicate_appointments:public.appointments:{long}
SELECT pg_temp.book('long', 1, 7, 1, :'upcoming', '12:00', 240), pg_temp.book('long one', 1, 7, 2, :'upcoming', '13:00', 60),
       pg_temp.book('long two', 1, 7, 3, :'upcoming', '15:00', 60) \g /dev/null

-- Nobody has a provider in this organization: two contacts at once may be right, or not.
-- finds: find_duplicate_appointments warning overlapping_appointments:public.appointments:{walk}
SELECT pg_temp.book('walk', 0, 1, NULL, :'upcoming', '09:00'), pg_temp.book('walk too', 0, 2, NULL, :'upcoming', '09:15') \g /dev/null

-- Two bookings by phone, contact not known yet, at the same hour with the same provider.
-- finds: find_duplicate_appointments critical duplicate_appointments:public.appointments:{phone}
SELECT pg_temp.book('phone', 1, NULL, 4, :'upcoming', '09:00'), pg_temp.book('phone too', 1, NULL, 4, :'upcoming', '09:00') \g /dev/null

-- Two such bookings at the same hour with different providers.
-- finds nothing
SELECT pg_temp.book('phones', 1, NULL, 1, :'upcoming', '17:00'), pg_temp.book('phones too', 1, NULL, 2, :'upcoming', '17:00') \g /dev/null

-- Cancelled and booked again at the same hour.
-- finds nothing
SELECT pg_temp.book('cancelled', 1, 8, 2, :'upcoming', '09:00', 30, 'cancelled'), pg_temp.book('booked again', 1, 8, 2, :'upcoming', '09:00') \g /dev/null

-- A contact entered twice; the unique index that would have prevented it was dropped for an import.
-- finds: find_duplicates warning duplicate_rows:public.contacts:*
DROP INDEX public.contacts_org_id_phone_idx;
CREATE INDEX ON public.contacts (org_id, phone);
INSERT INTO public.contacts (id, org_id, name, phone, created_at)
SELECT md5('fault contact')::uuid, org_id, name, phone, created_at + interval '1 day'
  FROM public.contacts WHERE id = pg_temp.demo_id('contact', 1000009);

\echo '  references to nothing'

-- Contacts were removed while calls had no foreign key; it came back NOT VALID, so nobody looked at the old rows.
-- finds: find_orphans warning orphan_rows:public.call_logs.contact_id:call_logs_contact_id_fkey
ALTER TABLE public.call_logs DROP CONSTRAINT call_logs_contact_id_fkey;
INSERT INTO public.call_logs (id, org_id, contact_id, vapi_call_id, status, started_at, ended_at, duration_seconds)
SELECT md5('fault call' || n)::uuid, pg_temp.demo_id('org', 1), md5('fault gone' || n)::uuid, 'vapi_fault_' || n, 'completed',
       :'recent'::timestamptz, :'recent'::timestamptz + interval '3 minutes', 180
  FROM generate_series(1, 7) AS n;
ALTER TABLE public.call_logs ADD CONSTRAINT call_logs_contact_id_fkey
    FOREIGN KEY (contact_id) REFERENCES public.contacts ON DELETE SET NULL NOT VALID;

-- A clean-up ran with session_replication_role = replica, which switches cascades off: the constraint is still VALID.
-- finds: find_orphans critical orphan_rows:public.appointments.contact_id:appointments_contact_id_fkey
INSERT INTO public.contacts (id, org_id, name) SELECT pg_temp.demo_id('contact', 1999999), pg_temp.demo_id('org', 1), 'Test Contact';
SELECT pg_temp.book('gone ' || n, 1, 999999, 1, :'old', time '12:00' + n * interval '1 hour', 30, 'completed') FROM generate_series(1, 3) AS n \g /dev/null
SET LOCAL session_replication_role = replica;
DELETE FROM public.contacts WHERE id = pg_temp.demo_id('contact', 1999999);
SET LOCAL session_replication_role = origin;

-- Alerts for calls that do not exist, and one that never was a call's uuid.
-- finds: find_orphans warning orphan_rows:public.hot_lead_alerts.call_id:public.call_logs
-- finds: find_orphans warning malformed_reference:public.hot_lead_alerts.call_id:public.call_logs
INSERT INTO public.hot_lead_alerts (id, org_id, call_id)
SELECT md5('fault alert' || value)::uuid, pg_temp.demo_id('org', 1), value
  FROM (VALUES (md5('no such call')::uuid::text), (md5('nor this one')::uuid::text), ('call_7f3a')) AS v (value);

-- An appointment of one organization for another one's contact: the foreign key does not look at org_id.
-- finds: find_orphans critical cross_tenant:public.appointments.contact_id:appointments_contact_id_fkey
SELECT pg_temp.book('stranger', 1, 10, 4, :'old', '18:00', 30, 'completed') \g /dev/null
UPDATE public.appointments SET contact_id = pg_temp.demo_id('contact', 2000001) WHERE id = md5('fault stranger')::uuid;

-- Contacts can be soft-deleted since a migration, which forgot what refers to them: the reminder still goes out.
-- finds: find_orphans warning soft_orphan:public.appointments.contact_id:appointments_contact_id_fkey
ALTER TABLE public.contacts ADD deleted_at timestamptz;
INSERT INTO public.contacts (id, org_id, name, deleted_at)
SELECT pg_temp.demo_id('contact', 1999998), pg_temp.demo_id('org', 1), 'Former Contact', :'recent'::timestamptz;
SELECT pg_temp.book('former', 1, 999998, 4, :'upcoming', '18:00') \g /dev/null

-- Deliveries of an organization that has left.
-- finds: find_orphans warning orphan_rows:public.webhook_delivery_log.org_id:public.organizations
INSERT INTO public.webhook_delivery_log (id, org_id, job_id, event_type, status, attempts)
SELECT md5('fault webhook' || n)::uuid, md5('fault org')::uuid, 'job-fault-' || n, 'call.ended', 'completed', 1
  FROM generate_series(1, 4) AS n;

-- An import switched triggers off and forgot to switch them on: the foreign keys check nothing any more.
-- finds: find_orphans critical orphan_rows:public.user_org_roles.org_id:user_org_roles_org_id_fkey
ALTER TABLE public.user_org_roles DISABLE TRIGGER ALL;
INSERT INTO public.user_org_roles (user_id, org_id, role) SELECT pg_temp.demo_id('user', 14), md5('fault org')::uuid, 'admin';

\echo '  values that cannot be'

-- An import without any checks.  The first of these contacts has a clock ahead of its time.
-- finds: find_invalid_data warning date_in_future:public.contacts.created_at
-- finds: find_invalid_data warning date_in_future:public.contacts.updated_at
-- finds: find_invalid_data warning blank_text:public.contacts.name
-- finds: find_invalid_data warning no_phone:public.contacts.phone
-- finds: find_invalid_data info phone_format:public.contacts.phone
-- finds: find_invalid_data warning no_email:public.contacts.email
-- finds: find_invalid_data warning wrong_order:public.contacts (created_at, updated_at)
INSERT INTO public.contacts (id, org_id, name, phone, email, created_at, updated_at)
SELECT md5('fault import ' || name || phone)::uuid, pg_temp.demo_id('org', 2), name, phone, email,
       :'recent'::timestamptz + created, :'recent'::timestamptz + updated
  FROM (VALUES ('Early Bird', '+15550100001', 'early@mail.example', interval '300 days', interval '300 days'),
               (' ', '+15550100002', NULL, '0', '0'),
               ('No Phone', 'unknown', 'nobody', '0', '0'),
               ('Local Phone', '(555) 010-0003', NULL, '0', '0'),
               ('Backdated', '+15550100004', 'a@b@mail.example', '0', '-2 days')) AS v (name, phone, email, created, updated);

-- Calls whose times were mixed up, and one that nobody ended; the constraint that was to prevent them came afterwards.
-- finds: find_invalid_data warning wrong_order:public.call_logs (started_at, ended_at)
-- finds: find_invalid_data warning duration_negative:public.call_logs.duration_seconds
-- finds: find_invalid_data info duration_too_long:public.call_logs.duration_seconds
-- finds: find_invalid_data warning not_valid_check:public.call_logs:call_length_sane
INSERT INTO public.call_logs (id, org_id, vapi_call_id, status, started_at, ended_at, duration_seconds)
SELECT md5('fault length' || seconds)::uuid, pg_temp.demo_id('org', 1), 'vapi_length_' || seconds, 'completed',
       :'old'::timestamptz, :'old'::timestamptz + seconds * interval '1 second', seconds
  FROM (VALUES (-240), (-65), (700000)) AS v (seconds);
-- finds: find_invalid_data warning label_variant:public.call_logs.status
INSERT INTO public.call_logs (id, org_id, vapi_call_id, status, started_at, ended_at, duration_seconds)
SELECT md5('fault label')::uuid, pg_temp.demo_id('org', 1), 'vapi_label', 'No_Answer', :'old'::timestamptz, :'old'::timestamptz, 0;
ALTER TABLE public.call_logs ADD CONSTRAINT call_length_sane CHECK (duration_seconds BETWEEN 0 AND 14400) NOT VALID;

-- A zero that became a date, and a date for "never".
-- finds: find_invalid_data warning date_too_early:public.webhook_delivery_log.last_attempt_at
-- finds: find_invalid_data warning date_not_finite:public.webhook_delivery_log.completed_at
UPDATE public.webhook_delivery_log SET last_attempt_at = to_timestamp(0), completed_at = 'infinity' WHERE id = md5('fault webhook1')::uuid;

-- Next week's visit is completed already; a year was mistyped.
-- finds: find_invalid_data warning over_before_start:public.appointments (status, scheduled_at)
-- finds: find_invalid_data info date_too_late:public.appointments.scheduled_at
SELECT pg_temp.book('seen already', 2, 3, 2, :'upcoming', '09:00', 30, 'completed'),
       pg_temp.book('mistyped year', 2, 4, 2, (:'upcoming'::date + interval '10 years')::date, '09:00') \g /dev/null

\echo '  row security'

-- A new table: default privileges gave it to anon, and nobody enabled row security.
-- finds: rls_audit critical rls_off:public.recordings
CREATE TABLE public.recordings (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL REFERENCES public.organizations ON DELETE CASCADE,
    storage_path text NOT NULL
);
CREATE INDEX ON public.recordings (org_id);

-- Row security was enabled, then the migration failed before its policies.
-- finds: rls_audit warning rls_no_policy:public.follow_up_tasks
CREATE TABLE public.follow_up_tasks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL REFERENCES public.organizations ON DELETE CASCADE,
    due_at timestamptz NOT NULL
);
CREATE INDEX ON public.follow_up_tasks (org_id);
REVOKE ALL ON public.follow_up_tasks FROM anon, authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.follow_up_tasks TO authenticated;
ALTER TABLE public.follow_up_tasks ENABLE ROW LEVEL SECURITY;

-- A right policy that does nothing, because row security is off.
-- finds: rls_audit critical policy_without_rls:public.integration_settings
CREATE TABLE public.integration_settings (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL REFERENCES public.organizations ON DELETE CASCADE,
    provider text NOT NULL,
    settings jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX ON public.integration_settings (org_id);
REVOKE ALL ON public.integration_settings FROM anon, authenticated;
GRANT SELECT ON public.integration_settings TO authenticated;
CREATE POLICY "members select" ON public.integration_settings FOR SELECT TO authenticated
    USING (org_id = (SELECT public.auth_org_id()));

-- Rows that belong to nobody are shown to everybody.
-- finds: rls_audit warning tenant_null_shared:public.recording_upload_queue:*
CREATE TABLE public.recording_upload_queue (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid REFERENCES public.organizations ON DELETE CASCADE,
    storage_path text NOT NULL
);
CREATE INDEX ON public.recording_upload_queue (org_id);
REVOKE ALL ON public.recording_upload_queue FROM anon, authenticated;
GRANT SELECT ON public.recording_upload_queue TO authenticated;
ALTER TABLE public.recording_upload_queue ENABLE ROW LEVEL SECURITY;
CREATE POLICY "members select" ON public.recording_upload_queue FOR SELECT TO authenticated
    USING (org_id = (SELECT public.auth_org_id()) OR org_id IS NULL);

-- Meant for the service role, which needs no policy; without TO it opens the table beside the right policies.
-- finds: rls_audit critical policy_always_true:public.hot_lead_alerts:*
CREATE POLICY "Service role can manage" ON public.hot_lead_alerts FOR ALL USING (true) WITH CHECK (true);

-- The same with TO: useless, since policies do not apply to the service role, and harmless.
-- finds nothing
CREATE POLICY "Service role reads" ON public.contacts FOR SELECT TO service_role USING (true);

-- Meant to allow every insert; without WITH CHECK it allows none.
-- finds: rls_audit info policy_dead:public.contacts:*
CREATE POLICY "members import" ON public.contacts FOR INSERT TO authenticated;

-- A migration dropped the policies and recreated one of them: calls are written, and never seen again.
-- finds: rls_audit warning policy_missing:public.call_logs*
DROP POLICY "members select" ON public.call_logs;
DROP POLICY "members update" ON public.call_logs;
DROP POLICY "members delete" ON public.call_logs;

-- Compared as text: right, but the index on org_id is of no use.
-- finds: rls_audit warning tenant_text_compare:public.webhook_delivery_log:*
ALTER POLICY "members select" ON public.webhook_delivery_log
    USING (org_id::text = (SELECT public.auth_org_id())::text);

-- Everybody who is logged in reads every organization's log.
-- finds: rls_audit critical policy_always_true:public.audit_logs:*
ALTER POLICY "members select" ON public.audit_logs
    USING ((SELECT auth.role()) = 'authenticated');

-- A condition on the row that has nothing to do with its organization.
-- finds: rls_audit critical tenant_unbound:public.profiles:*
ALTER POLICY "members select" ON public.profiles USING (role <> 'hidden');

-- Only what a row was is checked, not what it becomes: it can be moved to another organization.
-- finds: rls_audit * tenant_check_lax:public.appointments:*
ALTER POLICY "members update" ON public.appointments WITH CHECK (org_id IS NOT NULL);

-- A login that no policy applies to.
-- finds: rls_audit warning login_bypasses_rls:dashboard_sync
SELECT 'CREATE ROLE dashboard_sync LOGIN BYPASSRLS' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dashboard_sync')
\gexec
COMMIT;

ANALYZE;
