-- find_invalid_data(): quiet, loud, remedy, quiet; against independent counts; bad input.
SET client_min_messages = warning;
CREATE SCHEMA invalid;
CREATE SCHEMA "odd.schema";
SET search_path = invalid, public;
SET timezone = 'Asia/Kolkata';
\pset null ~

CREATE TYPE appointment_status AS ENUM ('pending', 'confirmed', 'completed', 'cancelled', 'no_show');
CREATE TABLE contacts (
	id int PRIMARY KEY,
	name text NOT NULL,
	phone text,
	email varchar(320),
	date_of_birth date,
	notes text NOT NULL DEFAULT '',
	created_at timestamptz NOT NULL DEFAULT '2026-01-05 10:00Z',
	updated_at timestamptz NOT NULL DEFAULT '2026-01-05 10:00Z',
	deleted_at timestamptz);
CREATE TABLE appointments (
	id int PRIMARY KEY,
	scheduled_at timestamptz NOT NULL DEFAULT '2026-01-05 10:00Z',
	duration_minutes int DEFAULT 30,
	status appointment_status NOT NULL DEFAULT 'completed',
	deleted_at timestamptz);
CREATE TABLE calls (
	id int PRIMARY KEY,
	status text NOT NULL DEFAULT 'ended',
	started_at timestamp,
	ended_at timestamp,
	duration_seconds numeric);
CREATE TABLE plans (
	id int PRIMARY KEY,
	"validFrom" date,
	"validUntil" date,
	retention_duration interval,
	opens time, closes time);

-- quiet: rows that many a validator would find fault with, and that are right
INSERT INTO contacts (id, name, phone, email, date_of_birth) VALUES
	(1, 'Ada', '+15551234567', 'ada@example.com', '1990-02-28'),
	(2, 'Bjork', '+44 (0)20 7946 0958', 'user+tag@sub.example.co.uk', '1900-01-01'),
	(3, 'Li Lei', '(555) 123-4567 ext. 89', '"john doe"@example.com', NULL),
	(4, 'O''Neil', '030/12345-67', '"a@b\"c"@example.com', now()),
	(5, 'N''Golo', '1-800-FLOWERS1', 'strasse@xn--bcher-kva.example', NULL),
	(6, ' x ', '72345', 'a/b=c@example.museum', NULL),
	(7, 'X A-12', '112', 'root@localhost', NULL),
	(8, 'Y', 'tel:+1-555-010-0123;ext=5', 'jdoe@[192.168.0.1]', NULL),
	(9, 'Z', 'sip:alice@example.com', 'jdoe@[IPv6:2001:db8::1]', NULL),
	(10, 'A', '00 49 30 901820', '!#$%&''*+/=?^_`{|}~-@example.org', NULL),
	(11, 'B', '555.123.4567', 'who..where.@docomo.example', NULL),
	(12, 'C', NULL, NULL, NULL);
INSERT INTO appointments (id, scheduled_at, duration_minutes, status) VALUES
	(1, '2026-01-05 10:00Z', 30, 'completed'), (2, now() + '300 days', 1440, 'confirmed'), (3, now() + '1 hour', NULL, 'completed'),
	(4, now() + '30 days', 15, 'cancelled');
INSERT INTO calls VALUES (1, 'ended', '2026-01-05 10:00', '2026-01-05 10:00', 0), (2, 'failed', NULL, '2026-01-05 10:00', NULL),
	(3, 'ended', '2026-01-05 10:00', NULL, 3600);
INSERT INTO plans VALUES (1, '2026-01-01', 'infinity', '10 years', '22:00', '04:00'), (2, '-infinity', '9999-12-31', '0', NULL, NULL);
-- an application's clock that is a little behind the database's
UPDATE contacts SET updated_at = created_at - interval '20 ms' WHERE id = 1;
SELECT * FROM find_invalid_data(schemas => '{invalid}');

