/* A child as a Lua value that owns it. When Lua collects the value, the child is killed and reaped. The child is
 * addressed by pidfd (pidfd_open(2)), never by a number that may mean another process by now. */
#include "parent/process.h"
#include "lib/fd.h"
#include "lib/self.h"
#include "sys/channel.h"
#include "sys/raw.h"
#include "value/check.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct process *check_process(lua_State *L)
{
	static struct process nobody;
	struct process *process = luaL_checkudata(L, 1, PROCESS_TYPE);
	if (process->generation == fork_generation())
		return process;
	nobody = (struct process){ .pidfd = -1, .channel = -1, .sent = -1, .listener = -1, .reaped = true };
	return &nobody;
}

static int process_gc(lua_State *L)
{
	struct process *process = check_process(L);
	process_let_go(process);
	release_stamps(process);
	return 0;
}

/* process:release() -> true | nil, "awaiting parent", errno
 * Lets a child go on that stays in `await`. */
static int process_release(lua_State *L)
{
	struct process *process = check_process(L);
	int result = channel_answer(process->channel);
	/* EPIPE: the child has ended already; wait_for_exec() says why. */
	if (result < 0 && result != -EPIPE)
		return push_error(L, "release", -result);
	lua_pushboolean(L, true);
	return 1;
}

/* process:ready([seconds]) -> true | false | nil, message, errno
 * Waits for a child to come to an `await` of its plan; pid() is then that of the process in it. `false`: it ended
 * before, and wait_for_exec() says why. */
static int process_ready(lua_State *L)
{
	struct process *process = check_process(L);
	struct timespec time;
	const struct timespec *timeout = opt_seconds(L, 2, &time);
	int result = process->channel < 0 ? -EBADF : launch_ready(process, timeout);
	if (result < 0)
		return push_error(L, "ready", -result);
	lua_pushboolean(L, result);
	return 1;
}

/* process:wait_for_exec([seconds]) -> true | false, step, errno, call | nil, message, errno
 * Waits until the child has exec'd. `false` is a step that failed, or with the errno 0 a death in it; before the first
 * step (0) `call` is that which failed on the way to the runner. */
static int process_wait_for_exec(lua_State *L)
{
	struct process *process = check_process(L);
	struct timespec time;
	const struct timespec *timeout = opt_seconds(L, 2, &time);
	int result = launch_wait_for_exec(process, timeout);
	if (result < 0)
		return push_error(L, "wait_for_exec", -result);
	enum { MOST_ERRNO = 4095 };
	static const char *const stages[] = { "clone3", "fcntl", "capset", "execveat", "recvmsg" };
	uint32_t current = 0, stage = BOOT_OVER;
	int error = 0;
	bool finished = true;
	if (process->launch) {
		stage = process->launch->boot;
		current = process->launch->current;
		error = process->launch->error;
		/* Whoever traces it can write there what no kernel says. */
		if (error < 0 || error > MOST_ERRNO)
			error = EPROTO;
		finished = stage == BOOT_OVER && current == process->launch->steps;
	}
	launch_end(process);
	if (!error && finished) {
		lua_pushboolean(L, true);
		return 1;
	}
	process_let_go(process); /* it ends by itself, unless somebody stops it */
	lua_pushboolean(L, false);
	push_int64(L, current);
	push_int64(L, error);
	lua_pushstring(L, stage < BOOT_OVER ? stages[stage] : NULL);
	return 4;
}

/* process:current() -> the number of the step that the child is at, from 1; 0 before the first and once it is over */
static int process_current(lua_State *L)
{
	const struct process *process = check_process(L);
	push_int64(L, process->launch ? process->launch->current : 0);
	return 1;
}

/* process:stamp(step) -> seconds, nanoseconds | nil
 * When a step was done, by the clock of core.wall_clock(), if the child was launched with stamps. */
