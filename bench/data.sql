-- The data of bench/data: :size appointments of a tenth as many contacts in 1,000 tenants, uuid keys.
-- A hundred appointments are double, fifty have no contact; provider and organization always exist.
-- They begin within the same 19 years whatever the size, so that what is wrong with dates is, too.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET synchronous_commit = off;
CREATE TABLE organizations (id uuid PRIMARY KEY, name text);
CREATE TABLE providers (id uuid PRIMARY KEY, org_id uuid, name text);
CREATE TABLE contacts (id uuid PRIMARY KEY, org_id uuid, name text, phone text);
CREATE TABLE appointments (id uuid, org_id uuid, contact_id uuid, service_type text, scheduled_at timestamptz,
	duration_minutes int, status text, provider_id uuid, created_at timestamptz, updated_at timestamptz, deleted_at timestamptz);
INSERT INTO organizations SELECT md5('o' || n)::uuid, 'Organization ' || n FROM generate_series(0, 999) AS n;
INSERT INTO providers SELECT md5('p' || n)::uuid, md5('o' || n % 1000)::uuid, 'Provider ' || n FROM generate_series(0, 4999) AS n;
INSERT INTO contacts SELECT md5('c' || n)::uuid, md5('o' || n % 1000)::uuid, 'Contact ' || n, '+1555' || n
	FROM generate_series(0, :size / 10 - 1) AS n;
INSERT INTO appointments
	SELECT md5('a' || n)::uuid, md5('o' || c % 1000)::uuid, md5('c' || c)::uuid, 'checkup',
		'2006-06-01Z'::timestamptz + n * 7919 % (:size + 19) * (interval '10000000 min' / :size), 30, 'confirmed', md5('p' || c % 5000)::uuid,
		'2025-12-01Z', '2025-12-02Z', NULL
	FROM (SELECT n, n * 48271 % (:size / 10) AS c FROM generate_series(1::bigint, :size) AS n) AS numbered;
INSERT INTO appointments SELECT md5('b' || id)::uuid, org_id, contact_id, service_type, scheduled_at, duration_minutes, status,
	provider_id, created_at, updated_at, deleted_at FROM appointments LIMIT 100;
INSERT INTO appointments SELECT md5('d' || id)::uuid, org_id, md5('gone' || id)::uuid, service_type, scheduled_at + interval '1 day',
	duration_minutes, status, provider_id, created_at, updated_at, deleted_at FROM appointments OFFSET 1000 LIMIT 50;
ALTER TABLE appointments ADD PRIMARY KEY (id);
-- the references to organizations and providers are not declared
ALTER TABLE appointments ADD CONSTRAINT appointments_contact FOREIGN KEY (contact_id) REFERENCES contacts NOT VALID;
VACUUM (FREEZE, ANALYZE) appointments;
VACUUM (FREEZE, ANALYZE) contacts;
VACUUM (FREEZE, ANALYZE) providers;
VACUUM (FREEZE, ANALYZE) organizations;
