/* The operation table. Each kernel operation is one row, whether it is performed at once or recorded for a child.
 *
 * A row has a man-page name, a list of parameters and a function. The immediate form (plan/immediate.c) decodes Lua
 * arguments into `struct arg`s and calls the function. The recorder (plan/recorder.c) decodes the same arguments into a
 * flat buffer, and the child (executor/executor.c) walks that buffer. The printed plan and the checks of arguments come
 * from the same row. */
#ifndef CELLA_OPS_H
#define CELLA_OPS_H

#include "sys/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a parameter is checked, stored and printed. Every narrowing cast of a Lua number lives in plan/args.c,
 * behind one of these. */
enum kind {
	K_END,
	K_INT,     /* an integer from 0 to 2^31-1 */
	K_U32,     /* an integer from 0 to 2^32-1 */
	K_ID,      /* a user or group ID: 0 to 2^32-2; never -1, which setresuid(2) takes as "unchanged" */
	K_MODE,    /* permission bits, 0 to 4095 */
	K_MAJOR,   /* of a device number, 0 to 4095: the kernel cuts off what is more */
	K_MINOR,   /* 0 to 1048575 */
	K_LIMIT,   /* 0 to 2^63-1, or "unlimited" */
	K_BOOL,    /* true or false */
	K_TEXT,    /* a string without NUL */
	K_PATH,    /* a string without NUL, not empty, shorter than PATH_MAX */
	K_DATA,    /* a string of any bytes */
	K_FLAGS,   /* a name or a list of names, or'ed together */
	K_NAME,    /* one name of a set */
	K_CAPS,    /* capabilities: a list of names or numbers, "all" or "none" */
	K_FD,      /* a descriptor, or in a plan a slot */
	K_IDS,     /* a list of K_ID */
	K_FDS,     /* a list of descriptor numbers */
	K_SIGNALS, /* a list of signal names or numbers; "all" */
	K_STRINGS, /* a list of strings without NUL */
	K_CHANNEL, /* no Lua argument: the descriptor that holds child and parent together */
};

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

enum op_flags {
	OP_LATER = 1,       /* in a plan only */
	OP_NOW = 2,         /* immediately only */
	OP_CREDENTIALS = 4, /* changes one thread; refused where the process has more than one */
	OP_EXEC = 8,        /* the step after which the program runs */
	OP_FORK = 16,       /* another process goes on with the rest */
	OP_INIT = 64,       /* a second process goes on with the rest; this one becomes the init */
	OP_CALL = 128,      /* the caller's own code goes on, in the copy that this process is */
	OP_JOIN = 256,      /* enters namespaces: those of its second argument, or of any type */
	OP_TIE = 512,       /* the process ends with its parent */
	OP_TARGET = 1024,   /* its second argument is the number of a descriptor from then on */
	OP_SOME = 32,       /* of its optional arguments one is there at least: success would hide a misspelt name */
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

/* The rows, in files by subject. Each list ends with a row without a name. */
extern const struct op ops_namespace[];
extern const struct op ops_mount[];
extern const struct op ops_file[];
extern const struct op ops_descriptor[];
extern const struct op ops_identity[];
extern const struct op ops_capability[];
extern const struct op ops_process[];
extern const struct op ops_keys[];
extern const struct op ops_inherited[];
extern const struct op ops_terminal[];
extern const struct op ops_expect[];

/* All of them, in one numbering that recorded plans use; NULL after the last. */
const struct op *op_at(size_t number);

#endif