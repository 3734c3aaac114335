/* The memory of a child between clone and the exec of the runner. */
#ifndef CELLA_BOOT_MEMORY_H
#define CELLA_BOOT_MEMORY_H

#include "executor/boot.h"

enum {
	GUARD = 65536, /* a multiple of every page size that Linux has */
	STACK_SIZE = 65536,
};

/* Nobody may touch the guard: a stack that grows into it ends the process. */
struct boot_memory {
	char guard[GUARD];
	char stack[STACK_SIZE];
	struct boot boot;
};

/* NULL where there is no memory. */
struct boot_memory *take_boot(void);

void release_boot(struct boot_memory *memory);

#endif
