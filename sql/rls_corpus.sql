-- rls_corpus: rls_audit()'s verdicts against an oracle that becomes the role, sets the claims and tries.
\getenv srcdir PG_ABS_SRCDIR
\set file :srcdir '/sql/common/supabase.psql'
\set ECHO none
\i :file
\set ECHO all
CREATE SCHEMA rls_corpus;
GRANT USAGE ON SCHEMA rls_corpus TO anon, authenticated;
SET search_path = rls_corpus, public;

-- Two tenants, two users; the tests act as user 1 of tenant A.
CREATE TABLE members (user_id uuid, org_id uuid NOT NULL);
INSERT INTO members VALUES
	('00000000-0000-0000-0000-000000000001', 'aaaaaaaa-0000-0000-0000-000000000000'),
	('00000000-0000-0000-0000-000000000002', 'bbbbbbbb-0000-0000-0000-000000000000');
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON members FOR SELECT USING (user_id = auth.uid());
GRANT SELECT ON members TO anon, authenticated;

-- Makes table "name" with one row per tenant and kind of row, granted to both roles, and its policies.
CREATE PROCEDURE make(name text, VARIADIC policies text[]) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (id int PRIMARY KEY, org_id uuid NOT NULL, user_id uuid, note text, parent_org uuid)', name);
	EXECUTE format('INSERT INTO %I
		SELECT 10 * t + k, t.org::uuid, t.usr::uuid, k.note, t.org::uuid
		FROM (VALUES (1, ''aaaaaaaa-0000-0000-0000-000000000000'', ''00000000-0000-0000-0000-000000000001''),
			(2, ''bbbbbbbb-0000-0000-0000-000000000000'', ''00000000-0000-0000-0000-000000000002'')) AS t(t, org, usr),
			(VALUES (1, NULL), (2, ''public''), (3, ''other'')) AS k(k, note)', name);
	EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO anon, authenticated', name);
	EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
	FOR i IN 1 .. cardinality(policies) LOOP
		EXECUTE format('CREATE POLICY p%s ON %I %s', i, name, policies[i]);
	END LOOP;
END $$;

-- Runs a statement as "who" with the claims of user 1 of tenant A, then counts by "evidence" as the caller; undone.
-- 0 if the statement is refused.
CREATE FUNCTION attempt(who name, statement text, evidence text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	claims text := CASE who WHEN 'anon' THEN '{"role": "anon"}' ELSE
		'{"role": "authenticated", "sub": "00000000-0000-0000-0000-000000000001",
		  "app_metadata": {"org_id": "aaaaaaaa-0000-0000-0000-000000000000"}}' END;
	n bigint;
BEGIN
	PERFORM set_config('request.jwt.claims', claims, true);
	PERFORM set_config('role', who, true);
	IF evidence IS NULL THEN
		EXECUTE statement INTO n;
	ELSE
		EXECUTE statement;
		PERFORM set_config('role', 'none', true);
		EXECUTE evidence INTO n;
	END IF;
	RAISE EXCEPTION USING ERRCODE = 'YYYYY', MESSAGE = n;
EXCEPTION
	WHEN SQLSTATE 'YYYYY' THEN RETURN SQLERRM;
	WHEN insufficient_privilege THEN RETURN 0;
END $$;

-- What "who" can do with tenant B's rows, and whether only by a statement without WHERE.
CREATE FUNCTION oracle(rel regclass, who name) RETURNS TABLE (deed text, without_where boolean) LANGUAGE sql AS $$
	SELECT d.deed, bool_and(d.bare) FROM (
		SELECT 'read', false, attempt(who, format('SELECT count(*) FROM %s WHERE org_id = ''bbbbbbbb-0000-0000-0000-000000000000''', rel), NULL)
		UNION ALL
		SELECT 'change', where_ = '', attempt(who, format('UPDATE %s SET %s %s', rel, change, where_),
			format('SELECT count(*) FROM %s WHERE parent_org IS NULL AND id BETWEEN 20 AND 29', rel))
		FROM (VALUES (''), ('WHERE id >= 20')) AS w(where_),
			(VALUES ('parent_org = NULL'), ('parent_org = NULL, org_id = ''aaaaaaaa-0000-0000-0000-000000000000''')) AS c(change)
		UNION ALL
		SELECT 'delete', where_ = '', attempt(who, format('DELETE FROM %s %s', rel, where_),
			format('SELECT 3 - count(*) FROM %s WHERE id >= 20', rel))
		FROM (VALUES (''), ('WHERE id >= 20')) AS w(where_)
		UNION ALL
		SELECT 'insert', false, attempt(who, format('INSERT INTO %s VALUES (99, ''bbbbbbbb-0000-0000-0000-000000000000'', %L, ''public'')', rel, usr),
			format('SELECT count(*) FROM %s WHERE id = 99', rel))
		FROM (VALUES ('00000000-0000-0000-0000-000000000001'), ('00000000-0000-0000-0000-000000000002')) AS u(usr)
		UNION ALL
		SELECT 'move', where_ = '', attempt(who, format('UPDATE %s SET org_id = ''bbbbbbbb-0000-0000-0000-000000000000'' %s', rel, where_),
			format('SELECT count(*) FROM %s WHERE id < 20 AND org_id = ''bbbbbbbb-0000-0000-0000-000000000000''', rel))
		FROM (VALUES (''), ('WHERE id < 20')) AS w(where_)
	) AS d(deed, bare, n)
	WHERE n > 0
	GROUP BY d.deed
$$;

-- Bugs that applications had, and what must stay quiet; the number after f is that of the fixture.
\set tenant 'org_id = (SELECT public.auth_org_id())'
CALL make('f01_helper', 'USING (' || :'tenant' || ')');	-- bound
CALL make('f01_claim', $$USING (org_id = (SELECT (auth.jwt() -> 'app_metadata' ->> 'org_id')::uuid))$$);	-- bound
CALL make('f02_only_insert', 'FOR INSERT WITH CHECK (' || :'tenant' || ')');	-- bound, locked out of the rest
CALL make('f03_service_all', 'USING (true) WITH CHECK (true)', 'FOR SELECT USING (' || :'tenant' || ')');	-- open to all
CALL make('f04_select_true', 'FOR SELECT USING (true)');
CALL make('f06_as_text', 'USING (org_id::text = (SELECT public.auth_org_id()::text))');	-- bound
CALL make('f10_no_check', 'FOR ALL USING (' || :'tenant' || ')');	-- bound: USING is the check
CALL make('f11_lax_check', 'USING (' || :'tenant' || ') WITH CHECK (org_id IS NOT NULL)');	-- insert; move without WHERE
CALL make('f12_lax_using', 'FOR SELECT USING (' || :'tenant' || ')', 'FOR UPDATE USING (true) WITH CHECK (' || :'tenant' || ')');	-- take over without WHERE
CALL make('f13_insert_no_check', 'FOR INSERT');	-- nothing
CALL make('f13_all_no_clause', 'FOR ALL');	-- nothing
CALL make('f13_restrictive', 'AS RESTRICTIVE FOR INSERT', 'USING (' || :'tenant' || ')');	-- bound
CALL make('f14_update_no_select', 'FOR UPDATE USING (' || :'tenant' || ')');
CALL make('f14_update_true', 'FOR UPDATE USING (true) WITH CHECK (true)');	-- without WHERE only
CALL make('f14_delete_true', 'FOR DELETE USING (true)');	-- without WHERE only

-- Fixture 23: tautologies.
CALL make('t01', 'FOR SELECT USING (2 = 2)');
CALL make('t02', 'FOR SELECT USING (NOT false)');
CALL make('t03', $$FOR SELECT USING ('a' = 'a')$$);
CALL make('t04', 'FOR SELECT USING (org_id IS NULL OR true)');
CALL make('t05', 'FOR SELECT USING (id = id)');
CALL make('t06', 'FOR SELECT USING ((SELECT true))');
CALL make('t07', 'FOR SELECT USING (true::text::bool)');
CALL make('t08', 'FOR SELECT USING (org_id IS NOT NULL)');
CALL make('t09', 'FOR SELECT USING (CASE WHEN 1 > 2 THEN false ELSE true END)');
CALL make('t10', 'FOR SELECT USING (1 IN (1, 2))');
CALL make('t11', 'FOR SELECT USING (NOT (1 = 2 AND ' || :'tenant' || '))');
CALL make('t12', 'FOR SELECT USING ((1 = 1) IS NOT FALSE)');
CALL make('t13', $$FOR SELECT USING (date '2000-01-01' < date '2001-01-01')$$);
-- And their opposites.
CALL make('n01', 'FOR SELECT USING (2 = 1)');
CALL make('n02', 'FOR SELECT USING (NOT true)');
CALL make('n03', 'FOR SELECT USING (id <> id)');
CALL make('n04', 'FOR SELECT USING (org_id IS NULL)');
CALL make('n05', 'FOR SELECT USING (org_id = NULL)');
CALL make('n06', 'FOR SELECT USING (NULL)');
CALL make('n07', 'FOR SELECT USING (true AND (SELECT false))');
CALL make('n08', 'FOR SELECT USING (1 NOT IN (1, 2))');
CALL make('n09', 'FOR SELECT USING (NOT (org_id = NULL))');

-- Who is asking.
CALL make('w01', $$USING (auth.role() = 'service_role')$$, 'FOR SELECT USING (' || :'tenant' || ')');	-- none of ours
CALL make('w02', $$USING (auth.jwt() ->> 'role' = 'service_role')$$);	-- none of ours
CALL make('w03', $$FOR SELECT USING (auth.role() = 'authenticated')$$);
CALL make('w04', $$FOR SELECT USING ((SELECT auth.role()) IN ('authenticated', 'service_role'))$$);
CALL make('w05', $$FOR SELECT USING (current_user = 'anon')$$);
CALL make('w06', 'FOR SELECT USING (auth.uid() IS NOT NULL)');
CALL make('w07', 'FOR SELECT USING (auth.uid() IS NULL OR ' || :'tenant' || ')');	-- the test is the wrong way round
CALL make('w08', 'TO service_role USING (true)');
CALL make('w09', 'FOR SELECT TO authenticated USING (true)');
CALL make('w10', $$FOR SELECT USING (current_setting('request.jwt.claims', true)::json ->> 'role' <> 'anon')$$);

-- Ways to bind the tenant.
CALL make('b01', 'USING (NOT (org_id <> public.auth_org_id()))');
CALL make('b02', 'USING ((org_id = public.auth_org_id()) IS TRUE)');
CALL make('b03', 'USING (coalesce(org_id = public.auth_org_id(), false))');
CALL make('b04', 'USING (CASE WHEN org_id = public.auth_org_id() THEN true ELSE false END)');
CALL make('b05', 'USING (org_id IS NOT DISTINCT FROM public.auth_org_id())');
CALL make('b06', 'USING (org_id IN (SELECT m.org_id FROM rls_corpus.members m WHERE m.user_id = auth.uid()))');
CALL make('b07', 'USING (EXISTS (SELECT FROM rls_corpus.members m WHERE m.org_id = b07.org_id AND m.user_id = auth.uid()))');
CALL make('b08', 'USING (org_id = ANY (ARRAY(SELECT m.org_id FROM rls_corpus.members m WHERE m.user_id = (SELECT auth.uid()))))');
CALL make('b09', 'USING (org_id = (SELECT m.org_id FROM rls_corpus.members m WHERE m.user_id = auth.uid()))');
CALL make('b10', 'USING (auth.uid() IN (SELECT m.user_id FROM rls_corpus.members m WHERE m.org_id = b10.org_id))');
CALL make('b11', 'USING (EXISTS (SELECT FROM rls_corpus.members a JOIN rls_corpus.members m USING (org_id) WHERE a.org_id = b11.org_id AND m.user_id = auth.uid()))');
CALL make('b12', 'USING (true)', 'AS RESTRICTIVE USING (' || :'tenant' || ')');
CALL make('b13', $$USING (org_id = public.auth_org_id() AND note = 'public')$$);
CALL make('b14', 'USING (org_id IN (WITH mine AS (SELECT m.org_id FROM rls_corpus.members m WHERE m.user_id = auth.uid()) SELECT org_id FROM mine))');
CALL make('b15', 'USING (org_id IN (SELECT public.auth_org_id() UNION SELECT m.org_id FROM rls_corpus.members m WHERE m.user_id = auth.uid()))');
CALL make('b16', 'USING (user_id = auth.uid())');	-- tied to the caller by another column
CALL make('b17', $$USING (org_id = nullif(current_setting('app.org_id', true), '')::uuid)$$);
CALL make('b18', 'USING (false)');

-- Ways to miss it.
CALL make('m01', $$FOR SELECT USING (note = 'public')$$);
CALL make('m02', 'FOR SELECT USING (' || :'tenant' || $$ OR note = 'public')$$);
CALL make('m03', $$USING (org_id = 'bbbbbbbb-0000-0000-0000-000000000000')$$);
CALL make('m04', 'FOR SELECT USING (org_id <> public.auth_org_id())');
CALL make('m05', 'FOR SELECT USING (org_id = parent_org)');
CALL make('m06', 'FOR SELECT USING (note IS NULL)');
CALL make('m07', $$FOR SELECT USING (CASE WHEN note = 'public' THEN true ELSE org_id = public.auth_org_id() END)$$);
CALL make('m08', 'FOR SELECT USING (EXISTS (SELECT FROM rls_corpus.members m WHERE m.user_id = auth.uid() AND m.org_id = org_id))');	-- org_id is that of members
CALL make('m09', $$FOR SELECT USING (org_id IN (public.auth_org_id(), 'bbbbbbbb-0000-0000-0000-000000000000'))$$);
CALL make('m10', 'FOR DELETE USING (id > 0)', 'FOR SELECT USING (true)');
CALL make('m11', 'FOR INSERT WITH CHECK (true)', 'FOR SELECT USING (' || :'tenant' || ')');
CALL make('m12', 'FOR UPDATE USING (' || :'tenant' || ') WITH CHECK (true)', 'FOR SELECT USING (true)');
CALL make('m13', 'USING (' || :'tenant' || ')', $$AS RESTRICTIVE FOR SELECT USING (note = 'public')$$, $$FOR SELECT USING (note IS NOT NULL)$$);

