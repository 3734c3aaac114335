/* What the caller has to know of a plan before it starts it, from the rows of its operations. */
#ifndef CELLA_OUTLINE_H
#define CELLA_OUTLINE_H

#include "executor/launch.h"
#include "plan/recorder.h"

struct outline {
	int highest_target; /* of the descriptor numbers that it gives by name */
	size_t kept;        /* how many descriptors it names */
	bool dies_with_parent, needs_monitor, uses_environment;
	bool stamped; /* by who starts it: whether the child notes when each step was done */
};

struct outline outline_of(const struct plan *plan);

/* The descriptors that a plan names, in its slots or by number, to `kept`; with a NULL they are counted. Returns how
 * many there are. */
size_t list_kept(const struct plan *plan, const struct launch *launch, int32_t *kept);

void add_kept(int32_t *kept, size_t *count, int64_t number);

#endif
