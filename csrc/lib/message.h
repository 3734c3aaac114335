/* Plain data as bytes and back: nil, booleans, numbers, strings, and tables of these. A function in a container hands
 * its results over in this form. Who reads them trusts nobody: every length is checked against what is there, depth
 * and memory are bounded, and nothing is executed.
 *
 * A message is MAGIC, a kind (a letter), the values one after another, and 'z'. A value is a tag and what belongs to
 * it: 'n' nil, 'f' false, 't' true, 'i' an integer, 'd' a double, 's' a length and so many bytes, 'r' the number of a
 * table that came before, or 'T', the items 1, 2, ..., then perhaps 'h' and the other keys, each with its value, and
 * 'e'. */
#ifndef CELLA_MESSAGE_H
#define CELLA_MESSAGE_H

#include <stdint.h>

#define MAGIC "cella 1 "

enum { DEPTH = 100, MAGIC_SIZE = sizeof MAGIC - 1 };

/* What a value needs in memory, about; never less than what it needs in a message. Both sides count, so that who sends
 * learns of the bound first. */
enum { COST_STRING = 32, COST_TABLE = 64, COST_ITEM = 16, COST_PAIR = 48 };

/* Keys that are numbers can be chosen so that all of them collide in a table, and cost what their number squared
 * does. */
static inline uint64_t cost_of_number_key(uint64_t before)
{
	return before / 32;
}

/* The limits that encode and decode take are no more. */
enum { MOST = INT32_MAX };

#endif
