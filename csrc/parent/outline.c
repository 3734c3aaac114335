/* See outline.h. */
#include "parent/outline.h"
#include "lib/descriptor.h"

#include <linux/sched.h>

/* What a plan names and is cella's own is not there for it. */
void add_kept(int32_t *kept, size_t *count, int64_t number)
{
	if (kept)
		kept[*count] = is_private((int)number) ? -1 : (int32_t)number;
	++*count;
}

size_t list_kept(const struct plan *plan, const struct launch *launch, int32_t *kept)
{
	size_t count = 0;
	for (int i = 0; i < plan->slots; i++)
		if (!launch || launch->slots[i] >= 0)
			add_kept(kept, &count, launch ? launch->slots[i] : 0);
	for (size_t i = 0; i < plan->steps; i++) {
		const struct step *step = plan_step(plan, i);
		const struct op *op = op_at(step->op);
		for (int j = 0; op->params[j].kind != K_END; j++) {
			const struct arg *arg = &step->args[j];
			if (op->params[j].kind == K_FD && arg->state == ARG_GIVEN)
				add_kept(kept, &count, arg->n);
			const int32_t *list = (const void *)((const char *)step + arg->offset);
			for (int64_t n = 0; op->params[j].kind == K_FDS && n < arg->n; n++)
				add_kept(kept, &count, list[n]);
		}
	}
	return count;
}

/* The init of a pid namespace ends only once all who have entered it are reaped. Whoever waited for the init first
 * would wait for ever, if it fell to him to reap them. Without a type the descriptor may be that of any namespace. */
static bool may_enter_pid_namespace(const struct op *op, const struct step *step)
{
	if (!(op->flags & OP_JOIN))
		return false;
	for (int i = 0; op->params[i].kind != K_END; i++)
		if (op->params[i].names == &names_namespace && step->args[i].n != 0)
			return step->args[i].n & CLONE_NEWPID;
	return true;
}

struct outline outline_of(const struct plan *plan)
{
	struct outline outline = { .highest_target = 2 };
	for (size_t i = 0; i < plan->steps; i++) {
		const struct step *step = plan_step(plan, i);
		const struct op *op = op_at(step->op);
		outline.needs_monitor |= op->flags & OP_FORK || may_enter_pid_namespace(op, step);
		outline.dies_with_parent |= (op->flags & OP_TIE) != 0;
		for (int j = 0; op->params[j].kind != K_END; j++) {
			const struct arg *arg = &step->args[j];
			if (op->params[j].kind == K_TARGET && arg->n > outline.highest_target)
				outline.highest_target = (int)arg->n;
			outline.uses_environment |= op->params[j].kind == K_ENVIRONMENT && !given(arg);
		}
	}
	outline.kept = list_kept(plan, NULL, NULL) + 2;
	return outline;
}
