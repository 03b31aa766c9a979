# A verification at level verify, which may take hours, holds up no check at level status: what the two
# verifiers of a database do beside each other, what they leave to each other, and their ends.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WorkerTest;

my $node = worker_node('lanes', "voxanne_ops.databases = app\nrestart_after_crash = on\nmax_logical_replication_workers = 0\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION voxanne_ops');
$node->safe_psql('postgres', 'CREATE DATABASE app');
add_target($node, 'app', 'big');
add_target($node, 'app', 'small', 'other');
sub sql { return $node->safe_psql('app', $_[0]) }
sub rows { return sql("SELECT count(*) FROM backup_verification_log WHERE target = '$_[0]' AND verified_at > now() - interval '1 day'") }
sub latest { return sql("SELECT level FROM backup_verification_log WHERE target = '$_[0]' ORDER BY verified_at DESC LIMIT 1") }

# An expression over the row of a level.
sub lane
{
	my ($level, $expression) = @_;
	return $node->safe_psql('postgres', "SELECT $expression FROM backup_verification_progress WHERE database = 'app' AND level = '$level'");
}
ok(wait_until(sub { rows('big') > 0 && rows('small') > 0 }), 'both are verified');
sql("UPDATE backup_target SET status_interval = '300 days', verify_interval = '300 days'");
sql('CALL await_verification()');
is(sql("SELECT string_agg(DISTINCT level, ' ') FROM backup_verification_log"), 'verify', 'what is due at both levels is verified at the deeper one only');
my $runs = agent_runs($node);

# Have "big" verified at level verify, by a program that waits.
sub start_big
{
	hold_agent($node, 'gate.base');
	sql("SELECT request_verification('big', 'verify')");
	agent_pid($node, ++$runs);
	ok(wait_until(sub { lane('verify', "phase = 'running'") eq 't' }), 'a verification at level verify is under way');
	return;
}

# Let it end, and everything after it.
sub end_big
{
	release_agent($node, 'gate.base');
	sql('CALL await_verification()');
	$runs = agent_runs($node);
	return;
}

# And have "small" verified at level status beside it, by one that waits, too.
sub start_small
{
	hold_agent($node, 'gate.other');
	sql("SELECT request_verification('small')");
	agent_pid($node, ++$runs);
	ok(wait_until(sub { lane('status', "phase = 'running'") eq 't' }), 'one at level status beside it');
	return;
}

# Side by side.
start_big();
my $small = rows('small');
start_small();
is($node->safe_psql('postgres', "SELECT string_agg(concat_ws(' ', level, phase, target), ', ' ORDER BY level), count(DISTINCT pid) FROM backup_verification_progress WHERE database = 'app'"),
	'status running small, verify running big|2', 'the view shows both');
like(sql("SELECT detail FROM backup_status() WHERE object = 'worker'"), qr/^The background worker runs: running, and running at level verify; /, 'and so does backup_status()');
is($node->safe_psql('postgres', "SELECT count(*), count(*) FILTER (WHERE datname IS NOT NULL OR backend_xmin IS NOT NULL OR xact_start IS NOT NULL) FROM pg_stat_activity WHERE backend_type LIKE 'voxanne_ops %'"),
	'3|0', 'two verifiers and the scheduler, of which none is connected or holds a snapshot');
release_agent($node, 'gate.other');
ok(wait_until(sub { rows('small') == $small + 1 }), 'the result at level status does not wait');
is(lane('verify', 'phase'), 'running', 'for the other');
sql("SELECT alter_backup_target('small', '{\"status_interval\": \"1 second\"}')");
ok(wait_until(sub { rows('small') >= $small + 3 }), 'nor does what becomes due with time');
sql("SELECT alter_backup_target('small', '{\"status_interval\": \"300 days\"}')");
is(rows('big'), '1', 'all the while');
end_big();
is(latest('big'), 'verify', 'which ends as well');
is(sql('SELECT count(*) FROM backup_target WHERE requested_at IS NOT NULL'), '0', 'all that was requested is done');

# One run at a time for the same target: what is asked for meanwhile comes after it, and nobody looks until then.
my $big = rows('big');
hold_agent($node, 'gate.base');
sql("UPDATE backup_target SET verify_interval = '1 second' WHERE name = 'big'");
agent_pid($node, ++$runs);
sql("UPDATE backup_target SET verify_interval = '300 days' WHERE name = 'big'");
sql("SELECT request_verification('big')");
ok(wait_until(sub { lane('status', "phase = 'idle' AND next_due > now() + interval '100 days'") eq 't' }), 'the same target has to wait');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'userlock' AND NOT granted"), '0', 'without queueing');
ok( wait_until(
		sub {
			my $wakeups = lane('status', 'scheduler_wakeups');
			lane('status', 'phase') for 1 .. 20;
			return lane('status', 'scheduler_wakeups') == $wakeups;
		}),
	'or waking');
is(scalar(agent_runs($node)), $runs, 'or running');
my $waiter = $node->background_psql('app', on_error_stop => 0);
$waiter->query_until(qr/begun/, "\\echo begun\nCALL await_verification();\nSELECT 'it is ' || level FROM backup_verification_log WHERE target = 'big' ORDER BY verified_at DESC LIMIT 1;\n\\echo ended\n");
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CALL await%' AND wait_event_type IS NOT NULL"), 'whoever awaits it');
release_agent($node, 'gate.base');
like($waiter->query_until(qr/ended/, ''), qr/it is status/, 'does until both are recorded');
$waiter->quit;
is(rows('big'), $big + 2, 'one after the other');
$runs = agent_runs($node);

# The other way round: level verify waits for level status, whose target it is.
hold_agent($node, 'gate.base');
sql("SELECT request_verification('big')");
agent_pid($node, ++$runs);
sql("SELECT request_verification('big', 'verify')");
ok(wait_until(sub { lane('verify', "phase = 'idle' AND next_due > now() + interval '100 days'") eq 't' }), 'level verify waits, too');
is(scalar(agent_runs($node)), $runs, 'without running');
end_big();
is(latest('big') . rows('big'), 'verify' . ($big + 4), 'and comes after it');

# What is due at both levels is left to level verify for a minute, and not for longer.
start_big();
sql("UPDATE backup_verification_log SET verified_at = verified_at - interval '301 days' WHERE target = 'small'; UPDATE backup_target SET name = name");
ok(wait_until(sub { lane('status', "phase = 'idle' AND next_due BETWEEN now() AND now() + interval '1 minute'") eq 't' }), 'due at both levels');
is(rows('small'), 0, 'it is left to level verify');
$node->append_conf('postgresql.conf', "voxanne_ops.clock_offset = 120");
$node->reload;
ok(wait_until(sub { rows('small') == 1 }), 'for a minute');
is(latest('small') . lane('verify', 'phase'), 'statusrunning', 'and is then verified at level status');
release_agent($node, 'gate.base');
ok(wait_until(sub { rows('small') == 2 }), 'level verify follows');
is(latest('small'), 'verify', 'when it comes to it');
sql('CALL await_verification()');
$runs = agent_runs($node);

# One of them ends: the other goes on.
start_big();
start_small();
my $verifier = lane('verify', 'pid');
my $child = agent_pid($node, $runs);
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . lane('status', 'pid') . ')');
ok(wait_until(sub { lane('status', "last_error = 'the verifier was terminated'") eq 't' }), 'a terminated verifier');
ok(!kill(0, $child), 'takes its child along');
is(lane('verify', 'pid, phase, last_error IS NULL'), "$verifier|running|t", 'and not the other one');
agent_pid($node, ++$runs);
pass('there is another attempt');
release_agent($node, 'gate.other');
end_big();
is(sql('SELECT count(*) FROM backup_target WHERE requested_at IS NOT NULL'), '0', 'both are done');

