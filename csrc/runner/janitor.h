/* The process that removes cgroups: see janitor.c. */
#ifndef CELLA_JANITOR_H
#define CELLA_JANITOR_H

/* Waits for the end of `process`, then ends its cgroup. */
_Noreturn void janitor_main(const char *cgroup, int process);

#endif
