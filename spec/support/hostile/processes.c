/* Other processes: of the host, the init of the container, and who comes in from outside. */
#include "hostile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../../csrc/executor/report.h"

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

static void list(const char *unused) {
  (void)unused;
  DIR *stream = opendir("/proc");
  struct dirent *entry;
  while (stream && (entry = readdir(stream))) {
    if (entry->d_name[strspn(entry->d_name, "0123456789")]) continue;
    char path[300];
    snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
    const char *text = text_of(path);
    say("%s %.*s", entry->d_name, (int)strcspn(text, "\n"), text);
  }
}

static void kill_one(const char *pid) { verdict(kill(atoi(pid), 0)); }

/* Signal 0: nobody gets one, and the answer is the same. */
static void kill_all(const char *unused) {
  (void)unused;
  verdict(kill(-1, 0));
}

static void trace(const char *pid) { verdict(ptrace(PTRACE_SEIZE, atoi(pid), NULL, NULL)); }

static void read_memory(const char *pid) {
  char byte;
  struct iovec here = {&byte, 1}, there = {(void *)0x400000, 1};
  verdict(process_vm_readv(atoi(pid), &here, 1, &there, 1, 0));
}

static void open_pidfd(const char *pid) { verdict(syscall(SYS_pidfd_open, atoi(pid), 0)); }

static void take_descriptor(const char *pid) {
  long fd = syscall(SYS_pidfd_open, atoi(pid), 0);
  verdict(fd < 0 ? -1 : syscall(SYS_pidfd_getfd, fd, 1, 0));
}

static unsigned long inode(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 ? (unsigned long)info.st_ino : 0;
}

/* True in a pid namespace other than that one, by its inode: nothing on the host is signalled. */
static int apart_from(const char *host) {
  unsigned long own = inode("/proc/self/ns/pid");
  return own != 0 && own != strtoul(host, NULL, 10);
}

/* What ends or stops any other process, and reports of children that it does not have. (Others it hands on to the
 * program.) Then it still has to do its work. */
static void attack_init(const char *host) {
  if (!apart_from(host)) return say("this is the host");
  for (int i = 0; i < 100; i++) {
    kill(1, SIGKILL);
    kill(1, SIGSTOP);
    kill(1, SIGCHLD);
  }
  nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
  const char *text = text_of("/proc/1/stat");
  const char *state = strrchr(text, ')');
  say("%s", state && (state[2] == 'S' || state[2] == 'R') ? "it works on" : "it does not work");
}

/* Stops whoever comes in, for as long as it lives. The argument is the host's pid namespace: not there. */
static void stop_all(const char *host) {
  if (!apart_from(host)) return say("this is the host");
  say("begins");
  fflush(stdout);
  alarm(20);
  for (;;) kill(-1, SIGSTOP);
}

/* SECONDS:DEVICE:INODE: watches all other processes for what they must not show: that file as their program, memory or
 * descriptors that open while it is, namespaces or an environment of the caller's (HOSTILE_MARK). */
