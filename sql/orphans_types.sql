-- find_orphans() for every kind of key, against an independent query for each.
SET client_min_messages = warning;
CREATE SCHEMA types;
SET search_path = types, public;
\pset null ~

CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad', 'new');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN code AS text CHECK (VALUE <> '');
CREATE DOMAIN code_of_code AS code;

-- declared references: the same data for all, written as the types write it; every tenth value has no parent
CREATE TABLE p_bpchar (id char(6) PRIMARY KEY);
CREATE TABLE c_bpchar (id int PRIMARY KEY, k char(8) REFERENCES p_bpchar);
CREATE TABLE p_varchar (id varchar(20) PRIMARY KEY);
CREATE TABLE c_varchar (id int PRIMARY KEY, k text REFERENCES p_varchar);
CREATE TABLE p_numeric (id numeric PRIMARY KEY);
CREATE TABLE c_numeric (id int PRIMARY KEY, k numeric(10,4) REFERENCES p_numeric);
CREATE TABLE p_enum (id mood PRIMARY KEY);
CREATE TABLE c_enum (id int PRIMARY KEY, k mood REFERENCES p_enum);
CREATE TABLE p_domain (id code PRIMARY KEY);
CREATE TABLE c_domain (id int PRIMARY KEY, k code_of_code REFERENCES p_domain);
CREATE TABLE p_int8 (id int8 PRIMARY KEY);
CREATE TABLE c_int4 (id int PRIMARY KEY, k int4 REFERENCES p_int8);
CREATE TABLE p_int2 (id int2 PRIMARY KEY);
CREATE TABLE c_int8 (id int PRIMARY KEY, k int8 REFERENCES p_int2);
CREATE TABLE p_composite (id pair PRIMARY KEY);
CREATE TABLE c_composite (id int PRIMARY KEY, k pair REFERENCES p_composite);
CREATE TABLE p_array (id int[] PRIMARY KEY);
CREATE TABLE c_array (id int PRIMARY KEY, k int[] REFERENCES p_array);
CREATE TABLE p_float (id float8 PRIMARY KEY);
CREATE TABLE c_float (id int PRIMARY KEY, k float8 REFERENCES p_float);
CREATE TABLE p_time (id timestamptz PRIMARY KEY);
CREATE TABLE c_time (id int PRIMARY KEY, k timestamptz REFERENCES p_time);
CREATE TABLE p_bytea (id bytea PRIMARY KEY);
CREATE TABLE c_bytea (id int PRIMARY KEY, k bytea REFERENCES p_bytea);
CREATE TABLE p_keys (a int8, b text, c date, UNIQUE (c, a, b));
CREATE TABLE c_keys (id int PRIMARY KEY, ka int4, kb varchar, kc date, FOREIGN KEY (kb, kc, ka) REFERENCES p_keys (b, c, a));
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree);
-- a key that is not the primary one, on a column that may be null
CREATE TABLE p_unique (id int PRIMARY KEY, code text UNIQUE);
CREATE TABLE c_unique (id int PRIMARY KEY, k text REFERENCES p_unique (code));
-- long values, stored out of line
CREATE TABLE p_long (id text PRIMARY KEY);
CREATE TABLE c_long (id int PRIMARY KEY, k text REFERENCES p_long);
ALTER TABLE c_long ALTER k SET STORAGE EXTERNAL;

