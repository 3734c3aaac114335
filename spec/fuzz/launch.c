/* For spec/fuzz/runner.lua: launches made of recorded plans as bytes, and those bytes checked and bound as the runner
 * does it, then read as the operations would. Nothing is performed. */
#include "executor/launch.h"
#include "executor/sound.h"
#include "plan/recorder.h"
#include "sys/capability.h"
#include "value/check.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[K_COUNT] = {
	[K_INT] = "int",   [K_U32] = "int",     [K_ID] = "int",       [K_MODE] = "int",   [K_MAJOR] = "int",
	[K_MINOR] = "int", [K_PORT] = "int",    [K_LIMIT] = "int",    [K_BOOL] = "bool",  [K_TEXT] = "text",
	[K_PATH] = "text", [K_DATA] = "text",   [K_FLAGS] = "flags",  [K_NAME] = "name",  [K_CAPS] = "caps",
	[K_FD] = "fd",     [K_IDS] = "ids",     [K_FDS] = "ids",      [K_SIGNALS] = "caps", [K_STRINGS] = "strings",
	[K_NICE] = "int",  [K_CPUS] = "ids",    [K_TARGET] = "int",   [K_ENVIRONMENT] = "strings",
};

static void push_names(lua_State *L, const struct names *names)
{
	lua_newtable(L);
	for (int i = 0; names && names->list[i].name; i++) {
		lua_pushstring(L, names->list[i].name);
		lua_rawseti(L, -2, i + 1);
	}
}

/* operations() -> { { name, { kind, optional, names }, ... }, ... } */
static int operations(lua_State *L)
{
	lua_newtable(L);
	for (size_t number = 0; op_at(number); number++) {
		const struct op *op = op_at(number);
		lua_newtable(L);
		lua_pushstring(L, op->name);
		lua_rawseti(L, -2, 1);
		for (int i = 0, count = 1; op->params[i].kind != K_END; i++) {
			if (op->params[i].kind == K_CHANNEL)
				continue;
			lua_newtable(L);
			lua_pushstring(L, kinds[op->params[i].kind]);
			lua_rawseti(L, -2, 1);
			lua_pushboolean(L, op->params[i].optional);
			lua_rawseti(L, -2, 2);
			push_names(L, op->params[i].names);
			lua_rawseti(L, -2, 3);
			lua_rawseti(L, -2, ++count);
		}
		lua_rawseti(L, -2, (int)number + 1);
	}
	return 1;
}

/* make(recorder, kept) -> the bytes of a launch that keeps so many descriptors */
static int make(lua_State *L)
{
	const struct plan *plan = to_plan(L, 1);
	uint32_t kept = (uint32_t)check_range(L, 2, 0, 64);
	size_t first = (offsetof(struct launch, slots) + ((size_t)plan->slots + kept) * sizeof(int32_t) + 7) & ~(size_t)7;
	size_t size = first + plan->buffer.size;
	struct launch *launch = lua_newuserdata(L, size);
	memset(launch, 0, size);
	launch->size = launch->end = (uint32_t)size;
	launch->first = (uint32_t)first;
	launch->steps = (uint32_t)plan->steps;
	launch->slot_count = (uint32_t)plan->slots;
	launch->kept_count = kept;
	launch->last_capability = 40;
	launch->cgroup = -1;
	if (plan->buffer.size)
		memcpy(launch_first(launch), plan->buffer.data, plan->buffer.size);
	lua_pushlstring(L, (const char *)launch, size);
	return 1;
}

/* What the checker should have kept from happening, and ASan, which sees a launch as one block, cannot. */
static void insist(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "an unsound launch was taken for sound: %s\n", what);
	abort();
}

static uint64_t sum; /* so that reading is not optimised away */

/* A step whose arguments are read, one behind the other, and the place that this has come to. */
struct reader {
	const struct step *step;
	const char *reached;
};

static void read_bytes(struct reader *reader, const void *data, size_t size)
{
	const char *bytes = data, *end = (const char *)reader->step + reader->step->size;
	insist(bytes >= reader->reached && bytes <= end && size <= (size_t)(end - bytes), "bounds");
	for (size_t i = 0; i < size; i++)
		sum += (unsigned char)bytes[i];
	reader->reached = bytes + size;
}

