/* The parent's half of starting a plan: binds the recorded steps to memory of their own, clones, and
 * leaves the caller as it was. */
#include "copy.h"
#include "process.h"
#include "raw.h"
#include "tense.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

enum { PAGE = 65536 }; /* a multiple of every page size that Linux has */

/* A child in our memory that switches IDs makes *us* non-dumpable (prctl(2), PR_SET_DUMPABLE), which
 * would close our own /proc/self to us. The last child to leave puts back what the first found. */
static pthread_mutex_t dumpable_lock = PTHREAD_MUTEX_INITIALIZER;
static int sharing;
static long dumpable_before;

static void sharing_begins(void)
{
	pthread_mutex_lock(&dumpable_lock);
	if (sharing++ == 0)
		dumpable_before = RAW(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0);
	pthread_mutex_unlock(&dumpable_lock);
}

static void sharing_ends(void)
{
	pthread_mutex_lock(&dumpable_lock);
	if (--sharing == 0 && RAW(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0) != dumpable_before)
		RAW(SYS_prctl, PR_SET_DUMPABLE, dumpable_before, 0, 0, 0);
	pthread_mutex_unlock(&dumpable_lock);
}

void sharing_is_over(void)
{
	sharing = 0;
}

static size_t round_up(size_t size)
{
	return (size + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static bool step_needs_own_memory(const struct step *step)
{
	const struct op *op = op_at(step->op);
	return op->needs_own_memory && op->needs_own_memory(step->args);
}

/* Where libc keeps the number of this thread, which a copy has to set to its own; NULL if that is not so. */
static int *place_of_thread_id(void)
{
	int *place = NULL;
	if (RAW(SYS_prctl, PR_GET_TID_ADDRESS, &place, 0, 0, 0) < 0 || !place || *place != (int)RAW(SYS_gettid))
		return NULL;
	return place;
}

/* Without a type the descriptor may be that of any namespace. */
static bool step_enters_pid(const struct step *step)
{
	return strcmp(op_at(step->op)->name, "setns") == 0 &&
	       (step->args[1].n == 0 || (step->args[1].n & CLONE_NEWPID) != 0);
}

static struct launch *prepare(const struct plan *plan, bool own_memory)
{
	bool dies_with_parent = false, needs_keeper = false;
	size_t processes = 1;
	for (size_t i = 0; i < plan->steps; i++) {
		own_memory |= step_needs_own_memory(plan_step(plan, i));
		const struct op *op = op_at(plan_step(plan, i)->op);
		processes += (op->flags & (OP_FORK | OP_INIT)) != 0;
		/* The init of a pid namespace ends only once all who have entered it are reaped. Whoever waited for the
		 * init first would wait for ever, if it fell to him to reap them. */
		needs_keeper |= op->flags & OP_FORK || step_enters_pid(plan_step(plan, i));
		dies_with_parent |= strcmp(op->name, "pdeathsig") == 0;
	}
	if (own_memory)
		processes = 0;
	size_t stacks = processes * STACK_DISTANCE;
	size_t head = (sizeof(struct launch) + (size_t)plan->slots * sizeof(int) + 15) & ~(size_t)15;
	size_t size = stacks + round_up(head + plan->buffer.size);
	char *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_NORESERVE | (own_memory ? MAP_SHARED : MAP_PRIVATE), -1, 0);
	if (mapping == MAP_FAILED)
		return NULL;
#ifdef __SANITIZE_ADDRESS__
	/* What a child before left in the sanitizer's notes about stacks at this address means nothing now. */
	__asan_unpoison_memory_region(mapping, size);
#endif
	struct launch *launch = (struct launch *)(void *)(mapping + stacks);
	launch->mapping = mapping;
	launch->mapping_size = size;
	launch->own_memory = own_memory;
	launch->thread_id = own_memory ? place_of_thread_id() : NULL;
	launch->dies_with_parent = dies_with_parent;
	launch->needs_keeper = needs_keeper;
	unsigned last = plan->steps ? op_at(plan_step(plan, plan->steps - 1)->op)->flags : 0;
	launch->executes = (last & OP_EXEC) && !(last & OP_CALL);
	for (size_t i = 0; i < processes; i++)
		mprotect(mapping + i * STACK_DISTANCE, PAGE, PROT_NONE);
	launch->spare_stack = mapping + STACK_DISTANCE + PAGE;
	char *steps = (char *)launch + head;
	if (plan->buffer.size)
		memcpy(steps, plan->buffer.data, plan->buffer.size);
	launch->next = (struct step *)(void *)steps;
	launch->end = (struct step *)(void *)(steps + plan->buffer.size);
	for (size_t i = 0; i < plan->steps; i++)
		step_bind((struct step *)(void *)(steps + plan->starts[i]));
	return launch;
}

static void release_memory(struct process *process)
{
	if (!process->launch)
		return;
	munmap(process->launch->mapping, process->launch->mapping_size);
	process->launch = NULL;
	if (!process->own_memory)
		sharing_ends();
}

void close_once(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int move_up(int fd, int lowest)
{
	if (fd < 0 || fd >= lowest)
		return fd;
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, lowest);
	int error = errno;
	close(fd);
	errno = error;
	return moved;
}

void reap_quietly(int pid)
{
	long result;
	RAW_RETRY(result, SYS_wait4, pid, 0, __WALL, 0);
	(void)result;
}

int open_pidfd(int pid)
{
	int fd = move_up((int)syscall(SYS_pidfd_open, pid, 0), LOWEST_FD);
	return fd < 0 ? -errno : fd;
}

/* 0, 1 and 2 are the standard streams even where the caller has closed them: nothing of ours goes there,
 * and nothing goes on a number below `lowest`, which the plan is about to use. */
static int channel_pair(int lowest, int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pair[0] = move_up(pair[0], lowest);
	pair[1] = move_up(pair[1], lowest);
	int error = errno;
	if (pair[0] >= 0 && pair[1] >= 0)
		return 0;
	close_once(&pair[0]);
	close_once(&pair[1]);
	return -error;
}

static uint64_t ignored_signals(bool *child_status_lost)
{
	uint64_t set = 0;
	/* Not by way of libc, which hides two of the 64. */
	for (int number = 1; number <= 64; number++) {
		struct kernel_sigaction action = { 0 };
		if (RAW(SYS_rt_sigaction, number, 0, &action, sizeof action.mask) < 0)
			continue;
		if (action.handler == SIG_IGN)
			set |= (uint64_t)1 << (number - 1);
		if (number == SIGCHLD && (action.handler == SIG_IGN || action.flags & SA_NOCLDWAIT))
			*child_status_lost = true;
	}
	return set;
}

/* The highest descriptor number that the plan uses by name: dup2 targets. */
static int highest_target(const struct plan *plan)
{
	int highest = 2;
	for (size_t i = 0; i < plan->steps; i++) {
		const struct step *step = plan_step(plan, i);
		if (strcmp(op_at(step->op)->name, "dup2") == 0 && step->args[1].n > highest)
			highest = (int)step->args[1].n;
	}
	return highest;
}

static void fill_slots(lua_State *L, int index, struct launch *launch, int count)
{
	for (int i = 0; i < count; i++) {
		int64_t fd;
		launch->slots[i] = -2; /* no descriptor, nor the sign of one that is not there (child.c) */
		if (lua_isnoneornil(L, index))
			continue;
		lua_rawgeti(L, index, i);
		if (to_int64(L, -1, &fd))
			launch->slots[i] = (int)fd;
		lua_pop(L, 1);
	}
}

enum { IN_A_COPY = 1 };

/* Returns 0, IN_A_COPY in a child that has come to its call, or a negative errno. */
static int start(struct process *process, const struct plan *plan, uint64_t namespaces, int cgroup)
{
	struct launch *launch = process->launch;
	int pair[2];
	int result = channel_pair(highest_target(plan) + 1, pair);
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
	launch->other_end = pair[0];
	bool kept = false;
	launch->ignored = ignored_signals(&kept);
	kept |= launch->needs_keeper;

	int pidfd = -1;
	struct clone_args args = {
		.flags = namespaces | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | (launch->own_memory ? 0 : CLONE_VM),
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = launch->executes ? 0 : SIGCHLD, /* exec makes it SIGCHLD: settle.c */
		.stack = (uint64_t)(uintptr_t)((char *)launch->mapping + PAGE),
		.stack_size = STACK_SIZE,
	};
	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)(unsigned)cgroup;
	}
	/* Every signal is held back, those that libc keeps for itself too: a handler of ours must not run
	 * in the child, which would run it in our memory. */
	uint64_t all = UINT64_MAX, before;
	result = (int)RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
	if (result < 0) {
		close(pair[1]);
		return result;
	}
	result = kept ? keeper_start(process, &args) : launch_clone(launch, &args);
	if (result == 0) {
		child_body(launch);
		return IN_A_COPY;
	}
	/* What is shared is between these two: no copy that is made later is to write there. */
	if (launch->own_memory)
		madvise(launch->mapping, launch->mapping_size, MADV_DONTFORK);
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, sizeof before);
	close(pair[1]);
	if (result < 0)
		return result;
	if (kept)
		return 0;
	process->pid = result;
	process->pidfd = move_up(pidfd, LOWEST_FD);
	if (process->pidfd >= 0)
		return 0;
	/* No room to hold on to it: it must not go on. Nobody else can have reaped it. */
	result = -errno;
	RAW(SYS_kill, process->pid, SIGKILL);
	reap_quietly(process->pid);
	return result;
}

