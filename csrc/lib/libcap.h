/* What libcap.c and caps_file.c share. */
#ifndef CELLA_CAPS_H
#define CELLA_CAPS_H

#include "value/compat.h"

#include <sys/capability.h>

/* libcap's states and IAB tuples are freed before anything that can raise. NULL with errno where memory is short. */
cap_t new_state(uint64_t effective, uint64_t permitted, uint64_t inheritable);
uint64_t take_flag(cap_t state, cap_flag_t flag);

/* Adds what is about files to the table on top of the stack. */
void open_caps_file(lua_State *L);

#endif
