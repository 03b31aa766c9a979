# Backups that pgBackRest, Barman and WAL-G list: programs of this test in their place, which print what the
# real ones print and what no program should; the agent's answers, and targets of each kind.  The real
# pgBackRest and Barman are in t/pgbackrest_target.pl and t/barman_target.pl.
use strict;
use warnings;
use Cwd;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX qw(strftime);
use Test::More;

my $agent  = getcwd() . '/voxanne_agent';
my $json   = JSON::PP->new->canonical;
my $dir    = PostgreSQL::Test::Utils::tempdir_short();
my $now    = time;
my $system = '7711802984413348534';
mkdir "$dir/repo" or die $!;
mkdir "$dir/walg" or die $!;

# A program that notes its arguments and environment and then does what the script says.
sub program
{
	my ($script) = @_;
	unlink "$dir/program";
	append_to_file("$dir/program", <<"EOT");
#!/bin/sh
echo "\$@" >>$dir/arguments
/usr/bin/env >$dir/environment
$script
EOT
	chmod 0755, "$dir/program" or die $!;
	return "$dir/program";
}

# One that prints texts, a run each.
sub printer
{
	my (@texts) = @_;
	for my $i (0 .. $#texts)
	{
		unlink "$dir/out$i";
		append_to_file("$dir/out$i", $texts[$i]);
	}
	return program(qq{case "\$*" in *show-backup*) /bin/cat $dir/out1 ;; *) /bin/cat $dir/out0 ;; esac});
}

sub ask
{
	my ($tool, $program, %more) = @_;
	my $name = delete $more{name} // 'main';
	my ($out, $err) = ('', '');
	IPC::Run::run([ $agent, 'verify-catalog', $name, '--format', 'json', '--tool', $tool, '--program', $program,
			map { ("--$_" => $more{$_}) } grep { defined $more{$_} } sort keys %more ], '<', \undef, '>', \$out, '2>', \$err);
	my $status = $? >> 8;
	is($err, '', "$tool: nothing on standard error");
	my $document = eval { $json->decode($out) } or die "no document: $out";
	is($status, { success => 0, warning => 0, failure => 1, error => 3 }->{ $document->{result} }, "$tool: exit status") or diag $out;
	return $document;
}

# The result, what is not passed (or the error's code), the proof and the backup, as one text.
sub verdict
{
	my ($document) = @_;
	return join ' ', $document->{result}, $document->{error} ? $document->{error}{code} : (map { "$_->{name}=$_->{result}" } grep { $_->{result} ne 'passed' } @{ $document->{checks} }),
	  $document->{proof} // '-', $document->{backup} ? $document->{backup}{id} : ();
}
sub verdict_is
{
	my ($tool, $program, $expected, $name, %more) = @_;
	my $document = ask($tool, $program, 'system-identifier' => $system, %more);
	is(verdict($document), $expected, "$tool: $name") or diag explain $document;
	return $document;
}

# Is the process whose number is in the file "pid" gone, or about to be?
sub is_gone
{
	my $pid = slurp_file("$dir/pid") + 0;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if !kill(0, $pid);
		select(undef, undef, undef, 0.1);
	}
	return 0;
}

