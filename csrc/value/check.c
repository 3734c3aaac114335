/* See check.h. */
#include "value/check.h"
#include "value/compat.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

int push_error(lua_State *L, const char *what, int error)
{
	lua_pushnil(L);
	lua_pushfstring(L, "%s: %s", what, strerror(error));
	lua_pushinteger(L, error);
	return 3;
}

const char *shown(lua_State *L, int index)
{
	if (lua_type(L, index) == LUA_TNUMBER) {
		lua_pushvalue(L, index);
		return lua_pushfstring(L, "%s", lua_tostring(L, -1));
	}
	if (lua_type(L, index) == LUA_TSTRING)
		return lua_pushfstring(L, "the string \"%s\"", lua_tostring(L, index));
	return lua_pushfstring(L, "%s", luaL_typename(L, index)); /* 5.1's lua_pushstring returns nothing */
}

bool find_name(const struct names *names, const char *wanted, uint64_t *value)
{
	for (const struct name *entry = names->list; entry->name; entry++) {
		if (strcmp(entry->name, wanted) == 0) {
			*value = entry->value;
			return true;
		}
	}
	return false;
}

const char *unknown_name(lua_State *L, const struct names *names, const char *wanted)
{
	luaL_Buffer list;
	lua_pushfstring(L, "unknown %s '%s'; there are ", names->what, wanted);
	luaL_buffinit(L, &list);
	for (const struct name *entry = names->list; entry->name; entry++) {
		if (entry != names->list)
			luaL_addstring(&list, ", ");
		luaL_addstring(&list, entry->name);
	}
	luaL_pushresult(&list);
	lua_concat(L, 2);
	return lua_tostring(L, -1);
}

int64_t check_range(lua_State *L, int index, int64_t low, int64_t high)
{
	int64_t value = 0;
	if (!to_int64(L, index, &value) || value < low || value > high) {
		char range[64];
		snprintf(range, sizeof range, "%lld to %lld", (long long)low, (long long)high);
		luaL_argerror(L, index,
			      lua_pushfstring(L, "an integer from %s expected, got %s", range, shown(L, index)));
	}
	return value;
}

int check_fd(lua_State *L, int index)
{
	return (int)check_range(L, index, 0, INT_MAX);
}

uint64_t check_name(lua_State *L, int index, const struct names *names)
{
	size_t length;
	uint64_t value = 0;
	if (lua_type(L, index) != LUA_TSTRING)
		luaL_argerror(L, index,
			      lua_pushfstring(L, "name of a %s expected, got %s", names->what, shown(L, index)));
	const char *wanted = lua_tolstring(L, index, &length);
	if (strlen(wanted) != length || !find_name(names, wanted, &value))
		luaL_argerror(L, index, unknown_name(L, names, wanted));
	return value;
}

/* A signal by name or number: the real-time signals have no names. */
int check_signal(lua_State *L, int index, int least)
{
	return lua_type(L, index) == LUA_TNUMBER ? (int)check_range(L, index, least, 64) :
						   (int)check_name(L, index, &names_signal);
}

uint64_t check_flags(lua_State *L, int index, const struct names *names)
{
	uint64_t value = 0;
	if (!lua_istable(L, index))
		return check_name(L, index, names);
	if (lua_getmetatable(L, index))
		luaL_argerror(L, index, "a plain table expected, got one with a metatable");
	int count = 0;
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		value |= check_name(L, lua_gettop(L), names);
		count++;
	}
	luaL_argcheck(L, count == (int)lua_rawlen(L, index), index, "a list expected");
	return value;
}

const struct timespec *opt_seconds(lua_State *L, int index, struct timespec *time)
{
	if (lua_isnoneornil(L, index))
		return NULL;
	luaL_checktype(L, index, LUA_TNUMBER);
	double seconds = lua_tonumber(L, index);
	luaL_argcheck(L, seconds >= 0 && seconds <= 1e9, index, "seconds from 0 to 1000000000 expected");
	time->tv_sec = (time_t)seconds;
	time->tv_nsec = (long)((seconds - (double)time->tv_sec) * 1e9);
	return time;
}

void *to_userdata(lua_State *L, int index, const char *type)
{
	if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index))
		return NULL;
	luaL_getmetatable(L, type);
	bool same_type = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return same_type ? lua_touserdata(L, index) : NULL;
}
