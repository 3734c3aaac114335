/* Hears of system calls that a seccomp filter holds back, and answers them: seccomp_unotify(2). What lies in the memory
 * of whoever makes the call is read here too; it may be another thing by the time that the kernel reads it. */
#include "lib/lib.h"
#include "sys/raw.h"
#include "value/check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/ioctl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { ID_SIZE = sizeof(uint64_t), ARGUMENTS = 6, PAGE = 4096, WORD_DIGITS = 16 };

static uint64_t check_id(lua_State *L, int index)
{
	size_t size;
	uint64_t id;
	const char *bytes = luaL_checklstring(L, index, &size);
	luaL_argcheck(L, size == ID_SIZE, index, "the id of a call expected");
	memcpy(&id, bytes, sizeof id);
	return id;
}

/* listener.receive(fd) -> { id =, pid =, number =, arguments = { six words } } | false | nil, message, errno
 * The next call that waits for an answer; false where none does. `id` is for the functions below, `pid` of the thread
 * that makes it. ENOENT where that has gone meanwhile, ENOTCONN where all have whom the filter was on. */
static int listener_receive(lua_State *L)
{
	int fd = check_fd(L, 1);
	struct seccomp_notif call;
	struct pollfd listener = { .fd = fd, .events = POLLIN };
	memset(&call, 0, sizeof call);
	/* The ioctl sleeps where there is none, for ever where nobody is left. */
	if (poll(&listener, 1, 0) < 0)
		return push_error(L, "seccomp_unotify", errno);
	if (!(listener.revents & POLLIN)) {
		if (listener.revents)
			return push_error(L, "seccomp_unotify", ENOTCONN);
		lua_pushboolean(L, false);
		return 1;
	}
	/* By raw calls: in musl the number of a request is an int. */
	long result = RAW(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_RECV, &call);
	if (result < 0)
		return push_error(L, "seccomp_unotify", (int)-result);
	lua_createtable(L, 0, 4);
	lua_pushlstring(L, (const char *)&call.id, sizeof call.id);
	lua_setfield(L, -2, "id");
	lua_pushinteger(L, (lua_Integer)call.pid);
	lua_setfield(L, -2, "pid");
	lua_pushinteger(L, call.data.nr);
	lua_setfield(L, -2, "number");
	lua_createtable(L, ARGUMENTS, 0);
	for (int i = 0; i < ARGUMENTS; i++) {
		char word[WORD_DIGITS + 1];
		snprintf(word, sizeof word, "%016" PRIx64, (uint64_t)call.data.args[i]);
		lua_pushstring(L, word);
		lua_rawseti(L, -2, i + 1);
	}
	lua_setfield(L, -2, "arguments");
	return 1;
}

/* listener.waits(fd, id) -> boolean
 * Whether the call waits still: what was read of its process meanwhile is of no other one. */
