/* Lua arguments to decoded ones and back to text; see ops/kind.h for what the kinds mean. */
#ifndef CELLA_ARGS_H
#define CELLA_ARGS_H

#include "ops/step.h"
#include "value/compat.h"

struct buffer {
	unsigned char *data;
	size_t size, room;
};

/* Appends `size` zeroed bytes and returns their offset from the start of the buffer. Raises when memory
 * runs out; the owner of the buffer is a userdata. */
size_t buffer_append(lua_State *L, struct buffer *buffer, size_t size);

/* Decodes the arguments from stack index `first` on and appends one step. Raises at bad arguments,
 * naming operation, number and parameter; the buffer then has its old size. With `plan` at a
 * non-zero stack index slots of that plan are descriptors too. */
void step_decode(lua_State *L, struct buffer *buffer, size_t number, int first, int plan);

/* Pushes the step as Lua source: `mount("none", "/", nil, {"rec", "private"})`. */
void step_describe(lua_State *L, const struct step *step);

/* A slot is a descriptor that exists once the plan runs: a userdata that names its plan. */
#define SLOT_TYPE "cella.slot"
struct slot {
	const void *plan;
	int number;
};

#endif
