/* Namespaces: unshare(2), setns(2), and what belongs to one of them (namespaces(7)). */
#include "ops/ops.h"
#include "sys/raw.h"

#include <errno.h>
#include <linux/sched.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

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
	{ "setns", act_setns, OP_CREDENTIALS | OP_JOIN, RESULT_TRUE,
	  { { "fd", K_FD }, { "namespaces", K_FLAGS, true, &names_namespace } } },
	{ "sethostname", act_sethostname, 0, RESULT_TRUE, { { "name", K_TEXT } } },
	{ "setdomainname", act_setdomainname, 0, RESULT_TRUE, { { "name", K_TEXT } } },
	{ "link_up", act_link_up, 0, RESULT_TRUE, { { "interface", K_TEXT } } },
};

const struct op_table ops_namespace = OP_TABLE(rows);
