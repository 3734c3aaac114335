/* Mounts: mount(2) and umount2(2), pivot_root(2), and the calls that take descriptors (open_tree(2),
 * move_mount(2), mount_setattr(2), fsopen(2)), which are what a root is assembled with: a descriptor
 * cannot be swapped for a symbolic link between the look and the act. */
#include "ops/ops.h"
#include "sys/procfs.h"
#include "sys/raw.h"
#include "sys/remount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/mount.h>
#include <sys/stat.h>

static int directory_of(const struct arg *arg)
{
	return given(arg) ? (int)arg->n : AT_FDCWD;
}

static int empty_path(const struct arg *path, int flag)
{
	return path->n == 0 ? flag : 0;
}

static const char *text_of(const struct arg *arg)
{
	return given(arg) ? arg->p : "";
}

/* mount(source | nil, target [, fstype [, flags [, data]]]) -> true | nil, message, errno
 * mount(2). */
static int act_mount(const struct arg *a)
{
	return (int)RAW(SYS_mount, a[0].p, a[1].p, a[2].p, a[3].n, a[4].p);
}

/* umount2(target [, flags]) -> true | nil, message, errno
 * umount2(2). */
static int act_umount2(const struct arg *a)
{
	return (int)RAW(SYS_umount2, a[0].p, a[1].n);
}

/* pivot_root(new_root, put_old) -> true | nil, message, errno
 * pivot_root(2). */
static int act_pivot_root(const struct arg *a)
{
	return (int)RAW(SYS_pivot_root, a[0].p, a[1].p);
}

/* open_tree(path [, flags [, dirfd]]) -> fd | nil, message, errno
 * open_tree(2): a descriptor of what is mounted at a path; with "clone" of a detached copy. An empty path is `dirfd`
 * itself. */
static int act_open_tree(const struct arg *a)
{
	return (int)RAW(SYS_open_tree, directory_of(&a[2]), a[0].p,
			(unsigned)a[1].n | OPEN_TREE_CLOEXEC | (unsigned)empty_path(&a[0], AT_EMPTY_PATH));
}

/* A directory is mounted on a directory only, and a file on a file. mount(2) says which of them it is, move_mount(2)
 * has EINVAL for that and for more. */
static int wrong_type(int from, const struct arg *to, const char *path)
{
	struct stat source, target;
	if (RAW(SYS_newfstatat, from, "", &source, AT_EMPTY_PATH) < 0 ||
	    RAW(SYS_newfstatat, directory_of(to), path, &target, AT_EMPTY_PATH) < 0 ||
	    S_ISDIR(source.st_mode) == S_ISDIR(target.st_mode))
		return -EINVAL;
	return S_ISDIR(source.st_mode) ? -ENOTDIR : -EISDIR;
}

/* move_mount(from_fd, to_fd | nil [, to_path]) -> true | nil, message, errno
 * Attaches the mount that `from_fd` stands for at `to_fd`, or at `to_path` seen from there: move_mount(2). A directory
 * on a file is ENOTDIR, a file on a directory EISDIR. */
static int act_move_mount(const struct arg *a)
{
	int result = (int)RAW(SYS_move_mount, a[0].n, "", directory_of(&a[1]), text_of(&a[2]),
			      MOVE_MOUNT_F_EMPTY_PATH |
				      (unsigned)(a[2].n == 0 ? MOVE_MOUNT_T_EMPTY_PATH : 0));
	return result == -EINVAL ? wrong_type((int)a[0].n, &a[1], text_of(&a[2])) : result;
}

static int set_attributes(int fd, bool recursive, struct mount_attr *attr)
{
	int result = (int)RAW(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), attr,
			      sizeof *attr);
	if (result == -ENOSYS && !attr->attr_clr && !attr->propagation && !(attr->attr_set & MOUNT_ATTR_IDMAP))
		result = remount(fd, recursive, attr->attr_set);
	return result;
}

