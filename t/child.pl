# Running a program from a backend: how a run ends, what is left of the child, what an answer becomes.
use strict;
use warnings;
use Cwd;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $top    = getcwd();
my $module = "$top/t/modules/child_test/child_test.so";
my $dir    = PostgreSQL::Test::Utils::tempdir;

system_or_bail('make', '-s', '-C', "$top/t/modules/child_test", 'with_llvm=no', "PG_CONFIG=$ENV{PG_CONFIG}");

# An executable script that takes the place of the agent or of any other program.
sub script
{
	my ($name, $body) = @_;
	my $path = "$dir/$name";
	append_to_file($path, "#!/bin/sh\n$body\n");
	chmod 0755, $path or die "$path: $!";
	return $path;
}

my $node = PostgreSQL::Test::Cluster->new('child');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = '$module'\nlc_messages = 'C'\nrestart_after_crash = on");
$node->start;
$node->safe_psql('postgres', <<"SQL");
CREATE FUNCTION run(argv text[], purpose text DEFAULT 'test', input text DEFAULT NULL, deadline_ms int DEFAULT 60000,
                    max_output int DEFAULT 1000000,
                    OUT how text, OUT exit_code int, OUT signal int, OUT output text, OUT errors text, OUT error text)
LANGUAGE C AS '$module', 'child_test_run';
CREATE FUNCTION call(arguments text[], input text DEFAULT NULL, deadline_ms int DEFAULT 60000) RETURNS text
LANGUAGE C AS '$module', 'child_test_call';
CREATE FUNCTION agent_version() RETURNS text LANGUAGE C AS '$module', 'child_test_version';
CREATE FUNCTION remember(pid int, purpose text) RETURNS void LANGUAGE C AS '$module', 'child_test_remember';
CREATE FUNCTION descriptors() RETURNS int LANGUAGE C AS '$module', 'child_test_descriptors';
CREATE FUNCTION start_worker(library text, path text) RETURNS void LANGUAGE C AS '$module', 'child_test_start_worker';
SQL

sub run_is
{
	my ($arguments, $columns, $expected, $name) = @_;
	is($node->safe_psql('postgres', "SELECT $columns FROM run($arguments)"), $expected, $name);
	return;
}

sub sql_array
{
	return 'ARRAY[' . join(', ', map { "'$_'" } @_) . ']';
}

# Wait until no process with this text in its command line is left; false after the time-out.
sub gone
{
	my ($text) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 unless processes($text);
		usleep(100_000);
	}
	return 0;
}

# Pids of the processes with this text in their command line, in which NUL separates arguments.
sub processes
{
	my ($text) = @_;
	my @found;
	for my $file (glob '/proc/[0-9]*/cmdline')
	{
		my ($pid) = $file =~ /(\d+)/;
		open my $handle, '<', $file or next;
		local $/ = undef;
		my $line = <$handle> // '';
		close $handle;
		push @found, $pid if $pid != $$ && index($line, $text) >= 0;
	}
	return @found;
}

# Wait for a process with this text in its command line; its pid.
sub appears
{
	my ($text) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my ($pid) = processes($text);
		return $pid if $pid;
		usleep(100_000);
	}
	die "no process with \"$text\" appeared";
}

sub parent_of
{
	my ($pid) = @_;
	return (slurp_file("/proc/$pid/stat") =~ /.*\) \S (\d+)/s)[0];
}

# How a run ends.
run_is(sql_array('/bin/echo', 'hello'), 'how, exit_code, output, error IS NULL', "exited|0|hello\n|t", 'output');
run_is(sql_array('/bin/sh', '-c', 'echo oops >&2; exit 7'), 'how, exit_code, errors', "exited|7|oops\n", 'exit code and standard error');
run_is(sql_array('/bin/sh', '-c', 'kill -SEGV $$'), 'how, signal, error', 'signaled|11|Program "/bin/sh" was ended by signal 11: Segmentation fault.', 'crash');
run_is(sql_array("$dir/none"), 'how, error', "not_started|Program \"$dir/none\" could not be started: No such file or directory.", 'missing program');
run_is(sql_array($dir), 'how, error', "not_started|Program \"$dir\" could not be started: Permission denied.", 'program is a directory');
run_is(sql_array('/bin/sleep', '1000.25') . ', deadline_ms => 100', 'how, error', 'timed_out|Program "/bin/sleep" did not finish within 100 ms and was ended.', 'deadline');
ok(gone('1000.25'), 'deadline: the child is gone');
my $stubborn = script('stubborn', q{trap '' TERM INT; echo started; while :; do sleep 0.2; done});
run_is(sql_array($stubborn) . ', deadline_ms => 300', 'how, output', "timed_out|started\n", 'a child that ignores SIGTERM');
ok(gone($stubborn), 'it is gone too');
run_is(sql_array('/bin/cat', '/dev/zero') . ', max_output => 100000', 'how, length(output), error',
	'overflowed|0|Program "/bin/cat" printed more than 100000 bytes and was ended.', 'endless output of zeroes');