# What each tool prints.  A backup: name, hours since it ended, and what differs from a good one.
sub pgbackrest
{
	my ($backups, %more) = @_;
	my @list = map {
		my ($label, $hours, %differs) = @$_;
		my ($prior) = $label =~ /^(.*)_/;
		+{ label => $label, type => $prior ? 'incr' : 'full', prior => $prior, reference => $prior ? [$prior] : undef, error => JSON::PP::false,
			archive => { start => '000000010000000000000009', stop => '00000001000000000000000A' }, lsn => { start => '0/900028', stop => '0/A00100' },
			timestamp => { start => $now - $hours * 3600 - 60, stop => $now - $hours * 3600 }, database => { id => 1, 'repo-key' => 1 },
			info => { size => 20000000, delta => 20000000, repository => { size => 3000000, delta => 2000000 } }, backrest => { format => 5, version => '2.45' },
			annotation => { source => [ { a => 1 } ] }, %differs }
	} @$backups;
	return $json->encode([ { name => 'main', cipher => 'none', backup => \@list, archive => [ { id => '15-1', min => '000000010000000000000008', max => '000000010000000000000013', database => { id => 1, 'repo-key' => 1 } } ],
				db => [ { id => 1, 'repo-key' => 1, 'system-id' => JSON::PP->new->allow_bignum->decode("[$system]")->[0], version => '15' }, { id => 2, 'repo-key' => 1, 'system-id' => 77, version => '15' } ],
				repo => [ { cipher => 'none', key => 1, status => { code => 0, message => 'ok' } } ],
				status => { code => 0, lock => { backup => { held => JSON::PP::false } }, message => 'ok' }, %more } ]) =~ s/"system-id":"(\d+)"/"system-id":$1/gr;
}
sub status
{
	my ($code, $message, $held) = @_;
	return (status => { code => $code, message => $message, lock => { backup => { held => $held ? JSON::PP::true : JSON::PP::false } } });
}
sub barman
{
	my ($backups, %shown) = @_;
	my @list = map {
		my ($id, $hours, %differs) = @$_;
		my %backup = (backup_id => $id, status => 'DONE', retention_status => '-', size => '26.7 MiB', size_bytes => 28029285, wal_size => '0 B', wal_size_bytes => 0,
			end_time => 'Tue Nov 24 18:14:27 2026', end_time_timestamp => '' . ($now - $hours * 3600), tablespaces => [], %differs);
		$backup{status} =~ /DONE|WAITING/ ? \%backup : { backup_id => $id, status => $backup{status} }
	} @$backups;
	my ($newest) = grep { $_->{status} =~ /DONE|WAITING/ } @list;
	return ($json->encode({ main => \@list, _WARNING => ['a word'] }),
		!$newest ? '{"_ERROR": ["Unknown backup \'latest\' for server \'main\'"]}' :
		$json->encode({ main => { backup_id => $newest->{backup_id}, status => $newest->{status}, system_id => $system, base_backup_information => { begin_lsn => '0/1300028', end_lsn => '0/1400000', timeline => 1,
				begin_wal => '000000010000000000000013', end_wal => '000000010000000000000013', begin_time_timestamp => '' . ($now - 9000) }, catalog_information => { retention_policy => 'not enforced' }, %shown } }));
}
sub walg
{
	my (@backups) = @_;
	return $json->encode([ map {
		my ($name, $hours, %differs) = @$_;
		my ($start) = $name =~ /^base_(\w{24})/;
		+{ backup_name => $name, time => strftime('%Y-%m-%dT%H:%M:%SZ', gmtime($now - $hours * 3600)), wal_file_name => $start, storage_name => 'default',
			start_time => strftime('%Y-%m-%dT%H:%M:%S.123456Z', gmtime($now - $hours * 3600 - 60)), finish_time => strftime('%Y-%m-%dT%H:%M:%S.654321Z', gmtime($now - $hours * 3600)),
			date_fmt => '%Y-%m-%dT%H:%M:%S.%fZ', hostname => 'db', data_dir => '/pg', pg_version => 150015, start_lsn => 2684354600, finish_lsn => 2701131776, is_permanent => JSON::PP::false,
			system_identifier => $system, uncompressed_size => 30000000, compressed_size => 5000000, user_data => { any => [1] }, %differs }
	} @backups ]) =~ s/"system_identifier":"(\d+)"/"system_identifier":$1/gr;
}

