/* See step.h. */
#include "ops/step.h"

static bool points(enum kind kind)
{
	return kind == K_TEXT || kind == K_PATH || kind == K_DATA || kind == K_IDS || kind == K_FDS ||
	       kind == K_STRINGS;
}

void step_bind(struct step *step)
{
	unsigned char *base = (unsigned char *)step;
	const struct op *op = op_at(step->op);
	for (int i = 0; op->params[i].kind != K_END; i++) {
		struct arg *arg = &step->args[i];
		if (!given(arg) || !points(op->params[i].kind))
			continue;
		uintptr_t *vector = (uintptr_t *)(void *)(base + arg->offset);
		for (int64_t j = 0; op->params[i].kind == K_STRINGS && j < arg->n; j++)
			vector[j] += (uintptr_t)base;
		arg->p = vector;
	}
}
