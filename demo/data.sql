-- Rows for demo/schema.sql, all of them in good order: any finding about them is a false alarm.
--
--   psql -d DATABASE [-v size=100000] [-v today=2026-01-31] -f demo/data.sql
--
-- "size" is the number of appointments, at least 500; the other tables follow from it.  The same size and day give
-- the same rows.  What looks like a fault and is none is here too: bookings without a contact at the same
-- hour, cancelled and deleted twins of live appointments, an organization that books without providers.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
\if :{?size}
\else
  \set size 100000
\endif
\if :{?today}
\else
  SELECT (now() AT TIME ZONE 'UTC')::date AS today \gset
\endif

-- Everything is derived from these: "orgs" organizations of four providers each, every provider
-- with five slots of 90 minutes a working day, three quarters of the weeks in the past; and
-- organization 0, which has no providers and "walk_in" appointments one after the other.
SELECT greatest(:size, 500) AS size \gset
SELECT greatest(2, :size / 2000) AS orgs, least(300, greatest(20, :size / 100)) AS walk_in \gset
SELECT :size - :walk_in AS booked, :size / 5 / :orgs AS contacts \gset
SELECT :booked / (:orgs * 4) / 5 / 5 * 3 / 4 AS weeks_back \gset
SELECT date_trunc('week', :'today'::timestamp)::date - 7 * :weeks_back AS monday \gset

