-- The scan engine: what it answers, what it leaves to SQL and why, and that it leaves nothing behind.
-- That its answers are right is shown by t/data_differential.pl.
CREATE SCHEMA keyscan;
SET search_path = keyscan, public;
SET client_min_messages = warning;
SET min_parallel_table_scan_size = 0;
CREATE TABLE orgs (id uuid PRIMARY KEY);
CREATE TABLE people (id uuid PRIMARY KEY, boss uuid REFERENCES people, org_id uuid REFERENCES orgs, phone text, code numeric UNIQUE);
CREATE TABLE bookings (id int PRIMARY KEY, org_id uuid REFERENCES orgs, contact_id uuid REFERENCES people,
	code numeric REFERENCES people (code), provider_id int, scheduled_at timestamptz, duration_minutes int, price money);
INSERT INTO orgs SELECT md5(n::text)::uuid FROM generate_series(1, 3) AS n;
INSERT INTO people SELECT md5(n::text)::uuid, NULL, md5((n % 3 + 1)::text)::uuid, n / 2, n FROM generate_series(1, 200) AS n;
INSERT INTO bookings SELECT n, md5(((n % 200 + 1) % 3 + 1)::text)::uuid, md5((n % 200 + 1)::text)::uuid, NULL, n % 5,
	'2026-01-01Z'::timestamptz + n * interval '1 h', 30, n FROM generate_series(1, 1000) AS n;

-- each table is read once for all references that leave or enter it, one that references itself by value twice
SELECT count(*) FROM find_orphans(schemas => '{keyscan}');
SELECT relation, question, executor, rows_read, spilled_bytes, reason FROM data_check_execution() ORDER BY 1, 2;
SELECT 3 + 200 + 1000 AS rows_there_are;
CREATE TABLE nodes (id numeric PRIMARY KEY, up numeric REFERENCES nodes, left_id int, right_id int UNIQUE, deleted_at timestamptz);
INSERT INTO nodes SELECT n, 1, n, n FROM generate_series(1, 90) AS n;
ALTER TABLE nodes ADD FOREIGN KEY (left_id) REFERENCES nodes (right_id);
SELECT count(*) FROM find_orphans('nodes');
SELECT DISTINCT executor, rows_read / 90 AS passes FROM data_check_execution();
DROP TABLE nodes;

-- who answers, and why not the scan
CREATE FUNCTION who() RETURNS TABLE (question text, executor text, reason text)
LANGUAGE sql AS 'SELECT question, executor, reason FROM public.data_check_execution()';
SELECT count(*) FROM find_duplicates('people', '{phone}');
SELECT * FROM who();
SELECT count(*) FROM find_duplicates('bookings', '{price}');
SELECT * FROM who();
SELECT count(*) FROM find_duplicate_appointments('bookings');
SELECT * FROM who();
SELECT count(*) FROM find_duplicate_appointments('bookings', tenant => md5('1'));
SELECT * FROM who();
SET voxanne_ops.executor = scan;
SELECT count(*) FROM find_duplicate_appointments('bookings', tenant => md5('1'));
SELECT * FROM who();
SET voxanne_ops.executor = sql;
SELECT count(*) FROM find_duplicates('people', '{phone}');
SELECT * FROM who();
SET voxanne_ops.executor = fastest;
RESET voxanne_ops.executor;

-- references by values whose equality is not one of bits, and those that stay with SQL; the same with hashes that collide
CREATE DOMAIN amount AS numeric;
CREATE TABLE by_numeric (id numeric PRIMARY KEY);
CREATE TABLE by_char (id char(6) PRIMARY KEY);
CREATE TABLE by_long (id text PRIMARY KEY, part bytea, UNIQUE (id, part));
CREATE TABLE by_money (id money PRIMARY KEY);
CREATE TABLE by_bit (id varbit PRIMARY KEY);
CREATE TABLE by_time (id timestamp PRIMARY KEY);
CREATE TABLE refers (id int PRIMARY KEY, as_int int REFERENCES by_numeric, as_amount amount REFERENCES by_numeric,
	as_char char(9) REFERENCES by_char, as_text varchar REFERENCES by_long, part bytea, as_money money REFERENCES by_money,
	as_bit varbit REFERENCES by_bit, as_date date REFERENCES by_time, FOREIGN KEY (as_text, part) REFERENCES by_long (id, part));
