/* See recorder.h: `recorder:record(NAME, ...)` checks the arguments of an operation and appends a step. The immediate
 * form, `sys.NAME(...)`, is in immediate.c. */
#include "plan/recorder.h"
#include "value/check.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct plan *to_plan(lua_State *L, int index)
{
	return luaL_checkudata(L, index, PLAN_TYPE);
}

/* The userdata on top of the stack keeps the plan at an index from being collected. */
static void keep_plan(lua_State *L, int index)
{
	lua_newtable(L);
	lua_pushvalue(L, index);
	lua_rawseti(L, -2, 1);
#if LUA_VERSION_NUM >= 502
	lua_setuservalue(L, -2);
#else
	lua_setfenv(L, -2);
#endif
}

/* A userdata is made before it owns anything, so that an error in between leaks nothing. */
struct plan *new_plan(lua_State *L)
{
	struct plan *plan = lua_newuserdata(L, sizeof *plan);
	memset(plan, 0, sizeof *plan);
	luaL_getmetatable(L, PLAN_TYPE);
	lua_setmetatable(L, -2);
	return plan;
}

/* recorder() -> an empty recorder */
static int recorder_new(lua_State *L)
{
	new_plan(L);
	return 1;
}

/* recorder:branch() -> another that goes on from the steps of this one, which ends here
 * The slots of the one are none of the other. */
static int recorder_branch(lua_State *L)
{
	struct plan *from = to_plan(L, 1);
	if (from->base)
		return luaL_error(L, "a plan that goes on from another has no branches");
	struct plan *plan = new_plan(L);
	keep_plan(L, 1);
	from->is_base = true;
	plan->base = from;
	plan->base_steps = plan->steps = from->steps;
	plan->slots = from->slots;
	plan->ended = from->ended;
	plan->has_init = from->has_init;
	plan->calls = from->calls;
	return 1;
}

static int recorder_gc(lua_State *L)
{
	struct plan *plan = to_plan(L, 1);
	free(plan->buffer.data);
	free(plan->starts);
	memset(plan, 0, sizeof *plan);
	return 0;
}

static void push_slot(lua_State *L, const struct plan *plan, int number)
{
	struct slot *slot = lua_newuserdata(L, sizeof *slot);
	slot->plan = plan;
	slot->number = number;
	luaL_getmetatable(L, SLOT_TYPE);
	lua_setmetatable(L, -2);
	keep_plan(L, 1); /* its address is the plan's identity */
}

static void check_own(lua_State *L, const struct plan *plan)
{
	if (plan->is_base)
		luaL_error(L, "other plans go on from this one: nothing comes after it");
}

static void check_open(lua_State *L, const struct plan *plan)
{
	if (plan->ended)
		luaL_error(L, "the plan ends in an exec, a call or await_plan: nothing comes after it");
	check_own(L, plan);
}

/* The last step, to be changed: one of the plan's own. */
static struct step *last_step(lua_State *L, struct plan *plan, const char *none)
{
	check_own(L, plan);
	if (plan->steps == plan->base_steps)
		luaL_error(L, "%s", none);
	return plan_step(plan, plan->steps - 1);
}

static void check_room_for_slot(lua_State *L, const struct plan *plan)
{
	if (plan->slots == OP_MAX_SLOTS)
		luaL_error(L, "a plan has at most %d slots", OP_MAX_SLOTS);
}

static int slot_tostring(lua_State *L)
{
	const struct slot *slot = luaL_checkudata(L, 1, SLOT_TYPE);
	lua_pushfstring(L, "slot%d", slot->number);
	return 1;
}

/* slot:number() -> integer */
static int slot_number(lua_State *L)
{
	const struct slot *slot = luaL_checkudata(L, 1, SLOT_TYPE);
	lua_pushinteger(L, slot->number);
	return 1;
}

/* The number of an operation by its name or that. */
static size_t check_operation(lua_State *L, int index)
{
	const struct op *op = NULL;
	size_t number = 0;
	if (lua_type(L, index) == LUA_TNUMBER) {
		number = (size_t)check_range(L, index, 0, INT32_MAX);
		op = op_at(number);
	} else {
		const char *name = luaL_checkstring(L, index);
		while ((op = op_at(number)) && strcmp(op->name, name) != 0)
			number++;
	}
	if (op && !(op->flags & OP_NOW))
		return number;
	luaL_error(L, "there is no operation '%s' to record", op ? op->name : lua_tostring(L, index));
	return 0;
}

/* recorder:record(name or number, ...) -> the step's number [, slot]
 * The number is that of core.operations, which needs no search. */
