# The shared library: which names it gives to the server's process, which libraries it needs, how it is compiled.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;

my $library = 'voxanne_ops.so';
my ($symbols, $errors) = run_command([ 'nm', $library ]);
plan skip_all => 'an instrumented build links libraries of its own' if $symbols =~ /__gcov_|__ubsan_|__asan_/;

# On 15 the server loads modules with RTLD_GLOBAL: a name that is not ours alone could meet another module's.
($symbols, $errors) = run_command([ 'nm', '-D', '--defined-only', $library ]);
my @exported = map { (split)[2] } split /\n/, $symbols;
cmp_ok(scalar @exported, '>', 2, 'nm lists the exported symbols');
is_deeply([ grep { !/^(?:(?:pg_finfo_)?voxanne_\w+|_PG_init|Pg_magic_func)$/ } @exported ],
	[], 'every exported symbol begins with voxanne_');

# Nothing but libc, so that it drops onto any image with the same server: what needs libcurl is in the agent.
my ($dynamic) = run_command([ 'readelf', '-d', '-W', $library ]);
my @needed = $dynamic =~ /\(NEEDED\)\s+Shared library: \[([^\]]+)\]/g;
is_deeply([ grep { !/^(?:libc|ld-linux[\w-]*)\.so\.\d+$/ } @needed ], [], 'the library needs nothing but libc');

# What the server calls by name exists: every C function of the script.
my ($script) = glob 'voxanne_ops--*.sql';
my %defined = map { $_ => 1 } @exported;
my @called = slurp_file($script) =~ /'MODULE_PATHNAME',\s*'(\w+)'/g;
cmp_ok(scalar @called, '>', 0, 'the script declares C functions');
is_deeply([ grep { !$defined{$_} || !$defined{"pg_finfo_$_"} } @called ], [], 'every C function of the script is in the library');

# A plain "make" also compiles for JIT, where the server has it, and that without PG_CFLAGS; the tests are built without.
my ($commands) = run_command([ 'make', '-n', '-B', 'PG_CONFIG=' . ($ENV{PG_CONFIG} || 'pg_config'), 'src/child/version.bc' ]);
my ($version) = slurp_file('voxanne_ops.control') =~ /^default_version\s*=\s*'(.*)'/m;
like($commands, qr{-emit-llvm.* src/child/version\.c}, 'make knows how to compile for JIT');
like($commands, qr{-DVOXANNE_VERSION='"\Q$version\E"'.* src/child/version\.c}, 'and tells the version there, too');
command_fails_like([ 'make', 'PG_CONFIG=/nonexistent/pg_config' ], qr/nonexistent.pg_config leads to no headers of a server\. Install them .* or set PG_CONFIG/,
	'make without a server says what is missing');

done_testing();
