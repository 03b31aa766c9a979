# blocking_locks() where a jam needs prepared transactions, several databases, background workers, many
# sessions or other roles; every remedy is run and must free those who wait.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('locks');
$node->init(allows_streaming => 1);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'voxanne_ops'
max_prepared_transactions = 5
max_connections = 260
autovacuum = off
autovacuum_naptime = 1s
autovacuum_freeze_max_age = 100000
deadlock_timeout = 1h
});
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('postgres', q{
CREATE EXTENSION voxanne_ops;
CREATE TABLE jam (id int PRIMARY KEY, v text);
INSERT INTO jam VALUES (1, 'a'), (2, 'b');
CREATE ROLE app LOGIN;
CREATE ROLE monitor LOGIN IN ROLE pg_monitor;
CREATE ROLE reader LOGIN;
GRANT EXECUTE ON FUNCTION blocking_locks TO reader;
GRANT ALL ON jam TO app;
-- Sessions by their application_name; numbers that differ from run to run are left out.
CREATE VIEW look AS
SELECT l.ordinality AS n, repeat('. ', depth) || coalesce(nullif(l.application_name, ''), l.backend_type, 'prepared') AS who,
	severity AS sev, kind, l.state, backend_type, wants, held, regexp_replace(target, '\d{4,}', '#') AS target, victims,
	CASE WHEN remedy LIKE 'SELECT pg_catalog.pg_cancel_backend(pid) % WHERE pid = ' || pid || ' AND %' THEN 'cancel'
		WHEN remedy LIKE 'SELECT pg_catalog.pg_terminate_backend(pid, 5000) % WHERE pid = ' || pid || ' AND %' THEN 'terminate'
		ELSE remedy END AS remedy,
	detail, advice, key, blocked_by, l.query
FROM blocking_locks() WITH ORDINALITY l;
CREATE VIEW waiting AS SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock';
});
$node->safe_psql('other', 'CREATE TABLE far (id int PRIMARY KEY); INSERT INTO far VALUES (1)');

my %sessions;

# A session of that name; it is told what to do and stays.
sub session
{
	my ($name, %opt) = @_;
	my $dbname  = $opt{dbname}  // 'postgres';
	my $session = $node->background_psql(
		$dbname,
		on_error_stop => 0,
		replication   => $opt{replication},
		extra_params  => $opt{user} ? [ '-U', $opt{user} ] : []);
	$session->query("SET application_name = '$name'");
	$sessions{$name} = $session;
	return $session;
}

# Give a session something that will wait, and see that so many sessions wait then.
sub blocks
{
	my ($name, $sql, $waiting) = @_;
	$sessions{$name}->query_until(qr/started/, "\\echo started\n$sql;\n");
	$node->poll_query_until('postgres', 'SELECT n FROM waiting', $waiting) or die "\"$sql\" does not wait";
	return;
}

sub nobody_waits
{
	my ($test) = @_;
	ok($node->poll_query_until('postgres', 'SELECT n FROM waiting', '0'), "$test: nobody waits any more");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM look'), '0', "$test: quiet");
	return;
}

# End all sessions, those that wait too.
sub close_all
{
	my $ours = "FROM pg_stat_activity WHERE backend_type IN ('client backend', 'walsender') AND pid <> pg_backend_pid()";
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) $ours");
	$node->poll_query_until('postgres', "SELECT count(*) = 0 $ours") or die 'sessions did not end';
	for my $session (values %sessions)
	{
		eval { $session->quit };
	}
	%sessions = ();
	return;
}

