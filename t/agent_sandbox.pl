# What a subverted agent could still do: a library is preloaded into it that tries everything once the agent has entered its sandbox.
use strict;
use warnings;
use AgentTest qw(write_file);
use Cwd;
use IO::Socket::INET;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'no system call filter on this architecture' unless `uname -m` =~ /^(x86_64|aarch64)$/;

my $dir = PostgreSQL::Test::Utils::tempdir_short;

# A build that counts coverage is not confined, one with sanitizers takes no preloaded library: then one of its own.
my $agent = './voxanne_agent';
if (`nm $agent` =~ /__gcov_|__asan_/)
{
	$agent = "$dir/voxanne_agent";
	system_or_bail('gcc', '-std=gnu11', '-O', '-D_GNU_SOURCE', '-DVOXANNE_VERSION="0"', '-o', $agent, glob('src/agent/*.c'), qw(-lcurl -lcrypto -lz -llz4 -lzstd -pthread));
}
# Of its functions prctl() alone is visible, so that it takes no other function's place.
system_or_bail('gcc', '-std=gnu11', '-D_GNU_SOURCE', '-shared', '-fPIC', '-fvisibility=hidden', '-O', '-o', "$dir/misbehave.so", grep { !/old_kernel/ } glob('t/modules/misbehave/*.c'));
system_or_bail('gcc', '-std=gnu11', '-O', '-o', "$dir/old_kernel", 't/modules/misbehave/old_kernel.c');

# A server, which is what must be out of reach; it lets in whoever gets to its socket.
my $node = PostgreSQL::Test::Cluster->new('sandbox');
$node->init;
$node->start;
my @postmaster = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
my ($server, $shm) = ($postmaster[0], (split ' ', $postmaster[6])[1]);
my ($dsm) = slurp_file("/proc/$server/maps") =~ m{(/dev/shm/PostgreSQL\.\d+)};

mkdir "$dir/backup" or die $!;
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'tcp', Listen => 50) or die $!;
my %named = (
	FILE      => "$dir/backup/file",
	ELSEWHERE => "$dir/new",
	SECRET    => write_file("$dir/secret", "x\n"),
	PGPASS    => write_file("$dir/.pgpass", "*:*:*:*:x\n"),
	LINK      => "$dir/link",
	CONF      => $node->data_dir . '/postgresql.conf',
	HBA       => $node->data_dir . '/pg_hba.conf',
	SOCKET    => $node->host . '/.s.PGSQL.' . $node->port,
	PORT      => $listener->sockport,
	SERVER    => $server,
	SHM       => $shm,
	DSM       => $dsm // "$dir/secret",
);
$ENV{"MISBEHAVE_$_"} = $named{$_} for keys %named;

# Run a command of the agent with a descriptor that nobody closes, by way of @by; its status and what it printed.
sub run_agent
{
	my ($when, $by, @command) = @_;
	write_file($named{FILE}, 'contents');
	my $request = '{' . ($command[0] eq 'list' ? '"provider": "http", ' : '') . '"url": "https://127.0.0.1:1/"}';
	my ($out, $err);
	my @exec = ('sh', '-c', 'exec 9<"$MISBEHAVE_SECRET"; exec "$@"', 'sh');
	my @preload = $when eq '' ? () : ('env', "LD_PRELOAD=$dir/misbehave.so", "MISBEHAVE=$when");
	IPC::Run::run([@exec, @$by, @preload, $agent, @command], '<', \$request, '>', \$out, '2>', \$err);
	diag($err) if $err ne '';
	return ($?, $out);
}

# The outcomes of what it tries, by name.
sub misbehave
{
	my ($what, @how) = @_;
	my ($status, $out) = run_agent(@how);
	is($status >> 8, 42, "$what: ran to its end") or diag($status, $out);
	return map { split /: /, $_, 2 } split /\n/, $out;
}

my (undef, $document) = run_agent('', [], 'verify-backup', "$dir/backup", '--format', 'json');
my $landlock = decode_json($document)->{sandbox}{landlock};
note("landlock $landlock");

