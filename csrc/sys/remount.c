/* mount(2) changes the flags of one mount at a time, which it finds by path, and forgets those that it is not told
 * again. So the kernel's list of mounts (proc(5), /proc/PID/mountinfo) is read for what lies below the first and for
 * the flags that each has; and read again afterwards, which shows that all have what was asked for. */
#include "sys/remount.h"
#include "sys/digits.h"
#include "sys/procfs.h"
#include "sys/raw.h"
#include "sys/statx.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/mount.h>
#include <linux/openat2.h>

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

enum { MOST = 1024 }; /* mounts in one tree */

static const struct flag {
	const char *name; /* in mountinfo */
	uint64_t attribute;
	unsigned long flag; /* of mount(2) */
} flags[] = {
	{ "ro", MOUNT_ATTR_RDONLY, MS_RDONLY },
	{ "nosuid", MOUNT_ATTR_NOSUID, MS_NOSUID },
	{ "nodev", MOUNT_ATTR_NODEV, MS_NODEV },
	{ "noexec", MOUNT_ATTR_NOEXEC, MS_NOEXEC },
	{ "nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW },
	{ 0 },
};

struct list {
	int fd;
	int at, size; /* of the data: the next byte, and how many there are */
	char data[1024];
};

struct entry {
	int64_t id, parent;
	unsigned long flags;
	char point[PATH_MAX];
};

/* The mounts that are to be changed. */
struct tree {
	int fd; /* the root of the first */
	int64_t members[MOST];
	int size;
	char point[PATH_MAX]; /* of the first */
};

/* The next byte, -1 at the end, or a lower number: a negative errno less one. */
static int next_byte(struct list *list)
{
	if (list->at == list->size) {
		long size;
		RAW_RETRY(size, SYS_read, list->fd, list->data, sizeof list->data);
		if (size <= 0)
			return (int)size - 1;
		list->at = 0;
		list->size = (int)size;
	}
	return (unsigned char)list->data[list->at++];
}

/* Reads to the next blank or end of line, which it returns. A field that has no room is left empty. The kernel writes
 * blanks and backslashes of paths as three octal digits. */
static int next_field(struct list *list, char *text, int room)
{
	int length = 0, byte;
	while ((byte = next_byte(list)) >= 0 && byte != ' ' && byte != '\n') {
		if (byte == '\\') {
			byte = 0;
			for (int i = 0; i < 3; i++)
				byte = byte * 8 + (next_byte(list) - '0');
		}
		if (length < room)
			text[length++] = (char)byte;
	}
	text[length < room ? length : 0] = '\0';
	return byte;
}

/* The rest of `text` behind `prefix`, or NULL. */
static const char *behind(const char *text, const char *prefix)
{
	while (*prefix && *text == *prefix) {
		text++;
		prefix++;
	}
	return *prefix ? 0 : text;
}

static unsigned long flags_of(const char *options)
{
	unsigned long found = 0;
	for (;;) {
		for (const struct flag *flag = flags; flag->name; flag++) {
			const char *end = behind(options, flag->name);
			if (end && (*end == ',' || !*end))
				found |= flag->flag;
		}
		while (*options && *options != ',')
			options++;
		if (!*options++)
			return found;
	}
}

/* Returns 1 for a mount, 0 at the end of the list, or a negative errno. */
static int next_entry(struct list *list, struct entry *entry)
{
	char text[256];
	int byte = next_field(list, text, sizeof text);
	if (byte == -1 && !*text)
		return 0;
	const char *digits = text;
	entry->id = take_number(&digits);
	for (int field = 2; field <= 6 && byte == ' '; field++) {
		char *value = field == 5 ? entry->point : text;
		byte = next_field(list, value, field == 5 ? sizeof entry->point : sizeof text);
		digits = text;
		if (field == 2)
			entry->parent = take_number(&digits);
		else if (field == 6)
			entry->flags = flags_of(text);
		if (field >= 5 && byte == ' ' && !*value)
			return -ENAMETOOLONG;
	}
	if (byte != ' ')
		return byte < -1 ? byte + 1 : -EPROTO;
	while (byte >= 0 && byte != '\n')
		byte = next_byte(list);
	return byte < -1 ? byte + 1 : 1;
}

static int64_t mount_id(int fd)
{
	struct kernel_statx status;
	long result = raw_statx(fd, "", AT_EMPTY_PATH, KNOW_MOUNT, &status);
	if (result < 0)
		return result;
	return status.mask & KNOW_MOUNT ? (int64_t)status.mount_id : -ENOSYS;
}

static bool is_member(const struct tree *tree, int64_t id)
{
	for (int i = 0; i < tree->size; i++)
		if (tree->members[i] == id)
			return true;
	return false;
}

/* The root of a mount of the tree, as a descriptor; -ENOENT where another mount covers it. No link is followed: those
 * that the kernel names as mounted on are none. */
static int open_member(const struct tree *tree, const struct entry *entry)
{
	const char *path = behind(entry->point, tree->point);
	if (!path)
		return -ESTALE;
	while (*path == '/')
		path++;
	struct open_how how = { .flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	int fd = (int)RAW(SYS_openat2, tree->fd, path, &how, sizeof how);
	if (fd < 0)
		return fd == -ENOTDIR ? -ENOENT : fd;
	int64_t id = mount_id(fd);
	if (id == entry->id)
		return fd;
	RAW(SYS_close, fd);
	return id < 0 ? (int)id : -ENOENT;
}

/* Returns 1 if there was something to do, and 0 if not. */
static int change(const struct tree *tree, const struct entry *entry, unsigned long wanted)
{
	if ((entry->flags & wanted) == wanted)
		return 0;
	bool first = entry->id == tree->members[0];
	int fd = first ? tree->fd : open_member(tree, entry);
	/* What is covered cannot be reached, and what came with the tree cannot be uncovered in a user namespace of
	 * one's own (mount_namespaces(7)). */
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	char path[64];
	procfs_fd_path(path, sizeof path, fd, "", 0);
	long result = RAW(SYS_mount, 0, path, 0, MS_REMOUNT | MS_BIND | entry->flags | wanted, 0);
	if (!first)
		RAW(SYS_close, fd);
	return result < 0 ? (int)result : 1;
}

/* Goes through the list once. Returns how many mounts were changed, or a negative errno. */
static int pass(struct tree *tree, bool recursive, unsigned long wanted)
{
	struct list list = { .fd = procfs_open("/proc/self/mountinfo", O_RDONLY) };
	if (list.fd < 0)
		return list.fd;
	struct entry entry;
	int result, changed = 0;
	bool found = false;
	while ((result = next_entry(&list, &entry)) > 0) {
		bool first = entry.id == tree->members[0];
		if (first) {
			found = true;
			for (int i = 0; i < PATH_MAX; i++)
				tree->point[i] = entry.point[i];
		} else if (!recursive || !is_member(tree, entry.parent)) {
			continue;
		} else if (!is_member(tree, entry.id)) {
			if (tree->size == MOST) {
				result = -E2BIG;
				break;
			}
			tree->members[tree->size++] = entry.id;
		}
		result = change(tree, &entry, wanted);
		if (result < 0)
			break;
		changed += result;
	}
	RAW(SYS_close, list.fd);
	if (result < 0)
		return result;
	return found ? changed : -EINVAL;
}

int remount(int fd, bool recursive, uint64_t set)
{
	unsigned long wanted = 0;
	for (const struct flag *flag = flags; flag->name; flag++) {
		if (set & flag->attribute)
			wanted |= flag->flag;
		set &= ~flag->attribute;
	}
	if (set)
		return -ENOSYS;
	struct tree tree = { .fd = fd, .size = 1 };
	int64_t id = mount_id(fd);
	if (id < 0)
		return (int)id;
	tree.members[0] = id;
	for (int i = 0; i < 4; i++) {
		int changed = pass(&tree, recursive, wanted);
		if (changed <= 0)
			return changed;
	}
	return -EBUSY;
}
