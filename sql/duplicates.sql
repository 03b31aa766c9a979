-- find_duplicates() and find_duplicate_appointments(): quiet, loud, remedy, quiet; against independent queries; bad input.
-- The numbered cases are those of a list of edge cases that was made before the functions.
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA duplicates;
SET search_path = duplicates, public;
\pset null ~

--
-- find_duplicates()
--
CREATE TABLE contacts (
	id int PRIMARY KEY, org_id int, phone text, email text, created_at timestamptz DEFAULT '2026-01-05Z', deleted_at timestamptz);
CREATE TABLE appointments_of (
	id int PRIMARY KEY, contact_id int NOT NULL REFERENCES contacts ON DELETE CASCADE, day date);
CREATE TABLE tags (contact int, org int, tag text);
ALTER TABLE contacts ADD UNIQUE (org_id, id), ADD merged_into int REFERENCES contacts ON DELETE SET NULL;
ALTER TABLE tags ADD FOREIGN KEY (org, contact) REFERENCES contacts (org_id, id) ON DELETE CASCADE DEFERRABLE;

-- quiet: other tenants, nulls and soft-deleted rows are no duplicates
INSERT INTO contacts (id, org_id, phone, deleted_at) VALUES
	(1, 1, '555', NULL), (2, 2, '555', NULL), (3, 1, NULL, NULL), (4, 1, NULL, NULL), (5, 1, '555', '2026-01-06Z'), (6, NULL, '7', NULL), (7, NULL, '7', NULL);
SELECT * FROM find_duplicates('contacts', '{phone}');

-- loud: the oldest is kept; case 27: equal ages go by the primary key, the same every time
INSERT INTO contacts (id, org_id, phone, created_at) VALUES
	(10, 1, '555', '2026-01-03Z'), (11, 1, '555', '2026-01-03Z'), (12, 2, '777', DEFAULT), (13, 2, '777', '2026-01-01Z');
INSERT INTO appointments_of SELECT i, (ARRAY[1, 10, 11, 12, 13])[i % 5 + 1], '2026-02-01'::date + i FROM generate_series(1, 20) i;
INSERT INTO tags VALUES (11, 1, 'vip'), (12, 2, 'x'), (1, 1, 'y');
UPDATE contacts SET merged_into = 11 WHERE id = 5;
SELECT * FROM find_duplicates('contacts', '{phone}');
SELECT key, rows FROM find_duplicates('contacts', '{phone}', nulls_distinct => false);
SELECT key, rows FROM find_duplicates('contacts', '{phone}', include_deleted => true);
SELECT key, rows FROM find_duplicates('contacts', '{org_id,phone}');
SELECT key, keep_id, duplicate_ids FROM find_duplicates('contacts', '{phone}', tenant_column => 'phone');
SELECT severity, detail, key FROM find_duplicates('contacts', '{phone}', max_groups => 1);
SELECT severity, detail, key FROM find_duplicates('contacts', '{phone}', max_groups => 0);

SELECT DISTINCT substring(advice FROM 'in the way now: [0-9]+') AS in_the_way, substring(advice FROM 'CREATE.*;') AS unique_index
FROM find_duplicates('contacts', '{phone}') \gset
\echo :in_the_way

-- case 28, case 30: the remedy keeps all that cascades would delete, through composite keys and self-references
SELECT remedy FROM find_duplicates('contacts', '{phone}') ORDER BY key;
\o /dev/null
\set ECHO none
SELECT remedy FROM find_duplicates('contacts', '{phone}') \gexec
\set ECHO all
\o
SELECT * FROM find_duplicates('contacts', '{phone}');
SELECT contact_id, count(*) FROM appointments_of GROUP BY 1 ORDER BY 1;
SELECT * FROM tags ORDER BY tag;
SELECT id, merged_into, deleted_at IS NOT NULL AS deleted FROM contacts ORDER BY id;
-- what the advice proposes holds then, and keeps the next one out
:unique_index
INSERT INTO contacts (id, org_id, phone) VALUES (99, 2, '777');
DROP INDEX contacts_org_id_phone_idx;

