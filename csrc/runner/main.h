/* The modes of the runner: see main.c. */
#ifndef CELLA_RUNNER_MAIN_H
#define CELLA_RUNNER_MAIN_H

#include "executor/launch.h"

/* The words that the runner was executed with. */
_Noreturn void runner_main(long count, const char **argv);

/* Gives the executor what it has for an init that shares its memory, if it has that. */
void runner_prepare(struct executor *executor);

#endif
