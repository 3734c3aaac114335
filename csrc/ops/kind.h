/* The kinds of parameters: how an argument is checked, stored and printed. Each is a row, which says what its values
 * are in memory (a shape) and which are right. What reads and writes arguments goes by the shape. */
#ifndef CELLA_KIND_H
#define CELLA_KIND_H

#include <stdbool.h>
#include <stdint.h>

enum kind {
	K_END,
	K_INT,     /* an integer from 0 to 2^31-1 */
	K_TARGET,  /* the same, which is the number of a descriptor from then on */
	K_U32,     /* an integer from 0 to 2^32-1 */
	K_ID,      /* a user or group ID: 0 to 2^32-2; never -1, which setresuid(2) takes as "unchanged" */
	K_MODE,    /* permission bits, 0 to 4095 */
	K_MAJOR,   /* of a device number, 0 to 4095: the kernel cuts off what is more */
	K_MINOR,   /* 0 to 1048575 */
	K_PORT,    /* of TCP or UDP, 0 to 65535 */
	K_LIMIT,   /* 0 to 2^63-1, or "unlimited" */
	K_BOOL,    /* true or false */
	K_TEXT,    /* a string without NUL */
	K_PATH,    /* a string without NUL, not empty, shorter than PATH_MAX */
	K_DATA,    /* a string of any bytes */
	K_FLAGS,   /* a name or a list of names, or'ed together */
	K_NAME,    /* one name of a set */
	K_CAPS,    /* capabilities: a list of names or numbers, "all" or "none" */
	K_FD,      /* a descriptor, or in a plan a slot */
	K_NICE,    /* an integer from -20 to 19 */
	K_IDS,     /* a list of K_ID */
	K_CPUS,    /* a list of integers from 0 to 8191 */
	K_FDS,     /* a list of descriptor numbers */
	K_SIGNALS, /* a list of signal names or numbers; "all" */
	K_STRINGS, /* a list of strings without NUL */
	K_ENVIRONMENT, /* the same; without it that of the caller */
	K_CHANNEL, /* no Lua argument: the descriptor that holds child and parent together */
	K_COUNT,
};

enum shape {
	SHAPE_NONE,
	SHAPE_NUMBER,
	SHAPE_LIMIT, /* a number, or -1: RLIM64_INFINITY */
	SHAPE_BOOL,  /* 0 or 1 */
	SHAPE_FLAGS, /* values of names, or'ed together */
	SHAPE_NAME,  /* the value of a name */
	SHAPE_CAPS, SHAPE_SIGNALS, /* sets: a bit each */
	SHAPE_FD,    /* a number, or that of a slot */
	/* These point to what they are: so many bytes and a zero byte, so many uint32_t, so many strings and a NULL. */
	SHAPE_BYTES, SHAPE_NUMBERS, SHAPE_STRINGS,
};

struct kind_row {
	enum shape shape;
	int64_t low, high; /* of the number, of each of the numbers, or of how many bytes there are */
	bool any_byte;     /* NUL too */
};

extern const struct kind_row kind_rows[K_COUNT];

#endif
