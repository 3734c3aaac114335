/* A recorded plan: the steps that a child performs later. */
#ifndef CELLA_RECORDER_H
#define CELLA_RECORDER_H

#include "plan/args.h"

#define PLAN_TYPE "cella.recorder"

/* Its steps one after another, and where each begins. The first of them may be those of another plan, which that one
 * keeps and nobody changes any more. */
struct plan {
	const struct plan *base;
	size_t base_steps;
	struct buffer buffer; /* of those behind */
	size_t *starts;
	size_t steps, room; /* all of them; of `starts` */
	bool is_base;
	int slots;
	bool ended; /* the last step executes */
	bool has_init;
	bool calls; /* the last step is a call */
};

static inline struct step *plan_step(const struct plan *plan, size_t number)
{
	if (number < plan->base_steps)
		return (struct step *)(void *)(plan->base->buffer.data + plan->base->starts[number]);
	return (struct step *)(void *)(plan->buffer.data + plan->starts[number - plan->base_steps]);
}

struct plan *new_plan(lua_State *L);
struct plan *to_plan(lua_State *L, int index);

/* recorder:data(step), in data.c. */
int recorder_data(lua_State *L);

/* Each adds its functions to the module table on top of the stack. */
void open_recorder(lua_State *L);
void open_immediate(lua_State *L);

#endif
