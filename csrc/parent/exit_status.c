/* How a child has ended: the caller learns it from waitid(2), from the child's monitor, from its pidfd, or from what
 * its init has reported. */
#include "parent/process.h"
#include "executor/report.h"
#include "sys/procfs.h"
#include "sys/raw.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

/* What pidfd_open(2) calls PIDFD_GET_INFO, as of Linux 6.15: headers of today have no name for it yet. */
struct exit_info {
	uint64_t mask;
	uint64_t cgroup;
	uint32_t ids[11];
	int32_t status; /* as wait(2) has it */
};
#define GET_EXIT_INFO _IOWR(0xFF, 11, struct exit_info)
#define HAS_EXIT_INFO ((uint64_t)1 << 3)

void set_status(struct process *process, int status)
{
	process->code = WIFSIGNALED(status) ? (WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED) : CLD_EXITED;
	process->status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

/* Somebody else has reaped it: a loop of the caller's that waits for any child, or the kernel because SIGCHLD is
 * ignored by now. The descriptor of the process may know the status still. Returns 1, or -ECHILD. */
static int ask_pidfd(struct process *process)
{
	enum { TIMEOUT = 50 };
	process->reaped = true;
	for (int i = 0; i < TIMEOUT && process->pidfd >= 0; i++) {
		struct exit_info info = { .mask = HAS_EXIT_INFO };
		long result = RAW(SYS_ioctl, process->pidfd, GET_EXIT_INFO, &info);
		if (result == 0 && info.mask & HAS_EXIT_INFO) {
			set_status(process, info.status);
			return 1;
		}
		if (result < 0 && result != -ESRCH)
			break;
		/* It is known once the one who reaps has come to the end of that. */
		struct timespec moment = { .tv_nsec = 1000000 };
		RAW(SYS_ppoll, 0, 0, &moment, 0, 0);
	}
	return -ECHILD;
}

/* Whether it goes by the name that it had before its program was executed. Where no /proc shows it, nobody knows. */
static bool has_mark(const struct process *process)
{
	char name[MARK_SIZE + 1];
	return process->executes && procfs_read_of(process->pid, "comm", name, sizeof name) == MARK_SIZE &&
	       memcmp(name, process->mark, MARK_SIZE - 1) == 0;
}

/* Returns 1 once the status is known, 0 if the child runs still, or a negative errno. */
int reap(struct process *process, int options)
{
	if (process->reaped)
		return 1;
	if (process->monitored) {
		/* A pidfd is readable when the process has ended; the monitor reaps it. */
		struct pollfd ended = { .fd = process->pidfd, .events = POLLIN };
		long result;
		struct timespec now = { 0 };
		if (process->pidfd >= 0) {
			RAW_RETRY(result, SYS_ppoll, &ended, 1, options & WNOHANG ? &now : NULL, 0, 0);
			if (result <= 0)
				return (int)result;
		}
		result = monitor_finish(process, options & WNOHANG);
		if (result == -EAGAIN)
			return 0;
		process->reaped = true;
		if (result == -ECHILD)
			return ask_pidfd(process);
		return result < 0 ? (int)result : 1;
	}
	siginfo_t info = { 0 };
	long result;
	bool by_fd = process->pidfd >= 0;
	int kind = by_fd ? P_PIDFD : P_PID, id = by_fd ? process->pidfd : process->pid;
	/* As long as it is not reaped, it has its name. */
	RAW_RETRY(result, SYS_waitid, kind, id, &info, WEXITED | WNOWAIT | __WALL | options, 0);
	if (result == 0 && info.si_pid != 0 && info.si_code != CLD_EXITED)
		process->unexecuted |= has_mark(process);
	if (result == 0 && info.si_pid != 0)
		RAW_RETRY(result, SYS_waitid, kind, id, &info, WEXITED | __WALL | options, &process->usage);
	if (result == -ECHILD)
		return ask_pidfd(process);
	if (result < 0)
		return (int)result;
	if (info.si_pid == 0)
		return 0;
	process->has_usage = true;
	process->code = info.si_code;
	process->status = info.si_status;
	process->reaped = true;
	return 1;
}

/* What an init has told of its program. One that was killed has told nothing: its own end counts. */
bool read_report(struct process *process, int fd)
{
	struct report report;
	long count;
	RAW_RETRY(count, SYS_read, fd, &report, sizeof report);
	if (count == sizeof report && report.kind == 'x')
		process->unexecuted = true;
	else if (count != sizeof report || (report.kind != 'e' && report.kind != 's'))
		return false;
	process->code = report.kind == 'e' ? CLD_EXITED : CLD_KILLED;
	process->status = report.value;
	if (!process->has_usage)
		memcpy(&process->usage, &report.usage, sizeof report.usage);
	process->has_usage = true;
	return true;
}
