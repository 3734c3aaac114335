/* Landlock: what a process may do with files, ports and other processes, by rules that it gives itself and cannot take
 * back: landlock(7). What has no rule is refused, of all that the ruleset is about. */
#include "ops/ops.h"
#include "sys/raw.h"

#include <errno.h>
#include <fcntl.h>
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

/* landlock_add_path(ruleset_fd, path, access [, of_file [, optional [, no_links]]]) -> true | nil, message, errno
 * The same for what a path leads to. Links of /proc are not followed (ELOOP): they lead to whatever is open.
 * of_file: in place of `access`, where it is no directory
 * optional: a path that is not there (ENOENT) needs no rule
 * no_links: no symbolic link is followed (ELOOP): who is to be under the rules may have made it before */
static int act_landlock_add_path(const struct arg *a)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS };
	struct stat status;
	long fd, result;
	if (a[5].n)
		how.resolve |= RESOLVE_NO_SYMLINKS;
	RAW_RETRY(fd, SYS_openat2, AT_FDCWD, a[1].p, &how, sizeof how);
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
	    { "no_links", K_BOOL, true } } },
	{ "landlock_add_port", act_landlock_add_port, 0, RESULT_TRUE,
	  { { "ruleset_fd", K_FD }, { "port", K_PORT }, { "access", K_FLAGS, false, &names_landlock_net } } },
	{ "landlock_restrict_self", act_landlock_restrict_self, OP_CREDENTIALS, RESULT_TRUE, { { "ruleset_fd", K_FD } } },
	{ "expect_landlock", act_expect_landlock, 0, RESULT_TRUE,
	  { { "trials", K_FLAGS, false, &names_landlock_trial }, { "port", K_PORT, true } } },
};

const struct op_table ops_landlock = OP_TABLE(rows);
