-- The data checks among hostile operators, functions, casts and expressions.
SET client_min_messages = warning;
CREATE ROLE regress_mallory;
CREATE SCHEMA hostile AUTHORIZATION regress_mallory;
CREATE SCHEMA ahead;
\pset null ~

-- operators and functions ahead of pg_catalog
CREATE FUNCTION ahead.lie(int, int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'hostile operator called'; END$$;
CREATE OPERATOR ahead.= (LEFTARG = int, RIGHTARG = int, FUNCTION = ahead.lie);
CREATE OPERATOR ahead.> (LEFTARG = int, RIGHTARG = int, FUNCTION = ahead.lie);
CREATE FUNCTION ahead.lower(text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'hostile lower() called'; END$$;
CREATE FUNCTION ahead.format(text, VARIADIC "any") RETURNS text LANGUAGE internal AS 'text_format';
CREATE FUNCTION ahead.now() RETURNS timestamptz LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'hostile now() called'; END$$;
CREATE DOMAIN ahead.uuid AS text CHECK (false);
CREATE DOMAIN ahead.timestamptz AS text CHECK (false);
CREATE TABLE ahead.parents (id int PRIMARY KEY, created_at pg_catalog.timestamptz);
CREATE TABLE ahead.children (id int PRIMARY KEY, parent_id int, k int, note text, deleted_at pg_catalog.timestamptz);
CREATE TABLE ahead.appointments (id int PRIMARY KEY, org_id int, contact_id int, scheduled_at pg_catalog.timestamptz, duration_minutes int, status text);
INSERT INTO ahead.parents VALUES (1), (2);
INSERT INTO ahead.children SELECT i, i / 3 + 1, i / 2 FROM generate_series(1, 9) i;
INSERT INTO ahead.appointments SELECT i, 1, 1, '2026-01-01 10:00Z', 30 FROM generate_series(1, 2) i;
SET search_path = ahead, pg_catalog, public;
SELECT 1 = 1;
SELECT object, orphans, sample FROM find_orphans(schemas => '{ahead}');
SELECT rows, keep_id, duplicate_ids FROM find_duplicates('children', '{k}');
SELECT rows, keep_id, duplicate_ids FROM find_duplicate_appointments();
SHOW search_path;
RESET search_path;
DROP SCHEMA ahead CASCADE;

-- Functions of another user that the planner folds, or that a cast calls, do not run as the caller: they take note of
-- who runs them, and try what only a superuser may do.
SET ROLE regress_mallory;
CREATE FUNCTION hostile.attack() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
		RAISE WARNING 'attack() runs as a superuser';
		ALTER ROLE regress_mallory SUPERUSER;
	END IF;
	RETURN 1;
END$$;
CREATE FUNCTION hostile.note(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM hostile.attack(); RETURN $1; END';
CREATE TABLE hostile.things (id int PRIMARY KEY, k int, created_at timestamptz);
CREATE TABLE hostile.parts (id int PRIMARY KEY, thing_id int);
INSERT INTO hostile.things VALUES (1, 7), (2, 7);
INSERT INTO hostile.parts SELECT i, i FROM generate_series(1, 3) i;
CREATE INDEX ON hostile.things ((hostile.attack() + k));
CREATE INDEX ON hostile.parts (id) WHERE thing_id > hostile.attack();
CREATE STATISTICS hostile.stats ON (k + hostile.attack()) FROM hostile.things;
CREATE TABLE hostile.logs (id int, k int, CHECK (k > hostile.attack())) PARTITION BY RANGE (id);
CREATE TABLE hostile.logs_1 PARTITION OF hostile.logs FOR VALUES FROM (0) TO (9);
INSERT INTO hostile.logs VALUES (1, 5), (2, 5);
RESET ROLE;
-- a new session has not folded anything yet
\c -
SET client_min_messages = warning;
SELECT rows, keep_id FROM find_duplicates('hostile.things', '{k}');
SELECT object, orphans FROM find_orphans(schemas => '{hostile}');
SELECT rows FROM find_duplicates('hostile.logs', '{k}');

-- one owner cannot read the tables of both: nobody runs it
CREATE TABLE hostile.secrets (id int PRIMARY KEY, thing_id int);
INSERT INTO hostile.secrets VALUES (1, 9);
SELECT severity, object, detail, kind FROM find_orphans('hostile.secrets', '{hostile}');
SET ROLE regress_mallory;
SELECT rows FROM find_duplicates('hostile.logs', '{k}');
RESET ROLE;
GRANT EXECUTE ON FUNCTION find_duplicates(regclass, name[], name, boolean, boolean, int) TO regress_mallory;
SET ROLE regress_mallory;
SELECT rows FROM find_duplicates('hostile.logs', '{k}');
RESET ROLE;

-- casts: of a type to json, for a row of the result, and to the type of a referenced key
SET ROLE regress_mallory;
CREATE TYPE hostile.couple AS (a int, b int);
CREATE FUNCTION hostile.couple_json(hostile.couple) RETURNS json LANGUAGE plpgsql AS $$BEGIN PERFORM hostile.attack(); RETURN '{}'; END$$;
CREATE CAST (hostile.couple AS json) WITH FUNCTION hostile.couple_json(hostile.couple);
CREATE TABLE hostile.couples (id int PRIMARY KEY, p hostile.couple);
INSERT INTO hostile.couples VALUES (1, '(1,2)'), (2, '(1,2)');
CREATE TYPE hostile.pair AS (a int, b int);
CREATE FUNCTION hostile.pair_int(hostile.pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM hostile.attack(); RETURN 1; END$$;
CREATE CAST (hostile.pair AS int) WITH FUNCTION hostile.pair_int(hostile.pair) AS IMPLICIT;
CREATE TABLE hostile.words (word int PRIMARY KEY);
CREATE TABLE hostile.spoken (id int PRIMARY KEY, p hostile.pair REFERENCES hostile.words);
INSERT INTO hostile.words VALUES (1);
INSERT INTO hostile.spoken VALUES (1, '(1,2)');
RESET ROLE;
SELECT rows, key_values FROM find_duplicates('hostile.couples', '{p}');
SET session_replication_role = replica;
DELETE FROM hostile.words;
RESET session_replication_role;
SELECT object, orphans, sample FROM find_orphans('hostile.spoken', '{hostile}');

-- an operator class whose function belongs to somebody else
SET ROLE regress_mallory;
CREATE FUNCTION hostile.couple_eq(hostile.couple, hostile.couple) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
	$$BEGIN PERFORM hostile.attack(); RETURN ($1).a = ($2).a; END$$;
RESET ROLE;
CREATE FUNCTION hostile.couple_lt(hostile.couple, hostile.couple) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN ($1).a < ($2).a; END';
CREATE FUNCTION hostile.couple_le(hostile.couple, hostile.couple) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN ($1).a <= ($2).a; END';
CREATE FUNCTION hostile.couple_cmp(hostile.couple, hostile.couple) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN btint4cmp(($1).a, ($2).a); END';
CREATE OPERATOR hostile.= (LEFTARG = hostile.couple, RIGHTARG = hostile.couple, FUNCTION = hostile.couple_eq, MERGES);
CREATE OPERATOR hostile.< (LEFTARG = hostile.couple, RIGHTARG = hostile.couple, FUNCTION = hostile.couple_lt, COMMUTATOR = OPERATOR(hostile.>));
CREATE OPERATOR hostile.<= (LEFTARG = hostile.couple, RIGHTARG = hostile.couple, FUNCTION = hostile.couple_le, COMMUTATOR = OPERATOR(hostile.>=));
CREATE FUNCTION hostile.couple_gt(hostile.couple, hostile.couple) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN ($1).a > ($2).a; END';
CREATE FUNCTION hostile.couple_ge(hostile.couple, hostile.couple) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN ($1).a >= ($2).a; END';
CREATE OPERATOR hostile.> (LEFTARG = hostile.couple, RIGHTARG = hostile.couple, FUNCTION = hostile.couple_gt, COMMUTATOR = OPERATOR(hostile.<));
CREATE OPERATOR hostile.>= (LEFTARG = hostile.couple, RIGHTARG = hostile.couple, FUNCTION = hostile.couple_ge, COMMUTATOR = OPERATOR(hostile.<=));
CREATE OPERATOR CLASS hostile.couple_ops DEFAULT FOR TYPE hostile.couple USING btree AS
	OPERATOR 1 hostile.<, OPERATOR 2 hostile.<=, OPERATOR 3 hostile.=, OPERATOR 4 hostile.>=, OPERATOR 5 hostile.>,
	FUNCTION 1 hostile.couple_cmp(hostile.couple, hostile.couple);
INSERT INTO hostile.couples VALUES (3, '(1,9)');
SELECT rows, keep_id, duplicate_ids FROM find_duplicates('hostile.couples', '{p}');
-- a superuser's table that brings such code: nobody runs it
ALTER TABLE hostile.couples OWNER TO CURRENT_USER;
SELECT detail, rows FROM find_duplicates('hostile.couples', '{p}');

-- a tenant whose type runs a constraint when it is read from the argument
SET ROLE regress_mallory;
CREATE DOMAIN hostile.word AS text CHECK (hostile.attack() = 1);
CREATE TABLE hostile.appointments (id int PRIMARY KEY, org_id hostile.word[], contact_id int, scheduled_at timestamptz);
CREATE TABLE hostile.bookings (id int PRIMARY KEY, org_id hostile.word, contact_id int, scheduled_at timestamptz);
INSERT INTO hostile.appointments SELECT n, '{a}', 1, '2026-01-01Z' FROM generate_series(1, 2) AS n;
INSERT INTO hostile.bookings SELECT n, 'a', 1, '2026-01-01Z' FROM generate_series(1, 2) AS n;
RESET ROLE;
SELECT rows FROM find_duplicate_appointments('hostile.appointments', tenant => '{a}');
SELECT rows FROM find_duplicate_appointments('hostile.appointments');
SELECT rows FROM find_duplicate_appointments('hostile.bookings', tenant => 'a');

-- ids, links and names that would end a comment below a remedy: a remedy does no more than its first statement
CREATE TABLE hostile.victims (id int);
CREATE TYPE hostile.state AS ENUM ('open', 'cancelled');
CREATE TABLE hostile."a
DROP TABLE hostile.victims;--" (id text PRIMARY KEY, contact_id int, "provider_id" int, scheduled_at timestamptz, duration_minutes int,
	status hostile.state, calendar_link text, email text);
INSERT INTO hostile."a
DROP TABLE hostile.victims;--" (id, contact_id, scheduled_at, calendar_link, email) VALUES
	('1', 1, '2026-01-01Z', NULL, 'a@example.com'), (E'2\r\nDROP TABLE hostile.victims;--', 1, '2026-01-01Z', E'link\nDROP TABLE hostile.victims;', 'nobody');
SELECT regexp_replace(remedy, E'\n', '<newline>', 'g') AS remedy FROM pg_class AS c, find_duplicate_appointments(c.oid::regclass)
WHERE relname ~ E'^a\n' AND relkind = 'r' AND relnamespace = 'hostile'::regnamespace;
SELECT regexp_replace(remedy, E'\n', '<newline>', 'g') AS remedy FROM pg_class AS c, find_invalid_data(c.oid::regclass, '{hostile}') AS f
WHERE relname ~ E'^a\n' AND relkind = 'r' AND relnamespace = 'hostile'::regnamespace AND kind = 'no_email';
\o /dev/null
\set ECHO none
SELECT remedy FROM pg_class AS c, find_duplicate_appointments(c.oid::regclass)
WHERE relname ~ E'^a\n' AND relkind = 'r' AND relnamespace = 'hostile'::regnamespace \gexec
SELECT remedy FROM pg_class AS c, find_invalid_data(c.oid::regclass, '{hostile}') AS f
WHERE relname ~ E'^a\n' AND relkind = 'r' AND relnamespace = 'hostile'::regnamespace AND kind = 'no_email' \gexec
\set ECHO all
\o
SELECT id, status FROM hostile."a
DROP TABLE hostile.victims;--" ORDER BY id;
TABLE hostile.victims;

SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_mallory';
DROP SCHEMA hostile CASCADE;
DROP OWNED BY regress_mallory;
DROP ROLE regress_mallory;
RESET client_min_messages;
