#ifndef CELLA_EXEC_H
#define CELLA_EXEC_H

/* Does not return where the environment asks for an exec. */
void exec_if_asked(const char *const *argv, const char *const *environment);

#endif
