/* What mount_setattr(2) does, for Linux before 5.12. */
#ifndef CELLA_REMOUNT_H
#define CELLA_REMOUNT_H

#include <stdbool.h>
#include <stdint.h>

/* Sets flags (MOUNT_ATTR_...) on the mount that `fd` is the root of, and on all below it. The mount has to be in
 * this mount namespace: a detached one is EINVAL. Safe between clone and exec. */
int remount(int fd, bool recursive, uint64_t set);

#endif
