/* Reading back: each of these operations reads from the kernel what an earlier step was to bring about, and fails with
 * ENOTRECOVERABLE if it is not so. They are the last steps before exec. */
#include "ops/ops.h"
#include "sys/capability.h"
#include "sys/credentials.h"
#include "sys/raw.h"
#include "sys/statx.h"
#include "sys/status.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/limits.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

static int verdict(bool as_asked)
{
	return as_asked ? 0 : -ENOTRECOVERABLE;
}

static int same_ids(long getres, long setfs, uint32_t wanted)
{
	uint32_t real = 0, effective = 0, saved = 0;
	long result = RAW(getres, &real, &effective, &saved);
	if (result < 0)
		return (int)result;
	/* setfsuid(-1) changes nothing and returns the current one. */
	uint32_t fs = (uint32_t)RAW(setfs, -1L);
	return verdict(real == wanted && effective == wanted && saved == wanted && fs == wanted);
}

/* expect_ids(uid, gid) -> true | nil, message, errno
 * All four of each: real, effective, saved and file system. */
static int act_expect_ids(const struct arg *a)
{
	int result = same_ids(SYS_getresuid, SYS_setfsuid, (uint32_t)a[0].n);
	return result < 0 ? result : same_ids(SYS_getresgid, SYS_setfsgid, (uint32_t)a[1].n);
}

/* Heap sort: no recursion, and no order of groups makes it slow. */
static void sort_ids(uint32_t *ids, size_t count)
{
	for (size_t end = count, start = count / 2; end > 1;) {
		if (start > 0) {
			start--;
		} else {
			end--;
			uint32_t greatest = ids[0];
			ids[0] = ids[end];
			ids[end] = greatest;
		}
		for (size_t at = start, child; (child = 2 * at + 1) < end; at = child) {
			if (child + 1 < end && ids[child] < ids[child + 1])
				child++;
			if (ids[at] >= ids[child])
				break;
			uint32_t lower = ids[at];
			ids[at] = ids[child];
			ids[child] = lower;
		}
	}
}

/* Whether two sorted lists have the same members, however often. */
static bool same_members(const uint32_t *a, size_t count_a, const uint32_t *b, size_t count_b)
{
	size_t i = 0, j = 0;
	while (i < count_a && j < count_b && a[i] == b[j]) {
		uint32_t id = a[i];
		while (i < count_a && a[i] == id)
			i++;
		while (j < count_b && b[j] == id)
			j++;
	}
	return i == count_a && j == count_b;
}

/* `room` is for both lists, which are sorted in there. */
static int compare_groups(uint32_t *room, size_t actual, const uint32_t *wanted, size_t count)
{
	long result = RAW(SYS_getgroups, actual, room);
	if (result < 0)
		return (int)result;
	uint32_t *copy = room + result;
	for (size_t i = 0; i < count; i++)
		copy[i] = wanted[i];
	sort_ids(room, (size_t)result);
	sort_ids(copy, count);
	return verdict(same_members(room, (size_t)result, copy, count));
}

/* expect_groups(groups) -> true | nil, message, errno
 * Exactly these supplementary groups, in any order: up to NGROUPS_MAX of them, which no stack here has room for. */
