# verify-dump of voxanne_agent: real dumps of every format and compression, and what can happen to them.
use strict;
use warnings;
use AgentTest;
use Cwd;
use Digest::SHA qw(sha256_hex);
use File::Copy ();
use File::Path qw(rmtree);
use IPC::Run;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = Cwd::realpath(PostgreSQL::Test::Utils::tempdir_short);

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
my $major = int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);
$node->safe_psql(
	'postgres', <<'SQL');
CREATE SCHEMA "Odd ""Name";
CREATE TABLE "Odd ""Name"."T.x(1), y" (a int, "b, (c" text);
INSERT INTO "Odd ""Name"."T.x(1), y" VALUES (1, E'tab\there\nnewline \\. \\');
CREATE TABLE large (a int, b text, c text);
INSERT INTO large SELECT i, md5(i::text), repeat('x', i % 50) FROM generate_series(1, 20000) i;
CREATE TABLE small (a int);
INSERT INTO small VALUES (1), (2), (NULL);
CREATE TABLE empty (a int);
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
CREATE TABLE parted (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE part_1 PARTITION OF parted FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (k);
CREATE TABLE part_1_1 PARTITION OF part_1 FOR VALUES FROM (0) TO (50);
CREATE TABLE part_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);
INSERT INTO parted SELECT i, 'v' FROM generate_series(0, 49) i;
CREATE TABLE parted_empty (k int) PARTITION BY RANGE (k);
CREATE TABLE part_e PARTITION OF parted_empty FOR VALUES FROM (0) TO (1);
SELECT lo_from_bytea(i, decode(repeat('ab', 5000), 'hex')) FROM generate_series(100001, 100005) i;
SELECT lo_from_bytea(4000000000, 'high');
SELECT lo_create(100006);
CREATE MATERIALIZED VIEW seen AS SELECT * FROM small;
CREATE SEQUENCE numbers;
CREATE FUNCTION copies() RETURNS text LANGUAGE sql AS $$
SELECT 'COPY x FROM stdin;
COPY public.large (a) FROM stdin;
'$$;
SQL
my $rows = 20000 + 1 + 3 + 1 + 50;

# Run the agent; its exit status and its document.
sub verify
{
	my ($path, @options) = @_;
	return run_agent('verify-dump', $path, '--level', 'verify', @options);
}

sub dump_to
{
	my ($name, @options) = @_;
	$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', "$dir/$name", @options ], "pg_dump @options");
	return "$dir/$name";
}

