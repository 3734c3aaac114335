/* A descriptor that the parent holds, as a Lua value with one owner: io.c, and poll.c, which adds methods to it. */
#ifndef CELLA_IO_H
#define CELLA_IO_H

#include "process.h"
#include "tense.h"

#define FD_TYPE "cella.fd"

/* Pushes one that holds nothing yet (-1): what is opened next cannot be lost to an error. */
int *new_fd(lua_State *L);

int *check_own_fd(lua_State *L, int index);

#endif