-- partitions on both sides, of differing column numbers
CREATE TABLE p_parted (gone int, id int8, region text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
ALTER TABLE p_parted DROP gone;
CREATE TABLE p_parted_a PARTITION OF p_parted FOR VALUES IN ('a');
CREATE TABLE p_parted_b (region text NOT NULL, x int, id int8 NOT NULL);
ALTER TABLE p_parted_b DROP x;
ALTER TABLE p_parted ATTACH PARTITION p_parted_b FOR VALUES IN ('b');
CREATE TABLE c_parted (id int, region text, k int, FOREIGN KEY (region, k) REFERENCES p_parted) PARTITION BY HASH (id);
CREATE TABLE c_parted_0 PARTITION OF c_parted FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE c_parted_1 PARTITION OF c_parted FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE c_parted_2 PARTITION OF c_parted FOR VALUES WITH (MODULUS 3, REMAINDER 2) PARTITION BY RANGE (id);
CREATE TABLE c_parted_2_all PARTITION OF c_parted_2 DEFAULT;

-- inheritance: a foreign key sees neither the parent's children nor its own table's
CREATE TABLE p_only (id int PRIMARY KEY);
CREATE TABLE p_only_heir () INHERITS (p_only);
CREATE TABLE c_only (id int PRIMARY KEY, k int REFERENCES p_only);
CREATE TABLE c_only_heir () INHERITS (c_only);

SET session_replication_role = replica;
INSERT INTO p_bpchar SELECT 'k' || i FROM generate_series(1, 50) i WHERE i % 10 <> 0;
INSERT INTO c_bpchar SELECT i, rpad('k' || i % 50 + 1, 2 + i % 6) FROM generate_series(1, 300) i;
INSERT INTO p_varchar SELECT 'k' || i || repeat(' ', i % 2) FROM generate_series(1, 50) i WHERE i % 10 <> 0;
INSERT INTO c_varchar SELECT i, 'k' || i % 50 + 1 FROM generate_series(1, 300) i;
INSERT INTO p_numeric SELECT i::numeric / 4 FROM generate_series(1, 50) i WHERE i % 10 <> 0 UNION ALL SELECT 'NaN';
INSERT INTO c_numeric SELECT i, (i % 50 + 1)::numeric / 4 FROM generate_series(1, 300) i UNION ALL SELECT 301, 'NaN';
INSERT INTO p_enum VALUES ('sad'), ('glad');
INSERT INTO c_enum SELECT i, (ARRAY['sad', 'ok', 'glad', NULL, 'new'])[i % 5 + 1]::mood FROM generate_series(1, 300) i;
INSERT INTO p_domain SELECT 'k' || i FROM generate_series(1, 50) i WHERE i % 10 <> 0;
INSERT INTO c_domain SELECT i, 'k' || i % 50 + 1 FROM generate_series(1, 300) i;
INSERT INTO p_int8 SELECT i FROM generate_series(1, 50) i WHERE i % 10 <> 0 UNION ALL SELECT 4294967306;
INSERT INTO c_int4 SELECT i, i % 50 + 1 FROM generate_series(1, 300) i;
INSERT INTO p_int2 SELECT i FROM generate_series(1, 50) i WHERE i % 10 <> 0;
INSERT INTO c_int8 SELECT i, i % 50 + 1 FROM generate_series(1, 300) i UNION ALL SELECT 301, 65537;
INSERT INTO p_composite SELECT ROW(i, 'k')::pair FROM generate_series(1, 50) i WHERE i % 10 <> 0 UNION ALL SELECT ROW(NULL, NULL)::pair;
INSERT INTO c_composite SELECT i, ROW(i % 50 + 1, 'k')::pair FROM generate_series(1, 300) i
	UNION ALL SELECT 301, ROW(NULL, NULL)::pair UNION ALL SELECT 302, ROW(1, NULL)::pair UNION ALL SELECT 303, NULL;
INSERT INTO p_array SELECT ARRAY[i, NULL] FROM generate_series(1, 50) i WHERE i % 10 <> 0;
INSERT INTO c_array SELECT i, ARRAY[i % 50 + 1, CASE WHEN i % 7 = 0 THEN 1 END] FROM generate_series(1, 300) i;
INSERT INTO p_float VALUES ('-0'), ('NaN'), (1);
INSERT INTO c_float VALUES (1, '0'), (2, 'NaN'), (3, '1'), (4, 'Infinity');
INSERT INTO p_time SELECT '2026-03-29 00:00Z'::timestamptz + i * interval '10 min' FROM generate_series(1, 50) i WHERE i % 10 <> 0;
INSERT INTO c_time SELECT i, '2026-03-29 01:00+01'::timestamptz + (i % 50 + 1) * interval '10 min' FROM generate_series(1, 300) i;
INSERT INTO p_bytea SELECT decode(md5(i::text), 'hex') FROM generate_series(1, 50) i WHERE i % 10 <> 0;
INSERT INTO c_bytea SELECT i, decode(upper(md5((i % 50 + 1)::text)), 'hex') FROM generate_series(1, 300) i;
INSERT INTO p_keys SELECT i, CASE WHEN i % 9 <> 0 THEN 'k' || i END, '2026-01-01'::date + i % 5 FROM generate_series(1, 50) i WHERE i % 10 <> 0;
INSERT INTO c_keys SELECT i, i % 50 + 1, CASE WHEN i % 6 <> 0 THEN 'k' || i % 50 + 1 END, '2026-01-01'::date + (i % 50 + 1) % 5 FROM generate_series(1, 300) i;
INSERT INTO tree SELECT i, nullif(i / 2, 0) FROM generate_series(1, 50) i WHERE i % 10 <> 0;
INSERT INTO p_unique SELECT i, CASE WHEN i % 10 <> 0 THEN 'k' || i END FROM generate_series(1, 50) i;
INSERT INTO c_unique SELECT i, 'k' || i % 50 + 1 FROM generate_series(1, 300) i;
INSERT INTO p_long SELECT repeat(md5(i::text), 60) || i FROM generate_series(1, 20) i WHERE i % 10 <> 0;
INSERT INTO c_long SELECT i, repeat(md5((i % 20 + 1)::text), 60) || CASE WHEN i % 9 = 0 THEN -1 ELSE i % 20 + 1 END FROM generate_series(1, 100) i;
INSERT INTO p_parted SELECT i, CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 50) i WHERE i % 10 <> 0;
INSERT INTO c_parted SELECT i, (ARRAY['b', 'a', 'c', NULL])[i % 4 + 1], i % 50 + 1 FROM generate_series(1, 300) i;
INSERT INTO p_only VALUES (1), (2);
INSERT INTO p_only_heir VALUES (3);
INSERT INTO c_only VALUES (1, 1), (2, 2), (3, 3), (4, 4);
INSERT INTO c_only_heir VALUES (5, 5);
RESET session_replication_role;

