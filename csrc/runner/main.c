/* The runner: what the child of a caller becomes right after clone. It performs a plan and becomes its program; or it is
 * the monitor of such a process, or the init of a container, or the janitor of cgroups.
 *
 * A program of its own, because nobody who is in the container while it is made may meet the caller's memory. Without
 * libc: what it does is a list of system calls, and nothing of it is read from a file system. It lies in a sealed memfd,
 * so that nobody can write to what is /proc/self/exe meanwhile.
 *
 * argv[1]: "plan", "monitor", "init" or "janitor". */
#include "../credentials.h"
#include "../boot.h"
#include "../digits.h"
#include "../launch.h"
#include "../raw.h"
#include "../sound.h"
#include "init.h"
#include "janitor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sys/mman.h>

/* For execve without an environment: that of the caller, which the child was given. */
char **environ;

/* The launch in a descriptor, which is closed. */
static struct launch *map_launch(int fd, size_t *mapped)
{
	enum { END = 2 }; /* SEEK_END */
	long size = RAW(SYS_lseek, fd, 0, END);
	if (size < (long)sizeof(struct launch))
		raw_leave(EXIT_SETUP_FAILED);
	long address = RAW(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (address < 0 && address > -4096)
		raw_leave(EXIT_SETUP_FAILED);
	RAW(SYS_close, fd);
	/* A crash of ours leaves no plan, nor the environment in it, in a core(5). */
	RAW(SYS_madvise, address, size, MADV_DONTDUMP);
	*mapped = (size_t)size;
	return (struct launch *)address;
}

/* What exec was to leave open is to be closed by the next. */
static void close_on_exec(struct launch *launch)
{
	const int32_t *kept = launch_kept(launch);
	for (uint32_t i = 0; i < launch->kept_count; i++)
		if (kept[i] >= 0)
			RAW(SYS_fcntl, kept[i], F_SETFD, FD_CLOEXEC);
}

/* It begins on a stack of its own, however small the kernel's is to be (RLIMIT_STACK). The process behind an init step
 * has the other one. */
enum { STACK = 128 * 1024 };
__attribute__((used)) char runner_stack[STACK] __attribute__((aligned(4096)));
static char other_stack[STACK] __attribute__((aligned(4096)));

/* The words and the environment that it was executed with, one after the other. */
static char *words, *words_end;
static struct executor executor;

/* The program is executed: of the plan and of the environment nothing is left in the memory of the init. */
static void forget(void)
{
	static const char name[] = "cella-init";
	RAW(SYS_munmap, executor.launch, executor.launch->size);
	RAW(SYS_madvise, other_stack, STACK, MADV_DONTNEED);
	for (char *at = words; at < words_end; at++)
		*(volatile char *)at = (size_t)(at - words) < sizeof name ? name[at - words] : 0;
}

static void continue_as_init(const struct executor *own, int program, bool stays)
{
	init_main(program, stays, &own->shared, forget);
}

static _Noreturn void perform(struct launch *launch, size_t mapped)
{
	if (!launch_is_sound(launch, mapped)) {
		launch->boot = BOOT_EXEC;
		launch->error = EINVAL;
		raw_leave(EXIT_SETUP_FAILED);
	}
	executor.stack = other_stack;
	executor.stack_size = STACK;
	executor.become_init = continue_as_init;
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

/* Behind the NUL of a string. */
static char *end_of(const char *text)
{
	while (*text)
		text++;
	return (char *)(uintptr_t)text + 1;
}

_Noreturn void runner_main(long *stack);

__attribute__((used)) _Noreturn void runner_main(long *stack)
{
	long count = stack[0];
	const char **argv = (const char **)(stack + 1);
	environ = (char **)(stack + count + 2);
	char mode = count > 1 ? argv[1][0] : 0;
	if (mode == 'i' && count > 2)
		init_main((int)take_number(&argv[2]), count > 3, NULL, NULL);
	words = words_end = (char *)(uintptr_t)argv[0];
	for (long i = 0; i < count; i++)
		words_end = end_of(argv[i]);
	for (char **variable = environ; *variable; variable++)
		words_end = end_of(*variable);
	if (mode == 'j' && count == 4)
		janitor_main(argv[2], (int)take_number(&argv[3]));
	if ((mode != 'p' && mode != 'm') || count != 4)
		raw_leave(EXIT_SETUP_FAILED);
	RAW(SYS_prctl, PR_SET_NAME, mode == 'p' ? "cella-runner" : "cella-monitor", 0, 0, 0);
	size_t mapped;
	struct launch *launch = map_launch((int)take_number(&argv[2]), &mapped);
	if (mode == 'p')
		perform(launch, mapped);
	monitor_wait(launch, (int)take_number(&argv[3]));
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tlea runner_stack+131072(%rip), %rsp\n\tcall runner_main\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x0, sp\n\tadrp x1, runner_stack\n\tadd x1, x1, :lo12:runner_stack\n"
	"\tadd x1, x1, #131072\n\tmov sp, x1\n\tbl runner_main\n");
#endif
