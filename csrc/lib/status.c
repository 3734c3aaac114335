/* Attributes of files, without waiting for a file system. */
#include "lib/status.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

int query_status(int fd, const char *path, struct stat *status)
{
	struct statx answer;
	int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | (path ? 0 : AT_EMPTY_PATH);
	if (statx(fd, path ? path : "", flags, STATX_BASIC_STATS, &answer) < 0)
		return -1;
	memset(status, 0, sizeof *status);
	status->st_dev = makedev(answer.stx_dev_major, answer.stx_dev_minor);
	status->st_ino = answer.stx_ino;
	status->st_mode = answer.stx_mode;
	status->st_nlink = answer.stx_nlink;
	status->st_uid = answer.stx_uid;
	status->st_gid = answer.stx_gid;
	status->st_size = (off_t)answer.stx_size;
	status->st_ctim.tv_sec = answer.stx_ctime.tv_sec;
	status->st_ctim.tv_nsec = answer.stx_ctime.tv_nsec;
	return 0;
}