CREATE VIEW oracle (child, orphans, checked) AS
	SELECT 'c_bpchar', count(*) FILTER (WHERE p.id IS NULL), count(*) FROM c_bpchar c LEFT JOIN p_bpchar p ON p.id = c.k WHERE c.k IS NOT NULL
	UNION ALL SELECT 'c_varchar', count(*) FILTER (WHERE p.id IS NULL), count(*) FROM c_varchar c LEFT JOIN p_varchar p ON p.id = c.k WHERE c.k IS NOT NULL
	UNION ALL SELECT 'c_numeric', count(*) FILTER (WHERE p.id IS NULL), count(*) FROM c_numeric c LEFT JOIN p_numeric p ON p.id = c.k WHERE c.k IS NOT NULL
	UNION ALL SELECT 'c_enum', count(*) FILTER (WHERE p.id IS NULL), count(*) FROM c_enum c LEFT JOIN p_enum p ON p.id = c.k WHERE c.k IS NOT NULL
	UNION ALL SELECT 'c_domain', count(*) FILTER (WHERE p.id IS NULL), count(*) FROM c_domain c LEFT JOIN p_domain p ON p.id = c.k WHERE c.k IS NOT NULL
	UNION ALL SELECT 'c_int4', count(*) FILTER (WHERE p.id IS NULL), count(*) FROM c_int4 c LEFT JOIN p_int8 p ON p.id = c.k WHERE c.k IS NOT NULL
	UNION ALL SELECT 'c_int8', count(*) FILTER (WHERE p.id IS NULL), count(*) FROM c_int8 c LEFT JOIN p_int2 p ON p.id = c.k WHERE c.k IS NOT NULL
	UNION ALL SELECT 'c_composite', count(*) FILTER (WHERE p.found IS NULL), count(*) FROM c_composite c LEFT JOIN (SELECT id, 1 AS found FROM p_composite) p ON p.id = c.k WHERE c.k IS DISTINCT FROM NULL
	UNION ALL SELECT 'c_array', count(*) FILTER (WHERE p.id IS NULL), count(*) FROM c_array c LEFT JOIN p_array p ON p.id = c.k WHERE c.k IS NOT NULL
	UNION ALL SELECT 'c_float', count(*) FILTER (WHERE p.id IS NULL), count(*) FROM c_float c LEFT JOIN p_float p ON p.id = c.k WHERE c.k IS NOT NULL
	UNION ALL SELECT 'c_time', count(*) FILTER (WHERE p.id IS NULL), count(*) FROM c_time c LEFT JOIN p_time p ON p.id = c.k WHERE c.k IS NOT NULL
	UNION ALL SELECT 'c_bytea', count(*) FILTER (WHERE p.id IS NULL), count(*) FROM c_bytea c LEFT JOIN p_bytea p ON p.id = c.k WHERE c.k IS NOT NULL
	UNION ALL SELECT 'c_keys', count(*) FILTER (WHERE p.a IS NULL), count(*) FROM c_keys c LEFT JOIN p_keys p ON p.a = c.ka AND p.b = c.kb AND p.c = c.kc WHERE c.kb IS NOT NULL
	UNION ALL SELECT 'tree', count(*) FILTER (WHERE p.id IS NULL), count(*) FROM tree c LEFT JOIN tree p ON p.id = c.parent WHERE c.parent IS NOT NULL
	UNION ALL SELECT 'c_unique', count(*) FILTER (WHERE p.id IS NULL), count(*) FROM c_unique c LEFT JOIN p_unique p ON p.code = c.k WHERE c.k IS NOT NULL
	UNION ALL SELECT 'c_long', count(*) FILTER (WHERE p.id IS NULL), count(*) FROM c_long c LEFT JOIN p_long p ON p.id = c.k WHERE c.k IS NOT NULL
	UNION ALL SELECT 'c_parted', count(*) FILTER (WHERE p.id IS NULL), count(*) FROM c_parted c LEFT JOIN p_parted p ON p.id = c.k AND p.region = c.region WHERE c.region IS NOT NULL
	UNION ALL SELECT 'c_only', count(*) FILTER (WHERE p.id IS NULL), count(*) FROM ONLY c_only c LEFT JOIN ONLY p_only p ON p.id = c.k WHERE c.k IS NOT NULL;

