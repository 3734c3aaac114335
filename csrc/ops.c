/* All operations in one numbering, and recorded ones made ready to be performed: for the module and for the runner. */
#include "ops.h"
#include "step.h"

static const struct op *const tables[] = {
	ops_namespace, ops_mount, ops_file, ops_descriptor, ops_identity, ops_capability, ops_process, ops_terminal,
	ops_keys, ops_inherited, ops_expect,
};

const struct op *op_at(size_t number)
{
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
		for (const struct op *op = tables[i]; op->name; op++)
			if (number-- == 0)
				return op;
	return NULL;
}

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
