/* Bytes to plain data: see message.h. */
#include "lib/lib.h"
#include "lib/message.h"
#include "value/check.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* A copy of this process knows by which seed Lua spreads strings over its tables, and can choose some that all meet
 * in one place: each then costs what all before it number. No count of bytes bounds that, so processor time does: of
 * this thread, in nanoseconds, some times what any honest message of the size takes. */
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

void open_decode(lua_State *L)
{
	lua_getfield(L, -1, "serialize");
	lua_pushcfunction(L, plain_decode);
	lua_setfield(L, -2, "decode");
	lua_pop(L, 1);
}
