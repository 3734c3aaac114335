/* A file in memory that nobody can change: memfd_create(2), filled and sealed. */
#ifndef CELLA_MEMORY_FILE_H
#define CELLA_MEMORY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Returns a descriptor that is open for reading and writing, or a negative errno: EFBIG where RLIMIT_FSIZE forbids a
 * file of that size. */
int memory_file(const char *name, bool executable, const char *data, size_t size);

/* Writes all of it at this place of a file, whatever the soft RLIMIT_FSIZE is. Returns 0 or a negative errno. */
int write_at(int fd, const char *data, size_t size, int64_t place);

/* A file with so many zero bytes and then two pieces of data, which are used up, of which the first `mapped` bytes are
 * mapped, to be shared with those who get the descriptor, which is returned; or a negative errno. */
int shared_memory(const char *name, size_t zeros, struct iovec data[2], size_t mapped, void **mapping);

/* As write(2), raw, without the signals that could come of it. */
long write_quietly(int fd, const char *data, size_t size);

#endif