-- without a column for it nothing is soft-deleted: losers move to quarantine
ALTER TABLE contacts DROP deleted_at;
SELECT keep_id, duplicate_ids, references_to_move FROM find_duplicates('contacts', '{phone}') ORDER BY 1;
\o /dev/null
\set ECHO none
SELECT remedy FROM find_duplicates('contacts', '{phone}') \gexec
\set ECHO all
\o
SELECT * FROM find_duplicates('contacts', '{phone}');
SELECT count(*) AS appointments FROM appointments_of;
SELECT relation, finding, row_data ->> 'id' AS id FROM voxanne_quarantine.row_image ORDER BY 3;

-- case 29: a unique key of a referencing table is in the way: the remedy fails as a whole
ALTER TABLE appointments_of ADD UNIQUE (contact_id, day);
INSERT INTO contacts (id, org_id, phone) VALUES (20, 3, '888'), (21, 3, '888');
INSERT INTO appointments_of VALUES (30, 20, '2026-03-01'), (31, 21, '2026-03-01');
\o /dev/null
\set ECHO none
SELECT remedy FROM find_duplicates('contacts', '{phone}') \gexec
\set ECHO all
\o
ROLLBACK;
SELECT count(*) FROM contacts WHERE id IN (20, 21);
DELETE FROM appointments_of WHERE id = 31;

-- every type by its own equality; a table without primary key names rows by place
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN tiny AS numeric CHECK (VALUE < 100);
CREATE TABLE kinds (n numeric, d tiny, m mood, p pair, a int[], x xid, f float8, c char(5), b bit(3), r int4range, created_at date);
INSERT INTO kinds VALUES
	(1.0, 7.50, 'sad', '(1,x)', '{1,2}', '9', 'NaN', 'ab', '101', '[1,3]', '2026-01-02'),
	(1.00, 7.5, 'sad', '(1,x)', '{1,2}', '9', 'NaN', 'ab ', '101', '[1,4)', '2026-01-01'),
	(2, 8, 'glad', '(1,)', '{2,1}', '8', '-0', 'cd', '111', 'empty', NULL),
	(3, 9, NULL, '(1,)', '{}', '7', '0', 'ef', '110', NULL, NULL);
SELECT k, rows, keep_id, duplicate_ids, key_values, oldest, newest, remedy
FROM unnest('{n,d,m,p,a,x,f,c,b,r}'::name[]) WITH ORDINALITY AS k (k, i), find_duplicates('kinds', ARRAY[k]) ORDER BY i, keep_id;
SELECT rows, key_values FROM find_duplicates('kinds', '{x,p}', nulls_distinct => false);
SELECT rows, key_values FROM find_duplicates('kinds', '{m,r}', nulls_distinct => false);
INSERT INTO kinds (n) VALUES (5), (5);
SELECT rows, key_values FROM find_duplicates('kinds', '{x}', nulls_distinct => false);
SELECT rows, key_values FROM find_duplicates('kinds', '{x,r,m}', nulls_distinct => false);

-- a domain over an enum, as key and as tenant
CREATE DOMAIN temper AS mood;
CREATE TABLE tempers (id temper PRIMARY KEY, org_id temper, contact_id temper, scheduled_at timestamptz);
INSERT INTO tempers VALUES ('sad', 'sad', 'glad', '2026-01-05 10:00Z'), ('glad', 'sad', 'glad', '2026-01-05 10:00Z');
CREATE VIEW tempers_found AS
SELECT 'rows' AS what, object, rows, keep_id, duplicate_ids, key_values ->> 'contact_id' AS who FROM find_duplicates('tempers', '{contact_id}')
UNION ALL
SELECT kind, object, rows, keep_id, duplicate_ids, identity FROM find_duplicate_appointments('tempers', tenant => 'sad');
SELECT * FROM tempers_found;
SET voxanne_ops.executor = sql;
SELECT * FROM tempers_found;
RESET voxanne_ops.executor;
DROP VIEW tempers_found;
DROP TABLE tempers;

-- composite primary keys, partitions, inheritance, a column named like ours
CREATE TABLE parted ("no" int, n text, "vox_rows" int, PRIMARY KEY ("no", n)) PARTITION BY LIST ("no");
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 (n text NOT NULL, gone int, vox_rows int, "no" int NOT NULL);
ALTER TABLE parted_2 DROP gone;
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES IN (2);
INSERT INTO parted VALUES (1, 'it''s', 4), (2, 'a,b', 4), (2, 'c', 5);
SELECT detail, key, keep_id, duplicate_ids, advice, remedy FROM find_duplicates('parted', '{vox_rows}');
\o /dev/null
\set ECHO none
SELECT remedy FROM find_duplicates('parted', '{vox_rows}') \gexec
\set ECHO all
\o
SELECT * FROM parted ORDER BY 1, 2;
CREATE TABLE heir (CHECK (true)) INHERITS (kinds);
INSERT INTO heir (n) VALUES (2);
SELECT key_values FROM find_duplicates('kinds', '{n}');

