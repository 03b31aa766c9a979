# The documents agree with the code: versions, functions, settings, links, and every SQL block runs.
use strict;
use warnings;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @documents = ('README.md', sort glob 'docs/*.md');
my %text      = map { $_ => slurp_file($_) } @documents;
my $all       = join "\n", values %text;

# META.json says 1.0.0 (PGXN wants three parts) where the control file says 1.0.
my $meta = decode_json(slurp_file('META.json'));
my ($version) = slurp_file('voxanne_ops.control') =~ /^default_version\s*=\s*'(.*)'/m;
is($meta->{version}, "$version.0", 'version of META.json');
is($meta->{provides}{voxanne_ops}{version}, "$version.0", 'version of the extension in META.json');
like(slurp_file('CHANGELOG.md'), qr/^## \Q$version\E\b/m, 'the changelog has the version');

for my $document (@documents)
{
	(my $directory = $document) =~ s{[^/]*$}{};
	for my $target ($text{$document} =~ /\]\(([^)#:]+)(?:#[^)]*)?\)/g)
	{
		ok(-e "$directory$target", "$document: $target exists");
	}
}

# Each option of the agent: in its help, its manual page, and the synopsis of each command that takes it.
my ($help) = run_command([ './voxanne_agent', '--help' ]);
my ($listed) = slurp_file('src/agent/options.c') =~ /option_rows\[\] = \{(.*?)\n\};/s;
my @options = $listed =~ /\{"([a-z-]+)"/g;
(my $manual = slurp_file('docs/voxanne_agent.1')) =~ s/\\-/-/g;
cmp_ok(scalar @options, '>', 20, 'the agent has options');
for my $option (@options)
{
	like($help, qr/^  --\Q$option\E /m, "--$option is in --help");
	like($manual, qr/^\.BI? --\Q$option\E(?:\\ |$)/m, "--$option is in the manual page");
}
# Each member of a request.
my ($rows) = slurp_file('src/agent/request.c') =~ /members\[\] = \{(.*?)\n\};/s;
my @members = map { s/^PREVIOUS_MEMBER./previous_/r =~ s/^\w+\(|^\{"//r } $rows =~ /((?:\b\w+_MEMBER\(|\{")[a-z_0-9]+)/g;
cmp_ok(scalar @members, '>', 15, 'requests have members');
for my $member (@members)
{
	like($help, qr/^(?!  ).*\b$member\b/m, "member $member is in --help");
	like($manual, qr/^\.BR? .*\b$member\b/m, "member $member is in the manual page");
	like($text{'docs/agent.md'}, qr/`$member`/, "member $member is in docs/agent.md");
}
for my $file (glob 'src/agent/*.c')
{
	my ($command) = slurp_file($file) =~ /\.name = "(verify-[a-z]+)"/ or next;
	my ($takes) = slurp_file($file) =~ /_options\[\] = \{(.*?)\};/s;
	my ($synopsis) = $text{'docs/agent.md'} =~ /^```\nvoxanne_agent $command (.*?)^```/ms;

	is_deeply([ sort $synopsis =~ /--([a-z-]+)/g ], [ sort 'format', $takes =~ /"([a-z-]+)"/g ], "docs/agent.md: the options of $command");
	like($help, qr/^  voxanne_agent $command /m, "$command is in --help");
	like($manual, qr/^\.B voxanne_agent $command$/m, "$command is in the manual page");
}

my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_stat_statements, voxanne_ops'");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE demo');
for my $file ('schema', 'data', 'faults')
{
	$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('demo'), '-v', 'size=500', '-f', "demo/$file.sql" ], "demo/$file.sql loads");
}
$node->safe_psql('demo', 'CREATE EXTENSION pg_stat_statements; CREATE EXTENSION voxanne_ops');

my $functions = $node->safe_psql('demo', q{
	SELECT DISTINCT proname FROM pg_depend JOIN pg_proc p ON classid = 'pg_proc'::regclass AND objid = p.oid
	 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND prorettype <> 'trigger'::regtype AND proname !~ '^_'
	   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'voxanne_ops')});
ok($text{'README.md'} =~ /\b$_\(/, "function $_ is in README.md") for split /\n/, $functions;

# What a comment explains: every argument and every column, but for the six of each finding.
is($node->safe_psql('demo', q{
	SELECT proname, word FROM pg_depend JOIN pg_proc p ON classid = 'pg_proc'::regclass AND objid = p.oid, unnest(proargnames) AS word
	 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND proname !~ '^_' AND word NOT IN ('severity', 'object', 'detail', 'advice', 'remedy', 'key')
	   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'voxanne_ops')
	   AND lower(obj_description(p.oid, 'pg_proc')) !~ format('\m%s\M', word)}), '', 'every argument and column is in its function\'s comment');

my $relations = $node->safe_psql('demo', q{
	SELECT relname FROM pg_depend JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid
	 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND relkind IN ('r', 'v')
	   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'voxanne_ops')});