# The attempts are real: these succeed where nothing forbids them.  Others need root, or a kernel that has the thing.
my %free = misbehave('without the sandbox', 'start', [], 'verify-backup', "$dir/backup");
for my $name ('create a file', 'create a file elsewhere', 'create by reading', 'creat', 'write a file', 'append to a file', 'write elsewhere',
	'truncate a file', 'open and truncate', 'change a mode', "change a descriptor's mode", 'change an owner', 'change times', 'lock a file', 'rename', 'rename over',
	'link', 'symlink', 'unlink', 'mkdir', 'rmdir', 'fifo', 'unlink at', 'read the backup', 'read elsewhere', 'list elsewhere',
	'read postgresql.conf elsewhere', 'read pg_hba.conf elsewhere', 'read .pgpass elsewhere', 'read /etc/passwd elsewhere', 'inherited descriptor',
	'watch a directory', 'internet socket', 'route socket', 'stream pair', 'datagram pair', 'unix socket', "server's socket", 'other port', 'thread', 'write in a thread',
	'fork', 'vfork', 'execute', 'execute at', 'signal itself', 'signal the parent', 'signal a thread of the parent', 'signal the group', 'signal the server',
	'signal by descriptor', 'own a descriptor for the parent', 'limits of the parent', 'priority of the parent', 'processors of the parent', 'leave the group',
	"server's shared memory", 'new shared memory', 'semaphore', 'message queue', 'executable memory', 'memory made executable', 'executable file', 'memory file', 'much memory',
	'outlive the parent', 'be traced', 'set a limit', 'set the user', 'set the users', 'set the group')
{
	# where the tests themselves are confined, some of it may be forbidden anyway
	my $anyway = $name =~ /(memory|semaphore|message queue|executable|signal|priority|limit|processors|own a descriptor|be traced|outlive|lock|user|group|elsewhere)/ ? '|EPERM|EACCES|ENOSYS' : '';
	like($free{$name}, qr/^(done$anyway)$/, "without the sandbox: $name");
}
unlink @named{ 'ELSEWHERE', 'LINK' };

# What comes back of every attempt, but for the exceptions.
sub check_refused
{
	my ($what, $outcomes, %expected) = @_;
	is(join(', ', sort keys %$outcomes), join(', ', sort keys %free), "$what: everything was tried");
	for my $name (sort keys %$outcomes)
	{
		if (exists $expected{$name}) { is($outcomes->{$name}, $expected{$name}, "$what: $name") }
		else { like($outcomes->{$name}, qr/^(EPERM|EACCES|ENOSYS)$/, "$what: $name") }
	}
	is(slurp_file($named{FILE}), 'contents', "$what: the backup is as it was");
	ok(!-e "$named{FILE}.new" && !-e $named{ELSEWHERE} && !-l $named{LINK}, "$what: nothing is left behind");
	return;
}

# What any run may do, and what its limits answer.
my %may = ('ask for a name elsewhere' => 'done', 'thread' => 'done', 'signal itself' => 'done');
my %limits = ('inherited descriptor' => 'EBADF', 'much memory' => 'ENOMEM', 'many descriptors' => 'EMFILE');
# Without Landlock a run can read what its user can, but for what the kernel keeps of a process that must not be traced.
my %readable = map { $_ => $free{$_} } grep { /elsewhere/ && !/^(create|write|read the own)/ } keys %free;
my %unlocked = $landlock ? () : %readable;

for my $command ('verify-backup', 'verify-dump', 'verify-wal')
{
	my $path = $command eq 'verify-dump' ? $named{FILE} : "$dir/backup";
	my %outcomes = misbehave($command, 'late', [], $command, $path);
	# a dump in a file is open already, and nothing else may be opened
	check_refused($command, \%outcomes, %may, %limits, %unlocked, $command eq 'verify-dump' && $landlock ? () : ('read the backup' => 'done'));
	next if $command ne 'verify-backup';
	# what the kernel itself would refuse to this user did not even get there
	is($outcomes{$_}, 'ENOSYS', "$command: $_, by the filter") for grep { $free{$_} ne 'done' && !/watch by signal|executable file/ } sort keys %free;
}

# A run with a network needs sockets, and memory for the code of plug-ins.
my %network = (
	%may, %limits, %unlocked, map({ $_ => $free{$_} } 'internet socket', 'internet socket 6', 'route socket', 'stream pair', 'executable memory', 'memory made executable',
		'memory made executable by key'),
	$landlock ? ('lock a file' => 'EBADF') : ('lock a file' => 'done', 'executable file' => 'done', 'read the backup' => 'done'),
	$landlock < 4 ? ('other port' => 'done') : ());
for my $command ('fetch', 'post', 'list')
{
	my %outcomes = misbehave($command, 'late', [], $command);
	check_refused($command, \%outcomes, %network);
}

# Calls by other doors end the process.
SKIP:
{
	skip 'no other doors on this architecture', 6 unless `uname -m` eq "x86_64\n";
	for my $command ('verify-backup', 'fetch')
	{
		for my $door ('i386', 'x32')
		{
			my ($status, $out) = run_agent($door, [], $command, $command eq 'fetch' ? () : "$dir/backup");
			# a kernel without calls of 32 bits takes the interrupt for a wild access
			like($status & 127, $door eq 'i386' ? qr/^(31|11)$/ : qr/^31$/, "$command: ended for a call as $door");
			is($out, '', "$command: and printed nothing");
		}
	}
}

