# Decompression in voxanne_agent: what was compressed comes back, and damage is told.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir_short;
system_or_bail('gcc', '-std=gnu11', '-D_GNU_SOURCE', '-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-o', "$dir/decompress",
	't/modules/decompress/decompress.c', map({ "src/agent/$_.c" } 'decompress', 'memory', 'errors'), '-lz', '-llz4', '-lzstd');
my @lines = `$dir/decompress`;
is($?, 0, 'every property holds') or diag @lines;
is(scalar(@lines), 22, 'and each was looked at');
done_testing();
