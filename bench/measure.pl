#!/usr/bin/perl
# measure.pl QUESTIONS ROUNDS [ONLY]: run every query of the file in turn, or the first and those whose
# question or answerer match a regular expression, so many rounds after one to warm up, and print a table of medians in seconds, with the ratios of the last of each question to the others and
# to the limit.  psql finds the server by its environment.
use strict;
use warnings;
use Time::HiRes qw(time);

my ($file, $rounds, $only) = @ARGV;
$only //= '';
my @queries;
open(my $in, '<', $file) or die "$file: $!\n";
while (my $line = <$in>)
{
	next if $line =~ /^\s*(#|$)/;
	chomp $line;
	my ($question, $who, $settings, $sql) = split /\s*\|\s*/, $line, 4;
	next if @queries && "$question $who" !~ /$only/;
	push @queries, { question => $question, who => $who, settings => $settings, sql => $sql, times => [] };
}
close $in;

# What both sides get, unless a query sets it.
my @common = ('max_parallel_workers_per_gather=1', 'max_parallel_maintenance_workers=1',
	 'maintenance_work_mem=1GB', 'jit=off');

for my $round (0 .. $rounds)
{
	for my $query (@queries)
	{
		local $ENV{PGOPTIONS} = join ' ', map { "-c $_" } @common, grep { length } split /,/, $query->{settings};
		my $started = time;
		system('psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-c', $query->{sql}) == 0
		  or die "failed: $query->{sql}\n";
		push @{ $query->{times} }, time - $started if $round > 0;
	}
	print STDERR "round $round of $rounds\n";
}

sub ours { return $_[0]{who} =~ /^(find_|check_data)/ }
sub median { my @sorted = sort { $a <=> $b } @_; return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2; }

$_->{median} = median(@{ $_->{times} }) for @queries;
my $limit = $queries[0]{median};
my %best;
for my $query (@queries)
{
	my $best = $best{ $query->{question} };
	$best{ $query->{question} } = $query->{median} if !ours($query) && (!defined $best || $query->{median} < $best);
}
print "| question | who | median, s | min, s | max, s | to the best SQL | to count(*) |\n|---|---|---|---|---|---|---|\n";
for my $query (@queries)
{
	my @sorted = sort { $a <=> $b } @{ $query->{times} };
	printf "| %s | %s | %.3f | %.3f | %.3f | %s | %.1f |\n", @$query{qw(question who median)}, @sorted[ 0, -1 ],
	  ours($query) && $best{ $query->{question} } ? sprintf('%.1f × faster', $best{ $query->{question} } / $query->{median}) : '', $query->{median} / $limit;
}