INSERT INTO by_numeric SELECT (n || '.00')::numeric FROM generate_series(1, 300) AS n WHERE n % 10 <> 3;
INSERT INTO by_char SELECT n FROM generate_series(1, 300) AS n WHERE n % 10 <> 4;
INSERT INTO by_long SELECT repeat(md5(n::text), 80), decode(md5(n::text), 'hex') FROM generate_series(1, 300) AS n WHERE n % 10 <> 5;
SET session_replication_role = replica;
INSERT INTO refers SELECT n, n, n, n, repeat(md5(n::text), 80), CASE WHEN n % 10 <> 7 THEN decode(md5((n - n % 10 / 9)::text), 'hex') END, n, n::bit(9), '2026-01-01'::date + n
FROM generate_series(1, 300) AS n;
RESET session_replication_role;
ANALYZE by_long, refers;
SELECT child_columns, orphans, checked FROM find_orphans('refers');
SELECT * FROM who() ORDER BY 1;
SET voxanne_ops.hash_bits = 8;
SELECT child_columns, orphans, checked FROM find_orphans('refers');
RESET voxanne_ops.hash_bits;
-- parents whose values do not fit into memory
INSERT INTO by_long SELECT repeat('x', 1000) || n FROM generate_series(1, 2000) AS n;
SET maintenance_work_mem = '1MB';
SELECT child_columns, orphans, checked FROM find_orphans('refers') WHERE child_columns[1] = 'as_text';
SELECT * FROM who() WHERE question ~ 'as_text' ORDER BY 1;
RESET maintenance_work_mem;
DROP TABLE refers, by_numeric, by_char, by_long, by_money, by_bit, by_time;

