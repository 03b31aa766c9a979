# What the tests of voxanne_agent share: a run of it and what its document says, files that are damaged in
# place, and manifests and tar archives that are changed so that only what is being tested is wrong.
# A file that write_file, own or patch changes is a new one: copies that are links to it keep theirs.
package AgentTest;
use strict;
use warnings;
use Cwd;
use Digest::SHA qw(sha256_hex);
use Exporter 'import';
use File::Copy ();
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw($agent $sanitized run_agent check with items answer oracle server_to_back_up write_file own patch flip
  edit_manifest forget_checksum tar_member tar_header);

our $agent     = getcwd() . '/voxanne_agent';
our $sanitized = `ldd $agent` =~ /libasan/;

# Run the agent; its exit status and its document.  Nothing may be on standard error but what is wrong with
# the arguments.
sub run_agent
{
	my (@arguments) = @_;
	IPC::Run::run([ $agent, @arguments, '--format', 'json' ], '>', \my $out, '2>', \my $err);
	my $status = $? >> 8;
	is($err, '', "nothing on standard error: @arguments") if $status != 2;
	return ($status, $out eq '' ? undef : decode_json($out));
}

# A check of a document; an empty one if it is not there
sub check
{
	my ($document, $name) = @_;
	return (grep { $_->{name} eq $name } @{ $document->{checks} })[0] // { items => [], detail => '', result => '' };
}

# Names of the checks with this result
sub with
{
	my ($document, $result) = @_;
	return join ' ', sort map { $_->{name} } grep { $_->{result} eq $result } @{ $document->{checks} };
}

# What a check lists
sub items
{
	my ($document, $name) = @_;
	return join ', ', map { "$_->{path}: $_->{problem}" } @{ check($document, $name)->{items} };
}

# A run's document as text, without what differs from run to run and from copy to copy
sub answer
{
	my (undef, $document) = run_agent(@_);
	delete $document->{at};
	delete @{ $document->{backup} }{qw(age_seconds finished_at path id)};
	return JSON::PP->new->canonical->encode($document);
}

# pg_verifybackup's verdict
sub oracle
{
	my ($path, @options) = @_;
	IPC::Run::run([ 'pg_verifybackup', @options, $path ], '>', \my $out, '2>', \my $err);
	return $? == 0 ? 'good' : 'bad';
}

# A server with little to back up: table t, and table spaced in a tablespace in directory "space" of this one.
sub server_to_back_up
{
	my ($name, $dir) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(allows_streaming => 1, extra => ['--data-checksums']);
	$node->append_conf('postgresql.conf', "wal_keep_size = '200MB'\nautovacuum = off\n");
	$node->start;
	mkdir "$dir/space" or die $!;
	$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$dir/space'");
	$node->safe_psql('postgres', 'CREATE TABLE spaced TABLESPACE space AS SELECT generate_series(1, 1000) i');
	$node->safe_psql('postgres', "CREATE TABLE t AS SELECT i, repeat('x', 500) AS filler FROM generate_series(1, 500) i");
	$node->safe_psql('postgres', 'VACUUM t; CREATE UNIQUE INDEX ON t (i);');
	$node->safe_psql('postgres', 'UPDATE pg_database SET datistemplate = false');
	$node->safe_psql('postgres', "DROP DATABASE $_") for 'template0', 'template1';
	return $node;
}

# Write a file, in place of what has its name; its path.
sub write_file
{
	my ($path, $text, $mode) = @_;
	unlink $path;
	open my $file, '>:raw', $path or die "$path: $!";
	print $file $text;
	close $file or die $!;
	chmod $mode, $path if defined $mode;
	return $path;
}

# Make a file that may be a link to another backup's this one's own; its path.
sub own
{
	my ($path) = @_;
	File::Copy::copy($path, "$path.own") && rename "$path.own", $path or die "$path: $!";
	return $path;
}

# Overwrite bytes of a file; "bytes" may be a function of those that are there.
sub patch
{
	my ($path, $at, $length, $bytes) = @_;
	own($path);
	open my $file, '+<:raw', $path or die "$path: $!";
	seek $file, $at, 0;
	read($file, my $old, $length);
	seek $file, $at, 0;
	print $file ref $bytes ? $bytes->($old) : $bytes;
	close $file or die $!;
	return;
}

# For patch: the lowest bit of the first byte
sub flip { return chr(ord($_[0]) ^ 1) . substr($_[0], 1) }

# Change the manifest of a backup, in $_, and state the right checksum again.
sub edit_manifest
{
	my ($path, $edit) = @_;
	local $_ = slurp_file("$path/backup_manifest");
	s/"Manifest-Checksum": "[0-9a-f]+"\}\n\z// or die;
	$edit->();
	write_file("$path/backup_manifest", $_ . '"Manifest-Checksum": "' . sha256_hex($_) . "\"}\n");
	return;
}

# Have the manifest state no checksum of a file, so that only its contents can tell.
sub forget_checksum
{
	my ($path, $file) = @_;
	edit_manifest($path, sub { s/("Path": "\Q$file\E".*?), "Checksum-Algorithm": "\w+", "Checksum": "\w+"/$1/ or die });
	return;
}

# Where a member of a tar archive, given as text, begins: its header
sub tar_member
{
	my ($text, $name) = @_;
	my $at = 0;
	while ($at + 512 <= length $text)
	{
		my ($path) = unpack 'Z100', substr($text, $at, 100);
		return $at if $path eq $name || $path eq "./$name";
		my $size = oct(substr($text, $at + 124, 11));
		$at += 512 + 512 * int(($size + 511) / 512);
	}
	die "no $name";
}

# Change a field of a header in $_, a tar archive, and its sum.
sub tar_header
{
	my ($at, $offset, $field) = @_;
	substr($_, $at + $offset, length $field) = $field;
	substr($_, $at + 148, 8) = ' ' x 8;
	substr($_, $at + 148, 8) = sprintf("%06o\0 ", unpack('%32C*', substr($_, $at, 512)));
	return;
}

1;
