/* Mounts, roots, namespaces: with the rights that the program has. */
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

static void unmount(const char *path) { verdict(umount2(path, MNT_DETACH)); }

static void remount(const char *path) { verdict(mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL)); }

static void mount_tmpfs(const char *path) { verdict(mount("none", path, "tmpfs", 0, NULL)); }

/* The same by the other call. */
static int clear_readonly(int fd, const char *path, unsigned flags) {
  struct {
    unsigned long long set, clear, propagation, userns;
  } change = {.clear = MS_RDONLY};
  return (int)syscall(SYS_mount_setattr, fd, path, flags, &change, sizeof change);
}

static void set_attributes(const char *path) { verdict(clear_readonly(AT_FDCWD, path, 0)); }

/* Elsewhere: of a mount of the program's own, what came along is to be as it was. */
static void rebind(const char *path) {
  if (mount(path, "/tmp", NULL, MS_BIND | MS_REC, NULL) < 0) return verdict(-1);
  verdict(mount(NULL, "/tmp", NULL, MS_REMOUNT | MS_BIND, NULL));
  umount2("/tmp", MNT_DETACH);
}

static void clone_tree(const char *path) {
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, path, 1 /* OPEN_TREE_CLONE */ | 0x8000 /* AT_RECURSIVE */);
  verdict(tree < 0 ? -1 : clear_readonly(tree, "", AT_EMPTY_PATH));
  if (tree >= 0) close(tree);
}

/* What lies below a mount: what it is mounted on, bound without it. */
static void uncover(const char *path) {
  int returned = mount(path, "/tmp", NULL, MS_BIND, NULL);
  verdict(returned);
  if (returned == 0) umount2("/tmp", MNT_DETACH);
}

static void move(const char *path) {
  int returned = mount(path, "/tmp", NULL, MS_MOVE, NULL);
  verdict(returned);
  if (returned == 0) mount("/tmp", path, NULL, MS_MOVE, NULL);
}

static void make_device(const char *path) {
  int returned = mknod(path, S_IFCHR | 0666, makedev(1, 3));
  verdict(returned);
  if (returned == 0) unlink(path);
}

static void change_root(const char *path) { verdict(chroot(path)); }

/* Linux 5.10 follows a link in /proc/PID/ns that it refuses to the directory that the link is in. */
static int open_namespace(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || ioctl(fd, NS_GET_NSTYPE) >= 0) return fd;
  close(fd);
  errno = EACCES;
  return -1;
}

static void namespace_of(const char *path) { verdict(open_namespace(path)); }

static void enter(const char *path) {
  int fd = open_namespace(path);
  verdict(fd < 0 ? -1 : setns(fd, 0));
}

/* To the namespace above, or the one that owns this one. */
static void parent_of(const char *path) {
  int fd = open_namespace(path);
  verdict(fd < 0 ? -1 : ioctl(fd, NS_GET_PARENT));
}

/* The root of the file system that a directory lies in, by a handle (its inode is 2 on ext4): needs no path. */
static void by_handle(const char *path) {
  union {
    struct file_handle handle;
    char room[sizeof(struct file_handle) + 128];
  } file = {.handle.handle_bytes = 128};
  int mount_id, directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0 || name_to_handle_at(directory, "", &file.handle, &mount_id, AT_EMPTY_PATH) < 0) return verdict(-1);
  if (file.handle.handle_type == 1) {
    memset(file.handle.f_handle, 0, 8);
    file.handle.f_handle[0] = 2;
  }
  verdict(open_by_handle_at(directory, &file.handle, O_RDONLY | O_CLOEXEC));
}

/* Every mount: its place, its file system, and what keeps a program from it. */
static void mounts(const char *unused) {
  (void)unused;
  FILE *file = fopen("/proc/self/mountinfo", "r");
  char line[8192], place[4096], options[512], type[128];
  while (file && fgets(line, sizeof line, file)) {
    const char *dash = strstr(line, " - ");
    if (dash && sscanf(line, "%*s %*s %*s %*s %4095s %511s", place, options) == 2 && sscanf(dash, " - %127s", type) == 1)
      say("%s %s %s", place, type, options);
  }
}

const struct attempt mount_attempts[] = {
    {"umount", unmount},
    {"remount", remount},
    {"setattr", set_attributes},
    {"rebind", rebind},
    {"clone", clone_tree},
    {"uncover", uncover},
    {"move", move},
    {"mount", mount_tmpfs},
    {"mknod", make_device},
    {"chroot", change_root},
    {"namespace", namespace_of},
    {"setns", enter},
    {"parent", parent_of},
    {"handle", by_handle},
    {"mounts", mounts},
    {NULL, NULL},
};
