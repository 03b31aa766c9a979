-- find_orphans(): quiet, loud, remedy, quiet; against an independent query; bad input.
-- The numbered cases are those of a list of edge cases that was made before the functions.
SET client_min_messages = warning;
CREATE SCHEMA orphans;
CREATE SCHEMA "odd.schema";
SET search_path = orphans, public;
\pset null ~

CREATE TABLE organizations (id uuid PRIMARY KEY, name text);
CREATE TABLE contacts (
	id uuid PRIMARY KEY,
	owner_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
	name text,
	deleted_at timestamptz);
CREATE TABLE appointments (
	id int PRIMARY KEY,
	org_id uuid REFERENCES organizations,
	contact_id uuid REFERENCES contacts ON DELETE CASCADE,
	referrer_id uuid REFERENCES contacts ON DELETE SET NULL);
CREATE TABLE reminders (
	id int PRIMARY KEY,
	appointment_id int NOT NULL REFERENCES appointments ON DELETE CASCADE);
CREATE TABLE hot_lead_alerts (id int PRIMARY KEY, org_id uuid, contact_id text, deleted_at timestamptz);

INSERT INTO organizations SELECT md5('o' || i)::uuid, 'o' || i FROM generate_series(1, 4) i;
INSERT INTO contacts SELECT md5('c' || i)::uuid, md5('o' || i % 4 + 1)::uuid, 'c' || i FROM generate_series(1, 40) i;
INSERT INTO appointments
SELECT i, md5('o' || i % 4 + 1)::uuid, md5('c' || i % 40 + 1)::uuid, CASE WHEN i % 3 = 0 THEN md5('c' || i % 7 + 1)::uuid END
FROM generate_series(1, 200) i;
INSERT INTO reminders SELECT i, i FROM generate_series(1, 100) i;
-- case 35: a uuid is compared as one, however the text spells it
INSERT INTO hot_lead_alerts
SELECT i, md5('o' || i % 4 + 1)::uuid,
	CASE i % 3 WHEN 0 THEN upper(md5('c' || i % 40 + 1)) WHEN 1 THEN '{' || md5('c' || i % 40 + 1) || '}'
		ELSE md5('c' || i % 40 + 1)::uuid::text END
FROM generate_series(1, 60) i;

-- quiet: neither a declared nor an inferred reference is broken; case 32: a null is no orphan
INSERT INTO appointments VALUES (201, NULL, NULL, NULL);
SELECT * FROM find_orphans(schemas => '{orphans}');

-- loud: case 34: a foreign key that claims to hold; case 39: call_id and the like are references, vapi_call_id is none
SET session_replication_role = replica;
DELETE FROM contacts WHERE name IN ('c1', 'c2');
RESET session_replication_role;
ALTER TABLE hot_lead_alerts ADD vapi_call_id text DEFAULT 'x', ADD related_entity_id uuid DEFAULT md5('none')::uuid,
	ADD related_entity_type text;
INSERT INTO hot_lead_alerts (id, contact_id) VALUES (61, 'not-a-uuid'), (62, ''), (63, '{' || md5('c5'));
INSERT INTO hot_lead_alerts (id, contact_id, deleted_at) VALUES (64, md5('gone'), '2026-01-01Z');
SELECT severity, object, detail, key, source, kind, orphans, checked, confidence, constraint_name
FROM find_orphans(schemas => '{orphans}');
SELECT object, advice, jsonb_array_length(sample) AS sampled, sample -> 0 AS first
FROM find_orphans(schemas => '{orphans}', max_rows => 2);
SELECT orphans, checked FROM find_orphans('hot_lead_alerts', '{orphans}', include_deleted => true) WHERE kind = 'orphan';
SELECT remedy FROM find_orphans('appointments', '{orphans}') ORDER BY key;

-- an independent count of the same
SELECT o.constraint_name, o.orphans = oracle.n AS same
FROM find_orphans(schemas => '{orphans}', inferred => false) o,
	LATERAL (SELECT count(*) AS n FROM appointments a LEFT JOIN contacts c
		ON c.id = CASE o.child_columns[1] WHEN 'contact_id' THEN a.contact_id ELSE a.referrer_id END
		WHERE CASE o.child_columns[1] WHEN 'contact_id' THEN a.contact_id ELSE a.referrer_id END IS NOT NULL AND c.id IS NULL) oracle;

