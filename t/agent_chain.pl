# verify-backup of incremental backups and the chain that they build on: real ones of pg_basebackup --incremental,
# and what can happen to them; pg_combinebackup and pg_verifybackup of what it makes as the oracles.
use strict;
use warnings;
use AgentTest;
use Cwd;
use File::Copy ();
use File::Path qw(rmtree);
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = Cwd::realpath(PostgreSQL::Test::Utils::tempdir_short);
my $page = 8192;

my $node = PostgreSQL::Test::Cluster->new('chain');
plan skip_all => 'incremental backups need PostgreSQL 17' if $node->pg_version < 17;
$node->init(allows_streaming => 1, extra => [ '--data-checksums', '--wal-segsize=1' ]);
$node->append_conf('postgresql.conf', "summarize_wal = on\nwal_keep_size = '200MB'\nautovacuum = off\ncheckpoint_timeout = '1h'\nvoxanne_ops.backup_directories = '$dir'\n");
$node->start;
mkdir "$dir/space" or die $!;
$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$dir/space'");
$node->safe_psql('postgres', 'CREATE TABLE spaced TABLESPACE space AS SELECT i, 0 AS n FROM generate_series(1, 5000) i');
$node->safe_psql('postgres', "CREATE TABLE t AS SELECT i, 0 AS n, repeat('x', 700) AS filler FROM generate_series(1, 1000) i");
$node->safe_psql('postgres', 'CREATE UNIQUE INDEX t_i ON t (i); CREATE TABLE cut AS SELECT * FROM t; CREATE TABLE gone AS SELECT * FROM t; VACUUM;');
$node->safe_psql('postgres', 'UPDATE pg_database SET datistemplate = false');
$node->safe_psql('postgres', "DROP DATABASE $_") for 'template0', 'template1';
my $system = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my $oid    = $node->safe_psql('postgres', "SELECT oid FROM pg_tablespace WHERE spcname = 'space'");
my $table  = $node->safe_psql('postgres', "SELECT pg_relation_filepath('t')");
my $spaced = $node->safe_psql('postgres', "SELECT pg_relation_filepath('spaced')");
mkdir "$dir/$_" or die $! for 'set', 'spaces';

# Take a backup that builds on another one, if one is named.
sub backup
{
	my ($name, $prior, @options) = @_;
	$node->command_ok([ 'pg_basebackup', '--no-sync', '-c', 'fast', '-D', "$dir/set/$name", '-T', "$dir/space=$dir/spaces/$name",
			'-d', $node->connstr('postgres'), (defined $prior ? ('--incremental', "$dir/set/$prior/backup_manifest") : ()), @options ],
		"pg_basebackup $name");
	return;
}

# The file of a backup that holds the changes of another one
sub changes_of { return $_[0] =~ s{([^/]+)$}{INCREMENTAL.$1}r }

# Another cluster's backup, older than all of them
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init(allows_streaming => 1);
$other->start;
$other->command_ok([ 'pg_basebackup', '--no-sync', '-c', 'fast', '-D', "$dir/other", '-d', $other->connstr('postgres') ], 'a backup of another cluster');
$other->stop;

backup('full', undef);
$node->safe_psql('postgres', "UPDATE t SET n = 1 WHERE i % 100 = 0; UPDATE spaced SET n = 1 WHERE i = 5; CREATE TABLE new1 AS SELECT * FROM t; DELETE FROM cut WHERE i > 100; VACUUM cut; DROP TABLE gone;");
backup('incr1', 'full');
$node->safe_psql('postgres', "UPDATE t SET n = 2 WHERE i % 150 = 0; INSERT INTO t SELECT i, 0, '' FROM generate_series(2001, 2100) i; CREATE TABLE new2 AS SELECT * FROM t;");
backup('incr2', 'incr1');
my $changes        = changes_of($table);
my $spaced_changes = changes_of($spaced);
ok(-f "$dir/set/$_/$changes", "$_ has changes of the table") for 'incr1', 'incr2';
ok(-f "$dir/set/incr1/$spaced_changes", 'and of one in a tablespace');
my $manifest = decode_json(slurp_file("$dir/set/incr2/backup_manifest"));

