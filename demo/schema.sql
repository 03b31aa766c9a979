-- The application that the demo serves: appointments of many tenants on Supabase, in good order.
--
--   psql -d DATABASE -f demo/schema.sql
--
-- For an empty database.  The tenant is org_id everywhere; policies compare it as uuid with the
-- organization in the caller's token, once per statement.  Roles are made where they are missing.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
BEGIN;

-- Supabase's API roles and its default privileges: whatever is created in public later belongs to
-- everybody until somebody takes it away again.
SELECT format('CREATE ROLE %I NOLOGIN NOINHERIT %s', name, attributes)
  FROM (VALUES ('anon', ''), ('authenticated', ''), ('service_role', 'BYPASSRLS')) AS wanted (name, attributes)
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;

-- The part of Supabase's schema auth that policies use.
CREATE SCHEMA auth;
GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role;

CREATE TABLE auth.users (
    id uuid PRIMARY KEY,
    email text UNIQUE,
    raw_app_meta_data jsonb NOT NULL DEFAULT '{}',
    raw_user_meta_data jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;

CREATE FUNCTION auth.jwt() RETURNS jsonb STABLE LANGUAGE sql
AS $$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
CREATE FUNCTION auth.uid() RETURNS uuid STABLE LANGUAGE sql
AS $$ SELECT nullif(auth.jwt() ->> 'sub', '')::uuid $$;
CREATE FUNCTION auth.role() RETURNS text STABLE LANGUAGE sql
AS $$ SELECT auth.jwt() ->> 'role' $$;

CREATE FUNCTION public.auth_org_id() RETURNS uuid STABLE LANGUAGE sql
AS $$ SELECT nullif(auth.jwt() -> 'app_metadata' ->> 'org_id', '')::uuid $$;
COMMENT ON FUNCTION public.auth_org_id() IS 'Organization of the caller, from the part of the token that users cannot edit; NULL without one.';

CREATE TYPE public.lead_status AS ENUM ('new', 'contacted', 'hot', 'booked', 'lost');
CREATE TYPE public.appointment_status AS ENUM ('pending', 'confirmed', 'in_progress', 'completed', 'cancelled', 'no_show');
CREATE TYPE public.webhook_status AS ENUM ('pending', 'processing', 'completed', 'failed', 'dead_letter');

CREATE TABLE public.organizations (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.profiles (
    id uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE,
    org_id uuid NOT NULL REFERENCES public.organizations ON DELETE CASCADE,
    email text NOT NULL,
    role text NOT NULL DEFAULT 'staff'
);
CREATE INDEX ON public.profiles (org_id);

CREATE TABLE public.user_org_roles (
    user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    org_id uuid NOT NULL REFERENCES public.organizations ON DELETE CASCADE,
    role text NOT NULL,
    PRIMARY KEY (user_id, org_id)
);
CREATE INDEX ON public.user_org_roles (org_id);

CREATE TABLE public.contacts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL REFERENCES public.organizations ON DELETE CASCADE,
    name text NOT NULL,
    phone text,
    email text,
    lead_status public.lead_status NOT NULL DEFAULT 'new',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX ON public.contacts (org_id, phone);

CREATE TABLE public.appointments (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL REFERENCES public.organizations ON DELETE CASCADE,
    contact_id uuid REFERENCES public.contacts ON DELETE CASCADE,
    service_type text NOT NULL,
    scheduled_at timestamptz NOT NULL,
    duration_minutes int NOT NULL DEFAULT 30 CHECK (duration_minutes > 0),
    status public.appointment_status NOT NULL DEFAULT 'pending',
    calendar_link text,
    confirmation_sent boolean NOT NULL DEFAULT false,
    provider_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX ON public.appointments (org_id, scheduled_at);
CREATE INDEX ON public.appointments (contact_id);

CREATE TABLE public.call_logs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL REFERENCES public.organizations ON DELETE CASCADE,
    contact_id uuid REFERENCES public.contacts ON DELETE SET NULL,
    vapi_call_id text UNIQUE,
    status text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    duration_seconds int
);
CREATE INDEX ON public.call_logs (org_id, started_at);
CREATE INDEX ON public.call_logs (contact_id);

CREATE TABLE public.hot_lead_alerts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL REFERENCES public.organizations ON DELETE CASCADE,
    call_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON public.hot_lead_alerts (org_id);

-- Deliveries outlive the organization: no foreign key.
CREATE TABLE public.webhook_delivery_log (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL,
    job_id text NOT NULL UNIQUE,
    event_type text NOT NULL,
    event_data jsonb NOT NULL DEFAULT '{}',
    status public.webhook_status NOT NULL DEFAULT 'pending',
    attempts int NOT NULL DEFAULT 0,
    max_attempts int NOT NULL DEFAULT 3,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_attempt_at timestamptz,
    completed_at timestamptz,
    error_message text
);
CREATE INDEX ON public.webhook_delivery_log (org_id, created_at);

CREATE TABLE public.audit_logs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES public.organizations ON DELETE CASCADE,
    actor_id uuid,
    action text NOT NULL,
    entity_type text NOT NULL,
    entity_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON public.audit_logs (org_id, created_at);

CREATE VIEW public.upcoming_appointments WITH (security_invoker = true) AS
SELECT id, org_id, contact_id, service_type, scheduled_at, duration_minutes, status
  FROM public.appointments
 WHERE scheduled_at >= now() AND deleted_at IS NULL AND status IN ('pending', 'confirmed');

-- What the API may do: users of an organization with its own rows.  anon keeps what the default
-- privileges gave it, as on Supabase, and no policy lets it use that; but policies do not hold for TRUNCATE.
REVOKE TRUNCATE, REFERENCES, TRIGGER ON ALL TABLES IN SCHEMA public FROM anon;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM authenticated;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO authenticated;
GRANT INSERT, UPDATE, DELETE ON public.contacts, public.appointments, public.call_logs, public.hot_lead_alerts TO authenticated;

-- One policy for each command that was granted.
SELECT format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', c.oid::regclass)
  FROM pg_class c
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
 ORDER BY relname
\gexec
CREATE POLICY "members read their organization" ON public.organizations
    FOR SELECT TO authenticated USING (id = (SELECT public.auth_org_id()));
SELECT format(CASE command
                WHEN 'SELECT' THEN 'CREATE POLICY %I ON public.%I FOR %s TO authenticated USING (%s)'
                WHEN 'INSERT' THEN 'CREATE POLICY %I ON public.%I FOR %s TO authenticated WITH CHECK (%s)'
                WHEN 'UPDATE' THEN 'CREATE POLICY %I ON public.%I FOR %s TO authenticated USING (%4$s) WITH CHECK (%4$s)'
                WHEN 'DELETE' THEN 'CREATE POLICY %I ON public.%I FOR %s TO authenticated USING (%s)'
              END,
              'members ' || lower(command), relname, command, 'org_id = (SELECT public.auth_org_id())')
  FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS granted (command, n)
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'organizations'
   AND has_table_privilege('authenticated', c.oid, command)
 ORDER BY relname, n
\gexec

COMMIT;