sub look
{
	my ($columns, %opt) = @_;
	return $node->safe_psql('postgres', ($opt{settings} // '') . "SELECT $columns FROM look ORDER BY n");
}

sub remedy
{
	my ($who) = @_;
	return $node->safe_psql('postgres', "SELECT remedy FROM blocking_locks() WHERE application_name = '$who'");
}

# A prepared transaction: nobody is connected, the remedy is its coordinator's decision.
session('writer');
session('late');
$sessions{writer}->query("BEGIN; UPDATE jam SET v = 'p' WHERE id = 1; PREPARE TRANSACTION 'it''s two-phase'");
blocks('late', "UPDATE jam SET v = 'late' WHERE id = 1", 1);
is(look('who, kind, held, wants, target, victims, blocked_by'),
	"prepared|prepared|ExclusiveLock||prepared transaction 'it''s two-phase': row public.jam (0,1) id=1|1|{}\n"
	  . '. late|hard||ShareLock|row public.jam (0,1) id=1|0|{0}',
	'prepared transaction is the root');
is(look('key') =~ /^blocking_lock:prepared:it's two-phase$/m, 1, 'its key is its name');
like(look('advice'), qr/^Ask its coordinator.*'it''s two-phase'/, 'its coordinator is to be asked');
is($node->safe_psql('postgres', 'SELECT pid IS NULL, xact_age >= $$0$$, waited IS NULL FROM blocking_locks() WHERE depth = 0'),
	't|t|t', 'no pid, an age');
is($node->safe_psql('postgres', 'SELECT DISTINCT sev FROM look WHERE kind = $$prepared$$', ), 'info', 'young: info');
is(look('sev', settings => 'SET voxanne_ops.lock_wait_critical = 0;'), "critical\ninfo", 'old: critical');
my $remedy = $node->safe_psql('postgres', 'SELECT remedy FROM look WHERE kind = $$prepared$$');
is($remedy, "ROLLBACK PREPARED 'it''s two-phase'; -- or COMMIT PREPARED: its coordinator knows", 'its remedy');
$node->safe_psql('postgres', $remedy);
nobody_waits('prepared transaction');
close_all();

# The same in another database: its tables have no names here, and the decision is made there.
session('writer', dbname => 'other');
session('late',   dbname => 'other');
$sessions{writer}->query("BEGIN; LOCK TABLE far; PREPARE TRANSACTION 'far away'");
blocks('late', 'SELECT * FROM far', 1);
is(look('who, kind, target, coalesce(remedy, $$none$$)'),
	"prepared|prepared|prepared transaction 'far away': relation # of database other|none\n"
	  . '. late|hard|relation # of database other|none',
	'prepared transaction of another database');
like(look('advice'), qr/connected to database other/, 'the database is named');
is($node->safe_psql('postgres', "SELECT count(*) FROM blocking_locks(database => 'other')"), '2', 'filter by its database');
is($node->safe_psql('postgres', "SELECT count(*) FROM blocking_locks(database => 'postgres')"), '0', 'filter by another one');
$node->safe_psql('other', "COMMIT PREPARED 'far away'");
nobody_waits('other database');
close_all();

# Idle in transaction: a cancel is a no-op there, so the remedy terminates.
session('reader');
session('ddl');
session('late');
$sessions{reader}->query('BEGIN; SELECT count(*) FROM jam');
my ($stale_pid) = $sessions{reader}->query('SELECT pg_backend_pid()') =~ /(\d+)/;
blocks('ddl',  'ALTER TABLE jam ADD w int', 1);
blocks('late', 'SELECT count(*) FROM jam',  2);
is(look('who, kind, state, remedy'),
	"reader|root|idle in transaction|terminate\n. ddl|hard|active|cancel\n. . late|soft|active|", 'idle in transaction');
like(look('advice'), qr/^Terminate it: .*Or cancel pid \d+, which queues 1 session behind it\.$/m, 'advice for the root');
is($node->safe_psql('postgres', 'SELECT count(*) FROM look WHERE remedy IS NOT NULL AND n = 3'), '0', 'no remedy against who only waits');
is(look('sev', settings => 'SET voxanne_ops.lock_wait_warning = 0;'), "critical\ncritical\ninfo", 'an old queue behind DDL is critical');
is($node->safe_psql('postgres', q{SELECT count(*) FROM blocking_locks('1 hour')}), '0', 'min_wait leaves out young trees');
is($node->safe_psql('postgres', q{SELECT count(*) FROM blocking_locks('0.001 s')}), '3', 'and keeps all of an old one');
is($node->safe_psql('postgres', q{BEGIN READ ONLY; SELECT count(*) FROM blocking_locks(NULL, NULL)}), '3', 'works read-only');
for my $style ('SQL, DMY', 'Postgres, MDY', 'German')
{
	$remedy = $node->safe_psql('postgres', "SET DateStyle = '$style'; SET TimeZone = 'Africa/Lagos'; "
		. "SELECT remedy FROM blocking_locks() WHERE depth = 0");
	is($node->safe_psql('postgres', "SET DateStyle = '$style'; SET TimeZone = 'America/St_Johns'; "
			. ($remedy =~ s/SELECT .* FROM pg_catalog/SELECT count(*) FROM pg_catalog/r)),
		'1', "the remedy means this session under DateStyle $style");
}
is($node->safe_psql('postgres', $remedy), 't', 'the remedy ends it');
nobody_waits('idle in transaction');
close_all();

# A remedy that was printed for an earlier transaction of the session touches nothing.
session('reader');
session('ddl');
$sessions{reader}->query('BEGIN; SELECT count(*) FROM jam');
blocks('ddl', 'ALTER TABLE jam ADD x int', 1);
$remedy = remedy('reader');
$sessions{reader}->query('COMMIT; BEGIN; SELECT 1');
nobody_waits('transaction ended by itself');
is($node->safe_psql('postgres', $remedy), '', 'a stale remedy does nothing');
is($sessions{reader}->query('SELECT 42'), '42', 'the session is still there');
close_all();

# A session-level lock that an idle session has kept.
session('leak');
session('late');
$sessions{leak}->query('SELECT pg_advisory_lock(4711, -1)');
$node->safe_psql('postgres', "INSERT INTO advisory_lock_name VALUES (4711, NULL, 'slots')");
blocks('late', 'SELECT pg_advisory_lock(4711, -1)', 1);
is($node->safe_psql('postgres', 'SELECT kind, state, held, target, remedy IS NOT NULL FROM blocking_locks() ORDER BY depth'),
	"root|idle|ExclusiveLock|advisory lock 4711, -1 \"slots\"|t\nhard|active||advisory lock 4711, -1 \"slots\"|f", 'idle holder');
is($node->safe_psql('postgres', 'SET ROLE monitor; SELECT DISTINCT target FROM blocking_locks()'),
	'advisory lock 4711, -1 "slots"', 'members of pg_monitor see the label');
is($node->safe_psql('postgres', remedy('leak')), 't', 'the remedy ends it');
nobody_waits('idle holder');
$node->safe_psql('postgres', 'TRUNCATE advisory_lock_name');
close_all();

# A running statement is cancelled; whom it blocks goes on, and so can its own session.
session('runner');
session('late');
$sessions{runner}->query('BEGIN');
$sessions{runner}->query_until(qr/started/, "\\echo started\nLOCK TABLE jam; SELECT pg_sleep(600);\n");
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
blocks('late', 'SELECT count(*) FROM jam', 1);
is(look('who, kind, state, held, remedy'), "runner|root|active|AccessExclusiveLock|cancel\n. late|hard|active||", 'running root');
is($node->safe_psql('postgres', remedy('runner')), 't', 'the remedy cancels it');
nobody_waits('running root');
close_all();

# A chain: one row each, deeper by one, and all of them victims of the root; with more than ten it is critical.
my $last = 11;
for my $i (0 .. $last)
{
	session("s$i");
	$sessions{"s$i"}->query("SELECT pg_advisory_lock($i)");
	blocks("s$i", 'SELECT pg_advisory_lock(' . ($i - 1) . ')', $i) if $i > 0;
}
is(look('who, sev, victims'),
	join("\n", map { ('. ' x $_) . "s$_|" . ($_ == 0 ? 'critical' : 'info') . '|' . ($last - $_) } 0 .. $last),
	'a chain');
is($node->safe_psql('postgres', 'SELECT max(length(tree)) < 40, max(depth) FROM blocking_locks()'), "t|$last", 'its tree stays narrow');
$node->safe_psql('postgres', remedy('s0'));
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 's%'");
nobody_waits('chain');
close_all();

# Thresholds are settings.
session('writer');
session('late');
$sessions{writer}->query("BEGIN; UPDATE jam SET v = 'w' WHERE id = 1");
blocks('late', "UPDATE jam SET v = 'late' WHERE id = 1", 1);
is(look('sev'), "info\ninfo", 'a short wait is information');
is(look('sev', settings => 'SET voxanne_ops.lock_wait_warning = 0;'), "warning\ninfo", 'a longer one is a warning at its root');
is(look('sev', settings => 'SET voxanne_ops.lock_wait_critical = 0;'), "critical\ninfo", 'a long one is critical');

# Who may see what: the superuser's sessions as a member of pg_monitor and as anybody.
is($node->safe_psql('postgres', 'SET ROLE monitor; SELECT kind, target ~ $$^row public.jam .0,\d+.$$, query ~ $$^UPDATE|^BEGIN$$, remedy IS NULL FROM blocking_locks()'),
	"root|t|t|t\nhard|t|t|t", 'pg_monitor: everything but the key of a row that it may not read');
like($node->safe_psql('postgres', 'SET ROLE monitor; SELECT advice FROM blocking_locks() WHERE depth = 0'),
	qr/Only a superuser may do that\.$/, 'and no remedy against a superuser');
is($node->safe_psql('postgres', 'SET ROLE reader; SELECT kind, depth, target, query, state, backend_type, wants, held, remedy, victims, object ~ $$^pid$$ FROM blocking_locks()'),
	"root|0|<insufficient privilege>|<insufficient privilege>||||ExclusiveLock||1|t\n"
	  . 'hard|1|<insufficient privilege>|<insufficient privilege>|||ShareLock|||0|t',
	'others: the tree, but not what the sessions do');
unlike($node->safe_psql('postgres', 'SET ROLE reader; SELECT detail, advice FROM blocking_locks()'), qr/jam|idle/,
	'not in the sentences either');
like($node->safe_psql('postgres', 'SET ROLE reader; SELECT advice FROM blocking_locks() WHERE depth = 0'), qr/pg_monitor/, 'who to ask');
my ($ret, $out, $err) = $node->psql('postgres', 'SET ROLE app; SELECT * FROM blocking_locks()');
like($err, qr/permission denied for function blocking_locks/, 'nobody else may call it');
($ret, $out, $err) = $node->psql('postgres', 'SET ROLE monitor; SELECT * FROM advisory_lock_name');
like($err, qr/permission denied for table advisory_lock_name/, 'nor read the labels');

# A row's key follows the rules of the table: privilege on the key column, no row security.
$node->safe_psql('postgres', 'GRANT SELECT (id) ON jam TO monitor');
is($node->safe_psql('postgres', 'SET ROLE monitor; SELECT count(*) FROM blocking_locks() WHERE target LIKE $$% id=1$$'), '2', 'key column is enough');
close_all();
nobody_waits('sessions ended');
$node->safe_psql('postgres', 'ALTER TABLE jam ENABLE ROW LEVEL SECURITY');
session('writer');
session('late');
$sessions{writer}->query("BEGIN; UPDATE jam SET v = 'w' WHERE id = 1");
blocks('late', "UPDATE jam SET v = 'late' WHERE id = 1", 1);
is($node->safe_psql('postgres', 'SET ROLE monitor; SELECT count(*) FROM blocking_locks() WHERE target LIKE $$% id=1$$'), '0', 'row security hides it');
is($node->safe_psql('postgres', 'SELECT count(*) FROM blocking_locks() WHERE target LIKE $$% id=1$$'), '2', 'not from whom it does not filter');
close_all();
$node->safe_psql('postgres', 'ALTER TABLE jam DISABLE ROW LEVEL SECURITY');

# Odd names and long keys.
$node->safe_psql('postgres', q{
CREATE SCHEMA "My.Schema";
CREATE TABLE "My.Schema"."Order Details" ("Part" text, at date, n int, PRIMARY KEY (at, "Part"));
INSERT INTO "My.Schema"."Order Details" VALUES (repeat('é', 200), '2026-01-31', 1);
ALTER TABLE "My.Schema"."Order Details" DROP COLUMN n, ADD n int;
});
session('writer');
session('late');
$sessions{writer}->query('BEGIN; SELECT * FROM "My.Schema"."Order Details" FOR UPDATE');
blocks('late', 'DELETE FROM "My.Schema"."Order Details"', 1);
is($node->safe_psql('postgres', q{SET DateStyle = 'ISO'; SELECT DISTINCT target FROM blocking_locks()}),
	'row "My.Schema"."Order Details" (0,1) at=2026-01-31 "Part"=' . ('é' x 30) . '...',
	'odd names, long key');
is($node->safe_psql('postgres', 'SELECT DISTINCT object FROM blocking_locks()'), '"My.Schema"."Order Details"', 'object is the quoted identity');
close_all();

# A session of an ordinary role: who lacks pg_signal_backend is told so.
session('writer', user => 'app');
session('late',   user => 'app');
$sessions{writer}->query("BEGIN; UPDATE jam SET v = 'w' WHERE id = 1");
blocks('late', "UPDATE jam SET v = 'late' WHERE id = 1", 1);
like($node->safe_psql('postgres', 'SET ROLE monitor; SELECT advice, remedy FROM blocking_locks() WHERE depth = 0'),
	qr/role app\. That takes the privileges of role app or of pg_signal_backend\.\|SELECT /, 'what it takes');
$node->safe_psql('postgres', 'GRANT pg_signal_backend TO monitor');
is($node->safe_psql('postgres', 'SET ROLE monitor; ' . $node->safe_psql('postgres', 'SET ROLE monitor; SELECT remedy FROM blocking_locks() WHERE depth = 0')),
	't', 'a responder runs it');
nobody_waits('ordinary role');
close_all();

# Arguments.
($ret, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT * FROM blocking_locks(database => 'no such')");
like($err, qr/3D000: database "no such" does not exist/, 'unknown database');
($ret, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT * FROM blocking_locks('-1 s')");
like($err, qr/22023: argument "min_wait" must not be negative/, 'negative min_wait');

# The caller's own session.
session('own');
session('late');
$sessions{own}->query('BEGIN; LOCK TABLE jam');
blocks('late', 'SELECT count(*) FROM jam', 1);
like($sessions{own}->query('SELECT advice, remedy IS NULL FROM blocking_locks() WHERE depth = 0'),
	qr/your own session\.\|t$/, 'own session: no remedy');
close_all();

# A replication connection that runs SQL.
session('sender', replication => 'database');
session('late');
$sessions{sender}->query('BEGIN');
$sessions{sender}->query('LOCK TABLE jam');
blocks('late', 'SELECT count(*) FROM jam', 1);
is(look('who, backend_type, coalesce(remedy, $$none$$)'), "sender|walsender|none\n. late|client backend|none", 'walsender: no remedy');
close_all();

# A commit that waits for a synchronous standby has its locks still.
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
$node->reload;
session('commit');
session('late');
$sessions{commit}->query_until(qr/started/, "\\echo started\nUPDATE jam SET v = 'c' WHERE id = 2;\n");
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
blocks('late', "SET synchronous_commit = local; UPDATE jam SET v = 'd' WHERE id = 2", 1);
like(look('advice'), qr/^Bring the synchronous standby back/, 'commit that waits for a standby');
is(look('coalesce(remedy, $$none$$)'), "none\nnone", 'which a cancel would betray');
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$node->reload;
nobody_waits('synchronous commit');
close_all();

# Objects that are not relations.
$node->safe_psql('postgres', 'CREATE SCHEMA "Odd schema"');
session('drop');
session('late');
$sessions{drop}->query('BEGIN; DROP SCHEMA "Odd schema"');
blocks('late', 'CREATE TABLE "Odd schema".x ()', 1);
is(look('target'), "schema Odd schema\nschema Odd schema", 'lock on a schema');
close_all();

# Catalogs that everybody waits for: whoever looks does not join them.
session('vacuum');
session('late', user => 'app');
session('looker');
$sessions{looker}->query('SELECT count(*) FROM look');
$sessions{vacuum}->query('BEGIN; LOCK TABLE pg_class, pg_namespace, pg_database, pg_authid, pg_auth_members');
$sessions{late}->query_until(qr/started/, "\\echo started\nSELECT count(*) FROM pg_class;\n");
my $seen = '';
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	$seen = $sessions{looker}->query('SELECT kind, target ~ $$^relation \d+$$, user_name, database_name FROM blocking_locks()');
	last if $seen ne '';
	select(undef, undef, undef, 0.1);
}
is($seen, "root|t||\nhard|t||", 'numbers where names cannot be had');
$sessions{vacuum}->query('ROLLBACK');
close_all();

# Clients that hang while they connect are waiters, too, whether pg_stat_activity knows them already or not.
$node->safe_psql('postgres', 'CREATE DATABASE held');
session('admin');
$sessions{admin}->query('BEGIN; ALTER DATABASE held RENAME TO kept');
my ($client_out, $client_err) = ('', '');
my $client = IPC::Run::start([ 'psql', '-X', '-A', '-t', '-c', 'SELECT 1', '-d', $node->connstr('held') ],
	'<', \undef, '>', \$client_out, '2>', \$client_err);
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'object' AND NOT granted")
  or die 'the client does not wait';
is(look(q{kind, victims, wants, target, coalesce(remedy, 'none'), key LIKE '%gone'}),
	"root|1||database held|terminate|f\nhard|0|RowExclusiveLock|database held|none|f", 'a client that connects');
like(look('advice'), qr/^Leave it alone: it waits itself/m, 'it is not called gone');
is($node->safe_psql('postgres', "SELECT count(*) FROM blocking_locks(database => 'held')"), '2', 'filter by its database');
$sessions{admin}->query('ROLLBACK');
$client->finish;
is($client_out, "1\n", 'it has connected');
nobody_waits('a client that connects');
close_all();

# A parallel query is one blocker, and one victim.
$node->safe_psql('postgres', 'CREATE TABLE big AS SELECT g AS id FROM generate_series(1, 20000) g');
$node->safe_psql('postgres', 'ALTER TABLE big SET (parallel_workers = 3)');
session('parallel');
session('late');
$sessions{parallel}->query('SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 3');
$sessions{parallel}->query_until(qr/started/, "\\echo started\nSELECT count(pg_sleep(0.05)) FROM big;\n");
$node->poll_query_until('postgres', "SELECT count(*) = 3 FROM pg_stat_activity WHERE backend_type = 'parallel worker'")
  or die 'no parallel workers';
blocks('late', 'TRUNCATE big', 1);
is(look('who, kind, victims, cardinality(blocked_by)'), "parallel|root|1|0\n. late|hard|0|1", 'parallel query');
is($node->safe_psql('postgres', remedy('parallel')), 't', 'its leader is cancelled');
nobody_waits('parallel query');
close_all();

# Autovacuum gives way by itself; not where it prevents wraparound.
$node->safe_psql('postgres', q{
CREATE TABLE slow (id int) WITH (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0);
INSERT INTO slow SELECT generate_series(1, 50000);
DELETE FROM slow;
});
sub vacuumed
{
	my ($pattern) = @_;
	return $node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND query ~ '$pattern'");
}
$node->append_conf('postgresql.conf', 'autovacuum = on');
$node->reload;
vacuumed('public.slow$') or die 'no autovacuum';
session('ddl');
blocks('ddl', 'ALTER TABLE slow ADD x int', 1);
is(look('who, backend_type, held, coalesce(remedy, $$none$$)'),
	"autovacuum worker|autovacuum worker|ShareUpdateExclusiveLock|none\n. ddl|client backend||none", 'autovacuum');
like(look('advice'), qr/^Do nothing: ordinary autovacuum yields/, 'it yields');
close_all();
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->reload;
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'");
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'");

$node->safe_psql('postgres', 'VACUUM FREEZE');
$node->safe_psql('postgres', q{
DROP TABLE big;
INSERT INTO slow SELECT generate_series(1, 50000);
CREATE PROCEDURE burn() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 101000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP;
END $$;
SET synchronous_commit = off;
CALL burn();
});
$node->append_conf('postgresql.conf', 'autovacuum = on');
$node->reload;
vacuumed('public.slow \(to prevent wraparound\)$') or die 'no autovacuum against wraparound';
session('ddl');
blocks('ddl', 'ALTER TABLE slow ADD y int', 1);
is(look('who, coalesce(remedy, $$none$$)'), "autovacuum worker|none\n. ddl|cancel", 'autovacuum against wraparound');
like(look('advice'), qr/^Let it run: it prevents transaction id wraparound.*\nCancel it and run it again later/, 'it is left to run');
is($node->safe_psql('postgres', remedy('ddl')), 't', 'the command that waits is cancelled');
nobody_waits('autovacuum against wraparound');
close_all();
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->reload;

# More waiters than are asked one by one.
my $clients = 205;
session('holder');
$sessions{holder}->query("SELECT count(pg_advisory_lock(g)) FROM generate_series(0, 299) g");
my $script = $node->basedir . '/wait.sql';
PostgreSQL::Test::Utils::append_to_file($script, "SELECT pg_advisory_lock_shared(:client_id);\n");
my ($pgbench_out, $pgbench_err) = ('', '');
my $pgbench = IPC::Run::start(
	[ 'pgbench', '-n', '-c', $clients, '-j', 1, '-t', 1, '-M', 'simple', '-f', $script, $node->connstr('postgres') ],
	'>', \$pgbench_out, '2>', \$pgbench_err);
ok($node->poll_query_until('postgres', 'SELECT n FROM waiting', $clients), "$clients clients wait");
is($node->safe_psql('postgres', q{SELECT kind, count(*), max(victims), bool_and(detail LIKE '% approximate: %') FROM look GROUP BY kind ORDER BY kind}),
	"hard|$clients|0|t\nroot|1|$clients|t", 'many waiters: approximate, and says so');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM blocking_locks() WHERE blocked_by <> pg_blocking_pids(pid)}), '0', 'but right here');
$sessions{holder}->query('SELECT pg_advisory_unlock_all()');
$pgbench->finish;
nobody_waits('many waiters');
close_all();

# Labels are users' data: they survive a dump.
$node->safe_psql('postgres', "INSERT INTO advisory_lock_name VALUES (7, 42, 'slot 42')");
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('copy') ], 'restore');
is($node->safe_psql('copy', 'SELECT * FROM advisory_lock_name'), '7|42|slot 42', 'labels are kept');

$node->stop;
done_testing();
