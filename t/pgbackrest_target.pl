# Backup targets of kind pgbackrest with the real pgBackRest, run by the extension: how it is set up and how a
# backup comes to be none.
use strict;
use warnings;
use AgentTest;
use BackupTool;
use File::Path qw(rmtree);
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'pgbackrest is not installed' if system('pgbackrest version >/dev/null 2>&1') != 0;

my $server = archiving_server('backrest', 16, qw(repo log lock spool));
my ($node, $dir) = @$server{qw(node dir)};
configure_pgbackrest($server);
$node->append_conf('postgresql.conf', "archive_command = '$server->{command} archive-push %p'\n");
$node->start;
pgbackrest($server, 'stanza-create');
$node->safe_psql('postgres', 'CREATE TABLE t (i int, filler text)');
watch($server, 'pgbackrest');
my $options = '"max_size_change": 1';
$node->safe_psql('postgres', "SELECT add_backup_target('list', 'pgbackrest', 'scratch', '{$options}'), add_backup_target('nobody', 'pgbackrest', 'nobody'),"
	  . " add_backup_target('files', 'pgbackrest', 'scratch', '{$options, \"repository\": \"$dir/repo\"}')");

# Take a backup; its label.
sub take_backup
{
	my (@arguments) = @_;
	pgbackrest($server, @arguments, 'backup');
	return decode_json(pgbackrest($server, '--output=json', 'info'))->[0]{backup}[-1]{label};
}

# All that is there is good, of which the files' target shows so much.
sub all_good
{
	my ($name, $label, $proof) = @_;
	my $present = $proof eq 'listed' ? 'listed' : 'present';
	is(verified($server, 'list',  'status'), 'success listed',   "$name: listed");
	is(verified($server, 'list',  'verify'), 'success listed',   "$name: level verify of a list shows no more");
	is(verified($server, 'files', 'status'), "success $present", "$name: $present");
	is(verified($server, 'files', 'verify'), "success $proof",   "$name: $proof") or diag recorded($server, 'files', 'jsonb_pretty(verification_details)');
	is(recorded($server, $_, 'backup_id'), $label, "$name: of the backup that was made last") for qw(list files);
	is(state_of($server, 'files'), "info|backup_ok:files|$proof", "$name: in order");
	return;
}

is(verified($server, $_, 'status'), 'failure catalog', "$_: no backup yet") for qw(list files nobody);
is(state_of($server, 'files'), 'critical|backup_failed:files|', 'which is critical');
like(recorded($server, 'nobody', 'error_details'), qr/lists no complete backup of stanza \\"nobody\\": missing stanza path/, 'a stanza that there is not');

my %backup;
for my $type (qw(full diff incr))
{
	write_segments($server);
	$backup{$type} = take_backup("--type=$type");
	all_good($type, $backup{$type}, 'checksummed');
}
is(recorded($server, 'files', "jsonb_path_query_array(verification_details, '\$.backups[*].prior')"), qq(["$backup{full}", "$backup{diff}"]), 'what builds on what');
is(state_of($server, 'files', "jsonb_path_query_array(recovery_window, '\$[*].backup')"), '["' . join('", "', @backup{qw(full diff incr)}) . '"]', 'from all of them a restore can begin');

# Damage to the repository.
my $info = "$dir/repo/backup/scratch/backup.info";
sub damaged_repo
{
	my ($name, $inflict, %expected) = @_;
	my $said = damaged($server, "$dir/repo", $name, $inflict, %expected);
	is(verified($server, 'files', 'verify'), 'success checksummed', "$name: mended");
	return $said;
}
sub largest
{
	my ($label) = @_;
	return (sort { -s $b <=> -s $a } glob "$dir/repo/backup/scratch/$label/pg_data/base/*/*")[0];
}
damaged_repo('the newest backup is gone, but listed', sub { rmtree("$dir/repo/backup/scratch/$backup{incr}") },
	'list status' => 'success listed', 'files status' => 'failure listed backup_files', 'files verify' => 'failure listed backup_files');
damaged_repo('what it builds on is gone, but listed', sub { rmtree("$dir/repo/backup/scratch/$backup{full}") },
	'list status' => 'success listed', 'files status' => 'failure listed backup_files', 'files verify' => 'failure listed backup_files');
