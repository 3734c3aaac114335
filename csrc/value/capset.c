/* See capset.h. */
#include "value/capset.h"
#include "sys/capability.h"
#include "value/check.h"

#include <stdio.h>
#include <string.h>
#include <sys/capability.h>

static bool wrong(struct capset *set, enum capset_problem problem, const char *subject, size_t length)
{
	set->problem = problem;
	if (length >= sizeof set->subject)
		length = sizeof set->subject - 1;
	memcpy(set->subject, subject, length);
	set->subject[length] = '\0';
	return false;
}

static bool every(const char *text, size_t length, const char *characters)
{
	for (size_t i = 0; i < length; i++)
		if (!strchr(characters, text[i]) || !text[i])
			return false;
	return length > 0;
}

/* Of ASCII alone: the locale of the caller has no say in what a capability is called. */
static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same(const char *text, size_t length, const char *word)
{
	size_t i = 0;
	while (i < length && word[i] && lower(text[i]) == word[i])
		i++;
	return i == length && !word[i];
}

bool capability_name(int number, char *name)
{
	char *full = cap_to_name(number);
	bool has_one = full && strncmp(full, "cap_", 4) == 0;
	if (has_one)
		snprintf(name, CAPABILITY_NAME_SIZE, "%s", full + 4);
	else
		snprintf(name, CAPABILITY_NAME_SIZE, "%d", number);
	cap_free(full);
	return has_one;
}

