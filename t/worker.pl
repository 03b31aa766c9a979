# The workers in their normal life: when they look, what they hold, what they leave in the log.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WorkerTest;

my $node = worker_node('worker');
$node->start;

# Extension absent, then created, a target added: each wakes the scheduler.
ok(wait_log($node, 'database "postgres" is listed in voxanne_ops.databases but does not have the extension'),
	'the log says that the extension is missing');
$node->safe_psql('postgres', 'CREATE EXTENSION voxanne_ops');
ok(wait_progress($node, 'postgres', "last_result = 'nothing due' AND phase = 'idle' AND next_due IS NULL"),
	'CREATE EXTENSION wakes the scheduler');

my $listener = $node->background_psql('postgres');
$listener->query_safe('LISTEN voxanne_ops');
add_target($node, 'postgres', 'nightly');
$node->safe_psql('postgres', 'CALL await_verification()');
is($node->safe_psql('postgres', "SELECT DISTINCT target FROM backup_verification_log ORDER BY 1"),
	"*\nnightly", 'a row for the target and one for all');
my $heard = '';
ok( wait_until(sub { ($heard .= $listener->query('SELECT 1')) =~ /Asynchronous notification "voxanne_ops" with payload "\{"target":"nightly"/ }),
	'a listener is notified');
$listener->quit;
is($node->safe_psql('postgres', "SELECT count(*) FROM backup_verification_log WHERE verification_details::text LIKE U&'%Gr\\00f6\\00dfe \\20ac%'"),
	'1', 'what the agent says arrives as it is');
is(progress($node, 'postgres', "last_result IN ('recorded', 'nothing due'), last_error IS NULL, next_due > last_end"), 't|t|t',
	'the cycle that was waited for is over');

# What wakes and what does not.
ok(wait_progress($node, 'postgres', "phase = 'idle'"), 'idle');
my $cycles = progress($node, 'postgres', 'cycles');
$node->safe_psql('postgres', "UPDATE backup_target SET status_interval = '2 hours'");
ok(wait_progress($node, 'postgres', "cycles > $cycles AND phase = 'idle'"), 'a changed row wakes the scheduler');
$node->safe_psql('postgres', 'CALL await_verification()');
$cycles = progress($node, 'postgres', 'cycles');
$node->safe_psql('postgres', "BEGIN; UPDATE backup_target SET status_interval = '3 hours'; ROLLBACK");
$node->safe_psql('postgres', 'CALL await_verification()');
is(progress($node, 'postgres', 'cycles'), $cycles + 1, 'one that is rolled back does not');
is(scalar(agent_runs($node)), 1, 'what is not due is not verified');
$node->safe_psql('postgres', "SELECT request_verification('nightly')");
$node->safe_psql('postgres', 'CALL await_verification()');
is(scalar(agent_runs($node)), 2, 'what is requested is');
$node->safe_psql('postgres', "SELECT request_verification('nightly', 'verify')");
$node->safe_psql('postgres', 'CALL await_verification()');
is($node->safe_psql('postgres', "SELECT string_agg(level, ' ' ORDER BY verified_at) FROM backup_verification_log WHERE target = 'nightly'"),
	'verify status verify', 'at the level that is due, or requested');
is($node->safe_psql('postgres', 'SELECT count(*) FROM backup_target WHERE requested_at IS NOT NULL OR requested_level IS NOT NULL'),
	'0', 'a request that was met is gone');

# Idle.
ok(wait_progress($node, 'postgres', "phase = 'idle'"), 'idle');
is( $node->safe_psql('postgres',
		"SELECT backend_type, datname IS NULL, backend_xmin IS NULL, backend_xid IS NULL, xact_start IS NULL
		 FROM pg_stat_activity WHERE backend_type LIKE 'voxanne_ops %'"),
	'voxanne_ops scheduler|t|t|t|t', 'with nothing due there is the scheduler, and it holds nothing');
ok( wait_until(
		sub {
			# the end of the last verifier may still wake it once
			my $wakeups = progress($node, 'postgres', 'scheduler_wakeups');
			$node->safe_psql('postgres', 'SELECT count(*) FROM backup_verification_log') for 1 .. 20;
			return progress($node, 'postgres', 'scheduler_wakeups') == $wakeups;
		}),
	'and does not wake up');

# Time passes.
$node->safe_psql('postgres', "UPDATE backup_target SET status_interval = '1 second'");
agent_pid($node, 5);
pass('what has become due is verified, without being woken');
$node->safe_psql('postgres', "UPDATE backup_target SET status_interval = '1 day'");
$node->safe_psql('postgres', 'CALL await_verification()');
my $runs = agent_runs($node);
$node->append_conf('postgresql.conf', "voxanne_ops.clock_offset = '2d'");
$node->reload;
agent_pid($node, $runs + 1);
pass('a day later, too');
ok($node->poll_query_until('postgres', "SELECT count(*) = 3 FROM backup_verification_log WHERE target = 'nightly' AND level = 'verify'"),
	'then all contents, too');
$node->append_conf('postgresql.conf', "voxanne_ops.clock_offset = 0");
$node->reload;

# A second database, in another encoding and with settings that would hurt.
$node->safe_psql('postgres', "CREATE DATABASE app ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
add_target($node, 'app', 'app nightly');
$node->safe_psql('postgres', <<'EOT');
CREATE ROLE nobody;
ALTER DATABASE app SET default_transaction_read_only = on;
ALTER DATABASE app SET default_transaction_isolation = serializable;
ALTER DATABASE app SET search_path = 'nowhere';
ALTER DATABASE app SET statement_timeout = 1;
ALTER DATABASE app SET lock_timeout = 1;
ALTER DATABASE app SET role = nobody;
ALTER DATABASE app SET session_replication_role = replica;
EOT
my (undef, undef, $error) = $node->psql('app', 'CALL public.await_verification()',
	extra_params => [], connstr => $node->connstr('app') . " options='-c statement_timeout=0 -c role=none -c search_path=public'");
like($error, qr/the background worker does not watch database "app"/, 'waiting for what will never come is an error');
$node->append_conf('postgresql.conf', "voxanne_ops.databases = 'postgres, app, \"no such\"'");
$node->reload;
ok(wait_verified($node, 'app'), 'the second database is verified');
is($node->safe_psql('app', q(SELECT DISTINCT target FROM public.backup_verification_log ORDER BY 1),
		connstr => $node->connstr('app') . " options='-c statement_timeout=0 -c role=none'"),
	"*\napp nightly", 'whatever its settings');
like($node->safe_psql('app', "SELECT verification_details FROM public.backup_verification_log WHERE target <> '*'",
		connstr => $node->connstr('app') . " options='-c statement_timeout=0 -c role=none'"),
	qr/Gr\\+u00f6\\+u00dfe \\+u20ac/, 'and its encoding, in which what it does not have is spelt out');

# A database that does not exist (yet), or takes nobody.
ok(wait_log($node, 'database "no such" is listed in voxanne_ops.databases but does not exist'), 'absent database');
$node->safe_psql('postgres', 'CALL await_verification()') for 1 .. 2;
is(count_log($node, 'database "no such" is listed'), 1, 'is logged once');
$node->safe_psql('postgres', 'CREATE DATABASE "no such"');
add_target($node, 'no such', 'third');
ok(wait_verified($node, 'no such'), 'and found when the extension is created in it');
$node->safe_psql('postgres', 'ALTER DATABASE "no such" RENAME TO renamed');
$node->reload;
ok(wait_progress($node, 'no such', "last_result = 'no such database'"), 'a renamed database is absent');
$node->safe_psql('postgres', 'ALTER DATABASE app ALLOW_CONNECTIONS false');
$node->reload;
ok(wait_progress($node, 'app', "last_result = 'database allows no connections'"), 'one without connections is left alone');
$node->safe_psql('postgres', 'ALTER DATABASE app ALLOW_CONNECTIONS true');
$node->reload;
ok(wait_progress($node, 'app', "last_result = 'nothing due'"), 'until it allows them');

# Fewer databases.
$node->append_conf('postgresql.conf', "voxanne_ops.databases = postgres");
$node->reload;
ok($node->poll_query_until('postgres', "SELECT count(DISTINCT database) = 1 FROM backup_verification_progress"), 'SIGHUP takes databases off the list');
for my $bad ('a,,b', join(',', 1 .. 33), 'x' x 64)
{
	(undef, undef, $error) = $node->psql('postgres', "ALTER SYSTEM SET voxanne_ops.databases = '$bad'");
	like($error, qr/invalid value for parameter "voxanne_ops.databases"/, 'a malformed list is refused');
}

# A signal that comes while the scheduler waits for pg_database is not lost.
my $locker = $node->background_psql('postgres');
my $other = $node->background_psql('postgres');
my $scheduler = progress($node, 'postgres', 'scheduler_pid');
ok(wait_progress($node, 'postgres', "phase = 'idle'"), 'idle');
$locker->query_safe('BEGIN; LOCK TABLE pg_database IN ACCESS EXCLUSIVE MODE');
$node->reload;
ok(wait_until(sub { $locker->query("SELECT count(*) FROM pg_locks WHERE pid = $scheduler AND NOT granted") eq '1' }), 'the scheduler waits for pg_database');
$node->append_conf('postgresql.conf', "voxanne_ops.databases = ''");
$node->reload;
ok(wait_until(sub { $other->query('SHOW voxanne_ops.databases') eq '' }), 'the configuration is read again');
$locker->query_safe('COMMIT');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM backup_verification_progress"), 'by the scheduler, too');
$_->quit for $locker, $other;
$node->append_conf('postgresql.conf', "voxanne_ops.databases = postgres");
$node->reload;

# What can go wrong in a call.
(undef, undef, $error) = $node->psql('postgres', 'BEGIN; CALL await_verification()');
like($error, qr/await_verification\(\) cannot run inside a transaction block/, 'not inside a transaction block');
is(count_log($node, 'terminated by signal|TRAP:|PANIC'), 0, 'nothing crashed');
$node->stop;
done_testing();
