/* Asks for the kernel's keys by raw system calls, and prints what they answer.
 *   calls                 each of the three, by each entry of the kernel that this machine has
 *   add RING NAME TEXT    a key of the type "user" in "session" or "user": prints its serial number
 *   read SERIAL [RING]    what is in a key; a keyring of this serial number is linked to the session's before
 *   find NAME             the serial number of a key in reach of the session keyring
 *   session, user         the serial number of that keyring
 *   clear SERIAL          empties a keyring
 *   filter                filters its own system calls, allows all, and stays */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *answer(long result)
{
	return result < 0 ? strerrorname_np(errno) : "fine";
}

static void show(const char *entry, const char *name, long result)
{
	printf("%s %s %s\n", entry, name, answer(result));
}

#ifdef __x86_64__
static long call_i386(long number, long first)
{
	long result;
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "0"(number), "b"(first), "c"(0L), "d"(0L), "S"(0L), "D"(0L)
			 : "memory", "r8", "r9", "r10", "r11");
	result = (int)result;
	errno = result < 0 ? (int)-result : 0;
	return result < 0 ? -1 : result;
}
#endif

static void calls(void)
{
	show("native", "add_key", syscall(SYS_add_key, 0, 0, 0, 0, 0));
	show("native", "request_key", syscall(SYS_request_key, 0, 0, 0, 0));
	show("native", "keyctl", syscall(SYS_keyctl, -1, 0, 0, 0, 0));
	show("native", "getppid", syscall(SYS_getppid));
#ifdef __x86_64__
	enum { X32 = 0x40000000 };
	show("x32", "add_key", syscall(X32 | SYS_add_key, 0, 0, 0, 0, 0));
	show("x32", "request_key", syscall(X32 | SYS_request_key, 0, 0, 0, 0));
	show("x32", "keyctl", syscall(X32 | SYS_keyctl, -1, 0, 0, 0, 0));
	fflush(stdout);
	/* A kernel without 32-bit programs ends who tries. */
	int status;
	if (fork() == 0) {
		show("i386", "getppid", call_i386(64, 0));
		show("i386", "add_key", call_i386(286, 0));
		show("i386", "request_key", call_i386(287, 0));
		show("i386", "keyctl", call_i386(288, -1));
		fflush(stdout);
		_exit(0);
	}
	wait(&status);
	if (WIFSIGNALED(status))
		printf("i386 none signal %d\n", WTERMSIG(status));
#endif
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long result = -1;
	if (!strcmp(what, "calls")) {
		calls();
		return 0;
	}
	if (!strcmp(what, "filter")) {
		struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
		struct sock_fprog filter = { 1, &allow };
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0)
			pause();
		return 1;
	}
	if (!strcmp(what, "add") && argc == 5)
		result = syscall(SYS_add_key, "user", argv[3], argv[4], strlen(argv[4]),
				 strcmp(argv[2], "user") ? KEY_SPEC_SESSION_KEYRING : KEY_SPEC_USER_KEYRING);
	else if (!strcmp(what, "find") && argc == 3)
		result = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", argv[2], 0);
	else if (!strcmp(what, "session"))
		result = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1);
	else if (!strcmp(what, "user"))
		result = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1);
	else if (!strcmp(what, "clear") && argc == 3)
		result = syscall(SYS_keyctl, KEYCTL_CLEAR, atol(argv[2]));
	else if (!strcmp(what, "read") && argc >= 3) {
		char text[256] = "";
		if (argc > 3 && syscall(SYS_keyctl, KEYCTL_LINK, atol(argv[3]), KEY_SPEC_SESSION_KEYRING) < 0) {
			puts(answer(-1));
			return 0;
		}
		result = syscall(SYS_keyctl, KEYCTL_READ, atol(argv[2]), text, sizeof text - 1);
		if (result >= 0) {
			puts(text);
			return 0;
		}
	}
	if (result < 0)
		puts(answer(result));
	else
		printf("%ld\n", result);
	return 0;
}
