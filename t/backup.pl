# Real base backups verified by CALL verify_backup(): rows, notifications and alerts, good and bad
# backups, locations, agents; what is dumped, restored elsewhere, kept and deleted.
use strict;
use warnings;
use File::Copy;
use File::Path qw(rmtree);
use IO::Socket::INET;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX qw(mkfifo);
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $backups = "$dir/backups";
mkdir "$dir/$_" for qw(backups elsewhere);

# The worker watches "postgres"; what is tested here happens in "app", so that it does not interfere.
my $node = PostgreSQL::Test::Cluster->new('backup');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', <<"EOT");
shared_preload_libraries = 'voxanne_ops'
voxanne_ops.backup_directories = '$backups'
voxanne_ops.instance_name = 'prod'
voxanne_ops.allow_http = on
EOT
$node->start;
my $agent_path = $node->safe_psql('postgres', 'SHOW voxanne_ops.agent_path');
$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->safe_psql('app', 'CREATE EXTENSION voxanne_ops');

sub sql
{
	my ($query) = @_;
	return $node->safe_psql('app', $query);
}

# Set something for the whole server; the session that asks next has it.
sub set_server
{
	my ($setting, $value) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET $setting = '$value'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('$setting') = '$value'")
	  or die "$setting was not set";
	return;
}

sub take_backup
{
	my ($name) = @_;
	$node->command_ok([ 'pg_basebackup', '-D', "$backups/$name", '-c', 'fast', '--no-sync' ], "base backup $name");
	return;
}

# CALL it; what psql says besides rows.
sub verify
{
	my ($target, $level) = @_;
	my $arguments = join ', ', map { "'$_'" } grep { defined } $target, $level;
	my ($status, $out, $err) = $node->psql('app', "CALL verify_backup($arguments)");
	is($status, 0, "CALL verify_backup($arguments)") or diag $err;
	return $err;
}

# Status, proof and first problem of the latest row of a target.
sub latest
{
	my ($target) = @_;
	return sql("SELECT status, proof, error_details #>> '{0,check}' FROM backup_verification_log"
		  . " WHERE target = '$target' ORDER BY verified_at DESC LIMIT 1");
}

# Let a shell script play the agent.
sub play_agent
{
	my ($script) = @_;
	unlink "$dir/agent";
	append_to_file("$dir/agent", "#!/bin/sh\n$script\n");
	chmod 0755, "$dir/agent" or die $!;
	set_server('voxanne_ops.agent_path', "$dir/agent");
	return;
}

# A web server that writes each body it gets into a file, one a line.
my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', LocalPort => 0, ReuseAddr => 1)
  or die "no socket: $!";
my $port = $listener->sockport;
append_to_file("$dir/posts", '');
my $server_pid = fork() // die $!;
if ($server_pid == 0)
{
	# from 17 on the framework's handler would run the parent's cleanup here
	$SIG{TERM} = 'DEFAULT';
	while (my $client = $listener->accept)
	{
		my $length = 0;
		while (defined(my $line = <$client>))
		{
			$length = $1 if $line =~ /^content-length:\s*(\d+)/i;
			last if $line =~ /^\r?\n$/;
		}
		read($client, my $body, $length);
		append_to_file("$dir/posts", "$body\n");
		print $client "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
		close $client;
	}
	POSIX::_exit(0);
}
close $listener;
append_to_file("$dir/url", "http://127.0.0.1:$port/hook\n");
chmod 0600, "$dir/url";
set_server('voxanne_ops.webhook_url_file', "$dir/url");

# Alerts since the last call.
my $seen = 0;

