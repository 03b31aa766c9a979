-- find_duplicate_appointments(): whom the appointments are with, and their calendar entries.
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA booked;
SET search_path = booked, public;
\pset null ~
CREATE TABLE contacts (id int PRIMARY KEY, name text, phone text);
CREATE TABLE appointments (
	id int PRIMARY KEY, org_id int, contact_id int REFERENCES contacts, provider_id int,
	scheduled_at timestamptz, duration_minutes int, status text, calendar_link text);
INSERT INTO contacts VALUES (1, 'Ada Obi'), (2, 'Ben Eze'), (3, NULL);
INSERT INTO appointments VALUES
	(1, 1, 1, 7, '2026-02-01 10:00Z', 30, 'confirmed', 'https://calendar.example/1'),
	(2, 1, 2, 7, '2026-02-01 10:15Z', 30, 'confirmed', 'https://calendar.example/2'),
	(3, 1, 1, 8, '2026-02-02 10:00Z', 30, 'confirmed', NULL),
	(4, 1, 1, 9, '2026-02-02 10:00Z', 30, 'confirmed', ''),
	(5, 1, 3, 6, '2026-02-03 10:00Z', 30, 'confirmed', NULL),
	(6, 1, NULL, 6, '2026-02-03 10:00Z', 30, 'confirmed', NULL);
SELECT identity, detail, advice, remedy FROM find_duplicate_appointments();

-- the contact's time is told in the session's time zone
SET timezone = 'Africa/Lagos';
SELECT detail FROM find_duplicate_appointments(same => '{provider}') LIMIT 1;
SET timezone = 'UTC';

-- a link does not leave its comment
UPDATE appointments SET calendar_link = E'x\nUPDATE appointments SET status = ''cancelled'';\r\n--' WHERE id = 2;
SELECT remedy FROM find_duplicate_appointments() WHERE keep_id = '1';
\o /dev/null
\set ECHO none
SELECT remedy FROM find_duplicate_appointments() WHERE keep_id = '1' \gexec
\set ECHO all
\o
SELECT id, status FROM appointments WHERE status = 'cancelled' ORDER BY id;
UPDATE appointments SET status = 'confirmed', calendar_link = NULL;

-- without a foreign key the column's name leads to the table; a table of another name needs one
ALTER TABLE appointments DROP CONSTRAINT appointments_contact_id_fkey;
SELECT detail FROM find_duplicate_appointments(same => '{provider}') LIMIT 1;
ALTER TABLE contacts RENAME TO people;
ALTER TABLE people RENAME name TO full_name;
SELECT detail FROM find_duplicate_appointments(same => '{provider}') LIMIT 1;
ALTER TABLE appointments ADD FOREIGN KEY (contact_id) REFERENCES people;
SELECT detail FROM find_duplicate_appointments(same => '{provider}') LIMIT 1;

-- who may not read the names gets the ids
CREATE ROLE regress_booked_reader;
GRANT USAGE ON SCHEMA booked TO regress_booked_reader;
GRANT SELECT ON appointments TO regress_booked_reader;
GRANT EXECUTE ON FUNCTION find_duplicate_appointments(regclass, interval, boolean, text[], text, timestamptz, boolean, int) TO regress_booked_reader;
SET ROLE regress_booked_reader;
SELECT detail FROM find_duplicate_appointments(same => '{provider}') LIMIT 1;
RESET ROLE;
GRANT SELECT ON people TO regress_booked_reader;
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
SET ROLE regress_booked_reader;
SELECT detail FROM find_duplicate_appointments(same => '{provider}') LIMIT 1;
RESET ROLE;

DROP OWNED BY regress_booked_reader;
DROP ROLE regress_booked_reader;
DROP SCHEMA booked CASCADE;
RESET timezone;
RESET client_min_messages;
