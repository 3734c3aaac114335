/* cella.core: the module that `require "cella"` loads, and its only export. The Lua above it is the
 * interface; see lua/cella/meta/sys.lua for what each operation takes. */
#include "lib/lib.h"
#include "parent/forked.h"
#include "parent/process.h"
#include "parent/runner_file.h"
#include "plan/recorder.h"

#define EXPORT __attribute__((visibility("default")))

/* By which the numbers of system calls go. */
#if defined(__x86_64__)
#define MACHINE "x86_64"
#elif defined(__aarch64__)
#define MACHINE "aarch64"
#elif defined(__riscv) && __riscv_xlen == 64
#define MACHINE "riscv64"
#else
#define MACHINE "machine of another kind"
#endif

EXPORT int luaopen_cella_core(lua_State *L);

int luaopen_cella_core(lua_State *L)
{
	lua_newtable(L);
	open_recorder(L);
	open_immediate(L); /* which decodes arguments into a recorder of its own */
	open_process(L);
	open_forked(L);
	open_runner_file(L);
	open_fd(L);
	open_file(L);
	open_poll(L);
	open_stream(L);
	open_engine(L);
	open_nsfs(L);
	open_number_name(L);
	open_answer(L);
	open_query(L);
	open_usage(L);
	open_subid(L);
	open_caps(L);
	open_encode(L);
	open_decode(L);
	open_terminal(L);
	open_cgroup(L);
	open_heap(L);
	open_ids(L);
	open_inherited(L);
	open_listener(L);
	lua_pushliteral(L, MACHINE);
	lua_setfield(L, -2, "machine");
	return 1;
}
