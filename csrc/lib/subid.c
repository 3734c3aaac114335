/* Subordinate IDs (subuid(5)): which ranges a user was given, and the lock on the files that list them.
 *
 * A directory service may keep such ranges; only libsubid can ask it. This file looks for libsubid at the first
 * question, so that neither the build nor a host without the library needs it. */
#include "lib/lib.h"
#include "value/check.h"

#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* <shadow/subid.h>, ABI 3 (shadow 4.9) to 6. The functions return how many ranges there are and an array
 * for the caller to free, or a number below zero. ABI 3 had them without the `subid_` in front; in later
 * ones a source of ranges may have memory of its own kind, which subid_free gives back. */
struct subid_range {
	unsigned long start;
	unsigned long count;
};
typedef int get_ranges(const char *owner, struct subid_range **ranges);
typedef bool init(const char *program, FILE *log);
typedef void release(void *memory);

static struct {
	bool tried;
	get_ranges *uid, *gid;
	release *release;
	char problem[256]; /* why there is no library */
	FILE *log;         /* over `said` */
	char said[512];    /* by the library, about the last question */
} library;

/* ISO C has no cast from an object pointer to a function's; POSIX promises that this works. */
static void *symbol(void *handle, const char *name, const char *old_name)
{
	void *found = dlsym(handle, name);
	return found || !old_name ? found : dlsym(handle, old_name);
}

static void load(void)
{
	static const char *const names[] = { "libsubid.so.6", "libsubid.so.5", "libsubid.so.4", "libsubid.so.3" };
	void *handle = NULL;
	library.tried = true;
	for (size_t i = 0; !handle && i < sizeof names / sizeof *names; i++)
		handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		snprintf(library.problem, sizeof library.problem, "libsubid is not installed");
		return;
	}
	init *start;
	*(void **)&start = symbol(handle, "subid_init", "libsubid_init");
	*(void **)&library.uid = symbol(handle, "subid_get_uid_ranges", "get_subuid_ranges");
	*(void **)&library.gid = symbol(handle, "subid_get_gid_ranges", "get_subgid_ranges");
	*(void **)&library.release = symbol(handle, "subid_free", NULL);
	if (!library.uid || !library.gid) {
		snprintf(library.problem, sizeof library.problem, "libsubid lacks subid_get_uid_ranges");
		library.uid = library.gid = NULL;
		dlclose(handle);
		return;
	}
	/* Without a log of ours it writes to the standard error of a program that did not ask for it, or
	 * opens /dev/null and keeps that across exec. */
	library.log = fmemopen(library.said, sizeof library.said, "w");
	if (start && library.log)
		start("cella", library.log);
}

static const char *what_it_said(void)
{
	if (library.log)
		fflush(library.log);
	library.said[sizeof library.said - 1] = '\0';
	library.said[strcspn(library.said, "\n")] = '\0';
	return library.said;
}

/* What the library allocated, in the hands of the collector while Lua may raise. */
#define RANGES_TYPE "cella.subid_ranges"

static int ranges_gc(lua_State *L)
{
	struct subid_range **box = luaL_checkudata(L, 1, RANGES_TYPE);
	if (*box)
		(library.release ? library.release : free)(*box);
	*box = NULL;
	return 0;
}

