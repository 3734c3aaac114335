/* See status.h. Raw calls only: see raw.h. */
#include "sys/status.h"
#include "sys/procfs.h"
#include "sys/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/statfs.h>

/* Linux 5.12 */
#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif

/* The root of a /proc is the only directory of that file system where there is a "thread-self", which the kernel makes
 * up for who asks; and on the way from there no mount is crossed. */
static int open_status(int proc)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS };
	struct statfs fs;
	long result = RAW(SYS_fstatfs, proc, &fs);
	if (result == 0 && fs.f_type != PROC_SUPER_MAGIC)
		result = -EXDEV;
	return (int)(result < 0 ? result : RAW(SYS_openat2, proc, "thread-self/status", &how, sizeof how));
}

long status_read(char *text, size_t room)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_CACHED };
	int proc = (int)RAW(SYS_openat2, AT_FDCWD, "/proc", &how, sizeof how);
	if (proc < 0)
		return proc;
	int fd = open_status(proc);
	RAW(SYS_close, proc);
	return procfs_take(fd, text, room);
}

/* Where the line goes on behind "\nLABEL:\t"; NULL where there is none. */
static const char *value_of(const char *text, const char *label)
{
	for (const char *line = text; *line; line++) {
		const char *at = line, *expected = label;
		if (*at++ != '\n')
			continue;
		while (*expected && *at == *expected) {
			at++;
			expected++;
		}
		if (!*expected && at[0] == ':' && at[1] == '\t')
			return at + 2;
	}
	return NULL;
}

bool status_mask(const char *text, const char *label, uint64_t *mask)
{
	enum { DIGITS = 16 };
	const char *digit = value_of(text, label);
	if (!digit)
		return false;
	*mask = 0;
	for (int i = 0; i < DIGITS; i++, digit++) {
		if ((*digit < '0' || *digit > '9') && (*digit < 'a' || *digit > 'f'))
			return false;
		*mask = *mask << 4 | (uint64_t)(*digit <= '9' ? *digit - '0' : *digit - 'a' + 10);
	}
	return *digit == '\n';
}
