# What verifying costs others: the page cache, which the server needs; the storage, of which there may be a limit; memory.
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
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my $dir = Cwd::realpath(PostgreSQL::Test::Utils::tempdir_short);
system_or_bail('gcc', '-std=gnu11', '-O', '-D_GNU_SOURCE', '-o', "$dir/pagecache", 't/modules/pagecache/pagecache.c');

# A backup in each form, of a table that is larger than what is read ahead.
my $node = PostgreSQL::Test::Cluster->new('resources');
$node->init(allows_streaming => 1, extra => [ '--data-checksums', '--wal-segsize=4' ]);
$node->append_conf('postgresql.conf', "autovacuum = off\nwal_keep_size = '200MB'\narchive_mode = on\narchive_command = 'cp %p $dir/archive/%f'\n");
mkdir "$dir/archive" or die $!;
$node->start;
$node->safe_psql('postgres', 'CHECKPOINT');
my $redo = $node->safe_psql('postgres', 'SELECT redo_lsn FROM pg_control_checkpoint()');
$node->safe_psql('postgres', "CREATE TABLE t AS SELECT i, (SELECT string_agg(md5(i || ' ' || j), '') FROM generate_series(1, 30) j) AS filler FROM generate_series(1, 8000) i");
$node->safe_psql('postgres', 'UPDATE pg_database SET datistemplate = false');
$node->safe_psql('postgres', "DROP DATABASE $_") for 'template0', 'template1';
my $table = $node->safe_psql('postgres', "SELECT pg_relation_filepath('t')");
my @to = ('-c', 'fast', '--no-sync', '-d', $node->connstr('postgres'), '-D');
$node->command_ok([ 'pg_basebackup', @to, "$dir/plain" ], 'a plain backup');
$node->command_ok([ 'pg_basebackup', @to, "$dir/tar", '-Ft' ], 'one in tar format');
$node->command_ok([ 'pg_basebackup', @to, "$dir/compressed", '-Ft', '-z' ], 'one in compressed tar format');
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), "--format=$_", '-Z0', '-f', "$dir/dump.$_" ], "a dump in format $_") for 'custom', 'directory';
my $last = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_switch_wal())');
$node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM pg_ls_archive_statusdir() WHERE name = '$last.done')") or die "$last was not archived";
$node->stop;

# Command, what it reads, and of that what there is much of.
my @runs = (
	[ 'verify-backup', "$dir/plain", "$dir/plain/$table", glob("$dir/plain/pg_wal/0*[0-9A-F]") ],
	[ 'verify-backup', "$dir/tar", glob("$dir/tar/*.tar") ],
	[ 'verify-backup', "$dir/compressed", "$dir/compressed/base.tar.gz" ],
	[ 'verify-dump', "$dir/dump.custom", "$dir/dump.custom" ],
	[ 'verify-dump', "$dir/dump.directory", grep { -s $_ > 1_000_000 } glob("$dir/dump.directory/*") ],
	[ 'verify-wal', "$dir/archive", glob("$dir/archive/0*[0-9A-F]") ]);

sub resident { return 0 + `$dir/pagecache count @_` }

# Verify until it leaves the page cache as is wanted: a page that the kernel moves just then looks as if it was not there.
sub leaves
{
	my ($wanted, $prepare, $name, $command, $path, @files) = @_;
	my $left;
	for (1 .. 10)
	{
		$prepare->();
		my ($status) = run_agent($command, $path, '--level', 'verify');
		is($status, 0, "$command " . ($path =~ s{.*/}{}r) . ': good');
		$left = resident(@files);
		last if $left == $wanted;
	}
	is($left, $wanted, "$command " . ($path =~ s{.*/}{}r) . ": $name");
	return;
}

for my $run (@runs)
{
	my ($command, $path, @files) = @$run;
	SKIP:
	{
		my $drop = sub { system_or_bail("$dir/pagecache", 'drop', @files) };
		$drop->();
		skip 'this file system keeps all that it has in memory', 1 if resident(@files) > 0;
		leaves(0, $drop, 'what is read does not stay in the page cache', @$run);
	}
	SKIP:
	{
		skip 'this file system does not tell what is in the page cache', 1 if system("$dir/pagecache", 'tells', $files[0]) != 0;
		slurp_file($_) for @files;
		leaves(resident(@files), sub { slurp_file($_) for @files }, 'what was there before stays', @$run);
	}
}