# Healthy dumps of every kind are not accused, at any level, and all their rows are counted.
my %compressions = (none => ['-Z0'], gzip => ['-Z6']);
if ($major >= 16)
{
	for my $method ('lz4', 'zstd')
	{
		$compressions{$method} = ["--compress=$method"]
		  if IPC::Run::run([ 'pg_dump', '-s', "--compress=$method", '-f', "$dir/try", '-d', $node->connstr('postgres') ], '2>', \my $err);
	}
}
my %dumps = (tar => dump_to('tar', '-Ft'), plain => dump_to('plain'));
for my $method (sort keys %compressions)
{
	$dumps{"custom $method"}    = dump_to("custom.$method", '-Fc', @{ $compressions{$method} });
	$dumps{"directory $method"} = dump_to("directory.$method", '-Fd', '--jobs=2', @{ $compressions{$method} });
	$dumps{"plain $method"}     = dump_to("plain.$method", @{ $compressions{$method} });
}
$dumps{pipe} = "$dir/pipe";
system_or_bail("pg_dump -Fc -d '" . $node->connstr('postgres') . "' | cat >$dir/pipe");
$dumps{cluster} = "$dir/cluster";
$node->command_ok([ 'pg_dumpall', '--no-sync', '-f', "$dir/cluster", '-d', $node->connstr('postgres') ], 'pg_dumpall');
for my $tool ('gzip', 'lz4', 'zstd')
{
	next if system("command -v $tool >/dev/null") != 0;
	for my $what ('tar', 'custom.none', 'plain', 'cluster')
	{
		system_or_bail("$tool -c $dir/$what >$dir/$what.$tool");
		$dumps{"$what by $tool"} = "$dir/$what.$tool";
	}
}
my @wanted = map { ('--table', $_) } 'public.large', 'large', '"T.x(1), y"', 'Public.Small', '"Odd ""Name"."T.x(1), y"', 'public.parted', 'public.part_1';
for my $name (sort keys %dumps)
{
	for my $level ('status', 'verify')
	{
		my ($status, $document) = verify($dumps{$name}, '--level', $level, @wanted);
		is("$status $document->{result} " . with($document, 'warning'), '0 success ', "$name, $level: good") or diag explain $document;
		is($document->{backup}{id}, $dumps{$name} =~ s{.*/}{}r, "$name, $level: id");
		next if $level eq 'status';
		is(with($document, 'skipped'), '', "$name: everything is looked at");
		is($document->{backup}{rows}, $rows, "$name: rows");
		my $digest =
		  -d $dumps{$name}
		  ? sha256_hex(join '', map { sha256_hex(slurp_file("$dumps{$name}/$_")) . "  $_\n" } sort grep { !/^\./ } slurp_dir($dumps{$name}))
		  : sha256_hex(slurp_file($dumps{$name}));
		is($document->{backup}{sha256}, $digest, "$name: digest");
		like(check($document, 'dump_contents')->{detail}, qr/ and 7 large objects\.$/, "$name: large objects") if $name !~ /plain|cluster/;
	}
}
my (undef, $document) = verify(dump_to('insert', '-Fc', '--inserts'), '--table', 'public.small');
is(with($document, 'failed') . with($document, 'warning'), '', 'INSERTs: good');
(undef, $document) = verify(dump_to('insert.d', '-Fd', '--inserts', '--rows-per-insert=7', '-Z0'), '--table', 'public.small', '--table', 'public.empty');
is(with($document, 'failed') . ' ' . items($document, 'tables_present'), 'tables_present public.empty: it has no row', 'INSERTs: rows or none');
(undef, $document) = verify(dump_to('insert.sql', '--inserts'), '--table', 'public.small');
is(with($document, 'failed') . with($document, 'warning'), '', 'INSERTs in plain format: good');

# What a dump lacks, though it is intact.
for my $format ('-Fc', '-Fd', '-Ft', '-Fp')
{
	my ($status, $answer) = verify(dump_to("schema$format", $format, '--schema-only'), '--table', 'public.small', '--table', 'public.gone');
	is(with($answer, 'failed') . ' ' . with($answer, 'warning'), 'tables_present dump_contents', "$format: definitions only");
	is(items($answer, 'tables_present'), 'public.gone: it is not in the dump, public.small: the dump has its definition, but no data of it', "$format: said");
	($status, $answer) = verify(dump_to("data$format", $format, '--data-only'), '--table', 'public.small');
	is("$status $answer->{result} " . with($answer, 'warning'), '0 warning dump_contents', "$format: data only");
	($status, $answer) = verify(dump_to("all$format", $format), map { ('--table', $_) } 'public.empty', 'public.parted_empty');
	is(items($answer, 'tables_present'), 'public.empty: it has no row, public.parted_empty: it has no row', "$format: empty tables") if $format ne '-Fp' || $answer;
}
$node->safe_psql('postgres', 'CREATE DATABASE nothing');
for my $format ('-Fc', '-Fd', '-Ft', '-Fp')
{
	$node->command_ok([ 'pg_dump', '-d', $node->connstr('nothing'), '-f', "$dir/nothing$format", $format ], "$format: pg_dump of an empty database");
	my ($status, $answer) = verify("$dir/nothing$format");
	is("$status $answer->{result}", '0 success', "$format: an empty database is good") or diag explain $answer;
}

# An archive's header, as far as needed to find what is behind it.
sub header_length
{
	my ($text) = @_;
	my $at = 11 + (ord(substr($text, 6, 1)) >= 15 ? 1 : 5) + 7 * 5;
	$at += 5 + unpack('V', substr($text, $at + 1, 4)) for 1 .. 3;
	return $at;
}

# The id of a table's data, and where they begin in a custom archive
sub data_of
{
	my ($path, $table) = @_;
	my ($id) = `pg_restore -l $path` =~ /^(\d+); \d+ \d+ TABLE DATA \S+ \Q$table\E /m or die $table;
	return ($id, index(slurp_file($path), pack('CCV', 1, 0, $id), 200));
}

my $damages = 0;