# Programs that do not answer.
for my $tool (qw(pgbackrest barman walg))
{
	my @config = $tool eq 'walg' ? (config => "$dir/walg") : ();
	verdict_is($tool, "$dir/none", 'error program_not_started -', 'a program that is missing', @config);
	program('exit 0');
	chmod 0644, "$dir/program";
	verdict_is($tool, "$dir/program", 'error program_not_started -', 'one that is not executable', @config);
	verdict_is($tool, $dir, 'error program_not_started -', 'a directory', @config);
	my $document = verdict_is($tool, program('echo first >&2; printf "no \033 repository\n" >&2; exit 7'), 'error program_failed -', 'one that fails', @config);
	like($document->{error}{message}, qr/exit status 7\. It said: no \? repository$/, "$tool: its last words, in plain characters");
	verdict_is($tool, program('kill -9 $$'), 'error program_failed -', 'one that is killed', @config);
	verdict_is($tool, program('exit 0'), 'error bad_response -', 'one that says nothing', @config);
	verdict_is($tool, printer('Bad gateway'), 'error bad_response -', 'garbage', @config);
	verdict_is($tool, printer("\0\xff[{"), 'error bad_response -', 'bytes', @config);
	verdict_is($tool, printer('{"a": [1, {"b": null}]} x'), 'error bad_response -', 'something behind the end', @config);
	verdict_is($tool, printer($_), 'error bad_response -', "valid JSON of another shape: $_", @config)
	  for '7', '"x"', '[[]]', '[7]', $tool eq 'barman' ? ('[]', '{"main": 7}', '{"main": [7]}', '{"main": [{}]}', '{"main": [{"backup_id": "x", "status": "DONE"}]}', '{"main": [{"backup_id": 7, "status": "DONE"}]}') : ('{}', '[{}]', '[{"name": 7}]', '[{"backup": {}}]');
	verdict_is($tool, printer('[' x 100000), 'error bad_response -', 'deep nesting', @config);
	verdict_is($tool, program('exec /usr/bin/yes'), 'error program_output -', 'one that prints for ever', @config);
	verdict_is($tool, program('while :; do echo x >&2; done'), 'error program_timeout -', 'one that complains for ever', @config, timeout => 700);
	verdict_is($tool, program('exec /bin/sleep 1000'), 'error program_timeout -', 'one that never ends', @config, timeout => 300);
	verdict_is($tool, program("trap '' TERM; echo \$\$ >$dir/pid; while :; do /bin/sleep 1; done"), 'error program_timeout -', 'one that does not want to end', @config, timeout => 700);
	ok(is_gone(), "$tool: is gone all the same");
}

# What it leaves running does not hold us up, nor stay.
my $good = pgbackrest([ [ '20260127-030000F', 30 ], [ '20260127-030000F_20260128-030000I', 2 ] ]);
append_to_file("$dir/good", $good);
verdict_is('pgbackrest', program("/bin/sleep 1000 & echo \$! >$dir/pid; /bin/cat $dir/good"), 'success listed 20260127-030000F_20260128-030000I', 'a process that stays behind');
ok(is_gone(), 'is ended');

# How they are run: arguments, environment, no shell.
unlink "$dir/arguments";
verdict_is('pgbackrest', printer($good), 'success listed 20260127-030000F_20260128-030000I', 'good', config => '/etc/p $HOME.conf');
is(slurp_file("$dir/arguments"), "--config=/etc/p \$HOME.conf --stanza=main --output=json --log-level-console=off --log-level-file=off --log-level-stderr=error info\n", 'arguments of pgBackRest');
is(join(' ', sort grep { !/^(PWD|SHLVL|_|OLDPWD)=/ } split /\n/, slurp_file("$dir/environment")), 'LC_ALL=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin TZ=UTC', 'environment');
unlink "$dir/arguments";
verdict_is('barman', printer(barman([ [ '20260128T030000', 2 ] ])), 'success listed 20260128T030000', 'good', config => '/etc/b.conf');
is(slurp_file("$dir/arguments"), "-c /etc/b.conf -f json list-backups main\n-c /etc/b.conf -f json show-backup main latest\n", 'arguments of Barman');
unlink "$dir/arguments";
verdict_is('walg', printer(walg([ 'base_000000010000000000000005', 2 ])), 'success listed base_000000010000000000000005', 'good', config => "$dir/walg", name => 'main.json');
is(slurp_file("$dir/arguments"), "--config $dir/walg/main.json backup-list --detail --json\n", 'arguments of WAL-G');
for my $name ('--help', '.', '../x', 'a b', 'a;b', "a\nb")
{
	my $document = eval { ask('pgbackrest', "$dir/program", name => $name) };
	ok(!defined $document || $document->{error}{code} eq 'bad_request', 'no name: ' . $json->allow_nonref->encode($name));
}

