# demo/run and demo/stop: the tour ends with a server to connect to, and nothing of it is left afterwards.
use strict;
use warnings;
use IPC::Run qw(run);
use PostgreSQL::Test::Utils;
use Test::More;

my ($out, $err);

ok(!run([ 'demo/run', 'many' ], '>', \$out, '2>', \$err), 'a size that is none');
like($err, qr/^usage: /, 'is answered with the usage');

ok(run([ 'demo/run', '500' ], '<', '/dev/null', '>', \$out, '2>', \$err), 'demo/run') or diag("$out\n$err");
like($out, qr/^Asynchronous notification "voxanne_ops" with payload\s+"\{/m, 'the worker has notified');
like($out, qr/^target +\| \*$/m,     'the runbook\'s quick command shows the row of all targets');
like($out, qr/pg_terminate_backend/, 'the lock tree has a remedy');
unlike($out, qr/^.{101,}$/m, 'no line is longer than 100 characters');

my ($connect) = $out =~ /^connect: +(.*)$/m;
my ($directory) = $connect =~ /-h (\S+)/;
is(qx{$connect -XAtc 'SELECT count(*) > 0 FROM find_orphans()'}, "t\n", 'the connection that it names');
# what it proposes at its end works as it stands there
my ($next) = $out =~ /^Next, in psql.*?\n(.*)/ms;
my $script = join '', map { "$_\n" } $next =~ /^    (\S.*)$/mg;
ok(run([ split(/ /, $connect), '-X', '-v', 'ON_ERROR_STOP=1' ], '<', \$script, '>', \$out, '2>', \$err), 'the next steps') or diag("$script\n$err");
like($out, qr/\(0 rows\)/, 'a remedy has mended what it was for');
like($err, qr/^WARNING:  backup target "nightly": failure$/m, 'a damaged backup is noticed');
like($out, qr/is missing\. Last good: none known\.$/m, 'and not called good');
my ($pid) = slurp_file("$directory/data/postmaster.pid") =~ /^(\d+)/;

ok(!run([ 'demo/run', '500' ], '>', \$out, '2>', \$err), 'no second demo');
like($out, qr/running already/, 'and it says why');

ok(run([ 'demo/stop' ], '>', \$out, '2>', \$err), 'demo/stop');
ok(!-e $directory,    'the directory is gone');
ok(!-e 'build/demo',  'the memory of it too');
ok(!kill(0, $pid),    'and the server');
ok(run([ 'demo/stop' ], '>', \$out, '2>', \$err), 'demo/stop without a demo');
like($out, qr/no demo is running/, 'says so');

done_testing();
