#!/usr/bin/perl
use strict;
use warnings;
my %count;
open(my $in, '<', $0) or die;
while (<$in>) { $count{lc $1}++ while /(\w+)/g; }
print map { "$_ $count{$_}\n" } (sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count)[0..9];
my @primes = grep { my $n = $_; !grep { $n % $_ == 0 } 2 .. sqrt $n } 2 .. 3000;
print scalar(@primes), " @primes[-3..-1] @ARGV\n";
my $text = join ' ', map { sprintf '%x', $_ * $_ } 1 .. 2000;
(my $copy = $text) =~ tr/a-f/A-F/;
print length $text, ' ', substr($copy, -30), ' ', unpack('%32C*', $text), "\n";
open(my $out, '>', 'out') or die;
printf $out "%05.2f\n", sin $_ for 1 .. 100;
close $out;
print -s 'out', ' ', join('|', (stat 'out')[2, 7]), "\n";
local $| = 1;
eval { die { code => 42 } };
print "caught $@->{code}\n";
printf STDERR "to stderr %s\n", $^V;
my @sorted = sort { $a <=> $b } map { ($_ * 7919) % 10007 } 1 .. 20000;
print "$sorted[0] $sorted[-1]\n";
exit 11;
