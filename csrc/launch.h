/* What parent and child share while a plan is performed. */
#ifndef CELLA_LAUNCH_H
#define CELLA_LAUNCH_H

#include "args.h"

enum { STACK_SIZE = 256 * 1024 }; /* untouched pages cost nothing */

/* From one stack to the next: below each a page faults. */
enum { STACK_DISTANCE = STACK_SIZE + 65536 };

/* Lies in a mapping of its own, behind the stacks: [guard][stack]...[launch, steps]. The child
 * runs in the parent's memory, on a stack of its own. It writes here and nowhere else. Where the kernel asks for it, or
 * the caller's own code is what comes last, it runs in a copy of the memory, on the copy of the caller's own stack, as
 * after fork(2); then the mapping is a shared one. */
struct launch {
	void *mapping;
	size_t mapping_size;
	char *spare_stack; /* the next of those for the processes behind fork and init steps */
	bool handed_over;  /* by a keeper or a fork step: who begins has to say so */
	int gate;          /* behind which the process after an init step waits; 0 if there is none */

	struct step *next; /* the step that the child performs next */
	const struct step *end;
	int channel; /* the child's end; the parent learns from its closing that exec or exit has happened */
	int other_end; /* the parent's; the child closes its copy first, or it would never see the parent go */
	bool own_memory;
	int *thread_id; /* where libc keeps that of the only thread; or NULL */
	bool dies_with_parent;
	bool needs_keeper;
	bool executes; /* the plan ends with execve(2) */
	bool died; /* in that step, so that no program ran */
	uint64_t ignored; /* signals that the caller ignores */

	/* From the child. A number counts from 1; error is 0 while all is well. */
	uint32_t current;
	int32_t error;
	/* The first process behind a fork step, as the caller's pid namespace has it: who it is before it can say so. */
	int32_t successor;

	int slots[];
};

/* The child: performs the steps from `next` on. Returns at a call, in a copy of the caller; else never. */
void child_body(void *launch);

/* In a copy, whose memory no child shares, whatever the caller had started. */
void sharing_is_over(void);

/* Clones. Where memory is shared, the new process is in child_body; in a copy 0 is returned, as by fork(2). */
struct clone_args;
int launch_clone(struct launch *launch, struct clone_args *args);

#endif
