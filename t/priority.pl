# At which priority for processor and storage the agent reads, seen from outside while it does.
use strict;
use warnings;
use Cwd;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WorkerTest;

my $dir = PostgreSQL::Test::Utils::tempdir_short;
my $node = PostgreSQL::Test::Cluster->new('priority');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "voxanne_ops.backup_directories = '$dir'\nvoxanne_ops.verify_rate = '1kB'\nautovacuum = off\n");
$node->start;
$node->command_ok(['pg_basebackup', '--no-sync', '-c', 'fast', '-D', "$dir/base", '-d', $node->connstr('postgres')], 'a backup');
$node->safe_psql('postgres', "CREATE EXTENSION voxanne_ops; SELECT add_backup_target('nightly', 'basebackup', '$dir/base')");

# Fields of /proc/PID/stat behind the name; the first is the state.
sub stat_of
{
	my ($pid) = @_;
	open(my $file, '<', "/proc/$pid/stat") or return ();
	my $line = <$file> // '';
	return split ' ', $line =~ s/^.*\) //sr;
}

# The agent that a backend has started.
sub agent_of
{
	my ($backend) = @_;
	my @children = grep { ((stat_of($_))[1] // 0) == $backend } grep { /^\d+$/ } slurp_dir('/proc');
	return $children[0];
}

for my $case ([ undef, 'idle' ], [ 'low', 'best-effort: prio 7' ], [ 'normal', 'best-effort: prio 4' ], [ 'idle', 'idle' ])
{
	my ($setting, $expected) = @$case;
	if (defined $setting)
	{
		$node->append_conf('postgresql.conf', "voxanne_ops.verify_io_priority = $setting");
		$node->reload;
		$node->poll_query_until('postgres', "SELECT current_setting('voxanne_ops.verify_io_priority') = '$setting'") or die;
	}
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $backend = $session->query_safe("LOAD 'voxanne_ops'; SELECT pg_backend_pid()");
	$session->query_until(qr/begun/, "\\echo begun\nCALL verify_backup('nightly', 'verify');\n");
	my ($agent, $found);
	ok(wait_until(sub { defined($agent = agent_of($backend)) }), 'the agent reads');
	ok(wait_until(sub { chomp($found = `ionice -p $agent`); $found eq $expected && (stat_of($agent))[16] == 10 }),
		($setting // 'by default') . ": at the storage $expected, nice 10") or diag("$found, " . (stat_of($agent))[16]);
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($backend)");
	$session->query_until(qr/ended/, "\\echo ended\n");
	ok(!kill(0, $agent), 'a cancelled CALL leaves no agent behind');
	$session->quit;
}

# Not for users to decide, and no other words.
my ($status, $out, $error) = $node->psql('postgres', "LOAD 'voxanne_ops'; SET voxanne_ops.verify_io_priority = normal");
like($error, qr/cannot be changed now/, 'not in a session');
(undef, undef, $error) = $node->psql('postgres', "LOAD 'voxanne_ops'; ALTER SYSTEM SET voxanne_ops.verify_io_priority = realtime");
like($error, qr/invalid value for parameter "voxanne_ops.verify_io_priority": "realtime"\nHINT:  Available values: idle, low, normal\./, 'no other word');
command_fails_like([ getcwd() . '/voxanne_agent', 'verify-backup', '--io-priority', 'realtime', $dir ], qr/value "realtime" is not allowed for option "--io-priority"/, 'nor for the agent');
$node->stop;
done_testing();
