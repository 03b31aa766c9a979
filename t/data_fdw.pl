# Tenants spread over two databases of another server, behind postgres_fdw: right answers, in questions
# that the other server answers itself; what it refuses or cannot answer is a finding.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $shard = PostgreSQL::Test::Cluster->new('shard');
$shard->init;
$shard->append_conf('postgresql.conf', "log_statement = 'all'");
$shard->start;
my $node = PostgreSQL::Test::Cluster->new('coordinator');
$node->init;
$node->start;
if (!$node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'}))
{
	plan skip_all => 'no postgres_fdw';
}

my %columns = (
	contacts     => 'id int NOT NULL, org_id int NOT NULL, phone text, deleted_at timestamptz',
	appointments => 'id int NOT NULL, org_id int NOT NULL, contact_id int, scheduled_at timestamptz',
);
my ($host, $port) = ($shard->host, $shard->port);
$node->safe_psql('postgres', 'CREATE EXTENSION voxanne_ops; CREATE EXTENSION postgres_fdw');
for my $database ('s0', 's1')
{
	$shard->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql('postgres', qq{
		CREATE SERVER $database FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname '$database', use_remote_estimate 'true');
		CREATE USER MAPPING FOR CURRENT_USER SERVER $database;
	});
}
for my $table (sort keys %columns)
{
	$node->safe_psql('postgres', "CREATE TABLE $table ($columns{$table}) PARTITION BY HASH (org_id)");
	for my $i (0 .. 3)
	{
		my $database = 's' . $i % 2;

		$shard->safe_psql($database, "CREATE TABLE ${table}_$i ($columns{$table})");
		$node->safe_psql('postgres', "CREATE FOREIGN TABLE ${table}_$i PARTITION OF $table
			FOR VALUES WITH (MODULUS 4, REMAINDER $i) SERVER $database");
	}
}
$node->safe_psql('postgres', q{
	INSERT INTO contacts SELECT i, i % 20, i FROM generate_series(1, 200) i;
	INSERT INTO appointments SELECT i, (i % 200 + 1) % 20, i % 200 + 1, '2026-01-01 10:00Z'::timestamptz + i * interval '1 h' FROM generate_series(1, 600) i;
	INSERT INTO appointments VALUES (601, 1, NULL, '2026-01-01Z');
	CREATE TABLE organizations (id int PRIMARY KEY);
	INSERT INTO organizations SELECT generate_series(0, 19);
	CREATE TABLE rooms (id int PRIMARY KEY, org_id int REFERENCES organizations, contact_id int);
	INSERT INTO rooms VALUES (1, 5, 5);
});

sub answers
{
	my ($query, $expected, $message) = @_;

	is($node->safe_psql('postgres', $query), $expected, $message);
}

# Healthy: no finding, and the join has been left to the other server, tenant by tenant.
my $offset = -s $shard->logfile;
answers('SELECT * FROM find_orphans()', '', 'quiet');
answers(q{SELECT * FROM find_duplicates('contacts', '{phone}')}, '', 'quiet: duplicates');
my $log = slurp_file($shard->logfile, $offset);
for my $i (0 .. 3)
{
	like($log, qr/SELECT \(?count\(\*\) - count\(\S+\)\)? FROM \(public\.appointments_$i r\d+ LEFT JOIN public\.contacts_$i r\d+ ON [^;]*\(r\d+\.org_id = r\d+\.org_id\)/,
		"partition $i is joined with its sister where they are, by the tenant as well");
}
like($log, qr/SELECT \S+, \S+, count\(\*\) FROM public\.contacts_\d .*GROUP BY \d, \d HAVING \(\(count\(\*\) > 1\)\)/,
	'duplicates are grouped where they are');
unlike($log, qr/\bNOT IN\b|TABLESAMPLE/, 'nothing that would be slow or wrong');

# Broken: the numbers are those of a plain query.
$node->safe_psql('postgres', q{
	DELETE FROM contacts WHERE id IN (7, 8);
	UPDATE contacts SET deleted_at = '2026-01-01Z' WHERE id = 9;
	UPDATE contacts SET phone = '31' WHERE id = 11;
	INSERT INTO contacts VALUES (12, 12, 'twice', NULL);
	INSERT INTO appointments VALUES (602, 3, 10, NULL), (603, 99, 10, NULL);
	INSERT INTO rooms VALUES (2, 7, 7);
});
answers(q{SELECT severity, object, kind, orphans, checked FROM find_orphans() WHERE object LIKE '%appointments.contact_id' ORDER BY object, kind},
	$node->safe_psql('postgres', q{
		SELECT 'critical', 'public.appointments.contact_id', 'cross_tenant', count(DISTINCT a.id), (SELECT count(contact_id) FROM appointments)
		FROM appointments a JOIN contacts c ON c.id = a.contact_id AND c.org_id <> a.org_id
		UNION ALL SELECT 'warning', 'public.appointments.contact_id', 'orphan', count(*), (SELECT count(contact_id) FROM appointments)
		FROM appointments WHERE contact_id IS NOT NULL AND NOT EXISTS (SELECT FROM contacts c WHERE c.id = contact_id)
		UNION ALL SELECT 'info', 'public.appointments.contact_id', 'soft_orphan', count(*), (SELECT count(contact_id) FROM appointments)
		FROM appointments a WHERE EXISTS (SELECT FROM contacts c WHERE c.id = a.contact_id AND c.deleted_at IS NOT NULL)}),
	'orphans between foreign partitions');
answers(q{SELECT object, kind, orphans, sample, remedy IS NULL FROM find_orphans() WHERE object LIKE '%org_id'},
	'public.appointments.org_id|orphan|1|[{"id": 603, "org_id": 99}]|t', 'a local parent of foreign rows');
answers(q{SELECT object, orphans, sample FROM find_orphans('rooms')}, 'public.rooms.contact_id|1|[{"id": 2, "contact_id": 7}]',
	'foreign parents of local rows');
answers(q{SELECT kind, sample FROM find_orphans('appointments', max_rows => 2) WHERE kind = 'orphan' AND object LIKE '%contact_id'},
	'orphan|[{"id": 6, "contact_id": 7}, {"id": 7, "contact_id": 8}]', 'the sample');
answers(q{SELECT rows, keep_id, duplicate_ids, remedy IS NULL, advice FROM find_duplicates('contacts', '{phone}')},
	'2|11|{31}|t|Merge them on the server that has them: there is no remedy across servers.', 'duplicates within a tenant');
answers(q{SELECT rows, keep_id FROM find_duplicates('contacts', '{id}') ORDER BY 1}, '2|12', 'duplicate ids');
answers(q{SELECT rows, keep_id FROM find_duplicates('appointments', '{scheduled_at}', nulls_distinct => false)}, '',
	'nulls are equal within a tenant only');

# One of the partitions is not readable by itself: the whole table is.
$node->safe_psql('postgres', q{
	CREATE ROLE reader;
	GRANT SELECT ON contacts, appointments TO reader;
	GRANT EXECUTE ON FUNCTION find_orphans(regclass, name[], boolean, boolean, int) TO reader;
	CREATE USER MAPPING FOR reader SERVER s0 OPTIONS (password_required 'false');
	CREATE USER MAPPING FOR reader SERVER s1 OPTIONS (password_required 'false');
});
my $owner = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', "ALTER USER MAPPING FOR reader SERVER $_ OPTIONS (ADD user '$owner')") for ('s0', 's1');
is( $node->safe_psql('postgres', q{SET ROLE reader; SELECT kind, orphans FROM find_orphans('appointments') WHERE kind <> 'skipped' ORDER BY 1}),
	$node->safe_psql('postgres', q{SELECT kind, orphans FROM find_orphans('appointments') WHERE object LIKE '%contact_id' ORDER BY 1}),
	'who may read only the partitioned tables gets the same');

# A foreign table on its own, as child and by name; a view is none.
$shard->safe_psql('s0', 'CREATE TABLE devices (id int, contact_id int, k text); INSERT INTO devices SELECT i, i + 100, i / 2 FROM generate_series(1, 90) i');
$node->safe_psql('postgres', 'CREATE FOREIGN TABLE devices (id int, contact_id int, k text) SERVER s0');
answers(q{SELECT * FROM find_orphans('devices')}, '', 'foreign table: quiet');
$shard->safe_psql('s0', q{INSERT INTO devices VALUES (91, 500, 'x')});
answers(q{SELECT object, kind, orphans, checked, sample FROM find_orphans('devices')},
	'public.devices.contact_id|orphan|1|91|[{"id": 91, "contact_id": 500}]', 'foreign table: orphan');
answers(q{SELECT count(*), min(rows) FROM find_duplicates('devices', '{k}')}, '44|2', 'foreign table: duplicates');

# What the other server refuses is a finding with its message, and the others are checked.
$shard->safe_psql('s0', q{
	CREATE FUNCTION refuse(int) RETURNS int LANGUAGE plpgsql AS
		$$BEGIN RAISE EXCEPTION 'complex joins are only supported when all distributed tables are co-located' USING ERRCODE = '0A000'; END$$;
	CREATE VIEW visits AS SELECT refuse(id) AS id, id AS contact_id FROM devices;
});
$node->safe_psql('postgres', 'CREATE FOREIGN TABLE visits (id int, contact_id int) SERVER s0');
answers(q{SELECT object, kind, detail FROM find_orphans('visits')},
	'public.visits.contact_id|skipped|The check failed with SQLSTATE 0A000: complex joins are only supported when all distributed tables are co-located.',
	'refused: that reference is skipped, with the message');
answers(q{SELECT severity, detail FROM find_duplicates('visits', '{id}')},
	'warning|The check failed with SQLSTATE 0A000: complex joins are only supported when all distributed tables are co-located.',
	'refused: duplicates');

# The other server is gone: what is here is still checked.
$node->safe_psql('postgres', q{
	CREATE TABLE notes (id int PRIMARY KEY, room_id int REFERENCES rooms);
	SET session_replication_role = replica;
	INSERT INTO notes VALUES (1, 9);
});
$shard->stop;
answers(q{SELECT kind, object FROM find_orphans() WHERE object LIKE '%notes%'}, 'orphan|public.notes.room_id', 'server gone: local tables');
like($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT kind, ',') || string_agg(detail, ' ') FROM find_orphans('appointments')}),
	qr/^skipped.*could not connect/s, 'server gone: foreign tables are skipped');

$node->stop;
done_testing();
