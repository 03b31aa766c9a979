# Options of targets at work: window, sizes, retention; results that come one by one, and from elsewhere.
use strict;
use warnings;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WorkerTest;

my $node = worker_node('targets', "log_timezone = 'UTC'\nTimeZone = 'America/New_York'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION voxanne_ops');

sub sql
{
	my ($query) = @_;
	return $node->safe_psql('postgres', $query);
}

sub verify
{
	my ($target, $level) = @_;
	sql("SET client_min_messages = error; CALL verify_backup('$target', '" . ($level // 'status') . "')");
	return;
}

sub last_row
{
	my ($target, $columns) = @_;
	return sql("SELECT $columns FROM backup_verification_log WHERE target = '$target' ORDER BY verified_at DESC LIMIT 1");
}

# Window.  Whatever the session's time zone: the first moment in the window that is not before the due time.
# Its beginning is put off by the share f of a tenth of its length, of an hour at most; without a window, or
# where the last verification was not in one, the due time comes earlier by the same share.
sql(<<'EOT');
CREATE FUNCTION windows(t timestamptz, opens time, closes time, f numeric) RETURNS TABLE (s timestamptz, e timestamptz) LANGUAGE sql AS $$
	WITH zone AS (SELECT current_setting('log_timezone') AS z),
	days AS (SELECT (t AT TIME ZONE z)::date + d AS day, z FROM generate_series(-2, 2) d, zone),
	windows AS (SELECT (day + opens) AT TIME ZONE z AS s, (day + closes + CASE WHEN closes <= opens THEN interval '1 day' ELSE '0' END) AT TIME ZONE z AS e FROM days)
	SELECT s + least((e - s) / 10, interval '1 hour') * f, e FROM windows $$;
CREATE FUNCTION expected(t timestamptz, pause interval, opens time, closes time, f numeric) RETURNS timestamptz LANGUAGE sql AS $$
	WITH o AS (SELECT max(s) AS at FROM windows(t, opens, closes, f) WHERE s <= t),
	due AS (SELECT CASE WHEN pause >= '1 day' AND t - at <= pause / 2 THEN at + pause ELSE t + pause - least(pause / 10, interval '1 hour') * f END AS d FROM o)
	SELECT min(greatest(s, d)) FROM due, windows(d, opens, closes, f) WHERE e > d $$;
-- paused from the first moment on: the worker must not add a row of its own
INSERT INTO backup_target (name, kind, location, system_identifier, status_interval, paused_at)
	SELECT 'window', 'basebackup', '/x', system_identifier, '300 days', now() FROM pg_control_system();
EOT
my @windows = map { my $opens = $_; map { sprintf('%02d:30-%02d:15', $opens, ($opens + $_) % 24) } 1, 6, 14 } 0 .. 23;
for my $zone ('UTC', 'Asia/Kathmandu', 'Pacific/Kiritimati')
{
	$node->append_conf('postgresql.conf', "log_timezone = '$zone'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('log_timezone') = '$zone'") or die;
	my $wrong = sql(<<EOT);
BEGIN;
UPDATE backup_target SET paused_at = NULL;
CREATE TEMP TABLE found (w text, pause interval, found timestamptz, wanted timestamptz);
INSERT INTO backup_verification_log (target, status, level, verified_at) VALUES ('window', 'success', 'verify', date_trunc('second', now()) - interval '1 hour');
DO \$\$
DECLARE
	w text;
	p interval;
	f numeric;
BEGIN
	-- the share: of an hour, where there is no window
	SELECT extract(epoch FROM verified_at + interval '1 day' - next_due) / 3600 INTO f FROM backup_status() s, backup_verification_log l WHERE s.target = 'window' AND l.target = 'window';
	ASSERT f BETWEEN 0 AND 0.999999;
	FOREACH w IN ARRAY '{@{[ join ',', @windows ]}}'::text[] LOOP
		FOREACH p IN ARRAY '{1 day, 7 days, 6 hours}'::interval[] LOOP
			UPDATE backup_target SET verify_window = w, verify_interval = p;
			INSERT INTO found SELECT w, p, next_due,
				expected(date_trunc('second', now()) - interval '1 hour', p, split_part(w, '-', 1)::time, split_part(w, '-', 2)::time, f)
			FROM backup_status() WHERE target = 'window';
		END LOOP;
	END LOOP;
	-- whenever the last one was, also just after midnight, when yesterday's window may still have to begin
	UPDATE backup_target SET verify_interval = '7 days';
	FOREACH w IN ARRAY '{23:30-13:15,23:30-00:15,00:30-14:15,12:30-20:15}'::text[] LOOP
		UPDATE backup_target SET verify_window = w;
		FOR i IN 0..71 LOOP
			UPDATE backup_verification_log SET verified_at = date_trunc('second', now()) - i * interval '20 min' WHERE target = 'window';
			INSERT INTO found SELECT w, i * interval '20 min', next_due,
				expected(date_trunc('second', now()) - i * interval '20 min', '7 days', split_part(w, '-', 1)::time, split_part(w, '-', 2)::time, f)
			FROM backup_status() WHERE target = 'window';
		END LOOP;
	END LOOP;
END \$\$;
SELECT count(*) FROM found;
SELECT * FROM found WHERE abs(extract(epoch FROM found - wanted)) > 0.001 IS NOT FALSE;
ROLLBACK;
EOT
	is($wrong, scalar(@windows) * 3 + 4 * 72, "next time in a window, log_timezone $zone");
}
sql("SELECT remove_backup_target('window')");

find_backup($node, 1048576, 'base');

# Outside of the window the worker does what is quick, and what it is asked for.
add_target($node, 'postgres', 'nightly');
sql('CALL await_verification()');
my ($now, $closed) = split /\|/, sql("SELECT date_trunc('minute', now()), to_char(now() AT TIME ZONE current_setting('log_timezone') + '3 hours', 'HH24:MI-') || to_char(now() AT TIME ZONE current_setting('log_timezone') + '5 hours', 'HH24:MI')");
sql("DELETE FROM backup_verification_log; SELECT alter_backup_target('nightly', '{\"verify_window\": \"$closed\"}')");
sql('CALL await_verification()');
is(last_row('nightly', 'level'), 'status', 'outside of its window a new target is verified at level status only');
is(sql("SELECT next_due > now() FROM backup_status() WHERE target = 'nightly'"), 't', 'and is then not due');
sql("SELECT request_verification('nightly', 'verify')");
sql('CALL await_verification()');
is(last_row('nightly', 'level'), 'verify', 'but what is asked for is done');
sql("SELECT alter_backup_target('nightly', '{\"verify_window\": null}')");

# Sizes.
verify('nightly');
is(last_row('nightly', q{status, verification_details->'checks' @> '[{"check": "size_change"}]'}), 'success|f', 'nothing to compare with');
find_backup($node, 1100000, 'second');
verify('nightly');
like(last_row('nightly', q{status || ' ' || (jsonb_path_query_first(verification_details, '$.checks[*] ? (@.check == "size_change")')->>'detail')}),
	qr/^success The backup has 1\.1 MB, 4\.9 % more than the good one before, base, which had 1\.0 MB\.$/, 'a small change passes');
find_backup($node, 800000, 'third');
verify('nightly');
like(last_row('nightly', q{status || ' ' || (error_details #>> '{0,check}') || ' ' || (error_details #>> '{0,detail}')}),
	qr/^warning size_change The backup has 0\.8 MB, 27\.3 % less than the good one before, second, which had 1\.1 MB\.$/, 'a large one is a warning');
is(sql("SELECT severity, key FROM backup_status() WHERE target = 'nightly'"), 'warning|backup_warning:nightly', 'also in backup_status()');
verify('nightly');
is(last_row('nightly', 'status'), 'warning', 'for that backup it stays one');
sql("SELECT alter_backup_target('nightly', '{\"max_size_change\": 0.5}')");
verify('nightly');
is(last_row('nightly', 'status'), 'success', 'until the option allows it');
is(sql("SELECT string_agg((s->>'backup_id') || ' ' || (s->>'size_mb') || ' ' || coalesce(s->>'growth', '-'), ', ') FROM backup_status(), jsonb_array_elements(sizes) s WHERE target = 'nightly'"),
	'third 0.76 -0.2727, second 1.05 0.0490, base 1.00 -', 'sizes in backup_status(), the newest first');
sql("SELECT alter_backup_target('nightly', '{\"min_size\": \"1 MB\"}')");
verify('nightly', 'verify');
like(last_row('nightly', q{status || ' ' || proof || ' ' || (error_details #>> '{0,check}') || ' ' || (error_details #>> '{0,detail}')}),
	qr/^failure listed min_size The backup has 0\.8 MB, less than the 1\.0 MB wanted\.$/, 'too small is a failure');
like(sql("SELECT detail FROM backup_status() WHERE target = 'nightly'"), qr/^The backup has 0\.8 MB, less than the 1\.0 MB wanted\. Last good: second, /, 'what there is to restore from');
is(sql(q{SELECT levels #>> '{verify,last_good,backup_id}', levels #>> '{status,last_good,backup_id}' FROM backup_status() WHERE target = 'nightly'}),
	'base|second', 'at each level');
find_backup($node, 1100000, 'fourth');
verify('nightly', 'verify');
is(sql("SELECT severity, key FROM backup_status() WHERE target = 'nightly'"), 'info|backup_ok:nightly', 'quiet with the next good one');

# One target's hour is not another's: what is there is recorded and told.
add_target($node, 'postgres', 'weekly');
sql('CALL await_verification()');
ok(wait_progress($node, 'postgres', "phase = 'idle'"), 'idle');
hold_agent($node, 'deep_gate');
my $rows = sql("SELECT count(*) FROM backup_verification_log WHERE target = 'weekly'");
my $listener = $node->background_psql('postgres');
$listener->query_safe('LISTEN voxanne_ops');
sql("SELECT request_verification('nightly', 'verify'), request_verification('weekly')");
ok($node->poll_query_until('postgres', "SELECT count(*) > $rows FROM backup_verification_log WHERE target = 'weekly'"), 'one is recorded while the other is verified');
ok(wait_progress($node, 'postgres', "phase = 'running'"), 'under way');
ok(wait_progress($node, 'postgres', "target = 'nightly' AND done_mb = 420 AND total_mb = 1000"), 'with how far it is');
is(sql("SELECT count(*) FROM backup_verification_log w WHERE target = 'weekly' AND NOT EXISTS (SELECT FROM backup_verification_log a WHERE a.target = '*' AND a.verified_at > w.verified_at)"),
	'0', 'with a row for all after it');
my $heard = '';
ok(wait_until(sub { ($heard .= $listener->query('SELECT 1')) =~ /"target":"weekly"/ }), 'and its notification');
$listener->quit;
release_agent($node, 'deep_gate');
sql('CALL await_verification()');
is(last_row('nightly', 'level'), 'verify', 'the other follows');
# two that take long: in two cycles, of which both are waited for
my $deep_cycles = "SELECT cycles FROM backup_verification_progress WHERE level = 'verify'";
my $cycles = sql($deep_cycles);
sql("SELECT request_verification(level => 'verify')");
sql('CALL await_verification()');
is(last_row('nightly', 'level') . last_row('weekly', 'level') . sql('SELECT count(*) FROM backup_target WHERE requested_at IS NOT NULL'), 'verifyverify0', 'all that was asked for is done');
cmp_ok(sql($deep_cycles), '>=', $cycles + 2, 'one in a cycle');

# Retention of a target's own.
sql("UPDATE backup_verification_log SET verified_at = verified_at - interval '10 days' WHERE target IN ('nightly', 'weekly')");
sql("SELECT alter_backup_target('weekly', '{\"retention\": \"5 days\"}')");
my $old = "SELECT count(*) FROM backup_verification_log WHERE target = 'nightly' AND verified_at < now() - interval '9 days'";
$rows = sql($old);
verify($_) for 'nightly', 'weekly';
is(sql("SELECT string_agg(DISTINCT level, ' ') || ' ' || (max(n) <= 1) FROM (SELECT level, count(*) FILTER (WHERE verified_at < now() - interval '9 days') AS n FROM backup_verification_log WHERE target = 'weekly' GROUP BY 1) l"), 'status verify true', 'rows past it go, but not the latest of a level');
is(sql($old), $rows, 'those of others stay');
sql("UPDATE backup_verification_log SET verified_at = verified_at + interval '9 days' WHERE verified_at < now() - interval '9 days'");

# A result from elsewhere.
my ($sysid) = sql('SELECT system_identifier FROM pg_control_system()');
my %good = (protocol => 1, version => '1', command => 'verify-backup', result => 'success', level => 'verify', at => sql("SELECT to_char(now() AT TIME ZONE 'UTC' + '2 s', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"),
	checks => [ { name => 'manifest', result => 'passed', detail => "Gr\x{f6}\x{df}e.", items => [] } ],
	backup => { id => 'ci', finished_at => sql("SELECT to_char(now() AT TIME ZONE 'UTC' - interval '2 h', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"), size_bytes => 1200000, system_identifier => $sysid });

sub record
{
	my ($document, $target) = @_;
	my $text = ref $document ? JSON::PP->new->utf8->canonical->encode($document) : $document;
	$target = defined $target ? ", '$target'" : '';
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT record_verification(\$json\$$text\$json\$$target)");
	return "$out$err";
}
sub shifted { my ($shift) = @_; return sql("SELECT to_char(now() AT TIME ZONE 'UTC' + interval '$shift', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')") }
$rows = sql('SELECT count(*) FROM backup_verification_log');
like(record('{'), qr/22P02/, 'no JSON');
like(record('[1]', 'nightly'), qr/22023.*cannot be recorded\nDETAIL:  The document lacks/s, 'no object');
like(record(\%good), qr/22023.*Neither the argument "target" nor/s, 'no target');
like(record(\%good, 'nigthly'), qr/42704.*Perhaps you meant "nightly"/s, 'unknown target');
like(record({ %good, protocol => 2 }, 'nightly'), qr/22023.*protocol 2, and this library speaks protocol 1/s, 'protocol');
like(record({ %good, command => 'verify-dump' }, 'nightly'), qr/22023.*command "verify-dump", but backups of kind "basebackup" are verified by "verify-backup"/s, 'command');
like(record({ %good, level => 'deep' }, 'nightly'), qr/0A000/, 'level');
like(record({ %good, at => 'now' }, 'nightly'), qr/22023.*is not a time/s, 'no time');
like(record({ %good, at => shifted('10 min') }, 'nightly'), qr/22023.*It was made \d+ (s|min) from now/s, 'from the future');
like(record({ %good, at => shifted('-25 h') }, 'nightly'), qr/22023.*It was made 25 h ago, more than 24 h/s, 'old');
like(record({ %good, backup => { %{ $good{backup} }, system_identifier => '42' } }, 'nightly'), qr/22023.*system identifier 42; this one has $sysid/s, 'of another cluster');
like(record({ %good, backup => { %{ $good{backup} }, finished_at => shifted('10 min') } }, 'nightly'), qr/22023.*The backup ends \d+ (s|min) from now/s, 'of a backup from the future');
like(record('{"x": "' . 'x' x 4194304 . '"}', 'nightly'), qr/54000/, 'too long');
is(sql('SELECT count(*) FROM backup_verification_log'), $rows, 'none is recorded');
like(record(\%good, 'nightly'), qr/^success$/, 'a good one is');
is(last_row('nightly', q{status, level, proof, backup_id, verification_details->>'origin', verification_details->>'at', verified_at <= clock_timestamp() + '1 s', verification_details::text LIKE '%Größe%'}),
	"success|verify|checksummed|ci|external|$good{at}|t|t", 'as one of our own, and marked');
is(last_row('*', 'status'), 'success', 'with a row for all');
like(record(\%good, 'nightly'), qr/22023.*It was made at $good{at}, and what is known of target "nightly" at level "verify" is as new or newer/s, 'the same again is refused');
ok(wait_until(sub { sql("SELECT now() > '$good{at}'::timestamptz + '2 s'") eq 't' }), 'later');
my %bad = (%good, at => shifted('0 s'), result => 'failure', target => 'nightly', checks => [ { name => 'checksums', result => 'failed', detail => 'A file is damaged.', items => [] } ]);
like(record(\%bad), qr/^failure$/, 'a bad one too, and the document may name the target');
is(sql("SELECT severity, key FROM backup_status() WHERE target = 'nightly'"), 'critical|backup_failed:nightly', 'it counts');
# A target that only others verify.
sql(q{SELECT add_backup_target('elsewhere', 'basebackup', 's3://not/a/path', '{"external": true}')});
sql('CALL await_verification()');
is(sql("SELECT severity, key, next_due IS NULL FROM backup_status() WHERE target = 'elsewhere'"), 'warning|backup_never_verified:elsewhere|t', 'the worker leaves it alone');
like(record({ %good, at => shifted('0 s') }, 'elsewhere'), qr/^success$/, 'its results are handed in');
is(sql("SELECT severity, key FROM backup_status() WHERE target = 'elsewhere'"), 'info|backup_ok:elsewhere', 'and count');
sql("UPDATE backup_verification_log SET verified_at = verified_at - interval '3 days' WHERE target = 'elsewhere'");
is(sql("SELECT severity, key FROM backup_status() WHERE target = 'elsewhere'"), 'warning|backup_overdue:elsewhere', 'none for long is noticed');
like(record({ %good, at => shifted('5 s'), backup => { %{ $good{backup} }, id => "\x{1}\x{fc}" x 3000 } }, 'elsewhere'), qr/^success$/, 'a name longer than a notification');
is(last_row('elsewhere', 'length(backup_id)'), '6000', 'is recorded whole');
like(record({ %good, at => shifted('10 s'), backup => { %{ $good{backup} }, id => 'vast', finished_at => shifted('-1 h'), size_bytes => 9223372036854775807 } }, 'elsewhere'), qr/^warning$/, 'the largest size');
like(last_row('elsewhere', q{error_details #>> '{0,detail}'}), qr/^The backup has 9223372036\.9 GB, \d+\.\d % more than /, 'stays what it is');
sql("UPDATE backup_target SET system_identifier = 42 WHERE name = 'weekly'");
like(record(\%good, 'weekly'), qr/55000/, 'a suspended target');
like(($node->psql('postgres', "CREATE ROLE nobody; SET ROLE nobody; SELECT record_verification('{}')"))[2], qr/permission denied/, 'not for everybody');
is(count_log($node, 'TRAP:|PANIC'), 0, 'no assertion failed');
$node->stop;
done_testing();
