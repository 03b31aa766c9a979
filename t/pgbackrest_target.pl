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
watch($server, 'pgbackrest', "$dir/repo");
is(verified($server, 'nobody', 'status'), 'failure catalog', 'a stanza that there is not');
like(recorded($server, 'nobody', 'error_details'), qr/lists no complete backup of stanza \\"nobody\\": missing stanza path/, 'as pgBackRest says');
$node->safe_psql('postgres', "SELECT add_backup_target('wal', 'wal_archive', '$dir/repo')");

# Names that are not easily told from what follows them in a manifest
write_file($node->data_dir . "/$_", 'x') for 'odd=1', 'odd={}', 'odd="1"=', 'odd=\\n"', "odd\tname";
$node->safe_psql('postgres', 'CREATE DATABASE "odd=""1""={\}"');

# Take a backup; its label.
sub take_backup
{
	my (@arguments) = @_;
	pgbackrest($server, @arguments, 'backup');
	return decode_json(pgbackrest($server, '--output=json', 'info'))->[0]{backup}[-1]{label};
}

# All that is there is good, of which the files' target shows so much, and that of the WAL.
sub good
{
	my ($name, $label, $proof, $wal) = @_;
	$wal //= 'checksummed';
	all_good($server, $name, $label, $proof);
	is(verified($server, 'wal', 'status'), 'success present', "$name: WAL");
	is(verified($server, 'wal', 'verify'), "success $wal", "$name: WAL: $wal") or diag recorded($server, 'wal', 'jsonb_pretty(verification_details)');
	is(state_of($server, 'wal'), "info|backup_ok:wal|$wal", "$name: WAL in order");
	return;
}

my %backup;
for my $type (qw(full diff incr))
{
	write_segments($server);
	$backup{$type} = take_backup("--type=$type");
	good($type, $backup{$type}, 'checksummed');
}
is(recorded($server, 'files', "jsonb_path_query_array(verification_details, '\$.backups[*].prior')"), qq(["$backup{full}", "$backup{diff}"]), 'what builds on what');
is(state_of($server, 'files', "jsonb_path_query_array(recovery_window, '\$[*].backup')"), '["' . join('", "', @backup{qw(full diff incr)}) . '"]', 'from all of them a restore can begin');

# What was skipped in the last run, with the reasons
sub skipped
{
	my ($target) = @_;
	return $node->safe_psql('postgres', "SELECT string_agg((c ->> 'check') || ': ' || (c ->> 'detail'), E'\n') FROM jsonb_array_elements("
		  . "(SELECT verification_details -> 'checks' FROM backup_verification_log WHERE target = '$target' ORDER BY verified_at DESC LIMIT 1)) c WHERE c ->> 'result' = 'skipped'");
}

# Damage to the repository.
my $info = "$dir/repo/backup/scratch/backup.info";
sub largest
{
	my ($label) = @_;
	return (sort { -s $b <=> -s $a } glob "$dir/repo/backup/scratch/$label/pg_data/base/*/*")[0];
}
damaged_and_mended($server, "$dir/repo", 'the newest backup is gone, but listed', sub { rmtree("$dir/repo/backup/scratch/$backup{incr}") },
	'list status' => 'success listed', 'files status' => 'failure listed backup_manifest', 'files verify' => 'failure listed backup_manifest');
damaged_and_mended($server, "$dir/repo", 'what it builds on is gone, but listed', sub { rmtree("$dir/repo/backup/scratch/$backup{full}") },
	'list status' => 'success listed', 'files status' => 'failure listed backup_files', 'files verify' => 'failure listed backup_files');
my $manifest = "$dir/repo/backup/scratch/$backup{incr}/backup.manifest";
for my $case ([ '', 'warning present', 'warning checksummed' ], [ '.copy', 'warning present', 'warning checksummed' ])
{
	my ($copy, $status, $verify) = @$case;
	damaged_and_mended($server, "$dir/repo", "a bit of backup.manifest$copy is flipped", sub { patch("$manifest$copy", (-s $manifest) / 2, 1, \&flip) },
		'list status' => 'success listed', 'files status' => "$status backup_manifest", 'files verify' => "$verify backup_manifest");
	damaged_and_mended($server, "$dir/repo", "backup.manifest$copy is no longer there", sub { unlink "$manifest$copy" or die },
		'files status' => "$status backup_manifest", 'files verify' => "$verify backup_manifest");
}
like(damaged_and_mended($server, "$dir/repo", 'a bit of both manifests is flipped', sub { patch("$manifest$_", (-s $manifest) / 2, 1, \&flip) for '', '.copy' },
		'files status' => 'failure listed backup_manifest', 'files verify' => 'failure listed backup_manifest'),
	qr/cannot be used: it has the checksum [0-9a-f]{40}, not [0-9a-f]{40} as it states\./, 'and that is said');