damaged_repo('a file is cut', sub { my $file = largest($backup{full}); chmod 0600, $file; truncate $file, (-s $file) / 2 },
	'files status' => 'failure listed backup_files', 'files verify' => 'failure listed backup_files');
damaged_repo('a bit of a file is flipped', sub { my $file = largest($backup{full}); patch($file, (-s $file) / 2, 1, \&flip) },
	'files status' => 'success present', 'files verify' => 'failure listed backup_contents');
my $stops = 'backup_wal wal_continuity recovery_window';
damaged_repo('WAL that the newest backup needs is missing', sub { unlink((sort glob "$dir/repo/archive/scratch/*/*/*-*")[-2]) or die },
	'list status' => 'success listed', 'files status' => "failure listed $stops", 'files verify' => "failure listed $stops");
damaged_repo('WAL that only the oldest needs is missing', sub { unlink((sort glob "$dir/repo/archive/scratch/*/*/*-*")[2]) or die },
	'files status' => 'warning present backup_wal', 'files verify' => 'warning checksummed backup_wal');
damaged_repo('WAL between two backups is missing', sub { unlink((sort glob "$dir/repo/archive/scratch/*/*/*-*")[3]) or die },
	'files status' => 'warning present wal_continuity', 'files verify' => 'warning checksummed wal_continuity');
damaged_repo('the last of the WAL is missing', sub { unlink((sort glob "$dir/repo/archive/scratch/*/*/*-*")[-1]) or die; $node->safe_psql('postgres', 'CHECKPOINT') },
	'files status' => 'failure listed archive_current', 'files verify' => 'failure listed archive_current');
damaged_repo('no list', sub { unlink $info, "$info.copy" },
	'list status' => 'failure catalog', 'files status' => 'failure catalog');
