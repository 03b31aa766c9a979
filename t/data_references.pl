# References that not every server has: contrib's types, ICU collations, and the foreign keys of 18.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('references');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION voxanne_ops');
my $version = $node->safe_psql('postgres', q{SELECT current_setting('server_version_num')::int / 10000});

# What find_orphans() says about a schema, and what a plain query does.
sub agrees
{
	my ($schema, $oracle, $message) = @_;

	is( $node->safe_psql('postgres', "SELECT object, kind, source, orphans FROM find_orphans(schemas => '{$schema}', inferred => false)"),
		$node->safe_psql('postgres', $oracle),
		$message);
}

# Run all remedies of a schema; then it is quiet.
sub cures
{
	my ($schema, $message) = @_;

	$node->safe_psql('postgres', "SELECT remedy FROM find_orphans(schemas => '{$schema}') \\gexec");
	is($node->safe_psql('postgres', "SELECT * FROM find_orphans(schemas => '{$schema}')"), '', $message);
}

SKIP:
{
	skip 'no citext', 2
	  unless $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'citext'});
	$node->safe_psql('postgres', q{
		CREATE SCHEMA folded;
		CREATE EXTENSION citext SCHEMA folded;
		CREATE TABLE folded.words (word folded.citext PRIMARY KEY);
		CREATE TABLE folded.uses (id int PRIMARY KEY, word folded.citext REFERENCES folded.words);
		INSERT INTO folded.words VALUES ('Apple'), ('Pear');
		INSERT INTO folded.uses VALUES (1, 'APPLE'), (2, 'pear'), (3, NULL);
		SET session_replication_role = replica;
		INSERT INTO folded.uses VALUES (4, 'plum'), (5, 'apple ');
	});
	agrees('folded', q{
		SET search_path = folded;
		SELECT 'folded.uses.word', 'orphan', 'declared', count(*)
		FROM uses u LEFT JOIN words w ON w.word = u.word WHERE u.word IS NOT NULL AND w.word IS NULL}, 'citext');
	cures('folded', 'citext: quiet after the remedy');
}