-- against an independent query, on generated data
CREATE TABLE many (id int PRIMARY KEY, org_id int, k1 int, k2 text, created_at timestamptz);
SELECT setseed(0.25);
INSERT INTO many
SELECT i, random() * 3, nullif((random() * 40)::int, 0), nullif(chr(64 + (random() * 26)::int), '@'), '2026-01-01Z'::timestamptz + (random() * 100)::int * interval '1 h'
FROM generate_series(1, 3000) i;
WITH oracle AS (
	SELECT count(*) AS n, (array_agg(id::text ORDER BY created_at, id))[1] AS keep, (array_agg(id::text ORDER BY created_at, id))[2:] AS others
	FROM many WHERE org_id IS NOT NULL AND k1 IS NOT NULL AND k2 IS NOT NULL GROUP BY org_id, k1, k2 HAVING count(*) > 1),
found AS (SELECT rows, keep_id, duplicate_ids FROM find_duplicates('many', '{k1,k2}', max_groups => 100000))
SELECT (SELECT count(*) > 500 FROM found) AS many_groups,
	(SELECT count(*) FROM ((TABLE found EXCEPT ALL TABLE oracle) UNION ALL (TABLE oracle EXCEPT ALL TABLE found)) d) AS differences;
WITH oracle AS (
	SELECT count(*) AS n, (array_agg(id::text ORDER BY created_at, id))[1] AS keep, (array_agg(id::text ORDER BY created_at, id))[2:] AS others
	FROM many GROUP BY org_id, k1, k2 HAVING count(*) > 1),
found AS (SELECT rows, keep_id, duplicate_ids FROM find_duplicates('many', '{k1,k2}', nulls_distinct => false, max_groups => 100000))
SELECT (SELECT count(*) FROM ((TABLE found EXCEPT ALL TABLE oracle) UNION ALL (TABLE oracle EXCEPT ALL TABLE found)) d) AS differences;

-- groups of more rows than are listed: the first thousand after the oldest; oldest and newest are of all
CREATE TABLE alike (id int PRIMARY KEY, k int, created_at timestamptz);
INSERT INTO alike SELECT i, i % 2, '2026-01-01Z'::timestamptz + (3000 - i) * interval '1 h' FROM generate_series(1, 3000) i;
SELECT rows, keep_id, cardinality(duplicate_ids) AS listed, duplicate_ids[1] AS first, duplicate_ids[1000] AS last, oldest, newest FROM find_duplicates('alike', '{k}') ORDER BY keep_id;
SELECT rows, keep_id, cardinality(duplicate_ids) AS listed, oldest, newest FROM find_duplicates('alike', '{k}', max_groups => 1) WHERE rows > 0;
DROP TABLE alike;

-- bad input
CREATE VIEW contact_view AS SELECT * FROM contacts;
CREATE MATERIALIZED VIEW contact_copy AS SELECT * FROM contacts;
CREATE TABLE documents (id int, body json);
ALTER TABLE documents ADD gone int;
ALTER TABLE documents DROP gone;
SELECT * FROM find_duplicates(NULL, '{a}');
SELECT * FROM find_duplicates('contact_view', '{phone}');
SELECT * FROM find_duplicates('contact_copy', '{phone}');
SELECT * FROM find_duplicates('contacts', NULL);
SELECT * FROM find_duplicates('contacts', '{}');
SELECT * FROM find_duplicates('contacts', '{phone,NULL}');
SELECT * FROM find_duplicates('contacts', '{phone,phone}');
SELECT * FROM find_duplicates('contacts', '{no_such_column}');
SELECT * FROM find_duplicates('contacts', '{lower(phone)}');
SELECT * FROM find_duplicates('contacts', '{phone}', tenant_column => 'nobody');
SELECT * FROM find_duplicates('contacts', '{ctid}');
SELECT * FROM find_duplicates('documents', '{gone}');
SELECT * FROM find_duplicates('documents', '{body}');
SELECT * FROM find_duplicates('contacts', '{phone}', max_groups => -1);
SELECT * FROM find_duplicates('contacts', '{{phone,email},{id,org_id}}');
SELECT * FROM find_duplicates('documents', '{id}');

