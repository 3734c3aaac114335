/* Performs the steps of a plan, in the runner or in a copy of the caller. Raw calls only: see raw.h. */
#include "executor/launch.h"
#include "sys/channel.h"
#include "sys/digits.h"
#include "sys/procfs.h"
#include "sys/raw.h"
#include "sys/status.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <signal.h>
#include <time.h>

int executor_clone(const struct executor *executor, struct clone_args *args)
{
	/* As fork(2) does: libc finds the number of its thread in its own memory. */
	if (executor->thread_id) {
		args->flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
		args->child_tid = (uint64_t)(uintptr_t)executor->thread_id;
	}
	/* A filter of the plan's own may hide clone3(2), whose flags it does not see. What only that has: a flag where the
	 * signal of clone(2) is, and the upper half; and a pidfd would be where other flags want a number. */
	if (args->flags >> 32 || args->flags & (CSIGNAL | CLONE_PIDFD))
		return (int)RAW(SYS_clone3, args, sizeof *args);
	return (int)raw_clone(args->flags | args->exit_signal, NULL, (int *)(uintptr_t)args->child_tid, NULL, NULL);
}

/* As this process has them now: a thread of the caller's may have changed its own until the moment of clone. */
static uint64_t ignored_signals(void)
{
	char text[STATUS_ROOM];
	uint64_t set = 0;
	if (procfs_read("/proc/thread-self/status", text, sizeof text) > 0 && status_mask(text, "SigIgn", &set))
		return set;
	set = 0;
	for (int number = 1; number <= 64; number++) {
		struct kernel_sigaction action = { 0 };
		if (RAW(SYS_rt_sigaction, number, 0, &action, sizeof action.mask) == 0 && action.handler == SIG_IGN)
			set |= (uint64_t)1 << (number - 1);
	}
	return set;
}

void executor_bind(struct executor *executor, struct launch *launch)
{
	executor->launch = launch;
	executor->next = launch_first(launch);
	executor->end = (const struct step *)(const void *)((char *)launch + launch->end);
	for (struct step *step = executor->next; step != executor->end; step = step_after(step))
		step_bind(step);
}

void executor_begin(struct executor *executor, struct launch *launch)
{
	executor->ignored = ignored_signals();
	executor->sync_pipe = 0;
	executor_bind(executor, launch);
}

/* Goes on with the plan in another process. Returns its pid or a negative errno; 0 in there. */
static int continue_in(const struct executor *executor, uint64_t flags, uint64_t exit_signal)
{
	struct clone_args args = { .flags = flags, .exit_signal = exit_signal };
	return executor_clone(executor, &args);
}

/* The child of a monitor, or the process behind a fork step: goes on once the parent has hold of it. */
static void continue_handoff(const struct launch *launch)
{
	if (channel_say(launch->channel, MESSAGE_SUCCESSOR) < 0 || channel_await(launch->channel) < 0)
		raw_leave(EXIT_SETUP_FAILED);
}

/* What is done is of no use to anybody, and those who could look into this memory later are to find none of it. */
static void wipe(const struct executor *executor)
{
	char *from = (char *)launch_first(executor->launch);
	while (from < (char *)executor->next)
		*(volatile char *)from++ = 0;
}

/* A process of which only the children are in the namespace that it has joined hands over to one. All
 * are children of the same parent (CLONE_PARENT), so that it can wait for the last. */
static int hand_off(struct executor *executor, uint64_t namespaces)
{
	int result = continue_in(executor, namespaces | CLONE_PARENT, 0);
	if (result < 0)
		return result;
	if (result > 0) {
		/* Those behind it may number their children in another pid namespace. */
		if (!executor->launch->successor)
			executor->launch->successor = result;
		raw_leave(0);
	}
	wipe(executor);
	continue_handoff(executor->launch);
	return 0;
}

/* Executes the init from the descriptor `program`. */
static int execute_init(const char *label, int program, bool detached, int child)
{
	char pid[DIGITS_SIZE];
	put_number(pid, child);
	const char *const argv[] = { "cella-init", "init", pid, label, detached ? "detached" : NULL, NULL };
	const char *const environment[] = { NULL };
	return (int)RAW(SYS_execveat, program, "", argv, environment, AT_EMPTY_PATH);
}

/* The init's two descriptors, where it looks for them. */
enum { INIT_STATUS = 3, INIT_GATE = 4, ABOVE_INIT = 8 };

/* Puts `status` on 3 and `sync_pipe` on 4. */
static int place_descriptors(int status, int sync_pipe)
{
	if (sync_pipe == INIT_STATUS)
		sync_pipe = (int)RAW(SYS_fcntl, sync_pipe, F_DUPFD_CLOEXEC, ABOVE_INIT);
	if (sync_pipe < 0)
		return sync_pipe;
	/* dup3(2) refuses what is in its place; exec is to leave that open. */
	long result = status == INIT_STATUS ? RAW(SYS_fcntl, status, F_SETFD, 0) :
					      RAW(SYS_dup3, status, INIT_STATUS, 0);
	if (result < 0)
		return (int)result;
	return (int)(sync_pipe == INIT_GATE ? RAW(SYS_fcntl, sync_pipe, F_SETFD, 0) :
					      RAW(SYS_dup3, sync_pipe, INIT_GATE, 0));
}

/* Closes everything but the init's two descriptors and `program`, and becomes the init: in the runner without an exec,
 * so without `program`, which is -1 there. */