# Damage a copy of a file, or of a directory, and see what fails; "restore" is what pg_restore says.
sub damaged
{
	my ($what, $name, $inflict, $failed, $check, $items, $restore) = @_;
	my $path = "$dir/damaged" . ++$damages;
	if (-d $what)
	{
		system_or_bail('cp', '-r', $what, $path);
		$inflict->($path);
	}
	else
	{
		local $_ = slurp_file($what);
		$inflict->();
		write_file($path, $_);
	}
	my ($status, $answer) = verify($path);
	like(with($answer, 'failed'), ref $failed ? $failed : qr/^\Q$failed\E$/, "$name: what fails") or diag explain $answer;
	is("$status $answer->{result}", '1 failure', "$name: result");
	like($check =~ /^(dump_found|dump_header|toc_readable|dump_complete)$/ ? check($answer, $check)->{detail} : items($answer, $check), $items, "$name: said") if defined $check;
	if (defined $restore)
	{
		my $good = IPC::Run::run([ 'pg_restore', '-f', '/dev/null', $path ], '2>', \my $err, IPC::Run::timeout(60));
		is($good ? 'good' : 'bad', $restore, "$name: pg_restore");
	}
	system('chmod', '-R', 'u+rwX', $path);
	rmtree($path);
	return $answer;
}

my $custom = $dumps{'custom gzip'};
my $raw    = $dumps{'custom none'};
my $plain  = $dumps{plain};
my ($id_large, $at_large) = data_of($raw, 'large');
my ($id_small, $at_small) = data_of($raw, 'small');
my $row_100 = index(slurp_file($raw), "100\tf899139d");

# custom
damaged($custom, 'custom: cut in half', sub { $_ = substr($_, 0, length() / 2) }, 'data_present dump_complete', 'data_present', qr/its data are missing/, 'bad');
damaged($custom, 'custom: last byte lost', sub { chop }, 'dump_complete', 'dump_complete', qr/it is cut off\.$/);
damaged($raw, 'custom: last byte lost, uncompressed', sub { chop }, 'dump_complete', 'dump_complete', qr/it is cut off\.$/);
damaged($custom, 'custom: cut in the table of contents', sub { $_ = substr($_, 0, header_length($_) + 1000) }, 'toc_readable', 'toc_readable', qr/damaged: entry \d+ of \d+: it is cut off\.$/, 'bad');
damaged($custom, 'custom: cut in the header', sub { $_ = substr($_, 0, 20) }, 'dump_header', 'dump_header', qr/it is cut off/, 'bad');
damaged($custom, 'custom: empty', sub { $_ = '' }, 'dump_found', 'dump_found', qr/is no dump of pg_dump/, 'bad');
damaged($custom, 'custom: a byte behind its end', sub { $_ .= "\0" }, 'dump_complete', 'dump_complete', qr/something begins that is no data/, 'good');
damaged($custom, 'custom: a later version', sub { substr($_, 6, 1) = "\x63" }, 'dump_header', 'dump_header', qr/version 1\.99, which is not known/, 'bad');
damaged($custom, 'custom: monstrous numbers', sub { substr($_, 8, 1) = "\xff" }, 'dump_header', 'dump_header', qr/numbers of 255/, 'bad');
damaged($custom, 'custom: another format', sub { substr($_, 10, 1) = "\x09" }, 'dump_header', 'dump_header', qr/format 9/, 'bad');
damaged($custom, 'custom: a month that does not exist', sub { my $month = index($_, pack('CV', 0, 124 + 2), 11); substr($_, 11 + ($major >= 16 ? 1 : 5) + 4 * 5 + 1, 1) = "\x0d" }, 'dump_header', 'dump_header', qr/a time that does not exist/);
damaged($custom, 'custom: one more entry', sub { my $at = header_length($_) + 1; substr($_, $at, 4) = pack('V', 1 + unpack('V', substr($_, $at, 4))) }, 'toc_readable', 'toc_readable', qr/entry (\d+) of \1/, 'bad');
damaged($custom, 'custom: far too many entries', sub { substr($_, header_length($_) + 1, 4) = "\xff\xff\xff\x7f" }, 'toc_readable', 'toc_readable', qr/2147483647 where that has no meaning/);
damaged($custom, 'custom: a text of 2 GB', sub { substr($_, header_length($_) + 5 + 10 + 1, 4) = "\xff\xff\xff\x7f" }, 'toc_readable', 'toc_readable', qr/it is cut off/);
damaged($custom, 'custom: a bit flipped in the data', sub { my $at = int(length() * 0.6); substr($_, $at, 1) ^= "\x10" }, qr/data_readable|dump_complete/, undef, undef, 'bad');
damaged($raw, 'custom: data of nobody', sub { substr($_, $at_small + 2, 4) = pack('V', 999999) }, 'data_present', 'data_present', qr/^entry 999999: there are data for it at byte $at_small, but .*, public\.small: its data are missing$/, 'bad');
damaged($raw, 'custom: data twice', sub { substr($_, $at_small + 2, 4) = pack('V', $id_large) }, 'data_present', 'data_present', qr/public\.large: its data are (there twice|at byte).*, public\.small: its data are missing/);
damaged($raw, 'custom: data removed', sub { my $end = index($_, "\\.\n\n\n" . "\0" x 5, $at_small) + 10; substr($_, $at_small, $end - $at_small) = '' }, qr/data_present/, 'data_present', qr/public\.small: its data are missing/, 'bad');
damaged($raw, 'custom: data are large objects', sub { substr($_, $at_small, 1) = "\x03" }, qr/data_present/, 'data_present', qr/public\.small: its data at byte $at_small are of the wrong kind/, 'bad');
damaged($raw, 'custom: a column lost', sub { my $tab = index($_, "\t", $row_100); substr($_, $tab, 1) = 'x' }, 'data_readable', 'data_readable', qr/^public\.large: row 100 has 2 columns, not 3$/, 'good');
damaged($raw, 'custom: no end of rows', sub { my $mark = index($_, "\\.\n\n\n", $at_small); substr($_, $mark, 1) = 'x' }, 'data_readable', 'data_readable', qr/^public\.small: the data end in the middle, after row 6$/, 'good');

