/* Tries what rules of Landlock refuse: each argument is VERB=WHAT, and what becomes of it is a line: "0", or the name
 * of the error. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int opened(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	return fd < 0 ? fd : close(fd);
}

static int port(const char *number, int kind, int (*call)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(number)) };
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, kind | SOCK_CLOEXEC, 0);
	return fd < 0 ? fd : call(fd, (const void *)&address, sizeof address);
}

static int by_address(const char *name, int is_abstract, int (*call)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(name);
	memcpy(address.sun_path + is_abstract, name, length);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? fd : call(fd, (const void *)&address, offsetof(struct sockaddr_un, sun_path) + is_abstract + length);
}

static int executed(const char *path)
{
	int pid = vfork(), status;
	if (pid == 0) {
		execl(path, path, (char *)0);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

static int terminal(const char *path)
{
	struct winsize size;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? fd : ioctl(fd, TIOCGWINSZ, &size);
}

/* Ways to TCP past Landlock's rules. */
static int multipath(const char *number)
{
	enum { MPTCP = 262 };
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(number)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, MPTCP);
	return fd < 0 ? fd : bind(fd, (const void *)&address, sizeof address);
}

static int fast_open(const char *number)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(number)) };
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return sendto(fd, "x", 1, MSG_FASTOPEN, (const void *)&address, sizeof address) == 1 ? 0 : -1;
}

/* For others to connect to, until it is killed: a path, or an abstract name. */
static int served(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(name), start = name[0] == '/' ? 0 : 1;
	memcpy(address.sun_path + start, name, length);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + start + length);
	if (bind(fd, (const void *)&address, size) < 0 || listen(fd, 8) < 0)
		return -1;
	puts("0");
	fflush(stdout);
	pause();
	return 0;
}

static int two(const char *words, int (*call)(const char *, const char *))
{
	char first[512];
	const char *second = strchr(words, ':');
	snprintf(first, sizeof first, "%.*s", (int)(second - words), words);
	return call(first, second + 1);
}

static int try(const char *verb, const char *what)
{
	if (!strcmp(verb, "read")) return opened(what, O_RDONLY);
	if (!strcmp(verb, "list")) return opened(what, O_RDONLY | O_DIRECTORY);
	if (!strcmp(verb, "write")) return opened(what, O_WRONLY);
	if (!strcmp(verb, "cut")) return opened(what, O_WRONLY | O_TRUNC);
	if (!strcmp(verb, "truncate")) return truncate(what, 0);
	if (!strcmp(verb, "create")) return opened(what, O_WRONLY | O_CREAT | O_EXCL);
	if (!strcmp(verb, "mkdir")) return mkdir(what, 0700);
	if (!strcmp(verb, "rmdir")) return rmdir(what);
	if (!strcmp(verb, "unlink")) return unlink(what);
	if (!strcmp(verb, "fifo")) return mkfifo(what, 0600);
	if (!strcmp(verb, "node")) return mknod(what, S_IFCHR | 0600, makedev(1, 3));
	if (!strcmp(verb, "symlink")) return symlink("x", what);
	if (!strcmp(verb, "rename")) return two(what, rename);
	if (!strcmp(verb, "link")) return two(what, link);
	if (!strcmp(verb, "listen")) return by_address(what, 0, bind);
	if (!strcmp(verb, "serve")) return served(what);
	if (!strcmp(verb, "unix")) return by_address(what, 0, connect);
	if (!strcmp(verb, "abstract")) return by_address(what, 1, connect);
	if (!strcmp(verb, "bind")) return port(what, SOCK_STREAM, bind);
	if (!strcmp(verb, "connect")) return port(what, SOCK_STREAM, connect);
	if (!strcmp(verb, "multipath_bind")) return multipath(what);
	if (!strcmp(verb, "fast_open")) return fast_open(what);
	if (!strcmp(verb, "udp_bind")) return port(what, SOCK_DGRAM, bind);
	if (!strcmp(verb, "udp_connect")) return port(what, SOCK_DGRAM, connect);
	if (!strcmp(verb, "signal")) return kill(!strcmp(what, "parent") ? getppid() : atoi(what), 0);
	if (!strcmp(verb, "own_signal")) return kill(getpid(), 0);
	if (!strcmp(verb, "trace")) return (int)ptrace(PTRACE_SEIZE, !strcmp(what, "parent") ? getppid() : atoi(what), 0, 0);
	if (!strcmp(verb, "execute")) return executed(what);
	if (!strcmp(verb, "ioctl")) return terminal(what);
	if (!strcmp(verb, "write_fd")) return write(atoi(what), "x", 1) == 1 ? 0 : -1;
	if (!strcmp(verb, "descriptors")) {
		errno = 0;
		for (int fd = 3; fd < 64; fd++)
			if (fcntl(fd, F_GETFD) >= 0)
				errno = EMFILE;
		return errno == EMFILE ? -1 : 0;
	}
	errno = ENOTSUP;
	return -1;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char verb[32] = "";
		const char *what = strchr(argv[i], '=');
		snprintf(verb, sizeof verb, "%.*s", (int)(what ? what - argv[i] : 31), argv[i]);
		int result = try(verb, what ? what + 1 : "");
		puts(result < 0 ? strerrorname_np(errno) : "0");
		fflush(stdout);
	}
	return 0;
}
