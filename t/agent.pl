# verify-backup on a real base backup: healthy, and with each kind of damage; pg_verifybackup as the oracle.
use strict;
use warnings;
use AgentTest;
use Cwd;
use File::Basename;
use File::Path qw(make_path rmtree);
use IO::Socket::UNIX;
use IPC::Run;
use JSON::PP;
use POSIX qw(strftime mkfifo);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir_short;

my $node = PostgreSQL::Test::Cluster->new('agent');
$node->init(allows_streaming => 1);
$node->start;
mkdir "$dir/space" or die $!;
$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$dir/space'");
$node->safe_psql('postgres', 'CREATE TABLE t TABLESPACE space AS SELECT generate_series(1, 1000) i');
# a third of the files is enough
$node->safe_psql('postgres', "UPDATE pg_database SET datistemplate = false");
$node->safe_psql('postgres', "DROP DATABASE $_") for 'template0', 'template1';
my $system = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my $oid    = $node->safe_psql('postgres', "SELECT oid FROM pg_tablespace WHERE spcname = 'space'");

sub backup
{
	my ($name, @options) = @_;
	$node->command_ok(['pg_basebackup', '--no-sync', '-c', 'fast', '-D', "$dir/$name",
			'-T', "$dir/space=$dir/$name.space", '-d', $node->connstr('postgres'), @options], "pg_basebackup $name");
	return "$dir/$name";
}

my $good = backup('good');
$node->stop;

# A copy of the good backup to be damaged, tablespace included.  Its files are links to the good one's,
# so whoever changes one in place makes it the copy's own first.
my $copies = 0;
sub copy
{
	my $path = "$dir/copy" . ++$copies;
	system('cp', '-al', $good, $path) == 0 && system('cp', '-al', "$good.space", "$path.space") == 0 or die;
	unlink "$path/pg_tblspc/$oid" or die $!;
	symlink "$path.space", "$path/pg_tblspc/$oid" or die $!;
	return $path;
}

my $all_checks = 'backup_found backup_label_present clock_skew file_sizes file_types files_present files_readable ' .
  'manifest_checksum manifest_parse manifest_present no_extra_files pg_control_readable system_identifier';

# A healthy backup.
my ($status, $document) = run_agent('verify-backup', $good, '--level', 'status', '--system-identifier', $system);
is($status, 0, 'good: exit status');
is($document->{result}, 'success', 'good: result');
is(with($document, 'passed'), $all_checks, 'good: every check passes');
is(oracle($good, '-s', '-n'), 'good', 'good: pg_verifybackup agrees');
is_deeply([@$document{qw(protocol command)}], [1, 'verify-backup'], 'protocol and command');
my $manifest = decode_json(slurp_file("$good/backup_manifest"));
my $backup = $document->{backup};
is($backup->{files}, scalar @{ $manifest->{Files} }, 'number of files');
my $bytes = 0;
$bytes += $_->{Size} for @{ $manifest->{Files} };
is($backup->{size_bytes}, $bytes, 'size');
my ($newest) = sort { $b cmp $a } map { $_->{'Last-Modified'} } @{ $manifest->{Files} };
is($backup->{finished_at}, $newest =~ s/ GMT/Z/r =~ s/ /T/r, 'time of the newest file');
cmp_ok($backup->{age_seconds}, '>=', 0, 'age');
is("$backup->{system_identifier}", $system, 'system identifier');
my ($range) = @{ $manifest->{'WAL-Ranges'} };
is_deeply([@$backup{qw(timeline start_lsn end_lsn)}], [@$range{qw(Timeline Start-LSN End-LSN)}], 'WAL range');
is_deeply([@$backup{qw(id path)}], ['good', $good], 'id and path');
is_deeply($backup->{tablespaces}, [{ oid => "$oid", location => "$good.space" }], 'tablespaces');
is($document->{sandbox}{seccomp}, JSON::PP::true, 'seccomp') if `uname -m` =~ /^(x86_64|aarch64)$/;
for my $text ("$good/", "$dir/./good")
{
	($status, $document) = run_agent('verify-backup', $text);
	is("$status $document->{backup}{id}", '0 good', "path written as $text");
}

