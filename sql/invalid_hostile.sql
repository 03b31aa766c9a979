-- find_invalid_data() among hostile operators, functions, types and constraints.
SET client_min_messages = warning;
CREATE ROLE regress_mallet;
CREATE SCHEMA hostile AUTHORIZATION regress_mallet;
CREATE SCHEMA ahead;
\pset null ~

-- operators and functions ahead of pg_catalog
CREATE FUNCTION ahead.lie(int, int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'hostile operator called'; END$$;
CREATE FUNCTION ahead.lie(text, text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'hostile operator called'; END$$;
CREATE FUNCTION ahead.lie(pg_catalog.timestamptz, pg_catalog.timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'hostile operator called'; END$$;
CREATE OPERATOR ahead.> (LEFTARG = int, RIGHTARG = int, FUNCTION = ahead.lie);
CREATE OPERATOR ahead.<= (LEFTARG = int, RIGHTARG = int, FUNCTION = ahead.lie);
CREATE OPERATOR ahead.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = ahead.lie);
CREATE OPERATOR ahead.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = ahead.lie);
CREATE OPERATOR ahead.<= (LEFTARG = pg_catalog.timestamptz, RIGHTARG = pg_catalog.timestamptz, FUNCTION = ahead.lie);
CREATE OPERATOR ahead.>= (LEFTARG = pg_catalog.timestamptz, RIGHTARG = pg_catalog.timestamptz, FUNCTION = ahead.lie);
CREATE FUNCTION ahead.btrim(text, text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'hostile btrim() called'; END$$;
CREATE FUNCTION ahead.isfinite(pg_catalog.timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'hostile isfinite() called'; END$$;
CREATE FUNCTION ahead.now() RETURNS pg_catalog.timestamptz LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'hostile now() called'; END$$;
CREATE FUNCTION ahead.format(text, VARIADIC "any") RETURNS text LANGUAGE internal AS 'text_format';
CREATE DOMAIN ahead.date AS text CHECK (false);
CREATE TABLE ahead.appointments (id int PRIMARY KEY, name text NOT NULL, email text, phone text, scheduled_at pg_catalog.timestamptz,
	duration_minutes int, status text, created_at pg_catalog.timestamptz, updated_at pg_catalog.timestamptz, dob pg_catalog.date);
INSERT INTO ahead.appointments VALUES (1, ' ', 'x', 'x', '2026-01-05', 0, 'completed', '2026-01-05', '2026-01-04', '1800-01-01'),
	(2, 'b', 'a@example.com', '112', '2026-01-05', 30, 'completed', '2026-01-05', '2026-01-05', '1990-01-01');
SET search_path = ahead, pg_catalog, public;
SELECT severity, key, rows FROM find_invalid_data(schemas => '{ahead}');
SHOW search_path;
RESET search_path;
DROP SCHEMA ahead CASCADE;

-- a constraint that tries whatever it can; it says 'no' to every row, and what it did is undone
SET ROLE regress_mallet;
CREATE TABLE hostile.diary (who name);
CREATE SEQUENCE hostile.visits;
CREATE FUNCTION hostile.attack() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	attempt text;
	failed text[] = '{}';
BEGIN
	FOREACH attempt IN ARRAY ARRAY['SET transaction_read_only = off', 'SET SESSION AUTHORIZATION DEFAULT', 'RESET ROLE',
		'ALTER ROLE regress_mallet SUPERUSER', 'INSERT INTO hostile.diary VALUES (current_user)', 'SELECT nextval(''hostile.visits'')',
		'CREATE TABLE hostile.loot AS SELECT 1', 'NOTIFY loot', 'SET loot.x = 1', 'SELECT lo_create(0)']
	LOOP
		BEGIN
			EXECUTE attempt;
		EXCEPTION WHEN OTHERS THEN
			failed := failed || attempt;
		END;
	END LOOP;
	RAISE WARNING 'as %, superuser: %, failed: %', current_user,
		(SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
		array_to_string(array_remove(array_remove(failed, 'SELECT lo_create(0)'), 'NOTIFY loot'), '; ');
	RETURN false;
END$$;
CREATE TABLE hostile.things (id int PRIMARY KEY, email text);
INSERT INTO hostile.things VALUES (1, 'x');
ALTER TABLE hostile.things ADD CONSTRAINT trap CHECK (hostile.attack()) NOT VALID;
RESET ROLE;
LISTEN loot;
SELECT severity, key, rows, checked, sample FROM find_invalid_data('hostile.things', max_rows => 0);
SELECT (SELECT count(*) FROM hostile.diary) AS diary, (SELECT is_called FROM hostile.visits) AS visited, to_regclass('hostile.loot') AS loot,
	nullif(current_setting('loot.x', true), '') AS setting, current_user = session_user AS same_user,
	(SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_mallet') AS superuser;
UNLISTEN *;

-- the server's own functions that run what they are told, and a domain's constraint, run as the owner as well
SET ROLE regress_mallet;
CREATE DOMAIN hostile.word AS text CHECK (hostile.attack());
CREATE TABLE hostile.told (id int PRIMARY KEY, word text);
INSERT INTO hostile.told VALUES (1, 'x');
ALTER TABLE hostile.told ADD CONSTRAINT a_query CHECK (ts_rewrite('a', 'SELECT ''a''::tsquery, hostile.attack()::text::tsquery') = 'true') NOT VALID;
ALTER TABLE hostile.told ADD CONSTRAINT b_domain CHECK (word::hostile.word IS NOT NULL) NOT VALID;
ALTER TABLE hostile.told ADD CONSTRAINT c_plain CHECK (length(word) > 1) NOT VALID;
RESET ROLE;
SELECT severity, key, detail, rows FROM find_invalid_data('hostile.told', max_rows => 0);

-- the same table in a superuser's hands: only what is known to be harmless is run
ALTER TABLE hostile.told ADD CONSTRAINT d_default CHECK (word > current_setting('lc_messages')) NOT VALID;
ALTER TABLE hostile.told ADD CONSTRAINT e_case CHECK (CASE WHEN id IN (1, 2) THEN coalesce(nullif(lower(word), 'y'), '') <> ALL (ARRAY['x', 'z']) END) NOT VALID;
ALTER TABLE hostile.told ADD CONSTRAINT f_time CHECK (id < extract(year FROM now()) AND (id, word) > (0, 'a') AND greatest(id, 2) = 2) NOT VALID;
ALTER TABLE hostile.told OWNER TO CURRENT_USER;
SELECT severity, key, detail, rows FROM find_invalid_data('hostile.told', max_rows => 0);

-- an enum with a cast of its owner's, an index with a function of his
SET ROLE regress_mallet;
CREATE FUNCTION hostile.look(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
		RAISE WARNING 'look() runs as a superuser';
	END IF;
	RETURN $1;
END$$;
CREATE TYPE hostile.mood AS ENUM ('completed', 'pending');
CREATE FUNCTION hostile.mood_text(hostile.mood) RETURNS text LANGUAGE sql AS $$SELECT hostile.look('pending')$$;
CREATE CAST (hostile.mood AS text) WITH FUNCTION hostile.mood_text(hostile.mood) AS IMPLICIT;
CREATE TABLE hostile.visit (id int PRIMARY KEY, starts_at timestamptz, status hostile.mood, email text);
CREATE INDEX ON hostile.visit ((hostile.look('x') || email));
INSERT INTO hostile.visit VALUES (1, now() + '9 days', 'completed', 'x'), (2, now() + '9 days', 'pending', 'a@example.com');
RESET ROLE;
-- a new session has not folded anything yet
\c -
SET client_min_messages = warning;
SELECT severity, key, rows FROM find_invalid_data('hostile.visit');

-- the smallest table is the first, so that most are done when time runs out: constraints that tell when they are asked
CREATE SCHEMA sizes AUTHORIZATION regress_mallet;
SET ROLE regress_mallet;
CREATE FUNCTION sizes.tells(name text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING '% is asked', name; RETURN true; END $$;
CREATE TABLE sizes.a_large (id int, pad text);
CREATE TABLE sizes.b_small (LIKE sizes.a_large);
CREATE TABLE sizes.c_middle (LIKE sizes.a_large);
ALTER TABLE sizes.a_large ALTER pad SET STORAGE PLAIN;
ALTER TABLE sizes.c_middle ALTER pad SET STORAGE PLAIN;
INSERT INTO sizes.a_large SELECT i, repeat('x', 7000) FROM generate_series(1, 9) i;
INSERT INTO sizes.b_small VALUES (1, 'x');
INSERT INTO sizes.c_middle SELECT i, repeat('x', 7000) FROM generate_series(1, 3) i;
DELETE FROM sizes.a_large WHERE id > 1;
DELETE FROM sizes.c_middle WHERE id > 1;
ALTER TABLE sizes.a_large ADD CONSTRAINT tells CHECK (sizes.tells('a_large')) NOT VALID;
ALTER TABLE sizes.b_small ADD CONSTRAINT tells CHECK (sizes.tells('b_small')) NOT VALID;
ALTER TABLE sizes.c_middle ADD CONSTRAINT tells CHECK (sizes.tells('c_middle')) NOT VALID;
ANALYZE sizes.a_large, sizes.b_small, sizes.c_middle;
RESET ROLE;
SELECT key FROM find_invalid_data(schemas => '{sizes}');
DROP SCHEMA sizes CASCADE;

SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_mallet';
DROP SCHEMA hostile CASCADE;
DROP OWNED BY regress_mallet;
DROP ROLE regress_mallet;
RESET client_min_messages;
