# Backup targets of kind barman with the real Barman, run by the extension: how it is set up and how a backup
# comes to be none.
use strict;
use warnings;
use AgentTest;
use BackupTool;
use File::Path qw(rmtree);
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use POSIX qw(mkfifo);
use Test::More;

plan skip_all => 'barman is not installed' if system('barman --version >/dev/null 2>&1') != 0;

my $server = archiving_server('barman', 16, qw(home lock conf.d));
my ($node, $dir) = @$server{qw(node dir)};
my $home = "$dir/home/scratch";
configure_barman($server);
$node->append_conf('postgresql.conf', "archive_command = 'cp %p $home/incoming/%f'\n");
$node->append_conf('postgresql.conf', "summarize_wal = on\n") if $node->pg_version >= 17;
$node->start;
barman($server, 'list-server');
mkdir $home;
mkdir "$home/incoming";
$node->safe_psql('postgres', 'CREATE TABLE t (i int, filler text)');
watch($server, 'barman', $home);
is(verified($server, 'nobody', 'status'), 'failure program_failed', 'a server that there is not');
like(recorded($server, 'nobody', 'error_details'), qr/ended with exit status 1\. It said: Unknown server 'nobody'/, 'as Barman says');

# Take a backup, and the WAL that it waits for; its id.
sub take_backup
{
	my (@arguments) = @_;
	write_segments($server);
	barman($server, 'archive-wal', 'scratch');
	barman($server, 'backup', @arguments, 'scratch');
	write_segments($server);
	barman($server, 'archive-wal', 'scratch');
	return decode_json(barman($server, '-f', 'json', 'list-backups', 'scratch'))->{scratch}[0]{backup_id};
}

my $older = take_backup();
all_good($server, 'the first', $older, 'checksummed');
my $newest = take_backup();
all_good($server, 'a second', $newest, 'checksummed');
is(state_of($server, 'files', "jsonb_path_query_array(recovery_window, '\$[*].backup')"), qq(["$older", "$newest"]), 'from both a restore can begin');

# Damage to the directory of the server.  From 3.13 on what Barman knows of a backup lies beside it.
my $beside = -d "$home/meta";
sub info
{
	my ($id) = @_;
	return $beside ? "$home/meta/$id-backup.info" : "$home/base/$id/backup.info";
}
# The first segment that a backup needs, or one so far after its last
sub segment
{
	my ($id, $later) = @_;
	my $shown = decode_json(barman($server, '-f', 'json', 'show-backup', 'scratch', $id))->{scratch}{base_backup_information};
	my $name = $shown->{ $later ? 'end_wal' : 'begin_wal' };
	return glob "$home/wals/*/" . substr($name, 0, 16) . sprintf('%08X', hex(substr($name, 16)) + $later);
}
sub largest
{
	my ($id) = @_;
	return (sort { -s $b <=> -s $a } glob "$home/base/$id/data/base/*/*")[0];
}
damaged_and_mended($server, $home, 'the newest backup is deleted', sub { barman($server, 'delete', 'scratch', $newest) },
	'list status' => 'success listed', 'files status' => 'success present', 'files verify' => 'success checksummed');
is(recorded($server, 'files', 'backup_id'), $newest, 'the newest is back');
damaged_and_mended($server, $home, 'both are deleted', sub { rmtree(["$home/base", "$home/meta"]); mkdir "$home/$_" for 'base', $beside ? 'meta' : () },
	'list status' => 'failure catalog', 'files status' => 'failure catalog');
damaged_and_mended($server, $home, 'the newest is gone', sub { rmtree("$home/base/$newest") },
	'list status' => 'success listed', 'files status' => $beside ? 'failure listed backup_files' : 'success present');
damaged_and_mended($server, $home, 'its files are gone', sub { rmtree("$home/base/$newest/data") },
	'list status' => 'success listed', 'files status' => 'failure listed backup_files', 'files verify' => 'failure listed backup_files');
