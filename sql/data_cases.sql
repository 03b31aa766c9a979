-- Edge cases of the data checks that no other file has.
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA cases;
SET search_path = cases, public;
\pset null ~

-- case 24: a night of changing clocks: a length counts by instant, whatever the session's time zone
CREATE TABLE appointments (id int PRIMARY KEY, org_id int, contact_id int, scheduled_at timestamptz, duration_minutes int);
INSERT INTO appointments VALUES
	(1, 1, 1, '2026-10-25 02:30 Europe/Berlin'::timestamptz - interval '1 h', 60), (2, 1, 1, '2026-10-25 02:30 Europe/Berlin', 60),
	(3, 1, 2, '2026-10-25 02:30+02', 61), (4, 1, 2, '2026-10-25 02:30+01', 60);
SET timezone = 'Europe/Berlin';
SELECT kind, identity, duplicate_ids, detail FROM find_duplicate_appointments(same => '{contact}');
SET timezone = 'UTC';
DROP TABLE appointments;

-- times and lengths whose sum is out of range hide no double booking, their own included
CREATE TABLE appointments (id int PRIMARY KEY, contact_id int, scheduled_at timestamptz, duration interval);
INSERT INTO appointments VALUES (1, 1, '294276-12-31 23:59Z', '1 h'), (2, 1, '294276-12-31 23:59Z', NULL), (3, 2, '2010-01-01Z', '170000000 years'),
	(4, 2, '2011-01-01Z', '1 h'), (5, 3, 'infinity', '1 h'), (6, 3, 'infinity', '1 h'), (7, 4, '-infinity', '1 h'), (8, 4, '-infinity', '1 h');
CREATE VIEW far_ones AS SELECT kind, identity, keep_id, duplicate_ids FROM find_duplicate_appointments(tolerance => '1 min') ORDER BY 2;
SELECT * FROM far_ones;
SET voxanne_ops.executor = sql;
SELECT * FROM far_ones;
RESET voxanne_ops.executor;
SELECT detail FROM find_duplicate_appointments() WHERE identity = 'contact:3';
DROP VIEW far_ones;
DROP TABLE appointments;

-- case 30: references to a unique key that is not the primary one, from partitions, deferrable ones, and the table itself
CREATE TABLE clients (id int PRIMARY KEY, org_id int, code text UNIQUE, email text, referred_by text REFERENCES clients (code));
CREATE TABLE visits (client_code text REFERENCES clients (code) ON DELETE CASCADE, day date) PARTITION BY RANGE (day);
CREATE TABLE visits_2025 PARTITION OF visits FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE visits_2026 PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE bills (client int REFERENCES clients ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO clients VALUES (1, 1, 'a', 'x@example.com', NULL), (2, 1, 'b', 'x@example.com', NULL), (3, 1, 'c', 'y@example.com', 'b');
INSERT INTO visits VALUES ('a', '2025-05-05'), ('b', '2025-05-05'), ('b', '2026-05-05'), ('c', '2026-05-05');
INSERT INTO bills VALUES (1), (2), (2);
SELECT keep_id, duplicate_ids, references_to_move FROM find_duplicates('clients', '{email}');
\o /dev/null
\set ECHO none
SELECT remedy FROM find_duplicates('clients', '{email}') \gexec
\set ECHO all
\o
SELECT id, code, referred_by FROM clients ORDER BY id;
SELECT tableoid::regclass, client_code FROM visits ORDER BY 1, 2;
SELECT client, count(*) FROM bills GROUP BY 1;
SELECT * FROM find_orphans(schemas => '{cases}');
DROP TABLE bills, visits, clients;

-- a reference that no statement can move, or that would be lost because the keeper has no such value, keeps the row
CREATE TABLE people (id int PRIMARY KEY, code text UNIQUE, email text, deleted_at timestamptz);
CREATE TABLE badges (id int PRIMARY KEY, n int, person int GENERATED ALWAYS AS (n * 10) STORED REFERENCES people);
CREATE TABLE seats (person int GENERATED ALWAYS AS IDENTITY (START 30) REFERENCES people);
CREATE TABLE calls (person_code text REFERENCES people (code) ON DELETE CASCADE);
INSERT INTO people VALUES (10, NULL, 'a'), (20, 'x', 'a'), (30, 'y', 'a'), (40, 'z', 'a'), (50, 'free', 'a');
INSERT INTO badges VALUES (1, 2);
INSERT INTO seats DEFAULT VALUES;
INSERT INTO calls VALUES ('z');
SELECT rows, references_to_move, advice FROM find_duplicates('people', '{email}');
SELECT remedy FROM find_duplicates('people', '{email}') \gexec
SELECT id, deleted_at IS NULL AS live FROM people ORDER BY id;
UPDATE people SET deleted_at = NULL;
SELECT remedy FROM find_duplicates('people', '{email}', include_deleted => true) \gexec
SELECT id, (SELECT person FROM badges), (SELECT person FROM seats), (SELECT person_code FROM calls) FROM people ORDER BY id;
DROP TABLE people, badges, seats, calls;

-- rules: no remedy
CREATE TABLE owners (id int PRIMARY KEY);
CREATE TABLE pets (id int PRIMARY KEY, name text, owner_id int REFERENCES owners);
SET session_replication_role = replica;
INSERT INTO pets VALUES (1, 'Rex', 1), (2, 'Rex', 1);
RESET session_replication_role;
CREATE RULE forever AS ON DELETE TO pets DO INSTEAD NOTHING;
SELECT remedy, advice FROM find_duplicates('pets', '{name}') UNION ALL SELECT remedy, advice FROM find_orphans('pets', '{cases}');
DROP TABLE pets, owners;

-- case 31: what a remedy moved comes back as it was: values of every kind, generated columns and identity
CREATE TYPE cases.point3 AS (x int, y numeric, z text);
CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text, doubled text GENERATED ALWAYS AS (code || code) STORED,
	n numeric, f float8, b bytea, at timestamptz, a text[], p point3, j jsonb, d date, c char(4), r numrange, i interval);