run_is(sql_array('/bin/sh', '-c', 'while :; do echo y; done') . ', max_output => 100000', 'how, length(output)', 'overflowed|100000', 'endless output');
run_is(sql_array('/bin/sh', '-c', 'while :; do echo y; done >&2') . ', deadline_ms => 500', 'how, length(errors)', 'timed_out|4096', 'endless standard error: the end is kept');
run_is(sql_array('/bin/sh', '-c', 'sleep 1000.5 & echo done'), 'how, output', "exited|done\n", 'a grandchild that keeps the pipes open does not delay the end');
system(q{for p in /proc/[0-9]*; do if tr '\0' ' ' <$p/cmdline 2>/dev/null | grep -q '^sleep 1000.5 '; then kill ${p#/proc/}; fi; done});

# Input.
run_is(sql_array('/bin/cat') . ", input => repeat('x', 3000000), max_output => 4000000", 'how, length(output)', 'exited|3000000', 'both directions at once, beyond any pipe');
run_is(sql_array('/bin/true') . ", input => repeat('x', 3000000)", 'how, exit_code', 'exited|0', 'a child that does not read');
run_is(sql_array('/bin/cat'), 'how, output', 'exited|', 'no input is an empty one');

# What the child inherits.
run_is(sql_array('/bin/sh', '-c', 'ls /proc/self/fd | tr "\n" " "'), 'output', '0 1 2 3 ', 'descriptors: the three pipes, and that of ls itself');
run_is(sql_array('/usr/bin/env'), 'output', "PATH=/usr/local/bin:/usr/bin:/bin\nLC_ALL=C\nTZ=UTC\n", 'environment');
# signals 32 and 33 are libc's own
run_is(sql_array('/bin/sh', '-c', 'grep -E "^Sig(Blk|Ign)" /proc/self/status | tr -d "\t"'),
	"output ~ '^SigBlk:0{16}\\nSigIgn:0{7}[0-9a-f][08]0{7}\\n\$'", 't', 'signals');
run_is(sql_array('/bin/sh', '-c', 'ps -o pgid= -p $$ | tr -d " "'), "trim(E'\\n' FROM output)::int = pg_backend_pid()", 't', 'the backend\'s process group');
# the backend lowers it after the start, which the child may be ahead of
run_is(sql_array('/bin/sh', '-c', 'until [ "$(nice)" = 10 ]; do :; done; echo low'), 'output', "low\n", 'low priority');

# Nothing is left in the backend.
my $runs = <<'SQL';
SELECT count(*) FROM generate_series(1, 40) i, LATERAL run(ARRAY['/bin/sh', '-c', 'exit ' || i]) \gset
SELECT count(*) FROM generate_series(1, 10) i, LATERAL run(ARRAY['/none' || i]) \gset
SQL
is($node->safe_psql('postgres', "${runs}SELECT descriptors() AS before \\gset\n${runs}SELECT descriptors() = :before;"),
	't', 'no descriptor is left behind');

# Cancel.
my ($ret, $out, $err);
my $began = time;
$ret = $node->psql('postgres', "SET statement_timeout = '300ms'; SELECT how FROM run(ARRAY['/bin/sleep', '1001.25'])", stderr => \$err);
like($err, qr/canceling statement due to statement timeout/, 'statement_timeout');
cmp_ok(time - $began, '<', 5, 'at once');
ok(gone('1001.25'), 'no child is left');
is($node->safe_psql('postgres', <<'SQL'), "timeout\nt", 'no descriptor is left after a cancel inside of a subtransaction');
CREATE FUNCTION cancelled(argv text[]) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM run(argv);
  RETURN 'ran';
EXCEPTION WHEN query_canceled THEN RETURN 'timeout';
END $$;
SELECT count(*) FROM run(ARRAY['/bin/true']) \gset
SELECT descriptors() AS before \gset
SET statement_timeout = '200ms';
SELECT cancelled(ARRAY['/bin/sleep', '1002.25']);
SET statement_timeout = 0;
SELECT descriptors() = :before;
SQL
$ret = $node->psql('postgres', "SET statement_timeout = '300ms'; SELECT how FROM run(ARRAY['$stubborn'])", stderr => \$err);
like($err, qr/canceling statement/, 'cancel of a child that ignores signals');
ok(gone($stubborn), 'it is gone');

# Termination of the backend.
for my $how ('pg_terminate_backend', 'cancel')
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid     = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_until(qr/begin/, "\\echo begin\nSELECT how FROM run(ARRAY['/bin/sleep', '1003.25']);\n");
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Extension'");
	my $function = $how eq 'cancel' ? 'pg_cancel_backend' : $how;
	$node->safe_psql('postgres', "SELECT $function($pid)");
	ok(gone('1003.25'), "$how: no child is left");
	$session->{run}->finish if $how ne 'cancel';
	$session->quit if $how eq 'cancel';
}

# A child that could not be ended blocks its purpose, for every session, while it lives.
my $sleeper = fork // die;
if ($sleeper == 0) { exec '/bin/sleep', '1004.25'; }
$node->safe_psql('postgres', "SELECT remember($sleeper, 'verify nightly')");
run_is(sql_array('/bin/true') . ", 'verify nightly'", 'how, error', "busy|Process $sleeper, started earlier for the same purpose, could not be ended and still lives; it probably waits for storage that does not answer.", 'remembered in another session');
run_is(sql_array('/bin/true') . ", 'verify weekly'", 'how', 'exited', 'other purposes go on');
kill 'KILL', $sleeper;
run_is(sql_array('/bin/true') . ", 'verify nightly'", 'how', 'exited', 'a dead one, waited for or not, is forgotten');
waitpid $sleeper, 0;

# The agent.
my $agent = "$top/voxanne_agent";
sub call_like
{
	my ($program, $arguments, $pattern, $name) = @_;
	like($node->safe_psql('postgres', "SET voxanne_ops.agent_path = '$program'; SELECT call($arguments)"), $pattern, $name);
	return;
}
call_like($agent, sql_array('verify-backup', '/nonexistent'), qr/"error": \{"code": "path_not_found"/, 'an answer');
call_like($agent, sql_array('verify-backup', '/nonexistent', '--future-option', '1'), qr/^version_mismatch: voxanne_agent does not know what this library asks of it.* It said: /, 'an agent that does not know an option');
call_like("$dir/none", sql_array('verify-backup', '/x'), qr/^verifier_error: Program "\Q$dir\E\/none" could not be started: No such file or directory\.$/, 'no agent');
call_like(script('crash', 'kill -SEGV $$'), sql_array('verify-backup', '/x'), qr/^verifier_error: Program .* was ended by signal 11: Segmentation fault\.$/, 'a crash');
call_like(script('other', q{echo '{"protocol": 2, "result": "success"}'}), sql_array('verify-backup', '/x'), qr/^version_mismatch: voxanne_agent does not speak protocol 1 /, 'another protocol');
call_like(script('none_', q{echo '{"result": "success"}'}), sql_array('verify-backup', '/x'), qr/^version_mismatch: /, 'no protocol');
call_like(script('text', q{echo 'all is well'; echo 'some words' >&2}), sql_array('verify-backup', '/x'), qr/^verifier_error: voxanne_agent ended with exit status 0 and without an answer\. It said: some words$/, 'no JSON');
call_like(script('array', q{echo '[1]'}), sql_array('verify-backup', '/x'), qr/^verifier_error: /, 'no object');
call_like(script('two', q{echo '{"protocol": 1}{"protocol": 1}'}), sql_array('verify-backup', '/x'), qr/^verifier_error: /, 'two documents');
call_like(script('deep', q~printf '{"protocol": 1, "x": '; head -c 1000000 /dev/zero | tr '\0' '['~), sql_array('verify-backup', '/x'), qr/^verifier_error: /, 'nested without end');
call_like(script('nul', q{printf '{"protocol": 1}\0'}), sql_array('verify-backup', '/x'), qr/^verifier_error: /, 'NUL');
call_like(script('bytes', q{printf '{"protocol": 1, "x": "\377"}'}), sql_array('verify-backup', '/x'), qr/^verifier_error: /, 'not UTF-8');
call_like(script('zero', q{printf '{"protocol": 1, "x": "\\\\u0000"}'}), sql_array('verify-backup', '/x'), qr/^verifier_error: /, 'an escape that jsonb does not take');
call_like(script('slow', 'sleep 1005.25'), sql_array('verify-backup', '/x') . ', NULL, 200', qr/^verifier_timeout: Program .* did not finish within 200 ms and was ended\.$/, 'too slow');
call_like(script('utf8', q{printf '{"protocol": 1, "x": "caf\303\251"}'}), sql_array('verify-backup', '/x'), qr/"x": "caf\xc3\xa9"/, 'UTF-8 in a database in UTF-8');
$node->safe_psql('postgres', "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
$node->safe_psql('latin', "CREATE FUNCTION call(arguments text[], input text, deadline_ms int) RETURNS text LANGUAGE C AS '$module', 'child_test_call'");
like($node->safe_psql('latin', "SET voxanne_ops.agent_path = '$dir/utf8'; SELECT call('{x}', NULL, 60000)"), qr/"x": "caf\\\\u00e9"/, 'UTF-8 in a database in LATIN1');

# Its version and its place.
my ($version) = slurp_file("$top/voxanne_ops.control") =~ /^default_version = '(.*)'/m;
is($node->safe_psql('postgres', "SET voxanne_ops.agent_path = '$agent'; SELECT agent_version()"), $version, 'version');
is($node->safe_psql('postgres', "SET voxanne_ops.agent_path = '/bin/true'; SELECT agent_version()"), 'Program "/bin/true" does not answer as voxanne_agent does.', 'version of something else');
like($node->safe_psql('postgres', "SET voxanne_ops.agent_path = ''; SELECT agent_version()"), qr{^($version|Program "/.*/voxanne_agent" could not be started: No such file or directory\.)$}, 'default: beside the server');
$ret = $node->psql('postgres', "SET voxanne_ops.agent_path = 'voxanne_agent'", stderr => \$err);
like($err, qr/invalid value for parameter "voxanne_ops.agent_path".*\n.*The path must be absolute\./, 'a relative path');
$ret = $node->psql('postgres', "CREATE ROLE mortal; SET ROLE mortal; SET voxanne_ops.agent_path = '/tmp/x'", stderr => \$err);
like($err, qr/permission denied to set parameter/, 'for superusers only');

# The backend dies without a chance to clean up: the agent ends with it.
my $waiting = "$dir/waiting";
append_to_file($waiting, '');
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid     = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_safe("SET voxanne_ops.agent_path = '$agent'");
	# it reads its request from a pipe that nobody fills: it waits
	my $hold = script('hold', "exec $agent fetch --parent \$PPID <$dir/fifo");
	system_or_bail('mkfifo', "$dir/fifo");
	open my $writer, '+<', "$dir/fifo" or die $!;
	$session->query_until(qr/begin/, "\\echo begin\nSELECT how FROM run(ARRAY['$hold']);\n");
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Extension'");
	ok(appears("$agent\0fetch"), 'the agent waits');
	kill 'KILL', $pid;
	ok(gone("$agent\0fetch"), 'the backend is killed: so is the agent');
	$session->{run}->finish;
	close $writer;
	$node->poll_query_until('postgres', 'SELECT true');
}

# A worker without a database.
$node->safe_psql('postgres', "ALTER SYSTEM SET voxanne_ops.agent_path = '$dir/utf8'; SELECT pg_reload_conf()");
my $offset = -s $node->logfile;
$node->safe_psql('postgres', "SELECT start_worker('$module', '/nonexistent')");
ok($node->wait_for_log(qr/child_test: \{"x": "caf\xc3\xa9", "protocol": 1\}/, $offset), 'a worker without a database');
$node->safe_psql('postgres', "ALTER SYSTEM SET voxanne_ops.agent_path = '" . script('forever', 'exec sleep 1006.25') . "'; SELECT pg_reload_conf()");
$offset = -s $node->logfile;
$node->safe_psql('postgres', "SELECT start_worker('$module', '/nonexistent')");
# it has no database, so that no function of the server knows it
kill 'TERM', parent_of(appears('1006.25'));
ok(gone('1006.25'), 'a worker is terminated: no child is left');

# Immediate shutdown of the server.
$node->safe_psql('postgres', "SELECT start_worker('$module', '/nonexistent')");
appears('1006.25');
$node->stop('immediate');
ok(gone('1006.25'), 'immediate shutdown: no child is left');

# Without preload each session remembers for itself.
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$node->start;
run_is(sql_array('/bin/echo', 'hello'), 'how, output', "exited|hello\n", 'without preload');
my $other = fork // die;
if ($other == 0) { exec '/bin/sleep', '1007.25'; }
is($node->safe_psql('postgres', "SELECT remember($other, 'p'); SELECT how FROM run(ARRAY['/bin/true'], 'p')"), "\nbusy", 'remembered in the same session');
run_is(sql_array('/bin/true') . ", 'p'", 'how', 'exited', 'and not in another');
kill 'KILL', $other;
waitpid $other, 0;
$node->stop;
done_testing();
