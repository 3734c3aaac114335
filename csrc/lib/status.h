/* Attributes of files, without waiting for a file system. */
#ifndef CELLA_STATUS_H
#define CELLA_STATUS_H

#include <sys/stat.h>

/* stat(2) of a path, or fstat(2) where that is NULL. But a file system is not asked again about a file that it has
 * told of before (AT_STATX_DONT_SYNC): one that answers no more, a FUSE or NFS, would hold the caller for as long.
 * Which file it is and of which type never changes; mode, owner and times may be those of a moment ago. */
int query_status(int fd, const char *path, struct stat *status);

#endif