SELECT child, f.orphans, f.checked, f.orphans = o.orphans AND f.checked = o.checked AS same
FROM (SELECT replace(child, 'types.', '') AS child, orphans, checked FROM find_orphans(schemas => '{types}', inferred => false)) f FULL JOIN oracle o USING (child)
ORDER BY child COLLATE "C";
-- one partition by itself, on either side
SELECT object, orphans, checked FROM find_orphans('c_parted_2', '{types}');
SELECT count(*) FILTER (WHERE p.id IS NULL) AS orphans, count(*) AS checked
FROM c_parted_2 c LEFT JOIN p_parted p ON p.id = c.k AND p.region = c.region WHERE c.region IS NOT NULL;

-- every remedy runs, then all is quiet but the tree, whose orphans have children
\o /dev/null
\set ECHO none
SELECT remedy FROM find_orphans(schemas => '{types}', inferred => false) ORDER BY object COLLATE "C" \gexec
\set ECHO all
\o
SELECT object, orphans, remedy IS NULL AS no_remedy, advice FROM find_orphans(schemas => '{types}', inferred => false);
SELECT count(*) AS keys, count(*) FILTER (WHERE convalidated) AS valid FROM pg_constraint
WHERE connamespace = 'types'::regnamespace AND contype = 'f' AND conparentid = 0;

DROP SCHEMA types, voxanne_quarantine CASCADE;
RESET client_min_messages;
