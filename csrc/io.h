/* A descriptor that the parent holds, as a Lua value with one owner: io.c, and stream.c and poll.c, which add methods
 * to it. */
#ifndef CELLA_IO_H
#define CELLA_IO_H

#include "process.h"
#include "tense.h"

#define FD_TYPE "cella.fd"

/* Pushes one that holds nothing yet (-1): what is opened next cannot be lost to an error. */
int *new_fd(lua_State *L);

int *check_own_fd(lua_State *L, int index);

/* The number below which a new descriptor must not be; as small as may be where nothing is said. */
int opt_lowest(lua_State *L, int index);

/* Seconds, from 0 to 10^9, in `time`, which is returned; NULL where nothing is said. */
const struct timespec *opt_seconds(lua_State *L, int index, struct timespec *time);

/* Descriptors that cella keeps for itself from one container to the next: to the caller their numbers are free. */
void keep_private(int fd);
void is_closed(int fd);
bool is_private(int fd);
/* All of them, in a copy of this process, by raw calls: there they are not kept, and mean nothing. */
void close_private(void);

void add_fd_methods(lua_State *L, const luaL_Reg *methods);

#endif
