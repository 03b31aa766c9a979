# verify-wal: real archives of archive_command and pg_receivewal, healthy and with each kind of damage.
use strict;
use warnings;
use AgentTest;
use File::Copy ();
use File::Path qw(rmtree);
use IO::Compress::Gzip ();
use IPC::Run;
use JSON::PP;
use POSIX qw(mkfifo strftime);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir_short;
my $mb    = 1024 * 1024;

# A cluster with segments of 1 MB that archives by copying.
mkdir "$dir/flat" or die $!;
my $node = PostgreSQL::Test::Cluster->new('wal');
$node->init(allows_streaming => 1, extra => ['--wal-segsize=1']);
$node->append_conf('postgresql.conf', "archive_mode = on\narchive_command = 'cp %p $dir/flat/%f'\nautovacuum = off\ncheckpoint_timeout = '1h'\nmax_wal_size = '1GB'\nwal_keep_size = '500MB'\n");
$node->start;
my $system = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
$node->safe_psql('postgres', 'CREATE TABLE t (i int, filler text)');

# Write some segments, so that records cross from one to the next, and end the last one; its name.
sub write_segments
{
	my ($server) = @_;
	$server->safe_psql('postgres', "INSERT INTO t SELECT i, repeat('x', 700) FROM generate_series(1, 5000) i; INSERT INTO t VALUES (0, '')");
	my $last = $server->safe_psql('postgres', 'SELECT pg_walfile_name(pg_switch_wal())');
	return $last;
}

sub await_archived
{
	my ($server, $segment) = @_;
	$server->poll_query_until('postgres', "SELECT last_archived_wal >= '$segment' AND last_archived_wal !~ '[.]' OR EXISTS (SELECT FROM pg_ls_archive_statusdir() WHERE name = '$segment.done') FROM pg_stat_archiver")
	  or die "segment $segment was not archived";
	return;
}

sub agent
{
	my (@arguments) = @_;
	return run_agent('verify-wal', @arguments);
}

sub counts
{
	my ($document) = @_;
	return join ' ', map { "$_=$document->{backup}{segments}{$_}" } grep { $document->{backup}{segments}{$_} } qw(found pending lost bad foreign);
}

sub segments
{
	my ($path) = @_;
	return sort grep { /^[0-9A-F]{24}$/ } slurp_dir($path);
}

my $copies = 0;
sub copy
{
	my ($from) = @_;
	my $path = "$dir/copy" . ++$copies;
	system('cp', '-a', $from, $path) == 0 or die;
	return $path;
}

my $before = write_segments($node);
$node->command_ok(['pg_basebackup', '--no-sync', '-c', 'fast', '-X', 'none', '-D', "$dir/base", '-d', $node->connstr('postgres')], 'pg_basebackup');
my $last_commit = $node->safe_psql('postgres', "SET synchronous_commit = on; INSERT INTO t VALUES (1, ''); SELECT 1");
my $last = write_segments($node);
await_archived($node, $last);
my ($history) = grep { /\.backup$/ } slurp_dir("$dir/flat");
my @good = segments("$dir/flat");
my $n = @good;
cmp_ok($n, '>', 5, 'there are some segments');

# Healthy, at both levels.
my $all = 'archive_found backup_lists backup_wal files_readable history_files recovery_window segment_copies segment_headers segments_unread system_identifier wal_continuity';
my ($status, $document) = agent("$dir/flat", '--system-identifier', $system);
is("$status $document->{result}", '0 success', 'good: result') or diag explain $document->{checks};
is(with($document, 'passed'), $all, 'good: every check passes');
is(counts($document), "found=$n", 'good: counts');
is_deeply([@{ $document->{backup} }{qw(id layout segment_size system_identifier)}], [$last, 'flat', $mb, "$system"], 'good: what is known');
is_deeply($document->{backup}{timelines}, [{ timeline => 1, ranges => [{ first => $good[0], last => $last, count => $n }] }], 'good: timelines');
is_deeply($document->{backup}{gaps}, [], 'good: no gaps');
($status, $document) = agent("$dir/flat", '--system-identifier', $system, '--level', 'verify');
is("$status $document->{result}", '0 success', 'good: result of verify') or diag explain $document->{checks};
is(with($document, 'passed'), "$all wal_records", 'good: every check of verify passes');
like(check($document, 'wal_records')->{detail}, qr/^\d+ records of WAL have the checksum that they state\.$/, 'good: records');

