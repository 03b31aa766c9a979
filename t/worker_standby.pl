# A standby has no scheduler; its promotion starts one.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WorkerTest;

my $primary = worker_node('primary');
$primary->start;
add_target($primary, 'postgres', 'nightly');
ok(wait_progress($primary, 'postgres', "next_due IS NOT NULL AND phase = 'idle'"), 'the primary verifies');
my $runs = agent_runs($primary);

$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', "SELECT count(*) FROM backup_verification_progress"), '0', 'a standby has no slots');
is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'voxanne_ops %'"), '0', 'and no workers');
my ($status, undef, $error) = $standby->psql('postgres', 'CALL await_verification()');
like($error, qr/does not run on a standby/, 'waiting for them is an error');

$primary->stop;
$standby->promote;
ok(wait_progress($standby, 'postgres', "cycles > 0 AND phase = 'idle'"), 'promotion starts them');
$standby->safe_psql('postgres', "SELECT request_verification()");
$standby->safe_psql('postgres', 'CALL await_verification()');
is(scalar(agent_runs($primary)), $runs + 1, 'and they verify');
$standby->stop;
done_testing();
