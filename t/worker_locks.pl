# Workers that have to wait for locks, DROP EXTENSION against them, and waiting for workers that do not come.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WorkerTest;

my $node = worker_node('worker_locks', "voxanne_ops.databases = 'postgres'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql('fresh', 'CREATE EXTENSION voxanne_ops');
add_target($node, 'postgres', 'nightly');
ok(wait_progress($node, 'postgres', "next_due IS NOT NULL AND phase = 'idle'"), 'the first verification');

my $ours = "('backup_target'::regclass, 'backup_verification_log'::regclass, 'alert_outbox'::regclass)";

# Locks of a process on our tables, and what it waits for.
sub waits_for_extension
{
	my ($process) = @_;
	return "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE $process AND NOT granted AND locktype = 'object' AND classid = 'pg_extension'::regclass
		  AND NOT EXISTS (SELECT FROM pg_locks h WHERE h.pid = l.pid AND granted AND h.relation IN $ours))";
}

# SIGTERM ends a planner that waits for a lock at once; pg_terminate_backend() says whether within a second.
my $locker = $node->background_psql('postgres');
my $waiting = "backend_type = 'voxanne_ops planner' AND wait_event_type = 'Lock'";
$locker->query_safe('BEGIN; LOCK TABLE backup_target IN ACCESS EXCLUSIVE MODE');
my $awaiting = $node->background_psql('postgres', on_error_stop => 0);
$awaiting->query_until(qr/begun/, "\\echo begun\nCALL await_verification();\n");
ok($node->poll_query_until('postgres', "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE $waiting"), 'a terminated planner is gone within a second');
ok(wait_log($node, 'terminating background worker "voxanne_ops planner" due to administrator command'), 'not by a timeout');
ok(wait_progress($node, 'postgres', "last_error LIKE 'the planner ended without an answer%'"), 'which is a failed cycle');
ok($node->poll_query_until('postgres', "SELECT pg_terminate_backend(v.pid, 1000) FROM pg_stat_activity v
	WHERE v.backend_type = 'voxanne_ops verifier' AND EXISTS (SELECT FROM pg_stat_activity WHERE $waiting)"), 'a verifier whose planner waits is gone within a second, too');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE $waiting"), 'and takes it along');
$locker->query_safe('ROLLBACK');
$awaiting->quit;
ok(wait_progress($node, 'postgres', "phase = 'idle' AND last_error IS NULL"), 'without the lock the next cycle works');

# DROP EXTENSION under way: the planner waits for the extension and holds none of the tables that DROP wants.
sub start_drop
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_until(qr/begun/, "\\echo begun\nDROP EXTENSION voxanne_ops;\n");
	return $session;
}
my $dropping = "query LIKE 'DROP EXTENSION%' AND state = 'active'";
$locker->query_safe('BEGIN; SELECT FROM advisory_lock_name');
my $dropper = start_drop();
ok($node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $dropping AND wait_event_type = 'Lock')"), 'DROP EXTENSION waits for a session');
$node->append_conf('postgresql.conf', "voxanne_ops.clock_offset = '2h'");
$node->reload;
ok($node->poll_query_until('postgres', waits_for_extension("backend_type = 'voxanne_ops planner'")), 'a planner that comes then waits for the extension and holds nothing');
$locker->query_safe('COMMIT');
$dropper->quit;
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_extension WHERE extname = 'voxanne_ops'"), '0', 'it is dropped');
ok(wait_until(sub { $node->safe_psql('fresh', "SELECT coalesce(bool_or(last_result = 'extension not installed' AND phase = 'idle'), false) FROM backup_verification_progress WHERE database = 'postgres'") eq 't' }),
	'which the worker finds');

# The other way round: DROP EXTENSION waits for whoever is in our tables, and meanwhile holds none of them.
$node->append_conf('postgresql.conf', 'voxanne_ops.clock_offset = 0');
$node->reload;
add_target($node, 'postgres', 'nightly');
ok(wait_progress($node, 'postgres', "next_due IS NOT NULL AND phase = 'idle'"), 'verified again');
$locker->query_safe("BEGIN; SELECT request_verification('nightly')");
$dropper = start_drop();
ok($node->poll_query_until('postgres', waits_for_extension($dropping)), 'DROP EXTENSION waits for a transaction that uses it');
is($locker->query_safe("SELECT count(*) FROM backup_target JOIN backup_verification_log ON target = name JOIN alert_outbox ON true"), '0', 'which can go on in all tables');
$locker->query_safe('COMMIT');
$dropper->quit;
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_extension WHERE extname = 'voxanne_ops'"), '0', 'and then it is dropped');
$locker->quit;
is(count_log($node, 'deadlock detected'), 0, 'there was no deadlock');

# A scheduler that does not take the database up: one error, and not by statement_timeout.
sub await_error
{
	my ($database) = @_;
	my (undef, undef, $error) = $node->psql($database, "SET statement_timeout = '170s'; CALL await_verification()");
	return $error;
}
my ($scheduler) = $node->safe_psql('fresh', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'voxanne_ops scheduler'");
ok($node->poll_query_until('fresh', "SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $scheduler"), 'the scheduler sleeps');
kill 'STOP', $scheduler;
$node->append_conf('postgresql.conf', "voxanne_ops.databases = 'postgres, fresh'");
$node->reload;
ok($node->poll_query_until('fresh', "SELECT current_setting('voxanne_ops.databases') = 'postgres, fresh'"), 'a database more');
like(await_error('fresh'), qr/ERROR:  the background worker has not taken up database "fresh"\nDETAIL:  It runs, but/, 'no slot: an error');
kill 'CONT', $scheduler;
is(await_error('fresh'), '', 'with one there is none');

# No scheduler at all.
$node->append_conf('postgresql.conf', "max_worker_processes = 0\nmax_logical_replication_workers = 0");
$node->restart;
like(await_error('fresh'), qr/ERROR:  the background worker does not run\nDETAIL:  It has not come within/, 'no scheduler: an error');
is(count_log($node, 'TRAP:|PANIC'), 0, 'no assertion failed');
$node->stop;
done_testing();
