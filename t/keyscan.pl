# The scan engine under bad conditions: a corrupt page, cancel and shutdown in the middle, no workers to be had.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('keyscan');
$node->init(extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', join("\n",
	'min_parallel_table_scan_size = 0', 'max_parallel_maintenance_workers = 2', 'autovacuum = off',
	'shared_preload_libraries = voxanne_ops'));
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION voxanne_ops;
	CREATE TABLE parents (id int PRIMARY KEY);
	CREATE TABLE good (id int PRIMARY KEY, parent_id int REFERENCES parents);
	CREATE TABLE bad (id int PRIMARY KEY, parent_id int REFERENCES parents);
	INSERT INTO parents SELECT generate_series(1, 20000);
	INSERT INTO good SELECT n, n FROM generate_series(1, 20000) AS n;
	INSERT INTO bad SELECT n, n FROM generate_series(1, 20000) AS n;
	SET session_replication_role = replica;
	DELETE FROM parents WHERE id = 7;
	CHECKPOINT;
});

# What a call leaves behind: locks beyond its transaction, temporary files, slots of the progress view.
sub nothing_left
{
	my ($name) = @_;
	ok($node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'parallel worker')}),
		"$name: no worker is left");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM data_check_progress}), '0', "$name: no progress is left");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE relation >= 16384 AND pid <> pg_backend_pid()}), '0',
		"$name: no lock is left");
	ok(!glob($node->data_dir . '/base/pgsql_tmp/*'), "$name: no temporary file is left");
	return;
}

my $orphans = 'SELECT object, kind, orphans FROM find_orphans() ORDER BY object COLLATE "C"';
is($node->safe_psql('postgres', $orphans), "public.bad.parent_id|orphan|1\npublic.good.parent_id|orphan|1", 'both are found');

# [21-40] a corrupt page: its table is named, the other one reports
my $path = $node->data_dir . '/' . $node->safe_psql('postgres', q{SELECT pg_relation_filepath('bad')});
$node->stop;
open(my $file, '+<', $path) or die "$path: $!";
binmode $file;
seek($file, 8192 * 3 + 4000, 0) or die $!;
print $file 'corrupt';
close $file or die $!;
$node->start;
is($node->safe_psql('postgres', $orphans), "public.bad.parent_id|skipped|\npublic.good.parent_id|orphan|1", 'a corrupt page hides no other table');
like($node->safe_psql('postgres', q{SELECT detail FROM find_orphans('bad')}), qr/invalid page in block 3 of relation/, 'and is named');
for my $executor ('scan', 'sql')
{
	like($node->safe_psql('postgres', "SET voxanne_ops.executor = $executor; SELECT severity, detail FROM find_duplicates('bad', '{parent_id}')"),
		qr/^warning\|.*invalid page in block 3 of relation [^|]*$/, "$executor: a corrupt page is a finding about duplicates");
}
is($node->safe_psql('postgres', q{SELECT object, check_name FROM check_data() ORDER BY object COLLATE "C"}),
	"public.bad.parent_id|check_skipped\npublic.good.parent_id|orphan_rows", 'a corrupt page hides nothing from check_data()');
nothing_left('corrupt page');
$node->safe_psql('postgres', 'DROP TABLE bad');

# no workers, or fewer than wanted: the same answer
for my $workers (0, 1)
{
	is($node->safe_psql('postgres', "SET max_parallel_workers = $workers; $orphans"), 'public.good.parent_id|orphan|1', "with at most $workers workers");
	is($node->safe_psql('postgres', "SET max_parallel_workers = $workers; SET client_min_messages = warning; SELECT count(*) FROM find_orphans(); SELECT max(workers) FROM data_check_execution()"),
		"1\n$workers", "$workers workers are told");
}

$node->safe_psql('postgres', q{
	CREATE TABLE large (id int, k text);
	INSERT INTO large SELECT n, md5(n::text) FROM generate_series(1, 400000) AS n;
	CREATE TABLE keys (k text PRIMARY KEY);
	INSERT INTO keys SELECT k FROM large WHERE id <= 100000;
	CREATE TABLE refers AS SELECT id, k FROM large WHERE id <= 100000;
	ALTER TABLE refers ADD FOREIGN KEY (k) REFERENCES keys NOT VALID;
	CREATE TABLE bookings AS SELECT id, id % 50000 AS contact_id, '2020-01-01Z'::timestamptz + id * interval '40 min' AS scheduled_at, 30 AS duration_minutes
		FROM generate_series(1, 200000) AS id;
});
my %questions = (
	duplicates => q{find_duplicates('large', '{k}')},
	orphans    => q{find_orphans('refers', inferred => false)},
	bookings   => q{find_duplicate_appointments('bookings', same => '{contact}')},
);
is($node->safe_psql('postgres', "SET client_min_messages = error; SELECT count(*) FROM $questions{$_}; SELECT DISTINCT executor FROM data_check_execution()"),
	"0\nscan", "$_: the scan answers") for sort keys %questions;
