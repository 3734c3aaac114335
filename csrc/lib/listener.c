/* Hears of system calls that a seccomp filter holds back, and answers them: seccomp_unotify(2). What lies in the memory
 * of whoever makes the call is asked for here too; it may be another thing by the time that the kernel reads it. */
#include "lib/fd.h"
#include "lib/lib.h"
#include "sys/memory_request.h"
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

enum { ID_SIZE = sizeof(uint64_t), ARGUMENTS = 6, WORD_DIGITS = 16 };

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

/* listener.pair() -> fd, fd | nil, message, errno
 * The two ends of a socket that keeps messages apart: of a reader (csrc/runner/reader.c), and of who asks it. */
static int listener_pair(lua_State *L)
{
	int ends[2];
	int *one = new_fd(L), *other = new_fd(L);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return push_error(L, "socketpair", errno);
	*one = ends[0];
	*other = ends[1];
	return 2;
}

/* Asks the reader. Returns 0 or an errno: ETIMEDOUT where it has no answer so soon. */
static int ask(int reader, int memory, const struct memory_request *request, struct memory_answer *answer, int timeout)
{
	union {
		char space[CMSG_SPACE(sizeof memory)];
		struct cmsghdr header;
	} control = {
		.header = { .cmsg_len = CMSG_LEN(sizeof memory), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS },
	};
	memcpy(CMSG_DATA(&control.header), &memory, sizeof memory);
	struct iovec data = { (void *)(uintptr_t)request, sizeof *request };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof control };
	struct pollfd answers = { .fd = reader, .events = POLLIN };
	long result;
	RAW_RETRY(result, SYS_sendmsg, reader, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (result < 0)
		return (int)-result;
	struct timespec left = { timeout / 1000, timeout % 1000 * 1000000L };
	/* The time that is left is the kernel's to count down: raw, unlike libc's. */
	RAW_RETRY(result, SYS_ppoll, &answers, 1, &left, 0, 0);
	if (result <= 0)
		return result < 0 ? (int)-result : ETIMEDOUT;
	RAW_RETRY(result, SYS_recvfrom, reader, answer, sizeof *answer, MSG_DONTWAIT, 0, 0);
	if (result < 0)
		return (int)-result;
	size_t head = offsetof(struct memory_answer, bytes);
	return (size_t)result < head || answer->size != (size_t)result - head ? EPIPE : 0;
}

/* listener.memory(reader, milliseconds, pid, address, size [, text]) -> string | nil, message, errno
 * What lies in a process's memory: so many bytes, or as many as there are. A `text` ends before a NUL; where there is
 * none in so many bytes, the second result is true. The reader reads it, who may have to wait for it: ETIMEDOUT where
 * that takes longer; and it is of no use any more. EPIPE where it has gone. */
static int listener_memory(lua_State *L)
{
	char path[64];
	struct memory_answer answer;
	int reader = check_fd(L, 1), timeout = (int)check_range(L, 2, 1, INT_MAX);
	snprintf(path, sizeof path, "/proc/%d/mem", (int)check_range(L, 3, 1, INT_MAX));
	struct memory_request request = { .address = check_word(L, 4),
					  .size = (uint32_t)check_range(L, 5, 1, MOST_MEMORY),
					  .is_text = (uint32_t)lua_toboolean(L, 6) };
	if (request.address > (uint64_t)INT64_MAX - MOST_MEMORY)
		return push_error(L, "pread", EFAULT); /* the kernel's half */
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return push_error(L, path, errno);
	int error = ask(reader, fd, &request, &answer, timeout);
	close(fd);
	if (error)
		return push_error(L, "reader", error);
	if (answer.error && (request.is_text || !answer.size))
		return push_error(L, "pread", answer.error);
	lua_pushlstring(L, answer.bytes, answer.size);
	lua_pushboolean(L, request.is_text && !answer.ended);
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
		{ "pair", listener_pair },
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
