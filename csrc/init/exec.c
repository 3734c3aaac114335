/* Between the child of a caller and its program, where the program could write to the caller's executable.
 *
 * Until its exec a child of the Lua program has that for its /proc/self/exe, and a program that is a link to, or a
 * script for, /proc/self/exe would be the Lua interpreter of the host: whoever its file belongs to in there could open
 * it, and write to it once nothing runs it any more (pitfalls I09). So this comes first: for a moment the process is a
 * sealed file in memory. What cannot be executed is told over the channel of the caller.
 *
 * environment: see EXEC_MARK. */
#include "exec.h"
#include "../digits.h"
#include "../exec_first.h"

#include <linux/prctl.h>
#include <signal.h>
#include <sys/socket.h>

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67 /* Linux 6.4 */
#define PR_GET_MEMORY_MERGE 68
#endif

/* What exec hands on with the memory (csrc/op_inherited.c), here where it is nobody else's. */
static long reset_memory(void)
{
	long result = RAW(SYS_prctl, PR_SET_THP_DISABLE, 0, 0, 0, 0);
	if (result >= 0 && RAW(SYS_prctl, PR_GET_MEMORY_MERGE, 0, 0, 0, 0) > 0)
		result = RAW(SYS_prctl, PR_SET_MEMORY_MERGE, 0, 0, 0, 0);
	return result;
}

void exec_if_asked(const char *const *argv, const char *const *environment)
{
	const char *mark = environment[0], *wanted = EXEC_MARK;
	while (mark && *wanted && *mark == *wanted)
		mark++, wanted++;
	if (!mark || *wanted)
		return;
	int channel = (int)take_number(&mark);
	mark += *mark == ' ';
	long count = take_number(&mark);
	long result = RAW(SYS_fcntl, channel, F_SETFD, FD_CLOEXEC);
	if (result >= 0)
		result = reset_memory();
	if (result >= 0)
		result = exec_first(environment + 1, count, argv, environment + 1 + count);
	struct exec_failure failure = { .kind = EXEC_FAILED[0], .error = (int32_t)-result };
	RAW_RETRY(result, SYS_sendto, channel, &failure, sizeof failure, MSG_NOSIGNAL, 0, 0);
	/* Where nobody could be told, at least nobody takes this for the program's own end. */
	if (result < 0)
		RAW(SYS_kill, RAW(SYS_getpid), SIGKILL);
	raw_leave(EXIT_SETUP_FAILED);
}
