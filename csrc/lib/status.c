/* Attributes of files, without waiting for a file system. */
#include "lib/status.h"
#include "sys/statx.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

int query_status(int fd, const char *path, struct stat *status)
{
	struct kernel_statx answer;
	int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | (path ? 0 : AT_EMPTY_PATH);
	long result = raw_statx(fd, path ? path : "", flags, KNOW_BASIC, &answer);
	if (result < 0) {
		errno = (int)-result;
		return -1;
	}
	memset(status, 0, sizeof *status);
	status->st_dev = makedev(answer.dev_major, answer.dev_minor);
	status->st_rdev = makedev(answer.rdev_major, answer.rdev_minor);
	status->st_ino = answer.inode;
	status->st_mode = answer.mode;
	status->st_nlink = answer.links;
	status->st_uid = answer.uid;
	status->st_gid = answer.gid;
	status->st_size = (off_t)answer.size;
	status->st_ctim.tv_sec = answer.changed.seconds;
	status->st_ctim.tv_nsec = answer.changed.nanoseconds;
	return 0;
}
