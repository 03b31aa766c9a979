# The demo's application: no check finds anything in its healthy form, and in demo/faults.sql every
# check finds what the comments there announce, all of it and nothing else.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @checks = ('find_duplicate_appointments()', "find_duplicates('contacts', '{org_id,phone}')", 'find_orphans()', 'find_invalid_data()', 'rls_audit()',
	'blocking_locks()');

my $node = PostgreSQL::Test::Cluster->new('demo');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE demo');

# Run a file of demo/ with the psql variables that the caller may give.
sub load
{
	my ($file, @variables) = @_;

	$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('demo'), @variables, '-f', "demo/$file" ], "demo/$file loads");
}

# What a check finds, a line each: "function severity key".
sub findings
{
	my ($check) = @_;
	my $rows = $node->safe_psql('demo', "SELECT concat_ws(' ', severity, key) FROM $check");
	my ($function) = $check =~ /^(\w+)/;

	return map { "$function $_" } split /\n/, $rows;
}

load('schema.sql');
load('data.sql', '-v', 'size=4000');
$node->safe_psql('demo', 'CREATE EXTENSION voxanne_ops');
for my $check (@checks)
{
	is_deeply([ findings($check) ], [], "$check is quiet on healthy data");
}

load('faults.sql');
my @announced = slurp_file('demo/faults.sql') =~ /^-- finds: (.+)$/mg;
# book() derives an appointment's id from its tag
s/\{(.+?)\}/join '-', unpack 'A8 A4 A4 A4 A12', md5_hex("fault $1")/e for @announced;
my @found     = map { findings($_) } @checks;
for my $announced (@announced)
{
	my $pattern = join '.*', map { quotemeta } split /\*/, $announced, -1;

	ok(scalar(grep { /^$pattern$/ } @found), "finds $announced");
	@found = grep { !/^$pattern$/ } @found;
}
is_deeply(\@found, [], 'nothing that was not announced');

$node->stop;
done_testing();
