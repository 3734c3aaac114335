/* caps_trial DIRECTORY [mount] < trials > results
 *
 * Tries on the kernel what cella.caps predicts. Line by line:
 *
 *   F name mode uid gid permitted inheritable magic rootid   makes a copy of DIRECTORY/report with these
 *   T number step step ... = name                            in a child: the steps, then exec of the file
 *
 * A file's magic is 0 (no capabilities) or that of the attribute. Steps have their arguments behind commas.
 * Results: `S state` at first; for each trial `C number errno,errno,... state`, then `A state` from the program, or
 * `X errno` where exec fails. With `mount` it first makes itself root of a user namespace of its own with a tmpfs
 * on DIRECTORY/tmp. DIRECTORY/nosuid is the same files on a mount without set-ID, where it may mount. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "caps_state.h"

static int to_parent[2], to_child[2];

static void die(const char *what)
{
	fprintf(stderr, "caps_trial: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	if (fd < 0)
		return -1;
	ssize_t count = write(fd, text, strlen(text));
	int error = errno;
	close(fd);
	errno = error;
	return count == (ssize_t)strlen(text) ? 0 : -1;
}

static void say_state(const char *before)
{
	char line[512], *p = put_text(line, before);
	p = put_state(p, 0);
	*p++ = '\n';
	if (write(1, line, (size_t)(p - line)) < 0)
		_exit(1);
}

/* security.capability as the kernel lays it out: magic, two times permitted and inheritable, rootid. */
static void make_file(const char *directory, char *rest)
{
	char name[64], path[4200], command[8600];
	unsigned mode, uid, gid, rootid;
	unsigned long long permitted, inheritable, magic;
	if (sscanf(rest, "%63s %o %u %u %llx %llx %llx %u", name, &mode, &uid, &gid, &permitted, &inheritable, &magic,
		   &rootid) != 8)
		die(rest);
	snprintf(path, sizeof path, "%s/%s", directory, name);
	snprintf(command, sizeof command, "cp '%s/report' '%s'", directory, path);
	if (system(command) != 0)
		die(command);
	if (chown(path, uid, gid) < 0 || chmod(path, mode) < 0)
		die(path);
	if (!magic)
		return;
	uint32_t attribute[6] = { (uint32_t)magic,		(uint32_t)permitted, (uint32_t)inheritable,
				  (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32), rootid };
	if (setxattr(path, "security.capability", attribute, magic >> 24 == 3 ? 24 : 20, 0) < 0)
		die(path);
}

static int each(uint64_t mask, int option, int suboption)
{
	for (int cap = 0; cap < 64; cap++)
		if (mask >> cap & 1 && (suboption ? prctl(option, suboption, cap, 0, 0) : prctl(option, cap, 0, 0, 0)) < 0)
			return -1;
	return 0;
}

/* A new user namespace. The parent, which is where the trial began, writes the maps; both texts are given with `_` for
 * a space. "-": nobody writes any. "self": the process itself maps its one ID to the given number. */
static int new_namespace(char **argument, int count)
{
	char line[256], byte;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	bool by_parent = argument[0][0] >= '0' && argument[0][0] <= '9';
	if (unshare(CLONE_NEWUSER) < 0) {
		int error = errno;
		if (by_parent && write(to_parent[1], "", 1) < 0) /* it waits */
			_exit(1);
		errno = error;
		return -1;
	}
	if (strcmp(argument[0], "-") == 0)
		return 0;
	if (strcmp(argument[0], "self") == 0) {
		/* An ID switch made us non-dumpable, and our own files in /proc root's. */
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
		snprintf(line, sizeof line, "%s %u 1", argument[1], uid);
		if (write_text("/proc/self/setgroups", "deny") < 0 || write_text("/proc/self/uid_map", line) < 0)
			return -1;
		snprintf(line, sizeof line, "%s %u 1", argument[1], gid);
		return write_text("/proc/self/gid_map", line);
	}
	snprintf(line, sizeof line, "%s,%s", argument[0], argument[count - 1]);
	if (write(to_parent[1], line, strlen(line) + 1) < 0 || read(to_child[0], &byte, 1) != 1)
		_exit(1);
	return 0;
}

static void write_maps(pid_t child, char *line)
{
	char path[64], *gid_map = strchr(line, ',');
	for (char *p = line; *p; p++)
		if (*p == '_')
			*p = ' ';
	*gid_map++ = '\0';
	snprintf(path, sizeof path, "/proc/%d/uid_map", (int)child);
	if (write_text(path, line) < 0)
		die(path);
	snprintf(path, sizeof path, "/proc/%d/gid_map", (int)child);
	if (write_text(path, gid_map) < 0)
		die(path);
	if (write(to_child[1], "", 1) != 1)
		die("pipe");
}

static uint32_t id(const char *text)
{
	return (uint32_t)strtol(text, NULL, 10); /* -1: unchanged */
}

static uint64_t mask(const char *text)
{
	return strtoull(text, NULL, 16);
}

