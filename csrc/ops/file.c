/* Files and directories, by path. Everything that is opened here is close-on-exec. */
#include "ops/ops.h"
#include "sys/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/statfs.h>
#include <sys/stat.h>

static int directory_of(const struct arg *arg)
{
	return given(arg) ? (int)arg->n : AT_FDCWD;
}

/* chdir(path) -> true | nil, message, errno
 * chdir(2). */
static int act_chdir(const struct arg *a)
{
	return (int)RAW(SYS_chdir, a[0].p);
}

/* chdir_first(paths) -> true | nil, message, errno
 * chdir(2) to the first of these that is there and can be entered; what is wrong with the last if none is. */
static int act_chdir_first(const struct arg *a)
{
	const char *const *paths = a[0].p;
	long result = -ENOENT;
	for (; *paths && result < 0; paths++)
		result = RAW(SYS_chdir, *paths);
	return (int)result;
}

/* fchdir(fd) -> true | nil, message, errno
 * fchdir(2). */
static int act_fchdir(const struct arg *a)
{
	return (int)RAW(SYS_fchdir, a[0].n);
}

/* mkdir(path, mode [, dirfd]) -> true | nil, message, errno
 * mkdirat(2).
 * mode: 0 to 4095, less the umask */
static int act_mkdir(const struct arg *a)
{
	return (int)RAW(SYS_mkdirat, directory_of(&a[2]), a[0].p, a[1].n);
}

/* symlink(target, path [, dirfd]) -> true | nil, message, errno
 * symlinkat(2). */
static int act_symlink(const struct arg *a)
{
	return (int)RAW(SYS_symlinkat, a[0].p, directory_of(&a[2]), a[1].p);
}

/* make_symlink(target, path [, dirfd]) -> true | nil, message, errno
 * symlinkat(2). A link that is there already and says the same is as good. EEXIST: it says something else; EINVAL:
 * what is there is no link. */
static int act_make_symlink(const struct arg *a)
{
	char found[PATH_MAX];
	int directory = directory_of(&a[2]);
	long result = RAW(SYS_symlinkat, a[0].p, directory, a[1].p);
	if (result != -EEXIST)
		return (int)result;
	long size = RAW(SYS_readlinkat, directory, a[1].p, found, sizeof found);
	if (size == -EINVAL)
		return -EINVAL;
	if (size != a[0].n)
		return (int)result;
	for (long i = 0; i < size; i++)
		if (found[i] != ((const char *)a[0].p)[i])
			return (int)result;
	return 0;
}

/* mknod(path, type, mode [, major [, minor [, dirfd]]]) -> true | nil, message, errno
 * mknodat(2).
 * mode: 0 to 4095, less the umask */
static int act_mknod(const struct arg *a)
{
	dev_t device = device_number((unsigned)a[3].n, (unsigned)a[4].n);
	return (int)RAW(SYS_mknodat, directory_of(&a[5]), a[0].p, a[1].n | a[2].n, device);
}

/* openat2 refuses a mode where nothing is created; otherwise it is that of open(3) unless given. */
static uint64_t how_mode(const struct arg *a)
{
	if (given(&a[4]))
		return (uint64_t)a[4].n;
	return a[1].n & O_CREAT ? 0666 : 0;
}

/* openat2(path, flags [, resolve [, dirfd [, mode]]]) -> fd | nil, message, errno
 * openat2(2).
 * mode: of a file that is made, less the umask: 438 (0666) */
static int act_openat2(const struct arg *a)
{
	struct open_how how = {
		.flags = (uint64_t)a[1].n | O_CLOEXEC | O_NOCTTY,
		.resolve = (uint64_t)a[2].n,
		.mode = how_mode(a),
	};
	/* O_PATH takes no O_NOCTTY: openat2, unlike open, refuses what it would ignore. */
	if (how.flags & O_PATH)
		how.flags &= ~(uint64_t)O_NOCTTY;
	long result = 0;
	/* With RESOLVE_IN_ROOT a rename elsewhere in the tree makes the kernel give up: EAGAIN. */
	for (int attempts = 0; attempts < 128; attempts++) {
		result = RAW(SYS_openat2, directory_of(&a[3]), a[0].p, &how, sizeof how);
		if (result != -EAGAIN && result != -EINTR)
			break;
	}
	return (int)result;
}