--
-- find_duplicate_appointments()
--
SELECT * FROM find_duplicate_appointments();
CREATE TYPE status AS ENUM ('pending', 'confirmed', 'cancelled', 'no_show');
CREATE TABLE appointments (
	id int PRIMARY KEY, org_id int, contact_id int, provider_id int, phone text, email text,
	scheduled_at timestamptz, duration_minutes int DEFAULT 30, status status DEFAULT 'pending',
	created_at timestamptz DEFAULT '2026-01-01Z', deleted_at timestamptz);
CREATE TABLE notes (appointment_id int REFERENCES appointments ON DELETE CASCADE);
SELECT * FROM find_duplicate_appointments();

-- quiet: case 22: cancelled, case 23: other tenants, case 24: end meets start, case 26: no or negative length, soft-deleted, case 21: no identity
INSERT INTO appointments (id, org_id, contact_id, provider_id, scheduled_at, duration_minutes, status, deleted_at) VALUES
	(1, 1, 10, 1, '2026-02-01 10:00Z', 30, 'pending', NULL),
	(2, 1, 10, 1, '2026-02-01 10:30Z', 30, 'pending', NULL),
	(3, 1, 10, 1, '2026-02-01 10:00Z', 30, 'cancelled', NULL),
	(4, 1, 10, 1, '2026-02-01 10:00Z', 30, 'no_show', NULL),
	(5, 2, 10, 1, '2026-02-01 10:00Z', 30, 'pending', NULL),
	(6, 1, 10, 1, '2026-02-01 10:00Z', 30, 'pending', '2026-01-01Z'),
	(7, 1, 10, 2, '2026-02-01 10:10Z', 0, 'pending', NULL),
	(8, 1, 10, 3, '2026-02-01 10:20Z', -5, 'pending', NULL),
	(9, 1, NULL, NULL, '2026-02-01 10:00Z', 30, 'pending', NULL),
	(10, 1, NULL, NULL, '2026-02-01 10:00Z', 30, 'pending', NULL),
	(11, 1, 10, 4, NULL, 30, 'pending', NULL);
SELECT * FROM find_duplicate_appointments();
SELECT kind, identity, keep_id, duplicate_ids FROM find_duplicate_appointments(include_deleted => true);

-- loud: case 25: one group of three by overlap, case 24: the same instant in two time zones and a night of changing clocks,
-- case 21: a phone number stands in for the contact, case 26: a length of null is 30 minutes
INSERT INTO appointments (id, org_id, contact_id, provider_id, scheduled_at, duration_minutes, created_at) VALUES
	(20, 1, 20, NULL, '2026-03-02 10:00Z', 240, '2026-01-01Z'),
	(21, 1, 20, NULL, '2026-03-02 11:00Z', 60, '2026-01-02Z'),
	(22, 1, 20, NULL, '2026-03-02 13:00Z', 60, '2026-01-03Z'),
	(30, 1, 30, 7, '2026-03-03 10:00 Africa/Lagos', 30, '2026-01-02Z'),
	(31, 1, 31, 7, '2026-03-03 09:00 UTC', 30, '2026-01-01Z'),
	(40, 1, 40, NULL, '2026-03-29 01:30 Europe/Berlin', 60, DEFAULT),
	(41, 1, 40, NULL, '2026-03-29 03:15 Europe/Berlin', 30, DEFAULT),
	(42, 1, 40, NULL, '2026-03-29 03:30 Europe/Berlin', NULL, DEFAULT);
INSERT INTO appointments (id, org_id, phone, email, scheduled_at) VALUES
	(50, 1, '+1 (555) 010-0199', 'a@example.com', '2026-03-04 10:00Z'), (51, 1, '0015550100199', 'b@example.com', '2026-03-04 10:00Z'),
	(52, 1, 'n/a', ' A@Example.com', '2026-03-05 10:00Z'), (53, 1, NULL, 'a@example.com', '2026-03-05 10:00Z'),
	(54, 1, '123', NULL, '2026-03-06 10:00Z'), (55, 1, '123', '', '2026-03-06 10:00Z');