BEGIN;
CREATE FUNCTION pg_temp.demo_id(kind text, n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql
AS $$ SELECT md5(kind || ':' || n)::uuid $$;
-- A number in [0, below), the same for the same n and salt.
CREATE FUNCTION pg_temp.demo_pick(n bigint, salt int, below int) RETURNS int IMMUTABLE LANGUAGE sql
AS $$ SELECT ((hashint8extended(n, salt) & 2147483647) % below)::int $$;
-- Start of slot k of a provider: five a day, Monday to Friday.
CREATE FUNCTION pg_temp.demo_slot(monday date, k bigint) RETURNS timestamptz IMMUTABLE LANGUAGE sql
AS $$
SELECT (monday::timestamp + (k / 25 * 7 + k / 5 % 5) * interval '1 day'
        + interval '8 hours' + k % 5 * interval '90 minutes') AT TIME ZONE 'UTC'
$$;

\echo '  organizations and their users'
INSERT INTO public.organizations (id, name, created_at)
SELECT pg_temp.demo_id('org', o),
       (ARRAY['Walk-in', 'Lagos', 'Berlin', 'Austin', 'Leeds', 'Porto', 'Osaka'])[CASE o WHEN 0 THEN 1 ELSE 2 + o % 6 END]
       || ' ' || (ARRAY['Dental', 'Skin Care', 'Physio', 'Vision', 'Family Practice'])[1 + o % 5] || ' ' || o,
       :'today'::timestamptz - interval '2 years' + o * interval '1 day'
  FROM generate_series(0, :orgs) AS o;

INSERT INTO auth.users (id, email, raw_app_meta_data, created_at)
SELECT pg_temp.demo_id('user', o * 10 + u), format('user%s@org%s.example', u, o),
       jsonb_build_object('org_id', pg_temp.demo_id('org', o)),
       :'today'::timestamptz - interval '2 years' + o * interval '1 day'
  FROM generate_series(0, :orgs) AS o, generate_series(0, 4) AS u;

INSERT INTO public.profiles (id, org_id, email, role)
SELECT pg_temp.demo_id('user', o * 10 + u), pg_temp.demo_id('org', o), format('user%s@org%s.example', u, o),
       CASE WHEN u = 4 THEN 'owner' WHEN o = 0 THEN 'staff' ELSE 'provider' END
  FROM generate_series(0, :orgs) AS o, generate_series(0, 4) AS u;

INSERT INTO public.user_org_roles (user_id, org_id, role)
SELECT id, org_id, role FROM public.profiles;

\echo '  contacts'
INSERT INTO public.contacts (id, org_id, name, phone, email, lead_status, created_at, updated_at)
SELECT pg_temp.demo_id('contact', o * 1000000 + c), pg_temp.demo_id('org', o),
       (ARRAY['Ada', 'Ben', 'Chi', 'Dana', 'Emeka', 'Femi', 'Grace', 'Hugo', 'Ines', 'Jonas', 'Kemi'])[1 + pg_temp.demo_pick(c, o, 11)]
       || ' ' || (ARRAY['Okafor', 'Schmidt', 'Silva', 'Baker', 'Tanaka', 'Moreau', 'Adeyemi'])[1 + pg_temp.demo_pick(c, o + 500, 7)],
       '+1555' || lpad((o * 100003 + c)::text, 9, '0'),
       CASE WHEN c % 4 <> 3 THEN format('contact%s@mail%s.example', c, o) END,
       (ARRAY['new', 'contacted', 'hot', 'booked', 'booked', 'booked', 'lost'])[1 + pg_temp.demo_pick(c, o + 900, 7)]::public.lead_status,
       created, created
  FROM generate_series(0, :orgs) AS o,
       generate_series(0, CASE o WHEN 0 THEN :walk_in / 5 ELSE :contacts END - 1) AS c,
       LATERAL (SELECT :'today'::timestamptz - interval '500 days' + pg_temp.demo_pick(c, o + 77, 300) * interval '1 day') AS t (created);

\echo '  appointments'
-- A provider's contacts are his own, so neither he nor a contact is ever in two places.
INSERT INTO public.appointments (id, org_id, contact_id, service_type, scheduled_at, duration_minutes, status,
                                 calendar_link, confirmation_sent, provider_id, created_at, updated_at, deleted_at)
SELECT pg_temp.demo_id('appointment', i), pg_temp.demo_id('org', o),
       CASE WHEN k % 25 <> 12 OR p > 1 THEN pg_temp.demo_id('contact', o * 1000000 + p + 4 * (k % (:contacts / 4))) END,
       (ARRAY['consultation', 'follow-up', 'treatment', 'check-up'])[1 + pg_temp.demo_pick(i, 1, 4)],
       start, (ARRAY[30, 30, 30, 45, 60])[1 + pg_temp.demo_pick(i, 2, 5)],
       (CASE WHEN start < :'today'::timestamptz
             THEN (ARRAY['completed', 'completed', 'completed', 'completed', 'completed', 'completed', 'completed', 'completed', 'no_show', 'cancelled'])[1 + pg_temp.demo_pick(i, 3, 10)]
             ELSE (ARRAY['confirmed', 'confirmed', 'confirmed', 'pending', 'pending', 'cancelled'])[1 + pg_temp.demo_pick(i, 3, 6)]
        END)::public.appointment_status,
       CASE WHEN i % 3 = 0 THEN 'https://calendar.example/' || i END, start < :'today'::timestamptz + interval '2 days',
       pg_temp.demo_id('user', o * 10 + p), created, created,
       CASE WHEN i % 89 = 7 THEN greatest(created, least(start, :'today'::timestamptz)) END
  FROM generate_series(0, :booked - 1) AS i,
       LATERAL (SELECT 1 + i % :orgs, i / :orgs % 4, i / :orgs / 4) AS who (o, p, k),
       LATERAL (SELECT pg_temp.demo_slot(:'monday', k)) AS s (start),
       LATERAL (SELECT least(start, :'today'::timestamptz) - (1 + pg_temp.demo_pick(i, 4, 30000)) * interval '1 minute') AS c (created);

INSERT INTO public.appointments (id, org_id, contact_id, service_type, scheduled_at, duration_minutes, status, created_at, updated_at)
SELECT pg_temp.demo_id('walk-in', i), pg_temp.demo_id('org', 0), pg_temp.demo_id('contact', i % (:walk_in / 5)), 'consultation',
       start, 30, (CASE WHEN start < :'today'::timestamptz THEN 'completed' ELSE 'confirmed' END)::public.appointment_status,
       created, created
  FROM generate_series(0, :walk_in - 1) AS i,
       LATERAL (SELECT pg_temp.demo_slot(date_trunc('week', :'today'::timestamp)::date - 63, i)) AS s (start),
       LATERAL (SELECT least(start, :'today'::timestamptz) - interval '1 day') AS c (created);

-- Booked again after a cancellation, and after a deletion: the same contact, provider and hour twice.
INSERT INTO public.appointments (id, org_id, contact_id, service_type, scheduled_at, duration_minutes, status, provider_id, created_at, updated_at)
SELECT md5('rebooked' || id)::uuid, org_id, contact_id, service_type, scheduled_at, duration_minutes,
       CASE WHEN scheduled_at < :'today'::timestamptz THEN 'completed' ELSE 'confirmed' END::public.appointment_status,
       provider_id, created_at + interval '1 minute', created_at + interval '1 minute'
  FROM public.appointments
 WHERE (status = 'cancelled' OR deleted_at IS NOT NULL) AND uuid_hash(id) % 20 = 0;

\echo '  calls and alerts'
INSERT INTO public.call_logs (id, org_id, contact_id, vapi_call_id, status, started_at, ended_at, duration_seconds)
SELECT pg_temp.demo_id('call', i), pg_temp.demo_id('org', o),
       CASE WHEN i % 7 <> 3 THEN pg_temp.demo_id('contact', o * 1000000 + i / :orgs % :contacts) END,
       'vapi_' || md5('vapi' || i), CASE WHEN i % 23 = 4 THEN 'no-answer' ELSE 'completed' END,
       start, start + seconds * interval '1 second', seconds
  FROM generate_series(0, :size * 6 / 10 - 1) AS i,
       LATERAL (SELECT 1 + i % :orgs, CASE WHEN i % 23 = 4 THEN 0 ELSE 20 + pg_temp.demo_pick(i, 5, 900) END) AS w (o, seconds),
       LATERAL (SELECT :'today'::timestamptz - interval '1 hour' - pg_temp.demo_pick(i, 6, 250000) * interval '1 minute') AS s (start);

-- call_id is a text without a foreign key: the application stores the call's uuid in it.
INSERT INTO public.hot_lead_alerts (id, org_id, call_id, created_at)
SELECT md5('alert' || id)::uuid, org_id, id::text, ended_at
  FROM public.call_logs
 WHERE uuid_hash(id) % 30 = 0;

\echo '  webhook deliveries and the audit log'
INSERT INTO public.webhook_delivery_log (id, org_id, job_id, event_type, event_data, status, attempts, created_at, last_attempt_at, completed_at, error_message)
SELECT pg_temp.demo_id('webhook', i), pg_temp.demo_id('org', 1 + i % :orgs), 'job-' || i,
       (ARRAY['call.ended', 'call.started', 'assistant.request'])[1 + i % 3], jsonb_build_object('call', i),
       (CASE i % 400 WHEN 17 THEN 'failed' WHEN 18 THEN 'dead_letter' ELSE 'completed' END)::public.webhook_status,
       CASE WHEN i % 400 IN (17, 18) THEN 3 ELSE 1 END, received, received + interval '2 seconds',
       CASE WHEN i % 400 NOT IN (17, 18) THEN received + interval '3 seconds' END,
       CASE WHEN i % 400 IN (17, 18) THEN 'connect ETIMEDOUT' END
  FROM generate_series(0, :size / 5 - 1) AS i,
       LATERAL (SELECT :'today'::timestamptz - interval '1 hour' - pg_temp.demo_pick(i, 7, 40000) * interval '1 minute') AS r (received);

INSERT INTO public.audit_logs (org_id, actor_id, action, entity_type, entity_id, created_at)
SELECT org_id, provider_id, 'appointment.created', 'appointment', id::text, created_at
  FROM public.appointments
 WHERE uuid_hash(id) % 5 = 0;
COMMIT;

\echo '  statistics'
VACUUM ANALYZE;
