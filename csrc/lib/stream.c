/* The standard streams of a program: pipes of which the caller keeps one end, and files in memory that hold a
 * string. */
#include "lib/descriptor.h"
#include "lib/fd.h"
#include "lib/lib.h"
#include "lib/memory_file.h"
#include "sys/raw.h"
#include "value/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum { READ_MOST = 65536, SKIP_ROUNDS = 4 };

/* pipe([min_fd [, writes]]) -> read end, write end | nil, message, errno
 * One end is the caller's, the one to read from or, with `writes`, to write to: it does not block. That of the
 * program does, as programs expect. */
static int io_pipe(lua_State *L)
{
	int pair[2], min_fd = opt_min_fd(L, 1);
	bool writes = lua_toboolean(L, 2);
	int *reading = new_fd(L), *writing = new_fd(L);
	if (pipe2(pair, O_CLOEXEC) < 0)
		return push_error(L, "pipe2", errno);
	*reading = move_up(pair[0], min_fd);
	*writing = move_up(pair[1], min_fd);
	int own = writes ? *writing : *reading;
	bool good = *reading >= 0 && *writing >= 0;
	const char *call = good ? "fcntl" : "pipe2";
	if (good && fcntl(own, F_SETFL, O_NONBLOCK | (writes ? O_WRONLY : O_RDONLY)) >= 0)
		return 2;
	int error = errno;
	close_once(reading); /* at once, not when somebody collects them */
	close_once(writing);
	return push_error(L, call, error);
}

/* content(data [, min_fd]) -> fd object | nil, message, errno
 * A file in memory that holds the data, open for reading: nobody can write to it, or execute it. */
static int io_content(lua_State *L)
{
	size_t size;
	char path[32];
	const char *data = luaL_checklstring(L, 1, &size);
	int min_fd = opt_min_fd(L, 2);
	int *fd = new_fd(L);
	int made = memory_file("cella-content", false, data, size);
	int error = made < 0 ? -made : 0;
	if (!error) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", made);
		*fd = move_up(open(path, O_RDONLY | O_CLOEXEC), min_fd);
		error = *fd < 0 ? errno : 0;
	}
	if (made >= 0)
		close(made);
	return error ? push_error(L, "memfd_create", error) : 1;
}

/* fd:skip() -> how many bytes were read and forgotten | 0 at its end | false where there is nothing yet
 * | nil, message, errno */
static int fd_skip(lua_State *L)
{
	char data[READ_MOST];
	int fd = *check_own_fd(L, 1);
	long count, total = 0;
	for (int i = 0; i < SKIP_ROUNDS; i++) {
		RAW_RETRY(count, SYS_read, fd, data, sizeof data);
		if (count <= 0)
			break;
		total += count;
	}
	if (total == 0 && count == -EAGAIN) {
		lua_pushboolean(L, false);
		return 1;
	}
	if (total == 0 && count < 0)
		return push_error(L, "read", (int)-count);
	push_int64(L, total);
	return 1;
}

/* fd:available() -> how many bytes could be read at once | nil, message, errno */
static int fd_available(lua_State *L)
{
	int count = 0;
	if (ioctl(*check_own_fd(L, 1), FIONREAD, &count) < 0)
		return push_error(L, "FIONREAD", errno);
	push_int64(L, count);
	return 1;
}

/* fd:write(data [, from]) -> how many bytes were taken | false where there is no room | nil, message, errno
 * `from` counts from 1. */
static int fd_write(lua_State *L)
{
	size_t size;
	int fd = *check_own_fd(L, 1);
	const char *data = luaL_checklstring(L, 2, &size);
	size_t from = lua_isnoneornil(L, 3) ? 0 : (size_t)check_range(L, 3, 1, (int64_t)size) - 1;
	long count = write_quietly(fd, data + from, size - from);
	if (count == -EAGAIN) {
		lua_pushboolean(L, false);
		return 1;
	}
	if (count < 0)
		return push_error(L, "write", (int)-count);
	push_int64(L, count);
	return 1;
}

static bool is_named(int fd)
{
	struct statfs fs;
	return fstatfs(fd, &fs) < 0 || fs.f_type != PIPEFS_MAGIC;
}

/* fd:chown(uid, gid) -> true | false where it is no pipe | nil, message, errno
 * What else a descriptor may stand for is somebody's, and stays so. */
static int fd_chown(lua_State *L)
{
	int fd = *check_own_fd(L, 1);
	uid_t uid = (uid_t)check_range(L, 2, 0, 4294967294);
	gid_t gid = (gid_t)check_range(L, 3, 0, 4294967294);
	struct stat status;
	if (fstat(fd, &status) < 0)
		return push_error(L, "fstat", errno);
	/* A FIFO has a name somewhere. */
	bool pipe = S_ISFIFO(status.st_mode) && !is_named(fd);
	if (pipe && fchown(fd, uid, gid) < 0)
		return push_error(L, "fchown", errno);
	lua_pushboolean(L, pipe);
	return 1;
}

void open_stream(lua_State *L)
{
	static const luaL_Reg functions[] = { { "pipe", io_pipe }, { "content", io_content }, { 0 } };
	static const luaL_Reg methods[] = {
		{ "skip", fd_skip },
		{ "available", fd_available },
		{ "write", fd_write },
		{ "chown", fd_chown },
		{ 0 },
	};
	luaL_setfuncs(L, functions, 0);
	add_fd_methods(L, methods);
}
