# verify-backup against what PostgreSQL's own tests of pg_verifybackup do, of 15 to 18: each damage in archives as
# tar itself packs them, every algorithm and encoding in tar format, every way to compress, and manifests that cannot
# be understood.  (The same damage in plain backups: t/agent_verify.pl.)
use strict;
use warnings;
use AgentTest;
use Cwd;
use Digest::SHA qw(sha256_hex);
use File::Copy ();
use File::Path qw(rmtree);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = Cwd::realpath(PostgreSQL::Test::Utils::tempdir_short);
my $node = server_to_back_up('peers', $dir);
my $table  = $node->safe_psql('postgres', "SELECT pg_relation_filepath('t')");
my $spaced = $node->safe_psql('postgres', "SELECT pg_relation_filepath('spaced')");
my $oid    = $node->safe_psql('postgres', "SELECT oid FROM pg_tablespace WHERE spcname = 'space'");

# What does not compress, of a length that is no multiple of anything.
write_file($node->data_dir . '/junk', join('', map { sha256_hex($_) } 1 .. 10240) . 'x');

# Take a backup; false where this build or this version of the server has no such way.
sub backup
{
	my ($name, @options) = @_;
	my $ok = IPC::Run::run([ 'pg_basebackup', '--no-sync', '-c', 'fast', '-d', $node->connstr('postgres'), @options ], '2>', \my $err);
	if (!$ok && $err =~ /not supported by this build|unrecognized compression option|Unsupported parameter/)
	{
		note("$name: $err");
		return 0;
	}
	ok($ok, "pg_basebackup: $name") or diag $err;
	return $ok;
}
sub plain { return ('-D', $_[0], '-T', "$dir/space=$_[0].space") }

sub verify { return run_agent('verify-backup', $_[0], '--level', 'verify') }

# A plain backup as archives that tar makes: those of its tablespaces and its WAL first, as they are below it.
sub pack_backup
{
	my ($from, $to) = @_;
	mkdir $to or die $!;
	my $base = "$to.base";
	system_or_bail('cp', '-a', $from, $base);
	for my $place ('pg_wal', map { "pg_tblspc/$_" } grep { /^\d/ } slurp_dir("$base/pg_tblspc"))
	{
		system_or_bail('tar', '-C', "$base/$place", '-cf', "$to/" . ($place =~ s{.*/}{}r) . '.tar', '.');
		$place =~ /^pg_wal/ ? rmtree("$base/$place") : unlink "$base/$place";
	}
	rename "$base/backup_manifest", "$to/backup_manifest" or die $!;
	system_or_bail('tar', '-C', $base, '-cf', "$to/base.tar", '.');
	rmtree($base);
	return;
}

# Corruption, in archives that begin their paths with "./" and have directories of their own.
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init(allows_streaming => 1, force_initdb => 1);
$other->start;
$other->command_ok([ 'pg_basebackup', '--no-sync', '-c', 'fast', '-D', "$dir/other", '-d', $other->connstr('postgres') ], 'a backup of another cluster');
$other->stop;
my $good = "$dir/good";
backup('plain', plain($good));
my @damages = (
	[ 'nothing', sub { }, '' ],
	[ 'a file added', sub { write_file("$_[0]/extra_file", "x\n") }, 'no_extra_files', 'extra_file: not in the manifest' ],
	[ 'a file added to a tablespace', sub { write_file("$_[0]/" . ($spaced =~ s/\d+$/extra/r), "x\n") }, 'no_extra_files', ($spaced =~ s/\d+$/extra/r) . ': not in the manifest' ],
	[ 'a file missing', sub { unlink "$_[0]/pg_xact/0000" }, 'files_present', 'pg_xact/0000: missing' ],
	[ 'a tablespace missing', sub { unlink "$_[0]/pg_tblspc/$oid" }, 'files_present', qr/^pg_tblspc\/$oid\/\S+: missing/ ],
	[ 'a file longer', sub { append_to_file("$_[0]/global/pg_control", 'x') }, 'file_sizes', 'global/pg_control: has 8193 bytes, not 8192' ],
	[ 'a file empty', sub { write_file("$_[0]/pg_hba.conf", '') }, 'file_sizes', qr/^pg_hba\.conf: has 0 bytes, not \d+$/ ],
	[ 'other contents', sub { write_file("$_[0]/PG_VERSION", 'q' x -s "$_[0]/PG_VERSION") }, 'file_checksums', 'PG_VERSION: does not have the CRC32C checksum that the manifest states' ],
	[ 'a manifest longer', sub { append_to_file("$_[0]/backup_manifest", "\n") }, 'manifest_checksum' ],
	[ 'the manifest of another cluster', sub { File::Copy::copy("$dir/other/backup_manifest", "$_[0]/backup_manifest") }, $node->pg_version >= 17 ? 'system_identifier' : 'file_checksums' ]);
