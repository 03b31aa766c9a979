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
like($all, qr/\b$_\(/, "function $_ is documented") for split /\n/, $functions;

my $relations = $node->safe_psql('demo', q{
	SELECT relname FROM pg_depend JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid
	 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND relkind IN ('r', 'v')
	   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'voxanne_ops')});
like($all, qr/\b$_\b/, "relation $_ is documented") for split /\n/, $relations;

my $settings = $node->safe_psql('demo', q{SELECT name FROM pg_settings WHERE name LIKE 'voxanne\_ops.%'});
like($text{'README.md'}, qr/`$_`/, "setting $_ is in README.md") for split /\n/, $settings;
for my $setting (grep { $_ ne 'voxanne_ops.' } $all =~ /`(voxanne_ops\.[a-z_]+)`/g)
{
	is($node->safe_psql('demo', "SELECT current_setting('$setting', true) IS NOT NULL"), 't', "setting $setting exists");
}

# Each block by itself in a database of its own; a block after the comment "not run" is for reading only.
for my $document (@documents)
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

$node->stop;
done_testing();
