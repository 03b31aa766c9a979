# An archive of WAL as a backup target: both levels, by hand and by the worker; idle, behind, with a hole.
use strict;
use warnings;
use POSIX qw(strftime);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use File::Copy;
use IPC::Run;
use WorkerTest qw(wait_until);

my $dir = PostgreSQL::Test::Utils::tempdir_short;
mkdir "$dir/$_" or die $! for 'archive', 'nothing', 'elsewhere', 'received', 'late', 'backups';

my $node = PostgreSQL::Test::Cluster->new('wal_archive');
$node->init(allows_streaming => 1, extra => ['--wal-segsize=1']);
$node->append_conf('postgresql.conf', <<"EOT");
shared_preload_libraries = 'voxanne_ops'
voxanne_ops.backup_directories = '$dir/archive, $dir/nothing, $dir/received, $dir/late, $dir/backups'
archive_mode = on
archive_command = 'test ! -f $dir/broken && cp %p $dir/archive/%f'
autovacuum = off
wal_keep_size = '200MB'
EOT
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION voxanne_ops');
$node->safe_psql('postgres', 'CREATE TABLE t (i int, filler text)');

sub sql
{
	my ($query) = @_;
	return $node->safe_psql('postgres', $query);
}

# Write segments and end the last one; its name.
sub write_segments
{
	return sql("INSERT INTO t SELECT i, repeat('x', 700) FROM generate_series(1, 4000) i; SELECT pg_walfile_name(pg_switch_wal())");
}

sub await_archived
{
	my ($segment) = @_;
	$node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM pg_ls_archive_statusdir() WHERE name = '$segment.done')")
	  or die "$segment was not archived";
	return;
}

# CALL it; what psql says, and the row: status, proof, first problem.
sub verify
{
	my ($level) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "CALL verify_backup('archive', '$level')");
	is($status, 0, "CALL verify_backup('archive', '$level')") or diag $err;
	return sql("SELECT status, proof, error_details #>> '{0,check}' FROM backup_verification_log WHERE target = 'archive' ORDER BY verified_at DESC LIMIT 1");
}

sub details
{
	my ($path) = @_;
	return sql("SELECT verification_details #>> '$path' FROM backup_verification_log WHERE target = 'archive' ORDER BY verified_at DESC LIMIT 1");
}

sub segments
{
	return sort grep { /^[0-9A-F]{24}$/ } slurp_dir("$dir/archive");
}

# Nothing is archived.
my $options = '{"status_interval": "300 days", "verify_interval": "300 days"}';
sql("SELECT add_backup_target('nothing', 'wal_archive', '$dir/nothing', '$options')");
sql('CALL await_verification()');
is(sql("SELECT DISTINCT status, error_details #>> '{0,check}' FROM backup_verification_log WHERE target = 'nothing'"), 'failure|archive_found', 'an empty archive');
sql("SELECT remove_backup_target('nothing')");

write_segments();
$node->command_ok(['pg_basebackup', '--no-sync', '-c', 'fast', '-X', 'none', '-D', "$dir/base", '-d', $node->connstr('postgres')], 'pg_basebackup');
write_segments();
my $last = write_segments();
await_archived($last);
sql("SELECT add_backup_target('archive', 'wal_archive', '$dir/archive', '$options')");
sql('CALL await_verification()');	# the worker has nothing to do from now on
is(verify('status'), 'success|present|', 'status');
is(details('{backup,id}'), $last, 'named by its newest segment');
is(details('{backup,segments,found}'), scalar(my @found = segments()), 'all segments are found');
is(verify('verify'), 'success|checksummed|', 'verify');
like(sql("SELECT c ->> 'detail' FROM backup_verification_log, jsonb_array_elements(verification_details -> 'checks') c WHERE target = 'archive' AND level = 'verify' AND c ->> 'check' = 'recovery_window' ORDER BY verified_at DESC LIMIT 1"),
	qr/^Every moment can be recovered from \S+, the end of backup \S+(?: at \S+Z)?, to \S+ on timeline 1, the last commit at \S+\.$/, 'the recovery window');
is(sql("SELECT severity FROM backup_status() WHERE target = 'archive'"), 'info', 'backup_status() is content');

