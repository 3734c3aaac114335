/* Starts a child that performs a plan: copies the recorded steps into a file that both processes map, and clones
 * (clone(2)). The child executes the runner at once; where a Lua function is to be called in it, it is a forked copy of
 * the caller instead. */
#include "executor/boot.h"
#include "lib/descriptor.h"
#include "lib/self.h"
#include "parent/boot_memory.h"
#include "parent/forked.h"
#include "parent/launch_file.h"
#include "parent/outline.h"
#include "parent/process.h"
#include "parent/runner_file.h"
#include "parent/thread_id.h"
#include "plan/recorder.h"
#include "sys/credentials.h"
#include "sys/raw.h"
#include "value/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The stamps outlive the memory that they come from: what they say is asked for once the program runs. */
static void keep_stamps(struct process *process)
{
	if (!process->launch || !process->stamps)
		return;
	size_t size = process->stamp_count * sizeof *process->stamps;
	uint64_t *copy = malloc(size ? size : 1);
	if (copy)
		memcpy(copy, process->stamps, size);
	process->stamps = copy;
	process->stamp_count = copy ? process->stamp_count : 0;
}

void release_stamps(struct process *process)
{
	if (!process->launch)
		free((void *)(uintptr_t)process->stamps);
	process->stamps = NULL;
	process->stamp_count = 0;
}

static void release_memory(struct process *process)
{
	keep_stamps(process);
	if (process->launch)
		release_launch(process, process->launch, process->launch_size);
	process->launch = NULL;
	if (process->boot)
		release_boot(process->boot);
	process->boot = NULL;
}

/* Waits for a child of which nothing is to be known, whatever signals arrive. */
static void reap_quietly(int pid)
{
	long result;
	RAW_RETRY(result, SYS_wait4, pid, 0, __WALL, 0);
	(void)result;
}

/* 0, 1 and 2 are the standard streams even where the caller has closed them: nothing of ours goes there,
 * and nothing goes on a number below `min_fd`, which the plan is about to use. */
static int channel_pair(int min_fd, int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pair[0] = move_up(pair[0], min_fd);
	pair[1] = move_up(pair[1], min_fd);
	int error = errno;
	if (pair[0] >= 0 && pair[1] >= 0)
		return 0;
	close_once(&pair[0]);
	close_once(&pair[1]);
	return -error;
}

/* Whether the kernel reaps the children of this process itself, so that nobody is told how they end. */
static bool loses_child_status(void)
{
	struct kernel_sigaction action = { 0 };
	return RAW(SYS_rt_sigaction, SIGCHLD, 0, &action, sizeof action.mask) == 0 &&
	       (action.handler == SIG_IGN || action.flags & SA_NOCLDWAIT);
}

/* Why the first process could not execute the runner and be what this one is; NULL where it can. A monitor is outside
 * of the new namespaces. */
static const char *refusal(const struct outline *outline, uint64_t namespaces)
{
	return credentials_refusal(outline->needs_monitor ? 0 : namespaces);
}

/* How a plan is started. */
struct start {
	const struct outline *outline;
	uint64_t namespaces;
	int cgroup;  /* -1 for none */
	int runner;  /* descriptor of its file */
	bool copied; /* performed in a copy of the caller */
};

/* Returns the pid of the process, or a negative errno. */
static int start_runner(struct process *process, struct clone_args *args, const struct start *start, int plan)
{
	static const char *const nothing[] = { NULL };
	struct boot_memory *memory = take_boot();
	if (!memory)
		return -ENOMEM;
	process->boot = memory;
	memory->boot = (struct boot){
		.launch = process->launch,
		.runner = start->runner,
		.plan = plan,
		.other_end = process->channel,
		.root_keeps_all = !(args->flags & CLONE_NEWUSER) && credentials_root(),
		.environment = start->outline->uses_environment ? (const char *const *)(void *)environ : nothing,
	};
	args->flags |= CLONE_VM;
	args->stack = (uint64_t)(uintptr_t)memory->stack;
	args->stack_size = sizeof memory->stack;
	return (int)raw_clone3(args, sizeof *args, boot_body, &memory->boot);
}

/* Returns the pid of the process, or a negative errno; 0 in a copy that has come to its call. */
static int start_copy(struct process *process, struct clone_args *args, const struct start *start, int plan)
{
	struct executor executor = { .thread_id = thread_id_place() };
	struct launch *launch = process->launch;
	launch->boot = BOOT_OVER;
	int result = executor_clone(&executor, args);
	if (result != 0)
		return result;
	RAW(SYS_close, process->channel);
	executor_begin(&executor, launch);
	if (launch->monitored) {
		int child = monitor_clone(&executor);
		if (child != 0) {
			if (child > 0)
				result = boot_monitor(start->runner, plan, child);
			launch->error = child < 0 ? -child : -result;
			if (child > 0)
				RAW(SYS_kill, child, SIGKILL);
			raw_leave(EXIT_SETUP_FAILED);
		}
	}
	/* What is cella's own is not there for the plan, as it is not in the runner. */
	RAW(SYS_close, plan);
	close_private();
	execute_plan(&executor);
	return 0;
}

enum { IN_A_COPY = 1 };

