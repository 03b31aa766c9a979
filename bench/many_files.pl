#!/usr/bin/perl
# many_files.pl BACKUP LISTED EXISTING: list LISTED more files in the manifest of a plain backup, each of them
# empty, of which the first EXISTING are made; prints the manifest's size in MB.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);

use constant PER_DIRECTORY => 10000;

my ($backup, $listed, $existing) = @ARGV;

sub slurp
{
	open(my $in, '<:raw', $_[0]) or die "$_[0]: $!\n";
	local $/;
	return scalar <$in>;
}

sub make_file
{
	open(my $out, '>', $_[0]) or die "$_[0]: $!\n";
	close $out;
	return;
}

my $lines = '';
for my $n (0 .. $listed - 1)
{
	my $directory = 'base/' . (900000 + int($n / PER_DIRECTORY));
	my $path = "$directory/" . (1000000 + $n);
	if ($n < $existing)
	{
		mkdir "$backup/$directory" if $n % PER_DIRECTORY == 0;
		make_file("$backup/$path");
	}
	$lines .= qq({ "Path": "$path", "Size": 0, "Last-Modified": "2026-01-01 00:00:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "00000000" },\n);
}
my $manifest = slurp("$backup/backup_manifest");
$manifest =~ s/("Files": \[\n)/$1$lines/ or die "no files in the manifest\n";
$manifest =~ s/("Manifest-Checksum": ")[^"]*/$1/;
my $covered = substr($manifest, 0, rindex($manifest, "\n", length($manifest) - 2) + 1);
my $digest = sha256_hex($covered);
$manifest =~ s/("Manifest-Checksum": ")/$1$digest/;
open(my $out, '>:raw', "$backup/backup_manifest") or die "$backup/backup_manifest: $!\n";
print $out $manifest;
close $out or die "$backup/backup_manifest: $!\n";
printf "%d\n", length($manifest) / 1e6;
