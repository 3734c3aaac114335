/* Plain data as bytes and back: nil, booleans, numbers, strings, and tables of these. A function in a container hands
 * its results over in this form. Who reads them trusts nobody: every length is checked against what is there, depth
 * and memory are bounded, and nothing is executed.
 *
 * A message is MAGIC, a kind (a letter), the values one after another, and 'z'. A value is a tag and what belongs to it:
 * 'n' nil, 'f' false, 't' true, 'i' an integer, 'd' a double, 's' a length and so many bytes, 'r' the number of a table
 * that came before, or 'T', the items 1, 2, ..., then perhaps 'h' and the other keys, each with its value, and 'e'. */
#include "lib/lib.h"
#include "value/check.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define MAGIC "cella 1 "

enum { DEPTH = 100, MAGIC_SIZE = sizeof MAGIC - 1 };

/* What a value needs in memory, about; never less than what it needs in a message. Both sides count, so that who sends
 * learns of the bound first. */
enum { COST_STRING = 32, COST_TABLE = 64, COST_ITEM = 16, COST_PAIR = 48 };

/* Keys that are numbers can be chosen so that all of them collide in a table, and cost what their number squared does. */
static uint64_t cost_of_number_key(uint64_t before)
{
	return before / 32;
}

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
		bool word = name[0] && !(name[0] >= '0' && name[0] <= '9') &&
			    name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")] == '\0';
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
	if (lua_getmetatable(L, index))
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
		lua_pushfstring(L, ": a %s has no meaning outside of the process that it is in", luaL_typename(L, index));
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

enum { MOST = INT32_MAX };

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

/* A copy of this process knows by which seed Lua spreads strings over its tables, and can choose some that all meet in one
 * place: each then costs what all before it number. No count of bytes bounds that, so processor time does: of this thread,
 * in nanoseconds, some times what any honest message of the size takes. */
enum { WORK_BASE = 500000000, WORK_BYTE = 400, LOOK_EVERY = 64 };

static uint64_t processor_time(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

struct reader {
	lua_State *L;
	const unsigned char *start, *at, *end;
	uint64_t cost, limit, number_keys;
	uint64_t work_until; /* of processor_time() */
	unsigned strings;
	int seen; /* stack index of the list of tables */
	uint32_t tables;
	const char *problem;
};

static bool bad(struct reader *r, const char *problem)
{
	r->problem = problem;
	return false;
}

static bool take(struct reader *r, void *result, size_t size)
{
	if ((size_t)(r->end - r->at) < size)
		return bad(r, "it ends too early");
	memcpy(result, r->at, size);
	r->at += size;
	return true;
}

static bool pay(struct reader *r, uint64_t cost)
{
	r->cost += cost;
	return r->cost <= r->limit || bad(r, "there is more than result_limit allows");
}

static bool read_value(struct reader *r, int depth);

static bool read_string(struct reader *r)
{
	uint32_t size;
	if (!take(r, &size, sizeof size))
		return false;
	if ((size_t)(r->end - r->at) < size)
		return bad(r, "it ends too early");
	if (!pay(r, COST_STRING + (uint64_t)size))
		return false;
	if (++r->strings % LOOK_EVERY == 0 && processor_time() > r->work_until)
		return bad(r, "its strings are so chosen that taking it apart takes too long");
	lua_pushlstring(r->L, (const char *)r->at, size);
	r->at += size;
	return true;
}

/* A key and its value, into the table at `table`. */
static bool read_pair(struct reader *r, int table, int depth)
{
	lua_State *L = r->L;
	if (!pay(r, COST_PAIR) || !read_value(r, depth))
		return false;
	int type = lua_type(L, -1);
	if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN)
		return bad(r, "a key is of a kind that is none");
	if (type == LUA_TNUMBER && (isnan(lua_tonumber(L, -1)) || !pay(r, cost_of_number_key(r->number_keys++))))
		return r->problem ? false : bad(r, "a key is not a number");
	if (!read_value(r, depth))
		return false;
	if (lua_isnil(L, -1))
		return bad(r, "a key has no value");
	lua_rawset(L, table);
	return true;
}