-- quiet: what would be wrong elsewhere
CREATE TABLE twilio_calls (sid text PRIMARY KEY, start_time timestamptz, end_time timestamptz, duration int, "friendlyName" text NOT NULL DEFAULT '');
CREATE TABLE jobs (id int PRIMARY KEY, started_at timestamptz, completed_at timestamptz, attempts int);
INSERT INTO twilio_calls VALUES ('CA1', '2026-01-05 10:00Z', '2026-01-05 10:00Z', 0), ('CA2', '2026-01-05 10:00Z', '2026-01-05 10:01Z', 60);
INSERT INTO jobs VALUES (1, '2026-01-05 10:00Z', '2026-01-05 10:01Z', 1);
SELECT * FROM find_invalid_data('twilio_calls') UNION ALL SELECT * FROM find_invalid_data('jobs');
DROP TABLE twilio_calls, jobs;

-- quiet: digits, letters and domains of other scripts
CREATE TABLE scripts (id serial PRIMARY KEY, phone text NOT NULL, email text NOT NULL);
INSERT INTO scripts (phone, email) SELECT convert_from(p, 'UTF8'), convert_from(e, 'UTF8') FROM (VALUES
	('\x2bd9a9d9a6d9a6d9a5d9a0d9a1d9a2d9a3d9a4d9a5d9a6d9a7'::bytea, '\xceb4cebfcebaceb9cebcceae40cf80ceb1cf81ceacceb4ceb5ceb9ceb3cebcceb12eceb4cebfcebaceb9cebcceae'::bytea),
	('\xefbc90efbc93efbc8defbc91efbc92efbc93efbc94efbc8defbc95efbc96efbc97efbc98'::bytea, '\xe794a8e688b740e4be8be5ad902ee5b9bfe5918a'::bytea),
	('\xe0a5a6e0a5a7e0a5a720e0a5a8e0a5a9e0a5aae0a5ab20e0a5ace0a5ade0a5aee0a5af'::bytea, '\x73747261c39f654062c3bc636865722e6578616d706c65'::bytea)) AS written (p, e)
WHERE getdatabaseencoding() = 'UTF8';
SELECT kind, sample FROM find_invalid_data('scripts');
DROP TABLE scripts;

-- loud
INSERT INTO contacts (id, name, phone, email, date_of_birth, created_at, updated_at) VALUES
	(21, '', 'unknown', 'n/a', '2990-02-28', '1970-01-01 00:00Z', '2026-01-05 10:00Z'),
	(22, E' \t', 'bob@example.com', 'Bob <bob@example.com>', '0190-02-28', '2026-01-05 10:00Z', '2026-01-05 09:58Z'),
	(23, 'c', '12', 'a@b@example.com', NULL, 'infinity', 'infinity'),
	(24, 'd', '+', '@example.com', NULL, '2999-01-01', '2999-01-01'),
	(25, 'e', '+15551234568', 'x@', NULL, '2026-01-05 10:00Z', '2026-01-05 10:00Z'),
	(26, 'f', '', ' ', NULL, '2026-01-05 10:00Z', '2026-01-05 10:00Z'),
	(27, 'g', NULL, 'a b@example.com', NULL, '2026-01-05 10:00Z', '2026-01-05 10:00Z');
INSERT INTO contacts (id, name, phone, deleted_at) VALUES (28, 'deleted', 'none', '2026-02-01');
-- case 26: lengths of 0 and less
INSERT INTO appointments (id, scheduled_at, duration_minutes, status) VALUES
	(21, '2026-01-05 10:00Z', 0, 'completed'), (22, '2026-01-05 10:00Z', -15, 'completed'), (23, '2026-01-05 10:00Z', 1441, 'completed'),
	(24, now() + '2 days', 30, 'completed'), (25, now() + '3 days', 30, 'no_show'), (26, now() + '2 years', 30, 'pending'),
	(27, '0026-01-05 10:00Z', 30, 'pending'), (28, '-infinity', 30, 'pending');
INSERT INTO calls VALUES (21, 'ended', '2026-01-05 10:00', '2026-01-05 09:59:59', -1), (22, 'ended', '2026-01-05 10:00', '2026-01-15 10:00', 864000),
	(23, 'ended', '1970-01-01', '2999-01-01', 'NaN');
