# CREATE EXTENSION in public and elsewhere, under Supabase's default privileges and worse: who may use
# what, what a taken name does, and that DROP EXTENSION leaves no trace.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @strangers = qw(anon authenticated service_role nobody);

my $node = PostgreSQL::Test::Cluster->new('install');
$node->init;
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE anon; CREATE ROLE authenticated; CREATE ROLE service_role BYPASSRLS;
CREATE ROLE nobody; CREATE ROLE owner_of_db;
SQL

# The members of the extension: class, oid, name in a form that SQL accepts, kind (relkind or prokind).
my $members = <<'SQL';
SELECT d.classid::regclass::text AS class, d.objid, CASE d.classid
           WHEN 'pg_class'::regclass THEN d.objid::regclass::text
           WHEN 'pg_proc'::regclass THEN d.objid::regprocedure::text
           WHEN 'pg_type'::regclass THEN d.objid::regtype::text END AS name,
       coalesce(c.relkind::text, p.prokind::text, t.typtype::text) AS kind
  FROM pg_depend d
  JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
  LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
  LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
  LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
 WHERE e.extname = 'voxanne_ops'
SQL

# pg_temp.attempts(): every statement by which a role could use a member.  Arguments are NULL, so where
# a privilege is missing by mistake nothing is done either.
my $attempts = <<"SQL";
CREATE FUNCTION pg_temp.attempts() RETURNS TABLE (object text, statement text) LANGUAGE sql AS \$\$
WITH member AS ($members),
routine AS (
    SELECT name, kind, provariadic, p.oid::regproc::text AS called,
           CASE WHEN kind = 'p' THEN coalesce(proallargtypes, proargtypes::oid[]) ELSE proargtypes::oid[] END AS types
      FROM member JOIN pg_proc p ON p.oid = objid AND class = 'pg_proc'
)
SELECT name, format('%s %s(%s)', CASE kind WHEN 'p' THEN 'CALL' ELSE 'SELECT' END, called,
           (SELECT string_agg(CASE WHEN provariadic <> 0 AND n = cardinality(types) THEN 'VARIADIC ' ELSE '' END ||
                              format('NULL::%s', format_type(type, NULL)), ', ' ORDER BY n)
              FROM unnest(types) WITH ORDINALITY AS u (type, n)))
  FROM routine
UNION ALL
SELECT name, format(command, name)
  FROM member, unnest(CASE kind
           WHEN 'r' THEN '{SELECT FROM %s,INSERT INTO %s DEFAULT VALUES,DELETE FROM %s WHERE false,TRUNCATE %s,LOCK %s}'::text[]
           WHEN 'v' THEN '{SELECT FROM %s}'
           WHEN 'S' THEN ARRAY['SELECT last_value FROM %s', 'SELECT nextval(%L)'] ELSE '{}' END) AS command
 WHERE class = 'pg_class'
\$\$;
CREATE FUNCTION pg_temp.allowed(role name) RETURNS TABLE (object text, statement text, state text) LANGUAGE plpgsql AS \$\$
BEGIN
    FOR object, statement IN SELECT * FROM pg_temp.attempts() ORDER BY 1, 2
    LOOP
        BEGIN
            PERFORM set_config('role', role, true);
            EXECUTE statement;
            state := '00000';
        EXCEPTION WHEN OTHERS THEN
            state := SQLSTATE;
        END;
        PERFORM set_config('role', 'none', true);
        IF state <> '42501' THEN RETURN NEXT; END IF;
    END LOOP;
END
\$\$;
SQL

# A database whose default privileges give everything away, and the extension in a schema of it.
sub create_database
{
	my ($database, $schema) = @_;
	my $roles     = 'anon, authenticated, service_role, pg_monitor';
	my $everybody = "PUBLIC, $roles";

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, <<"SQL");
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS $schema;
GRANT ALL ON SCHEMA $schema TO $everybody;
ALTER DEFAULT PRIVILEGES IN SCHEMA $schema GRANT ALL ON TABLES TO $roles WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA $schema GRANT ALL ON FUNCTIONS TO $roles WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA $schema GRANT ALL ON SEQUENCES TO $roles WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA $schema GRANT ALL ON TYPES TO $roles WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO $everybody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO $everybody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO $everybody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO $everybody;
SQL
}

