/* The init of a container's pid namespace: see init.c. */
#ifndef CELLA_INIT_H
#define CELLA_INIT_H

/* Watches over the process `program`. Where the caller has gone everything ends, unless it is `detached`. That process
 * has this memory, too, as long as `shared` is not 0: then `forget` is called, if it is given. */
_Noreturn void init_main(int program, int detached, const int *shared, void (*forget)(void));

#endif