INSERT INTO plans VALUES (21, '2026-01-02', '2026-01-01', '-1 day'), (22, '0202-01-01', NULL, NULL), (23, NULL, '2202-01-01', NULL);
SELECT severity, object, detail, key FROM find_invalid_data(schemas => '{invalid}');
SELECT kind, relation_name, columns, rows, checked, sample FROM find_invalid_data('contacts') ORDER BY kind, columns;
SELECT kind, columns, rows, checked, jsonb_array_length(sample) AS sampled FROM find_invalid_data('contacts', max_rows => 2) ORDER BY kind, columns;
SELECT kind, columns, rows, checked, jsonb_array_length(sample) FROM find_invalid_data('contacts', include_deleted => true, max_rows => 0) WHERE kind = 'no_phone';
SELECT DISTINCT kind, advice FROM find_invalid_data(schemas => '{invalid}') ORDER BY 1, 2;

-- independent counts of the same
SELECT f.kind, f.object, f.rows, f.rows = oracle.n AS same
FROM find_invalid_data(schemas => '{invalid}') f JOIN (
	SELECT 'duration_not_positive', 'duration_minutes', count(*) FROM appointments WHERE duration_minutes <= 0 UNION ALL
	SELECT 'duration_too_long', 'duration_minutes', count(*) FROM appointments WHERE duration_minutes > 24 * 60 UNION ALL
	SELECT 'over_before_start', 'status', count(*) FROM appointments WHERE scheduled_at > now() + '1 day' AND status IN ('completed', 'no_show') UNION ALL
	SELECT 'date_too_late', 'scheduled_at', count(*) FROM appointments WHERE scheduled_at > now() + '1 year' UNION ALL
	SELECT 'date_too_early', 'scheduled_at', count(*) FROM appointments WHERE extract(year FROM scheduled_at) < 1980 AND scheduled_at > '-infinity' UNION ALL
	SELECT 'wrong_order', 'started_at', count(*) FROM calls WHERE ended_at < started_at UNION ALL
	SELECT 'duration_negative', 'duration_seconds', count(*) FROM calls WHERE duration_seconds < 0 UNION ALL
	SELECT 'no_email', 'email', count(*) FROM contacts WHERE id IN (21, 22, 23, 24, 25, 27) UNION ALL
	SELECT 'no_phone', 'phone', count(*) FROM contacts WHERE id IN (21, 22, 23, 24) UNION ALL
	SELECT 'blank_text', 'name', count(*) FROM contacts WHERE name !~ '[^[:space:]]'
) AS oracle (kind, col, n) ON oracle.kind = f.kind AND oracle.col = f.columns[1]::text
ORDER BY 1, 2;

-- the remedies are constraints that hold for new rows and say how many old ones violate them
SELECT remedy FROM find_invalid_data(schemas => '{invalid}') WHERE remedy IS NOT NULL ORDER BY key COLLATE "C";
SELECT count(*) AS hints_with_remedy FROM find_invalid_data(schemas => '{invalid}') WHERE severity = 'info' AND remedy IS NOT NULL;
\o /dev/null
\set ECHO none
SELECT remedy FROM find_invalid_data(schemas => '{invalid}') WHERE remedy IS NOT NULL \gexec
\set ECHO all
\o
\set VERBOSITY terse
INSERT INTO appointments VALUES (99, now(), 0);
INSERT INTO contacts VALUES (99, 'x', 'nobody');
UPDATE contacts SET notes = 'called' WHERE id = 22;
\set VERBOSITY default
INSERT INTO contacts (id, name, phone, email, date_of_birth) SELECT id + 100, name, phone, email, date_of_birth FROM contacts WHERE id <= 12;
-- now they are reported as what they are, and the rule no second time
SELECT severity, object, detail, key, rows, checked, remedy FROM find_invalid_data(schemas => '{invalid}') WHERE constraint_name IS NOT NULL;
SELECT severity, key FROM find_invalid_data(schemas => '{invalid}') WHERE constraint_name IS NULL;
-- corrected: the constraints can be validated, then all is quiet
DELETE FROM contacts WHERE id BETWEEN 20 AND 30;
DELETE FROM appointments WHERE id BETWEEN 20 AND 30;
DELETE FROM calls WHERE id BETWEEN 20 AND 30;
DELETE FROM plans WHERE id BETWEEN 20 AND 30;
SELECT severity, key, rows, remedy FROM find_invalid_data(schemas => '{invalid}');
\o /dev/null
\set ECHO none
SELECT remedy FROM find_invalid_data(schemas => '{invalid}') \gexec
\set ECHO all
\o
SELECT * FROM find_invalid_data(schemas => '{invalid}');
SELECT count(*) AS validated FROM pg_constraint WHERE connamespace = 'invalid'::regnamespace AND contype = 'c' AND convalidated;
DROP TABLE contacts, appointments, calls, plans;

