/* The child between clone and exec. No libc, no Lua, no allocation: see raw.h. */
#include "launch.h"
#include "raw.h"

#include <errno.h>
#include <linux/sched.h>

enum { EXIT_SETUP_FAILED = 125 };

static _Noreturn void leave(int status)
{
	for (;;)
		RAW(SYS_exit_group, status);
}

/* A process of which only the children are in the namespace that it has joined hands over to one. Both
 * are children of the same parent (CLONE_PARENT), so that it can wait for the second. */
static int hand_over(struct launch *launch, uint64_t namespaces)
{
	struct clone_args args = {
		.flags = namespaces | CLONE_PARENT | CLONE_PARENT_SETTID | (launch->own_memory ? 0 : CLONE_VM),
		.parent_tid = (uint64_t)(uintptr_t)&launch->second_pid,
		.stack = (uint64_t)(uintptr_t)launch->second_stack,
		.stack_size = STACK_SIZE,
	};
	long result = raw_clone3(&args, sizeof args, child_body, launch);
	if (result < 0)
		return (int)result;
	leave(0);
}

/* In a slot whose optional step found nothing. */
enum { NOTHING = -1, NOTHING_TO_DO = -4096 };

static int act(struct launch *launch, const struct op *op, struct step *step)
{
	if (step->guard >= 0 && launch->slots[step->guard] == NOTHING)
		return NOTHING_TO_DO;
	for (int i = 0; op->params[i].kind != K_END; i++) {
		struct arg *arg = &step->args[i];
		if (op->params[i].kind == K_CHANNEL)
			*arg = (struct arg){ .state = ARG_GIVEN, .n = launch->channel };
		else if (arg->state == ARG_SLOT && launch->slots[arg->n] == NOTHING)
			return NOTHING_TO_DO;
		else if (arg->state == ARG_SLOT)
			arg->n = launch->slots[arg->n];
		else if (op->params[i].kind == K_SIGNALS)
			/* Handlers went with CLONE_CLEAR_SIGHAND: what is left to undo was ignored. */
			arg->n &= (int64_t)launch->ignored;
	}
	return op->flags & OP_FORK ? hand_over(launch, (uint64_t)step->args[0].n) : op->act(step->args);
}

void child_body(void *data)
{
	struct launch *launch = data;
	while (launch->next < launch->end) {
		struct step *step = launch->next;
		const struct op *op = op_at(step->op);
		launch->next = (struct step *)(void *)((char *)step + step->size);
		launch->current++;
		int result = act(launch, op, step);
		if (result == NOTHING_TO_DO || (result == -ENOENT && step->optional)) {
			result = NOTHING;
		} else if (result < 0) {
			launch->error = -result;
			leave(EXIT_SETUP_FAILED);
		}
		if (step->slot >= 0)
			launch->slots[step->slot] = result;
	}
	/* A plan without an exec at its end has done what it was for. */
	leave(0);
}
