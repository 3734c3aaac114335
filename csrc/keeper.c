/* A caller that ignores SIGCHLD (or has set SA_NOCLDWAIT) gets no statuses: the kernel reaps its children
 * itself. A process that has no exit signal is exempt (wait(2), __WCLONE), but exec gives one back, so that
 * the program itself cannot be exempt. So a keeper stands between: it shares the caller's memory, handles
 * SIGCHLD for itself, never execs, waits for the program and leaves the status in memory.
 *
 * One is needed also for a program that enters a pid namespace, which has to be reaped before anything else, and where
 * a plan forks: who goes on is then the keeper's child, and never one of whom the caller does not know. */
#include "process.h"
#include "raw.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEEPER_STACK = 16 * 1024 };

struct keeper {
	int pid;
	struct clone_args child;
	struct launch *launch;
	int caller; /* its pid */

	uint32_t settled; /* last_pid is known: a word that the keeper waits for (futex(2)) */
	int32_t last_pid;
	int32_t result; /* of wait4 */
	int wait_status;
	struct rusage usage;

	char stack[KEEPER_STACK] __attribute__((aligned(16)));
};

/* Those before the last have ended, and nobody else waits for them. Where no last is known, all. */
static int await_last(struct keeper *keeper)
{
	long result;
	do
		RAW_RETRY(result, SYS_wait4, -1, &keeper->wait_status, __WALL, &keeper->usage);
	while (result > 0 && result != keeper->last_pid);
	return result < 0 ? (int)result : 0;
}

/* Returns in the child, where that is a copy; else never. */
static void keeper_body(void *data)
{
	struct keeper *keeper = data;
	struct kernel_sigaction action = { 0 };
	RAW(SYS_rt_sigaction, SIGCHLD, &action, 0, sizeof action.mask);
	/* The program's parent is this process: it has to go with the caller if the program is to. And until it is told
	 * whom to wait for, it would wait for a caller that has gone. */
	bool goes_with_caller = keeper->launch->dies_with_parent;
	int child = (int)RAW(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (child == 0 && RAW(SYS_getppid) != keeper->caller)
		child = -ECANCELED;
	if (child == 0) {
		child = launch_clone(keeper->launch, &keeper->child);
		if (child == 0)
			return;
	}
	if (child < 0)
		keeper->launch->error = -child;
	/* The streams of the child would never end while a copy is open here, nor would the channel. */
	RAW(SYS_close_range, 0, UINT_MAX, 0);
	if (child > 0) {
		while (!__atomic_load_n(&keeper->settled, __ATOMIC_SEQ_CST))
			RAW(SYS_futex, &keeper->settled, FUTEX_WAIT, 0, 0, 0, 0);
		if (!goes_with_caller)
			RAW(SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0);
		keeper->result = await_last(keeper);
	}
	for (;;)
		RAW(SYS_exit, 0);
}

static void discard(struct keeper *keeper)
{
	if (keeper->pid)
		reap_quietly(keeper->pid);
	munmap(keeper, sizeof *keeper);
}

void keeper_settle(struct keeper *keeper, int last)
{
	keeper->last_pid = last;
	__atomic_store_n(&keeper->settled, 1, __ATOMIC_SEQ_CST);
	RAW(SYS_futex, &keeper->settled, FUTEX_WAKE, INT_MAX, 0, 0, 0);
}

int keeper_start(struct process *process, const struct clone_args *child)
{
	bool own_memory = process->launch->own_memory;
	struct keeper *keeper = mmap(NULL, sizeof *keeper, PROT_READ | PROT_WRITE,
				     MAP_ANONYMOUS | MAP_NORESERVE | (own_memory ? MAP_SHARED : MAP_PRIVATE), -1, 0);
	if (keeper == MAP_FAILED)
		return -errno;
	keeper->launch = process->launch;
	keeper->launch->handed_over = true; /* as behind a fork: a child that is not the caller's own */
	keeper->result = -ECHILD; /* should it be killed before it knows */
	keeper->caller = getpid();
	keeper->child = *child;
	keeper->child.flags &= ~(uint64_t)CLONE_PIDFD; /* it would land in the keeper's table */
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_CLEAR_SIGHAND,
		.stack = (uint64_t)(uintptr_t)keeper->stack,
		.stack_size = sizeof keeper->stack,
	};
	int result;
	if (own_memory) {
		/* The child is to be a copy of the caller on the caller's stack: so is the keeper. */
		args = (struct clone_args){ .flags = CLONE_CLEAR_SIGHAND };
		result = (int)RAW(SYS_clone3, &args, sizeof args);
		if (result == 0) {
			keeper_body(keeper);
			munmap(keeper, sizeof *keeper);
			return 0;
		}
		madvise(keeper, sizeof *keeper, MADV_DONTFORK);
	} else {
		result = (int)raw_clone3(&args, sizeof args, keeper_body, keeper);
	}
	if (result < 0) {
		discard(keeper);
		return result;
	}
	keeper->pid = result;
	process->keeper = keeper;
	return result;
}

int keeper_finish(struct process *process, int options)
{
	struct keeper *keeper = process->keeper;
	long ended;
	RAW_RETRY(ended, SYS_wait4, keeper->pid, 0, __WALL | options, 0);
	if (ended == 0)
		return -EAGAIN;
	keeper->pid = 0;
	int result = keeper->result;
	if (result == 0) {
		process->usage = keeper->usage;
		process->has_usage = true;
		set_status(process, keeper->wait_status);
	}
	process->keeper = NULL;
	discard(keeper);
	return result;
}
