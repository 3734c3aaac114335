/* What a program may do that makes a user namespace of its own, in which it has every capability. */
#include "hostile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif

static char place[64], old_root[80]; /* directories to mount on */

static void make_places(void) {
  snprintf(place, sizeof place, "/tmp/hostile-%d", (int)getpid());
  snprintf(old_root, sizeof old_root, "%s/old", place);
  mkdir(place, 0700);
  mkdir(old_root, 0700);
}

void remove_places(int pid) {
  snprintf(place, sizeof place, "/tmp/hostile-%d", pid);
  snprintf(old_root, sizeof old_root, "%s/old", place);
  rmdir(old_root);
  rmdir(place);
}

/* Takes all capabilities in a new user namespace, with what else is asked for. They are there without a map of IDs
 * too, which who is root already may not write. */
static int become_root(int flags) {
  char uid[64], gid[64];
  snprintf(uid, sizeof uid, "0 %u 1", (unsigned)geteuid());
  snprintf(gid, sizeof gid, "0 %u 1", (unsigned)getegid());
  make_places();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS | flags) < 0) return -1;
  write_text("/proc/self/setgroups", "deny");
  if (write_text("/proc/self/uid_map", uid) == 0) write_text("/proc/self/gid_map", gid);
  return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

#define OR_TELL(call) \
  if ((call) < 0) return verdict(-1)

static void root_there(const char *unused) {
  (void)unused;
  verdict(become_root(0));
}

static void unmount(const char *path) {
  OR_TELL(become_root(0));
  verdict(umount2(path, MNT_DETACH));
}

/* The flags that it has, but for read-only. */
static unsigned long flags_of(const char *path) {
  struct statvfs info;
  if (statvfs(path, &info) < 0) return 0;
  unsigned long flags = 0;
  if (info.f_flag & ST_NOSUID) flags |= MS_NOSUID;
  if (info.f_flag & ST_NODEV) flags |= MS_NODEV;
  if (info.f_flag & ST_NOEXEC) flags |= MS_NOEXEC;
  if (info.f_flag & ST_RELATIME) flags |= MS_RELATIME;
  return flags;
}

static void remount(const char *path) {
  OR_TELL(become_root(0));
  verdict(mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | flags_of(path), NULL));
}

/* As it is, but devices work. */
static void remount_devices(const char *path) {
  OR_TELL(become_root(0));
  struct statvfs info;
  statvfs(path, &info);
  verdict(mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | (flags_of(path) & ~(unsigned long)MS_NODEV) |
                (info.f_flag & ST_RDONLY ? MS_RDONLY : 0), NULL));
}

static void bind_writable(const char *path) {
  OR_TELL(become_root(0));
  OR_TELL(mount(path, place, NULL, MS_BIND | MS_REC, NULL));
  verdict(mount(NULL, place, NULL, MS_REMOUNT | MS_BIND | flags_of(path), NULL));
}

/* What lies below a mount: bound without what covers it. */
static void uncover(const char *path) {
  OR_TELL(become_root(0));
  verdict(mount(path, place, NULL, MS_BIND, NULL));
}

static void move(const char *path) {
  OR_TELL(become_root(0));
  verdict(mount(path, place, NULL, MS_MOVE, NULL));
}

static void clone_writable(const char *path) {
  OR_TELL(become_root(0));
  long tree = syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC);
  OR_TELL(tree);
  struct {
    unsigned long long set, clear, propagation, fd;
  } change = {.clear = MS_RDONLY};
  verdict(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &change, sizeof change));
}

/* After pivot_root into a file system of one's own, is there an old root to go back to? */
static void pivot(const char *unused) {
  (void)unused;
  struct stat before, old;
  OR_TELL(become_root(0));
  OR_TELL(stat("/", &before));
  OR_TELL(mount(place, place, NULL, MS_BIND, NULL));
  OR_TELL(syscall(SYS_pivot_root, place, old_root));
  OR_TELL(chdir("/old"));
  for (int i = 0; i < 64; i++) OR_TELL(chdir(".."));
  OR_TELL(stat("/old", &old));
  say(old.st_ino == before.st_ino && old.st_dev == before.st_dev ? "its own root" : "another root");
}