/* mount_setattr(fd, recursive, set [, clear [, propagation [, userns_fd]]]) -> true | nil, message, errno
 * mount_setattr(2). Before Linux 5.12 mounts are found in /proc and remounted: they have to be attached, and neither
 * access times nor `clear` nor `propagation` can be given. With `userns_fd` a detached mount is ID-mapped: an owner
 * that its file system has is shown as what the map of that user namespace makes of it.
 * userns_fd: of a user namespace */
static int act_mount_setattr(const struct arg *a)
{
	struct mount_attr attr = {
		.attr_set = (uint64_t)a[2].n | (given(&a[5]) ? MOUNT_ATTR_IDMAP : 0),
		.attr_clr = (uint64_t)a[3].n,
		.propagation = (uint64_t)a[4].n,
		.userns_fd = (uint64_t)a[5].n,
	};
	/* The access time settings are one field of several bits: to set one is to clear the field. */
	if (attr.attr_set & MOUNT_ATTR__ATIME)
		attr.attr_clr |= MOUNT_ATTR__ATIME;
	return set_attributes((int)a[0].n, a[1].n, &attr);
}

/* fsopen(fstype) -> fd | nil, message, errno
 * fsopen(2): the beginning of a new mount of a file system type. */
static int act_fsopen(const struct arg *a)
{
	return (int)RAW(SYS_fsopen, a[0].p, FSOPEN_CLOEXEC);
}

/* fsconfig(fd, command [, key [, value]]) -> true | nil, message, errno
 * fsconfig(2). */
static int act_fsconfig(const struct arg *a)
{
	return (int)RAW(SYS_fsconfig, a[0].n, a[1].n, a[2].p, a[3].p, 0);
}

/* fsconfig_at(fd, key, dirfd [, path]) -> true | nil, message, errno
 * fsconfig(2), FSCONFIG_SET_STRING: sets a parameter that is a path to what a descriptor stands for, or to a path seen
 * from there. For file systems that take no descriptors (overlay).
 * fd: of fsopen
 * key: "upperdir" */
static int act_fsconfig_at(const struct arg *a)
{
	char path[PATH_MAX];
	int size = procfs_fd_path(path, sizeof path, a[2].n, text_of(&a[3]), a[3].n);
	return size < 0 ? size : (int)RAW(SYS_fsconfig, a[0].n, FSCONFIG_SET_STRING, a[1].p, path, 0);
}

/* open_tree_of(fd [, flags]) -> fd | nil, message, errno
 * open_tree(2) of the object that a descriptor stands for, in this mount namespace: the descriptor itself is of the
 * mount namespace where it was opened. ESTALE where the path has another object by now. */
