/* A forked copy of the caller, in which a Lua function is performed in place of a program (fork(2), without exec). */
#ifndef CELLA_COPY_H
#define CELLA_COPY_H

#include "executor/launch.h"
#include "value/compat.h"

/* What is made ready while there is memory to be had, and nothing has happened. */
struct copy {
	lua_State *thread; /* a Lua thread with the function to call; its frames are not the caller's */
	const int *numbers; /* the descriptors that are open */
	size_t count;
};

/* Before the clone: pushes what the copy will need, collects garbage, so that no finalizer is left to run in the copy,
 * and writes out what is buffered, so that nothing is left to be written twice. Raises when memory runs out. */
void copy_prepare(lua_State *L, int function, struct copy *copy);

/* In the child, at its call: makes the copy a process of its own, lets go of what it shares with its parent, and calls
 * the function. */
_Noreturn void copy_run(const struct copy *copy, struct launch *launch, const struct step *call);

/* Adds its functions to the module table on top of the stack. */
void open_forked(lua_State *L);

#endif
