/* A set of capabilities between Lua and C. There is one reader, for operations, plans, containers and cella.caps. */
#ifndef CELLA_CAPSET_H
#define CELLA_CAPSET_H

#include "value/compat.h"

#include <stdbool.h>
#include <stdint.h>

/* What can be wrong with one. `subject`, where it is given, is what it is wrong with. */
enum capset_problem {
	CAPSET_GOOD,
	CAPSET_TYPE,   /* neither a list nor a text */
	CAPSET_KEYS,   /* a table with other keys, or with holes */
	CAPSET_ITEM,   /* an item that is neither a name nor a number */
	CAPSET_NUMBER, /* a number that no capability of this kernel has */
	CAPSET_QUOTED, /* a number in a list that is a string */
	CAPSET_NAME,   /* an unknown name */
	CAPSET_FIRST,  /* "-name", and nothing before it that it could be taken from */
	CAPSET_EMPTY,  /* nothing between two commas */
	CAPSET_NUL,
	CAPSET_WIDE, /* a mask of more than 64 bits */
	CAPSET_BITS, /* a mask with bits that no capability of this kernel has */
};

struct capset {
	uint64_t mask;
	enum capset_problem problem;
	bool begun; /* something has been read that is not taken away */
	int item;   /* of a list, from 1; 0 in a text */
	char subject[64]; /* cut off where it is longer */
};

/* A list of names and numbers, or a text: names with or without `cap_`, in any case, with commas or blanks between;
 * "all", "none"; "-name", which takes one away from those before it; or a mask in hexadecimal digits, "0x3000" or 16 of
 * them. Numbers are in texts, too, for those that libcap has no name for; in a list they are numbers. Metatables are
 * not asked. A mask is taken as it is. */
void capset_read(lua_State *L, int index, struct capset *set);

/* One of them, by name or number; the number may be a text. */
void capset_read_one(lua_State *L, int index, struct capset *set);

/* Whether the text is 16 hexadecimal digits, as /proc/PID/status has them; also of bits that this kernel does not
 * have. */
bool mask_of_digits(const char *text, uint64_t *mask);

/* Pushes and returns what is wrong, as the end of a sentence. */
const char *capset_problem_text(lua_State *L, const struct capset *set);

/* A set as a value of Lua: the 64 bits of its mask, of which a number of Lua 5.1 holds 53. */
#define MASK_TYPE "cella.capmask"
void push_mask(lua_State *L, uint64_t mask);
uint64_t check_mask(lua_State *L, int index);
const uint64_t *to_mask(lua_State *L, int index); /* NULL where the value is none */

/* As 16 hexadecimal digits, as /proc/PID/status has it. */
void push_mask_digits(lua_State *L, uint64_t mask);

/* The name of one without `cap_`; false where libcap has none: then it is called by its number. */
enum { CAPABILITY_NAME_SIZE = 64 };
bool capability_name(int number, char *name);

/* Pushes the list of the names of a set; the number where libcap has no name. */
void push_capabilities(lua_State *L, uint64_t set);

#endif
