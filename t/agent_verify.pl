# verify-backup --level verify: contents, pages and WAL of real base backups; pg_verifybackup as the oracle.
use strict;
use warnings;
use AgentTest;
use Cwd;
use File::Copy ();
use File::Path qw(rmtree);
use IPC::Run;
use JSON::PP;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes;

my $dir = PostgreSQL::Test::Utils::tempdir_short;

# All ways to compute checksums agree, and with published examples.
system_or_bail('gcc', '-std=gnu11', '-O2', '-Wno-psabi', '-o', "$dir/checksums", 't/modules/checksums/checksums.c', 'src/agent/crc32c.c', 'src/agent/page.c');
my $lines = `$dir/checksums`;
is($?, 0, 'checksums: no two ways differ') or diag $lines;
my @crc = $lines =~ /^crc32c (.*)$/mg;
like($crc[-1], qr/^portable /, 'checksums: the portable way is always there');
is((split ' ', $_, 2)[1], 'e3069283 8a9136aa 62a8ab43 46dd794e 113fdb5c', "checksums: examples, $_") for @crc;
like($lines, qr/^page portable$/m, 'checksums: pages');
note($lines);

my $node = server_to_back_up('verify', $dir);
my $system = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my $table  = $node->safe_psql('postgres', "SELECT pg_relation_filepath('t')");
my $spaced = $node->safe_psql('postgres', "SELECT pg_relation_filepath('spaced')");
my $oid    = $node->safe_psql('postgres', "SELECT oid FROM pg_tablespace WHERE spcname = 'space'");

sub backup
{
	my ($name, @options) = @_;
	$node->command_ok(['pg_basebackup', '--no-sync', '-c', 'fast', '-D', "$dir/$name",
			'-T', "$dir/space=$dir/$name.space", '-d', $node->connstr('postgres'), @options], "pg_basebackup $name @options");
	return "$dir/$name";
}

# Run the agent; its exit status and its document.
my @deep = ('verify-backup', '--level', 'verify');
sub verify
{
	my ($path, @options) = @_;
	return run_agent(@deep, $path, @options);
}

# A copy of a backup to be damaged: its files are links, so whoever changes one in place makes it the copy's own first.
my $copies = 0;
sub copy
{
	my ($from) = @_;
	my $path = "$dir/copy" . ++$copies;
	system('cp', '-al', $from, $path) == 0 && system('cp', '-al', "$from.space", "$path.space") == 0 or die;
	unlink "$path/pg_tblspc/$oid" or die $!;
	symlink "$path.space", "$path/pg_tblspc/$oid" or die $!;
	return $path;
}

sub remove
{
	my ($path) = @_;
	system('chmod', '-R', 'u+rwX', $path);
	rmtree($path);
	rmtree("$path.space");
	return;
}

my $good = backup('good');
my $manifest = decode_json(slurp_file("$good/backup_manifest"));
my ($range) = @{ $manifest->{'WAL-Ranges'} };
my ($wal) = sort grep { /^[0-9A-F]{24}$/ } slurp_dir("$good/pg_wal");

# Healthy.
my $all_checks = 'backup_found backup_label_present changed_during_read clock_skew file_checksums file_sizes file_types files_present files_readable ' .
  'manifest_checksum manifest_parse manifest_present no_extra_files page_checksums pages_unproven pg_control_readable system_identifier wal_records wal_segments';
my ($status, $document) = verify($good, '--system-identifier', $system);
is("$status $document->{result}", '0 success', 'good: result') or diag explain $document->{checks};
is(with($document, 'passed'), $all_checks, 'good: every check passes');
is(oracle($good), 'good', 'good: pg_verifybackup agrees');
my $compared = grep { $_->{Path} ne 'postgresql.auto.conf' } @{ $manifest->{Files} };
is(check($document, 'file_checksums')->{detail}, "$compared files have the checksum that the manifest states (CRC32C).", 'good: all files');
my $pages = 0;
$pages += $_->{Size} / 8192
  for grep { $_->{Path} =~ m{^(global|base/\d+|pg_tblspc/\d+/[^/]+/\d+)/\d+(_(fsm|vm|init))?(\.\d+)?$} } @{ $manifest->{Files} };
