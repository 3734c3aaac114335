/* What this process is: the one that was executed, or a copy of it, and how many threads it has. */
#ifndef CELLA_SELF_H
#define CELLA_SELF_H

/* Of this process. Counted in /proc/self/task; 1 where there is no /proc to ask. */
int thread_count(void);

/* 0 in a process that was executed; one more in each copy made for a call. What an older generation owned is not this
 * process's: the same descriptor numbers mean something else here. */
extern unsigned call_generation;

/* Another in each copy of this process that any fork(2) makes: the children and the cgroups of the one are not the
 * other's, to wait for or to end. */
unsigned fork_generation(void);

#endif
