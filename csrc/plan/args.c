/* The one place where a Lua value becomes a C number or pointer: an ID of -1 or 2^32, a string with a
 * NUL inside, a float or a misspelt flag stops here, before the first system call. */
#include "plan/args.h"
#include "value/capset.h"
#include "value/check.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

struct decoder {
	lua_State *L;
	struct buffer *buffer;
	const struct op *op;
	size_t start; /* of the step in the buffer */
	int plan;     /* stack index of the plan, or 0 */
};

size_t buffer_append(lua_State *L, struct buffer *buffer, size_t size)
{
	size_t offset = buffer->size;
	size = (size + 7) & ~(size_t)7;
	if (buffer->room - offset < size) {
		size_t room = (offset + size) * 2;
		unsigned char *data = realloc(buffer->data, room);
		if (!data)
			luaL_error(L, "not enough memory");
		buffer->data = data;
		buffer->room = room;
	}
	memset(buffer->data + offset, 0, size);
	buffer->size = offset + size;
	return offset;
}

static struct step *step_of(const struct decoder *d)
{
	return (struct step *)(void *)(d->buffer->data + d->start);
}

/* Raises; the half-written step is taken back first. */
static void refuse(const struct decoder *d, int parameter, const char *problem)
{
	d->buffer->size = d->start;
	luaL_error(d->L, "bad argument #%d to '%s' (%s: %s)", parameter + 1, d->op->name,
		   d->op->params[parameter].name, problem);
}

static bool is_word(lua_State *L, int index, const char *word)
{
	size_t length;
	if (lua_type(L, index) != LUA_TSTRING)
		return false;
	const char *string = lua_tolstring(L, index, &length);
	return length == strlen(word) && memcmp(string, word, length) == 0;
}

static int64_t integer(const struct decoder *d, int parameter, int index, int64_t low, int64_t high)
{
	int64_t value = 0;
	if (!to_int64(d->L, index, &value) || value < low || value > high) {
		char range[64];
		snprintf(range, sizeof range, "an integer from %lld to %lld", (long long)low, (long long)high);
		refuse(d, parameter, lua_pushfstring(d->L, "%s expected, got %s", range, shown(d->L, index)));
	}
	return value;
}

enum { MODE_MOST = 07777, MODE_DIGITS = 5 };

/* Octal digits as text: "755", "0755", "0o755". */
static bool octal(lua_State *L, int index, int64_t *value)
{
	size_t length;
	const char *digits = lua_tolstring(L, index, &length);
	if (length > 2 && digits[0] == '0' && digits[1] == 'o') {
		digits += 2;
		length -= 2;
	}
	if (length == 0 || length > MODE_DIGITS)
		return false;
	*value = 0;
	for (size_t i = 0; i < length; i++) {
		if (digits[i] < '0' || digits[i] > '7')
			return false;
		*value = *value * 8 + (digits[i] - '0');
	}
	return *value <= MODE_MOST;
}

/* The owner may read, his group may no more than he may, and others no more than that. */
static bool is_usual(int64_t bits)
{
	int64_t owner = bits >> 6 & 7, group = bits >> 3 & 7, others = bits & 7;
	return (owner & 4) && !(group & ~owner) && !(others & ~group);
}

/* What 755 is as octal digits, 0755, where that is a usual mode and the number itself is none; else -1. */
static int64_t meant_octal(int64_t number)
{
	int64_t meant = 0;
	if (number < 100 || number > 7777 || (number <= MODE_MOST && is_usual(number)))
		return -1;
	for (int64_t unit = 1000; unit > 0; unit /= 10) {
		if (number / unit % 10 > 7)
			return -1;
		meant = meant * 8 + number / unit % 10;
	}
	return is_usual(meant) ? meant : -1;
}

static int64_t mode(const struct decoder *d, int parameter, int index)
{
	int64_t value = 0;
	if (lua_type(d->L, index) == LUA_TSTRING && octal(d->L, index, &value))
		return value;
	int64_t meant = to_int64(d->L, index, &value) ? meant_octal(value) : -1;
	if (meant >= 0) {
		char words[128];
		snprintf(words, sizeof words,
			 "%d is not the mode 0%o, because Lua has no octal numbers: write \"%d\", or %d", (int)value,
			 (unsigned)meant, (int)value, (int)meant);
		refuse(d, parameter, words);
	}
	return integer(d, parameter, index, 0, MODE_MOST);
}