for my $damage (@damages)
{
	my ($name, $inflict, $check, $items) = @$damage;
	my $path = "$dir/damaged";
	system_or_bail('cp', '-a', $good, $path);
	system_or_bail('cp', '-a', "$good.space", "$path.space");
	unlink "$path/pg_tblspc/$oid" or die $!;
	symlink "$path.space", "$path/pg_tblspc/$oid" or die $!;
	$inflict->($path);
	pack_backup($path, "$dir/packed");
	for my $format ($path, "$dir/packed")
	{
		my ($status, $document) = verify($format);
		my $what = "$name, " . ($format eq $path ? 'plain' : 'packed by tar');
		is("$status $document->{result}", $check eq '' ? '0 success' : '1 failure', $what) or diag explain $document->{checks};
		is(check($document, $check)->{result}, 'failed', "$what: what fails") if $check ne '';
		if (ref $items) { like(items($document, $check), $items, "$what: said") }
		elsif (defined $items) { is(items($document, $check), $items, "$what: said") }
	}
	is(oracle("$dir/packed", '-n'), $check eq '' ? 'good' : 'bad', "$name: pg_verifybackup") if $node->pg_version >= 18;
	rmtree($_) for $path, "$path.space", "$dir/packed";
}

# More than one thing is wrong: all of it is said.
my $path = "$dir/several";
backup('plain', plain($path));
write_file("$path/PG_VERSION", 'q' x -s "$path/PG_VERSION");
rmtree("$path/pg_xact");
my (undef, $document) = verify($path);
is(with($document, 'failed') . ' ' . items($document, 'files_present') . ' ' . items($document, 'file_checksums'),
	'file_checksums files_present pg_xact/0000: missing PG_VERSION: does not have the CRC32C checksum that the manifest states', 'several things are wrong');

# Algorithms, in tar format.
for my $algorithm (qw(NONE CRC32C SHA224 SHA256 SHA384 SHA512))
{
	$path = "$dir/" . lc $algorithm;
	backup("tar, $algorithm", '-Ft', '-D', $path, "--manifest-checksums=$algorithm");
	my ($status, $document) = verify($path);
	is("$status $document->{result}", '0 success', "tar, $algorithm: good") or diag explain $document->{checks};
	local $_ = slurp_file("$path/base.tar");
	substr($_, tar_member($_, $table) + 512 + 6000, 1) ^= "\1";
	write_file("$path/base.tar", $_);
	($status, $document) = verify($path);
	is(with($document, 'failed'), $algorithm eq 'NONE' ? 'page_checksums' : 'file_checksums page_checksums', "tar, $algorithm: a bit flipped");
	rmtree($path);
}

