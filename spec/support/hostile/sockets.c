/* Sockets, networks, terminals: whom a program can talk to. And, for the other side, what there is on a host. */
#include "hostile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

static socklen_t address_of(struct sockaddr_un *address, const char *path, int abstract) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  strncpy(address->sun_path + abstract, path, sizeof address->sun_path - 2);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)abstract + strlen(path));
}

static void connect_to(const char *path, int abstract) {
  struct sockaddr_un address;
  socklen_t length = address_of(&address, path, abstract);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  verdict(connect(fd, (struct sockaddr *)&address, length));
}

static void connect_path(const char *path) { connect_to(path, 0); }
static void connect_abstract(const char *name) { connect_to(name, 1); }

static void connect_tcp(const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  verdict(connect(fd, (struct sockaddr *)&address, sizeof address));
}

static void interfaces(const char *unused) {
  (void)unused;
  struct if_nameindex *list = if_nameindex();
  for (struct if_nameindex *each = list; each && each->if_index; each++) say("%s", each->if_name);
}

static void shared_memory(const char *key) { verdict(shmget((key_t)atol(key), 1, 0)); }

/* Types a letter into a terminal: NUMBER of a descriptor, or a path. */
static void type_into(const char *where) {
  int fd = *where == '/' ? open(where, O_RDWR | O_NOCTTY | O_CLOEXEC) : atoi(where);
  char letter = 'x';
  verdict(fd < 0 ? -1 : ioctl(fd, TIOCSTI, &letter));
}

/* Takes a terminal as its own. */
static void steal_terminal(const char *path) {
  setsid();
  int fd = open(path, O_RDWR | O_CLOEXEC);
  verdict(fd < 0 ? -1 : ioctl(fd, TIOCSCTTY, 0));
}

/* The master side of a terminal that somebody else has. */
static void other_master(const char *unused) {
  (void)unused;
  int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return verdict(-1);
  int number = -1;
  ioctl(fd, TIOCGPTN, &number);
  say("%d", number);
}

static int listen_at(const char *path, int abstract) {
  struct sockaddr_un address;
  socklen_t length = address_of(&address, path, abstract);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 64) < 0) return -1;
  return fd;
}

int be_outside(const char *directory) {
  char path[256];
  if (chdir(directory) < 0 || !getcwd(path, sizeof path - 32)) return perror(directory), 1;
  umask(077);
  if (listen_at("socket", 0) < 0) return perror("socket"), 1;
  if (mkfifo("fifo", 0600) < 0 || open("fifo", O_RDWR) < 0) return perror("fifo"), 1;
  char abstract[64];
  snprintf(abstract, sizeof abstract, "cella-hostile-%d", (int)getpid());
  if (listen_at(abstract, 1) < 0) return perror("abstract"), 1;

  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int tcp = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(tcp, (struct sockaddr *)&address, length) < 0 || listen(tcp, 64) < 0 ||
      getsockname(tcp, (struct sockaddr *)&address, &length) < 0)
    return perror("tcp"), 1;

  int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0) return perror("terminal"), 1;
  /* Open, so that it can be opened by others. */
  if (open(ptsname(master), O_RDWR | O_NOCTTY) < 0) return perror(ptsname(master)), 1;

  key_t key = (key_t)(0x63000000 | getpid());
  int memory = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600);
  printf("pid %d\nabstract %s\nport %d\nterminal %s\nkey %ld\nready\n", (int)getpid(), abstract,
         ntohs(address.sin_port), ptsname(master), (long)key);
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) continue;
  shmctl(memory, IPC_RMID, NULL);
  return 0;
}

const struct attempt socket_attempts[] = {
    {"connect", connect_path},
    {"abstract", connect_abstract},
    {"tcp", connect_tcp},
    {"interfaces", interfaces},
    {"shm", shared_memory},
    {"tiocsti", type_into},
    {"tiocsctty", steal_terminal},
    {"ptmx", other_master},
    {NULL, NULL},
};
