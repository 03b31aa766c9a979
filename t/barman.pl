# verify-wal on the directory of a server of the real Barman, plain and compressed.
use strict;
use warnings;
use AgentTest;
use BackupTool;
use File::Path qw(rmtree);
use JSON::PP;
use POSIX qw(strftime);
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'barman is not installed' if system('barman --version >/dev/null 2>&1') != 0;

my $server = archiving_server('barman', 1, qw(home lock conf.d));
my ($node, $dir) = @$server{qw(node dir)};
configure_barman($server);
$node->append_conf('postgresql.conf', "archive_command = 'cp %p $dir/home/scratch/incoming/%f'\n");
$node->start;
my $system = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
$node->safe_psql('postgres', 'CREATE TABLE t (i int, filler text)');

sub agent
{
	my (@arguments) = @_;
	return run_agent('verify-wal', @arguments);
}

barman($server, 'list-server');
mkdir "$dir/home/scratch";
mkdir "$dir/home/scratch/incoming";
write_segments($server);
barman($server, 'archive-wal', 'scratch');
barman($server, 'backup', 'scratch');
write_segments($server);
barman($server, 'archive-wal', 'scratch');
configure_barman($server, 'compression = gzip');
my $last = write_segments($server);
barman($server, 'archive-wal', 'scratch');
my $waiting = write_segments($server);

my $home = "$dir/home/scratch";
my @files = grep { /[0-9A-F]{24}$/ } glob "$home/wals/*/*";
my $compressed = grep { slurp_file($_) =~ /^\x1f\x8b/ } @files;
cmp_ok($compressed, '>', 0, 'some segments are compressed, and their names do not tell');
cmp_ok($compressed, '<', scalar(@files), 'others are not');
my ($status, $document) = agent($home, '--system-identifier', $system, '--level', 'verify');
is("$status $document->{result}", '0 success', 'good') or diag explain $document->{checks};
is(with($document, 'passed'), 'archive_found backup_lists backup_wal files_readable history_files recovery_window segment_copies segment_headers segments_unread system_identifier wal_continuity wal_records', 'every check passes');
is_deeply([@{ $document->{backup} }{qw(layout id)}], ['barman', $last], 'what is known');
cmp_ok($document->{backup}{segments}{pending}, '>', 0, 'what Barman has not taken yet is pending');
is($document->{backup}{segments}{found}, scalar(@files), 'what it has taken is found');

# The backup that Barman shows
my $shown = decode_json(barman($server, '-f', 'json', 'show-backup', 'scratch', 'latest'))->{scratch};
my ($window) = @{ $document->{recovery_window} };
my ($listed) = decode_json(barman($server, '-f', 'json', 'list-backups', 'scratch'))->{scratch}[0];
is($window->{from}, strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $listed->{end_time_timestamp}), 'when it ended');
is_deeply([@$window{qw(backup start_lsn end_lsn complete)}],
	[$shown->{backup_id}, $shown->{base_backup_information}{begin_lsn}, $shown->{base_backup_information}{end_lsn}, JSON::PP::true], 'the backup');

($status, $document) = agent($home, '--pitr-window', 86400);
is("$status " . check($document, 'pitr_window')->{result}, '0 warning', 'a restore cannot go back by a day');
like(check($document, 'pitr_window')->{detail}, qr/^A restore can go back to \Q$window->{from}\E, .* less than the 1 day wanted\.$/, 'but to the end of the backup');

# The server's position: what waits in "incoming" is not lost, even if the server has it no more.
mkdir "$dir/nothing" or die $!;
my $now = $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
($status, $document) = agent($home, '--server-position', "1,$now", '--server-wal', "$dir/nothing");
is(with($document, 'failed'), '', 'nothing is lost') or diag explain $document->{checks};

# Damage
for my $damage (
	['a segment is missing', sub { unlink $files[-2] }, 'status', 'wal_continuity', 'recovery_window'],
	['a compressed segment is cut', sub { truncate $files[-1], (-s $files[-1]) / 2; utime 1, time - 7200, $files[-1] }, 'verify', 'segment_headers wal_continuity', 'recovery_window'],
	['backup.info makes no sense', sub { system('sed', '-i', 's/^begin_xlog=.*/begin_xlog=x/', glob("$home/base/*/backup.info"), glob("$home/meta/*-backup.info")) }, 'status', '', 'backup_lists'])
{
	my ($name, $inflict, $level, $failed, $warned) = @$damage;
	system('cp', '-a', $home, "$dir/saved") == 0 or die;
	$inflict->();
	($status, $document) = agent($home, '--level', $level);
	is(with($document, 'failed'), $failed, "$name: what fails") or diag explain $document->{checks};
	is(with($document, 'warning'), $warned, "$name: what warns") or diag explain $document->{checks};
	rmtree($home);
	rename "$dir/saved", $home or die $!;
}
$node->stop;
done_testing();
