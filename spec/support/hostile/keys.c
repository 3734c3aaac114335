/* Keys of the kernel (keyrings(7)), by name and by serial number, in every system call ABI of the machine. */
#include "hostile.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PERMISSIONS = 0x3f3f0000 }; /* all, to who possesses it and to its owner */

static char name[128];
static long ring;

/* NAME, or RING:NAME, where RING is a serial number or one of the special ones. */
static void read_argument(const char *argument) {
  const char *colon = strchr(argument, ':');
  ring = KEY_SPEC_SESSION_KEYRING;
  if (colon) {
    ring = !strncmp(argument, "user:", 5)           ? KEY_SPEC_USER_KEYRING
           : !strncmp(argument, "user-session:", 13) ? KEY_SPEC_USER_SESSION_KEYRING
           : !strncmp(argument, "session:", 8)       ? KEY_SPEC_SESSION_KEYRING
                                                     : atol(argument);
    argument = colon + 1;
  }
  snprintf(name, sizeof name, "%s", argument);
}

static void search(const char *argument) {
  read_argument(argument);
  verdict(syscall(SYS_keyctl, KEYCTL_SEARCH, ring, "user", name, 0));
}

static void read_key(const char *serial) {
  char secret[256] = "";
  long length = syscall(SYS_keyctl, KEYCTL_READ, atol(serial), secret, sizeof secret - 1);
  if (length < 0) return verdict(-1);
  say("%.*s", (int)length, secret);
}

static void describe(const char *serial) {
  char text[256];
  verdict(syscall(SYS_keyctl, KEYCTL_DESCRIBE, atol(serial), text, sizeof text));
}

/* A session keyring of one's own keeps nobody from this. */
static void steal(const char *argument) {
  read_argument(argument);
  if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 ||
      syscall(SYS_keyctl, KEYCTL_LINK, ring, KEY_SPEC_SESSION_KEYRING) < 0)
    return verdict(-1);
  long serial = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", name, 0);
  char secret[256] = "";
  long length = serial < 0 ? -1 : syscall(SYS_keyctl, KEYCTL_READ, serial, secret, sizeof secret - 1);
  if (length < 0) return verdict(-1);
  say("%.*s", (int)length, secret);
}

static void add(const char *argument) {
  read_argument(argument);
  long serial = syscall(SYS_add_key, "user", name, "x", 1, ring);
  verdict(serial);
  if (serial >= 0) syscall(SYS_keyctl, KEYCTL_UNLINK, serial, ring);
}

static void request(const char *argument) {
  read_argument(argument);
  verdict(syscall(SYS_request_key, "user", name, NULL, 0));
}

static void join(const char *unused) {
  (void)unused;
  verdict(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL));
}

/* Only of a keyring that was made for this. */
static void clear(const char *serial) { verdict(syscall(SYS_keyctl, KEYCTL_CLEAR, atol(serial))); }

static void other_abi(long number, const char *abi) {
#ifdef __x86_64__
  long returned;
  long get = KEYCTL_GET_KEYRING_ID, which = KEY_SPEC_USER_KEYRING;
  if (!strcmp(abi, "i386"))
    __asm__ volatile("int $0x80" : "=a"(returned) : "a"(number), "b"(get), "c"(which), "d"(0L) : "memory");
  else
    returned = syscall(number | 0x40000000, get, which, 0);
  if (!strcmp(abi, "i386")) {
    returned = (int)returned; /* a kernel may leave the upper half empty */
    if (returned < 0) errno = (int)-returned, returned = -1;
  }
  verdict(returned);
#else
  (void)number, (void)abi;
  say("no such ABI");
#endif
}

static void keyctl_i386(const char *unused) { (void)unused, other_abi(288, "i386"); }
static void add_key_i386(const char *unused) { (void)unused, other_abi(286, "i386"); }
static void request_key_i386(const char *unused) { (void)unused, other_abi(287, "i386"); }
static void keyctl_x32(const char *unused) { (void)unused, other_abi(SYS_keyctl, "x32"); }

/* What /proc tells of keys. */
static void told(const char *wanted) {
  const char *text = text_of("/proc/keys");
  say(strstr(text, wanted) ? "yes" : "no");
}

int with_keys(const char *wanted, char *const command[]) {
  long session = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
  long user = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1);
  long key = syscall(SYS_add_key, "user", wanted, "secret", 6, KEY_SPEC_SESSION_KEYRING);
  if (session < 0 || user < 0 || key < 0 || syscall(SYS_keyctl, KEYCTL_SETPERM, key, PERMISSIONS) < 0 ||
      syscall(SYS_keyctl, KEYCTL_SETPERM, session, PERMISSIONS) < 0 ||
      syscall(SYS_keyctl, KEYCTL_LINK, key, KEY_SPEC_USER_KEYRING) < 0)
    return perror("keys"), 125;
  char text[32];
  snprintf(text, sizeof text, "%ld", session), setenv("HOSTILE_SESSION", text, 1);
  snprintf(text, sizeof text, "%ld", user), setenv("HOSTILE_USER", text, 1);
  snprintf(text, sizeof text, "%ld", key), setenv("HOSTILE_KEY", text, 1);
  pid_t child = fork();
  if (child == 0) {
    execvp(command[0], command);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  syscall(SYS_keyctl, KEYCTL_UNLINK, key, KEY_SPEC_USER_KEYRING);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

const struct attempt key_attempts[] = {
    {"key_search", search},
    {"key_read", read_key},
    {"key_describe", describe},
    {"key_steal", steal},
    {"key_add", add},
    {"key_request", request},
    {"key_join", join},
    {"key_clear", clear},
    {"keyctl_i386", keyctl_i386},
    {"add_key_i386", add_key_i386},
    {"request_key_i386", request_key_i386},
    {"keyctl_x32", keyctl_x32},
    {"key_told", told},
    {NULL, NULL},
};
