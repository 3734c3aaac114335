/* Queries: what the kernel says of the caller's process, or of another. They are functions of cella.sys as the
 * operations are (ops/ops.h), but cannot be part of a plan. */
#include "lib/lib.h"
#include "lib/libcap.h"
#include "sys/capability.h"
#include "sys/raw.h"
#include "value/capset.h"
#include "value/check.h"

#include <errno.h>
#include <linux/prctl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void at_most(lua_State *L, int count)
{
	if (lua_gettop(L) > count)
		luaL_error(L, "too many arguments (%d, at most %d)", lua_gettop(L), count);
}

static int push_ids(lua_State *L, const char *what, long number)
{
	uint32_t real = 0, effective = 0, saved = 0;
	long result = RAW(number, &real, &effective, &saved);
	if (result < 0)
		return push_error(L, what, (int)-result);
	push_int64(L, real);
	push_int64(L, effective);
	push_int64(L, saved);
	return 3;
}

/* getresuid() -> real: integer, effective: integer, saved: integer
 * getresuid(2). */
static int look_getresuid(lua_State *L)
{
	at_most(L, 0);
	return push_ids(L, "getresuid", SYS_getresuid);
}

/* getresgid() -> real: integer, effective: integer, saved: integer
 * getresgid(2). */
static int look_getresgid(lua_State *L)
{
	at_most(L, 0);
	return push_ids(L, "getresgid", SYS_getresgid);
}

/* getgroups() -> integer[]
 * The supplementary groups: getgroups(2). */
static int look_getgroups(lua_State *L)
{
	at_most(L, 0);
	enum { FEW = 64 };
	gid_t few[FEW], *groups = few;
	int count = getgroups(FEW, few);
	if (count < 0 && errno == EINVAL) {
		count = getgroups(0, NULL);
		groups = lua_newuserdata(L, ((size_t)(count < 0 ? 0 : count) + 1) * sizeof *groups);
		count = count < 0 ? count : getgroups(count, groups);
	}
	if (count < 0)
		return push_error(L, "getgroups", errno);
	lua_newtable(L);
	for (int i = 0; i < count; i++) {
		push_int64(L, groups[i]);
		lua_rawseti(L, -2, i + 1);
	}
	return 1;
}

/* getpid() -> integer
 * getpid(2). */
static int look_getpid(lua_State *L)
{
	at_most(L, 0);
	lua_pushinteger(L, getpid());
	return 1;
}

/* getppid() -> integer
 * getppid(2): 0 where the parent is in another pid namespace. */
static int look_getppid(lua_State *L)
{
	at_most(L, 0);
	lua_pushinteger(L, getppid());
	return 1;
}

static pid_t check_pid(lua_State *L, int index)
{
	return lua_isnoneornil(L, index) ? 0 : (pid_t)check_range(L, index, 1, INT32_MAX);
}

static void set_names(lua_State *L, const char *field, uint64_t set)
{
	push_capabilities(L, set);
	lua_setfield(L, -2, field);
}

/* capabilities([pid: integer]) -> cella.capability_sets | nil, message, errno
 * The five sets as lists of names: cap_get_pid(3), cap_iab_get_pid(3).
 * pid: this process */
static int look_capabilities(lua_State *L)
{
	at_most(L, 1);
	struct process_sets sets;
	const char *failed = read_process_sets(check_pid(L, 1), &sets);
	if (failed)
		return push_error(L, failed, errno);
	lua_createtable(L, 0, 5);
	set_names(L, "effective", sets.effective);
	set_names(L, "permitted", sets.permitted);
	set_names(L, "inheritable", sets.inheritable);
	set_names(L, "bounding", sets.bounding);
	set_names(L, "ambient", sets.ambient);
	return 1;
}

/* capabilities_text([pid: integer]) -> string | nil, message, errno
 * Effective, permitted and inheritable as cap_to_text(3) has them: "=ep".
 * pid: this process */
static int look_capabilities_text(lua_State *L)
{
	at_most(L, 1);
	char copy[1024] = "";
	cap_t state = cap_get_pid(check_pid(L, 1));
	if (!state)
		return push_error(L, "cap_get_pid", errno);
	char *text = cap_to_text(state, NULL);
	if (text)
		snprintf(copy, sizeof copy, "%s", text);
	cap_free(text);
	cap_free(state);
	lua_pushstring(L, copy);
	return 1;
}

/* last_capability() -> integer
 * The number of the highest capability that the running kernel knows. */
static int look_last_capability(lua_State *L)
{
	at_most(L, 0);
	lua_pushinteger(L, last_capability());
	return 1;
}

/* get_securebits() -> string[] | nil, message, errno
 * Of this process: the kernel tells nobody else's. */
static int look_securebits(lua_State *L)
{
	at_most(L, 0);
	long bits = RAW(SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0);
	if (bits < 0)
		return push_error(L, "PR_GET_SECUREBITS", (int)-bits);
	int count = 0;
	lua_newtable(L);
	for (const struct name *entry = names_securebits.list; entry->name; entry++) {
		if ((uint64_t)bits & entry->value) {
			lua_pushstring(L, entry->name);
			lua_rawseti(L, -2, ++count);
		}
	}
	return 1;
}

static int push_flag(lua_State *L, const char *what, int option)
{
	long result = RAW(SYS_prctl, option, 0, 0, 0, 0);
	if (result < 0)
		return push_error(L, what, (int)-result);
	lua_pushboolean(L, result != 0);
	return 1;
}

