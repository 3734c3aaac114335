/* Masks of capabilities: what sets are inside of cella.caps. A mask never changes. */
#include "value/capmask.h"
#include "sys/capability.h"
#include "value/capset.h"

/* mask(digits) -> mask
 * Of 16 hexadecimal digits as /proc/PID/status has them, also bits that this kernel does not have. */
static int new_mask(lua_State *L)
{
	uint64_t mask = 0;
	size_t length;
	const char *text = luaL_checklstring(L, 1, &length);
	luaL_argcheck(L, length == 16 && mask_of_digits(text, &mask), 1, "16 hexadecimal digits expected");
	push_mask(L, mask);
	return 1;
}

/* a + b -> those of both */
static int mask_add(lua_State *L)
{
	push_mask(L, check_mask(L, 1) | check_mask(L, 2));
	return 1;
}

/* a - b -> those of the first that are not in the second */
static int mask_sub(lua_State *L)
{
	push_mask(L, check_mask(L, 1) & ~check_mask(L, 2));
	return 1;
}

/* a * b -> those that are in both */
static int mask_mul(lua_State *L)
{
	push_mask(L, check_mask(L, 1) & check_mask(L, 2));
	return 1;
}

/* -a -> those of this kernel that are not in it */
static int mask_unm(lua_State *L)
{
	push_mask(L, all_capabilities() & ~check_mask(L, 1));
	return 1;
}

static int mask_eq(lua_State *L)
{
	const uint64_t *a = to_mask(L, 1), *b = to_mask(L, 2);
	lua_pushboolean(L, a && b && *a == *b); /* Lua 5.4 asks this of a mask and any other userdata */
	return 1;
}

/* mask:contains(other) -> whether it holds every one of the other */
static int mask_contains(lua_State *L)
{
	lua_pushboolean(L, !(check_mask(L, 2) & ~check_mask(L, 1)));
	return 1;
}

/* mask:has(capability) -> boolean. A name without `cap_`, or a number. */
static int mask_has(lua_State *L)
{
	struct capset one;
	uint64_t mask = check_mask(L, 1);
	capset_read_one(L, 2, &one);
	luaL_argcheck(L, one.problem == CAPSET_GOOD, 2, capset_problem_text(L, &one));
	lua_pushboolean(L, (mask & one.mask) != 0);
	return 1;
}

/* mask:empty() -> boolean */
static int mask_empty(lua_State *L)
{
	lua_pushboolean(L, check_mask(L, 1) == 0);
	return 1;
}

/* mask:digits() -> 16 hexadecimal digits, as /proc/PID/status has them */
static int mask_digits(lua_State *L)
{
	push_mask_digits(L, check_mask(L, 1));
	return 1;
}

/* mask:numbers() -> list of the numbers of its bits, also of those that this kernel does not have */
static int mask_numbers(lua_State *L)
{
	uint64_t mask = check_mask(L, 1);
	int count = 0;
	lua_newtable(L);
	for (int number = 0; number < 64; number++) {
		if (!(mask >> number & 1))
			continue;
		lua_pushinteger(L, number);
		lua_rawseti(L, -2, ++count);
	}
	return 1;
}

/* mask:names() -> list of the names of those that this kernel has, in the order of their numbers; the number where
 * libcap has no name */
static int mask_names(lua_State *L)
{
	push_capabilities(L, check_mask(L, 1) & all_capabilities());
	return 1;
}

static void add_names(luaL_Buffer *text, uint64_t mask, const char *before)
{
	for (int number = 0; number <= last_capability(); number++) {
		char name[CAPABILITY_NAME_SIZE];
		if (!(mask >> number & 1))
			continue;
		capability_name(number, name);
		luaL_addstring(text, before);
		luaL_addstring(text, name);
		before = *before == ',' ? before : ",";
	}
}

/* Whether each has a name: a number behind "-" is not read as one that lacks. */
static bool have_names(uint64_t mask)
{
	for (int number = 0; number <= last_capability(); number++) {
		char name[CAPABILITY_NAME_SIZE];
		if (mask >> number & 1 && !capability_name(number, name))
			return false;
	}
	return true;
}

/* "none", "all", the names with commas, or "all,-name" where those that lack are fewer: what capset_read takes. */
static int mask_tostring(lua_State *L)
{
	uint64_t mask = check_mask(L, 1) & all_capabilities(), lacking = all_capabilities() & ~mask;
	luaL_Buffer text;
	luaL_buffinit(L, &text);
	if (!mask || !lacking) {
		luaL_addstring(&text, mask ? "all" : "none");
	} else if (__builtin_popcountll(mask) > __builtin_popcountll(lacking) && have_names(lacking)) {
		luaL_addstring(&text, "all");
		add_names(&text, lacking, ",-");
	} else {
		add_names(&text, mask, "");
	}
	luaL_pushresult(&text);
	return 1;
}

void open_capmask(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{ "contains", mask_contains },
		{ "has", mask_has },
		{ "empty", mask_empty },
		{ "digits", mask_digits },
		{ "numbers", mask_numbers },
		{ "names", mask_names },
		{ 0 },
	};
	static const luaL_Reg metamethods[] = {
		{ "__add", mask_add }, { "__sub", mask_sub }, { "__mul", mask_mul },
		{ "__unm", mask_unm }, { "__eq", mask_eq },   { "__tostring", mask_tostring },
		{ 0 },
	};
	new_type(L, MASK_TYPE, methods, metamethods);
	lua_pushcfunction(L, new_mask);
	lua_setfield(L, -2, "mask");
}
