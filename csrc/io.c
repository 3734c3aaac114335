/* Descriptors that the parent holds, as values with one owner: opening, reading, writing. */
#include "copy.h"
#include "io.h"
#include "raw.h"

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
	unsigned generation; /* of the process that opened it: copy.h */
};

int *new_fd(lua_State *L)
{
	struct own_fd *fd = lua_newuserdata(L, sizeof *fd);
	*fd = (struct own_fd){ -1, copy_generation };
	luaL_getmetatable(L, FD_TYPE);
	lua_setmetatable(L, -2);
	return &fd->number;
}

/* In a copy of the process that opened it a descriptor is closed. */
int *check_own_fd(lua_State *L, int index)
{
	struct own_fd *fd = luaL_checkudata(L, index, FD_TYPE);
	if (fd->generation != copy_generation)
		fd->number = -1;
	return &fd->number;
}

int opt_lowest(lua_State *L, int index)
{
	int lowest = lua_isnoneornil(L, index) ? LOWEST_FD : check_fd(L, index);
	return lowest < LOWEST_FD ? LOWEST_FD : lowest;
}

const struct timespec *opt_seconds(lua_State *L, int index, struct timespec *time)
{
	if (lua_isnoneornil(L, index))
		return NULL;
	luaL_checktype(L, index, LUA_TNUMBER);
	double seconds = lua_tonumber(L, index);
	luaL_argcheck(L, seconds >= 0 && seconds <= 1e9, index, "seconds from 0 to 1000000000 expected");
	time->tv_sec = (time_t)seconds;
	time->tv_nsec = (long)((seconds - (double)time->tv_sec) * 1e9);
	return time;
}

/* open(path, flags [, mode [, lowest]]) -> fd object | nil, message, errno */
static int io_open(lua_State *L)
{
	size_t length;
	const char *path = luaL_checklstring(L, 1, &length);
	luaL_argcheck(L, strlen(path) == length, 1, "the path has a NUL byte in it");
	int flags = (int)check_flags(L, 2, &names_open);
	mode_t mode = lua_isnoneornil(L, 3) ? 0666 : (mode_t)check_range(L, 3, 0, 07777);
	int lowest = opt_lowest(L, 4);
	int *fd = new_fd(L);
	*fd = move_up(open(path, flags | O_CLOEXEC | O_NOCTTY, mode), lowest);
	return *fd < 0 ? push_error(L, path, errno) : 1;
}

/* dup(number [, lowest]) -> fd object | nil, message, errno */
static int io_dup(lua_State *L)
{
	int number = check_fd(L, 1);
	int lowest = opt_lowest(L, 2);
	int *fd = new_fd(L);
	*fd = fcntl(number, F_DUPFD_CLOEXEC, lowest);
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
	if (stat(paths[0], &one) < 0)
		return push_error(L, paths[0], errno);
	if (stat(paths[1], &other) < 0)
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
	if (stat(path, &status) < 0)
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

/* errno_name(errno) -> "EPERM" | nil */
static int io_errno_name(lua_State *L)
{
	lua_pushstring(L, strerrorname_np((int)check_range(L, 1, 0, 4095)));
	return 1;
}

/* strerror(errno) -> "Operation not permitted" */
static int io_strerror(lua_State *L)
{
	lua_pushstring(L, strerror((int)check_range(L, 1, 0, 4095)));
	return 1;
}

/* signal_name(number) -> "kill" | nil
 * Also of a number that is no signal's: that of a status that somebody has made up. */
static int io_signal_name(lua_State *L)
{
	uint64_t number = (uint64_t)check_range(L, 1, 0, 255);
	const struct name *entry = names_signal.list;
	while (entry->name && entry->value != number)
		entry++;
	lua_pushstring(L, entry->name);
	return 1;
}

/* Their numbers plus one; some for each Lua state, of which a process with many threads has many. */
enum { PRIVATE = 1024 };
static _Atomic int private_fds[PRIVATE];
static _Atomic int private_used; /* how many places have ever been taken: whoever closes a descriptor looks at no more */

void keep_private(int fd)
{
	for (int i = 0; i < PRIVATE; i++) {
		int nothing = 0, used = private_used;
		while (used <= i && !atomic_compare_exchange_weak(&private_used, &used, i + 1))
			;
		if (atomic_compare_exchange_strong(&private_fds[i], &nothing, fd + 1))
			return;
	}
}

void is_closed(int fd)
{
	for (int i = 0; i < private_used; i++) {
		int number = fd + 1;
		if (private_fds[i] == number)
			atomic_compare_exchange_strong(&private_fds[i], &number, 0);
	}
}

bool is_private(int fd)
{
	for (int i = 0; i < private_used; i++)
		if (private_fds[i] == fd + 1)
			return true;
	return false;
}

void close_private(void)
{
	for (int i = 0; i < private_used; i++) {
		int number = atomic_exchange(&private_fds[i], 0);
		if (number > 0)
			RAW(SYS_close, number - 1);
	}
}

/* is_open(number) -> boolean: whether the caller has a descriptor of that number */
static int io_is_open(lua_State *L)
{
	int fd = check_fd(L, 1);
	lua_pushboolean(L, !is_private(fd) && (fcntl(fd, F_GETFD) >= 0 || errno != EBADF));
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

void open_io(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "open", io_open },
		{ "dup", io_dup },
		{ "pidfd", io_pidfd },
		{ "is_open", io_is_open },
		{ "fileno", io_fileno },
		{ "same_file", io_same_file },
		{ "inode", io_inode },
		{ "readlink", io_readlink },
		{ "is_executable", io_is_executable },
		{ "strerror", io_strerror },
		{ "errno_name", io_errno_name },
		{ "signal_name", io_signal_name },
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
