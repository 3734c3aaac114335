/* The runner as an ordinary program of libc, built with ASan and UBSan for the specs (RUNNER=asan in the Makefile). It
 * performs plans and is a monitor, as which it begins before anything is done to the root or the limits of the process:
 * its libraries are there, as they are for the caller, who needs the same. The init and the janitor are executed from
 * inside, or live on in places without a library: the program without libc is embedded as well, and is those.
 *
 * It makes no thread and opens no descriptor that lasts, asks for no memory once it has begun (so a filter or a limit
 * of the plan meets raw calls only), and leaves by exit_group, at which no leak is looked for. It runs on the kernel's
 * stack, because ASan wants to know where that ends. */
#include "runner/main.h"

/* The program that is executed inherits what ASan would do to signals, so it does nothing. */
const char *__asan_default_options(void);

__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
	return "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0:"
	       "use_sigaltstack=0:detect_stack_use_after_return=0";
}

/* ASan knows one stack, and one process in its memory: the process behind an init step is a copy, as in a copy of the
 * caller, and the init is executed anew from the program without libc. */
void runner_prepare(struct executor *executor)
{
	(void)executor;
}

int main(int count, char **argv)
{
	runner_main(count, (const char **)argv);
}
