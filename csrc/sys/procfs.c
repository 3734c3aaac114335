/* See procfs.h. */
#include "sys/procfs.h"
#include "sys/digits.h"
#include "sys/raw.h"

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

long procfs_take(int fd, char *text, size_t room)
{
	if (fd < 0)
		return fd;
	long count;
	RAW_RETRY(count, SYS_read, fd, text, room - 1);
	RAW(SYS_close, fd);
	text[count < 0 ? 0 : count] = '\0';
	return count;
}

long procfs_read(const char *path, char *text, size_t room)
{
	return procfs_take(procfs_open(path, O_RDONLY), text, room);
}

long procfs_read_of(int pid, const char *name, char *text, size_t room)
{
	char path[64] = "/proc/";
	int size = 6 + put_number(path + 6, pid);
	path[size++] = '/';
	while (*name && size < (int)sizeof path - 1)
		path[size++] = *name++;
	path[size] = '\0';
	return procfs_read(path, text, room);
}