-- a rule that a valid constraint says already is not asked; one that says more or less is
CREATE TABLE bookings (id int PRIMARY KEY, "startsAt" timestamptz, "endsAt" timestamptz, duration interval CHECK (duration > '0'),
	CHECK ("startsAt" <= "endsAt"), fee numeric CHECK (fee > 0));
INSERT INTO bookings VALUES (1, '2026-01-05 10:00Z', '2026-01-05 11:00Z', '25 hours', 1);
SELECT severity, key FROM find_invalid_data('bookings');
DROP TABLE bookings;

-- what many do on purpose is reported only where few rows do it
CREATE TABLE leads (id int PRIMARY KEY, name text, last_name text NOT NULL, phone text, mobile text, source text NOT NULL, memo text NOT NULL);
INSERT INTO leads SELECT i, 'n' || i, CASE WHEN i = 7 THEN ' ' ELSE 'x' END, '+155512345' || lpad(i::text, 2, '0'),
	CASE WHEN i <= 10 THEN '030 12345' || i ELSE '+155512345' || lpad(i::text, 2, '0') END,
	CASE WHEN i = 3 THEN '' ELSE 'web' END, CASE WHEN i < 5 THEN 'x' ELSE '' END
FROM generate_series(1, 40) i;
UPDATE leads SET phone = '(555) 123-4567', name = '' WHERE id = 9;
UPDATE leads SET phone = 'none' WHERE id = 10;
SELECT severity, key, detail, remedy FROM find_invalid_data('leads');
DELETE FROM leads WHERE id > 20;
SELECT severity, key, rows, checked FROM find_invalid_data('leads');
-- [all rows bad] then it is the guess that is wrong: hashes
UPDATE leads SET phone = md5('x'), mobile = 'x';
SELECT severity, key, rows, checked, advice, remedy FROM find_invalid_data('leads') WHERE kind IN ('no_phone', 'no_email');
TRUNCATE leads;
SELECT * FROM find_invalid_data('leads');
DROP TABLE leads;

-- labels: spellings of the same, and what the schema's enum for the column does not have
CREATE TYPE ticket_status AS ENUM ('open', 'in_progress', 'closed');
CREATE TABLE tickets (id int PRIMARY KEY, status text, role varchar(20), priority char(8), outcome text, deleted_at timestamptz);
INSERT INTO tickets SELECT i, (ARRAY['open', 'in_progress', 'closed'])[i % 3 + 1], 'inactive', 'high', 'o' || i FROM generate_series(1, 101) i;
SELECT severity, key FROM find_invalid_data('tickets');
UPDATE tickets SET status = 'In-Progress' WHERE id IN (5, 7);
UPDATE tickets SET status = ' open', role = 'active', priority = 'HIGH', outcome = 'O1' WHERE id = 6;
UPDATE tickets SET status = 'reopened' WHERE id = 8;
UPDATE tickets SET status = 'OPEN', deleted_at = '2026-01-05' WHERE id = 9;
UPDATE tickets SET status = '' WHERE id = 10;
SELECT severity, object, detail, key, rows, checked, sample, remedy FROM find_invalid_data('tickets');
SELECT kind, rows FROM find_invalid_data('tickets', include_deleted => true) WHERE kind = 'label_variant' ORDER BY object COLLATE "C";
DROP TABLE tickets;

