/* See step.h. */
#include "ops/step.h"

void step_bind(struct step *step)
{
	unsigned char *base = (unsigned char *)step;
	const struct op *op = op_at(step->op);
	for (int i = 0; op->params[i].kind != K_END; i++) {
		struct arg *arg = &step->args[i];
		enum shape shape = kind_rows[op->params[i].kind].shape;
		if (!given(arg) || (shape != SHAPE_BYTES && shape != SHAPE_NUMBERS && shape != SHAPE_STRINGS))
			continue;
		uintptr_t *vector = (uintptr_t *)(void *)(base + arg->offset);
		for (int64_t j = 0; shape == SHAPE_STRINGS && j < arg->n; j++)
			vector[j] += (uintptr_t)base;
		arg->p = vector;
	}
}