# The number of rows of every catalog of a database, but for statistics and the schemas of temporary
# objects: equal before and after means that nothing was left.
sub catalogs
{
	my ($database) = @_;

	return split /\n/, $node->safe_psql($database, <<'SQL');
SELECT c.relname, (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %s WHERE %s', c.oid::regclass,
           CASE relname WHEN 'pg_namespace' THEN $$nspname !~ '_temp_'$$ ELSE 'true' END), false, true, '')))[1]
  FROM pg_class c
 WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND relname !~ '^pg_statistic' AND NOT relisshared
 ORDER BY 1
SQL
}

for my $case ([ 'in_public', 'public' ], [ 'elsewhere', '"Opérations de nuit"' ])
{
	my ($database, $schema) = @$case;

	create_database($database, $schema);
	my @before = catalogs($database);
	$node->safe_psql($database, "CREATE EXTENSION voxanne_ops SCHEMA $schema");

	my $outside = $node->safe_psql($database, "SELECT name FROM ($members) m LEFT JOIN pg_class c ON class = 'pg_class' AND c.oid = objid
		LEFT JOIN pg_proc p ON class = 'pg_proc' AND p.oid = objid LEFT JOIN pg_type t ON class = 'pg_type' AND t.oid = objid
		WHERE coalesce(relnamespace, pronamespace, typnamespace)::regnamespace::text IS DISTINCT FROM '$schema'");
	is($outside, '', "$database: every member is in the schema");

	my $called = $node->safe_psql($database, "$attempts SELECT count(DISTINCT object) FROM pg_temp.attempts()");
	my $routines = $node->safe_psql($database, "SELECT count(*) FROM ($members) m WHERE class = 'pg_proc' OR kind IN ('r', 'v', 'S')");
	is($called, $routines, "$database: each of the $routines routines, tables, views and sequences is attempted");
	for my $role (@strangers)
	{
		is($node->safe_psql($database, "$attempts SELECT * FROM pg_temp.allowed('$role')"), '', "$database: $role is refused everything");
	}

	is($node->safe_psql($database, <<"SQL"), '', "$database: nobody but pg_monitor was granted anything, and he no grant option");
SELECT name, grantee::regrole, privilege_type
  FROM ($members) m LEFT JOIN pg_class c ON class = 'pg_class' AND c.oid = objid
       LEFT JOIN pg_proc p ON class = 'pg_proc' AND p.oid = objid LEFT JOIN pg_type t ON class = 'pg_type' AND t.oid = objid,
       aclexplode(coalesce(relacl, proacl, typacl,
                           acldefault(CASE class WHEN 'pg_proc' THEN 'f' WHEN 'pg_type' THEN 'T' END::"char", coalesce(proowner, typowner)))) AS a
 WHERE grantee <> coalesce(relowner, proowner, typowner) AND (grantee <> 'pg_monitor'::regrole OR is_grantable)
   AND NOT (class = 'pg_type' AND (typelem <> 0 OR typtype = 'c'))
SQL
	is($node->safe_psql($database, "SELECT name FROM ($members) m JOIN pg_class c ON class = 'pg_class' AND c.oid = objid
		WHERE relkind = 'r' AND NOT relrowsecurity"), '', "$database: row security is on for every table");
	is($node->safe_psql($database, "SELECT p.oid::regprocedure FROM ($members) m JOIN pg_proc p ON class = 'pg_proc' AND p.oid = objid
		WHERE prosecdef"), '', "$database: no function runs as its owner");

	$node->safe_psql($database, 'DROP EXTENSION voxanne_ops');
	is_deeply([ catalogs($database) ], \@before, "$database: DROP EXTENSION leaves nothing in any catalog");
}

# What pg_monitor may do is this list, and what is granted to him also works.
my @monitor = (
	'_voxanne_data_check_progress()', '_voxanne_verification_progress()', 'backup_status()', 'backup_verification_log',
	'backup_verification_progress', 'blocking_locks(interval,name)', 'data_check_progress', 'rls_audit(name[],name[],name)', 'rls_policies(name[])',
	'voxanne_ops_version()');
$node->safe_psql('in_public', 'CREATE EXTENSION voxanne_ops');
is($node->safe_psql('in_public', "$attempts SELECT DISTINCT object COLLATE \"C\" FROM pg_temp.allowed('pg_monitor') ORDER BY 1"),
	join("\n", @monitor), 'pg_monitor may use what he is granted');
is($node->safe_psql('in_public', <<"SQL"), join("\n", @monitor), 'pg_monitor is granted what he may use');
SELECT DISTINCT name COLLATE "C"
  FROM ($members) m LEFT JOIN pg_class c ON class = 'pg_class' AND c.oid = objid
       LEFT JOIN pg_proc p ON class = 'pg_proc' AND p.oid = objid, aclexplode(coalesce(relacl, proacl)) AS a
 WHERE grantee = 'pg_monitor'::regrole AND privilege_type IN ('SELECT', 'EXECUTE')
 ORDER BY 1
SQL

# Everything has a comment.  From 17 on the array and row types that come with a type or table are members, too.
is($node->safe_psql('in_public', <<"SQL"), '', 'every member and every column has a comment');
SELECT name FROM ($members) m
 WHERE obj_description(objid, class) IS NULL AND kind NOT IN ('S', 'i')
   AND NOT (class = 'pg_type' AND (kind = 'c' OR name LIKE '%[]'))
UNION ALL
SELECT format('%s.%s', name, attname) FROM ($members) m JOIN pg_attribute a ON class = 'pg_class' AND attrelid = objid
 WHERE kind IN ('r', 'v', 'c') AND attnum > 0 AND col_description(attrelid, attnum) IS NULL
SQL

# A name that is taken: one error that says so and what to do, and nothing is created.
$node->safe_psql('postgres', 'CREATE DATABASE taken');
for my $case (
	[ 'the application\'s table', 'CREATE TABLE backup_verification_log (id uuid)', 'DROP TABLE backup_verification_log', 'RENAME TO' ],
	[ 'a function with other arguments', 'CREATE FUNCTION find_orphans(point) RETURNS int LANGUAGE sql AS $$SELECT 1$$', 'DROP FUNCTION find_orphans', 'SCHEMA' ],
	[ 'a type', "CREATE TYPE voxanne_severity AS ENUM ('high')", 'DROP TYPE voxanne_severity', 'SCHEMA' ],
	[ 'a type of a table\'s name', "CREATE DOMAIN backup_target AS text", 'DROP DOMAIN backup_target', 'SCHEMA' ],
	[ 'a view', 'CREATE VIEW backup_target AS SELECT 1 AS one', 'DROP VIEW backup_target', 'SCHEMA' ])
{
	my ($what, $create, $drop, $hint) = @$case;

	$node->safe_psql('taken', $create);
	my @before = catalogs('taken');
	my ($status, undef, $errors) = $node->psql('taken', "\\set VERBOSITY verbose\nCREATE EXTENSION voxanne_ops", on_error_stop => 1);
	is($status, 3, "$what in the way: CREATE EXTENSION fails");
	like($errors, qr/ERROR:  42710: public\.\w+ already exists, .*\nDETAIL: .*\nHINT:  .*\Q$hint\E/, "$what in the way: one error with a hint");
	is_deeply([ catalogs('taken') ], \@before, "$what in the way: nothing is created");
	$node->safe_psql('taken', $drop);
}

# What the extension refuses.
$node->safe_psql('postgres', 'CREATE DATABASE refused OWNER owner_of_db');
for my $case (
	[ 'CREATE EXTENSION by the owner of the database', 'SET ROLE owner_of_db; CREATE EXTENSION voxanne_ops', '42501' ],
	[ 'ALTER EXTENSION SET SCHEMA', 'CREATE SCHEMA other; CREATE EXTENSION voxanne_ops; ALTER EXTENSION voxanne_ops SET SCHEMA other', '0A000' ])
{
	my ($what, $statements, $state) = @$case;
	my (undef, undef, $errors) = $node->psql('refused', "\\set VERBOSITY sqlstate\n$statements", on_error_stop => 1);

	like($errors, qr/ERROR:  $state$/, "$what is refused");
}

$node->stop;
done_testing();
