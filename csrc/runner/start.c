/* The entry point of the runner, and its stack. The build with sanitizers has those of libc instead: sanitized.c. */
#include "sys/raw.h"
#include "runner/init.h"
#include "runner/main.h"

#include <linux/auxvec.h>
#include <sys/mman.h>

/* For execve without an environment: that of the caller, which the child was given. */
char **environ;

/* It begins on a stack of its own, however small the kernel's is to be (RLIMIT_STACK). The process behind an init step
 * has the other one. */
enum { STACK = 128 * 1024 };
__attribute__((used)) char runner_stack[STACK] __attribute__((aligned(4096)));
static char other_stack[STACK] __attribute__((aligned(4096)));

/* The words and the environment that it was executed with, one after the other; and where the kernel has put what
 * points to them, below. */
static char *words, *words_end;
static const char *pointers;
static unsigned long page_size;
static struct executor *executor;

/* The pages from that of the first to that of the second, but for the latter. */
static void give_back(const char *from, const char *to)
{
	uintptr_t first = (uintptr_t)from & ~(page_size - 1), last = (uintptr_t)to & ~(page_size - 1);
	if (first < last)
		RAW(SYS_madvise, first, last - first, MADV_DONTNEED);
}

/* The program is executed: of the plan and of the environment nothing is left in the memory of the init, nor of what is
 * below the calls that it is in. */
static void forget(void)
{
	static const char name[] = "cella-init";
	const char *label = executor->label;
	enum { OWN = 1024 }; /* of the stack, of this call and of what it makes */
	give_back(runner_stack, (const char *)__builtin_frame_address(0) - OWN);
	give_back(pointers, words);
	RAW(SYS_munmap, executor->launch, executor->launch->size);
	RAW(SYS_madvise, other_stack, STACK, MADV_DONTNEED);
	size_t label_size = 0;
	while (label[label_size])
		label_size++;
	/* From the end: who reads the name finds the label behind it. */
	for (size_t i = (size_t)(words_end - words); i-- > 0;) {
		char byte = 0;
		if (i < sizeof name)
			byte = name[i];
		else if (i - sizeof name < label_size)
			byte = label[i - sizeof name];
		__atomic_store_n(words + i, byte, __ATOMIC_RELEASE);
	}
}

static void continue_as_init(const struct executor *own, int program, bool detached)
{
	init_main(program, detached, &own->shared, forget);
}

void runner_prepare(struct executor *own)
{
	executor = own;
	executor->stack = other_stack;
	executor->stack_size = STACK;
	executor->become_init = continue_as_init;
}

/* Behind the NUL of a string. */
static char *end_of(const char *text)
{
	while (*text)
		text++;
	return (char *)(uintptr_t)text + 1;
}

/* What the kernel says of itself, behind the environment (getauxval(3)). */
static unsigned long auxiliary(const unsigned long *vector, unsigned long type)
{
	while (vector[0] != AT_NULL && vector[0] != type)
		vector += 2;
	return vector[1];
}

_Noreturn void runner_start(long *stack);

__attribute__((used)) _Noreturn void runner_start(long *stack)
{
	long count = stack[0];
	const char **argv = (const char **)(stack + 1);
	environ = (char **)(stack + count + 2);
	words = words_end = (char *)(uintptr_t)argv[0];
	pointers = (const char *)stack;
	for (long i = 0; i < count; i++)
		words_end = end_of(argv[i]);
	char **variable = environ;
	for (; *variable; variable++)
		words_end = end_of(*variable);
	page_size = auxiliary((const unsigned long *)(void *)(variable + 1), AT_PAGESZ);
	runner_main(count, argv);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n"
	"\tlea runner_stack+131072(%rip), %rsp\n\tcall runner_start\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x0, sp\n"
	"\tadrp x1, runner_stack\n\tadd x1, x1, :lo12:runner_stack\n"
	"\tadd x1, x1, #131072\n\tmov sp, x1\n\tbl runner_start\n");
#elif defined(__riscv)
/* The linker shortens what is near the global pointer: it has to be there first. */
__asm__(".globl _start\n_start:\n\t.option push\n\t.option norelax\n\tla gp, __global_pointer$\n\t.option pop\n"
	"\tli s0, 0\n\tmv a0, sp\n\tla sp, runner_stack+131072\n\tcall runner_start\n");
#endif