# So far back a restore must go: the only backup is of three days ago.
my ($history) = glob "$dir/archive/*.backup";
my $ended = strftime('%Y-%m-%d %H:%M:%S UTC', gmtime(time - 3 * 86400));
my $text = slurp_file($history);
unlink $history or die $!;
append_to_file($history, $text =~ s/^STOP TIME: .*/STOP TIME: $ended/mr);
sql(q{SELECT alter_backup_target('archive', '{"pitr_window": "4 days"}')});
is(verify('verify'), 'warning|checksummed|pitr_window', 'not as far back as is wanted');
is(sql("SELECT severity, key FROM backup_status() WHERE target = 'archive'"), 'warning|backup_warning:archive', 'in backup_status() too');
sql(q{SELECT alter_backup_target('archive', '{"pitr_window": "2 days"}')});
is(verify('verify'), 'success|checksummed|', 'as far as is wanted');
sql(q{SELECT alter_backup_target('archive', '{"pitr_window": null}')});

# The worker does both levels.
for my $level ('status', 'verify')
{
	sql("SELECT request_verification('archive', '$level')");
	sql('CALL await_verification()');
	is(sql("SELECT count(*) > 1 FROM backup_verification_log WHERE target = 'archive' AND level = '$level' AND status = 'success'"), 't', "the worker verifies at level $level");
}

# An idle server finishes no segment: whatever the age of the newest one, the archive is current.
utime 1, time - 100 * 86400, "$dir/archive/$_" for segments();
is(verify('status'), 'success|present|', 'an idle server is not accused');
like(sql("SELECT age FROM backup_status() WHERE target = 'archive'"), qr/^00:0/, 'and its archive is not old');

# Archiving stops: first it waits, then it is too long.
append_to_file("$dir/broken", '');
my $waiting = write_segments();
is(verify('status'), 'success|present|', 'behind since a moment ago');
my ($first) = grep { !-e "$dir/archive/$_" && $_ le $waiting } sort grep { /^[0-9A-F]{24}$/ } slurp_dir($node->data_dir . '/pg_wal');
utime 1, time - 30 * 3600, $node->data_dir . "/pg_wal/$first" or die $!;
is(verify('status'), 'warning|present|backup_age', 'behind since yesterday');
like(sql("SELECT error_details #>> '{0,detail}' FROM backup_verification_log WHERE target = 'archive' ORDER BY verified_at DESC LIMIT 1"), qr/^The WAL archive is 30 h behind the server, past the 24 h allowed\.$/, 'in words');
unlink "$dir/broken" or die $!;
$node->reload;
await_archived($waiting);
is(verify('status'), 'success|present|', 'it has caught up');

# A hole behind the newest backup is a failure; with a new backup a warning, as the old one gets no further.
my @segments = segments();
rename "$dir/archive/$segments[-2]", "$dir/elsewhere/$segments[-2]" or die $!;
is(verify('status'), 'failure|listed|wal_continuity', 'a hole');
like(sql("SELECT severity, detail FROM backup_status() WHERE target = 'archive'"), qr/^critical\|Recovery from the newest usable backup, \S+, ends at \S+: segment $segments[-2] is missing or damaged\./, 'in backup_status()');
$node->command_ok(['pg_basebackup', '--no-sync', '-c', 'fast', '-X', 'none', '-D', "$dir/base2", '-d', $node->connstr('postgres')], 'a new backup');
await_archived(write_segments());
is(verify('status'), 'warning|present|wal_continuity', 'after a new backup');
rename "$dir/elsewhere/$segments[-2]", "$dir/archive/$segments[-2]" or die $!;
is(verify('status'), 'success|present|', 'when it is back');

# Damage inside a segment: level verify finds it.
open my $file, '+<:raw', "$dir/archive/$segments[-3]" or die $!;
seek $file, 100000, 0;
read $file, my $byte, 1;
seek $file, 100000, 0;
print $file $byte ^ "\1";
close $file or die $!;
is(verify('status'), 'success|present|', 'a flipped bit: not seen at level status');
is((split /\|/, verify('verify'))[0], 'failure', 'but at level verify');

