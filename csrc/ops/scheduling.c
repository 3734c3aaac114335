/* On which processors a process runs, and how far it stands back behind others there: sched(7). */
#include "ops/ops.h"
#include "sys/raw.h"

#include <errno.h>
#include <sys/resource.h>

enum {
	BITS = 64,
	MOST_CPUS = 8192, /* what a kernel can be built for */
	NICE_OF_ANSWER = 20, /* the system call answers 20 less the nice value, which is never negative */
};

struct cpus {
	uint64_t set[MOST_CPUS / BITS];
};

/* setpriority(nice) -> true | nil, message, errno
 * setpriority(2) of this process. Less than it has needs RLIMIT_NICE, or CAP_SYS_NICE over the initial user namespace.
 * nice: -20, before others, to 19, behind them */
static int act_setpriority(const struct arg *a)
{
	return (int)RAW(SYS_setpriority, PRIO_PROCESS, 0, a[0].n);
}

/* expect_priority(nice) -> true | nil, message, errno
 * getpriority(2). */
static int act_expect_priority(const struct arg *a)
{
	long answer = RAW(SYS_getpriority, PRIO_PROCESS, 0);
	if (answer < 0)
		return (int)answer;
	return NICE_OF_ANSWER - answer == a[0].n ? 0 : -ENOTRECOVERABLE;
}

static int wanted(const struct arg *list, struct cpus *cpus)
{
	const uint32_t *numbers = list->p;
	*cpus = (struct cpus){ 0 };
	for (int64_t i = 0; i < list->n; i++) {
		if (numbers[i] >= MOST_CPUS)
			return -EINVAL;
		cpus->set[numbers[i] / BITS] |= UINT64_C(1) << numbers[i] % BITS;
	}
	return 0;
}

/* sched_setaffinity(cpus) -> true | nil, message, errno
 * sched_setaffinity(2) of this process. The kernel leaves out those that its cgroup does not allow (cpuset(7)), and says
 * nothing; where it allows none, EINVAL.
 * cpus: numbers from 0 */
static int act_sched_setaffinity(const struct arg *a)
{
	struct cpus cpus;
	int result = wanted(a, &cpus);
	return result < 0 ? result : (int)RAW(SYS_sched_setaffinity, 0, sizeof cpus, &cpus);
}

/* expect_affinity(cpus) -> true | nil, message, errno
 * sched_getaffinity(2): these, and no others. */
static int act_expect_affinity(const struct arg *a)
{
	struct cpus cpus, found = { 0 };
	int result = wanted(a, &cpus);
	if (result < 0)
		return result;
	long length = RAW(SYS_sched_getaffinity, 0, sizeof found, &found);
	if (length < 0)
		return (int)length;
	for (size_t i = 0; i < sizeof cpus.set / sizeof *cpus.set; i++)
		if (cpus.set[i] != found.set[i])
			return -ENOTRECOVERABLE;
	return 0;
}

static const struct op rows[] = {
	{ "setpriority", act_setpriority, 0, RESULT_TRUE, { { "nice", K_NICE } } },
	{ "expect_priority", act_expect_priority, 0, RESULT_TRUE, { { "nice", K_NICE } } },
	{ "sched_setaffinity", act_sched_setaffinity, 0, RESULT_TRUE, { { "cpus", K_CPUS } } },
	{ "expect_affinity", act_expect_affinity, 0, RESULT_TRUE, { { "cpus", K_CPUS } } },
};

const struct op_table ops_scheduling = OP_TABLE(rows);
