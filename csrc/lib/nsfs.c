/* What namespaces tell of each other (ioctl_nsfs(2)), and which ones a process is in and holds open. */
#include "lib/descriptor.h"
#include "lib/fd.h"
#include "lib/lib.h"
#include "sys/raw.h"
#include "value/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int push_related(lua_State *L, unsigned long request, const char *what)
{
	int number = check_fd(L, 1);
	int *fd = new_fd(L);
	long result = RAW(SYS_ioctl, number, request);
	if (result < 0)
		return push_error(L, what, (int)-result);
	*fd = move_up((int)result, MIN_FD);
	return *fd < 0 ? push_error(L, what, errno) : 1;
}

/* namespace_parent(number) -> fd object | nil, message, errno
 * That which a user or pid namespace is below. EPERM where it is none that this process could have made. */
static int nsfs_parent(lua_State *L)
{
	return push_related(L, NS_GET_PARENT, "NS_GET_PARENT");
}

/* namespace_owner(number) -> fd object | nil, message, errno
 * The user namespace that governs a namespace. EPERM where it lies above this process's own, or beside it. */
static int nsfs_owner(lua_State *L)
{
	return push_related(L, NS_GET_USERNS, "NS_GET_USERNS");
}

/* namespace_owner_uid(number) -> integer | nil, message, errno
 * Who made a user namespace: the uid as this process's user namespace has it. */
static int nsfs_owner_uid(lua_State *L)
{
	uid_t uid = 0;
	if (ioctl(check_fd(L, 1), NS_GET_OWNER_UID, &uid) < 0)
		return push_error(L, "NS_GET_OWNER_UID", errno);
	push_int64(L, uid);
	return 1;
}

/* namespace_type(number) -> "user" | nil, message, errno
 * ENOTTY: the descriptor is of no namespace. */
static int nsfs_type(lua_State *L)
{
	int type = ioctl(check_fd(L, 1), NS_GET_NSTYPE);
	if (type < 0)
		return push_error(L, "NS_GET_NSTYPE", errno);
	const struct name *entry = names_namespace.list;
	while (entry->name && entry->value != (uint64_t)type)
		entry++;
	lua_pushstring(L, entry->name);
	return 1;
}

static const char *const links[][2] = {
	{ "user", "user" },
	{ "mount", "mnt" },
	{ "pid", "pid" },
	{ "ipc", "ipc" },
	{ "uts", "uts" },
	{ "net", "net" },
	{ "cgroup", "cgroup" },
	{ "time", "time" },
	{ "pid_for_children", "pid_for_children" },
	{ "time_for_children", "time_for_children" },
};

/* Sets the fields of a table to inodes. What a zombie no longer has, and what this kernel does not know, is absent.
 * Returns the errno of the first link that may not be followed. (Linux 5.10 follows such a one to the link itself.) */
static int set_namespaces(lua_State *L, int process)
{
	int refused = 0;
	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		char path[64];
		struct stat status;
		snprintf(path, sizeof path, "ns/%s", links[i][1]);
		int error = fstatat(process, path, &status, 0) < 0 ? errno : S_ISREG(status.st_mode) ? 0 : EACCES;
		if (error == 0) {
			push_int64(L, (int64_t)status.st_ino);
			lua_setfield(L, -2, links[i][0]);
		} else if (error == EACCES || error == EPERM) {
			refused = refused ? refused : error;
		}
	}
	return refused;
}

/* What /proc calls a namespace: "net:[4026531840]". Files begin with a slash, and pipes and sockets are no kind. */
static bool is_namespace(const char *target)
{
	const char *colon = strstr(target, ":[");
	if (!colon)
		return false;
	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		size_t length = strlen(links[i][1]);
		if ((size_t)(colon - target) == length && strncmp(target, links[i][1], length) == 0)
			return true;
	}
	return false;
}

enum { MOST_HELD = 256 };

/* A descriptor of a namespace. */
struct held {
	int fd;
	char target[40];
};

/* Fills a list with the namespaces that a process holds open, as far as it may be looked at. Returns how many those
 * are, which may be more than there is room for. Calls no Lua, which could raise and lose the directory. */
static int find_held(int process, struct held *list)
{
	int fd = process < 0 ? -1 : openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	int count = 0;
	if (!directory && fd >= 0)
		close(fd);
	if (!directory)
		return 0;
	for (const struct dirent *entry; (entry = readdir(directory));) {
		char target[sizeof list->target];
		ssize_t size = *entry->d_name == '.' ? 0 :
			       readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
		if (size <= 0)
			continue;
		target[size] = '\0';
		if (!is_namespace(target))
			continue;
		if (count < MOST_HELD) {
			list[count].fd = atoi(entry->d_name);
			memcpy(list[count].target, target, (size_t)size + 1);
		}
		count++;
	}
	closedir(directory);
	return count;
}

