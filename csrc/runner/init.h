#ifndef CELLA_INIT_H
#define CELLA_INIT_H

/* The words that the runner was executed with, of which the second is "init". */
_Noreturn void init_main(long count, const char **argv);

#endif