static void read_string(struct reader *reader, const char *string)
{
	const char *end = (const char *)reader->step + reader->step->size;
	read_bytes(reader, string, 0);
	size_t length = strnlen(string, (size_t)(end - string));
	insist(string + length < end, "a string without an end");
	read_bytes(reader, string, length + 1);
}

static void read_argument(struct reader *reader, const struct param *param, const struct arg *arg)
{
	char path[PATH_MAX];
	const char *text = arg->p;
	const char *const *vector = arg->p;
	switch (param->kind) {
	case K_PATH:
		read_bytes(reader, text, (size_t)arg->n + 1);
		memcpy(path, text, (size_t)arg->n + 1);
		insist(path[arg->n] == '\0', "a path without an end");
		break;
	case K_TEXT:
		read_bytes(reader, text, (size_t)arg->n + 1);
		insist(text[arg->n] == '\0', "a text without an end");
		break;
	case K_DATA:
		read_bytes(reader, text, (size_t)arg->n);
		break;
	case K_IDS:
	case K_CPUS:
	case K_FDS:
		read_bytes(reader, text, (size_t)arg->n * sizeof(uint32_t));
		for (int64_t i = 0; i < arg->n; i++)
			sum += ((const uint32_t *)arg->p)[i];
		break;
	case K_STRINGS:
	case K_ENVIRONMENT:
		read_bytes(reader, vector, ((size_t)arg->n + 1) * sizeof *vector);
		for (; *vector; vector++)
			read_string(reader, *vector);
		insist(vector - (const char *const *)arg->p == arg->n, "count of strings");
		break;
	default:
		break;
	}
}

static void read_step(const struct launch *launch, const struct step *step)
{
	const struct op *op = op_at(step->op);
	struct reader reader = { step, (const char *)step + step_head(op) };
	int64_t slots = launch->slot_count;
	sum += step->optional;
	insist(step->slot < slots && step->guard < slots, "slot");
	for (int i = 0; op->params[i].kind != K_END; i++) {
		const struct arg *arg = &step->args[i];
		if (arg->state == ARG_SLOT)
			insist(arg->n >= 0 && arg->n < slots, "slot of an argument");
		else if (given(arg))
			read_argument(&reader, &op->params[i], arg);
		else
			insist(arg->n == 0 && !arg->p, "an absent argument");
	}
}

static void read_all(struct launch *launch)
{
	struct executor executor = { 0 };
	uint32_t steps = 0;
	sum += (uint64_t)(launch->monitored + launch->handed_off + launch->dies_with_parent + launch->executes +
			  launch->credentials.keep_caps);
	for (uint32_t i = 0; i < launch->kept_count; i++)
		sum += (uint64_t)launch_kept(launch)[i];
	insist((char *)(launch_kept(launch) + launch->kept_count) <= (char *)launch_first(launch), "lists");
	executor_begin(&executor, launch);
	for (struct step *step = executor.next; step != executor.end; step = step_after(step), steps++)
		read_step(launch, step);
	insist(steps == launch->steps, "count of steps");
}

/* check(bytes) -> whether they are a sound launch. One that is has been read. */
static int check(lua_State *L)
{
	size_t size;
	const char *bytes = luaL_checklstring(L, 1, &size);
	struct launch *launch = malloc(size ? size : 1); /* of just this size: ASan knows where it ends */
	if (!launch)
		return luaL_error(L, "not enough memory");
	memcpy(launch, bytes, size);
	bool sound = launch_is_sound(launch, size);
	if (sound)
		read_all(launch);
	free(launch);
	lua_pushboolean(L, sound);
	return 1;
}

int luaopen_fuzz_launch(lua_State *L);

__attribute__((visibility("default"))) int luaopen_fuzz_launch(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "operations", operations }, { "make", make }, { "check", check }, { 0 },
	};
	luaL_newlib(L, functions);
	return 1;
}
