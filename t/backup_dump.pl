# Real dumps verified by CALL verify_backup(): kind "dump".
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $dir = PostgreSQL::Test::Utils::tempdir();
mkdir "$dir/$_" for 'backups', 'elsewhere';

my $node = PostgreSQL::Test::Cluster->new('backup_dump');
$node->init;
$node->append_conf('postgresql.conf', "voxanne_ops.backup_directories = '$dir/backups'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION voxanne_ops; CREATE TABLE t AS SELECT generate_series(1, 1000) i;');

# Status and proof, and what failed, of the target's last verification.
sub last_row
{
	my ($target) = @_;
	return $node->safe_psql('postgres', qq{
		SELECT concat_ws(' ', status, proof, backup_id,
			(SELECT string_agg(e ->> 'check', ' ') FROM jsonb_array_elements(error_details) e WHERE e ->> 'result' = 'failed'))
		FROM backup_verification_log WHERE target = '$target' ORDER BY verified_at DESC LIMIT 1});
}

sub verify
{
	my ($target, $level) = @_;
	$node->psql('postgres', "CALL verify_backup('$target', '$level')");
	return last_row($target);
}

for my $format ('custom', 'directory', 'tar', 'plain')
{
	$node->command_ok([ 'pg_dump', "--format=$format", '-f', "$dir/backups/$format", '-t', 't', '-d', $node->connstr('postgres') ], "pg_dump: $format");
	$node->safe_psql('postgres', "SELECT add_backup_target('$format', 'dump', '$dir/backups/$format')");
	is(verify($format, 'status'), "success present $format", "$format: present");
	is(verify($format, 'verify'), "success checksummed $format", "$format: checksummed");
}
$node->safe_psql('postgres', "SELECT add_backup_target('newest', 'dump', '$dir/backups')");
like(verify('newest', 'verify'), qr/^success checksummed \w+$/, 'the newest of several');
is( $node->safe_psql('postgres', q{
	SELECT backup_size_mb IS NOT NULL AND backup_age_hours IS NOT NULL AND length(verification_details #>> '{backup,sha256}') = 64
	FROM backup_verification_log WHERE target = 'custom' AND level = 'verify'}),
	't', 'size, age and digest are in the log');

# Bit rot: of the same size and time, but other bytes; told until there is another dump.
my $tar = "$dir/backups/tar";
my $time = (stat $tar)[9];
my $before = slurp_file($tar);
my $damaged = $before =~ s/\n500\n/\n501\n/r;
isnt($damaged, $before, 'a row is changed');
open my $file, '>:raw', $tar or die $!;
print $file $damaged;
close $file or die $!;
utime $time, $time, $tar or die $!;
is(verify('tar', 'verify'), 'failure listed tar unchanged', 'bit rot');
is(verify('tar', 'verify'), 'failure listed tar unchanged', 'still bit rot');
# a dump states the second in which it was begun, and only another second makes it another dump
usleep(10_000) while time <= $time;
$node->command_ok([ 'pg_dump', '--format=tar', '-f', $tar, '-t', 't', '-d', $node->connstr('postgres') ], 'another dump');
is(verify('tar', 'verify'), 'success checksummed tar', 'another dump is good');

# Tables that matter
$node->safe_psql('postgres', q{CREATE TABLE empty (i int)});
$node->command_ok([ 'pg_dump', '--format=custom', '-f', "$dir/backups/tables", '-t', 't', '-t', 'empty', '-d', $node->connstr('postgres') ], 'pg_dump: tables');
$node->safe_psql('postgres', qq{SELECT add_backup_target('tables', 'dump', '$dir/backups/tables', '{"critical_tables": ["public.t", "t"]}'),
	add_backup_target('lost', 'dump', '$dir/backups/tables', '{"critical_tables": ["public.t", "public.empty"]}')});
is(verify('tables', 'verify'), 'success checksummed tables', 'the tables that matter are there');
is(verify('lost', 'verify'), 'failure listed tables tables_present', 'one has no row');

# Broken ones, and what nobody may read.
truncate "$dir/backups/custom", (-s "$dir/backups/custom") - 3;
is(verify('custom', 'verify'), 'failure listed custom dump_complete', 'a dump cut off');
rename "$dir/backups/plain", "$dir/elsewhere/plain";
symlink "$dir/elsewhere/plain", "$dir/backups/plain";
is(verify('plain', 'verify'), 'failure path_outside', 'a dump that lies elsewhere');
my ($status, undef, $stderr) = $node->psql('postgres', "SELECT add_backup_target('other', 'dump', '$dir/elsewhere')");
like($stderr, qr/lies in none of voxanne_ops\.backup_directories/, 'a location elsewhere');

$node->stop;
done_testing();
