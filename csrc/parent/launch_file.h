/* The file with a launch (executor/launch.h), from which a child performs the steps of a plan. */
#ifndef CELLA_LAUNCH_FILE_H
#define CELLA_LAUNCH_FILE_H

#include "parent/outline.h"
#include "parent/process.h"

/* Makes it, and maps of it what this process needs, or the whole, as the launch of a process. Returns its descriptor,
 * or a negative errno. */
int make_launch(struct process *process, const struct plan *plan, const struct outline *outline, bool whole);

/* From a table of descriptors by the numbers of slots, at an index of the stack. */
void fill_slots(lua_State *L, int index, struct launch *launch);

#endif
