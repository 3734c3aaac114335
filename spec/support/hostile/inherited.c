/* What execve(2) leaves of its caller's, and what a program can undo of that. */
#include "hostile.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

static void execution_domain(const char *unused) {
  (void)unused;
  say("%08x", (unsigned)personality(0xffffffff));
}

static void file_mask(const char *unused) {
  (void)unused;
  say("%04o", (unsigned)umask(0));
}

static void timer_slack(const char *unused) {
  (void)unused;
  say("%d", prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
}

static void huge_pages(const char *unused) {
  (void)unused;
  say("%d", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
}

static void ignored(const char *unused) {
  (void)unused;
  for (int number = 1; number < 65; number++) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN) say("%d", number);
  }
}

static void blocked(const char *unused) {
  (void)unused;
  sigset_t set;
  sigprocmask(SIG_BLOCK, NULL, &set);
  for (int number = 1; number < 65; number++)
    if (sigismember(&set, number) == 1) say("%d", number);
}

static void environment(const char *unused) {
  (void)unused;
  for (char **each = environ; *each; each++) say("%.*s", (int)strcspn(*each, "="), *each);
}

static void nice_value(const char *unused) {
  (void)unused;
  errno = 0;
  say("%d", getpriority(PRIO_PROCESS, 0));
}

static void lower_nice(const char *unused) {
  (void)unused;
  verdict(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) - 1));
}

static void real_time(const char *unused) {
  (void)unused;
  struct sched_param parameter = {.sched_priority = 1};
  verdict(sched_setscheduler(0, SCHED_FIFO, &parameter));
}

static void lower_oom(const char *value) { verdict(write_text("/proc/self/oom_score_adj", value)); }

static void cpus(const char *unused) {
  (void)unused;
  cpu_set_t set;
  sched_getaffinity(0, sizeof set, &set);
  say("%d", CPU_COUNT(&set));
}

static void limit(const char *unused) {
  (void)unused;
  struct rlimit value;
  getrlimit(RLIMIT_NOFILE, &value);
  say("%lu", (unsigned long)value.rlim_max);
}

static void raise_limit(const char *unused) {
  (void)unused;
  struct rlimit value;
  getrlimit(RLIMIT_NOFILE, &value);
  value.rlim_max++;
  verdict(setrlimit(RLIMIT_NOFILE, &value));
}

/* Limits of somebody else. */
static void limit_of(const char *pid) {
  struct rlimit value;
  verdict(prlimit(atoi(pid), RLIMIT_NOFILE, NULL, &value));
}

const struct attempt inherited_attempts[] = {
    {"personality", execution_domain},
    {"umask", file_mask},
    {"timerslack", timer_slack},
    {"thp", huge_pages},
    {"ignored", ignored},
    {"blocked", blocked},
    {"environment", environment},
    {"nice", nice_value},
    {"lower_nice", lower_nice},
    {"real_time", real_time},
    {"lower_oom", lower_oom},
    {"cpus", cpus},
    {"nofile", limit},
    {"raise_nofile", raise_limit},
    {"prlimit", limit_of},
    {NULL, NULL},
};