static int listener_waits(lua_State *L)
{
	uint64_t id = check_id(L, 2);
	lua_pushboolean(L, RAW(SYS_ioctl, check_fd(L, 1), SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0);
	return 1;
}

/* listener.answer(fd, id [, errno]) -> true | nil, message, errno
 * The call fails with an error; without one the kernel performs it. ENOENT where it waits no longer. */
static int listener_answer(lua_State *L)
{
	enum { MOST_ERRNO = 4095 };
	int fd = check_fd(L, 1);
	struct seccomp_notif_resp answer = { .id = check_id(L, 2) };
	if (lua_isnoneornil(L, 3))
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else
		answer.error = -(int32_t)check_range(L, 3, 1, MOST_ERRNO);
	long result = RAW(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	if (result < 0)
		return push_error(L, "seccomp_unotify", (int)-result);
	lua_pushboolean(L, true);
	return 1;
}

/* An address: hexadecimal digits. */
static uint64_t check_word(lua_State *L, int index)
{
	size_t size;
	const char *word = luaL_checklstring(L, index, &size);
	luaL_argcheck(L, size == WORD_DIGITS && strspn(word, "0123456789abcdef") == WORD_DIGITS, index,
		      "16 hexadecimal digits expected");
	return strtoull(word, NULL, 16);
}

/* listener.memory(pid, address, size [, text]) -> string | nil, message, errno
 * What lies in a process's memory: so many bytes, or as many as there are. A `text` ends before a NUL; where there is
 * none in so many bytes, the second result is true. */
static int listener_memory(lua_State *L)
{
	char path[64], buffer[PAGE];
	snprintf(path, sizeof path, "/proc/%d/mem", (int)check_range(L, 1, 1, INT_MAX));
	uint64_t address = check_word(L, 2);
	size_t size = (size_t)check_range(L, 3, 1, PAGE), have = 0;
	bool is_text = lua_toboolean(L, 4), ended = false;
	if (address > (uint64_t)INT64_MAX - PAGE)
		return push_error(L, "pread", EFAULT); /* the kernel's half */
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return push_error(L, path, errno);
	int error = 0;
	while (have < size && !ended) {
		/* The page behind the end may be nobody's. */
		size_t most = PAGE - (size_t)((address + have) % PAGE);
		if (most > size - have)
			most = size - have;
		ssize_t count = pread(fd, buffer + have, most, (off_t)(address + have));
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0) {
			error = count < 0 ? errno : EFAULT;
			break;
		}
		const char *end = is_text ? memchr(buffer + have, 0, (size_t)count) : NULL;
		ended = end != NULL;
		have = end ? (size_t)(end - buffer) : have + (size_t)count;
	}
	close(fd);
	if (error && (is_text || !have))
		return push_error(L, "pread", error == EIO ? EFAULT : error);
	lua_pushlstring(L, buffer, have);
	lua_pushboolean(L, is_text && !ended);
	return 2;
}

/* listener.protocol(pid, fd) -> "tcp" | "udp" | nil [, message, errno]
 * The protocol of a process's socket; nil of any other. */
static int listener_protocol(lua_State *L)
{
	int pid = (int)check_range(L, 1, 1, INT_MAX), number = (int)check_range(L, 2, 0, UINT32_MAX);
	int protocol = 0, error = 0;
	socklen_t size = sizeof protocol;
	long pidfd = RAW(SYS_pidfd_open, pid, 0);
	long fd = pidfd < 0 ? pidfd : RAW(SYS_pidfd_getfd, pidfd, number, 0);
	if (fd < 0)
		error = (int)-fd;
	else if (getsockopt((int)fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0)
		error = errno;
	if (fd >= 0)
		close((int)fd);
	if (pidfd >= 0)
		close((int)pidfd);
	if (error)
		return push_error(L, "pidfd_getfd", error);
	lua_pushstring(L, protocol == IPPROTO_TCP ? "tcp" : protocol == IPPROTO_UDP ? "udp" : NULL);
	return 1;
}

/* listener.is_readonly(fd) -> boolean | nil, message, errno
 * Whether the mount, or the file system, that a descriptor is of is read-only. */
static int listener_is_readonly(lua_State *L)
{
	struct statvfs status;
	if (fstatvfs(check_fd(L, 1), &status) < 0)
		return push_error(L, "fstatvfs", errno);
	lua_pushboolean(L, (status.f_flag & ST_RDONLY) != 0);
	return 1;
}

void open_listener(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "receive", listener_receive },
		{ "waits", listener_waits },
		{ "answer", listener_answer },
		{ "memory", listener_memory },
		{ "protocol", listener_protocol },
		{ "is_readonly", listener_is_readonly },
		{ 0 },
	};
	lua_newtable(L);
	for (const luaL_Reg *function = functions; function->name; function++) {
		lua_pushcfunction(L, function->func);
		lua_setfield(L, -2, function->name);
	}
	lua_setfield(L, -2, "listener");
}