static const char *text(const struct decoder *d, int parameter, int index, size_t *length, bool any_bytes)
{
	if (lua_type(d->L, index) != LUA_TSTRING)
		refuse(d, parameter, lua_pushfstring(d->L, "a string expected, got %s", shown(d->L, index)));
	const char *string = lua_tolstring(d->L, index, length);
	if (!any_bytes && memchr(string, '\0', *length))
		refuse(d, parameter, "the string has a NUL byte in it, where C would cut it off");
	return string;
}

static uint64_t name(const struct decoder *d, int parameter, int index, const struct names *names)
{
	size_t length;
	uint64_t value = 0;
	const char *wanted = text(d, parameter, index, &length, false);
	if (!find_name(names, wanted, &value))
		refuse(d, parameter, unknown_name(d->L, names, wanted));
	return value;
}

static int list_length(const struct decoder *d, int parameter, int index)
{
	lua_State *L = d->L;
	if (!lua_istable(L, index))
		refuse(d, parameter, lua_pushfstring(L, "a list expected, got %s", shown(L, index)));
	/* It is read past its metatable, which would show something else to everybody else. */
	if (lua_getmetatable(L, index))
		refuse(d, parameter, "a plain table expected, got one with a metatable");
	int count = 0, length = (int)lua_rawlen(L, index);
	/* { rdonly = true } has the length 0: it would be taken for an empty list. */
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
		count++;
	if (count != length)
		refuse(d, parameter, "a list expected, got a table with other keys, or with holes");
	return length;
}

static uint64_t flags(const struct decoder *d, int parameter, int index, const struct names *names)
{
	lua_State *L = d->L;
	if (!lua_istable(L, index))
		return name(d, parameter, index, names);
	uint64_t value = 0;
	int count = list_length(d, parameter, index);
	for (int i = 1; i <= count; i++) {
		lua_rawgeti(L, index, i);
		value |= name(d, parameter, lua_gettop(L), names);
		lua_pop(L, 1);
	}
	return value;
}

static uint64_t capabilities(const struct decoder *d, int parameter, int index)
{
	struct capset set;
	capset_read(d->L, index, &set);
	if (set.problem == CAPSET_TYPE)
		refuse(d, parameter,
		       lua_pushfstring(d->L, "%s, got %s", capset_problem_text(d->L, &set), shown(d->L, index)));
	if (set.problem != CAPSET_GOOD)
		refuse(d, parameter, capset_problem_text(d->L, &set));
	return set.mask;
}

static uint64_t signals(const struct decoder *d, int parameter, int index)
{
	lua_State *L = d->L;
	uint64_t set = 0;
	if (is_word(L, index, "all"))
		return UINT64_MAX;
	int count = list_length(d, parameter, index);
	for (int i = 1; i <= count; i++) {
		lua_rawgeti(L, index, i);
		int item = lua_gettop(L);
		uint64_t number = lua_type(L, item) == LUA_TNUMBER ?
					  (uint64_t)integer(d, parameter, item, 1, 64) :
					  name(d, parameter, item, &names_signal);
		set |= (uint64_t)1 << (number - 1);
		lua_pop(L, 1);
	}
	return set;
}

/* Copies bytes, and a NUL after them, to the end of the step; returns their offset in it. */
static uintptr_t keep(const struct decoder *d, const void *bytes, size_t size)
{
	size_t offset = buffer_append(d->L, d->buffer, size + 1);
	if (size)
		memcpy(d->buffer->data + offset, bytes, size);
	return offset - d->start;
}

static void numbers(const struct decoder *d, int parameter, int index, struct arg *arg, int64_t high)
{
	int count = list_length(d, parameter, index);
	if (count > 65536)
		refuse(d, parameter, "more than 65536 numbers");
	size_t offset = buffer_append(d->L, d->buffer, (size_t)count * sizeof(uint32_t) + 1);
	for (int i = 0; i < count; i++) {
		lua_rawgeti(d->L, index, i + 1);
		uint32_t value = (uint32_t)integer(d, parameter, lua_gettop(d->L), 0, high);
		memcpy(d->buffer->data + offset + (size_t)i * sizeof value, &value, sizeof value);
		lua_pop(d->L, 1);
	}
	arg->n = count;
	arg->offset = offset - d->start;
}

static void strings(const struct decoder *d, int parameter, int index, struct arg *arg)
{
	lua_State *L = d->L;
	bool single = lua_type(L, index) == LUA_TSTRING;
	int count = single ? 1 : list_length(d, parameter, index);
	size_t vector = buffer_append(L, d->buffer, ((size_t)count + 1) * sizeof(uintptr_t));
	for (int i = 0; i < count; i++) {
		size_t length;
		if (single)
			lua_pushvalue(L, index);
		else
			lua_rawgeti(L, index, i + 1);
		const char *string = text(d, parameter, lua_gettop(L), &length, false);
		uintptr_t offset = keep(d, string, length);
		memcpy(d->buffer->data + vector + (size_t)i * sizeof offset, &offset, sizeof offset);
		lua_pop(L, 1);
	}
	arg->n = count;
	arg->offset = vector - d->start;
}

