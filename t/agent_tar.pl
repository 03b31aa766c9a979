# verify-backup of base backups in tar format: real ones, compressed in every way, and what can happen to them.
use strict;
use warnings;
use AgentTest;
use Cwd;
use File::Path qw(rmtree);
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = Cwd::realpath(PostgreSQL::Test::Utils::tempdir_short);

my $node = server_to_back_up('tar', $dir);
my $system = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my $table  = $node->safe_psql('postgres', "SELECT pg_relation_filepath('t')");
my $spaced = $node->safe_psql('postgres', "SELECT pg_relation_filepath('spaced')");
my $oid    = $node->safe_psql('postgres', "SELECT oid FROM pg_tablespace WHERE spcname = 'space'");

# Run the agent; its exit status and its document.
sub verify
{
	my ($path, @options) = @_;
	return run_agent('verify-backup', $path, '--level', 'verify', '--system-identifier', $system, @options);
}

# Every way to compress that the server and pg_basebackup have; healthy ones pass as a plain one does.
my %ways = (none => [], gzip => ['-z'], fetch => [ '-X', 'fetch' ], 'no WAL' => [ '-X', 'none' ], sha => ['--manifest-checksums=SHA256'], 'no checksums' => ['--manifest-checksums=NONE']);
for my $method ('lz4', 'zstd')
{
	for my $side ('client', 'server')
	{
		$ways{"$side $method"} = [ '-X', $side eq 'client' ? 'stream' : 'fetch', "--compress=$side-$method" ];
	}
}
my $all_checks = 'archives_readable backup_found backup_label_present changed_during_read clock_skew file_checksums file_sizes file_types files_present ' .
  'manifest_checksum manifest_parse manifest_present no_extra_files page_checksums pages_unproven pg_control_readable system_identifier wal_records wal_segments';
my %backups;
for my $way (sort keys %ways)
{
	my $path = "$dir/" . ($way =~ s/ /_/gr);
	my $made = IPC::Run::run([ 'pg_basebackup', '--no-sync', '-c', 'fast', '-Ft', '-D', $path, '-d', $node->connstr('postgres'), @{ $ways{$way} } ], '2>', \my $err);
	if (!$made && $err =~ /not supported by this build/)
	{
		note("$way: $err");
		next;
	}
	ok($made, "pg_basebackup: $way") or diag $err;
	$backups{$way} = $path;
	my ($status, $document) = verify($path);
	my $expected = $way eq 'no WAL' ? '0 warning wal_segments' : '0 success ';
	is("$status $document->{result} " . with($document, 'warning'), $expected, "$way: good") or diag explain $document;
	is(with($document, 'skipped'), $way eq 'no WAL' ? 'wal_records' : $way eq 'no checksums' ? 'file_checksums' : '', "$way: everything is looked at");
	is(with($document, 'passed'), $all_checks, "$way: all checks") if $way eq 'none';
	my $compared = grep { $_->{Path} !~ m{^(pg_wal/|postgresql\.auto\.conf$)} } @{ decode_json(slurp_file("$path/backup_manifest"))->{Files} };
	like(check($document, 'file_checksums')->{detail}, qr/^$compared files have the checksum/, "$way: all files") if $way ne 'no checksums';
	($status, $document) = verify($path, '--level', 'status');
	is("$status $document->{result}", '0 success', "$way: level status") or diag explain $document;
	is(with($document, 'skipped'), -e "$path/base.tar" ? '' : 'backup_label_present files_present pg_control_readable', "$way: level status reads what is not compressed");
}

# An ordinary plain backup says the same of its pages and WAL.
$node->command_ok([ 'pg_basebackup', '--no-sync', '-c', 'fast', '-D', "$dir/plain", '-T', "$dir/space=$dir/plain.space", '-d', $node->connstr('postgres') ], 'a plain backup');
my (undef, $plain) = verify("$dir/plain");
my (undef, $tarred) = verify($backups{none});
is(check($tarred, 'page_checksums')->{detail}, check($plain, 'page_checksums')->{detail}, 'as many pages as in a plain backup');

my $copies = 0;

