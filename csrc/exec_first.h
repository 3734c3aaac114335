/* What execve steps and the sealed program between two of them (csrc/init/exec.c) have in common. */
#ifndef CELLA_EXEC_FIRST_H
#define CELLA_EXEC_FIRST_H

#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>

/* Executes the first of `count` paths that exists and may be executed, as in execvp(3), but a file in no known format
 * is an error, not a shell script. Returns a negative errno: ELIBACC where a file is there, but not its interpreter. */
static inline int exec_first(const char *const *paths, long count, const void *argv, const void *environment)
{
	bool denied = false;
	int result = -ENOENT;
	for (; count > 0; count--, paths++) {
		result = (int)RAW(SYS_execve, *paths, argv, environment);
		if (result == -EACCES)
			denied = true;
		else if (result == -ENOENT && RAW(SYS_faccessat, AT_FDCWD, *paths, F_OK) == 0)
			return -ELIBACC;
		else if (result != -ENOENT && result != -ENOTDIR)
			return result;
	}
	return denied ? -EACCES : result;
}

/* The environment of the sealed program begins with this and the number of the channel, how many paths there are, and
 * the paths; then comes that of the program. */
#define EXEC_MARK "cella-exec="

/* What it says on the channel where nothing could be executed. */
#define EXEC_FAILED "x"

struct exec_failure {
	char kind;
	int32_t error;
};

#endif
