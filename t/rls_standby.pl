# rls_audit() and rls_policies() on a hot standby say what they say on the primary.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('rls_primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION voxanne_ops;
	CREATE ROLE anon;
	CREATE TABLE leads (id int, org_id uuid NOT NULL);
	GRANT SELECT ON leads TO anon;
	CREATE TABLE calls (id int, org_id uuid NOT NULL);
	GRANT SELECT, INSERT ON calls TO anon;
	ALTER TABLE calls ENABLE ROW LEVEL SECURITY;
	CREATE POLICY everything ON calls FOR SELECT USING (true);
});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('rls_standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

my $audit = "SELECT severity, key, detail, remedy FROM rls_audit() WHERE check_name <> 'login_bypasses_rls'";
my $found = $standby->safe_psql('postgres', $audit);
is($found, $primary->safe_psql('postgres', $audit), 'same findings');
like($found, qr/^critical\|policy_always_true:public\.calls:everything\|/m, 'an open policy');
like($found, qr/^critical\|rls_off:public\.leads\|/m, 'row security off');
like($found, qr/^warning\|check_skipped:authenticated:rls_audit\|/m, 'a role that does not exist');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM rls_policies()'), 2, 'listing');

$standby->stop;
$primary->stop;
done_testing();
