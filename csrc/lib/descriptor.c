/* See descriptor.h. */
#include "lib/descriptor.h"
#include "sys/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

void close_once(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int move_up(int fd, int min_fd)
{
	if (fd < 0 || fd >= min_fd)
		return fd;
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, min_fd);
	int error = errno;
	close(fd);
	errno = error;
	return moved;
}

int identify(int fd, struct file_identity *identity)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return -errno;
	*identity = (struct file_identity){ status.st_dev, status.st_ino };
	return 0;
}

int is_of_file(int fd, const struct file_identity *identity)
{
	struct file_identity now;
	int result = identify(fd, &now);
	if (result < 0)
		return result == -EBADF ? 0 : result;
	return now.device == identity->device && now.inode == identity->inode;
}

int open_pidfd(int pid)
{
	int fd = move_up((int)syscall(SYS_pidfd_open, pid, 0), MIN_FD);
	return fd < 0 ? -errno : fd;
}

/* Their numbers plus one; some for each Lua state, of which a process with many threads has many. */
enum { PRIVATE = 1024 };
static _Atomic int private_fds[PRIVATE];
/* How many places have ever been taken: whoever closes a descriptor looks at no more. */
static _Atomic int private_used;

void keep_private(int fd)
{
	for (int i = 0; i < PRIVATE; i++) {
		int nothing = 0, used = private_used;
		while (used <= i && !atomic_compare_exchange_weak(&private_used, &used, i + 1))
			;
		if (atomic_compare_exchange_strong(&private_fds[i], &nothing, fd + 1))
			return;
	}
}

void is_closed(int fd)
{
	for (int i = 0; i < private_used; i++) {
		int number = fd + 1;
		if (private_fds[i] == number)
			atomic_compare_exchange_strong(&private_fds[i], &number, 0);
	}
}

bool is_private(int fd)
{
	for (int i = 0; i < private_used; i++)
		if (private_fds[i] == fd + 1)
			return true;
	return false;
}

void close_private(void)
{
	for (int i = 0; i < private_used; i++) {
		int number = atomic_exchange(&private_fds[i], 0);
		if (number > 0)
			RAW(SYS_close, number - 1);
	}
}
