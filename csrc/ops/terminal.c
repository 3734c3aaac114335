/* Pseudo-terminals: ioctl_tty(2), pty(7).
 *
 * The slave is never opened by its name, which says nothing in another mount namespace, and which somebody could lead
 * elsewhere: the kernel hands it out for the master (TIOCGPTPEER). */
#include "sys/channel.h"
#include "ops/ops.h"
#include "sys/raw.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* From <asm/termios.h>, which does not go together with libc's. */
struct window {
	uint16_t rows, columns, x, y;
};

/* Moves a descriptor to a number from `min_fd` on, where that is given: below it the program's will be. */
static int move_from(int fd, const struct arg *min_fd)
{
	if (fd < 0 || !given(min_fd) || fd >= min_fd->n)
		return fd;
	int moved = (int)RAW(SYS_fcntl, fd, F_DUPFD_CLOEXEC, min_fd->n);
	RAW(SYS_close, fd);
	return moved;
}

/* openpt(path [, min_fd]) -> fd | nil, message, errno
 * The master of a new pseudo-terminal, unlocked: posix_openpt(3), unlockpt(3). What is at `path` has to be the
 * terminal multiplexer, or it is ENOTTY. Does not block, neither here nor when it is read from.
 * path: "/dev/ptmx"
 * min_fd: the descriptor is this or above */
static int act_openpt(const struct arg *a)
{
	struct open_how how = { .flags = O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS };
	struct stat status;
	unsigned number;
	int unlocked = 0;
	long fd;
	RAW_RETRY(fd, SYS_openat2, AT_FDCWD, a[0].p, &how, sizeof how);
	if (fd < 0)
		return (int)fd;
	long result = RAW(SYS_newfstatat, fd, "", &status, AT_EMPTY_PATH);
	if (result == 0 && (!S_ISCHR(status.st_mode) || status.st_rdev != device_number(5, 2)))
		result = -ENOTTY;
	if (result == 0)
		result = RAW(SYS_ioctl, fd, TIOCGPTN, &number);
	if (result == 0)
		result = RAW(SYS_ioctl, fd, TIOCSPTLCK, &unlocked);
	if (result == 0)
		return move_from((int)fd, &a[1]);
	RAW(SYS_close, fd);
	return (int)result;
}

/* ptpeer(fd [, min_fd]) -> fd | nil, message, errno
 * The slave of a master (TIOCGPTPEER), by no name. */
static int act_ptpeer(const struct arg *a)
{
	return move_from((int)RAW(SYS_ioctl, a[0].n, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC), &a[1]);
}

/* tcsetwinsize(fd, rows, columns) -> true | nil, message, errno
 * TIOCSWINSZ. The foreground of the terminal gets SIGWINCH if that changes it.
 * rows: 0 to 65535; above, ERANGE */
static int act_tcsetwinsize(const struct arg *a)
{
	/* The kernel has 16 bits for each, and would cut off the rest. */
	if (a[1].n > UINT16_MAX || a[2].n > UINT16_MAX)
		return -ERANGE;
	struct window window = { .rows = (uint16_t)a[1].n, .columns = (uint16_t)a[2].n };
	return (int)RAW(SYS_ioctl, a[0].n, TIOCSWINSZ, &window);
}

/* copy_tty(fd, model_fd) -> true | nil, message, errno
 * Gives a terminal the modes and the size of another. */
static int act_copy_tty(const struct arg *a)
{
	struct termios2 modes;
	struct window window;
	long result = RAW(SYS_ioctl, a[1].n, TCGETS2, &modes);
	if (result == 0)
		result = RAW(SYS_ioctl, a[1].n, TIOCGWINSZ, &window);
	if (result == 0)
		result = RAW(SYS_ioctl, a[0].n, TCSETS2, &modes);
	if (result == 0)
		result = RAW(SYS_ioctl, a[0].n, TIOCSWINSZ, &window);
	return (int)result;
}

/* setctty(fd) -> true | nil, message, errno
 * TIOCSCTTY: makes it the controlling terminal of this session, which this process has to lead, and which has none. It
 * is never taken away from another session. */
static int act_setctty(const struct arg *a)
{
	return (int)RAW(SYS_ioctl, a[0].n, TIOCSCTTY, 0);
}

/* send_fd(fd) [in a plan]
 * Hands the parent a copy of a descriptor: unix(7), SCM_RIGHTS. The parent says that it has it
 * (parent/wait_for_exec.c): there may be no room for it there, and then the program must not run. */
static int act_send_fd(const struct arg *a)
{
	int result = channel_send(a[1].n, MESSAGE_DESCRIPTOR, (int)a[0].n);
	return result < 0 ? result : channel_await(a[1].n);
}

static const struct op rows[] = {
	{ "openpt", act_openpt, 0, RESULT_FD, { { "path", K_PATH }, { "min_fd", K_INT, true } } },
	{ "ptpeer", act_ptpeer, 0, RESULT_FD, { { "fd", K_FD }, { "min_fd", K_INT, true } } },
	{ "tcsetwinsize", act_tcsetwinsize, 0, RESULT_TRUE,
	  { { "fd", K_FD }, { "rows", K_INT }, { "columns", K_INT } } },
	{ "copy_tty", act_copy_tty, 0, RESULT_TRUE, { { "fd", K_FD }, { "model_fd", K_FD } } },
	{ "setctty", act_setctty, 0, RESULT_TRUE, { { "fd", K_FD } } },
	{ "send_fd", act_send_fd, OP_LATER, RESULT_TRUE, { { "fd", K_FD }, { "channel", K_CHANNEL } } },
};

const struct op_table ops_terminal = OP_TABLE(rows);
