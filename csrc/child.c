/* The child between clone and exec. No libc, no Lua, no allocation: see raw.h. */
#include "channel.h"
#include "digits.h"
#include "launch.h"
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>

int launch_clone(struct launch *launch, struct clone_args *args)
{
	if (!launch->own_memory)
		return (int)raw_clone3(args, sizeof *args, child_body, launch);
	/* As fork(2) does: libc finds the number of its thread in its own memory. */
	if (launch->thread_id) {
		args->flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
		args->child_tid = (uint64_t)(uintptr_t)launch->thread_id;
	}
	args->stack = args->stack_size = 0;
	return (int)RAW(SYS_clone3, args, sizeof *args);
}

/* Clones a process that goes on with the plan. Returns its pid or a negative errno; 0 in a copy, which it is. */
static int continue_in(struct launch *launch, uint64_t flags, uint64_t exit_signal)
{
	struct clone_args args = {
		.flags = flags | (launch->own_memory ? 0 : CLONE_VM),
		.exit_signal = exit_signal,
		.stack = (uint64_t)(uintptr_t)launch->spare_stack,
		.stack_size = STACK_SIZE,
	};
	launch->spare_stack += STACK_DISTANCE;
	return launch_clone(launch, &args);
}

/* The child of a keeper, or the process behind a fork step: goes on once the parent has hold of it. */
static void take_over(struct launch *launch)
{
	launch->handed_over = false;
	if (channel_say(launch->channel, I_GO_ON) < 0 || channel_await(launch->channel) < 0)
		raw_leave(EXIT_SETUP_FAILED);
}

/* A process of which only the children are in the namespace that it has joined hands over to one. All
 * are children of the same parent (CLONE_PARENT), so that it can wait for the last. */
static int hand_over(struct launch *launch, uint64_t namespaces)
{
	launch->handed_over = true;
	int result = continue_in(launch, namespaces | CLONE_PARENT, 0);
	if (result < 0)
		return result;
	if (result > 0) {
		/* Those behind it may number their children in another pid namespace. */
		if (!launch->successor)
			launch->successor = result;
		raw_leave(0);
	}
	take_over(launch);
	return 0;
}

/* Puts `status` on 3 and `gate` on 4, closes everything else but `program`, and becomes it. */
static int become_init(int program, int status, bool stays, int gate, int child)
{
	enum { ABOVE = 8 };
	char pid[DIGITS_SIZE];
	put_number(pid, child);
	const char *const argv[] = { "cella-init", pid, stays ? "stays" : NULL, NULL };
	const char *const environment[] = { NULL };
	program = (int)RAW(SYS_fcntl, program, F_DUPFD_CLOEXEC, ABOVE);
	status = (int)RAW(SYS_fcntl, status, F_DUPFD_CLOEXEC, ABOVE);
	gate = (int)RAW(SYS_fcntl, gate, F_DUPFD_CLOEXEC, ABOVE);
	if (program < 0 || status < 0 || gate < 0)
		return -EMFILE;
	long result = RAW(SYS_dup3, status, 3, 0);
	if (result >= 0)
		result = RAW(SYS_dup3, gate, 4, 0);
	/* An init that held the program's streams would keep their other ends waiting. */
	if (result >= 0)
		result = RAW(SYS_close_range, 0, 2, 0);
	if (result >= 0)
		result = RAW(SYS_close_range, 5, program - 1, 0);
	if (result >= 0)
		result = RAW(SYS_close_range, program + 1, UINT32_MAX, 0);
	if (result >= 0)
		result = RAW(SYS_execveat, program, "", argv, environment, AT_EMPTY_PATH);
	return (int)result;
}

static void pass_gate(struct launch *launch);

/* The process after this step is a child, held behind a gate until the init has begun and can no longer be traced
 * from inside. If it never begins, this process ends, and the kernel kills all in its pid namespace. */
static int start_init(struct launch *launch, int program, int status, bool stays)
{
	int gate[2], child = 0;
	long result = RAW(SYS_pipe2, gate, O_CLOEXEC);
	/* 0 to 2 may have been closed, and are not ours to use. */
	for (int i = 0; i < 2 && result >= 0; i++) {
		int low = gate[i];
		result = gate[i] = (int)RAW(SYS_fcntl, low, F_DUPFD_CLOEXEC, 3);
		RAW(SYS_close, low);
	}
	if (result < 0)
		return (int)result;
	launch->gate = gate[0];
	child = continue_in(launch, 0, launch->executes ? 0 : SIGCHLD); /* exec makes it SIGCHLD: init.c */
	if (child == 0)
		pass_gate(launch);
	if (child <= 0)
		return child;
	return become_init(program, status, stays, gate[1], child);
}

/* The process behind an init step: every copy of the gate's other end must be the init's. */
static void pass_gate(struct launch *launch)
{
	char byte;
	long result;
	int gate = launch->gate;
	launch->gate = 0;
	RAW_RETRY(result, SYS_read, gate, &byte, 1);
	if (result != 1)
		raw_leave(EXIT_SETUP_FAILED);
	RAW(SYS_close, gate);
	if (channel_say(launch->channel, HERE_I_AM) < 0)
		raw_leave(EXIT_SETUP_FAILED);
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
		else if (op->params[i].kind == K_FD && arg->state == ARG_GIVEN && arg->n == launch->channel)
			return -EBADF; /* not one of the plan's: without it the parent would take us for done */
		else if (arg->state == ARG_SLOT && launch->slots[arg->n] == NOTHING)
			return NOTHING_TO_DO;
		else if (arg->state == ARG_SLOT)
			arg->n = launch->slots[arg->n];
		else if (op->params[i].kind == K_SIGNALS)
			/* Handlers went with CLONE_CLEAR_SIGHAND: what is left to undo was ignored. */
			arg->n &= (int64_t)launch->ignored;
	}
	if (op->flags & OP_FORK)
		return hand_over(launch, (uint64_t)step->args[0].n);
	if (op->flags & OP_INIT)
		return start_init(launch, (int)step->args[0].n, (int)step->args[1].n, step->args[2].n != 0);
	return op->act(step->args);
}

void child_body(void *data)
{
	struct launch *launch = data;
	if (launch->other_end >= 0) {
		RAW(SYS_close, launch->other_end);
		launch->other_end = -1;
	}
	if (launch->handed_over)
		take_over(launch);
	if (launch->gate)
		pass_gate(launch);
	while (launch->next < launch->end) {
		struct step *step = launch->next;
		const struct op *op = op_at(step->op);
		launch->next = (struct step *)(void *)((char *)step + step->size);
		launch->current++;
		if (op->flags & OP_CALL)
			return;
		int result = act(launch, op, step);
		if (result == NOTHING_TO_DO || (result == -ENOENT && step->optional)) {
			result = NOTHING;
		} else if (result < 0) {
			launch->error = -result;
			raw_leave(EXIT_SETUP_FAILED);
		}
		if (step->slot >= 0)
			launch->slots[step->slot] = result;
	}
	/* A plan without an exec at its end has done what it was for. */
	raw_leave(0);
}
