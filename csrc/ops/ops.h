/* The operation table. Each kernel operation is one row, whether it is performed at once or recorded for a child.
 *
 * A row has a man-page name, a list of parameters and a function. The immediate form (plan/immediate.c) decodes Lua
 * arguments into `struct arg`s and calls the function. The recorder (plan/recorder.c) decodes the same arguments into a
 * flat buffer, and the child (executor/executor.c) walks that buffer. The printed plan and the checks of arguments come
 * from the same row. */
#ifndef CELLA_OPS_H
#define CELLA_OPS_H

#include "ops/kind.h"
#include "sys/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct param {
	const char *name;
	enum kind kind;
	bool optional;
	const struct names *names;
};

/* One decoded argument. `n` is the number, the flags, the descriptor, or the length of what `p` points
 * to. In a recorded plan `p` is an offset until the plan is bound to a launch. */
struct arg {
	int64_t n;
	union {
		const void *p;
		uintptr_t offset;
	};
	uint32_t state; /* enum arg_state */
	uint32_t reserved;
};

enum arg_state {
	ARG_ABSENT,
	ARG_GIVEN,
	ARG_SLOT, /* n is the number of a slot */
};

static inline bool given(const struct arg *arg)
{
	return arg->state != ARG_ABSENT;
}

enum {
	OP_MAX_PARAMS = 8,
	OP_MAX_SLOTS = 4096,
};

enum result {
	RESULT_TRUE, /* nothing but success */
	RESULT_INT,  /* a number */
	RESULT_FD,   /* a descriptor: in a plan, a slot */
};

/* What is true of an operation. */
enum op_flags {
	OP_LATER = 1 << 0,       /* in a plan only */
	OP_NOW = 1 << 1,         /* immediately only */
	OP_CREDENTIALS = 1 << 2, /* changes one thread; refused where the process has more than one */
	OP_SOME = 1 << 3,        /* of its optional arguments one is there: success would hide a misspelt name */
	OP_EXEC = 1 << 4,        /* the step after which the program runs */
	OP_CALL = 1 << 5,        /* the caller's own code goes on, in the copy that this process is */
	OP_FORK = 1 << 6,        /* another process goes on with the rest */
	OP_INIT = 1 << 7,        /* a second process goes on with the rest; this one becomes the init */
	OP_JOIN = 1 << 8,        /* enters namespaces: those of its parameter of their names; without it any */
	OP_TIE = 1 << 9,         /* the process ends with its parent */
	OP_PARK = 1 << 10,       /* the rest of the plan is in another, that the parent sends */
};

struct op {
	const char *name;
	/* Returns a result (0 or more) or a negative errno. Calls no Lua and no libc function that
	 * allocates, locks, or sets errno; safe between clone and exec. */
	int (*act)(const struct arg *args);
	unsigned flags;
	enum result result;
	struct param params[OP_MAX_PARAMS + 1];
};

/* The rows, in files by subject. */
struct op_table {
	const struct op *rows;
	size_t count;
};
#define OP_TABLE(rows) { rows, sizeof(rows) / sizeof *(rows) }

extern const struct op_table ops_namespace;
extern const struct op_table ops_mount;
extern const struct op_table ops_file;
extern const struct op_table ops_descriptor;
extern const struct op_table ops_identity;
extern const struct op_table ops_capability;
extern const struct op_table ops_process;
extern const struct op_table ops_keys;
extern const struct op_table ops_landlock;
extern const struct op_table ops_inherited;
extern const struct op_table ops_scheduling;
extern const struct op_table ops_terminal;
extern const struct op_table ops_listener;
extern const struct op_table ops_expect;

/* All of them, in one numbering that recorded plans use; NULL after the last. */
const struct op *op_at(size_t number);

#endif