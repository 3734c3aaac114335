/* Files, switches of the kernel, devices, and descriptors that were left open. */
#include "hostile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void attempt_open(const char *path, int flags) {
  int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  verdict(fd);
}

static void read_open(const char *path) { attempt_open(path, O_RDONLY); }
static void write_open(const char *path) { attempt_open(path, O_WRONLY); }
static void both_open(const char *path) { attempt_open(path, O_RDWR); }

static void content(const char *path) {
  const char *text = text_of(path);
  if (*text)
    say("%.*s", (int)strcspn(text, "\n"), text);
  else
    verdict(-1);
}

/* Makes a file, and takes it away again. */
static void create(const char *path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  verdict(fd);
  if (fd >= 0) unlink(path);
}

static void hard_link(const char *path) {
  int returned = link(path, "/tmp/hard-link");
  verdict(returned);
  if (returned == 0) unlink("/tmp/hard-link");
}

/* Turns back on a file what was only handed in to be read. */
static void change_mode(const char *number) { verdict(fchmod(atoi(number), 0666)); }

static void is_there(const char *path) {
  struct stat info;
  verdict(lstat(path, &info));
}

typedef void visitor(const char *path, int type);

static int is_number(const char *name) { return name[strspn(name, "0123456789")] == 0; }

/* Every file below a directory, through all mounts; of /proc what is about the machine, not about processes. */
static void walk(const char *directory, visitor *visit) {
  int in_proc = !strcmp(directory, "/proc");
  DIR *stream = opendir(directory);
  if (!stream) return;
  struct dirent *entry;
  while ((entry = readdir(stream))) {
    const char *name = entry->d_name;
    if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
    if (in_proc && (is_number(name) || !strcmp(name, "self") || !strcmp(name, "thread-self"))) continue;
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", strcmp(directory, "/") ? directory : "", name) >= (int)sizeof path)
      continue;
    int type = entry->d_type;
    if (type == DT_UNKNOWN) {
      struct stat info;
      if (lstat(path, &info) < 0) continue;
      type = IFTODT(info.st_mode);
    }
    if (type == DT_DIR)
      walk(path, visit);
    else
      visit(path, type);
  }
  closedir(stream);
}

static void try_to_write(const char *path, int type) {
  if (type != DT_REG) return;
  int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  struct stat info;
  /* Over some there is a device that swallows what is written. */
  if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) say("%s", path);
  if (fd >= 0) close(fd);
}

static void writable(const char *directory) { walk(directory, try_to_write); }

/* What is no file, directory or link. A device is opened, but for one that acts when it is. */
static void show_node(const char *path, int type) {
  const char *kind = type == DT_CHR ? "char" : type == DT_BLK ? "block" : type == DT_SOCK ? "socket" :
                     type == DT_FIFO ? "fifo" : NULL;
  if (!kind) return;
  struct stat info;
  if (type != DT_CHR && type != DT_BLK) {
    say("%s %s", kind, path);
  } else if (strstr(path, "watchdog") || lstat(path, &info) < 0) {
    say("%s %s unseen", kind, path);
  } else {
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    say("%s %s %u:%u %s", kind, path, major(info.st_rdev), minor(info.st_rdev),
        fd >= 0 ? "opens" : strerrorname_np(errno));
    if (fd >= 0) close(fd);
  }
}

/* What a directory tells of a name does not know of a mount on it. */
static void nodes(const char *directory) {
  walk(directory, show_node);
  FILE *file = fopen("/proc/self/mountinfo", "r");
  char line[8192], place[4096];
  struct stat info;
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "%*s %*s %*s %*s %4095s", place) == 1 && lstat(place, &info) == 0)
      show_node(place, IFTODT(info.st_mode));
}

static void descriptors(const char *most) {
  for (int fd = 0; fd < (*most ? atoi(most) : 4096); fd++) {
    struct stat info;
    if (fstat(fd, &info) < 0) continue;
    char name[64], target[512];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = 0;
    const char *kind = S_ISREG(info.st_mode) ? "file" : S_ISDIR(info.st_mode) ? "directory" :
                       S_ISCHR(info.st_mode) ? "char" : S_ISFIFO(info.st_mode) ? "pipe" :
                       S_ISSOCK(info.st_mode) ? "socket" : "other";
    say("%d %s %s", fd, kind, target);
  }
}

/* FD:MODE, with r, w or b for both: opens again what a descriptor leads to. */
static void reopen(const char *argument) {
  char name[64];
  snprintf(name, sizeof name, "/proc/self/fd/%d", atoi(argument));
  char mode = argument[strcspn(argument, ":") + 1];
  attempt_open(name, mode == 'r' ? O_RDONLY : mode == 'w' ? O_WRONLY : O_RDWR);
}

/* From a directory that was handed in, upwards. */
static void upwards(const char *number) {
  char path[64], target[4096];
  if (fchdir(atoi(number)) < 0) return verdict(-1);
  for (int i = 0; i < 64; i++)
    if (chdir("..") < 0) return verdict(-1);
  snprintf(path, sizeof path, "/proc/self/cwd");
  ssize_t length = readlink(path, target, sizeof target - 1);
  if (length < 0) return verdict(-1);
  target[length] = 0;
  struct stat here, root;
  int same = stat(".", &here) == 0 && stat("/", &root) == 0 && here.st_dev == root.st_dev && here.st_ino == root.st_ino;
  say(same ? "the root" : "elsewhere");
}

static void working_directory(const char *unused) {
  (void)unused;
  char target[4096];
  ssize_t length = readlink("/proc/self/cwd", target, sizeof target - 1);
  if (length < 0) return verdict(-1);
  target[length] = 0;
  say("%s", target);
}

const struct attempt file_attempts[] = {
    {"read", read_open},
    {"write", write_open},
    {"open", both_open},
    {"content", content},
    {"create", create},
    {"link", hard_link},
    {"fchmod", change_mode},
    {"exists", is_there},
    {"writable", writable},
    {"nodes", nodes},
    {"descriptors", descriptors},
    {"reopen", reopen},
    {"upwards", upwards},
    {"cwd", working_directory},
    {NULL, NULL},
};