# pg_restore --list is content with half a dump, and so are offsets when only the last data are cut
write_file("$dir/half", substr(slurp_file($custom), 0, int(length(slurp_file($custom)) * 0.6)));
$node->command_ok([ 'pg_restore', '--list', "$dir/half" ], 'pg_restore --list passes half a dump');
my $status;
($status, $document) = verify("$dir/half", '--level', 'status');
is("$status " . with($document, 'failed'), '1 data_present', 'level status does not');
write_file("$dir/half", substr(slurp_file($custom), 0, -1));
($status, $document) = verify("$dir/half", '--level', 'status');
is($status, 0, 'but for what is lost in the last data');

# directory
for my $method (sort keys %compressions)
{
	my $source = $dumps{"directory $method"};
	my ($id) = `pg_restore -l $source` =~ /^(\d+); \d+ \d+ TABLE DATA public large /m;
	my ($file) = map { s{.*/}{}r } glob("$source/$id.dat*");
	damaged($source, "directory $method: a file missing", sub { unlink "$_[0]/$file" }, 'data_present', 'data_present', qr/^public\.large: its file $id\.dat is missing$/, 'bad');
	damaged($source, "directory $method: a file empty", sub { write_file("$_[0]/$file", '') }, 'data_present', 'data_present', qr/^public\.large: its file \Q$file\E is empty$/);
	damaged($source, "directory $method: half a file", sub { my $text = slurp_file("$_[0]/$file"); write_file("$_[0]/$file", substr($text, 0, length($text) / 2)) }, 'data_readable', 'data_readable',
		$method eq 'none' ? qr/^public\.large: file \Q$file\E: (the data end in the middle, after row|row) \d+/ : qr/^public\.large: file \Q$file\E: the $method data are damaged/);
	damaged($source, "directory $method: something behind a file", sub { append_to_file("$_[0]/$file", 'garbage') }, 'data_readable', 'data_readable',
		$method eq 'none' ? qr/something follows the end mark of its rows/ : qr/the $method data are damaged/);
	damaged($source, "directory $method: a large object missing", sub { unlink glob("$_[0]/blob_100003.dat*") }, 'data_present', 'data_present', qr/^large object 100003: its file blob_100003\.dat is missing$/, 'bad');
}
my $directory = $dumps{'directory gzip'};
my ($id) = `pg_restore -l $directory` =~ /^(\d+); \d+ \d+ TABLE DATA public small /m;
damaged($directory, 'directory: whole lines lost', sub { rmtree($_[0]); system_or_bail('cp', '-r', $dumps{'directory none'}, $_[0]); write_file("$_[0]/$id.dat", "1\n2\n") }, 'data_readable', 'data_readable', qr/public\.small: file $id\.dat: the data end in the middle, after row 2/);
damaged($directory, 'directory: a FIFO', sub { unlink "$_[0]/$id.dat.gz"; mkfifo("$_[0]/$id.dat.gz", 0600) }, 'data_present', 'data_present', qr/is not a regular file$/);
damaged($directory, 'directory: a link', sub { rename "$_[0]/$id.dat.gz", "$_[0]/x"; symlink 'x', "$_[0]/$id.dat.gz" }, 'data_present', 'data_present', qr/is a symbolic link$/);
damaged($directory, 'directory: unreadable', sub { chmod 0, "$_[0]/$id.dat.gz" }, 'data_present', 'data_present', qr/is unreadable: permission denied$/);
damaged($directory, 'directory: half a table of contents', sub { my $text = slurp_file("$_[0]/toc.dat"); write_file("$_[0]/toc.dat", substr($text, 0, length($text) / 2)) }, 'toc_readable', 'toc_readable', qr/it is cut off/, 'bad');
damaged($directory, 'directory: a table of contents that goes on', sub { append_to_file("$_[0]/toc.dat", 'x') }, 'toc_readable', 'toc_readable', qr/something follows its end/);
damaged($directory, 'directory: a file elsewhere', sub { my $text = slurp_file("$_[0]/toc.dat"); $text =~ s{\Q$id\E\.dat}{'../' . 'x' x (length("$id.dat") - 3)}e; write_file("$_[0]/toc.dat", $text) }, 'toc_readable', 'toc_readable', qr/names a file that cannot be its own/);
damaged($directory, 'directory: a list of large objects cut off', sub { my ($list) = glob("$_[0]/blobs*.toc"); my $text = slurp_file($list); write_file($list, substr($text, 0, -3)) }, 'data_readable', 'data_readable', qr/large objects \(entry \d+\): file blobs.*\.toc: the list of large objects is cut off/);
damaged($directory, 'directory: no table of contents', sub { unlink "$_[0]/toc.dat" }, 'dump_found', 'dump_found', qr/No dump lies in/);
damaged("$directory/toc.dat", 'directory: nothing but its table of contents', sub { }, 'dump_header', 'dump_header', qr/the table of contents of a dump in directory format/);
system_or_bail('cp', '-r', $directory, "$dir/more");
write_file("$dir/more/README", 'our own');
system_or_bail('gzip', "$dir/more/toc.dat");
($status, $document) = verify("$dir/more");
is("$status $document->{result} $document->{backup}{rows}", "0 success $rows", 'directory: what else lies there does not count, and toc.dat may be compressed');

