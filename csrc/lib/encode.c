/* Plain data to bytes: see message.h. */
#include "lib/lib.h"
#include "lib/message.h"
#include "value/check.h"

#include <string.h>

struct writer {
	lua_State *L;
	unsigned char *out; /* NULL: only measures */
	size_t size;
	uint64_t cost, limit, number_keys;
	int seen; /* stack index of the table from tables to their numbers */
	int tables;
};

static void put(struct writer *w, const void *bytes, size_t size)
{
	if (w->out && size)
		memcpy(w->out + w->size, bytes, size);
	w->size += size;
}

static void put_tag(struct writer *w, char tag)
{
	put(w, &tag, 1);
}

/* Pushes ": what is wrong"; the callers put the path before it. */
static bool wrong(struct writer *w, const char *problem)
{
	lua_pushfstring(w->L, ": %s", problem);
	return false;
}

static bool charge(struct writer *w, uint64_t cost)
{
	w->cost += cost;
	return w->cost <= w->limit || wrong(w, "there is more than result_limit allows");
}

/* Puts the key at `key` before the message on top. */
static bool at_key(lua_State *L, int key)
{
	luaL_checkstack(L, 4, NULL);
	const char *rest = lua_tostring(L, -1);
	if (lua_type(L, key) == LUA_TSTRING) {
		const char *name = lua_tostring(L, key);
		size_t letters = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
		bool word = name[0] && !(name[0] >= '0' && name[0] <= '9') && name[letters] == '\0';
		lua_pushfstring(L, word ? ".%s%s" : "[\"%s\"]%s", name, rest);
	} else if (lua_type(L, key) == LUA_TNUMBER) {
		lua_pushvalue(L, key); /* lua_tostring would change a key that lua_next goes by */
		lua_pushfstring(L, "[%s]%s", lua_tostring(L, -1), rest);
	} else {
		lua_pushfstring(L, "[%s]%s", lua_toboolean(L, key) ? "true" : "false", rest);
	}
	return false;
}

static bool write_value(struct writer *w, int index, int depth);

static bool write_string(struct writer *w, int index)
{
	size_t length;
	const char *bytes = lua_tolstring(w->L, index, &length);
	if (!charge(w, COST_STRING + (uint64_t)length))
		return false;
	/* The limit is less than 2^32. */
	uint32_t size = (uint32_t)length;
	put_tag(w, 's');
	put(w, &size, sizeof size);
	put(w, bytes, length);
	return true;
}

static void write_number(struct writer *w, int index)
{
#if LUA_VERSION_NUM >= 503
	if (lua_isinteger(w->L, index)) {
		int64_t integer = (int64_t)lua_tointeger(w->L, index);
		put_tag(w, 'i');
		put(w, &integer, sizeof integer);
		return;
	}
#endif
	double number = lua_tonumber(w->L, index);
	put_tag(w, 'd');
	put(w, &number, sizeof number);
}

/* Whether the key at `index` is one of the first `count` items. */
static bool is_item(lua_State *L, int index, int count)
{
	int64_t number;
	return to_int64(L, index, &number) && number >= 1 && number <= count;
}

static bool write_pair(struct writer *w, int key, int depth)
{
	lua_State *L = w->L;
	int type = lua_type(L, key);
	if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN) {
		lua_pushfstring(L, ": a %s as a key", luaL_typename(L, key));
		return false;
	}
	uint64_t cost = COST_PAIR + (type == LUA_TNUMBER ? cost_of_number_key(w->number_keys++) : 0);
	return charge(w, cost) && write_value(w, key, depth) && (write_value(w, key + 1, depth) || at_key(L, key));
}

/* One that does more than print: results of programs say `__plain` in theirs. */
static bool has_metatable(lua_State *L, int index)
{
	if (!lua_getmetatable(L, index))
		return false;
	lua_pushliteral(L, "__plain");
	lua_rawget(L, -2);
	bool plain = lua_toboolean(L, -1);
	lua_pop(L, 2);
	return !plain;
}