/* Pushes a list of { descriptor, "net:[...]" }. */
static void push_held(lua_State *L, int process)
{
	struct held list[MOST_HELD];
	int count = find_held(process, list);
	lua_newtable(L);
	for (int i = 0; i < count && i < MOST_HELD; i++) {
		lua_createtable(L, 2, 0);
		lua_pushinteger(L, list[i].fd);
		lua_rawseti(L, -2, 1);
		lua_pushstring(L, list[i].target);
		lua_rawseti(L, -2, 2);
		lua_rawseti(L, -2, i + 1);
	}
	if (count > MOST_HELD) {
		lua_pushboolean(L, true);
		lua_setfield(L, -2, "more");
	}
}

/* Opens the directory of a thread in the place of that of its process, whose first thread may have ended: it holds no
 * namespaces and descriptors any more, while the others run on. Returns the number of the thread, or 0 where the first
 * one is there, or none. */
static int look_at_thread(int *process)
{
	struct stat status;
	if (fstatat(*process, "ns/mnt", &status, 0) == 0 || errno != ENOENT)
		return 0;
	int fd = openat(*process, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = 0;
	DIR *tasks = fd < 0 ? NULL : fdopendir(fd);
	if (!tasks && fd >= 0)
		close(fd);
	for (const struct dirent *entry; tasks && !found && (entry = readdir(tasks));) {
		int number = atoi(entry->d_name); /* 0 for "." and ".." */
		int thread = number < 1 ? -1 : openat(dirfd(tasks), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (thread < 0)
			continue;
		if (fstatat(thread, "ns/mnt", &status, 0) < 0 && errno != EACCES && errno != EPERM) {
			close(thread);
			continue;
		}
		found = number;
		close(*process);
		*process = thread;
	}
	if (tasks)
		closedir(tasks);
	return found;
}

/* process_namespaces(pid) -> { status, namespaces, held, refused, thread } | nil, message, errno
 * `status`: the text of /proc/PID/status; `namespaces`: inodes by type; `held`: { { 7, "net:[4026531840]" } }, which
 * descriptors are of namespaces (`more` where there are further ones); `refused`: the errno where its namespaces may
 * not be looked at; `thread`: which all of this is of, where the first thread has ended and others run. All of it is of
 * one process: its directory is opened once. */
static int process_namespaces(lua_State *L)
{
	char path[32], text[8192];
	int pid = (int)check_range(L, 1, 1, INT32_MAX);
	int *directory = new_fd(L);
	snprintf(path, sizeof path, "/proc/%d", pid);
	*directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*directory < 0)
		return push_error(L, path, errno);
	int thread = look_at_thread(directory);
	lua_createtable(L, 0, 5);
	if (thread > 0) {
		lua_pushinteger(L, thread);
		lua_setfield(L, -2, "thread");
	}
	lua_createtable(L, 0, 10);
	int refused = set_namespaces(L, *directory);
	lua_setfield(L, -2, "namespaces");
	/* Who may not look at the namespaces may not at the descriptors. */
	push_held(L, refused ? -1 : *directory);
	lua_setfield(L, -2, "held");
	if (refused) {
		lua_pushinteger(L, refused);
		lua_setfield(L, -2, "refused");
	}
	/* Last, so that a process whose links went away meanwhile is seen to be a zombie, or gone. */
	int status = openat(*directory, "status", O_RDONLY | O_CLOEXEC);
	if (status < 0)
		return push_error(L, path, errno);
	ssize_t size;
	RAW_RETRY(size, SYS_read, status, text, sizeof text);
	close(status);
	if (size < 0)
		return push_error(L, path, (int)-size);
	lua_pushlstring(L, text, (size_t)size);
	lua_setfield(L, -2, "status");
	is_closed(*directory);
	close(*directory);
	*directory = -1;
	return 1;
}

void open_nsfs(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "namespace_parent", nsfs_parent },
		{ "namespace_owner", nsfs_owner },
		{ "namespace_owner_uid", nsfs_owner_uid },
		{ "namespace_type", nsfs_type },
		{ "process_namespaces", process_namespaces },
		{ 0 },
	};
	luaL_setfuncs(L, functions, 0);
}