# pgBackRest
my $document = verdict_is('pgbackrest', printer($good), 'success listed 20260127-030000F_20260128-030000I', 'a chain');
is_deeply({ map { $_ => $document->{backup}{$_} } qw(type prior size_bytes stored_bytes start_wal stop_wal start_lsn end_lsn timeline system_identifier finished_at) },
	{ type => 'incr', prior => '20260127-030000F', size_bytes => 20000000, stored_bytes => 2000000, start_wal => '000000010000000000000009', stop_wal => '00000001000000000000000A',
		start_lsn => '0/900028', end_lsn => '0/A00100', timeline => 1, system_identifier => $system, finished_at => strftime('%Y-%m-%dT%H:%M:%SZ', gmtime($now - 7200)) }, 'what is known of the newest');
is(join(' ', map { $_->{id} } @{ $document->{backups} }), '20260127-030000F 20260127-030000F_20260128-030000I', 'all are listed');
is_deeply([ map { "$_->{backup} $_->{shown}" } @{ $document->{recovery_window} } ], [ '20260127-030000F listed', '20260127-030000F_20260128-030000I listed' ], 'where a restore could begin, as the list says');
verdict_is('pgbackrest', printer($good), 'success repository=skipped listed 20260127-030000F_20260128-030000I', 'level verify without a repository', level => 'verify');
verdict_is('pgbackrest', printer($good), 'success repository=skipped listed 20260127-030000F_20260128-030000I', 'how far back a restore goes the list does not tell', 'pitr-window' => 86400);
verdict_is('pgbackrest', printer('[]'), 'failure catalog=failed -', 'no stanza at all');
verdict_is('pgbackrest', printer(pgbackrest([], status(1, 'missing stanza path'))), 'failure catalog=failed -', 'unknown stanza');
verdict_is('pgbackrest', printer(pgbackrest([], status(2, 'no valid backups'))), 'failure catalog=failed -', 'empty list');
verdict_is('pgbackrest', printer(pgbackrest([], status(2, 'no valid backups', 1))), 'failure catalog=failed -', 'the first is in progress');
verdict_is('pgbackrest', printer(pgbackrest([ [ '20260127-030000F', 30 ] ], status(0, 'ok', 1))), 'success listed 20260127-030000F', 'another one is in progress');
verdict_is('pgbackrest', printer(pgbackrest([ [ '20260127-030000F', 30 ] ], status(4, 'different across repos'))), 'warning catalog=warning listed 20260127-030000F', 'repositories differ');
verdict_is('pgbackrest', printer(pgbackrest([], status(99, 'other'))), 'error program_failed -', 'a repository out of reach');
verdict_is('pgbackrest', printer(pgbackrest([ [ '20260127-030000F', 30 ], [ '20260128-030000F', 2, error => JSON::PP::true ] ])), 'failure newest_backup=failed listed 20260128-030000F', 'bad pages in the newest');
verdict_is('pgbackrest', printer(pgbackrest([ [ '20260127-030000F', 30, error => JSON::PP::true ], [ '20260128-030000F', 2 ] ])), 'warning chains=warning listed 20260128-030000F', 'bad pages in an older one');
verdict_is('pgbackrest', printer(pgbackrest([ [ '20260127-030000F', 30, error => JSON::PP::true ], [ '20260127-030000F_20260128-030000I', 2 ] ])), 'failure chains=failed listed 20260127-030000F_20260128-030000I', 'bad pages in what the newest builds on');
verdict_is('pgbackrest', printer(pgbackrest([ [ '20260127-030000F_20260128-030000I', 2 ] ])), 'failure chains=failed listed 20260127-030000F_20260128-030000I', 'what the newest builds on is missing');
verdict_is('pgbackrest', printer(pgbackrest([ [ '20260126-030000F_20260127-030000I', 30 ], [ '20260128-030000F', 2 ] ])), 'warning chains=warning listed 20260128-030000F', 'and of an older one');
verdict_is('pgbackrest', printer(pgbackrest([ [ 'a', 30, prior => 'b' ], [ 'b', 2, prior => 'a' ] ])), 'failure chains=failed listed b', 'a circle');
verdict_is('pgbackrest', printer(pgbackrest([ [ '20260127-030000F', -30 ] ])), 'warning clock_skew=warning listed 20260127-030000F', 'from the future');
verdict_is('pgbackrest', printer(pgbackrest([ [ '20260127-030000F', 30, database => { id => 2, 'repo-key' => 1 } ] ])), 'failure cluster=failed -', 'another cluster');
$document = verdict_is('pgbackrest', printer(pgbackrest([ [ '20260127-030000F', 30 ], [ '20260128-030000F', 2, database => { id => 2, 'repo-key' => 1 } ] ])), 'success listed 20260127-030000F', 'a newer one of another cluster does not count');
verdict_is('pgbackrest', printer(pgbackrest([ [ '20260127-030000F', 30 ] ])), 'success cluster=skipped listed 20260127-030000F', 'of which cluster is not asked', 'system-identifier' => undef);
verdict_is('pgbackrest', printer(pgbackrest([ [ '20260127-030000F', 30 ] ], name => 'other')), 'error bad_response -', 'another stanza than was asked for');
verdict_is('pgbackrest', printer(pgbackrest([ [ '20260127-030000F', 30, timestamp => { start => 1, stop => 'x' } ] ])), 'error bad_response -', 'a time that is none');
verdict_is('pgbackrest', printer(pgbackrest([ [ $_, 30 ] ])), 'error bad_response -', 'a name that is none') for '', '..', 'a/b', "\e[2J", 'x' x 300;
verdict_is('pgbackrest', printer(pgbackrest([ [ '20260127-030000F', 30, lsn => { start => '0/G', stop => '0/1' } ] ])), 'error bad_response -', 'a position that is none');
$document = verdict_is('pgbackrest', printer(pgbackrest([ map { [ sprintf('20260128-%06dF', $_), 1000 - $_ ] } 1 .. 500 ])), 'success listed 20260128-000500F', 'many');
is(scalar(@{ $document->{backups} }) . " of $document->{n_backups}", '20 of 500', 'the last of them are shown');

