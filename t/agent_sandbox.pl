# What a subverted agent could still do: a library is preloaded into it that tries everything.
use strict;
use warnings;
use AgentTest qw(write_file);
use IO::Socket::INET;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'no system call filter on this architecture' unless `uname -m` =~ /^(x86_64|aarch64)$/;

my $dir = PostgreSQL::Test::Utils::tempdir_short;

# A build of its own: one that counts coverage is not confined, one with sanitizers takes no preloaded library.
my $agent = "$dir/voxanne_agent";
system_or_bail('gcc', '-std=gnu11', '-O', '-D_GNU_SOURCE', '-DVOXANNE_VERSION="0"', '-o', $agent, glob('src/agent/*.c'), qw(-lcurl -lcrypto -lz -llz4 -lzstd));

system_or_bail('gcc', '-shared', '-fPIC', '-O', '-o', "$dir/misbehave.so", 't/modules/misbehave/misbehave.c');

# As little of a backup as it takes to get to the manifest's checksum.
mkdir "$dir/backup" or die $!;
write_file("$dir/backup/backup_manifest", "{}\n\"Manifest-Checksum\": \"" . '0' x 64 . "\"}\n");
write_file("$dir/secret", "x\n");
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'tcp', Listen => 20) or die $!;

$ENV{MISBEHAVE_SECRET} = "$dir/secret";
$ENV{MISBEHAVE_PORT}   = $listener->sockport;

# The outcomes of a run, by name.
sub misbehave
{
	my ($when, @command) = @_;
	write_file("$dir/backup/file", 'contents');
	local $ENV{MISBEHAVE}      = $when;
	local $ENV{MISBEHAVE_FILE} = "$dir/backup/file";
	local $ENV{LD_PRELOAD}     = "$dir/misbehave.so";
	my $request = '{"url": "https://127.0.0.1:1/"}';
	IPC::Run::run([$agent, @command], '<', \$request, '>', \my $outcomes, '2>', \my $err);
	is($? >> 8, 42, "$when @command: ran to its end") or diag($outcomes, $err);
	return map { split /: /, $_, 2 } split /\n/, $outcomes;
}

my $out;
IPC::Run::run([$agent, 'verify-backup', "$dir/backup", '--format', 'json'], '>', \$out);
my $landlock = decode_json($out)->{sandbox}{landlock};
note("landlock $landlock");

my %free = misbehave('start', 'verify-backup', "$dir/backup");
for my $name ('create a file', 'write a file', 'truncate a file', 'change a mode', 'rename', 'symlink', 'unlink', 'mkdir', 'rmdir', 'read elsewhere',
	'list elsewhere', 'internet socket', 'unix socket', 'other port', 'fork', 'signal the parent', 'signal a thread of the parent', 'memory file', 'executable memory')
{
	is($free{$name}, 'done', "without the sandbox: $name");
}
is($free{execute}, 'ENOENT', 'without the sandbox: execute');
unlink '/tmp/misbehave.link';

my $refused = qr/^(EPERM|EACCES|ENOSYS)$/;
my %reading = misbehave('late', 'verify-backup', "$dir/backup");
is(scalar keys %reading, scalar keys %free, 'verify-backup: everything was tried');
for my $name (sort keys %reading)
{
	next if !$landlock && $name =~ /elsewhere/;
	like($reading{$name}, $refused, "verify-backup: $name");
}
is(slurp_file("$dir/backup/file"), 'contents', 'verify-backup: the backup is as it was');

# A run with a network needs sockets, and memory for the code of plug-ins; unix sockets lead to name services.
my %allowed = map { $_ => 1 } 'internet socket', 'unix socket', 'executable memory';
for my $command ('fetch', 'post')
{
	my %network = misbehave('late', $command);
	is(scalar keys %network, scalar keys %free, "$command: everything was tried");
	for my $name (sort keys %network)
	{
		next if $landlock < 4 && $name eq 'other port' || !$landlock && $name =~ /elsewhere/;
		if ($allowed{$name}) { is($network{$name}, 'done', "$command: $name") }
		else { like($network{$name}, $refused, "$command: $name") }
	}
	is(slurp_file("$dir/backup/file"), 'contents', "$command: a file is as it was");
}
ok(!-l '/tmp/misbehave.link', 'nothing is left behind');
done_testing();