/* get_no_new_privs() -> boolean
 * PR_GET_NO_NEW_PRIVS. */
static int look_no_new_privs(lua_State *L)
{
	at_most(L, 0);
	return push_flag(L, "PR_GET_NO_NEW_PRIVS", PR_GET_NO_NEW_PRIVS);
}

/* get_dumpable() -> boolean
 * PR_GET_DUMPABLE: whether it is not 0. */
static int look_dumpable(lua_State *L)
{
	at_most(L, 0);
	return push_flag(L, "PR_GET_DUMPABLE", PR_GET_DUMPABLE);
}

/* get_seccomp() -> integer
 * PR_GET_SECCOMP: 2 where this thread is under filters; 0 where it is not, or the kernel has none. */
static int look_seccomp(lua_State *L)
{
	at_most(L, 0);
	long mode = RAW(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0);
	lua_pushinteger(L, mode < 0 ? 0 : mode);
	return 1;
}

/* landlock_abi() -> integer | nil, message, errno
 * Which Landlock the kernel has: landlock_create_ruleset(2), LANDLOCK_CREATE_RULESET_VERSION. */
static int look_landlock(lua_State *L)
{
	enum { NUMBER = 444, VERSION = 1 }; /* the headers that we build with may know of neither */
	at_most(L, 0);
	long abi = RAW(NUMBER, 0, 0, VERSION);
	if (abi < 0)
		return push_error(L, "landlock_create_ruleset", (int)-abi);
	lua_pushinteger(L, abi);
	return 1;
}

static void push_limit(lua_State *L, rlim_t limit)
{
	if (limit == RLIM_INFINITY)
		lua_pushliteral(L, "unlimited");
	else
		push_int64(L, (int64_t)limit);
}

/* getrlimit(resource: cella.resource [, pid: integer]) -> soft: cella.limit, hard: cella.limit | nil, message, errno
 * prlimit(2).
 * pid: this process */
static int look_getrlimit(lua_State *L)
{
	at_most(L, 2);
	struct rlimit limit;
	int resource = (int)check_name(L, 1, &names_rlimit);
	long result = RAW(SYS_prlimit64, check_pid(L, 2), resource, NULL, &limit);
	if (result < 0)
		return push_error(L, "getrlimit", (int)-result);
	push_limit(L, limit.rlim_cur);
	push_limit(L, limit.rlim_max);
	return 2;
}

static const struct names link_types = {
	"namespace",
	(const struct name[]){ { "user", 0 }, { "mount", 1 }, { "pid", 2 }, { "ipc", 3 }, { "uts", 4 },
			       { "net", 5 }, { "cgroup", 6 }, { "time", 7 }, { "pid_for_children", 8 },
			       { "time_for_children", 9 }, { 0 } },
};

/* namespace(type: cella.namespace_link [, pid: integer]) -> inode: integer, device: integer | nil, message, errno
 * What identifies a namespace of a process (namespaces(7)): two processes are in the same one where both numbers are
 * equal.
 * pid: this process */
static int look_namespace(lua_State *L)
{
	at_most(L, 2);
	static const char *const links[] = { "user", "mnt", "pid", "ipc", "uts", "net", "cgroup", "time",
					     "pid_for_children", "time_for_children" };
	const char *link = links[check_name(L, 1, &link_types)];
	pid_t pid = check_pid(L, 2);
	char path[64];
	struct stat status;
	if (pid)
		snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, link);
	else
		snprintf(path, sizeof path, "/proc/self/ns/%s", link);
	if (stat(path, &status) < 0)
		return push_error(L, path, errno);
	/* Linux 5.10 follows a link that may not be followed to the link itself. */
	if (!S_ISREG(status.st_mode))
		return push_error(L, path, EACCES);
	push_int64(L, (int64_t)status.st_ino);
	push_int64(L, (int64_t)status.st_dev);
	return 2;
}

/* gethostname() -> string
 * gethostname(2). */
static int look_gethostname(lua_State *L)
{
	at_most(L, 0);
	char name[256];
	if (gethostname(name, sizeof name) < 0)
		return push_error(L, "gethostname", errno);
	name[sizeof name - 1] = '\0';
	lua_pushstring(L, name);
	return 1;
}

/* environment() -> string[]
 * The environment of this process (environ(7)): "NAME=value", in no order. */
static int look_environment(lua_State *L)
{
	at_most(L, 0);
	lua_newtable(L);
	for (int i = 0; environ && environ[i]; i++) {
		lua_pushstring(L, environ[i]);
		lua_rawseti(L, -2, i + 1);
	}
	return 1;
}

void open_query(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "getresuid", look_getresuid },
		{ "getresgid", look_getresgid },
		{ "getgroups", look_getgroups },
		{ "getpid", look_getpid },
		{ "getppid", look_getppid },
		{ "capabilities", look_capabilities },
		{ "capabilities_text", look_capabilities_text },
		{ "last_capability", look_last_capability },
		{ "get_securebits", look_securebits },
		{ "get_no_new_privs", look_no_new_privs },
		{ "get_dumpable", look_dumpable },
		{ "get_seccomp", look_seccomp },
		{ "landlock_abi", look_landlock },
		{ "getrlimit", look_getrlimit },
		{ "namespace", look_namespace },
		{ "gethostname", look_gethostname },
		{ "environment", look_environment },
		{ 0 },
	};
	lua_getfield(L, -1, "sys");
	luaL_setfuncs(L, functions, 0);
	lua_pop(L, 1);
}
