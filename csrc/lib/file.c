/* What a path leads to. */
#include "lib/lib.h"
#include "lib/status.h"
#include "value/check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A path that C does not cut off. */
static const char *check_path(lua_State *L, int index)
{
	size_t length;
	const char *path = luaL_checklstring(L, index, &length);
	luaL_argcheck(L, strlen(path) == length, index, "the path has a NUL byte in it");
	return path;
}

/* same_file(path, other) -> boolean | nil, message, errno
 * Whether both lead to the same file or directory, by whatever links. */
static int io_same_file(lua_State *L)
{
	struct stat one, other;
	const char *paths[] = { check_path(L, 1), check_path(L, 2) };
	if (query_status(AT_FDCWD, paths[0], &one) < 0)
		return push_error(L, paths[0], errno);
	if (query_status(AT_FDCWD, paths[1], &other) < 0)
		return push_error(L, paths[1], errno);
	lua_pushboolean(L, one.st_dev == other.st_dev && one.st_ino == other.st_ino);
	return 1;
}

/* inode(path) -> inode, device, mode, uid | nil, message, errno
 * Of what the path leads to, by whatever links. */
static int io_inode(lua_State *L)
{
	struct stat status;
	const char *path = check_path(L, 1);
	if (query_status(AT_FDCWD, path, &status) < 0)
		return push_error(L, path, errno);
	push_int64(L, (int64_t)status.st_ino);
	push_int64(L, (int64_t)status.st_dev);
	push_int64(L, (int64_t)status.st_mode);
	push_int64(L, (int64_t)status.st_uid);
	return 4;
}

/* readlink(path) -> target | nil, message, errno
 * EINVAL: it is no symbolic link. */
static int io_readlink(lua_State *L)
{
	char target[PATH_MAX];
	const char *path = check_path(L, 1);
	ssize_t size = readlink(path, target, sizeof target);
	if (size < 0)
		return push_error(L, path, errno);
	lua_pushlstring(L, target, (size_t)size);
	return 1;
}

/* is_executable(path) -> boolean: a regular file that this process may execute, as far as its mode says */
static int io_is_executable(lua_State *L)
{
	struct stat status;
	const char *path = check_path(L, 1);
	lua_pushboolean(L, stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
			faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0);
	return 1;
}

void open_file(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "same_file", io_same_file },
		{ "inode", io_inode },
		{ "readlink", io_readlink },
		{ "is_executable", io_is_executable },
		{ 0 },
	};
	luaL_setfuncs(L, functions, 0);
}