-- What only running it can tell.
CREATE FUNCTION member_of(org uuid) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT org = public.auth_org_id() $$;
CALL make('o01', 'USING (rls_corpus.member_of(org_id))');
CALL make('o02', 'FOR SELECT USING (org_id = public.auth_org_id() OR rls_corpus.member_of(parent_org))');
CALL make('o03', $$FOR SELECT USING (auth.jwt() ->> 'plan' = 'staff' OR org_id = public.auth_org_id())$$);
CALL make('o04', 'FOR SELECT USING (coalesce(org_id = public.auth_org_id(), true))');	-- anon sees all

-- What the audit says each role can do with another tenant's rows.
CREATE VIEW claimed AS
	SELECT f.relation::regclass AS rel, w.who, d.deed, kind = 'without_where' AS without_where,
		bool_and(f.check_name = 'tenant_unproven') AS unproven
	FROM rls_audit('{rls_corpus}') f,
		(VALUES ('can'), ('without_where')) AS k(kind),
		jsonb_each(f.metadata -> kind) AS w(who, deeds),
		jsonb_array_elements_text(w.deeds) AS d(deed)
	GROUP BY 1, 2, 3, 4;
CREATE TABLE compared AS
	SELECT rel, who, deed, o.without_where AS oracle, c.without_where AS audit, coalesce(unproven, false) AS unproven
	FROM (SELECT oid::regclass AS rel FROM pg_class WHERE relnamespace = 'rls_corpus'::regnamespace AND relkind = 'r'
			AND relname <> 'members') AS t
	CROSS JOIN (VALUES ('anon'), ('authenticated')) AS w(who)
	CROSS JOIN (VALUES ('read'), ('change'), ('delete'), ('insert'), ('move')) AS d(deed)
	LEFT JOIN LATERAL (SELECT without_where FROM oracle(rel, who) AS o WHERE o.deed = d.deed) AS o ON true
	LEFT JOIN claimed c USING (rel, who, deed);