is(check($document, 'page_checksums')->{detail}, "All $pages pages of relations have the checksum that they state.", 'good: all pages');
like(check($document, 'wal_records')->{detail}, qr/^\d+ records of WAL from $range->{'Start-LSN'} to $range->{'End-LSN'} are an unbroken chain\.$/, 'good: WAL');

is(answer(@deep, $good, '--jobs', 1), answer(@deep, $good, '--jobs', 4), 'good: jobs 1 and 4 agree');

# Each damage: what is done, which checks fail, items, pg_verifybackup's verdict.
my @damages = (
	# those of pg_verifybackup's own tests
	['a file added', sub { write_file("$_[0]/extra_file", "x\n") }, 'no_extra_files', 'extra_file: not in the manifest', 'bad'],
	['a file added to a tablespace', sub { write_file("$_[0]/" . ($spaced =~ s/\d+$/extra/r), "x\n") }, 'no_extra_files', undef, 'bad'],
	['a file missing', sub { unlink "$_[0]/pg_xact/0000" }, 'files_present', 'pg_xact/0000: missing', 'bad'],
	['a tablespace missing', sub { unlink "$_[0]/pg_tblspc/$oid" }, 'files_present', undef, 'bad'],
	['a file longer', sub { append_to_file(own("$_[0]/global/pg_control"), 'x') }, 'file_sizes pg_control_readable', undef, 'bad'],
	['a file empty', sub { truncate own("$_[0]/global/pg_control"), 0 }, 'file_sizes pg_control_readable', undef, 'bad'],
	['other contents', sub { write_file("$_[0]/PG_VERSION", 'q' x -s "$_[0]/PG_VERSION") }, 'file_checksums', 'PG_VERSION: does not have the CRC32C checksum that the manifest states', 'bad'],
	['a manifest longer', sub { append_to_file(own("$_[0]/backup_manifest"), "\n") }, 'manifest_checksum', undef, 'bad'],
	['a file unreadable', sub { chmod 0, own("$_[0]/PG_VERSION") }, 'files_readable', 'PG_VERSION: unreadable: permission denied', 'bad'],
	['a directory unreadable', sub { chmod 0, "$_[0]/pg_subtrans" }, 'files_readable', 'pg_subtrans: unreadable: permission denied', 'bad'],
	['a directory not searchable', sub { chmod 0400, "$_[0]/base" }, 'files_readable', undef, 'bad'],
	['WAL overwritten', sub { write_file("$_[0]/pg_wal/$wal", '?' x -s "$_[0]/pg_wal/$wal") }, 'wal_segments', "pg_wal/$wal: page at " . lsn_of($wal) . ' has magic number 3F3F', 'bad'],
	# contents
	['a bit flipped', sub { patch("$_[0]/$table", 3 * 8192 + 5000, 1, \&flip) }, 'file_checksums page_checksums', undef, 'bad', qr/^\Q$table\E: block 3 has checksum [0-9A-F]{4}, not [0-9A-F]{4} as it states; last changed at .*, before the backup's start$/],
	['a bit flipped in a tablespace', sub { patch("$_[0]/$spaced", 5000, 1, \&flip) }, 'file_checksums page_checksums', undef, 'bad', qr/^\Q$spaced\E: block 0 has checksum/],
	['a bit of a last byte flipped', sub { my $size = -s "$_[0]/backup_label"; patch("$_[0]/backup_label", $size - 1, 1, \&flip) }, 'file_checksums', 'backup_label: does not have the CRC32C checksum that the manifest states', 'bad'],
	['two files swapped', sub { rename "$_[0]/global/1260", "$_[0]/x"; rename "$_[0]/global/1261", "$_[0]/global/1260"; rename "$_[0]/x", "$_[0]/global/1261" }, 'file_checksums', undef, 'bad'],
	# pages that the manifest says nothing about: the server's own damage, which a backup keeps
	['a page torn', sub { forget_checksum($_[0], $table); patch("$_[0]/$table", 2 * 8192 + 4096, 4096, 'y' x 4096) }, 'page_checksums', undef, 'laxer', qr/^\Q$table\E: block 2 has checksum/],
	['two pages swapped', sub { forget_checksum($_[0], $table); my $text = slurp_file("$_[0]/$table"); write_file("$_[0]/$table", substr($text, 8192, 8192) . substr($text, 0, 8192) . substr($text, 16384)) }, 'page_checksums', undef, 'laxer', qr/: block 0 .*: block 1 /],
	['several pages', sub { forget_checksum($_[0], $table); patch("$_[0]/$table", $_ * 8192 + 6000, 1, \&flip) for 0 .. 24 }, 'page_checksums', undef, 'laxer', qr/: block 0 .*: block 19 has[^:]*$/],
	['a page that was never initialized but holds something', sub { forget_checksum($_[0], $table); patch("$_[0]/$table", 8192, 8192, "\0" x 8000 . 'z' x 192) }, 'page_checksums', "$table: block 1 was never initialized, but is not empty", 'laxer'],
	['a page from the future', sub { forget_checksum($_[0], $table); patch("$_[0]/$table", 8192, 8, "\xff" x 8) }, 'page_checksums', undef, 'laxer', qr/block 1 has checksum .*; last changed at FFFFFFFF\/FFFFFFFF, after the backup's end$/],
	['an empty page', sub { forget_checksum($_[0], $table); patch("$_[0]/$table", 8192, 8192, "\0" x 8192) }, '', undef, 'laxer'],
	['part of a page behind the last', sub { forget_checksum($_[0], $table); append_to_file(own("$_[0]/$table"), 'x' x 100); edit_manifest($_[0], sub { s/("Path": "\Q$table\E", "Size": )(\d+)/$1 . ($2 + 100)/e or die }) }, '', undef, 'laxer'],
	# WAL
	['WAL missing', sub { rename "$_[0]/pg_wal/$wal", "$_[0]/pg_wal/" . ($wal =~ s/.$/F/r) }, 'wal_segments', "pg_wal/$wal: missing", 'bad'],
	['WAL empty', sub { write_file("$_[0]/pg_wal/$wal", '') }, 'wal_segments', qr/has 0 bytes, not 16777216/, 'bad'],
	['WAL short', sub { truncate own("$_[0]/pg_wal/$wal"), 1048576 }, 'wal_segments', qr/has 1048576 bytes/, 'laxer'],
	['WAL all zero', sub { write_file("$_[0]/pg_wal/$wal", "\0" x 16777216) }, 'wal_segments', qr/has magic number 0000/, 'bad'],
	['WAL of another version', sub { patch("$_[0]/pg_wal/$wal", 0, 2, "\x0d\xd1") }, 'wal_segments', qr/has magic number D10D/, 'bad'],
	['WAL misnamed', sub { patch("$_[0]/pg_wal/$wal", 8, 8, pack('Q', 0x7f000000)) }, 'wal_segments', qr/says that it is the one at 0\/7F000000$/, 'bad'],
	['WAL of a later timeline', sub { patch("$_[0]/pg_wal/$wal", 4, 4, pack('L', 9)) }, 'wal_segments', qr/is of timeline 9$/, 'skip'],
	['WAL of another cluster', sub { patch("$_[0]/pg_wal/$wal", 24, 8, pack('Q', 42)) }, 'wal_segments', qr/: is of cluster 42, not $system$/, 'skip'],
	['WAL of another segment size', sub { patch("$_[0]/pg_wal/$wal", 32, 4, pack('L', 1048576)) }, 'wal_segments', qr/states a segment size of 1048576/, 'bad'],
	['WAL is a FIFO', sub { unlink "$_[0]/pg_wal/$wal"; mkfifo("$_[0]/pg_wal/$wal", 0600) }, 'wal_segments', qr/is not a regular file/, 'skip'],
	['WAL is a link', sub { rename "$_[0]/pg_wal/$wal", "$_[0].wal"; symlink "$_[0].wal", "$_[0]/pg_wal/$wal" }, 'wal_segments', qr/is a symbolic link/, 'laxer'],
	['WAL unreadable', sub { chmod 0, own("$_[0]/pg_wal/$wal") }, 'wal_segments', qr/unreadable: permission denied/, 'bad'],
	['a bit flipped in a record', sub { patch("$_[0]/pg_wal/$wal", 0x28 + 25, 1, \&flip) }, 'wal_records', qr/record at $range->{'Start-LSN'} does not have the checksum that it states/, 'bad'],
	['WAL ends early', sub { patch("$_[0]/pg_wal/$wal", 0x28, 8000, "\0" x 8000) }, 'wal_records', qr/record at $range->{'Start-LSN'} is missing: there is nothing/, 'bad'],
	['pg_wal is a link that loops', sub { rmtree("$_[0]/pg_wal"); symlink 'pg_wal', "$_[0]/pg_wal" }, 'wal_segments', undef, 'bad'],
	['pg_wal is a link', sub { rename "$_[0]/pg_wal", "$_[0].wal.d"; symlink "$_[0].wal.d", "$_[0]/pg_wal" }, '', undef, 'laxer'],
);

# Where a segment begins
sub lsn_of
{
	my ($log, $segment) = $_[0] =~ /^.{8}(.{8})(.{8})$/ or die;
	return sprintf '%X/%X', hex $log, hex($segment) * 16777216;
}

for my $damage (@damages)
{
	my ($name, $inflict, $failed, $items, $verdict, $page_items) = @$damage;
	my $path = copy($good);
	$inflict->($path);
	($status, $document) = verify($path, '--system-identifier', $system, '--jobs', 2);
	is(with($document, 'failed'), $failed, "$name: what fails") or diag explain $document->{checks};
	is("$status $document->{result}", $failed eq '' ? '0 success' : '1 failure', "$name: result");
	my ($first) = split ' ', $failed;
	if (ref $items) { like(items($document, $first), $items, "$name: items") }
	elsif (defined $items) { is(items($document, $first), $items, "$name: items") }
	like(items($document, 'page_checksums'), $page_items, "$name: pages") if defined $page_items;
	is(oracle($path), $verdict eq 'bad' ? 'bad' : 'good', "$name: pg_verifybackup") if $verdict ne 'skip';
	is(answer(@deep, $path, '--jobs', 1), answer(@deep, $path, '--jobs', 4), "$name: jobs 1 and 4 agree") if $name =~ /page/;
	remove($path);
}

# What cannot be read is counted.
my $path = copy($good);
chmod 0, own("$path/$table");
(undef, $document) = verify($path);
is(check($document, 'files_readable')->{detail}, '1 file or directory cannot be read; the files among them have ' . (-s "$good/$table") . ' bytes.', 'unreadable bytes');
is(with($document, 'failed'), 'files_readable', 'and nothing else is said of it');
remove($path);

# A page that was changed during the backup is not called bad, whatever it holds.
$path = copy($good);
forget_checksum($path, $table);
my ($high, $low) = map { hex } split '/', $range->{'End-LSN'};
patch("$path/$table", 8192, 8, pack('LL', $high, $low));
($status, $document) = verify($path);
is("$status $document->{result} " . with($document, 'warning'), '0 warning pages_unproven', 'changed during the backup: a warning');
like(items($document, 'pages_unproven'), qr/block 1 has checksum .*, during the backup$/, 'changed during the backup: which');
remove($path);

# No WAL at all: a backup that needs an archive.
$path = copy($good);
unlink "$path/pg_wal/$wal";
($status, $document) = verify($path);
is("$status $document->{result} " . with($document, 'warning') . ' ' . with($document, 'skipped'), '0 warning wal_segments wal_records', 'no WAL');
rmtree("$path/pg_wal");
($status, $document) = verify($path);
is(check($document, 'wal_segments')->{detail}, "pg_wal holds no WAL, of which the backup needs $range->{'Start-LSN'} to $range->{'End-LSN'}: it can be restored only with an archive that does.", 'no pg_wal');
symlink "$dir/space", "$path/pg_wal";
($status, $document) = verify($path, '--within', Cwd::realpath($path), '--within', Cwd::realpath("$path.space"));
is(check($document, 'wal_segments')->{detail}, 'pg_wal cannot be read: it leads out of the allowed directories.', 'pg_wal elsewhere');
remove($path);

# An incremental backup, made by hand of a full one: its table is in a file of some pages.
my $incremental = $table =~ s{(\d+)$}{INCREMENTAL.$1}r;
sub make_incremental
{
	my ($blocks, $header) = @_;
	my $backup = copy($good);
	my $text   = slurp_file("$backup/$table");
	$header //= pack('L3', 0xd3ae1f0d, scalar @$blocks, length($text) / 8192);
	$header .= pack('L*', @$blocks);
	$header .= "\0" x (-length($header) % 8192) if @$blocks;
	unlink "$backup/$table" or die $!;
	write_file("$backup/$incremental", $header . join '', map { substr($text, 8192 * $_, 8192) } @$blocks);
	my $size = -s "$backup/$incremental";
	edit_manifest($backup, sub { s/"Path": "\Q$table\E", "Size": \d+/"Path": "$incremental", "Size": $size/ or die });
	forget_checksum($backup, $incremental);
	return $backup;
}

# Have it build on one that starts at the beginning of WAL, as a full one does then.
sub chain_backups
{
	my ($full, $backup) = @_;
	my %change = ($full => sub { s/^(START WAL LOCATION: )\S+/${1}0\/28/m or die }, $backup => sub { $_ .= "INCREMENTAL FROM LSN: 0/28\nINCREMENTAL FROM TLI: 1\n" });
	for my $changed (keys %change)
	{
		local $_ = slurp_file("$changed/backup_label");
		$change{$changed}->();
		write_file("$changed/backup_label", $_);
		my $size = -s "$changed/backup_label";
		edit_manifest($changed, sub { s/("Path": "backup_label", "Size": )\d+/$1$size/ or die });
		forget_checksum($changed, 'backup_label');
	}
	edit_manifest($full, sub { s/("Start-LSN": )"[^"]+"/$1"0\/28"/ or die });
	return;
}
$path = make_incremental([ 1, 3, 4 ]);
($status, $document) = verify($path);
is(check($document, 'incremental_files')->{detail}, '1 file holds changed pages only, although backup_label says that this is a full backup.', 'an incremental file in a full backup');
my $full = copy($good);
chain_backups($full, $path);
($status, $document) = verify($path, '--prior', $full);
is("$status $document->{result}", '0 success', 'an incremental backup') or diag explain $document->{checks};
is(check($document, 'incremental_files')->{detail}, '1 file holds changed pages only and is what the header states.', 'its file');
my $fewer = $pages - (-s "$good/$table") / 8192 + 3;
like(check($document, 'page_checksums')->{detail}, qr/^All $fewer pages/, 'its pages');
is($document->{backup}{size_bytes}, $document->{backup}{stored_bytes} - (-s "$path/$incremental") + (-s "$good/$table"), 'its size when restored');
patch("$path/$incremental", 8192 + 2 * 8192 + 5000, 1, \&flip);
($status, $document) = verify($path, '--prior', $full);
like(items($document, 'page_checksums'), qr/^\Q$incremental\E: block 4 has checksum/, 'its third page is block 4');
is((verify($path))[0], 1, 'without the one that it builds on');
remove($path);
for my $case ([ [ 3, 1 ], undef, 'lists block 1 behind block 3' ], [ [ 1, 1 ], undef, 'lists block 1 twice' ], [ [], pack('L3', 1, 0, 9), 'begins with 00000001, not with D3AE1F0D as an incremental file does' ],
	[ [], pack('L3', 0xd3ae1f0d, 1, 9), 'has 12 bytes, not 16384 as with the 1 blocks that its header states' ], [ [1], pack('L3', 0xd3ae1f0d, 1, 131073), 'states a length of 131073 blocks, more than the 131072 of a whole file' ])
{
	my ($blocks, $start, $problem) = @$case;
	$path = make_incremental($blocks, $start);
	my $prior = copy($good);
	chain_backups($prior, $path);
	($status, $document) = verify($path, '--prior', $prior);
	is("$status " . items($document, 'incremental_files'), "1 $incremental: $problem", "header: $problem");
	remove($_) for $path, $prior;
}
remove($full);

# Every kind of checksum, from pg_basebackup itself.
for my $kind (qw(SHA224 SHA256 SHA384 SHA512 NONE))
{
	my $backup = backup(lc $kind, "--manifest-checksums=$kind");
	($status, $document) = verify($backup);
	is("$status $document->{result} " . ($document->{proof} // ''), '0 success ' . ($kind eq 'NONE' ? 'present' : ''), "$kind: good");
	is(check($document, 'file_checksums')->{detail}, $kind eq 'NONE' ? 'The manifest states no checksums.' :
		(grep { $_->{Path} ne 'postgresql.auto.conf' } @{ decode_json(slurp_file("$backup/backup_manifest"))->{Files} }) . " files have the checksum that the manifest states ($kind).", "$kind: said");
	patch("$backup/$table", 6000, 1, \&flip);
	($status, $document) = verify($backup);
	is(with($document, 'failed'), $kind eq 'NONE' ? 'page_checksums' : 'file_checksums page_checksums', "$kind: a bit flipped");
	is(oracle($backup), $kind eq 'NONE' ? 'good' : 'bad', "$kind: pg_verifybackup");
	remove($backup);
}

# A file so large that it is read in pieces.
$path = copy($good);
open my $big, '>:raw', "$path/big" or die $!;
for my $at (0, 67108863, 67108864, 134217728, 150000000) { seek $big, $at, 0; print $big chr($at % 251 + 1) }
close $big;
my $crc = `$dir/checksums $path/big`;
chomp $crc;
edit_manifest($path, sub { s/^(\{ "Path": "PG_VERSION".*\n)/{ "Path": "big", "Size": 150000001, "Last-Modified": "2020-01-01 00:00:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "$crc" },\n$1/m or die });
is(with((verify($path, '--jobs', $_))[1], 'failed'), '', "pieces: $_ threads") for 1, 3;
is(oracle($path), 'good', 'pieces: pg_verifybackup agrees');
patch("$path/big", 100000000, 1, \&flip);
is(items((verify($path))[1], 'file_checksums'), 'big: does not have the CRC32C checksum that the manifest states', 'pieces: a bit flipped');
edit_manifest($path, sub { s/"Checksum": "$crc"/"Checksum": "00000000"/ });
remove($path);

# A file that changes while it is read.
SKIP:
{
	skip 'a library cannot be preloaded into a build with sanitizers', 1 if $sanitized;
	system_or_bail('gcc', '-shared', '-fPIC', '-O', '-o', "$dir/restless.so", 't/modules/restless/restless.c');
	local $ENV{LD_PRELOAD} = "$dir/restless.so";
	for my $case (
		# of which file, how often it changes, whether it is damaged, what fails
		['good contents', $table, 99, sub { }, ''],
		['no checksum, once', $table, 1, sub { forget_checksum($_[0], $table) }, ''],
		['no checksum', $table, 99, sub { forget_checksum($_[0], $table) }, 'changed_during_read'],
		['bad contents, once', $table, 1, sub { patch("$_[0]/$table", 6000, 1, \&flip) }, 'file_checksums page_checksums'],
		['bad contents', $table, 99, sub { patch("$_[0]/$table", 6000, 1, \&flip) }, 'changed_during_read'])
	{
		my ($name, $file, $times, $inflict, $failed) = @$case;
		$path = copy($good);
		$inflict->($path);
		local $ENV{RESTLESS_INODE} = (stat "$path/$file")[1];
		local $ENV{RESTLESS_TIMES} = $times;
		(undef, $document) = verify($path);
		is(with($document, 'failed'), $failed, "a restless file, $name");
		is(items($document, 'changed_during_read'), "$table: changed while it was read, twice", 'said') if $failed eq 'changed_during_read';
		remove($path);
	}
}

# Limits and progress.
my $start = Time::HiRes::time();
my $size = 0;
$size += $_->{Size} for @{ $manifest->{Files} };
($status) = verify($good, '--rate', int($size / 1000), '--jobs', 3);
cmp_ok(Time::HiRes::time() - $start, '>', 0.8, 'a second for what may take a second');
is($status, 0, 'and all is good');
IPC::Run::run([$agent, 'verify-backup', $good, '--level', 'verify', '--progress'], '>', \my $out, '2>', \my $err);
like($err, qr/^(voxanne_agent: .*\n)*voxanne_agent: 100 %, \d+ of \d+ MB, \d+ MB\/s\n$/, 'progress');
for my $arguments (['--jobs', 0], ['--jobs', 65], ['--jobs', 'x'], ['--rate', 0], ['--rate', '-1'], ['--level', 'drill'])
{
	IPC::Run::run([$agent, 'verify-backup', $good, @$arguments], '>', \$out, '2>', \$err);
	is($? >> 8, 2, "usage: @$arguments");
}

# Memory: of a manifest with very many files.
SKIP:
{
	skip 'a build with sanitizers takes more memory', 1 if $sanitized;
	my $peak = sub {
		my ($backup) = @_;
		my $program = 'import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)';
		IPC::Run::run(['python3', '-c', $program, $agent, 'verify-backup', $backup, '--level', 'verify'], '>', \my $kilobytes);
		return $kilobytes * 1024;
	};
	$path = copy($good);
	my $n = 200_000;
	edit_manifest($path, sub {
		my $lines = join '', map { sprintf qq({ "Path": "base/5/%d", "Size": 8192, "Last-Modified": "2020-01-01 00:00:00 GMT", "Checksum-Algorithm": "SHA256", "Checksum": "%064x" },\n), 10_000_000 + $_, $_ } 1 .. $n;
		s/^(\{ "Path": "PG_VERSION".*\n)/$lines$1/m or die });
	my $each = ($peak->($path) - $peak->($good)) / $n;
	cmp_ok($each, '<', 150, 'bytes of memory for a file');
	note("$each bytes");
	remove($path);
}

# Under writes: never accused.
$node->safe_psql('postgres', 'CREATE TABLE busy (i int, n int, filler text); INSERT INTO busy SELECT i, 0, repeat(\'f\', 100) FROM generate_series(1, 20000) i; CREATE INDEX ON busy (n);');
write_file("$dir/writes.sql", "UPDATE busy SET n = n + 1 WHERE i % 100 = (random() * 100)::int;\nINSERT INTO busy SELECT i, 0, repeat('g', 200) FROM generate_series(1, 50) i;\n");
my $writes = IPC::Run::start(['pgbench', '-n', '-c', 2, '-T', 600, '-f', "$dir/writes.sql", '-d', $node->connstr('postgres')], '>', '/dev/null', '2>', '/dev/null');
for my $options ([], ['--no-verify-checksums'], ['-X', 'fetch'])
{
	my $backup = backup('under_writes', @$options);
	($status, $document) = verify($backup);
	is("$status $document->{result}", '0 success', "under writes: good, @$options") or diag explain $document->{checks};
	is(oracle($backup), 'good', 'under writes: pg_verifybackup agrees');
	remove($backup);
}
$writes->signal('TERM');
$writes->finish;

# A torn page that WAL writes anew is none.  A manifest that begins before the change, with the WAL from there.
$node->safe_psql('postgres', 'CHECKPOINT');
my $redo = $node->safe_psql('postgres', 'SELECT redo_lsn FROM pg_control_checkpoint()');
$node->safe_psql('postgres', 'UPDATE t SET filler = filler WHERE i = 1');
my $later = backup('later');
sub add_wal
{
	my ($backup, $lsn) = @_;
	for my $segment (grep { /^[0-9A-F]{24}$/ } slurp_dir($node->data_dir . '/pg_wal'))
	{
		File::Copy::copy($node->data_dir . "/pg_wal/$segment", "$backup/pg_wal/$segment")
		  if !-e "$backup/pg_wal/$segment" && $segment ge $node->safe_psql('postgres', "SELECT '00000001' || substr(pg_walfile_name('$lsn'), 9)");
	}
	return;
}
add_wal($later, $redo);
edit_manifest($later, sub { s/"Start-LSN": "[^"]+"/"Start-LSN": "$redo"/ or die });
($status, $document) = verify($later);
is("$status $document->{result}", '0 success', 'WAL from further back') or diag explain $document->{checks};
is(oracle($later), 'good', 'WAL from further back: pg_verifybackup agrees');
forget_checksum($later, $table);
patch("$later/$table", 4096, 4096, 'y' x 4096);
($status, $document) = verify($later);
is("$status $document->{result}", '0 success', 'a torn page in WAL');
like(check($document, 'page_checksums')->{detail}, qr/; 1 torn one is repaired by WAL\.$/, 'is repaired');
patch("$later/$table", 3 * 8192 + 4096, 4096, 'y' x 4096);
($status, $document) = verify($later);
like(items($document, 'page_checksums'), qr/^\Q$table\E: block 3 has[^,]*, not[^,]*, before the backup's start$/, 'another one is not');

# From one timeline to the next, in the middle of a segment.
$node->safe_psql('postgres', 'CHECKPOINT');
$redo = $node->safe_psql('postgres', 'SELECT redo_lsn FROM pg_control_checkpoint()');
$node->safe_psql('postgres', 'UPDATE t SET filler = filler WHERE i = 1');
$node->stop;
$node->set_standby_mode;
$node->start;
$node->promote;
$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'not promoted';
my $forked = backup('forked');
my ($switch) = slurp_file($node->data_dir . '/pg_wal/00000002.history') =~ m{^1\t([0-9A-F]+/[0-9A-F]+)}m;
add_wal($forked, $redo);
edit_manifest($forked, sub { s/(\{ "Timeline": 2, "Start-LSN": )"[^"]+"(, "End-LSN": "[^"]+" \})/$1"$switch"$2,\n{ "Timeline": 1, "Start-LSN": "$redo", "End-LSN": "$switch" }/ or die });
($status, $document) = verify($forked);
is("$status $document->{result} $document->{backup}{start_lsn}", "0 success $redo", 'two timelines') or diag explain $document->{checks};
unlink glob "$forked/pg_wal/00000001*";
($status, $document) = verify($forked);
is("$status $document->{result}", '0 success', 'the first one\'s last segment is also the second one\'s first') or diag explain $document->{checks};
unlink glob "$forked/pg_wal/00000002*";
write_file("$forked/pg_wal/000000010000000000000001", '');
($status, $document) = verify($forked);
like(items($document, 'wal_segments'), qr/^pg_wal\/00000001\S+: missing, .*pg_wal\/00000002\S+: missing$/, 'neither is there');
$node->stop;

# Clusters without checksums, and with WAL segments of other sizes.
for my $segment_size (1, 64)
{
	my $plain = PostgreSQL::Test::Cluster->new("plain$segment_size");
	$plain->init(allows_streaming => 1, extra => ["--wal-segsize=$segment_size", $node->pg_version >= 18 ? '--no-data-checksums' : ()]);
	$plain->start;
	$plain->command_ok(['pg_basebackup', '--no-sync', '-c', 'fast', '-D', "$dir/plain$segment_size", '-d', $plain->connstr('postgres')], "pg_basebackup plain$segment_size");
	$plain->stop;
	($status, $document) = verify("$dir/plain$segment_size");
	is("$status $document->{result} " . with($document, 'skipped'), '0 success page_checksums', "no data checksums, WAL segments of $segment_size MB");
	is(check($document, 'page_checksums')->{detail}, 'The cluster has no data checksums.', 'said');
}
done_testing();