/* launch(recorder, namespaces [, slots [, cgroup [, own_memory [, function]]]]) -> process | nil, message, errno
 * Clones a child into new namespaces (a list) and lets it run; in an `await` step it stays until process:release().
 * `slots` are descriptors by slot number. `cgroup` is the descriptor of one that the child is born into. With
 * `own_memory` the child gets a copy of this process's memory. The function is what a call at the end
 * calls. */
int launch_plan(lua_State *L)
{
	struct plan *plan = to_plan(L, 1);
	uint64_t namespaces = check_flags(L, 2, &names_namespace);
	if (!lua_isnoneornil(L, 3))
		luaL_checktype(L, 3, LUA_TTABLE);
	int cgroup = lua_isnoneornil(L, 4) ? -1 : check_fd(L, 4);
	bool own_memory = lua_toboolean(L, 5);
	lua_settop(L, 6);
	struct copy copy = { 0 };
	if (plan->calls) {
		luaL_checktype(L, 6, LUA_TFUNCTION);
		copy_prepare(L, 6, &copy);
	}
	struct process *process = lua_newuserdata(L, sizeof *process);
	memset(process, 0, sizeof *process);
	process->epoch = process_epoch();
	process->pidfd = process->channel = process->sent = -1;
	process->reaped = true;
	luaL_getmetatable(L, PROCESS_TYPE);
	lua_setmetatable(L, -2);

	reap_owed();
	process->launch = prepare(plan, own_memory);
	if (!process->launch)
		return push_error(L, "mmap", errno);
	process->own_memory = process->launch->own_memory;
	if (!process->own_memory)
		sharing_begins();
	fill_slots(L, 3, process->launch, plan->slots);
	int result = start(process, plan, namespaces, cgroup);
	if (result == IN_A_COPY) {
		const char *end = (const char *)process->launch->end;
		uint32_t size = plan_step(plan, plan->steps - 1)->size;
		copy_run(&copy, process->launch, (const struct step *)(const void *)(end - size));
	}
	if (result < 0) {
		close_once(&process->channel);
		release_memory(process);
		return push_error(L, "clone3", -result);
	}
	process->reaped = false;
	return 1;
}

void launch_end(struct process *process)
{
	close_once(&process->channel);
	release_memory(process);
}