# Barman
$document = verdict_is('barman', printer(barman([ [ '20260128T030000', 2 ], [ '20260127T030000', 26, retention_status => 'OBSOLETE' ] ])), 'success listed 20260128T030000', 'two');
is_deeply({ map { $_ => $document->{backup}{$_} } qw(type size_bytes status start_lsn end_lsn timeline system_identifier) },
	{ type => 'full', size_bytes => 28029285, status => 'DONE', start_lsn => '0/1300028', end_lsn => '0/1400000', timeline => 1, system_identifier => $system }, 'what is known of the newest');
verdict_is('barman', printer(barman([])), 'failure catalog=failed -', 'empty list');
verdict_is('barman', printer('{"_INFO": ["x"]}'), 'failure catalog=failed -', 'nothing said of the server');
$document = verdict_is('barman', program(q{echo '{"_ERROR": ["Unknown server nope"]}'; exit 1}), 'error program_failed -', 'unknown server');
like($document->{error}{message}, qr/It said: Unknown server nope$/, 'as Barman says');
verdict_is('barman', printer(barman([ [ '20260128T030000', 2, status => 'FAILED' ], [ '20260127T030000', 26 ] ])), 'warning newest_backup=warning listed 20260127T030000', 'the newest failed');
verdict_is('barman', printer(barman([ [ '20260128T030000', 2 ], [ '20260127T030000', 26, status => 'FAILED' ] ])), 'success listed 20260128T030000', 'an older one failed');
verdict_is('barman', printer(barman([ [ '20260128T030000', 2, status => 'FAILED' ] ])), 'failure catalog=failed -', 'the only one failed');
verdict_is('barman', printer(barman([ [ '20260128T030000', 2, status => 'STARTED' ], [ '20260127T030000', 26 ] ])), 'success listed 20260127T030000', 'one is in progress');
verdict_is('barman', printer(barman([ [ '20260128T030000', 0.2, status => 'WAITING_FOR_WALS' ] ])), 'success listed 20260128T030000', 'the newest waits for WAL');
verdict_is('barman', printer(barman([ [ '20260128T030000', 2, status => 'WAITING_FOR_WALS' ] ])), 'warning newest_backup=warning listed 20260128T030000', 'and has for long');
verdict_is('barman', printer(barman([ [ '20260128T030000', 2, retention_status => 'OBSOLETE' ] ])), 'warning newest_backup=warning listed 20260128T030000', 'the newest is obsolete');
verdict_is('barman', printer(barman([ [ '20260128T030000', -30 ] ])), 'warning clock_skew=warning listed 20260128T030000', 'from the future');
verdict_is('barman', printer(barman([ [ '20260128T030000', 2 ] ], system_id => '77')), 'failure cluster=failed -', 'another cluster');
verdict_is('barman', printer(barman([ [ '20260128T030000', 2 ] ], system_id => undef)), 'success cluster=skipped listed 20260128T030000', 'of Barman before 3.11 the cluster is not known');
my @incremental = ([ '20260128T030000', 2, backup_type => 'incremental' ], [ '20260127T030000', 26, backup_type => 'full' ]);
verdict_is('barman', printer(barman(\@incremental, catalog_information => { parent_backup_id => '20260127T030000' })), 'success listed 20260128T030000', 'an incremental one');
verdict_is('barman', printer(barman([ $incremental[0] ], catalog_information => { parent_backup_id => '20260127T030000' })), 'failure chains=failed listed 20260128T030000', 'whose parent is missing');
my @deep = ([ '20260128T040000', 1, backup_type => 'incremental' ], @incremental);
my %deep = (parent_backup_id => '20260128T030000', root_backup_id => '20260127T030000');
verdict_is('barman', printer(barman(\@deep, catalog_information => \%deep)), 'success listed 20260128T040000', 'one that builds on that');
$document = verdict_is('barman', printer(barman([ @deep[0, 1] ], catalog_information => { %deep, root_backup_id => '20260128T030000' })), 'failure chains=failed listed 20260128T040000', 'the full one is missing');
is($document->{backup}{missing}, 'the parent of 20260128T030000', 'of which only that is known');

