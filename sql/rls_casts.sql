-- rls_casts: casts of the tenant column that keep tenants apart, and those that do not; what a session sees bears both out.
\getenv srcdir PG_ABS_SRCDIR
\set file :srcdir '/sql/common/supabase.psql'
\set ECHO none
\i :file
\set ECHO all
CREATE SCHEMA rls_casts;
GRANT USAGE ON SCHEMA rls_casts TO authenticated;
SET search_path = rls_casts, public;
CREATE FUNCTION claim() RETURNS text LANGUAGE sql STABLE AS $$ SELECT current_setting('app.org', true) $$;
-- Makes a table with a tenant column of a type, rows of tenants a and b, and a policy.
CREATE TABLE made (name text, a text);
CREATE PROCEDURE make(name text, type text, a text, b text, clause text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (org_id %s NOT NULL)', name, type);
	EXECUTE format('INSERT INTO %I VALUES (%L), (%L)', name, a, b);
	EXECUTE format('GRANT SELECT ON %I TO authenticated', name);
	EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
	EXECUTE format('CREATE POLICY p ON %I USING (%s)', name, clause);
	INSERT INTO rls_casts.made VALUES (name, a);
END $$;
-- Drops them again.
CREATE PROCEDURE clear() LANGUAGE plpgsql AS $$
DECLARE
	t text;
BEGIN
	FOR t IN DELETE FROM rls_casts.made RETURNING name LOOP
		EXECUTE format('DROP TABLE %I', t);
	END LOOP;
END $$;
-- How many rows a user of tenant a sees.
CREATE FUNCTION sees(name text, a text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	PERFORM set_config('app.org', a, true);
	PERFORM set_config('role', 'authenticated', true);
	EXECUTE format('SELECT count(*) FROM rls_casts.%I', name) INTO n;
	RAISE EXCEPTION USING ERRCODE = 'YYYYY', MESSAGE = n;
EXCEPTION
	WHEN SQLSTATE 'YYYYY' THEN RETURN SQLERRM;
END $$;
CREATE DOMAIN short AS text CHECK (VALUE <> '');
CREATE TYPE plan AS ENUM ('free', 'paid');

-- Quiet: what differs before the cast differs after it, or the value is the same, only spelled otherwise.
CALL make('k_uuid_text', 'uuid', 'aaaaaaaa-0000-0000-0000-000000000000', 'aaaaaaaa-0000-0000-0000-000000000001', 'org_id::text = claim()');
CALL make('k_uuid_varchar', 'uuid', 'aaaaaaaa-0000-0000-0000-000000000000', 'aaaaaaaa-0000-0000-0000-000000000001', 'org_id::varchar = claim()');
CALL make('k_uuid_name', 'uuid', 'aaaaaaaa-0000-0000-0000-000000000000', 'aaaaaaaa-0000-0000-0000-000000000001', 'org_id::name = claim()');
CALL make('k_text_uuid', 'text', 'aaaaaaaa-0000-0000-0000-000000000000', 'aaaaaaaa-0000-0000-0000-000000000001', 'org_id::uuid = claim()::uuid');
CALL make('k_char', 'char(36)', 'aaaaaaaa-0000-0000-0000-000000000000', 'aaaaaaaa-0000-0000-0000-000000000001', 'org_id::text = claim()');
CALL make('k_int_bigint', 'int', '1', '2', 'org_id = claim()::bigint AND org_id::bigint = claim()::bigint');
CALL make('k_bigint_int', 'bigint', '1', '2', 'org_id::int = claim()::int');
CALL make('k_int_numeric', 'int', '1', '2', 'org_id::numeric = claim()::numeric');
CALL make('k_int_text', 'int', '1', '2', 'org_id::text = claim()');
CALL make('k_varchar_text', 'varchar(10)', 'a', 'b', 'org_id = claim() AND org_id COLLATE "C" = claim()');
CALL make('k_domain', 'short', 'a', 'b', 'org_id::text::rls_casts.short = claim()');
CALL make('k_enum', 'plan', 'free', 'paid', 'org_id::text = claim()');
CALL make('k_date', 'date', '2026-01-01', '2026-01-02', 'org_id::timestamp = claim()::timestamp');
CALL make('k_in', 'uuid', 'aaaaaaaa-0000-0000-0000-000000000000', 'aaaaaaaa-0000-0000-0000-000000000001', 'org_id::text IN (SELECT claim())');
CALL make('k_caller', 'text', 'a', 'b', 'org_id = claim()::name');
SELECT key FROM rls_audit('{rls_casts}', '{authenticated}') WHERE check_name NOT IN ('login_bypasses_rls', 'tenant_text_compare');
SELECT name, sees(name, a) FROM made WHERE sees(name, a) <> 1;
CALL clear();

-- Loud: two tenants become one.
CALL make('l_first_letter', 'uuid', 'aaaaaaaa-0000-0000-0000-000000000000', 'abbbbbbb-0000-0000-0000-000000000000', 'org_id::text::"char" = claim()::"char"');
CALL make('l_first_letter_text', 'text', 'ab', 'ac', 'org_id::"char"::text = claim()::"char"::text');
CALL make('l_name', 'text', repeat('x', 63) || 'a', repeat('x', 63) || 'b', 'org_id::name = claim()::name');
CALL make('l_char', 'text', 'ab', 'ac', 'org_id::char(1) = claim()::char(1)');
CALL make('l_varchar', 'text', 'ab', 'ac', 'org_id::varchar(1) = claim()::varchar(1)');
CALL make('l_blanks', 'text', 'a', 'a ', 'org_id::bpchar = claim()::bpchar');
CALL make('l_rounded', 'numeric', '1.1', '1.2', 'org_id::int = claim()::numeric::int');
CALL make('l_float', 'int', '16777216', '16777217', 'org_id::float4 = claim()::float4');
CALL make('l_date', 'timestamp', '2026-01-01 10:00', '2026-01-01 11:00', 'org_id::date = claim()::timestamp::date');
CALL make('l_text_date', 'text', '2026-01-01 10:00', '2026-01-01 11:00', 'org_id::date = claim()::date');
CALL make('l_bool', 'int', '1', '2', 'org_id::bool = claim()::int::bool');
CALL make('l_array', 'text', 'ab', 'ac', 'org_id::"char" = ANY (ARRAY[claim()::"char"])');
CALL make('l_in', 'text', 'ab', 'ac', 'org_id::"char" IN (SELECT claim()::"char")');
SELECT severity, key, verdict, detail FROM rls_audit('{rls_casts}', '{authenticated}') WHERE check_name <> 'login_bypasses_rls' ORDER BY key COLLATE "C";
SELECT name, sees(name, a) FROM made ORDER BY name COLLATE "C";
CALL clear();

-- The table of members: a cast of what it holds must keep apart, too.
CREATE TABLE members (login text, org text);
INSERT INTO members VALUES ('ab', 'one'), ('ac', 'two');
GRANT SELECT ON members TO authenticated;
CALL make('m_exact', 'text', 'one', 'two', 'EXISTS (SELECT FROM rls_casts.members m WHERE m.login::varchar = claim() AND m.org = org_id)');
CALL make('m_name', 'text', 'one', 'two', 'EXISTS (SELECT FROM rls_casts.members m WHERE m.login::name = claim()::name AND m.org = org_id)');
CALL make('m_lossy', 'text', 'one', 'two', 'EXISTS (SELECT FROM rls_casts.members m WHERE m.login::"char" = claim()::"char" AND m.org = org_id)');
SELECT severity, key, verdict, detail FROM rls_audit('{rls_casts}', '{authenticated}') WHERE check_name <> 'login_bypasses_rls';
SELECT name, sees(name, 'ab') FROM made ORDER BY name COLLATE "C";

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA rls_casts CASCADE;
\set file :srcdir '/sql/common/supabase_drop.psql'
\set ECHO none
\i :file