-- a caller with rights on columns only, or on the partitioned table only
CREATE TABLE parts (id int PRIMARY KEY, phone text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
INSERT INTO parts SELECT n, n % 10 / 2 FROM generate_series(0, 19) AS n;
CREATE ROLE regress_keyscan;
GRANT USAGE ON SCHEMA keyscan TO regress_keyscan;
GRANT EXECUTE ON FUNCTION find_duplicates, data_check_execution TO regress_keyscan;
GRANT SELECT (id, phone, org_id) ON people TO regress_keyscan;
GRANT SELECT ON parts TO regress_keyscan;
SET ROLE regress_keyscan;
SELECT count(*) FROM find_duplicates('people', '{phone}');
SELECT * FROM who();
SELECT rows, keep_id, duplicate_ids FROM find_duplicates('parts', '{phone}');
SELECT * FROM who();
RESET ROLE;
SELECT rows, keep_id, duplicate_ids FROM find_duplicates('parts', '{phone}');
SELECT * FROM who();

-- a hash function that is an ordinary user's is not called
CREATE TYPE odd;
CREATE FUNCTION odd_in(cstring) RETURNS odd LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION odd_out(odd) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE odd (INPUT = odd_in, OUTPUT = odd_out, LIKE = int);
CREATE FUNCTION odd_eq(odd, odd) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4eq';
CREATE FUNCTION odd_hash(odd) RETURNS int IMMUTABLE STRICT LANGUAGE plpgsql AS
	$$ BEGIN RAISE EXCEPTION 'called as %', current_user; END $$;
CREATE OPERATOR = (LEFTARG = odd, RIGHTARG = odd, FUNCTION = odd_eq, HASHES, COMMUTATOR = =);
CREATE OPERATOR CLASS odd_ops DEFAULT FOR TYPE odd USING hash AS OPERATOR 1 =, FUNCTION 1 odd_hash(odd);
ALTER FUNCTION odd_hash OWNER TO regress_keyscan;
CREATE TABLE strange (id int PRIMARY KEY, k odd, list odd[]);
INSERT INTO strange VALUES (1, '7', '{7}'), (2, '7', '{7}');
SELECT severity, key, detail FROM find_duplicates('strange', '{k}');
SELECT * FROM who();
SELECT severity, key, detail FROM find_duplicates('strange', '{list}');
SELECT * FROM who();

-- own uncommitted rows are seen; a temporary table; inside an exception block; all isolation levels
BEGIN;
INSERT INTO people VALUES (md5('own')::uuid, NULL, md5('2')::uuid, '0', -1);
SELECT count(*) FROM find_duplicates('people', '{phone}') WHERE 'ce77ec8a-a8b7-1bb1-6e4f-c4a6fea4d3cc' <> keep_id;
ROLLBACK;
CREATE TEMP TABLE mine (id int PRIMARY KEY, phone text);
INSERT INTO mine VALUES (1, 'a'), (2, 'a');
SELECT rows FROM find_duplicates('mine', '{phone}');
SELECT executor, workers FROM data_check_execution();
DO $$
BEGIN
	PERFORM count(*) FROM find_duplicates('people', '{phone}');
	RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
	PERFORM count(*) FROM find_duplicates('people', '{phone}');
END $$;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT count(*) FROM find_duplicates('people', '{phone}');
SELECT executor FROM data_check_execution();
COMMIT;

-- no memory to speak of: it spills, the answer is the same, and no file stays; with no room for files SQL answers
CREATE TABLE many (id int PRIMARY KEY, k int);
INSERT INTO many SELECT n, n % 299998 FROM generate_series(1, 300000) AS n;
SET maintenance_work_mem = '1MB';
SELECT rows, keep_id, duplicate_ids FROM find_duplicates('many', '{k}');
SELECT executor, spilled_bytes > 0 AS spilled FROM data_check_execution();
SELECT count(*) FROM pg_ls_dir('base/pgsql_tmp', true, false) AS file WHERE file LIKE 'pgsql_tmp' || pg_backend_pid() || '.%';
SET temp_file_limit = '64kB';
SET work_mem = '64MB';
SELECT rows, keep_id, duplicate_ids FROM find_duplicates('many', '{k}');
SELECT executor, substring(reason FROM 'SQLSTATE [0-9A-Z]{5}') AS reason FROM data_check_execution();
SELECT count(*) FROM pg_ls_dir('base/pgsql_tmp', true, false) AS file WHERE file LIKE 'pgsql_tmp' || pg_backend_pid() || '.%';
RESET temp_file_limit;
RESET work_mem;

-- out of time: said, not left out
SET voxanne_ops.time_budget = '1ms';
SELECT severity, key, detail FROM find_duplicates('many', '{k}');
RESET voxanne_ops.time_budget;
RESET maintenance_work_mem;

-- zero rows, one row, and all rows alike, in one partition
TRUNCATE many;
SELECT count(*) FROM find_duplicates('many', '{k}');
INSERT INTO many VALUES (1, 1);
SELECT count(*) FROM find_duplicates('many', '{k}');
INSERT INTO many SELECT n, 1 FROM generate_series(2, 50000) AS n;
SELECT rows, keep_id, cardinality(duplicate_ids) FROM find_duplicates('many', '{k}');
SELECT executor FROM data_check_execution();

-- all rows alike, and more of them than fit into memory; as many orphans, as many references to one row
SET maintenance_work_mem = '1MB';
INSERT INTO many SELECT n, 1 FROM generate_series(50001, 150000) AS n;
SELECT rows, keep_id, cardinality(duplicate_ids) FROM find_duplicates('many', '{k}');
CREATE TABLE one (id int PRIMARY KEY);
ALTER TABLE many ADD FOREIGN KEY (k) REFERENCES one NOT VALID;
SELECT orphans, checked, sample FROM find_orphans('many', '{keyscan}', max_rows => 2);
INSERT INTO one VALUES (1);
SELECT * FROM find_orphans('many', '{keyscan}');
-- neither executor has room for files: a finding
CREATE TABLE distinct_ones AS SELECT n AS k FROM generate_series(1, 150000) AS n;
SET temp_file_limit = '64kB';
SET work_mem = '64kB';
SELECT severity, key, substring(detail FROM 'SQLSTATE [0-9A-Z]{5}') AS detail FROM find_duplicates('distinct_ones', '{k}');
RESET temp_file_limit;
RESET work_mem;
RESET maintenance_work_mem;
SELECT count(*) FROM pg_ls_dir('base/pgsql_tmp', true, false) AS file WHERE file LIKE 'pgsql_tmp' || pg_backend_pid() || '.%';

SET session_replication_role = replica;
DELETE FROM one;
RESET session_replication_role;
-- from within a parallel query, by a function that claims to be safe there: SQL answers
CREATE FUNCTION in_parallel(keys name[]) RETURNS bigint LANGUAGE plpgsql PARALLEL SAFE AS
	$$ BEGIN RETURN (SELECT sum(rows) FROM find_duplicates('people', keys)); END $$;
CREATE FUNCTION orphans_in_parallel() RETURNS bigint LANGUAGE plpgsql PARALLEL SAFE AS
	$$ BEGIN RETURN (SELECT count(*) FROM find_orphans(schemas => '{keyscan}')); END $$;
SELECT count(*) FROM (SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')) AS one;
SELECT in_parallel('{org_id}'), orphans_in_parallel();
SELECT count(*) FROM (SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')) AS one;
SELECT in_parallel('{org_id}'), orphans_in_parallel();

-- as many columns as a table can have, the key the last
DO $$
BEGIN
	EXECUTE (SELECT format('CREATE TABLE wide (%s, last_one int)', string_agg(format('c%s int', n), ', ')) FROM generate_series(1, 1599) AS n);
END $$;
INSERT INTO wide (c1, last_one) VALUES (1, 7), (2, 7), (3, 8);
SELECT rows, key_values FROM find_duplicates('wide', '{last_one}');
SELECT executor FROM data_check_execution();

DROP SCHEMA keyscan CASCADE;
DROP OWNED BY regress_keyscan;
DROP ROLE regress_keyscan;
