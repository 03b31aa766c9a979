# pg_cron, Debian's package, runs a check on schedule beside our own workers.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($sharedir) = run_command([ $ENV{PG_CONFIG} || 'pg_config', '--sharedir' ]);
plan skip_all => 'this server has no pg_cron' if !-f "$sharedir/extension/pg_cron.control";

my $node = PostgreSQL::Test::Cluster->new('cron');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'pg_cron, voxanne_ops'
cron.database_name = 'postgres'
cron.use_background_workers = on
max_worker_processes = 20
CONF
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION pg_cron;
CREATE EXTENSION voxanne_ops;
CREATE TABLE contacts (id int PRIMARY KEY);
CREATE TABLE appointments (id int PRIMARY KEY, contact_id int);
ALTER TABLE appointments ADD FOREIGN KEY (contact_id) REFERENCES contacts NOT VALID;
INSERT INTO contacts VALUES (1);
ALTER TABLE appointments DISABLE TRIGGER ALL;
INSERT INTO appointments VALUES (1, 1), (2, 7);
ALTER TABLE appointments ENABLE TRIGGER ALL;
CREATE TABLE counted (findings bigint, of_appointments bigint);
SQL

# Before 1.5 a job starts on the minute at the earliest.
my $seconds = $node->safe_psql('postgres', "SELECT string_to_array(regexp_replace(extversion, '-.*', ''), '.')::int[] >= '{1,5}'
	FROM pg_extension WHERE extname = 'pg_cron'");
my $schedule = $seconds eq 't' ? '1 second' : '* * * * *';
$node->safe_psql('postgres', <<"SQL");
SELECT cron.schedule('look', '$schedule', 'SELECT count(*) FROM find_orphans()');
SELECT cron.schedule('keep', '$schedule', 'INSERT INTO counted SELECT count(*), count(*) FILTER (WHERE object ~ ''appointments'') FROM find_orphans()');
SQL

ok($node->poll_query_until('postgres', "SELECT count(DISTINCT jobid) = 2 FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')"),
	'both jobs ran');
is($node->safe_psql('postgres', "SELECT DISTINCT jobname, status FROM cron.job_run_details JOIN cron.job USING (jobid)
	WHERE status IN ('succeeded', 'failed') ORDER BY jobname"), "keep|succeeded\nlook|succeeded", 'and succeeded');
is($node->safe_psql('postgres', 'SELECT DISTINCT findings > 0, of_appointments FROM counted'), 't|1', 'with the answer that psql gets');
$node->safe_psql('postgres', 'SELECT cron.unschedule(jobid) FROM cron.job');

$node->stop;
done_testing();