static int recorder_record(lua_State *L)
{
	struct plan *plan = to_plan(L, 1);
	size_t number = check_operation(L, 2);
	const struct op *op = op_at(number);
	check_open(L, plan);
	if (op->flags & OP_FORK && plan->has_init)
		return luaL_error(L, "the init would take a fork for the end of its program: it comes after the forks");
	if (op->flags & OP_INIT && plan->has_init)
		return luaL_error(L, "a plan has at most one init");
	if (op->result == RESULT_FD)
		check_room_for_slot(L, plan);
	size_t own = plan->steps - plan->base_steps;
	if (own == plan->room) {
		size_t room = plan->room * 2 + 16;
		size_t *starts = realloc(plan->starts, room * sizeof *starts);
		if (!starts)
			return luaL_error(L, "not enough memory");
		plan->starts = starts;
		plan->room = room;
	}
	size_t start = plan->buffer.size;
	step_decode(L, &plan->buffer, number, 3, 1);
	plan->starts[own] = start;
	plan->steps++;
	plan->ended = (op->flags & (OP_EXEC | OP_PARK)) != 0;
	plan->has_init |= (op->flags & OP_INIT) != 0;
	plan->calls = (op->flags & OP_CALL) != 0;
	lua_pushinteger(L, (lua_Integer)plan->steps);
	if (op->result != RESULT_FD)
		return 1;
	plan_step(plan, plan->steps - 1)->slot = plan->slots++;
	push_slot(L, plan, plan_step(plan, plan->steps - 1)->slot);
	return 2;
}

/* recorder:optional()
 * What the last step opens may be missing: then the steps that use its slot are left out. */
static int recorder_optional(lua_State *L)
{
	struct plan *plan = to_plan(L, 1);
	static const char unfit[] = "only a step that yields a descriptor can be optional";
	struct step *step = last_step(L, plan, unfit);
	if (step->slot < 0)
		return luaL_error(L, "%s", unfit);
	step->optional = true;
	return 0;
}

/* recorder:only_with(slot)
 * The last step is left out where an optional one has found nothing for the slot. */
static int recorder_only_with(lua_State *L)
{
	struct plan *plan = to_plan(L, 1);
	const struct slot *slot = luaL_checkudata(L, 2, SLOT_TYPE);
	luaL_argcheck(L, slot->plan == plan, 2, "the slot belongs to another plan");
	last_step(L, plan, "there is no step yet")->guard = slot->number;
	return 0;
}

/* recorder:input() -> a slot that the parent fills when the plan is launched */
static int recorder_input(lua_State *L)
{
	struct plan *plan = to_plan(L, 1);
	check_open(L, plan);
	check_room_for_slot(L, plan);
	push_slot(L, plan, plan->slots++);
	return 1;
}

/* recorder:describe(step) -> Lua source, name */
static int recorder_describe(lua_State *L)
{
	struct plan *plan = to_plan(L, 1);
	size_t number = (size_t)check_range(L, 2, 1, (int64_t)plan->steps);
	const struct step *step = plan_step(plan, number - 1);
	step_describe(L, step);
	lua_pushstring(L, op_at(step->op)->name);
	return 2;
}

/* recorder:find(operations) -> list of the numbers of the steps whose operations' numbers are keys of the table */
static int recorder_find(lua_State *L)
{
	const struct plan *plan = to_plan(L, 1);
	int count = 0;
	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	lua_newtable(L);
	for (size_t number = 0; number < plan->steps; number++) {
		lua_rawgeti(L, 2, (int)plan_step(plan, number)->op);
		bool wanted = !lua_isnil(L, -1);
		lua_pop(L, 1);
		if (wanted) {
			lua_pushinteger(L, (lua_Integer)number + 1);
			lua_rawseti(L, 3, ++count);
		}
	}
	return 1;
}

static int recorder_len(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)to_plan(L, 1)->steps);
	return 1;
}

void open_recorder(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{ "record", recorder_record },
		{ "optional", recorder_optional },
		{ "only_with", recorder_only_with },
		{ "input", recorder_input },
		{ "describe", recorder_describe },
		{ "data", recorder_data },
		{ "find", recorder_find },
		{ "size", recorder_len },
		{ "branch", recorder_branch },
		{ 0 },
	};
	static const luaL_Reg metamethods[] = { { "__gc", recorder_gc }, { "__len", recorder_len }, { 0 } };
	static const luaL_Reg slot_methods[] = { { "number", slot_number }, { 0 } };
	static const luaL_Reg slot_metamethods[] = { { "__tostring", slot_tostring }, { 0 } };
	new_type(L, PLAN_TYPE, methods, metamethods);
	new_type(L, SLOT_TYPE, slot_methods, slot_metamethods);

	lua_pushcfunction(L, recorder_new);
	lua_setfield(L, -2, "recorder");
}