static int step(char *text)
{
	char *argument[40] = { 0 };
	int count = 0;
	char *save, *name = strtok_r(text, ",", &save);
	while (count < 39 && (argument[count] = strtok_r(NULL, ",", &save)))
		count++;
	if (strcmp(name, "capset") == 0) {
		uint64_t e = mask(argument[0]), p = mask(argument[1]), i = mask(argument[2]);
		struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
		struct __user_cap_data_struct data[2] = { { (uint32_t)e, (uint32_t)p, (uint32_t)i },
							  { (uint32_t)(e >> 32), (uint32_t)(p >> 32),
							    (uint32_t)(i >> 32) } };
		return (int)syscall(SYS_capset, &header, data);
	}
	if (strcmp(name, "capbset_drop") == 0)
		return each(mask(argument[0]), PR_CAPBSET_DROP, 0);
	if (strcmp(name, "ambient_raise") == 0)
		return each(mask(argument[0]), PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE);
	if (strcmp(name, "ambient_lower") == 0)
		return each(mask(argument[0]), PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER);
	if (strcmp(name, "ambient_clear") == 0)
		return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (strcmp(name, "securebits") == 0)
		return prctl(PR_SET_SECUREBITS, strtoul(argument[0], NULL, 10), 0, 0, 0);
	if (strcmp(name, "keep_caps") == 0)
		return prctl(PR_SET_KEEPCAPS, strcmp(argument[0], "true") == 0, 0, 0, 0);
	if (strcmp(name, "no_new_privs") == 0)
		return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (strcmp(name, "setresuid") == 0)
		return (int)syscall(SYS_setresuid, id(argument[0]), id(argument[1]), id(argument[2]));
	if (strcmp(name, "setresgid") == 0)
		return (int)syscall(SYS_setresgid, id(argument[0]), id(argument[1]), id(argument[2]));
	if (strcmp(name, "setgroups") == 0) {
		gid_t groups[40];
		for (int i = 0; i < count; i++)
			groups[i] = id(argument[i]);
		return (int)syscall(SYS_setgroups, count, groups);
	}
	if (strcmp(name, "unshare_user") == 0)
		return new_namespace(argument, count);
	fprintf(stderr, "caps_trial: no step '%s'\n", name);
	_exit(1);
}

static void child(char *rest)
{
	char before[1024], *p = put_text(before, "C "), *save, *word = strtok_r(rest, " ", &save);
	p = put_text(p, word);
	*p++ = ' ';
	while ((word = strtok_r(NULL, " ", &save)) && strcmp(word, "=") != 0) {
		p = put_number(p, step(word) < 0 ? (uint64_t)errno : 0);
		p[-1] = ',';
	}
	*p++ = ' ';
	*p = '\0';
	say_state(before);
	char *path = strtok_r(NULL, " ", &save), *argv[] = { path, NULL }, *environment[] = { NULL };
	execve(path, argv, environment);
	dprintf(1, "X %d\n", errno);
	_exit(0);
}

static void trial(char *rest)
{
	char line[256];
	bool maps = false; /* one of the namespaces waits for us to write them */
	for (const char *p = rest; (p = strstr(p, "unshare_user,")); p++)
		maps = maps || (p[13] >= '0' && p[13] <= '9');
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		child(rest);
	if (maps) {
		ssize_t count = read(to_parent[0], line, sizeof line);
		if (count > 0 && line[0])
			write_maps(pid, line);
	}
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	static char line[8192];
	char tmp[4096], from[4096];
	const char *directory = argv[1];
	bool own = argc > 2 && strcmp(argv[2], "mount") == 0;
	if (own) {
		char *self[] = { "self", "0" };
		snprintf(from, sizeof from, "%s/report", directory);
		snprintf(tmp, sizeof tmp, "%s/tmp", directory);
		mkdir(tmp, 0755);
		if (new_namespace(self, 2) < 0 || unshare(CLONE_NEWNS) < 0)
			die("unshare");
		if (mount("none", tmp, "tmpfs", 0, "mode=755") < 0)
			die("mount");
		char command[9000];
		snprintf(command, sizeof command, "cp '%s' '%s/report'", from, tmp);
		if (system(command) != 0)
			die(command);
		directory = tmp;
	} else if (geteuid() == 0 && unshare(CLONE_NEWNS) == 0) {
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	}
	char nosuid[4200];
	snprintf(nosuid, sizeof nosuid, "%s/nosuid", directory);
	mkdir(nosuid, 0755);
	if (chdir(directory) < 0 || pipe2(to_parent, O_CLOEXEC) < 0 || pipe2(to_child, O_CLOEXEC) < 0)
		die(directory);
	bool bound = false;
	say_state("S ");
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == 'F')
			make_file(directory, line + 2);
		if (line[0] == 'T' && !bound) {
			bound = true;
			if (mount(directory, nosuid, NULL, MS_BIND, NULL) < 0 ||
			    mount("none", nosuid, NULL, MS_BIND | MS_REMOUNT | MS_NOSUID, NULL) < 0)
				if (geteuid() == 0)
					die(nosuid);
		}
		if (line[0] == 'T')
			trial(line + 2);
	}
	return 0;
}
