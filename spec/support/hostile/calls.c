/* System calls by their numbers. */
#include "hostile.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* NUMBER,ARGUMENT,...: arguments that are not given are 0. */
static void call(const char *text) {
  unsigned long words[7] = {0};
  for (int i = 0; i < 7 && *text; i++) {
    char *end;
    words[i] = strtoul(text, &end, 0);
    text = *end == ',' ? end + 1 : end;
  }
  errno = 0;
  verdict(syscall((long)words[0], words[1], words[2], words[3], words[4], words[5], words[6]));
}

/* A user namespace, by each of the calls that make one. */
static void user_namespace(const char *how) {
  struct {
    unsigned long flags, more[10];
  } arguments = {CLONE_NEWUSER, {0}};
  if (!strcmp(how, "unshare")) return verdict(unshare(CLONE_NEWUSER));
  long pid = !strcmp(how, "clone") ? syscall(SYS_clone, CLONE_NEWUSER, 0, 0, 0, 0)
                                   : syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) _exit(0);
  verdict(pid);
}

const struct attempt call_attempts[] = {{"call", call}, {"user_namespace", user_namespace}, {NULL, NULL}};
