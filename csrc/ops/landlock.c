/* Landlock: what a process may do with files, ports and other processes, by rules that it gives itself and cannot take
 * back: landlock(7). What has no rule is refused, of all that the ruleset is about. */
#include "ops/ops.h"
#include "sys/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

/* As the kernel has them since Linux 6.12: the headers that we build with may be older. */
struct ruleset {
	uint64_t fs, net, scoped;
};
struct path_rule {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));
struct port_rule {
	uint64_t access, port;
};
enum { OF_PATH = 1, OF_PORT = 2 };

/* landlock_create_ruleset([fs [, net [, scoped]]]) -> fd | nil, message, errno
 * landlock_create_ruleset(2): what is refused where no rule allows it.
 * fs: rights to files
 * net: rights to ports
 * scoped: what ends at the processes under the same rules */
static int act_landlock_create_ruleset(const struct arg *a)
{
	struct ruleset ruleset = { (uint64_t)a[0].n, (uint64_t)a[1].n, (uint64_t)a[2].n };
	/* A kernel takes no more than it knows, not even zeros of a later one. */
	size_t size = ruleset.scoped ? sizeof ruleset : ruleset.net ? 16 : 8;
	return (int)RAW(SYS_landlock_create_ruleset, &ruleset, size, 0);
}

static int add_path(int ruleset, int fd, uint64_t access)
{
	struct path_rule rule = { access, fd };
	return (int)RAW(SYS_landlock_add_rule, ruleset, OF_PATH, &rule, 0);
}

/* landlock_add_rule(ruleset_fd, fd, access) -> true | nil, message, errno
 * landlock_add_rule(2), LANDLOCK_RULE_PATH_BENEATH: what is allowed with a file, or a directory and all below. */
static int act_landlock_add_rule(const struct arg *a)
{
	return add_path((int)a[0].n, (int)a[1].n, (uint64_t)a[2].n);
}

static long open_path(const char *path, uint64_t resolve)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS | resolve };
	long fd;
	RAW_RETRY(fd, SYS_openat2, AT_FDCWD, path, &how, sizeof how);
	return fd;
}

