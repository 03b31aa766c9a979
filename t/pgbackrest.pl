# verify-wal on a repository of the real pgBackRest, each compression that it has, and what it lists.
use strict;
use warnings;
use AgentTest;
use BackupTool;
use Digest::SHA qw(sha1_hex);
use File::Path qw(rmtree);
use JSON::PP;
use POSIX qw(strftime);
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'pgbackrest is not installed' if system('pgbackrest version >/dev/null 2>&1') != 0;

my $server = archiving_server('backrest', 1, qw(repo log lock spool));
my ($node, $dir) = @$server{qw(node dir)};
configure_pgbackrest($server);
$node->append_conf('postgresql.conf', "archive_command = '$server->{command} archive-push %p'\n");
$node->start;
my $system = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
$node->safe_psql('postgres', 'CREATE TABLE t (i int, filler text)');

sub agent
{
	my (@arguments) = @_;
	return run_agent('verify-wal', @arguments);
}

pgbackrest($server, 'stanza-create');
pgbackrest($server, '--compress-type=gz', '--type=full', 'backup');
my %has = map { $_ => 1 } 'none', 'gz', 'lz4', 'zst';
for my $method (sort keys %has)
{
	$node->append_conf('postgresql.conf', "archive_command = '$server->{command} --compress-type=$method archive-push %p'");
	$node->reload;
	write_segments($server);
}
pgbackrest($server, '--type=incr', 'backup');
my $last = write_segments($server);
my $archive = (glob "$dir/repo/archive/scratch/*-1")[0];
my @files = sort glob "$archive/*/*";
is_deeply([map { my $suffix = $_; scalar(grep { /-[0-9a-f]{40}\Q$suffix\E$/ } @files) > 0 } '', '.gz', '.lz4', '.zst'], [1, 1, 1, 1], 'segments of each compression');

my $all = 'archive_found backup_lists backup_wal files_readable history_files info_files recovery_window segment_checksums segment_copies segment_headers segments_unread system_identifier wal_continuity wal_records';
my $info = decode_json(pgbackrest($server, '--output=json', 'info'))->[0];
for my $path ("$dir/repo", "$dir/repo/archive/scratch")
{
	my ($status, $document) = agent($path, '--system-identifier', $system, '--level', 'verify');
	is("$status $document->{result}", '0 success', "$path: good") or diag explain $document->{checks};
	is(with($document, 'passed'), $all, "$path: every check passes");
	is($document->{backup}{layout}, 'pgbackrest', "$path: layout");
	is($document->{backup}{id}, $last, "$path: newest");
	is_deeply([map { "$_->{backup} $_->{from} $_->{start_lsn} $_->{end_lsn} $_->{complete}" } @{ $document->{recovery_window} }],
		[map { "$_->{label} " . strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $_->{timestamp}{stop}) . " $_->{lsn}{start} $_->{lsn}{stop} 1" } @{ $info->{backup} }], "$path: the backups that pgbackrest lists");
	is($document->{backup}{timelines}[0]{ranges}[0]{first}, $info->{archive}[0]{min}, "$path: as pgbackrest, min");
	is($document->{backup}{timelines}[0]{ranges}[0]{last}, $info->{archive}[0]{max}, "$path: as pgbackrest, max");
}
my ($status, $document) = agent("$dir/repo", '--within', "$dir/repo");
is($status, 0, 'within the allowed directories');
($status, $document) = agent("$dir/repo/archive/scratch", '--within', "$dir/repo/archive");
is("$status " . scalar(@{ $document->{recovery_window} }), '0 2', 'what lies outside of them is not read: only what the archive itself says') or diag explain $document->{recovery_window};

# State the checksum of a file of pgBackRest's anew, which is changed in place: the SHA-1 of its sections as one document.
sub sum
{
	my ($section, $last, $text) = ('', '', '{');
	$_[0] =~ s/\n\[backrest\]\nbackrest-checksum=.*\z//s or die;
	for (split /\n/, $_[0])
	{
		if (/^\[(.*)\]$/) { $section = $1 }
		elsif (/^(.*?)=(.*)$/)
		{
			$text .= $section eq $last ? ',' : ($last eq '' ? '' : '},') . "\"$section\":{";
			$text .= "\"$1\":$2";
			$last = $section;
		}
	}
	$_[0] .= "\n[backrest]\nbackrest-checksum=\"" . sha1_hex("$text}}") . "\"\n";
	return;
}

# Damage: a byte of a segment whose records do not show it is still not what its name says.
sub bad_copy
{
	my ($name, $inflict, $level, $failed, $warned) = @_;
	system('cp', '-a', "$dir/repo", "$dir/bad") == 0 or die;
	$inflict->("$dir/bad/archive/scratch/" . ($archive =~ s{.*/}{}r));
	($status, $document) = agent("$dir/bad", '--level', $level);
	is(with($document, 'failed'), $failed, "$name: what fails") or diag explain $document->{checks};
	is(with($document, 'warning'), $warned, "$name: what warns");
	system('chmod', '-R', 'u+rwX', "$dir/bad");
	rmtree("$dir/bad");
	return;
}

sub one
{
	my ($path, $pattern) = @_;
	return (grep { /$pattern/ } sort glob "$path/*/*")[0];
}

