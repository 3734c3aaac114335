/* One small page between the C code and the Lua it is compiled for: 5.1 to 5.4 and LuaJIT. Everything
 * else is written for 5.4. */
#ifndef CELLA_COMPAT_H
#define CELLA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#if LUA_VERSION_NUM < 502
#define lua_rawlen(L, index) lua_objlen(L, index)

/* LuaJIT has a luaL_setfuncs of its own, declared or not. */
#define luaL_setfuncs cella_setfuncs
static inline void luaL_setfuncs(lua_State *L, const luaL_Reg *functions, int upvalues)
{
	for (; functions->name; functions++) {
		for (int i = 0; i < upvalues; i++)
			lua_pushvalue(L, -upvalues);
		lua_pushcclosure(L, functions->func, upvalues);
		lua_setfield(L, -(upvalues + 2), functions->name);
	}
	lua_pop(L, upvalues);
}

#undef luaL_newlib
#define luaL_newlib(L, functions) (lua_newtable(L), luaL_setfuncs(L, functions, 0))
#endif

/* lua_absindex came with 5.2. */
static inline int absolute(lua_State *L, int index)
{
	return index > 0 || index <= LUA_REGISTRYINDEX ? index : lua_gettop(L) + index + 1;
}

/* True where the value is a number without a fraction that an int64_t holds. From 5.3 on it has to be
 * of the integer subtype; a float is refused even where it happens to be whole, because 2^53 + 1 is
 * not what it seems. A string is never a number. */
static inline bool to_int64(lua_State *L, int index, int64_t *result)
{
	if (lua_type(L, index) != LUA_TNUMBER)
		return false;
#if LUA_VERSION_NUM >= 503
	if (!lua_isinteger(L, index))
		return false;
	*result = (int64_t)lua_tointeger(L, index);
	return true;
#else
	lua_Number number = lua_tonumber(L, index);
	if (!(number >= -9007199254740992.0 && number <= 9007199254740992.0))
		return false;
	*result = (int64_t)number;
	return (lua_Number)*result == number;
#endif
}

/* lua_pushinteger is 32 bits wide in LuaJIT: IDs and device numbers would turn negative. */
static inline void push_int64(lua_State *L, int64_t value)
{
#if LUA_VERSION_NUM >= 503
	lua_pushinteger(L, (lua_Integer)value);
#else
	lua_pushnumber(L, (lua_Number)value);
#endif
}

/* A metatable with the name that error messages and tostring use; on 5.4 `__close` too. */
static inline void new_type(lua_State *L, const char *name, const luaL_Reg *methods,
			    const luaL_Reg *metamethods)
{
	luaL_newmetatable(L, name);
	luaL_setfuncs(L, metamethods, 0);
	lua_pushstring(L, name);
	lua_setfield(L, -2, "__name");
	lua_pushliteral(L, "locked");
	lua_setfield(L, -2, "__metatable");
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}

#endif
