/* See procfs.h. */
#include "procfs.h"
#include "digits.h"
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>

int procfs_open(const char *path, int flags)
{
	struct statfs fs;
	int fd = (int)RAW(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC);
	if (fd < 0)
		return fd;
	long result = RAW(SYS_fstatfs, fd, &fs);
	if (result == 0 && fs.f_type != PROC_SUPER_MAGIC)
		result = -EXDEV;
	if (result == 0)
		return fd;
	RAW(SYS_close, fd);
	return (int)result;
}

int procfs_fd_path(char *buffer, int room, int64_t fd, const char *path, int64_t length)
{
	static const char prefix[] = "/proc/self/fd/";
	int size = 0;
	for (; prefix[size]; size++)
		buffer[size] = prefix[size];
	size += put_number(buffer + size, fd);
	if (length + size + 2 > room)
		return -ENAMETOOLONG;
	if (length)
		buffer[size++] = '/';
	for (int64_t i = 0; i < length; i++)
		buffer[size++] = path[i];
	buffer[size] = '\0';
	return size;
}
