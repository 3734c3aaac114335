/* Which capabilities there are. */
#ifndef CELLA_CAPABILITY_H
#define CELLA_CAPABILITY_H

#include <stdint.h>

/* The highest capability of the running kernel, never that of a header (capabilities(7)). */
int last_capability(void);

/* All that the running kernel has, as a mask. It keeps bits above them out of every set, whatever is asked. */
uint64_t all_capabilities(void);

/* In the runner: who started it has asked already. */
void last_capability_is(int number);

#endif
