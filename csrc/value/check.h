/* Arguments of functions that Lua calls, checked before anything is done with them, and what these functions return
 * when the kernel refuses. */
#ifndef CELLA_CHECK_H
#define CELLA_CHECK_H

#include "sys/names.h"
#include "value/compat.h"

#include <time.h>

/* nil, "what: strerror", errno: the convention of Lua's own io library. */
int push_error(lua_State *L, const char *what, int error);

/* Pushes and returns a value, for a message that says what it should have been. */
const char *shown(lua_State *L, int index);

/* The value of a name in a set; false where it is not in there. */
bool find_name(const struct names *names, const char *wanted, uint64_t *value);

/* Pushes and returns the text of an unknown name with those that there are. */
const char *unknown_name(lua_State *L, const struct names *names, const char *wanted);

/* The userdata of a type; NULL where the value is none of it. */
void *to_userdata(lua_State *L, int index, const char *type);

/* These raise with the argument's number. */
int check_fd(lua_State *L, int index);
int64_t check_range(lua_State *L, int index, int64_t low, int64_t high);
uint64_t check_name(lua_State *L, int index, const struct names *names);
int check_signal(lua_State *L, int index, int least);
uint64_t check_flags(lua_State *L, int index, const struct names *names);

/* Seconds, from 0 to 10^9, in `time`, which is returned; NULL where nothing is said. */
const struct timespec *opt_seconds(lua_State *L, int index, struct timespec *time);

#endif
