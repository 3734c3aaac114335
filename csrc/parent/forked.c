/* See forked.h. What exec(2) would have done is done by hand: the forked copy forgets what was buffered, lets go of
 * the caller's descriptors, and gets another environment. Nothing of the caller's may happen a second time: the copy
 * leaves by _exit(2), past every exit handler and finalizer that it inherits. */
#include "parent/forked.h"
#include "lib/self.h"
#include "sys/raw.h"
#include "value/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

static _Noreturn void leave(int status)
{
	fflush(NULL);
	_exit(status);
}

/* glibc's own: musl has none, and its exit handlers are not told the status. */
extern int on_exit(void (*handler)(int, void *), void *data) __attribute__((weak));

/* exit(3), whoever calls it, comes here first: of all handlers this was registered last. */
static void leave_at_exit(int status, void *nothing)
{
	(void)nothing;
	leave(status);
}

/* Whoever left so has not come to the end of the function, which is all that is known of it. */
static void leave_unknown(void)
{
	leave(EXIT_SETUP_FAILED);
}

/* Writes the numbers of the open descriptors to `list`, which has room for so many; returns how many there are. Without
 * a /proc the lower ones are tried. */
static size_t open_numbers(int *list, size_t room)
{
	size_t count = 0;
	DIR *directory = opendir("/proc/self/fd");
	if (!directory) {
		for (int number = 0; number < 4096; number++)
			if (fcntl(number, F_GETFD) >= 0 && count++ < room)
				list[count - 1] = number;
		return count;
	}
	for (struct dirent *entry; (entry = readdir(directory));)
		if (entry->d_name[0] != '.' && count++ < room)
			list[count - 1] = atoi(entry->d_name);
	closedir(directory);
	return count;
}

void copy_prepare(lua_State *L, int function, struct copy *copy)
{
	copy->thread = lua_newthread(L);
	lua_pushvalue(L, function);
	lua_xmove(L, copy->thread, 1);
	/* Twice: a finalizer may have let go of what has one too. */
	lua_gc(L, LUA_GCCOLLECT, 0);
	lua_gc(L, LUA_GCCOLLECT, 0);
	size_t room = open_numbers(NULL, 0) + 16;
	int *numbers = lua_newuserdata(L, room * sizeof *numbers);
	size_t count = open_numbers(numbers, room);
	copy->numbers = numbers;
	copy->count = count < room ? count : room;
	fflush(NULL);
}

/* What was read ahead, or could not be written, is the caller's. */
static void forget_buffers(void)
{
	FILE *const streams[] = { stdin, stdout, stderr };
	for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
		__fpurge(streams[i]);
		clearerr(streams[i]);
	}
}

static int replace_environment(const struct arg *environment)
{
	if (!given(environment))
		return 0;
	if (clearenv() != 0)
		return -ENOMEM;
	/* The strings lie in memory that is about to go. */
	for (const char *const *variable = environment->p; *variable; variable++) {
		char *own = strdup(*variable);
		if (!own || putenv(own) != 0)
			return -ENOMEM;
	}
	return 0;
}

/* The caller's files and libraries still have the numbers of descriptors that are closed here. Each stays taken, by a
 * descriptor that can neither be read nor written and leads nowhere (an empty set of epoll(7)): or a file that the
 * caller had open would write into, or close, what the function opens. */
static int hold_numbers(const struct copy *copy)
{
	int nothing = -1;
	bool held = false;
	for (size_t i = 0; i < copy->count; i++) {
		int number = copy->numbers[i];
		if (number != nothing && fcntl(number, F_GETFD) >= 0)
			continue;
		if (nothing < 0)
			nothing = epoll_create1(EPOLL_CLOEXEC);
		/* Above the limit no number can be used again. */
		if (nothing < 0)
			return errno == EMFILE ? 0 : -errno;
		held |= number == nothing;
		if (number != nothing && dup3(nothing, number, O_CLOEXEC) < 0 && errno != EBADF)
			return -errno;
	}
	if (nothing >= 0 && !held)
		close(nothing);
	return 0;
}

/* Returns 0 or a negative errno. */
static int become_own(const struct copy *copy, const struct step *call)
{
	call_generation++;
	forget_buffers();
	int result = replace_environment(&call->args[1]);
	if (result == 0)
		result = hold_numbers(copy);
	/* The caller's memory is here too: nobody in the container is to look into it (ptrace(2)). */
	if (result == 0)
		result = (int)RAW(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (result == 0 && (on_exit ? on_exit(leave_at_exit, NULL) : atexit(leave_unknown)) != 0)
		result = -ENOMEM;
	return result;
}

_Noreturn void copy_run(const struct copy *copy, struct launch *launch, const struct step *call)
{
	int result = become_own(copy, call);
	if (result < 0) {
		launch->error = -result;
		_exit(EXIT_SETUP_FAILED);
	}
	/* What the parent goes by is out of reach before the parent goes by it. */
	int channel = launch->channel;
	munmap(launch, launch->size);
	close(channel);
	lua_pcall(copy->thread, 0, 0, 0);
	_exit(EXIT_SETUP_FAILED);
}

static void check_copy(lua_State *L)
{
	if (call_generation == 0)
		luaL_error(L, "this process is no copy");
}

/* A state that is closed in a copy would run every finalizer of the caller's: this one is the newest, comes first,
 * and is the last. */
static int guard_gc(lua_State *L)
{
	(void)L;
	leave(EXIT_SETUP_FAILED);
}

#ifdef LUA_RIDX_MAINTHREAD
static void guard_call(lua_State *L, lua_Debug *call)
{
	(void)call;
	guard_gc(L);
}
#endif

/* guard() */
static int copy_guard(lua_State *L)
{
	check_copy(L);
#ifdef LUA_RIDX_MAINTHREAD
	/* Before that it would close the caller's variables, in the main thread, where nothing else is ever called. */
	lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
	lua_sethook(lua_tothread(L, -1), guard_call, LUA_MASKCALL, 0);
#endif
	lua_newuserdata(L, 1);
	lua_newtable(L);
	lua_pushcfunction(L, guard_gc);
	lua_setfield(L, -2, "__gc");
	lua_setmetatable(L, -2);
	luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

/* deliver(fd, data) -> boolean: all of it, and the end */
static int copy_deliver(lua_State *L)
{
	check_copy(L);
	int fd = check_fd(L, 1);
	size_t left;
	const char *data = luaL_checklstring(L, 2, &left);
	fflush(NULL);
	while (left > 0) {
		long count;
		RAW_RETRY(count, SYS_write, fd, data, left);
		if (count <= 0)
			break;
		data += count;
		left -= (size_t)count;
	}
	lua_pushboolean(L, left == 0);
	return 1;
}

/* leave(status): writes out what is buffered, and ends */
static int copy_leave(lua_State *L)
{
	check_copy(L);
	leave((int)check_range(L, 1, 0, 255));
}

/* threads() -> how many this process has */
static int copy_threads(lua_State *L)
{
	int count = thread_count();
	/* Where there is no /proc the kernel tells at least whether there are others. */
	if (count == 1 && RAW(SYS_unshare, CLONE_THREAD) == -EINVAL)
		count = 2;
	lua_pushinteger(L, count);
	return 1;
}

void open_forked(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "guard", copy_guard },     { "deliver", copy_deliver }, { "leave", copy_leave },
		{ "threads", copy_threads }, { 0 },
	};
	luaL_newlib(L, functions);
	lua_setfield(L, -2, "copy");
}
