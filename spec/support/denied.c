/* What a program does that wants to confuse whoever is told what it is denied: denied MODE. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static long call(const void *path)
{
	return syscall(SYS_openat, AT_FDCWD, path, O_RDONLY) < 0 ? errno : 0;
}

/* Pointers at which nothing lies, or no text. */
static int pointers(void)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(pages, 'a', 8192);
	printf("whole %ld\n", call(pages));
	munmap(pages + 4096, 4096);
	printf("cut %ld\n", call(pages + 1));
	printf("null %ld\n", call(NULL));
	printf("kernel %ld\n", call((void *)-4096L));
	printf("low %ld\n", call((void *)1L));
	return 0;
}

/* So many paths, of which none is there, each with the prefix; and the first again. */
static int flood(const char *prefix, int count)
{
	char path[256];
	for (int i = 0; i <= count; i++) {
		snprintf(path, sizeof path, "%s%d", prefix, i % count);
		if (call(path) != ENOENT)
			return 1;
	}
	return 0;
}

/* Processes that are killed while their calls wait. */
static int killed(int rounds)
{
	for (int i = 0; i < rounds; i++) {
		int pid = fork();
		if (pid == 0)
			for (;;)
				call("/nowhere");
		usleep(200);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return 0;
}

/* Another thread's worth of change: the memory says one thing when it is looked at and another soon after. What is
 * refused is refused all the same. */
static int changing(int rounds)
{
	char *path = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	strcpy(path, "/etc/passwd");
	int pid = fork();
	if (pid == 0)
		for (;;) {
			path[5] = 'x';
			path[5] = 'p';
		}
	int wrong = 0;
	for (int i = 0; i < rounds; i++) {
		long result = syscall(SYS_chdir, path) < 0 ? errno : 0;
		wrong += result != EDOM;
		call(path);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	printf("wrong %d\n", wrong);
	return 0;
}

/* One call on a socket; prints its errno. */
static int sockets(const char *what, const char *path)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	struct sockaddr_in there = { .sin_family = AF_INET, .sin_port = htons(443), .sin_addr = { htonl(0xc0000207) } };
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(80), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int result = -1;
	if (path)
		snprintf(local.sun_path, sizeof local.sun_path, "%s", path);
	if (!strcmp(what, "listen"))
		result = bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&local, sizeof local);
	else if (!strcmp(what, "unix"))
		result = connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&local, sizeof local);
	else if (!strcmp(what, "there"))
		result = connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&there, sizeof there);
	else if (!strcmp(what, "low"))
		result = bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&here, sizeof here);
	else if (!strcmp(what, "vsock"))
		result = socket(AF_VSOCK, SOCK_STREAM, 0);
	printf("%d\n", result < 0 ? errno : 0);
	return 0;
}

int main(int count, char **argv)
{
	const char *mode = count > 1 ? argv[1] : "";
	int number = count > 2 ? atoi(argv[2]) : 0;
	if (!strcmp(mode, "pointers"))
		return pointers();
	if (!strcmp(mode, "flood"))
		return flood(argv[3], number);
	if (!strcmp(mode, "killed"))
		return killed(number);
	if (!strcmp(mode, "changing"))
		return changing(number);
	if (!strcmp(mode, "socket"))
		return sockets(argv[2], argv[3]);
	return 2;
}
