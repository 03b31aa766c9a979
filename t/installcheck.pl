# "make installcheck" passes on a server that somebody else configured: nothing preloaded, and settings
# that a test must not depend on.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('installcheck');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
TimeZone = 'Asia/Kathmandu'
DateStyle = 'German'
IntervalStyle = 'iso_8601'
bytea_output = 'escape'
max_prepared_transactions = 10
max_parallel_workers_per_gather = 0
enable_hashjoin = off
jit = off
default_statistics_target = 10
autovacuum_naptime = 1s
max_connections = 40
CONF
$node->start;

$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
my @command = ('make', '-s', 'installcheck', 'with_llvm=no', 'PG_CONFIG=' . ($ENV{PG_CONFIG} || 'pg_config'));
my $output = '';
my $ok = IPC::Run::run(\@command, '<', \undef, '>&', \$output);
ok($ok, 'make installcheck');
note($output);
note(slurp_file($_)) for grep { !$ok } glob '{.,output_iso}/regression.diffs';

$node->stop;
done_testing();
