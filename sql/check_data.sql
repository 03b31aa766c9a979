-- check_data(): the same findings as the functions that make each check alone, in one scan; bad input.
SET client_min_messages = warning;
CREATE SCHEMA checked;
SET search_path = checked, public;
\pset null ~

CREATE TABLE organizations (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE contacts (id int PRIMARY KEY, org_id int NOT NULL REFERENCES organizations, name text NOT NULL, phone text,
	created_at timestamptz NOT NULL DEFAULT '2026-01-05 10:00Z', deleted_at timestamptz);
-- a partitioned table, whose second partition has its columns in another order
CREATE TABLE appointments (id int, org_id int NOT NULL, contact_id int, scheduled_at timestamptz NOT NULL,
	duration_minutes int DEFAULT 30, status text NOT NULL DEFAULT 'confirmed', started_at timestamptz, ended_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT '2026-01-05 10:00Z', updated_at timestamptz NOT NULL DEFAULT '2026-01-05 10:00Z',
	deleted_at timestamptz, PRIMARY KEY (id, scheduled_at)) PARTITION BY RANGE (scheduled_at);
CREATE TABLE appointments_old PARTITION OF appointments FOR VALUES FROM (MINVALUE) TO ('2026-02-01Z');
CREATE TABLE appointments_new (junk text, deleted_at timestamptz, updated_at timestamptz NOT NULL DEFAULT '2026-01-05 10:00Z',
	created_at timestamptz NOT NULL DEFAULT '2026-01-05 10:00Z', ended_at timestamptz, started_at timestamptz,
	status text NOT NULL DEFAULT 'confirmed', duration_minutes int DEFAULT 30, scheduled_at timestamptz NOT NULL,
	contact_id int, org_id int NOT NULL, id int NOT NULL);
ALTER TABLE appointments_new DROP COLUMN junk;
ALTER TABLE appointments ATTACH PARTITION appointments_new FOR VALUES FROM ('2026-02-01Z') TO (MAXVALUE);
INSERT INTO organizations SELECT n, 'Organization ' || n FROM generate_series(1, 5) AS n;
INSERT INTO contacts (id, org_id, name, phone) SELECT n, n % 5 + 1, 'Contact ' || n, '+1555000' || 1000 + n FROM generate_series(1, 100) AS n;
INSERT INTO appointments (id, org_id, contact_id, scheduled_at) SELECT n, n % 5 + 1, n, '2026-01-05 10:00Z'::timestamptz + n * interval '1 day'
	FROM generate_series(1, 60) AS n;

-- quiet
SELECT * FROM check_data(schemas => '{checked}');
SELECT * FROM check_data('appointments', unique_keys => '{"scheduled_at, contact_id", "ID"}');
SELECT * FROM check_data('appointments', unique_keys => '{"scheduled_at, contact_id", id}');
SELECT relation, question, executor FROM data_check_execution();

-- loud
INSERT INTO appointments (id, org_id, contact_id, scheduled_at) VALUES
	(101, 2, 1, '2026-01-06 10:00Z'), (102, 4, 33, '2026-02-07 10:00Z'), (103, 1, 777, '2026-03-07 10:00Z');
UPDATE appointments SET duration_minutes = 0 WHERE id IN (3, 40);
UPDATE appointments SET duration_minutes = -5, deleted_at = '2026-01-06' WHERE id = 41;
UPDATE appointments SET duration_minutes = NULL WHERE id = 42;
UPDATE appointments SET started_at = '2026-01-07 11:00Z', ended_at = '2026-01-07 10:00Z' WHERE id IN (4, 43);
UPDATE appointments SET started_at = '2026-01-07 11:00Z' WHERE id IN (5, 44);
UPDATE appointments SET ended_at = 'infinity' WHERE id = 45;
UPDATE appointments SET created_at = '-infinity' WHERE id = 6;
UPDATE appointments SET updated_at = '2026-01-05 09:00Z' WHERE id = 46;
UPDATE appointments SET status = 'Confirmed' WHERE id IN (7, 47);
UPDATE contacts SET phone = 'none' WHERE id = 9;
SELECT severity, detail, remedy, key, check_name, runbook, metadata
FROM check_data('appointments', unique_keys => '{"scheduled_at, contact_id"}', max_rows => 1);

-- what check_data() says, and what the functions do that make the checks one by one
CREATE FUNCTION same(executor text, OUT checked bigint, OUT alone bigint, OUT different bigint) LANGUAGE sql VOLATILE AS $$
	WITH together AS (
		SELECT * FROM check_data(schemas => '{checked}')
		UNION ALL SELECT * FROM check_data('appointments', '{"scheduled_at, contact_id", duration_minutes}') WHERE runbook = '4.1'),
	one_by_one AS (
		SELECT severity, object, detail, advice, remedy, key, split_part(key, ':', 1), '4.3',
			to_jsonb(f) - '{severity,object,detail,advice,remedy,key}'::text[] FROM find_invalid_data(schemas => '{checked}') AS f
		UNION ALL SELECT severity, object, detail, advice, remedy, key, split_part(key, ':', 1), '4.4',
			to_jsonb(f) - '{severity,object,detail,advice,remedy,key}'::text[] FROM find_orphans(schemas => '{checked}') AS f
		UNION ALL SELECT severity, object, detail, advice, remedy, key, split_part(key, ':', 1), '4.1',
			to_jsonb(f) - '{severity,object,detail,advice,remedy,key}'::text[]
			FROM (SELECT * FROM find_duplicates('appointments', '{scheduled_at,contact_id}')
				UNION ALL SELECT * FROM find_duplicates('appointments', '{duration_minutes}')) AS f)
	SELECT (SELECT count(*) FROM together), (SELECT count(*) FROM one_by_one),
		(SELECT count(*) FROM ((SELECT * FROM together EXCEPT ALL SELECT * FROM one_by_one)
			UNION ALL (SELECT * FROM one_by_one EXCEPT ALL SELECT * FROM together)) AS d);
$$;
SELECT * FROM same('scan');
SET voxanne_ops.executor = sql;
SELECT * FROM same('sql');
CREATE TABLE by_sql AS SELECT * FROM check_data('appointments', unique_keys => '{"scheduled_at, contact_id"}');
SET voxanne_ops.executor = scan;
CREATE TABLE by_scan AS SELECT * FROM check_data('appointments', unique_keys => '{"scheduled_at, contact_id"}');
RESET voxanne_ops.executor;
SELECT (SELECT count(*) FROM by_sql) AS by_sql, count(*) AS different
FROM ((TABLE by_sql EXCEPT ALL TABLE by_scan) UNION ALL (TABLE by_scan EXCEPT ALL TABLE by_sql)) AS d;
DROP TABLE by_sql, by_scan;

-- quiet again
DELETE FROM appointments WHERE id > 100;
UPDATE appointments SET duration_minutes = 30, started_at = NULL, ended_at = NULL, created_at = DEFAULT, updated_at = DEFAULT, status = DEFAULT;
SELECT * FROM check_data('appointments', unique_keys => '{"scheduled_at, contact_id"}');

-- a table that only a key is asked of, and that once
CREATE TABLE numbers (id int PRIMARY KEY, n int);
INSERT INTO numbers VALUES (1, 7), (2, 7);
SELECT key FROM check_data('numbers', unique_keys => '{n, N}');
SELECT * FROM check_data('numbers');

-- bad input
SELECT * FROM check_data(unique_keys => '{phone}');
SELECT * FROM check_data('contacts', unique_keys => '{"phone,,name"}');
SELECT * FROM check_data('contacts', unique_keys => '{""}');
SELECT * FROM check_data('contacts', unique_keys => '{"lower(phone)"}');
SELECT * FROM check_data('contacts', unique_keys => '{"phone, Phone"}');
SELECT * FROM check_data('contacts', unique_keys => '{NULL}');
SELECT * FROM check_data('contacts', unique_keys => NULL);
SELECT * FROM check_data('contacts', max_rows => -1);
SELECT * FROM check_data('none');
SELECT * FROM check_data(schemas => '{none}');
CREATE VIEW seen AS TABLE contacts;
SELECT * FROM check_data('seen');
-- who may not read a table is told so for each check
CREATE ROLE regress_reader;
GRANT USAGE ON SCHEMA checked TO regress_reader;
GRANT EXECUTE ON FUNCTION check_data TO regress_reader;
SET ROLE regress_reader;
SELECT severity, key, check_name, runbook, metadata->>'kind' AS kind FROM check_data('contacts', unique_keys => '{phone}');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION check_data FROM regress_reader;
DROP SCHEMA checked CASCADE;
DROP ROLE regress_reader;
