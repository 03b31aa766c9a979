# Secrets stay in their files: webhook and heartbeat URLs, HTTP authorization, S3 keys, Supabase token.  Looked
# for wherever they could show, before, while and after they are used, with good answers and with bad ones.
use strict;
use warnings;
use AlertServer;
use BackupServer;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WorkerTest;

my %secrets = (
	webhook => 'T0PS3CRET-hook', heartbeat => 'T0PS3CRET-pulse', http => 'T0PS3CRET',
	s3 => 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', supabase => 'sbp_T0PS3CRET');
my $pattern = 'T0PS3CRET|wJalrXUtnFEMI';
my $hooks = AlertServer->new;
$hooks->start;
my $store = BackupServer->new(
	encode_json({ 'daily/new.dump' => [ '2026-01-28T03:00:00.000Z', 'dump', [] ] }),
	encode_json({ ref => '{"region":"eu","walg_enabled":true,"pitr_enabled":false,"backups":[]}' }));
$store->body('contents');

my $node = worker_node('secrets', <<"CONF");
voxanne_ops.allow_http = on
voxanne_ops.backup_urls = '$store->{plain}/'
voxanne_ops.webhook_url_file = '@{[$hooks->url_file("/$secrets{webhook}")]}'
voxanne_ops.heartbeat_url_file = '@{[$hooks->url_file("/$secrets{heartbeat}")]}'
voxanne_ops.http_authorization_file = '@{[$store->secret('auth', "Basic $secrets{http}\n")]}'
voxanne_ops.s3_credentials_file = '@{[$store->secret('keys', "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = $secrets{s3}\n")]}'
voxanne_ops.s3_region = 'eu-test-1'
voxanne_ops.supabase_token_file = '@{[$store->secret('token', "$secrets{supabase}\n")]}'
log_statement = all
log_min_messages = debug1
log_error_verbosity = verbose
log_connections = on
CONF
$node->start;
my @said;

sub sql { return $node->safe_psql('postgres', $_[0]) }

# What a session is told, whether it goes well or not.
sub say_to_session
{
	my ($query) = @_;
	my (undef, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$query");
	push @said, "$out$err";
	return "$out$err";
}

# The places where a secret shows.
sub exposed
{
	my @where;
	for my $file (glob('/proc/[0-9]*/cmdline'), glob('/proc/[0-9]*/environ'))
	{
		open(my $fh, '<', $file) or next;
		local $/ = undef;
		push @where, $file if (<$fh> // '') =~ /$pattern/;
	}
	my @views = qw(pg_stat_activity pg_settings pg_file_settings pg_db_role_setting pg_stat_database pg_hba_file_rules
	  backup_target backup_verification_log alert_outbox backup_verification_progress backup_status());
	push @views, qw(pg_stat_statements) if sql("SELECT to_regclass('pg_stat_statements') IS NOT NULL") eq 't';
	for my $view (@views)
	{
		push @where, $view if sql("SELECT coalesce(string_agg(x::text, ' '), '') FROM $view x") =~ /$pattern/;
	}
	push @where, 'SHOW ALL' if sql('SHOW ALL') =~ /$pattern/;
	push @where, 'the server log' if slurp_file($node->logfile) =~ /$pattern/;
	push @where, 'what a session was told' if "@said" =~ /$pattern/;
	return join ' ', @where;
}

sql('CREATE EXTENSION voxanne_ops');
my $listener = $node->background_psql('postgres');
$listener->query_safe('LISTEN voxanne_ops');
my %location = (http => '/secret/x', s3 => '/bucket/daily/', supabase => '/v1/projects/ref');
my $options = '{"max_age": "3000 days", "status_interval": "300 days"}';
sql("SELECT add_backup_target('$_', '$_', '$store->{plain}$location{$_}', '$options')") for sort keys %location;
ok($node->poll_query_until('postgres', "SELECT count(DISTINCT target) = 3 FROM backup_verification_log WHERE target <> '*'"), 'one of each kind is verified');

# They are used, or this would show nothing.
is(sql("SELECT status FROM backup_verification_log WHERE target = '$_' ORDER BY verified_at DESC LIMIT 1"), $_ eq 'supabase' ? 'failure' : 'success', "$_ with its secret")
  for 'http', 's3', 'supabase';
like(sql("SELECT error_details::text FROM backup_verification_log WHERE target = 'supabase' ORDER BY verified_at DESC LIMIT 1"), qr/backup/, 'the project has no backups, which is no matter of the token');
ok(wait_until(sub { $hooks->requests("/$secrets{webhook}") > 0 }), 'so has the webhook');
sql("SELECT remove_backup_target('supabase')");
ok(wait_until(sub { sql("SET client_min_messages = error; CALL verify_backup()"); $hooks->requests("/$secrets{heartbeat}") > 0 }), 'and the heartbeat');
like(say_to_session('SELECT test_alert()'), qr/answered with status 200/, 'test_alert()');
is(exposed(), '', 'all went well: nothing shows');

# While they are used: a server and an endpoint that do not answer.
$hooks->answer('stall');
sql("SELECT add_backup_target('stalls', 'http', '$store->{plain}/stall/head', '$options')");
ok(wait_until(sub { grep { /stall/ } $store->requests }), 'an object is being fetched');
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_until(qr/begun/, "\\echo begun\nSELECT test_alert();\n");
ok(wait_until(sub { grep { $_->{mode} eq 'stall' } $hooks->requests("/$secrets{webhook}") }), 'an alert is being posted');
is(exposed(), '', 'meanwhile nothing shows');
sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%test_alert%' AND pid <> pg_backend_pid()");
# whose psql may have ended with the connection
eval { $session->quit };
push @said, $session->{stderr};
sql("SELECT remove_backup_target('stalls')");
sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'voxanne_ops verifier'");

# With bad answers: refused, repeated by the other side, garbage.
$hooks->answer('echo');
like(say_to_session('SELECT test_alert()'), qr/answered with status 404/, 'an endpoint that repeats its path');
my %bad = (refused => [ 'http', '/status/401' ], redirected => [ 'http', '/status/302' ], garbage => [ 's3', '/page-garbage/x' ],
	unknown => [ 'supabase', '/v1/projects/none' ], dies => [ 'http', '/die' ]);
for my $name (sort keys %bad)
{
	my ($kind, $path) = @{ $bad{$name} };
	sql("SELECT add_backup_target('$name', '$kind', '$store->{plain}$path', '$options')");
	like(say_to_session("CALL verify_backup('$name')"), qr/WARNING:  \w+: backup target "$name": (failure|warning)/, "$kind: $name");
}
for my $file ('auth', 'keys', 'token')
{
	chmod 0644, "$store->{dir}/$file" or die $!;
}
for my $name ('refused', 'garbage', 'unknown')
{
	say_to_session("CALL verify_backup('$name')");
	is(sql("SELECT error_details #>> '{0,check}' FROM backup_verification_log WHERE target = '$name' ORDER BY verified_at DESC LIMIT 1"), 'secret_file', "$bad{$name}[0]: a file that others may read is refused");
}
is(exposed(), '', 'nothing went well: nothing shows');

# To those who may look at the settings, the files' names; to others, not even those.
my $names = "SELECT count(*) FROM pg_settings WHERE name ~ '^voxanne_ops.*(url_file|authorization_file|credentials_file|token_file)\$' AND setting <> ''";
is(sql($names), '5', 'a superuser sees which files there are');
is(sql("CREATE ROLE nobody; SET ROLE nobody; $names"), '0', 'somebody else does not');
my $heard = '';
ok(wait_until(sub { ($heard .= $listener->query('SELECT 1')) =~ /"target":"unknown"/ }), 'notifications');
unlike($heard, qr/$pattern/, 'hold none');
$listener->quit;
is(count_log($node, 'TRAP:|PANIC'), 0, 'no assertion failed');
$node->stop;
is(scalar(grep { /$pattern/ } split /\n/, slurp_file($node->logfile)), 0, 'nor does the log at the end');
$hooks->stop;
$store->stop;
done_testing();
