/* hostile ATTEMPT[=ARGUMENT]...: makes each attempt in a child of its own, and writes lines "ATTEMPT[=ARGUMENT] TAB RESULT".
 *
 * No attempt changes anything of the host's where it succeeds: what would is opened, and closed again. */
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 60 };

static const char *word;

void say(const char *format, ...) {
  va_list list;
  va_start(list, format);
  printf("%s\t", word);
  vprintf(format, list);
  printf("\n");
  va_end(list);
}

void verdict(long returned) {
  if (returned >= 0)
    say("yes");
  else
    say("no %s", strerrorname_np(errno));
}

const char *text_of(const char *path) {
  static char text[65536];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  int saved = errno;
  if (fd >= 0) close(fd);
  errno = saved;
  text[length < 0 ? 0 : length] = 0;
  return text;
}

int write_text(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t written = write(fd, text, strlen(text));
  int saved = errno;
  close(fd);
  errno = saved;
  return written < 0 ? -1 : 0;
}

static const struct attempt *find(const char *name, size_t length) {
  const struct attempt *const tables[] = {file_attempts,    key_attempts,       process_attempts,   mount_attempts,
                                          nested_attempts,  privilege_attempts, inherited_attempts, socket_attempts,
                                          call_attempts};
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
    for (const struct attempt *attempt = tables[i]; attempt->name; attempt++)
      if (strlen(attempt->name) == length && !memcmp(attempt->name, name, length)) return attempt;
  fprintf(stderr, "no attempt is called %s\n", name);
  exit(2);
}

static void try(const char *what) {
  word = what;
  size_t length = strcspn(what, "=");
  const struct attempt *attempt = find(what, length);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    alarm(SECONDS * PATIENCE);
    attempt->act(what[length] ? what + length + 1 : "");
    fflush(stdout);
    _exit(0);
  }
  int status;
  if (child < 0 || waitpid(child, &status, 0) != child)
    say("lost");
  else if (WIFSIGNALED(status))
    say("killed %d", WTERMSIG(status));
  if (child > 0) remove_places((int)child);
}

int main(int argc, char *argv[]) {
  /* The program itself was handed in as a descriptor: it is none that somebody forgot. */
  const char prefix[] = "/proc/self/fd/";
  if (!strncmp(argv[0], prefix, sizeof prefix - 1)) close(atoi(argv[0] + sizeof prefix - 1));
  if (argc == 3 && !strcmp(argv[1], "outside")) return be_outside(argv[2]);
  if (argc > 3 && !strcmp(argv[1], "with-keys")) return with_keys(argv[2], argv + 3);
  for (int i = 1; i < argc; i++) try(argv[i]);
  fflush(stdout);
  return 0;
}
