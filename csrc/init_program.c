/* The init (csrc/init/init.c) as a file that can be executed and changed by nobody: a sealed memfd. */
#include "io.h"
#include "memory_file.h"

/* The linked program, as the build leaves it. */
__asm__(".section .rodata\n"
	"cella_init_begin:\n"
	".incbin \"" INIT_PROGRAM "\"\n"
	"cella_init_end:\n"
	".balign 8\n"
	"cella_init_size:\n"
	".quad cella_init_end - cella_init_begin\n"
	".previous\n");
extern const char cella_init_begin[] __attribute__((visibility("hidden")));
extern const uint64_t cella_init_size __attribute__((visibility("hidden")));

/* init_program() -> descriptor number | nil, message, errno
 * Made once in a Lua state, which closes it when it is closed itself: the module may be unloaded then, and nothing of it
 * would know the descriptor. */
static int init_program(lua_State *L)
{
	static const char key;
	lua_pushlightuserdata(L, (void *)(uintptr_t)&key);
	lua_rawget(L, LUA_REGISTRYINDEX);
	if (lua_isnil(L, -1) || *check_own_fd(L, -1) < 0) {
		int *fd = new_fd(L);
		*fd = memory_file("cella-init", true, cella_init_begin, (size_t)cella_init_size);
		if (*fd < 0) {
			int error = -*fd;
			*fd = -1;
			return push_error(L, "memfd_create", error);
		}
		keep_private(*fd);
		lua_pushlightuserdata(L, (void *)(uintptr_t)&key);
		lua_pushvalue(L, -2);
		lua_rawset(L, LUA_REGISTRYINDEX);
	}
	lua_pushinteger(L, *check_own_fd(L, -1));
	return 1;
}

void open_init(lua_State *L)
{
	lua_pushcfunction(L, init_program);
	lua_setfield(L, -2, "init_program");
}
