/* The runner's check of a launch: a mistake of the caller's, or other bytes in a file that somebody has given to the
 * runner, end in a refusal and not in memory that is not there. The runner checks once: the caller shares the memory,
 * and is trusted not to change it meanwhile. No libc: see raw.h. */
#include "executor/sound.h"

#include <linux/sched.h>

enum { MOST_NUMBERS = 65536, LAST_CAPABILITY = 63 };

/* A byte of another value would be no bool, and must not be read as one. */
static bool is_bool(const bool *flag)
{
	return *(const unsigned char *)flag <= 1;
}

/* A step, and the place up to which its arguments have used it. */
struct reading {
	const struct step *step;
	uint32_t used, slots;
};

static const char *place(const struct reading *reading, uint64_t offset)
{
	return (const char *)reading->step + offset;
}

/* What an argument points to lies behind all before it, as plan/args.c appends it: in pieces that begin at multiples of
 * 8, each behind a zero byte, and a zero byte is the last of a step. So no string reaches into the next piece, whose
 * offsets are about to become pointers, nor out of the step. `size` is without that last zero byte. */
static bool take(struct reading *reading, uint64_t offset, uint64_t size)
{
	if (offset % 8 != 0 || offset < reading->used || offset >= reading->step->size ||
	    size >= reading->step->size - offset || *place(reading, offset - 1) != '\0')
		return false;
	reading->used = (uint32_t)(offset + size + 1);
	return true;
}

static bool text_is_sound(struct reading *reading, const struct arg *arg, int64_t least, int64_t most)
{
	return arg->n >= least && arg->n <= most && take(reading, arg->offset, (uint64_t)arg->n) &&
	       *place(reading, arg->offset + (uint64_t)arg->n) == '\0';
}

/* Offsets, and a zero behind the last, which becomes a null pointer by staying what it is. */
static bool strings_are_sound(struct reading *reading, const struct arg *arg)
{
	uint64_t count = (uint64_t)arg->n;
	if (arg->n < 0 || count >= reading->step->size / sizeof(uintptr_t) ||
	    !take(reading, arg->offset, (count + 1) * sizeof(uintptr_t) - 1))
		return false;
	const uintptr_t *vector = (const void *)place(reading, arg->offset);
	for (uint64_t i = 0; i < count; i++)
		if (!take(reading, vector[i], 1))
			return false;
	return vector[count] == 0;
}

static bool name_is_sound(const struct names *names, uint64_t value, bool several)
{
	uint64_t all = 0;
	for (const struct name *entry = names->list; entry->name; entry++) {
		if (entry->value == value)
			return true;
		all |= entry->value;
	}
	return several && (value & ~all) == 0;
}

static bool within(int64_t number, int64_t low, int64_t high)
{
	return number >= low && number <= high;
}

/* plan/args.c has put in nothing else. */
static bool value_is_sound(struct reading *reading, const struct param *param, const struct arg *arg)
{
	const struct kind_row *row = &kind_rows[param->kind];
	switch (row->shape) {
	case SHAPE_NUMBER:
	case SHAPE_BOOL:
	case SHAPE_FD:
		return within(arg->n, row->low, row->high);
	case SHAPE_LIMIT:
		return arg->n >= -1;
	case SHAPE_FLAGS:
	case SHAPE_NAME:
		return name_is_sound(param->names, (uint64_t)arg->n, row->shape == SHAPE_FLAGS);
	case SHAPE_CAPS:
	case SHAPE_SIGNALS:
		return true;
	case SHAPE_BYTES:
		return text_is_sound(reading, arg, row->low, row->high);
	case SHAPE_NUMBERS:
		return within(arg->n, 0, MOST_NUMBERS) &&
		       take(reading, arg->offset, (uint64_t)arg->n * sizeof(uint32_t));
	case SHAPE_STRINGS:
		return strings_are_sound(reading, arg);
	case SHAPE_NONE: /* the channel, which the executor puts in */
		break;
	}
	return false;
}

static bool argument_is_sound(struct reading *reading, const struct param *param, const struct arg *arg)
{
	switch (arg->state) {
	case ARG_ABSENT:
		/* Operations read them as they are. */
		return (param->optional || param->kind == K_CHANNEL) && arg->n == 0 && arg->offset == 0;
	case ARG_GIVEN:
		return value_is_sound(reading, param, arg);
	case ARG_SLOT:
		return kind_rows[param->kind].shape == SHAPE_FD && arg->n >= 0 && arg->n < reading->slots;
	default:
		return false;
	}
}

static bool step_is_sound(const struct step *step, uint64_t room, uint32_t slots)
{
	if (room < sizeof *step || step->size < sizeof *step || step->size > room || step->size % 8 != 0)
		return false;
	const struct op *op = op_at(step->op);
	if (!op || step->size < step_head(op) || op->flags & OP_NOW || !is_bool(&step->optional))
		return false;
	if (!within(step->slot, -1, (int64_t)slots - 1) || !within(step->guard, -1, (int64_t)slots - 1) ||
	    (step->slot >= 0) != (op->result == RESULT_FD))
		return false;
	struct reading reading = { step, (uint32_t)step_head(op), slots };
	if (*place(&reading, step->size - 1) != '\0')
		return false;
	for (int i = 0; op->params[i].kind != K_END; i++)
		if (!argument_is_sound(&reading, &op->params[i], &step->args[i]))
			return false;
	return true;
}

/* All but the steps. */
static bool head_is_sound(const struct launch *launch, size_t mapped)
{
	const uint64_t namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
				    CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME;
	if (mapped < sizeof *launch || launch->size != mapped || launch->end != mapped || launch->first % 8 != 0 ||
	    launch->first > launch->end || launch->slot_count > OP_MAX_SLOTS)
		return false;
	uint64_t lists = ((uint64_t)launch->slot_count + launch->kept_count) * sizeof *launch->slots;
	if (!is_bool(&launch->stamped))
		return false;
	uint64_t stamps = launch->stamped ? (uint64_t)launch->steps * sizeof(uint64_t) : 0;
	if (offsetof(struct launch, slots) + lists + stamps > launch->first)
		return false;
	return launch->channel >= 0 && launch->min_fd >= 0 && within(launch->last_capability, 0, LAST_CAPABILITY) &&
	       (launch->namespaces & ~namespaces) == 0 && is_bool(&launch->monitored) &&
	       is_bool(&launch->handed_off) && is_bool(&launch->dies_with_parent) && is_bool(&launch->executes) &&
	       is_bool(&launch->credentials.keep_caps) && launch->mark[MARK_SIZE - 1] == '\0';
}

bool launch_is_sound(const struct launch *launch, size_t mapped)
{
	if (!head_is_sound(launch, mapped))
		return false;
	uint32_t at = launch->first, steps = 0;
	while (at != launch->end) {
		const struct step *step = (const void *)((const char *)launch + at);
		if (!step_is_sound(step, launch->end - at, launch->slot_count))
			return false;
		at += step->size;
		steps++;
	}
	return steps == launch->steps;
}