static int process_stamp(lua_State *L)
{
	const struct process *process = check_process(L);
	int64_t step = check_range(L, 2, 1, INT32_MAX);
	/* Whatever stands there: a number is all that it is taken for. */
	uint64_t at = process->stamps && step <= process->stamp_count ? process->stamps[step - 1] : 0;
	if (!at)
		return 0;
	push_int64(L, (int64_t)(at / 1000000000u));
	push_int64(L, (int64_t)(at % 1000000000u));
	return 2;
}

/* process:detach() -> true | nil, message, errno
 * From here on it is nobody's: neither killed with this value, nor waited for. ESRCH where it does not run its program. */
static int process_forget(lua_State *L)
{
	if (!process_detach(check_process(L)))
		return push_error(L, "detach", ESRCH);
	lua_pushboolean(L, true);
	return 1;
}

static void set_seconds(lua_State *L, const char *field, struct timeval time)
{
	lua_pushnumber(L, (lua_Number)time.tv_sec + (lua_Number)time.tv_usec / 1e6);
	lua_setfield(L, -2, field);
}

/* process:reap(block [, status]) -> code | nil, signal | nil, usage | false | nil | nil, message, errno
 * `nil` alone where the program died in the step that was to execute it.
 * `false` while the child runs. Without `block` it returns at once. `status` is that from which to read what an init
 * says of its program. The usage is an empty table where somebody else has reaped the child. */
static int process_reap(lua_State *L)
{
	struct process *process = check_process(L);
	int status = lua_isnoneornil(L, 3) ? -1 : *check_own_fd(L, 3);
	int result = reap(process, lua_toboolean(L, 2) ? 0 : WNOHANG);
	if (result != 0 && status >= 0 && read_report(process, status))
		result = 1;
	if (result < 0)
		return push_error(L, "waitid", -result);
	lua_pushboolean(L, false);
	if (result == 0)
		return 1;
	if (process->unexecuted) {
		lua_pushnil(L);
		return 1;
	}
	if (process->code == CLD_EXITED) {
		lua_pushinteger(L, process->status);
		lua_pushnil(L);
	} else {
		lua_pushnil(L);
		lua_pushinteger(L, process->status);
	}
	lua_newtable(L);
	if (!process->has_usage)
		return 3;
	set_seconds(L, "user_seconds", process->usage.ru_utime);
	set_seconds(L, "system_seconds", process->usage.ru_stime);
	push_int64(L, (int64_t)process->usage.ru_maxrss * 1024);
	lua_setfield(L, -2, "max_rss");
	return 3;
}

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1U << 2) /* Linux 6.9 */
#endif

/* process:kill_group(signal) -> true | nil, message, errno
 * To the group that the process leads, or to itself alone where it leads none. */
static int process_kill_group(lua_State *L)
{
	struct process *process = check_process(L);
	int signal = check_signal(L, 2, 0);
	if (process->reaped || process->pidfd < 0)
		return push_error(L, "kill", ESRCH);
	long result = RAW(SYS_pidfd_send_signal, process->pidfd, signal, 0, PIDFD_SIGNAL_PROCESS_GROUP);
	/* An older kernel goes by number. That is another's only where the caller lets somebody else reap children. */
	if (result == -EINVAL && getpgid(process->pid) == process->pid)
		result = RAW(SYS_kill, -process->pid, signal);
	else if (result == -EINVAL || result == -ESRCH)
		result = RAW(SYS_pidfd_send_signal, process->pidfd, signal, 0, 0);
	if (result < 0)
		return push_error(L, "kill", (int)-result);
	lua_pushboolean(L, true);
	return 1;
}

/* process:kill(signal) -> true | nil, message, errno; the signal by name or number */
static int process_kill(lua_State *L)
{
	struct process *process = check_process(L);
	int signal = check_signal(L, 2, 0);
	if (process->reaped || process->pidfd < 0)
		return push_error(L, "pidfd_send_signal", ESRCH);
	long result = RAW(SYS_pidfd_send_signal, process->pidfd, signal, 0, 0);
	if (result < 0)
		return push_error(L, "pidfd_send_signal", (int)-result);
	lua_pushboolean(L, true);
	return 1;
}

/* process:pid() -> the process ID as the caller sees it: that of the child */
static int process_pid(lua_State *L)
{
	lua_pushinteger(L, check_process(L)->pid);
	return 1;
}

