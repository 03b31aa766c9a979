# What the worker tests share: a node with a program in place of voxanne_agent, which passes every
# backup unless told otherwise, can be held up and leaves the network to the real agent, and ways to wait
# for what the workers do.
package WorkerTest;
use strict;
use warnings;
use Cwd;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX qw(mkfifo strftime);
use Test::More;

our @EXPORT = qw(worker_node add_target progress wait_progress wait_verified wait_log agent_runs agent_pid
  hold_agent release_agent agent_directory find_backup break_backup mend_backup count_log wait_until);

my %directory;    # of a node, by its name
my @released;     # pipes that were written to

# A node, not started, with the workers and the program; further lines for postgresql.conf.
sub worker_node
{
	my ($name, $conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(allows_streaming => 1);
	my $dir = PostgreSQL::Test::Utils::tempdir();
	$directory{ $node->name } = $dir;
	mkdir "$dir/backups" or die $!;
	mkdir "$dir/backups/base" or die $!;
	append_to_file("$dir/runs", '');
	my $agent = getcwd() . '/voxanne_agent';
	append_to_file("$dir/agent", <<"EOT");
#!/bin/sh
case \$1 in post | fetch | list) exec $agent "\$@" ;; esac
echo \$\$ >>$dir/runs
if [ -p $dir/gate ]; then read line <$dir/gate; fi
for word; do if [ -p $dir/gate.\${word##*/} ]; then read line <$dir/gate.\${word##*/}; fi; done
case "\$*" in *'--level verify'*) level=verify ;; *) level=status ;; esac
if [ \$level = verify ]; then echo 'voxanne_agent:  42 %, 420 of 1000 MB, 250 MB/s' >&2; fi
if [ \$level = verify ] && [ -p $dir/deep_gate ]; then read line <$dir/deep_gate; fi
size=1048576 id=base finished=\$(/bin/date -u +%Y-%m-%dT%H:%M:%SZ)
if [ -f $dir/size ]; then read size id finished <$dir/size; fi
result=success check=passed detail="Gr\xc3\xb6\xc3\x9fe \\\\u20ac."
if [ -f $dir/mute ]; then exit 1; fi
if [ -f $dir/broken ]; then result=failure check=failed detail='1 of 3 files is missing: <a&b>.'; fi
/bin/cat <<JSON
{"protocol": 1, "version": "0", "command": "verify-backup", "result": "\$result", "error": null,
 "checks": [{"name": "manifest", "result": "\$check", "detail": "\$detail", "items": [], "more_items": 0}],
 "backup": {"id": "\$id", "path": "/base", "finished_at": "\$finished", "age_seconds": 60,
  "size_bytes": \$size, "files": 1, "system_identifier": "1", "manifest_version": 1, "timeline": 1,
  "start_lsn": "0/1000028", "end_lsn": "0/1000100"}}
JSON
EOT
	chmod 0755, "$dir/agent" or die $!;
	$node->append_conf('postgresql.conf', <<"EOT");
shared_preload_libraries = 'voxanne_ops'
voxanne_ops.agent_path = '$dir/agent'
voxanne_ops.backup_directories = '$dir/backups'
voxanne_ops.rescan_interval = 0
autovacuum = off
EOT
	$node->append_conf('postgresql.conf', $conf) if defined $conf;
	return $node;
}

# Create the extension in a database, if need be, and a target; the last part of its location is "base" or as given.
sub add_target
{
	my ($node, $database, $target, $place) = @_;
	my $dir = $directory{ $node->name };
	$place //= 'base';
	$node->safe_psql($database, "SET client_min_messages = error; CREATE EXTENSION IF NOT EXISTS voxanne_ops;");
	$node->safe_psql($database, "SELECT add_backup_target('$target', 'basebackup', '$dir/backups/$place')");
	return;
}

