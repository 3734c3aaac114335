/* A cgroup as a Lua value that owns it: whoever drops the value ends everything in there and removes it. What goes into
 * its files, and why, is for Lua (lua/cella/cgroup.lua) to know. */
#include "lib/descriptor.h"
#include "lib/lib.h"
#include "lib/self.h"
#include "sys/cgroup_tree.h"
#include "sys/raw.h"
#include "value/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CGROUP_TYPE "cella.core.cgroup"

enum {
	FILE_MOST = 65536,
	/* Milliseconds that a forgotten cgroup may cost who forgot it; what is left then is for the janitor. */
	TIMEOUT = 2000,
};

struct cgroup {
	int parent, directory;
	char name[CGROUP_NAME_SIZE];
	unsigned generation; /* of the process that made it: self.h */
};

static struct cgroup *check_cgroup(lua_State *L)
{
	return luaL_checkudata(L, 1, CGROUP_TYPE);
}

/* The name of a file or directory right here: nothing that leads elsewhere. */
static const char *check_file(lua_State *L, int index)
{
	size_t length;
	const char *name = luaL_checklstring(L, index, &length);
	bool plain = length > 0 && length < CGROUP_NAME_SIZE && strlen(name) == length && !strchr(name, '/') &&
		     strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
	luaL_argcheck(L, plain, index, "the name of a file expected");
	return name;
}

/* cgroup(directory, name) -> cgroup | nil, message, errno
 * Makes the cgroup `name` in a directory, given as a descriptor. It must not be there yet. */
static int cgroup_new(lua_State *L)
{
	int directory = check_fd(L, 1);
	const char *name = check_file(L, 2);
	struct cgroup *cgroup = lua_newuserdata(L, sizeof *cgroup);
	cgroup->generation = fork_generation();
	cgroup->parent = cgroup->directory = -1;
	strcpy(cgroup->name, name);
	luaL_getmetatable(L, CGROUP_TYPE);
	lua_setmetatable(L, -2);
	int parent = fcntl(directory, F_DUPFD_CLOEXEC, MIN_FD);
	if (parent < 0)
		return push_error(L, "dup", errno);
	if (mkdirat(parent, name, 0755) < 0) {
		int error = errno;
		close(parent);
		return push_error(L, "mkdir", error);
	}
	cgroup->parent = parent;
	cgroup->directory =
		move_up(openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), MIN_FD);
	return cgroup->directory < 0 ? push_error(L, "open", errno) : 1;
}

/* cgroup:number() -> descriptor of the directory, for clone3 | nil */
static int cgroup_number(lua_State *L)
{
	const struct cgroup *cgroup = check_cgroup(L);
	if (cgroup->directory < 0)
		lua_pushnil(L);
	else
		lua_pushinteger(L, cgroup->directory);
	return 1;
}

/* cgroup:read(file) -> text | nil, message, errno */
static int cgroup_read(lua_State *L)
{
	const struct cgroup *cgroup = check_cgroup(L);
	const char *name = check_file(L, 2);
	char data[FILE_MOST];
	int fd = openat(cgroup->directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return push_error(L, name, errno);
	long count, size = 0;
	do {
		RAW_RETRY(count, SYS_read, fd, data + size, sizeof data - (size_t)size);
		size += count > 0 ? count : 0;
	} while (count > 0 && size < FILE_MOST);
	close(fd);
	if (count < 0)
		return push_error(L, name, (int)-count);
	lua_pushlstring(L, data, (size_t)size);
	return 1;
}

/* cgroup:write(file, text) -> true | nil, message, errno
 * In one write(2), with the rights of who writes: the descriptor is not kept (cgroups(7) checks who has opened it). */
static int cgroup_write(lua_State *L)
{
	const struct cgroup *cgroup = check_cgroup(L);
	const char *name = check_file(L, 2);
	size_t size;
	const char *text = luaL_checklstring(L, 3, &size);
	int fd = openat(cgroup->directory, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return push_error(L, name, errno);
	long count;
	RAW_RETRY(count, SYS_write, fd, text, size);
	close(fd);
	if (count < 0)
		return push_error(L, name, (int)-count);
	if ((size_t)count != size)
		return push_error(L, name, EIO);
	lua_pushboolean(L, true);
	return 1;
}

/* cgroup:kill() -> true | nil, message, errno
 * Everything in there and below. */
static int cgroup_kill_all(lua_State *L)
{
	int result = cgroup_kill(check_cgroup(L)->directory);
	if (result < 0)
		return push_error(L, "cgroup.kill", -result);
	lua_pushboolean(L, true);
	return 1;
}

static int let_go(struct cgroup *cgroup)
{
	int result = 0;
	close_once(&cgroup->directory);
	if (cgroup->parent >= 0 && cgroup->generation == fork_generation())
		result = cgroup_end(cgroup->parent, cgroup->name, TIMEOUT);
	close_once(&cgroup->parent);
	return result;
}

/* cgroup:remove() -> true | nil, message, errno
 * Kills what is in there and removes it. May be called again. */
static int cgroup_remove(lua_State *L)
{
	int result = let_go(check_cgroup(L));
	if (result < 0)
		return push_error(L, "rmdir", -result);
	lua_pushboolean(L, true);
	return 1;
}

static int cgroup_gc(lua_State *L)
{
	let_go(check_cgroup(L));
	return 0;
}

/* kill_cgroup(directory) -> true | nil, message, errno
 * Everything in a cgroup that is no value of ours, given as a descriptor, and below. */
static int kill_cgroup(lua_State *L)
{
	int result = cgroup_kill(check_fd(L, 1));
	if (result < 0)
		return push_error(L, "cgroup.kill", -result);
	lua_pushboolean(L, true);
	return 1;
}

/* end_cgroup(directory, name, seconds) -> true | nil, message, errno
 * Kills everything in the cgroup `name` of a directory and removes it with all below. EBUSY: it has not ended by then. */
static int end_cgroup(lua_State *L)
{
	enum { LONGEST = 3600 };
	int result = cgroup_end(check_fd(L, 1), check_file(L, 2), (int)check_range(L, 3, 0, LONGEST) * 1000);
	if (result < 0)
		return push_error(L, "rmdir", -result);
	lua_pushboolean(L, true);
	return 1;
}

/* block_device(path) -> "MAJOR:MINOR" | false where it is something else | nil, message, errno */
static int block_device(lua_State *L)
{
	struct stat status;
	size_t length;
	const char *path = luaL_checklstring(L, 1, &length);
	luaL_argcheck(L, strlen(path) == length, 1, "the path has a NUL byte in it");
	if (stat(path, &status) < 0)
		return push_error(L, path, errno);
	if (S_ISBLK(status.st_mode))
		lua_pushfstring(L, "%d:%d", (int)major(status.st_rdev), (int)minor(status.st_rdev));
	else
		lua_pushboolean(L, false);
	return 1;
}

void open_cgroup(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "cgroup", cgroup_new },	{ "kill_cgroup", kill_cgroup }, { "end_cgroup", end_cgroup },
		{ "block_device", block_device }, { 0 },
	};
	static const luaL_Reg methods[] = {
		{ "number", cgroup_number },   { "read", cgroup_read },	    { "write", cgroup_write },
		{ "kill", cgroup_kill_all },   { "remove", cgroup_remove }, { 0 },
	};
	static const luaL_Reg metamethods[] = { { "__gc", cgroup_gc }, { "__close", cgroup_gc }, { 0 } };
	new_type(L, CGROUP_TYPE, methods, metamethods);
	luaL_setfuncs(L, functions, 0);
}
