/* Waiting: for many descriptors at once (poll(2)), for sets of descriptors that are one descriptor (epoll(7)), for a
 * time (timerfd_create(2)), for signals (signalfd(2)). */
#include "lib/descriptor.h"
#include "lib/fd.h"
#include "lib/lib.h"
#include "sys/raw.h"
#include "value/check.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static void add_polled(lua_State *L, int index, struct pollfd *fds, int count, short events)
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

/* poll(fds [, seconds [, writers]]) -> list of the ready ones (empty after the time) | nil, message, errno
 * Lists of numbers: which can be read from, and which can be written to. A signal ends it with EINTR, so that Lua's own
 * handlers get their turn. */
static int io_poll(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 3);
	struct timespec time;
	const struct timespec *timeout = opt_seconds(L, 2, &time);
	if (!lua_isnil(L, 3))
		luaL_checktype(L, 3, LUA_TTABLE);
	int readers = (int)lua_rawlen(L, 1), writers = lua_isnil(L, 3) ? 0 : (int)lua_rawlen(L, 3);
	int count = readers + writers;
	struct pollfd *fds = lua_newuserdata(L, ((size_t)count + 1) * sizeof *fds);
	add_polled(L, 1, fds, readers, POLLIN);
	add_polled(L, 3, fds + readers, writers, POLLOUT);
	if (ppoll(fds, (nfds_t)count, timeout, NULL) < 0)
		return push_error(L, "poll", errno);
	lua_newtable(L);
	for (int i = 0, ready = 0; i < count; i++) {
		if (fds[i].revents) {
			lua_pushinteger(L, fds[i].fd);
			lua_rawseti(L, -2, ++ready);
		}
	}
	return 1;
}

/* poll_set() -> fd object | nil, message, errno
 * A set of descriptors: readable where one of them is ready (epoll(7)). */
static int io_poll_set(lua_State *L)
{
	int *fd = new_fd(L);
	*fd = move_up(epoll_create1(EPOLL_CLOEXEC), MIN_FD);
	return *fd < 0 ? push_error(L, "epoll_create1", errno) : 1;
}

/* fd:watch(number [, writes]) -> true | nil, message, errno
 * Takes a descriptor into the set: ready where it can be read from, or with `writes` where it can be written to. */
static int fd_watch(lua_State *L)
{
	int set = *check_own_fd(L, 1), number = check_fd(L, 2);
	struct epoll_event event = { .events = lua_toboolean(L, 3) ? EPOLLOUT : EPOLLIN, .data.fd = number };
	if (epoll_ctl(set, EPOLL_CTL_ADD, number, &event) < 0)
		return push_error(L, "epoll_ctl", errno);
	lua_pushboolean(L, true);
	return 1;
}

/* fd:forget(number): it has to be open still. */
static int fd_forget(lua_State *L)
{
	int set = *check_own_fd(L, 1), number = check_fd(L, 2);
	epoll_ctl(set, EPOLL_CTL_DEL, number, NULL);
	return 0;
}

/* fd:ready() -> list of those of the set that are ready now | nil, message, errno */
static int fd_ready(lua_State *L)
{
	enum { MOST = 64 };
	struct epoll_event events[MOST];
	long count;
	RAW_RETRY(count, SYS_epoll_pwait, *check_own_fd(L, 1), events, MOST, 0, 0, 0);
	if (count < 0)
		return push_error(L, "epoll_wait", (int)-count);
	lua_newtable(L);
	for (int i = 0; i < (int)count; i++) {
		lua_pushinteger(L, events[i].data.fd);
		lua_rawseti(L, -2, i + 1);
	}
	return 1;
}

/* timer() -> fd object | nil, message, errno
 * Readable once the time has come that was set last. */
static int io_timer(lua_State *L)
{
	int *fd = new_fd(L);
	*fd = move_up(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), MIN_FD);
	return *fd < 0 ? push_error(L, "timerfd_create", errno) : 1;
}

/* fd:set_timer([seconds]) -> true | nil, message, errno
 * Without a time it never comes. */
static int fd_set_timer(lua_State *L)
{
	int fd = *check_own_fd(L, 1);
	struct itimerspec when = { 0 };
	if (opt_seconds(L, 2, &when.it_value) && when.it_value.tv_sec == 0 && when.it_value.tv_nsec == 0)
		when.it_value.tv_nsec = 1; /* nothing at all would disarm it */
	if (timerfd_settime(fd, 0, &when, NULL) < 0)
		return push_error(L, "timerfd_settime", errno);
	lua_pushboolean(L, true);
	return 1;
}

/* now() -> seconds of the monotonic clock */
static int io_now(lua_State *L)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	lua_pushnumber(L, (lua_Number)time.tv_sec + (lua_Number)time.tv_nsec / 1e9);
	return 1;
}

/* wall_clock() -> seconds, nanoseconds of the system's clock, which is the same in every time namespace */
static int io_wall_clock(lua_State *L)
{
	struct timespec time;
	clock_gettime(CLOCK_REALTIME, &time);
	push_int64(L, time.tv_sec);
	push_int64(L, time.tv_nsec);
	return 2;
}

static sigset_t check_signals(lua_State *L, int index)
{
	sigset_t set;
	sigemptyset(&set);
	luaL_checktype(L, index, LUA_TTABLE);
	for (int i = 1; i <= (int)lua_rawlen(L, index); i++) {
		lua_rawgeti(L, index, i);
		sigaddset(&set, check_signal(L, lua_gettop(L), 1));
		lua_pop(L, 1);
	}
	return set;
}

/* signals(list) -> fd object | nil, message, errno
 * Blocks the signals and gives a descriptor to read them from (signalfd(2)): for programs whose own life is
 * that of the container, such as the command line. Those that are ignored stay so, as nohup(1) wants it: blocked they
 * would be kept. */
static int io_signals(lua_State *L)
{
	sigset_t set = check_signals(L, 1);
	for (int number = 1; number <= SIGRTMAX; number++) {
		struct sigaction action;
		if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			sigdelset(&set, number);
	}
	int *fd = new_fd(L);
	*fd = move_up(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), MIN_FD);
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

void open_poll(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "poll", io_poll },
		{ "poll_set", io_poll_set },
		{ "timer", io_timer },
		{ "now", io_now },
		{ "wall_clock", io_wall_clock },
		{ "signals", io_signals },
		{ "stop_self", io_stop_self },
		{ 0 },
	};
	static const luaL_Reg methods[] = {
		{ "watch", fd_watch },
		{ "forget", fd_forget },
		{ "ready", fd_ready },
		{ "set_timer", fd_set_timer },
		{ "read_signal", fd_read_signal },
		{ 0 },
	};
	luaL_setfuncs(L, functions, 0);
	add_fd_methods(L, methods);
}
