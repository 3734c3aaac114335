/* See fd.h. Opening, copying, reading and closing descriptors. */
#include "lib/fd.h"
#include "lib/descriptor.h"
#include "lib/lib.h"
#include "lib/self.h"
#include "sys/raw.h"
#include "value/check.h"

#include <errno.h>
#include <lualib.h>
#include <stdio.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_MOST = 65536 };

struct own_fd {
	int number;
	unsigned generation; /* of the process that opened it: self.h */
};

int *new_fd(lua_State *L)
{
	struct own_fd *fd = lua_newuserdata(L, sizeof *fd);
	*fd = (struct own_fd){ -1, call_generation };
	luaL_getmetatable(L, FD_TYPE);
	lua_setmetatable(L, -2);
	return &fd->number;
}

/* In a copy of the process that opened it a descriptor is closed. */
int *check_own_fd(lua_State *L, int index)
{
	struct own_fd *fd = luaL_checkudata(L, index, FD_TYPE);
	if (fd->generation != call_generation)
		fd->number = -1;
	return &fd->number;
}

int opt_min_fd(lua_State *L, int index)
{
	int min_fd = lua_isnoneornil(L, index) ? MIN_FD : check_fd(L, index);
	return min_fd < MIN_FD ? MIN_FD : min_fd;
}

/* open(path, flags [, mode [, min_fd]]) -> fd object | nil, message, errno */
static int io_open(lua_State *L)
{
	size_t length;
	const char *path = luaL_checklstring(L, 1, &length);
	luaL_argcheck(L, strlen(path) == length, 1, "the path has a NUL byte in it");
	int flags = (int)check_flags(L, 2, &names_open);
	mode_t mode = lua_isnoneornil(L, 3) ? 0666 : (mode_t)check_range(L, 3, 0, 07777);
	int min_fd = opt_min_fd(L, 4);
	int *fd = new_fd(L);
	*fd = move_up(open(path, flags | O_CLOEXEC | O_NOCTTY, mode), min_fd);
	return *fd < 0 ? push_error(L, path, errno) : 1;
}

/* dup(number [, min_fd]) -> fd object | nil, message, errno */
static int io_dup(lua_State *L)
{
	int number = check_fd(L, 1);
	int min_fd = opt_min_fd(L, 2);
	int *fd = new_fd(L);
	*fd = fcntl(number, F_DUPFD_CLOEXEC, min_fd);
	return *fd < 0 ? push_error(L, "dup", errno) : 1;
}

/* pidfd(pid) -> fd object | nil, message, errno
 * Readable once the process has ended, and never another's (pidfd_open(2)). */
static int io_pidfd(lua_State *L)
{
	int pid = (int)check_range(L, 1, 1, INT32_MAX);
	int *fd = new_fd(L);
	int result = open_pidfd(pid);
	if (result < 0)
		return push_error(L, "pidfd_open", -result);
	*fd = result;
	return 1;
}

/* fileno(file) -> the descriptor of one of Lua's own files, flushed first */
static int io_fileno(lua_State *L)
{
	/* Every Lua from 5.1 on keeps the FILE pointer first. */
	FILE *file = *(FILE **)luaL_checkudata(L, 1, LUA_FILEHANDLE);
	luaL_argcheck(L, file != NULL, 1, "the file is closed");
	fflush(file);
	lua_pushinteger(L, fileno(file));
	return 1;
}

/* is_open(number) -> boolean: whether the caller has a descriptor of that number */
static int io_is_open(lua_State *L)
{
	int fd = check_fd(L, 1);
	lua_pushboolean(L, !is_private(fd) && (fcntl(fd, F_GETFD) >= 0 || errno != EBADF));
	return 1;
}

/* is_fd(value) -> boolean: a descriptor that cella holds */
static int io_is_fd(lua_State *L)
{
	lua_pushboolean(L, to_userdata(L, 1, FD_TYPE) != NULL);
	return 1;
}

/* fd:number() -> integer | nil once it is closed */
static int fd_number(lua_State *L)
{
	int fd = *check_own_fd(L, 1);
	if (fd < 0)
		lua_pushnil(L);
	else
		lua_pushinteger(L, fd);
	return 1;
}

static int fd_close(lua_State *L)
{
	int *fd = check_own_fd(L, 1);
	if (*fd >= 0) {
		is_closed(*fd);
		close(*fd);
	}
	*fd = -1;
	return 0;
}

static int fd_tostring(lua_State *L)
{
	lua_pushfstring(L, "%s (%d)", FD_TYPE, *check_own_fd(L, 1));
	return 1;
}

/* fd:read() -> data | "" at its end | false where there is nothing yet | nil, message, errno */
static int fd_read(lua_State *L)
{
	char data[READ_MOST];
	long count;
	RAW_RETRY(count, SYS_read, *check_own_fd(L, 1), data, sizeof data);
	if (count == -EAGAIN) {
		lua_pushboolean(L, false);
		return 1;
	}
	if (count < 0)
		return push_error(L, "read", (int)-count);
	lua_pushlstring(L, data, (size_t)count);
	return 1;
}

void add_fd_methods(lua_State *L, const luaL_Reg *methods)
{
	luaL_getmetatable(L, FD_TYPE);
	lua_getfield(L, -1, "__index");
	luaL_setfuncs(L, methods, 0);
	lua_pop(L, 2);
}

void open_fd(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "open", io_open },
		{ "dup", io_dup },
		{ "pidfd", io_pidfd },
		{ "is_open", io_is_open },
		{ "is_fd", io_is_fd },
		{ "fileno", io_fileno },
		{ 0 },
	};
	static const luaL_Reg methods[] = {
		{ "number", fd_number },
		{ "close", fd_close },
		{ "read", fd_read },
		{ 0 },
	};
	static const luaL_Reg metamethods[] = {
		{ "__gc", fd_close }, { "__close", fd_close }, { "__tostring", fd_tostring }, { 0 }
	};
	new_type(L, FD_TYPE, methods, metamethods);
	luaL_setfuncs(L, functions, 0);
}
