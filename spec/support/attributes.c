/* Attributes of a process that survive execve(2).
 *   show                 prints them
 *   set PROGRAM [ARG]... sets them otherwise and executes the program */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "set")) {
		umask(077);
		if (personality(ADDR_NO_RANDOMIZE) < 0 || prctl(PR_SET_TIMERSLACK, 1) < 0 ||
		    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) < 0)
			return 1;
		prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0); /* Linux 6.4 */
		execvp(argv[2], argv + 2);
		return 1;
	}
	int merge = prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0);
	mode_t mask = umask(0);
	printf("personality %x, slack %d, thp %d, merge %d, umask %o\n", (unsigned)personality(0xffffffff),
	       prctl(PR_GET_TIMERSLACK), prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), merge < 0 ? 0 : merge, (unsigned)mask);
	return 0;
}