/* The old way out of chroot(2). */
static void chroot_escape(const char *unused) {
  (void)unused;
  struct stat root, here;
  OR_TELL(stat("/", &root));
  OR_TELL(become_root(0));
  int outside = open("/", O_RDONLY | O_DIRECTORY);
  OR_TELL(chroot(place));
  OR_TELL(fchdir(outside));
  for (int i = 0; i < 64; i++) OR_TELL(chdir(".."));
  OR_TELL(chroot("."));
  OR_TELL(stat("/", &here));
  say(here.st_ino == root.st_ino && here.st_dev == root.st_dev ? "its own root" : "another root");
}

static void in_child(void (*act)(const char *), const char *argument) {
  pid_t child = fork();
  if (child == 0) {
    act(argument);
    fflush(stdout);
    _exit(0);
  }
  waitpid(child, NULL, 0);
}

static void open_in_new_proc(const char *name) {
  char path[256];
  OR_TELL(mount("proc", place, "proc", 0, NULL));
  snprintf(path, sizeof path, "%s/%s", place, name);
  verdict(open(path, O_WRONLY | O_CLOEXEC));
}

/* A file of a proc mount of one's own: the masks of the container's are not on it. */
static void new_proc(const char *name) {
  OR_TELL(become_root(CLONE_NEWPID));
  in_child(open_in_new_proc, name);
}

/* Mounts a file system, and says which of its files can be opened for writing. */
static void new_file_system(const char *type, const char *data) {
  OR_TELL(mount(type, place, type, 0, data));
  int found = 0;
  DIR *stream = opendir(place);
  struct dirent *entry;
  while (stream && (entry = readdir(stream))) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", place, entry->d_name);
    if (entry->d_type != DT_REG || open(path, O_WRONLY | O_CLOEXEC) < 0) continue;
    say("writes %s", entry->d_name);
    found = 1;
  }
  if (!found) say("nothing to write");
}

static void new_sysfs(const char *unused) {
  (void)unused;
  OR_TELL(become_root(CLONE_NEWNET));
  new_file_system("sysfs", NULL);
}

static void new_cgroup2(const char *unused) {
  (void)unused;
  OR_TELL(become_root(CLONE_NEWCGROUP));
  new_file_system("cgroup2", NULL);
}

static void new_cgroup1(const char *controller) {
  OR_TELL(become_root(CLONE_NEWCGROUP));
  new_file_system("cgroup", controller);
}

static void device(const char *unused) {
  (void)unused;
  OR_TELL(become_root(0));
  OR_TELL(mount("none", place, "tmpfs", 0, NULL));
  OR_TELL(chdir(place));
  OR_TELL(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
  verdict(open("null", O_RDWR));
}

static void by_handle(const char *path) {
  union {
    struct file_handle handle;
    char room[sizeof(struct file_handle) + 128];
  } file = {.handle.handle_bytes = 128};
  OR_TELL(become_root(0));
  int mount_id, directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  OR_TELL(directory);
  OR_TELL(name_to_handle_at(directory, "", &file.handle, &mount_id, AT_EMPTY_PATH));
  memset(file.handle.f_handle, 0, 8);
  file.handle.f_handle[0] = 2;
  verdict(open_by_handle_at(directory, &file.handle, O_RDONLY | O_CLOEXEC));
}

static void other_map(const char *outside) {
  char map[64];
  snprintf(map, sizeof map, "0 %s 1", outside);
  OR_TELL(unshare(CLONE_NEWUSER));
  write_text("/proc/self/setgroups", "deny");
  verdict(write_text("/proc/self/uid_map", map));
}

const struct attempt nested_attempts[] = {
    {"nested", root_there},
    {"nested_umount", unmount},
    {"nested_remount", remount},
    {"nested_devices", remount_devices},
    {"nested_bind", bind_writable},
    {"nested_uncover", uncover},
    {"nested_move", move},
    {"nested_clone", clone_writable},
    {"nested_pivot", pivot},
    {"nested_chroot", chroot_escape},
    {"nested_proc", new_proc},
    {"nested_sysfs", new_sysfs},
    {"nested_cgroup2", new_cgroup2},
    {"nested_cgroup1", new_cgroup1},
    {"nested_mknod", device},
    {"nested_handle", by_handle},
    {"nested_map", other_map},
    {NULL, NULL},
};
