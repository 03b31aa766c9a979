# What happens around the workers while they work: signals, crashes, vanishing databases, locks, a
# shortage of processes.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WorkerTest;

my $node = worker_node('survival', "voxanne_ops.databases = 'postgres, app'\nrestart_after_crash = on\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE app');
add_target($node, 'postgres', 'nightly');
ok(wait_progress($node, 'postgres', "next_due IS NOT NULL AND phase = 'idle'"), 'the first verification');
my $runs = agent_runs($node);

# Wait until a verifier of a database holds the program; how often that ran.
sub wait_held
{
	my ($database) = @_;
	agent_pid($node, ++$runs);
	ok(wait_progress($node, $database, "phase = 'running'"), "a verification of $database is under way");
	return;
}

sub process_ends
{
	my ($pid) = @_;
	return wait_until(sub { !kill(0, $pid) });
}

sub restarts_scheduler
{
	my ($before) = @_;
	return wait_progress($node, "postgres", "scheduler_pid <> $before");
}

# The scheduler ends; the verifier goes on; another scheduler takes over.
hold_agent($node);
$node->safe_psql('postgres', 'SELECT request_verification()');
wait_held('postgres');
my $scheduler = progress($node, 'postgres', 'scheduler_pid');
my $verifier  = progress($node, 'postgres', 'pid');
is($node->safe_psql('postgres', "SELECT datname IS NULL, backend_xmin IS NULL, xact_start IS NULL FROM pg_stat_activity WHERE pid = $verifier"),
	't|t|t', 'meanwhile the verifier holds nothing');
is($node->safe_psql('postgres', "SELECT pg_terminate_backend($scheduler)"), 't', 'terminate the scheduler');
ok(restarts_scheduler($scheduler), 'it comes back');
is(progress($node, 'postgres', 'pid, phase'), "$verifier|running", 'the verifier was not disturbed');
release_agent($node);
ok(wait_progress($node, 'postgres', "phase = 'idle' AND last_error IS NULL"), 'and ends well');

# The verifier is terminated: its child goes with it, and there is another attempt.
hold_agent($node);
$node->safe_psql('postgres', 'SELECT request_verification()');
wait_held('postgres');
my $child = agent_pid($node, $runs);
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM backup_verification_progress WHERE database = 'postgres'");
ok(process_ends($child), 'a terminated verifier takes its child along');
ok(wait_progress($node, 'postgres', "last_error = 'the verifier was terminated'"), 'its end is published');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'voxanne_ops recorder'"), '0', 'no recorder is left');
wait_held('postgres');
release_agent($node);
ok(wait_progress($node, 'postgres', "phase = 'idle' AND last_result IN ('recorded', 'nothing due')"), 'the next attempt succeeds');

# Canceled.
hold_agent($node);
$node->safe_psql('postgres', 'SELECT request_verification()');
wait_held('postgres');
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM backup_verification_progress WHERE database = 'postgres'");
ok(wait_progress($node, 'postgres', "last_error LIKE 'canceling statement%'"), 'a canceled run fails');
release_agent($node);
$node->safe_psql('postgres', 'CALL await_verification()');
ok(wait_progress($node, 'postgres', "phase = 'idle' AND last_error IS NULL"), 'whoever asks does not wait for the pause to end');
$runs = agent_runs($node);

# The database is dropped during a run.
hold_agent($node);
add_target($node, 'app', 'app nightly');
wait_held('app');
my $absent = count_log($node, 'database "app" is listed in voxanne_ops.databases but does not exist');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = 'app'"), '0', 'nobody is connected to it');
$node->safe_psql('postgres', 'DROP DATABASE app');
is(progress($node, 'app', 'phase'), 'running', 'DROP DATABASE does not wait for the run');
release_agent($node);
ok(wait_progress($node, 'app', "phase = 'idle' AND last_result = 'no such database'"), 'the verifier finds nothing to record in');
is(count_log($node, 'database "app" is listed in voxanne_ops.databases but does not exist'), $absent + 1, 'which is logged once');

# The extension is dropped during a run.
hold_agent($node);
$node->safe_psql('postgres', 'CREATE DATABASE app');
add_target($node, 'app', 'app nightly');
wait_held('app');
$node->safe_psql('app', 'DROP EXTENSION voxanne_ops');
release_agent($node);
ok(wait_progress($node, 'app', "phase = 'idle' AND last_result = 'extension not installed'"), 'without the extension there is nothing to record');
add_target($node, 'app', 'app nightly');
$runs++;
ok(wait_progress($node, 'app', "phase = 'idle' AND next_due IS NOT NULL"), 'until it is there again');

# Somebody locks the tables.
my $locker = $node->background_psql('postgres');
hold_agent($node);
$node->safe_psql('postgres', 'SELECT request_verification()');
wait_held('postgres');
$locker->query_safe('BEGIN; LOCK TABLE backup_verification_log IN ACCESS EXCLUSIVE MODE');
release_agent($node);
ok(wait_log($node, 'canceling statement due to lock timeout'), 'the recorder does not queue for long');
is(progress($node, 'postgres', 'phase'), 'recording', 'the results are kept');
$locker->query_safe('COMMIT');
ok(wait_progress($node, 'postgres', "phase = 'idle' AND last_error IS NULL"), 'and recorded when the lock is gone');
is(scalar(agent_runs($node)), $runs, 'without verifying again');

$locker->query_safe('BEGIN; LOCK TABLE backup_target IN ACCESS EXCLUSIVE MODE');
my ($status, undef, $error) = $node->psql('postgres', 'CALL await_verification()');
like($error, qr/could not verify the backups of database "postgres"\nDETAIL:  It said: canceling statement due to lock timeout/,
	'nor does the planner');
$locker->query_safe('ROLLBACK');
$node->safe_psql('postgres', 'CALL await_verification()');
$locker->quit;

# No process is free.
$node->append_conf('postgresql.conf', "max_worker_processes = 3\nmax_logical_replication_workers = 0\nvoxanne_ops.databases = 'postgres, app'");
$node->restart;
ok(wait_progress($node, 'postgres', "phase = 'idle' AND cycles > 0"), 'three processes are enough')
  and ok(wait_progress($node, 'app', "phase = 'idle' AND cycles > 0"), 'for any number of databases');
is(count_log($node, 'no background worker is free'), 0, 'and none was found lacking');
$node->append_conf('postgresql.conf', 'max_worker_processes = 2');
$node->restart;
ok(wait_log($node, 'no background worker is free to verify the backups'), 'too few processes are logged');
($status, undef, $error) = $node->psql('postgres', 'CALL await_verification()') for 1 .. 3;
like($error, qr/no background worker was free/, 'and reported');
is(count_log($node, 'no background worker is free to verify the backups'), 1, 'once');
is(count_log($node, 'Increase max_worker_processes'), 1, 'with what to do');
$node->append_conf('postgresql.conf', 'max_worker_processes = 8');
$node->restart;

# A crash.
hold_agent($node);
$node->safe_psql('postgres', 'SELECT request_verification()');
$runs = agent_runs($node);
wait_held('postgres');
$child = agent_pid($node, $runs);
$scheduler = progress($node, 'postgres', 'scheduler_pid');
PostgreSQL::Test::Utils::system_or_bail('pg_ctl', 'kill', 'KILL', progress($node, 'postgres', 'pid'));
ok($node->poll_query_until('postgres', "SELECT max(scheduler_pid) <> $scheduler FROM backup_verification_progress WHERE database = 'postgres'"),
	'after a crash there is a scheduler');
wait_held('postgres');
release_agent($node);
ok(wait_progress($node, 'postgres', "phase = 'idle' AND last_error IS NULL"), 'and what had begun is done again');

# pg_upgrade's server.
$node->stop;
PostgreSQL::Test::Utils::system_or_bail('pg_ctl', '-D', $node->data_dir, '-l', $node->logfile, '-o', '-b', '-w', 'start');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'voxanne_ops %'"), '0', 'no worker in binary upgrade mode');
PostgreSQL::Test::Utils::system_or_bail('pg_ctl', '-D', $node->data_dir, '-w', 'stop');
$node->start;

# Shutdown during a run.
hold_agent($node);
$node->safe_psql('postgres', 'SELECT request_verification()');
$runs = agent_runs($node);
wait_held('postgres');
$child = agent_pid($node, $runs);
$node->stop('fast');
ok(process_ends($child), 'a fast shutdown ends the run and its child');
release_agent($node);
is(count_log($node, 'TRAP:|PANIC'), 0, 'no assertion failed');
done_testing();
