# Rows change while the scan reads them: keys swapped and moved, in place and not, rows moved between partitions, parents
# inserted, renamed and deleted with their children. No state of the database has a duplicate or an orphan, so none is found.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $calls = $ENV{VOXANNE_CALLS} || 25;

my $node = PostgreSQL::Test::Cluster->new('concurrent');
$node->init;
$node->append_conf('postgresql.conf', join("\n",
	'min_parallel_table_scan_size = 0', 'max_parallel_maintenance_workers = 2',
	'shared_preload_libraries = voxanne_ops',
	# which would lock a table to truncate it, and make that a skipped check
	'autovacuum = off', 'fsync = off'));
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION voxanne_ops;
	CREATE TABLE stop (now boolean);
	CREATE TABLE in_place (id int PRIMARY KEY, k int, n numeric) WITH (fillfactor = 50);
	CREATE TABLE indexed (id int PRIMARY KEY, k int, at timestamptz);
	CREATE INDEX ON indexed (k);
	CREATE TABLE parted (id int, part int, k uuid) PARTITION BY LIST (part);
	CREATE TABLE parted_0 PARTITION OF parted FOR VALUES IN (0);
	CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
	CREATE TABLE parents (id int PRIMARY KEY, code numeric UNIQUE);
	CREATE TABLE children (id int PRIMARY KEY, parent_id int REFERENCES parents ON UPDATE CASCADE ON DELETE CASCADE,
		parent_code numeric REFERENCES parents (code) ON UPDATE CASCADE ON DELETE CASCADE, up int REFERENCES children DEFERRABLE INITIALLY DEFERRED);
	INSERT INTO in_place SELECT n, n, n FROM generate_series(1, 3000) AS n;
	INSERT INTO indexed SELECT n, n FROM generate_series(1, 3000) AS n;
	INSERT INTO parted SELECT n, n % 2, md5(n::text)::uuid FROM generate_series(1, 3000) AS n;
	INSERT INTO parents SELECT n, n FROM generate_series(1, 3000) AS n;
	INSERT INTO children SELECT n, n, n, nullif(n / 2, 0) FROM generate_series(1, 3000) AS n;
	-- two rows exchange their keys in one statement; a row goes and comes back with its key in one transaction
	CREATE PROCEDURE exchange() LANGUAGE plpgsql AS $$
	DECLARE a int; b int;
	BEGIN
		WHILE NOT EXISTS (SELECT FROM stop) LOOP
			a := 1 + random() * 1498; b := a + 1500;
			UPDATE in_place SET (k, n) = (SELECT o.k, o.n FROM in_place AS o WHERE o.id = a + b - in_place.id) WHERE id IN (a, b);
			UPDATE indexed SET k = (SELECT o.k FROM indexed AS o WHERE o.id = a + b - indexed.id) WHERE id IN (a, b);
			COMMIT;
			DELETE FROM indexed WHERE id = a;
			INSERT INTO indexed SELECT a, k FROM generate_series(1, 3000) AS k WHERE NOT EXISTS (SELECT FROM indexed AS o WHERE o.k = k.k) LIMIT 1;
			COMMIT;
		END LOOP;
	END $$;
	CREATE PROCEDURE wander() LANGUAGE plpgsql AS $$
	BEGIN
		WHILE NOT EXISTS (SELECT FROM stop) LOOP
			UPDATE parted SET part = 1 - part WHERE id % 50 = (random() * 49)::int;
			COMMIT;
		END LOOP;
	END $$;
	CREATE PROCEDURE families() LANGUAGE plpgsql AS $$
	DECLARE a int; new int := 3000;
	BEGIN
		WHILE NOT EXISTS (SELECT FROM stop) LOOP
			new := new + 1;
			INSERT INTO parents VALUES (new, new);
			INSERT INTO children VALUES (new, new, new, new);
			COMMIT;
			a := 2000 + random() * 999;
			UPDATE parents SET id = -id, code = -code WHERE id IN (a, -a);
			UPDATE children SET up = CASE WHEN up = id THEN 1 ELSE id END WHERE id = a;
			COMMIT;
			DELETE FROM children WHERE id = new;
			DELETE FROM parents WHERE id = new;
			COMMIT;
		END LOOP;
	END $$;
});

my %questions = (
	'in place'   => q{SELECT count(*) FROM find_duplicates('in_place', '{k}')},
	'by value'   => q{SELECT count(*) FROM find_duplicates('in_place', '{n}')},
	'indexed'    => q{SELECT count(*) FROM find_duplicates('indexed', '{k}')},
	'partitions' => q{SELECT count(*) FROM find_duplicates('parted', '{k}')},
	'references' => q{SELECT count(*) FROM find_orphans('children')},
);
my @writers = map {
	IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-c', "CALL $_()" ], '>', \my $out, '2>', \my $err)
} qw(exchange wander families);
for my $level ('READ COMMITTED', 'REPEATABLE READ')
{
	for my $name (sort keys %questions)
	{
		my $script = "SET voxanne_ops.executor = scan; SET client_min_messages = error; BEGIN ISOLATION LEVEL $level;"
		  . "$questions{$name};" x $calls . 'COMMIT;';

		is($node->safe_psql('postgres', $script), join("\n", (0) x $calls), "$name, $level");
	}
}
is( $node->safe_psql('postgres', q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*), count(DISTINCT k) FROM indexed;
	SELECT count(*) FROM find_duplicates('indexed', '{k}'); SELECT count(*), count(DISTINCT k) FROM indexed}),
	"3000|3000\n0\n3000|3000", 'nothing was lost or doubled');
$node->safe_psql('postgres', 'INSERT INTO stop VALUES (true)');
$_->finish for @writers;
is(join(',', map { $_->full_result(0) } @writers), '0,0,0', 'the writers had no error');
ok($node->poll_query_until('postgres', q{SELECT n_tup_upd > 0 FROM pg_stat_user_tables WHERE relname = 'in_place'}), 'rows did change');

# the same rows changed for good: found
$node->safe_psql('postgres', q{
	UPDATE in_place SET k = (SELECT o.k FROM in_place AS o WHERE o.id = 1) WHERE id = 2;
	SET session_replication_role = replica; DELETE FROM parents WHERE id = 1;
});
is($node->safe_psql('postgres', $questions{'in place'}), '1', 'a duplicate is found');
is($node->safe_psql('postgres', $questions{'references'}), '2', 'two orphans are found');
$node->stop;
done_testing();
