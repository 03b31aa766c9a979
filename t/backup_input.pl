# What is wrong around targets and the log: places in the data directory by another name, URLs with what may be
# secret, and a log that others have changed.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WorkerTest;

my $node = worker_node('input', "log_statement = none\nlog_min_error_statement = panic\nvoxanne_ops.backup_urls = 'https://backup.example/'\n");

sub sql { return $node->safe_psql('postgres', $_[0]) }

# What add_backup_target() says.
sub refusal
{
	my ($kind, $location) = @_;
	my ($status, undef, $err) = $node->psql('postgres', "SELECT add_backup_target('x', '$kind', \$\$$location\$\$)");
	is($status, 3, "refused: $kind $location");
	return $err;
}

# The server knows its data directory by a link; whoever names the directory itself means the same.
my $data = $node->data_dir;
rename $data, "$data.real" or die $!;
symlink "$data.real", $data or die $!;
$node->append_conf('postgresql.conf', "voxanne_ops.backup_directories = '" . agent_directory($node) . "/backups, $data, $data.real, $data.real.copy'");
$node->start;
sql('CREATE EXTENSION voxanne_ops');
is(sql('SHOW data_directory'), $data, 'the data directory is a link');
for my $place ($data, "$data/base", "$data.real", "$data.real/backups", "$data.real//pg_wal/")
{
	for my $kind ('basebackup', 'dump', 'wal_archive')
	{
		like(refusal($kind, $place), qr/DETAIL:  "\Q$place\E" lies inside the data directory of this cluster\.\nHINT:  Backups belong outside/, "$kind: $place lies in the data directory");
	}
}
sql("SELECT add_backup_target('beside', 'basebackup', '$data.real.copy'), remove_backup_target('beside')");

# A URL with a user name, a password or a query is not repeated, whatever else is wrong with it.
for my $kind ('http', 's3', 'supabase')
{
	for my $url ('https://user:T0PS3CRET@backup.example/x', 'http://user:T0PS3CRET@backup.example/x', 'ftp://T0PS3CRET@backup.example/x', 'https://user:T0PS3CRET@backup.example',
		'https://user:T0PS3CRET @backup.example/x', 'user:T0PS3CRET@backup.example/x', 'https://user:T0PS3CRET@backup.example/' . 'x' x 2000, 'https://user:T0PS3CRET@/../x')
	{
		like(refusal($kind, $url), qr/DETAIL:  The URL holds a user name or password\.\n/, "$kind: a user name");
	}
	for my $url ('https://backup.example/x?token=T0PS3CRET', 'http://backup.example/x?token=T0PS3CRET', 'https://backup.example?T0PS3CRET', 'https://elsewhere.example/x#T0PS3CRET', "https://backup.example/x y?T0PS3CRET")
	{
		like(refusal($kind, $url), qr/DETAIL:  The URL has a query or a fragment\.\n/, "$kind: a query");
	}
}
is(count_log($node, 'T0PS3CRET'), 0, 'nor in the log');

# The log: with row security that would hide everything, with a trigger that is against it, and with another name.
add_target($node, 'postgres', 'nightly');
sub rows { return sql("SELECT count(*) FROM backup_verification_log WHERE target = 'nightly'") }
ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM backup_verification_log WHERE target = 'nightly'"), 'verified');
sql("UPDATE backup_target SET status_interval = '300 days', verify_interval = '300 days'");
sql('CALL await_verification()');
sql('ALTER TABLE backup_verification_log FORCE ROW LEVEL SECURITY');
my ($rows, $runs) = (rows(), scalar agent_runs($node));
sql("SELECT request_verification('nightly')");
sql('CALL await_verification()');
is(rows(), $rows + 1, 'row security keeps no result out');

sql(<<'SQL');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no rows today'; END$$;
CREATE TRIGGER refuse BEFORE INSERT ON backup_verification_log FOR EACH ROW EXECUTE FUNCTION refuse();
SQL
my $change = sub {
	my ($what, $break, $mend, $pattern) = @_;
	($rows, $runs) = (rows(), scalar agent_runs($node));
	hold_agent($node);
	sql("SELECT request_verification('nightly')");
	agent_pid($node, $runs + 1);
	my $log = -s $node->logfile;
	sql($break);
	release_agent($node);
	ok(wait_until(sub { $node->log_contains($pattern, $log) }), "$what: the worker says so");
	sql($mend);
	ok(wait_until(sub { rows() > $rows }), "$what: when it is gone the result is recorded");
	sql('CALL await_verification()');
	is(rows(), $rows + 1, "$what: once");
	is(sql('SELECT count(*) FROM backup_target WHERE requested_at IS NOT NULL'), '0', "$what: what was requested is done");
	ok(wait_progress($node, 'postgres', "phase = 'idle' AND last_error IS NULL"), "$what: and forgotten");
	return;
};
sql('ALTER TABLE backup_verification_log DISABLE TRIGGER refuse');
$change->('a trigger', 'ALTER TABLE backup_verification_log ENABLE ALWAYS TRIGGER refuse', 'DROP TRIGGER refuse ON backup_verification_log', qr/LOG:.*no rows today|ERROR:.*no rows today/);
$change->('no log', 'ALTER TABLE backup_verification_log RENAME TO elsewhere', 'ALTER TABLE elsewhere RENAME TO backup_verification_log', qr/a table of extension "voxanne_ops" is missing/);

# A trigger runs as the table's owner, not as the worker.
sql(<<'SQL');
ALTER TABLE backup_verification_log NO FORCE ROW LEVEL SECURITY;
CREATE ROLE keeper;
CREATE TABLE noted (who name);
GRANT INSERT ON noted TO keeper;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.noted VALUES (current_user); RETURN new; END$$;
CREATE TRIGGER note BEFORE INSERT ON backup_verification_log FOR EACH ROW EXECUTE FUNCTION note();
GRANT CREATE ON SCHEMA public TO keeper;
ALTER TABLE backup_target OWNER TO keeper;
ALTER TABLE backup_verification_log OWNER TO keeper;
ALTER TABLE alert_outbox OWNER TO keeper;
SQL
$rows = rows();
sql("SELECT request_verification('nightly')");
sql('CALL await_verification()');
is(rows(), $rows + 1, 'another owner: recorded');
is(sql('SELECT DISTINCT who FROM noted'), 'keeper', 'and the trigger had no more rights than that owner');
is(count_log($node, 'TRAP:|PANIC'), 0, 'no assertion failed');
$node->stop;
done_testing();
