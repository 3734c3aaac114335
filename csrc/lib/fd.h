/* A descriptor that the parent holds, as a Lua value with one owner: fd.c, and stream.c and poll.c, which add methods
 * to it. */
#ifndef CELLA_FD_H
#define CELLA_FD_H

#include "value/compat.h"

#define FD_TYPE "cella.fd"

/* Pushes one that holds nothing yet (-1): what is opened next cannot be lost to an error. */
int *new_fd(lua_State *L);

int *check_own_fd(lua_State *L, int index);

/* The number below which a new descriptor must not be; as small as may be where nothing is said. */
int opt_min_fd(lua_State *L, int index);

void add_fd_methods(lua_State *L, const luaL_Reg *methods);

#endif