damaged_and_mended($server, "$dir/repo", 'a bit of archive.info is flipped', sub { patch("$dir/repo/archive/scratch/archive.info", 100, 1, \&flip) },
	'files status' => 'warning present info_files', 'wal status' => 'warning present info_files');
damaged_and_mended($server, "$dir/repo", 'a bit of archive.info and of its copy is flipped', sub { patch("$dir/repo/archive/scratch/archive.info$_", 100, 1, \&flip) for '', '.copy' },
	'files status' => 'failure program_failed', 'wal status' => 'failure listed info_files');
damaged_and_mended($server, "$dir/repo", 'a file is cut', sub { my $file = largest($backup{full}); chmod 0600, $file; truncate $file, (-s $file) / 2 },
	'files status' => 'failure listed backup_files', 'files verify' => 'failure listed backup_files');
damaged_and_mended($server, "$dir/repo", 'a bit of a file is flipped', sub { my $file = largest($backup{full}); patch($file, (-s $file) / 2, 1, \&flip) },
	'files status' => 'success present', 'files verify' => 'failure listed backup_contents');
# A segment in the archive: the first or last that a backup needs ("start", "stop"), or one so far after it.
sub segment
{
	my ($number, $end, $later) = @_;
	my $name = decode_json(pgbackrest($server, '--output=json', 'info'))->[0]{backup}[$number]{archive}{$end};
	return glob "$dir/repo/archive/scratch/*/*/" . substr($name, 0, 16) . sprintf('%08X-*', hex(substr($name, 16)) + $later);
}
my $stops = 'backup_wal wal_continuity recovery_window';
damaged_and_mended($server, "$dir/repo", 'WAL that the newest backup needs is missing', sub { unlink segment(-1, 'start', 0) or die },
	'list status' => 'success listed', 'files status' => "failure listed $stops", 'files verify' => "failure listed $stops");
damaged_and_mended($server, "$dir/repo", 'WAL that only the oldest needs is missing', sub { unlink segment(0, 'start', 0) or die },
	'files status' => 'warning present backup_wal', 'files verify' => 'warning checksummed backup_wal');
damaged_and_mended($server, "$dir/repo", 'WAL between two backups is missing', sub { unlink segment(0, 'stop', 1) or die },
	'files status' => 'warning present wal_continuity', 'files verify' => 'warning checksummed wal_continuity');
damaged_and_mended($server, "$dir/repo", 'the last of the WAL is missing', sub { unlink((sort glob "$dir/repo/archive/scratch/*/*/*-*")[-1]) or die; $node->safe_psql('postgres', 'CHECKPOINT') },
	'files status' => 'failure listed archive_current', 'files verify' => 'failure listed archive_current');
