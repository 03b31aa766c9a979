# When targets are due: before their time, each by a share of its own, never after it; once after a time
# without the server; and that backup_status() and the scheduler say the same.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WorkerTest;

my $node = worker_node('schedule', "log_timezone = 'UTC'\nvoxanne_ops.databases = 'postgres, app'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE app');

sub sql
{
	my ($query, $database) = @_;
	return $node->safe_psql($database // 'postgres', $query);
}

# Ten targets, of which the first are in both databases; verified together.
my @names = map { "target $_" } 1 .. 8;
add_target($node, 'postgres', $_) for @names;
add_target($node, 'app', $_) for @names[ 0, 1 ];
sql('CALL await_verification()', $_) for 'postgres', 'app';
for my $database ('postgres', 'app')
{
	my $count = $database eq 'app' ? 2 : 8;
	ok(wait_until(sub { sql("SELECT count(*) FROM backup_status() WHERE last_verified IS NOT NULL", $database) == $count }), "all are verified in $database");
}

# How much earlier than its interval each is due at a level, as a fraction of the most that there may be.
sub shares
{
	my ($database, $interval) = @_;
	my $column = $interval eq '1 hour' ? 'status_interval' : 'verify_interval';
	my $other = $interval eq '1 hour' ? 'verify_interval' : 'status_interval';
	my $level = $interval eq '1 hour' ? 'status' : 'verify';
	return sql("BEGIN; UPDATE backup_target SET $column = '$interval', $other = '300 days';
		SELECT round(extract(epoch FROM (SELECT max(verified_at) FROM backup_verification_log l WHERE l.target = s.target) + interval '$interval' - next_due)
		  / extract(epoch FROM least(interval '$interval' / 10, interval '1 hour')), 5) FROM backup_status() s WHERE s.target IS NOT NULL ORDER BY target; ROLLBACK;", $database);
}
my @status = split /\n/, shares('postgres', '1 hour');
is(scalar(grep { $_ >= 0 && $_ < 1 } @status), 8, 'due at most a tenth of the interval before its time, and never after it') or diag("@status");
my %different = map { $_ => 1 } @status;
is(scalar(keys %different), 8, 'each by a share of its own');
is(shares('postgres', '1 hour'), join("\n", @status), 'that it keeps');
my @deep = split /\n/, shares('postgres', '30 days');
is(scalar(grep { $_ >= 0 && $_ < 1 } @deep), 8, 'of a long interval at most an hour') or diag("@deep");
isnt("@deep", "@status", 'which differs by level');
my @app = split /\n/, shares('app', '1 hour');
isnt("@app", "@status[0, 1]", 'and by database');

# The scheduler agrees, also after a session has verified something.
sub agree
{
	my ($what, $database) = @_;
	my $next = "SELECT min(next_due) FROM backup_status() WHERE target IS NOT NULL";
	ok(wait_until(sub { my $due = sql($next, $database); progress($node, $database, "coalesce(phase = 'idle' AND next_due = '$due', false)") eq 't' }), $what)
	  or diag(sql($next, $database), sql('TABLE backup_verification_progress'));
	return;
}
agree("$_: the scheduler wakes when backup_status() says so", $_) for 'postgres', 'app';
sql("SELECT alter_backup_target('target 3', '{\"status_interval\": \"20 minutes\"}')");
agree('after a change', 'postgres');
sql("SET client_min_messages = error; CALL verify_backup('target 3')");
agree('after a session has verified it', 'postgres');
my $window = sql("SELECT to_char(now() AT TIME ZONE current_setting('log_timezone') + '3 hours', 'HH24:MI-') || to_char(now() AT TIME ZONE current_setting('log_timezone') + '9 hours', 'HH24:MI')");
sql("UPDATE backup_target SET verify_window = '$window', status_interval = '300 days'; DELETE FROM backup_verification_log WHERE level = 'verify'; UPDATE backup_target SET status_interval = '300 days'");
sql("SET client_min_messages = error; CALL verify_backup()");
agree('of a window', 'postgres');
is(sql("SELECT count(DISTINCT next_due) FROM backup_status() WHERE target IS NOT NULL"), '8', 'which opens for each at another time');
is(sql("SELECT count(*) FROM backup_status() s, (SELECT ((now() AT TIME ZONE current_setting('log_timezone') + '3 hours') AT TIME ZONE current_setting('log_timezone')) AS opens) o
		WHERE s.target IS NOT NULL AND next_due >= date_trunc('minute', opens) - interval '2 minutes' AND next_due <= opens + interval '36 minutes'"), '8', 'within a tenth of its length');
sql("UPDATE backup_target SET verify_window = NULL, status_interval = '1 hour', verify_interval = '1 day'");
sql('CALL await_verification()') for 1 .. 9;

# Ten days without the server: every target is verified once, at the deepest level that is due.
$node->stop;
$node->append_conf('postgresql.conf', 'voxanne_ops.databases = \'\'');
$node->start;
sql("UPDATE backup_verification_log SET verified_at = verified_at - interval '10 days'", $_) for 'postgres', 'app';
my $runs = agent_runs($node);
my %rows = map { $_ => sql("SELECT count(*) FROM backup_verification_log WHERE target <> '*'", $_) } 'postgres', 'app';
$node->append_conf('postgresql.conf', "voxanne_ops.databases = 'postgres, app'");
$node->restart;
for my $database ('postgres', 'app')
{
	my $count = $database eq 'app' ? 2 : 8;
	ok($node->poll_query_until($database, "SELECT count(*) = 0 FROM backup_status() WHERE next_due <= now()"), "$database catches up");
	agree("$database is at rest", $database);
	is(sql("SELECT count(*) - $rows{$database} FROM backup_verification_log WHERE target <> '*'", $database), $count, 'each target once');
	is(sql("SELECT string_agg(DISTINCT level, ' ') FROM backup_verification_log WHERE target <> '*' AND verified_at > now() - interval '1 day'", $database), 'verify', 'at the deepest level that was missed');
}
is(scalar(agent_runs($node)), $runs + 10, 'and no run more');
$node->stop;
done_testing();
