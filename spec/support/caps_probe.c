/* caps_probe ACT [ARGUMENT]: one act that a capability allows. Exit status 0: done; else the errno.
 *
 * /mnt/secret is a file of somebody else without any permission; /tmp is for everybody to write, on a file system
 * of the container's own. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <sys/xattr.h>
#include <signal.h>
#include <unistd.h>

static const char *argument;

static int own_file(void)
{
	return close(open("/tmp/own", O_CREAT | O_WRONLY, 0644));
}

static int act_chown(void)
{
	return own_file() < 0 ? -1 : chown("/tmp/own", 5, 5);
}

static int act_dac_override(void)
{
	return open("/mnt/secret", O_WRONLY);
}

static int act_dac_read_search(void)
{
	return open("/mnt/secret", O_RDONLY);
}

static int act_fowner(void)
{
	return chmod("/mnt/secret", 0);
}

/* Whether it would be allowed: signal 0. */
static int act_kill(void)
{
	return kill(atoi(argument), 0);
}

static int act_setgid(void)
{
	return setresgid(5, 5, 5);
}

static int act_setuid(void)
{
	return setresuid(5, 5, 5);
}

static int act_setpcap(void)
{
	return prctl(PR_CAPBSET_DROP, 0, 0, 0, 0);
}

static int act_net_bind_service(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(80) };
	return bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address);
}

static int act_net_admin(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_mtu = 1400 };
	return ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFMTU, &request);
}

static int act_net_raw(void)
{
	return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int act_sys_chroot(void)
{
	return chroot("/tmp");
}

static int act_sys_admin(void)
{
	return mount("none", "/tmp", "tmpfs", 0, NULL);
}

static int act_sys_ptrace(void)
{
	return (int)ptrace(PTRACE_SEIZE, atoi(argument), 0, 0);
}

static int act_mknod(void)
{
	return mknod("/tmp/null", S_IFCHR | 0600, makedev(1, 3));
}

static int act_setfcap(void)
{
	uint32_t attribute[5] = { 0x2000000, 1 };
	return own_file() < 0 ? -1 : setxattr("/tmp/own", "security.capability", attribute, sizeof attribute, 0);
}

/* The length of a tick, to what it is. */
static int act_sys_time(void)
{
	struct timex now = { 0 };
	if (adjtimex(&now) < 0)
		return -1;
	struct timex same = { .modes = ADJ_TICK, .tick = now.tick };
	return adjtimex(&same);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*act)(void);
	} acts[] = {
		{ "chown", act_chown },
		{ "dac_override", act_dac_override },
		{ "dac_read_search", act_dac_read_search },
		{ "fowner", act_fowner },
		{ "kill", act_kill },
		{ "setgid", act_setgid },
		{ "setuid", act_setuid },
		{ "setpcap", act_setpcap },
		{ "net_bind_service", act_net_bind_service },
		{ "net_admin", act_net_admin },
		{ "net_raw", act_net_raw },
		{ "sys_chroot", act_sys_chroot },
		{ "sys_admin", act_sys_admin },
		{ "sys_ptrace", act_sys_ptrace },
		{ "mknod", act_mknod },
		{ "setfcap", act_setfcap },
		{ "sys_time", act_sys_time },
	};
	argument = argc > 2 ? argv[2] : "0";
	for (size_t i = 0; argc > 1 && i < sizeof acts / sizeof *acts; i++)
		if (strcmp(acts[i].name, argv[1]) == 0)
			return acts[i].act() < 0 ? errno : 0;
	return 255;
}