-- Disagreements ("f": it can; "t": only without WHERE; null: it cannot): none.
SELECT * FROM compared WHERE oracle IS DISTINCT FROM audit AND NOT unproven ORDER BY rel::text COLLATE "C", who, deed;
-- What the audit leaves open, and what the oracle finds.
SELECT * FROM compared WHERE unproven ORDER BY rel::text COLLATE "C", who, deed;
-- Confusion matrix of "can do it" over table, role and deed, without what is left open.
SELECT count(*) FILTER (WHERE oracle IS NOT NULL AND audit IS NOT NULL) AS true_positive,
	count(*) FILTER (WHERE oracle IS NULL AND audit IS NOT NULL) AS false_positive,
	count(*) FILTER (WHERE oracle IS NOT NULL AND audit IS NULL) AS false_negative,
	count(*) FILTER (WHERE oracle IS NULL AND audit IS NULL) AS true_negative
FROM compared WHERE NOT unproven;

-- Lockouts: what the audit says authenticated is locked out of, against the same role trying with its own rows.
CREATE FUNCTION locked_out(rel regclass) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(command, ', ' ORDER BY nr) FROM (VALUES
		(1, 'SELECT', attempt('authenticated', format('SELECT count(*) FROM %s WHERE id < 20', rel), NULL)),
		(2, 'INSERT', attempt('authenticated', format('INSERT INTO %s VALUES (99, ''aaaaaaaa-0000-0000-0000-000000000000'', ''00000000-0000-0000-0000-000000000001'', ''public'')', rel),
			format('SELECT count(*) FROM %s WHERE id = 99', rel))),
		(3, 'UPDATE', attempt('authenticated', format('UPDATE %s SET parent_org = NULL WHERE id < 20', rel),
			format('SELECT count(*) FROM %s WHERE parent_org IS NULL AND id < 20', rel))),
		(4, 'DELETE', attempt('authenticated', format('DELETE FROM %s WHERE id < 20', rel),
			format('SELECT 3 - count(*) FROM %s WHERE id < 20', rel)))) AS c(nr, command, n)
	WHERE n = 0