sub new_posts
{
	my @lines = split /\n/, slurp_file("$dir/posts");
	my @new = @lines[ $seen .. $#lines ];
	$seen = @lines;
	return map { decode_json($_) } @new;
}

# A test alert arrives, or says why not.
sql("SELECT test_alert('critical')");
my @posts = new_posts();
is($posts[0]{text}, 'CRITICAL [prod] test_alert: This is a test, nothing is wrong.', 'test alert');
my ($status, $out, $err) = $node->psql('app', "SELECT test_alert('loud')");
like($err, qr/invalid input value for enum/, 'of a severity that exists');

# A good backup: row, "*" row, notification, notice; no alert.
take_backup('base');
sql("SELECT add_backup_target('nightly', 'basebackup', '$backups/base')");
is(sql("SELECT severity, key FROM backup_status() WHERE target = 'nightly'"),
	'warning|backup_never_verified:nightly', 'never verified');
($status, $out, $err) = $node->psql('app', "LISTEN voxanne_ops;\nCALL verify_backup();\nSELECT 1;");
is($status, 0, 'verified');
like($err, qr/NOTICE:  backup target "nightly": success\nDETAIL:  Backup is present, /, 'says what it found');
is(latest('nightly'), 'success|present|', 'row of the target');
is(sql('SELECT target, status, level, proof, checks_failed, checks_passed > 5, backup_age_hours < 1, error_details,'
		. ' duration >= \'0\' FROM backup_verification_log ORDER BY verified_at DESC LIMIT 1'),
	'*|success|status|present|0|t|t||t', 'the quick command shows all targets');
is(sql("SELECT backup_id, backup_size_mb > 5, rpo, rto, verification_details #>> '{backup,id}'"
		. " FROM backup_verification_log WHERE target = 'nightly'"), 'base|t|||base', 'what is known of the backup');
my @notified = map { decode_json($_) } $out =~ /notification "voxanne_ops" with payload "(\{.*\})" received/g;
is(scalar @notified, 2, 'two notifications');
is("$notified[0]{target} $notified[0]{status} $notified[0]{backup_id}", 'nightly success base', 'of the target');
is("$notified[1]{target} $notified[1]{status} $notified[1]{database}", '* success app', 'of all');
is("$notified[0]{instance} $notified[1]{instance}", 'prod prod', 'which name the instance');
is(sql("SELECT string_agg(id::text, ' ' ORDER BY verified_at) FROM backup_verification_log"),
	"$notified[0]{id} $notified[1]{id}", 'with the ids of the rows');
is(sql("SELECT severity, key, last_status, proof, age < '1 hour', next_due > clock_timestamp() FROM backup_status() WHERE target = 'nightly'"),
	'info|backup_ok:nightly|success|present|t|f', 'status is quiet, though all contents are due');

# Level verify: contents, pages, WAL.
like(verify('nightly', 'verify'), qr/NOTICE:  backup target "nightly": success\nDETAIL:  Backup is checksummed, /, 'all contents');
is(latest('nightly'), 'success|checksummed|', 'row of level verify');
is(sql("SELECT level, proof, (SELECT count(*) FROM jsonb_array_elements(verification_details->'checks') c"
		. " WHERE c->>'check' IN ('file_checksums', 'page_checksums', 'wal_segments', 'wal_records') AND c->>'result' IN ('passed', 'skipped'))"
		. " FROM backup_verification_log WHERE target = 'nightly' ORDER BY verified_at DESC LIMIT 1"), 'verify|checksummed|4', 'its checks');
is(sql("SELECT next_due > clock_timestamp(), levels #>> '{verify,status}' FROM backup_status() WHERE target = 'nightly'"), 't|success', 'nothing is due');
verify('nightly');
is(sql("SELECT severity, last_status, proof FROM backup_status() WHERE target = 'nightly'"), 'info|success|checksummed', 'what was shown holds');
copy("$backups/base/PG_VERSION", "$dir/version");
append_to_file("$backups/base/PG_VERSION.new", 'x' x -s "$backups/base/PG_VERSION");
rename "$backups/base/PG_VERSION.new", "$backups/base/PG_VERSION" or die $!;
like(verify('nightly', 'verify'), qr/WARNING:  backup target "nightly": failure\nDETAIL:  1 file does not have the checksum/, 'other contents');
like(latest('nightly'), qr/^failure\|listed\|/, 'row of other contents');
like(sql("SELECT error_details::text FROM backup_verification_log WHERE target = 'nightly' ORDER BY verified_at DESC LIMIT 1"),
	qr/"path": "PG_VERSION"/, 'names the file');
verify('nightly');
is(sql("SELECT severity, key, remedy FROM backup_status() WHERE target = 'nightly'"),
	"critical|backup_failed:nightly|CALL verify_backup('nightly', 'verify');", 'names and sizes are no answer to that');
is(sql("SELECT status, error_details #>> '{0,check}' FROM backup_verification_log ORDER BY verified_at DESC LIMIT 1"),
	'failure|backup_failed', 'nor for all targets');
rename "$dir/version", "$backups/base/PG_VERSION" or die $!;
verify('nightly', 'verify');
is(sql("SELECT severity, key FROM backup_status() WHERE target = 'nightly'"), 'info|backup_ok:nightly', 'good again');
set_server('voxanne_ops.verify_rate', '100GB');
set_server('voxanne_ops.verify_jobs', '1');
verify('nightly', 'verify');
is(latest('nightly'), 'success|checksummed|', 'with one thread and a limit');
sql("DELETE FROM backup_verification_log WHERE level = 'verify'");
new_posts();

# Damage: named, critical, alerted once; good again after the remedy, alerted once.
my ($file) = map { "$backups/base/$_" } 'global/pg_filenode.map';
rename $file, "$dir/kept" or die $!;
like(verify('nightly'), qr/WARNING:  backup target "nightly": failure\nDETAIL:  .*pg_filenode|WARNING:  .*failure\nDETAIL:  .*missing/s,
	'damage is reported');
like(latest('nightly'), qr/^failure\|listed\|/, 'row of a damaged backup');
like(sql("SELECT error_details::text FROM backup_verification_log WHERE target = 'nightly' ORDER BY verified_at DESC LIMIT 1"),
	qr/pg_filenode\.map/, 'names the file');
is(sql('SELECT target, status, checks_failed > 0, error_details #>> \'{0,target}\' FROM backup_verification_log ORDER BY verified_at DESC LIMIT 1'),
	'*|failure|t|nightly', 'all targets fail');
is(sql("SELECT severity, key, remedy FROM backup_status() WHERE target = 'nightly'"),
	"critical|backup_failed:nightly|CALL verify_backup('nightly');", 'status is loud');
like(sql("SELECT detail FROM backup_status() WHERE target = 'nightly'"), qr/ Last good: none known\.$/, 'the damaged backup is not called good');
verify('nightly');
@posts = new_posts();
is(scalar @posts, 1, 'one alert, not one for each verification');
like($posts[0]{text}, qr/^CRITICAL \[prod\] nightly: the newest backup is not usable\. Last good: none known\. Cause: .* Next: CALL verify_backup\('nightly'\);$/, 'text of the alert');
is("$posts[0]{status} $posts[0]{previous_status} $posts[0]{severity} $posts[0]{database}", 'failure success critical app',
	'its members');
rename "$dir/kept", $file or die $!;
verify('nightly');
is(latest('nightly'), 'success|present|', 'good again');
@posts = new_posts();
is(scalar @posts, 1, 'one alert for the recovery');
like($posts[0]{text}, qr/^INFO \[prod\] nightly: good again after \d+ s\. Backup is present, /, 'its text');

# A flipped byte in the manifest.
copy("$backups/base/backup_manifest", "$dir/manifest");
{
	open my $fh, '+<', "$backups/base/backup_manifest" or die $!;
	seek $fh, 200, 0;
	read $fh, my $byte, 1;
	seek $fh, 200, 0;
	print $fh chr(ord($byte) ^ 1);
	close $fh;
}
verify('nightly');
is(latest('nightly'), 'failure|listed|manifest_checksum', 'damaged manifest');
copy("$dir/manifest", "$backups/base/backup_manifest");
verify('nightly');
new_posts();

# An alert that cannot be delivered is in the server log, without the URL.
append_to_file("$dir/closed", "http://127.0.0.1:1/secret\n");
chmod 0600, "$dir/closed";
set_server('voxanne_ops.webhook_url_file', "$dir/closed");
rename $file, "$dir/kept" or die $!;
my $log_start = -s $node->logfile;
verify('nightly');
my $log = slurp_file($node->logfile, $log_start);
($status, $out, $err) = $node->psql('app', 'SELECT test_alert()');
like($err, qr/could not post the alert\nDETAIL:  ./, 'a test alert that cannot be delivered');
unlike($err, qr/secret/, 'without the URL');
like($log, qr/could not post the alert about backup target "nightly"/, 'undelivered alert is logged');
unlike($log, qr/secret/, 'without the URL');
rename "$dir/kept", $file or die $!;
set_server('voxanne_ops.webhook_url_file', "$dir/url");
verify('nightly');
new_posts();

# A directory of backups: the newest counts.
sql("SELECT add_backup_target('all', 'basebackup', '$backups')");
verify('all');
is(latest('all'), 'success|present|', 'newest of a directory');
sql("SELECT remove_backup_target('all')");

# Contents that can be compared with nothing.
$node->command_ok([ 'pg_basebackup', '-D', "$backups/bare", '-c', 'fast', '--no-sync', '--manifest-checksums=NONE' ], 'base backup without checksums');
sql("SELECT add_backup_target('bare', 'basebackup', '$backups/bare')");
verify('bare', 'verify');
is(latest('bare'), 'success|present|', 'a manifest without checksums: present is all that is shown');
sql("SELECT remove_backup_target('bare')");
rmtree("$backups/bare");

# Places that are no backup.
mkdir "$backups/empty";
append_to_file("$backups/file", "x\n");
symlink "$backups/loop", "$backups/loop";
symlink "$dir/elsewhere", "$backups/escape";
mkdir "$backups/closed", 0;
my %place = (
	missing => 'path_not_found',
	file => 'path_not_directory',
	loop => 'symlink_loop',
	escape => 'path_outside',
	closed => 'path_unreadable',
	empty => 'backup_found');
for my $place (sort keys %place)
{
	sql("SELECT add_backup_target('$place', 'basebackup', '$backups/$place')");
	verify($place);
	is(latest($place), "failure||$place{$place}", "location $place");
	isnt(sql("SELECT error_details #>> '{0,detail}' FROM backup_verification_log WHERE target = '$place'"), '', 'said in a sentence');
	sql("SELECT remove_backup_target('$place')");
}
chmod 0700, "$backups/closed";
my $data = $node->data_dir;
($status, $out, $err) = $node->psql('app', "SET voxanne_ops.backup_directories = '/'; SELECT add_backup_target('x', 'basebackup', '$data/base')");
like($err, qr/DETAIL:  ".*base" lies inside the data directory/, 'not in the data directory');

# The setting is looked at again when the backup is.
set_server('voxanne_ops.backup_directories', "$dir/elsewhere");
verify('nightly');
is(latest('nightly'), 'failure||location', 'no longer allowed');
set_server('voxanne_ops.backup_directories', $backups);

# Agents that do not work: no statement about the backup.
sub verifier_problem
{
	my ($problem, $what) = @_;
	verify('nightly');
	is(latest('nightly'), "failure||$problem", $what);
	is(sql("SELECT severity, key FROM backup_status() WHERE target = 'nightly'"),
		'critical|backup_unverifiable:nightly', 'said so in backup_status()');
	return;
}
play_agent('exit 0');
verifier_problem('verifier_error', 'an agent without an answer');
play_agent('kill -SEGV $$');
verifier_problem('verifier_error', 'an agent that crashes');
play_agent(q(echo '{"protocol": 99, "result": "success"}'));
verifier_problem('version_mismatch', 'an agent of another version');
play_agent(q(echo '{"protocol": 1, "result": 5, "checks": {"a": 1}, "backup": [], "version": {}}'));
verifier_problem('verifier_error', 'an answer of the wrong types');
play_agent(q(echo '{"protocol": 1, "result": "failure", "checks": [5, {"name": 1}, {"result": "failed"}]}'));
verifier_problem('verifier_error', 'a failure without a check');
unlink "$dir/agent";
verifier_problem('verifier_error', 'no agent');
sql("UPDATE backup_target SET time_limit = '1 second'");
play_agent('exec sleep 1000');
verifier_problem('verifier_timeout', 'an agent that hangs');
sql("UPDATE backup_target SET time_limit = '10 minutes'");

# A sentence far too long for a notification, of characters that JSON escapes.
play_agent(q(detail=$(head -c 30000 /dev/zero | tr '\0' '\001' | sed 's/\x01/\\\\u0001/g')
printf '{"protocol": 1, "result": "failure", "checks": [{"name": "long", "result": "failed", "detail": "%s"}], "backup": {"id": "b"}}\n' "$detail"));
($status, $out, $err) = $node->psql('app', "LISTEN voxanne_ops;\nCALL verify_backup('nightly');\nSELECT 1;");
is($status, 0, 'a long message is no error');
@notified = map { decode_json($_) } $out =~ /with payload "(\{.*?\})" received/g;
is("@{[ map { $_->{status} } @notified ]}", 'failure failure', 'and its notifications are valid JSON');
is(latest('nightly'), 'failure|listed|long', 'row of the long message');

# While the agent runs nothing is held; cancel ends it.
mkfifo("$dir/gate", 0600) or die $!;
play_agent("echo \$\$ >$dir/pid\nread line <$dir/gate");
my ($call_out, $call_err) = ('', '');
my $call = IPC::Run::start(
	[ 'psql', '-X', '-d', $node->connstr('app'), '-c', "CALL verify_backup('nightly')" ],
	'>', \$call_out, '2>', \$call_err);
ok( $node->poll_query_until('app',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CALL verify_backup%' AND state = 'active'")
	  && wait_for(sub { -s "$dir/pid" }),
	'the agent runs');
is(sql("SELECT backend_xid, backend_xmin, count(l.pid) FILTER (WHERE locktype NOT IN ('virtualxid', 'userlock')) FROM pg_stat_activity a LEFT JOIN pg_locks l USING (pid)"
		. " WHERE query LIKE 'CALL verify_backup%' GROUP BY 1, 2"), '||0', 'no transaction number, snapshot or lock is held but on the turn');
my $before = sql('SELECT count(*) FROM backup_verification_log');
sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL verify_backup%'");
$call->finish;
like($call_err, qr/canceling statement due to user request/, 'cancel ends the call');
chomp(my $agent_pid = slurp_file("$dir/pid"));
ok(wait_for(sub { !kill 0, $agent_pid }), 'and its child');
is(sql('SELECT count(*) FROM backup_verification_log'), $before, 'nothing is recorded');
set_server('voxanne_ops.agent_path', $agent_path);
verify('nightly');
is(latest('nightly'), 'success|present|', 'good with the true agent');
new_posts();

# A request is answered by a verification; one made while the agent runs is kept.  A target that is
# removed meanwhile leaves no row.
sql("SELECT request_verification('nightly')");
verify('nightly');
is(sql("SELECT requested_at FROM backup_target WHERE name = 'nightly'"), '', 'a request is answered by a verification');
sql("SELECT add_backup_target('short', 'basebackup', '$backups/base')");
sql("UPDATE backup_target SET paused_at = now() WHERE name <> 'short'");
sql("SELECT request_verification('short')");
unlink "$dir/pid";
play_agent("echo \$\$ >$dir/pid\nread line <$dir/gate\necho '{\"protocol\": 1, \"result\": \"success\"}'");
$call = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('app'), '-c', 'CALL verify_backup()' ], '2>', \$call_err);
ok(wait_for(sub { -s "$dir/pid" }), 'the agent runs');
my $requested = sql("SELECT request_verification('short')");
append_to_file("$dir/gate", "go\n");
$call->finish;
is(sql("SELECT requested_at IS NOT NULL FROM backup_target WHERE name = 'short'"), 't', 'a request made meanwhile is kept');
unlink "$dir/pid";
$call = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('app'), '-c', 'CALL verify_backup()' ], '2>', \$call_err);
ok(wait_for(sub { -s "$dir/pid" }), 'the agent runs');
sql("SELECT remove_backup_target('short')");
$before = sql("SELECT count(*) FROM backup_verification_log WHERE target = 'short'");
append_to_file("$dir/gate", "go\n");
$call->finish;
is(sql("SELECT count(*) FROM backup_verification_log WHERE target = 'short'"), $before, 'no row for a target that was removed meanwhile');
sql("SELECT resume_backup_target('nightly')");
set_server('voxanne_ops.agent_path', $agent_path);
verify('nightly');