# backup_verification_progress with one row for a database, of both levels: the phase that is not "idle",
# that of level status before the other; "cycles" of level status, which sees every change.
our $both_levels = <<'SQL';
(SELECT database, coalesce((array_agg(phase ORDER BY level) FILTER (WHERE phase <> 'idle'))[1], 'idle') AS phase,
   (array_agg(pid ORDER BY level) FILTER (WHERE phase <> 'idle'))[1] AS pid, max(last_start) AS last_start, max(last_end) AS last_end,
   (array_agg(last_result ORDER BY last_end DESC NULLS LAST, level))[1] AS last_result, max(last_error) AS last_error, min(next_due) AS next_due,
   max(cycles) FILTER (WHERE level = 'status') AS cycles, max(scheduler_pid) AS scheduler_pid, max(scheduler_wakeups) AS scheduler_wakeups,
   max(target) AS target, max(done_mb) AS done_mb, max(total_mb) AS total_mb
 FROM backup_verification_progress WHERE phase <> 'called' GROUP BY database) p
SQL

# An expression over the row of a database.
sub progress
{
	my ($node, $database, $expression) = @_;
	return $node->safe_psql('postgres', "SELECT $expression FROM $both_levels WHERE database = '$database'");
}

sub wait_progress
{
	my ($node, $database, $condition) = @_;
	return $node->poll_query_until('postgres', "SELECT coalesce(bool_or($condition), false) FROM $both_levels WHERE database = '$database'");
}

# Wait until a cycle of the database has left its row in the log.  (That its last cycle left one may hold
# for less time than we take to look: another one that finds nothing due may follow at once.)
sub wait_verified
{
	my ($node, $database) = @_;
	my $log = "SELECT count(*) > 0 FROM public.backup_verification_log WHERE target = '*'";
	my $connection = $node->connstr($database) . " options='-c statement_timeout=0 -c role=none'";
	return wait_until(sub { $node->safe_psql($database, $log, connstr => $connection) eq 't' });
}

# Poll until the function is true; false if that takes too long.
sub wait_until
{
	my ($condition) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $condition->();
		select(undef, undef, undef, 0.1);
	}
	return 0;
}

# How many lines of the server log match.
sub count_log
{
	my ($node, $pattern) = @_;
	my @lines = grep { /$pattern/ } split /\n/, slurp_file($node->logfile);
	return scalar @lines;
}

sub wait_log
{
	my ($node, $pattern) = @_;
	return wait_until(sub { count_log($node, $pattern) > 0 });
}

# The pids with which the program ran, in order.
sub agent_runs
{
	my ($node) = @_;
	return split /\n/, slurp_file("$directory{$node->name}/runs");
}

# Wait until the program has been run so often; the pid of the last run.
sub agent_pid
{
	my ($node, $count) = @_;
	wait_until(sub { agent_runs($node) >= $count }) or die "the program was not run $count times";
	return (agent_runs($node))[ $count - 1 ];
}

# Where the program's files are.
sub agent_directory
{
	my ($node) = @_;
	return $directory{ $node->name };
}

# From now on every run waits until it is released; or each at level verify ("deep_gate"), or each of a
# target whose location ends so ("gate.PLACE").
sub hold_agent
{
	my ($node, $gate) = @_;
	mkfifo("$directory{$node->name}/" . ($gate // 'gate'), 0600) or die $!;
	return;
}

# Let the run that waits, if any, and all that come pass.
sub release_agent
{
	my ($node, $name) = @_;
	my $gate = "$directory{$node->name}/" . ($name // 'gate');
	open(my $fh, '+<', $gate) or die $!;
	rename $gate, "$gate.old" or die $!;
	syswrite($fh, "go\n" x 10);
	# the pipe keeps what was written as long as somebody has it open
	push @released, $fh;
	unlink "$gate.old";
	return;
}

# From now on every backup fails ("broken") or cannot be verified ("mute"), or passes again.
sub break_backup
{
	my ($node, $how) = @_;
	append_to_file("$directory{$node->name}/" . ($how // 'broken'), '');
	return;
}

# Size and name of the backup that is found from now on, ended now.
sub find_backup
{
	my ($node, $size, $id) = @_;
	unlink "$directory{$node->name}/size.new";
	append_to_file("$directory{$node->name}/size.new", "$size $id " . strftime('%Y-%m-%dT%H:%M:%SZ', gmtime) . "\n");
	rename "$directory{$node->name}/size.new", "$directory{$node->name}/size" or die $!;
	return;
}

sub mend_backup
{
	my ($node) = @_;
	unlink map { "$directory{$node->name}/$_" } qw(broken mute);
	return;
}

1;