/* The number of a name, or -1. */
static int number_of(const char *text, size_t length)
{
	char full[64] = "cap_";
	size_t start = length > 4 && same(text, 4, "cap_") ? 0 : 4;
	/* libcap stops reading at the first character that is in no name, and takes what stands before it. */
	if (length >= sizeof full - 5 ||
	    !every(text, length, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"))
		return -1;
	for (size_t i = 0; i < length; i++)
		full[start + i] = lower(text[i]);
	full[start + length] = '\0';
	cap_value_t value;
	return cap_from_name(full, &value) < 0 || value > last_capability() ? -1 : value;
}

static const char digits[] = "0123456789";

/* What a text of digits says, or more than any capability has where it says more than that. */
static int number_of_digits(const char *text, size_t length)
{
	int number = 0;
	for (size_t i = 0; i < length && number < 1000; i++)
		number = number * 10 + (text[i] - '0');
	return number;
}

/* A word of a text (`counts`: there a number may be one), or a string in a list. */
static bool read_word(struct capset *set, const char *text, size_t length, bool counts)
{
	bool removes = length > 0 && text[0] == '-', begun = set->begun;
	int number = -1;
	set->begun = true;
	if (same(text, length, "all")) {
		set->mask = all_capabilities();
		return true;
	}
	if (same(text, length, "none"))
		return true;
	size_t sign = removes ? 1 : 0;
	if (every(text + sign, length - sign, digits)) {
		number = number_of_digits(text + sign, length - sign);
		if (!counts || removes || number > last_capability())
			return wrong(set, counts ? CAPSET_NUMBER : CAPSET_QUOTED, text, length);
	} else {
		number = number_of(text + sign, length - sign);
		if (number < 0)
			return wrong(set, CAPSET_NAME, text + sign, length - sign);
	}
	if (removes && !begun)
		return wrong(set, CAPSET_FIRST, text, length);
	if (removes)
		set->mask &= ~((uint64_t)1 << number);
	else
		set->mask |= (uint64_t)1 << number;
	return true;
}

static const char hexadecimal[] = "0123456789abcdefABCDEF";

static uint64_t mask_of(const char *text, size_t length)
{
	uint64_t mask = 0;
	for (size_t i = 0; i < length; i++) {
		char c = lower(text[i]);
		mask = mask << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return mask;
}

bool mask_of_digits(const char *text, uint64_t *mask)
{
	if (strlen(text) != 16 || !every(text, 16, hexadecimal))
		return false;
	*mask = mask_of(text, 16);
	return true;
}

static bool read_mask(struct capset *set, const char *text, size_t length, const char *first)
{
	const char *end = text + length;
	first += strspn(first, "0"); /* a string of Lua's ends with a NUL */
	if (end - first > 16)
		return wrong(set, CAPSET_WIDE, text, length);
	set->mask = mask_of(first, (size_t)(end - first));
	return set->mask & ~all_capabilities() ? wrong(set, CAPSET_BITS, text, length) : true;
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool read_text(struct capset *set, const char *text, size_t length)
{
	if (memchr(text, '\0', length))
		return wrong(set, CAPSET_NUL, "", 0);
	if (length > 2 && text[0] == '0' && lower(text[1]) == 'x' && every(text + 2, length - 2, hexadecimal))
		return read_mask(set, text, length, text + 2);
	if (length == 16 && every(text, length, hexadecimal))
		return read_mask(set, text, length, text);
	bool comma = false, any = false; /* whether one came last; whether a word did, since the one before */
	size_t i = 0;
	for (;;) {
		while (i < length && is_blank(text[i]))
			i++;
		if (i == length)
			break;
		if (text[i] == ',') {
			if (!any)
				return wrong(set, CAPSET_EMPTY, text, length);
			comma = true;
			any = false;
			i++;
			continue;
		}
		size_t start = i;
		while (i < length && text[i] != ',' && !is_blank(text[i]))
			i++;
		if (!read_word(set, text + start, i - start, true))
			return false;
		any = true;
	}
	return comma && !any ? wrong(set, CAPSET_EMPTY, text, length) : true;
}

static bool read_number(lua_State *L, int index, struct capset *set)
{
	int64_t number;
	size_t length;
	if (to_int64(L, index, &number) && number >= 0 && number <= last_capability()) {
		set->mask |= (uint64_t)1 << number;
		return true;
	}
	lua_pushvalue(L, index);
	const char *text = lua_tolstring(L, -1, &length);
	wrong(set, CAPSET_NUMBER, text, length);
	lua_pop(L, 1);
	return false;
}

static bool read_item(lua_State *L, struct capset *set)
{
	size_t length;
	if (lua_type(L, -1) == LUA_TNUMBER) {
		set->begun = true;
		return read_number(L, -1, set);
	}
	if (lua_type(L, -1) != LUA_TSTRING)
		return wrong(set, CAPSET_ITEM, luaL_typename(L, -1), strlen(luaL_typename(L, -1)));
	const char *text = lua_tolstring(L, -1, &length);
	return memchr(text, '\0', length) ? wrong(set, CAPSET_NUL, "", 0) : read_word(set, text, length, false);
}

void capset_read_one(lua_State *L, int index, struct capset *set)
{
	size_t length;
	*set = (struct capset){ .problem = CAPSET_GOOD };
	if (lua_type(L, index) == LUA_TNUMBER) {
		read_number(L, index, set);
		return;
	}
	if (lua_type(L, index) != LUA_TSTRING) {
		wrong(set, CAPSET_ITEM, luaL_typename(L, index), strlen(luaL_typename(L, index)));
		return;
	}
	const char *text = lua_tolstring(L, index, &length);
	size_t sign = text[0] == '-' ? 1 : 0;
	bool counts = every(text + sign, length - sign, digits);
	int number = counts ? number_of_digits(text + sign, length - sign) : number_of(text, length);
	if (counts && (sign || number > last_capability()))
		wrong(set, CAPSET_NUMBER, text, length);
	else if (number < 0)
		wrong(set, CAPSET_NAME, text, length);
	else
		set->mask = (uint64_t)1 << number;
}

static void read_list(lua_State *L, int index, struct capset *set)
{
	size_t count = 0, length = lua_rawlen(L, index);
	luaL_checkstack(L, 6, NULL);
	/* { chown = true } has the length 0: it would be taken for an empty list. */
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
		count++;
	if (count != length) {
		wrong(set, CAPSET_KEYS, "", 0);
		return;
	}
	for (size_t i = 1; i <= length && i <= INT32_MAX; i++) {
		set->item = (int)i;
		lua_rawgeti(L, index, (int)i);
		bool good = read_item(L, set);
		lua_pop(L, 1);
		if (!good)
			return;
	}
}

void push_mask(lua_State *L, uint64_t mask)
{
	*(uint64_t *)lua_newuserdata(L, sizeof mask) = mask;
	luaL_getmetatable(L, MASK_TYPE);
	lua_setmetatable(L, -2);
}

uint64_t check_mask(lua_State *L, int index)
{
	return *(const uint64_t *)luaL_checkudata(L, index, MASK_TYPE);
}

const uint64_t *to_mask(lua_State *L, int index)
{
	return to_userdata(L, index, MASK_TYPE);
}

void push_mask_digits(lua_State *L, uint64_t mask)
{
	char text[17];
	snprintf(text, sizeof text, "%016llx", (unsigned long long)mask);
	lua_pushstring(L, text);
}

void capset_read(lua_State *L, int index, struct capset *set)
{
	size_t length;
	const uint64_t *mask = to_mask(L, index);
	*set = (struct capset){ .problem = CAPSET_GOOD };
	if (mask) {
		set->mask = *mask;
	} else if (lua_istable(L, index)) {
		read_list(L, index, set);
	} else if (lua_type(L, index) == LUA_TSTRING) {
		const char *text = lua_tolstring(L, index, &length);
		read_text(set, text, length);
	} else {
		wrong(set, CAPSET_TYPE, "", 0);
	}
}

static const char *push_range(lua_State *L)
{
	char first[CAPABILITY_NAME_SIZE], last[CAPABILITY_NAME_SIZE];
	capability_name(0, first);
	capability_name(last_capability(), last);
	return lua_pushfstring(L, "this kernel has 0 (%s) to %d (%s)", first, last_capability(), last);
}

const char *capset_problem_text(lua_State *L, const struct capset *set)
{
	const char *subject = set->subject;
	switch (set->problem) {
	case CAPSET_GOOD:
		lua_pushliteral(L, "nothing");
		break;
	case CAPSET_TYPE:
		lua_pushliteral(L, "a list of capabilities, or a text, expected");
		break;
	case CAPSET_KEYS:
		lua_pushliteral(L, "a list expected, got a table with other keys, or with holes");
		break;
	case CAPSET_ITEM:
		lua_pushfstring(L, "the name or number of a capability expected, got a %s", subject);
		break;
	case CAPSET_NUMBER:
		lua_pushfstring(L, "%s is no capability: %s", subject, push_range(L));
		break;
	case CAPSET_QUOTED:
		lua_pushfstring(L, "'%s' is a string, and in a list the number of a capability is a number", subject);
		break;
	case CAPSET_NAME:
		lua_pushfstring(L, "unknown capability '%s'", subject);
		break;
	case CAPSET_FIRST:
		lua_pushfstring(L, "'%s' takes one away, and there is nothing before it to take it from", subject);
		break;
	case CAPSET_EMPTY:
		lua_pushfstring(L, "an empty name in '%s'", subject);
		break;
	case CAPSET_NUL:
		lua_pushliteral(L, "the string has a NUL byte in it");
		break;
	case CAPSET_WIDE:
		lua_pushfstring(L, "the mask %s has more than 64 bits", subject);
		break;
	case CAPSET_BITS:
		lua_pushfstring(L, "the mask %s has bit %d, and this kernel's highest capability is %d", subject,
				63 - __builtin_clzll(set->mask), last_capability());
		break;
	}
	return lua_tostring(L, -1);
}

void push_capabilities(lua_State *L, uint64_t set)
{
	int count = 0;
	lua_newtable(L);
	for (int cap = 0; cap <= 63; cap++) {
		char name[CAPABILITY_NAME_SIZE];
		if (!(set >> cap & 1))
			continue;
		if (capability_name(cap, name))
			lua_pushstring(L, name);
		else
			lua_pushinteger(L, cap);
		lua_rawseti(L, -2, ++count);
	}
}