static void descriptor(const struct decoder *d, int parameter, int index, struct arg *arg)
{
	lua_State *L = d->L;
	const struct slot *slot = d->plan ? to_userdata(L, index, SLOT_TYPE) : NULL;
	if (slot) {
		if (slot->plan != lua_touserdata(L, d->plan))
			refuse(d, parameter, "the slot belongs to another plan");
		arg->n = slot->number;
		arg->state = ARG_SLOT;
		return;
	}
	arg->n = integer(d, parameter, index, 0, INT_MAX);
}

static struct arg decode(const struct decoder *d, int parameter, int index)
{
	const struct param *param = &d->op->params[parameter];
	const struct kind_row *row = &kind_rows[param->kind];
	struct arg arg = { .state = ARG_GIVEN };
	lua_State *L = d->L;
	size_t length;
	const char *string;
	switch (row->shape) {
	case SHAPE_NUMBER:
		arg.n = param->kind == K_MODE ? mode(d, parameter, index) :
						integer(d, parameter, index, row->low, row->high);
		break;
	case SHAPE_LIMIT:
		arg.n = is_word(L, index, "unlimited") ? -1 : integer(d, parameter, index, row->low, row->high);
		break;
	case SHAPE_BOOL:
		if (!lua_isboolean(L, index))
			refuse(d, parameter, lua_pushfstring(L, "true or false expected, got %s", shown(L, index)));
		arg.n = lua_toboolean(L, index);
		break;
	case SHAPE_FLAGS:
		arg.n = (int64_t)flags(d, parameter, index, param->names);
		break;
	case SHAPE_NAME:
		arg.n = (int64_t)name(d, parameter, index, param->names);
		break;
	case SHAPE_CAPS:
		arg.n = (int64_t)capabilities(d, parameter, index);
		break;
	case SHAPE_SIGNALS:
		arg.n = (int64_t)signals(d, parameter, index);
		break;
	case SHAPE_FD:
		descriptor(d, parameter, index, &arg);
		break;
	case SHAPE_BYTES:
		string = text(d, parameter, index, &length, row->any_byte);
		if ((int64_t)length < row->low)
			refuse(d, parameter, "the path is empty");
		if ((int64_t)length > row->high)
			refuse(d, parameter, param->kind == K_PATH ? "the path is longer than 4095 bytes" :
								    "the string is longer than 2^32-1 bytes");
		arg.n = (int64_t)length;
		arg.offset = keep(d, string, length);
		break;
	case SHAPE_NUMBERS:
		numbers(d, parameter, index, &arg, row->high);
		break;
	case SHAPE_STRINGS:
		strings(d, parameter, index, &arg);
		break;
	case SHAPE_NONE:
		break;
	}
	return arg;
}

void step_decode(lua_State *L, struct buffer *buffer, size_t number, int first, int plan)
{
	struct decoder d = { L, buffer, op_at(number), buffer->size, plan };
	int top = lua_gettop(L), used = 0;
	luaL_checkstack(L, 16, NULL);
	buffer_append(L, buffer, step_head(d.op));
	for (int i = 0; d.op->params[i].kind != K_END; i++) {
		const struct param *param = &d.op->params[i];
		if (param->kind == K_CHANNEL)
			continue;
		int index = first + used++;
		struct arg arg = { .state = ARG_ABSENT };
		if (index <= top && !lua_isnil(L, index))
			arg = decode(&d, i, index);
		else if (!param->optional)
			refuse(&d, i, "missing");
		step_of(&d)->args[i] = arg; /* the buffer may have moved: ask again where it is */
	}
	if (top >= first + used) {
		buffer->size = d.start;
		luaL_error(L, "too many arguments to '%s' (%d, at most %d)", d.op->name, top - first + 1, used);
	}
	struct step *step = step_of(&d);
	bool some = !(d.op->flags & OP_SOME);
	for (int i = 0; i < used; i++)
		some = some || given(&step->args[i]);
	if (!some) {
		buffer->size = d.start;
		luaL_error(L, "bad arguments to '%s' (at least one expected)", d.op->name);
	}
	step->op = (uint32_t)number;
	step->size = (uint32_t)(buffer->size - d.start);
	step->slot = step->guard = -1;
	lua_settop(L, top);
}
