# Random tables and questions: the scan engine, SQL and an oracle in plain SQL of its own agree, row for row.
# The seed is fixed unless VOXANNE_SEED sets it; VOXANNE_ROUNDS sets the length (bench/differential).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed   = $ENV{VOXANNE_SEED}   || 20261124;
my $rounds = $ENV{VOXANNE_ROUNDS} || 12;
srand($seed);

my $node = PostgreSQL::Test::Cluster->new('differential');
$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
# small tables shall be worth workers, little memory shall spill
$node->append_conf('postgresql.conf', join("\n",
	'min_parallel_table_scan_size = 0', 'max_parallel_maintenance_workers = 2',
	'autovacuum = off', 'max_prepared_transactions = 1', 'shared_preload_libraries = voxanne_ops'));
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION voxanne_ops;
	CREATE EXTENSION citext;
	CREATE TYPE mood AS ENUM ('bad', 'so so', 'good');
	CREATE TYPE pair AS (a int, b text);
	CREATE DOMAIN small AS int CHECK (VALUE >= 0);
	CREATE DOMAIN code AS text COLLATE "C" CHECK (VALUE <> '');
	CREATE DOMAIN amount AS numeric;
	CREATE DOMAIN moment AS timestamptz;
	CREATE DOMAIN length AS int;
	CREATE DOMAIN word AS text;
});
my $icu = $node->psql('postgres',
	q{CREATE COLLATION sloppy (provider = icu, locale = 'und-u-ks-level2', deterministic = false)}) == 0;

# Types of keys: each with an expression for the value of number n.
my @types = (
	[ 'smallint',      '(n - 5)::smallint' ],
	[ 'int',           '(n * 7 - 20)::int' ],
	[ 'bigint',        '(n::bigint << 33) - 4' ],
	[ 'boolean',       'n % 2 = 0' ],
	[ '"char"',        "chr(65 + n % 20)::\"char\"" ],
	[ 'oid',           'n::oid' ],
	[ 'uuid',          "CASE n WHEN 0 THEN '00000000-0000-0000-0000-000000000000' ELSE md5(n::text)::uuid END" ],
	[ 'text',          "CASE WHEN n % 3 = 1 THEN (SELECT string_agg(md5(i || '/' || n), '') FROM generate_series(1, 66) AS i) ELSE 'short' || n END" ],
	[ 'text',          "CASE WHEN n % 9 = 8 THEN repeat('long ' || n, 1000) WHEN n = 1 THEN '' ELSE 'k' || n END" ],
	[ 'varchar(40)',   "repeat('v', n % 34) || n" ],
	[ 'char(6)',       "CASE n % 3 WHEN 0 THEN n || '  ' ELSE n::text END" ],
	[ 'name',          "('n' || n)::name" ],
	[ 'bytea',         "decode(md5(n::text), 'hex')" ],
	[ 'numeric',       "CASE WHEN n % 4 = 0 THEN (n || '.000')::numeric WHEN n = 5 THEN 'NaN' ELSE n::numeric END" ],
	[ 'float8',        "CASE n WHEN 0 THEN '-0'::float8 WHEN 1 THEN 'NaN' ELSE n / 2 END" ],
	[ 'date',          "'2026-01-01'::date + n" ],
	[ 'timestamp',     "'2026-01-01'::timestamp + n * interval '1 h'" ],
	[ 'timestamptz',   "CASE n WHEN 3 THEN 'infinity' ELSE '2026-01-01Z'::timestamptz + n * interval '1 h' END" ],
	[ 'time',          "'01:00'::time + n * interval '1 s'" ],
	[ 'interval',      "CASE n % 2 WHEN 0 THEN '24 h'::interval * n ELSE '1 day'::interval * n END" ],
	[ 'inet',          "('10.0.0.' || n % 200)::inet" ],
	[ 'mood',          "(ARRAY['bad','so so','good'])[1 + n % 3]::mood" ],
	[ 'small',         'n::small' ],
	[ 'code',          "('c' || n)::code" ],
	[ 'amount',        "CASE WHEN n % 3 = 0 THEN n || '.00' ELSE n::text END::amount" ],
	[ 'varchar',       "CASE WHEN n % 5 = 1 THEN '' ELSE repeat('longer than is carried ', 2) END || n" ],
	[ 'text[]',        "ARRAY['x', 'X' || n % 50, NULL, repeat('y', n % 7)]" ],
	[ 'numrange',      'numrange(n, n + 2.50)' ],
	[ 'timetz',        "CASE n % 2 WHEN 0 THEN '01:00+00'::timetz + n * interval '1 s' ELSE '02:00+01'::timetz + n * interval '1 s' END" ],
	[ 'macaddr',       "('08:00:2b:01:02:' || lpad(to_hex(n % 200), 2, '0'))::macaddr" ],
	[ 'int[]',         'ARRAY[n, n / 2]' ],
	[ 'pair',          "ROW(n, 'x' || n / 2)::pair" ],
	[ 'int4range',     'int4range(n, n + 3)' ],
	[ 'citext',        "CASE n % 2 WHEN 0 THEN 'Word' ELSE 'wORD' END || n / 2" ],
	[ 'jsonb',         "jsonb_build_object('n', n)" ],
	($icu ? [ 'text COLLATE sloppy', "CASE n % 2 WHEN 0 THEN 'Word' ELSE 'wORD' END || n / 2" ] : ()));