INSERT INTO notes VALUES (21), (21), (20), (30);
SELECT detail, key, kind, tenant_id, identity, starts_at, ends_at, rows, keep_id, duplicate_ids, references_to_move
FROM find_duplicate_appointments(since => '2026-03-01Z') ORDER BY starts_at;
SELECT kind, identity, rows FROM find_duplicate_appointments(overlapping => false) ORDER BY starts_at;
SELECT kind, identity, rows, duplicate_ids FROM find_duplicate_appointments(overlapping => false, tolerance => '1 h', same => '{contact}') ORDER BY starts_at;
SELECT identity FROM find_duplicate_appointments(same => '{provider}');
SELECT count(*) FROM find_duplicate_appointments(tenant => '2');
SET timezone = 'America/New_York';
SELECT detail FROM find_duplicate_appointments(same => '{provider}');
SET timezone = 'UTC';
SELECT advice, remedy FROM find_duplicate_appointments(since => '2026-03-01Z') ORDER BY starts_at LIMIT 1;

-- what conflicts only with rows that go stays: 60 keeps, 61 goes, 62 stays
INSERT INTO appointments (id, org_id, contact_id, scheduled_at, duration_minutes) VALUES
	(60, 1, 60, '2026-04-01 10:00Z', 60), (61, 1, 60, '2026-04-01 10:30Z', 60), (62, 1, 60, '2026-04-01 11:15Z', 60);
SELECT rows, keep_id, duplicate_ids FROM find_duplicate_appointments(since => '2026-04-01Z');

-- conflicts of contact and provider that share a row are one group
INSERT INTO appointments (id, org_id, contact_id, provider_id, scheduled_at) VALUES
	(70, 1, 70, 71, '2026-04-02 10:00Z'), (71, 1, 70, 72, '2026-04-02 10:00Z'), (72, 1, 72, 72, '2026-04-02 10:15Z');
SELECT kind, identity, rows, keep_id, duplicate_ids FROM find_duplicate_appointments(since => '2026-04-02Z');

-- the constraints that would have kept them out
SELECT remedy FROM find_duplicate_appointments() WHERE identity IN ('contact:20', 'provider:7');
SELECT replace(substring(remedy FROM 'CREATE.*;'), '-- ', '') AS per_contact FROM find_duplicate_appointments() WHERE identity = 'contact:20' \gset
SELECT substring(remedy FROM 'ALTER.*;') AS per_provider FROM find_duplicate_appointments() WHERE identity = 'provider:7' \gset
-- quiet after the remedies, which delete nothing
\o /dev/null
\set ECHO none
SELECT remedy FROM find_duplicate_appointments() \gexec
\set ECHO all
\o
SELECT * FROM find_duplicate_appointments();
SELECT count(*) AS notes FROM notes;
SELECT id FROM appointments WHERE status = 'cancelled' ORDER BY id;

-- then the constraints hold, and keep the next one out; what takes no time is not in their way
:per_contact
:per_provider
\set VERBOSITY terse
INSERT INTO appointments (id, org_id, contact_id, scheduled_at, duration_minutes) VALUES (90, 1, 20, '2026-03-02 10:30Z', 5);
INSERT INTO appointments (id, org_id, provider_id, scheduled_at, duration_minutes) VALUES (90, 1, 7, '2026-03-03 09:29Z', NULL);
INSERT INTO appointments (id, org_id, contact_id, scheduled_at, duration_minutes, status) VALUES (90, 1, 20, '2026-03-02 10:30Z', -5, 'pending'),
	(91, 1, 20, '2026-03-02 10:30Z', 5, 'cancelled'), (92, NULL, 20, '2026-03-02 10:30Z', 5, 'pending'), (93, 1, 20, '2026-03-02 14:00Z', 5, 'pending');
\set VERBOSITY default
DELETE FROM appointments WHERE id >= 90;
ALTER TABLE appointments DROP CONSTRAINT appointments_contact_id_excl, DROP CONSTRAINT appointments_provider_id_excl;

-- a tenant without any provider gets a hint, no remedy, unless the same rows collide anyhow
INSERT INTO appointments (id, org_id, contact_id, scheduled_at) VALUES
	(80, 8, 80, '2026-04-03 10:00Z'), (81, 8, 81, '2026-04-03 10:15Z'), (82, 8, 82, '2026-04-04 10:00Z'), (83, 8, 82, '2026-04-04 10:00Z');