# The records are as many as pg_waldump sees.
my ($records) = check($document, 'wal_records')->{detail} =~ /^(\d+)/;
my ($out, $err);
IPC::Run::run(['pg_waldump', '-q', '-p', "$dir/flat", $good[0], $last], '>', \$out, '2>', \$err);
IPC::Run::run(['pg_waldump', '-p', "$dir/flat", $good[0], $last], '>', \$out, '2>', \$err);
my $dumped = () = $out =~ /^rmgr:/mg;
is($records, $dumped, 'as many records as pg_waldump finds');
my ($commit) = (reverse $out =~ /desc: COMMIT (\S+ \S+) UTC/g)[0];
my ($window) = @{ $document->{recovery_window} };
my ($start) = slurp_file("$dir/flat/$history") =~ /^START WAL LOCATION: (\S+)/m;
my ($stop)  = slurp_file("$dir/flat/$history") =~ /^STOP WAL LOCATION: (\S+)/m;
is_deeply([@$window{qw(backup timeline start_lsn end_lsn usable complete)}], [$history =~ s/\.backup//r, 1, $start, $stop, JSON::PP::true, JSON::PP::true], 'the window of the backup');
SKIP:
{
	skip 'pg_waldump shows local times', 1 if !defined $commit;
	is($window->{last_commit_at}, $commit =~ s/(\S+) ([0-9:]+).*/$1T$2Z/r, 'the last commit');
}
like(check($document, 'recovery_window')->{detail}, qr/^Every moment can be recovered from \Q$stop\E, the end of backup \S+(?: at \S+Z)?, to \S+ on timeline 1, the last commit at \S+Z\.$/, 'recovery window in words');
command_like([$agent, 'verify-wal', "$dir/flat"], qr/^verify-wal: success\n$n found, 0 pending, 0 lost, 0 bad, 0 foreign\nnewest $last, .*\ntimeline 1: $good[0] to $last\npassed  /, 'text format');

# Damage: what is done to which segment, checks that fail at level status and, besides, at verify; items; counts.
my $middle = $good[ $n - 3 ];
my $oldest = $good[0];
my @damages = (
	# name, level, inflict, failed, warned, check, items, counts
	['a segment is missing', 'status', sub { unlink "$_[0]/$middle" }, 'wal_continuity', '', 'wal_continuity', "$middle: missing", 'found=' . ($n - 1) . ' lost=1'],
	['the first that the backup needs is missing', 'status', sub { unlink "$_[0]/" . substr($history, 0, 24) }, 'backup_wal', 'wal_continuity', 'wal_continuity', substr($history, 0, 24) . ': missing', 'found=' . ($n - 1) . ' lost=1'],
	['two are missing', 'status', sub { unlink "$_[0]/$good[$n-3]", "$_[0]/$good[$n-2]" }, 'wal_continuity', '', 'wal_continuity', "$good[$n-3]: missing, as all to $good[$n-2]: 2 segments", 'found=' . ($n - 2) . ' lost=2'],
	['the oldest are gone', 'status', sub { unlink "$_[0]/$oldest" }, '', '', 'wal_continuity', '', 'found=' . ($n - 1)],
	['one that no backup needs is missing', 'status', sub { unlink "$_[0]/$good[1]" }, '', '', 'wal_continuity', "$good[1]: missing", 'found=' . ($n - 1) . ' lost=1'],
	['one is missing and no backup is known', 'status', sub { unlink "$_[0]/$middle", "$_[0]/$history" }, '', 'wal_continuity', 'wal_continuity', "$middle: missing", 'found=' . ($n - 1) . ' lost=1'],
	['a segment is empty', 'status', sub { write_file("$_[0]/$middle", '') }, 'segment_headers wal_continuity', '', 'segment_headers', "$middle: is empty", 'found=' . ($n - 1) . ' bad=1'],
	['a segment is short', 'status', sub { truncate "$_[0]/$middle", 1000 }, 'segment_headers wal_continuity', '', 'segment_headers', "$middle: has 1000 bytes, not $mb", 'found=' . ($n - 1) . ' bad=1'],
	['a segment is long', 'status', sub { append_to_file("$_[0]/$middle", 'x') }, 'segment_headers wal_continuity', '', 'segment_headers', "$middle: has " . ($mb + 1) . " bytes, not $mb", 'found=' . ($n - 1) . ' bad=1'],
	['the newest may still be written', 'status', sub { truncate "$_[0]/$last", 1000 }, '', '', 'segment_headers', '', 'found=' . ($n - 1) . ' pending=1'],
	['the newest is short, and old', 'status', sub { truncate "$_[0]/$last", 1000; utime 1, time - 7200, "$_[0]/$last" }, 'segment_headers wal_continuity', '', 'segment_headers', "$last: has 1000 bytes, not $mb", 'found=' . ($n - 1) . ' bad=1'],
	['the newest is of zeros', 'status', sub { write_file("$_[0]/$last", "\0" x $mb) }, 'segment_headers wal_continuity', '', 'segment_headers', qr/^$last: page at \S+ has magic number 0000$/, 'found=' . ($n - 1) . ' bad=1'],
	['a segment has another one\'s name', 'verify', sub { File::Copy::copy("$_[0]/$good[1]", "$_[0]/$middle") }, 'segment_headers wal_continuity', '', 'segment_headers', qr/^$middle: page at \S+ says that it is the one at /, 'found=' . ($n - 1) . ' bad=1'],
	['a segment of another cluster', 'verify', sub { patch("$_[0]/$middle", 24, 1, \&flip) }, 'system_identifier wal_continuity', '', 'system_identifier', qr/^$middle: is of cluster \d+, not $system$/, 'found=' . ($n - 1) . ' lost=1 foreign=1'],
	['a segment of a later timeline inside', 'verify', sub { patch("$_[0]/$middle", 4, 4, pack('V', 2)) }, 'segment_headers wal_continuity', '', 'segment_headers', qr/^$middle: page at \S+ is of timeline 2$/, 'found=' . ($n - 1) . ' bad=1'],
	['another segment size is stated', 'verify', sub { patch("$_[0]/$middle", 32, 4, pack('V', 16 * $mb)) }, 'segment_headers wal_continuity', '', 'segment_headers', qr/^$middle: states a segment size of 16777216/, 'found=' . ($n - 1) . ' bad=1'],
	['a record has a flipped bit', 'verify', sub { patch("$_[0]/$middle", 5 * 8192 + 4000, 1, \&flip) }, 'wal_continuity wal_records', '', 'wal_records', qr/^$middle: record at \S+ does not have the checksum/, 'found=' . ($n - 1) . ' bad=1'],
	['a page\'s address is wrong', 'verify', sub { patch("$_[0]/$middle", 3 * 8192 + 8, 1, \&flip) }, 'wal_continuity wal_records', '', 'wal_records', qr/^$middle: page at \S+ says that it is/, 'found=' . ($n - 1) . ' bad=1'],
	['a page is zeroed', 'verify', sub { patch("$_[0]/$middle", 7 * 8192, 8192, "\0" x 8192) }, 'wal_continuity wal_records', '', 'wal_records', qr/^$middle: /, 'found=' . ($n - 1) . ' bad=1'],
	['a damaged history of the backup', 'status', sub { write_file("$_[0]/$history", "nonsense\n") }, '', 'backup_lists', 'backup_lists', "$history: is no history of a backup", "found=$n"],
	['a FIFO instead of a segment', 'status', sub { unlink "$_[0]/$middle"; mkfifo("$_[0]/$middle", 0600) }, 'files_readable wal_continuity', '', 'files_readable', "$middle: is not a regular file", 'found=' . ($n - 1) . ' bad=1'],
	['a link instead of a segment', 'status', sub { rename "$_[0]/$middle", "$_[0].moved"; symlink "$_[0].moved", "$_[0]/$middle" }, 'files_readable wal_continuity', '', 'files_readable', "$middle: is not a regular file", 'found=' . ($n - 1) . ' bad=1'],
	['an unreadable segment', 'verify', sub { chmod 0, "$_[0]/$middle" }, 'files_readable wal_continuity', '', 'files_readable', "$middle: unreadable: permission denied", 'found=' . ($n - 1) . ' bad=1'],
	['files of other people', 'verify', sub { write_file("$_[0]/README", 'x'); write_file("$_[0]/00000001000000000000000x", 'x'); mkdir "$_[0]/lost+found" }, '', '', 'archive_found', '', "found=$n foreign=2"],
	['a name beyond the segment size', 'status', sub { write_file("$_[0]/000000010000000000001000", 'x' x $mb) }, 'system_identifier', '', 'system_identifier', '000000010000000000001000: is no name of a segment of 1 MB', "found=$n foreign=1"],
	['two contents of one segment', 'verify', sub { my $text = slurp_file("$_[0]/$middle"); IO::Compress::Gzip::gzip(\(slurp_file("$_[0]/$middle") =~ s/x{700}/'y' . ('x' x 699)/er), "$_[0]/$middle.gz") }, 'wal_records', '', 'wal_records', qr/^$middle\.gz: record/, "found=$n bad=1"],
	['one segment plain and compressed', 'verify', sub { IO::Compress::Gzip::gzip("$_[0]/$middle", "$_[0]/$middle.gz") }, '', '', 'segment_copies', '', 'found=' . ($n + 1)],
	['compressed data are cut', 'verify', sub { IO::Compress::Gzip::gzip("$_[0]/$middle", "$_[0]/$middle.gz"); unlink "$_[0]/$middle"; truncate "$_[0]/$middle.gz", (-s "$_[0]/$middle.gz") / 2 }, 'segment_headers wal_continuity', '', 'segment_headers', "$middle.gz: the gzip data are damaged: they are cut off", 'found=' . ($n - 1) . ' bad=1'],
	['the newest may still be compressed', 'verify', sub { IO::Compress::Gzip::gzip("$_[0]/$last", "$_[0]/$last.gz"); unlink "$_[0]/$last"; truncate "$_[0]/$last.gz", 500 }, '', '', 'segment_headers', '', 'found=' . ($n - 1) . ' pending=1'],
	['a name lies about compression', 'verify', sub { rename "$_[0]/$middle", "$_[0]/$middle.zst" }, 'segment_headers wal_continuity', '', 'segment_headers', "$middle.zst: holds no zstd data", 'found=' . ($n - 1) . ' bad=1'],
	['compressed with what we do not read', 'verify', sub { write_file("$_[0]/$middle.bz2", 'BZh91AY'); unlink "$_[0]/$middle" }, '', '', 'segments_unread', "$middle.bz2: is compressed with bzip2, which cannot be read here", "found=$n"],
	['encrypted', 'verify', sub { write_file("$_[0]/$middle", 'Salted__' . 'x' x ($mb - 8)) }, '', '', 'segments_unread', "$middle: is encrypted", "found=$n"],
	['a history that is none', 'status', sub { write_file("$_[0]/00000002.history", "x\n") }, 'history_files', '', 'history_files', '00000002.history: line 1: it does not begin with the number of a timeline', "found=$n"],
	['a history out of order', 'status', sub { write_file("$_[0]/00000004.history", "2\t0/100000\tx\n1\t0/200000\tx\n") }, 'history_files', '', 'history_files', '00000004.history: line 2: timelines are not in ascending order', "found=$n"],
	['a history of itself', 'status', sub { write_file("$_[0]/00000002.history", "2\t0/100000\tx\n") }, 'history_files', '', 'history_files', '00000002.history: line 1: it is not of an older timeline', "found=$n"],
	['a history that cannot be read here', 'status', sub { write_file("$_[0]/00000002.history.br", "\x0b\x02\x80") }, '', '', 'history_files', '', "found=$n"],
	['one among others that can', 'status', sub { write_file("$_[0]/00000002.history", "1\tFF/0\tx\n"); write_file("$_[0]/00000003.history", 'Salted__xxxxxxxx') }, '', '', 'history_files', '', "found=$n"],
	['a hole in the histories', 'status', sub { write_file("$_[0]/00000003.history", "# comment\n\n1\t0/200000\tx\n") }, '', 'history_files', 'history_files', '', "found=$n"],
);
for my $damage (@damages)
{
	my ($name, $level, $inflict, $failed, $warned, $check, $items, $counts) = @$damage;
	$warned = 'recovery_window' if $failed =~ /wal_continuity/;
	my $path = copy("$dir/flat");
	$inflict->($path);
	($status, $document) = agent($path, '--system-identifier', $system, '--level', $level);
	is(with($document, 'failed'), $failed, "$name: what fails") or diag explain $document->{checks};
	is(with($document, 'warning'), $warned, "$name: what warns");
	is($status, $failed eq '' ? 0 : 1, "$name: exit status");
	if (ref $items) { like(items($document, $check), $items, "$name: items") }
	else { is(items($document, $check), $items, "$name: items") }
	is(counts($document), $counts, "$name: counts");
	is($document->{proof}, $check eq 'segments_unread' ? 'present' : undef, "$name: what is shown");
	chmod 0600, "$path/$middle";
	rmtree($path);
}

# What tells of a backup but cannot be read here is no fault of the backup's.
{
	my $path = copy("$dir/flat");
	unlink "$path/$history";
	write_file("$path/$history.xz", "\xfd7zXZ\0");
	($status, $document) = agent($path);
	is("$status " . with($document, 'skipped'), '0 backup_lists backup_wal recovery_window', 'a description that is compressed with xz');
	like(check($document, 'backup_lists')->{detail}, qr/^No backup is known: 1 description of one is encrypted or compressed in a way that cannot be read here\.$/, 'which is said');
	rmtree($path);
}

# WAL-G keeps WAL in a directory of its repository, compressed and perhaps encrypted, which no file says of itself: it is taken
# for that if none holds what its name says.
{
	my $path = "$dir/walg";
	mkdir $_ or die $! for $path, "$path/wal_005";
	IO::Compress::Gzip::gzip("$dir/flat/$_", "$path/wal_005/$_.gz") for @good;
	IO::Compress::Gzip::gzip(\"1\tFF/0\tx\n", "$path/wal_005/00000002.history.gz");
	my $listed = sprintf '[{"backup_name": "base_%s", "wal_file_name": "%s", "finish_time": "2026-01-28T03:00:00.5Z", "start_lsn": %d, "finish_lsn": %d}]', (substr($history, 0, 24)) x 2,
	  map { my ($high, $low) = split m{/}; hex($high) * 2**32 + hex($low) } $start, $stop;
	write_file("$dir/wal-g", "#!/bin/sh\necho '$listed'\n", 0755);
	my @walg = ('verify-catalog', 'main.json', '--tool', 'walg', '--program', "$dir/wal-g", '--config', $dir, '--repository', $path, '--wal-segment-size', $mb, '--level', 'verify');
	($status, $document) = run_agent(@walg);
	is("$status " . with($document, 'skipped'), '0 backup_files cluster', 'WAL-G: all is read but the files') or diag explain $document->{checks};
	like(check($document, 'wal_records')->{detail}, qr/^$records records/, 'WAL-G: all records');
	patch("$path/wal_005/$middle.gz", 0, 4, 'xxxx');
	($status, $document) = run_agent(@walg);
	is("$status " . items($document, 'segment_headers'), "1 $middle.gz: holds no gzip data", 'WAL-G: one that is damaged');
	patch($_, 0, 4, 'xxxx') for glob "$path/wal_005/*.gz";
	($status, $document) = run_agent(@walg);
	is("$status " . with($document, 'skipped'), '0 backup_files cluster history_files segment_headers segments_unread system_identifier wal_records', 'WAL-G: encrypted') or diag explain $document->{checks};
	like(items($document, 'segments_unread'), qr/^$oldest\.gz: holds no gzip data, as none does: it is encrypted,/, 'WAL-G: which is said');
	($status, $document) = agent("$path/wal_005", '--wal-segment-size', $mb);
	like(with($document, 'failed'), qr/segment_headers/, 'but not what WAL-G is not known to have written');
	rmtree($path);
}

is(answer('verify-wal', "$dir/flat", '--level', 'verify', '--jobs', 1), answer('verify-wal', "$dir/flat", '--level', 'verify', '--jobs', 4), 'jobs 1 and 4 agree');

# Nothing, and not WAL.
mkdir "$dir/empty" or die $!;
($status, $document) = agent("$dir/empty");
is("$status " . check($document, 'archive_found')->{detail}, "1 \"$dir/empty\" holds no WAL.", 'an empty directory');
($status, $document) = agent("$dir/none");
is("$status $document->{error}{code}", '3 path_not_found', 'no directory');
($status, $document) = agent("$dir/flat", '--within', "$dir/empty");
is("$status $document->{error}{code}", '3 path_outside', 'outside of the allowed directories');
($status, $document) = agent("$dir/flat", '--system-identifier', $system + 1);
is("$status " . check($document, 'system_identifier')->{detail}, "1 This is WAL of another cluster: $system, not " . ($system + 1) . '.', 'another cluster');
for my $arguments (['--server-position', '0/1'], ['--server-position', '1,0/0/1'], ['--server-wal', 'relative'], ['--wal-segment-size', '1000000'], ['--wal-segment-size', '0'])
{
	is((agent("$dir/flat", @$arguments))[0], 2, "usage: @$arguments");
}
($status, $document) = agent("$dir/flat", '--backup', 'nonsense');
is(items($document, 'backup_lists'), 'nonsense: is no START_LSN,TIMELINE[,END_LSN[@SECONDS][,ID]]', 'a backup that makes no sense');

# Segments of the largest size and of the smallest, which differ in names, not in anything else: of 1 GB four make
# up a file of 4 GB, of 1 MB 4096.  (Only their headers hold something.)
for my $size (1024, 256, 1)
{
	my $path = "$dir/segments_$size";
	mkdir $path or die $!;
	my $per_log = 4096 / $size;
	my @names = map { sprintf '00000001%08X%08X', int($_ / $per_log), $_ % $per_log } $per_log - 2 .. $per_log + 2;
	for my $i (0 .. $#names)
	{
		my $header = substr slurp_file("$dir/flat/$good[0]"), 0, 40;
		substr($header, 8, 8)  = pack('Q', ($per_log - 2 + $i) * $size * $mb);
		substr($header, 32, 4) = pack('V', $size * $mb);
		write_file("$path/$names[$i]", $header);
		truncate "$path/$names[$i]", $size * $mb or die $!;
	}
	($status, $document) = agent($path, '--system-identifier', $system);
	is("$status $document->{result} " . counts($document), '0 success found=5', "segments of $size MB: good") or diag explain $document->{checks};
	is_deeply([ @{ $document->{backup} }{qw(segment_size gaps timelines)} ], [ $size * $mb, [], [ { timeline => 1, ranges => [ { first => $names[0], last => $names[-1], count => 5 } ] } ] ], 'without a gap');
	truncate "$path/$names[1]", $size * $mb - 1;
	($status, $document) = agent($path, '--system-identifier', $system);
	is("$status " . items($document, 'segment_headers'), "1 $names[1]: has " . ($size * $mb - 1) . ' bytes, not ' . $size * $mb, 'one is short');
	unlink "$path/$names[1]", "$path/$names[2]";
	($status, $document) = agent($path, '--system-identifier', $system);
	is(items($document, 'wal_continuity'), "$names[1]: missing, as all to $names[2]: 2 segments", 'a gap across the end of a log');
	rmtree($path);
}

# Backups that are named.
($status, $document) = agent("$dir/flat", '--backup', "$start,1,$stop,mine");
is_deeply([map { $_->{backup} } @{ $document->{recovery_window} }], ['mine'], 'a backup that is named');
($status, $document) = agent("$dir/flat", '--backup', '0/100028,1,0/200000,old', '--backup', "$start,1,$stop,new");
is(with($document, 'failed') . with($document, 'warning'), $good[0] =~ /1$/ ? '' : 'backup_wal', 'an older one that needs what is gone') or diag explain $document->{checks};

# How far back a restore is wanted to go: from the end of the oldest backup that gets to the newest segment.
my $day   = 86400;
my $ended = time - 10 * $day;
my $iso   = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $ended);
for my $wanted (9, 11)
{
	($status, $document) = agent("$dir/flat", '--backup', "$start,1,$stop\@$ended,mine", '--pitr-window', $wanted * $day);
	is("$status " . check($document, 'pitr_window')->{result}, $wanted == 9 ? '0 passed' : '0 warning', "$wanted days are wanted");
	is($document->{recovery_window}[0]{from}, $iso, 'when the backup ended');
}
is(check($document, 'pitr_window')->{detail}, "A restore can go back to $iso, the end of backup mine, which is less than the 11 days wanted.", 'in words');
like(check($document, 'recovery_window')->{detail}, qr/, the end of backup mine at \Q$iso\E, to /, 'and in the window');
for my $named ("$start,1,$stop\@,mine", "$start,1,$stop\@-1,mine", "$start,1,$stop\@1x,mine", "$start,1,$stop\@99999999999999,mine")
{
	($status, $document) = agent("$dir/flat", '--backup', $named);
	is(with($document, 'warning'), 'backup_lists', "no time: $named");
}
my $text = slurp_file("$dir/flat/$history");
for my $case (['UTC', 10, 'passed', 'end of the backup in UTC'], ['GMT', 12, 'warning', 'and not so far back'], ['EST', 10, 'skipped', 'another abbreviation'])
{
	my ($zone, $days, $result, $name) = @$case;
	my $time = strftime("%Y-%m-%d %H:%M:%S $zone", gmtime $ended);
	write_file("$dir/flat/$history", $text =~ s/^STOP TIME: .*/STOP TIME: $time/mr, 0644);
	($status, $document) = agent("$dir/flat", '--pitr-window', $days * $day);
	is(check($document, 'pitr_window')->{result}, $result, "history of a backup: $name");
}
write_file("$dir/flat/$history", $text, 0644);
($status, $document) = agent("$dir/flat", '--seen-backup', "$start,1,$stop\@$ended,mine", '--pitr-window', 9 * $day);
is(check($document, 'pitr_window')->{result}, 'passed', 'seen, and the archive tells of all others');
unlink "$dir/flat/$history" or die $!;
($status, $document) = agent("$dir/flat", '--seen-backup', "$start,1,$stop\@$ended,mine", '--pitr-window', 9 * $day);
is(check($document, 'pitr_window')->{detail}, 'Which backups there are besides mine is not known.', 'seen, and nothing tells of others');
($status, $document) = agent("$dir/flat", '--pitr-window', 9 * $day);
is(check($document, 'pitr_window')->{result}, 'skipped', 'no backup');
write_file("$dir/flat/$history", $text, 0644);
is((agent("$dir/flat", '--pitr-window', $_))[0], 2, "usage: --pitr-window $_") for '0', 'x', '1 day';

# pg_receivewal, plain and compressed by each method it has.
for my $method ('none', 'gzip', 'lz4')
{
	mkdir "$dir/receive_$method" or die $!;
	my $slot = "slot_$method";
	$node->command_ok(['pg_receivewal', '-D', "$dir/receive_$method", '-d', $node->connstr('postgres'), '--no-sync', '--no-loop', '--slot', $slot, '--create-slot'], "slot for $method");
}
for my $method ('none', 'gzip', 'lz4')
{
	my $path = "$dir/receive_$method";
	write_segments($node);
	$node->safe_psql('postgres', "INSERT INTO t SELECT i, '' FROM generate_series(1, 100) i");
	my $end = $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
	IPC::Run::run(['pg_receivewal', '-D', $path, '-d', $node->connstr('postgres'), '--no-sync', '--no-loop', '--slot', "slot_$method", '--endpos', $end, '--compress', $method eq 'none' ? '0' : $node->pg_version >= 15 ? $method : 1], '>', \$out, '2>', \$err);
	SKIP:
	{
		skip "pg_receivewal does not have $method", 4 if $err =~ /not supported by this build/;
		is($?, 0, "pg_receivewal $method") or diag $err;
		my @names = grep { /^[0-9A-F]{24}/ } slurp_dir($path);
		my $full  = grep { !/partial/ } @names;
		is(scalar(grep { /\.partial$/ } @names), 1, "$method: the last is partial");
		($status, $document) = agent($path, '--system-identifier', $system, '--level', 'verify');
		is("$status $document->{result}", '0 success', "$method: good") or diag explain $document->{checks};
		is(counts($document), ($full == 0 ? '' : "found=$full ") . 'pending=1', "$method: counts");
	}
}

# What the server has finished: an idle one is not accused, whatever the age of the archive.
await_archived($node, write_segments($node));
my $archive = copy("$dir/flat");
utime 1, time - 100 * 86400, "$archive/$_" for segments($archive);
sub server
{
	my ($path, $lsn, $wal) = @_;
	return agent($path, '--server-position', "1,$lsn", '--server-wal', $wal // $node->data_dir . '/pg_wal');
}
my $now = $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
($status, $document) = server($archive, $now);
is(with($document, 'failed') . with($document, 'warning'), '', 'an idle server') or diag explain $document->{checks};
cmp_ok($document->{backup}{age_seconds}, '<', 60, 'whose archive is current');
like(check($document, 'archive_current')->{detail}, qr/^The archive has every segment that the server has finished/, 'and said');
my @held = segments($archive);
unlink "$archive/$held[-1]" or die $!;
utime 1, time - 7200, $node->data_dir . "/pg_wal/$held[-1]" or die $!;
($status, $document) = server($archive, $now);
is(check($document, 'archive_current')->{result} . ' ' . counts($document), 'passed found=' . (@held - 1) . ' pending=1', 'one waits on the server');
cmp_ok($document->{backup}{age_seconds}, '>=', 7200, 'since it was finished');
cmp_ok($document->{backup}{age_seconds}, '<', 7300, 'and no longer');
($status, $document) = server($archive, $now, "$dir/empty");
is("$status " . with($document, 'failed') . ' ' . counts($document), '1 archive_current found=' . (@held - 1) . ' lost=1', 'one is lost');
is(items($document, 'archive_current'), "$held[-1]: neither archived nor in the server's pg_wal (1 segment)", 'and named');
($status, $document) = agent($archive, '--server-position', "1,$now");
is(check($document, 'archive_current')->{result} . ' ' . counts($document), 'passed found=' . (@held - 1) . ' pending=1', 'without pg_wal it waits');
write_file("$archive/$held[-1].partial", slurp_file("$dir/flat/$held[-1]"));
($status, $document) = server($archive, $now, "$dir/empty");
is(with($document, 'failed'), '', 'one that is partial is not lost');
rmtree($archive);

# The archive knows nothing of the server's timeline yet: what waits is not lost.
mkdir "$dir/wal2" or die $!;
my ($next) = map { sprintf '0000000200000000%08X', hex(substr $_, 16) + 1 } (segments("$dir/flat"))[-1];
write_file("$dir/wal2/$next", '');
my $ahead = sprintf '0/%X', (hex(substr $next, 16) + 1) * $mb;
($status, $document) = agent("$dir/flat", '--server-position', "2,$ahead", '--server-wal', "$dir/wal2");
is(with($document, 'failed') . " $document->{backup}{segments}{pending}", ' 1', 'a timeline that is not archived yet') or diag explain $document->{checks};

# A standby takes over: the segment in which that happens exists on the new timeline.
my $standby = PostgreSQL::Test::Cluster->new('standby');
$node->backup('for_standby');
$standby->init_from_backup($node, 'for_standby', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', "INSERT INTO t SELECT i, '' FROM generate_series(1, 100) i");
$node->wait_for_catchup($standby);
$node->stop;
$standby->promote;
my $branched = write_segments($standby);
await_archived($standby, $branched);
$standby->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_ls_archive_statusdir() WHERE name ~ '[.]ready\$')") or die;
$standby->command_ok(['pg_basebackup', '--no-sync', '-c', 'fast', '-X', 'none', '-D', "$dir/base2", '-d', $standby->connstr('postgres')], 'a backup on the new timeline');
await_archived($standby, write_segments($standby));
my ($first2) = sort grep { /^00000002[0-9A-F]{16}$/ } slurp_dir("$dir/flat");
my $switch = sub { my ($lsn) = slurp_file("$dir/flat/00000002.history") =~ /^1\t(\S+)/m; $lsn }->();
($status, $document) = agent("$dir/flat", '--system-identifier', $system, '--level', 'verify');
is("$status $document->{result}", '0 success', 'two timelines: good') or diag explain $document->{checks};
is_deeply([map { "$_->{timeline}:" . @{ $_->{ranges} } } @{ $document->{backup}{timelines} }], ['1:1', '2:1'], 'two timelines: each without a hole');
is_deeply([@{ $document->{backup}{timelines}[1] }{qw(parent begin_lsn)}], [1, $switch], 'two timelines: where they branch');
is($document->{backup}{timelines}[1]{ranges}[0]{first}, $first2, 'two timelines: the first of the second');
is(scalar(grep { $_->{target_timeline} == 2 && $_->{complete} } @{ $document->{recovery_window} }), 3, 'two timelines: all backups get to the second');
my @timeline2 = sort grep { /^00000002[0-9A-F]{16}$/ } slurp_dir("$dir/flat");
my @timeline1 = sort grep { /^00000001[0-9A-F]{16}$/ } slurp_dir("$dir/flat");
my @branches = (
	['the first of the new timeline is missing', sub { unlink "$_[0]/$first2" }, '', 'wal_continuity', "$first2: missing"],
	['the last of the old timeline is missing', sub { unlink "$_[0]/$timeline1[-1]" }, '', 'wal_continuity', "$timeline1[-1]: missing"],
	['the history is missing', sub { unlink "$_[0]/00000002.history" }, '', 'history_files', undef],
	['the newest but one is missing', sub { unlink "$_[0]/$timeline2[-2]" }, 'wal_continuity', 'recovery_window', "$timeline2[-2]: missing"],
	['a later timeline left before the backup', sub { write_file("$_[0]/00000003.history", "1\t$switch\tx\n2\t$switch\tx\n") }, '', 'recovery_window', undef],
);
for my $branch (@branches)
{
	my ($name, $inflict, $failed, $warned, $items) = @$branch;
	my $path = copy("$dir/flat");
	$inflict->($path);
	($status, $document) = agent($path, '--system-identifier', $system);
	is(with($document, 'failed'), $failed, "$name: what fails") or diag explain $document->{checks};
	is(with($document, 'warning'), $warned, "$name: what warns") or diag explain $document->{checks};
	is(items($document, 'wal_continuity'), $items, "$name: items") if defined $items;
	rmtree($path);
}
$standby->stop;
done_testing();
