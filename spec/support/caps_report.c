/* What is exec'd: says what it holds and ends. Without libc, whose start would take most of the time (cc -nostdlib
 * -static). */
#include <elf.h>

#include "caps_state.h"

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x0, sp\n\tb begin\n");
#endif

void begin(const unsigned long *stack);

void begin(const unsigned long *stack)
{
	char line[512], *p = put_text(line, "A ");
	long secure = 0;
	stack += 1 + stack[0] + 1; /* argc, argv, NULL */
	while (*stack++) /* the environment */
		;
	for (; stack[0] != AT_NULL; stack += 2)
		if (stack[0] == AT_SECURE)
			secure = (long)stack[1];
	p = put_state(p, secure);
	*p++ = '\n';
	RAW(SYS_write, 1, line, p - line);
	RAW(SYS_exit_group, 0);
	for (;;)
		;
}