# An archive that pg_receivewal fills does not say which backups there are; targets of kind basebackup do.
my ($in, $out, $err) = ('', '', '');
my $receiver = IPC::Run::start([ 'pg_receivewal', '--no-sync', '-D', "$dir/received", '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out, '2>', \$err);

sub await_received
{
	my ($segment) = @_;
	wait_until(sub { -e "$dir/received/$segment" }) or die "$segment was not received: $err";
	return $segment;
}

sub take_backup
{
	my ($name) = @_;
	$node->command_ok(['pg_basebackup', '--no-sync', '-c', 'fast', '-D', "$dir/backups/$name", '-d', $node->connstr('postgres')], "backup $name");
	sql("SELECT add_backup_target('$name', 'basebackup', '$dir/backups/$name', '$options')");
	sql("SET client_min_messages = error; CALL verify_backup('$name')");
	is(sql("SELECT status FROM backup_verification_log WHERE target = '$name' ORDER BY verified_at DESC LIMIT 1"), 'success', "$name is good");
	return;
}

# Status and first problem of a verification of an archive, and what a check of it says.
sub verify_archive
{
	my ($target, $check) = @_;
	sql("SET client_min_messages = error; CALL verify_backup('$target')");
	return split /\|/, sql("SELECT status, error_details #>> '{0,check}', c ->> 'detail' FROM backup_verification_log, jsonb_array_elements(verification_details -> 'checks') c
		WHERE target = '$target' AND c ->> 'check' = '$check' ORDER BY verified_at DESC LIMIT 1");
}

await_received(write_segments());
sql("SELECT add_backup_target('received', 'wal_archive', '$dir/received', '$options')");
sql('CALL await_verification()');
is(join('|', verify_archive('received', 'backup_lists')), 'success||No backup is known that needs this archive.', 'no backup is known');
take_backup('one');
my $early = await_received(write_segments());
await_received(write_segments());
take_backup('two');
my $late = await_received(write_segments());
await_received(write_segments());
is(join('|', verify_archive('received', 'backup_lists')), 'success||2 backups are known that need this archive.', 'those that targets hold');
like((verify_archive('received', 'recovery_window'))[2], qr{^Every moment can be recovered from \S+, the end of backup one/one at \S+Z, to \S+ on timeline 1}, 'from the oldest of them on');

# Gap behind the newest backup; before it only; both, and then the newest is no target any more.
sub lose { my ($segment) = @_; rename "$dir/received/$segment", "$dir/elsewhere/$segment" or die $!; return }
sub find { my ($segment) = @_; rename "$dir/elsewhere/$segment", "$dir/received/$segment" or die $!; return }
lose($late);
my @result = verify_archive('received', 'wal_continuity');
is("@result[0, 1]", 'failure wal_continuity', 'a gap behind the newest backup is a failure');
like($result[2], qr{^Recovery from the newest usable backup, two/two, ends at \S+: segment $late is missing or damaged\.$}, 'and says how far a restore goes');
is(sql("SELECT severity FROM backup_status() WHERE target = 'received'"), 'critical', 'in backup_status() too');
find($late);
lose($early);
is(join('|', verify_archive('received', 'wal_continuity')), 'warning|wal_continuity|1 backup does not get past a segment that is missing or damaged; newer ones do.', 'one only before it is a warning');
like((verify_archive('received', 'recovery_window'))[2], qr{the end of backup two/two at }, 'and the window begins at the newest');
sql("SELECT remove_backup_target('two')");
is(join('|', (verify_archive('received', 'wal_continuity'))[ 0, 1 ]), 'failure|wal_continuity', 'without the newest it is a failure');
sql("SELECT add_backup_target('two', 'basebackup', '$dir/backups/two', '$options')");
sql("SET client_min_messages = error; CALL verify_backup('two')");
find($early);
is((verify_archive('received', 'wal_continuity'))[0], 'success', 'quiet when it is back');

# WAL that was removed from the old end: no loss as long as the newest backup has its own.
my @received = sort grep { /^[0-9A-F]{24}$/ } slurp_dir("$dir/received");
copy("$dir/received/$_", "$dir/late/$_") or die $! for grep { $_ gt $early } @received;
sql("SELECT add_backup_target('late', 'wal_archive', '$dir/late', '$options')");
sql('CALL await_verification()');
is((verify_archive('late', 'wal_continuity'))[0], 'success', 'an archive that is younger than the oldest backup');
unlink "$dir/late/$_" or die $! for grep { $_ gt $early && $_ le $late } @received;
@result = verify_archive('late', 'backup_wal');
is("@result[0, 1]", 'failure backup_wal', 'one that is younger than the newest is of no use');
like($result[2], qr/^1 backup can not be restored with this archive, the newest among them\.$/, 'which it says');
sql("SELECT remove_backup_target('late'), remove_backup_target('received')");

# What archive_command stored tells of the same backups by itself: each counts once.
my ($known) = (verify_archive('archive', 'backup_lists'))[2] =~ /^(\d+) backups are known/;
is($known, scalar(grep { /\.backup$/ } slurp_dir("$dir/archive")), 'a backup that both tell of counts once');
$receiver->signal('INT');
$receiver->finish;

# Where it may not lie.
(undef, $out, $err) = $node->psql('postgres', "SELECT add_backup_target('other', 'wal_archive', '$dir/elsewhere')");
like($err, qr/backup_directories/, 'outside of the allowed directories');
$node->stop;
done_testing();
