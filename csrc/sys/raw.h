/* System calls without libc: the runner has none. Until it has executed the runner, a child shares the caller's
 * memory, so also the thread-local block that holds errno: a libc wrapper in the child would write into the caller's
 * errno while the caller runs. (And libc's setresuid would signal the caller's other threads.) These return the
 * result, or a negative errno, and touch nothing else. The same functions serve the immediate form, so that there is
 * one way to make a call. */
#ifndef CELLA_RAW_H
#define CELLA_RAW_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#if defined(__x86_64__) && !defined(__ILP32__)

static inline long raw_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/* clone(2) or clone3(2). The child starts on its new stack, where no frame of this function exists: it has to call
 * `body` before the compiler touches the stack, and never comes back. */
static inline long raw_clone_to(long number, long a, long b, long c, long d, long e, void (*body)(void *), void *data)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "mov %[data], %%rdi\n\t"
			 "call *%[body]\n\t"
			 "ud2\n"
			 "1:"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), [body] "r"(body), [data] "r"(data)
			 : "rcx", "r11", "memory");
	return result;
}

#elif defined(__aarch64__)

static inline long raw_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}

static inline long raw_clone_to(long number, long a, long b, long c, long d, long e, void (*body)(void *), void *data)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register void (*x5)(void *) __asm__("x5") = body;
	register void *x6 __asm__("x6") = data;
	__asm__ volatile("svc #0\n\t"
			 "cbnz x0, 1f\n\t"
			 "mov x0, x6\n\t"
			 "blr x5\n\t"
			 "brk #0\n"
			 "1:"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5), "r"(x6)
			 : "memory");
	return x0;
}

#elif defined(__riscv) && __riscv_xlen == 64

static inline long raw_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	register long a7 __asm__("a7") = number;
	register long a0 __asm__("a0") = a;
	register long a1 __asm__("a1") = b;
	register long a2 __asm__("a2") = c;
	register long a3 __asm__("a3") = d;
	register long a4 __asm__("a4") = e;
	register long a5 __asm__("a5") = f;
	__asm__ volatile("ecall"
			 : "+r"(a0)
			 : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5)
			 : "memory");
	return a0;
}

static inline long raw_clone_to(long number, long a, long b, long c, long d, long e, void (*body)(void *), void *data)
{
	register long a7 __asm__("a7") = number;
	register long a0 __asm__("a0") = a;
	register long a1 __asm__("a1") = b;
	register long a2 __asm__("a2") = c;
	register long a3 __asm__("a3") = d;
	register long a4 __asm__("a4") = e;
	register void (*a5)(void *) __asm__("a5") = body;
	register void *a6 __asm__("a6") = data;
	__asm__ volatile("ecall\n\t"
			 "bnez a0, 1f\n\t"
			 "mv a0, a6\n\t"
			 "jalr a5\n\t"
			 "unimp\n"
			 "1:"
			 : "+r"(a0)
			 : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a6)
			 : "memory");
	return a0;
}

#else
#error "cella runs on x86_64, aarch64 and riscv64: another machine needs its system calls in csrc/sys/raw.h"
#endif

static inline long raw_clone3(void *args, size_t size, void (*body)(void *), void *data)
{
	return raw_clone_to(SYS_clone3, (long)args, (long)size, 0, 0, 0, body, data);
}

/* clone(2), whose flags a seccomp filter sees. `top` is the end of the child's stack; NULL for this one's address, as
 * after fork(2), and then it returns twice and calls nothing. */
static inline long raw_clone(uint64_t flags, char *top, int *child_tid, void (*body)(void *), void *data)
{
#if defined(__x86_64__)
	long fourth = (long)child_tid, fifth = 0;
#else
	long fourth = 0, fifth = (long)child_tid;
#endif
	if (!top)
		return raw_syscall(SYS_clone, (long)flags, 0, 0, fourth, fifth, 0);
	return raw_clone_to(SYS_clone, (long)flags, (long)top, 0, fourth, fifth, body, data);
}

#define RAW_PAD(number, a, b, c, d, e, f, ...) \
	raw_syscall((long)(number), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define RAW(...) RAW_PAD(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* The kernel's own struct, which libc hides behind one of another shape. */
struct kernel_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

/* A device number as system calls have it (makedev(3) is libc's); `major` is below 4096. */
static inline uint32_t device_number(int64_t major, int64_t minor)
{
	return (uint32_t)((minor & 0xff) | major << 8 | (minor & ~0xff) << 12);
}

/* What a process ends with that was to become the program and did not. */
enum { EXIT_SETUP_FAILED = 125 };

static inline _Noreturn void raw_leave(int status)
{
	RAW(SYS_exit_group, status);
	/* A seccomp filter may refuse the one and the other: then it ends by a signal, and does not loop for ever. */
	RAW(SYS_exit, status);
	for (;;)
		__builtin_trap();
}

#define RAW_EINTR 4

/* For the few calls that sleep and may be interrupted: retried in this one place. */
#define RAW_RETRY(result, ...)                                \
	do {                                                  \
		(result) = RAW(__VA_ARGS__);                  \
	} while ((result) == -RAW_EINTR)

#endif
