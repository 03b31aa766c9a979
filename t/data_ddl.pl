# Case 40: tables come, go, and are rewritten, truncated, attached and detached while they are listed and scanned: no call fails, what
# could not be checked is a finding, and no state of the database has a duplicate or an orphan but the one that is always there.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $calls = $ENV{VOXANNE_CALLS} || 8;

my $node = PostgreSQL::Test::Cluster->new('ddl');
$node->init;
$node->append_conf('postgresql.conf', join("\n",
	'min_parallel_table_scan_size = 0', 'max_parallel_maintenance_workers = 1',
	'shared_preload_libraries = voxanne_ops', 'fsync = off'));
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION voxanne_ops;
	CREATE TABLE stop (now boolean);
	CREATE SCHEMA ddl;
	CREATE SCHEMA aside;
	SET search_path = ddl, public;
	CREATE TABLE parents (id int PRIMARY KEY);
	CREATE TABLE always (id int PRIMARY KEY, parent_id int REFERENCES parents);
	INSERT INTO parents SELECT generate_series(1, 500);
	INSERT INTO always SELECT n, n FROM generate_series(1, 500) AS n;
	SET session_replication_role = replica;
	INSERT INTO always VALUES (0, 0);
	RESET session_replication_role;

	CREATE TABLE changing (id int PRIMARY KEY, parent_id int, k int);
	CREATE INDEX changing_k ON changing (k);
	INSERT INTO changing SELECT n, n, n FROM generate_series(1, 500) AS n;

	CREATE TABLE nodes (id int PRIMARY KEY) PARTITION BY RANGE (id);
	CREATE TABLE nodes_1 PARTITION OF nodes FOR VALUES FROM (0) TO (250);
	CREATE TABLE nodes_2 PARTITION OF nodes FOR VALUES FROM (250) TO (1000);
	CREATE TABLE edges (id int, node_id int) PARTITION BY RANGE (id);
	CREATE TABLE edges_1 PARTITION OF edges FOR VALUES FROM (0) TO (250);
	CREATE TABLE edges_2 PARTITION OF edges FOR VALUES FROM (250) TO (1000);
	INSERT INTO nodes SELECT generate_series(1, 500);
	INSERT INTO edges SELECT n, n FROM generate_series(1, 500) AS n;

	CREATE PROCEDURE come_and_go() LANGUAGE plpgsql AS $$
	BEGIN
		WHILE NOT EXISTS (SELECT FROM stop) LOOP
			CREATE TABLE ddl.guests (id int PRIMARY KEY, k text);
			CREATE TABLE ddl.stays (id int PRIMARY KEY, guest_id int REFERENCES ddl.guests, parent_id int);
			INSERT INTO ddl.guests SELECT n, n FROM generate_series(1, 50) AS n;
			INSERT INTO ddl.stays SELECT n, n, n FROM generate_series(1, 50) AS n;
			COMMIT;
			ALTER TABLE ddl.stays DROP CONSTRAINT stays_guest_id_fkey, DROP parent_id;
			COMMIT;
			DROP TABLE ddl.guests;
			COMMIT;
			DROP TABLE ddl.stays;
			COMMIT;
		END LOOP;
	END $$;
	CREATE PROCEDURE change() LANGUAGE plpgsql AS $$
	BEGIN
		WHILE NOT EXISTS (SELECT FROM stop) LOOP
			ALTER TABLE ddl.changing ALTER k TYPE bigint, ALTER parent_id TYPE bigint;
			COMMIT;
			TRUNCATE ddl.changing;
			INSERT INTO ddl.changing SELECT n, n, 501 - n FROM generate_series(1, 500) AS n;
			COMMIT;
			ALTER TABLE ddl.changing ADD created_at timestamptz DEFAULT clock_timestamp(), ALTER k TYPE int, ALTER parent_id TYPE int;
			COMMIT;
			CLUSTER ddl.changing USING changing_k;
			COMMIT;
			ALTER TABLE ddl.changing DROP created_at;
			COMMIT;
		END LOOP;
	END $$;
	-- a partition goes out of sight with all that refers to it, and comes back
	CREATE PROCEDURE detach() LANGUAGE plpgsql AS $$
	BEGIN
		WHILE NOT EXISTS (SELECT FROM stop) LOOP
			ALTER TABLE ddl.edges DETACH PARTITION ddl.edges_2;
			ALTER TABLE ddl.nodes DETACH PARTITION ddl.nodes_2;
			ALTER TABLE ddl.edges_2 SET SCHEMA aside;
			COMMIT;
			ALTER TABLE aside.edges_2 SET SCHEMA ddl;
			ALTER TABLE ddl.nodes ATTACH PARTITION ddl.nodes_2 FOR VALUES FROM (250) TO (1000);
			ALTER TABLE ddl.edges ATTACH PARTITION ddl.edges_2 FOR VALUES FROM (250) TO (1000);
			COMMIT;
		END LOOP;
	END $$;
});

