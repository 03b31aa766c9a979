# How far CALL verify_backup() is: rows of backup_verification_progress, which end with what they are about.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WorkerTest;

my $node = worker_node('progress');
$node->start;
add_target($node, 'postgres', 'nightly');
add_target($node, 'postgres', 'weekly', 'other');
sub sql { return $node->safe_psql('postgres', $_[0]) }
ok($node->poll_query_until('postgres', "SELECT count(DISTINCT target) = 2 FROM backup_verification_log WHERE target <> '*' AND level = 'verify'"), 'the worker has verified both');
sql("UPDATE backup_target SET status_interval = '300 days', verify_interval = '300 days'");
sql('CALL await_verification()');
sql('CREATE DATABASE elsewhere');
$node->safe_psql('elsewhere', 'CREATE EXTENSION voxanne_ops');

# Rows of sessions: what they say of their targets, without and with columns that differ from run to run.
sub called { return sql("SELECT database, target, done_mb, total_mb FROM backup_verification_progress WHERE phase = 'called' ORDER BY target") }
sub await_called
{
	my ($rows, $name) = @_;
	ok(wait_until(sub { called() eq $rows }), $name) or diag(called());
	return;
}

# A session that calls; its pid and itself.
sub start_call
{
	my ($target, $level) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_until(qr/begun/, "\\echo begun\nCALL verify_backup('$target', '$level');\n");
	return ($pid, $session);
}
sub end_call
{
	my ($session) = @_;
	$session->query_until(qr/ended/, "\\echo ended\n");
	return;
}

is(called(), '', 'nobody calls');
hold_agent($node, 'deep_gate');
my ($pid, $session) = start_call('nightly', 'verify');
await_called('postgres|nightly|420|1000', 'a session that reads all contents');
is(sql("SELECT pid, level, last_start BETWEEN now() - interval '1 hour' AND now(), last_end, last_result, last_error, next_due, cycles, scheduler_pid = (SELECT DISTINCT scheduler_pid FROM backup_verification_progress WHERE phase <> 'called')
		FROM backup_verification_progress WHERE phase = 'called'"), "$pid|verify|t||||||t", 'which session, and since when');
is($node->safe_psql('elsewhere', "SELECT database, target FROM backup_verification_progress WHERE phase = 'called'"), 'postgres|nightly', 'of whatever database it is asked');
is(sql("SELECT count(*) FROM backup_verification_progress WHERE database = 'postgres'"), '3', 'besides the rows of the worker');
my ($other_pid, $other) = start_call('weekly', 'verify');
await_called("postgres|nightly|420|1000\npostgres|weekly|420|1000", 'two sessions');

# One ends as it should, one is cancelled, one is terminated.
sql("SELECT pg_cancel_backend($other_pid)");
end_call($other);
is(called(), 'postgres|nightly|420|1000', 'a cancelled one is gone');
is(sql("SELECT state FROM pg_stat_activity WHERE pid = $other_pid"), 'idle', 'but not its session');
$other->query_until(qr/begun/, "\\echo begun\nCALL verify_backup('weekly', 'verify');\n");
await_called("postgres|nightly|420|1000\npostgres|weekly|420|1000", 'which calls again');
sql("SELECT pg_terminate_backend($other_pid, 60000)");
await_called('postgres|nightly|420|1000', 'a terminated one is gone');
eval { $other->quit };
release_agent($node, 'deep_gate');
end_call($session);
is(called(), '', 'one that has ended is gone');

# Level status tells nothing of how far it is, and a target after the other shows as such.
hold_agent($node, 'gate.base');
hold_agent($node, 'gate.other');
$session->query_until(qr/begun/, "\\echo begun\nCALL verify_backup();\n");
await_called('postgres|nightly||', 'the first of all targets');
is(sql("SELECT level FROM backup_verification_progress WHERE phase = 'called'"), 'status', 'at which level');
release_agent($node, 'gate.base');
await_called('postgres|weekly||', 'then the second');
release_agent($node, 'gate.other');
end_call($session);
is(called(), '', 'and then none');
$session->quit;
is(count_log($node, 'TRAP:|PANIC'), 0, 'no assertion failed');
$node->stop;
done_testing();