/* process:program() -> the process ID of the program, which is a child of the child where that is an init */
static int process_program(lua_State *L)
{
	const struct process *process = check_process(L);
	lua_pushinteger(L, process->program ? process->program : process->pid);
	return 1;
}

/* process:pidfd() -> descriptor, readable when the process has ended; nil after close */
static int process_pidfd(lua_State *L)
{
	struct process *process = check_process(L);
	if (process->pidfd < 0)
		lua_pushnil(L);
	else
		lua_pushinteger(L, process->pidfd);
	return 1;
}

/* process:channel() -> descriptor, readable when ready or wait_for_exec would not wait; nil afterwards */
static int process_channel(lua_State *L)
{
	const struct process *process = check_process(L);
	if (process->channel < 0)
		return 0;
	lua_pushinteger(L, process->channel);
	return 1;
}

enum { MONITOR_PATIENCE = 5 }; /* in seconds */

/* process:monitor() -> descriptor of the process that waits in place of the caller | nil
 * Readable when it has ended: how the child ended is known by then. */
static int process_monitor(lua_State *L)
{
	struct process *process = check_process(L);
	if (process->monitor_pidfd < 0)
		lua_pushnil(L);
	else
		lua_pushinteger(L, process->monitor_pidfd);
	return 1;
}

/* process:await_monitor() -> nothing
 * Until the monitor, which may be on its way, holds nothing of the child's open: who stops it before that waits for the
 * end of the channel in vain. */
static int process_await_monitor(lua_State *L)
{
	const struct process *process = check_process(L);
	if (process->monitor_pidfd >= 0)
		monitor_await_apart(process, MONITOR_PATIENCE);
	return 0;
}

/* process:sent() -> fd object | nil
 * What the child has sent with send_fd; it is the caller's from now on. */
static int process_sent(lua_State *L)
{
	struct process *process = check_process(L);
	if (process->sent < 0)
		return 0;
	*new_fd(L) = process->sent;
	process->sent = -1;
	return 1;
}

/* process:listener() -> fd object | nil
 * Of its seccomp filter, once it has sent it: wait_for_exec(), which returns EINTR then, does not wait for whoever
 * answers. It is the caller's from now on. */
static int process_listener(lua_State *L)
{
	struct process *process = check_process(L);
	if (process->listener < 0)
		return 0;
	*new_fd(L) = process->listener;
	process->listener = -1;
	return 1;
}

static int process_tostring(lua_State *L)
{
	lua_pushfstring(L, "%s (pid %d)", PROCESS_TYPE, check_process(L)->pid);
	return 1;
}

/* fork_generation() -> integer: another in each copy of this process, whoever has made it */
static int process_generation(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)fork_generation());
	return 1;
}

void open_process(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{ "ready", process_ready },
		{ "release", process_release },
		{ "hand_over", process_hand_over },
		{ "wait_for_exec", process_wait_for_exec },
		{ "current", process_current },
		{ "stamp", process_stamp },
		{ "detach", process_forget },
		{ "reap", process_reap },
		{ "kill_group", process_kill_group },
		{ "kill", process_kill },
		{ "pid", process_pid },
		{ "program", process_program },
		{ "pidfd", process_pidfd },
		{ "channel", process_channel },
		{ "monitor", process_monitor },
		{ "await_monitor", process_await_monitor },
		{ "sent", process_sent },
		{ "listener", process_listener },
		{ "close", process_gc },
		{ 0 },
	};
	static const luaL_Reg metamethods[] = {
		{ "__gc", process_gc }, { "__close", process_gc }, { "__tostring", process_tostring }, { 0 }
	};
	new_type(L, PROCESS_TYPE, methods, metamethods);
	lua_pushcfunction(L, launch_plan);
	lua_setfield(L, -2, "launch");
	lua_pushcfunction(L, launch_copied);
	lua_setfield(L, -2, "copied");
	lua_pushcfunction(L, process_generation);
	lua_setfield(L, -2, "fork_generation");
}