# Each damage: what is done, which checks fail, which items they name, and pg_verifybackup's verdict:
# "bad" too, or "laxer" where it passes what we do not.
my $file = (grep { /^base\/\d+\/\d+$/ } map { $_->{Path} } @{ $manifest->{Files} })[0];
my ($spaced) = grep { /^pg_tblspc\// } map { $_->{Path} } @{ $manifest->{Files} };
my @damages = (
	['a file is missing', sub { unlink "$_[0]/$file" }, 'files_present', "$file: missing", 'bad'],
	['a file of a tablespace is missing', sub { unlink "$_[0]/$spaced" }, 'files_present', "$spaced: missing", 'bad'],
	['backup_label is missing', sub { unlink "$_[0]/backup_label" }, 'backup_label_present files_present', 'backup_label: missing', 'bad'],
	['backup_label is not even listed', sub { unlink "$_[0]/backup_label"; edit_manifest($_[0], sub { s/^\{ "Path": "backup_label".*\n//m or die }) }, 'backup_label_present', undef, 'laxer'],
	['a file is longer', sub { append_to_file(own("$_[0]/$file"), 'x') }, 'file_sizes', undef, 'bad'],
	['a file is cut', sub { truncate own("$_[0]/$file"), 100 }, 'file_sizes', undef, 'bad'],
	['a file is empty', sub { truncate own("$_[0]/PG_VERSION"), 0 }, 'file_sizes', qr/^PG_VERSION: has 0 bytes, not 3$/, 'bad'],
	['a file is added', sub { write_file("$_[0]/base/extra", 'x') }, 'no_extra_files', 'base/extra: not in the manifest', 'bad'],
	['a file is added to a tablespace', sub { write_file("$_[0].space/extra", 'x') }, 'no_extra_files', "pg_tblspc/$oid/extra: not in the manifest", 'bad'],
	['the link to a tablespace leads nowhere', sub { rmtree("$_[0].space") }, 'file_types', qr/^pg_tblspc\/$oid: tablespace not followed: what it leads to cannot be opened: no such file or directory$/, 'bad'],
	['the link to a tablespace leads to a link', sub { symlink "$_[0].space", "$_[0].link"; unlink "$_[0]/pg_tblspc/$oid"; symlink "$_[0].link", "$_[0]/pg_tblspc/$oid" }, 'file_types', qr/in one step$/, 'laxer'],
	['the link to a tablespace leads to itself', sub { unlink "$_[0]/pg_tblspc/$oid"; symlink $oid, "$_[0]/pg_tblspc/$oid" }, 'file_types', qr/in one step$/, 'bad'],
	['the link to a tablespace is gone', sub { unlink "$_[0]/pg_tblspc/$oid" }, 'files_present', "$spaced: missing", 'bad'],
	['a link where none belongs', sub { rename "$_[0]/$file", "$_[0].moved"; symlink "$_[0].moved", "$_[0]/$file" }, 'file_types', "$file: symbolic link where none belongs", 'laxer'],
	['a link that loops', sub { symlink 'loop', "$_[0]/base/loop" }, 'file_types', 'base/loop: symbolic link where none belongs', 'bad'],
	['a link to the parent', sub { symlink '..', "$_[0]/base/up" }, 'file_types', 'base/up: symbolic link where none belongs', 'skip'],
	['a FIFO', sub { mkfifo("$_[0]/base/fifo", 0600) }, 'file_types', 'base/fifo: is a FIFO', 'bad'],
	['a FIFO instead of a file', sub { unlink "$_[0]/$file"; mkfifo("$_[0]/$file", 0600) }, 'file_types', "$file: is a FIFO", 'bad'],
	['a socket', sub { IO::Socket::UNIX->new(Local => "$_[0]/base/s", Listen => 1) or die $! }, 'file_types', 'base/s: is a socket', 'bad'],
	['a directory instead of a file', sub { unlink "$_[0]/$file"; mkdir "$_[0]/$file" }, 'files_present', "$file: missing", 'bad'],
	['a deep directory', sub { make_path("$_[0]/base" . '/d' x 40) }, 'file_types', qr/too deep/, 'laxer'],
	['an unreadable directory', sub { chmod 0, "$_[0]/" . dirname($file) }, 'files_readable', dirname($file) . ': unreadable: permission denied', 'bad'],
	['an unreadable file', sub { chmod 0, own("$_[0]/$file") }, 'files_readable', "$file: unreadable: permission denied", 'laxer'],
	['a short pg_control', sub { truncate own("$_[0]/global/pg_control"), 100 }, 'file_sizes pg_control_readable', undef, 'bad'],
	# pg_verifybackup reads pg_control itself from 17 on
	['a damaged pg_control', sub { my $text = slurp_file("$_[0]/global/pg_control"); substr($text, 100, 1) ^= "\x01"; write_file("$_[0]/global/pg_control", $text) }, 'pg_control_readable', undef, 'skip'],
	['pg_control is a link', sub { rename "$_[0]/global/pg_control", "$_[0].control"; symlink "$_[0].control", "$_[0]/global/pg_control" }, 'file_types pg_control_readable', undef, 'laxer'],
	['another cluster', sub { }, 'system_identifier', undef, 'laxer', $system + 1],
	# what may differ
	['pg_wal is emptied', sub { rmtree("$_[0]/pg_wal") }, '', undef, 'laxer'],
	['pg_wal is a link', sub { rename "$_[0]/pg_wal", "$_[0].wal"; symlink "$_[0].wal", "$_[0]/pg_wal" }, '', undef, 'laxer'],
	['recovery is configured', sub { append_to_file(own("$_[0]/postgresql.auto.conf"), "x\n"); write_file("$_[0]/$_", '') for 'standby.signal', 'recovery.signal' }, '', undef, 'laxer'],
	['an empty directory more', sub { mkdir "$_[0]/base/9" }, '', undef, 'laxer'],
	# no prefix of these names
	['pg_wall', sub { write_file("$_[0]/pg_wall", '') }, 'no_extra_files', 'pg_wall: not in the manifest', 'bad'],
	['backup_manifest.tmp', sub { write_file("$_[0]/backup_manifest.tmp", '') }, 'no_extra_files', 'backup_manifest.tmp: not in the manifest', 'bad'],
);
for my $damage (@damages)
{
	my ($name, $inflict, $failed, $items, $verdict, $cluster) = @$damage;
	my $path = copy();
	$inflict->($path);
	($status, $document) = run_agent('verify-backup', $path, '--system-identifier', $cluster // $system);
	is(with($document, 'failed'), $failed, "$name: what fails");
	is("$status $document->{result}", $failed eq '' ? '0 success' : '1 failure', "$name: result");
	my $first = (split ' ', $failed)[-1];
	if (ref $items) { like(items($document, $first), $items, "$name: items") }
	elsif (defined $items) { is(items($document, $first), $items, "$name: items") }
	is(oracle($path, '-s', '-n'), $verdict eq 'bad' ? 'bad' : 'good', "$name: pg_verifybackup") if $verdict ne 'skip';
	system('chmod', '-R', 'u+rwX', $path);
	rmtree($path);
	rmtree("$path.space");
}

# What is listed below a directory that cannot be read is unknown, not missing.
my $path = copy();
chmod 0, "$path/global";
(undef, $document) = run_agent('verify-backup', $path);
is(check($document, 'files_present')->{result}, 'skipped', 'unreadable is not missing');
like(check($document, 'files_present')->{detail}, qr/^Whether \d+ listed files \(\d+ bytes\) of \d+ exist is not known\.$/, 'how much');
chmod 0700, "$path/global";

# More problems than are listed: those that sort first, the others counted.
my @gone = sort grep { /^base\// } map { $_->{Path} } @{ $manifest->{Files} };
unlink map { "$path/$_" } @gone;
(undef, $document) = run_agent('verify-backup', $path);
my $missing = check($document, 'files_present');
is_deeply([map { $_->{path} } @{ $missing->{items} }], [@gone[0 .. 19]], 'the first items');
is($missing->{more_items}, @gone - 20, 'the others are counted');
rmtree($path);

# Manifests.  "checksum": what stands in the file as it is; "parse": with the right checksum.
sub manifest_is
{
	my ($name, $edit, $check, $detail) = @_;
	my $copy = copy();
	if ($check eq 'manifest_checksum')
	{
		local $_ = slurp_file("$copy/backup_manifest");
		$edit->();
		write_file("$copy/backup_manifest", $_);
	}
	else { edit_manifest($copy, $edit) }
	($status, $document) = run_agent('verify-backup', $copy);
	is(with($document, 'failed'), $check eq 'none' ? '' : $check, "manifest: $name: what fails");
	like(check($document, $check)->{detail}, $detail, "manifest: $name: why") if $detail;
	is(check($document, 'files_present')->{result}, '', "manifest: $name: nothing said about files") if $check ne 'none';
	is(oracle($copy, '-s', '-n'), $check eq 'none' ? 'good' : 'bad', "manifest: $name: pg_verifybackup") if ($_[4] // '') ne 'stricter';
	rmtree($copy);
	return;
}
manifest_is('cut in the middle', sub { $_ = substr($_, 0, length($_) / 2) }, 'manifest_checksum', qr/cut off/);
manifest_is('cut before the last line', sub { s/"Manifest-Checksum.*\n// }, 'manifest_checksum', qr/states no checksum/);
manifest_is('without its last newline', sub { chop }, 'manifest_checksum', qr/cut off/);
manifest_is('with a newline more', sub { $_ .= "\n" }, 'manifest_checksum', qr/states no checksum/);
manifest_is('one byte flipped', sub { s/"Size": (\d)/'"Size": ' . (($1 + 1) % 10)/e or die }, 'manifest_checksum', qr/do not have the checksum/);
manifest_is('another checksum', sub { s/"Manifest-Checksum": "\K./$& eq '0' ? '1' : '0'/e or die }, 'manifest_checksum', qr/do not have the checksum/);
manifest_is('a checksum with an odd digit', sub { s/"Manifest-Checksum": "\K./g/ or die }, 'manifest_checksum', qr/states no checksum/);
manifest_is('empty', sub { $_ = '' }, 'manifest_checksum', qr/it is empty/);
manifest_is('one line', sub { $_ = "{}\n" }, 'manifest_checksum', qr/states no checksum/);
manifest_is('version 3', sub { s/Version": \K[12]/3/ or die }, 'manifest_parse', qr/line 1: the manifest has a version other than 1 and 2/);
# version 2, from 17 on, has a line more, the system identifier
my $files_line = $node->pg_version >= 17 ? 3 : 2;
my $file_line = $files_line + 1;
manifest_is('an unknown member', sub { s/"Files"/"Flies"/ or die }, 'manifest_parse', qr/line $files_line: it has an unknown member/);
manifest_is('an unknown member of a file', sub { s/"Size"/"Sice"/ or die }, 'manifest_parse', qr/line $file_line: a file has an unknown member/);
manifest_is('a path listed twice', sub { s/^(\{ "Path": "PG_VERSION".*\n)/$1$1/m or die }, 'manifest_parse', qr/line \d+: a path is listed twice/);
manifest_is('an odd encoded path', sub { s/"Path": "PG_VERSION"/"Encoded-Path": "504"/ or die }, 'manifest_parse', qr/an encoded path is malformed/);
manifest_is('an encoded path', sub { s/"Path": "PG_VERSION"/'"Encoded-Path": "' . unpack('H*', 'PG_VERSION') . '"'/e or die }, 'none');
manifest_is('a negative size', sub { s/"Size": \K/-/ or die }, 'manifest_parse', qr/a size is not a whole number below 2\^63/, 'stricter');
manifest_is('a size beyond 2^63', sub { s/"Size": \K\d+/9223372036854775808/ or die }, 'manifest_parse', qr/below 2\^63/, 'stricter');
manifest_is('a size with a fraction', sub { s/"Size": \K\d+/1.5/ or die }, 'manifest_parse', qr/below 2\^63/);
manifest_is('a checksum that is not hexadecimal', sub { s/"Checksum": "\K./x/ or die }, 'manifest_parse', qr/not hexadecimal/);
manifest_is('a checksum without an algorithm', sub { s/"Checksum-Algorithm": "\w+", // or die }, 'manifest_parse', qr/without an algorithm/);
manifest_is('an unknown algorithm', sub { s/"Checksum-Algorithm": "\K\w+/MD5/ or die }, 'manifest_parse', qr/unknown checksum algorithm/);
manifest_is('no path', sub { s/"Path": "PG_VERSION", // or die }, 'manifest_parse', qr/a file has no path/);
manifest_is('no size', sub { s/"Size": \d+, // or die }, 'manifest_parse', qr/a file has no size/);
manifest_is('no JSON', sub { s/"Files": \[/"Files": / or die }, 'manifest_parse', qr/"Files" is not an array/);
for my $bad ('../../etc/passwd', '/etc/passwd', 'base/../../x', '..', '.', './x', 'a//b', 'a/', '', 'x\\u0000y', "\xff")
{
	manifest_is("path \"$bad\"", sub { s/"Path": "PG_VERSION"/"Path": "$bad"/ or die }, 'manifest_parse', qr/^The manifest cannot be understood, line \d+: /, 'stricter');
}
for my $bad ('../etc/passwd', '/etc/passwd', "PG\0x")
{
	manifest_is('encoded path "' . unpack('H*', $bad) . '"', sub { s/"Path": "PG_VERSION"/'"Encoded-Path": "' . unpack('H*', $bad) . '"'/e or die }, 'manifest_parse', qr/an encoded path leads out/, 'stricter');
}

# Version 2 states the cluster; 15's pg_verifybackup does not know it.
sub version_2
{
	my ($identifier) = @_;
	my $copy = copy();
	edit_manifest($copy, sub { s/Version": \d,\n("System-Identifier": \d+,\n)?/Version": 2,\n"System-Identifier": $identifier,\n/ or die });
	($status, $document) = run_agent('verify-backup', $copy);
	rmtree($copy);
	return "$document->{result}: " . check($document, 'system_identifier')->{detail};
}
is(version_2($system), "success: This is a backup of cluster $system.", 'manifest of version 2');
is(version_2($system + 1), 'failure: The manifest is of cluster ' . ($system + 1) . ", global/pg_control of cluster $system.", 'manifest of another cluster');

# Time: of the manifest, not of the files on disk.
sub with_time
{
	my ($time) = @_;
	my $copy = copy();
	edit_manifest($copy, sub { s/"Last-Modified": "\K[^"]+/$time/g });
	($status, $document) = run_agent('verify-backup', $copy);
	rmtree($copy);
	return $document;
}
$document = with_time('2020-02-29 12:34:56 GMT');
is($document->{backup}{finished_at}, '2020-02-29T12:34:56Z', 'time of an old backup');
cmp_ok(abs(time - 1582979696 - $document->{backup}{age_seconds}), '<', 120, 'age of an old backup');
$document = with_time(strftime('%Y-%m-%d %H:%M:%S GMT', gmtime(time + 3600)));
is("$document->{result} " . with($document, 'warning'), 'warning clock_skew', 'a backup from the future');
is($document->{backup}{age_seconds}, 0, 'has age 0');
$document = with_time('yesterday');
is(check($document, 'clock_skew')->{result}, 'skipped', 'no time');
ok(!exists $document->{backup}{age_seconds}, 'no time: no age');

# A directory of backups: the newest complete one counts.
mkdir "$dir/many";
my %when = (a => '2026-01-03', b => '2026-01-02', c => '2026-01-01');
for my $name (sort keys %when)
{
	my $copy = copy();
	edit_manifest($copy, sub { s/"Last-Modified": "\K[^"]+/$when{$name} 10:00:00 GMT/g });
	rename $copy, "$dir/many/$name";
}
symlink 'b', "$dir/many/latest";
write_file("$dir/many/notes.txt", 'x');
mkdir "$dir/many/other";
mkdir "$dir/many/.hidden";
($status, $document) = run_agent('verify-backup', "$dir/many");
is("$status $document->{backup}{id} $document->{backup}{path}", "0 a $dir/many/a", 'the newest, by its manifest');
is(check($document, 'backup_found')->{detail}, "\"a\" is the newest of 3 complete backups in \"$dir/many\".", 'and said');
mkdir "$dir/many/zz";
write_file("$dir/many/zz/PG_VERSION", "15\n");
($status, $document) = run_agent('verify-backup', "$dir/many");
is("$status $document->{result} $document->{backup}{id}", '0 warning a', 'one in progress is passed over');
is(items($document, 'backup_found'), 'zz: passed over, has no manifest: in progress, broken off, or made without one', 'and said');
write_file("$dir/many/zz/backup_manifest", '');
($status, $document) = run_agent('verify-backup', "$dir/many");
is("$status $document->{backup}{id} " . with($document, 'failed'), '1 zz manifest_checksum pg_control_readable', 'a damaged newest one is looked at');
rmtree("$dir/many/zz");
mkdir "$dir/many/zz", 0;
($status, $document) = run_agent('verify-backup', "$dir/many");
is("$document->{result} " . items($document, 'backup_found'), 'warning zz: passed over, cannot be read: permission denied', 'an unreadable one is said');
rmdir "$dir/many/zz";

# Nothing to verify.
mkdir "$dir/empty";
($status, $document) = run_agent('verify-backup', "$dir/empty");
is("$status " . check($document, 'backup_found')->{detail}, "1 No complete backup lies in \"$dir/empty\".", 'an empty directory');
write_file("$dir/empty/base.tar.gz", '');
($status, $document) = run_agent('verify-backup', "$dir/empty");
is(with($document, 'failed') . ' ' . items($document, 'archives_readable'), 'archives_readable manifest_present pg_control_readable base.tar.gz: is empty', 'tar format, of which there is nothing');
$path = copy();
unlink "$path/backup_manifest";
($status, $document) = run_agent('verify-backup', $path);
is(with($document, 'failed'), 'manifest_present', 'no manifest');
mkfifo("$path/backup_manifest", 0600) or die $!;
($status, $document) = run_agent('verify-backup', $path);
is(check($document, 'manifest_present')->{detail}, 'backup_manifest is not a regular file.', 'a FIFO for a manifest does not block');
unlink "$path/backup_manifest";
symlink "$good/backup_manifest", "$path/backup_manifest";
($status, $document) = run_agent('verify-backup', $path);
is(check($document, 'manifest_present')->{detail}, 'backup_manifest is a symbolic link.', 'a link for a manifest');

# It could not run.
symlink 'self', "$dir/self";
mkdir "$dir/closed", 0;
for my $case ([$good . '/none', 'path_not_found'], ["$good/PG_VERSION", 'path_not_directory'], ["$good/PG_VERSION/x", 'path_not_directory'],
	["$dir/closed", 'path_unreadable'], ["$dir/closed/x", 'path_unreadable'], ["$dir/self", 'symlink_loop'],
	['/' . 'x' x 300, 'path_too_long'], ['/' . 'x/' x 3000, 'path_too_long'])
{
	($status, $document) = run_agent('verify-backup', $case->[0]);
	is("$status $document->{result} $document->{error}{code}", "3 error $case->[1]", "error $case->[1]");
	ok(!exists $document->{checks}, 'and no checks');
}
rmdir "$dir/closed";

# --within.
my $real = Cwd::realpath($dir);
for my $case ([$good, $real, 0], [$good, "$real/", 0], [$good, "$real/good", 1], [$good, "$real/goo", 3], [$good, "$real/many", 3], [$good, '/', 0], ["$dir/many/../good", "$real/many", 3])
{
	($status) = run_agent('verify-backup', $case->[0], '--within', $case->[1]);
	is($status, $case->[2], "$case->[0] within " . $case->[1]);
}
($status, $document) = run_agent('verify-backup', $good, '--within', "$real/good");
is(items($document, 'file_types'), "pg_tblspc/$oid: tablespace not followed: it leads out of the allowed directories", 'a tablespace outside');
symlink $good, "$dir/many/escape";
($status, $document) = run_agent('verify-backup', "$dir/many/escape", '--within', "$real/many");
is($document->{error}{code}, 'path_outside', 'a link that leads out');
is((run_agent('verify-backup', $good, '--within', "$real/many", '--within', $real))[0], 0, 'several directories');
symlink $real, "$dir/alias";
is((run_agent('verify-backup', "$dir/alias/good", '--within', "$real/alias"))[0], 0, 'a directory named through a link');

# Usage.
for my $arguments (['verify-backup'], ['verify-backup', '/a', '/b'], ['verify-backup', '/a', '--level', 'deep'], ['verify-backup', '/a', '--nope'],
	['verify-backup', '/a', '--system-identifier', '-1'], ['verify-backup', '/a', '--system-identifier', '18446744073709551616'],
	['verify-backup', '/a', '--system-identifier'], ['verify-backup', '/a', '--within', 'relative'],
	['nope'], ['fetch', 'x'], ['fetch', '--level', 'status'], ['verify-backup', '/a', '--parent', 'x'], [])
{
	IPC::Run::run([$agent, @$arguments], '<', '/dev/null', '>', \my $out, '2>', \my $err);
	is($? >> 8, 2, "usage: @$arguments");
	like($err, qr/^voxanne_agent: .*\nTry "voxanne_agent --help"\.\n$/, 'usage: message');
	is($out, '', 'usage: no document');
}
command_fails_like([$agent, 'verify-backup', '/a', '--within', 'relative'], qr/value "relative" is not allowed for option "--within": it must be an absolute path\n/, 'usage: what is allowed');
command_fails_like([$agent, 'verify-wal', '/a', '--server-position', '0/1'], qr/it must be TIMELINE,LSN, as in 1,0\/3000060\n/, 'usage: of a position');
command_like([$agent, '--help'], qr/^voxanne_agent reads backups.*verify-backup PATH.*--within/s, '--help');
my ($version) = slurp_file('voxanne_ops.control') =~ /^default_version = '(.*)'/m;
command_like([$agent, '--version'], qr/^voxanne_agent \Q$version\E \(protocol 1\)\n$/, '--version');
command_like([$agent, 'verify-backup', $good], qr/^verify-backup: success\n\d+ files, \d+ MB, made .*\npassed  backup_found: /, 'text format');
command_fails_like([$agent, 'verify-backup', "$good\n\e[31m"], qr/^$/, 'a control character in a path ...');
IPC::Run::run([$agent, 'verify-backup', "$good\n\e[31m"], '>', \my $text, '2>', \my $err);
like($text, qr/good\\x0a\\x1b\[31m/, '... is not written to the terminal');
IPC::Run::run([$agent, 'verify-backup', $good, '--parent', 1], '>', \$text, '2>', \$err);
is($? >> 8, 3, 'somebody else is the parent');
IPC::Run::run([$agent, 'verify-backup', $good], '>', '/dev/full', '2>', \$err);
is("$? $err", (3 << 8) . " voxanne_agent: could not write standard output\n", 'a full standard output');
done_testing();
