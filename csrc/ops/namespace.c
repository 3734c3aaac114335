/* Namespaces: unshare(2), setns(2), and what belongs to one of them (namespaces(7)). */
#include "ops/ops.h"
#include "sys/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* unshare(namespaces) -> true | nil, message, errno
 * Moves this process into new namespaces: unshare(2). A pid or time namespace takes its children only. */
static int act_unshare(const struct arg *a)
{
	return (int)RAW(SYS_unshare, a[0].n);
}

/* setns(fd [, namespaces]) -> true | nil, message, errno
 * Joins a namespace: setns(2). `fd` is one of /proc/PID/ns, or a pidfd together with the namespaces to join (Linux
 * 5.8). */
static int act_setns(const struct arg *a)
{
	return (int)RAW(SYS_setns, a[0].n, a[1].n);
}

static int open_mounts(void)
{
	return (int)RAW(SYS_openat, AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
}

/* Puts its own mount namespace in the place of another, in descriptors that it shares with its parent: who may not look
 * at its memory, as its parent may not where both are copies of the caller, gets no namespaces of it either. */
static _Noreturn void hand_mounts_over(int place)
{
	int fd = open_mounts();
	long result = fd < 0 ? fd : RAW(SYS_dup3, fd, place, O_CLOEXEC);
	RAW(SYS_close, fd);
	raw_leave(result < 0 ? (int)-result : 0);
}

/* Joins the mount namespace of a child that is born with it into a new user namespace, and does nothing else. */
static int join_mounts_below(void)
{
	struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_FILES };
	int fd = open_mounts(), status = 0;
	if (fd < 0)
		return fd;
	long result = RAW(SYS_clone3, &args, sizeof args);
	if (result == 0)
		hand_mounts_over(fd);
	if (result > 0)
		RAW_RETRY(result, SYS_wait4, result, &status, __WALL, 0);
	if (result >= 0 && status != 0)
		result = status & 0x7f ? -ECHILD : -(status >> 8 & 0xff);
	if (result >= 0)
		result = RAW(SYS_setns, fd, CLONE_NEWNS);
	RAW(SYS_close, fd);
	return (int)result;
}

/* unshare_mounts_below([keep_cwd]) [in a plan]
 * Moves this process into a new mount namespace, a copy of its own, that belongs to a new user namespace below its own.
 * A copy that is made of that later, by `unshare`, belongs to its own again, and the kernel locks in it every mount:
 * none can be unmounted, moved or given more than it allows (mount_namespaces(7)).
 * keep_cwd: the working directory stays what it is, or the step fails; without, it may be "/" then */
static int act_unshare_mounts_below(const struct arg *a)
{
	char path[PATH_MAX];
	struct stat was, is;
	bool keep = given(&a[0]) && a[0].n;
	long known = RAW(SYS_getcwd, path, sizeof path);
	if (known >= 0 && path[0] != '/')
		known = -ENOENT; /* "(unreachable)" */
	if (known >= 0)
		known = RAW(SYS_newfstatat, AT_FDCWD, ".", &was, 0);
	if (known < 0 && keep)
		return (int)known;
	int result = join_mounts_below();
	if (result < 0 || known < 0)
		return result;
	known = RAW(SYS_chdir, path);
	if (known == 0)
		known = RAW(SYS_newfstatat, AT_FDCWD, ".", &is, 0);
	if (known == 0 && (was.st_dev != is.st_dev || was.st_ino != is.st_ino))
		known = -ESTALE;
	return keep && known < 0 ? (int)known : 0;
}

/* sethostname(name) -> true | nil, message, errno
 * Up to 64 bytes: sethostname(2). */
static int act_sethostname(const struct arg *a)
{
	return (int)RAW(SYS_sethostname, a[0].p, a[0].n);
}

/* setdomainname(name) -> true | nil, message, errno
 * Up to 64 bytes: setdomainname(2). */
static int act_setdomainname(const struct arg *a)
{
	return (int)RAW(SYS_setdomainname, a[0].p, a[0].n);
}

/* link_up(interface) -> true | nil, message, errno
 * Brings a network interface up: a new network namespace has a loopback device that is down (netdevice(7)).
 * interface: "lo" */
static int act_link_up(const struct arg *a)
{
	struct ifreq request = { 0 };
	if ((size_t)a[0].n >= sizeof request.ifr_name)
		return -ENODEV;
	for (int64_t i = 0; i < a[0].n; i++)
		request.ifr_name[i] = ((const char *)a[0].p)[i];
	int fd = (int)RAW(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	int result = (int)RAW(SYS_ioctl, fd, SIOCGIFFLAGS, &request);
	if (result >= 0) {
		request.ifr_flags |= IFF_UP;
		result = (int)RAW(SYS_ioctl, fd, SIOCSIFFLAGS, &request);
	}
	RAW(SYS_close, fd);
	return result < 0 ? result : 0;
}

static const struct op rows[] = {
	{ "unshare", act_unshare, OP_CREDENTIALS, RESULT_TRUE,
	  { { "namespaces", K_FLAGS, false, &names_namespace } } },
	{ "unshare_mounts_below", act_unshare_mounts_below, OP_LATER | OP_CREDENTIALS, RESULT_TRUE,
	  { { "keep_cwd", K_BOOL, true } } },
	{ "setns", act_setns, OP_CREDENTIALS | OP_JOIN, RESULT_TRUE,
	  { { "fd", K_FD }, { "namespaces", K_FLAGS, true, &names_namespace } } },
	{ "sethostname", act_sethostname, 0, RESULT_TRUE, { { "name", K_TEXT } } },
	{ "setdomainname", act_setdomainname, 0, RESULT_TRUE, { { "name", K_TEXT } } },
	{ "link_up", act_link_up, 0, RESULT_TRUE, { { "interface", K_TEXT } } },
};

const struct op_table ops_namespace = OP_TABLE(rows);