static int act_open_tree_of(const struct arg *a)
{
	char link[64], path[PATH_MAX];
	struct stat wanted, found;
	procfs_fd_path(link, sizeof link, a[0].n, "", 0);
	long result = RAW(SYS_newfstatat, a[0].n, "", &wanted, AT_EMPTY_PATH);
	if (result == 0)
		result = RAW(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
	if (result < 0)
		return (int)result;
	path[result] = '\0';
	if (path[0] != '/')
		return -ESTALE;
	int tree = (int)RAW(SYS_open_tree, AT_FDCWD, path,
			    (unsigned)a[1].n | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	if (tree < 0)
		return tree;
	result = RAW(SYS_newfstatat, tree, "", &found, AT_EMPTY_PATH);
	if (result == 0 && (wanted.st_dev != found.st_dev || wanted.st_ino != found.st_ino))
		result = -ESTALE;
	if (result == 0)
		return tree;
	RAW(SYS_close, tree);
	return (int)result;
}

/* mask(fd, null_fd, empty_fd) -> true | nil, message, errno
 * Covers what `fd` stands for, read-only: a directory with an empty one, anything else with /dev/null. Both covers
 * have to be mounted somewhere: of detached mounts there are no copies before Linux 6.15.
 * null_fd: of /dev/null
 * empty_fd: of an empty directory */
static int act_mask(const struct arg *a)
{
	struct stat status;
	long result = RAW(SYS_newfstatat, a[0].n, "", &status, AT_EMPTY_PATH);
	if (result < 0)
		return (int)result;
	int64_t cover = S_ISDIR(status.st_mode) ? a[2].n : a[1].n;
	int tree = (int)RAW(SYS_open_tree, cover, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0)
		return tree;
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC };
	result = RAW(SYS_move_mount, tree, "", a[0].n, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
	if (result == 0)
		result = set_attributes(tree, false, &attr);
	RAW(SYS_close, tree);
	return (int)result;
}

/* fsmount(fd [, attributes]) -> fd | nil, message, errno
 * fsmount(2): a detached mount. */
static int act_fsmount(const struct arg *a)
{
	return (int)RAW(SYS_fsmount, a[0].n, FSMOUNT_CLOEXEC, a[1].n);
}

/* chroot(path) -> true | nil, message, errno
 * chroot(2). A way out stays open: see pivot_root. */
static int act_chroot(const struct arg *a)
{
	return (int)RAW(SYS_chroot, a[0].p);
}

static const struct op rows[] = {
	{ "mount", act_mount, 0, RESULT_TRUE,
	  { { "source", K_TEXT, true },
	    { "target", K_PATH },
	    { "fstype", K_TEXT, true },
	    { "flags", K_FLAGS, true, &names_mount },
	    { "data", K_TEXT, true } } },
	{ "umount2", act_umount2, 0, RESULT_TRUE,
	  { { "target", K_PATH }, { "flags", K_FLAGS, true, &names_umount } } },
	{ "pivot_root", act_pivot_root, 0, RESULT_TRUE, { { "new_root", K_PATH }, { "put_old", K_PATH } } },
	{ "open_tree", act_open_tree, 0, RESULT_FD,
	  { { "path", K_TEXT }, { "flags", K_FLAGS, true, &names_open_tree }, { "dirfd", K_FD, true } } },
	{ "move_mount", act_move_mount, 0, RESULT_TRUE,
	  { { "from_fd", K_FD }, { "to_fd", K_FD, true }, { "to_path", K_PATH, true } } },
	{ "mount_setattr", act_mount_setattr, 0, RESULT_TRUE,
	  { { "fd", K_FD },
	    { "recursive", K_BOOL },
	    { "set", K_FLAGS, false, &names_mount_attr },
	    { "clear", K_FLAGS, true, &names_mount_attr },
	    { "propagation", K_NAME, true, &names_propagation },
	    { "userns_fd", K_FD, true } } },
	{ "fsopen", act_fsopen, 0, RESULT_FD, { { "fstype", K_TEXT } } },
	{ "fsconfig", act_fsconfig, 0, RESULT_TRUE,
	  { { "fd", K_FD },
	    { "command", K_NAME, false, &names_fsconfig },
	    { "key", K_TEXT, true },
	    { "value", K_TEXT, true } } },
	{ "fsconfig_at", act_fsconfig_at, 0, RESULT_TRUE,
	  { { "fd", K_FD }, { "key", K_TEXT }, { "dirfd", K_FD }, { "path", K_PATH, true } } },
	{ "open_tree_of", act_open_tree_of, 0, RESULT_FD,
	  { { "fd", K_FD }, { "flags", K_FLAGS, true, &names_open_tree } } },
	{ "mask", act_mask, 0, RESULT_TRUE, { { "fd", K_FD }, { "null_fd", K_FD }, { "empty_fd", K_FD } } },
	{ "fsmount", act_fsmount, 0, RESULT_FD,
	  { { "fd", K_FD }, { "attributes", K_FLAGS, true, &names_mount_attr } } },
	{ "chroot", act_chroot, 0, RESULT_TRUE, { { "path", K_PATH } } },
};

const struct op_table ops_mount = OP_TABLE(rows);
