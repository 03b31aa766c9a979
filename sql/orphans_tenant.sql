-- References to tables whose primary key begins with the tenant: tenant and id together.
SET client_min_messages = warning;
CREATE SCHEMA by_tenant;
SET search_path = by_tenant, public;
CREATE TABLE contacts (org_id int, id int, name text, PRIMARY KEY (org_id, id));
CREATE TABLE providers (org_id int NOT NULL, id int UNIQUE, name text, PRIMARY KEY (id, org_id));
CREATE TABLE memberships (org_id int, user_id int, PRIMARY KEY (org_id, user_id));
CREATE TABLE appointments (org_id int, id int, contact_id int, provider_id int, membership_id int,
	scheduled_at timestamptz, duration_minutes int, PRIMARY KEY (org_id, id));
CREATE TABLE notes (id int PRIMARY KEY, contact_id int, body text);
CREATE TABLE calls (id int PRIMARY KEY, org_id text, contact_id int);
INSERT INTO contacts SELECT 1 + i % 3, i / 3, 'c' || i FROM generate_series(3, 62) i;
INSERT INTO providers SELECT 1 + i % 3, i, 'p' || i FROM generate_series(1, 9) i;
INSERT INTO memberships SELECT 1 + i % 3, i FROM generate_series(1, 9) i;
INSERT INTO appointments SELECT 1 + i % 3, i, 1 + i % 20, 1 + (i + 2) % 3 + 3 * (i % 2), 99, '2020-01-01Z'::timestamptz + i * interval '1 day', 30
FROM generate_series(1, 120) i;
INSERT INTO notes SELECT i, 1 + i % 20 FROM generate_series(1, 10) i;
INSERT INTO calls SELECT i, 'x', 1 + i % 20 FROM generate_series(1, 10) i;

-- quiet: the ids are there in each tenant; a null tenant or id is no reference; without a tenant of the same
-- type an id alone says nothing, and a table of members has no id
ALTER TABLE appointments DROP CONSTRAINT appointments_pkey;
ALTER TABLE appointments ADD PRIMARY KEY (id), ALTER org_id DROP NOT NULL;
INSERT INTO appointments VALUES (NULL, 500, 12345, 3), (1, 501, NULL, NULL), (NULL, 502, NULL, NULL);
SELECT * FROM find_orphans(schemas => '{by_tenant}');
SELECT question, relation FROM data_check_execution() ORDER BY 2;

-- loud: a contact of no tenant, one of another tenant; of the provider, whose id is unique by itself, either for itself
UPDATE appointments SET contact_id = 777 WHERE id = 7;
DELETE FROM contacts WHERE org_id = 2 AND id = 5;
UPDATE appointments SET provider_id = 999 WHERE id = 8;
UPDATE appointments SET provider_id = CASE provider_id WHEN 1 THEN 2 ELSE 1 END WHERE id = 9;
SELECT severity, object, detail, kind, orphans, checked, child_columns, parent, parent_columns, confidence, sample
FROM find_orphans(schemas => '{by_tenant}');
SELECT count(*) AS oracle FROM appointments a
WHERE org_id IS NOT NULL AND contact_id IS NOT NULL AND (org_id, contact_id) NOT IN (SELECT org_id, id FROM contacts);
SELECT advice FROM find_orphans(schemas => '{by_tenant}') WHERE 'contact_id' = ANY (child_columns);
SELECT key FROM check_data(schemas => '{by_tenant}') ORDER BY key;

-- what is of another tenant is corrected by hand, the rest by the remedy: quiet, and the key that it proposes holds
INSERT INTO contacts VALUES (2, 5, 'back');
UPDATE appointments SET provider_id = 999 WHERE id = 9;
SELECT remedy FROM find_orphans(schemas => '{by_tenant}') WHERE 'contact_id' = ANY (child_columns);
\o /dev/null
\set ECHO none
SELECT remedy FROM find_orphans(schemas => '{by_tenant}') \gexec
\set ECHO all
\o
SELECT object, kind FROM find_orphans(schemas => '{by_tenant}');
SELECT conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'appointments'::regclass AND contype = 'f' ORDER BY 1;
SELECT id, org_id, contact_id, provider_id FROM appointments WHERE id IN (7, 8, 9) ORDER BY 1;

-- both executors
ALTER TABLE appointments DROP CONSTRAINT appointments_contact_id_fkey;
UPDATE appointments SET contact_id = 778 WHERE id % 40 = 0;
SET voxanne_ops.executor = 'scan';
SELECT object, orphans, checked FROM find_orphans('appointments', '{by_tenant}');
SET voxanne_ops.executor = 'sql';
SELECT object, orphans, checked FROM find_orphans('appointments', '{by_tenant}');
RESET voxanne_ops.executor;

-- a double booking names the contact of its tenant
INSERT INTO appointments SELECT org_id, id + 1000, contact_id, provider_id, NULL, scheduled_at, 30 FROM appointments WHERE id IN (1, 2);
SELECT kind, keep_id, detail LIKE '%(' || c.name || '%' OR detail LIKE '%' || c.name || '%' AS named
FROM find_duplicate_appointments('appointments', same => '{contact}') d JOIN appointments a ON a.id::text = keep_id JOIN contacts c ON c.org_id = a.org_id AND c.id = a.contact_id
ORDER BY keep_id;
DROP SCHEMA by_tenant CASCADE;