static int become_init(const struct executor *executor, int program, int status, bool detached, int sync_pipe,
		       int child)
{
	long result = program = executor->become_init ? -1 : (int)RAW(SYS_fcntl, program, F_DUPFD_CLOEXEC, ABOVE_INIT);
	if (executor->become_init || result >= 0)
		result = place_descriptors(status, sync_pipe);
	/* An init that held the program's streams would keep their other ends waiting. */
	if (result >= 0)
		result = RAW(SYS_close_range, 0, INIT_STATUS - 1, 0);
	if (result >= 0 && program >= 0)
		result = RAW(SYS_close_range, INIT_GATE + 1, program - 1, 0);
	if (result >= 0)
		result = RAW(SYS_close_range, program < 0 ? INIT_GATE + 1 : program + 1, UINT32_MAX, 0);
	if (result >= 0 && executor->become_init)
		executor->become_init(executor, child, detached);
	return result >= 0 ? execute_init(executor->label, program, detached, child) : (int)result;
}

static void wait_for_init(const struct executor *executor)
{
	char byte;
	long result;
	RAW_RETRY(result, SYS_read, executor->sync_pipe, &byte, 1);
	if (result != 1)
		raw_leave(EXIT_SETUP_FAILED);
	RAW(SYS_close, executor->sync_pipe);
	if (channel_say(executor->launch->channel, MESSAGE_PROGRAM) < 0)
		raw_leave(EXIT_SETUP_FAILED);
}

static void perform(struct executor *executor);

/* Notes when the present step was done. A call more for each, where somebody wants to know. */
static void stamp(struct launch *launch)
{
	struct timespec now;
	uint32_t done = launch->current;
	if (launch->stamped && done >= 1 && done <= launch->steps &&
	    RAW(SYS_clock_gettime, CLOCK_REALTIME, &now) == 0)
		launch_stamps(launch)[done - 1] = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Behind an init step, in the memory of the init. */
static void continue_plan(void *data)
{
	struct executor *executor = data;
	RAW(SYS_close, executor->sync_end);
	wait_for_init(executor);
	stamp(executor->launch);
	perform(executor);
}

/* The process after this step is a child, held by a pipe until the init has begun and can no longer be traced
 * from inside. If it never begins, this process ends, and the kernel kills all in its pid namespace. */
static int start_init(struct executor *executor, int program, int status, bool detached, const char *label)
{
	int sync_pipe[2], child;
	/* exec makes it SIGCHLD */
	struct clone_args args = { .exit_signal = executor->launch->executes ? 0 : SIGCHLD };
	/* There is one already, which has this stack. */
	if (executor->sync_pipe)
		return -EINVAL;
	long result = RAW(SYS_pipe2, sync_pipe, O_CLOEXEC);
	/* 0 to 2 may have been closed, and are not ours to use. */
	for (int i = 0; i < 2 && result >= 0; i++) {
		int low = sync_pipe[i];
		if (low >= 3)
			continue;
		result = sync_pipe[i] = (int)RAW(SYS_fcntl, low, F_DUPFD_CLOEXEC, 3);
		RAW(SYS_close, low);
	}
	if (result < 0)
		return (int)result;
	for (size_t i = 0; label && i < sizeof executor->label - 1 && label[i]; i++)
		executor->label[i] = label[i]; /* the step is about to be wiped */
	executor->sync_pipe = sync_pipe[0];
	executor->sync_end = sync_pipe[1];
	if (executor->stack) {
		wipe(executor);
		executor->shared = 1;
		child = (int)raw_clone(CLONE_VM | CLONE_CHILD_CLEARTID | args.exit_signal,
				       executor->stack + executor->stack_size, &executor->shared, continue_plan,
				       executor);
	} else {
		child = executor_clone(executor, &args);
	}
	if (child == 0) {
		RAW(SYS_close, sync_pipe[1]); /* every copy of this end must be the init's */
		wait_for_init(executor);
	}
	if (child <= 0)
		return child;
	return become_init(executor, program, status, detached, sync_pipe[1], child);
}

/* In a slot whose optional step found nothing. */
enum { NOTHING = -1, NOTHING_TO_DO = -4096 };

static int act(struct executor *executor, const struct op *op, struct step *step)
{
	const struct launch *launch = executor->launch;
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
			arg->n &= (int64_t)executor->ignored;
	}
	if (op->flags & OP_PARK)
		return executor_park(executor);
	if (op->flags & OP_FORK)
		return hand_off(executor, (uint64_t)step->args[0].n);
	if (op->flags & OP_INIT)
		return start_init(executor, (int)step->args[0].n, (int)step->args[1].n, step->args[2].n != 0,
				  given(&step->args[3]) ? step->args[3].p : NULL);
	/* Until the program is executed, the process goes by this name, which the program's own then takes the place
	 * of. */
	if (op->flags & OP_EXEC)
		RAW(SYS_prctl, PR_SET_NAME, launch->mark, 0, 0, 0);
	return op->act(step->args);
}

/* Returns at a call. */
static void perform(struct executor *executor)
{
	while (executor->next != executor->end) {
		struct step *step = executor->next;
		const struct op *op = op_at(step->op);
		executor->next = step_after(step);
		executor->launch->current++;
		if (op->flags & OP_CALL)
			return;
		int32_t slot = step->slot; /* behind a fork step or a parked plan the step itself is gone */
		bool optional = step->optional;
		int result = act(executor, op, step);
		if (result == NOTHING_TO_DO || (result == -ENOENT && optional)) {
			result = NOTHING;
		} else if (result < 0) {
			executor->launch->error = -result;
			raw_leave(EXIT_SETUP_FAILED);
		}
		if (slot >= 0)
			executor->launch->slots[slot] = result;
		stamp(executor->launch);
	}
	/* A plan without an exec at its end has done what it was for. */
	raw_leave(0);
}

void execute_plan(struct executor *executor)
{
	if (executor->launch->handed_off)
		continue_handoff(executor->launch);
	perform(executor);
}