damaged_and_mended($server, $home, 'one of them is', sub { unlink "$home/base/$newest/data/backup_label" or die },
	'files status' => 'failure listed backup_files', 'files verify' => 'failure listed backup_files');
damaged_and_mended($server, $home, 'one is cut', sub { truncate largest($newest), 8192 },
	'files status' => 'failure listed backup_files', 'files verify' => 'failure listed backup_files');
damaged_and_mended($server, $home, 'a bit of one is flipped', sub { patch(largest($newest), 5000, 1, \&flip) },
	'files status' => 'success present', 'files verify' => 'failure listed backup_files');
damaged_and_mended($server, $home, 'the manifest states no checksums', sub { edit_manifest("$home/base/$newest/data", sub { s/, "Checksum-Algorithm": "\w+", "Checksum": "\w+"//g or die }) },
	'files status' => 'success present', 'files verify' => 'success present');
my $stops = 'backup_wal wal_continuity recovery_window';
damaged_and_mended($server, $home, 'WAL that the newest needs is missing', sub { unlink segment($newest, 0) or die },
	'list status' => 'success listed', 'files status' => "failure listed $stops", 'files verify' => "failure listed $stops");
damaged_and_mended($server, $home, 'WAL between the two is missing', sub { unlink segment($older, 1) or die },
	'files status' => 'warning present wal_continuity', 'files verify' => 'warning checksummed wal_continuity');
damaged_and_mended($server, $home, 'WAL that only the older needs is missing', sub { unlink segment($older, 0) or die },
	'files status' => 'warning present backup_wal', 'files verify' => 'warning checksummed backup_wal');
damaged_and_mended($server, $home, 'nothing of the newest is known, as of one that has just begun', sub { write_file(info($newest), '') },
	'list status' => 'success listed', 'files status' => 'success present');
like(damaged_and_mended($server, $home, 'nothing of the newest is understood', sub { write_file(info($newest), "begin_xlog\n") },
		'list status' => 'failure program_failed', 'files status' => 'failure program_failed'),
	qr/It said: [^"]*begin_xlog[^"]* \Q@{[info($newest)]}\E/, 'what is said is what Barman says first');

# What Barman cannot read it does not list, or it fails.
damaged_and_mended($server, $home, 'its directory cannot be read', sub { chmod 0, $home },
	'list status' => $beside ? 'failure program_failed' : 'failure catalog', 'files status' => 'failure path_unreadable');
my $known = $beside ? "$home/meta" : "$home/base";
like(damaged_and_mended($server, $home, 'the backups cannot be read', sub { chmod 0, $known },
		'list status' => 'failure catalog', 'files status' => 'failure catalog'),
	qr/lists no complete backup of server \\"scratch\\"; \\"\Q$known\E\\": permission denied\./, 'and why it lists none is said');
like(damaged_and_mended($server, $home, 'what is known of one cannot be read', sub { chmod 0, info($newest) },
		'list status' => 'failure program_failed', 'files status' => 'failure program_failed'),
	qr/It said: [^"]*Permission denied: '\Q@{[info($newest)]}\E'/, 'as Barman says');
damaged_and_mended($server, $home, 'the WAL cannot be read', sub { chmod 0, "$home/wals" },
	'list status' => 'failure program_failed', 'files status' => 'failure path_unreadable');

write_file("$dir/$_", barman($server, '-f', 'json', $_, 'scratch', $_ eq 'show-backup' ? 'latest' : ())) for 'list-backups', 'show-backup';
my $unread = 'failure listed repository backup_lists';
cannot_be_read($server, $home, qq{for word; do if [ -f $dir/\$word ]; then exec cat $dir/\$word; fi; done},
	[ 'wals', 'failure path_unreadable' ],
	[ $beside ? 'meta' : 'base', $unread ],
	[ $beside ? "meta/$newest-backup.info" : "base/$newest", $unread ],
	[ "base/$newest/data", 'failure listed backup_files' ]);
wrong_programs($server);
all_good($server, 'the program again', $newest, 'checksummed');

# A backup that waits for its WAL: that takes a way of its own.
mkdir "$dir/later" or die $!;
$node->safe_psql('postgres', "ALTER SYSTEM SET archive_command = 'cp %p $dir/later/%f'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('archive_command') LIKE '%later%'") or die;
write_segments($server);
barman($server, 'backup', 'scratch');
my $waiting = decode_json(barman($server, '-f', 'json', 'list-backups', 'scratch'))->{scratch}[0];
is($waiting->{status}, 'WAITING_FOR_WALS', 'a backup waits for WAL');
is(verified($server, 'list', 'status'), 'success listed', 'listed');
like(recorded($server, 'list', 'verification_details'), qr/it waits for the last of its WAL/, 'with a word about that');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET archive_command');
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('archive_command') NOT LIKE '%later%'") or die;
system("mv $dir/later/* $home/incoming/") == 0 or die;
write_segments($server);
barman($server, 'archive-wal', 'scratch');
barman($server, 'check-backup', 'scratch', 'latest');
all_good($server, 'which has come', $waiting->{backup_id}, 'checksummed');

# One in progress, one that was killed, one that failed
mkdir "$dir/bin" or die $!;
my $bin = $node->config_data('--bindir');
write_file("$dir/bin/pg_basebackup", qq{#!/bin/sh\ncase "\$*" in *--version*) ;; *) read line <$dir/gate; [ "\$line" = go ] || exit 1 ;; esac\nexec $bin/pg_basebackup "\$@"\n}, 0755);
configure_barman($server, "path_prefix = $dir/bin:$bin");
mkfifo("$dir/gate", 0600) or die $!;
for my $end ('killed', 'failed')
{
	my $run = IPC::Run::start([ 'barman', '-c', $server->{config}, 'backup', 'scratch' ], '>', \my $out, '2>&1');
	# opened when the other side reads
	open my $gate, '>', "$dir/gate" or die $!;
	is(decode_json(barman($server, '-f', 'json', 'list-backups', 'scratch'))->{scratch}[0]{status}, 'STARTED', 'one in progress');
	all_good($server, "one in progress, to be $end", $waiting->{backup_id}, 'checksummed');
	like(recorded($server, 'list', 'verification_details'), qr/another one is in progress/, 'which is in the log');
	if ($end eq 'killed')
	{
		$run->signal('KILL');
		$run->finish;
		all_good($server, 'one that was killed', $waiting->{backup_id}, 'checksummed');
	}
	print $gate "no\n";
	close $gate;
	$run->finish;
}
is(verified($server, 'list',  'status'), 'warning listed newest_backup',      'one that failed: list');
is(verified($server, 'files', 'verify'), 'warning checksummed newest_backup', 'one that failed: files');
configure_barman($server);
my $full = take_backup();
all_good($server, 'and one after it', $full, 'checksummed');

# Incremental ones, from PostgreSQL 17 and Barman 3.11 on: "listed" at most, as the parents' files are not read.
if ($node->pg_version >= 17 && barman($server, 'backup', '--help') =~ /--incremental/)
{
	my $first = take_backup('--incremental', $full);
	all_good($server, 'an incremental one', $first, 'listed');
	my $second = take_backup('--incremental', $first);
	all_good($server, 'another one on that', $second, 'listed');
	is(recorded($server, 'list', "verification_details -> 'backup' ->> 'prior'"), $first, 'which is known');
	for my $case ([ 'its parent', $first ], [ 'the full one', $full ])
	{
		my ($name, $id) = @$case;
		damaged($server, $home, "$name is gone", sub { rmtree("$home/base/$id"); unlink info($id) },
			'list status' => 'failure listed chains', 'files status' => 'failure listed chains');
		all_good($server, "$name is back", $second, 'listed');
	}
	damaged($server, $home, 'a file of it is cut', sub { truncate((sort { -s $b <=> -s $a } glob "$home/base/$second/data/base/*/*")[0], 100) },
		'list status' => 'success listed', 'files status' => 'failure listed backup_files');
	all_good($server, 'mended', $second, 'listed');
}
$node->stop;
done_testing();
