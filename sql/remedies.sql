-- What remedies must not try: columns that no statement can set, words that a status does not take, tables with rules.
-- Each remedy that is offered is run, and what it is for is gone then.
SET client_min_messages = warning;
CREATE SCHEMA remedies;
SET search_path = remedies, public;
\pset null ~

-- a generated deleted_at: what is live is known, but nothing can be soft-deleted: duplicates move to quarantine
CREATE TABLE contacts (
	id int PRIMARY KEY, phone text, gone boolean,
	deleted_at timestamptz GENERATED ALWAYS AS (CASE WHEN gone THEN timestamptz '2026-01-01Z' END) STORED);
INSERT INTO contacts VALUES (1, '5', NULL), (2, '5', NULL), (3, '5', true);
SELECT rows, keep_id, duplicate_ids, advice FROM find_duplicates('contacts', '{phone}');
SELECT rows, advice FROM find_duplicates('contacts', '{phone}', include_deleted => true);
\o /dev/null
\set ECHO none
SELECT remedy FROM find_duplicates('contacts', '{phone}') \gexec
\set ECHO all
\o
SELECT count(*) FROM find_duplicates('contacts', '{phone}');
SELECT relation, row_data ->> 'id' AS id FROM voxanne_quarantine.row_image;

-- beside a column that can be set, that one is
ALTER TABLE contacts ADD is_deleted boolean;
INSERT INTO contacts VALUES (4, '5', NULL);
SELECT keep_id, advice FROM find_duplicates('contacts', '{phone}');
\o /dev/null
\set ECHO none
SELECT remedy FROM find_duplicates('contacts', '{phone}') \gexec
\set ECHO all
\o
SELECT id, deleted_at IS NOT NULL AS gone, is_deleted FROM contacts ORDER BY id;

-- the same for a soft-deleted parent's children
CREATE TABLE calls (
	id int PRIMARY KEY, contact_id int REFERENCES contacts ON DELETE CASCADE, gone boolean,
	deleted_at timestamptz GENERATED ALWAYS AS (CASE WHEN gone THEN timestamptz '2026-01-01Z' END) STORED);
INSERT INTO calls VALUES (1, 1, NULL), (2, 3, NULL), (3, 3, true);
SELECT kind, orphans, advice, remedy FROM find_orphans('calls');
ALTER TABLE calls ADD archived_at timestamptz;
SELECT kind, orphans, substring(remedy FROM 'UPDATE.*') AS remedy FROM find_orphans('calls');
\o /dev/null
\set ECHO none
SELECT remedy FROM find_orphans('calls') \gexec
\set ECHO all
\o
SELECT count(*) FROM find_orphans('calls');

-- double bookings: without a status, by the mark that can be set, or not at all
CREATE TABLE appointments (
	id int PRIMARY KEY, contact_id int, scheduled_at timestamptz, gone boolean,
	deleted_at timestamptz GENERATED ALWAYS AS (CASE WHEN gone THEN timestamptz '2026-01-01Z' END) STORED);
INSERT INTO appointments VALUES (1, 1, '2020-01-01Z', NULL), (2, 1, '2020-01-01Z', NULL), (3, 1, '2020-01-01Z', true);
CREATE VIEW remedy AS SELECT advice, split_part(remedy, E'\n', 1) AS remedy FROM find_duplicate_appointments();
CREATE VIEW booked AS SELECT count(*) AS double_bookings FROM find_duplicate_appointments();
SELECT * FROM remedy;
ALTER TABLE appointments ADD is_deleted boolean NOT NULL DEFAULT false;
SELECT * FROM remedy;