static void hunt(const char *argument) {
  unsigned long device, wanted;
  double seconds;
  if (sscanf(argument, "%lf:%lu:%lu", &seconds, &device, &wanted) != 3) return say("bad argument");
  struct timespec now, end;
  clock_gettime(CLOCK_MONOTONIC, &end);
  int self = (int)getpid(), parent = (int)getppid(), seen = 0;
  do {
    for (int pid = 2; pid < 400; pid++) {
      if (pid == self || pid == parent) continue;
      char path[64];
      struct stat info;
      snprintf(path, sizeof path, "/proc/%d/exe", pid);
      int fd = open(path, O_PATH | O_CLOEXEC);
      if (fd >= 0) {
        seen++;
        if (fstat(fd, &info) == 0 && info.st_dev == device && info.st_ino == wanted) say("the interpreter of %d", pid);
        close(fd);
      }
      snprintf(path, sizeof path, "/proc/%d/environ", pid);
      if (strstr(text_of(path), "HOSTILE_MARK")) say("the environment of %d", pid);
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while ((double)(now.tv_sec - end.tv_sec) + (double)(now.tv_nsec - end.tv_nsec) / 1e9 < seconds);
  say(seen ? "saw others" : "saw nobody");
}

/* Whether a readable part of that process's memory has the needle in it. */
static int has_in_memory(int pid, const char *needle) {
  char path[64], line[512];
  static char data[1 << 16];
  snprintf(path, sizeof path, "/proc/%d/maps", pid);
  FILE *maps = fopen(path, "re");
  int found = 0;
  while (maps && !found && fgets(line, sizeof line, maps)) {
    unsigned long from, to;
    char access[8];
    if (sscanf(line, "%lx-%lx %7s", &from, &to, access) != 3 || access[0] != 'r') continue;
    for (; from < to && !found; from += sizeof data - 256) {
      struct iovec here = {data, sizeof data}, there = {(void *)from, to - from < sizeof data ? to - from : sizeof data};
      ssize_t count = process_vm_readv(pid, &here, 1, &there, 1, 0);
      if (count <= 0) break;
      found = memmem(data, (size_t)count, needle, strlen(needle)) != NULL;
    }
  }
  if (maps) fclose(maps);
  return found;
}

/* SECONDS:DEVICE:INODE:NEEDLE: stops, traces, reads and robs all other processes: of the file, and of memory with the
 * needle in it. */
static void rob(const char *argument) {
  unsigned long device, wanted;
  double seconds;
  char needle[64];
  if (sscanf(argument, "%lf:%lu:%lu:%63s", &seconds, &device, &wanted, needle) != 4) return say("bad argument");
  struct timespec now, end;
  clock_gettime(CLOCK_MONOTONIC, &end);
  int self = (int)getpid(), parent = (int)getppid(), reached = 0, round = 0, newest = self;
  do {
    round++;
    /* Who comes in has one of the next numbers, and is stopped to be looked at, once. */
    for (int pid = newest + 1, last = newest + 8; pid < last; pid++) {
      if (pid == self || pid == parent || kill(pid, round % 3 ? SIGSTOP : 0) < 0) continue;
      newest = pid;
      int fd = (int)syscall(SYS_pidfd_open, pid, 0);
      for (int number = 0; number < 64 && fd >= 0; number++) {
        struct stat info;
        int taken = (int)syscall(SYS_pidfd_getfd, fd, number, 0);
        if (taken < 0) continue;
        reached++;
        if (fstat(taken, &info) == 0 && info.st_dev == device && info.st_ino == wanted) say("the file");
        close(taken);
      }
      if (fd >= 0) close(fd);
      if (has_in_memory(pid, needle)) say("the secret");
      if (round % 3 == 0 && ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0) {
        reached++;
        ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
        ptrace(PTRACE_DETACH, pid, NULL, NULL);
      }
      kill(pid, SIGCONT);
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while ((double)(now.tv_sec - end.tv_sec) + (double)(now.tv_nsec - end.tv_nsec) / 1e9 < seconds);
  say(reached ? "reached others" : "reached nobody");
}

/* Waits for one that comes in and traces it, and lets go of it never. */
static int catch_one(void) {
  say("begins");
  fflush(stdout);
  alarm(30);
  for (;;)
    for (int pid = 2; pid < 400; pid++)
      if (pid != getpid() && pid != getppid() && ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0) return pid;
}

static void keep(const char *unused) {
  (void)unused;
  catch_one();
  for (;;) pause();
}

/* Where the plan is in the memory of one that is about to perform it; 0 where it is none. */
static unsigned long plan_of(int pid) {
  char path[64], line[512];
  unsigned long address = 0;
  snprintf(path, sizeof path, "/proc/%d/maps", pid);
  FILE *file = fopen(path, "r");
  while (file && fgets(line, sizeof line, file))
    if (strstr(line, "memfd:cella-plan")) address = strtoul(line, NULL, 16);
  if (file) fclose(file);
  return address;
}

static int catch_performer(unsigned long *plan) {
  int pid;
  do {
    pid = catch_one();
    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
    waitpid(pid, NULL, __WALL);
    *plan = plan_of(pid);
    if (!*plan) ptrace(PTRACE_DETACH, pid, NULL, NULL);
  } while (!*plan);
  return pid;
}

enum { WORDS = 72 }; /* of what a caller shares with a child: csrc/executor/launch.h */

static ssize_t exchange_numbers(int pid, unsigned long plan, int *numbers, int write) {
  struct iovec here = {numbers, WORDS * sizeof *numbers}, there = {(void *)plan, WORDS * sizeof *numbers};
  return write ? process_vm_writev(pid, &here, 1, &there, 1, 0) : process_vm_readv(pid, &here, 1, &there, 1, 0);
}

static int is_process_after(int caller, int number) { return number > caller && number < caller + 1000000; }

/* CURRENT:ERROR:CALLER: ends who comes in, and writes how far it has come, and what has stopped it. */
static void forge_progress(const char *argument) {
  int current, error, caller, numbers[WORDS], last = 0;
  unsigned long plan;
  if (sscanf(argument, "%d:%d:%d", &current, &error, &caller) != 3) return say("bad argument");
  int pid = catch_performer(&plan);
  exchange_numbers(pid, plan, numbers, 0);
  for (int i = 2; i < WORDS; i++)
    if (is_process_after(caller, numbers[i])) last = i; /* who goes on: behind both */
  if (last) {
    numbers[last - 2] = current;
    numbers[last - 1] = error;
    exchange_numbers(pid, plan, numbers, 1);
  }
  kill(pid, SIGKILL);
  for (;;) pause();
}

/* VICTIM:CALLER: what looks like the number of a process behind the caller becomes the victim's. */
static void forge_numbers(const char *argument) {
  int victim, caller, numbers[WORDS];
  unsigned long plan;
  if (sscanf(argument, "%d:%d", &victim, &caller) != 2) return say("bad argument");
  int pid = catch_performer(&plan);
  exchange_numbers(pid, plan, numbers, 0);
  for (int i = 0; i < WORDS; i++)
    if (is_process_after(caller, numbers[i])) numbers[i] = victim;
  exchange_numbers(pid, plan, numbers, 1);
  for (;;) pause();
}

/* Tells the caller what the init is to tell: that the program was ended by a signal of that number. */
static void forge_end(const char *number) {
  struct report report = {.kind = 's', .value = (unsigned char)atoi(number)};
  long pidfd = syscall(SYS_pidfd_open, 1, 0), status = syscall(SYS_pidfd_getfd, pidfd, 3, 0);
  verdict(status < 0 ? status : write((int)status, &report, sizeof report));
}

/* Says something to the caller in the name of who comes in, again and again. Takes CAP_SYS_ADMIN (unix(7)). */
static void flood(const char *what) {
  unsigned long plan;
  int pid = catch_performer(&plan), channel = -1;
  long pidfd = syscall(SYS_pidfd_open, pid, 0);
  for (int fd = 3; fd < 256 && channel < 0; fd++) {
    long own = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
    struct stat info;
    if (own >= 0 && fstat((int)own, &info) == 0 && S_ISSOCK(info.st_mode)) channel = (int)own;
  }
  struct ucred name = {.pid = pid};
  union {
    char space[CMSG_SPACE(sizeof name)];
    struct cmsghdr header;
  } control = {.header = {CMSG_LEN(sizeof name), SOL_SOCKET, SCM_CREDENTIALS}};
  memcpy(CMSG_DATA(&control.header), &name, sizeof name);
  struct iovec vector = {(void *)(uintptr_t)what, strlen(what)};
  struct msghdr message = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  for (;;) {
    sendmsg(channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
  }
}

const struct attempt process_attempts[] = {
    {"processes", list},
    {"kill", kill_one},
    {"kill_all", kill_all},
    {"ptrace", trace},
    {"vm_read", read_memory},
    {"pidfd", open_pidfd},
    {"pidfd_getfd", take_descriptor},
    {"init", attack_init},
    {"stop_all", stop_all},
    {"hunt", hunt},
    {"rob", rob},
    {"keep", keep},
    {"forge_numbers", forge_numbers},
    {"flood", flood},
    {"forge_progress", forge_progress},
    {"forge_end", forge_end},
    {NULL, NULL},
};