sub edit
{
	my ($file, $edit) = @_;
	local $_ = slurp_file($file);
	$edit->();
	chmod 0600, $file;
	open my $out, '>:raw', $file or die "$file: $!";
	print $out $_;
	close $out or die $!;
	return;
}
bad_copy('the end of a segment, after its last record', sub { my @plain = grep { /-[0-9a-f]{40}$/ } sort glob "$_[0]/*/*"; edit($plain[-1], sub { substr($_, -1) = 'x' }) }, 'verify', 'segment_checksums', 'wal_continuity');
bad_copy('a checksum in a name', sub { my $file = one($_[0], '\.lz4$'); my $to = $file =~ s/-[0-9a-f](?=[0-9a-f]{39})/'-' . ($& eq '-0' ? '1' : '0')/er; rename $file, $to }, 'verify', 'segment_checksums', 'wal_continuity');
bad_copy('a compressed segment is cut', sub { my $file = one($_[0], '\.zst$'); chmod 0600, $file; truncate $file, (-s $file) / 2 }, 'verify', 'segment_headers', 'wal_continuity');
bad_copy('a flipped bit in a compressed one', sub { edit(one($_[0], '\.gz$'), sub { substr($_, length($_) - 6, 1) ^= "\1" }) }, 'verify', 'segment_headers', '');
bad_copy('a segment is missing that the older backup needs', sub { unlink one($_[0], '\.lz4$') }, 'status', '', 'wal_continuity');
bad_copy('a segment is missing that the newest backup needs', sub { unlink((sort glob "$_[0]/*/*-*")[-2]) }, 'status', 'wal_continuity', 'recovery_window');
bad_copy('a segment is there twice, with different contents', sub { my $file = one($_[0], '\.lz4$'); my $to = $file =~ s/-[0-9a-f](?=[0-9a-f]{39})/'-' . ($& eq '-0' ? '1' : '0')/er; system('cp', $file, $to) }, 'status', 'segment_copies', '');

# What pgBackRest writes of itself, twice: one of both is enough, and whether one is whole its checksum tells.
my %info = map { $_ => "$dir/bad/" . (/archive/ ? 'archive' : 'backup') . "/scratch/$_.info" } qw(archive backup);
my %harm = (
	'a digit is another one' => sub { edit($_[0], sub { s/^(db-system-id=\d*)(\d)$/$1 . (9 - $2)/me or die }) },
	'the checksum is another one' => sub { edit($_[0], sub { s/(backrest-checksum="[0-9a-f]*)([0-9a-f])(?=[0-9a-f]*")/$1 . ($2 eq '0' ? '1' : '0')/e or die }) },
	'it is cut' => sub { edit($_[0], sub { s/\n\[backrest\]\nbackrest-checksum=.*\z//s or die }) },
	'it is empty' => sub { edit($_[0], sub { $_ = '' }) },
	'it is no longer there' => sub { unlink $_[0] or die });
for my $name (sort keys %info)
{
	for my $how (sort keys %harm)
	{
		for my $copy ('', '.copy')
		{
			bad_copy("$name.info$copy: $how", sub { $harm{$how}->("$info{$name}$copy") }, 'status', '', 'info_files');
			like(items($document, 'info_files'), qr/^\Q$name.info$copy\E: it (?:has the checksum|states no checksum|is missing)[^\n]*$/, 'and that one it is');
			is(scalar @{ $document->{recovery_window} }, 2, 'both backups are known all the same');
		}
		bad_copy("$name.info and its copy: $how", sub { $harm{$how}->("$info{$name}$_") for '', '.copy' }, 'status', 'info_files', $name eq 'backup' ? 'backup_lists' : '')
		  unless $name eq 'archive' && $how =~ /there/;
	}
}
bad_copy('another format', sub { edit($info{backup}, sub { s/backrest-format=5/backrest-format=4/ or die }) }, 'status', '', 'info_files');
# Whatever byte is another one, it is as pgBackRest says.
system('cp', '-a', "$dir/repo", "$dir/bad") == 0 or die;
unlink "$info{backup}.copy" or die $!;
my $good = slurp_file($info{backup});
my @differ;
for my $n (0 .. 59)
{
	my $at = int(length($good) * $n / 60);
	my $text = $good;
	substr($text, $at, 1) ^= chr(1 << $n % 7);
	write_file($info{backup}, $text);
	(undef, $document) = agent("$dir/bad");
	my $says = `$server->{command} --repo1-path=$dir/bad --output=json --log-level-console=off info` =~ /"status":\{"code":0,"lock"/ ? 'warning' : 'failed';
	push @differ, "byte $at: $says" if check($document, 'info_files')->{result} ne $says;
}
is("@differ", '', 'the same bytes matter to pgBackRest and to us');
rmtree("$dir/bad");
bad_copy('pgBackRest met bad pages', sub { for my $copy ('', '.copy') { edit("$info{backup}$copy", sub { s/"backup-error":false/"backup-error":true/g or die; sum($_) }) } }, 'status', 'backup_wal', '');

# Several stanzas: which one must be said.
system('cp', '-a', "$dir/repo/archive/scratch", "$dir/repo/archive/other") == 0 or die;
($status, $document) = agent("$dir/repo");
is("$status $document->{error}{code}", '3 several_stanzas', 'several stanzas');
($status, $document) = agent("$dir/repo/archive/scratch");
is($status, 0, 'one of them');
$node->stop;
done_testing();
