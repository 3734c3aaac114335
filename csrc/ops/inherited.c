/* Attributes of a process that execve(2) leaves as they are, and that would weaken a program if the caller had them
 * set, or tell the program something. Those that confine the caller are left as they are. */
#include "ops/ops.h"
#include "sys/raw.h"

#include <errno.h>
#include <linux/prctl.h>
#include <sched.h>

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67 /* Linux 6.4 */
#define PR_GET_MEMORY_MERGE 68
#endif

enum { ASK_PERSONALITY = -1 };

/* personality(persona) -> true | nil, message, errno
 * personality(2). */
static int act_personality(const struct arg *a)
{
	long before = RAW(SYS_personality, a[0].n);
	return before < 0 ? (int)before : 0;
}

/* expect_personality(persona) -> true | nil, message, errno
 * personality(2). */
static int act_expect_personality(const struct arg *a)
{
	long persona = RAW(SYS_personality, (uint32_t)ASK_PERSONALITY);
	return persona == a[0].n ? 0 : -ENOTRECOVERABLE;
}

/* timer_slack(nanoseconds) -> true | nil, message, errno
 * PR_SET_TIMERSLACK. A child of this process has it for its default too. */
static int act_timer_slack(const struct arg *a)
{
	return (int)RAW(SYS_prctl, PR_SET_TIMERSLACK, a[0].n, 0, 0, 0);
}

/* expect_timer_slack(nanoseconds) -> true | nil, message, errno
 * PR_GET_TIMERSLACK. The kernel gives none (0) to a process of a realtime policy (sched(7)), whatever is asked. */
static int act_expect_timer_slack(const struct arg *a)
{
	long slack = RAW(SYS_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0);
	if (slack < 0)
		return (int)slack;
	if (slack == a[0].n)
		return 0;
	long policy = RAW(SYS_sched_getscheduler, 0) & ~SCHED_RESET_ON_FORK;
	enum { DEADLINE = 6 };
	bool realtime = policy == SCHED_FIFO || policy == SCHED_RR || policy == DEADLINE;
	return realtime && slack == 0 ? 0 : -ENOTRECOVERABLE;
}

/* thp_disable(on) -> true | nil, message, errno
 * PR_SET_THP_DISABLE: of this memory, and of all that exec and fork make of it. */
static int act_thp_disable(const struct arg *a)
{
	return (int)RAW(SYS_prctl, PR_SET_THP_DISABLE, a[0].n, 0, 0, 0);
}

/* memory_merge(on) -> true | nil, message, errno
 * PR_SET_MEMORY_MERGE (Linux 6.4): whether equal pages of this memory and of others become one. */
static int act_memory_merge(const struct arg *a)
{
	long result = RAW(SYS_prctl, PR_SET_MEMORY_MERGE, a[0].n, 0, 0, 0);
	return result == -EINVAL && !a[0].n ? 0 : (int)result; /* a kernel without it merges nothing */
}

/* expect_memory_defaults() -> true | nil, message, errno
 * That PR_GET_THP_DISABLE and PR_GET_MEMORY_MERGE are not set. */
static int act_expect_memory_defaults(const struct arg *a)
{
	(void)a;
	bool as_asked = RAW(SYS_prctl, PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0 &&
			RAW(SYS_prctl, PR_GET_MEMORY_MERGE, 0, 0, 0, 0) <= 0;
	return as_asked ? 0 : -ENOTRECOVERABLE;
}

static const struct op rows[] = {
	{ "personality", act_personality, 0, RESULT_TRUE, { { "persona", K_U32 } } },
	{ "timer_slack", act_timer_slack, 0, RESULT_TRUE, { { "nanoseconds", K_U32 } } },
	{ "thp_disable", act_thp_disable, 0, RESULT_TRUE, { { "on", K_BOOL } } },
	{ "memory_merge", act_memory_merge, 0, RESULT_TRUE, { { "on", K_BOOL } } },
	{ "expect_personality", act_expect_personality, 0, RESULT_TRUE, { { "persona", K_U32 } } },
	{ "expect_timer_slack", act_expect_timer_slack, 0, RESULT_TRUE, { { "nanoseconds", K_U32 } } },
	{ "expect_memory_defaults", act_expect_memory_defaults, 0, RESULT_TRUE, { { 0 } } },
};

const struct op_table ops_inherited = OP_TABLE(rows);
