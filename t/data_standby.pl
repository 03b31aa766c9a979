# The data checks on a hot standby: same answers, nothing written, a conflict with replay ends the call cleanly.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('data_primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', 'max_prepared_transactions = 2');
$primary->start;
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('data_standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'max_standby_streaming_delay = -1');
$standby->start;

$primary->safe_psql('postgres', q{
	CREATE EXTENSION voxanne_ops;
	CREATE TABLE contacts (id int PRIMARY KEY, phone text);
	CREATE TABLE appointments (id int PRIMARY KEY, contact_id int REFERENCES contacts, scheduled_at timestamptz);
	CREATE TABLE calls (id int PRIMARY KEY, contact_id int);
	INSERT INTO contacts SELECT i, i / 2 FROM generate_series(1, 9) i;
	INSERT INTO appointments SELECT i, i / 2 + 1, '2026-01-01 10:00Z' FROM generate_series(1, 4) i;
	INSERT INTO calls SELECT i, i FROM generate_series(1, 10) i;
	SET session_replication_role = replica;
	DELETE FROM contacts WHERE id = 3;
});
$primary->wait_for_catchup($standby);

my %checks = (
	orphans      => 'SELECT * FROM find_orphans()',
	appointments => 'SELECT * FROM find_duplicate_appointments()',
	duplicates   => q{SELECT * FROM find_duplicates('contacts', '{phone}')},
);
for my $check (sort keys %checks)
{
	my $there = $primary->safe_psql('postgres', $checks{$check});
	isnt($there, '', "$check: found on the primary");
	is($standby->safe_psql('postgres', $checks{$check}), $there, "$check: the same on the standby");
}

# A lock that replay holds makes a finding, like any other; the other checks run.
$primary->safe_psql('postgres', q{
	BEGIN;
	LOCK TABLE calls IN ACCESS EXCLUSIVE MODE;
	PREPARE TRANSACTION 'holds calls';
});
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT kind, object FROM find_orphans() ORDER BY 1}),
	"orphan|public.appointments.contact_id\nskipped|public.calls.contact_id", 'locked by replay');
$primary->safe_psql('postgres', q{ROLLBACK PREPARED 'holds calls'});

# Where no subtransaction may be opened an error stays one, and the session lives on.
$primary->safe_psql('postgres', q{
	CREATE FUNCTION fail(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
		$$BEGIN IF pg_is_in_recovery() THEN RAISE 'not on a standby'; END IF; RETURN $1; END$$;
	CREATE INDEX ON contacts (phone) WHERE phone = fail('x');
});
$primary->wait_for_catchup($standby);
my ($status, $out, $err) = $standby->psql('postgres', q{
	SELECT count(*) FROM find_duplicates('contacts', '{phone}');
	SELECT 'alive';
}, on_error_stop => 0);
like($err, qr/not on a standby/, 'a failing check is an error on a standby');
is($out, 'alive', 'the session lives on');

$standby->stop;
$primary->stop;
done_testing();
