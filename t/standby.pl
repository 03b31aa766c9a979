# What only looks does so anywhere: in a READ ONLY transaction, with an empty search_path, on a hot
# standby, in a server that has not preloaded the library.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# A call of every function that returns findings, with names that need no search_path.
my %call = (
	backup_status => 'backup_status()',
	blocking_locks => 'blocking_locks()',
	find_duplicate_appointments => "find_duplicate_appointments('public.appointments')",
	find_duplicates => "find_duplicates('public.contacts', '{org_id,phone}')",
	find_invalid_data => "find_invalid_data()",
	check_data => "check_data()",
	find_orphans => "find_orphans('public.appointments')",
	rls_audit => "rls_audit('{public}')");

# Answers that are about the server and not about the data differ between primary and standby.
my %about_server = map { $_ => 1 } qw(backup_status blocking_locks);

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
for my $file ('schema', 'data', 'faults')
{
	$primary->command_ok([ 'psql', '-X', '-q', '-d', $primary->connstr('postgres'), '-v', 'size=2000', '-f', "demo/$file.sql" ], "demo/$file.sql loads");
}
$primary->safe_psql('postgres', 'CREATE SCHEMA ops; CREATE EXTENSION voxanne_ops SCHEMA ops');
is($primary->safe_psql('postgres', 'SHOW shared_preload_libraries'), '', 'the library is not preloaded');

is($primary->safe_psql('postgres', <<'SQL'), join("\n", sort keys %call), 'every function that returns findings is called here');
SELECT proname COLLATE "C" FROM pg_proc WHERE pronamespace = 'ops'::regnamespace AND 'severity' = ANY (proargnames) AND proretset ORDER BY 1
SQL

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'a standby runs');
is($standby->safe_psql('postgres', 'SHOW shared_preload_libraries'), '', 'without the library preloaded');

# The keys that a call finds, after the statements given.
sub keys_found
{
	my ($node, $function, $before) = @_;
	my ($status, $rows, $errors) = $node->psql('postgres', "$before; SELECT severity, key FROM ops.$call{$function}");

	is($status . $errors, '0', "$function: " . $node->name . ", $before");
	return $rows;
}

for my $function (sort keys %call)
{
	my $expected = keys_found($primary, $function, 'SET search_path = public, ops');

	isnt($expected, '', "$function: there is something to find") if $function ne 'blocking_locks';
	for my $before ('BEGIN READ ONLY', "SET search_path = ''", 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', 'SET default_transaction_read_only = on')
	{
		is(keys_found($primary, $function, $before), $expected, "$function: same answer");
	}
	for my $before ("SET search_path = ''", 'BEGIN READ ONLY', 'BEGIN ISOLATION LEVEL REPEATABLE READ')
	{
		my $found = keys_found($standby, $function, $before);
		is($found, $expected, "$function: same answer on the standby") if !$about_server{$function};
	}
}

$standby->stop;
$primary->stop;
done_testing();
