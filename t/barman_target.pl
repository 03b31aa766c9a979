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
watch($server, 'barman');
my $options = '"max_size_change": 1';
$node->safe_psql('postgres', "SELECT add_backup_target('list', 'barman', 'scratch', '{$options}'), add_backup_target('nobody', 'barman', 'nobody'),"
	  . " add_backup_target('files', 'barman', 'scratch', '{$options, \"repository\": \"$home\"}')");

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

# All that is there is good, of which the files' target shows so much.
sub all_good
{
	my ($name, $id, $proof) = @_;
	my $present = $proof eq 'listed' ? 'listed' : 'present';
	is(verified($server, 'list',  'status'), 'success listed',   "$name: listed");
	is(verified($server, 'list',  'verify'), 'success listed',   "$name: level verify of a list shows no more");
	is(verified($server, 'files', 'status'), "success $present", "$name: $present");
	is(verified($server, 'files', 'verify'), "success $proof",   "$name: $proof") or diag recorded($server, 'files', 'jsonb_pretty(verification_details)');
	is(recorded($server, $_, 'backup_id'), $id, "$name: of the backup that was made last") for qw(list files);
	is(state_of($server, 'files'), "info|backup_ok:files|$proof", "$name: in order");
	return;
}
is(verified($server, $_, 'status'), 'failure catalog', "$_: no backup yet") for qw(list files);
is(state_of($server, 'files'), 'critical|backup_failed:files|', 'which is critical');
is(verified($server, 'nobody', 'status'), 'failure program_failed', 'a server that there is not');
like(recorded($server, 'nobody', 'error_details'), qr/ended with exit status 1\. It said: Unknown server 'nobody'/, 'as Barman says');

my $older = take_backup();
all_good('the first', $older, 'checksummed');
my $newest = take_backup();
all_good('a second', $newest, 'checksummed');
is(state_of($server, 'files', "jsonb_path_query_array(recovery_window, '\$[*].backup')"), qq(["$older", "$newest"]), 'from both a restore can begin');