static bool is_proc_path(const char *path)
{
	const char *prefix = "/proc/";
	while (*prefix && *path == *prefix) {
		path++;
		prefix++;
	}
	return *prefix == '\0';
}

/* Writes `data` in one write(2): for files of /proc, where a second write is another request. */
static int write_once(int directory, const char *path, int flags, unsigned mode, const void *data, size_t size)
{
	long fd, result;
	RAW_RETRY(fd, SYS_openat, directory, path, O_WRONLY | O_CLOEXEC | O_NOCTTY | flags, mode);
	if (fd < 0)
		return (int)fd;
	struct statfs fs;
	if (is_proc_path(path)) {
		/* A file system that only looks like /proc would swallow the write (CVE-2019-16884). */
		result = RAW(SYS_fstatfs, fd, &fs);
		if (result == 0 && fs.f_type != PROC_SUPER_MAGIC)
			result = -EXDEV;
		if (result < 0)
			goto out;
	}
	RAW_RETRY(result, SYS_write, fd, data, size);
	if (result >= 0 && (size_t)result != size)
		result = -EIO;
out:
	RAW(SYS_close, fd);
	return result < 0 ? (int)result : 0;
}

/* Opens `path` below a root as a process confined to that root would, whatever links there are. */
static int open_in_root(int root, const char *path, uint64_t flags, unsigned mode)
{
	struct arg args[] = {
		{ .state = ARG_GIVEN, .p = path },
		{ .state = ARG_GIVEN, .n = (int64_t)flags },
		{ .state = ARG_GIVEN, .n = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS },
		{ .state = ARG_GIVEN, .n = root },
		{ .state = ARG_GIVEN, .n = mode },
	};
	return act_openat2(args);
}