ok($all =~ /\b$_\b/, "relation $_ is documented") for split /\n/, $relations;

my $settings = $node->safe_psql('demo', q{SELECT name FROM pg_settings WHERE name LIKE 'voxanne\_ops.%'});
ok($text{'README.md'} =~ /`$_`/, "setting $_ is in README.md") for split /\n/, $settings;
my %named = map { $_ => 1 } grep { !/\.(so|c|control)$/ } $all =~ /`(voxanne_ops\.[a-z_]+)`/g;
for my $setting (sort keys %named)
{
	is($node->safe_psql('demo', "SELECT current_setting('$setting', true) IS NOT NULL"), 't', "setting $setting exists");
}

# Each block by itself in a database of its own (those with roles come last); a block after the comment "not run" is for reading only.
for my $document (grep { $_ ne 'docs/privileges.md' } @documents)
{
	my $n = 0;
	while ($text{$document} =~ /(?:<!-- (not run)[^\n]*-->\s*)?^ *```sql\n(.*?)^ *```$/msg)
	{
		my ($skip, $block) = ($1, $2);
		my ($out, $err);

		$n++;
		next if $skip;
		$node->safe_psql('postgres', 'CREATE DATABASE block TEMPLATE demo');
		is($node->psql('block', $block, stdout => \$out, stderr => \$err, on_error_stop => 1), 0, "$document, SQL block $n runs")
		  or diag("$block\n$err");
		$node->safe_psql('postgres', 'DROP DATABASE block');
	}
}

# README's statement keeps the libraries that are preloaded already.
my ($preload) = $text{'README.md'} =~ /```sql\n(SELECT 'ALTER SYSTEM.*?)```/s;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_stat_statements'");
$node->restart;
$node->safe_psql('postgres', $node->safe_psql('postgres', $preload));
$node->restart;
is($node->safe_psql('postgres', 'SHOW shared_preload_libraries'), 'pg_stat_statements, voxanne_ops', 'the library is added to the others');

# The roles of docs/privileges.md; what a dump keeps of them.  In a healthy database: with orphans under
# a valid foreign key no dump can be restored.
$node->safe_psql('postgres', 'CREATE DATABASE plain');
for my $file ('schema', 'data')
{
	$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('plain'), '-v', 'size=500', '-f', "demo/$file.sql" ], "demo/$file.sql loads");
}
$node->safe_psql('plain', 'CREATE EXTENSION voxanne_ops');
my @blocks = $text{'docs/privileges.md'} =~ /```sql\n(.*?)```/sg;
my $as_responder = 'SET ROLE ops_responder; SELECT count(*) = 0 FROM find_orphans()';
my $as_reader = 'SET ROLE ops_reader; SELECT count(*) FROM backup_verification_log';
$node->safe_psql('plain', join "\n", @blocks, "INSERT INTO backup_verification_log (status, target) VALUES ('success', '*')");
is($node->safe_psql('plain', $as_reader), '1', 'a reader sees the log');
is($node->safe_psql('plain', "SET ROLE ops_reader; SELECT count(*) FROM $_ WHERE key LIKE 'check_skipped%'"), '0', "a reader may call $_")
  for ('rls_audit()', 'blocking_locks()', 'backup_status()');
like(($node->psql('plain', 'SET ROLE ops_reader; SELECT find_orphans()'))[2], qr/permission denied/, 'a reader may not look into the data');
is($node->safe_psql('plain', $as_responder), 't', 'a responder does');
is($node->safe_psql('plain', "SET ROLE ops_responder; SELECT count(*) FROM $_ WHERE key LIKE 'check_skipped%'"), '0', "no check of $_ is skipped for him")
  for ('find_orphans()', 'find_duplicate_appointments()');
like(($node->psql('plain', "SET ROLE ops_responder; SELECT remove_backup_target('x')"))[2], qr/permission denied/, 'and he may not change targets');
like(($node->psql('plain', "SET ROLE ops_admin; SELECT remove_backup_target('x')"))[2], qr/no backup target|does not exist/, 'an admin may');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_dump', '-d', $node->connstr('plain'), '-f', "$PostgreSQL::Test::Utils::tmp_check/demo.dump" ], 'pg_dump');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', "$PostgreSQL::Test::Utils::tmp_check/demo.dump" ], 'restore');
is($node->safe_psql('restored', $as_responder), 't', 'grants are restored');
is($node->safe_psql('restored', $as_reader), '1', 'and a reader sees the restored log');

$node->stop;
done_testing();