# Damage to the directory of the server.  From 3.13 on what Barman knows of a backup lies beside it.
my $beside = -d "$home/meta";
sub info
{
	my ($id) = @_;
	return $beside ? "$home/meta/$id-backup.info" : "$home/base/$id/backup.info";
}
sub damaged_home
{
	my ($name, $inflict, %expected) = @_;
	my $said = damaged($server, $home, $name, $inflict, %expected);
	is(verified($server, 'files', 'verify'), 'success checksummed', "$name: mended");
	return $said;
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
damaged_home('the newest backup is deleted', sub { barman($server, 'delete', 'scratch', $newest) },
	'list status' => 'success listed', 'files status' => 'success present', 'files verify' => 'success checksummed');
is(recorded($server, 'files', 'backup_id'), $newest, 'the newest is back');
damaged_home('both are deleted', sub { rmtree(["$home/base", "$home/meta"]); mkdir "$home/$_" for 'base', $beside ? 'meta' : () },
	'list status' => 'failure catalog', 'files status' => 'failure catalog');
damaged_home('the newest is gone', sub { rmtree("$home/base/$newest") },
	'list status' => 'success listed', 'files status' => $beside ? 'failure listed backup_files' : 'success present');
damaged_home('its files are gone', sub { rmtree("$home/base/$newest/data") },
	'list status' => 'success listed', 'files status' => 'failure listed backup_files', 'files verify' => 'failure listed backup_files');
damaged_home('one of them is', sub { unlink "$home/base/$newest/data/backup_label" or die },
	'files status' => 'failure listed backup_files', 'files verify' => 'failure listed backup_files');
damaged_home('one is cut', sub { truncate largest($newest), 8192 },
	'files status' => 'failure listed backup_files', 'files verify' => 'failure listed backup_files');
damaged_home('a bit of one is flipped', sub { patch(largest($newest), 5000, 1, \&flip) },
	'files status' => 'success present', 'files verify' => 'failure listed backup_files');
my $stops = 'backup_wal wal_continuity recovery_window';
damaged_home('WAL that the newest needs is missing', sub { unlink segment($newest, 0) or die },
	'list status' => 'success listed', 'files status' => "failure listed $stops", 'files verify' => "failure listed $stops");
damaged_home('WAL between the two is missing', sub { unlink segment($older, 1) or die },
	'files status' => 'warning present wal_continuity', 'files verify' => 'warning checksummed wal_continuity');
damaged_home('WAL that only the older needs is missing', sub { unlink segment($older, 0) or die },
	'files status' => 'warning present backup_wal', 'files verify' => 'warning checksummed backup_wal');
damaged_home('nothing of the newest is known, as of one that has just begun', sub { write_file(info($newest), '') },
	'list status' => 'success listed', 'files status' => 'success present');
damaged_home('nothing of the newest is understood', sub { write_file(info($newest), "begin_xlog\n") },
	'list status' => 'failure program_failed', 'files status' => 'failure program_failed');

# What Barman cannot read it does not list, or it fails.
damaged_home('its directory cannot be read', sub { chmod 0, $home },
	'list status' => $beside ? 'failure program_failed' : 'failure catalog', 'files status' => 'failure path_unreadable');
damaged_home('the backups cannot be read', sub { chmod 0, $beside ? "$home/meta" : "$home/base" },
	'list status' => 'failure catalog', 'files status' => 'failure catalog');
damaged_home('the WAL cannot be read', sub { chmod 0, "$home/wals" },
	'list status' => 'failure program_failed', 'files status' => 'failure path_unreadable');

# The program runs as somebody else, who can read what the server's user cannot.
chomp(my $program = `which barman`);
write_file("$dir/$_", barman($server, '-f', 'json', $_, 'scratch', $_ eq 'show-backup' ? 'latest' : ())) for 'list-backups', 'show-backup';
set_program($server, program => write_file("$dir/program", qq{#!/bin/sh\nfor word; do if [ -f $dir/\$word ]; then exec cat $dir/\$word; fi; done\n}, 0755));
my $unread = 'failure listed repository backup_lists';
for my $case (
	[ 'wals', 'failure path_unreadable' ],
	[ $beside ? 'meta' : 'base', $unread ],
	[ $beside ? "meta/$newest-backup.info" : "base/$newest", $unread ],
	[ "base/$newest/data", 'failure listed backup_files' ])
{
	my ($path, $outcome) = @$case;
	like(damaged_home("$path cannot be read", sub { chmod 0, "$home/$path" or die $path },
			'list status' => 'success listed', 'files status' => $outcome, 'files verify' => $outcome),
		qr/permission denied/, 'and that is said');
}
set_program($server, program => $program);

# The program.
for my $problem ([ 'program', "$dir/nothing", 'program_not_started' ], [ 'program', '/bin/false', 'program_failed' ], [ 'program', '/bin/echo', 'bad_response' ], [ 'config', "$dir/nothing", 'program_failed' ])
{
	my ($what, $value, $code) = @$problem;
	set_program($server, $what, $value);
	is(verified($server, 'list', 'status'), "failure $code", "$what $value");
	like(state_of($server, 'list'), qr/^critical\|backup_unverifiable:list\|/, 'which says nothing about the backups');
	set_program($server, program => $program);
	set_program($server, config => $server->{config});
}
all_good('the program again', $newest, 'checksummed');

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
all_good('which has come', $waiting->{backup_id}, 'checksummed');

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
	all_good("one in progress, to be $end", $waiting->{backup_id}, 'checksummed');
	like(recorded($server, 'list', 'verification_details'), qr/another one is in progress/, 'which is in the log');
	if ($end eq 'killed')
	{
		$run->signal('KILL');
		$run->finish;
		all_good('one that was killed', $waiting->{backup_id}, 'checksummed');
	}
	print $gate "no\n";
	close $gate;
	$run->finish;
}
is(verified($server, 'list',  'status'), 'warning listed newest_backup',      'one that failed: list');
is(verified($server, 'files', 'verify'), 'warning checksummed newest_backup', 'one that failed: files');
configure_barman($server);
my $full = take_backup();
all_good('and one after it', $full, 'checksummed');

# Incremental ones, from PostgreSQL 17 and Barman 3.11 on: "listed" at most, as the parents' files are not read.
if ($node->pg_version >= 17 && barman($server, 'backup', '--help') =~ /--incremental/)
{
	my $first = take_backup('--incremental', $full);
	all_good('an incremental one', $first, 'listed');
	my $second = take_backup('--incremental', $first);
	all_good('another one on that', $second, 'listed');
	is(recorded($server, 'list', "verification_details -> 'backup' ->> 'prior'"), $first, 'which is known');
	for my $case ([ 'its parent', $first ], [ 'the full one', $full ])
	{
		my ($name, $id) = @$case;
		damaged($server, $home, "$name is gone", sub { rmtree("$home/base/$id"); unlink info($id) },
			'list status' => 'failure listed chains', 'files status' => 'failure listed chains');
		all_good("$name is back", $second, 'listed');
	}
	damaged($server, $home, 'a file of it is cut', sub { truncate((sort { -s $b <=> -s $a } glob "$home/base/$second/data/base/*/*")[0], 100) },
		'list status' => 'success listed', 'files status' => 'failure listed backup_files');
	all_good('mended', $second, 'listed');
}
$node->stop;
done_testing();
