/* See boot.h. No libc, no Lua, no allocation: raw.h says why. */
#include "executor/boot.h"
#include "sys/credentials.h"
#include "sys/digits.h"
#include "sys/raw.h"

#include <errno.h>
#include <fcntl.h>

/* The descriptors that the plan uses are to be there after the exec. The table is this process's own; those that were
 * open across exec anyhow stay so. */
static int keep_fds(struct launch *launch, int plan)
{
	int32_t *kept = launch_kept(launch);
	for (uint32_t i = 0; i < launch->kept_count; i++) {
		long flags = kept[i] < 0 ? -EBADF : RAW(SYS_fcntl, kept[i], F_GETFD);
		if (flags < 0 || !(flags & FD_CLOEXEC)) {
			kept[i] = -1; /* not there, or nothing to put back */
			continue;
		}
		long result = RAW(SYS_fcntl, kept[i], F_SETFD, flags & ~FD_CLOEXEC);
		if (result < 0)
			return (int)result;
	}
	return (int)RAW(SYS_fcntl, plan, F_SETFD, 0);
}

static int execute_runner(int runner, const char *mode, int plan, const char *extra, const char *const *environment)
{
	char file[DIGITS_SIZE];
	put_number(file, plan);
	const char *const argv[] = { "cella-runner", mode, file, extra, NULL };
	return (int)RAW(SYS_execveat, runner, "", argv, environment, AT_EMPTY_PATH);
}

void boot_body(void *data)
{
	/* Where an init puts its label: a process cannot make its command line longer. */
	static const char room[LABEL_SIZE] = "-------------------------------";
	const struct boot *boot = data;
	struct launch *launch = boot->launch;
	RAW(SYS_close, boot->other_end);
	launch->boot = BOOT_KEEP_FDS;
	int result = keep_fds(launch, boot->plan);
	if (result >= 0) {
		launch->boot = BOOT_CREDENTIALS;
		result = credentials_keep(&launch->credentials, boot->root_keeps_all);
	}
	if (result >= 0) {
		launch->boot = BOOT_EXEC;
		result = execute_runner(boot->runner, "plan", boot->plan, room, boot->environment);
	}
	launch->error = -result;
	raw_leave(EXIT_SETUP_FAILED);
}

int boot_monitor(int runner, int plan, int child)
{
	static const char *const nothing[] = { NULL };
	char number[DIGITS_SIZE];
	put_number(number, child);
	int result = (int)RAW(SYS_fcntl, plan, F_SETFD, 0);
	return result < 0 ? result : execute_runner(runner, "monitor", plan, number, nothing);
}
