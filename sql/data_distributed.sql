-- Tables of a distributed engine (Citus): its catalog is enough to tell them.  Here it is a look-alike, and the rows are
-- in this server, so that what is shown is who answers, in which shape, and what becomes of a refusal.
\set VERBOSITY terse
SET client_min_messages = warning;
SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass NOT NULL, partmethod "char" NOT NULL, partkey text, colocationid int NOT NULL, repmodel "char" NOT NULL);
RESET allow_system_table_mods;
CREATE SCHEMA spread;
SET search_path = spread, public;
CREATE TABLE organizations (id int PRIMARY KEY, CHECK (id > 0));
CREATE TABLE contacts (org_id int, id int, phone text, deleted_at timestamptz, PRIMARY KEY (org_id, id), CHECK (org_id > 0));
CREATE TABLE appointments (org_id int REFERENCES organizations, id int, contact_id int, scheduled_at timestamptz, PRIMARY KEY (org_id, id), CHECK (org_id > 0));
CREATE TABLE notes (org_id int, id int, contact_id int, CHECK (org_id > 0), FOREIGN KEY (org_id, contact_id) REFERENCES contacts);
CREATE TABLE rooms (id int PRIMARY KEY, contact_id int);
-- the distribution column is written as the server writes a column in a constraint
CREATE FUNCTION spread(relation regclass, method "char", colocation int) RETURNS void LANGUAGE sql AS
	$$INSERT INTO pg_catalog.pg_dist_partition SELECT relation, method, CASE WHEN method = 'h' THEN (SELECT substring(conbin::text FROM '\{VAR [^}]*\}')
		FROM pg_constraint WHERE conrelid = relation AND contype = 'c') END, colocation, 't'$$;
SELECT spread('organizations', 'n', 2), spread('contacts', 'h', 1), spread('appointments', 'h', 1), spread('notes', 'h', 1);
INSERT INTO organizations VALUES (1), (2);
INSERT INTO contacts SELECT 1 + i % 2, i, '+155501000' || i FROM generate_series(1, 40) AS i;
INSERT INTO appointments SELECT 1 + i % 2, i, i, '2026-01-01Z'::timestamptz + i * interval '1 h' FROM generate_series(1, 40) AS i;
INSERT INTO notes SELECT 1 + i % 2, i, i FROM generate_series(1, 40) AS i;
INSERT INTO rooms SELECT i, i FROM generate_series(1, 10) AS i;

-- healthy: quiet; SQL answers even where the scan is wanted
SET voxanne_ops.executor = scan;
SELECT * FROM find_orphans(schemas => '{spread}');
SELECT relation, question, executor, reason FROM data_check_execution() ORDER BY 1, 2;
SELECT * FROM find_duplicates('contacts', '{phone}');
SELECT executor, reason FROM data_check_execution();
SELECT count(*) FROM find_duplicate_appointments('appointments');
SELECT question, executor, reason FROM data_check_execution() ORDER BY 1;
SELECT key FROM find_invalid_data(schemas => '{spread}');
RESET voxanne_ops.executor;

-- broken: found, with samples; no remedy across servers
SET session_replication_role = replica;
DELETE FROM contacts WHERE id IN (7, 8);
UPDATE contacts SET phone = '+155501003' WHERE id IN (3, 5);
DELETE FROM organizations WHERE id = 2;
RESET session_replication_role;
SELECT object, kind, orphans, checked, sample, remedy IS NULL AS no_remedy FROM find_orphans(schemas => '{spread}', max_rows => 2);
SELECT rows, keep_id, duplicate_ids, references_to_move, remedy IS NULL AS no_remedy, advice FROM find_duplicates('contacts', '{phone}');

-- what the engine refuses is a finding with its message, and hides nothing else
CREATE TYPE refusing;
CREATE FUNCTION refusing_in(cstring) RETURNS refusing LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION refusing_out(refusing) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE refusing (INPUT = refusing_in, OUTPUT = refusing_out, LIKE = int);
CREATE FUNCTION refusing_eq(refusing, refusing) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4eq';
CREATE FUNCTION refusing_hash(refusing) RETURNS int IMMUTABLE STRICT LANGUAGE plpgsql AS $$ BEGIN
	RAISE feature_not_supported USING MESSAGE = 'complex joins are only supported when all distributed tables are co-located and joined on their distribution columns'; END $$;
CREATE OPERATOR = (LEFTARG = refusing, RIGHTARG = refusing, FUNCTION = refusing_eq, HASHES, COMMUTATOR = =);
CREATE OPERATOR CLASS refusing_ops DEFAULT FOR TYPE refusing USING hash AS OPERATOR 1 =, FUNCTION 1 refusing_hash(refusing);
CREATE TABLE visits (org_id int, id int, k refusing, contact_id int, CHECK (org_id > 0));
INSERT INTO visits VALUES (1, 1, '1', 2), (1, 2, '1', 999);
SELECT spread('visits', 'h', 9);
SELECT severity, key, detail FROM find_duplicates('visits', '{k}');
SELECT object, kind, orphans FROM find_orphans('visits', '{spread}');

-- without its catalog there is no engine
SET allow_system_table_mods = on;
DROP TABLE pg_catalog.pg_dist_partition;
RESET allow_system_table_mods;
SELECT object, kind, orphans FROM find_orphans('notes');
SELECT executor, reason FROM data_check_execution();
DROP SCHEMA spread CASCADE;