# Paths in hexadecimal.
for my $format ('plain', 'tar')
{
	$path = "$dir/encoded_$format";
	backup("$format, encoded", '--manifest-force-encode', $format eq 'tar' ? ('-Ft', '-D', $path) : plain($path));
	cmp_ok(scalar(() = slurp_file("$path/backup_manifest") =~ /"Encoded-Path"/g), '>', 100, "$format: encoded paths");
	my ($status, $document) = verify($path);
	is("$status $document->{result}", '0 success', "$format, encoded: good") or diag explain $document->{checks};
	$format eq 'tar' ? unlink "$path/$oid.tar" : unlink "$path/PG_VERSION";
	like(items((verify($path))[1], 'files_present'), $format eq 'tar' ? qr/^pg_tblspc\/$oid\/\S+: missing/ : qr/^PG_VERSION: missing$/, "$format, encoded: a file is missing");
}

# Compression: its levels, windows and threads, by the client, by the server, and written by the server itself.
my @details = ('gzip', 'gzip:1', 'gzip:9', 'lz4', 'lz4:1', 'lz4:5', 'zstd', 'zstd:5', 'zstd:level=1,long', 'zstd:workers=3');
for my $detail (@details)
{
	for my $side ('client', 'server', 'server itself')
	{
		my $name = "$side, $detail";
		$path = "$dir/compressed";
		my $made = backup($name, '-X', 'fetch', '--compress=' . ($side eq 'client' ? $side : 'server') . "-$detail",
			$side eq 'server itself' ? ('-t', "server:$path") : ('-Ft', '-D', $path));
		if ($made)
		{
			my ($status, $document) = verify($path);
			is("$status $document->{result} " . with($document, 'skipped'), '0 success ', "$name: good") or diag explain $document->{checks};
			my ($file) = glob("$path/base.tar.*");
			truncate $file, (-s $file) - 10;
			like(items((verify($path))[1], 'archives_readable'), qr/^base\.tar\.\w+: cannot be read to its end: /, "$name: its end is lost");
		}
		rmtree($path);
	}
}

# WAL: of a server that was promoted, which has another one's history.
$node->stop;
$node->set_standby_mode;
$node->start;
$node->promote;
$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'not promoted';
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
for my $format ('plain', 'tar')
{
	$path = "$dir/promoted_$format";
	backup("$format, timeline 2", $format eq 'tar' ? ('-Ft', '-D', $path) : plain($path));
	my ($status, $document) = verify($path);
	is("$status $document->{result} $document->{backup}{timeline}", '0 success 2', "$format, timeline 2: good") or diag explain $document->{checks};
}
$node->stop;