# A limit: as many seconds as the bytes take, whatever is read, and by however many threads.
for my $run (@runs)
{
	my ($command, $path, @files) = @$run;
	my $size = 0;
	# of the WAL in a backup not all is looked at
	$size += -s $_ for grep { !/pg_wal/ } @files;
	# the last read may begin before it has taken its time
	my $kilobytes = int(($size - 300_000) / 1024);
	my $began = clock_gettime(CLOCK_MONOTONIC);
	my ($status) = run_agent($command, $path, '--level', 'verify', '--rate', $kilobytes, '--jobs', 3);
	cmp_ok(clock_gettime(CLOCK_MONOTONIC) - $began, '>=', 1, "$command " . ($path =~ s{.*/}{}r) . ": no faster than $kilobytes kB a second");
	is($status, 0, 'and good');
}

# It holds for the WAL that a backup needs, too: here as much as it has of other files.
my $path = "$dir/with_wal";
system_or_bail('cp', '-r', "$dir/plain", $path);
File::Copy::copy($_, "$path/pg_wal/") for glob("$dir/archive/0*[0-9A-F]");
edit_manifest($path, sub { s/"Start-LSN": "[^"]+"/"Start-LSN": "$redo"/ or die });
my ($range) = @{ decode_json(slurp_file("$path/backup_manifest"))->{'WAL-Ranges'} };
my ($from, $to) = map { my ($high, $low) = map { hex } split '/', $range->{$_}; $high * 2**32 + $low } 'Start-LSN', 'End-LSN';
my $files = 0;
$files += $_->{Size} for grep { $_->{Path} !~ m{^(pg_wal/|postgresql\.auto\.conf$)} } @{ decode_json(slurp_file("$path/backup_manifest"))->{Files} };
cmp_ok($to - $from, '>', $files / 2, 'there is much WAL');
mkdir "$path.tar" or die $!;
system_or_bail('tar', '-C', "$path/pg_wal", '-cf', "$path.tar/pg_wal.tar", '.');
system_or_bail('tar', '-C', $path, '--exclude=./pg_wal', '--exclude=./backup_manifest', '-cf', "$path.tar/base.tar", '.');
File::Copy::copy("$path/backup_manifest", "$path.tar/") or die $!;
for my $backup ($path, "$path.tar")
{
	my $began = clock_gettime(CLOCK_MONOTONIC);
	my ($status, $document) = run_agent('verify-backup', $backup, '--level', 'verify', '--rate', int(($files + $to - $from - 600_000) / 1024 / 2));
	cmp_ok(clock_gettime(CLOCK_MONOTONIC) - $began, '>=', 2, 'two seconds for what may take two');
	is("$status $document->{result}", '0 success', 'and good') or diag explain $document->{checks};
	rmtree($backup);
}

# Memory: of very many files, which are there.
SKIP:
{
	skip 'a build with sanitizers takes more memory', 2 if $sanitized;
	my $peak = sub {
		my ($level) = @_;
		my $program = 'import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)';
		IPC::Run::run([ 'python3', '-c', $program, $agent, 'verify-backup', "$dir/plain", '--level', $level ], '>', \my $kilobytes);
		return $kilobytes * 1024;
	};
	my $n = 30_000;
	my $few = $peak->('verify');
	edit_manifest("$dir/plain", sub {
		my $lines = join '', map { sprintf qq({ "Path": "base/5/%d", "Size": 0, "Last-Modified": "2020-01-01 00:00:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "00000000" },\n), 10_000_000 + $_ } 1 .. $n;
		s/^(\{ "Path": "PG_VERSION".*\n)/$lines$1/m or die });
	mkdir "$dir/plain/base/5" if !-d "$dir/plain/base/5";
	write_file("$dir/plain/base/5/" . (10_000_000 + $_), '') for 1 .. $n;
	my ($status, $document) = run_agent('verify-backup', "$dir/plain", '--level', 'verify');
	is("$status $document->{result}", '0 success', "$n files more: good") or diag explain $document->{checks};
	cmp_ok(($peak->('verify') - $few) / $n, '<', 150, 'bytes of memory for a file');
}
done_testing();
