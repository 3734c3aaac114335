/* The file of the runner, which is embedded in the module. */
#ifndef CELLA_RUNNER_FILE_H
#define CELLA_RUNNER_FILE_H

#include "value/compat.h"

/* The runner (csrc/runner) as a file that can be executed and changed by nobody: a sealed memfd. Returns the number
 * of its descriptor, or a negative errno. Made once in a Lua state, which closes it when it is closed itself: the
 * module may be unloaded then, and nothing of it would know the descriptor. */
int runner_file(lua_State *L);

/* The same for who performs a plan or is a monitor: another program where the runner is built with sanitizers, which
 * needs libraries (runner/sanitized.c). */
int plan_runner_file(lua_State *L);

/* Adds its functions to the module table on top of the stack. */
void open_runner_file(lua_State *L);

#endif