SELECT key, kind, identity, rows, keep_id, duplicate_ids, remedy FROM find_duplicate_appointments(tenant => '8');
INSERT INTO appointments (id, org_id, provider_id, scheduled_at, status) VALUES (84, 8, 1, '2020-01-01Z', 'cancelled');
SELECT key FROM find_duplicate_appointments(tenant => '8');
DELETE FROM appointments WHERE org_id = 8;

-- severity and order go by the time of the transaction
INSERT INTO appointments (id, org_id, contact_id, scheduled_at)
SELECT 100 + i, 9, i / 2, now() + CASE i / 2 WHEN 0 THEN '-30 days' WHEN 1 THEN '-2 days' WHEN 2 THEN '2 days' ELSE '1 day' END::interval
FROM generate_series(0, 7) i;
SELECT severity, identity FROM find_duplicate_appointments(tenant => '9', same => '{contact}');
SELECT severity, identity, key FROM find_duplicate_appointments(tenant => '9', same => '{contact}', max_groups => 2);
SELECT DISTINCT severity FROM find_duplicate_appointments(tenant => '9', same => '{org_without_provider}') ORDER BY 1;

-- against an independent query: all pairs by a self-join, joined transitively by recursion
TRUNCATE appointments CASCADE;
INSERT INTO appointments (id, org_id, contact_id, provider_id, scheduled_at, duration_minutes, created_at, status)
SELECT i, random() * 2, nullif((random() * 60)::int, 0), nullif((random() * 30)::int, 0), '2026-01-01Z'::timestamptz + (random() * 15000)::int * interval '1 minute',
	nullif((random() * 60)::int - 5, 50), '2025-01-01Z'::timestamptz + (random() * 300)::int * interval '1 h', (ARRAY['pending', 'confirmed', 'cancelled'])[(random() * 2)::int + 1]::status
FROM generate_series(1, 2500) i;
CREATE TEMPORARY TABLE pair AS
	WITH a AS (SELECT id, org_id, contact_id, provider_id, scheduled_at AS s,
			CASE WHEN coalesce(duration_minutes, 30) > 0 THEN tstzrange(scheduled_at, scheduled_at + coalesce(duration_minutes, 30) * interval '1 minute') END AS r
		FROM appointments WHERE status <> 'cancelled')
	SELECT a.id AS x, b.id AS y FROM a JOIN a b ON a.id <> b.id AND a.org_id = b.org_id
		AND (a.contact_id = b.contact_id OR a.provider_id = b.provider_id) AND (a.r && b.r OR a.s = b.s);
CREATE TEMPORARY TABLE member AS
	WITH RECURSIVE reach (x, y) AS (SELECT x, y FROM pair UNION SELECT r.x, p.y FROM reach r JOIN pair p ON p.x = r.y)
	SELECT x AS id, least(x, min(y)) AS component FROM reach GROUP BY x;
CREATE TEMPORARY TABLE found AS SELECT * FROM find_duplicate_appointments(same => '{contact,provider}');
SELECT (SELECT count(*) > 50 FROM found) AS many_groups,
	(SELECT count(*) FROM (
		(SELECT rows, keep_id::int FROM found EXCEPT ALL
		 SELECT count(*), (array_agg(id ORDER BY created_at, id))[1] FROM member JOIN appointments USING (id) GROUP BY component)
		UNION ALL
		(SELECT count(*), (array_agg(id ORDER BY created_at, id))[1] FROM member JOIN appointments USING (id) GROUP BY component
		 EXCEPT ALL SELECT rows, keep_id::int FROM found)) d) AS differences,
	-- who goes conflicts with an older one that stays; who stays conflicts with nobody who does
	(SELECT count(*) FROM found, unnest(duplicate_ids) d WHERE NOT EXISTS (SELECT FROM pair WHERE x = d::int
		AND y NOT IN (SELECT unnest(duplicate_ids)::int FROM found))) AS needless,
	(SELECT count(*) FROM pair WHERE x NOT IN (SELECT unnest(duplicate_ids)::int FROM found)
		AND y NOT IN (SELECT unnest(duplicate_ids)::int FROM found)) AS left_over;
-- the number of rows in the way of a constraint
WITH a AS (SELECT id, org_id, contact_id, tsrange(scheduled_at AT TIME ZONE 'UTC', (scheduled_at AT TIME ZONE 'UTC') + coalesce(duration_minutes, 30) * interval '1 minute') AS r
	FROM appointments WHERE status <> 'cancelled' AND coalesce(duration_minutes, 30) > 0)