damaged_repo('both copies of the list are damaged', sub { for ($info, "$info.copy") { my $text = slurp_file($_); $text =~ s/"backup-lsn-start":"0/$&0/ or die; write_file($_, $text, 0600) } },
	'list status' => 'failure program_failed', 'files status' => 'failure program_failed');
damaged_repo('no stanza', sub { rmtree(["$dir/repo/backup/scratch", "$dir/repo/archive/scratch"]) },
	'list status' => 'failure catalog', 'files status' => 'failure catalog');
damaged_repo('no repository', sub { rmtree("$dir/repo") },
	'list status' => 'failure catalog', 'files status' => 'failure path_not_found');
damaged_repo('nothing of it can be read', sub { chmod 0, "$dir/repo" or die },
	'list status' => 'failure program_failed', 'files status' => 'failure path_unreadable');
damaged_repo('its backups cannot be read', sub { chmod 0, "$dir/repo/backup" or die },
	'list status' => 'failure program_failed', 'files status' => 'failure program_failed');
damaged_repo('its WAL cannot be read', sub { chmod 0, "$dir/repo/archive/scratch" or die },
	'list status' => 'failure program_failed', 'files status' => 'failure path_unreadable');

# The program runs as somebody else, who can read what the server's user cannot.
chomp(my $program = `which pgbackrest`);
write_file("$dir/info", `$server->{command} --output=json info`);
set_program($server, program => write_file("$dir/program", "#!/bin/sh\nexec cat $dir/info\n", 0755));
my $unread = 'failure listed repository backup_lists';
for my $case (
	[ 'archive', 'failure path_unreadable' ],
	[ 'archive/scratch', 'failure path_unreadable' ],
	[ 'archive/scratch/' . $node->pg_version =~ s/\..*//r . '-1', 'failure path_unreadable' ],
	[ 'backup', $unread ],
	[ 'backup/scratch', $unread ],
	[ 'backup/scratch/backup.info', $unread ],
	[ "backup/scratch/$backup{incr}", 'failure listed backup_files' ],
	[ "backup/scratch/$backup{incr}/backup.manifest", 'failure listed backup_files' ])
{
	my ($path, $outcome) = @$case;
	like(damaged_repo("$path cannot be read", sub { chmod 0, "$dir/repo/$path" or die $path },
			'list status' => 'success listed', 'files status' => $outcome, 'files verify' => $outcome),
		qr/permission denied/, 'and that is said');
}
set_program($server, program => $program);

# The program.
for my $problem (['program', "$dir/nothing", 'program_not_started'], ['program', $info, 'program_not_started'], ['program', '/bin/false', 'program_failed'], ['program', '/bin/echo', 'bad_response'], ['config', "$dir/nothing", 'program_failed'])
{
	my ($what, $value, $code) = @$problem;
	set_program($server, @$problem[0, 1]);
	is(verified($server, 'list', 'status'), "failure $code", "$what $value");
	like(state_of($server, 'list'), qr/^critical\|backup_unverifiable:list\|/, 'which says nothing about the backups');
	set_program($server, program => $program);
	set_program($server, config => $server->{config});
}
all_good('the program again', $backup{incr}, 'checksummed');

# A backup in progress: it waits for WAL to be archived, and has to for as long as the test wants.  Then it is killed.
$node->safe_psql('postgres', "ALTER SYSTEM SET archive_command = '/bin/false pgbackrest'");
$node->reload;
my $run = IPC::Run::start([ split(/ /, $server->{command}), '--archive-timeout=3600', '--type=full', 'backup' ], '>', \my $out, '2>&1');
my $held = 0;
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	last if $held = decode_json(`$server->{command} --output=json info`)->[0]{status}{lock}{backup}{held};
	select(undef, undef, undef, 0.1);
}
ok($held, 'a backup is in progress');
all_good('one in progress', $backup{incr}, 'checksummed');
like(recorded($server, 'list', 'verification_details'), qr/another one is in progress/, 'which is in the log');
$run->kill_kill;
all_good('one that was killed', $backup{incr}, 'checksummed');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET archive_command');
$node->reload;

# Expired: with a full backup all that builds on it.
$backup{second} = take_backup('--type=full');
all_good('another full one', $backup{second}, 'checksummed');
is(recorded($server, 'list', "jsonb_array_length(verification_details -> 'backups')"), '4', 'four are listed');
pgbackrest($server, "--set=$backup{full}", 'expire');
all_good('the others are expired', $backup{second}, 'checksummed');
is(recorded($server, 'list', "jsonb_array_length(verification_details -> 'backups')"), '1', 'now there is one');

# However it is stored
my ($minor) = `pgbackrest version` =~ /2\.(\d+)/;
for my $case ([ 'none', 'checksummed', 'compress-type=none' ],
	[ 'lz4', 'checksummed', 'compress-type=lz4' ],
	[ 'zst', 'checksummed', 'compress-type=zst' ],
	[ 'bundles', 'checksummed', 'repo1-bundle=y' ],
	[ 'blocks', 'present', "repo1-bundle=y\nrepo1-block=y" ],
	[ 'blocks, plain', 'present', "compress-type=none\nrepo1-bundle=y\nrepo1-block=y" ],
	[ 'bz2', 'present', 'compress-type=bz2' ],
	[ 'encrypted', 'listed', "repo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=secret" ])
{
	my ($name, $proof, $lines) = @$case;
	next if $name =~ /^blocks/ && $minor < 46;
	rename "$dir/repo", "$dir/repo.before" or die $!;
	mkdir "$dir/repo" or die $!;
	configure_pgbackrest($server, $lines);
	pgbackrest($server, 'stanza-create');
	take_backup('--type=full');
	write_segments($server);
	all_good($name, take_backup('--type=incr'), $proof);
	rmtree("$dir/repo.before");
}

# Pages that were damaged when they were backed up
configure_pgbackrest($server);
rmtree("$dir/repo");
mkdir "$dir/repo" or die $!;
pgbackrest($server, 'stanza-create');
my $file = $node->data_dir . '/' . $node->safe_psql('postgres', "CHECKPOINT; SELECT pg_relation_filepath('t')");
$node->stop;
patch($file, 8192 * 3 + 5000, 1, \&flip);
$node->start;
$backup{bad} = take_backup('--type=full');
is(verified($server, 'files', 'status'), 'failure listed newest_backup backup_wal', 'bad pages: files');
is(verified($server, 'list', 'status'), 'failure listed newest_backup', 'bad pages: list');
like($server->{errors}, qr/met pages with bad checksums when it made \Q$backup{bad}\E: the data was damaged already/, 'as pgBackRest says');
$node->stop;
done_testing();