-- who answered
CREATE TABLE slow (id int PRIMARY KEY, email text, status text);
INSERT INTO slow VALUES (1, 'x', 'x');
SET voxanne_ops.time_budget = '1min';
SELECT key FROM find_invalid_data('slow');
SELECT relation, question, executor, workers, rows_read FROM data_check_execution();
RESET voxanne_ops.time_budget;
DROP TABLE slow;

-- odd names, dropped and generated columns, domains, types that are text in part
CREATE DOMAIN "odd.schema"."Mail Address" AS varchar(99);
CREATE DOMAIN "odd.schema".minutes AS smallint;
CREATE TABLE "odd.schema"."It's ""so""" (
	junk int, "Work Email" "odd.schema"."Mail Address", "startsAt" timestamptz, junk2 text,
	"callDuration_minutes" "odd.schema".minutes, phone char(20), "endsAt" timestamptz,
	total_duration_hours double precision GENERATED ALWAYS AS (2 * date_part('hour', "endsAt" - "startsAt")) STORED,
	"It's ""so""" int);
ALTER TABLE "odd.schema"."It's ""so""" DROP junk, DROP junk2;
INSERT INTO "odd.schema"."It's ""so""" VALUES ('nobody', '2026-01-05 10:00Z', 0, 'n/a', '2026-01-05 08:00Z', DEFAULT, 1),
	('a@example.com', '2026-01-05 10:00Z', 5, '+15551234567', '2026-01-05 11:00Z', DEFAULT, 2),
	('a@example.com', '2026-01-05 10:00Z', 5, '+15551234567', '2026-01-05 11:00Z', DEFAULT, 2);
SELECT severity, object, detail, key, columns, sample FROM find_invalid_data(schemas => '{odd.schema}');
SELECT remedy FROM find_invalid_data(schemas => '{odd.schema}');
\o /dev/null
\set ECHO none
SELECT remedy FROM find_invalid_data(schemas => '{odd.schema}') \gexec
\set ECHO all
\o
DELETE FROM "odd.schema"."It's ""so""" WHERE phone = 'n/a';
\o /dev/null
\set ECHO none
SELECT remedy FROM find_invalid_data(schemas => '{odd.schema}') \gexec
\set ECHO all
\o
SELECT * FROM find_invalid_data(schemas => '{odd.schema}');
SELECT count(*) AS validated FROM pg_constraint WHERE connamespace = '"odd.schema"'::regnamespace AND contype = 'c' AND conrelid <> 0 AND convalidated;

-- 1,600 columns
SELECT 'CREATE TABLE wide (' || string_agg(format('day_%s date', i), ', ') || ')' FROM generate_series(1, 1600) i \gexec
INSERT INTO wide (day_1, day_801, day_1600) VALUES ('2026-01-05', '0001-01-01', '2300-01-01');
SELECT severity, key, rows, checked, sample FROM find_invalid_data('wide');
DROP TABLE wide;