SELECT (SELECT count(*) > 50 FROM found) AS many, array_agg(DISTINCT substring(remedy FROM 'now: ([0-9]+)')::int) =
	ARRAY[(SELECT count(*)::int FROM a WHERE EXISTS (SELECT FROM a AS b WHERE a.id <> b.id AND a.org_id = b.org_id AND a.contact_id = b.contact_id AND a.r && b.r))] AS same
FROM found WHERE identity ~ '^contact:[0-9]+$';

-- other names and types: a text status, an interval, timestamps without time zone; without status rows are soft-deleted
CREATE TABLE bookings (id text PRIMARY KEY, tenant_id text, customer_id text, start_time timestamp, duration interval, status varchar, archived_at timestamp);
INSERT INTO bookings VALUES ('b', 't', 'c', '2026-05-01 10:00', '1 h', 'Open'), ('a', 't', 'c', '2026-05-01 10:30', NULL, NULL), ('x', 't', 'c', '2026-05-01 10:30', NULL, 'Cancelled');
SELECT identity, keep_id, duplicate_ids, remedy FROM find_duplicate_appointments('bookings');
ALTER TABLE bookings DROP status;
UPDATE bookings SET archived_at = '2026-01-01' WHERE id = 'x';
SELECT identity, keep_id, duplicate_ids FROM find_duplicate_appointments('bookings');
SELECT replace(substring(remedy FROM 'CREATE.*;'), '-- ', '') AS per_customer FROM find_duplicate_appointments('bookings') \gset
\o /dev/null
\set ECHO none
SELECT remedy FROM find_duplicate_appointments('bookings') \gexec
\set ECHO all
\o
SELECT * FROM find_duplicate_appointments('bookings');
:per_customer
ALTER TABLE bookings DROP CONSTRAINT bookings_customer_id_excl, DROP archived_at;
SELECT advice, remedy FROM find_duplicate_appointments('bookings') LIMIT 1;
CREATE TABLE visits (provider_id int, starts_at timestamptz, ends_at timestamptz);
INSERT INTO visits VALUES (1, '2026-05-01 10:00Z', '2026-05-01 11:00Z'), (1, '2026-05-01 10:59Z', NULL), (1, '2026-05-01 10:00Z', '2026-05-01 09:00Z'), (1, 'infinity', NULL), (1, 'infinity', NULL);
SELECT kind, rows, keep_id, duplicate_ids, advice FROM find_duplicate_appointments('visits') ORDER BY keep_id;
-- the end in a column of its own
ALTER TABLE visits ADD id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ADD is_deleted boolean;
DELETE FROM visits WHERE NOT isfinite(starts_at);
SELECT remedy, substring(remedy FROM 'ALTER.*;') AS per_visit FROM find_duplicate_appointments('visits') \gset
:remedy
:per_visit
\set VERBOSITY terse
INSERT INTO visits (provider_id, starts_at, ends_at) VALUES (1, '2026-05-01 10:00Z', '2026-05-01 09:00Z'), (1, '2026-05-01 10:30Z', NULL);
\set VERBOSITY default

-- bad input
SELECT * FROM find_duplicate_appointments('contacts');
SELECT * FROM find_duplicate_appointments('contact_view');
SELECT * FROM find_duplicate_appointments(tolerance => '-1 minute');
SELECT * FROM find_duplicate_appointments(tolerance => NULL);
SELECT * FROM find_duplicate_appointments(same => '{contact,colour}');
SELECT * FROM find_duplicate_appointments(same => '{}');
SELECT * FROM find_duplicate_appointments('visits', same => '{contact}');
SELECT * FROM find_duplicate_appointments('visits', tenant => '1');
SELECT * FROM find_duplicate_appointments(tenant => 'abc');
SELECT * FROM find_duplicate_appointments(max_groups => -1);
SET search_path = '';
SELECT * FROM public.find_duplicate_appointments();
SELECT count(*) > 0 AS found FROM public.find_duplicate_appointments('duplicates.appointments');
BEGIN READ ONLY;
SELECT count(*) > 0 AS found FROM public.find_duplicate_appointments('duplicates.appointments');
COMMIT;

RESET search_path;
RESET timezone;
DROP SCHEMA duplicates, voxanne_quarantine CASCADE;
RESET client_min_messages;
