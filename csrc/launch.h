/* What parent and child share while a plan is performed. */
#ifndef CELLA_LAUNCH_H
#define CELLA_LAUNCH_H

#include "args.h"

/* What a process behind an init step says on the channel: here I am. The parent reads its pid from the sender's
 * credentials, which the kernel translates (unix(7), SCM_CREDENTIALS). */
#define HERE_I_AM "p"

/* What comes with a descriptor for the parent (send_fd). */
#define TAKE_THIS "d"

/* And what one in an await step says. */
#define AWAITING "a"

enum { STACK_SIZE = 256 * 1024 }; /* untouched pages cost nothing */

/* From one stack to the next: below each a page faults. */
enum { STACK_DISTANCE = STACK_SIZE + 65536 };

/* Lies in a mapping of its own, behind the stacks: [guard][stack]...[launch, steps]. The child
 * runs in the parent's memory, on a stack of its own (or, where the kernel asks for it, in a copy; then the
 * mapping is a shared one). It writes here and nowhere else. */
struct launch {
	void *mapping;
	size_t mapping_size;
	char *spare_stack; /* the next of those for the processes behind fork and init steps */
	int gate;          /* behind which the process after an init step waits; 0 if there is none */

	struct step *next; /* the step that the child performs next */
	const struct step *end;
	int channel; /* the child's end; the parent learns from its closing that exec or exit has happened */
	int other_end; /* the parent's; the child closes its copy first, or it would never see the parent go */
	bool own_memory;
	bool dies_with_parent;
	bool enters_pid;
	uint64_t ignored; /* signals that the caller ignores */

	/* From the child. A number counts from 1; error is 0 while all is well. */
	uint32_t current;
	int32_t error;
	int32_t second_pid; /* of the process behind a fork step */
	int32_t init_child; /* the process behind an init step, as its own pid namespace has it */

	int slots[];
};

/* The child: performs the steps from `next` on. Does not return. */
void child_body(void *launch);

#endif