# What may refer to a type: another type, the expression of its values (as a rule the type's own).
my %referrers = (
	bigint  => [ [ 'int', '(n * 7 - 20)::int' ], [ 'smallint', '(n - 5)::smallint' ] ],
	numeric => [ [ 'int', 'n' ], [ 'bigint', 'n' ], [ 'numeric(10,3)', 'n' ] ],
	float8  => [ [ 'real', 'n / 2' ], [ 'int', 'n / 2' ] ],
	text    => [ [ 'varchar' ], [ 'char(8)', "CASE WHEN n = 1 THEN '' ELSE 'k' || n END" ], [ 'name', "CASE WHEN n = 1 THEN '' ELSE 'k' || n END" ], [ 'code', "'k' || n" ] ],
	'char(6)' => [ [ 'char(9)' ], [ 'text' ] ],
	small   => [ [ 'bigint', 'n' ] ],
	int     => [ [ 'small', 'n * 7' ] ],
	varchar => [ [ 'text' ] ],
	amount  => [ [ 'int', 'n' ] ],
);

sub pick { return $_[ int(rand(@_)) ]; }

# The expression of a type for the number that an SQL expression gives, NULL now and then.
sub value
{
	my ($type, $number, $nulls) = @_;
	my $expression = "(SELECT $type->[1] FROM (SELECT ($number)::int AS n) AS number)";
	return $nulls ? "CASE WHEN random() < 0.1 THEN NULL ELSE $expression END" : $expression;
}

# What a query reads to see the table's own rows: of inheritance children none, of partitions all.
my $child  = 'child';
my $parent = 'parent';

# Statements that create a table "child" with the given columns: a plain one, one with an inheritance child, or a partitioned one.
sub create_child
{
	my ($columns) = @_;
	$child = 'ONLY child';
	return "CREATE TABLE child (id int PRIMARY KEY, $columns);" if rand() < 0.3;
	return "CREATE TABLE child (id int PRIMARY KEY, $columns); CREATE TABLE child_heir (more int) INHERITS (child);" if rand() < 0.3;
	$child = 'child';
	my @backwards = reverse split(/, /, $columns);
	return "CREATE TABLE child (id int, $columns) PARTITION BY RANGE (id);
		CREATE TABLE child_1 PARTITION OF child FOR VALUES FROM (MINVALUE) TO (400);
		CREATE TABLE child_2 (gone int, " . join(', ', @backwards) . ", id int NOT NULL);
		ALTER TABLE child_2 DROP gone;
		ALTER TABLE child ATTACH PARTITION child_2 FOR VALUES FROM (400) TO (MAXVALUE);
		ALTER TABLE child ADD PRIMARY KEY (id);";
}

