# blocking_locks() on a hot standby: WAL replay as the one who waits, and as the one who blocks.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "autovacuum = off\nmax_prepared_transactions = 5");
$primary->start;
$primary->safe_psql('postgres', q{
CREATE EXTENSION voxanne_ops;
CREATE DATABASE other;
CREATE TABLE jam (id int PRIMARY KEY, v text);
INSERT INTO jam VALUES (1, 'a'), (2, 'b');
CREATE TABLE snap (id int);
INSERT INTO snap SELECT generate_series(1, 1000);
CREATE TABLE pin (id int, v text);
INSERT INTO pin VALUES (1, 'a');
CREATE VIEW look AS
SELECT ordinality AS n, repeat('. ', depth) || coalesce(nullif(application_name, ''), backend_type) AS who, severity AS sev, kind,
	state, wants, held, target, victims,
	CASE WHEN remedy LIKE 'SELECT pg_catalog.pg_terminate_backend(pid, 5000) % WHERE pid = ' || pid || ' AND %' THEN 'terminate'
		ELSE remedy END AS remedy, detail, advice, blocked_by, waited, root_pid, pid
FROM blocking_locks() WITH ORDINALITY;
});
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = -1\nhot_standby_feedback = off");
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

my $reader = $standby->background_psql('postgres', on_error_stop => 0);
$reader->query("SET application_name = 'reader'");

# What the function says once there is something to say.
sub look_when
{
	my ($columns, $kind) = @_;
	$standby->poll_query_until('postgres', "SELECT count(*) > 0 FROM look WHERE kind = '$kind'")
	  or die "no $kind";
	my $seen = '';
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		# replay looks away from its waits for moments
		$seen = $standby->safe_psql('postgres', "SELECT $columns FROM look ORDER BY n");
		last if $seen ne '';
	}
	return $seen;
}

sub caught_up
{
	my ($test) = @_;
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	pass("$test: replay goes on");
	is($standby->safe_psql('postgres', 'SELECT count(*) FROM look'), '0', "$test: quiet");
	return;
}

is($standby->safe_psql('postgres', 'SELECT count(*) FROM blocking_locks()'), '0', 'quiet on an idle standby');

# Replay of an exclusive lock waits for a reader, and other readers queue behind replay.
$reader->query('BEGIN; SELECT count(*) FROM jam');
$primary->safe_psql('postgres', 'ALTER TABLE jam ADD w int');
is(look_when('who, kind, state, wants, held, target, victims, remedy', 'recovery'),
	"reader|root|idle in transaction||AccessShareLock|relation public.jam|0|terminate\n"
	  . '. startup|recovery||AccessExclusiveLock||relation public.jam|0|', 'replay blocked by a reader');
is($standby->safe_psql('postgres', 'SELECT blocked_by = ARRAY[root_pid], waited >= $$0$$, detail LIKE $$WAL replay waits for AccessExclusiveLock %$$ FROM look WHERE kind = $$recovery$$'),
	't|t|t', 'the edge is computed');
like($standby->safe_psql('postgres', 'SELECT detail FROM look WHERE kind = $$root$$'), qr/ and blocks WAL replay for /, 'in words');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM blocking_locks(database => 'postgres')}), '2', 'it belongs to the lock\'s database');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM blocking_locks(database => 'other')}), '0', 'and to no other');
my $late = $standby->background_psql('postgres', on_error_stop => 0);
$late->query("SET application_name = 'late'");
$late->query_until(qr/started/, "\\echo started\nSELECT count(*) FROM jam;\n");
$standby->poll_query_until('postgres', 'SELECT count(*) = 3 FROM look');
is($standby->safe_psql('postgres', 'SELECT who, kind, victims FROM look ORDER BY n'),
	"reader|root|1\n. startup|recovery|1\n. . late|soft|0", 'a reader behind replay');
is($standby->safe_psql('postgres', $standby->safe_psql('postgres', 'SELECT remedy FROM blocking_locks() WHERE depth = 0')),
	't', 'the remedy ends the reader');
caught_up('lock');
eval { $reader->quit };
$late->quit;

# Replay holds a lock for an open transaction of the primary.
my $writer = $primary->background_psql('postgres');
$writer->query('BEGIN; LOCK TABLE jam');
$primary->safe_psql('postgres', 'SELECT pg_current_xact_id()');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$reader = $standby->background_psql('postgres', on_error_stop => 0);
$reader->query("SET application_name = 'reader'");
$reader->query_until(qr/started/, "\\echo started\nSELECT count(*) FROM jam;\n");
is(look_when('who, kind, wants, held, remedy, advice LIKE $$Do nothing here: WAL replay%$$', 'hard'),
	"startup|root||AccessExclusiveLock||t\n. reader|hard|AccessShareLock|||f", 'replay as the root');
$writer->quit;
$primary->safe_psql('postgres', 'SELECT pg_current_xact_id()');
caught_up('held by replay');

# Replay of a cleanup waits for a snapshot.
$reader->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM jam');
$primary->safe_psql('postgres', 'DELETE FROM snap');
$primary->safe_psql('postgres', 'VACUUM snap');
is(look_when('who, kind, target, held, remedy', 'recovery'),
	"reader|root|row versions that snapshots still need||terminate\n. startup|recovery|row versions that snapshots still need||",
	'replay blocked by a snapshot');
$reader->query('ROLLBACK');
caught_up('snapshot');

# Replay of a cleanup waits for a pin; whose it is cannot be known.
$primary->safe_psql('postgres', "BEGIN; INSERT INTO pin VALUES (2, 'b'); ROLLBACK");
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$reader->query('BEGIN; DECLARE c CURSOR FOR SELECT v FROM pin; FETCH c');
$primary->safe_psql('postgres', 'VACUUM FREEZE pin');
is(look_when('who, kind, target, blocked_by, root_pid IS NULL, waited >= $$0$$, remedy', 'recovery'),
	'startup|recovery|buffer pin|{}|t|t|', 'replay blocked by a pin');
like($standby->safe_psql('postgres', 'SELECT advice FROM look'), qr/^Wait: replay cancels .* does not tell who/, 'which is said');
$reader->query('ROLLBACK');
caught_up('pin');
$reader->quit;

# A prepared transaction is the same one after a restart.
$primary->safe_psql('postgres', "BEGIN; UPDATE jam SET v = 'p' WHERE id = 1; PREPARE TRANSACTION 'survivor'");
$primary->restart;
$late = $primary->background_psql('postgres', on_error_stop => 0);
$late->query("SET application_name = 'late'");
$late->query_until(qr/started/, "\\echo started\nUPDATE jam SET v = 'q' WHERE id = 1;\n");
$primary->poll_query_until('postgres', 'SELECT count(*) = 2 FROM look');
is($primary->safe_psql('postgres', 'SELECT kind, target FROM look WHERE kind = $$prepared$$'),
	"prepared|prepared transaction 'survivor': row public.jam (0,1) id=1", 'prepared transaction after a restart');
$primary->safe_psql('postgres', "COMMIT PREPARED 'survivor'");
$primary->poll_query_until('postgres', 'SELECT count(*) = 0 FROM look') or die 'still blocked';
$late->quit;

# Promotion: replay is gone, the function works on.
$standby->promote;
is($standby->safe_psql('postgres', 'SELECT count(*) FROM blocking_locks()'), '0', 'quiet after promotion');

$standby->stop;
$primary->stop;
done_testing();
