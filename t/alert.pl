# Being told: alerts through alert_outbox and heartbeats, with endpoints that are there, down, slow or
# broken; crashes in between; and that the secret URLs are nowhere to be seen.
use strict;
use warnings;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use AlertServer;
use WorkerTest;

my $hook = '/hook/T0PS3CRET-hook';
my $pulse = '/pulse/T0PS3CRET-pulse';
my $web = AlertServer->new;
$web->start;

my $node = worker_node('alert', <<"CONF");
voxanne_ops.allow_http = on
voxanne_ops.instance_name = 'prod'
voxanne_ops.webhook_url_file = '@{[$web->url_file($hook)]}'
voxanne_ops.heartbeat_url_file = '@{[$web->url_file($pulse)]}'
restart_after_crash = on
log_statement = all
log_error_verbosity = verbose
CONF
$node->start;

# One query in the database of the targets.
sub sql
{
	my ($query) = @_;
	return $node->safe_psql('postgres', $query);
}

# One cycle in which every target is verified, to the end of its alerts; at a level other than status if so asked.
sub verify
{
	my ($level) = @_;
	sql(sprintf "SELECT request_verification(level => '%s')", $level // 'status');
	sql('CALL await_verification()');
	ok(wait_progress($node, 'postgres', "phase = 'idle'"), 'verified') or diag(sql('TABLE backup_verification_progress'));
	return;
}

# Let the workers' time pass; not while they note that an alert was sent, or it is sent after that time.
my $offset = 0;

sub pass_time
{
	my ($seconds) = @_;
	$offset += $seconds;
	wait_progress($node, 'postgres', "phase = 'idle'") or die 'the workers do not come to rest';
	$node->append_conf('postgresql.conf', "voxanne_ops.clock_offset = $offset");
	$node->reload;
	return;
}

sub set
{
	my ($setting, $value) = @_;
	$node->append_conf('postgresql.conf', "voxanne_ops.$setting = '$value'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('voxanne_ops.$setting') = '$value'") or die "$setting was not set";
	return;
}

# Alerts that arrived and were taken since the last call; waits for so many.
my $seen = 0;

sub new_alerts
{
	my ($count) = @_;
	my @all;
	wait_until(sub { (@all = grep { $_->{mode} eq 'ok' } $web->requests($hook)) >= $seen + $count });
	my @new = map { decode_json($_->{body}) } @all[ $seen .. $#all ];
	is(scalar @new, $count, "$count alerts arrived") or diag(map { $_->{text} } @new);
	$seen = @all;
	return @new;
}

sub outbox
{
	my ($columns) = @_;
	return sql("SELECT $columns FROM alert_outbox ORDER BY created_at, id");
}

sub status
{
	my ($object) = @_;
	return sql("SELECT severity, key FROM backup_status() WHERE object = '$object'");
}

# Before anything happens.
sql('CREATE EXTENSION voxanne_ops');
is(status('alerts'), 'info|alerts_ok:alerts', 'no alert yet');
is(status('heartbeat'), 'info|heartbeat_ok:heartbeat', 'no heartbeat yet');

# A good cycle: a heartbeat, no alert.
add_target($node, 'postgres', 'nightly');
sql("UPDATE backup_target SET status_interval = '10 days', max_age = '30 days'");
sql('CALL await_verification()');
ok(wait_until(sub { $web->requests($pulse) >= 1 }), 'a heartbeat after a good cycle');
is(($web->requests($pulse))[0]{method}, 'GET', 'by GET');
ok($node->poll_query_until('postgres', "SELECT detail ~ '^The last heartbeat arrived ' FROM backup_status() WHERE object = 'heartbeat'"), 'and backup_status() knows');
is(outbox('id'), '', 'nothing to tell');

# A backup turns bad: told once, and no heartbeat.
my $pulses = $web->requests($pulse);
break_backup($node);
verify();
my ($alert) = new_alerts(1);
like($alert->{text}, qr{^CRITICAL \[prod\] nightly: the newest backup is not usable\. Last good: none known\. Cause: 1 of 3 files is missing: &lt;a&amp;b&gt;\. Next: CALL verify_backup\('nightly'\);$}, 'text');
is(join(' ', map { $alert->{$_} // 'none' } qw(severity event target key status previous_status instance database backup_id)),
	'critical problem nightly backup_failed:nightly failure success prod postgres none', 'members');
is($alert->{next}, "CALL verify_backup('nightly');", 'what to do');
like($alert->{message}, qr/: <a&b>\.$/, 'only the text is escaped');
is(outbox('id, severity, event, open, attempts, next_attempt_at, sent_at >= created_at, outcome'),
	"$alert->{id}|critical|problem|t|1||t|http://127.0.0.1:$web->{port} answered with status 200.", 'row');
verify() for 1 .. 2;
new_alerts(0);
is(outbox('event'), 'problem', 'not again while it stays the same');
is(scalar $web->requests($pulse), $pulses, 'no heartbeat while a backup is bad');

# Reminders, though nothing is verified.
my $runs = agent_runs($node);
pass_time(3500);
sql('CALL await_verification()');
new_alerts(0);
pass_time(200);
($alert) = new_alerts(1);
like($alert->{text}, qr/^CRITICAL \[prod\] nightly: the newest backup is not usable \(reminder, bad for 1(\.\d)? h\)\. Last good: .* Next: /, 'a reminder after an hour');
is("$alert->{event} $alert->{status} $alert->{previous_status}", 'reminder failure failure', 'says that it is one');
pass_time(3700);
($alert) = new_alerts(1);
like($alert->{text}, qr/bad for 2\.1 h/, 'and every hour');
is(scalar agent_runs($node), $runs, 'without verifying');
ok(wait_progress($node, 'postgres', "phase = 'idle' AND last_result IN ('alerts only', 'nothing due')"), 'idle again');
is(outbox('event, open'), "problem|f\nreminder|f\nreminder|t", 'the latest word is the open one');
sql("SELECT pause_backup_target('nightly', 'test')");
pass_time(3700);
sql('CALL await_verification()');
new_alerts(0);
pass('not while it is paused');
sql("SELECT resume_backup_target('nightly')");
($alert) = new_alerts(1);
is($alert->{event}, 'reminder', 'but when it is resumed');

# Good again: told once.
mend_backup($node);
verify();
($alert) = new_alerts(1);
like($alert->{text}, qr/^INFO \[prod\] nightly: good again after 3\.\d h\. Backup is /, 'recovery');
is("$alert->{event} $alert->{status} $alert->{previous_status} $alert->{key}", 'recovery success failure backup_failed:nightly', 'of what was told');
verify();
new_alerts(0);
is(sql('SELECT count(*) FROM alert_outbox WHERE open'), '0', 'nothing is open');
ok(wait_until(sub { $web->requests($pulse) > $pulses }), 'a heartbeat again');

# Another cause is news, the same severity or not.
break_backup($node, 'mute');
verify();
($alert) = new_alerts(1);
like($alert->{text}, qr/^CRITICAL \[prod\] nightly: the backup could not be verified\. Last good: base, .* Cause: .* exit status 1/, 'a backup that cannot be verified');
mend_backup($node);
break_backup($node);
verify();
($alert) = new_alerts(1);
is("$alert->{event} $alert->{key} $alert->{previous_status}", 'problem backup_failed:nightly failure', 'is not the same as a bad one');
mend_backup($node);
verify();
new_alerts(1);

# Nobody listens.  What is to be told waits, in order, through a crash, and is told once.
$web->stop;
break_backup($node);
my $log = -s $node->logfile;
verify();
ok($node->log_contains(qr/LOG: .*could not post the alert about backup target "nightly"/, $log), 'a failed attempt is logged');
is(sql("SELECT attempts, outcome ~ 'no connection could be made', sent_at FROM alert_outbox WHERE open"), '1|t|', 'and counted');
is(status('alerts'), 'info|alerts_ok:alerts', 'one failed attempt is no reason to worry');
for my $attempt (2 .. 3)
{
	pass_time(60);
	ok($node->poll_query_until('postgres', "SELECT attempts >= $attempt FROM alert_outbox WHERE open"), "attempt $attempt");
}
is(status('alerts'), 'warning|alerts_failing:alerts', 'three are');
like(sql("SELECT detail FROM backup_status() WHERE object = 'alerts'"), qr/^1 alert is not delivered yet, .* \d+ attempts failed: .*no connection could be made/, 'with the reason');
mend_backup($node);
verify();
break_backup($node);
verify();
is(sql('SELECT event FROM alert_outbox WHERE sent_at IS NULL ORDER BY created_at'), "problem\nrecovery\nproblem", 'all that happened is kept');
pass_time(7200);
sql('CALL await_verification()');
is(sql("SELECT count(*) FROM alert_outbox WHERE sent_at IS NULL"), '3', 'without reminders of what nobody has heard');
my $ids = sql('SELECT id FROM alert_outbox WHERE sent_at IS NULL ORDER BY created_at');
$node->stop('immediate');
$node->start;
is(sql('SELECT id FROM alert_outbox WHERE sent_at IS NULL ORDER BY created_at'), $ids, 'also through a crash');
$web->start;
pass_time(7200);
my @alerts = new_alerts(3);
is(join("\n", map { $_->{id} } @alerts), $ids, 'then all arrive, in order');
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM alert_outbox WHERE sent_at IS NULL'), 'nothing is left');
new_alerts(0);
is(status('alerts'), 'info|alerts_ok:alerts', 'quiet after the remedy');

# The endpoint is ill.
$web->answer('500');
mend_backup($node);
verify();
is(sql("SELECT attempts, outcome, next_attempt_at > created_at FROM alert_outbox WHERE sent_at IS NULL"),
	"1|http://127.0.0.1:$web->{port} answered with status 500.|t", 'status 500 is a failed attempt');
$web->answer('429');
pass_time(60);
ok($node->poll_query_until('postgres', 'SELECT attempts = 2 FROM alert_outbox WHERE sent_at IS NULL'), 'and 429');
is(sql("SELECT next_attempt_at - clock_timestamp() > '$offset s'::interval + '200 s' FROM alert_outbox WHERE sent_at IS NULL"), 't', 'after which it is left alone as long as it wants');
$web->answer('ok');
pass_time(600);
($alert) = new_alerts(1);
is($alert->{event}, 'recovery', 'delivered at last');

# Where a secret is to be seen: command lines and environments of processes, sessions, settings.
sub exposed
{
	my @where;
	for my $file (glob('/proc/[0-9]*/cmdline'), glob('/proc/[0-9]*/environ'))
	{
		open(my $fh, '<', $file) or next;
		local $/ = undef;
		push @where, $file if (<$fh> // '') =~ /T0PS3CRET/;
	}
	push @where, grep { sql("SELECT count(*) FROM $_ AS x WHERE x::text LIKE '%T0PS3' || 'CRET%'") > 0 } 'pg_stat_activity', 'pg_settings';
	return join ' ', @where;
}

# It does not answer at all; meanwhile nothing is held up.
my $listener = $node->background_psql('postgres');
$listener->query_safe('LISTEN voxanne_ops');
$web->answer('stall');
break_backup($node);
my $stalled = grep { $_->{mode} eq 'stall' } $web->requests($hook);
sql('SELECT request_verification()');
ok($node->poll_query_until('postgres', "SELECT status = 'failure' FROM backup_verification_log WHERE target = 'nightly' ORDER BY verified_at DESC LIMIT 1"),
	'recorded before it is told');
ok(wait_until(sub { (grep { $_->{mode} eq 'stall' } $web->requests($hook)) > $stalled }), 'it is being told');
my ($verifier, $phase) = split /\|/, progress($node, 'postgres', 'pid, phase');
is($phase, 'alerting', 'phase');
is(sql("SELECT count(*), count(datname), count(backend_xmin), count(xact_start) FROM pg_stat_activity WHERE pid = $verifier"), '1|0|0|0', 'the verifier holds nothing');
is(sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'voxanne_ops %' AND datname IS NOT NULL"), '0', 'nor does anybody else');
is(exposed(), '', 'no URL in a process title, an environment, pg_stat_activity or pg_settings');
my $rows = sql("SELECT count(*) FROM backup_verification_log WHERE target = 'nightly'");
sql('SELECT request_verification()');
sql('CALL await_verification()');
is(sql("SELECT count(*) - $rows FROM backup_verification_log WHERE target = 'nightly'"), '1', 'a verification that is asked for meanwhile is done');
is(sql('SELECT attempts FROM alert_outbox WHERE sent_at IS NULL'), '0', 'before it has ended');
my $heard = '';
ok(wait_until(sub { ($heard .= $listener->query('SELECT 1')) =~ /"target":"nightly","status":"failure"/ }), 'listeners were notified');
$listener->quit;
is(sql("SELECT sent_at, next_attempt_at > created_at, open FROM alert_outbox ORDER BY created_at DESC LIMIT 1"), '|t|t', 'it counts as not delivered');
new_alerts(0);

# kill -9 in the middle of it.
my $scheduler = progress($node, 'postgres', 'scheduler_pid');
PostgreSQL::Test::Utils::system_or_bail('pg_ctl', 'kill', 'KILL', $verifier);
ok($node->poll_query_until('postgres', "SELECT max(scheduler_pid) <> $scheduler FROM backup_verification_progress WHERE database = 'postgres'"), 'after a crash');
is(sql("SELECT attempts, sent_at FROM alert_outbox ORDER BY created_at DESC LIMIT 1"), '0|', 'it still is to be delivered');
$web->answer('ok');
pass_time(300);
($alert) = new_alerts(1);
is($alert->{event}, 'problem', 'and is');

# The end of the server in the middle of it: at once, and nothing is lost.
mend_backup($node);
$web->answer('stall');
$stalled = grep { $_->{mode} eq 'stall' } $web->requests($hook);
sql('SELECT request_verification()');
ok(wait_until(sub { (grep { $_->{mode} eq 'stall' } $web->requests($hook)) > $stalled }), 'it is being told');
$node->stop('fast');
$web->answer('ok');
$node->start;
pass_time(300);
($alert) = new_alerts(1);
is($alert->{event}, 'recovery', 'told after the restart');

# The same in the session of a user, who is told, too.
$web->answer('500');
break_backup($node);
pass_time(-$offset);
sql("DELETE FROM backup_verification_log WHERE verified_at > clock_timestamp(); UPDATE alert_outbox SET created_at = least(created_at, now()), since = least(since, now()), sent_at = least(sent_at, now())");
ok(wait_progress($node, 'postgres', "phase = 'idle'"), 'idle');
my (undef, undef, $said) = $node->psql('postgres', "CALL verify_backup('nightly')");
like($said, qr/WARNING: .*could not post the alert about backup target "nightly"/, 'a session is told');
unlike($said, qr/T0PS3CRET/, 'without the URL');
$web->answer('ok');
pass_time(60);
($alert) = new_alerts(1);
is($alert->{event}, 'problem', 'and the worker tries again');

# The target is removed, or the webhook is.
sql("SELECT remove_backup_target('nightly')");
($alert) = new_alerts(1);
is($alert->{text}, 'INFO [prod] nightly: the backup target was removed, so nothing is verified for it any more.', 'a removed target');
is(status('alerts'), 'info|alerts_ok:alerts', 'delivered');
set('webhook_url_file', '');
is(status('alerts'), 'info|alerts_off:alerts', 'no webhook');
add_target($node, 'postgres', 'weekly');
verify();
is(sql('SELECT count(*) FROM alert_outbox WHERE subject = \'weekly\''), '0', 'nothing is written that nobody wants to hear');
set('webhook_url_file', $web->url_file('/second'));
verify();
ok(wait_until(sub { $web->requests('/second') == 1 }), 'what is bad when a webhook is set is told');
mend_backup($node);
# the new target was first verified at both levels
verify('verify');
ok(wait_until(sub { $web->requests('/second') == 2 }), 'and its end');
set('webhook_url_file', $web->url_file($hook));

# The heartbeat does not arrive: that is no failure of the cycle.
set('heartbeat_url_file', $web->url_file('/pulse2/T0PS3CRET-pulse'));
$web->answer('echo');
$log = -s $node->logfile;
verify();
is(progress($node, 'postgres', "last_error IS NULL"), 't', 'a failed heartbeat does not fail the cycle');
ok(wait_until(sub { $node->log_contains(qr/LOG: .*could not send the heartbeat/, $log) }), 'it is logged');
is(status('heartbeat'), 'warning|heartbeat_failing:heartbeat', 'and shown');
$web->answer('ok');
verify();
is(status('heartbeat'), 'info|heartbeat_ok:heartbeat', 'until the next arrives');

# test_alert() returns what came back, but for a secret.
is(sql("SELECT test_alert('warning')"), "http://127.0.0.1:$web->{port} answered with status 200. It said: all right", 'test_alert()');
($alert) = new_alerts(1);
is("$alert->{text} $alert->{event}", 'WARNING [prod] test_alert: This is a test, nothing is wrong. test', 'what it sent');
$web->answer('500');
(undef, undef, $said) = $node->psql('postgres', 'SELECT test_alert()');
like($said, qr/could not post the alert\nDETAIL:  http.* answered with status 500\. It said: no$/m, 'or says why not');
$web->answer('echo');
(undef, undef, $said) = $node->psql('postgres', 'SELECT test_alert()');
like($said, qr/answered with status 404\.$/m, 'an answer that repeats the URL is not shown');
unlike($said, qr/T0PS3CRET/, 'nowhere');

# Retention.
$web->answer('ok');
sql("UPDATE alert_outbox SET created_at = created_at - interval '29 days'");
verify();
cmp_ok(sql('SELECT count(*) FROM alert_outbox'), '>', 0, 'delivered alerts are kept');
break_backup($node);
verify();
new_alerts(1);
sql("UPDATE alert_outbox SET created_at = created_at - interval '31 days'");
verify();
is(outbox('subject, event, open'), 'weekly|problem|t', 'for a while, and the latest word on what is not over for ever');

# Nowhere a secret.
is(count_log($node, 'T0PS3CRET'), 0, 'no URL in the log');
unlike($heard, qr/T0PS3CRET/, 'nor in a notification');
unlike(outbox('alert_outbox') . sql('SELECT string_agg(s::text, \' \') FROM backup_status() s'), qr/T0PS3CRET/, 'nor in the outbox or backup_status()');
is(exposed(), '', 'nor anywhere else');
is(count_log($node, 'TRAP:|PANIC'), 0, 'no assertion failed');
$node->stop;
$web->stop;
done_testing();
