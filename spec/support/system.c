/*
 * What busted asks of the modules "system" (lua-system) and "term" (lua-term), for a Lua that has none:
 * tools/interpreter, tools/musl.
 */
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int push_clock(lua_State *L, clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
	return 1;
}

/* gettime() -> seconds since 1970 */
static int l_gettime(lua_State *L)
{
	return push_clock(L, CLOCK_REALTIME);
}

/* monotime() -> seconds since some moment */
static int l_monotime(lua_State *L)
{
	return push_clock(L, CLOCK_MONOTONIC);
}

/* sleep(seconds) */
static int l_sleep(lua_State *L)
{
	lua_Number seconds = luaL_checknumber(L, 1);
	struct timespec left = { .tv_sec = (time_t)seconds };

	left.tv_nsec = (long)((seconds - (lua_Number)left.tv_sec) * 1e9);
	while (seconds > 0 && nanosleep(&left, &left) != 0 && errno == EINTR)
		;
	return 0;
}

/* isatty(file) -> whether that is a terminal */
static int l_isatty(lua_State *L)
{
	const luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);

	luaL_argcheck(L, stream->closef != NULL, 1, "a closed file");
	lua_pushboolean(L, isatty(fileno(stream->f)));
	return 1;
}

static const luaL_Reg functions[] = {
	{ "gettime", l_gettime },
	{ "isatty", l_isatty },
	{ "monotime", l_monotime },
	{ "sleep", l_sleep },
	{ NULL, NULL },
};

int luaopen_system(lua_State *L);
int luaopen_system(lua_State *L)
{
	luaL_newlib(L, functions);
	return 1;
}
