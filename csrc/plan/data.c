/* A recorded step as data, for those who predict what it will do, or explain why it has failed. */
#include "plan/recorder.h"
#include "value/capset.h"
#include "value/check.h"

static void push_names(lua_State *L, uint64_t value, const struct names *names)
{
	int count = 0;
	lua_newtable(L);
	for (const struct name *entry = names->list; entry->name; entry++) {
		if (entry->value && (value & entry->value) == entry->value) {
			lua_pushstring(L, entry->name);
			lua_rawseti(L, -2, ++count);
		}
	}
}

static void push_value(lua_State *L, const struct step *step, const struct param *param, const struct arg *arg,
		       bool as_masks)
{
	const char *data = (const char *)step + arg->offset;
	switch (kind_rows[param->kind].shape) {
	case SHAPE_BOOL:
		lua_pushboolean(L, arg->n != 0);
		break;
	case SHAPE_CAPS:
		if (as_masks)
			push_mask(L, (uint64_t)arg->n);
		else
			push_mask_digits(L, (uint64_t)arg->n);
		break;
	case SHAPE_FLAGS:
		push_names(L, (uint64_t)arg->n, param->names);
		break;
	case SHAPE_NAME:
		lua_pushnil(L);
		for (const struct name *entry = param->names->list; entry->name; entry++) {
			if (entry->value == (uint64_t)arg->n) {
				lua_pop(L, 1);
				lua_pushstring(L, entry->name);
				break;
			}
		}
		break;
	case SHAPE_FD:
		if (arg->state == ARG_SLOT) {
			lua_createtable(L, 0, 1);
			push_int64(L, arg->n);
			lua_setfield(L, -2, "slot");
		} else {
			push_int64(L, arg->n);
		}
		break;
	case SHAPE_BYTES:
		lua_pushlstring(L, data, (size_t)arg->n);
		break;
	case SHAPE_NUMBERS:
		lua_newtable(L);
		for (int64_t i = 0; i < arg->n; i++) {
			push_int64(L, ((const uint32_t *)(const void *)data)[i]);
			lua_rawseti(L, -2, (int)i + 1);
		}
		break;
	case SHAPE_STRINGS:
		lua_newtable(L);
		for (int64_t i = 0; i < arg->n; i++) {
			uintptr_t offset = ((const uintptr_t *)(const void *)data)[i];
			lua_pushstring(L, (const char *)step + offset);
			lua_rawseti(L, -2, (int)i + 1);
		}
		break;
	default:
		push_int64(L, arg->n);
	}
}

/* recorder:data(step [, as_masks]) -> name, { parameter = value }, slot | nil
 * Sets of capabilities are the digits of masks, or masks, flags are lists of names, a descriptor is a number or
 * { slot = number }. `slot` is that of the result. */
int recorder_data(lua_State *L)
{
	const struct plan *plan = to_plan(L, 1);
	size_t number = (size_t)check_range(L, 2, 1, (int64_t)plan->steps);
	bool as_masks = lua_toboolean(L, 3);
	const struct step *step = plan_step(plan, number - 1);
	const struct op *op = op_at(step->op);
	lua_pushstring(L, op->name);
	lua_newtable(L);
	for (int i = 0; op->params[i].kind != K_END; i++) {
		if (!given(&step->args[i]) || op->params[i].kind == K_CHANNEL)
			continue;
		push_value(L, step, &op->params[i], &step->args[i], as_masks);
		lua_setfield(L, -2, op->params[i].name);
	}
	if (step->slot < 0)
		return 2;
	push_int64(L, step->slot);
	return 3;
}
