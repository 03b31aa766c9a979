# kill -9, whenever it hits: every process of a cycle in each of its phases, held there by a lock, a pipe or
# an endpoint.  Nothing that was found is lost, nothing is half written, and every change is told, repeated
# at most under the same id.
use strict;
use warnings;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use AlertServer;
use WorkerTest;

my $web = AlertServer->new;
$web->start;
my $node = worker_node('worker_kill', <<"CONF");
voxanne_ops.allow_http = on
voxanne_ops.webhook_url_file = '@{[$web->url_file('/hook')]}'
voxanne_ops.alert_repeat_critical = 0
restart_after_crash = on
CONF
$node->start;
add_target($node, 'postgres', 'other', 'other');
add_target($node, 'postgres', 'nightly');
sub sql { return $node->safe_psql('postgres', $_[0]) }
ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM backup_verification_log WHERE target = 'nightly'"), 'verified once');
sql("UPDATE backup_target SET status_interval = '300 days', verify_interval = '300 days', max_age = '3000 days'");
sql("SELECT pause_backup_target('other', 'only for sessions')");
sql('CALL await_verification()');

my $good = 1;
my $offset = 0;
my $before;      # what the log holds and the endpoint has got before a cycle
my %told;

# Ids of alerts that arrived.
sub ids { return map { decode_json($_->{body})->{id} } grep { $_->{mode} ne 'stall' } $web->requests('/hook') }

# Ask for a cycle in which the target is another than in the one before.
sub start_cycle
{
	$before = sql("SELECT count(*) FROM backup_verification_log");
	%told = map { $_ => 1 } ids();
	$good ? break_backup($node) : mend_backup($node);
	$good = !$good;
	sql("SELECT request_verification('nightly')");
	return;
}