# Header of an incremental file: its numbers of blocks, and where the first page lies
sub header
{
	my ($path) = @_;
	my $text = slurp_file($path);
	my (undef, $n, $length) = unpack 'L3', $text;
	my $size = 12 + 4 * $n;
	return { n => $n, length => $length, blocks => [ unpack "x12 L$n", $text ], size => $n == 0 ? 12 : $page * int(($size + $page - 1) / $page) };
}
my $header = header("$dir/set/incr2/$changes");
cmp_ok($header->{n}, '>', 2, 'which holds some pages') or BAIL_OUT('nothing to test with');

sub verify
{
	my ($path, @options) = @_;
	return run_agent('verify-backup', $path, '--level', 'verify', '--system-identifier', $system, @options);
}

# A copy of the set, whose files are links to it, with tablespaces of its own.
my $copies = 0;
sub copy
{
	my $path = "$dir/copy" . ++$copies;
	system_or_bail('cp', '-al', "$dir/set", $path);
	for my $name ('full', 'incr1', 'incr2')
	{
		system_or_bail('cp', '-al', "$dir/spaces/$name", "$path.$name");
		unlink "$path/$name/pg_tblspc/$oid" or die $!;
		symlink "$path.$name", "$path/$name/pg_tblspc/$oid" or die $!;
	}
	return $path;
}

sub remove
{
	my ($path) = @_;
	rmtree($_) for $path, map { "$path.$_" } 'full', 'incr1', 'incr2';
	return;
}

# What PostgreSQL's own programs say of backups, the newest last: whether they combine, and whether each has the
# contents that its manifest states, which pg_combinebackup does not look at.
sub combines
{
	my ($path, @names) = @_;
	my @map = map { ('-T', Cwd::realpath("$path/$_/pg_tblspc/$oid") . "=$path.out.space") } $names[-1];
	my $good = IPC::Run::run([ 'pg_combinebackup', '--no-sync', @map, '-o', "$path.out", map { "$path/$_" } @names ], '>', \my $out, '2>', \my $err);
	$good &&= oracle("$path.out") eq 'good';
	rmtree($_) for "$path.out", "$path.out.space";
	return $good ? 'good' : 'bad';
}
sub oracle_of_chain
{
	my ($path, @names) = @_;
	for my $name (@names)
	{
		return 'bad' if !-d "$path/$name" || oracle("$path/$name", $name eq $names[-1] ? () : '-n') eq 'bad';
	}
	return combines($path, @names);
}

# Healthy: at each level, and each backup of the set by itself.
my @of_chain = ('backup_chain', 'incremental_files', 'prior_backups');
my ($status, $document) = verify("$dir/set");
is("$status $document->{result} $document->{backup}{id}", '0 success incr2', 'good: result') or diag explain $document;
is(with($document, 'skipped'), '', 'good: nothing is skipped');
is(check($document, $_)->{result}, 'passed', "good: $_") for @of_chain;
is(check($document, 'backup_chain')->{detail}, 'This incremental backup builds on 2 backups: "full", "incr1".', 'good: said');
is_deeply([ map { "$_->{id} $_->{type}" } @{ $document->{backup}{chain} } ], [ 'full full', 'incr1 incremental', 'incr2 incremental' ], 'good: the chain');
is_deeply($document->{backup}{broken}, [], 'good: nothing is broken');
is(oracle_of_chain("$dir/set", 'full', 'incr1', 'incr2'), 'good', 'good: pg_combinebackup agrees');
my @names = map { $_->{Path} } grep { $_->{Path} =~ m{/INCREMENTAL\.} } @{ $manifest->{Files} };
is(check($document, 'incremental_files')->{detail}, @names . ' files hold changed pages only and are what the header states.', 'good: all of them');
my $pages = 0;
for my $file (@{ $manifest->{Files} })
{
	$pages += header("$dir/set/incr2/$file->{Path}")->{n} if $file->{Path} =~ m{/INCREMENTAL\.};
	$pages += $file->{Size} / $page if $file->{Path} =~ m{^(global|base/\d+|pg_tblspc/\d+/[^/]+/\d+)/\d+(_(fsm|vm|init))?(\.\d+)?$};
}
is(check($document, 'page_checksums')->{detail}, "All $pages pages of relations have the checksum that they state.", 'good: all pages');
($status, $document) = verify("$dir/set", '--level', 'status');
is("$status $document->{result}", '0 success', 'good: level status') or diag explain $document;
is(check($document, $_)->{result}, 'passed', "good: level status: $_") for @of_chain;
is(answer('verify-backup', "$dir/set", '--level', 'verify', '--jobs', 1), answer('verify-backup', "$dir/set", '--level', 'verify', '--jobs', 3), 'good: jobs 1 and 3 agree');
is((verify("$dir/set/full"))[0], 0, 'the full one by itself');

