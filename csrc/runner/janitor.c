/* Outlives a Lua process to remove its cgroups, which nobody else would: a process that was killed cleans up nothing.
 *
 * A program of its own, without libc and small, because it waits for as long as the Lua process runs. The process that
 * the Lua program has started ends at once: this one is nobody's child, so that no loop over waitpid(2) in there hears
 * of it. It is in none of the cgroups that it removes.
 *
 * argv[2]: the name of the cgroup. argv[3]: the pid of the Lua process. Descriptor 3: a pipe of which only the Lua
 * process holds the other end. Descriptor 4: the directory that the cgroup is in. */
#include "runner/janitor.h"
#include "sys/cgroup_tree.h"
#include "sys/raw.h"

#include <errno.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/signal.h>

enum { HANG_UP = 3, PARENT = 4, TIMEOUT = 60 * 1000 };

/* Until the pipe's other end is closed, or the process has ended: a copy of that end may live on in a child of it. */
static void await_end(int process)
{
	struct pollfd fds[] = { { .fd = HANG_UP, .events = POLLIN }, { .fd = process, .events = POLLIN } };
	long result;
	RAW_RETRY(result, SYS_ppoll, fds, 2, 0, 0, 0);
	(void)result;
}

_Noreturn void janitor_main(const char *cgroup, int process)
{
	uint64_t all = ~(uint64_t)0;
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, sizeof all);
	if (RAW(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    RAW(SYS_prctl, PR_SET_NAME, "cella-janitor", 0, 0, 0) < 0)
		raw_leave(1);
	RAW(SYS_close_range, 0, HANG_UP - 1, 0);
	RAW(SYS_close_range, PARENT + 1, UINT32_MAX, 0);
	int pidfd = (int)RAW(SYS_pidfd_open, process, 0);
	if (pidfd < 0)
		raw_leave(2);
	long child = RAW(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (child != 0)
		raw_leave(child < 0 ? 3 : 0);
	await_end(pidfd);
	raw_leave(cgroup_end(PARENT, cgroup, TIMEOUT) < 0);
}
