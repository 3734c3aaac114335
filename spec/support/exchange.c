/* exchange A B: exchanges two names until its standard input ends, and says how often. For races. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };
	unsigned long count = 0;
	if (argc != 3)
		return 2;
	/* Without a rest the machine would do nothing else: each rename makes all lookups start again. */
	const struct timespec rest = { .tv_nsec = 20000 };
	while (ppoll(&input, 1, &rest, NULL) == 0)
		if (renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) == 0)
			count++;
	printf("%lu\n", count);
	return 0;
}