# Kernels that lack one or both: it is said, and what is left still holds.
sub as_on_old_kernel
{
	my ($landlock, $seccomp, $words) = @_;
	my @by = ("$dir/old_kernel", $landlock ? () : 'landlock', $seccomp ? () : 'seccomp', '--');
	my (undef, $json) = run_agent('', \@by, 'verify-backup', "$dir/backup", '--format', 'json');
	my $sandbox = decode_json($json)->{sandbox};
	is(!!$sandbox->{landlock}, !!$landlock, "$words: member landlock");
	is(!!$sandbox->{seccomp}, !!$seccomp, "$words: member seccomp");
	my (undef, $text) = run_agent('', \@by, 'verify-backup', "$dir/backup");
	like($text, qr/^note: this kernel offers $words, /m, "$words: is said");
	return misbehave($words, 'late', \@by, 'verify-backup', "$dir/backup");
}
my %outcomes = as_on_old_kernel(0, 1, 'no Landlock');
check_refused('no Landlock', \%outcomes, %may, %limits, 'read the backup' => 'done', %readable);
SKIP:
{
	skip 'this kernel has no Landlock', 1 unless $landlock;
	%outcomes = as_on_old_kernel($landlock, 0, 'no seccomp');
	is($outcomes{$_}, 'EACCES', "no seccomp: $_") for 'create a file', 'create a file elsewhere', 'write a file', 'write elsewhere', 'rename', 'link', 'symlink', 'mkdir',
		'read elsewhere', 'read postgresql.conf elsewhere', 'read .pgpass elsewhere', $landlock >= 3 ? 'truncate a file' : (), $landlock >= 4 ? 'other port' : ();
	is($outcomes{'signal the server'}, 'EPERM', 'no seccomp: signal the server') if $landlock >= 6;
	unlink glob "$dir/backup/*";
}
as_on_old_kernel(0, 0, 'neither Landlock nor seccomp');
unlink @named{ 'ELSEWHERE', 'LINK' };
(undef, my $text) = run_agent('', [], 'verify-backup', "$dir/backup");
unlike($text, qr/note:/, 'nothing is said where nothing lacks') if $landlock;

# The same from inside the server: one failed check, and the server does not notice.
write_file("$dir/agent", "#!/bin/sh\n" . join('', map { "export MISBEHAVE_$_='$named{$_}'\n" } sort keys %named) .
	"export LD_PRELOAD='$dir/misbehave.so' MISBEHAVE=late\nexec '" . Cwd::abs_path($agent) . "' \"\$@\"\n");
chmod 0755, "$dir/agent" or die $!;
$node->safe_psql('postgres', 'CREATE EXTENSION voxanne_ops');
my $usual = $node->safe_psql('postgres', 'SHOW voxanne_ops.agent_path');
$node->append_conf('postgresql.conf', "voxanne_ops.backup_directories = '$dir'\nvoxanne_ops.agent_path = '$dir/agent'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('voxanne_ops.agent_path') = '$dir/agent'") or die 'agent_path was not set';
write_file($named{FILE}, 'contents');
$node->safe_psql('postgres', "SELECT add_backup_target('t', 'basebackup', '$dir/backup')");
$node->psql('postgres', "CALL verify_backup('t', 'verify')");
like($node->safe_psql('postgres', "SELECT status, error_details FROM backup_verification_log WHERE target = 't'"), qr/^failure\|.*verifier_error/, 'in the server: a failed check');
is((split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0], $server, 'in the server: the server lives');
is(slurp_file($named{FILE}), 'contents', 'in the server: the backup is as it was');
ok(!-e $named{ELSEWHERE} && !-l $named{LINK}, 'in the server: nothing is left behind');
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|terminated by signal/, 'in the server: the log has nothing');
$node->append_conf('postgresql.conf', "voxanne_ops.agent_path = '$usual'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('voxanne_ops.agent_path') = '$usual'") or die 'agent_path was not set';
$node->psql('postgres', "CALL verify_backup('t', 'verify')");
is($node->safe_psql('postgres', "SELECT verification_details -> 'sandbox' ->> 'landlock' FROM backup_verification_log WHERE target = 't' ORDER BY verified_at DESC LIMIT 1"), $landlock,
	'in the server: the log says how a run was confined');
$node->stop;
done_testing();
