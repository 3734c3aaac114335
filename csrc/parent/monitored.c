/* The caller's side of a monitor (executor/monitor.c), which is the parent of the child in the caller's place: the
 * caller tells the monitor for which process to wait, and reads from shared memory how that has ended. */
#include "parent/process.h"
#include "lib/descriptor.h"
#include "sys/raw.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/time_types.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>

void release_launch(struct process *process, struct launch *launch, size_t size)
{
	if (process->monitored && !process->report) {
		process->report = launch; /* the monitor has not yet written there */
		process->report_size = size;
	} else {
		munmap(launch, size);
	}
}

void monitor_executed(struct process *process, int last)
{
	struct launch *launch = process->report ? process->report : process->launch;
	struct monitor_report *report = &launch->monitor;
	report->last_pid = last;
	__atomic_store_n(&report->known, 1, __ATOMIC_SEQ_CST);
	RAW(SYS_futex, &report->known, FUTEX_WAKE, INT_MAX, 0, 0, 0);
}

void monitor_await_apart(const struct process *process, int seconds)
{
	const struct launch *launch = process->report ? process->report : process->launch;
	struct pollfd gone = { .fd = process->monitor_pidfd, .events = POLLIN };
	struct timespec now = { 0 };
	struct __kernel_timespec moment = { .tv_nsec = 10000000 };
	if (!launch)
		return;
	for (int i = 0; i < seconds * 100; i++) {
		if (__atomic_load_n(&launch->monitor.is_apart, __ATOMIC_SEQ_CST) ||
		    RAW(SYS_ppoll, &gone, 1, &now, 0, 0) != 0)
			return;
		RAW(SYS_futex, &launch->monitor.is_apart, FUTEX_WAIT, 0, &moment, 0, 0);
	}
}

enum { MOST_ERRNO = 4095 };

int monitor_finish(struct process *process, int options)
{
	siginfo_t info = { 0 };
	long ended;
	RAW_RETRY(ended, SYS_waitid, P_PIDFD, process->monitor_pidfd, &info, WEXITED | __WALL | options, 0);
	if (ended == 0 && info.si_pid == 0)
		return -EAGAIN;
	/* Somebody else may have reaped it, or the kernel where SIGCHLD is ignored: it has ended, or is about to. */
	struct pollfd gone = { .fd = process->monitor_pidfd, .events = POLLIN };
	struct timespec now = { 0 };
	RAW_RETRY(ended, SYS_ppoll, &gone, 1, options & WNOHANG ? &now : NULL, 0, 0);
	if (ended == 0)
		return -EAGAIN;
	close_once(&process->monitor_pidfd);
	process->monitored = false;
	const struct launch *launch = process->report;
	if (!launch)
		return -ECHILD; /* it was killed before the program ran */
	int result = launch->monitor.result;
	if (result > 0 || result < -MOST_ERRNO)
		result = -EPROTO; /* not what the monitor has written */
	if (result == 0) {
		process->usage = launch->monitor.usage;
		process->has_usage = true;
		process->unexecuted |= launch->monitor.unexecuted != 0;
		set_status(process, launch->monitor.status);
	}
	munmap(process->report, process->report_size);
	process->report = NULL;
	return result;
}
