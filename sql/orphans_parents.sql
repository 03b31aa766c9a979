-- find_orphans(): parents that exist but are soft-deleted or another tenant's, and foreign keys to the wrong table.
SET client_min_messages = warning;
CREATE SCHEMA parents;
SET search_path = parents, public;
\pset null ~
CREATE VIEW found AS SELECT severity, object, detail, kind, source, orphans, checked, confidence, sample FROM find_orphans(schemas => '{parents}');

CREATE TYPE status AS ENUM ('confirmed', 'cancelled');
CREATE TABLE organizations (id int PRIMARY KEY);
CREATE TABLE contacts (id int PRIMARY KEY, org_id int NOT NULL REFERENCES organizations, deleted_at timestamptz);
CREATE TABLE appointments (
	id int PRIMARY KEY, org_id int NOT NULL REFERENCES organizations, contact_id int REFERENCES contacts ON DELETE CASCADE,
	referrer_id int REFERENCES contacts ON DELETE SET NULL, status status, deleted_at timestamptz);
CREATE TABLE call_logs (id int PRIMARY KEY, org_id int NOT NULL REFERENCES organizations, contact_id int);
CREATE TABLE notes (id int PRIMARY KEY, contact_id int NOT NULL REFERENCES contacts, is_deleted boolean);
INSERT INTO organizations SELECT generate_series(1, 3);
INSERT INTO contacts SELECT i, i % 3 + 1 FROM generate_series(1, 30) i;
INSERT INTO appointments SELECT i, i % 3 + 1, i % 30 + 1, CASE WHEN i % 2 = 0 THEN (i + 3) % 30 + 1 END, 'confirmed' FROM generate_series(1, 90) i;
UPDATE appointments a SET org_id = (SELECT org_id FROM contacts c WHERE c.id = a.contact_id), referrer_id = CASE WHEN referrer_id IS NOT NULL THEN contact_id END;
INSERT INTO call_logs SELECT i, i % 3 + 1, i FROM generate_series(1, 30) i;
INSERT INTO notes SELECT i, i FROM generate_series(1, 20) i;

-- quiet; so are soft-deleted and cancelled children of a soft-deleted parent, and children without parent
UPDATE contacts SET deleted_at = '2026-01-01Z' WHERE id = 30;
UPDATE appointments SET deleted_at = '2026-01-01Z' WHERE contact_id = 30 AND id < 50;
UPDATE appointments SET status = 'cancelled', referrer_id = NULL WHERE contact_id = 30 AND id >= 50;
UPDATE call_logs SET contact_id = NULL WHERE contact_id = 30;
SELECT * FROM found;

-- loud: one row may have both faults, and no such row is an orphan
UPDATE contacts SET deleted_at = '2026-01-01Z' WHERE id IN (1, 2);
UPDATE appointments SET org_id = 3 WHERE id IN (30, 31, 32);
UPDATE call_logs SET org_id = 1 WHERE id = 20;
SET session_replication_role = replica;
INSERT INTO appointments VALUES (91, 1, 99, NULL, 'confirmed');
RESET session_replication_role;
SELECT * FROM found;
SELECT key, advice, remedy FROM find_orphans(schemas => '{parents}') WHERE kind IN ('soft_orphan', 'cross_tenant');

-- against independent queries
SELECT o.object, o.kind, o.orphans = oracle.n AS same
FROM find_orphans('appointments', '{parents}') o,
	LATERAL (SELECT count(*) AS n FROM appointments a JOIN contacts c
		ON c.id = CASE o.child_columns[1] WHEN 'contact_id' THEN a.contact_id ELSE a.referrer_id END
		WHERE CASE o.kind WHEN 'soft_orphan' THEN c.deleted_at IS NOT NULL AND a.deleted_at IS NULL AND a.status <> 'cancelled'
			ELSE a.org_id <> c.org_id END) oracle
WHERE o.kind IN ('soft_orphan', 'cross_tenant');
-- the number of rows that the composite key of the remedy does not allow: another tenant's parent, or none
SELECT o.advice LIKE '%(rows that violate it now: ' || oracle.n || ')%' AS same
FROM find_orphans('appointments', '{parents}') o,
	LATERAL (SELECT count(*) AS n FROM appointments a LEFT JOIN contacts c ON c.id = a.contact_id AND c.org_id = a.org_id
		WHERE a.contact_id IS NOT NULL AND c.id IS NULL) oracle
WHERE o.kind = 'cross_tenant' AND 'contact_id' = ANY (child_columns);
DELETE FROM appointments WHERE id = 91;

-- the remedies of soft orphans: as the foreign key would have it, with copies
\o /dev/null
\set ECHO none
SELECT remedy FROM find_orphans('appointments', '{parents}') WHERE kind = 'soft_orphan' \gexec
\set ECHO all
\o
SELECT object, kind, orphans FROM found;
SELECT id, referrer_id, deleted_at IS NOT NULL AS deleted FROM appointments WHERE contact_id IN (1, 2) ORDER BY id;
SELECT finding, row_data ->> 'id' AS id FROM voxanne_quarantine.row_image ORDER BY finding COLLATE "C", id;
-- where the key refuses, somebody has to decide
UPDATE notes SET is_deleted = true WHERE contact_id = 1;
UPDATE contacts SET deleted_at = NULL WHERE id = 2;
SELECT object, kind, orphans FROM found;