# Log retention: the latest of a target stays.
sql("INSERT INTO backup_verification_log (target, status, verified_at) SELECT t, 'success', now() - i * interval '1 day'"
	  . " FROM generate_series(1, 10) i, unnest('{gone,nightly,*}'::text[]) t");
set_server('voxanne_ops.log_retention', '5d');
verify('nightly');
is(sql("SELECT target, count(*) FILTER (WHERE verified_at < now() - interval '5 days'), min(now() - verified_at) < '2 days'"
		. " FROM backup_verification_log WHERE target IN ('gone', 'nightly', '*') GROUP BY 1 ORDER BY 1"),
	"*|0|t\ngone|0|t\nnightly|0|t", 'older rows are deleted');
sql("UPDATE backup_verification_log SET verified_at = now() - interval '1 year' WHERE target = 'gone' AND verified_at > now() - interval '30 hours'");
sql("DELETE FROM backup_verification_log WHERE target = 'gone' AND verified_at > now() - interval '1 month'");
verify('nightly');
is(sql("SELECT count(*) FROM backup_verification_log WHERE target = 'gone'"), 1, 'but never the latest');
sql("DELETE FROM backup_verification_log WHERE target = 'gone'");

# Names beyond ASCII: through the worker, which has no database while the agent runs, and in databases
# of other encodings.
my $name = "gr\x{c3}\x{b6}\x{c3}\x{9f}e";
take_backup($name);
$node->safe_psql('postgres', "CREATE DATABASE watched TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'");
set_server('voxanne_ops.databases', 'watched');
$node->safe_psql('watched', 'CREATE EXTENSION voxanne_ops');
$node->safe_psql('watched', "SELECT add_backup_target('all', 'basebackup', '$backups')");
$node->safe_psql('watched', 'CALL await_verification()');
is($node->safe_psql('watched', "SELECT status, backup_id FROM backup_verification_log WHERE target = 'all' LIMIT 1"),
	"success|$name", 'the worker keeps the name');