/* Makes a directory of a mode, whatever the umask. That files in it get its group is the business of the one above. */
static int make_directory(int parent, const char *name, mode_t mode)
{
	enum { DECIDED = 07777 & ~S_ISGID };
	struct stat made;
	long result = RAW(SYS_mkdirat, parent, name, mode);
	if (result == 0)
		result = RAW(SYS_newfstatat, parent, name, &made, AT_SYMLINK_NOFOLLOW);
	if (result < 0 || (made.st_mode & DECIDED) == (mode & DECIDED))
		return (int)result;
	int fd = (int)RAW(SYS_openat, parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fd;
	result = RAW(SYS_fchmod, fd, mode | (made.st_mode & S_ISGID));
	RAW(SYS_close, fd);
	return (int)result;
}

/* Makes the last component of `path`: a file, or a directory. `path` is cut at its slash and mended. The parent
 * has to be on the file system of `within`: a link may lead from there to another. */
static int make_entry(int root, char *path, unsigned mode, const struct stat *within)
{
	char *name = path;
	for (char *p = path; *p; p++)
		if (*p == '/')
			name = p + 1;
	char *slash = name > path ? name - 1 : NULL;
	if (slash)
		*slash = '\0';
	int parent = open_in_root(root, slash && slash > path ? path : "/", O_PATH | O_DIRECTORY, 0);
	if (slash)
		*slash = '/';
	if (parent < 0)
		return parent;
	struct stat status;
	long result = RAW(SYS_newfstatat, parent, "", &status, AT_EMPTY_PATH);
	if (result == 0 && within && status.st_dev != within->st_dev)
		result = -EXDEV;
	/* Neither follows a link at its end. */
	if (result == 0 && S_ISREG(mode))
		result = RAW(SYS_mknodat, parent, name, mode, 0);
	else if (result == 0)
		result = make_directory(parent, name, mode & 07777);
	RAW(SYS_close, parent);
	return (int)result;
}

/* make_target(path, root_fd [, within_fd [, like_fd [, parents [, mode]]]]) -> true | nil, message, errno
 * Makes what is missing of a path below a root, so that something can be mounted there: directories, and at the end a
 * file where `like_fd` is not a directory. No link leads out of the root.
 * within_fd: on the only file system that something is made on: elsewhere EXDEV
 * parents: the mode of directories, less the umask: 493 (0755)
 * mode: that of a directory at the end, if another */
static int act_make_target(const struct arg *a)
{
	char path[PATH_MAX];
	struct stat within, like = { .st_mode = S_IFDIR };
	int root = (int)a[1].n, length = (int)a[0].n;
	unsigned parents = given(&a[4]) ? (unsigned)a[4].n : 0755;
	long result = 0;
	if (given(&a[2]))
		result = RAW(SYS_newfstatat, a[2].n, "", &within, AT_EMPTY_PATH);
	if (result == 0 && given(&a[3]))
		result = RAW(SYS_newfstatat, a[3].n, "", &like, AT_EMPTY_PATH);
	unsigned last = S_IFREG | 0444; /* nobody is to write there */
	if (S_ISDIR(like.st_mode))
		last = given(&a[5]) ? (unsigned)a[5].n : parents;
	for (int i = 0; i < length; i++)
		path[i] = ((const char *)a[0].p)[i];
	while (length > 1 && path[length - 1] == '/')
		length--;
	path[length] = '\0';
	for (int i = 1; i <= length && result >= 0; i++) {
		if ((path[i] != '/' && path[i] != '\0') || path[i - 1] == '/')
			continue;
		char after = path[i];
		path[i] = '\0';
		int found = open_in_root(root, path, O_PATH, 0);
		if (found >= 0)
			RAW(SYS_close, found);
		else if (found == -ENOENT)
			result = make_entry(root, path, i == length ? last : parents, given(&a[2]) ? &within : NULL);
		else
			result = found;
		path[i] = after;
	}
	return result < 0 ? (int)result : 0;
}

/* write_file(path, data [, flags [, mode [, dirfd]]]) -> true | nil, message, errno
 * Opens, writes in one write(2), closes. Less than all of the data is EIO. Without "creat" the file has to exist. A
 * path below /proc that is not on a procfs is EXDEV.
 * mode: of a file that is made, less the umask: 438 (0666) */
static int act_write_file(const struct arg *a)
{
	return write_once(directory_of(&a[4]), a[0].p, (int)a[2].n, given(&a[3]) ? (unsigned)a[3].n : 0666, a[1].p,
			  (size_t)a[1].n);
}

/* umask(mask) -> the mask before
 * umask(2). */
static int act_umask(const struct arg *a)
{
	return (int)RAW(SYS_umask, a[0].n);
}

static const struct op rows[] = {
	{ "chdir", act_chdir, 0, RESULT_TRUE, { { "path", K_PATH } } },
	{ "chdir_first", act_chdir_first, 0, RESULT_TRUE, { { "paths", K_STRINGS } } },
	{ "fchdir", act_fchdir, 0, RESULT_TRUE, { { "fd", K_FD } } },
	{ "mkdir", act_mkdir, 0, RESULT_TRUE,
	  { { "path", K_PATH }, { "mode", K_MODE }, { "dirfd", K_FD, true } } },
	{ "symlink", act_symlink, 0, RESULT_TRUE,
	  { { "target", K_PATH }, { "path", K_PATH }, { "dirfd", K_FD, true } } },
	{ "make_symlink", act_make_symlink, 0, RESULT_TRUE,
	  { { "target", K_PATH }, { "path", K_PATH }, { "dirfd", K_FD, true } } },
	{ "mknod", act_mknod, 0, RESULT_TRUE,
	  { { "path", K_PATH },
	    { "type", K_NAME, false, &names_node },
	    { "mode", K_MODE },
	    { "major", K_MAJOR, true },
	    { "minor", K_MINOR, true },
	    { "dirfd", K_FD, true } } },
	{ "openat2", act_openat2, 0, RESULT_FD,
	  { { "path", K_PATH },
	    { "flags", K_FLAGS, false, &names_open },
	    { "resolve", K_FLAGS, true, &names_resolve },
	    { "dirfd", K_FD, true },
	    { "mode", K_MODE, true } } },
	{ "make_target", act_make_target, 0, RESULT_TRUE,
	  { { "path", K_PATH },
	    { "root_fd", K_FD },
	    { "within_fd", K_FD, true },
	    { "like_fd", K_FD, true },
	    { "parents", K_MODE, true },
	    { "mode", K_MODE, true } } },
	{ "write_file", act_write_file, 0, RESULT_TRUE,
	  { { "path", K_PATH },
	    { "data", K_DATA },
	    { "flags", K_FLAGS, true, &names_open },
	    { "mode", K_MODE, true },
	    { "dirfd", K_FD, true } } },
	{ "umask", act_umask, 0, RESULT_INT, { { "mask", K_MODE } } },
};

const struct op_table ops_file = OP_TABLE(rows);