-- users' constraints: null passes, whole rows, several columns, one that fails; soft-deleted rows count, since VALIDATE reads them
CREATE TABLE ledger (id int PRIMARY KEY, amount int, rate int, note text, deleted_at timestamptz);
INSERT INTO ledger VALUES (1, 5, 1, 'x', NULL), (2, -5, 1, 'y', NULL), (3, NULL, NULL, NULL, NULL), (4, -6, 3, 'z', '2026-01-05'), (5, 7, 0, 'late', NULL);
ALTER TABLE ledger ADD CONSTRAINT positive CHECK (amount > 0) NOT VALID;
ALTER TABLE ledger ADD CONSTRAINT "No Empty Row" CHECK (ledger.* IS NOT NULL) NOT VALID;
ALTER TABLE ledger ADD CONSTRAINT ratio CHECK (amount / rate < 100) NOT VALID;
ALTER TABLE ledger ADD CONSTRAINT small CHECK (amount < 100 AND rate < 100) NOT VALID;
ALTER TABLE ledger ADD CONSTRAINT dated CHECK (deleted_at > '2020-01-01' AND deleted_at::date < 'infinity'::date) NOT VALID;
SELECT severity, object, detail, key, kind, columns, rows, checked, sample, constraint_name FROM find_invalid_data('ledger');
SELECT constraint_name, advice, remedy FROM find_invalid_data('ledger') ORDER BY constraint_name::text COLLATE "C";
SELECT count(*) FILTER (WHERE NOT amount > 0) AS oracle FROM ledger;
UPDATE ledger SET amount = 1, rate = 1, note = 'x', deleted_at = '2026-01-05';
\o /dev/null
\set ECHO none
SELECT remedy FROM find_invalid_data('ledger') WHERE remedy IS NOT NULL \gexec
\set ECHO all
\o
SELECT severity, key FROM find_invalid_data('ledger');
DROP TABLE ledger;

-- partitions: the whole once; a partition by name; a constraint that only a partition has
CREATE TABLE events (id int, started_at timestamptz, ended_at timestamptz) PARTITION BY RANGE (id);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10);
CREATE TABLE events_2 (note text, ended_at timestamptz, id int, started_at timestamptz);
ALTER TABLE events_2 DROP note;
ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM (10) TO (20);
INSERT INTO events SELECT i, '2026-01-05 10:00Z', '2026-01-05 09:00Z' FROM generate_series(1, 12) i;
ALTER TABLE events ADD CONSTRAINT low CHECK (id < 5) NOT VALID;
ALTER TABLE events_2 ADD CONSTRAINT high CHECK (id > 11) NOT VALID;
SELECT severity, key, rows, checked, sample -> 0 AS first FROM find_invalid_data(schemas => '{invalid}');
SELECT key, rows, checked FROM find_invalid_data('events_2');
\o /dev/null
\set ECHO none
SELECT remedy FROM find_invalid_data(schemas => '{invalid}') WHERE remedy IS NOT NULL \gexec
\set ECHO all
\o
UPDATE events SET id = 1, ended_at = started_at;
\o /dev/null
\set ECHO none
SELECT remedy FROM find_invalid_data(schemas => '{invalid}') \gexec
\set ECHO all
\o
SELECT * FROM find_invalid_data(schemas => '{invalid}');
SELECT conrelid::regclass, conname, convalidated FROM pg_constraint WHERE connamespace = 'invalid'::regnamespace AND contype = 'c' ORDER BY 1, 2;
DROP TABLE events;

-- inheritance: each table by itself; the parent's constraint is not valid as long as a child has rows against it
CREATE TABLE base (id int PRIMARY KEY, email text);
CREATE TABLE derived () INHERITS (base);
INSERT INTO base VALUES (1, 'a@example.com');
INSERT INTO derived VALUES (2, 'nobody'), (3, 'b@example.com'), (4, 'c@example.com');
ALTER TABLE base ADD CONSTRAINT odd CHECK (id % 2 = 1) NOT VALID;
SELECT key, rows, checked, remedy, advice FROM find_invalid_data(schemas => '{invalid}');
INSERT INTO base VALUES (5, 'x'), (7, 'b@example.com');
SELECT remedy FROM find_invalid_data('base') WHERE kind = 'no_email';
\o /dev/null
\set ECHO none
SELECT remedy FROM find_invalid_data('base') WHERE kind = 'no_email' \gexec
\set ECHO all
\o
SELECT conrelid::regclass, conname FROM pg_constraint WHERE conname = 'base_email_check';
DROP TABLE derived, base;