# cancelled by statement_timeout, at whatever point it strikes: never a wrong answer, never anything left
for my $question (sort keys %questions)
{
	for my $timeout (1, 5, 20, 60, 150)
	{
		my ($out, $err);
		my $status = $node->psql('postgres', "SET voxanne_ops.executor = scan; SET maintenance_work_mem = '1MB'; SET statement_timeout = $timeout;
			SELECT count(*) FILTER (WHERE key NOT LIKE 'check_skipped%') FROM $questions{$question}", stdout => \$out, stderr => \$err);
		ok(($status == 0 && $out eq '0') || $err =~ /canceling statement due to statement timeout/, "$question: statement_timeout of $timeout ms")
		  or diag("$status: $out $err");
	}
	nothing_left("$question: statement_timeout");
}

# cancelled by another session, in each phase: the calls go on until one is caught in it
for my $question (sort keys %questions)
{
	for my $phase ('scanning', 'matching')
	{
		my ($out, $err) = ('', '');
		my $call = IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-c',
			"SET maintenance_work_mem = '1MB'; DO \$\$ BEGIN LOOP PERFORM FROM $questions{$question}; END LOOP; END \$\$" ], '>', \$out, '2>', \$err);
		ok($node->poll_query_until('postgres', "SELECT coalesce(bool_or(pg_cancel_backend(pid)), false) FROM data_check_progress WHERE phase = '$phase'"),
			"$question: a call is cancelled while it is $phase");
		$call->finish;
		like($err, qr/canceling statement due to user request/, "$question, $phase: and ends with that error");
		nothing_left("$question, cancelled while $phase");
	}
}

# what the progress view says once all is read: each row, and what did not fit into memory
my $call = IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-c',
	q{SET maintenance_work_mem = '1MB'; DO $$ BEGIN LOOP PERFORM FROM find_duplicates('large', '{k}'); END LOOP; END $$} ], '>', \my $said, '2>', \my $error);
ok($node->poll_query_until('postgres', q{SELECT coalesce(bool_or(rows_done = 400000 AND spilled_bytes > 1000000 AND blocks_done = blocks_total
	AND blocks_total = pg_relation_size('large') / 8192 AND pg_cancel_backend(pid)), false) FROM data_check_progress WHERE phase = 'matching'}), 'progress: what was read');
$call->finish;

# cancelled in an exception block: the same transaction goes on, with nothing held but its locks
for my $phase ('scanning', 'matching')
{
	my ($out, $err) = ('', '');
	my $call = IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), map { ('-c', $_) }
		q{SET maintenance_work_mem = '1MB'}, 'BEGIN',
		q{DO $$ BEGIN LOOP PERFORM FROM find_duplicates('large', '{k}'); END LOOP; EXCEPTION WHEN query_canceled THEN NULL; END $$},
		q{SELECT (SELECT count(*) FROM data_check_progress),
			(SELECT count(*) FROM pg_ls_dir('base/pgsql_tmp', true, false) AS file WHERE file LIKE 'pgsql_tmp' || pg_backend_pid() || '.%'),
			(SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND mode <> 'AccessShareLock')},
		q{SELECT count(*) FROM find_duplicates('large', '{k}')}, 'COMMIT' ], '>', \$out, '2>', \$err);
	ok($node->poll_query_until('postgres', "SELECT coalesce(bool_or(pg_cancel_backend(pid)), false) FROM data_check_progress WHERE phase = '$phase'"),
		"a call in an exception block is cancelled while it is $phase");
	$call->finish;
	is("$out$err", "0|0|0\n0\n", "$phase: the transaction goes on");
	nothing_left("cancelled in an exception block while $phase");
}

# the server goes down in the middle of calls: at once, and comes up clean
my @calls = map {
	IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-c',
		q{DO $$ BEGIN LOOP PERFORM FROM find_duplicates('large', '{k}'); END LOOP; END $$} ], '>', \my $out, '2>', \my $err)
} 1 .. 2;
ok($node->poll_query_until('postgres', q{SELECT count(*) = 2 FROM data_check_progress}), 'the progress of two calls is shown');
is($node->safe_psql('postgres', q{SELECT DISTINCT relation, blocks_done <= blocks_total FROM data_check_progress WHERE phase = 'scanning'}) =~ /^(large\|t)?$/ ? 1 : 0,
	1, 'and makes sense');
$node->stop('fast');
$_->finish for @calls;
$node->start;
nothing_left('fast shutdown');
$node->stop;
my $log = slurp_file($node->logfile);
unlike($log, qr/TRAP:|terminated by signal|PANIC/, 'no assertion failed');
unlike($log, qr/refcount leak|resource was not closed|reference leak/, 'no pin or snapshot was leaked');
done_testing();
