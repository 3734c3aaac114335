/* What others take from libcap.c. */
#ifndef CELLA_CAPS_H
#define CELLA_CAPS_H

#include "value/compat.h"

#include <sys/capability.h>

/* libcap's states and IAB tuples are freed before anything that can raise. NULL with errno where memory is short. */
cap_t new_state(uint64_t effective, uint64_t permitted, uint64_t inheritable);
uint64_t take_flag(cap_t state, cap_flag_t flag);

/* What a process has, or this one where the pid is 0; bits of this kernel alone. Returns NULL, or the name of what has
 * failed, with errno. */
struct process_sets {
	uint64_t effective, permitted, inheritable, bounding, ambient;
};
const char *read_process_sets(pid_t pid, struct process_sets *sets);

/* Adds what is about files to the table on top of the stack. */
void open_caps_file(lua_State *L);

#endif