static bool write_table(struct writer *w, int index, int depth)
{
	lua_State *L = w->L;
	lua_pushvalue(L, index);
	lua_rawget(L, w->seen);
	if (!lua_isnil(L, -1)) {
		uint32_t number = (uint32_t)lua_tointeger(L, -1);
		lua_pop(L, 1);
		put_tag(w, 'r');
		put(w, &number, sizeof number);
		return true;
	}
	lua_pop(L, 1);
	if (has_metatable(L, index))
		return wrong(w, "a table with a metatable, which would be lost");
	if (depth == DEPTH)
		return wrong(w, "tables are nested more than 100 deep");
	if (!charge(w, COST_TABLE))
		return false;
	lua_pushvalue(L, index);
	lua_pushinteger(L, ++w->tables);
	lua_rawset(L, w->seen);
	put_tag(w, 'T');

	int count = 0;
	for (;; count++) {
		lua_rawgeti(L, index, count + 1);
		if (lua_isnil(L, -1))
			break;
		int item = lua_gettop(L);
		if (!charge(w, COST_ITEM) || !write_value(w, item, depth + 1)) {
			lua_pushinteger(L, count + 1);
			lua_insert(L, -2);
			return at_key(L, lua_gettop(L) - 1);
		}
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	bool others = false;
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		int key = lua_gettop(L) - 1;
		if (is_item(L, key, count))
			continue;
		if (!others)
			put_tag(w, 'h');
		others = true;
		if (!write_pair(w, key, depth + 1))
			return false;
	}
	put_tag(w, 'e');
	return true;
}

static bool write_by_type(struct writer *w, int index, int depth)
{
	lua_State *L = w->L;
	switch (lua_type(L, index)) {
	case LUA_TNIL:
		put_tag(w, 'n');
		return true;
	case LUA_TBOOLEAN:
		put_tag(w, lua_toboolean(L, index) ? 't' : 'f');
		return true;
	case LUA_TNUMBER:
		write_number(w, index);
		return true;
	case LUA_TSTRING:
		return write_string(w, index);
	case LUA_TTABLE:
		return write_table(w, index, depth);
	default:
		lua_pushfstring(L, ": a %s has no meaning outside of the process that it is in",
				luaL_typename(L, index));
		return false;
	}
}

/* On failure there is the message on the stack, and nothing else that was not there before: the way back up, where the
 * path is put before it, needs no more room than the way down had. */
static bool write_value(struct writer *w, int index, int depth)
{
	lua_State *L = w->L;
	luaL_checkstack(L, 12, "a result is nested too deep");
	int top = lua_gettop(L);
	if (write_by_type(w, index, depth))
		return true;
	lua_insert(L, top + 1);
	lua_settop(L, top + 1);
	return false;
}

/* The values 1 to count of the table at index 2. */
static bool write_message(struct writer *w, char kind, int count)
{
	lua_State *L = w->L;
	luaL_checkstack(L, 8, NULL);
	lua_newtable(L);
	w->seen = lua_gettop(L);
	put(w, MAGIC, MAGIC_SIZE);
	put_tag(w, kind);
	for (int i = 1; i <= count; i++) {
		lua_rawgeti(L, 2, i);
		if (!charge(w, COST_ITEM) || !write_value(w, lua_gettop(L), 0)) {
			lua_pushfstring(L, "value %d%s", i, lua_tostring(L, -1));
			return false;
		}
		lua_pop(L, 1);
	}
	put_tag(w, 'z');
	return true;
}

/* encode(kind, values, count, limit) -> data | nil, message
 * `limit` is about memory, from 0 to 2^31-1 bytes. The message names what cannot be put into bytes by its path: "value
 * 2.key[3]: ...". */
static int plain_encode(lua_State *L)
{
	size_t length;
	const char *kind = luaL_checklstring(L, 1, &length);
	luaL_argcheck(L, length == 1, 1, "a letter expected");
	luaL_checktype(L, 2, LUA_TTABLE);
	int count = (int)check_range(L, 3, 0, MOST);
	uint64_t limit = (uint64_t)check_range(L, 4, 0, MOST);
	lua_settop(L, 4);
	struct writer measure = { .L = L, .limit = limit };
	if (!write_message(&measure, kind[0], count)) {
		lua_pushnil(L);
		lua_insert(L, -2);
		return 2;
	}
	lua_settop(L, 4);
	struct writer writer = { .L = L, .limit = limit };
	writer.out = lua_newuserdata(L, measure.size);
	write_message(&writer, kind[0], count); /* nothing has changed in between: no Lua was called */
	lua_pushlstring(L, (const char *)writer.out, writer.size);
	return 1;
}

void open_encode(lua_State *L)
{
	lua_newtable(L);
	lua_pushcfunction(L, plain_encode);
	lua_setfield(L, -2, "encode");
	lua_setfield(L, -2, "serialize");
}
