/* Operations performed at once: `sys.NAME(...)` checks the arguments as a recorder does, and calls the function of the
 * row in the caller's own process. */
#include "lib/self.h"
#include "plan/recorder.h"
#include "value/check.h"

#include <errno.h>

/* Upvalues: the operation's number, and the scratch plan that its arguments are decoded into. */
static int perform(lua_State *L)
{
	size_t number = (size_t)lua_tointeger(L, lua_upvalueindex(1));
	struct plan *scratch = lua_touserdata(L, lua_upvalueindex(2));
	const struct op *op = op_at(number);
	scratch->buffer.size = 0;
	step_decode(L, &scratch->buffer, number, 1, 0);
	if (op->flags & OP_CREDENTIALS) {
		/* The raw call would change this thread alone (nptl(7)). */
		int threads = thread_count();
		if (threads > 1) {
			lua_pushnil(L);
			lua_pushfstring(L,
					"%s: this process has %d threads and the call changes one: "
					"do it in a child (a plan), or before threads start",
					op->name, threads);
			lua_pushinteger(L, EINVAL);
			return 3;
		}
	}
	struct step *step = (struct step *)(void *)scratch->buffer.data;
	step_bind(step);
	int result = op->act(step->args);
	if (result < 0)
		return push_error(L, op->name, -result);
	if (op->result == RESULT_TRUE)
		lua_pushboolean(L, true);
	else
		lua_pushinteger(L, result);
	return 1;
}

void open_immediate(lua_State *L)
{
	/* core.sys: every operation now; core.operations: the numbers of those for plans, by name. */
	lua_newtable(L);
	lua_newtable(L);
	new_plan(L);
	for (size_t number = 0; op_at(number); number++) {
		const struct op *op = op_at(number);
		if (!(op->flags & OP_LATER)) {
			lua_pushinteger(L, (lua_Integer)number);
			lua_pushvalue(L, -2);
			lua_pushcclosure(L, perform, 2);
			lua_setfield(L, -4, op->name);
		}
		lua_pushinteger(L, (lua_Integer)number);
		lua_setfield(L, -3, op->name);
	}
	lua_pop(L, 1);
	lua_setfield(L, -3, "operations");
	lua_setfield(L, -2, "sys");
}
