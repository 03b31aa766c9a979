# An agent that has everything linked in: nothing but libc is needed.  (The agent's other tests run with it, too: make agent-static-check.)
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;

my $agent = './voxanne_agent';
my @libraries = map { /^\s*(\S+)/ } split /\n/, `ldd $agent`;
plan skip_all => 'this agent uses shared libraries; see make agent-static-check' if grep { /^libcurl/ } @libraries;

is(join(' ', grep { !m{^(linux-vdso\.so|libc\.so|libm\.so|libpthread\.so|libdl\.so|/lib.*/ld-linux|ld-linux)} } @libraries), '', 'no library but those of libc');
like(`$agent --version`, qr/^voxanne_agent \S+ \(protocol \d+\)$/, 'it runs');

# Where there are no CA certificates it says so; it does not go on without.
my $dir = PostgreSQL::Test::Utils::tempdir_short;
open my $request, '>', "$dir/request" or die $!;
print $request '{"url": "https://127.0.0.1:1/", "ca_file": "/nonexistent/ca.crt"}';
close $request;
like(`$agent fetch --format json < $dir/request`, qr/"code": ?"(tls|connect)"/, 'a missing CA file is an error');
done_testing();