# Damage a file of a copy of a backup, and see what fails.
sub damaged
{
	my ($way, $name, $file, $inflict, $failed, $check, $items) = @_;
	my $path = "$dir/copy" . ++$copies;
	system_or_bail('cp', '-r', $backups{$way}, $path);
	if (defined $file)
	{
		local $_ = slurp_file("$path/$file");
		$inflict->($path);
		write_file("$path/$file", $_);
	}
	else { $inflict->($path) }
	my ($status, $document) = verify($path);
	like(with($document, 'failed'), ref $failed ? $failed : qr/^\Q$failed\E$/, "$name: what fails") or diag explain $document;
	is("$status $document->{result}", '1 failure', "$name: result");
	like(items($document, $check), $items, "$name: said") if defined $check;
	system('chmod', '-R', 'u+rwX', $path);
	rmtree($path);
	return;
}

my $no_forget = 'does not have the CRC32C checksum that the manifest states';
damaged('none', 'a bit flipped', 'base.tar', sub { my $at = tar_member($_, $table) + 512 + 3 * 8192 + 5000; substr($_, $at, 1) ^= "\1" }, 'file_checksums page_checksums', 'page_checksums', qr/^\Q$table\E: block 3 has checksum .*, before the backup's start$/);
damaged('none', 'a bit flipped in a tablespace', "$oid.tar", sub { my $at = tar_member($_, $spaced =~ s{^pg_tblspc/\d+/}{}r) + 512 + 5000; substr($_, $at, 1) ^= "\1" }, 'file_checksums page_checksums', 'file_checksums', qr/^\Q$spaced\E: $no_forget$/);
damaged('no checksums', 'a bit flipped, no checksums', 'base.tar', sub { my $at = tar_member($_, $table) + 512 + 3 * 8192 + 5000; substr($_, $at, 1) ^= "\1" }, 'page_checksums', 'page_checksums', qr/^\Q$table\E: block 3 /);
damaged('none', 'an archive missing', undef, sub { unlink "$_[0]/$oid.tar" }, 'files_present', 'files_present', qr/^pg_tblspc\/$oid\/.*: missing/);
damaged('none', 'an archive empty', undef, sub { write_file("$_[0]/$oid.tar", '') }, 'archives_readable', 'archives_readable', qr/^$oid\.tar: is empty$/);
damaged('none', 'an archive cut', 'base.tar', sub { $_ = substr($_, 0, tar_member($_, $table) + 1000) }, 'archives_readable pg_control_readable', 'archives_readable', qr/^base\.tar: cannot be read to its end: it is cut off$/);
damaged('none', 'the end of an archive lost', 'base.tar', sub { s/\0{1024}\z// or die }, 'archives_readable', 'archives_readable', qr/it is cut off$/);
damaged('none', 'something behind its end', 'base.tar', sub { $_ .= "x\n" }, 'archives_readable', 'archives_readable', qr/something follows its end/);
damaged('none', 'a header damaged', 'base.tar', sub { substr($_, tar_member($_, $table), 1) = 'X' }, 'archives_readable pg_control_readable', 'archives_readable', qr/a header is damaged$/);
damaged('none', 'unreadable', undef, sub { chmod 0, "$_[0]/$oid.tar" }, 'archives_readable', 'archives_readable', qr/unreadable: permission denied$/);
damaged('none', 'a link', undef, sub { rename "$_[0]/base.tar", "$_[0]/x"; symlink 'x', "$_[0]/base.tar" }, 'archives_readable pg_control_readable', 'archives_readable', qr/^base\.tar: is a symbolic link$/);
damaged('none', 'a file renamed', 'base.tar', sub { tar_header(tar_member($_, $table), 0, pack('a100', 'base/other')) }, 'files_present no_extra_files', 'no_extra_files', qr/^base\/other: not in the manifest$/);
damaged('none', 'a path that leads out', 'base.tar', sub { tar_header(tar_member($_, $table), 0, pack('a100', 'base/../../x')) }, 'file_types files_present', 'file_types', qr/^base\/\.\.\/\.\.\/x: leads out of the backup$/);
damaged('none', 'a file is a FIFO', 'base.tar', sub { my $at = tar_member($_, 'backup_label'); tar_header($at, 156, '6') }, 'backup_label_present file_types files_present', 'file_types', qr/^backup_label: is something else than/);
damaged('none', 'a file is there twice', 'base.tar', sub { my $at = tar_member($_, 'PG_VERSION'); my $copy = substr($_, $at, 1024); substr($_, $at, 0) = $copy }, 'no_extra_files', 'no_extra_files', qr/^PG_VERSION: is there twice$/);
damaged('none', 'a file is shorter', 'base.tar', sub { my $at = tar_member($_, 'PG_VERSION'); tar_header($at, 124, sprintf('%011o', 2)) }, 'file_sizes', 'file_sizes', qr/^PG_VERSION: has 2 bytes, not 3$/);
damaged('none', 'pg_control damaged', 'base.tar', sub { substr($_, tar_member($_, 'global/pg_control') + 512 + 100, 1) ^= "\1" }, 'file_checksums pg_control_readable');
damaged('none', 'the manifest damaged', 'backup_manifest', sub { s/PG_VERSION/PG_VERSIOM/ }, 'manifest_checksum');
for my $way (grep { $backups{$_} } 'gzip', 'client lz4', 'client zstd', 'server lz4', 'server zstd')
{
	my ($file) = map { s{.*/}{}r } glob("$backups{$way}/base.tar.*");
	damaged($way, "$way: a bit flipped", $file, sub { substr($_, length() / 2, 1) ^= "\4" }, qr/^archives_readable |file_checksums/);
	damaged($way, "$way: cut", $file, sub { $_ = substr($_, 0, length() / 2) }, 'archives_readable pg_control_readable', 'archives_readable', qr/^\Q$file\E: cannot be read to its end: the \w+ data are damaged: they are cut off$/);
	damaged($way, "$way: something behind it", $file, sub { $_ .= 'garbage' }, 'archives_readable', 'archives_readable', qr/^\Q$file\E: cannot be read to its end: the \w+ data are damaged/);
}

# WAL, in an archive of its own and in base.tar, compressed or not
my ($segment) = slurp_file("$backups{none}/pg_wal.tar") =~ /^([0-9A-F]{24})\0/;
damaged('none', 'WAL: a bit flipped', 'pg_wal.tar', sub { substr($_, tar_member($_, $segment) + 512 + 0x28 + 25, 1) ^= "\1" }, 'wal_records', 'wal_records', qr/^pg_wal\/$segment: record at .* does not have the checksum that it states$/);
damaged('none', 'WAL: of another cluster', 'pg_wal.tar', sub { substr($_, tar_member($_, $segment) + 512 + 24, 8) = pack('Q', 42) }, 'wal_segments', 'wal_segments', qr/: is of cluster 42, not $system$/);
damaged('none', 'WAL: misnamed', 'pg_wal.tar', sub { tar_header(tar_member($_, $segment), 0, pack('a100', $segment =~ s/.$/F/r)) }, 'wal_segments', 'wal_segments', qr/^pg_wal\/$segment: missing$/);
($segment) = slurp_file("$backups{fetch}/base.tar") =~ m{\0pg_wal/([0-9A-F]{24})\0};
damaged('fetch', 'fetched WAL: a bit flipped', 'base.tar', sub { substr($_, tar_member($_, "pg_wal/$segment") + 512 + 0x28 + 25, 1) ^= "\1" }, 'wal_records', 'wal_records', qr/^pg_wal\/$segment: record at /);

# Among several the newest counts, of whatever format.
mkdir "$dir/many" or die $!;
system_or_bail('cp', '-r', $backups{gzip}, "$dir/many/tar");
my ($status, $document) = verify("$dir/many");
is("$status $document->{backup}{id}", '0 tar', 'found among others');
unlink "$dir/many/tar/backup_manifest";
($status, $document) = verify("$dir/many");
is("$status " . items($document, 'backup_found'), '1 tar: passed over, has no manifest: in progress, broken off, or made without one', 'one without a manifest');

# Torn by writes: a backup under load is not accused, whatever its format.
my $psql = $node->background_psql('postgres');
$psql->query_safe('CREATE TABLE busy AS SELECT i, 0 AS n FROM generate_series(1, 20000) i');
my $load = IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres') ], '<', \"UPDATE busy SET n = n + 1 \\watch 0.05\n", '>', \my $out, '2>', \my $err);
$node->command_ok([ 'pg_basebackup', '--no-sync', '-Ft', '-z', '-D', "$dir/busy", '-d', $node->connstr('postgres') ], 'a backup under load');
$load->kill_kill;
$psql->quit;
($status, $document) = verify("$dir/busy");
is("$status $document->{result}", '0 success', 'under load: good') or diag explain $document;

$node->stop;
done_testing();
