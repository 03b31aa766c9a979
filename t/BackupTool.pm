# What the tests with the real pgBackRest and Barman share: a server that archives to either, and backup
# targets of it.
package BackupTool;
use strict;
use warnings;
use AgentTest;
use Exporter 'import';
use File::Path qw(rmtree);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(archiving_server configure_pgbackrest pgbackrest configure_barman barman write_segments
  watch set_program verified recorded state_of all_good damaged damaged_and_mended cannot_be_read wrong_programs);

# A server in a private directory, which is a member as well, with segments of so many MB; not started.
sub archiving_server
{
	my ($name, $megabytes, @directories) = @_;
	my $dir  = PostgreSQL::Test::Utils::tempdir_short();
	my $node = PostgreSQL::Test::Cluster->new($name);
	mkdir "$dir/$_" or die $! for @directories;
	$node->init(allows_streaming => 1, extra => [ "--wal-segsize=$megabytes", '--data-checksums' ]);
	$node->append_conf('postgresql.conf', "archive_mode = on\nautovacuum = off\nwal_level = replica\n");
	return { node => $node, dir => $dir };
}

# Have pgBackRest keep stanza "scratch" in directory "repo"; further lines for its section [global].
sub configure_pgbackrest
{
	my ($server, $more) = @_;
	my ($node, $dir) = @$server{qw(node dir)};
	$server->{config} = write_file("$dir/pgbackrest.conf", <<"CONFIG");
[global]
repo1-path=$dir/repo
repo1-retention-full=9
log-path=$dir/log
log-level-console=error
lock-path=$dir/lock
spool-path=$dir/spool
start-fast=y
@{[$more // '']}
[scratch]
pg1-path=@{[$node->data_dir]}
pg1-port=@{[$node->port]}
pg1-socket-path=@{[$node->host]}
CONFIG
	$server->{command} = "pgbackrest --config=$server->{config} --stanza=scratch";
	return;
}

# Run pgBackRest; the first run of all skips the test where it does not know the server's version.
sub pgbackrest
{
	my ($server, @arguments) = @_;
	IPC::Run::run([ split(/ /, $server->{command}), @arguments ], '>', \my $out, '2>&1');
	my $status = $?;
	plan skip_all => 'pgBackRest does not know this version of PostgreSQL'
	  if $arguments[0] eq 'stanza-create' && $out =~ /is this version of PostgreSQL supported/;
	is($status, 0, "pgbackrest @arguments") or diag $out;
	return $out;
}

# Have Barman keep server "scratch" in directory "home"; further lines for its section.
sub configure_barman
{
	my ($server, $more) = @_;
	my ($node, $dir) = @$server{qw(node dir)};
	my $connection = 'host=' . $node->host . ' port=' . $node->port . ' user=' . getpwuid($<);
	$server->{config} = write_file("$dir/barman.conf", <<"CONFIG");
[barman]
barman_user = @{[scalar getpwuid($<)]}
barman_home = $dir/home
barman_lock_directory = $dir/lock
configuration_files_directory = $dir/conf.d
log_file = $dir/barman.log
path_prefix = @{[$node->config_data('--bindir')]}
[scratch]
description = scratch
conninfo = $connection dbname=postgres
streaming_conninfo = $connection
backup_method = postgres
archiver = on
@{[$more // '']}
CONFIG
	return;
}

sub barman
{
	my ($server, @arguments) = @_;
	IPC::Run::run([ 'barman', '-c', $server->{config}, @arguments ], '>', \my $out, '2>&1');
	is($?, 0, "barman @arguments") or diag $out;
	return $out;
}

# Write some MB of WAL and wait until its segments are archived; the last one's name.
sub write_segments
{
	my ($server) = @_;
	my $node = $server->{node};
	my $last = $node->safe_psql('postgres', "INSERT INTO t SELECT i, repeat('x', 700) FROM generate_series(1, 4000) i; SELECT pg_walfile_name(pg_switch_wal())");
	$node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM pg_ls_archive_statusdir() WHERE name = '$last.done')") or die "$last was not archived";
	return $last;
}

# Have the server watch: the extension with its settings, kind's program the tool's own; and the targets of that kind
# "list", "files", which names the repository as well, and "nobody", which the tool does not know.
sub watch
{
	my ($server, $kind, $repository) = @_;
	my ($node, $dir) = @$server{qw(node dir)};
	my $options = '"max_size_change": 1';
	chomp(my $program = `which $kind`);
	@$server{qw(kind program)} = ($kind, $program);
	$node->append_conf('postgresql.conf', <<"CONFIG");
session_preload_libraries = 'voxanne_ops'
voxanne_ops.agent_path = '$agent'
voxanne_ops.backup_directories = '$dir'
CONFIG
	$node->reload;
	$node->safe_psql('postgres', 'CREATE EXTENSION voxanne_ops');
	set_program($server, program => $program);
	set_program($server, config => $server->{config});
	$node->safe_psql('postgres', "SELECT add_backup_target('list', '$kind', 'scratch', '{$options}'), add_backup_target('nobody', '$kind', 'nobody'),"
		  . " add_backup_target('files', '$kind', 'scratch', '{$options, \"repository\": \"$repository\"}')");
	is(verified($server, $_, 'status'), 'failure catalog', "$_: no backup yet") for qw(list files);
	is(state_of($server, 'files'), 'critical|backup_failed:files|', 'which is critical');
	return;
}

# Set voxanne_ops.KIND_program or .KIND_config, as a superuser does.
sub set_program
{
	my ($server, $what, $value) = @_;
	my ($node, $setting) = ($server->{node}, "voxanne_ops.$server->{kind}_$what");
	$node->safe_psql('postgres', "ALTER SYSTEM SET $setting = '$value'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('$setting') = '$value'") or die "$setting is not set";
	return;
}

# Verify a target now: status, proof, and the checks that say why it is no success.  What they say is in member
# "errors" then.
sub verified
{
	my ($server, $target, $level) = @_;
	my $node = $server->{node};
	$node->safe_psql('postgres', "SET client_min_messages = error; CALL verify_backup('$target', '$level')");
	$server->{errors} = recorded($server, $target, 'error_details');
	return $node->safe_psql('postgres', "SELECT concat_ws(' ', status, proof, (SELECT string_agg(e ->> 'check', ' ') FROM jsonb_array_elements(error_details) e))"
		  . " FROM backup_verification_log WHERE target = '$target' ORDER BY verified_at DESC LIMIT 1");
}

# Columns of the last row of a target in the log
sub recorded
{
	my ($server, $target, $columns) = @_;
	return $server->{node}->safe_psql('postgres', "SELECT $columns FROM backup_verification_log WHERE target = '$target' ORDER BY verified_at DESC LIMIT 1");
}

# What backup_status() says of a target
sub state_of
{
	my ($server, $target, $columns) = @_;
	return $server->{node}->safe_psql('postgres', 'SELECT ' . ($columns // 'severity, key, proof') . " FROM backup_status() WHERE target = '$target'");
}

# All that is there is good, of which the files' target shows so much.
sub all_good
{
	my ($server, $name, $id, $proof) = @_;
	my $present = $proof eq 'listed' ? 'listed' : 'present';
	is(verified($server, 'list',  'status'), 'success listed',   "$name: listed");
	is(verified($server, 'list',  'verify'), 'success listed',   "$name: level verify of a list shows no more");
	is(verified($server, 'files', 'status'), "success $present", "$name: $present");
	is(verified($server, 'files', 'verify'), "success $proof",   "$name: $proof") or diag recorded($server, 'files', 'jsonb_pretty(verification_details)');
	is(recorded($server, $_, 'backup_id'), $id, "$name: of the backup that was made last") for qw(list files);
	is(state_of($server, 'files'), "info|backup_ok:files|$proof", "$name: in order");
	return;
}

# Damage what is in a directory, verify targets ("TARGET LEVEL" => what verified() is to say), and mend it;
# what was said of the damage.
sub damaged
{
	my ($server, $place, $name, $inflict, %expected) = @_;
	my $good = "$server->{dir}/good";
	system('cp', '-a', $place, $good) == 0 or die;
	my $said = '';
	$inflict->();
	for my $run (sort keys %expected)
	{
		is(verified($server, split / /, $run), $expected{$run}, "$name: $run") or diag $server->{errors};
		$said .= "$server->{errors}\n";
	}
	system('chmod', '-R', 'u+rwX', $place);
	rmtree($place);
	rename $good, $place or die $!;
	return $said;
}

# The same, and afterwards all is as good as before.
sub damaged_and_mended
{
	my ($server, $place, $name, @rest) = @_;
	my $said = damaged($server, $place, $name, @rest);
	is(verified($server, 'files', 'verify'), 'success checksummed', "$name: mended");
	return $said;
}

# The program runs as somebody else, who can read what the server's user cannot: it is a script with this text.  Each case is
# a path in a directory, and what both levels say of the files' target then.
sub cannot_be_read
{
	my ($server, $place, $script, @cases) = @_;
	set_program($server, program => write_file("$server->{dir}/program", "#!/bin/sh\n$script\n", 0755));
	for my $case (@cases)
	{
		my ($path, $status, $verify) = @$case;
		like(damaged_and_mended($server, $place, "$path cannot be read", sub { chmod 0, "$place/$path" or die $path },
				'list status' => 'success listed', 'files status' => $status, 'files verify' => $verify // $status),
			qr/permission denied/, 'and that is said');
	}
	set_program($server, program => $server->{program});
	return;
}

# A program, or its configuration, that is none; further cases are of a setting, a value and a code.
sub wrong_programs
{
	my ($server, @more) = @_;
	my $nothing = "$server->{dir}/nothing";
	for my $problem ([ 'program', $nothing, 'program_not_started' ], [ 'program', '/bin/false', 'program_failed' ],
		[ 'program', '/bin/echo', 'bad_response' ], [ 'config', $nothing, 'program_failed' ], @more)
	{
		my ($what, $value, $code) = @$problem;
		set_program($server, $what, $value);
		is(verified($server, 'list', 'status'), "failure $code", "$what $value");
		like(state_of($server, 'list'), qr/^critical\|backup_unverifiable:list\|/, 'which says nothing about the backups');
		set_program($server, $_ => $server->{$_}) for qw(program config);
	}
	return;
}

1;
