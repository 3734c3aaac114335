/* A hostile program: it tries ways out of a container, and says what became of each. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stddef.h>

/* A factor for machines that are slower (CELLA_PATIENCE). */
#ifndef PATIENCE
#define PATIENCE 1
#endif

struct attempt {
  const char *name;
  void (*act)(const char *argument);
};

extern const struct attempt file_attempts[], key_attempts[], process_attempts[], mount_attempts[], nested_attempts[],
    privilege_attempts[], inherited_attempts[], socket_attempts[], call_attempts[];

/* A line of the answer to the attempt that is being made. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "yes", or "no" and errno: for what a system call has returned. */
void verdict(long returned);

/* The text of a small file, in a static buffer; "" where it cannot be read. */
const char *text_of(const char *path);
int write_text(const char *path, const char *text);

/* What an attempt made to mount on, by its process. */
void remove_places(int pid);

/* hostile outside DIRECTORY: what belongs to the host, until standard input ends. */
int be_outside(const char *directory);
/* hostile with-keys NAME COMMAND...: a session keyring and keys of that name, for as long as the command runs. */
int with_keys(const char *name, char *const command[]);

#endif