static long open_in(long directory, const char *name)
{
	long fd;
	RAW_RETRY(fd, SYS_openat, directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd;
}

static bool is_same(const struct stat *one, const struct stat *other)
{
	return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/* Whether a directory is `above` or below that: 1 or 0, or a negative errno. */
static int is_below(long directory, const struct stat *above)
{
	struct stat status, parent;
	long at = RAW(SYS_fcntl, directory, F_DUPFD_CLOEXEC, 0);
	long result = at < 0 ? at : RAW(SYS_newfstatat, at, "", &status, AT_EMPTY_PATH);
	while (result == 0 && !is_same(&status, above)) {
		long up = open_in(at, "..");
		result = up < 0 ? up : RAW(SYS_newfstatat, up, "", &parent, AT_EMPTY_PATH);
		RAW(SYS_close, at);
		at = up;
		if (result == 0 && is_same(&status, &parent))
			break;
		status = parent;
	}
	if (at >= 0)
		RAW(SYS_close, at);
	return result < 0 ? (int)result : is_same(&status, above);
}

/* Whether a directory is below one of several. */
static int is_below_some(long directory, const char *const *paths)
{
	int result = 0;
	for (; *paths && result == 0; paths++) {
		struct stat above;
		long found = RAW(SYS_newfstatat, AT_FDCWD, *paths, &above, 0);
		if (found == 0)
			result = is_below(directory, &above);
		else if (found != -ENOENT)
			result = (int)found;
	}
	return result;
}

/* Puts what a link says, and what is behind it in a path, into `path`. */
static int follow(long link, char *path, const char *behind)
{
	char target[PATH_MAX];
	size_t length = 0;
	long size = RAW(SYS_readlinkat, link, "", target, sizeof target);
	if (size < 0)
		return (int)size;
	while (behind[length])
		length++;
	if ((size_t)size + length + 1 > PATH_MAX)
		return -ENAMETOOLONG;
	/* Upwards or downwards, as one may lie in the other. */
	size_t from = (size_t)(behind - path);
	for (size_t i = 0; i <= length; i++) {
		size_t at = from < (size_t)size ? length - i : i;
		path[(size_t)size + at] = path[from + at];
	}
	for (size_t i = 0; i < (size_t)size; i++)
		path[i] = target[i];
	return 0;
}

/* Opens a path as the kernel does, but for links that lie in or below one of these directories (ELOOP). */
static long open_without(const char *path, const char *const *links_in)
{
	enum { MOST_LINKS = 40 };
	char rest[PATH_MAX];
	size_t size = 0;
	do {
		if (size == sizeof rest)
			return -ENAMETOOLONG;
		rest[size] = path[size];
	} while (path[size++]);
	char *next = rest;
	int links = 0;
	long at = open_in(AT_FDCWD, *next == '/' ? "/" : ".");
	while (at >= 0) {
		while (*next == '/')
			next++;
		if (!*next)
			return at;
		char *end = next;
		while (*end && *end != '/')
			end++;
		char was = *end;
		*end = 0;
		struct stat status;
		long fd = open_in(at, next);
		*end = was;
		long result = fd < 0 ? fd : RAW(SYS_newfstatat, fd, "", &status, AT_EMPTY_PATH);
		if (result == 0 && S_ISLNK(status.st_mode)) {
			result = is_below_some(at, links_in);
			if (result > 0 || links++ == MOST_LINKS)
				result = -ELOOP;
			if (result == 0)
				result = follow(fd, rest, end);
			RAW(SYS_close, fd);
			fd = at;
			next = rest;
			if (result == 0 && *next == '/') {
				RAW(SYS_close, at);
				fd = open_in(AT_FDCWD, "/");
			}
		} else {
			RAW(SYS_close, at);
			next = end;
		}
		at = fd;
		if (result < 0) {
			if (at >= 0)
				RAW(SYS_close, at);
			return result;
		}
	}
	return at;
}

/* landlock_add_path(ruleset_fd, path, access [, of_file [, optional [, links_in]]]) -> true | nil, message, errno
 * The same for what a path leads to. Links of /proc are not followed (ELOOP): they lead to whatever is open.
 * of_file: in place of `access`, where it is no directory
 * optional: a path that is not there (ENOENT) needs no rule
 * links_in: in and below these no link is followed (ELOOP): who gets rules may have made it */
static int act_landlock_add_path(const struct arg *a)
{
	struct stat status;
	const char *const *links_in = given(&a[5]) ? a[5].p : NULL;
	long fd, result;
	fd = open_path(a[1].p, links_in ? RESOLVE_NO_SYMLINKS : 0);
	if (fd == -ELOOP && links_in) {
		fd = open_path(a[1].p, 0); /* which knows the links of /proc */
		if (fd >= 0) {
			RAW(SYS_close, fd);
			fd = open_without(a[1].p, links_in);
		}
	}
	if (fd < 0)
		return fd == -ENOENT && a[4].n ? 0 : (int)fd;
	result = RAW(SYS_newfstatat, fd, "", &status, AT_EMPTY_PATH);
	if (result == 0) {
		bool other = given(&a[3]) && !S_ISDIR(status.st_mode);
		result = add_path((int)a[0].n, (int)fd, (uint64_t)a[other ? 3 : 2].n);
	}
	RAW(SYS_close, fd);
	return (int)result;
}

/* landlock_add_port(ruleset_fd, port, access) -> true | nil, message, errno
 * landlock_add_rule(2), LANDLOCK_RULE_NET_PORT: what is allowed with a port. */
static int act_landlock_add_port(const struct arg *a)
{
	struct port_rule rule = { (uint64_t)a[2].n, (uint64_t)a[1].n };
	return (int)RAW(SYS_landlock_add_rule, a[0].n, OF_PORT, &rule, 0);
}

/* landlock_restrict_self(ruleset_fd) -> true | nil, message, errno
 * landlock_restrict_self(2): from here on this process, and all that it makes, are under these rules too. Needs
 * no_new_privs, or CAP_SYS_ADMIN. */
static int act_landlock_restrict_self(const struct arg *a)
{
	return (int)RAW(SYS_landlock_restrict_self, a[0].n, 0);
}

/* names_landlock_trial */
enum { TRIES_READ_DIR = 1, TRIES_BIND = 2, TRIES_CONNECT = 4 };

/* Whether the port of an own socket is refused: nothing but a rule answers EACCES to one that needs no privilege. */
static int try_port(long call, unsigned port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = (in_port_t)(port >> 8 | (port & 0xff) << 8),
		.sin_addr.s_addr = 0,
	};
	((unsigned char *)&address.sin_addr)[0] = 127;
	((unsigned char *)&address.sin_addr)[3] = 1;
	long fd = RAW(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -EAFNOSUPPORT)
		return 0; /* no such sockets at all */
	if (fd < 0)
		return (int)fd;
	long result = RAW(call, fd, &address, sizeof address);
	RAW(SYS_close, fd);
	return result == -EACCES ? 0 : -ENOTRECOVERABLE;
}

/* expect_landlock(trials [, port]) -> true | nil, message, errno
 * That what the rules refuse is refused: tried, because the kernel tells nobody which rules there are. ENOTRECOVERABLE
 * where it can be done: reading the root directory, or the port on 127.0.0.1.
 * port: one that needs no privilege */
static int act_expect_landlock(const struct arg *a)
{
	int result = 0;
	if (a[0].n & TRIES_READ_DIR) {
		long fd = RAW(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			RAW(SYS_close, fd);
		result = fd == -EACCES ? 0 : -ENOTRECOVERABLE;
	}
	if (result == 0 && a[0].n & TRIES_BIND)
		result = try_port(SYS_bind, (unsigned)a[1].n);
	if (result == 0 && a[0].n & TRIES_CONNECT)
		result = try_port(SYS_connect, (unsigned)a[1].n);
	return result;
}

static const struct op rows[] = {
	{ "landlock_create_ruleset", act_landlock_create_ruleset, OP_SOME, RESULT_FD,
	  { { "fs", K_FLAGS, true, &names_landlock_fs },
	    { "net", K_FLAGS, true, &names_landlock_net },
	    { "scoped", K_FLAGS, true, &names_landlock_scope } } },
	{ "landlock_add_rule", act_landlock_add_rule, 0, RESULT_TRUE,
	  { { "ruleset_fd", K_FD }, { "fd", K_FD }, { "access", K_FLAGS, false, &names_landlock_fs } } },
	{ "landlock_add_path", act_landlock_add_path, 0, RESULT_TRUE,
	  { { "ruleset_fd", K_FD },
	    { "path", K_PATH },
	    { "access", K_FLAGS, false, &names_landlock_fs },
	    { "of_file", K_FLAGS, true, &names_landlock_fs },
	    { "optional", K_BOOL, true },
	    { "links_in", K_STRINGS, true } } },
	{ "landlock_add_port", act_landlock_add_port, 0, RESULT_TRUE,
	  { { "ruleset_fd", K_FD }, { "port", K_PORT }, { "access", K_FLAGS, false, &names_landlock_net } } },
	{ "landlock_restrict_self", act_landlock_restrict_self, OP_CREDENTIALS, RESULT_TRUE, { { "ruleset_fd", K_FD } } },
	{ "expect_landlock", act_expect_landlock, 0, RESULT_TRUE,
	  { { "trials", K_FLAGS, false, &names_landlock_trial }, { "port", K_PORT, true } } },
};

const struct op_table ops_landlock = OP_TABLE(rows);