# Kill the process that a query finds in its phase, which it may be leaving when we come; and see the server
# come back from that.
sub kill_found
{
	my ($query) = @_;
	my $crashes = count_log($node, 'was terminated by signal 9');
	ok( wait_until(
			sub {
				return 1 if count_log($node, 'was terminated by signal 9') > $crashes;
				my (undef, $pid) = $node->psql('postgres', "SELECT pid FROM pg_stat_activity WHERE $query LIMIT 1");
				kill 9, $pid if ($pid // '') =~ /^\d+$/;
				return 0;
			}),
		'killed');
	ok($node->poll_query_until('postgres', "SELECT max(scheduler_pid) IS NOT NULL FROM backup_verification_progress WHERE database = 'postgres'"), 'there is a scheduler again');
	return;
}

# In the end the log has the new state, whole, and the endpoint one alert more.
sub cycle_is_whole
{
	my ($what) = @_;
	my $status = $good ? 'success' : 'failure';
	ok($node->poll_query_until('postgres', "SELECT status = '$status' FROM backup_verification_log WHERE target = 'nightly' ORDER BY verified_at DESC LIMIT 1"), "$what: it is recorded");
	is(sql("SELECT count(*) FROM backup_verification_log t FULL JOIN backup_verification_log a ON a.target = '*' AND t.target <> '*' AND t.verified_at = a.verified_at - interval '1 microsecond'
			WHERE t.id IS NULL AND a.target = '*' OR a.id IS NULL AND t.target <> '*'"), '0', 'each row of a target with its row for all');
	is(sql('SELECT count(*) FROM backup_target WHERE requested_at IS NOT NULL'), '0', 'what was requested is done');
	# whoever died with a claim is waited for two minutes
	$offset += 300;
	$node->append_conf('postgresql.conf', "voxanne_ops.clock_offset = $offset");
	$node->reload;
	ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM alert_outbox WHERE sent_at IS NULL'), 'nothing is left to tell');
	my %new = map { $_ => 1 } grep { !$told{$_} } ids();
	is(scalar(keys %new), 1, 'the change was told');
	is(sql("SELECT event FROM alert_outbox WHERE id = '" . (keys %new)[0] . "'"), $good ? 'recovery' : 'problem', 'as what it is');
	is(sql("SELECT count(*) FROM alert_outbox WHERE open"), $good ? '0' : '1', 'and is the latest word');
	ok(wait_progress($node, 'postgres', "phase = 'idle'"), 'idle');
	return;
}

sub lock_table
{
	my ($table) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_safe("BEGIN; LOCK TABLE $table IN ACCESS EXCLUSIVE MODE");
	return $session;
}
my $waits = "wait_event_type = 'Lock'";

sub watch
{
	my ($databases, $count) = @_;
	$node->append_conf('postgresql.conf', "voxanne_ops.databases = '$databases'");
	$node->reload;
	ok($node->poll_query_until('postgres', "SELECT count(DISTINCT database) = $count FROM backup_verification_progress"), "databases: '$databases'");
	return;
}

# The child that a process has, or undef.
sub child_of
{
	my ($parent) = @_;
	for my $pid (grep { /^\d+$/ } slurp_dir('/proc'))
	{
		open(my $file, '<', "/proc/$pid/stat") or next;
		my @fields = split ' ', (<$file> // '') =~ s/^.*\) //sr;
		return $pid if ($fields[1] // '') eq $parent;
	}
	return;
}

# plan: the planner waits for backup_target, in which there is a request.
watch('', 0);
start_cycle();
my $locker = lock_table('backup_target');
watch('postgres', 1);
kill_found("backend_type = 'voxanne_ops planner' AND $waits");
$locker->quit;
cycle_is_whole('a killed planner');

# run: the verifier, the scheduler, and the program itself.
for my $victim ('verifier', 'scheduler')
{
	my $runs = agent_runs($node);
	hold_agent($node);
	start_cycle();
	agent_pid($node, $runs + 1);
	kill_found("backend_type = 'voxanne_ops $victim' AND EXISTS (SELECT FROM backup_verification_progress WHERE phase = 'running')");
	is(sql("SELECT count(*) FROM backup_verification_log"), $before, 'nothing was recorded');
	release_agent($node);
	cycle_is_whole("a killed $victim");
}
# The program itself: a result, which says nothing about the backup, and the next one does.
my $runs = agent_runs($node);
hold_agent($node);
sql("SELECT request_verification('nightly')");
kill 9, agent_pid($node, $runs + 1);
my $latest = "FROM backup_verification_log WHERE target = 'nightly' ORDER BY verified_at DESC LIMIT 1";
ok($node->poll_query_until('postgres', "SELECT error_details #>> '{0,check}' = 'verifier_error' AND error_details #>> '{0,detail}' LIKE '%was ended by signal 9: Killed.%' $latest"),
	'a killed agent is a failed verification');
release_agent($node);
ok(!$good, 'the backup is bad');
sql("SELECT request_verification('nightly')");
ok($node->poll_query_until('postgres', "SELECT error_details #>> '{0,check}' = 'manifest' $latest"), 'which the next verification finds');
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM alert_outbox WHERE sent_at IS NULL'), 'both are told');

# record: the recorder waits for the log.
$runs = agent_runs($node);
hold_agent($node);
start_cycle();
agent_pid($node, $runs + 1);
$locker = lock_table('backup_verification_log');
release_agent($node);
kill_found("backend_type = 'voxanne_ops recorder' AND $waits");
$locker->quit;
cycle_is_whole('a killed recorder');

# record, in the middle of it: the row of the target is written, that of the outbox waits.
$runs = agent_runs($node);
hold_agent($node);
start_cycle();
agent_pid($node, $runs + 1);
$locker = lock_table('alert_outbox');
release_agent($node);
kill_found("backend_type = 'voxanne_ops recorder' AND $waits AND backend_xid IS NOT NULL");
$locker->quit;
cycle_is_whole('a recorder killed half-way');

# post: the messenger, with its child; then the child alone.
$web->answer('hold');
start_cycle();
my $poster;

# Wait until a messenger's child talks to the endpoint.
sub await_poster
{
	ok( wait_until(
			sub {
				my $messenger = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'voxanne_ops messenger'");
				return $messenger ne '' && ($poster = child_of($messenger)) && grep { !$told{$_} } ids();
			}),
		'an alert is being posted');
	return;
}
await_poster();
kill_found("backend_type = 'voxanne_ops messenger'");
ok(wait_until(sub { !kill(0, $poster) }), 'its child has ended, too');
$web->answer('ok');
cycle_is_whole('a killed messenger');

$web->answer('hold');
start_cycle();
await_poster();
kill 9, $poster;
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM alert_outbox WHERE sent_at IS NULL AND attempts > 0 AND outcome IS NOT NULL"), 'a killed child is a failed attempt');
like(sql('SELECT outcome FROM alert_outbox WHERE sent_at IS NULL'), qr/signal 9/, 'which says why');
$web->answer('ok');
cycle_is_whole('a killed child of the messenger');

# settle: delivered, but not noted: told again, under the same id.
$web->answer('hold');
start_cycle();
await_poster();
$locker = lock_table('alert_outbox');
$web->answer('ok');
kill_found("backend_type = 'voxanne_ops recorder' AND $waits");
$locker->quit;
cycle_is_whole('a recorder killed before it noted the delivery');

# The end of the server, and of a session: no child is left when it has ended.
for my $mode ('fast', 'immediate')
{
	$runs = agent_runs($node);
	hold_agent($node);
	start_cycle();
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_until(qr/begun/, "\\echo begun\nCALL verify_backup('other');\n");
	agent_pid($node, $runs + 2);
	my @children = (agent_runs($node))[ $runs, $runs + 1 ];
	$node->stop($mode);
	for my $pid (@children)
	{
		ok($mode eq 'fast' ? !kill(0, $pid) : wait_until(sub { !kill(0, $pid) }), "no child is left after a shutdown ($mode)");
	}
	$session->{run}->kill_kill;
	$node->start;
	release_agent($node);
	cycle_is_whole("a shutdown ($mode)");
}
is(count_log($node, 'TRAP:|PANIC'), 0, 'no assertion failed');
$node->stop;
$web->stop;
done_testing();