static bool read_table(struct reader *r, int depth)
{
	lua_State *L = r->L;
	if (depth == DEPTH)
		return bad(r, "tables are nested too deep");
	if (!pay(r, COST_TABLE))
		return false;
	lua_newtable(L);
	int table = lua_gettop(L);
	lua_pushvalue(L, table);
	lua_rawseti(L, r->seen, (int)++r->tables);
	bool items = true;
	for (int count = 1;;) {
		if (r->at == r->end)
			return bad(r, "it ends too early");
		unsigned char tag = *r->at;
		if (tag == 'e' || (tag == 'h' && items)) {
			r->at++;
			items = false;
			if (tag == 'e')
				return true;
		} else if (!items) {
			if (!read_pair(r, table, depth + 1))
				return false;
		} else {
			if (!pay(r, COST_ITEM) || !read_value(r, depth + 1))
				return false;
			if (lua_isnil(L, -1))
				return bad(r, "an item has no value");
			lua_rawseti(L, table, count++);
		}
	}
}

/* Pushes one value, or returns false. */
static bool read_value(struct reader *r, int depth)
{
	lua_State *L = r->L;
	unsigned char tag;
	int64_t integer;
	double number;
	uint32_t table;
	luaL_checkstack(L, 12, "a result is nested too deep");
	if (!take(r, &tag, 1))
		return false;
	switch (tag) {
	case 'n':
		lua_pushnil(L);
		return true;
	case 'f':
	case 't':
		lua_pushboolean(L, tag == 't');
		return true;
	case 'i':
		if (!take(r, &integer, sizeof integer))
			return false;
		push_int64(L, integer);
		return true;
	case 'd':
		if (!take(r, &number, sizeof number))
			return false;
		/* Of the many that are not a number, one: LuaJIT keeps pointers in the others. */
		lua_pushnumber(L, isnan(number) ? (lua_Number)NAN : (lua_Number)number);
		return true;
	case 's':
		return read_string(r);
	case 'r':
		if (!take(r, &table, sizeof table))
			return false;
		if (table < 1 || table > r->tables)
			return bad(r, "it speaks of a table that did not come");
		lua_rawgeti(L, r->seen, (int)table);
		return true;
	case 'T':
		return read_table(r, depth);
	default:
		return bad(r, "there is something that is no value");
	}
}

/* decode(data, limit) -> kind, values, count | nil, message
 * `limit` as for encode. `data` may be anything. */
static int plain_decode(lua_State *L)
{
	size_t size;
	const unsigned char *data = (const unsigned char *)luaL_checklstring(L, 1, &size);
	struct reader r = { .L = L, .start = data, .at = data, .end = data + size };
	r.limit = (uint64_t)check_range(L, 2, 0, MOST);
	r.work_until = processor_time() + WORK_BASE + WORK_BYTE * (uint64_t)size;
	lua_settop(L, 2);
	lua_newtable(L);
	lua_newtable(L);
	r.seen = 4;
	char magic[MAGIC_SIZE], kind;
	int count = 0;
	bool good = take(&r, magic, sizeof magic) && take(&r, &kind, 1);
	if (good && memcmp(magic, MAGIC, MAGIC_SIZE) != 0)
		good = bad(&r, "it does not begin as one");
	while (good) {
		if (r.at == r.end) {
			good = bad(&r, "it ends too early");
		} else if (*r.at == 'z') {
			r.at++;
			break;
		} else {
			good = pay(&r, COST_ITEM) && read_value(&r, 0);
			if (good)
				lua_rawseti(L, 3, ++count);
		}
	}
	if (good && r.at != r.end)
		good = bad(&r, "it goes on after its end");
	if (!good) {
		lua_pushnil(L);
		lua_pushfstring(L, "%s (byte %d of %d)", r.problem, (int)(r.at - r.start), (int)size);
		return 2;
	}
	lua_pushlstring(L, &kind, 1);
	lua_pushvalue(L, 3);
	lua_pushinteger(L, count);
	return 3;
}

void open_serialize(lua_State *L)
{
	static const luaL_Reg functions[] = { { "encode", plain_encode }, { "decode", plain_decode }, { 0 } };
	luaL_newlib(L, functions);
	lua_setfield(L, -2, "plain");
}
