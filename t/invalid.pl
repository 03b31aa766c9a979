# find_invalid_data() on what only some versions have: NOT NULL constraints that are not valid, constraints
# that are not enforced (both from 18 on); and on a standby, where users' constraints run as well.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('invalid_primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('invalid_standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

$primary->safe_psql('postgres', q{
	CREATE EXTENSION voxanne_ops;
	CREATE ROLE owner;
	CREATE SCHEMA owned AUTHORIZATION owner;
	SET ROLE owner;
	CREATE FUNCTION owned.is_short(text) RETURNS boolean LANGUAGE plpgsql AS
		$$BEGIN RETURN current_user = 'owner' AND length($1) < 5; END$$;
	CREATE TABLE owned.words (id int PRIMARY KEY, word text);
	INSERT INTO owned.words VALUES (1, 'short'), (2, 'word'), (3, NULL);
	ALTER TABLE owned.words ADD CONSTRAINT is_short CHECK (owned.is_short(word)) NOT VALID;
});
$primary->wait_for_catchup($standby);
my $ask = q{SELECT severity, kind, constraint_name, rows, checked, sample FROM find_invalid_data(schemas => '{owned}') ORDER BY kind};
is($primary->safe_psql('postgres', $ask), 'warning|not_valid_check|is_short|1|3|[{"id": 1, "word": "short"}]', 'a constraint with a function');
is($standby->safe_psql('postgres', $ask), $primary->safe_psql('postgres', $ask), 'the same on a standby');

# An unlogged table's rows are not there: a finding, and no error that hides the others.
$primary->safe_psql('postgres', q{
	CREATE UNLOGGED TABLE owned.drafts (id int PRIMARY KEY, email text);
	INSERT INTO owned.drafts VALUES (1, 'nobody');
});
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT kind, detail FROM find_invalid_data(schemas => '{owned}') WHERE relation_name = 'owned.drafts'}),
	'skipped|owned.drafts is unlogged, so its rows are not on a standby.', 'an unlogged table is skipped on a standby');
is($standby->safe_psql('postgres', "$ask LIMIT 1"), $primary->safe_psql('postgres', "$ask OFFSET 1"), 'and the others are checked');
$primary->safe_psql('postgres', 'DROP TABLE owned.drafts');
$standby->stop;

SKIP:
{
	skip 'constraints of PostgreSQL 18', 3 if $primary->pg_version < 18;

	$primary->safe_psql('postgres', q{
		ALTER TABLE owned.words DROP CONSTRAINT is_short;
		ALTER TABLE owned.words ADD CONSTRAINT has_word NOT NULL word NOT VALID;
		ALTER TABLE owned.words ADD CONSTRAINT is_long CHECK (length(word) > 4) NOT ENFORCED;
		ALTER TABLE owned.words ADD CONSTRAINT has_id CHECK (id > 0) NOT ENFORCED;
	});
	is($primary->safe_psql('postgres', $ask), join("\n", 'warning|not_enforced_check|is_long|1|3|[{"id": 2, "word": "word"}]',
		'warning|not_valid_check|has_word|1|3|[{"id": 3, "word": null}]'), 'NOT NULL that is not valid, a constraint that is not enforced');
	$primary->safe_psql('postgres', q{DELETE FROM owned.words WHERE id > 1});
	is($primary->safe_psql('postgres', "SELECT remedy FROM find_invalid_data(schemas => '{owned}')"),
		'ALTER TABLE owned.words VALIDATE CONSTRAINT has_word;', 'it can be validated');
	$primary->safe_psql('postgres', 'ALTER TABLE owned.words VALIDATE CONSTRAINT has_word');
	is($primary->safe_psql('postgres', "SELECT * FROM find_invalid_data(schemas => '{owned}')"), '', 'quiet');
}

$primary->stop;
done_testing();