# WAL-G
my ($base, $delta) = ('base_000000010000000000000005', 'base_000000010000000000000007_D_000000010000000000000005');
$document = verdict_is('walg', printer(walg([ $base, 26 ], [ $delta, 2 ])), "success listed $delta", 'a delta', config => "$dir/walg");
is_deeply({ map { $_ => $document->{backup}{$_} } qw(type prior size_bytes stored_bytes start_lsn end_lsn timeline) },
	{ type => 'incr', prior => $base, size_bytes => undef, stored_bytes => 5000000, start_lsn => '0/A0000028', end_lsn => '0/A1000000', timeline => 1 }, 'what is known of it');
verdict_is('walg', printer(walg([ $delta, 2 ])), "failure chains=failed listed $delta", 'its base is missing', config => "$dir/walg");
verdict_is('walg', printer('[]'), 'failure catalog=failed -', 'empty list', config => "$dir/walg");
verdict_is('walg', printer(walg([ $base, -26 ])), "warning clock_skew=warning listed $base", 'from the future', config => "$dir/walg");
verdict_is('walg', printer(walg([ $base, 26, system_identifier => 77 ])), 'failure cluster=failed -', 'another cluster', config => "$dir/walg");
verdict_is('walg', printer(walg([ $base, 26, system_identifier => undef ])), "success cluster=skipped listed $base", 'of an old backup the cluster is not known', config => "$dir/walg");

# Repositories: confined, there, and the tool's.
verdict_is('pgbackrest', printer($good), 'error path_not_found -', 'no such repository', repository => "$dir/nothing");
verdict_is('pgbackrest', printer($good), 'error path_outside -', 'a repository elsewhere', repository => $dir, within => "$dir/repo");
$document = ask('pgbackrest', printer($good), repository => "$dir/repo");
ok((grep { $_->{name} eq 'archive_found' && $_->{result} eq 'failed' } @{ $document->{checks} }), 'an empty repository');
ok((grep { $_->{name} eq 'repository' && $_->{result} eq 'failed' } @{ $document->{checks} }), 'is not one');
is($document->{result}, 'failure', 'and so no backup');

