/* See cgroup_tree.h. Every name is used with the descriptor of the directory that it is in, and no link is followed:
 * what is below a cgroup may be somebody else's. */
#include "sys/cgroup_tree.h"
#include "sys/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>

enum { ENTRIES = 2048, DIRECTORY_TYPE = 4 /* DT_DIR */, REMOVE_DIRECTORY = 0x200 /* AT_REMOVEDIR */ };

/* As getdents64(2) has it. */
struct entry {
	uint64_t inode;
	int64_t offset;
	uint16_t size;
	uint8_t type;
	char name[];
};

/* What has mounted the cgroup that it is in, and has the ID of who made it, may have taken all rights from its files:
 * who owns them takes them back. (There are no links here.) */
static int open_own(int directory, const char *name, int flags)
{
	int fd = (int)RAW(SYS_openat, directory, name, flags | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -EACCES && RAW(SYS_fchmodat, directory, name, 0700) == 0)
		fd = (int)RAW(SYS_openat, directory, name, flags | O_NOFOLLOW | O_CLOEXEC);
	return fd;
}

static int open_directory(int parent, const char *name)
{
	return open_own(parent, name, O_RDONLY | O_DIRECTORY);
}

static int write_one(int directory, const char *name)
{
	int fd = open_own(directory, name, O_WRONLY);
	if (fd < 0)
		return fd;
	long result;
	RAW_RETRY(result, SYS_write, fd, "1", 1);
	RAW(SYS_close, fd);
	return result < 0 ? (int)result : 0;
}

/* Kills the processes that cgroup.procs lists. Frozen they cannot end by themselves, so that none of the numbers can
 * come to mean another. 0 stands for one that is not in our pid namespace; to kill(2) it would be ourselves. */
static int kill_listed(int directory)
{
	char data[ENTRIES];
	long size;
	int result = write_one(directory, "cgroup.freeze"), pid = 0;
	int fd = open_own(directory, "cgroup.procs", O_RDONLY);
	if (fd < 0)
		return fd;
	while ((size = RAW(SYS_read, fd, data, sizeof data)) > 0) {
		for (long i = 0; i < size; i++) {
			if (data[i] >= '0' && data[i] <= '9') {
				pid = pid * 10 + (data[i] - '0');
				continue;
			}
			if (pid > 0)
				RAW(SYS_kill, pid, SIGKILL);
			pid = 0;
		}
	}
	RAW(SYS_close, fd);
	return size < 0 ? (int)size : result;
}

int cgroup_kill(int directory)
{
	int result = write_one(directory, "cgroup.kill");
	/* Before Linux 5.14. What is in cgroups below gets its turn when they are removed. */
	return result == -ENOENT ? kill_listed(directory) : result;
}

/* Copies the name of the first cgroup in `directory`. Returns 1, or 0 where there is none, or a negative errno. */
static int first_below(int directory, char *name)
{
	char data[ENTRIES] __attribute__((aligned(8)));
	long size;
	while ((size = RAW(SYS_getdents64, directory, data, sizeof data)) > 0) {
		for (long at = 0; at < size;) {
			const struct entry *entry = (const struct entry *)(const void *)(data + at);
			const char *from = entry->name;
			at += entry->size;
			if (entry->type != DIRECTORY_TYPE ||
			    (from[0] == '.' && (!from[1] || (from[1] == '.' && !from[2]))))
				continue;
			int i = 0;
			for (; i < CGROUP_NAME_SIZE - 1 && from[i]; i++)
				name[i] = from[i];
			name[i] = '\0';
			return 1;
		}
	}
	return (int)size;
}

static int remove_directory(int parent, const char *name)
{
	return (int)RAW(SYS_unlinkat, parent, name, REMOVE_DIRECTORY);
}

/* Removes one of the cgroups below `directory`, one that has none below itself. Returns 1, or 0 where there is none, or
 * a negative errno: -EBUSY where somebody is in it. Holds one descriptor, however deep they lie. */
static int remove_one_below(int directory)
{
	char name[CGROUP_NAME_SIZE];
	int here = open_directory(directory, ".");
	if (here < 0)
		return here;
	int result = first_below(here, name);
	while (result == 1) {
		int removed = remove_directory(here, name);
		if (removed == 0 || removed == -ENOENT)
			break;
		int below = removed == -EBUSY ? open_directory(here, name) : removed;
		/* Given to another ID it opens to nobody but root, and can be removed once it is empty. */
		if (below < 0) {
			result = below == -ENOENT ? 1 : below == -EACCES ? -EBUSY : below;
			break;
		}
		RAW(SYS_close, here);
		here = below;
		result = first_below(here, name);
		if (result == 0) {
			cgroup_kill(here);
			result = -EBUSY;
		}
	}
	RAW(SYS_close, here);
	return result;
}

/* Returns 0 once there is no such cgroup, -EBUSY while somebody is in it, or another negative errno. */
static int end_once(int parent, const char *name)
{
	int removed = remove_directory(parent, name);
	if (removed == 0 || removed == -ENOENT)
		return 0;
	if (removed != -EBUSY)
		return removed;
	int directory = open_directory(parent, name);
	if (directory < 0)
		return directory == -ENOENT ? 0 : directory;
	int result = cgroup_kill(directory), below;
	do
		below = remove_one_below(directory);
	while (below == 1);
	RAW(SYS_close, directory);
	if (below < 0)
		return below;
	/* What it says of killing matters only if nothing else helps. */
	removed = remove_directory(parent, name);
	return removed == -EBUSY && result < 0 ? result : removed == -ENOENT ? 0 : removed;
}

int cgroup_end(int parent, const char *name, int timeout)
{
	enum { LONGEST = 20 };
	int result, pause = 1;
	/* A process that was killed takes a moment to end. */
	while ((result = end_once(parent, name)) == -EBUSY && timeout > 0) {
		struct timespec time = { .tv_nsec = pause * 1000000L };
		RAW(SYS_nanosleep, &time, 0);
		timeout -= pause;
		pause = pause * 2 < LONGEST ? pause * 2 : LONGEST;
	}
	return result;
}
