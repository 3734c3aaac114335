/* Descriptors that the parent holds, as values with one owner, and waiting for them. */
#include "process.h"
#include "raw.h"
#include "tense.h"

#include <errno.h>
#include <lualib.h>
#include <stdio.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FD_TYPE "cella.fd"
enum { READ_MOST = 65536 };

int *new_fd(lua_State *L)
{
	int *fd = lua_newuserdata(L, sizeof *fd);
	*fd = -1;
	luaL_getmetatable(L, FD_TYPE);
	lua_setmetatable(L, -2);
	return fd;
}

static int *check_own_fd(lua_State *L, int index)
{
	return luaL_checkudata(L, index, FD_TYPE);
}

static int opt_lowest(lua_State *L, int index)
{
	int lowest = lua_isnoneornil(L, index) ? LOWEST_FD : check_fd(L, index);
	return lowest < LOWEST_FD ? LOWEST_FD : lowest;
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

/* pipe([lowest]) -> read end, write end | nil, message, errno
 * The read end does not block; the write end does, as programs expect. */
static int io_pipe(lua_State *L)
{
	int pair[2], lowest = opt_lowest(L, 1);
	int *reading = new_fd(L), *writing = new_fd(L);
	if (pipe2(pair, O_CLOEXEC) < 0)
		return push_error(L, "pipe2", errno);
	*reading = move_up(pair[0], lowest);
	*writing = move_up(pair[1], lowest);
	if (*reading < 0 || *writing < 0)
		return push_error(L, "pipe2", errno);
	if (fcntl(*reading, F_SETFL, O_NONBLOCK) < 0)
		return push_error(L, "fcntl", errno);
	return 2;
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

/* same_file(path, other) -> boolean | nil, message, errno
 * Whether both lead to the same file or directory, by whatever links. */
static int io_same_file(lua_State *L)
{
	struct stat one, other;
	const char *paths[] = { luaL_checkstring(L, 1), luaL_checkstring(L, 2) };
	if (stat(paths[0], &one) < 0)
		return push_error(L, paths[0], errno);
	if (stat(paths[1], &other) < 0)
		return push_error(L, paths[1], errno);
	lua_pushboolean(L, one.st_dev == other.st_dev && one.st_ino == other.st_ino);
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

/* signal_name(number) -> "kill" | nil */
static int io_signal_name(lua_State *L)
{
	uint64_t number = (uint64_t)check_range(L, 1, 0, 64);
	const struct name *entry = names_signal.list;
	while (entry->name && entry->value != number)
		entry++;
	lua_pushstring(L, entry->name);
	return 1;
}

/* is_open(number) -> boolean */
static int io_is_open(lua_State *L)
{
	lua_pushboolean(L, fcntl(check_fd(L, 1), F_GETFD) >= 0 || errno != EBADF);
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
	if (*fd >= 0)
		close(*fd);
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

/* fd:write(data [, from]) -> count | false where there is no room now | nil, message, errno
 * Writes the data from the byte `from` on (1), as much of it as there is room for. */
static int fd_write(lua_State *L)
{
	size_t length;
	const char *data = luaL_checklstring(L, 2, &length);
	size_t from = lua_isnoneornil(L, 3) ? 0 : (size_t)check_range(L, 3, 1, (int64_t)length + 1) - 1;
	long count;
	RAW_RETRY(count, SYS_write, *check_own_fd(L, 1), data + from, length - from);
	if (count < 0 && count != -EAGAIN)
		return push_error(L, "write", (int)-count);
	if (count < 0)
		lua_pushboolean(L, false);
	else
		lua_pushinteger(L, (lua_Integer)count);
	return 1;
}

/* The list of descriptor numbers at `index`, to be polled for `events`. */
static void check_polled(lua_State *L, int index, struct pollfd *fds, int count, short events)
{
	for (int i = 0; i < count; i++) {
		int64_t number = -1;
		lua_rawgeti(L, index, i + 1);
		luaL_argcheck(L, to_int64(L, -1, &number) && number >= 0 && number <= INT32_MAX, index,
			      "list of descriptors expected");
		fds[i] = (struct pollfd){ .fd = (int)number, .events = events };
		lua_pop(L, 1);
	}
}

static void push_ready(lua_State *L, const struct pollfd *fds, int count)
{
	lua_newtable(L);
	for (int i = 0, ready = 0; i < count; i++) {
		if (fds[i].revents) {
			lua_pushinteger(L, fds[i].fd);
			lua_rawseti(L, -2, ++ready);
		}
	}
}

/* poll(fds [, seconds [, writing]]) -> list of those with something to read, list of those with room | nil, message,
 * errno. The lists are empty after the time. Both arguments are lists of numbers. A signal ends it with EINTR, so that
 * Lua's own handlers get their turn. */
static int io_poll(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 3);
	if (lua_isnil(L, 3)) {
		lua_newtable(L);
		lua_replace(L, 3);
	}
	luaL_checktype(L, 3, LUA_TTABLE);
	int reading = (int)lua_rawlen(L, 1), writing = (int)lua_rawlen(L, 3);
	struct timespec time = { 0 }, *patience = NULL;
	struct pollfd *fds = lua_newuserdata(L, ((size_t)reading + (size_t)writing + 1) * sizeof *fds);
	check_polled(L, 1, fds, reading, POLLIN);
	check_polled(L, 3, fds + reading, writing, POLLOUT);
	if (!lua_isnoneornil(L, 2)) {
		double seconds = luaL_checknumber(L, 2);
		luaL_argcheck(L, seconds >= 0 && seconds <= 1e9, 2, "seconds from 0 to 1000000000 expected");
		time.tv_sec = (time_t)seconds;
		time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
		patience = &time;
	}
	if (ppoll(fds, (nfds_t)(reading + writing), patience, NULL) < 0)
		return push_error(L, "poll", errno);
	push_ready(L, fds, reading);
	push_ready(L, fds + reading, writing);
	return 2;
}

/* now() -> seconds of the monotonic clock */
static int io_now(lua_State *L)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	lua_pushnumber(L, (lua_Number)time.tv_sec + (lua_Number)time.tv_nsec / 1e9);
	return 1;
}

static sigset_t check_signals(lua_State *L, int index)
{
	sigset_t set;
	sigemptyset(&set);
	luaL_checktype(L, index, LUA_TTABLE);
	for (int i = 1; i <= (int)lua_rawlen(L, index); i++) {
		lua_rawgeti(L, index, i);
		sigaddset(&set, (int)check_name(L, lua_gettop(L), &names_signal));
		lua_pop(L, 1);
	}
	return set;
}

/* signals(list) -> fd object | nil, message, errno
 * Blocks the signals and gives a descriptor to read them from (signalfd(2)): for programs whose own life is
 * that of the container, such as the command line. */
static int io_signals(lua_State *L)
{
	sigset_t set = check_signals(L, 1);
	int *fd = new_fd(L);
	*fd = move_up(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), LOWEST_FD);
	if (*fd < 0)
		return push_error(L, "signalfd", errno);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return 1;
}

/* fd:read_signal() -> number, from_kernel | false where there is none | nil, message, errno
 * A signal that a terminal made comes from the kernel. */
static int fd_read_signal(lua_State *L)
{
	struct signalfd_siginfo info;
	long count;
	RAW_RETRY(count, SYS_read, *check_own_fd(L, 1), &info, sizeof info);
	if (count == -EAGAIN) {
		lua_pushboolean(L, false);
		return 1;
	}
	if (count != sizeof info)
		return push_error(L, "signalfd", count < 0 ? (int)-count : EIO);
	lua_pushinteger(L, (lua_Integer)info.ssi_signo);
	lua_pushboolean(L, info.ssi_code == SI_KERNEL);
	return 2;
}

/* stop_self(): stops this process as job control would; returns when it is continued. */
static int io_stop_self(lua_State *L)
{
	(void)L;
	raise(SIGSTOP);
	return 0;
}

void open_io(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "open", io_open },	   { "dup", io_dup },	      { "pipe", io_pipe },
		{ "is_open", io_is_open }, { "poll", io_poll },	      { "now", io_now },
		{ "signals", io_signals }, { "stop_self", io_stop_self },
		{ "fileno", io_fileno },   { "same_file", io_same_file },
		   { "strerror", io_strerror }, { "errno_name", io_errno_name },
		{ "signal_name", io_signal_name }, { 0 },
	};
	static const luaL_Reg methods[] = {
		{ "number", fd_number }, { "close", fd_close },		   { "read", fd_read }, { "write", fd_write },
		{ "read_signal", fd_read_signal }, { 0 },
	};
	static const luaL_Reg metamethods[] = {
		{ "__gc", fd_close }, { "__close", fd_close }, { "__tostring", fd_tostring }, { 0 }
	};
	new_type(L, FD_TYPE, methods, metamethods);
	luaL_setfuncs(L, functions, 0);
}
