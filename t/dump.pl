# pg_dump and restore of a database with the extension: targets, log rows, names and privileges survive.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dumps = PostgreSQL::Test::Utils::tempdir;
my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->append_conf('postgresql.conf', "voxanne_ops.backup_directories = '$dumps'");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE reader; CREATE ROLE app');

# Rows of the tables that hold a user's data, and who may read them.
my %contents = (
	'targets' => 'SELECT t FROM backup_target t ORDER BY name',
	'log' => 'SELECT l FROM backup_verification_log l ORDER BY verified_at, id',
	'names of advisory locks' => 'SELECT n FROM advisory_lock_name n ORDER BY 1',
	'privileges' => q{SELECT c.relname, a.grantee::regrole, a.privilege_type FROM pg_class c, aclexplode(relacl) a
		WHERE relname IN ('backup_target', 'backup_verification_log', 'advisory_lock_name') ORDER BY 1, 2, 3},
	'privileges on functions' => q{SELECT oid::regprocedure, proacl FROM pg_proc WHERE proname IN ('find_orphans', 'backup_status') ORDER BY 1});

sub contents
{
	my ($database, $schema, $what) = @_;

	return $node->safe_psql($database, "SET search_path = $schema, pg_catalog; $contents{$what}");
}

# A database with the extension in a schema, used, and with a table of its own.
sub create_database
{
	my ($database, $schema) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, <<"SQL");
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS $schema;
CREATE EXTENSION voxanne_ops SCHEMA $schema;
SET search_path = $schema, pg_catalog;
SELECT add_backup_target('nightly', 'basebackup', '$dumps/nightly', '{"max_age": "26 hours"}');
SELECT add_backup_target('it''s "odd"', 'basebackup', '$dumps/odd');
SELECT pause_backup_target('nightly', 'moving house');
INSERT INTO backup_verification_log (target, level, status, backup_id, checks_passed, error_details, proof, duration, verified_at)
VALUES ('nightly', 'status', 'success', 'label', 5, NULL, 'present', '2 seconds', '2026-01-31 03:00+00'),
       ('*', 'status', 'failure', NULL, 5, '[{"target": "nightly"}]', NULL, NULL, '2026-01-31 03:00:01+00');
INSERT INTO advisory_lock_name VALUES (7, NULL, 'billing run');
GRANT USAGE ON SCHEMA $schema TO reader;
GRANT SELECT ON backup_verification_log TO reader;
GRANT EXECUTE ON FUNCTION backup_status() TO reader;
CREATE POLICY reader_reads ON backup_verification_log FOR SELECT TO reader USING (target IS NOT NULL);
CREATE TABLE public.appointments_of_app AS SELECT 1 AS id;
SQL
}

# What a restored database must have in common with its origin, and that it works.
sub same_database
{
	my ($origin, $copy, $schema, $how) = @_;

	for my $what (sort keys %contents)
	{
		my $expected = contents($origin, $schema, $what);
		isnt($expected, '', "$how: $what: there is something to compare");
		is(contents($copy, $schema, $what), $expected, "$how: $what as before");
	}
	is($node->safe_psql($copy, "SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'voxanne_ops'"), $schema, "$how: schema as before");
	is($node->safe_psql($copy, 'SELECT count(*) FROM public.appointments_of_app'), 1, "$how: the application's tables are there");
	is($node->safe_psql($copy, <<"SQL"), "2\n3", "$how: targets and log can be used");
SET search_path = $schema, pg_catalog;
SELECT count(DISTINCT target) FROM backup_status() WHERE target IN (SELECT name FROM backup_target);
INSERT INTO backup_verification_log (target, level, status) VALUES ('nightly', 'status', 'warning');
SELECT count(*) FROM backup_verification_log;
SQL
}

# Run a program against a database; fail if it says anything.
sub quiet_ok
{
	my ($command, $what) = @_;
	my ($output, $errors) = ('', '');
	my $ok = IPC::Run::run($command, '>', \$output, '2>', \$errors);

	ok($ok, $what);
	is($errors, '', "$what: no complaint");
}

for my $case ([ 'in_public', 'public' ], [ 'elsewhere', '"Ops Dépôt"' ])
{
	my ($database, $schema) = @$case;

	create_database($database, $schema);

	quiet_ok([ 'pg_dump', '-d', $node->connstr($database), '-f', "$dumps/$database.sql" ], "$database: pg_dump");
	$node->safe_psql('postgres', "CREATE DATABASE ${database}_copy TEMPLATE template0");
	quiet_ok([ 'psql', '-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr("${database}_copy"), '-f', "$dumps/$database.sql" ], "$database: psql reads the dump");
	same_database($database, "${database}_copy", $schema, "$database: pg_dump, psql");

	# over what is there
	quiet_ok([ 'pg_dump', '-Fc', '-d', $node->connstr($database), '-f', "$dumps/$database.dump" ], "$database: pg_dump -Fc");
	quiet_ok([ 'pg_restore', '--clean', '--if-exists', '--exit-on-error', '-d', $node->connstr("${database}_copy"), "$dumps/$database.dump" ], "$database: pg_restore --clean");
	same_database($database, "${database}_copy", $schema, "$database: pg_restore --clean");
}

$node->stop;
done_testing();
