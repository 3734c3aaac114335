/* What the caller and its child share while the child performs a plan. */
#ifndef CELLA_LAUNCH_H
#define CELLA_LAUNCH_H

#include "ops/step.h"
#include "sys/credentials.h"

#include <stddef.h>
#include <sys/resource.h>

/* What a monitor (monitor.c) and the caller tell each other. */
struct monitor_report {
	uint32_t known; /* by the caller, once last_pid is known: a word that the monitor waits for (futex(2)) */
	int32_t last_pid;
	int32_t result; /* of wait4; of the monitor's, as all below */
	int32_t status;
	uint32_t unexecuted; /* it died before the program was executed */
	uint32_t is_apart;   /* it holds nothing open any more: also a word to wait for */
	struct rusage usage;
};

/* How far a child has come before it performs steps (boot.c; parked.c of the rest of a plan). What fails is named by
 * it. */
enum boot_stage { BOOT_CLONE, BOOT_KEEP_FDS, BOOT_CREDENTIALS, BOOT_EXEC, BOOT_HANDED_OVER, BOOT_OVER };

enum { MARK_SIZE = 16 }; /* of the name of a process, with a NUL */

enum { MOST_HANDED_OVER = 253 }; /* descriptors with the rest of a plan: the kernel's SCM_MAX_FD */

/* A file in memory that both have mapped: this, the slots, and the steps. The runner writes into it while it performs
 * the plan; nothing in it is believed but numbers of which any would do. */
struct launch {
	/* From the caller. */
	uint32_t size, first, end; /* in bytes: of all of it; where the steps begin and end */
	uint32_t steps, slot_count, kept_count;
	int32_t channel;   /* the child's end; the caller learns from its closing that exec or exit has happened */
	int32_t caller;    /* its pid */
	int32_t last_capability;
	int32_t min_fd;    /* of the rest of a plan: no descriptor that comes with it, nor the channel, is below */
	uint64_t namespaces; /* that the monitor clones the child into */
	int32_t cgroup;    /* that it is born into, or -1 */
	bool monitored;    /* the first process becomes the monitor of another, which performs the plan */
	bool handed_off;   /* who begins has to say so: it is not the caller's own child */
	bool dies_with_parent;
	bool executes;     /* the plan ends with execve(2) */
	bool has_init;     /* who is waited for becomes an init, and executes nothing */
	bool stamped;      /* when each step was done is noted, before the first */
	/* The name of a process that is about to execute the program, which then has another. */
	char mark[MARK_SIZE];

	/* From the child. A number counts from 1; error is 0 while all is well. */
	uint32_t boot; /* enum boot_stage: how far it has come before the runner begins */
	struct credentials credentials;
	uint32_t current;
	int32_t error;
	/* The first process behind a fork step, as the caller's pid namespace has it: known before it can say so. */
	int32_t successor;
	struct monitor_report monitor;

	/* The slots, and behind them the numbers of descriptors that exec is to leave open; each but for a sign is
	 * that of one that the runner has to make close-on-exec again. */
	int32_t slots[];
};

static inline int32_t *launch_kept(struct launch *launch)
{
	return launch->slots + launch->slot_count;
}

static inline struct step *launch_first(struct launch *launch)
{
	return (struct step *)(void *)((char *)launch + launch->first);
}

/* When each step was done, in nanoseconds of CLOCK_REALTIME, which no time namespace shifts; 0 where it was not. Only
 * where `stamped`. */
static inline uint64_t *launch_stamps(struct launch *launch)
{
	return (uint64_t *)(void *)((char *)launch + launch->first) - launch->steps;
}

enum { LABEL_SIZE = 32 }; /* of what an init says of itself, with a NUL */

/* A process that performs a plan: the runner, or a copy of the caller. Each that it forks has a copy of this. */
struct executor {
	struct launch *launch;
	struct step *next;
	const struct step *end;
	int sync_pipe;  /* on which the process after an init step waits */
	int sync_end;   /* the init's */
	uint64_t ignored; /* signals */
	int *thread_id; /* where libc keeps that of the only thread, in a copy; or NULL */
	/* What is in the command line of the init, behind its name: for who enters its namespaces. */
	char label[LABEL_SIZE];
	/* In the runner: for the process behind an init step, which shares its memory until it executes the program, so
	 * that this one need not be executed anew to become the init; in a copy NULL and 0. */
	char *stack;
	size_t stack_size;
	int32_t shared; /* 0 once it has executed the program, or has ended: set by the kernel (CLONE_CHILD_CLEARTID) */
	/* Goes on as the init of a program, with descriptors 3 and 4 alone. */
	void (*become_init)(const struct executor *executor, int program, bool detached);
};

/* The launch in a descriptor, which stays open. Returns NULL where there is none. */
struct launch *launch_map(int fd, size_t *mapped);

/* Sleeps until the parent sends the rest of the plan, and goes on with that. Returns 0 or a negative errno. */
int executor_park(struct executor *executor);

/* Turns the offsets in the steps of a launch into pointers, and begins at the first. */
void executor_bind(struct executor *executor, struct launch *launch);

/* Performs the steps from `next` on. Returns at a call, in a copy of the caller; else never. */
void execute_plan(struct executor *executor);

/* clone3(2), as fork(2) does it: returns twice. */
struct clone_args;
int executor_clone(const struct executor *executor, struct clone_args *args);

/* Binds the steps, and begins at the first. */
void executor_begin(struct executor *executor, struct launch *launch);

/* In a process that shares nothing with the caller but the launch: waits for the child of this process, and for those
 * that it has handed over to, and reports. Closes every descriptor; never returns. */
_Noreturn void monitor_wait(struct launch *launch, int child);

/* Makes this process one that goes when the caller does; clones the child of a monitor. Returns as fork(2) does. */
int monitor_clone(struct executor *executor);

#endif