/* A number that no ID can be is for the caller to refuse: it has to stay one. */
static void push_unsigned(lua_State *L, unsigned long value)
{
	push_int64(L, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

/* One thread after the other: the library has files and buffers that all its users share. */
static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;

enum { ABSENT = -2 };

/* Returns how many ranges there are, ABSENT without a library, or -1, with what it said. */
static int ask(const char *owner, bool group, struct subid_range **ranges, char said[])
{
	int count = ABSENT;
	pthread_mutex_lock(&library_lock);
	if (!library.tried)
		load();
	if (library.uid) {
		if (library.log)
			rewind(library.log);
		library.said[0] = '\0';
		count = (group ? library.gid : library.uid)(owner, ranges);
		if (count < 0)
			count = -1;
	}
	strcpy(said, count == -1 ? what_it_said() : "");
	pthread_mutex_unlock(&library_lock);
	return count;
}

/* subid_ranges(owner, "uid" | "gid") -> list of { first =, count = } | nil, message [, absent]
 * As libsubid has them: all of them, in its order, unchecked. `absent` is true where there is no library. */
static int subid_ranges(lua_State *L)
{
	static const char *const kinds[] = { "uid", "gid", NULL };
	size_t length;
	const char *owner = luaL_checklstring(L, 1, &length);
	luaL_argcheck(L, strlen(owner) == length, 1, "the owner has a NUL byte in it");
	bool group = luaL_checkoption(L, 2, NULL, kinds) == 1;
	struct subid_range **box = lua_newuserdata(L, sizeof *box);
	*box = NULL;
	luaL_getmetatable(L, RANGES_TYPE);
	lua_setmetatable(L, -2);
	char said[sizeof library.said];
	int count = ask(owner, group, box, said);
	if (count == ABSENT) {
		lua_pushnil(L);
		lua_pushstring(L, library.problem);
		lua_pushboolean(L, true);
		return 3;
	}
	if (count < 0) {
		lua_pushnil(L);
		lua_pushfstring(L, "libsubid: no answer about the %s ranges of %s%s%s", kinds[group], owner,
				*said ? ": " : "", said);
		return 2;
	}
	lua_newtable(L);
	for (int i = 0; i < count; i++) {
		lua_createtable(L, 0, 2);
		push_unsigned(L, (*box)[i].start);
		lua_setfield(L, -2, "first");
		push_unsigned(L, (*box)[i].count);
		lua_setfield(L, -2, "count");
		lua_rawseti(L, -2, i + 1);
	}
	return 1;
}

/* user_name(uid) -> name | nil [, message, errno]
 * getpwuid(3): the users of directory services too. */
static int user_name(lua_State *L)
{
	uid_t uid = (uid_t)check_range(L, 1, 0, 4294967294);
	char *room = lua_newuserdata(L, 65536);
	struct passwd entry, *found = NULL;
	int error = getpwuid_r(uid, &entry, room, 65536, &found);
	if (error)
		return push_error(L, "getpwuid", error);
	lua_pushstring(L, found ? entry.pw_name : NULL);
	return 1;
}

/* user_id(name) -> uid, gid | nil [, message, errno]; getpwnam(3) */
static int user_id(lua_State *L)
{
	size_t length;
	const char *name = luaL_checklstring(L, 1, &length);
	luaL_argcheck(L, strlen(name) == length, 1, "the name has a NUL byte in it");
	char *room = lua_newuserdata(L, 65536);
	struct passwd entry, *found = NULL;
	int error = getpwnam_r(name, &entry, room, 65536, &found);
	if (error)
		return push_error(L, "getpwnam", error);
	if (!found) {
		lua_pushnil(L);
		return 1;
	}
	push_int64(L, entry.pw_uid);
	push_int64(L, entry.pw_gid);
	return 2;
}

/* group_id(name) -> gid | nil [, message, errno]; getgrnam(3) */
static int group_id(lua_State *L)
{
	size_t length;
	const char *name = luaL_checklstring(L, 1, &length);
	luaL_argcheck(L, strlen(name) == length, 1, "the name has a NUL byte in it");
	struct group entry, *found = NULL;
	/* The members are in the same room, and a group may have very many. */
	size_t size = 65536;
	int error;
	do {
		char *room = lua_newuserdata(L, size);
		error = getgrnam_r(name, &entry, room, size, &found);
		size *= 4;
	} while (error == ERANGE && size <= (size_t)1 << 26);
	if (error)
		return push_error(L, "getgrnam", error);
	if (found)
		push_int64(L, entry.gr_gid);
	else
		lua_pushnil(L);
	return 1;
}

/* flock(fd) -> true | false where another has it | nil, message, errno
 * An exclusive lock that ends with the descriptor, so also with the process, however that ends (flock(2)). */
static int lock_file(lua_State *L)
{
	int fd = check_fd(L, 1), result;
	do
		result = flock(fd, LOCK_EX | LOCK_NB);
	while (result < 0 && errno == EINTR);
	if (result < 0 && errno != EWOULDBLOCK)
		return push_error(L, "flock", errno);
	lua_pushboolean(L, result == 0);
	return 1;
}

void open_subid(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "subid_ranges", subid_ranges },
		{ "user_name", user_name },
		{ "user_id", user_id },
		{ "group_id", group_id },
		{ "flock", lock_file },
		{ 0 },
	};
	static const luaL_Reg none[] = { { 0 } };
	static const luaL_Reg ranges_metamethods[] = { { "__gc", ranges_gc }, { 0 } };
	new_type(L, RANGES_TYPE, none, ranges_metamethods);
	luaL_setfuncs(L, functions, 0);
}