# What is said of a table, but that it could not be checked; by question, with the answer that is right at all times.
my $said   = q{SELECT 'said: ' || coalesce(string_agg(concat_ws(' ', object, kind, orphans), ', ' ORDER BY key), '') FROM};
my $always = 'ddl.always.parent_id orphan 1';
my %questions = (
	'all references' => [ "$said find_orphans(schemas => '{ddl}') WHERE kind <> 'skipped'", $always ],
	'of partitions'  => [ "$said find_orphans('ddl.edges', '{ddl}') WHERE kind <> 'skipped'", '' ],
	'of one'         => [ "$said find_orphans('ddl.changing', '{ddl}') WHERE kind <> 'skipped'", '' ],
	'duplicates'     => [ q{SELECT 'said: ' || coalesce(string_agg(detail, ', '), '') FROM find_duplicates('ddl.changing', '{k}') WHERE key NOT LIKE 'check_skipped%'}, '' ],
	'in partitions'  => [ q{SELECT 'said: ' || coalesce(string_agg(detail, ', '), '') FROM find_duplicates('ddl.edges', '{node_id}') WHERE key NOT LIKE 'check_skipped%'}, '' ],
	'invalid data'   => [ q{SELECT 'said: ' || coalesce(string_agg(detail, ', '), '') FROM find_invalid_data(schemas => '{ddl}') WHERE kind <> 'skipped'}, '' ],
);
my @writers = map {
	IPC::Run::start([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c', "CALL ddl.$_()" ], '>', \my $out, '2>', \my $err)
} qw(come_and_go change detach);
for my $executor ('scan', 'sql')
{
	for my $begin ('BEGIN', q{BEGIN ISOLATION LEVEL REPEATABLE READ; DO 'BEGIN PERFORM count(*) FROM public.stop; END'})
	{
		for my $name (sort keys %questions)
		{
			my ($out, $err);
			my $script = "SET voxanne_ops.executor = $executor; SET client_min_messages = error;" . "$begin; $questions{$name}->[0]; COMMIT;" x $calls;

			$node->psql('postgres', $script, stdout => \$out, stderr => \$err);
			is("$out$err", join("\n", ("said: $questions{$name}->[1]") x $calls), "$name, $executor, " . ($begin eq 'BEGIN' ? 'READ COMMITTED' : 'REPEATABLE READ'));
		}
	}
}
$node->safe_psql('postgres', 'INSERT INTO stop VALUES (true)');
$_->finish for @writers;
is(join(',', map { $_->full_result(0) } @writers), '0,0,0', 'the writers had no error');

# when all is quiet, nothing is skipped
is($node->safe_psql('postgres', q{SELECT object, kind, orphans FROM find_orphans(schemas => '{ddl}')}), 'ddl.always.parent_id|orphan|1', 'what is always there is found');
is($node->safe_psql('postgres', q{SELECT count(*) FROM find_duplicates('ddl.edges', '{node_id}')}), '0', 'nothing is skipped');
$node->stop;
unlike(slurp_file($node->logfile), qr/TRAP:|terminated by signal|PANIC/, 'no assertion failed');
done_testing();
