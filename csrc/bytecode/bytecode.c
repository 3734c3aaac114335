/* cella's Lua modules as bytecode (tools/bytecode.lua), in a module of its own: `make install` makes it, a checkout is
 * performed from its sources. Bytecode is for one release of Lua and no other, which looks at it and does not check it:
 * so it is used by that alone. */
#include "value/compat.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

__asm__(".section .rodata\nbytecode_begin:\n.incbin \"" BYTECODE_FILE "\"\n.previous\n");
extern const char bytecode_begin[] __attribute__((visibility("hidden")));

static const struct module {
	const char *name;
	size_t offset, size;
} modules[] = {
#include BYTECODE_INDEX
};

static int compare(const void *name, const void *module)
{
	return strcmp(name, ((const struct module *)module)->name);
}

/* search(name) -> function, where: a searcher as require(3) has them */
static int search(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	const struct module *found = bsearch(name, modules, sizeof modules / sizeof *modules, sizeof *modules, compare);
	if (!found)
		return 0;
	lua_pushfstring(L, "=%s", name);
	if (luaL_loadbuffer(L, bytecode_begin + found->offset, found->size, lua_tostring(L, -1)) != 0)
		return lua_error(L);
	lua_pushliteral(L, ":bytecode:");
	return 2;
}

/* What this Lua says it is: LuaJIT in a variable, the others in a symbol. NULL where it does not say. */
static const char *release(lua_State *L)
{
	lua_getglobal(L, "jit");
	if (lua_istable(L, -1)) {
		lua_getfield(L, -1, "version");
		return lua_tostring(L, -1);
	}
	const char *ident = dlsym(RTLD_DEFAULT, "lua_ident");
	return ident ? strstr(ident, "Lua 5") : NULL;
}

static bool is_release(const char *release)
{
	size_t length = strlen(BYTECODE_RELEASE);
	return release && strncmp(release, BYTECODE_RELEASE, length) == 0 &&
	       (release[length] == ' ' || release[length] == '\0');
}

/* Puts the searcher before those for files. Called anew, it is there already. */
static void install(lua_State *L)
{
	static const char key;
	lua_pushlightuserdata(L, (void *)(uintptr_t)&key);
	lua_rawget(L, LUA_REGISTRYINDEX);
	if (!lua_isnil(L, -1))
		return;
	lua_pushlightuserdata(L, (void *)(uintptr_t)&key);
	lua_pushboolean(L, true);
	lua_rawset(L, LUA_REGISTRYINDEX);
	lua_getglobal(L, "package");
	lua_getfield(L, -1, "searchers");
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		lua_getfield(L, -1, "loaders");
	}
	if (!lua_istable(L, -1))
		return;
	for (int i = (int)lua_rawlen(L, -1); i >= 2; i--) {
		lua_rawgeti(L, -1, i);
		lua_rawseti(L, -2, i + 1);
	}
	lua_pushcfunction(L, search);
	lua_rawseti(L, -2, 2);
}

/* use(stamp) -> boolean: whether modules are loaded from here, which are of the sources that have this stamp */
static int use(lua_State *L)
{
	const char *stamp = luaL_checkstring(L, 1);
	bool good = strcmp(stamp, BYTECODE_STAMP) == 0 && is_release(release(L));
	if (good)
		install(L);
	lua_pushboolean(L, good);
	return 1;
}

__attribute__((visibility("default"))) int luaopen_cella_bytecode(lua_State *L);

int luaopen_cella_bytecode(lua_State *L)
{
	lua_pushcfunction(L, use);
	return 1;
}
