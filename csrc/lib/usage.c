/* The processor time and the memory of a running process and its descendants, from /proc (proc(5)). A process that has
 * ended and was waited for is in the numbers of its parent.
 *
 * A parent is read before its children: a child that ends in between is missed this time, and never counted twice. A
 * process that makes children faster than they can be read is not followed for ever: the sum is too low then. */
#include "lib/lib.h"
#include "value/check.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double TIMEOUT = 0.2; /* seconds */

struct pids {
	int *list;
	size_t count, room;
};

static bool add(struct pids *pids, int pid)
{
	if (pids->count == pids->room) {
		size_t room = pids->room ? 2 * pids->room : 64;
		int *list = realloc(pids->list, room * sizeof *list);
		if (!list)
			return false;
		pids->list = list;
		pids->room = room;
	}
	pids->list[pids->count++] = pid;
	return true;
}

struct usage {
	double user, system;
	long max_rss; /* kB */
};

/* Returns false where the process is gone. */
static bool read_stat(int pid, int *parent, struct usage *usage)
{
	char path[64], line[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	size_t length = fread(line, 1, sizeof line - 1, file);
	fclose(file);
	line[length] = '\0';
	/* The name before it may hold anything. */
	const char *rest = strrchr(line, ')');
	long user, system, children_user, children_system;
	if (!rest || sscanf(rest + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld %ld %ld", parent, &user,
			    &system, &children_user, &children_system) != 5)
		return false;
	double tick = (double)sysconf(_SC_CLK_TCK);
	usage->user += (double)(user + children_user) / tick;
	usage->system += (double)(system + children_system) / tick;
	return true;
}

static void read_max_rss(int pid, struct usage *usage)
{
	char path[64], line[256];
	long size;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return;
	while (fgets(line, sizeof line, file)) {
		if (sscanf(line, "VmHWM: %ld", &size) == 1 && size > usage->max_rss)
			usage->max_rss = size;
	}
	fclose(file);
}

/* Adds the children of each thread. -ENOENT where the kernel has no such files (CONFIG_PROC_CHILDREN). */
static int add_children(struct pids *pids, int pid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	if (!tasks)
		return 0; /* it is gone */
	size_t first = pids->count;
	int result = 0, child, threads = 0;
	for (const struct dirent *entry; result == 0 && (entry = readdir(tasks));) {
		int thread = atoi(entry->d_name);
		if (thread <= 0)
			continue;
		threads++;
		char name[96];
		snprintf(name, sizeof name, "/proc/%d/task/%d/children", pid, thread);
		FILE *file = fopen(name, "re");
		if (!file) {
			snprintf(name, sizeof name, "/proc/%d/task/%d", pid, thread);
			if (errno == ENOENT && access(name, F_OK) == 0)
				result = -ENOENT;
			continue;
		}
		while (result == 0 && fscanf(file, "%d", &child) == 1) {
			/* Those of a thread that ends go over to another. */
			size_t i = threads > 1 ? first : pids->count;
			while (i < pids->count && pids->list[i] != child)
				i++;
			if (i == pids->count && !add(pids, child))
				result = -ENOMEM;
		}
		fclose(file);
	}
	closedir(tasks);
	return result;
}

/* All that there are, each followed by its parent. */
static int scan(struct pids *all)
{
	DIR *proc = opendir("/proc");
	if (!proc)
		return -errno;
	int result = 0, parent;
	for (const struct dirent *entry; result == 0 && (entry = readdir(proc));) {
		int pid = atoi(entry->d_name);
		struct usage unused = { 0 };
		if (pid > 0 && read_stat(pid, &parent, &unused) && !(add(all, pid) && add(all, parent)))
			result = -ENOMEM;
	}
	closedir(proc);
	return result;
}

static int add_scanned(struct pids *pids, int pid, const struct pids *all)
{
	for (size_t i = 0; i + 1 < all->count; i += 2) {
		if (all->list[i + 1] == pid && !add(pids, all->list[i]))
			return -ENOMEM;
	}
	return 0;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int walk(int root, bool scans, bool memory, struct usage *usage)
{
	struct pids pids = { 0 }, all = { 0 };
	int result = add(&pids, root) ? 0 : -ENOMEM, parent;
	double till = now() + TIMEOUT;
	for (size_t i = 0; result == 0 && i < pids.count && now() < till; i++) {
		int pid = pids.list[i];
		if (!read_stat(pid, &parent, usage)) {
			if (i == 0)
				result = -ESRCH;
			continue;
		}
		if (memory)
			read_max_rss(pid, usage);
		size_t before = pids.count;
		if (!scans)
			result = add_children(&pids, pid);
		if (result == -ENOENT) {
			scans = true;
			pids.count = before;
			result = 0;
		}
		if (result == 0 && scans && all.count == 0)
			result = scan(&all);
		if (result == 0 && scans)
			result = add_scanned(&pids, pid, &all);
	}
	free(pids.list);
	free(all.list);
	return result;
}

/* tree_usage(pid [, memory [, scans]]) -> user seconds, system seconds, bytes | nil, message, errno
 * The bytes are the most that one of them had resident, 0 if `memory` is not asked for. `scans`: as if the kernel did
 * not tell a process's children. */
static int usage_tree_usage(lua_State *L)
{
	struct usage usage = { 0 };
	int pid = (int)check_range(L, 1, 1, INT32_MAX);
	int result = walk(pid, lua_toboolean(L, 3), lua_toboolean(L, 2), &usage);
	if (result < 0)
		return push_error(L, "/proc", -result);
	lua_pushnumber(L, usage.user);
	lua_pushnumber(L, usage.system);
	push_int64(L, (int64_t)usage.max_rss * 1024);
	return 3;
}

/* processors() -> how many there are that run */
static int usage_processors(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)sysconf(_SC_NPROCESSORS_ONLN));
	return 1;
}

void open_usage(lua_State *L)
{
	lua_pushcfunction(L, usage_tree_usage);
	lua_setfield(L, -2, "tree_usage");
	lua_pushcfunction(L, usage_processors);
	lua_setfield(L, -2, "processors");
}
