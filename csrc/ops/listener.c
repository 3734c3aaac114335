/* A filter whose calls somebody else hears of and answers: seccomp_unotify(2).
 *
 * The listener comes into being behind the filter, which may hold back any call that it would take to hand it on. So a
 * thread of this process does that, which was there before: the filter does not reach it. It shares the descriptors,
 * and closes the listener once it is sent.
 *
 * Nobody waits for the thread, because behind the filter no call is sure to be performed, none to sleep either. The
 * execve(2) that comes next sleeps until somebody answers, who has the listener by then; it ends the thread, and
 * closes what may still be open: the listener is close-on-exec, and no program ever has it. */
#include "ops/filter.h"
#include "ops/ops.h"
#include "sys/channel.h"
#include "sys/raw.h"

#include <errno.h>
#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/time_types.h>
#include <signal.h>
#include <stdbool.h>

/* Linux 5.19 */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

enum { STACK = 16384, NONE = -1 };

/* What the two share. There is one of it: a process has at most one filter with a listener (EBUSY). */
static struct {
	char stack[STACK] __attribute__((aligned(16)));
	int64_t channel;
	int listener; /* its number and 1; 0 until there is one; NONE where there will not be any */
} handing;

static void hand_on(void *data)
{
	(void)data;
	/* Behind the filter nobody can wake this thread. */
	struct __kernel_timespec moment = { .tv_nsec = 20000 };
	int listener;
	while (!(listener = __atomic_load_n(&handing.listener, __ATOMIC_SEQ_CST)))
		RAW(SYS_nanosleep, &moment, 0);
	if (listener != NONE) {
		/* If it cannot be sent nobody has it, and execve(2) fails: ENOSYS. */
		channel_send(handing.channel, MESSAGE_LISTENER, listener - 1);
		RAW(SYS_close, listener - 1);
	}
	for (;;)
		RAW(SYS_exit, 0);
}

/* Signals that wake a process whose call waits for an answer would have it make the call again, and be heard of twice:
 * where the kernel can, only what ends it does. */
static int install(const struct sock_fprog *program)
{
	const uint64_t flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
	long result = RAW(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, program);
	if (result == -EINVAL)
		result = RAW(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program);
	return (int)result;
}

/* seccomp_listener(filter [, policy]) [in a plan]
 * As seccomp, with a filter that has answers of the kind SECCOMP_RET_USER_NOTIF. Its listener goes to the parent, who
 * has to answer: execve(2) is to be among them, so that nothing is executed before. EBUSY where this process has such a
 * filter already; EAGAIN where it may have no thread for a moment, by its limits.
 * filter: a compiled classic BPF program
 * policy: what a printed plan calls it */
static int act_seccomp_listener(const struct arg *a)
{
	struct sock_fprog program;
	int wrong = filter_program(&a[0], &program);
	if (wrong < 0)
		return wrong;
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
		.stack = (uint64_t)(uintptr_t)handing.stack,
		.stack_size = sizeof handing.stack,
	};
	handing.channel = a[2].n;
	handing.listener = 0;
	long result = raw_clone3(&args, sizeof args, hand_on, NULL);
	if (result < 0)
		return (int)result;
	int listener = install(&program);
	__atomic_store_n(&handing.listener, listener < 0 ? NONE : listener + 1, __ATOMIC_SEQ_CST);
	return listener < 0 ? listener : 0;
}

static const struct op rows[] = {
	{ "seccomp_listener", act_seccomp_listener, OP_LATER, RESULT_TRUE,
	  { { "filter", K_DATA }, { "policy", K_TEXT, true }, { "channel", K_CHANNEL } } },
};

const struct op_table ops_listener = OP_TABLE(rows);