$$;
-- Every such claim holds (no rows) ...
SELECT relation, command, locked_out(relation::regclass) FROM rls_audit('{rls_corpus}')
WHERE check_name = 'policy_missing' AND role = 'authenticated'
	AND NOT string_to_array(command, ', ') <@ string_to_array(locked_out(relation::regclass), ', ');
-- ... and these are they, among the fixtures.
SELECT severity, object, command, detail FROM rls_audit('{rls_corpus}')
WHERE check_name = 'policy_missing' AND relation ~ '\.f';
-- Policies that do nothing.
SELECT object, detail, remedy FROM rls_audit('{rls_corpus}') WHERE check_name = 'policy_dead';
-- The wording of leaks.
SELECT severity, key, command, detail FROM rls_audit('{rls_corpus}') WHERE verdict = 'leak' AND relation ~ '\.[fm]';
SELECT severity, key, detail FROM rls_audit('{rls_corpus}') WHERE check_name = 'tenant_unproven';

-- Nothing of the user's is executed: not a function, an operator, a cast, a domain's constraint, immutable or not.
CREATE SEQUENCE ran;
CREATE FUNCTION evil() RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('rls_corpus.ran'); RETURN true; END $$;
CREATE FUNCTION evil_org() RETURNS uuid IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('rls_corpus.ran'); RAISE 'ran'; END $$;
CREATE FUNCTION evil_equal(int, int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('rls_corpus.ran'); RETURN true; END $$;
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = evil_equal);
CREATE DOMAIN evil_text AS text CHECK (rls_corpus.evil());
CREATE TYPE pair AS (a int);
CREATE FUNCTION evil_cast(pair) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('rls_corpus.ran'); RETURN true; END $$;
CREATE CAST (pair AS boolean) WITH FUNCTION evil_cast(pair);
CALL make('x01', 'USING (rls_corpus.evil())');
CALL make('x02', 'USING (org_id = rls_corpus.evil_org())');
CALL make('x03', 'USING (1 OPERATOR(rls_corpus.===) 1)');
CALL make('x04', $$USING ('a'::text = note::rls_corpus.evil_text)$$);
CALL make('x05', $$USING ('(1)'::rls_corpus.pair::boolean)$$);
CALL make('x06', $$USING ('x'::text::rls_corpus.evil_text::text = 'x')$$);
SELECT is_called FROM ran;
ALTER SEQUENCE ran RESTART;
SELECT severity, key, verdict FROM rls_audit('{rls_corpus}') WHERE relation ~ '\.x' AND check_name <> 'policy_missing';
SELECT is_called FROM ran;

SET client_min_messages = warning;
RESET search_path;
DROP SCHEMA rls_corpus CASCADE;
\set file :srcdir '/sql/common/supabase_drop.psql'
\set ECHO none
\i :file
