/* A recorded operation, as the recorder appends it, the caller copies it, and the executor performs it. */
#ifndef CELLA_STEP_H
#define CELLA_STEP_H

#include "ops/ops.h"

/* This, then what its arguments point to. The next step follows. */
struct step {
	uint32_t op;   /* number in the table */
	uint32_t size; /* in bytes, of all of it; a multiple of 8 */
	int32_t slot;  /* that the result goes to, or -1 */
	bool optional; /* ENOENT is no failure: what uses the slot is left out */
	int32_t guard; /* left out with this slot too; -1 for none */
	int32_t reserved;
	struct arg args[]; /* as many as the operation has parameters */
};

/* Of a step of this operation, without what its arguments point to. */
static inline size_t step_head(const struct op *op)
{
	size_t count = 0;
	while (op->params[count].kind != K_END)
		count++;
	return sizeof(struct step) + count * sizeof(struct arg);
}

/* Turns the offsets of a step into pointers. Done once, where it lies when it is performed. */
void step_bind(struct step *step);

static inline struct step *step_after(struct step *step)
{
	return (struct step *)(void *)((char *)step + step->size);
}

#endif
