# What a server says to who comes: client.pl tcp ADDRESS PORT, udp ADDRESS PORT; or the addresses of a name: name NAME.
# Of what fails it prints the error. Several, one after the other, are told apart by ","; what has no answer within 10
# seconds, or those that stand behind the port, is the last.
use strict;
use warnings;
use Socket qw(:all);

$SIG{ALRM} = sub { print "no answer\n"; exit };

sub try {
    my ($kind, $address, $port) = @_;
    if ($kind eq "name") {
        my @found = gethostbyname($address);
        return @found ? join(" ", map { inet_ntoa($_) } @found[4 .. $#found]) : "unknown name";
    }
    my ($family, $name) = $address =~ /:/ ? (AF_INET6, pack_sockaddr_in6($port, inet_pton(AF_INET6, $address)))
        : (AF_INET, pack_sockaddr_in($port, inet_pton(AF_INET, $address)));
    socket(my $socket, $family, $kind eq "tcp" ? SOCK_STREAM : SOCK_DGRAM, 0) or return "socket: $!";
    connect($socket, $name) or return "error: $!";
    if ($kind eq "udp") { defined send($socket, "hello", 0) or return "error: $!" }
    defined sysread($socket, my $said, 4096) or return "error: $!";
    $said =~ s/\n$//;
    return $said eq "" ? "nothing" : $said;
}

my @words;
for my $word (@ARGV, ",") {
    if ($word ne ",") { push @words, $word; next }
    alarm($words[3] // 10);
    print try(@words), "\n";
    @words = ();
}