static int act_expect_groups(const struct arg *a)
{
	enum { FEW = 128 };
	uint32_t few[FEW];
	long actual = RAW(SYS_getgroups, 0, NULL);
	if (actual < 0)
		return (int)actual;
	size_t count = (size_t)a[0].n, all = (size_t)actual + count;
	if (all <= FEW)
		return compare_groups(few, (size_t)actual, a[0].p, count);
	long room = RAW(SYS_mmap, NULL, all * sizeof(uint32_t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	if (room < 0 && room > -4096)
		return (int)room;
	int result = compare_groups((uint32_t *)room, (size_t)actual, a[0].p, count);
	RAW(SYS_munmap, room, all * sizeof(uint32_t));
	return result;
}

static uint64_t known(int64_t mask)
{
	return (uint64_t)mask & all_capabilities();
}

/* What has to be asked for one by one. */
static void ask_for_sets(uint64_t candidates, uint64_t *bounding, uint64_t *ambient)
{
	*bounding = *ambient = 0;
	for (int cap = 0; cap <= last_capability(); cap++) {
		uint64_t bit = (uint64_t)1 << cap;
		if (RAW(SYS_prctl, PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
			*bounding |= bit;
		if (candidates & bit && RAW(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
			*ambient |= bit;
	}
}

/* The bounding and the ambient set of this thread. */
static void read_sets(uint64_t candidates, uint64_t *bounding, uint64_t *ambient)
{
	char text[STATUS_ROOM];
	bool read = status_read(text, sizeof text) > 0 && status_mask(text, "CapBnd", bounding) &&
		    status_mask(text, "CapAmb", ambient);
	if (!read)
		ask_for_sets(candidates, bounding, ambient);
	*bounding &= all_capabilities();
	*ambient &= all_capabilities();
}

/* expect_capabilities(effective, permitted, inheritable, bounding, ambient) -> true | nil, message, errno
 * Exactly these five sets: capabilities(7). */
static int act_expect_capabilities(const struct arg *a)
{
	struct credentials sets;
	uint64_t bounding, ambient;
	int result = get_sets(&sets);
	if (result < 0)
		return result;
	/* The kernel keeps others from being ambient. */
	read_sets(sets.permitted & sets.inheritable, &bounding, &ambient);
	return verdict(sets.effective == known(a[0].n) && sets.permitted == known(a[1].n) &&
		       sets.inheritable == known(a[2].n) && bounding == known(a[3].n) &&
		       ambient == known(a[4].n));
}

/* expect_securebits(bits) -> true | nil, message, errno
 * Exactly these: PR_GET_SECUREBITS. */
static int act_expect_securebits(const struct arg *a)
{
	long result = RAW(SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0);
	return result < 0 ? (int)result : verdict(result == a[0].n);
}

/* expect_no_new_privs(on) -> true | nil, message, errno
 * PR_GET_NO_NEW_PRIVS. */
static int act_expect_no_new_privs(const struct arg *a)
{
	long result = RAW(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	return result < 0 ? (int)result : verdict(result == a[0].n);
}

/* expect_namespace(link, inode, same [, dirfd]) -> true | nil, message, errno
 * Whether /proc/self/ns/... is that of the given inode, or is not.
 * dirfd: of a /proc that is not mounted here: then the link is "self/ns/..." */
static int act_expect_namespace(const struct arg *a)
{
	struct stat status;
	long result = RAW(SYS_newfstatat, given(&a[3]) ? a[3].n : AT_FDCWD, a[0].p, &status, 0);
	if (result < 0)
		return (int)result;
	return verdict((status.st_ino == (ino_t)a[1].n) == (a[2].n != 0));
}

/* expect_node(fd, type, major, minor) -> true | nil, message, errno
 * That a descriptor is the device it should be before it is bound: an image may have a link to another in its place
 * (CVE-2025-31133). */
static int act_expect_node(const struct arg *a)
{
	struct stat status;
	long result = RAW(SYS_newfstatat, a[0].n, "", &status, AT_EMPTY_PATH);
	if (result < 0)
		return (int)result;
	return verdict((status.st_mode & S_IFMT) == (mode_t)a[1].n &&
		       status.st_rdev == device_number((unsigned)a[2].n, (unsigned)a[3].n));
}

/* expect_device(path) -> true | nil, message, errno
 * That this process may open the device at a path, for reading or for writing, or search the directory: EACCES where
 * neither its mode nor a list of access lets it, EPERM where its mount has nodev. */
static int act_expect_device(const struct arg *a)
{
	struct statfs mount;
	struct stat status;
	long result = RAW(SYS_newfstatat, AT_FDCWD, a[0].p, &status, 0);
	if (result == 0)
		result = RAW(SYS_statfs, a[0].p, &mount);
	if (result < 0)
		return (int)result;
	if ((unsigned long)mount.f_flags & ST_NODEV)
		return -EPERM;
	if (S_ISDIR(status.st_mode))
		return (int)RAW(SYS_faccessat2, AT_FDCWD, a[0].p, X_OK, AT_EACCESS);
	if (!S_ISCHR(status.st_mode) && !S_ISBLK(status.st_mode))
		return -ENOTRECOVERABLE;
	result = RAW(SYS_faccessat2, AT_FDCWD, a[0].p, R_OK, AT_EACCESS);
	return (int)(result < 0 ? RAW(SYS_faccessat2, AT_FDCWD, a[0].p, W_OK, AT_EACCESS) : result);
}

static int look_at(int directory, const char *path, int flags, struct kernel_statx *found)
{
	return (int)raw_statx(directory, path, flags | AT_STATX_DONT_SYNC, KNOW_INODE | KNOW_MOUNT, found);
}

static bool same_place(const struct kernel_statx *a, const struct kernel_statx *b)
{
	return a->mount_id == b->mount_id && a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor;
}

/* expect_root(fd) -> true | nil, message, errno
 * That the root is the mount that the descriptor stands for, and that nothing lies over it: an old root that has
 * stayed would be found by going up from there. */
static int act_expect_root(const struct arg *a)
{
	struct kernel_statx wanted = { 0 }, root = { 0 }, above = { 0 };
	int result = look_at((int)a[0].n, "", AT_EMPTY_PATH, &wanted);
	if (result == 0)
		result = look_at(AT_FDCWD, "/", 0, &root);
	if (result == 0)
		result = look_at(AT_FDCWD, "/..", 0, &above);
	return result < 0 ? result : verdict(same_place(&wanted, &root) && same_place(&root, &above));
}

/* expect_not_root(fd) -> true | nil, message, errno
 * That a descriptor is not the root directory of this process, under whatever name it was opened: what a plan takes
 * for a directory of its own may have been exchanged since. */
static int act_expect_not_root(const struct arg *a)
{
	struct stat it, root;
	long result = RAW(SYS_newfstatat, a[0].n, "", &it, AT_EMPTY_PATH);
	if (result == 0)
		result = RAW(SYS_newfstatat, AT_FDCWD, "/", &root, 0);
	return result < 0 ? (int)result : verdict(it.st_dev != root.st_dev || it.st_ino != root.st_ino);
}

/* expect_same_filesystem(fd, other_fd) -> true | nil, message, errno
 * That two descriptors are of one file system. EXDEV where they are not: a link has led to another mount. */
static int act_expect_same_filesystem(const struct arg *a)
{
	struct stat one, other;
	long result = RAW(SYS_newfstatat, a[0].n, "", &one, AT_EMPTY_PATH);
	if (result == 0)
		result = RAW(SYS_newfstatat, a[1].n, "", &other, AT_EMPTY_PATH);
	if (result == 0 && one.st_dev != other.st_dev)
		result = -EXDEV;
	return (int)result;
}

/* expect_cwd() -> true | nil, message, errno
 * That the working directory can be reached from the root: otherwise it is a way out (CVE-2024-21626). */
static int act_expect_cwd(const struct arg *a)
{
	(void)a;
	char path[PATH_MAX];
	long result = RAW(SYS_getcwd, path, sizeof path);
	if (result < 0)
		return (int)result;
	return verdict(path[0] == '/');
}

/* expect_locked_mounts() [in a plan]
 * That the kernel has locked the mount at the root, and with it, in one go, all below it: what is locked has its setting
 * of access times locked, and no other can be put in its place. Nothing else tells. */
static int act_expect_locked_mounts(const struct arg *a)
{
	(void)a;
	struct statfs root;
	long result = RAW(SYS_statfs, "/", &root);
	if (result < 0)
		return (int)result;
	unsigned long is = (unsigned long)root.f_flags;
	/* These have one number in statfs(2) and mount(2). */
	unsigned long same = is & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NODIRATIME);
	unsigned long other = is & ST_NOATIME ? MS_RELATIME : MS_NOATIME;
	result = RAW(SYS_mount, 0, "/", 0, MS_REMOUNT | MS_BIND | same | other, 0);
	return result == -EPERM ? 0 : result < 0 ? (int)result : -ENOTRECOVERABLE;
}

/* The next number of a text, or -1 at its end. */
static int64_t next_number(const char **text, const char *end)
{
	const char *p = *text;
	int64_t value = -1;
	while (p < end && (*p < '0' || *p > '9'))
		p++;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		value = (value < 0 ? 0 : value * 10) + (*p - '0');
	*text = p;
	return value;
}

/* expect_map(path, text) -> true | nil, message, errno
 * That /proc/self/uid_map or gid_map says what the text says, number by number: the kernel pads its own. */
static int act_expect_map(const struct arg *a)
{
	/* 340 extents, of which the kernel prints each in 33 bytes. */
	char actual[16384];
	long size = 0, count, fd;
	RAW_RETRY(fd, SYS_openat, AT_FDCWD, a[0].p, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return (int)fd;
	do {
		RAW_RETRY(count, SYS_read, fd, actual + size, sizeof actual - (size_t)size);
		size += count > 0 ? count : 0;
	} while (count > 0);
	RAW(SYS_close, fd);
	if (count < 0)
		return (int)count;
	const char *is = actual, *should = a[1].p, *end = actual + size;
	int64_t number;
	do {
		number = next_number(&is, end);
		if (number != next_number(&should, (const char *)a[1].p + a[1].n))
			return -ENOTRECOVERABLE;
	} while (number >= 0);
	return 0;
}

static const struct op rows[] = {
	{ "expect_ids", act_expect_ids, 0, RESULT_TRUE, { { "uid", K_ID }, { "gid", K_ID } } },
	{ "expect_groups", act_expect_groups, 0, RESULT_TRUE, { { "groups", K_IDS } } },
	{ "expect_capabilities", act_expect_capabilities, 0, RESULT_TRUE,
	  { { "effective", K_CAPS },
	    { "permitted", K_CAPS },
	    { "inheritable", K_CAPS },
	    { "bounding", K_CAPS },
	    { "ambient", K_CAPS } } },
	{ "expect_securebits", act_expect_securebits, 0, RESULT_TRUE,
	  { { "bits", K_FLAGS, false, &names_securebits } } },
	{ "expect_no_new_privs", act_expect_no_new_privs, 0, RESULT_TRUE, { { "on", K_BOOL } } },
	{ "expect_namespace", act_expect_namespace, 0, RESULT_TRUE,
	  { { "link", K_PATH }, { "inode", K_LIMIT }, { "same", K_BOOL }, { "dirfd", K_FD, true } } },
	{ "expect_map", act_expect_map, 0, RESULT_TRUE, { { "path", K_PATH }, { "text", K_TEXT } } },
	{ "expect_node", act_expect_node, 0, RESULT_TRUE,
	  { { "fd", K_FD }, { "type", K_NAME, false, &names_node }, { "major", K_MAJOR }, { "minor", K_MINOR } } },
	{ "expect_device", act_expect_device, 0, RESULT_TRUE, { { "path", K_PATH } } },
	{ "expect_root", act_expect_root, 0, RESULT_TRUE, { { "fd", K_FD } } },
	{ "expect_not_root", act_expect_not_root, 0, RESULT_TRUE, { { "fd", K_FD } } },
	{ "expect_same_filesystem", act_expect_same_filesystem, 0, RESULT_TRUE,
	  { { "fd", K_FD }, { "other_fd", K_FD } } },
	{ "expect_locked_mounts", act_expect_locked_mounts, OP_LATER, RESULT_TRUE, { { 0 } } },
	{ "expect_cwd", act_expect_cwd, 0, RESULT_TRUE, { { 0 } } },
};

const struct op_table ops_expect = OP_TABLE(rows);
