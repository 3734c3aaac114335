# Servers for specs of networks: servers.pl "tcp 203.0.113.7 80" "udp 2001:db8::7 53" ... Each answers who has come, and
# on which of them. "dns ADDRESS PORT" answers each question for an IPv4 address with 203.0.113.9, and for another with
# nothing. Says "ready" once all listen, and then "came SERVER" of each who comes.
use strict;
use warnings;
use Socket qw(:all);

$| = 1;

sub place {
    my ($address, $port) = @_;
    return $address =~ /:/ ? (AF_INET6, pack_sockaddr_in6($port, inet_pton(AF_INET6, $address)))
        : (AF_INET, pack_sockaddr_in($port, inet_pton(AF_INET, $address)));
}

sub peer {
    my ($name) = @_;
    my $family = sockaddr_family($name);
    my ($port, $address) = $family == AF_INET6 ? unpack_sockaddr_in6($name) : unpack_sockaddr_in($name);
    return inet_ntop($family, $address);
}

sub answer {
    my ($question) = @_;
    my $end = index($question, "\0", 12) + 5;
    my $type = unpack("n", substr($question, $end - 4, 2));
    my $count = $type == 1 ? 1 : 0;
    my $head = substr($question, 0, 2) . pack("n5", 0x8180, 1, $count, 0, 0) . substr($question, 12, $end - 12);
    return $head . ($count ? pack("n3Nn", 0xc00c, 1, 1, 60, 4) . inet_aton("203.0.113.9") : "");
}

my ($set, %servers) = ("");
for my $spec (@ARGV) {
    my ($kind, $address, $port) = split / /, $spec;
    my ($family, $name) = place($address, $port);
    my $type = $kind eq "tcp" ? SOCK_STREAM : SOCK_DGRAM;
    socket(my $socket, $family, $type, 0) or die "socket: $!";
    setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1);
    bind($socket, $name) or die "bind $spec: $!";
    if ($kind eq "tcp") { listen($socket, 64) or die "listen: $!" }
    vec($set, fileno($socket), 1) = 1;
    $servers{fileno($socket)} = [$kind, $socket, $spec];
}
print "ready\n";
while (select(my $ready = $set, undef, undef, undef)) {
    for my $number (keys %servers) {
        next unless vec($ready, $number, 1);
        my ($kind, $socket, $spec) = @{$servers{$number}};
        if ($kind eq "tcp") {
            my $from = accept(my $one, $socket) or next;
            print "came $spec\n";
            syswrite($one, "$spec from " . peer($from) . "\n");
            close($one);
        } else {
            my $from = recv($socket, my $said, 4096, 0);
            defined $from or next;
            print "came $spec\n";
            send($socket, $kind eq "dns" ? answer($said) : "$spec from " . peer($from) . "\n", 0, $from);
        }
    }
}