CREATE TABLE of_things (id int PRIMARY KEY, thing_id int REFERENCES things ON DELETE CASCADE);
INSERT INTO things (code, n, f, b, at, a, p, j, d, c, r, i) VALUES
	('x', 1, 1, '', now(), '{}', NULL, NULL, NULL, NULL, NULL, NULL),
	('x', 1.500, 'NaN', '\x00ff5c', 'infinity', ARRAY['a,b', NULL, '"'], ROW(1, 2.0, E'it''s\n'), '{"k": [1.0, null]}', '-infinity', 'ab', '(1.50,]', '1 mon -2 days 00:00:00.000001'),
	('x', 'NaN', 1e-300, NULL, '2026-03-29 01:30:00.123456+01', '{{1,2},{3,4}}', ROW(NULL, NULL, ''), '"null"', '0044-03-15 BC', '', 'empty', '-178000000 years');
INSERT INTO of_things VALUES (1, 2), (2, 3), (3, 1);
CREATE TEMPORARY TABLE before AS SELECT t::text AS row FROM things AS t;
\o /dev/null
\set ECHO none
SELECT remedy FROM find_duplicates('things', '{code}') \gexec
\set ECHO all
\o
SELECT id FROM things;
SELECT * FROM of_things ORDER BY id;
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns FROM pg_attribute
WHERE attrelid = 'things'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' \gset
INSERT INTO things (:columns) OVERRIDING SYSTEM VALUE
SELECT :columns FROM voxanne_quarantine.row_image, jsonb_populate_record(NULL::things, row_data) WHERE relation = 'cases.things';
SELECT count(*) AS differences FROM (SELECT t::text AS row FROM things AS t) AS after FULL JOIN before USING (row) WHERE after IS NULL OR before IS NULL;
DROP TABLE of_things, things, before;
DROP TYPE cases.point3;

-- case 36: a foreign table that cannot be read is a finding, whoever is child; the others are checked
CREATE FOREIGN DATA WRAPPER regress_nowhere;
CREATE SERVER regress_nowhere FOREIGN DATA WRAPPER regress_nowhere;
CREATE TABLE parents (id int PRIMARY KEY);
CREATE FOREIGN TABLE devices (id int, parent_id int) SERVER regress_nowhere;
CREATE TABLE parts (id int PRIMARY KEY, device_id int, parent_id int REFERENCES parents);
CREATE TABLE readings (id int, parent_id int) PARTITION BY LIST (id);
CREATE TABLE readings_1 PARTITION OF readings FOR VALUES IN (1);
CREATE FOREIGN TABLE readings_2 PARTITION OF readings FOR VALUES IN (2) SERVER regress_nowhere;
SET session_replication_role = replica;
INSERT INTO parts VALUES (1, 1, 7);
RESET session_replication_role;
SELECT severity, object, kind, orphans, detail FROM find_orphans(schemas => '{cases}');
SELECT severity, detail FROM find_duplicates('readings', '{parent_id}');
SELECT severity, detail FROM find_duplicates('devices', '{parent_id}');
DROP TABLE readings, parts, parents;
DROP FOREIGN DATA WRAPPER regress_nowhere CASCADE;

-- case 37: row security that is forced on the owner; case 39: a parent in a schema that cannot be read
CREATE ROLE regress_cases_owner;
CREATE SCHEMA regress_cases_auth;
GRANT ALL ON SCHEMA cases TO regress_cases_owner;
GRANT USAGE ON SCHEMA regress_cases_auth TO regress_cases_owner;
GRANT EXECUTE ON FUNCTION find_orphans(regclass, name[], boolean, boolean, int) TO regress_cases_owner;
CREATE TABLE regress_cases_auth.users (id int PRIMARY KEY);
GRANT REFERENCES ON regress_cases_auth.users TO regress_cases_owner;
INSERT INTO regress_cases_auth.users VALUES (1);
SET ROLE regress_cases_owner;
CREATE TABLE owners (id int PRIMARY KEY, user_id int REFERENCES regress_cases_auth.users);
CREATE TABLE things (id int PRIMARY KEY, owner_id int REFERENCES owners, related_entity_id int, related_entity_type text, vapi_call_id int);
INSERT INTO owners VALUES (1, 1);
INSERT INTO things VALUES (1, 1, 7, 'call', 7);
SELECT object, kind, orphans, detail FROM find_orphans(schemas => '{cases}');
ALTER TABLE owners ENABLE ROW LEVEL SECURITY;
ALTER TABLE owners FORCE ROW LEVEL SECURITY;
SELECT object, kind, orphans, detail FROM find_orphans(schemas => '{cases}');
RESET ROLE;
SELECT * FROM find_orphans(schemas => '{cases}');

DROP OWNED BY regress_cases_owner;
DROP SCHEMA regress_cases_auth, cases, voxanne_quarantine CASCADE;
DROP ROLE regress_cases_owner;
RESET timezone;
RESET client_min_messages;
