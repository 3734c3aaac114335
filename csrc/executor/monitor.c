/* The monitor: a process between the caller and its child, which waits for the child and reports how it ended.
 *
 * The caller needs one where it could not wait itself. If it ignores SIGCHLD (or has set SA_NOCLDWAIT), the kernel
 * reaps its children and tells it no status. A program that enters a pid namespace has to be reaped before the init
 * of that namespace can end. And where a plan forks, the process that performs the rest is the monitor's child: were
 * it the caller's, the caller would have a child of which it does not know. */
#include "executor/launch.h"
#include "sys/raw.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/time_types.h>
#include <linux/wait.h>
#include <signal.h>

/* Without a program that was executed its exit signal is still what clone was asked for: none (wait(2), __WCLONE). That
 * of an init is so in any case; what has become of its program it tells itself. */
static bool is_unexecuted(const struct launch *launch, int pid)
{
	char info[128] __attribute__((aligned(8))) = { 0 }; /* siginfo_t */
	return launch->executes && !launch->has_init &&
	       RAW(SYS_waitid, P_PID, pid, info, WEXITED | WNOHANG | WNOWAIT | __WCLONE, 0) == 0;
}

/* Those before the last have ended, and nobody else waits for them. Where no last is known, all. */
static int await_last(struct launch *launch)
{
	struct monitor_report *report = &launch->monitor;
	long result;
	for (;;) {
		char info[128] __attribute__((aligned(8))) = { 0 };
		RAW_RETRY(result, SYS_waitid, P_ALL, 0, info, WEXITED | WNOWAIT | __WALL, 0);
		if (result < 0)
			return (int)result;
		if (report->last_pid > 0 && is_unexecuted(launch, report->last_pid))
			report->unexecuted = 1;
		RAW_RETRY(result, SYS_wait4, -1, &report->status, __WALL, &report->usage);
		if (result < 0 || result == report->last_pid)
			return result < 0 ? (int)result : 0;
		report->unexecuted = 0;
	}
}

/* A monitor goes with the caller: until it is told whom to wait for, it would wait for one that has gone. */
static int tie_to_caller(const struct launch *launch)
{
	int result = (int)RAW(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (result == 0 && RAW(SYS_getppid) != launch->caller)
		result = -ECANCELED;
	return result;
}

int monitor_clone(struct executor *executor)
{
	struct launch *launch = executor->launch;
	struct kernel_sigaction action = { 0 };
	struct clone_args args = { .flags = launch->namespaces };
	RAW(SYS_rt_sigaction, SIGCHLD, &action, 0, sizeof action.mask);
	if (launch->cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)(unsigned)launch->cgroup;
	}
	int result = tie_to_caller(launch);
	if (result == 0)
		result = executor_clone(executor, &args);
	return result;
}

_Noreturn void monitor_wait(struct launch *launch, int child)
{
	struct monitor_report *report = &launch->monitor;
	/* The streams of the child would never end while a copy is open here, nor would the channel. */
	RAW(SYS_close_range, 0, UINT_MAX, 0);
	__atomic_store_n(&report->is_apart, 1, __ATOMIC_SEQ_CST);
	RAW(SYS_futex, &report->is_apart, FUTEX_WAKE, INT_MAX, 0, 0, 0);
	int result = child > 0 ? tie_to_caller(launch) : child;
	if (result < 0) {
		launch->error = -result;
		raw_leave(EXIT_SETUP_FAILED);
	}
	/* A caller that has become somebody else since, who may not signal this process, ends without a signal. */
	struct __kernel_timespec moment = { .tv_sec = 1 };
	while (!__atomic_load_n(&report->known, __ATOMIC_SEQ_CST)) {
		RAW(SYS_futex, &report->known, FUTEX_WAIT, 0, &moment, 0, 0);
		if (RAW(SYS_getppid) != launch->caller)
			raw_leave(EXIT_SETUP_FAILED);
	}
	/* The program's parent is this process: it has to go with the caller if the program is to. */
	if (!launch->dies_with_parent)
		RAW(SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0);
	report->result = await_last(launch);
	raw_leave(0);
}