-- row security, missing privileges and foreign tables are findings and hide nothing; views are not looked at
CREATE ROLE regress_invalid_reader;
CREATE TABLE t_open (id int PRIMARY KEY, email text, secret text);
CREATE TABLE t_filtered (id int PRIMARY KEY, email text);
CREATE TABLE t_closed (id int PRIMARY KEY, email text);
CREATE TABLE t_nothing_to_ask (id int PRIMARY KEY, n int);
INSERT INTO t_open VALUES (1, 'x', 's'), (2, 'a@example.com', 's');
INSERT INTO t_filtered SELECT id, email FROM t_open;
INSERT INTO t_closed SELECT id, email FROM t_open;
ALTER TABLE t_open ADD CONSTRAINT c CHECK (secret <> 's') NOT VALID;
ALTER TABLE t_filtered ENABLE ROW LEVEL SECURITY;
CREATE POLICY some_rows ON t_filtered USING (id = 2);
CREATE VIEW t_view AS SELECT * FROM t_open;
CREATE FOREIGN DATA WRAPPER regress_invalid_nowhere;
CREATE SERVER regress_invalid_nowhere FOREIGN DATA WRAPPER regress_invalid_nowhere;
CREATE FOREIGN TABLE t_foreign (id int, email text) SERVER regress_invalid_nowhere;
CREATE FOREIGN TABLE t_foreign_numbers (id int) SERVER regress_invalid_nowhere;
GRANT USAGE ON SCHEMA invalid TO regress_invalid_reader;
GRANT SELECT (id, email) ON t_open TO regress_invalid_reader;
GRANT SELECT ON t_filtered TO regress_invalid_reader;
GRANT EXECUTE ON FUNCTION find_invalid_data(regclass, name[], boolean, int) TO regress_invalid_reader;
SET ROLE regress_invalid_reader;
SELECT severity, object, detail, key, kind, relation_name, rows, constraint_name FROM find_invalid_data(schemas => '{invalid}');
RESET ROLE;
SELECT severity, key, rows FROM find_invalid_data(schemas => '{invalid}');
SELECT advice FROM find_invalid_data(schemas => '{invalid}') WHERE kind = 'skipped';
-- tables by name of which nothing is asked
SELECT * FROM find_invalid_data('t_nothing_to_ask');
SELECT * FROM find_invalid_data('t_foreign_numbers');
DROP SERVER regress_invalid_nowhere CASCADE;
DROP FOREIGN DATA WRAPPER regress_invalid_nowhere;

-- own uncommitted rows count; a read-only transaction does, and stays one
BEGIN;
INSERT INTO t_closed VALUES (3, 'y');
SELECT key, rows FROM find_invalid_data('t_closed');
ROLLBACK;
BEGIN READ ONLY;
SELECT count(*) FROM find_invalid_data(schemas => '{invalid}');
SHOW transaction_read_only;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM find_invalid_data(schemas => '{invalid}');
SHOW transaction_read_only;
COMMIT;

-- statement_timeout ends the call; it does not become a finding
\set VERBOSITY terse
SET statement_timeout = '1ms';
SELECT count(*) FROM generate_series(1, 1000000) i, find_invalid_data(schemas => '{invalid}');
RESET statement_timeout;
\set VERBOSITY default

-- bad input
SELECT * FROM find_invalid_data('t_view');
SELECT * FROM find_invalid_data('no_such_table');
SELECT * FROM find_invalid_data(schemas => '{no_such_schema}');
SELECT * FROM find_invalid_data(schemas => NULL);
SELECT * FROM find_invalid_data(include_deleted => NULL);
SELECT * FROM find_invalid_data(max_rows => -1);
SELECT * FROM find_invalid_data(max_rows => NULL);
SET search_path = '';
SELECT rows FROM public.find_invalid_data('invalid.t_closed');
SELECT count(*) FROM public.find_invalid_data(schemas => '{}');
CREATE TEMPORARY TABLE temp_leads (email text);
INSERT INTO temp_leads VALUES ('x'), ('a@example.com');
SELECT object, rows, sample FROM public.find_invalid_data('temp_leads');

RESET search_path;
RESET timezone;
DROP OWNED BY regress_invalid_reader;
DROP ROLE regress_invalid_reader;
DROP SCHEMA invalid, "odd.schema" CASCADE;
RESET client_min_messages;