# The size is what a restore gives.
$node->command_ok([ 'pg_combinebackup', '--no-sync', '-T', "$dir/spaces/incr2=$dir/combined.space", '-o', "$dir/combined", map { "$dir/set/$_" } 'full', 'incr1', 'incr2' ], 'pg_combinebackup');
my $combined = decode_json(slurp_file("$dir/combined/backup_manifest"));
my $size = 0;
$size += $_->{Size} for grep { $_->{Path} !~ /^pg_wal\// } @{ $combined->{Files} };
my ($label) = map { $_->{Size} } grep { $_->{Path} eq 'backup_label' } @{ $manifest->{Files} };
my ($new_label) = map { $_->{Size} } grep { $_->{Path} eq 'backup_label' } @{ $combined->{Files} };
is($document->{backup}{size_bytes}, $size + $label - $new_label, 'size: what pg_combinebackup makes, but for the label');
my $stored = 0;
$stored += $_->{Size} for @{ $manifest->{Files} };
is($document->{backup}{stored_bytes}, $stored, 'and what the backup itself has');
($status, $document) = verify("$dir/combined");
is("$status $document->{result}", '0 success', 'what pg_combinebackup makes is good');
is(scalar(grep { check($document, $_)->{result} ne '' } @of_chain), 0, 'and a full backup');

# Named itself, an incremental one needs the others named.
($status, $document) = verify("$dir/set/incr1");
is("$status " . with($document, 'failed'), '1 backup_chain', 'named itself: it is not known what it builds on');
like(check($document, 'backup_chain')->{detail}, qr/^The backup that this one builds on was not looked for\. Name the directory/, 'said');
is((verify("$dir/set/incr1", '--prior', "$dir/set/full"))[0], 0, '--prior with the backup');
is((verify("$dir/set/incr2", '--prior', "$dir/set/full", '--prior', "$dir/set/incr1"))[0], 0, '--prior with each');
is((verify("$dir/set/incr2", '--prior', "$dir/set"))[0], 0, '--prior with the directory');
($status, $document) = verify("$dir/set/incr2", '--prior', "$dir/set/full");
is("$status " . items($document, 'backup_chain'), "1 incr2: builds on a backup that starts at $1 on timeline 1, which is not there", '--prior that is not enough')
  if slurp_file("$dir/set/incr2/backup_label") =~ /^INCREMENTAL FROM LSN: (\S+)$/m;
($status, $document) = verify("$dir/set/incr1", '--prior', "$dir/none");
is("$status $document->{error}{code}", '3 path_not_found', '--prior that does not exist');
($status, $document) = verify("$dir/set/incr1", '--within', "$dir/set/incr1", '--within', "$dir/spaces", '--prior', "$dir/set/full");
is("$status $document->{error}{code}", '3 path_outside', '--prior outside of the allowed directories');

# A backup that was renamed is found all the same, among copies and others' backups.
my $path = copy();
rename "$path/full", "$path/zz" or die $!;
mkdir "$path/empty" or die $!;
write_file("$path/empty/backup_label", "nonsense\n");
($status, $document) = verify($path);
is("$status " . join(' ', map { $_->{id} } @{ $document->{backup}{chain} }), '0 zz incr1 incr2', 'names do not matter') or diag explain $document->{checks};
system_or_bail('cp', '-al', "$path/zz", "$path/aa");
unlink "$path/aa/backup_manifest" or die $!;
(undef, $document) = verify($path);
is(with($document, 'failed'), '', 'a copy with a manifest is preferred');
rmtree("$path/aa");
remove($path);

# Have the manifest state no checksums at all.
sub forget_checksums
{
	my ($backup) = @_;
	edit_manifest($backup, sub { s/, "Checksum-Algorithm": "\w+", "Checksum": "\w+"//g or die });
	return;
}

# Have the manifest state the right checksum of a file that was changed, and its size.
sub restate
{
	my ($backup, $file) = @_;
	forget_checksum($backup, $file);
	my $now = -s "$backup/$file";
	edit_manifest($backup, sub { s/("Path": "\Q$file\E", "Size": )\d+/$1$now/ or die });
	return;
}

# Overwrite bytes of a file, which only the file itself can tell then.
sub forge
{
	my ($backup, $file, $at, $bytes) = @_;
	patch("$backup/$file", $at, length $bytes, $bytes);
	restate($backup, $file);
	return;
}
sub edit
{
	my ($backup, $file, $edit) = @_;
	local $_ = slurp_file("$backup/$file");
	$edit->();
	write_file("$backup/$file", $_);
	restate($backup, $file);
	return;
}

# An initial backup of another cluster that starts at the same place
my $blocks = $header->{blocks};
my $lsn1   = $1 if slurp_file("$dir/set/incr1/backup_label") =~ /^INCREMENTAL FROM LSN: (\S+)$/m;
my $lsn2   = $1 if slurp_file("$dir/set/incr2/backup_label") =~ /^INCREMENTAL FROM LSN: (\S+)$/m;
my @damages = (
	# what is done to the set, which checks fail, which one's items are looked at, the oracles' verdict, 'dry' if pg_combinebackup refuses itself
	['the full one is missing', sub { rename "$_[0]/full", "$_[0].moved" or die }, 'backup_chain', 'backup_chain', "incr1: builds on a backup that starts at $lsn1 on timeline 1, which is not there", 'bad'],
	['the middle one is missing', sub { rmtree("$_[0]/incr1") }, 'backup_chain', 'backup_chain', "incr2: builds on a backup that starts at $lsn2 on timeline 1, which is not there", 'bad'],
	['the middle one has no manifest', sub { unlink "$_[0]/incr1/backup_manifest" }, 'prior_backups', 'prior_backups', qr/^incr1: manifest_present: The backup has no manifest/, 'bad'],
	['a manifest is damaged', sub { patch("$_[0]/full/backup_manifest", 200, 1, \&flip) }, 'prior_backups', 'prior_backups', qr/^full: manifest_checksum: The manifest is damaged/, 'bad'],
	['a page of the full one', sub { patch("$_[0]/full/$table", 3 * $page + 5000, 1, \&flip) }, 'prior_backups', 'prior_backups', qr/^full\/\Q$table\E: (block 3 has checksum|does not have the CRC32C)/, 'bad'],
	['a page of the full one, kept by its manifest', sub { forge("$_[0]/full", $table, 3 * $page + 5000, 'y') }, 'prior_backups', 'prior_backups', qr/^full\/\Q$table\E: block 3 has checksum/, 'laxer'],
	['a page of the middle one', sub { forge("$_[0]/incr1", $changes, header("$_[0]/incr1/$changes")->{size} + 5000, 'y') }, 'prior_backups', 'prior_backups', qr/^incr1\/\Q$changes\E: block \d+ has checksum/, 'laxer'],
	['a page of the newest one', sub { forge("$_[0]/incr2", $changes, $header->{size} + $page + 5000, 'y') }, 'page_checksums', 'page_checksums', qr/^\Q$changes\E: block $blocks->[1] has checksum [0-9A-F]{4}, not/, 'laxer'],
	['a file of the full one is cut', sub { truncate own("$_[0]/full/$table"), $page }, 'prior_backups', 'prior_backups', qr/^full\/\Q$table\E: has $page bytes, not \d+$/, 'bad'],
	['a file of the full one is missing', sub { unlink "$_[0]/full/$table" }, 'prior_backups', 'prior_backups', qr/^full\/\Q$table\E: missing$/, 'bad'],
	['and neither in its manifest', sub { unlink "$_[0]/full/$table"; edit_manifest("$_[0]/full", sub { s/^\{ "Path": "\Q$table\E".*\n//m or die }) }, 'backup_chain', 'backup_chain', "$changes: has no file to start from: \"full\" lists no $table", 'bad'],
	['a file of the full one in a tablespace is missing', sub { unlink "$_[0]/full/$spaced"; edit_manifest("$_[0]/full", sub { s/^\{ "Path": "\Q$spaced\E".*\n//m or die }) }, 'backup_chain', 'backup_chain', qr/^\Q$spaced_changes\E: has no file to start from/, 'bad'],
	['a file of the middle one is missing', sub { unlink "$_[0]/incr1/$changes"; edit_manifest("$_[0]/incr1", sub { s/^\{ "Path": "\Q$changes\E".*\n//m or die }) }, 'backup_chain', 'backup_chain', qr/^\Q$changes\E: has no file to start from: "incr1" lists/, 'bad'],
	['WAL of the full one is missing', sub { rmtree("$_[0]/full/pg_wal"); mkdir "$_[0]/full/pg_wal" }, '', undef, undef, 'good'],
	# headers
	['magic number', sub { forge("$_[0]/incr2", $changes, 0, pack('L', 0xd3ae1f0e)) }, 'incremental_files', 'incremental_files', "$changes: begins with D3AE1F0E, not with D3AE1F0D as an incremental file does", 'bad'],
	['magic number in the middle', sub { forge("$_[0]/incr1", $changes, 0, pack('L', 0)) }, 'prior_backups', 'prior_backups', "incr1/$changes: begins with 00000000, not with D3AE1F0D as an incremental file does", 'bad'],
	['too many blocks', sub { forge("$_[0]/incr2", $changes, 4, pack('L', 131073)) }, 'incremental_files', 'incremental_files', "$changes: states that it holds 131073 blocks, more than the 131072 of a whole file", 'bad'],
	['very many blocks', sub { forge("$_[0]/incr2", $changes, 4, pack('L', 0xffffffff)) }, 'incremental_files', 'incremental_files', qr/4294967295 blocks/, 'bad'],
	['one block more', sub { forge("$_[0]/incr2", $changes, 4, pack('L', $header->{n} + 1)) }, 'incremental_files', 'incremental_files', qr/: has \d+ bytes, not \d+ as with the @{[$header->{n} + 1]} blocks/, 'bad'],
	['one block less', sub { forge("$_[0]/incr2", $changes, 4, pack('L', $header->{n} - 1)) }, 'incremental_files', 'incremental_files', qr/blocks that its header states$/, 'laxer'],
	['length', sub { forge("$_[0]/incr2", $changes, 8, pack('L', 131073)) }, 'incremental_files', 'incremental_files', "$changes: states a length of 131073 blocks, more than the 131072 of a whole file", 'bad'],
	['a block twice', sub { forge("$_[0]/incr2", $changes, 16, pack('L', $blocks->[0])) }, 'incremental_files', 'incremental_files', "$changes: lists block $blocks->[0] twice", 'laxer'],
	['blocks out of order', sub { forge("$_[0]/incr2", $changes, 12, pack('LL', $blocks->[1], $blocks->[0])) }, 'incremental_files', 'incremental_files', "$changes: lists block $blocks->[0] behind block $blocks->[1]", 'laxer'],
	['a block beyond the end', sub { forge("$_[0]/incr2", $changes, 12 + 4 * ($header->{n} - 1), pack('L', 131072)) }, 'incremental_files', 'incremental_files', "$changes: lists block 131072, beyond the 131072 of a whole file", 'skip'],
	['the file is cut', sub { edit("$_[0]/incr2", $changes, sub { $_ = substr($_, 0, -$page) }) }, 'incremental_files', 'incremental_files', qr/: has \d+ bytes, not \d+ as with the $header->{n} blocks/, 'bad'],
	['the file ends in its header', sub { edit("$_[0]/incr2", $changes, sub { $_ = substr($_, 0, 11) }) }, 'incremental_files', 'incremental_files', "$changes: has 11 bytes, which is less than the header of an incremental file", 'bad'],
	['the file is empty', sub { edit("$_[0]/incr2", $changes, sub { $_ = '' }) }, 'incremental_files', 'incremental_files', qr/: has 0 bytes/, 'bad'],
	['the file is longer', sub { edit("$_[0]/incr2", $changes, sub { $_ .= 'x' x $page }) }, 'incremental_files', 'incremental_files', qr/: has \d+ bytes, not \d+ as with/, 'laxer'],
	# labels
	['prior ones swapped', sub { rename "$_[0]/full/backup_label", "$_[0].label"; rename "$_[0]/incr1/backup_label", "$_[0]/full/backup_label"; rename "$_[0].label", "$_[0]/incr1/backup_label" }, undef, undef, undef, 'bad'],
	['the label says that it is a full one', sub { edit("$_[0]/incr2", 'backup_label', sub { s/^INCREMENTAL.*\n//mg or die }) }, 'incremental_files', undef, undef, 'bad'],
	['the label lacks a timeline', sub { edit("$_[0]/incr2", 'backup_label', sub { s/^INCREMENTAL FROM TLI.*\n//m or die }) }, 'backup_chain', undef, undef, 'bad'],
	['the label says another position', sub { edit("$_[0]/incr2", 'backup_label', sub { s/^(INCREMENTAL FROM LSN: ).*/${1}0\/28/m or die }) }, 'backup_chain', 'backup_chain', 'incr2: builds on a backup that starts at 0/28 on timeline 1, which is not there', 'bad'],
	['the label says another timeline', sub { edit("$_[0]/incr2", 'backup_label', sub { s/^(INCREMENTAL FROM TLI: ).*/${1}2/m or die }) }, 'backup_chain', 'backup_chain', "incr2: builds on a backup that starts at $lsn2 on timeline 2, which is not there", 'bad'],
	['the label of the full one has another start', sub { edit("$_[0]/full", 'backup_label', sub { s/^(START WAL LOCATION: )\S+/${1}0\/28/m or die }) }, 'backup_chain', 'backup_chain', "incr1: builds on a backup that starts at $lsn1 on timeline 1, which is not there", 'bad'],
	['the full one is of another cluster', sub { patch("$_[0]/full/global/pg_control", 0, 8, pack('Q', 42)); restate("$_[0]/full", 'global/pg_control') }, 'prior_backups', 'prior_backups', qr/^full: pg_control_readable: global\/pg_control is damaged/, 'bad'],
	['the manifest of the full one is of another cluster', sub { edit_manifest("$_[0]/full", sub { s/("System-Identifier": )\d+/${1}42/ or die }) }, 'prior_backups', 'prior_backups', qr/^full: system_identifier: The manifest is of cluster 42, global\/pg_control of cluster $system$/, 'bad'],
	['the version of the full one', sub { edit("$_[0]/full", 'PG_VERSION', sub { $_ = "16\n" }) }, 'prior_backups', 'prior_backups', qr/^full: is of PostgreSQL 16, not \d+$/, 'laxer'],
);
for my $damage (@damages)
{
	my ($name, $inflict, $failed, $check, $items, $verdict) = @$damage;
	$path = copy();
	$inflict->($path);
	($status, $document) = verify($path);
	is(with($document, 'failed'), $failed, "$name: what fails") or diag explain $document->{checks} if defined $failed;
	is($status, defined $failed && $failed eq '' ? 0 : 1, "$name: result");
	if (ref $items) { like(items($document, $check), $items, "$name: items") }
	elsif (defined $items) { is(items($document, $check), $items, "$name: items") }
	is(oracle_of_chain($path, 'full', 'incr1', 'incr2'), $verdict eq 'bad' ? 'bad' : 'good', "$name: pg_combinebackup") if $verdict ne 'skip';
	remove($path);
	rmtree("$path.moved");
}

# What is broken, and what can be restored all the same.
$path = copy();
rmtree("$path/incr1");
($status, $document) = verify($path, '--level', 'status');
is($status, 1, 'level status sees that one is missing');
is_deeply([ map { "$_->{start_lsn} $_->{timeline}" } @{ $document->{backup}{broken} } ], [ "$lsn2 1", slurp_file("$path/incr2/backup_label") =~ /^START WAL LOCATION: (\S+)/m ? "$1 1" : '' ], 'which is said');
like(check($document, 'backup_chain')->{detail}, qr/^The backup that "incr2" builds on, from \Q$lsn2\E on timeline 1, is not there\. Put it back or take a new full backup; nothing of this chain can be restored\.$/, 'and what to do');
remove($path);
$path = copy();
patch("$path/incr1/$changes", 9000, 1, \&flip);
(undef, $document) = verify($path);
like(check($document, 'prior_backups')->{detail}, qr/; of this chain, "full" can be restored\.$/, 'what can be restored');
is_deeply([ map { $_->{start_lsn} } @{ $document->{backup}{broken} } ], [$lsn2], 'what is broken');
remove($path);

# A prior backup of another cluster, where that has the place in WAL.
$path = copy();
rmtree("$path/full");
system_or_bail('cp', '-r', "$dir/other", "$path/full");
my ($foreign) = slurp_file("$path/full/backup_label") =~ /^START WAL LOCATION: (\S+)/m;
edit("$path/full", 'backup_label', sub { s/^(START WAL LOCATION: )\S+/$1$lsn1/m or die });
edit_manifest("$path/full", sub { s/("Start-LSN": )"[^"]+"/$1"$lsn1"/ or die; s/("End-LSN": )"[^"]+"/$1"FFFFFFFF\/0"/ or die });
(undef, $document) = verify($path);
like(items($document, 'prior_backups'), qr/(^|, )full: system_identifier: This is a backup of another cluster: \d+, not $system(,|$)/, "another cluster's backup in its place") or diag explain $document->{checks};
remove($path);

# Seeded random damage: usable exactly if PostgreSQL's programs find nothing, or if we look at what they do not.
my $seed = $ENV{CHAIN_SEED} // 20261124;
srand($seed);
note("seed $seed");
for my $round (1 .. $ENV{CHAIN_ROUNDS} // 12)
{
	$path = copy();
	my $name = ('full', 'incr1', 'incr2')[ int(rand 3) ];
	my @files = sort grep { !m{^(pg_wal/|postgresql\.auto\.conf)} } map { $_->{Path} } @{ decode_json(slurp_file("$path/$name/backup_manifest"))->{Files} };
	my $file = rand() < 0.6 ? (grep { m{INCREMENTAL|\Q$table\E} } @files)[ int(rand grep { m{INCREMENTAL|\Q$table\E} } @files) ] : $files[ int(rand @files) ];
	my $length = -s "$path/$name/$file";
	my $what = (qw(flip cut append unlink))[ int(rand 4) ];
	$what = 'append' if $length == 0;
	my $at = int(rand($length || 1));
	if ($what eq 'flip') { patch("$path/$name/$file", $at, 1, \&flip) }
	elsif ($what eq 'cut') { truncate own("$path/$name/$file"), $at }
	elsif ($what eq 'append') { append_to_file(own("$path/$name/$file"), 'x') }
	else { unlink "$path/$name/$file" }
	($status) = verify($path);
	is($status == 0 ? 'good' : 'bad', oracle_of_chain($path, 'full', 'incr1', 'incr2'), "random $round: $what $name/$file at $at");
	remove($path);
}

# As a target: what builds on a broken link is not usable, whatever was found before.
sub sql { return $node->safe_psql('postgres', $_[0]) }
sub cycle
{
	my ($level) = @_;
	$node->psql('postgres', "CALL verify_backup('set', '$level')");
	return sql("SELECT backup_id, status, proof FROM backup_verification_log WHERE target = 'set' ORDER BY verified_at DESC LIMIT 1");
}
sub last_good { return sql("SELECT substring(detail FROM 'Last good: ([^,.]*)') FROM backup_status() WHERE target = 'set'") }
$path = copy();
mkdir "$path.later" or die $!;
rename "$path/$_", "$path.later/$_" or die $! for 'incr1', 'incr2';
sql('CREATE EXTENSION voxanne_ops');
sql("SELECT add_backup_target('set', 'basebackup', '$path')");
is(cycle('verify'), 'full|success|checksummed', 'target: a full backup');
rename "$path.later/$_", "$path/$_" or die $! for 'incr1', 'incr2';
is(cycle('verify'), 'incr2|success|checksummed', 'target: incremental ones besides, whose size is not called a change');
is(sql("SELECT string_agg(link ->> 'id', ' ') FROM backup_verification_log, jsonb_array_elements(verification_details #> '{backup,chain}') link WHERE backup_id = 'incr2'"), 'full incr1 incr2', 'target: the log shows the chain');
rename "$path/incr1", "$path.later/incr1" or die $!;
is(cycle('status'), 'incr2|failure|listed', 'target: one is missing');
is(last_good(), 'full', 'target: the full one is what can be restored');
like(sql("SELECT detail FROM backup_status() WHERE target = 'set'"), qr/^The backup that "incr2" builds on, from \Q$lsn2\E on timeline 1, is not there\. Put it back or take a new full backup;/, 'target: said');
rename "$path.later/incr1", "$path/incr1" or die $!;
is(cycle('status'), 'incr2|success|present', 'target: it is back');
patch("$path/full/$table", 5000, 1, \&flip);
is(cycle('verify'), 'incr2|failure|listed', 'target: the full one is damaged');
is(last_good(), 'none known', 'target: then nothing can be restored');
cycle('status');
is(last_good(), 'none known', 'target: although all files are there');
patch("$path/full/$table", 5000, 1, \&flip);
is(cycle('verify'), 'incr2|success|checksummed', 'target: it is repaired');
rmtree("$path.later");
remove($path);

# Torn by writes: a chain that is taken under load is not accused.
$node->safe_psql('postgres', 'CREATE TABLE busy (i int, n int, filler text); INSERT INTO busy SELECT i, 0, repeat(\'f\', 100) FROM generate_series(1, 20000) i;');
write_file("$dir/writes.sql", "UPDATE busy SET n = n + 1 WHERE i % 100 = (random() * 100)::int;\nINSERT INTO busy SELECT i, 0, repeat('g', 200) FROM generate_series(1, 50) i;\n");
my $writes = IPC::Run::start([ 'pgbench', '-n', '-c', 2, '-T', 600, '-f', "$dir/writes.sql", '-d', $node->connstr('postgres') ], '>', '/dev/null', '2>', '/dev/null');
backup('load1', 'incr2', '--no-verify-checksums');
backup('load2', 'load1', '--no-verify-checksums');
$writes->signal('TERM');
$writes->finish;
($status, $document) = verify("$dir/set");
is("$status $document->{result} $document->{backup}{id}", '0 success load2', 'under writes: good') or diag explain $document->{checks};
is(scalar @{ $document->{backup}{chain} }, 5, 'under writes: of five');

# What pg_combinebackup made of an incremental one stands for that one and all that it builds on.
($status, $document) = verify("$dir/set/load2", map { ('--prior', "$dir/$_") } 'set/incr2', 'combined', 'set/load1');
is("$status " . join(' ', map { $_->{id} } @{ $document->{backup}{chain} }), '0 combined load1 load2', 'a combined backup in a chain') or diag explain $document->{checks};

# In tar format.
mkdir "$dir/tars" or die $!;
sub tar_backup
{
	my ($name, $prior, @options) = @_;
	my $made = IPC::Run::run([ 'pg_basebackup', '--no-sync', '-c', 'fast', '-Ft', '-D', "$dir/tars/$name", '-d', $node->connstr('postgres'),
			(defined $prior ? ('--incremental', "$dir/tars/$prior/backup_manifest") : ()), @options ], '2>', \my $err);
	ok($made, "pg_basebackup -Ft $name") or diag $err;
	return;
}
tar_backup('full', undef, '-z');
$node->safe_psql('postgres', 'UPDATE t SET n = 3 WHERE i % 70 = 0');
tar_backup('incr1', 'full');
($status, $document) = verify("$dir/tars");
is("$status $document->{result} " . with($document, 'skipped'), '0 success ', 'tar: good') or diag explain $document->{checks};
is(check($document, $_)->{result}, 'passed', "tar: $_") for @of_chain;
$node->safe_psql('postgres', 'UPDATE t SET n = 4 WHERE i % 71 = 0');
tar_backup('incr2', 'incr1', '-z');
($status, $document) = verify("$dir/tars");
is("$status $document->{result} " . with($document, 'skipped'), '0 success ', 'tar, compressed: good') or diag explain $document->{checks};
($status, $document) = verify("$dir/tars", '--level', 'status');
is("$status $document->{result}", '0 success', 'tar, compressed: level status') or diag explain $document->{checks};
is($document->{backup}{size_bytes}, undef, 'tar, compressed: the size is not known without reading');
is($document->{proof}, undef, 'tar: contents are compared with checksums');
forget_checksums("$dir/tars/full");
($status, $document) = verify("$dir/tars");
is("$status $document->{result} $document->{proof}", '0 success present', 'tar: not those of the full one');
rename "$dir/tars/full", "$dir/moved" or die $!;
(undef, $document) = verify("$dir/tars", '--level', 'status');
is(with($document, 'failed'), 'backup_chain', 'tar: one is missing');
rename "$dir/moved", "$dir/tars/full" or die $!;
rmtree("$dir/tars/incr2");
for my $case (
	['a magic number', 0, pack('L', 1), 'incremental_files', "$changes: begins with 00000001, not with D3AE1F0D as an incremental file does"],
	['a block twice', 16, undef, 'incremental_files', qr/^\Q$changes\E: lists block \d+ twice$/],
	['a page', $page + 5000, 'y', 'page_checksums', qr/^\Q$changes\E: block \d+ has checksum/])
{
	my ($name, $at, $bytes, $check, $items) = @$case;
	system_or_bail('cp', '-r', "$dir/tars", "$dir/bad");
	local $_ = slurp_file("$dir/bad/incr1/base.tar");
	my $member = tar_member($_, $changes) + 512;
	$bytes //= substr($_, $member + 12, 4);
	substr($_, $member + $at, length $bytes) = $bytes;
	write_file("$dir/bad/incr1/base.tar", $_);
	forget_checksum("$dir/bad/incr1", $changes);
	(undef, $document) = verify("$dir/bad");
	is(with($document, 'failed'), $check, "tar: $name: what fails") or diag explain $document->{checks};
	if (ref $items) { like(items($document, $check), $items, "tar: $name: said") }
	else { is(items($document, $check), $items, "tar: $name: said") }
	rmtree("$dir/bad");
}

$node->stop;
done_testing();
