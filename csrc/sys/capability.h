/* Which capabilities there are. */
#ifndef CELLA_CAPABILITY_H
#define CELLA_CAPABILITY_H

/* The highest capability of the running kernel, never that of a header (capabilities(7)). */
int last_capability(void);

/* In the runner: who started it has asked already. */
void last_capability_is(int number);

#endif