# The same for "parent", whose columns $keys are unique together.
sub create_parent
{
	my ($columns, $keys) = @_;
	$parent = 'ONLY parent';
	return "CREATE TABLE parent ($columns, UNIQUE ($keys));" if rand() < 0.4;
	return "CREATE TABLE parent ($columns, UNIQUE ($keys)); CREATE TABLE parent_heir () INHERITS (parent);" if rand() < 0.4;
	$parent = 'parent';
	return "CREATE TABLE parent ($columns) PARTITION BY HASH ($keys);
		CREATE TABLE parent_0 PARTITION OF parent FOR VALUES WITH (MODULUS 2, REMAINDER 0);
		CREATE TABLE parent_1 (" . join(', ', 'gone int', reverse split(/, /, $columns)) . ");
		ALTER TABLE parent_1 DROP gone;
		ALTER TABLE parent ATTACH PARTITION parent_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
		ALTER TABLE parent ADD UNIQUE ($keys);";
}

# Rows that are nobody's: of inheritance children, which do not count, and now and then what another transaction does that has
# not come to an end.
sub add_noise
{
	my @tables = grep { $node->safe_psql('postgres', "SELECT to_regclass('$_') IS NOT NULL") eq 't' } qw(child parent);

	for my $table (@tables)
	{
		$node->safe_psql('postgres', "SET session_replication_role = replica; INSERT INTO ${table}_heir SELECT * FROM ONLY $table LIMIT 200")
		  if $node->safe_psql('postgres', "SELECT to_regclass('${table}_heir') IS NOT NULL") eq 't';
	}
	return if rand() < 0.6;
	$node->safe_psql('postgres', 'BEGIN; SET LOCAL session_replication_role = replica; ' . join(' ', map {
		my $table = $_;
		my $some  = $table eq 'child' ? 'id % 5' : "hashtext($table.ctid::text) % 5";
		"DELETE FROM $table WHERE $some = 1;"
		  . ($table eq 'child' ? "UPDATE child SET id = id + 5000 WHERE id % 5 = 2; UPDATE child SET id = id WHERE id % 5 = 3;" : '')
	} @tables) . "PREPARE TRANSACTION 'unfinished'");
	return;
}

sub drop_noise
{
	$node->safe_psql('postgres', "ROLLBACK PREPARED 'unfinished'")
	  if $node->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts') eq '1';
	return;
}

