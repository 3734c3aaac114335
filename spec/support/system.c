/* What busted asks of the module "system" (lua-system), for a Lua that has none: tools/interpreter. */
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <time.h>

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

static const luaL_Reg functions[] = {
	{ "gettime", l_gettime },
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