set_server('voxanne_ops.databases', 'postgres');
my %named = (UTF8 => "U&'gr\\00fc\\00df'", LATIN1 => "U&'gr\\00fc\\00df'", SQL_ASCII => "'gruss'", EUC_JP => "'\xb0\xa1'");
for my $encoding ('UTF8', 'LATIN1', 'SQL_ASCII', 'EUC_JP')
{
	my $database = lc $encoding;
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
	$node->safe_psql($database, 'CREATE EXTENSION voxanne_ops');
	$node->safe_psql($database, "SELECT add_backup_target('all', 'basebackup', '$backups')");
	($status, $out, $err) = $node->psql($database, 'CALL verify_backup()');
	is($status, 0, "verified in $encoding") or diag $err;
	is($node->safe_psql($database, "SELECT status, backup_id ~ '^gr.*e\$' FROM backup_verification_log WHERE target = 'all'"),
		'success|t', "row in $encoding");
	$node->safe_psql($database, "SELECT add_backup_target('elsewhere', 'basebackup', '$backups/' || $named{$encoding})");
	set_server('voxanne_ops.backup_directories', '/nowhere');
	$node->psql($database, "CALL verify_backup('elsewhere')");
	is($node->safe_psql($database, qq{SELECT error_details #>> '{0,check}', position('$backups/' || $named{$encoding} || '"' in error_details #>> '{0,detail}') > 0 FROM backup_verification_log WHERE target = 'elsewhere'}),
		'location|t', "a place that is not allowed any more, in $encoding");
	set_server('voxanne_ops.backup_directories', $backups);
	$node->safe_psql('postgres', "DROP DATABASE $database");
}

# The row of the worker: not watched, until its remedy is run.
is(sql("SELECT severity, key FROM backup_status() WHERE object = 'worker'"), 'warning|database_not_watched:worker', 'not watched');
my $remedy = sql("SELECT remedy FROM backup_status() WHERE object = 'worker'");
is($remedy, "ALTER SYSTEM SET voxanne_ops.databases = 'postgres', 'app'; SELECT pg_reload_conf();", 'its remedy');
$node->safe_psql('app', "$_;") for split /; /, $remedy;
ok($node->poll_query_until('app', "SELECT key = 'worker_ok:worker' FROM backup_status() WHERE object = 'worker'"), 'quiet after the remedy');
sql('CALL await_verification()');    # so that the worker writes nothing more
set_server('voxanne_ops.databases', 'postgres');

# Dump and restore in the same cluster: everything is there, nothing is suspended.
sql(q{SELECT add_backup_target('it''s "paused"', 'basebackup', '} . $backups . q{/base', '{"max_age": "3 days"}')});
sql(q{SELECT pause_backup_target('it''s "paused"', 'moving')});
my $content = "SELECT t::text FROM backup_target t UNION ALL SELECT l::text FROM backup_verification_log l ORDER BY 1";
my $dump = "$dir/dump.sql";
# a verifier may still be at work, and adds its rows when it is done
my $holder = $node->background_psql('app');
my $snapshot = $holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot();');
my $dumped = $holder->query_safe("$content;");
$node->command_ok([ 'pg_dump', '-d', $node->connstr('app'), "--snapshot=$snapshot", '-f', $dump ], 'pg_dump');
$holder->quit;
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('copy'), '-f', $dump ], 'restored');
is($node->safe_psql('copy', $content), $dumped, 'with all targets and rows');
is($node->safe_psql('copy', "SELECT key FROM backup_status() WHERE target = 'nightly'"), 'backup_ok:nightly', 'and active');

