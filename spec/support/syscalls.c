/* Makes system calls by their numbers and tells what each is answered: 0, or the name of an error.
 *
 * syscalls NUMBER[,ARGUMENT...] ...: each by the machine's own entry, "int80:NUMBER[,ARGUMENT...]" by that of 32-bit
 * programs on x86_64. "in NUMBER..." makes them in a child, and tells which signal has ended that. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static long call_old(long number, long argument)
{
#if defined(__x86_64__)
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(argument), "c"(0L), "d"(0L) : "memory");
	if (result < 0 && result > -4096) {
		errno = (int)-result;
		return -1;
	}
	return result;
#else
	(void)number;
	(void)argument;
	errno = ENOSYS;
	return -1;
#endif
}

static void make_call(char *text)
{
	unsigned long words[7] = { 0 };
	int old = strncmp(text, "int80:", 6) == 0, count = 0;
	for (char *word = strtok(old ? text + 6 : text, ","); word && count < 7; word = strtok(NULL, ","))
		words[count++] = strtoul(word, NULL, 0);
	errno = 0;
	long result = old ? call_old((long)words[0], (long)words[1])
			  : syscall((long)words[0], words[1], words[2], words[3], words[4], words[5], words[6]);
	printf("%s\n", result == -1 && errno ? strerrorname_np(errno) : "0");
	fflush(stdout);
}

int main(int count, char **arguments)
{
	int in_child = count > 1 && strcmp(arguments[1], "in") == 0, status = 0;
	if (in_child && fork() > 0) {
		wait(&status);
		if (WIFSIGNALED(status))
			printf("SIG%s\n", sigabbrev_np(WTERMSIG(status)));
		return 0;
	}
	for (int i = in_child ? 2 : 1; i < count; i++)
		make_call(arguments[i]);
	return 0;
}
