# Whatever strangers' bytes are, the agent's readers take them: seeds, cut and changed, with sanitizers.  (tools/fuzz looks for more.)
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir_short;

# The agent's readers and the harness, which includes memory.c, two at a time.
my @sources = (grep({ !m{/(main|memory)\.c$} } glob('src/agent/*.c')), grep { !m{/libfuzzer\.c$} } glob('t/modules/fuzz/*.c'));
my @compile = ('gcc', '-std=gnu11', '-D_GNU_SOURCE', '-DVOXANNE_VERSION="0"', '-O1', '-g1', '-w', '-fsanitize=address,undefined', '-fno-sanitize-recover=all');
my %running;
for my $n (0 .. $#sources)
{
	if (keys %running == 2) { delete $running{ wait() }; is($?, 0, 'compiled') if $? != 0 }
	my $pid = fork() // die $!;
	exec(@compile, '-c', '-o', "$dir/$n.o", $sources[$n]) or die $! if $pid == 0;
	$running{$pid} = 1;
}
while (keys %running) { delete $running{ wait() }; is($?, 0, 'compiled') if $? != 0 }
system_or_bail(@compile, '-o', "$dir/replay", map({ "$dir/$_.o" } 0 .. $#sources), qw(-lcurl -lcrypto -lz -llz4 -lzstd -pthread));

# The agent frees little, as its runs are short; the harness does it, and takes what is not there for no memory.
$ENV{ASAN_OPTIONS} = 'detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=16';
$ENV{TMPDIR} = $dir;
my $ok = IPC::Run::run(["$dir/replay", 't/seeds', 40], '>', \my $out, '2>', \my $err);
ok($ok, 'no reader fails') or diag(substr($err, 0, 6000));

# Each reader has seeds, and each directory of seeds a reader.
my %inputs = map { split ' ' } split /\n/, $out;
is(join(' ', sort keys %inputs), join(' ', sort map { s{.*/}{}r } glob('t/seeds/*')), 'readers and seeds belong together');
cmp_ok($inputs{$_}, '>', 40, "$_: $inputs{$_} inputs") for sort keys %inputs;
done_testing();
