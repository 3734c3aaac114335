/* Operations on descriptors: write, lock, copy, close. */
#include "ops/ops.h"
#include "sys/procfs.h"
#include "sys/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* close(fd) -> true | nil, message, errno
 * close(2). */
static int act_close(const struct arg *a)
{
	return (int)RAW(SYS_close, a[0].n);
}

/* dup2(fd, number) -> true | nil, message, errno
 * dup2(2): the copy survives exec, also where both numbers are the same. */
static int act_dup2(const struct arg *a)
{
	if (a[0].n == a[1].n) {
		int flags = (int)RAW(SYS_fcntl, a[0].n, F_GETFD);
		return flags < 0 ? flags : (int)RAW(SYS_fcntl, a[0].n, F_SETFD, flags & ~FD_CLOEXEC);
	}
	long result = RAW(SYS_dup3, a[0].n, a[1].n, 0);
	return result < 0 ? (int)result : 0;
}

/* close_range(first, last [, flags]) -> true | nil, message, errno
 * close_range(2). "cloexec" needs Linux 5.11. */
static int act_close_range(const struct arg *a)
{
	int64_t first = a[0].n, last = a[1].n;
	if (given(&a[3]) && first <= a[3].n && a[3].n <= last) {
		long result = first < a[3].n ? RAW(SYS_close_range, first, a[3].n - 1, a[2].n) : 0;
		if (result < 0 || a[3].n == last)
			return (int)result;
		first = a[3].n + 1;
	}
	return (int)RAW(SYS_close_range, first, last, a[2].n);
}

/* close_others(keep [, fd]) [in a plan]
 * Closes every descriptor but these, whatever was open: close_range(2). The one by which the parent learns of failures
 * detached, until exec closes it.
 * fd: one more to keep */
static int act_close_others(const struct arg *a)
{
	const int *keep = a[0].p;
	int64_t next = 0;
	for (;;) {
		/* The lists are short: each round looks for the lowest descriptor to keep. */
		int64_t low = INT64_MAX;
		for (int64_t i = 0; i < a[0].n; i++)
			if (keep[i] >= next && keep[i] < low)
				low = keep[i];
		for (int i = 1; i <= 2; i++)
			if (given(&a[i]) && a[i].n >= next && a[i].n < low)
				low = a[i].n;
		if (low > next) {
			uint32_t last = low == INT64_MAX ? UINT32_MAX : (uint32_t)(low - 1);
			long result = RAW(SYS_close_range, next, last, 0);
			if (result < 0)
				return (int)result;
		}
		if (low == INT64_MAX)
			return 0;
		next = low + 1;
	}
}

/* write(fd, data) -> true | nil, message, errno
 * Writes all of the data, in as many calls of write(2) as that takes. */
static int act_write(const struct arg *a)
{
	const char *data = a[1].p;
	int64_t left = a[1].n;
	while (left > 0) {
		long count;
		RAW_RETRY(count, SYS_write, a[0].n, data, left);
		if (count <= 0)
			return count < 0 ? (int)count : -EIO;
		data += count;
		left -= count;
	}
	return 0;
}

/* fchmod(fd, mode) -> true | nil, message, errno
 * fchmod(2), also of what was opened as a path only: by fchmodat2(2), before Linux 6.6 by its name in /proc.
 * mode: 0 to 4095 */
static int act_fchmod(const struct arg *a)
{
	enum { FCHMODAT2 = 452 }; /* newer than the headers that we build with */
	long result = RAW(SYS_fchmod, a[0].n, a[1].n);
	if (result == -EBADF)
		result = RAW(FCHMODAT2, a[0].n, "", a[1].n, AT_EMPTY_PATH);
	if (result != -ENOSYS)
		return (int)result;
	char path[64];
	int proc = procfs_open("/proc/self/fd", O_PATH | O_DIRECTORY);
	if (proc < 0)
		return proc;
	procfs_fd_path(path, sizeof path, a[0].n, "", 0);
	result = RAW(SYS_fchmodat, proc, path + sizeof "/proc/self/fd/" - 1, a[1].n);
	RAW(SYS_close, proc);
	return (int)result;
}

/* fchown(fd [, uid [, gid]]) -> true | nil, message, errno
 * fchownat(2) of what a descriptor stands for, also of what was opened as a path only.
 * uid: nil: it stays
 * gid: nil: it stays */
static int act_fchown(const struct arg *a)
{
	enum { UNCHANGED = -1 };
	return (int)RAW(SYS_fchownat, a[0].n, "", given(&a[1]) ? a[1].n : UNCHANGED, given(&a[2]) ? a[2].n : UNCHANGED,
			AT_EMPTY_PATH);
}

/* lock(fd) -> true | nil, message, errno
 * A lock for reading on all of a file (fcntl(2), F_OFD_SETLK), which lasts until the last copy of the descriptor is
 * closed, whichever process has it. */
static int act_lock(const struct arg *a)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	return (int)RAW(SYS_fcntl, a[0].n, F_OFD_SETLK, &lock);
}

static const struct op rows[] = {
	{ "close", act_close, 0, RESULT_TRUE, { { "fd", K_FD } } },
	{ "dup2", act_dup2, 0, RESULT_TRUE, { { "fd", K_FD }, { "number", K_TARGET } } },
	{ "close_range", act_close_range, 0, RESULT_TRUE,
	  { { "first", K_INT },
	    { "last", K_U32 },
	    { "flags", K_FLAGS, true, &names_close_range },
	    { "channel", K_CHANNEL } } },
	{ "close_others", act_close_others, OP_LATER, RESULT_TRUE,
	  { { "keep", K_FDS }, { "fd", K_FD, true }, { "channel", K_CHANNEL } } },
	{ "write", act_write, 0, RESULT_TRUE, { { "fd", K_FD }, { "data", K_DATA } } },
	{ "fchmod", act_fchmod, 0, RESULT_TRUE, { { "fd", K_FD }, { "mode", K_MODE } } },
	{ "fchown", act_fchown, OP_SOME, RESULT_TRUE, { { "fd", K_FD }, { "uid", K_ID, true }, { "gid", K_ID, true } } },
	{ "lock", act_lock, 0, RESULT_TRUE, { { "fd", K_FD } } },
};

const struct op_table ops_descriptor = OP_TABLE(rows);
