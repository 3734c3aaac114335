/* What a program reads from and writes to: pipes of which the caller has an end, and files that are a string. */
#include "io.h"
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum { READ_MOST = 65536, SKIP_ROUNDS = 4 };

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x8U /* Linux 6.3 */
#endif

/* pipe([lowest [, writes]]) -> read end, write end | nil, message, errno
 * One end is the caller's, the one to read from or, with `writes`, to write to: it does not block. That of the
 * program does, as programs expect. */
static int io_pipe(lua_State *L)
{
	int pair[2], lowest = opt_lowest(L, 1);
	bool writes = lua_toboolean(L, 2);
	int *reading = new_fd(L), *writing = new_fd(L);
	if (pipe2(pair, O_CLOEXEC) < 0)
		return push_error(L, "pipe2", errno);
	*reading = move_up(pair[0], lowest);
	*writing = move_up(pair[1], lowest);
	if (*reading < 0 || *writing < 0)
		return push_error(L, "pipe2", errno);
	int own = writes ? *writing : *reading;
	if (fcntl(own, F_SETFL, O_NONBLOCK | (writes ? O_WRONLY : O_RDONLY)) < 0)
		return push_error(L, "fcntl", errno);
	return 2;
}

static uint64_t pending_signals(void)
{
	uint64_t set = 0;
	RAW(SYS_rt_sigpending, &set, sizeof set);
	return set;
}

/* A pipe without a reader sends SIGPIPE to the thread that writes (pipe(7)), a file beyond RLIMIT_FSIZE SIGXFSZ: either
 * would end a caller that has not thought of it. Held back, and taken away again, unless one was there before. Returns as
 * write(2), raw. */
static long write_quietly(int fd, const char *data, size_t size)
{
	uint64_t before, pipe = (uint64_t)1 << (SIGPIPE - 1), file = (uint64_t)1 << (SIGXFSZ - 1);
	uint64_t set = pipe | file, were_pending = pending_signals();
	long count = RAW(SYS_rt_sigprocmask, SIG_BLOCK, &set, &before, sizeof set);
	if (count < 0)
		return count;
	RAW_RETRY(count, SYS_write, fd, data, size);
	set = count == -EPIPE ? pipe : count == -EFBIG ? file : 0;
	set &= ~were_pending;
	if (set) {
		struct timespec now = { 0 };
		long taken;
		RAW_RETRY(taken, SYS_rt_sigtimedwait, &set, 0, &now, sizeof set);
	}
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, sizeof before);
	return count;
}

/* Returns 0 or an errno. */
static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		long count = write_quietly(fd, data, size);
		if (count <= 0)
			return count ? (int)-count : EIO;
		data += count;
		size -= (size_t)count;
	}
	return 0;
}

/* content(data [, lowest]) -> fd object | nil, message, errno
 * A file in memory that holds the data, open for reading: nobody can write to it, or execute it. */
static int io_content(lua_State *L)
{
	static const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	size_t size;
	char path[32];
	const char *data = luaL_checklstring(L, 1, &size);
	int lowest = opt_lowest(L, 2);
	int *fd = new_fd(L);
	int made = memfd_create("cella-content", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (made < 0 && errno == EINVAL)
		made = memfd_create("cella-content", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	made = move_up(made, LOWEST_FD);
	if (made < 0)
		return push_error(L, "memfd_create", errno);
	int error = write_all(made, data, size);
	/* Before Linux 6.3 it would be executable. */
	if (!error && fchmod(made, 0444) < 0)
		error = errno;
	if (!error && fcntl(made, F_ADD_SEALS, seals) < 0)
		error = errno;
	if (!error) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", made);
		*fd = move_up(open(path, O_RDONLY | O_CLOEXEC), lowest);
		error = *fd < 0 ? errno : 0;
	}
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
