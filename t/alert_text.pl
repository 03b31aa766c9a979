# What an alert says of a backup that grows old, and of one that fails when it is old: from the log to the webhook.
use strict;
use warnings;
use AlertServer;
use JSON::PP;
use POSIX qw(strftime);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WorkerTest;

my $web = AlertServer->new;
$web->start;
my $node = worker_node('text', "voxanne_ops.allow_http = on\nvoxanne_ops.instance_name = 'prod'\nvoxanne_ops.webhook_url_file = '" . $web->url_file('/hook') . "'\n");
$node->start;
sub sql { return $node->safe_psql('postgres', $_[0]) }

# From now on the newest backup is this one, which ended so many hours ago; when that was, as alerts write it.
sub finish_backup
{
	my ($id, $hours) = @_;
	my @time = gmtime(time - $hours * 3600 - 60);
	unlink agent_directory($node) . '/size.new';
	append_to_file(agent_directory($node) . '/size.new', "1048576 $id " . strftime('%Y-%m-%dT%H:%M:%SZ', @time) . "\n");
	rename agent_directory($node) . '/size.new', agent_directory($node) . '/size' or die $!;
	return strftime('%Y-%m-%d %H:%M UTC', @time);
}

# Verify, and the text of the alert that this leads to.
my $seen = 0;
sub told
{
	sql("SELECT request_verification('nightly')");
	sql('CALL await_verification()');
	my @alerts;
	ok(wait_until(sub { (@alerts = $web->requests('/hook')) > $seen }), 'told');
	is(scalar @alerts, ++$seen, 'once');
	return decode_json($alerts[-1]{body});
}

finish_backup('monday', 1);
add_target($node, 'postgres', 'nightly');
ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM backup_verification_log WHERE target = 'nightly'"), 'verified');
sql("UPDATE backup_target SET status_interval = '300 days', verify_interval = '300 days'");
sql('CALL await_verification()');

# It is older than the limit, and than twice that.
my $time = finish_backup('monday', 31);
my $alert = told();
is($alert->{text}, "WARNING [prod] nightly: no usable backup for 31 h (limit 24 h). Last good: monday, $time. Cause: The backup is 31 h old, past the 24 h allowed. Next: CALL verify_backup('nightly');", 'older than allowed');
is("$alert->{severity} $alert->{event} $alert->{backup_id}", 'warning problem monday', 'for programs');
is(int $alert->{age_hours}, 31, 'with its age');
$time = finish_backup('monday', 49);
is(told()->{text}, "CRITICAL [prod] nightly: no usable backup for 2 days (limit 24 h). Last good: monday, $time. Cause: The backup is 2 days old, past the 24 h allowed. Next: CALL verify_backup('nightly');", 'twice as old');
is(sql("SELECT severity FROM backup_status() WHERE target = 'nightly'"), 'critical', 'as in backup_status()');
finish_backup('tuesday', 2);
like(told()->{text}, qr/^INFO \[prod\] nightly: good again after /, 'a new backup');

# There is a newer one, which is damaged.
$time = finish_backup('tuesday', 31);
sql("SELECT alter_backup_target('nightly', '{\"max_age\": \"40 h\"}'), request_verification('nightly')");
sql('CALL await_verification()');
is(sql("SELECT severity FROM backup_status() WHERE target = 'nightly'"), 'info', 'as old as is allowed now');
sql("SELECT alter_backup_target('nightly', '{\"max_age\": null}')");
finish_backup('wednesday', 1);
break_backup($node);
$alert = told();
is($alert->{text}, "CRITICAL [prod] nightly: no usable backup for 31 h (limit 24 h). Last good: tuesday, $time. Cause: 1 of 3 files is missing: &lt;a&amp;b&gt;. Next: CALL verify_backup('nightly');", 'the newest is damaged, and the one before is old');
is("$alert->{severity} $alert->{event} $alert->{key} $alert->{backup_id}", 'critical problem backup_failed:nightly tuesday', 'for programs');
is(count_log($node, 'TRAP:|PANIC'), 0, 'no assertion failed');
$node->stop;
$web->stop;
done_testing();