-- a status that is generated, has no such label, is too short, or whose CHECK refuses the word
ALTER TABLE appointments ADD status text GENERATED ALWAYS AS ('open') STORED;
SELECT * FROM remedy;
CREATE TYPE state AS ENUM ('open', 'canceled');
ALTER TABLE appointments DROP status, ADD status state DEFAULT 'open';
SELECT * FROM remedy;
ALTER TABLE appointments DROP status, ADD status varchar(8);
SELECT * FROM remedy;
ALTER TABLE appointments DROP status, ADD status varchar(9) CHECK (status IN ('open', 'canceled'));
SELECT * FROM remedy;
ALTER TABLE appointments DROP status, ADD status text DEFAULT 'open', ADD CHECK (status = 'open' OR lower(status) ~ '^cancelled$');
SELECT * FROM remedy;
-- what is false whatever the row has besides, and what depends on that
ALTER TABLE appointments ADD CONSTRAINT why CHECK (status NOT LIKE 'can%' AND id > 0) NOT VALID;
SELECT * FROM remedy;
ALTER TABLE appointments DROP CONSTRAINT why, ADD CONSTRAINT why CHECK (status <> 'cancelled' OR id > 1);
SELECT * FROM remedy;
-- domains, each by its own constraint; a function that somebody wrote is not run
CREATE DOMAIN word AS varchar(20) CHECK (VALUE IN ('open', 'cancelled', 'canceled'));
CREATE DOMAIN other_word AS word CHECK (VALUE <> 'cancelled');
ALTER TABLE appointments DROP status, ADD status word;
SELECT * FROM remedy;
ALTER TABLE appointments ALTER status TYPE other_word;
SELECT * FROM remedy;
CREATE FUNCTION fits(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'it was run'; END $$;
ALTER TABLE appointments ALTER status TYPE text, ADD CONSTRAINT asks CHECK (fits(status) OR status = 'open') NOT VALID;
SELECT * FROM remedy;
ALTER TABLE appointments DROP CONSTRAINT asks;
\o /dev/null
\set ECHO none
SELECT remedy FROM find_duplicate_appointments() \gexec
\set ECHO all
\o
SELECT * FROM booked;
SELECT id, status, is_deleted FROM appointments ORDER BY id;

-- a CHECK that is more than NOT NULL, too, keeps a reference from being cleared: the row moves
CREATE TABLE notes (id int PRIMARY KEY, contact_id int REFERENCES contacts ON DELETE SET NULL CHECK (contact_id IS NOT NULL AND contact_id > 0));
CREATE TABLE tags (id int PRIMARY KEY, contact_id int REFERENCES contacts ON DELETE SET NULL, phone text, CHECK (contact_id IS NOT NULL OR phone <> ''));
SET session_replication_role = replica;
INSERT INTO notes VALUES (1, 99);
INSERT INTO tags VALUES (1, 99, '5');
RESET session_replication_role;
SELECT object, orphans, split_part(advice, '; ', 2) AS advice FROM find_orphans(schemas => '{remedies}') WHERE kind = 'orphan';
\o /dev/null
\set ECHO none
SELECT remedy FROM find_orphans(schemas => '{remedies}') WHERE kind = 'orphan' ORDER BY object \gexec
\set ECHO all
\o
SELECT count(*) FROM find_orphans(schemas => '{remedies}');
SELECT (SELECT count(*) FROM notes) AS notes, (SELECT count(*) FROM tags WHERE contact_id IS NULL) AS cleared;

-- rules: a statement may do something else than it says; those of a referencing table keep what is referenced
UPDATE appointments SET status = 'open', is_deleted = false;
INSERT INTO contacts (id, phone) VALUES (5, '5');
INSERT INTO calls (id, contact_id) VALUES (5, 5);
CREATE RULE kept AS ON UPDATE TO calls DO INSTEAD NOTHING;
SELECT keep_id, references_to_move, advice FROM find_duplicates('contacts', '{phone}');
\o /dev/null
\set ECHO none
SELECT remedy FROM find_duplicates('contacts', '{phone}') \gexec
\set ECHO all
\o
SELECT id, is_deleted FROM contacts WHERE id = 5;
UPDATE contacts SET is_deleted = true WHERE id = 5;
SELECT kind, orphans, advice, remedy FROM find_orphans('calls');
CREATE RULE kept AS ON UPDATE TO contacts DO INSTEAD NOTHING;
CREATE RULE kept AS ON UPDATE TO appointments DO INSTEAD NOTHING;
SELECT advice, remedy FROM find_duplicates('contacts', '{phone}', include_deleted => true);
SELECT * FROM remedy;
-- without them, also before VACUUM has noticed that they are gone, remedies are back
DROP RULE kept ON calls;
DROP RULE kept ON contacts;
DROP RULE kept ON appointments;
SELECT count(remedy) FROM find_duplicates('contacts', '{phone}', include_deleted => true);
SELECT count(remedy) FROM remedy;
SELECT count(remedy) FROM find_orphans('calls');

RESET search_path;
DROP SCHEMA remedies, voxanne_quarantine CASCADE;
RESET client_min_messages;
