/* The way to what a descriptor stands for by a name in /proc, for calls that take no descriptor. Safe between clone
 * and exec. */
#ifndef CELLA_PROCFS_H
#define CELLA_PROCFS_H

#include <stddef.h>
#include <stdint.h>

/* openat(2) of a path in /proc; -EXDEV where something else is mounted there, which could be anything: a file
 * system of somebody else's that looks like it, as in CVE-2019-16884 and CVE-2019-19921. */
int procfs_open(const char *path, int flags);

/* The beginning of a file in /proc as a string, or of /proc/PID/NAME. Returns its length, or a negative errno. */
long procfs_read(const char *path, char *text, size_t room);
long procfs_read_of(int pid, const char *name, char *text, size_t room);

/* The same of a file that is open, which is closed, or is a negative errno. */
long procfs_take(int fd, char *text, size_t room);

/* "/proc/self/fd/N", and then "/path" if its length is not 0. Returns its length, or -ENAMETOOLONG. */
int procfs_fd_path(char *buffer, int room, int64_t fd, const char *path, int64_t length);

#endif
