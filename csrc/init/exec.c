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

#include <signal.h>
#include <sys/socket.h>

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
		result = exec_first(environment + 1, count, argv, environment + 1 + count);
	struct exec_failure failure = { .kind = EXEC_FAILED[0], .error = (int32_t)-result };
	RAW_RETRY(result, SYS_sendto, channel, &failure, sizeof failure, MSG_NOSIGNAL, 0, 0);
	/* Where nobody could be told, at least nobody takes this for the program's own end. */
	if (result < 0)
		RAW(SYS_kill, RAW(SYS_getpid), SIGKILL);
	raw_leave(EXIT_SETUP_FAILED);
}
