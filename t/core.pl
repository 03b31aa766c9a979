# The extension's names and privileges under Supabase's default privileges.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('core');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'voxanne_ops'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION voxanne_ops');
is($node->safe_psql('postgres', "SELECT extversion FROM pg_extension WHERE extname = 'voxanne_ops'"), '1.0', 'installed');
$node->stop;
done_testing();