# In another cluster its targets are suspended, and the library is not preloaded there.
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->append_conf('postgresql.conf', "shared_preload_libraries = 'plpgsql'\nvoxanne_ops.backup_directories = '$backups'");
$other->start;
$other->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $other->connstr('postgres'), '-f', $dump ], 'restored elsewhere');
is($other->safe_psql('postgres', "SELECT severity, key, remedy FROM backup_status() WHERE target = 'nightly'"),
	"warning|backup_suspended:nightly|SELECT resume_backup_target('nightly');", 'suspended in another cluster');
($status, $out, $err) = $other->psql('postgres', 'CALL verify_backup()');
like($err, qr/there is no backup target to verify\nDETAIL:  All targets are paused, suspended or verified elsewhere/, 'not verified');
($status, $out, $err) = $other->psql('postgres', "CALL verify_backup('nightly')");
like($err, qr/backup target "nightly" is suspended/, 'not even by name');
$other->safe_psql('postgres', "SELECT resume_backup_target('nightly')");
($status, $out, $err) = $other->psql('postgres', "CALL verify_backup('nightly')");
like($err, qr/WARNING:  backup target "nightly": failure/, 'resumed: the backup is of another cluster');

is($other->safe_psql('postgres', "SELECT severity, key FROM backup_status() WHERE object = 'worker'"),
	'warning|preload_missing:worker', 'not preloaded');