# kill -9 of either: nothing half, nothing lost.
for my $level ('status', 'verify')
{
	start_big();
	start_small();
	my %before = map { $_ => rows($_) } qw(big small);
	my $last = sql('SELECT max(verified_at) FROM backup_verification_log');
	my $scheduler = lane('status', 'scheduler_pid');
	kill 9, lane($level, 'pid');
	ok($node->poll_query_until('postgres', "SELECT max(scheduler_pid) <> $scheduler FROM backup_verification_progress"), "after kill -9 of the verifier at level $level");
	release_agent($node, $_) for 'gate.base', 'gate.other';
	ok(wait_until(sub { rows('big') == $before{big} + 1 && rows('small') == $before{small} + 1 }), 'both are recorded, once');
	is(sql("SELECT count(*) FROM backup_verification_log t FULL JOIN backup_verification_log a ON a.target = '*' AND t.target <> '*' AND t.verified_at = a.verified_at - interval '1 microsecond'
			WHERE (t.id IS NULL AND a.target = '*' OR a.id IS NULL AND t.target <> '*') AND coalesce(t.verified_at, a.verified_at) > '$last'"), '0', 'each with its row for all');
	sql('CALL await_verification()');
	is(sql('SELECT count(*) FROM backup_target WHERE requested_at IS NOT NULL'), '0', 'what was requested is done');
	$runs = agent_runs($node);
}

# The database is dropped meanwhile.
start_big();
start_small();
my $absent = count_log($node, 'database "app" is listed in voxanne_ops.databases but does not exist');
$node->safe_psql('postgres', 'DROP DATABASE app');
is(lane('status', 'phase') . lane('verify', 'phase'), 'runningrunning', 'DROP DATABASE waits for neither');
release_agent($node, $_) for 'gate.base', 'gate.other';
ok(wait_progress($node, 'app', "phase = 'idle' AND last_result = 'no such database'"), 'they find nothing to record in');
is(count_log($node, 'database "app" is listed in voxanne_ops.databases but does not exist'), $absent + 1, 'which is logged once');
$node->safe_psql('postgres', 'CREATE DATABASE app');
add_target($node, 'app', 'big');
add_target($node, 'app', 'small', 'other');
ok(wait_until(sub { rows('big') > 0 && rows('small') > 0 }), 'and begin anew when it is there again');
sql("UPDATE backup_target SET status_interval = '300 days', verify_interval = '300 days'");
sql('CALL await_verification()');

# Too few processes for two: level status is told, and tried again.
$node->append_conf('postgresql.conf', "max_worker_processes = 4");
$node->restart;
sql('CALL await_verification()');
$runs = agent_runs($node);
start_big();
sql("SELECT request_verification('small')");
ok(wait_until(sub { lane('status', "last_error LIKE 'no background worker was free%'") eq 't' }), 'a lack of processes is reported');
is(sql("SELECT severity || ' ' || key FROM backup_status() WHERE object = 'worker'"), 'warning worker_failing:worker', 'by backup_status(), too');
is(lane('verify', 'phase, last_error IS NULL'), 'running|t', 'of the level that has it');
release_agent($node, 'gate.base');
ok(wait_until(sub { sql('SELECT count(*) FROM backup_target WHERE requested_at IS NOT NULL') eq '0' }), 'and over when one is free');
$node->append_conf('postgresql.conf', "max_worker_processes = 8");
$node->restart;
sql('CALL await_verification()');
$runs = agent_runs($node);

# The server ends.
start_big();
start_small();
my @children = (agent_runs($node))[ -2, -1 ];
$node->stop('fast');
is(scalar(grep { kill(0, $_) } @children), 0, 'no child is left after a shutdown');
is(count_log($node, 'TRAP:|PANIC|deadlock'), 0, 'no assertion failed');
done_testing();