SKIP:
{
	skip 'no ICU', 4
	  unless $node->safe_psql('postgres', q{SELECT count(*) FROM pg_collation WHERE collname = 'und-x-icu'});
	$node->safe_psql('postgres', q{
		CREATE SCHEMA vague;
		CREATE COLLATION vague.ignore_case (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
		CREATE TABLE vague.words (word text COLLATE vague.ignore_case PRIMARY KEY);
		CREATE TABLE vague.uses (id int PRIMARY KEY, word text COLLATE vague.ignore_case REFERENCES vague.words);
		CREATE TABLE vague.codes (code char(5) COLLATE vague.ignore_case PRIMARY KEY);
		CREATE TABLE vague.coded (id int PRIMARY KEY, code char(9) COLLATE vague.ignore_case REFERENCES vague.codes);
		INSERT INTO vague.words VALUES ('Apple'), ('Pear');
		INSERT INTO vague.uses VALUES (1, 'APPLE'), (2, 'pear');
		INSERT INTO vague.codes VALUES ('Ab'), ('c');
		INSERT INTO vague.coded VALUES (1, 'aB  '), (2, 'C');
		SET session_replication_role = replica;
		INSERT INTO vague.uses VALUES (4, 'plum'), (5, 'apples');
		INSERT INTO vague.coded VALUES (3, 'd');
	});
	agrees('vague', q{
		SELECT 'vague.coded.code', 'orphan', 'declared', count(*)
		FROM vague.coded u LEFT JOIN vague.codes w ON w.code = u.code WHERE w.code IS NULL
		UNION ALL SELECT 'vague.uses.word', 'orphan', 'declared', count(*)
		FROM vague.uses u LEFT JOIN vague.words w ON w.word = u.word WHERE w.word IS NULL}, 'non-deterministic collations');
	is( $node->safe_psql('postgres', q{SELECT rows FROM find_duplicates('vague.uses', '{word}')}), '',
		'quiet: no duplicates by the collation');
	$node->safe_psql('postgres', q{INSERT INTO vague.uses VALUES (6, 'PEAR')});
	is( $node->safe_psql('postgres', q{SELECT rows, keep_id, duplicate_ids FROM find_duplicates('vague.uses', '{word}')}), '2|2|{6}',
		'duplicates by the collation');
	cures('vague', 'non-deterministic collations: quiet after the remedies');
}

SKIP:
{
	skip 'needs 18', 9 if $version < 18;
	$node->safe_psql('postgres', q{
		CREATE SCHEMA eighteen;
		SET search_path = eighteen;
		CREATE TABLE parents (id int PRIMARY KEY);
		CREATE TABLE children (id int PRIMARY KEY, k int, FOREIGN KEY (k) REFERENCES parents NOT ENFORCED);
		INSERT INTO parents VALUES (1);
		INSERT INTO children VALUES (1, 1), (2, NULL);
	});
	is($node->safe_psql('postgres', q{SELECT * FROM find_orphans(schemas => '{eighteen}')}), '', 'NOT ENFORCED: quiet where it holds');
	$node->safe_psql('postgres', 'INSERT INTO eighteen.children VALUES (3, 2), (4, 3)');
	agrees('eighteen', q{
		SELECT 'eighteen.children.k', 'orphan', 'not_enforced', count(*)
		FROM eighteen.children c LEFT JOIN eighteen.parents p ON p.id = c.k WHERE c.k IS NOT NULL AND p.id IS NULL}, 'NOT ENFORCED');
	is( $node->safe_psql('postgres', q{SELECT DISTINCT severity FROM find_orphans(schemas => '{eighteen}')}), 'warning',
		'NOT ENFORCED does not claim to hold');
	cures('eighteen', 'NOT ENFORCED: quiet after the remedy');
	# a range of time in the parent has to contain the child's: not a question of equal keys
	$node->safe_psql('postgres', q{
		CREATE SCHEMA periods;
		SET search_path = periods;
		CREATE EXTENSION btree_gist SCHEMA periods;
		CREATE TABLE rooms (id int, open tstzrange, PRIMARY KEY (id, open WITHOUT OVERLAPS));
		CREATE TABLE stays (id int PRIMARY KEY, room int, during tstzrange, FOREIGN KEY (room, PERIOD during) REFERENCES rooms (id, PERIOD open));
	});
	is( $node->safe_psql('postgres', q{SELECT severity, object, kind, source, detail FROM find_orphans(schemas => '{periods}')}),
		'warning|periods.stays (room, during)|skipped|declared|The reference is temporal (PERIOD), which is not checked.',
		'PERIOD: skipped, with the reason');
	# a column that is generated when it is read: no statement sets it, no index or foreign key has it
	$node->safe_psql('postgres', q{
		CREATE SCHEMA virtually;
		SET search_path = virtually;
		CREATE TABLE parents (id int PRIMARY KEY);
		CREATE TABLE children (id int PRIMARY KEY, n int, parent_id int GENERATED ALWAYS AS (n) VIRTUAL);
		CREATE TABLE contacts (id int PRIMARY KEY, phone text, gone boolean,
			deleted_at timestamptz GENERATED ALWAYS AS (CASE WHEN gone THEN timestamptz '2026-01-01Z' END) VIRTUAL);
		CREATE TABLE appointments (id int PRIMARY KEY, org_id int, contact_id int, scheduled_at timestamptz, is_deleted boolean, gone boolean,
			deleted_at timestamptz GENERATED ALWAYS AS (CASE WHEN gone THEN timestamptz '2026-01-01Z' END) VIRTUAL);
		INSERT INTO parents SELECT generate_series(1, 9);
		INSERT INTO children SELECT n, n FROM generate_series(1, 10) AS n;
		INSERT INTO contacts (id, phone, gone) VALUES (1, '5', NULL), (2, '5', NULL), (3, '5', true);
		INSERT INTO appointments SELECT n, 1, 1, '2020-01-01Z' FROM generate_series(1, 2) AS n;
	});
	is( $node->safe_psql('postgres', q{SELECT duplicate_ids, advice ~ 'as deleted_at is generated', advice ~ 'CREATE UNIQUE INDEX', remedy ~ 'row_image'
		FROM find_duplicates('virtually.contacts', '{phone}')}), '{2}|t|f|t', 'virtual: duplicates move to quarantine, and no index is proposed');
	is( $node->safe_psql('postgres', q{SELECT duplicate_ids, remedy ~ 'SET is_deleted = true', remedy ~ 'EXCLUDE' FROM find_duplicate_appointments('virtually.appointments')}),
		'{2}|t|f', 'virtual: bookings are soft-deleted by the other column, and no constraint is proposed');
	is( $node->safe_psql('postgres', q{SELECT orphans, remedy ~ 'row_image', remedy ~ 'FOREIGN KEY' FROM find_orphans('virtually.children', '{virtually}')}),
		'1|t|f', 'virtual: orphans move to quarantine, and no foreign key is added');
	$node->safe_psql('postgres', "SELECT remedy FROM $_ \\gexec") for (q{find_duplicates('virtually.contacts', '{phone}')},
		q{find_duplicate_appointments('virtually.appointments')}, q{find_orphans('virtually.children', '{virtually}')});
	is( $node->safe_psql('postgres', q{SELECT (SELECT count(*) FROM find_duplicates('virtually.contacts', '{phone}')),
		(SELECT count(*) FROM find_duplicate_appointments('virtually.appointments')), (SELECT count(*) FROM find_orphans('virtually.children', '{virtually}'))}),
		'0|0|0', 'virtual: quiet after the remedies');
}

$node->stop;
done_testing();
