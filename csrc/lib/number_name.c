/* The names of errors and signals. */
#include "lib/lib.h"
#include "value/check.h"

#include <string.h>

/* errno_name(errno) -> "EPERM" | nil */
static int io_errno_name(lua_State *L)
{
	lua_pushstring(L, strerrorname_np((int)check_range(L, 1, 0, 4095)));
	return 1;
}

/* strerror(errno) -> "Operation not permitted" */
static int io_strerror(lua_State *L)
{
	lua_pushstring(L, strerror((int)check_range(L, 1, 0, 4095)));
	return 1;
}

/* signal_name(number) -> "kill" | nil
 * Also of a number that is no signal's: that of a status that somebody has made up. */
static int io_signal_name(lua_State *L)
{
	uint64_t number = (uint64_t)check_range(L, 1, 0, 255);
	const struct name *entry = names_signal.list;
	while (entry->name && entry->value != number)
		entry++;
	lua_pushstring(L, entry->name);
	return 1;
}

void open_number_name(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "strerror", io_strerror },
		{ "errno_name", io_errno_name },
		{ "signal_name", io_signal_name },
		{ 0 },
	};
	luaL_setfuncs(L, functions, 0);
}
