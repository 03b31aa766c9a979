-- Partitioned tables: the constraint that keeps double bookings out, or why there is none; the unique index against duplicates.
-- On which tables the constraint has to be depends on the server's version, what it does does not.
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA parted_bookings;
SET search_path = parted_bookings, public;
\pset null ~

-- partitioned by what is compared: the tenant, one of whose partitions is partitioned by the contact
CREATE TABLE appointments (
	id int, org_id uuid, contact_id int, provider_id int, scheduled_at timestamptz, duration_minutes int, status text,
	PRIMARY KEY (id, org_id, contact_id)) PARTITION BY LIST (org_id);
CREATE TABLE "one's" PARTITION OF appointments FOR VALUES IN ('00000000-0000-0000-0000-000000000001');
CREATE TABLE two (gone int, status text, duration_minutes int, scheduled_at timestamptz, provider_id int,
	contact_id int NOT NULL, org_id uuid NOT NULL, id int NOT NULL) PARTITION BY HASH (contact_id);
ALTER TABLE two DROP gone;
CREATE TABLE two_even PARTITION OF two FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE two_odd PARTITION OF two FOR VALUES WITH (MODULUS 2, REMAINDER 1);
ALTER TABLE appointments ATTACH PARTITION two FOR VALUES IN ('00000000-0000-0000-0000-000000000002');
INSERT INTO appointments SELECT n, ('00000000-0000-0000-0000-00000000000' || 1 + n % 2)::uuid, n / 4, 100 + n / 4,
	'2026-03-02 10:00Z'::timestamptz + n * interval '10 min', 30, 'confirmed' FROM generate_series(0, 15) AS n;
SELECT kind, identity, rows, keep_id, duplicate_ids FROM find_duplicate_appointments('appointments', same => '{contact}') ORDER BY starts_at, keep_id;
SELECT DISTINCT substring(remedy FROM 'way now: [0-9]+') AS in_the_way FROM find_duplicate_appointments('appointments', same => '{contact}');
-- contacts of different partitions can collide in a provider
SELECT DISTINCT substring(remedy FROM '-- No .*') AS why_none FROM find_duplicate_appointments('appointments', same => '{provider}');
SELECT string_agg(DISTINCT replace(line, '-- ', ''), ' ' ORDER BY replace(line, '-- ', '') DESC) AS constraints
FROM find_duplicate_appointments('appointments', same => '{contact}'), regexp_split_to_table(remedy, '\n') AS line
WHERE line ~ '^-- (CREATE|ALTER)' \gset
\o /dev/null
\set ECHO none
SELECT remedy FROM find_duplicate_appointments('appointments', same => '{contact}') \gexec
\set ECHO all
\o
SELECT count(*) FROM find_duplicate_appointments('appointments', same => '{contact}');
SET client_min_messages = error;
:constraints
SET client_min_messages = warning;
-- they keep the next one out, in every partition, and nothing else
CREATE FUNCTION book(org int, contact int, at timestamptz) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO appointments VALUES (100 + random() * 1000000, ('00000000-0000-0000-0000-00000000000' || org)::uuid, contact, NULL, at, 20, 'confirmed');
	RETURN 'booked';
EXCEPTION WHEN exclusion_violation THEN
	RETURN 'kept out';
END $$;
SELECT org, contact, at, book(org, contact, '2026-03-02Z'::timestamptz + at)
FROM generate_series(1, 2) AS org, generate_series(0, 1) AS contact, unnest('{10:15,12:00,12:10,12:20}'::interval[]) AS at;

-- partitioned by the time
CREATE TABLE visits (id int, org_id int, contact_id int, scheduled_at timestamptz, status text, PRIMARY KEY (id, scheduled_at)) PARTITION BY RANGE (scheduled_at);
CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (MINVALUE) TO ('2026-03-02 10:10Z');
CREATE TABLE visits_2 PARTITION OF visits FOR VALUES FROM ('2026-03-02 10:10Z') TO (MAXVALUE);
INSERT INTO visits VALUES (1, 1, 1, '2026-03-02 10:00Z', 'confirmed'), (2, 1, 1, '2026-03-02 10:15Z', 'confirmed');
SELECT substring(remedy FROM '-- .*') AS why_none FROM find_duplicate_appointments('visits');

-- the unique index that keeps duplicates out: partial ones too, and not where a partition is partitioned by something else
CREATE TABLE contacts (id int, org_id int, phone text, email text, deleted_at timestamptz, PRIMARY KEY (id, org_id, phone)) PARTITION BY LIST (org_id);
CREATE TABLE contacts_1 PARTITION OF contacts FOR VALUES IN (1);
CREATE TABLE contacts_2 PARTITION OF contacts FOR VALUES IN (2) PARTITION BY HASH (phone);
CREATE TABLE contacts_2_0 PARTITION OF contacts_2 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
INSERT INTO contacts VALUES (1, 1, '5', 'a'), (2, 1, '5', 'b'), (3, 2, '6', 'c'), (4, 2, '6', 'd'), (5, 1, '7', 'b');
INSERT INTO contacts VALUES (6, 1, '5', 'e', '2026-01-01Z');
SELECT keep_id, duplicate_ids, substring(advice FROM 'Then prevent.*') AS prevent FROM find_duplicates('contacts', '{phone}') ORDER BY 1;
SELECT keep_id, duplicate_ids, substring(advice FROM 'Then prevent.*') AS prevent FROM find_duplicates('contacts', '{email}') ORDER BY 1;
SELECT DISTINCT substring(advice FROM 'CREATE.*;') AS unique_index FROM find_duplicates('contacts', '{phone}') \gset
\o /dev/null
\set ECHO none
SELECT remedy FROM find_duplicates('contacts', '{phone}') \gexec
\set ECHO all
\o
SELECT count(*) FROM find_duplicates('contacts', '{phone}');
:unique_index
\set VERBOSITY terse
INSERT INTO contacts VALUES (10, 1, '5', 'f');
INSERT INTO contacts VALUES (10, 1, '5', 'f', '2026-01-01Z');
\set VERBOSITY default

RESET search_path;
RESET timezone;
DROP SCHEMA parted_bookings CASCADE;
RESET client_min_messages;
