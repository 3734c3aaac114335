/* cella.core: the module that `require "cella"` loads, and its only export. The Lua above it is the
 * interface; see lua/cella/sys.lua for what each operation takes. */
#include "tense.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int luaopen_cella_core(lua_State *L);

int luaopen_cella_core(lua_State *L)
{
	lua_newtable(L);
	open_tense(L);
	open_process(L);
	open_look(L);
	open_io(L);
	open_stream(L);
	open_poll(L);
	open_usage(L);
	open_subid(L);
	open_runner_file(L);
	open_caps(L);
	open_copy(L);
	open_plain(L);
	open_terminal(L);
	open_cgroup(L);
	open_ids(L);
	return 1;
}