# Run a query under each executor, also with hashes that collide and with little memory.
sub under_all
{
	my ($prepare, $query) = @_;
	my @ways = (
		[ 'sql', 64, '64MB' ], [ 'scan', 64, '64MB' ], [ 'scan', 8, '64MB' ], [ 'scan', 64, '1MB' ]);
	return map {
		$node->safe_psql('postgres', "$prepare
			SET voxanne_ops.executor = $_->[0]; SET voxanne_ops.hash_bits = $_->[1];
			SET maintenance_work_mem = '$_->[2]'; $query")
	} @ways;
}

sub agree
{
	my ($name, $prepare, $query, $oracle) = @_;
	my ($sql, @scans) = under_all($prepare, $query);
	my @names = ('scan', 'scan with colliding hashes', 'scan with little memory');
	is($scans[$_], $sql, "$name: $names[$_]") for 0 .. $#scans;
	is($oracle->{got}->($sql), $node->safe_psql('postgres', $oracle->{query}), "$name: oracle")
	  if defined $oracle;
	return;
}

sub duplicates_round
{
	my ($round) = @_;
	my @keys    = map { pick(@types) } 1 .. pick(1, 1, 2, 3);
	my $columns = join(', ', (map { "k$_ $keys[$_]->[0]" } 0 .. $#keys), 'deleted_at timestamptz', 'created_at timestamptz');
	my $values  = join(', ', map { value($_, 'random() * ' . pick(30, 300, 3000), 1) } @keys);
	my $name    = "round $round, duplicates on " . join(', ', map { $_->[0] } @keys);

	$node->safe_psql('postgres', "SELECT setseed(" . ($round / 1000) . ");
		DROP TABLE IF EXISTS child CASCADE; " . create_child($columns) . "
		INSERT INTO child (id, " . join(', ', map { "k$_" } 0 .. $#keys) . ", deleted_at, created_at)
			SELECT i, $values, CASE WHEN random() < 0.1 THEN now() END, '2026-01-01Z'::timestamptz + random() * 9 * interval '1 day'
			FROM generate_series(1, 900) AS i;
		DELETE FROM child WHERE id % 17 = 3; UPDATE child SET created_at = created_at - interval '1 day' WHERE id % 5 = 1;");
	add_noise();
	my $nulls_distinct = pick('true', 'true', 'false');
	my $list = join(', ', map { "k$_" } 0 .. $#keys);
	my $complete = $nulls_distinct eq 'true' ? join(' AND ', map { "k$_ IS DISTINCT FROM NULL" } 0 .. $#keys) : 'true';
	agree($name, '',
		"SELECT rows, keep_id, duplicate_ids, oldest, newest, key_values, key, remedy FROM find_duplicates('child', '{"
		  . join(',', map { "k$_" } 0 .. $#keys) . "}', nulls_distinct => $nulls_distinct, max_groups => 5000)",
		{
			got   => sub { my $n = 0; my $rows = 0; for (split /\n(?=\d+\|)/, $_[0]) { $n++; $rows += (split /\|/)[0]; } return "$n|$rows"; },
			query => "SELECT count(*), coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM $child
				WHERE deleted_at IS NULL AND $complete GROUP BY $list HAVING count(*) > 1) AS grouped"
		});
	return;
}

sub orphans_round
{
	my ($round) = @_;
	my @keys = map { pick(grep { $_->[0] !~ /^(boolean|mood)$/ } @types) } 1 .. pick(1, 1, 1, 2);
	# an index takes one toasted value a row
	@keys = ($keys[0]) if @keys > 1 && $keys[0]->[1] =~ /md5\(i/ && $keys[1]->[1] =~ /md5\(i/;
	my @children = map {
		my $other = exists $referrers{ $_->[0] } && rand() < 0.6 ? pick(@{ $referrers{ $_->[0] } }) : $_;
		[ $other->[0], $other->[1] || $_->[1] ]
	} @keys;
	my @child_types = map { $_->[0] } @children;
	my $list  = join(', ', map { "k$_" } 0 .. $#keys);
	my $full  = @keys > 1 && rand() < 0.4 ? 'MATCH FULL' : '';
	my $range = pick(20, 60, 900);
	my $org   = pick(grep { $_->[0] =~ /^(int|uuid|text|numeric)$/ } @types);
	# a key of char(n) compares as that, without blanks at the end, what "=" would compare as text
	my $join  = join(' AND ', map { "p.k$_ = c.k$_" . ($keys[$_]->[0] =~ /^char\(/ && $child_types[$_] eq 'text' ? '::bpchar' : '') } 0 .. $#keys);
	my $complete = join(' AND ', map { "c.k$_ IS DISTINCT FROM NULL" } 0 .. $#keys);
	my $child_values = join(', ', map { value($_, "random() * $range", 1) } @children);
	my $name = "round $round, orphans of " . join(', ', @child_types) . ' in ' . join(', ', map { $_->[0] } @keys) . " $full";
	my $analyze = pick('', 'ANALYZE parent, child;');

	$node->safe_psql('postgres', "SELECT setseed(" . ($round / 1000) . ");
		DROP TABLE IF EXISTS child, parent CASCADE;
		" . create_parent(join(', ', map { "k$_ $keys[$_]->[0]" } 0 .. $#keys) . ", org_id $org->[0], deleted_at timestamptz", $list)
		. create_child(join(', ', map { "k$_ $child_types[$_]" . ($keys[$_]->[0] =~ /(COLLATE \w+)/ && $child_types[$_] !~ /COLLATE/ ? " $1" : '') } 0 .. $#keys) . ", org_id $org->[0], deleted_at timestamptz") . "
		INSERT INTO parent ($list, org_id, deleted_at) SELECT " . join(', ', map { value($_, 'n', 0) } @keys) . ", " . value($org, 'n % 3', 0) . ", CASE WHEN random() < 0.2 THEN now() END FROM generate_series(0, $range) AS n WHERE n % 3 <> 1
			ON CONFLICT DO NOTHING;
		INSERT INTO child (id, $list, org_id, deleted_at) SELECT i, $child_values, " . value($org, 'random() * 2', 1) . ", CASE WHEN random() < 0.2 THEN now() END FROM generate_series(1, 900) AS i;
		DELETE FROM child WHERE id % 13 = 5; UPDATE child SET id = id + 1000 WHERE id % 7 = 2;
		DELETE FROM parent WHERE ctid IN (SELECT ctid FROM parent LIMIT 3); $analyze");
	# partitioned children take only foreign keys that hold
	my $partitioned = $node->safe_psql('postgres', q{SELECT relkind = 'p' FROM pg_class WHERE oid = 'child'::regclass}) eq 't';
	if ($partitioned)
	{
		$node->safe_psql('postgres', "BEGIN; CREATE TABLE kept AS SELECT * FROM child; TRUNCATE child;
			ALTER TABLE child ADD CONSTRAINT fk FOREIGN KEY ($list) REFERENCES parent ($list) $full;
			SET LOCAL session_replication_role = replica; INSERT INTO child SELECT * FROM kept; DROP TABLE kept; COMMIT;");
	}
	else
	{
		$node->safe_psql('postgres', "ALTER TABLE child ADD CONSTRAINT fk FOREIGN KEY ($list) REFERENCES parent ($list) $full NOT VALID");
	}
	add_noise();
	is($node->safe_psql('postgres', "SET voxanne_ops.executor = scan; SET client_min_messages = error;
			DO 'BEGIN PERFORM FROM find_orphans(''child'', inferred => false); END'; SELECT executor, reason FROM data_check_execution()"),
		'scan|', "$name: the scan takes it");
	agree($name, '',
		"SELECT kind, orphans, checked, sample, key, remedy FROM find_orphans('child', inferred => false, max_rows => 30)",
		{
			got   => sub {
				my %n = map { (split /\|/)[ 0, 1 ] } split /\n(?=(?:orphan|match_full|soft_orphan|cross_tenant)\|)/, $_[0];
				return join '|', map { $n{$_} || 0 } qw(orphan match_full soft_orphan cross_tenant);
			},
			query => "SELECT count(*) FILTER (WHERE $complete AND NOT EXISTS (SELECT FROM $parent AS p WHERE $join)), count(*) FILTER (WHERE "
			  . ($full ? 'num_nulls(' . join(', ', map { "c.k$_" } 0 .. $#keys) . ') BETWEEN 1 AND ' . (@keys - 1) : 'false') . "),
				count(*) FILTER (WHERE c.deleted_at IS NULL AND EXISTS (SELECT FROM $parent AS p WHERE $join AND p.deleted_at IS NOT NULL)),
				count(*) FILTER (WHERE EXISTS (SELECT FROM $parent AS p WHERE $join AND p.org_id <> c.org_id)) FROM $child AS c"
		});
	return;
}

# A table that refers to itself, some of its rows soft-deleted.
sub tree_round
{
	my ($round) = @_;
	my $key   = pick(grep { $_->[0] !~ /^(boolean|mood)$/ } @types);
	my $range = pick(20, 200, 900);
	my $name  = "round $round, a tree of $key->[0]";

	$node->safe_psql('postgres', "SELECT setseed(" . ($round / 1000) . ");
		DROP TABLE IF EXISTS child, parent CASCADE;
		CREATE TABLE child (id int PRIMARY KEY, k0 $key->[0] UNIQUE, up0 $key->[0], deleted_at timestamptz);
		INSERT INTO child SELECT n, " . value($key, 'n', 0) . ", " . value($key, "random() * $range * 1.2", 1) . ", CASE WHEN random() < 0.2 THEN now() END
			FROM generate_series(1, $range) AS n WHERE n % 5 <> 1 ON CONFLICT DO NOTHING;
		ALTER TABLE child ADD CONSTRAINT fk FOREIGN KEY (up0) REFERENCES child (k0) NOT VALID;");
	add_noise();
	agree($name, '',
		"SELECT kind, orphans, checked, sample, key FROM find_orphans('child', inferred => false, max_rows => 30)",
		{
			got   => sub {
				my %n = map { (split /\|/)[ 0, 1 ] } split /\n(?=(?:orphan|soft_orphan)\|)/, $_[0];
				return join '|', map { $n{$_} || 0 } qw(orphan soft_orphan);
			},
			query => "SELECT count(*) FILTER (WHERE c.up0 IS DISTINCT FROM NULL AND NOT EXISTS (SELECT FROM child AS p WHERE p.k0 = c.up0)),
				count(*) FILTER (WHERE c.deleted_at IS NULL AND EXISTS (SELECT FROM child AS p WHERE p.k0 = c.up0 AND p.deleted_at IS NOT NULL)) FROM child AS c"
		});
	return;
}

sub bookings_round
{
	my ($round) = @_;
	my $contact = pick(grep { $_->[0] =~ /^(int|uuid|text|bigint|numeric|citext)$/ } @types);
	my $org     = pick(grep { $_->[0] =~ /^(int|uuid|text)$/ } @types);
	my ($length, $value, $span) = @{ pick(
		[ 'duration_minutes int', 'random() * 90 - 10', "CASE WHEN %s.duration_minutes IS NULL THEN interval '30 min' WHEN %s.duration_minutes > 0 THEN %s.duration_minutes * interval '1 min' END" ],
		[ 'duration_minutes bigint', 'random() * 90', "CASE WHEN %s.duration_minutes IS NULL THEN interval '30 min' WHEN %s.duration_minutes > 0 THEN %s.duration_minutes * interval '1 min' END" ],
		[ 'duration_minutes numeric', 'round((random() * 90 - 10)::numeric, 1)', "CASE WHEN %s.duration_minutes IS NULL THEN interval '30 min' WHEN %s.duration_minutes > 0 THEN %s.duration_minutes::float8 * interval '1 min' END" ],
		[ 'duration interval', "random() * interval '1 h'", "coalesce(%s.duration, interval '30 min')" ],
		[ 'duration interval', "CASE WHEN random() < 0.1 THEN interval '1 day' WHEN random() < 0.1 THEN interval '1 day -25 h' ELSE random() * interval '1 h' END",
			"CASE WHEN %s.duration IS NULL THEN interval '30 min' WHEN %s.duration > '0' THEN %s.duration END" ]) };
	# around the change to summer time and back
	my ($time, $first) = (pick('timestamptz', 'timestamp'), pick('2026-03-06', '2026-10-29'));
	my $zone = "SET TimeZone = '" . pick('UTC', 'America/New_York') . "';";
	my $column = (split / /, $length)[0];
	my $status = pick('text', 'status_label');
	my $tolerance = pick(0, 0, 5, 20);
	my $span_of = sub { my $alias = shift; (my $s = $span) =~ s/%s/$alias/g; return $s; };

	$node->safe_psql('postgres', "SELECT setseed(" . ($round / 1000) . ");
		DROP TABLE IF EXISTS child CASCADE; DROP TYPE IF EXISTS status_label;
		CREATE TYPE status_label AS ENUM ('confirmed', 'cancelled', 'no_show');"
		. create_child("org_id $org->[0], contact_id $contact->[0], provider_id int, scheduled_at $time, $length, status $status, deleted_at timestamptz") . "
		INSERT INTO child (id, org_id, contact_id, provider_id, scheduled_at, $column, status, deleted_at)
			SELECT i, " . value($org, 'random() * 4', 1) . ", " . value($contact, 'random() * 40', 1) . ", CASE WHEN random() < 0.5 THEN random() * 60 END,
			'$first'::$time + floor(random() * 6000) * interval '1 min', CASE WHEN random() < 0.9 THEN $value END,
			(ARRAY['confirmed', 'cancelled', 'no_show', NULL])[1 + floor(random() * 4)]::$status, CASE WHEN random() < 0.1 THEN now() END
			FROM generate_series(1, 900) AS i;
		DELETE FROM child WHERE id % 17 = 3;");
	add_noise();
	my $busy = sub { my $t = shift; return "$t.scheduled_at IS NOT NULL AND $t.deleted_at IS NULL AND coalesce($t.status::text, '') NOT IN ('cancelled', 'no_show')"; };
	agree("round $round, bookings of $contact->[0] at $time with $length, tolerance $tolerance, $zone", $zone,
		"SELECT kind, tenant_id, identity, starts_at, ends_at, rows, keep_id, duplicate_ids, severity, key FROM find_duplicate_appointments('child', tolerance => '$tolerance min', max_groups => 5000, same => '{contact,provider,org_without_provider}')");
	is($node->safe_psql('postgres', "SET voxanne_ops.executor = scan; SET client_min_messages = error;
			DO 'BEGIN PERFORM FROM find_duplicate_appointments(''child'', same => ''{contact}''); END'; SELECT executor, reason FROM data_check_execution()"),
		'scan|', "round $round, bookings of contacts: the scan takes it");
	agree("round $round, bookings of contacts", $zone,
		"SELECT rows, kind FROM find_duplicate_appointments('child', tolerance => '$tolerance min', max_groups => 5000, same => '{contact}')",
		{
			got   => sub { my $rows = 0; $rows += (split /\|/)[0] for split /\n/, $_[0]; return $rows; },
			query => "$zone SELECT count(*) FROM (SELECT *, scheduled_at::timestamptz AS at FROM $child) AS a WHERE " . $busy->('a') . " AND EXISTS (SELECT FROM (SELECT *, scheduled_at::timestamptz AS at FROM $child) AS b
				WHERE " . $busy->('b') . " AND a.id <> b.id AND a.org_id IS NOT DISTINCT FROM b.org_id AND a.contact_id = b.contact_id
				AND (abs(extract(epoch FROM a.at - b.at)) <= $tolerance * 60
				OR (a.at < b.at + " . $span_of->('b') . " AND b.at < a.at + " . $span_of->('a') . ")))"
		});
	return;
}

# Rules about values, and labels.
sub rules_round
{
	my ($round) = @_;
	my $moment = "(ARRAY['infinity', '-infinity', '0001-01-01', '0999-12-31', '1899-12-31', '1970-01-01', '1979-12-31', '2199-12-31', '2200-01-01', '9999-12-31'])[1 + floor(random() * 40)]::timestamptz";
	my $near   = "now() + (random() * 900 - 450) * interval '1 day'";
	my $when   = "coalesce($moment, $near)";
	my $day    = "CASE WHEN random() < 0.1 THEN 'infinity' WHEN random() < 0.1 THEN '0009-01-01' ELSE ($near)::date END";
	my $number = 'CASE WHEN random() < 0.1 THEN 0 ELSE random() * 20000 - 5000 END';
	my $text   = "(ARRAY['', ' ', E'\\t', 'Ada', '+15551234567', 'none', 'a\@example.com', repeat('long ', 900)])[1 + floor(random() * 8)]";
	my $word   = "(ARRAY['open', 'Open', ' open', 'closed', 'in-progress', 'in_progress', ''])[1 + floor(random() * 7)]";
	my %pool = (
		scheduled_at => [ [ 'timestamptz', $when ], [ 'timestamp', $when ], [ 'date', $day ] ],
		created_at   => [ [ 'timestamptz', $when ], [ 'timestamp', $when ], [ 'date', $day ], [ 'moment', $when ] ],
		updated_at   => [ [ 'timestamptz', $when ], [ 'timestamp', $when ], [ 'moment', $when ] ],
		started_at   => [ [ 'timestamptz', $when ], [ 'date', $day ] ],
		ended_at     => [ [ 'timestamptz', $when ], [ 'date', $day ] ],
		dob          => [ [ 'date', $day ] ],
		born_on      => [ [ 'date', $day ], [ 'timestamp', $when ] ],
		duration     => [ [ 'interval', "($number) * interval '1 s'" ], [ 'int', $number ] ],
		duration_minutes => [ [ 'int', $number ], [ 'smallint', $number ], [ 'bigint', $number ], [ 'numeric', $number ], [ 'float8', $number ], [ 'length', $number ] ],
		name   => [ [ 'text NOT NULL', $text ], [ 'varchar', $text ], [ 'varchar NOT NULL', $text ] ],
		phone  => [ [ 'text', $text ] ],
		email  => [ [ 'text', $text ] ],
		status => [ [ 'text', $word ], [ 'varchar(20)', $word ], [ 'text', "'label ' || floor(random() * 300)" ], [ 'char(12)', $word ], [ 'word', $word ] ]);
	my %chosen = map { $_ => pick(@{ $pool{$_} }) } grep { rand() < 0.7 } sort keys %pool;
	my @names = sort keys %chosen;
	my $columns = join(', ', (map { "$_ $chosen{$_}->[0]" } @names), 'deleted_at timestamptz');
	my $values  = join(', ', map { my ($type) = split / /, $chosen{$_}->[0];
			my $value = "($chosen{$_}->[1])::$type";
			$chosen{$_}->[0] =~ /NOT NULL/ ? $value : "CASE WHEN random() < 0.8 THEN $value END" } @names);

	$node->safe_psql('postgres', "SELECT setseed(" . ($round / 1000) . "); SET check_function_bodies = off;
		DROP TABLE IF EXISTS child CASCADE; " . create_child($columns) . "
		INSERT INTO child (id, " . join(', ', @names, 'deleted_at') . ")
			SELECT i, $values, CASE WHEN random() < 0.2 THEN now() END FROM generate_series(1, 900) AS i;
		DELETE FROM child WHERE id % 17 = 3; UPDATE child SET deleted_at = now() WHERE id % 11 = 1;");
	add_noise();
	my $deleted = pick('true', 'false');
	my $infinite = exists $chosen{created_at} ? "SELECT count(*) FROM $child WHERE created_at IN ('infinity', '-infinity')" . ($deleted eq 'true' ? '' : ' AND deleted_at IS NULL') : 'SELECT 0';
	agree("round $round, rules about " . join(', ', map { "$_ $chosen{$_}->[0]" } @names),
		"BEGIN; SET LOCAL TimeZone = '" . pick('UTC', 'America/New_York', 'Asia/Kolkata') . "';",
		"SELECT kind, array_to_string(columns, ','), rows, checked, sample, key, remedy, severity FROM find_invalid_data('child', include_deleted => $deleted, max_rows => 30)",
		{
			got   => sub { my ($n) = $_[0] =~ /^date_not_finite\|created_at\|(\d+)\|/m; return $n || 0; },
			query => $infinite
		});
	is($node->safe_psql('postgres', "SET voxanne_ops.executor = scan; SET client_min_messages = error;
			DO 'BEGIN PERFORM FROM find_invalid_data(''child''); END'; SELECT DISTINCT executor, reason FROM data_check_execution() WHERE question = 'rules'"),
		@names > 0 ? 'scan|' : '', "round $round, rules: the scan takes them");
	return;
}

note("seed $seed, $rounds rounds");
for my $round (1 .. $rounds)
{
	for my $kind (\&duplicates_round, \&orphans_round, \&tree_round, \&rules_round, $round % 3 == 0 ? \&bookings_round : ())
	{
		$kind->($round);
		drop_noise();
	}
}
$node->stop;
done_testing();
