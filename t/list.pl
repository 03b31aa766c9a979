# Backups that others keep: http, s3, supabase; what the agent says of them, and a target of each kind.
use strict;
use warnings;
use utf8;
use BackupServer;
use Cwd;
use Digest::SHA qw(sha256_hex sha256_base64);
use Encode qw(encode_utf8);
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $agent = getcwd() . '/voxanne_agent';
my $json  = JSON::PP->new->utf8->canonical;
my $dump  = 'dump ' x 1000;

# Keys that want canonical encoding; the newest below each prefix is the one to be found.
my %objects = (
	'daily/old.dump' => [ '2026-01-26T03:00:00.000Z', 'old', [] ],
	'daily/new.dump' => [ '2026-01-28T03:00:00.000Z', $dump, [ 'x-amz-checksum-sha256: ' . sha256_base64($dump) . '=' ] ],
	'daily/sub/' => [ '2026-02-28T03:00:00.000Z', '', [] ],
	'daily/a' => [ '2026-01-01T03:00:00.000Z', 'a', [] ],
	'wrong/x' => [ '2026-01-28T03:00:00.000Z', 'contents', [ 'x-amz-checksum-sha256: ' . sha256_base64('others') . '=' ] ],
	'parts/x' => [ '2026-01-28T03:00:00.000Z', 'contents', [ 'x-amz-checksum-sha256: ' . sha256_base64('others') . '=-3' ] ],
	'cold/x' => [ '2026-01-28T03:00:00.000Z', 'contents', ['x-amz-storage-class: DEEP_ARCHIVE'] ],
	'thawed/x' => [ '2026-01-28T03:00:00.000Z', 'contents', [ 'x-amz-storage-class: GLACIER', 'x-amz-restore: ongoing-request="false", expiry-date="x"' ] ],
	'empty/x' => [ '2026-01-28T03:00:00.000Z', '', [] ],
	'future/x' => [ '2099-01-28T03:00:00.000Z', 'contents', [] ],
	(map { ("odd/$_/" . $_ => [ '2026-01-28T03:00:00.000Z', "contents of $_", [] ]) }
		'a b', 'a+b', 'a~b', 'a//b', 'Größe €', 'a&b=c', 'a%20b', 'a?b#c', q{a'b"<c>}, 'a=b;c,d', '..', '*(!)'),
);
my %projects = (
	pitr => '{"region":"eu","walg_enabled":true,"pitr_enabled":true,"backups":[],"physical_backup_data":{"earliest_physical_backup_date_unix":1767000000,"latest_physical_backup_date_unix":1769569200}}',
	young => '{"pitr_enabled":true,"backups":null,"physical_backup_data":{"earliest_physical_backup_date_unix":1769469200,"latest_physical_backup_date_unix":1769569200}}',
	nowindow => '{"walg_enabled":true,"pitr_enabled":true,"backups":[],"physical_backup_data":{}}',
	daily => '{"region":"eu","walg_enabled":true,"pitr_enabled":false,"backups":[{"id":7,"is_physical_backup":true,"status":"COMPLETED","inserted_at":"2026-01-27T03:00:00.123Z"},{"is_physical_backup":true,"status":"COMPLETED","inserted_at":"2026-01-28T03:00:00Z"},{"id":9,"status":"PENDING","inserted_at":"2026-01-29T03:00:00Z"}],"physical_backup_data":null,"more":[{"a":[1,{}]},null]}',
	failed => '{"pitr_enabled":false,"backups":[{"id":7,"status":"COMPLETED","inserted_at":"2026-01-27T03:00:00Z"},{"id":8,"status":"FAILED","inserted_at":"2026-01-28T03:00:00+00:00"}]}',
	future => '{"pitr_enabled":false,"backups":[{"id":7,"status":"COMPLETED","inserted_at":"2099-01-27T03:00:00Z"}]}',
	none => '{"walg_enabled":true,"pitr_enabled":false,"backups":[]}',
	null => '{"walg_enabled":true,"pitr_enabled":false,"backups":null}',
	text => 'Bad gateway', cut => '{"pitr_enabled":false,"backups":[', types => '{"pitr_enabled":"no"}', notime => '{"pitr_enabled":false,"backups":[{"status":"COMPLETED"}]}',
	deep => '{"pitr_enabled":false,"x":' . '[' x 40 . ']' x 40 . '}', missing => '{"backups":[]}', after => '{"pitr_enabled":false,"backups":[]} x',
);
my $web = BackupServer->new($json->encode(\%objects), $json->encode(\%projects));
my $keys = $web->secret('keys', "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\n");
my $token = $web->secret('token', "sbp_T0PS3CRET\n");
$web->body($dump);

# Run list; its document.
sub ask
{
	my ($provider, $path, %more) = @_;
	my %request = (provider => $provider, url => "$web->{plain}$path", allow_http => JSON::PP::true, timeout_ms => 30000, %more);
	my ($out, $err) = ('', '');
	IPC::Run::run([ $agent, 'list', '--format', 'json' ], '<', \$json->encode(\%request), '>', \$out, '2>', \$err);
	my $status = $? >> 8;
	unlike("$out$err", qr/T0PS3CRET|wJalrXUtnFEMI/, "no secret: $provider $path");
	my $document = $json->decode($out);
	is($status, { success => 0, warning => 0, failure => 1, error => 3 }->{ $document->{result} }, "exit status: $provider $path") or diag($out . $err);
	return $document;
}

# The result, what is not passed (or the error's code), and the proof, as one text.
sub verdict
{
	my ($document) = @_;
	return join ' ', $document->{result}, $document->{error} ? $document->{error}{code} : (map { "$_->{name}=$_->{result}" } grep { $_->{result} ne 'passed' } @{ $document->{checks} }), $document->{proof} // '-';
}
sub verdict_is
{
	my ($provider, $path, $expected, %more) = @_;
	my $document = ask($provider, $path, %more);
	is(verdict($document), $expected, "$provider $path") or diag(explain $document);
	return $document;
}
my %deep = (level => 'verify', timeout_ms => 3000);

# http: what the server says, and what it has.
my $document = verdict_is('http', '/good/my%20base.dump', 'success present');
is_deeply($document->{backup}, { id => 'my base.dump', finished_at => '2026-01-28T03:00:00Z', size_bytes => 5000, etag => '"one"' }, 'what is known of it');
is("$document->{command} $document->{provider} $document->{level}", 'list http status', 'what was done');
$document = verdict_is('http', '/good/x', 'success present', %deep);
is($document->{backup}{sha256}, sha256_hex($dump), 'SHA-256');
my %before = map { ("previous_$_" => $document->{backup}{$_}) } qw(id finished_at size_bytes etag sha256);
verdict_is('http', '/good/x', 'success checksummed', %deep, %before);
verdict_is('http', '/good/x', 'success present', %deep, %before, previous_etag => '"two"');
verdict_is('http', '/good/x', 'success present', %deep, %before, previous_finished_at => '2026-01-27T03:00:00Z');
$web->body('dump?' x 1000);
verdict_is('http', '/good/x', 'failure digest=failed present', %deep, %before);
$web->body($dump);
verdict_is('http', '/none', 'failure object=failed -');
verdict_is('http', '/empty/x', 'failure object=failed present');
verdict_is('http', '/nodate/x', 'warning last_modified=warning present');
verdict_is('http', '/future/x', 'warning clock_skew=warning present');
verdict_is('http', '/secret/x', 'error auth -');
verdict_is('http', '/secret/x', 'success present', secret_file => $web->secret('basic', "Basic T0PS3CRET\n"));
verdict_is('http', '/secret/x', 'error secret_file -', secret_file => $web->secret('two', "Basic\nT0PS3CRET\n"));
verdict_is('http', '/status/302', 'error redirected -');
verdict_is('http', '/status/402', 'error entitlement -');
verdict_is('http', '/status/403', 'error auth -');
verdict_is('http', '/status/400', 'error bad_response -');
verdict_is('http', '/status/500', 'warning unreachable=warning -');
is(scalar(grep { $_ eq 'HEAD /status/500' } $web->requests), 3, 'tried three times');
verdict_is('http', "/status/$_", 'warning unreachable=warning -') for 502, 503, 504;
verdict_is('http', '/status/429', 'warning unreachable=warning -');
is(scalar(grep { $_ eq 'HEAD /status/429' } $web->requests), 1, 'but not before the peer wants');
verdict_is('http', '/flaky/x', 'success present');
verdict_is('http', '/die/x', 'warning unreachable=warning -');
verdict_is('http', '/stall/head', 'warning unreachable=warning -', timeout_ms => 1500);
verdict_is('http', '/short/x', 'failure contents=failed present', %deep);
verdict_is('http', '/shrinks/x', 'failure contents=failed present', %deep);
verdict_is('http', '/differs/x', 'failure contents=failed present', %deep);
verdict_is('http', '/gone/x', 'failure contents=failed present', %deep);
verdict_is('http', '/stall/x', 'failure contents=failed present', %deep, timeout_ms => 1500);
$document = verdict_is('http', '/endless/x', 'failure object=warning last_modified=warning contents=failed present', %deep, timeout_ms => 1500);
is(verdict($json->decode($json->encode(ask('http', '/x', url => "$web->{tls}/good/x", allow_http => JSON::PP::false)))), 'error tls -', 'a certificate that nobody knows');
is(verdict(ask('http', '/x', url => "$web->{tls}/good/x", allow_http => JSON::PP::false, ca_file => $web->{ca})), 'success present', 'over TLS');
is(verdict(ask('http', '/x', url => 'http://127.0.0.1:1/x')), 'warning unreachable=warning -', 'nobody is there');
is(verdict(ask('http', '/x', url => 'https://169.254.169.254/x')), 'error address_refused -', 'link-local');
is(verdict(ask('http', '/x', url => 'https://a:b@localhost/x')), 'error user_info -', 'user name');
is(verdict(ask('ftp', '/x')), 'error bad_request -', 'unknown provider');
is(verdict(ask('http', '/x', level => 'deep')), 'error bad_request -', 'unknown level');
is(verdict(ask('http', '/x', surplus => 1)), 'error bad_request -', 'unknown member');

# s3: listing over pages, the newest, its contents.
my %s3 = (secret_file => $keys, region => 'eu-test-1');
$document = verdict_is('s3', '/bucket/daily/', 'success present', %s3);
is_deeply([ @{ $document->{backup} }{qw(id finished_at size_bytes)} ], [ 'daily/new.dump', '2026-01-28T03:00:00Z', 5000 ], 'the newest, without folders');
verdict_is('s3', '/bucket/daily/', 'success checksummed', %s3, %deep);
verdict_is('s3', '/bucket/wrong/', 'failure digest=failed present', %s3, %deep);
verdict_is('s3', '/bucket/parts/', 'success present', %s3, %deep);
verdict_is('s3', '/bucket/cold/', 'warning storage_class=warning present', %s3);
verdict_is('s3', '/bucket/thawed/', 'success present', %s3);
verdict_is('s3', '/bucket/empty/', 'failure object=failed present', %s3);
verdict_is('s3', '/bucket/future/', 'warning clock_skew=warning present', %s3);
verdict_is('s3', '/bucket/nothing', 'failure listing=failed -', %s3);
verdict_is('s3', '/bucket', 'warning clock_skew=warning present', %s3);	# all of them, of which one is of 2099
verdict_is('s3', '/b%20c/daily/', 'success present', %s3);
for my $key (grep { /^odd/ } sort keys %objects)
{
	(my $prefix = $key) =~ s{^(odd/\Q@{[ $key =~ m{^odd/(.*)/\1$} ]}\E/).*}{$1};
	my $bytes = encode_utf8($prefix);
	(my $path = $bytes) =~ s/([^A-Za-z0-9\/])/sprintf '%%%02X', ord $1/ge;
	$document = verdict_is('s3', "/bucket/$path", 'success present', %s3, %deep);
	is(encode_utf8($document->{backup}{id}), encode_utf8($key), "key $path") && is($document->{backup}{sha256}, sha256_hex(encode_utf8("contents of " . ($key =~ m{^odd/(.*)/\1$})[0])), 'its contents');
}
verdict_is('s3', '/none/x', 'failure listing=failed -', %s3);
verdict_is('s3', '/', 'error bad_url -', %s3);
verdict_is('s3', '/bucket/?x=y', 'error bad_url -', %s3);
verdict_is('s3', '/bucket/daily/', 'error auth -', %s3, region => 'us-east-1');
verdict_is('s3', '/bucket/daily/', 'error auth -', %s3, secret_file => $web->secret('bad', "aws_access_key_id=AKIDEXAMPLE\naws_secret_access_key=no\n"));
verdict_is('s3', '/bucket/daily/', 'error auth -', %s3, secret_file => $web->secret('tokened', slurp_file($keys) . "aws_session_token=T0PS3CRET\n"), region => 'us-east-1');
verdict_is('s3', '/bucket/daily/', 'success present', %s3, secret_file => "$web->{dir}/tokened");
verdict_is('s3', '/bucket/daily/', 'error secret_file -', %s3, secret_file => $web->secret('half', "aws_access_key_id=AKIDEXAMPLE\n"));
verdict_is('s3', '/bucket/daily/', 'error auth -');
verdict_is('s3', "/page-$_/x", 'error bad_response -', %s3) for qw(garbage cut doctype entity noname loop zero big);
verdict_is('s3', '/page-empty/x', 'failure listing=failed -', %s3);
chmod 0644, $keys;
verdict_is('s3', '/bucket/daily/', 'error secret_file -', %s3);
chmod 0600, $keys;

# supabase
my %supabase = (secret_file => $token, window_seconds => 20 * 86400);
$document = verdict_is('supabase', '/v1/projects/pitr', 'success listed', %supabase);
is_deeply([ @{ $document->{backup} }{qw(id finished_at)}, $document->{recovery_window} ],
	[ 'pitr', '2026-01-28T03:00:00Z', { from => '2025-12-29T09:20:00Z', to => '2026-01-28T03:00:00Z' } ], 'recovery window');
verdict_is('supabase', '/v1/projects/pitr', 'warning recovery_window=warning listed', %supabase, window_seconds => 30 * 86400);
verdict_is('supabase', '/v1/projects/young/', 'warning recovery_window=warning listed', %supabase);
verdict_is('supabase', '/v1/projects/nowindow', 'failure recovery_window=failed -', %supabase);
$document = verdict_is('supabase', '/v1/projects/daily', 'success listed', %supabase);
is("$document->{backup}{id} $document->{backup}{finished_at}", '2026-01-28T03:00:00Z 2026-01-28T03:00:00Z', 'the newest that is complete; a size is not stated');
is($document->{backup}{size_bytes}, undef, 'so there is none');
verdict_is('supabase', '/v1/projects/failed', 'warning backups=warning listed', %supabase);
verdict_is('supabase', '/v1/projects/future', 'warning clock_skew=warning listed', %supabase);
verdict_is('supabase', "/v1/projects/$_", 'failure backups=failed -', %supabase) for qw(none null unknown);
verdict_is('supabase', "/v1/projects/$_", 'error bad_response -', %supabase) for qw(text cut types notime deep missing after);
verdict_is('supabase', '/v1/projects/daily', 'error auth -', %supabase, secret_file => $web->secret('other', 'sbp_x'));
verdict_is('supabase', '/v1/projects/daily', 'error bad_request -', %supabase, level => 'verify');
verdict_is('supabase', '/v1/projects/daily', 'error auth -');

# Targets.
my $node = PostgreSQL::Test::Cluster->new('list');
$node->init;
$node->append_conf('postgresql.conf', <<"EOT");
voxanne_ops.agent_path = '$agent'
voxanne_ops.backup_urls = '$web->{tls}/good/, $web->{tls}/bucket/daily, $web->{tls}/v1/projects/, $web->{tls}/status/, $web->{tls}/flip/'
voxanne_ops.ca_file = '$web->{ca}'
voxanne_ops.s3_credentials_file = '$keys'
voxanne_ops.s3_region = 'eu-test-1'
voxanne_ops.supabase_token_file = '$token'
EOT
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION voxanne_ops');

sub sql
{
	my ($query) = @_;
	return $node->safe_psql('postgres', $query);
}
sub refused
{
	my ($kind, $location, $pattern, $options) = @_;
	my (undef, undef, $err) = $node->psql('postgres', "SELECT add_backup_target('x', '$kind', '$location', '" . ($options // '{}') . "')");
	like($err, $pattern, "refused: $kind $location");
	return;
}
refused('http', '/backup', qr/does not begin with https/);
refused('http', 'http://localhost/good/x', qr/does not begin with https/);
refused('http', 'file:///etc/passwd', qr/does not begin with https/);
refused('http', 'https://', qr/no host or no path/);
refused('http', 'https://localhost', qr/no host or no path/);
refused('http', 'https://user:secret@localhost/x', qr/user name or password/);
refused('http', "$web->{tls}/good/x?token=1", qr/a query or a fragment/);
refused('http', "$web->{tls}/good/../x", qr/contains "\.\."/);
refused('http', "$web->{tls}/good/%2E%2e/x", qr/contains "\.\."/);
refused('http', "$web->{tls}/good/a b", qr/character that cannot be in a URL/);
refused('http', "$web->{tls}/other", qr/begins with none of voxanne_ops\.backup_urls/);
refused('s3', "$web->{tls}/bucket/dailyx", qr/begins with none of/);
refused('http', 'https://localhost.evil.example/good/x', qr/begins with none of/);
refused('http', "$web->{tls}/good/x", qr/kind "http" has no option "critical_tables"/, '{"critical_tables": ["a"]}');
refused('supabase', "$web->{tls}/v1/projects/pitr", qr/kind "supabase" has no option "min_size"/, '{"min_size": 1}');
refused('supabase', "$web->{tls}/v1/projects/pitr", qr/kind "supabase" has no option "verify_window"/, '{"verify_window": "01:00-02:00"}');
like(($node->psql('postgres', "LOAD 'voxanne_ops'; SET voxanne_ops.backup_urls = '$_'"))[2], qr/is not of the form https/, "setting $_")
  for 'ftp://a/', 'https://a', 'https:///x', 'https://a@b/';

my $old = '{"max_age": "3000 days"}';
sql("SELECT add_backup_target('http', 'http', '$web->{tls}/good/base.dump', '$old'), add_backup_target('s3', 's3', '$web->{tls}/bucket/daily/', '$old'), add_backup_target('supabase', 'supabase', '$web->{tls}/v1/projects/pitr', '{\"max_age\": \"3000 days\", \"pitr_window\": \"20 days\"}')");
sub verify
{
	my ($target, $level) = @_;
	sql("SET client_min_messages = error; CALL verify_backup('$target', '" . ($level // 'status') . "')");
	return sql("SELECT status, proof, backup_id, backup_size_mb, error_details #>> '{0,check}' FROM backup_verification_log WHERE target = '$target' ORDER BY verified_at DESC LIMIT 1");
}
is(verify('http'), 'success|present|base.dump|0.00|', 'http');
is(verify('http', 'verify'), 'success|present|base.dump|0.00|', 'contents read');
is(verify('http', 'verify'), 'success|checksummed|base.dump|0.00|', 'and compared the next time');
$web->body('dump!' x 1000);
is(verify('http', 'verify'), 'failure|listed|base.dump|0.00|digest', 'bit rot');
$web->body($dump);
is(verify('s3', 'verify'), 'success|checksummed|daily/new.dump|0.00|', 's3');
is(verify('supabase'), 'success|listed|pitr||', 'supabase');
is(sql("SELECT severity, key, recovery_window->>'to', next_due > last_verified FROM backup_status() WHERE target = 'supabase'"), 'info|backup_ok:supabase|2026-01-28T03:00:00Z|t', 'its window, and no level verify is missed');
like(($node->psql('postgres', "CALL verify_backup('supabase', 'verify')"))[2], qr/cannot be verified at level "verify".*Levels for kind supabase: status\./s, 'it has none');
# out of reach: neither good nor bad, and what was known still counts
sql("UPDATE backup_target SET location = '$web->{tls}/status/503' WHERE name = 'http'");
verify('http', 'verify');
is(sql("SELECT severity, key, last_backup AT TIME ZONE 'UTC' FROM backup_status() WHERE target = 'http'"), 'warning|backup_unverifiable:http|2026-01-28 03:00:00', 'unreachable');
sql("SELECT alter_backup_target('http', '{\"max_age\": \"1 h\"}')");
is(sql("SELECT severity, key FROM backup_status() WHERE target = 'http'"), 'critical|backup_stale:http', 'and the last backup seen grows old');
# what was allowed is no more
sql("UPDATE backup_target SET location = '$web->{tls}/elsewhere' WHERE name = 'http'");
is(verify('http'), 'failure||||location', 'a URL that is not allowed any more');
is(scalar(grep { m{/elsewhere} } $web->requests), 0, 'is not asked');
for my $where ('pg_stat_activity', 'backup_verification_log', 'backup_status()')
{
	is(sql("SELECT count(*) FROM $where AS x WHERE x::text ~ ('T0PS3' || 'CRET|wJalrXU' || 'tnFEMI')"), '0', "no secret in $where");
}
unlike(slurp_file($node->logfile), qr/T0PS3CRET|wJalrXUtnFEMI/, 'nor in the log');
$node->stop;
$web->stop;

# A server of these tests ends with the test.
# What is printed there goes to a log, so the processes' numbers are written to a file.
my $pids = "$web->{dir}/pids";
append_to_file($pids, '');
IPC::Run::run([ $^X, (map { ('-I', $_) } 't', @INC), '-MBackupServer', '-MAlertServer', '-e',
		'my $w = BackupServer->new("{}", "{}"); my $a = AlertServer->new; $a->start; open(my $f, ">", $ARGV[0]) or die; print $f join(" ", map { $_->{KIDS}[0]{PID} } $w->{process}, $a->{process}); close $f; kill "KILL", $$', $pids ],
	'<', \undef, '>', \my $out, '2>', \my $err);
my @pids = split ' ', slurp_file($pids);
is(scalar @pids, 2, 'two servers') or diag($out . $err);
my $ended = 0;
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	$ended = !grep { kill 0, $_ } @pids;
	last if $ended;
	select(undef, undef, undef, 0.1);
}
ok($ended, 'are gone when a test was killed');
done_testing();
