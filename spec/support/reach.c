// Sends where a program in a container may not, by what needs no capability. Each argument is an attempt, words between
// spaces; of each a line is printed: the attempt, and what came back.
//
//	out WAY PROTOCOL ADDRESS PORT INTERFACE [SOURCE]  by the interface, chosen in one of the WAYS
//	own PROTOCOL ADDRESS PORT OWN INTERFACE   as the answer to what the target's address has sent over lo
//	spoofed ADDRESS PORT ALLOWED PORT INTERFACE  as the answer of an allowed address to what the target has "sent" it
//	last PROTOCOL ADDRESS PORT                to a server, and waits for its answer
//	heard ADDRESS PORT OWNPORT                the same, says "open", and asks again once there is /tmp/open/go
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

union place {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

static int one = 1;

static socklen_t length(const union place *at)
{
	return at->any.sa_family == AF_INET6 ? sizeof at->six : sizeof at->four;
}

static union place place(const char *address, const char *port)
{
	union place at = {0};
	if (strchr(address, ':')) {
		at.six.sin6_family = AF_INET6;
		at.six.sin6_port = htons(atoi(port));
		inet_pton(AF_INET6, address, &at.six.sin6_addr);
	} else {
		at.four.sin_family = AF_INET;
		at.four.sin_port = htons(atoi(port));
		inet_pton(AF_INET, address, &at.four.sin_addr);
	}
	return at;
}

static int by_device(int fd, const char *name)
{
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, strlen(name));
}

// Anybody's: an address that is not this host's.
static int bind_anywhere(int fd, const union place *at)
{
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (at->any.sa_family == AF_INET6) {
		setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &one, sizeof one);
	} else {
		setsockopt(fd, SOL_IP, IP_FREEBIND, &one, sizeof one);
	}
	return bind(fd, &at->any, length(at));
}

static const char *answer(int fd, int milliseconds)
{
	static char text[300];
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	if (poll(&ready, 1, milliseconds) <= 0) return "sent, no answer";
	ssize_t count = recv(fd, text, sizeof text - 1, 0);
	if (count < 0) return strerror(errno);
	text[count] = 0;
	text[strcspn(text, "\n")] = 0;
	static char said[400];
	snprintf(said, sizeof said, "ANSWER %s", text);
	return said;
}

static int send_pktinfo(int fd, const union place *to, unsigned index)
{
	char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
	struct iovec data = {.iov_base = "pktinfo", .iov_len = 7};
	struct msghdr message = {.msg_name = (void *)to, .msg_namelen = length(to), .msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control};
	struct cmsghdr *head = (struct cmsghdr *)control;
	if (to->any.sa_family == AF_INET6) {
		struct in6_pktinfo info = {.ipi6_ifindex = index};
		head->cmsg_level = SOL_IPV6;
		head->cmsg_type = IPV6_PKTINFO;
		head->cmsg_len = CMSG_LEN(sizeof info);
		memcpy(CMSG_DATA(head), &info, sizeof info);
		message.msg_controllen = CMSG_SPACE(sizeof info);
	} else {
		struct in_pktinfo info = {.ipi_ifindex = index};
		head->cmsg_level = SOL_IP;
		head->cmsg_type = IP_PKTINFO;
		head->cmsg_len = CMSG_LEN(sizeof info);
		memcpy(CMSG_DATA(head), &info, sizeof info);
		message.msg_controllen = CMSG_SPACE(sizeof info);
	}
	return sendmsg(fd, &message, 0);
}

// WAY PROTOCOL ADDRESS PORT INTERFACE [SOURCE]
static const char *out(char **words)
{
	const char *way = words[0], *interface = words[4];
	int tcp = !strcmp(words[1], "tcp");
	unsigned index = if_nametoindex(interface);
	union place to = place(words[2], words[3]);
	int six = to.any.sa_family == AF_INET6;
	int fd = socket(to.any.sa_family, tcp ? SOCK_STREAM | SOCK_NONBLOCK : SOCK_DGRAM, 0), rc = 0;
	if (words[5]) {
		union place from = place(words[5], "0");
		if (bind_anywhere(fd, &from) < 0) return strerror(errno);
	}
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof one);
	if (!strcmp(way, "device")) rc = by_device(fd, interface);
	if (!strcmp(way, "index")) rc = setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof index);
	if (!strcmp(way, "unicast")) {
		unsigned wire = htonl(index);
		rc = six ? setsockopt(fd, SOL_IPV6, 76 /* IPV6_UNICAST_IF */, &wire, sizeof wire)
			: setsockopt(fd, SOL_IP, 50 /* IP_UNICAST_IF */, &wire, sizeof wire);
	}
	if (!strcmp(way, "multicast")) {
		struct ip_mreqn choice = {.imr_ifindex = index};
		rc = six ? setsockopt(fd, SOL_IPV6, IPV6_MULTICAST_IF, &index, sizeof index)
			: setsockopt(fd, SOL_IP, IP_MULTICAST_IF, &choice, sizeof choice);
	}
	if (!strcmp(way, "scope")) to.six.sin6_scope_id = index;
	if (rc < 0) return strerror(errno);
	if (!strcmp(way, "pktinfo")) {
		rc = send_pktinfo(fd, &to, index);
	} else if (!tcp) {
		rc = sendto(fd, way, strlen(way), 0, &to.any, length(&to));
	} else {
		rc = connect(fd, &to.any, length(&to));
		if (rc < 0 && errno == EINPROGRESS) rc = 0;
	}
	const char *said = rc < 0 ? strerror(errno) : answer(fd, 40);
	close(fd);
	return said;
}