# Manifests that cannot be understood.  With the checksum that they should have, as otherwise nothing else is looked at.
mkdir "$dir/manifest" or die $!;
write_file("$dir/manifest/PG_VERSION", "15\n");
sub manifest_is
{
	my ($text, $check, $detail) = @_;
	write_file("$dir/manifest/backup_manifest", $text);
	my ($status, $document) = verify("$dir/manifest");
	is($status . ' ' . check($document, $check)->{result}, '1 failed', "$check: $detail") or diag $text, explain $document->{checks};
	like(check($document, $check)->{detail}, qr/: (?:line \d+: )?\Q$detail\E|, line \d+: \Q$detail\E/, 'why');
	is(check($document, 'files_present')->{result}, '', 'nothing is said of files');
	return;
}
my $start = '{"PostgreSQL-Backup-Manifest-Version": 1';
for my $case (
	[ '{"not-expected": 1', 'it does not begin with its version' ],
	[ '{"PostgreSQL-Backup-Manifest-Version": "phooey"', 'the manifest\'s version is not a number' ],
	[ '{"PostgreSQL-Backup-Manifest-Version": 9876599', 'the manifest has a version other than 1 and 2' ],
	[ "$start, \"Oops\": 1", 'it has an unknown member' ],
	[ '[]', 'it is not a JSON object' ],
	(map { [ "$start, \"Files\": $_->[0]", $_->[1] ] }
		[ 'true', '"Files" is not an array' ], [ '{}', '"Files" is not an array' ],
		[ '[{}]', 'a file has no path' ],
		[ '[{"Path": "x", "Encoded-Path": "1234"}]', 'a file has both a path and an encoded path' ],
		[ '[{"Oops": 1}]', 'a file has an unknown member' ],
		[ '[{"Path": "x"}]', 'a file has no size' ],
		[ '[{"Path": "x", "Size": "Oops"}]', 'a size is not a number' ],
		[ '[{"Encoded-Path": "123", "Size": 0}]', 'an encoded path is malformed' ],
		[ '[{"Path": "x", "Size": 0}, {"Path": "x", "Size": 0}]', 'a path is listed twice' ],
		[ '[{"Path": "x", "Size": 100, "Checksum": "Oops"}]', 'a checksum is not hexadecimal' ],
		[ '[{"Path": "x", "Size": 100, "Checksum": "00"}]', 'a file has a checksum without an algorithm' ],
		[ '[{"Path": "x", "Size": 100, "Checksum-Algorithm": "Oops", "Checksum": "00"}]', 'unknown checksum algorithm' ],
		[ '[{"Path": "x", "Size": 100, "Checksum-Algorithm": "CRC32C", "Checksum": "0"}]', 'a checksum does not have its algorithm\'s length' ],
		[ '[{"Path": "x", "Size": 100, "Checksum-Algorithm": "CRC32C", "Checksum": "0000"}]', 'a checksum does not have its algorithm\'s length' ],
		[ '[{"Path": "x", "Size": 100, "Checksum-Algorithm": "CRC32C"}]', 'a checksum does not have its algorithm\'s length' ]),
	(map { [ "$start, \"WAL-Ranges\": [$_->[0]]", $_->[1] ] }
		[ '{"Timeline": 1}', 'a WAL range is incomplete' ], [ '{"Timeline": 1, "Start-LSN": "0/0"}', 'a WAL range is incomplete' ],
		[ '{"Oops": 1}', 'a WAL range has an unknown member or one twice' ], [ '{}', 'a WAL range is incomplete' ],
		[ '{"Start-LSN": "0/0", "End-LSN": "0/0"}', 'a WAL range is incomplete' ],
		[ '{"Timeline": true, "Start-LSN": "0/0", "End-LSN": "0/0"}', 'a timeline is not a number' ],
		[ '{"Timeline": 1, "Start-LSN": "oops", "End-LSN": "0/0"}', 'a WAL position is malformed' ],
		[ '{"Timeline": 1, "Start-LSN": "0/0", "End-LSN": "oops"}', 'a WAL position is malformed' ],
		[ '{"Timeline": 1, "Start-LSN": "0/2", "End-LSN": "0/1"}', 'a WAL range ends before it starts' ]),
	[ "$start, \"Files\": []", 'a member is missing' ],
	[ "$start, \"WAL-Ranges\": [{\"Timeline\": 1, \"Start-LSN\": \"0/0\", \"End-LSN\": \"0/0\"}]", 'a member is missing' ])
{
	my ($text, $detail) = @$case;
	$text .= ",\n";
	manifest_is($text . '"Manifest-Checksum": "' . sha256_hex($text) . "\"}\n", 'manifest_parse', $detail);
}

# And those that have no such checksum.
for my $case ([ "{\n", 'its last line states no checksum' ], [ "{}\n", 'its last line states no checksum' ], [ "[]\n", 'its last line states no checksum' ],
	[ "$start, \"Files\": [], \"Manifest-Checksum\": null}\n", 'its last line states no checksum' ],
	[ "$start,\n\"Files\": [],\n\"Manifest-Checksum\": null}", 'its last line is cut off' ],
	[ "$start, \"Files\": [],\n\"Manifest-Checksum\": \"" . 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz01234567890-' . "\"}\n", 'its last line states no checksum' ])
{
	manifest_is($case->[0], 'manifest_checksum', $case->[1]);
}
done_testing();
