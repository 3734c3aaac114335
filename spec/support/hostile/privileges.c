/* Privileges: what a program has, and what it can get back. */
#include "hostile.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A field of /proc/self/status. */
static void status(const char *field) {
  char start[64];
  snprintf(start, sizeof start, "\n%s:\t", field);
  const char *found = strstr(text_of("/proc/self/status"), start);
  if (!found) return say("none");
  found += strlen(start);
  say("%.*s", (int)strcspn(found, "\n"), found);
}

static void ids(const char *unused) {
  (void)unused;
  uid_t real, effective, saved;
  getresuid(&real, &effective, &saved);
  say("%u %u %u", real, effective, saved);
}

static void uid_map(const char *unused) {
  (void)unused;
  char *line = strdup(text_of("/proc/self/uid_map"));
  for (line = strtok(line, "\n"); line; line = strtok(NULL, "\n")) {
    unsigned inside, outside, count;
    if (sscanf(line, "%u %u %u", &inside, &outside, &count) == 3) say("%u %u %u", inside, outside, count);
  }
}

static void raise_all(const char *unused) {
  (void)unused;
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  memset(data, 0xff, sizeof data);
  verdict(syscall(SYS_capset, &header, data));
}

static void raise_ambient(const char *unused) {
  (void)unused;
  verdict(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0));
}

static void become(const char *uid) { verdict(setresuid((uid_t)atol(uid), (uid_t)atol(uid), (uid_t)atol(uid))); }

static void take_group(const char *gid) {
  gid_t group = (gid_t)atol(gid);
  verdict(setgroups(1, &group));
}

static void permit_new_privileges(const char *unused) {
  (void)unused;
  prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0);
  say("%d", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

const struct attempt privilege_attempts[] = {
    {"status", status},
    {"ids", ids},
    {"uid_map", uid_map},
    {"capset", raise_all},
    {"ambient", raise_ambient},
    {"setresuid", become},
    {"setgroups", take_group},
    {"new_privs", permit_new_privileges},
    {NULL, NULL},
};