static void reset(int fd)
{
	struct linger now = {.l_onoff = 1};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(fd);
}

// A connection that gets no answer, as the queue of its listener is full: from `to` to `own`.
static int half_open(const union place *to, const union place *own)
{
	int listener = socket(own->any.sa_family, SOCK_STREAM, 0), full[2];
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(listener, &own->any, length(own)) < 0 || listen(listener, 0) < 0) return -1;
	for (int i = 0; i < 2; i++) {
		full[i] = socket(own->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(full[i], &own->any, length(own));
		usleep(20000);
	}
	int from = socket(own->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int rc = bind_anywhere(from, to);
	if (rc == 0) connect(from, &own->any, length(own));
	usleep(20000);
	close(from);
	for (int i = 0; i < 2; i++) reset(full[i]);
	close(listener);
	usleep(20000);
	return rc;
}

// PROTOCOL ADDRESS PORT OWN INTERFACE
static const char *own(char **words)
{
	union place to = place(words[1], words[2]), mine = place(words[3], "40000");
	int fd;
	if (!strcmp(words[0], "tcp")) {
		if (half_open(&to, &mine) < 0) return strerror(errno);
		fd = socket(mine.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		if (bind(fd, &mine.any, length(&mine)) < 0) return strerror(errno);
		by_device(fd, words[4]);
		if (connect(fd, &to.any, length(&to)) < 0 && errno != EINPROGRESS) return strerror(errno);
	} else {
		fd = socket(mine.any.sa_family, SOCK_DGRAM, 0);
		if (bind(fd, &mine.any, length(&mine)) < 0) return strerror(errno);
		int theirs = socket(mine.any.sa_family, SOCK_DGRAM, 0);
		if (bind_anywhere(theirs, &to) < 0) return strerror(errno);
		if (sendto(theirs, "open", 4, 0, &mine.any, length(&mine)) < 0) return strerror(errno);
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		char said[10];
		if (poll(&ready, 1, 5000) != 1 || recv(fd, said, sizeof said, 0) != 4) return "not open";
		close(theirs);
		by_device(fd, words[4]);
		if (sendto(fd, "own", 3, 0, &to.any, length(&to)) < 0) return strerror(errno);
	}
	const char *said = answer(fd, 200);
	close(fd);
	return said;
}

// ADDRESS PORT ALLOWED PORT INTERFACE
static const char *spoofed(char **words)
{
	union place to = place(words[0], words[1]), allowed = place(words[2], words[3]);
	int theirs = socket(to.any.sa_family, SOCK_DGRAM, 0), fd = socket(to.any.sa_family, SOCK_DGRAM, 0);
	if (bind_anywhere(theirs, &to) < 0) return strerror(errno);
	by_device(theirs, words[4]);
	if (sendto(theirs, "open", 4, 0, &allowed.any, length(&allowed)) < 0) return "not open";
	close(theirs);
	if (bind_anywhere(fd, &allowed) < 0) return strerror(errno);
	by_device(fd, words[4]);
	if (sendto(fd, "spoofed", 7, 0, &to.any, length(&to)) < 0) return strerror(errno);
	const char *said = answer(fd, 40);
	close(fd);
	return said;
}

// PROTOCOL ADDRESS PORT. An IPv6 address comes a second after the interface.
static const char *last(char **words)
{
	union place to = place(words[1], words[2]);
	int fd = socket(to.any.sa_family, SOCK_DGRAM, 0), rc;
	for (int i = 0; i < 500; i++) {
		rc = sendto(fd, "last", 4, 0, &to.any, length(&to));
		if (rc == 4 || (errno != ENETUNREACH && errno != EADDRNOTAVAIL)) break;
		usleep(20000);
	}
	const char *said = rc < 0 ? strerror(errno) : answer(fd, 10000);
	close(fd);
	return said;
}

// ADDRESS PORT OWNPORT
static const char *heard(char **words)
{
	union place to = place(words[0], words[1]), mine = place(strchr(words[0], ':') ? "::" : "0.0.0.0", words[2]);
	int fd = socket(to.any.sa_family, SOCK_DGRAM, 0);
	if (bind(fd, &mine.any, length(&mine)) < 0) return strerror(errno);
	if (sendto(fd, "heard", 5, 0, &to.any, length(&to)) < 0) return strerror(errno);
	if (strncmp(answer(fd, 10000), "ANSWER", 6)) return "no answer at all";
	printf("open\n");
	while (access("/tmp/open/go", F_OK) < 0) usleep(20000);
	if (sendto(fd, "again", 5, 0, &to.any, length(&to)) < 0) return strerror(errno);
	return answer(fd, 10000);
}

int main(int count, char **attempts)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < count; i++) {
		char *words[10] = {0}, *copy = strdup(attempts[i]);
		int n = 0;
		for (char *word = strtok(copy, " "); word && n < 9; word = strtok(NULL, " ")) words[n++] = word;
		const char *said = !strcmp(words[0], "out") ? out(words + 1) : !strcmp(words[0], "own") ? own(words + 1)
			: !strcmp(words[0], "spoofed") ? spoofed(words + 1) : !strcmp(words[0], "last") ? last(words + 1)
			: heard(words + 1);
		printf("%s: %s\n", attempts[i], said);
	}
	return 0;
}
