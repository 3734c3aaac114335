/* Decoded steps as text: Lua source that says the same thing again. */
#include "plan/args.h"
#include "sys/capability.h"
#include "value/capset.h"

#include <stdio.h>
#include <string.h>

static void add_quoted(luaL_Buffer *b, const char *bytes, size_t size)
{
	luaL_addchar(b, '"');
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)bytes[i];
		char escape[8];
		if (c == '"' || c == '\\') {
			luaL_addchar(b, '\\');
			luaL_addchar(b, (char)c);
		} else if (c == '\n') {
			luaL_addstring(b, "\\n");
		} else if (c < 32 || c == 127) {
			snprintf(escape, sizeof escape, "\\%03u", c);
			luaL_addstring(b, escape);
		} else {
			luaL_addchar(b, (char)c);
		}
	}
	luaL_addchar(b, '"');
}

static void add_item(luaL_Buffer *b, int *count, const char *prefix, const char *item)
{
	luaL_addstring(b, (*count)++ ? ", \"" : "\"");
	luaL_addstring(b, prefix);
	luaL_addstring(b, item);
	luaL_addchar(b, '"');
}

static void add_flags(luaL_Buffer *b, uint64_t value, const struct names *names)
{
	int count = 0;
	luaL_addchar(b, '{');
	for (const struct name *entry = names->list; entry->name; entry++) {
		if (entry->value && (value & entry->value) == entry->value) {
			add_item(b, &count, "", entry->name);
			value &= ~entry->value;
		}
	}
	luaL_addchar(b, '}');
}

static void add_capabilities(luaL_Buffer *b, uint64_t set)
{
	uint64_t all = all_capabilities();
	if (set == 0 || set == all) {
		luaL_addstring(b, set ? "\"all\"" : "\"none\"");
		return;
	}
	/* Whichever is shorter: those in the set, or all but those outside. */
	bool most = __builtin_popcountll(set) > 20;
	int count = 0;
	luaL_addchar(b, '{');
	if (most)
		add_item(b, &count, "", "all");
	for (int cap = 0; cap <= last_capability(); cap++) {
		char text[CAPABILITY_NAME_SIZE];
		if ((set >> cap & 1) == most)
			continue;
		capability_name(cap, text);
		add_item(b, &count, most ? "-" : "", text);
	}
	luaL_addchar(b, '}');
}

static void add_signals(luaL_Buffer *b, uint64_t set)
{
	int count = 0;
	if (set == UINT64_MAX) {
		luaL_addstring(b, "\"all\"");
		return;
	}
	luaL_addchar(b, '{');
	for (unsigned number = 1; number <= 64; number++) {
		char text[16];
		const struct name *entry = names_signal.list;
		if (!(set >> (number - 1) & 1))
			continue;
		while (entry->name && entry->value != number)
			entry++;
		if (entry->name) {
			add_item(b, &count, "", entry->name);
		} else {
			snprintf(text, sizeof text, "%s%u", count++ ? ", " : "", number);
			luaL_addstring(b, text);
		}
	}
	luaL_addchar(b, '}');
}

static void add_number(luaL_Buffer *b, int64_t value)
{
	char digits[32];
	snprintf(digits, sizeof digits, "%lld", (long long)value);
	luaL_addstring(b, digits);
}

/* Contents of files are shown by their beginning, and less of what is no text: plans are for reading. */
static void add_data(luaL_Buffer *b, const char *data, int64_t size)
{
	enum { TEXT = 4096, BINARY = 64, BEGINNING = 8 };
	bool text = size <= BINARY || !memchr(data, 0, (size_t)size);
	int64_t shown = text ? TEXT : BEGINNING;
	add_quoted(b, data, (size_t)(size > shown ? shown : size));
	if (size > shown) {
		luaL_addstring(b, " --[[ ");
		add_number(b, size);
		luaL_addstring(b, " bytes ]]");
	}
}

static void add_arg(luaL_Buffer *b, const struct step *step, const struct param *param, const struct arg *arg)
{
	const char *base = (const char *)step;
	const char *data = base + arg->offset;
	if (arg->state == ARG_ABSENT) {
		luaL_addstring(b, "nil");
		return;
	}
	switch (kind_rows[param->kind].shape) {
	case SHAPE_BOOL:
		luaL_addstring(b, arg->n ? "true" : "false");
		break;
	case SHAPE_LIMIT:
		if (arg->n == -1) {
			luaL_addstring(b, "\"unlimited\"");
			break;
		}
		add_number(b, arg->n);
		break;
	case SHAPE_BYTES:
		if (kind_rows[param->kind].any_byte)
			add_data(b, data, arg->n);
		else
			add_quoted(b, data, (size_t)arg->n);
		break;
	case SHAPE_FLAGS:
		add_flags(b, (uint64_t)arg->n, param->names);
		break;
	case SHAPE_NAME:
		for (const struct name *entry = param->names->list; entry->name; entry++)
			if (entry->value == (uint64_t)arg->n)
				add_quoted(b, entry->name, strlen(entry->name));
		break;
	case SHAPE_CAPS:
		add_capabilities(b, (uint64_t)arg->n);
		break;
	case SHAPE_SIGNALS:
		add_signals(b, (uint64_t)arg->n);
		break;
	case SHAPE_NUMBERS:
		luaL_addchar(b, '{');
		for (int64_t i = 0; i < arg->n; i++) {
			luaL_addstring(b, i ? ", " : "");
			add_number(b, ((const uint32_t *)(const void *)data)[i]);
		}
		luaL_addchar(b, '}');
		break;
	case SHAPE_STRINGS:
		luaL_addchar(b, '{');
		for (int64_t i = 0; i < arg->n; i++) {
			const char *string = base + ((const uintptr_t *)(const void *)data)[i];
			luaL_addstring(b, i ? ", " : "");
			add_quoted(b, string, strlen(string));
		}
		luaL_addchar(b, '}');
		break;
	default:
		if (arg->state == ARG_SLOT)
			luaL_addstring(b, "slot");
		add_number(b, arg->n);
	}
}

void step_describe(lua_State *L, const struct step *step)
{
	const struct op *op = op_at(step->op);
	int last = -1;
	for (int i = 0; op->params[i].kind != K_END; i++)
		if (given(&step->args[i]) && op->params[i].kind != K_CHANNEL)
			last = i;
	luaL_Buffer b;
	luaL_buffinit(L, &b);
	if (step->slot >= 0) {
		luaL_addstring(&b, "slot");
		add_number(&b, step->slot);
		luaL_addstring(&b, " = ");
	}
	luaL_addstring(&b, op->name);
	luaL_addchar(&b, '(');
	for (int i = 0; i <= last; i++) {
		if (i)
			luaL_addstring(&b, ", ");
		add_arg(&b, step, &op->params[i], &step->args[i]);
	}
	luaL_addchar(&b, ')');
	if (step->optional)
		luaL_addstring(&b, " -- if it is there");
	if (step->guard >= 0) {
		luaL_addstring(&b, " -- if there is slot");
		add_number(&b, step->guard);
	}
	luaL_pushresult(&b);
}
