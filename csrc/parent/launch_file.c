/* See launch_file.h. */
#include "parent/launch_file.h"
#include "lib/memory_file.h"
#include "sys/capability.h"
#include "value/check.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <errno.h>

/* A name that no program has by chance: the kernel gives a process that of its program when it is executed. */
static void make_mark(char mark[MARK_SIZE])
{
	static unsigned number;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	unsigned long seed = (unsigned long)now.tv_nsec ^ (unsigned long)now.tv_sec << 30 ^
			     (unsigned long)(uintptr_t)&now >> 4;
	snprintf(mark, MARK_SIZE, "cella %09lx", (seed + 0x9e3779b9ul * ++number) & 0xffffffffful);
}

static size_t round_up(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

int make_launch(struct process *process, const struct plan *plan, const struct outline *outline, bool whole)
{
	size_t lists = ((size_t)plan->slots + outline->kept) * sizeof(int32_t);
	if (outline->stamped)
		lists = round_up(lists) + (size_t)plan->steps * sizeof(uint64_t);
	size_t first = round_up(offsetof(struct launch, slots) + lists);
	struct iovec steps[2] = {
		{ plan->base ? plan->base->buffer.data : NULL, plan->base ? plan->base->buffer.size : 0 },
		{ plan->buffer.data, plan->buffer.size },
	};
	size_t size = first + steps[0].iov_len + steps[1].iov_len;
	if (size > INT32_MAX)
		return -E2BIG;
	void *mapping;
	size_t mapped = whole ? size : first;
	int fd = shared_memory("cella-plan", first, steps, mapped, &mapping);
	if (fd < 0)
		return fd;
	struct launch *launch = mapping;
	process->launch = launch;
	process->launch_size = mapped;
	launch->size = (uint32_t)size;
	launch->first = (uint32_t)first;
	launch->end = (uint32_t)size;
	launch->steps = (uint32_t)plan->steps;
	launch->slot_count = (uint32_t)plan->slots;
	launch->caller = getpid();
	launch->last_capability = last_capability();
	launch->cgroup = -1;
	launch->dies_with_parent = outline->dies_with_parent;
	launch->has_init = plan->has_init;
	launch->stamped = outline->stamped;
	process->stamps = outline->stamped ? launch_stamps(launch) : NULL;
	process->stamp_count = launch->steps;
	launch->monitor.result = -ECHILD; /* should it be killed before it knows */
	unsigned last = plan->steps ? op_at(plan_step(plan, plan->steps - 1)->op)->flags : 0;
	launch->executes = (last & (OP_EXEC | OP_PARK)) && !(last & OP_CALL);
	make_mark(launch->mark);
	memcpy(process->mark, launch->mark, MARK_SIZE);
	process->executes = launch->executes;
	return fd;
}

void fill_slots(lua_State *L, int index, struct launch *launch)
{
	for (uint32_t i = 0; i < launch->slot_count; i++) {
		int64_t fd;
		launch->slots[i] = -2; /* no descriptor, nor the sign of one that is not there (executor.c) */
		if (lua_isnoneornil(L, index))
			continue;
		lua_rawgeti(L, index, (int)i);
		if (to_int64(L, -1, &fd))
			launch->slots[i] = (int32_t)fd;
		lua_pop(L, 1);
	}
}
