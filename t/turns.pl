# Whoever verifies a target, nobody else does at the same time: worker, sessions and requests, two by two.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WorkerTest;

my $node = worker_node('turns');
$node->start;
add_target($node, 'postgres', 'nightly');
add_target($node, 'postgres', 'weekly', 'other');
sub sql { return $node->safe_psql('postgres', $_[0]) }
sub rows { return sql("SELECT count(*) FROM backup_verification_log WHERE target = '$_[0]'") }
ok(wait_until(sub { rows('nightly') == 1 && rows('weekly') == 1 }), 'both are verified');
sql("UPDATE backup_target SET status_interval = '300 days', verify_interval = '300 days'");
sql('CALL await_verification()');
my $runs = agent_runs($node);

# A session that verifies a target, and how it stands: "held" while the program runs, "waits" for its turn.
sub start_call
{
	my ($target, $level) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_until(qr/begun/, "\\echo begun\nCALL verify_backup('$target'" . ($level ? ", '$level'" : '') . ");\n");
	return $session;
}
my $turn = "locktype = 'userlock' AND database = (SELECT oid FROM pg_database WHERE datname = 'postgres')";

sub await_waiting
{
	my ($count) = @_;
	ok($node->poll_query_until('postgres', "SELECT count(*) = $count FROM pg_locks WHERE $turn AND NOT granted"), "$count wait for their turn");
	return;
}

sub runs_are
{
	my ($count, $what) = @_;
	is(scalar(agent_runs($node)), $runs + $count, $what);
	return;
}

sub end_is
{
	my ($session, $pattern, $what) = @_;
	$session->query_until(qr/ended/, "\\echo ended\n");
	$session->quit;
	like($session->{stderr}, $pattern, $what);
	return;
}

# The worker, then a session.
hold_agent($node);
sql("SELECT request_verification('nightly')");
agent_pid($node, $runs + 1);
my $session = start_call('nightly');
await_waiting(1);
runs_are(1, 'a session waits for the worker');
is(sql('SELECT backend_type FROM blocking_locks() WHERE depth = 0'), 'voxanne_ops verifier', 'blocking_locks() shows for whom');
release_agent($node);
end_is($session, qr/NOTICE:  backup target "nightly" is being verified by another process.*NOTICE:  backup target "nightly": success/s, 'and then verifies it');
sql('CALL await_verification()');
runs_are(2, 'each has run once');
is(rows('nightly'), 3, 'and left its row');
$runs += 2;

# A session, then the worker: it leaves the target, does the others and what was requested once the session is done.
hold_agent($node, 'gate.base');
$session = start_call('nightly');
agent_pid($node, $runs + 1);
my $weekly = rows('weekly');
sql("SELECT request_verification()");
ok(wait_until(sub { rows('weekly') > $weekly }), 'the worker does not wait for a session, but verifies another target');
sql('CALL await_verification()');
runs_are(2, 'and not the one that the session verifies');
is(sql('SELECT count(*) FROM pg_locks WHERE NOT granted'), '0', 'nor does it queue for it');
is(sql("SELECT name FROM backup_target WHERE requested_at IS NOT NULL"), 'nightly', 'whose request stays');
ok(wait_progress($node, 'postgres', "phase = 'idle' AND next_due BETWEEN now() AND now() + interval '1 minute'"), 'it looks again after a minute');
release_agent($node, 'gate.base');
end_is($session, qr/NOTICE:  backup target "nightly": success/, 'the session ends');
ok(wait_until(sub { sql("SELECT count(*) FROM backup_target WHERE requested_at IS NOT NULL") eq '0' }), 'then what was requested meanwhile is done');
runs_are(3, 'with one run');
is(rows('nightly'), 5, 'and one row');
$runs += 3;

# A session cancelled: nothing is recorded, and the worker finds the target free.
hold_agent($node, 'gate.base');
$session = start_call('nightly');
my $child = agent_pid($node, $runs + 1);
sql("SELECT pg_cancel_backend(pid) FROM pg_locks WHERE $turn");
end_is($session, qr/ERROR:  canceling statement due to user request/, 'a session is cancelled');
ok(!kill(0, $child), 'its child is gone when it says so');
is(sql("SELECT count(*) FROM pg_locks WHERE $turn"), '0', 'and its turn over');
unlink glob(agent_directory($node) . '/gate*');
sql("SELECT request_verification('nightly')");
sql('CALL await_verification()');
runs_are(2, 'the worker can have it');
is(rows('nightly'), 6, 'the cancelled run left no row');
$runs += 2;

# Two sessions; a third gives up.
hold_agent($node, 'gate.base');
$session = start_call('nightly');
agent_pid($node, $runs + 1);
my $second = start_call('nightly', 'verify');
await_waiting(1);
my ($status, undef, $error) = $node->psql('postgres', "SET lock_timeout = 1; CALL verify_backup('nightly')");
like($error, qr/ERROR:  canceling statement due to lock timeout/, 'who does not want to wait sets lock_timeout');
runs_are(1, 'one runs');
my $third = start_call('weekly');
ok(wait_until(sub { rows('weekly') > $weekly + 1 }), 'another target is not held up');
release_agent($node, 'gate.base');
end_is($_, qr/NOTICE:  backup target "\w+": success/, 'each ends well') for $session, $second, $third;
runs_are(3, 'one after the other');
is(sql("SELECT level FROM backup_verification_log WHERE target = 'nightly' ORDER BY verified_at DESC LIMIT 1"), 'verify', 'in the order in which they came');
$runs += 3;

# What the worker has planned and a session takes first.
hold_agent($node, 'gate.base');
hold_agent($node, 'gate.other');
sql("SELECT request_verification()");
agent_pid($node, $runs + 1);
$session = start_call('weekly', 'verify');
agent_pid($node, $runs + 2);
release_agent($node, 'gate.base');
sql('CALL await_verification()');
runs_are(2, 'the worker passes over it');
release_agent($node, 'gate.other');
end_is($session, qr/NOTICE:  backup target "weekly": success/, 'the session does it');
ok(wait_until(sub { sql("SELECT count(*) FROM backup_target WHERE requested_at IS NOT NULL") eq '0' }), 'and with it what had been requested before');
sql('CALL await_verification()');
runs_are(2, 'so there is no other run');
$runs += 2;

# A request while the worker is at it is for another run.
hold_agent($node, 'gate.base');
sql("SELECT request_verification('nightly')");
agent_pid($node, $runs + 1);
sql("SELECT request_verification('nightly', 'verify')");
release_agent($node, 'gate.base');
ok(wait_until(sub { sql("SELECT count(*) FROM backup_target WHERE requested_at IS NOT NULL") eq '0' }), 'requested while it is verified');
runs_are(2, 'it is verified again');

is(count_log($node, 'deadlock|TRAP:|PANIC'), 0, 'no deadlock, no assertion failed');
$node->stop;
done_testing();