-- the remedies of other tenants' parents change no row, and stop new ones
\o /dev/null
\set ECHO none
SELECT remedy FROM find_orphans(schemas => '{parents}') WHERE kind = 'cross_tenant' ORDER BY object COLLATE "C" \gexec
\set ECHO all
\o
SELECT conrelid::regclass, conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'parents'::regnamespace AND cardinality(conkey) = 2 ORDER BY 1, 2;
INSERT INTO appointments VALUES (92, 1, 1, NULL, 'confirmed');
SELECT object, kind, orphans FROM found;
-- the new keys call the same rows orphans; as their parents are there, no remedy moves them away
SELECT key, advice, remedy FROM find_orphans(schemas => '{parents}') WHERE kind = 'orphan';
UPDATE appointments a SET org_id = (SELECT org_id FROM contacts c WHERE c.id = a.contact_id) WHERE id IN (30, 31, 32);
UPDATE call_logs SET org_id = 3 WHERE id = 20;
SELECT * FROM found;
ALTER TABLE appointments VALIDATE CONSTRAINT appointments_org_id_contact_id_fkey;
ALTER TABLE appointments VALIDATE CONSTRAINT appointments_org_id_referrer_id_fkey;
ALTER TABLE call_logs VALIDATE CONSTRAINT call_logs_org_id_contact_id_fkey;
-- both keys let a contact go, whichever fires first
DELETE FROM notes;
DELETE FROM call_logs WHERE contact_id = 5;
DELETE FROM contacts WHERE id = 5;
SELECT count(*) FROM appointments WHERE contact_id = 5 OR referrer_id = 5;

UPDATE contacts SET deleted_at = NULL;
-- no false alarm: a user with a role in several tenants, a tenant or parent that is null, columns of different names
CREATE TABLE profiles (id int PRIMARY KEY, org_id int, email text);
CREATE TABLE user_org_roles (user_id int REFERENCES profiles, org_id int, role text, PRIMARY KEY (user_id, org_id, role));
CREATE TABLE tasks (id int PRIMARY KEY, org_id int, created_by int REFERENCES profiles);
CREATE TABLE templates (id int PRIMARY KEY, org_id int);
CREATE TABLE letters (id int PRIMARY KEY, org_id int, template_id int REFERENCES templates);
CREATE TABLE partners (id int PRIMARY KEY, tenant_id int);
CREATE TABLE deals (id int PRIMARY KEY, org_id int, partner_id int REFERENCES partners);
CREATE TABLE slots (id int, org_id int, PRIMARY KEY (org_id, id));
CREATE TABLE holds (id int PRIMARY KEY, org_id int, slot_id int, FOREIGN KEY (org_id, slot_id) REFERENCES slots);
INSERT INTO profiles VALUES (1, 1), (2, 2);
INSERT INTO user_org_roles VALUES (1, 1, 'admin'), (1, 2, 'staff'), (2, 2, 'admin');
INSERT INTO tasks VALUES (1, 1, 1), (2, 2, 1);
INSERT INTO templates VALUES (1, NULL), (2, 2);
INSERT INTO letters VALUES (1, 1, 1), (2, NULL, 2);
INSERT INTO partners VALUES (1, 7);
INSERT INTO deals VALUES (1, 1, 1);
INSERT INTO slots VALUES (1, 1), (1, 2);
INSERT INTO holds VALUES (1, 1, 1), (2, 2, 1);
SELECT * FROM found;
DROP TABLE user_org_roles, tasks, profiles, letters, templates, deals, partners, holds, slots;

-- tenants of different types; partitions; a self-reference; a column that may not be read
CREATE TABLE agents (id int PRIMARY KEY, tenant_id uuid, archived_at date, manager_id int REFERENCES agents);
CREATE TABLE calls (id int, tenant_id text, agent_id int REFERENCES agents, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE calls_1 PARTITION OF calls FOR VALUES FROM (0) TO (10);
CREATE TABLE calls_2 PARTITION OF calls FOR VALUES FROM (10) TO (20);
INSERT INTO agents VALUES (1, md5('1')::uuid, NULL, NULL), (2, md5('2')::uuid, '2026-01-01', NULL), (3, md5('1')::uuid, NULL, 2);
INSERT INTO calls VALUES (1, upper(md5('1')), 1), (11, md5('1'), 2), (12, 'nobody', 2);
SELECT severity, object, kind, orphans, sample, advice, remedy FROM find_orphans(schemas => '{parents}');
CREATE ROLE regress_parents_reader;
GRANT USAGE ON SCHEMA parents TO regress_parents_reader;
GRANT SELECT ON calls TO regress_parents_reader;
GRANT SELECT (id) ON agents TO regress_parents_reader;
GRANT EXECUTE ON FUNCTION find_orphans(regclass, name[], boolean, boolean, int) TO regress_parents_reader;
SET ROLE regress_parents_reader;
SELECT severity, object, kind, detail, key FROM find_orphans('calls', '{parents}');
RESET ROLE;
DROP TABLE calls, agents;

-- foreign keys that lead to a table of another name
CREATE TABLE accounts (id int PRIMARY KEY);
CREATE TABLE billing_accounts (id int PRIMARY KEY);
CREATE TABLE profiles (id int PRIMARY KEY);
CREATE TABLE bookings (id int PRIMARY KEY, org_id int REFERENCES profiles, account_id int REFERENCES profiles, owner_id int REFERENCES profiles,
	user_id int REFERENCES profiles, parent_id int REFERENCES bookings, main_account_id int REFERENCES accounts);
CREATE TABLE bills (id int PRIMARY KEY, account_id int REFERENCES billing_accounts);
SELECT severity, object, detail, advice, remedy, key, parent, kind, orphans, checked, constraint_name FROM find_orphans(schemas => '{parents}');
SELECT object, kind FROM find_orphans('bills', '{parents}');

DROP OWNED BY regress_parents_reader;
DROP ROLE regress_parents_reader;
DROP SCHEMA parents, voxanne_quarantine CASCADE;
RESET client_min_messages;
