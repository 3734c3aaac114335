/* See memory_file.h. The kernel applies RLIMIT_FSIZE to a file in memory as to any other (setrlimit(2)), although it
 * takes no room on any disk. */
#include "lib/memory_file.h"
#include "lib/descriptor.h"
#include "sys/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Linux 6.3 */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

static uint64_t pending_signals(void)
{
	uint64_t set = 0;
	RAW(SYS_rt_sigpending, &set, sizeof set);
	return set;
}

/* A pipe without a reader sends SIGPIPE to the thread that writes (pipe(7)), a file beyond RLIMIT_FSIZE SIGXFSZ: either
 * would end a caller that has not thought of it. Held back, and taken away again, unless one was there before. */
static long write_held(int fd, const struct iovec *pieces, int pieces_left, int64_t place)
{
	uint64_t before, pipe = (uint64_t)1 << (SIGPIPE - 1), file = (uint64_t)1 << (SIGXFSZ - 1);
	uint64_t set = pipe | file, were_pending = pending_signals();
	long count = RAW(SYS_rt_sigprocmask, SIG_BLOCK, &set, &before, sizeof set);
	if (count < 0)
		return count;
	/* pwritev(2) takes a place in two halves; the second is for machines whose words are short. */
	if (place < 0)
		RAW_RETRY(count, SYS_writev, fd, pieces, pieces_left);
	else
		RAW_RETRY(count, SYS_pwritev, fd, pieces, pieces_left, place, 0);
	set = count == -EPIPE ? pipe : count == -EFBIG ? file : 0;
	set &= ~were_pending;
	if (set) {
		struct timespec now = { 0 };
		long taken;
		RAW_RETRY(taken, SYS_rt_sigtimedwait, &set, 0, &now, sizeof set);
	}
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, sizeof before);
	return count;
}

long write_quietly(int fd, const char *data, size_t size)
{
	const struct iovec piece = { (void *)(uintptr_t)data, size };
	return write_held(fd, &piece, 1, -1);
}

struct limits {
	uint64_t soft, hard;
};

#define UNLIMITED UINT64_MAX /* as the kernel has RLIM64_INFINITY */

/* What is left of pieces of which so many bytes are written. */
static struct iovec *skip(struct iovec *pieces, int *left, size_t written)
{
	while (*left > 0 && written >= pieces->iov_len) {
		written -= pieces->iov_len;
		pieces++;
		--*left;
	}
	if (*left > 0) {
		pieces->iov_base = (char *)pieces->iov_base + written;
		pieces->iov_len -= written;
	}
	return pieces;
}

/* In a process of its own, whose limit can be raised without touching the caller's. It is a copy, as by fork(2),
 * makes raw calls only, and has no exit signal, so that nobody but this function hears of it. */
static int write_in_copy(int fd, struct iovec *pieces, int left, int64_t place, uint64_t end, struct limits limits)
{
	uint64_t all = UINT64_MAX, before;
	long result = RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
	if (result < 0)
		return (int)result;
	long pid = RAW(SYS_clone, 0, 0, 0, 0, 0);
	if (pid == 0) {
		limits.soft = limits.hard = end > limits.hard ? end : limits.hard;
		if (RAW(SYS_prlimit64, 0, RLIMIT_FSIZE, &limits, 0) < 0)
			raw_leave(EFBIG);
		while (left > 0) {
			long count;
			RAW_RETRY(count, SYS_pwritev, fd, pieces, left, place, 0);
			if (count <= 0)
				raw_leave(count ? (int)-count : EIO);
			place += count;
			pieces = skip(pieces, &left, (size_t)count);
		}
		raw_leave(0);
	}
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, sizeof before);
	if (pid < 0)
		return (int)pid;
	int status = 0;
	RAW_RETRY(result, SYS_wait4, pid, &status, __WALL, 0);
	if (result < 0)
		return (int)result;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECANCELED;
}

static int write_pieces(int fd, struct iovec *pieces, int left, int64_t place)
{
	struct limits limits;
	uint64_t end = (uint64_t)place;
	pieces = skip(pieces, &left, 0); /* the empty ones */
	for (int i = 0; i < left; i++)
		end += pieces[i].iov_len;
	bool known = RAW(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, &limits) == 0;
	if (known && end > limits.soft)
		return write_in_copy(fd, pieces, left, place, end, limits);
	while (left > 0) {
		long count;
		/* Without a limit no signal is sent: a file is no pipe. */
		if (known && limits.soft == UNLIMITED)
			RAW_RETRY(count, SYS_pwritev, fd, pieces, left, place, 0);
		else
			count = write_held(fd, pieces, left, place);
		if (count <= 0)
			return count ? (int)count : -EIO;
		place += count;
		pieces = skip(pieces, &left, (size_t)count);
	}
	return 0;
}

int write_at(int fd, const char *data, size_t size, int64_t place)
{
	struct iovec piece = { (void *)(uintptr_t)data, size };
	return write_pieces(fd, &piece, 1, place);
}

/* Returns a descriptor, or a negative errno. */
static int create(const char *name, bool executable)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create(name, flags | (executable ? MFD_EXEC : MFD_NOEXEC_SEAL));
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags);
	fd = move_up(fd, MIN_FD);
	return fd < 0 ? -errno : fd;
}

/* Pages that are written and mapped at once cost no faults, which are dear in a virtual machine. */
int shared_memory(const char *name, size_t zeros, struct iovec data[2], size_t mapped, void **mapping)
{
	int fd = create(name, false);
	if (fd < 0)
		return fd;
	int result = data[0].iov_len + data[1].iov_len ? write_pieces(fd, data, 2, (int64_t)zeros) :
		write_at(fd, "", 1, (int64_t)zeros - 1);
	if (result >= 0) {
		*mapping = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
		if (*mapping == MAP_FAILED)
			result = -errno;
	}
	if (result >= 0)
		return fd;
	close(fd);
	return result;
}

int memory_file(const char *name, bool executable, const char *data, size_t size)
{
	static const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	int fd = create(name, executable);
	if (fd < 0)
		return fd;
	int result = write_at(fd, data, size, 0);
	/* Before Linux 6.3 it would be executable. */
	if (result == 0 && !executable && fchmod(fd, 0444) < 0)
		result = -errno;
	if (result == 0 && fcntl(fd, F_ADD_SEALS, seals) < 0)
		result = -errno;
	if (result == 0)
		return fd;
	close(fd);
	return result;
}