$remedy = $other->safe_psql('postgres', "SELECT remedy FROM backup_status() WHERE object = 'worker'");
is($remedy, "ALTER SYSTEM SET shared_preload_libraries = 'plpgsql', 'voxanne_ops';", 'its remedy keeps the others');
$other->safe_psql('postgres', $remedy);
$other->restart;
is($other->safe_psql('postgres', 'SHOW shared_preload_libraries'), 'plpgsql, voxanne_ops', 'remedy applied');
ok($other->poll_query_until('postgres', "SELECT key = 'worker_ok:worker' FROM backup_status() WHERE object = 'worker'"), 'quiet after the remedy');

# WAL archiving: off, failing, good.
sub archive
{
	return $other->safe_psql('postgres', "SELECT severity, key FROM backup_status() WHERE object = 'wal_archive'");
}
is(archive(), 'warning|wal_archive_off:wal_archive', 'archiving is off');
$other->append_conf('postgresql.conf', "wal_level = replica\narchive_mode = on\narchive_command = ''");
$other->restart;
is(archive(), 'critical|wal_archive_not_configured:wal_archive', 'nothing to archive with');
$other->append_conf('postgresql.conf', "archive_command = 'false'");
$other->reload;
$other->safe_psql('postgres', 'CREATE TABLE t (); SELECT pg_switch_wal()');
ok($other->poll_query_until('postgres', "SELECT key = 'wal_archive_failing:wal_archive' FROM backup_status() WHERE object = 'wal_archive'"), 'failing');
$other->append_conf('postgresql.conf', "archive_command = 'true'");
$other->reload;
ok($other->poll_query_until('postgres', "SELECT key = 'wal_archive_ok:wal_archive' FROM backup_status() WHERE object = 'wal_archive'"), 'good again');
$other->stop;

# A standby answers, and writes nothing.
$node->backup('standby');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'standby', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('app', "SELECT key FROM backup_status() WHERE target = 'nightly' OR target IS NULL ORDER BY key"),
	"alerts_standby:alerts\nbackup_ok:nightly\nwal_archive_standby:wal_archive\nworker_standby:worker", 'backup_status() on a standby');
($status, $out, $err) = $standby->psql('app', 'CALL verify_backup()');
like($err, qr/cannot execute CALL verify_backup\(\) in a read-only transaction/, 'no verification on a standby');
$standby->stop;

# A lock on our tables: said, not waited for.
my $locker = $node->background_psql('app');
$locker->query_safe('BEGIN; LOCK TABLE backup_target');
is(sql("SET statement_timeout = '60s'; SELECT severity, key FROM backup_status() WHERE object LIKE '%backup_target'"),
	'warning|check_skipped:public.backup_target', 'a locked table is a skipped check');
$locker->query_safe('ROLLBACK');
$locker->quit;

kill 'TERM', $server_pid;
waitpid $server_pid, 0;
$node->stop;
done_testing();

# Poll until the condition holds.
sub wait_for
{
	my ($condition) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $condition->();
		select(undef, undef, undef, 0.1);
	}
	return 0;
}