# tar
my $tar = $dumps{tar};
($id) = `pg_restore -l $tar` =~ /^(\d+); \d+ \d+ TABLE DATA public small /m;
damaged($tar, 'tar: cut in half', sub { $_ = substr($_, 0, length() / 2) }, qr/dump_complete$/, 'dump_complete', qr/it is cut off/);
damaged($tar, 'tar: no end', sub { $_ = substr($_, 0, -1024) }, 'dump_complete', 'dump_complete', qr/it is cut off/, 'good');
damaged($tar, 'tar: something behind its end', sub { $_ .= 'x' }, 'dump_complete', 'dump_complete', qr/something follows its end, at byte/, 'good');
damaged($tar, 'tar: a header damaged', sub { my $at = index($_, "$id.dat" . "\0" x 40, 512); substr($_, $at, 1) = '9' }, qr/dump_complete/, 'dump_complete', qr/a header is damaged/);
damaged($tar, 'tar: a file of nobody', sub { my $at = index($_, "$id.dat" . "\0" x 40, 512); rename_member($at, '99999.dat') }, 'data_present', 'data_present', qr/^99999\.dat: the table of contents has no entry for this file, public\.small: its data are missing$/);
damaged($tar, 'tar: a column too many', sub { my $at = index($_, "\n100\t"); substr($_, $at + 1, 1) = "\t" }, 'data_readable', 'data_readable', qr/^public\.large: row 100 has 4 columns, not 3$/, 'good');
damaged($tar, 'tar: a large object missing', sub { my $at = index($_, "blob_100002.dat\0", 512); rename_member($at, 'blob_100009.dat') }, 'data_present', 'data_present', qr/^large object 100002: its file is missing, large object 100009: no list has it/);

