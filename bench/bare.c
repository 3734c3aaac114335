/* The smallest program: it ends at once; or writes a line and sleeps, if it has an argument. A libc's own
 * start would be half of what is measured. */
#include "sys/raw.h"

_Noreturn void bare_start(const long *stack);

__attribute__((used)) _Noreturn void bare_start(const long *stack)
{
	if (stack[0] > 1)
		RAW(SYS_write, 1, ".\n", 2);
	while (stack[0] > 1)
		RAW(SYS_ppoll);
	raw_leave(0);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tcall bare_start\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x0, sp\n\tbl bare_start\n");
#else
#error "bench/ measures on x86_64 and aarch64: this machine needs a beginning of its own"
#endif