-- appointments that a reminder refers to are not moved away, so they stay; the rest has a remedy
SELECT object, remedy IS NULL AS no_remedy, advice FROM find_orphans(schemas => '{orphans}') WHERE source = 'declared';
DELETE FROM reminders WHERE appointment_id IN (SELECT id FROM appointments WHERE contact_id NOT IN (SELECT id FROM contacts));
\o /dev/null
\set ECHO none
SELECT remedy FROM find_orphans(schemas => '{orphans}') WHERE remedy IS NOT NULL \gexec
\set ECHO all
\o
SELECT * FROM find_orphans(schemas => '{orphans}');
-- nothing is lost, and the keys hold now
SELECT relation, finding, count(*) FROM voxanne_quarantine.row_image GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) AS appointments FROM appointments;
SELECT conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid IN ('appointments'::regclass, 'hot_lead_alerts'::regclass) AND contype = 'f' ORDER BY 1;
INSERT INTO appointments (id, contact_id) VALUES (999, md5('c1')::uuid);

-- case 33: a parent that contains null, case 32: composite keys of both kinds, NOT VALID, disabled triggers
CREATE TABLE slots (org int, code text, UNIQUE (org, code));
CREATE TABLE simple_child (id int PRIMARY KEY, org int, code text);
CREATE TABLE full_child (id int PRIMARY KEY, org int, code text);
INSERT INTO slots VALUES (1, 'a'), (2, NULL), (NULL, 'x');
INSERT INTO simple_child VALUES (1, 1, 'a'), (2, 99, NULL), (3, NULL, 'q'), (4, 2, 'b');
INSERT INTO full_child VALUES (1, 1, 'a'), (2, 1, NULL), (3, NULL, NULL), (4, 5, 'b');
ALTER TABLE simple_child ADD CONSTRAINT simple_key FOREIGN KEY (org, code) REFERENCES slots (org, code) NOT VALID;
ALTER TABLE full_child ADD CONSTRAINT full_key FOREIGN KEY (org, code) REFERENCES slots (org, code) MATCH FULL NOT VALID;
CREATE TABLE loose_child (id int PRIMARY KEY, slot text, n int REFERENCES simple_child DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE loose_child DISABLE TRIGGER ALL;
INSERT INTO loose_child VALUES (1, 'x', 77), (2, 'y', 1);
SELECT severity, object, detail, source, kind, orphans, checked, sample FROM find_orphans(schemas => '{orphans}');
\o /dev/null
\set ECHO none
SELECT remedy FROM find_orphans('full_child', '{orphans}') LIMIT 1 \gexec
SELECT remedy FROM find_orphans('simple_child', '{orphans}') \gexec
SELECT remedy FROM find_orphans('loose_child', '{orphans}') \gexec
\set ECHO all
\o
SELECT * FROM find_orphans(schemas => '{orphans}');
SELECT conname, convalidated FROM pg_constraint WHERE conname IN ('simple_key', 'full_key', 'loose_child_n_fkey') ORDER BY 1;
SELECT * FROM full_child ORDER BY id;
SELECT * FROM simple_child ORDER BY id;
SELECT * FROM loose_child ORDER BY id;
DROP TABLE loose_child, simple_child, full_child, slots;

-- case 36: inheritance: a parent row that is only in a child table is none; partitions: one row each way
CREATE TABLE base (id int PRIMARY KEY);
CREATE TABLE derived () INHERITS (base);
INSERT INTO base VALUES (1);
INSERT INTO derived VALUES (2);
CREATE TABLE users_of_base (id int PRIMARY KEY, base_id int);
INSERT INTO users_of_base VALUES (1, 1), (2, 2);
ALTER TABLE users_of_base ADD FOREIGN KEY (base_id) REFERENCES base NOT VALID;
CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
INSERT INTO parted VALUES (1), (11);
CREATE TABLE parted_child (id int, k int REFERENCES parted) PARTITION BY LIST (id);
CREATE TABLE parted_child_1 PARTITION OF parted_child FOR VALUES IN (1);
CREATE TABLE parted_child_2 PARTITION OF parted_child FOR VALUES IN (2);
INSERT INTO parted_child VALUES (1, 1), (2, 11);
SET session_replication_role = replica;
INSERT INTO parted_child VALUES (1, 12), (2, 13);
RESET session_replication_role;
SELECT object, source, orphans, sample FROM find_orphans(schemas => '{orphans}');
SELECT object, orphans, remedy FROM find_orphans('parted_child_2', '{orphans}');
\o /dev/null
\set ECHO none
SELECT remedy FROM find_orphans(schemas => '{orphans}') \gexec
\set ECHO all
\o
SELECT * FROM find_orphans(schemas => '{orphans}');
DROP TABLE users_of_base, derived, base, parted_child, parted;

-- case 40: odd names, dropped columns, types of other schemas
CREATE DOMAIN "odd.schema"."Key" AS text;
CREATE TABLE "odd.schema"."Order ""Details" (junk int, "Contact Id" "odd.schema"."Key" PRIMARY KEY);
ALTER TABLE "odd.schema"."Order ""Details" DROP junk;
CREATE TABLE "odd.schema".abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_123456789 (
	gone int, id int PRIMARY KEY,
	abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_123456789 varchar(10));
ALTER TABLE "odd.schema".abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_123456789 DROP gone;
ALTER TABLE "odd.schema".abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_123456789
	ADD CONSTRAINT "Key of 'it'" FOREIGN KEY (abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_123456789)
	REFERENCES "odd.schema"."Order ""Details" NOT VALID;
SET session_replication_role = replica;
INSERT INTO "odd.schema".abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_123456789 VALUES (1, 'it''s'), (2, 'ok');
INSERT INTO "odd.schema"."Order ""Details" VALUES ('ok');
RESET session_replication_role;
SELECT object, parent, sample, octet_length(key) <= 200 AS short_key FROM find_orphans(schemas => '{odd.schema}');
\o /dev/null
\set ECHO none
SELECT remedy FROM find_orphans(schemas => '{odd.schema}') \gexec
\set ECHO all
\o
SELECT * FROM find_orphans(schemas => '{odd.schema}');
SELECT conname, convalidated FROM pg_constraint WHERE conname = 'Key of ''it''';

-- collations and types that differ between the two sides
CREATE TABLE words (word text COLLATE "POSIX" PRIMARY KEY);
CREATE TABLE word_uses (id bigint PRIMARY KEY, word varchar COLLATE "C", n smallint);
INSERT INTO words VALUES ('Apple');
INSERT INTO word_uses VALUES (1, 'Apple'), (2, 'pear');
ALTER TABLE word_uses ADD FOREIGN KEY (word) REFERENCES words NOT VALID;
CREATE TABLE numbers (id bigint PRIMARY KEY);
CREATE TABLE number_uses (number_id smallint);
INSERT INTO numbers VALUES (1);
INSERT INTO number_uses VALUES (1), (1), (1), (1), (1), (1), (2);
SELECT object, orphans, checked, confidence, sample FROM find_orphans(schemas => '{orphans}');
\o /dev/null
\set ECHO none
SELECT remedy FROM find_orphans(schemas => '{orphans}') \gexec
\set ECHO all
\o
SELECT * FROM find_orphans(schemas => '{orphans}');
DROP TABLE word_uses, words, number_uses, numbers;

-- an inferred reference of which little is found is reported without remedy; less is not reported
CREATE TABLE invoices (id int PRIMARY KEY);
CREATE TABLE payments (id int PRIMARY KEY, invoice_id int, client_id int);
INSERT INTO invoices VALUES (1);
INSERT INTO payments VALUES (1, 1, 1), (2, 7, 1), (3, 8, 1), (4, 9, 1);
SELECT object, orphans, confidence, remedy, advice FROM find_orphans(schemas => '{orphans}');
SELECT * FROM find_orphans(schemas => '{orphans}', inferred => false);
DROP TABLE payments, invoices;

-- no row at all where they should lead, or many values of which none is there: the name means something else
CREATE TABLE stations (id int PRIMARY KEY);
CREATE TABLE trips (id int PRIMARY KEY, station_id int, deleted_at timestamptz);
CREATE VIEW trips_found AS SELECT object, kind, orphans, checked, confidence FROM find_orphans('trips', '{orphans}');
INSERT INTO trips SELECT i, i % 19 FROM generate_series(1, 40) i;
INSERT INTO trips VALUES (41, 99, '2026-01-01Z'), (42, NULL, NULL);
SELECT * FROM trips_found;
INSERT INTO stations VALUES (1000);
SELECT * FROM trips_found;
INSERT INTO trips VALUES (43, 19);
SELECT * FROM trips_found;
SET voxanne_ops.executor = sql;
SELECT * FROM trips_found;
RESET voxanne_ops.executor;
INSERT INTO stations VALUES (5);
SELECT * FROM trips_found;
INSERT INTO stations SELECT i FROM generate_series(6, 19) i;
SELECT * FROM trips_found;
-- what is declared needs no evidence
DELETE FROM stations;
ALTER TABLE trips ADD FOREIGN KEY (station_id) REFERENCES stations NOT VALID;
SELECT * FROM trips_found;
DROP VIEW trips_found;
DROP TABLE trips, stations;

-- a CHECK that says NOT NULL: the reference cannot be cleared
CREATE TABLE crates (id int PRIMARY KEY);
CREATE TABLE boxes (id int PRIMARY KEY, crate_id int REFERENCES crates ON DELETE SET NULL, CHECK (crate_id IS NOT NULL));
SET session_replication_role = replica;
INSERT INTO boxes VALUES (1, 1);
RESET session_replication_role;
SELECT advice FROM find_orphans('boxes', '{orphans}');
SELECT remedy FROM find_orphans('boxes', '{orphans}') \gexec
SELECT * FROM find_orphans('boxes', '{orphans}');
TABLE boxes;
DROP TABLE boxes, crates;

-- case 37: row security and missing privileges are findings, not wrong numbers
CREATE ROLE regress_orphans_reader;
GRANT USAGE ON SCHEMA orphans TO regress_orphans_reader;
GRANT SELECT ON appointments, organizations TO regress_orphans_reader;
GRANT SELECT (id, owner_id) ON contacts TO regress_orphans_reader;
ALTER TABLE organizations ENABLE ROW LEVEL SECURITY;
CREATE POLICY some_rows ON organizations USING (name = 'o1');
GRANT EXECUTE ON FUNCTION find_orphans(regclass, name[], boolean, boolean, int) TO regress_orphans_reader;
SET ROLE regress_orphans_reader;
SELECT severity, object, detail, key, kind, source, orphans FROM find_orphans(schemas => '{orphans}', inferred => false);
RESET ROLE;
SELECT * FROM find_orphans(schemas => '{orphans}');
ALTER TABLE organizations DISABLE ROW LEVEL SECURITY;

-- own uncommitted changes count; a read-only transaction does
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE appointments SET org_id = md5('none')::uuid WHERE id = 50;
SELECT object, orphans, sample FROM find_orphans('appointments', '{orphans}');
ROLLBACK;
BEGIN READ ONLY;
SELECT count(*) FROM find_orphans(schemas => '{orphans}');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM find_orphans(schemas => '{orphans}');
COMMIT;

-- statement_timeout and cancel end the call; they do not become findings
CREATE TABLE slow_child (id int PRIMARY KEY, n int REFERENCES reminders);
\set VERBOSITY terse
SET statement_timeout = '1ms';
SELECT count(*) FROM generate_series(1, 1000000) i, find_orphans(schemas => '{orphans}');
RESET statement_timeout;
\set VERBOSITY default
DROP TABLE slow_child;

-- bad input
CREATE VIEW contact_view AS SELECT * FROM contacts;
SELECT * FROM find_orphans('contact_view');
SELECT * FROM find_orphans('no_such_table');
SELECT * FROM find_orphans(4294967294::oid::regclass);
SELECT * FROM find_orphans(schemas => '{no_such_schema}');
SELECT * FROM find_orphans(schemas => NULL);
SELECT * FROM find_orphans(schemas => '{public,NULL}');
SELECT * FROM find_orphans(inferred => NULL);
SELECT * FROM find_orphans(max_rows => -1);
SET search_path = '';
SELECT orphans FROM public.find_orphans('orphans.appointments', '{orphans}');
SELECT count(*) FROM public.find_orphans(schemas => '{}');
CREATE TEMPORARY TABLE temp_child (id int, contact_id uuid DEFAULT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
INSERT INTO temp_child SELECT i FROM generate_series(1, 3) i;
SELECT object, orphans, remedy IS NULL AS no_remedy FROM public.find_orphans('temp_child', '{orphans}');

RESET search_path;
DROP OWNED BY regress_orphans_reader;
DROP ROLE regress_orphans_reader;
DROP SCHEMA orphans, "odd.schema", voxanne_quarantine CASCADE;
RESET client_min_messages;