# Give a member of $_ another name, and its header the right sum.
sub rename_member
{
	my ($at, $name) = @_;
	substr($_, $at, 100) = pack('a100', $name);
	substr($_, $at + 148, 8) = ' ' x 8;
	my $sum = unpack('%32C*', substr($_, $at, 512));
	substr($_, $at + 148, 8) = sprintf("%06o\0 ", $sum);
	return;
}

# plain
damaged($plain, 'plain: cut in half', sub { $_ = substr($_, 0, length() / 2) }, 'dump_complete', 'dump_complete', qr/does not end with "PostgreSQL database dump complete"/);
damaged($plain, 'plain: the last comment lost', sub { s/\n--\n-- PostgreSQL database dump complete\n.*//s or die }, 'dump_complete', 'dump_complete', qr/does not end with/);
damaged($plain, 'plain: something behind its end', sub { $_ .= "SELECT 1;\n" }, 'dump_complete', 'dump_complete', qr/does not end with/);
damaged($dumps{cluster}, 'cluster: cut behind a database', sub { s/\n--\n-- PostgreSQL database cluster dump complete\n.*//s or die }, 'dump_complete', 'dump_complete', qr/"PostgreSQL database cluster dump complete"/);
damaged($dumps{'plain gzip'}, 'plain, compressed: cut', sub { $_ = substr($_, 0, -20) }, 'dump_complete', 'dump_complete', qr/the gzip data are damaged: they are cut off/);
damaged($dumps{'plain gzip'}, 'plain, compressed: last byte lost', sub { chop }, 'dump_complete', 'dump_complete', qr/they are cut off/);
write_file("$dir/half", substr(slurp_file($plain), 0, 10000));
($status, $document) = verify("$dir/half", '--level', 'status');
is("$status " . with($document, 'failed'), '1 dump_complete', 'plain: level status notices, too');
write_file("$dir/windows", slurp_file($plain) =~ s/\n/\r\n/gr);
is((verify("$dir/windows"))[0], 1, 'a script that was changed at each line is no dump any more');

# A directory of dumps: the newest counts, by the time in its header, but not one that may be under way.
mkdir "$dir/many" or die $!;
File::Copy::copy($tar, "$dir/many/old") or die $!;
system_or_bail('cp', '-r', $directory, "$dir/many/new");
write_file("$dir/many/later.tmp", 'PGDMP');
write_file("$dir/many/notes.txt", 'not a dump');
my $text = slurp_file("$dir/many/new/toc.dat");
my $year = 11 + ($major >= 16 ? 1 : 5) + 5 * 5 + 1;
substr($text, $year, 1) = chr(ord(substr($text, $year, 1)) - 1);
write_file("$dir/many/new/toc.dat", $text);
utime time - 3600, time - 3600, glob("$dir/many/*"), glob("$dir/many/new/*") or die $!;
($status, $document) = verify("$dir/many");
is(check($document, 'dump_found')->{detail}, qq("old" is the newest of 2 dumps in "$dir/many".), 'many: by the header');
File::Copy::copy($custom, "$dir/many/today") or die $!;
($status, $document) = verify("$dir/many");
is(check($document, 'dump_found')->{detail}, qq("old" is the newest of 3 dumps in "$dir/many", those aside that may be under way.), 'many: what was changed just now is passed over');
is($document->{backup}{id}, 'old', 'many: id');
rmtree("$dir/many/$_") for 'old', 'new';
unlink "$dir/many/old";
($status, $document) = verify("$dir/many");
is("$status $document->{backup}{id}", '0 today', 'many: unless there is no other');

# A dump that changes while it is read means nothing.
SKIP:
{
	skip 'a library cannot be preloaded into a build with sanitizers', 1 if $sanitized;
	system_or_bail('gcc', '-shared', '-fPIC', '-O', '-o', "$dir/restless.so", 't/modules/restless/restless.c');
	write_file("$dir/half", substr(slurp_file($custom), 0, -1));
	local $ENV{LD_PRELOAD}     = "$dir/restless.so";
	local $ENV{RESTLESS_INODE} = (stat "$dir/half")[1];
	local $ENV{RESTLESS_TIMES} = 99;
	($status, $document) = verify("$dir/half");
	is("$status $document->{result} " . with($document, 'warning') . ' ' . with($document, 'skipped'), '0 warning changed_during_read dump_complete', 'a restless dump');
}

# Bit rot: the digest that was remembered, of the same dump.
for my $dump ($custom, $directory, $plain)
{
	($status, $document) = verify($dump);
	my $memory = join ' ', map { $document->{backup}{$_} } qw(sha256 size_bytes finished_at id);
	($status, $document) = verify($dump, '--remembered', $memory);
	is(check($document, 'unchanged')->{result}, 'passed', "the same dump has the same bytes: $dump");
	($status, $document) = verify($dump, '--remembered', $memory =~ s/^(.)/$1 eq '0' ? '1' : '0'/er);
	is("$status " . with($document, 'failed'), '1 unchanged', 'other bytes of the same dump are bit rot');
	is(join(' ', sort { $a cmp $b } grep { /sha256/ } keys %{ $document->{backup} }), 'sha256 sha256_found', 'both digests are told');
	isnt($document->{backup}{sha256}, $document->{backup}{sha256_found}, 'what was good stays remembered');
	like(check($document, 'unchanged')->{detail}, qr/^Bit rot: .* Its SHA-256 is [0-9a-f]{64} and was [0-9a-f]{64}\.$/, 'said');
	($status, $document) = verify($dump, '--remembered', $memory =~ s/^./x/r =~ s/ \d+ / 1 /r);
	is("$status " . check($document, 'unchanged')->{result}, '0 ', 'another dump is another dump');
	($status, $document) = verify($dump, '--remembered', $memory, '--level', 'status');
	is("$status " . check($document, 'unchanged')->{result}, '0 ', 'level status computes no digest');
}

# Clocks
utime time + 7200, time + 7200, $plain or die $!;
($status, $document) = verify($plain);
is("$status " . with($document, 'warning') . " $document->{backup}{age_seconds}", '0 clock_skew 0', 'a dump from the future');

# Errors
sub error_of
{
	my ($status, $document) = verify(@_);
	return "$status $document->{result} " . ($document->{error}{code} // '');
}
mkfifo("$dir/fifo", 0600);
is(error_of("$dir/fifo"), '3 error path_type', 'a FIFO');
is(error_of('/dev/null'), '3 error path_type', 'a device');
is(error_of("$dir/nowhere"), '3 error path_not_found', 'nothing');
is(error_of($custom, '--within', "$dir/many"), '3 error path_outside', 'elsewhere');
is(error_of($custom, '--within', $dir), '0 success ', 'within');
is(error_of($custom, '--table', $_), '3 error table_name', "no table: $_") for 'a.b.c', 'a b', '"a.b', '.b', 'a.', '';
chmod 0, "$dir/half";
is(error_of("$dir/half"), '3 error path_unreadable', 'unreadable');
command_like([ $agent, 'verify-dump', $custom, '--level', 'verify' ], qr/^verify-dump: success\ncustom format, \d+ kB, made .*\nSHA-256 [0-9a-f]{64}\n/, 'as text');
command_checks_all([ $agent, 'verify-dump', $custom, '--backup', '1,1' ], 2, [qr/^$/], [qr/takes no option "--backup"/], 'wrong usage');

# However many threads read a directory, the answer is the same.
my @answers = map { my $jobs = $_; IPC::Run::run([ $agent, 'verify-dump', $directory, '--level', 'verify', '--jobs', $jobs ], '>', \my $answer); $answer =~ s/, \d+ h \d+ min ago//r } 1, 2, 7;
like($answers[0], qr/^verify-dump: success\n/, 'a directory read by one thread');
is($answers[$_], $answers[0], 'the same by several threads') for 1, 2;
my ($out, $err);
IPC::Run::run([ $agent, 'verify-dump', $raw, '--level', 'verify', '--progress', '--rate', '100000' ], '>', \$out, '2>', \$err);
like($err, qr/^voxanne_agent: 100 %, /m, 'progress');

$node->stop;
done_testing();
