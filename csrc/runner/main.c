/* The runner: what the child of a caller becomes right after clone. It performs a plan and becomes its program; or it
 * is the monitor of such a process, or the init of a container, or the janitor of cgroups, or reads memory for a caller.
 *
 * A program of its own, because nobody who is in the container while it is made may meet the caller's memory. Without
 * libc: what it does is a list of system calls, and nothing of it is read from a file system. It lies in a sealed
 * memfd, so that nobody can write to what is /proc/self/exe meanwhile.
 *
 * argv[1]: "plan", "monitor", "init", "janitor" or "reader". */
#include "runner/main.h"
#include "executor/sound.h"
#include "runner/init.h"
#include "runner/janitor.h"
#include "runner/reader.h"
#include "sys/capability.h"
#include "sys/credentials.h"
#include "sys/digits.h"
#include "sys/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>

/* The launch in a descriptor, which is closed. */
static struct launch *take_launch(int fd, size_t *mapped)
{
	struct launch *launch = launch_map(fd, mapped);
	if (!launch)
		raw_leave(EXIT_SETUP_FAILED);
	RAW(SYS_close, fd);
	return launch;
}

/* What exec was to leave open is to be closed by the next. */
static void close_on_exec(struct launch *launch)
{
	const int32_t *kept = launch_kept(launch);
	for (uint32_t i = 0; i < launch->kept_count; i++)
		if (kept[i] >= 0)
			RAW(SYS_fcntl, kept[i], F_SETFD, FD_CLOEXEC);
}

static _Noreturn void perform(struct launch *launch, size_t mapped)
{
	static struct executor executor;
	if (!launch_is_sound(launch, mapped)) {
		launch->boot = BOOT_EXEC;
		launch->error = EINVAL;
		raw_leave(EXIT_SETUP_FAILED);
	}
	runner_prepare(&executor);
	last_capability_is(launch->last_capability);
	close_on_exec(launch);
	executor_begin(&executor, launch);
	launch->boot = BOOT_CREDENTIALS;
	int result = credentials_restore(&launch->credentials);
	if (result < 0) {
		launch->error = -result;
		raw_leave(EXIT_SETUP_FAILED);
	}
	launch->boot = BOOT_OVER;
	if (launch->monitored) {
		int child = monitor_clone(&executor);
		if (child != 0)
			monitor_wait(launch, child);
	}
	execute_plan(&executor);
	raw_leave(EXIT_SETUP_FAILED); /* at a call, which is for a copy of the caller */
}

_Noreturn void runner_main(long count, const char **argv)
{
	char mode = count > 1 ? argv[1][0] : 0;
	if (mode == 'i' && count > 2)
		init_main((int)take_number(&argv[2]), count > 4, NULL, NULL);
	if (mode == 'j' && count == 4)
		janitor_main(argv[2], (int)take_number(&argv[3]));
	if (mode == 'r' && count == 2)
		reader_main();
	if ((mode != 'p' && mode != 'm') || count != 4)
		raw_leave(EXIT_SETUP_FAILED);
	RAW(SYS_prctl, PR_SET_NAME, mode == 'p' ? "cella-runner" : "cella-monitor", 0, 0, 0);
	size_t mapped;
	struct launch *launch = take_launch((int)take_number(&argv[2]), &mapped);
	if (mode == 'p')
		perform(launch, mapped);
	monitor_wait(launch, (int)take_number(&argv[3]));
}