/* Returns 0, IN_A_COPY in a child that has come to its call, or a negative errno. */
static int start(struct process *process, const struct plan *plan, const struct start *how, int plan_fd)
{
	struct launch *launch = process->launch;
	int pair[2];
	int result = channel_pair(how->outline->highest_target + 1, pair);
	if (result < 0)
		return result;
	process->channel = pair[0];
	int on = 1;
	if (setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0) {
		result = -errno;
		close(pair[1]);
		return result;
	}
	launch->channel = pair[1];
	process->monitored = launch->monitored = launch->handed_off = how->outline->needs_monitor;

	int pidfd = -1;
	struct clone_args args = { .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND, .pidfd = (uint64_t)(uintptr_t)&pidfd };
	size_t kept = list_kept(plan, launch, launch_kept(launch));
	add_kept(launch_kept(launch), &kept, launch->channel);
	if (launch->monitored) {
		launch->namespaces = how->namespaces;
		launch->cgroup = how->cgroup;
		if (how->cgroup >= 0)
			add_kept(launch_kept(launch), &kept, how->cgroup);
	} else {
		args.flags |= how->namespaces;
		args.exit_signal = launch->executes ? 0 : SIGCHLD; /* exec makes it SIGCHLD */
		if (how->cgroup >= 0) {
			args.flags |= CLONE_INTO_CGROUP;
			args.cgroup = (uint64_t)(unsigned)how->cgroup;
		}
	}
	launch->kept_count = (uint32_t)kept;
	/* Every signal is held back, those that libc keeps for itself too: a handler of ours must not run
	 * in the child, which would run it in our memory. */
	uint64_t all = UINT64_MAX, before;
	result = (int)RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
	if (result >= 0) {
		result = how->copied ? start_copy(process, &args, how, plan_fd) :
				       start_runner(process, &args, how, plan_fd);
		if (result == 0)
			return IN_A_COPY;
		RAW(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, sizeof before);
	}
	close(pair[1]);
	/* What is shared is between these two: no copy that is made later is to write there. */
	madvise(launch, process->launch_size, MADV_DONTFORK);
	if (result < 0)
		return result;
	process->pid = result;
	process->pidfd = move_up(pidfd, MIN_FD);
	if (process->pidfd < 0) {
		/* No room to hold on to it: it must not go on. Nobody else can have reaped it. */
		result = -errno;
		RAW(SYS_kill, process->pid, SIGKILL);
		reap_quietly(process->pid);
		process->monitored = false;
		return result;
	}
	if (process->monitored) {
		/* Who is the child is yet to be said. */
		process->monitor_pid = process->pid;
		process->monitor_pidfd = process->pidfd;
		process->pid = 0;
		process->pidfd = -1;
	}
	return 0;
}

/* -> nil, message, errno, call */
static int push_call_error(lua_State *L, const char *call, int error)
{
	push_error(L, call, -error);
	lua_pushstring(L, call);
	return 4;
}

/* launch(recorder, namespaces [, slots [, cgroup [, bounded [, function [, stamped]]]]])
 *   -> process | nil, message, errno, call
 * Clones a child into new namespaces (a list) and lets it run; in an `await` step it stays until process:release().
 * `slots` are descriptors by slot number. `cgroup` is the descriptor of one that the child is born into; where that is
 * `bounded` in memory, the child is another's than this process's: the kernel could kill with it all that share its
 * memory. The function is what a call at the end calls. `stamped`: process:stamp(step) says when a step was done. */
int launch_plan(lua_State *L)
{
	struct plan *plan = to_plan(L, 1);
	struct outline outline = outline_of(plan);
	struct start how = { .outline = &outline, .namespaces = check_flags(L, 2, &names_namespace) };
	if (!lua_isnoneornil(L, 3))
		luaL_checktype(L, 3, LUA_TTABLE);
	how.cgroup = lua_isnoneornil(L, 4) ? -1 : check_fd(L, 4);
	outline.needs_monitor |= lua_toboolean(L, 5) || loses_child_status();
	outline.stamped = lua_toboolean(L, 7);
	lua_settop(L, 6);
	struct copy copy = { 0 };
	if (plan->calls) {
		luaL_checktype(L, 6, LUA_TFUNCTION);
		copy_prepare(L, 6, &copy);
	}
	how.copied = plan->calls || refusal(&outline, how.namespaces);
	struct process *process = lua_newuserdata(L, sizeof *process);
	memset(process, 0, sizeof *process);
	process->generation = fork_generation();
	process->pidfd = process->channel = process->sent = process->listener =
		process->monitor_pidfd = -1;
	process->reaped = true;
	luaL_getmetatable(L, PROCESS_TYPE);
	lua_setmetatable(L, -2);

	reap_owed();
	how.runner = plan_runner_file(L);
	if (how.runner < 0)
		return push_call_error(L, "memfd_create", how.runner);
	/* A copy of this process has no other mapping than this one's. */
	int plan_fd = make_launch(process, plan, &outline, how.copied);
	if (plan_fd < 0)
		return push_call_error(L, "memfd_create", plan_fd);
	fill_slots(L, 3, process->launch);
	int result = start(process, plan, &how, plan_fd);
	if (result == IN_A_COPY) {
		struct launch *launch = process->launch;
		uint32_t size = plan_step(plan, plan->steps - 1)->size;
		copy_run(&copy, launch, (const struct step *)(const void *)((char *)launch + launch->end - size));
	}
	close(plan_fd);
	if (result < 0) {
		close_once(&process->channel);
		process->monitored = false;
		release_memory(process);
		return push_call_error(L, "clone3", result);
	}
	process->reaped = false;
	return 1;
}

/* copied(recorder, namespaces [, bounded]) -> why | nil
 * Why a plan without a call would be performed in a copy of this process, not in the runner: what exec cannot hand
 * on. */
int launch_copied(lua_State *L)
{
	struct outline outline = outline_of(to_plan(L, 1));
	outline.needs_monitor |= lua_toboolean(L, 3) || loses_child_status();
	lua_pushstring(L, refusal(&outline, check_flags(L, 2, &names_namespace)));
	return 1;
}

void launch_end(struct process *process)
{
	close_once(&process->channel);
	release_memory(process);
}