# Cancel ends the agent and the program.
program("echo \$\$ >$dir/pid.new; mv $dir/pid.new $dir/pid; exec /bin/sleep 1000");
unlink "$dir/pid";
my $run = IPC::Run::start([ $agent, 'verify-catalog', 'main', '--tool', 'pgbackrest', '--program', "$dir/program" ], '<', \undef, '>', \my $out, '2>', \my $err);
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default) { last if -f "$dir/pid"; select(undef, undef, undef, 0.1) }
$run->signal('TERM');
$run->finish;
ok(is_gone(), 'the program ends with the agent');

# Targets.
my $node = PostgreSQL::Test::Cluster->new('providers');
$node->init;
$node->append_conf('postgresql.conf', "voxanne_ops.agent_path = '$agent'\nvoxanne_ops.backup_directories = '$dir/repo'\nsession_preload_libraries = 'voxanne_ops'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION voxanne_ops');
$system = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');

sub sql
{
	my ($query) = @_;
	return $node->safe_psql('postgres', $query);
}
sub refused
{
	my ($kind, $location, $pattern, $options) = @_;
	my (undef, undef, $text) = $node->psql('postgres', "SELECT add_backup_target('x', '$kind', '$location', '" . ($options // '{}') . "')");
	like($text, $pattern, "refused: $kind $location");
	return;
}
for my $kind (qw(pgbackrest barman walg))
{
	my $program = $kind eq 'walg' ? 'wal-g' : $kind;
	refused($kind, 'main', qr{Setting voxanne_ops\.${kind}_program is empty.*HINT:  A superuser names the program: ALTER SYSTEM SET voxanne_ops\.${kind}_program = '/usr/bin/$program'}s);
	sql("ALTER SYSTEM SET voxanne_ops.${kind}_program = '$dir/program'");
	like(($node->psql('postgres', "ALTER SYSTEM SET voxanne_ops.${kind}_program = 'program'"))[2], qr/invalid value.*must be absolute/s, "$kind: path that is not absolute");
	like(($node->psql('postgres', "CREATE ROLE r_$kind; SET ROLE r_$kind; SET voxanne_ops.${kind}_program = '/bin/sh'"))[2], qr/permission denied to set parameter/, "$kind: superusers only");
}
sql("SELECT pg_reload_conf()");
$node->poll_query_until('postgres', "SELECT current_setting('voxanne_ops.walg_program') <> ''") or die;
refused('walg', 'main.json', qr{Setting voxanne_ops\.walg_config_directory is empty.*HINT:  A superuser sets it: ALTER SYSTEM SET}s);
sql("ALTER SYSTEM SET voxanne_ops.walg_config_directory = '$dir/walg'");
sql("SELECT pg_reload_conf()");
$node->poll_query_until('postgres', "SELECT current_setting('voxanne_ops.walg_config_directory') <> ''") or die;
for my $kind (qw(pgbackrest barman walg))
{
	refused($kind, $_, qr/cannot be such a name.*HINT:  The location is the name of a /s) for '', '--help', '.x', '../x', 'a/b', 'a b', '$(id)', 'x' x 64;
	refused($kind, 'main', qr/kind "$kind" has no option "critical_tables"/, '{"critical_tables": ["a"]}');
	refused($kind, 'main', qr/option "repository" of a backup target has no valid value.*is not a string/s, '{"repository": 7}');
	refused($kind, 'main', qr/"repo" is not an absolute path/, '{"repository": "repo"}');
	refused($kind, 'main', qr/lies in none of voxanne_ops\.backup_directories/, "{\"repository\": \"$dir\"}");
	refused($kind, 'main', qr/unknown option "stanza"/, '{"stanza": "main"}');
}
refused('basebackup', "$dir/repo", qr/kind "basebackup" has no option "repository"/, "{\"repository\": \"$dir/repo\"}");

sub verify
{
	my ($target, $level) = @_;
	sql("SET client_min_messages = error; CALL verify_backup('$target', '" . ($level // 'status') . "')");
	return sql("SELECT status, proof, backup_id, backup_size_mb, error_details #>> '{0,check}' FROM backup_verification_log WHERE target = '$target' ORDER BY verified_at DESC LIMIT 1");
}
sub state
{
	my ($target) = @_;
	return sql("SELECT severity, key, proof, jsonb_array_length(sizes), recovery_window #>> '{0,backup}' FROM backup_status() WHERE target = '$target'");
}
sql("SELECT add_backup_target('rest', 'pgbackrest', 'main'), add_backup_target('man', 'barman', 'main'), add_backup_target('g', 'walg', 'main.json', '{\"time_limit\": \"4 s\"}')");
my @two = ([ '20260127-030000F', 30 ], [ '20260127-030000F_20260128-030000I', 2 ]);
printer(pgbackrest(\@two));
is(verify('rest'), 'success|listed|20260127-030000F_20260128-030000I|19.07|', 'pgbackrest');
is(state('rest'), 'info|backup_ok:rest|listed|1|20260127-030000F', 'its state');
is(sql("SELECT age BETWEEN interval '2 hours' AND interval '3 hours' FROM backup_status() WHERE target = 'rest'"), 't', 'its age');
is(sql("SELECT jsonb_array_length(verification_details -> 'backups') FROM backup_verification_log WHERE target = 'rest'"), '2', 'all backups are in the log');
is(verify('rest', 'verify'), 'success|listed|20260127-030000F_20260128-030000I|19.07|', 'level verify claims no more');
printer(pgbackrest([ @two, [ '20260128-040000F', 1, info => { size => 10000000 } ] ]));
is(verify('rest'), 'warning|listed|20260128-040000F|9.54|size_change', 'a size that changed');
printer(pgbackrest([ @two, [ '20260128-040000F', 1, error => JSON::PP::true ] ]));
is(verify('rest'), 'failure|listed|20260128-040000F|19.07|newest_backup', 'bad pages');
like(sql("SELECT detail FROM backup_status() WHERE target = 'rest'"), qr/bad checksums.*Last good: /, 'and what there is to restore from');
printer(pgbackrest([ [ '20260127-030000F', 60 ] ]));
verify('rest');
is(sql("SELECT error_details #>> '{0,check}' FROM backup_verification_log WHERE target = 'rest' ORDER BY verified_at DESC LIMIT 1"), 'backup_age', 'too old');
program('exit 5');
is(verify('rest'), 'failure||||program_failed', 'a program that fails');
like(state('rest'), qr/^critical\|backup_unverifiable:rest/, 'says nothing about the backup');
printer(barman([ [ '20260128T030000', 2 ], [ '20260127T030000', 26 ] ]));
is(verify('man'), 'success|listed|20260128T030000|26.73|', 'barman');
printer(walg([ $base, 2 ]));
is(verify('g'), 'success|listed|base_000000010000000000000005|28.61|', 'walg');
printer(walg([ $base, 2 ], [ $delta, 1 ]));
is(verify('g'), "success|listed|$delta||", 'a delta has no size that could be compared');
sql("SELECT alter_backup_target('g', '{\"time_limit\": \"1 s\"}')");
program('exec /bin/sleep 1000');
is(verify('g'), 'failure||||program_timeout', 'one that never ends');
# what was allowed is no more
printer(pgbackrest(\@two));
sql("SELECT alter_backup_target('rest', '{\"repository\": \"$dir/repo\"}')");
sql("ALTER SYSTEM SET voxanne_ops.backup_directories = ''");
sql("SELECT pg_reload_conf()");
$node->poll_query_until('postgres', "SELECT current_setting('voxanne_ops.backup_directories') = ''") or die;
is(verify('rest'), 'failure||||location', 'a repository that is not allowed any more');
sql("ALTER SYSTEM RESET voxanne_ops.barman_program");
sql("SELECT pg_reload_conf()");
$node->poll_query_until('postgres', "SELECT current_setting('voxanne_ops.barman_program') = ''") or die;
is(verify('man'), 'failure||||location', 'a program that is not named any more');
# elsewhere
my $elsewhere = ask('pgbackrest', printer(pgbackrest(\@two)), 'system-identifier' => $system);
sql("SELECT add_backup_target('away', 'pgbackrest', 'main', '{\"external\": true}')");
is(sql("SELECT record_verification('" . $json->encode($elsewhere) . "', 'away')"), 'success', 'a result from elsewhere');
like(($node->psql('postgres', "SELECT record_verification('" . $json->encode({ %$elsewhere, provider => 'walg' }) . "', 'away')"))[2], qr/of provider "walg"/, 'but of no other tool');
$node->stop;
done_testing();
