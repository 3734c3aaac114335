/* The least process 1: executes its arguments in a child, reaps whatever ends, and ends as that child does.
 */
#include "sys/raw.h"

#include <linux/sched.h>
#include <signal.h>

struct program {
	char **argv;
	char **environment;
};

static char child_stack[4096] __attribute__((aligned(16)));

static void child(void *data)
{
	const struct program *program = data;
	RAW(SYS_execve, program->argv[0], program->argv, program->environment);
	raw_leave(127);
}

_Noreturn void init_start(long *stack);

__attribute__((used)) _Noreturn void init_start(long *stack)
{
	char **argv = (char **)(stack + 1);
	struct program program = { argv + 1, argv + stack[0] + 1 };
	/* Not clone3(2), which a filter of system calls refuses. */
	long pid = raw_clone(CLONE_VM | CLONE_VFORK | SIGCHLD, child_stack + sizeof child_stack, NULL, child, &program);
	long ended;
	int status = 0;
	if (pid < 0)
		raw_leave(EXIT_SETUP_FAILED);
	do {
		RAW_RETRY(ended, SYS_wait4, -1, &status, 0, 0);
	} while (ended >= 0 && ended != pid);
	raw_leave(status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tcall init_start\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x0, sp\n\tbl init_start\n");
#else
#error "bench/ measures on x86_64 and aarch64: this machine needs a beginning of its own"
#endif
