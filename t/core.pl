# The extension's names and privileges under Supabase's default privileges.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('core');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'voxanne_ops'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION voxanne_ops');
is($node->safe_psql('postgres', "SELECT extversion FROM pg_extension WHERE extname = 'voxanne_ops'"), '1.0', 'installed');

# Functions of the script alone are gone when it has run; the library's are of no use to anybody else.
is($node->safe_psql('postgres', "SELECT string_agg(p, ' ') FROM unnest('{voxanne_reset_privileges,_voxanne_extension_created,voxanne_check_names}'::text[]) p WHERE to_regproc(p) IS NOT NULL"),
	'', 'the script drops its own functions');
$node->safe_psql('postgres', "CREATE FUNCTION voxanne_reset_privileges() RETURNS void LANGUAGE C AS 'voxanne_ops', 'voxanne_reset_privileges'");
like(($node->psql('postgres', "\\set VERBOSITY verbose\nSELECT voxanne_reset_privileges()"))[2], qr/55000: voxanne_reset_privileges\(\) is only for the extension's script/, 'voxanne_reset_privileges()');
$node->safe_psql('postgres', "CREATE FUNCTION _voxanne_extension_created() RETURNS void LANGUAGE C AS 'voxanne_ops', 'voxanne_extension_created'");
is($node->safe_psql('postgres', "SELECT _voxanne_extension_created()"), '', '_voxanne_extension_created() only wakes the worker');
like(($node->psql('postgres', "\\set VERBOSITY verbose\nSELECT _voxanne_backup_target_changed()"))[2], qr/39P01: _voxanne_backup_target_changed\(\) is a trigger function/, '_voxanne_backup_target_changed() is a trigger function');
$node->stop;
done_testing();