like(damaged_and_mended($server, "$dir/repo", 'no list', sub { unlink $info, "$info.copy" },
		'list status' => 'failure catalog', 'files status' => 'failure catalog'),
	qr{lists no complete backup of stanza [^;"]*"scratch\\": [^;]*; \\"\Q$dir\E/repo/\S*/backup/scratch/backup\.info\\": it is missing\.}, 'and what is missing is said');
like(damaged_and_mended($server, "$dir/repo", 'both copies of the list are damaged', sub { for ($info, "$info.copy") { my $text = slurp_file($_); $text =~ s/"backup-lsn-start":"0/$&0/ or die; write_file($_, $text, 0600) } },
		'list status' => 'failure program_failed', 'files status' => 'failure program_failed'),
	qr/could not look at its repository: [^"]*unable to load info file '\Q$info\E'/, 'which is said');
damaged_and_mended($server, "$dir/repo", 'no stanza', sub { rmtree(["$dir/repo/backup/scratch", "$dir/repo/archive/scratch"]) },
	'list status' => 'failure catalog', 'files status' => 'failure catalog');
damaged_and_mended($server, "$dir/repo", 'no repository', sub { rmtree("$dir/repo") },
	'list status' => 'failure catalog', 'files status' => 'failure path_not_found');
damaged_and_mended($server, "$dir/repo", 'nothing of it can be read', sub { chmod 0, "$dir/repo" or die },
	'list status' => 'failure program_failed', 'files status' => 'failure path_unreadable');
damaged_and_mended($server, "$dir/repo", 'its backups cannot be read', sub { chmod 0, "$dir/repo/backup" or die },
	'list status' => 'failure program_failed', 'files status' => 'failure program_failed');
damaged_and_mended($server, "$dir/repo", 'its WAL cannot be read', sub { chmod 0, "$dir/repo/archive/scratch" or die },
	'list status' => 'failure program_failed', 'files status' => 'failure path_unreadable');

write_file("$dir/info", `$server->{command} --output=json info`);
my $unread = 'failure listed repository backup_lists';
cannot_be_read($server, "$dir/repo", "exec cat $dir/info",
	[ 'archive', 'failure path_unreadable' ],
	[ 'archive/scratch', 'failure path_unreadable' ],
	[ 'archive/scratch/' . $node->pg_version =~ s/\..*//r . '-1', 'failure path_unreadable' ],
	[ 'backup', $unread ],
	[ 'backup/scratch', $unread ],
	[ 'backup/scratch/backup.info', 'warning present info_files', 'warning checksummed info_files' ],
	[ "backup/scratch/$backup{incr}", 'failure listed backup_manifest' ],
	[ "backup/scratch/$backup{incr}/backup.manifest", 'warning present backup_manifest', 'warning checksummed backup_manifest' ]);
wrong_programs($server, [ 'program', $info, 'program_not_started' ]);
good('the program again', $backup{incr}, 'checksummed');

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
good('one in progress', $backup{incr}, 'checksummed');
like(recorded($server, 'list', 'verification_details'), qr/another one is in progress/, 'which is in the log');
$run->kill_kill;
good('one that was killed', $backup{incr}, 'checksummed');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET archive_command');
$node->reload;

# Expired: with a full backup all that builds on it.
$backup{second} = take_backup('--type=full');
good('another full one', $backup{second}, 'checksummed');
is(recorded($server, 'list', "jsonb_array_length(verification_details -> 'backups')"), '4', 'four are listed');
pgbackrest($server, "--set=$backup{full}", 'expire');
good('the others are expired', $backup{second}, 'checksummed');
is(recorded($server, 'list', "jsonb_array_length(verification_details -> 'backups')"), '1', 'now there is one');

# However it is stored
my ($minor) = `pgbackrest version` =~ /2\.(\d+)/;
for my $case ([ 'none', 'checksummed', 'compress-type=none' ],
	[ 'lz4', 'checksummed', 'compress-type=lz4' ],
	[ 'zst', 'checksummed', 'compress-type=zst' ],
	[ 'bundles', 'checksummed', 'repo1-bundle=y' ],
	[ 'blocks', 'present', "repo1-bundle=y\nrepo1-block=y" ],
	[ 'blocks, plain', 'present', "compress-type=none\nrepo1-bundle=y\nrepo1-block=y" ],
	[ 'bz2', 'present', 'compress-type=bz2', 'present' ],
	[ 'encrypted', 'listed', "repo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=secret", 'present' ])
{
	my ($name, $proof, $lines, $wal) = @$case;
	next if $name =~ /^blocks/ && $minor < 46;
	rename "$dir/repo", "$dir/repo.before" or die $!;
	mkdir "$dir/repo" or die $!;
	configure_pgbackrest($server, $lines);
	pgbackrest($server, 'stanza-create');
	take_backup('--type=full');
	write_segments($server);
	good($name, take_backup('--type=incr'), $proof, $wal);
	rmtree("$dir/repo.before");
}

# What is encrypted stays out of sight, which is said and is no alarm: nor when there is a history of timelines among it.
for my $said ('backup_lists: No backup is known: the list of them is encrypted', 'info_files: Whether archive\.info is whole cannot be told: it is encrypted',
	'segment_headers: No segment could be looked into', 'segment_checksums: No segment could be read')
{
	like(skipped('wal'), qr/^$said/m, "encrypted: $said");
}
$node->stop;
append_to_file($node->data_dir . '/standby.signal', '');
$node->start;
$node->promote;
write_segments($server);
good('encrypted, on a new timeline', take_backup('--type=full'), 'listed', 'present');
for my $target ('wal', 'files')
{
	like(skipped($target), qr/^history_files: 1 history file is encrypted or compressed in a way that cannot be read here: where its timeline begins is not known\.$/m, "$target: which began nobody knows where");
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
