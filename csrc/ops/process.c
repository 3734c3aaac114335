/* The process itself: its limits, its signals, its tie to the parent, and the program that it becomes. */
#include "sys/channel.h"
#include "sys/digits.h"
#include "ops/filter.h"
#include "ops/ops.h"
#include "sys/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* await() [in a plan]
 * Tells the parent that this process is there, and sleeps until the parent has done what only it can (both
 * ID maps). If the parent dies or gives up instead, the descriptor reports its end and the child stops. */
static int act_await(const struct arg *a)
{
	int result = channel_say(a[0].n, MESSAGE_AWAITING);
	return result < 0 ? result : channel_await(a[0].n);
}

/* await_plan() [in a plan]
 * Tells the parent that this process is there, and sleeps until the parent sends the rest of the plan, and the
 * descriptors that it names. The executor does it. */
static int act_await_plan(const struct arg *a)
{
	(void)a;
	return -ENOSYS;
}

/* fork([namespaces]) [in a plan]
 * Another process, born into new namespaces, goes on with the rest; this one ends: clone(2). Needed where a pid
 * namespace has been joined, which holds children only, and where new namespaces come after a join. The executor does
 * it. */
static int act_fork(const struct arg *a)
{
	(void)a;
	return -ENOSYS;
}

/* init(program_fd, status_fd [, detached [, label]]) [in a plan]
 * This process, the first of its pid namespace, becomes the init in `program_fd` (csrc/runner/init.c), and a child
 * of it goes on with the rest. How the program ends is written to `status_fd`. When nobody can read that any more,
 * everything ends, unless it is `detached`. See executor.c.
 * label: what its command line says behind its name, at most 31 bytes: for who enters */
static int act_init(const struct arg *a)
{
	(void)a;
	return -ENOSYS;
}

/* sigdefault(signals) -> true | nil, message, errno
 * Signals back to their defaults. Ignored ones stay ignored across exec (signal(7)), so a program would inherit them
 * unawares. */
static int act_sigdefault(const struct arg *a)
{
	for (int number = 1; number <= 64; number++) {
		struct kernel_sigaction action = { 0 };
		if (!((uint64_t)a[0].n >> (number - 1) & 1) || number == SIGKILL || number == SIGSTOP)
			continue;
		long result = RAW(SYS_rt_sigaction, number, &action, 0, sizeof action.mask);
		if (result < 0)
			return (int)result;
	}
	return 0;
}

/* sigunblock() -> true | nil, message, errno
 * Unblocks every signal. */
static int act_sigunblock(const struct arg *a)
{
	(void)a;
	uint64_t none = 0;
	return (int)RAW(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof none);
}

/* pidfd_open(pid) -> fd | nil, message, errno
 * pidfd_open(2): a descriptor that stands for a process, and never for another that gets its number. Readable once it
 * has ended. */
static int act_pidfd_open(const struct arg *a)
{
	return (int)RAW(SYS_pidfd_open, a[0].n, 0);
}

/* pidfd_send_signal(pidfd, signal) -> true | nil, message, errno
 * pidfd_send_signal(2). ESRCH once the process has ended and is waited for. */
static int act_pidfd_send_signal(const struct arg *a)
{
	return (int)RAW(SYS_pidfd_send_signal, a[0].n, a[1].n, 0, 0);
}

/* pdeathsig(signal) -> true | nil, message, errno
 * PR_SET_PDEATHSIG: the signal that this process gets when the thread that started it ends. An ID switch erases it. */
static int act_pdeathsig(const struct arg *a)
{
	return (int)RAW(SYS_prctl, PR_SET_PDEATHSIG, a[0].n, 0, 0, 0);
}

/* expect_parent() [in a plan]
 * That the parent is there still: who has died before pdeathsig sends nothing, but its end of the channel tells.
 * ECANCELED where it is not. */
static int act_expect_parent(const struct arg *a)
{
	struct pollfd channel = { .fd = (int)a[0].n };
	struct timespec now = { 0 };
	long result;
	RAW_RETRY(result, SYS_ppoll, &channel, 1, &now, 0, 0);
	if (result < 0)
		return (int)result;
	return channel.revents & POLLHUP ? -ECANCELED : 0;
}

/* dumpable(on) -> true | nil, message, errno
 * PR_SET_DUMPABLE. */
static int act_dumpable(const struct arg *a)
{
	return (int)RAW(SYS_prctl, PR_SET_DUMPABLE, a[0].n, 0, 0, 0);
}

/* setrlimit(resource, soft, hard) -> true | nil, message, errno
 * setrlimit(2). */
static int act_setrlimit(const struct arg *a)
{
	struct {
		uint64_t soft, hard;
	} limit = { (uint64_t)a[1].n, (uint64_t)a[2].n };
	return (int)RAW(SYS_prlimit64, 0, a[0].n, &limit, 0);
}

/* wait_for_byte(fd) -> true | nil, message, errno
 * Sleeps until somebody has written to the other end, or closed it. Takes one byte. */
static int act_wait_for_byte(const struct arg *a)
{
	char byte;
	long result;
	RAW_RETRY(result, SYS_read, a[0].n, &byte, 1);
	return result < 0 ? (int)result : 0;
}

/* seccomp(filter [, policy]) -> true | nil, message, errno
 * From here on every system call of this process passes a filter: seccomp(2). Needs no_new_privs, or CAP_SYS_ADMIN.
 * filter: a compiled classic BPF program, as policy:filter() or seccomp_export_bpf(3) make it
 * policy: what a printed plan calls it */
static int act_seccomp(const struct arg *a)
{
	struct sock_fprog program;
	int wrong = filter_program(&a[0], &program);
	if (wrong < 0)
		return wrong;
	return (int)RAW(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

/* expect_seccomp(mark) -> true | nil, message, errno
 * That the filter with this mark is there, and the last: it is asked, and answers what the kernel never does, also
 * where it refuses every other call (lua/cella/seccomp/compile.lua). A number in /proc would not say which it is.
 * mark: of a policy, policy:mark() of cella.seccomp */
static int act_expect_seccomp(const struct arg *a)
{
	enum { OF_CELLA = 0x63656c6c };
	long answer = RAW(SYS_prctl, PR_GET_SECCOMP, (uint64_t)OF_CELLA << 32 | (uint64_t)a[0].n, 0, 0, 0);
	return answer == -EALREADY ? 0 : -ENOTRECOVERABLE;
}

/* expect_no_user_namespaces() -> true | nil, message, errno
 * That the kernel refuses to make a user namespace: tried, because no number tells. ENOTRECOVERABLE where it could be
 * made. */
static int act_expect_no_user_namespaces(const struct arg *a)
{
	(void)a;
	long result = RAW(SYS_unshare, CLONE_NEWUSER);
	/* ENOSYS is what a seccomp filter may choose. Other errors, for want of memory say, tell nothing. */
	bool refused = result == -EPERM || result == -ENOSPC || result == -EACCES || result == -EUSERS ||
		       result == -ENOSYS;
	return refused ? 0 : -ENOTRECOVERABLE;
}

/* Puts the working directory where an environment has PWD. */
static int set_pwd(const char **environment, char *buffer, size_t room)
{
	static const char name[] = "PWD=";
	for (; *environment; environment++) {
		size_t i = 0;
		while (name[i] && (*environment)[i] == name[i])
			i++;
		if (name[i])
			continue;
		for (size_t j = 0; j < i; j++)
			buffer[j] = name[j];
		long result = RAW(SYS_getcwd, buffer + i, room - i);
		if (result < 0)
			return (int)result;
		*environment = buffer;
	}
	return 0;
}

/* Executes the first of `count` paths that exists and may be executed, as in execvp(3), but a file in no known format
 * is an error, not a shell script. Returns a negative errno: ELIBACC where a file is there, but not its interpreter. */
static int exec_first(const char *const *paths, long count, const void *argv, const void *environment)
{
	bool denied = false;
	int result = -ENOENT;
	for (; count > 0; count--, paths++) {
		result = (int)RAW(SYS_execve, *paths, argv, environment);
		if (result == -EACCES)
			denied = true;
		else if (result == -ENOENT && RAW(SYS_faccessat, AT_FDCWD, *paths, F_OK) == 0)
			return -ELIBACC;
		else if (result != -ENOENT && result != -ENOTDIR)
			return result;
	}
	return denied ? -EACCES : result;
}

/* execve(path | paths, argv [, environment [, pwd]]) -> nil, message, errno
 * execve(2): of several paths the first that exists and may be executed counts, as in execvp(3), but a file in no
 * known format is an error, not a shell script. ELIBACC says that the file is there and its interpreter is not.
 * Without an environment, that of this process.
 * environment: "NAME=value"
 * pwd: a PWD in the environment becomes the working directory */
static int act_execve(const struct arg *a)
{
	char pwd[PATH_MAX + 8];
	const char *const *paths = a[0].p;
	const void *environment = given(&a[2]) ? a[2].p : environ;
	long count = 0;
	int result = 0;
	if (given(&a[2]) && a[3].n)
		result = set_pwd((const char **)(uintptr_t)a[2].p, pwd, sizeof pwd);
	if (result < 0)
		return result;
	while (paths[count])
		count++;
	return exec_first(paths, count, a[1].p, environment);
}

/* expect_program(path | paths) [in a plan]
 * That one of several paths is there and is a file that may be executed, as execve will try them, long before that
 * does. */
static int act_expect_program(const struct arg *a)
{
	int result = -ENOENT;
	for (const char *const *path = a[0].p; *path; path++) {
		struct stat status;
		int found = (int)RAW(SYS_newfstatat, AT_FDCWD, *path, &status, 0);
		if (found == 0 && !S_ISREG(status.st_mode))
			found = -EACCES;
		if (found == 0)
			found = (int)RAW(SYS_faccessat, AT_FDCWD, *path, X_OK);
		if (found == 0)
			return 0;
		if (result == -ENOENT || found == -EACCES)
			result = found == -ENOTDIR ? -ENOENT : found;
	}
	return result;
}

/* call(what [, environment]) [in a plan]
 * The child, a copy of the caller, goes on with a Lua function of the caller's. See parent/forked.c. */
static int act_call(const struct arg *a)
{
	(void)a;
	return -ENOSYS;
}

static const struct op rows[] = {
	{ "await", act_await, OP_LATER, RESULT_TRUE, { { "channel", K_CHANNEL } } },
	{ "await_plan", act_await_plan, OP_LATER | OP_PARK, RESULT_TRUE, { { "channel", K_CHANNEL } } },
	{ "fork", act_fork, OP_LATER | OP_FORK, RESULT_TRUE,
	  { { "namespaces", K_FLAGS, true, &names_namespace } } },
	{ "init", act_init, OP_LATER | OP_INIT, RESULT_TRUE,
	  { { "program_fd", K_FD }, { "status_fd", K_FD }, { "detached", K_BOOL, true }, { "label", K_TEXT, true } } },
	{ "sigdefault", act_sigdefault, 0, RESULT_TRUE, { { "signals", K_SIGNALS } } },
	{ "sigunblock", act_sigunblock, 0, RESULT_TRUE, { { 0 } } },
	{ "pidfd_open", act_pidfd_open, 0, RESULT_FD, { { "pid", K_INT } } },
	{ "pidfd_send_signal", act_pidfd_send_signal, 0, RESULT_TRUE,
	  { { "pidfd", K_FD }, { "signal", K_NAME, false, &names_signal } } },
	{ "pdeathsig", act_pdeathsig, OP_TIE, RESULT_TRUE, { { "signal", K_NAME, false, &names_signal } } },
	{ "expect_parent", act_expect_parent, OP_LATER, RESULT_TRUE, { { "channel", K_CHANNEL } } },
	{ "dumpable", act_dumpable, 0, RESULT_TRUE, { { "on", K_BOOL } } },
	{ "setrlimit", act_setrlimit, 0, RESULT_TRUE,
	  { { "resource", K_NAME, false, &names_rlimit }, { "soft", K_LIMIT }, { "hard", K_LIMIT } } },
	{ "wait_for_byte", act_wait_for_byte, 0, RESULT_TRUE, { { "fd", K_FD } } },
	{ "seccomp", act_seccomp, OP_CREDENTIALS, RESULT_TRUE, { { "filter", K_DATA }, { "policy", K_TEXT, true } } },
	{ "expect_seccomp", act_expect_seccomp, 0, RESULT_TRUE, { { "mark", K_U32 } } },
	{ "expect_no_user_namespaces", act_expect_no_user_namespaces, OP_LATER, RESULT_TRUE, { { 0 } } },
	{ "expect_program", act_expect_program, OP_LATER, RESULT_TRUE, { { "path", K_STRINGS } } },
	{ "execve", act_execve, OP_EXEC, RESULT_TRUE,
	  { { "path", K_STRINGS },
	    { "argv", K_STRINGS },
	    { "environment", K_ENVIRONMENT, true },
	    { "pwd", K_BOOL, true } } },
	{ "call", act_call, OP_LATER | OP_EXEC | OP_CALL, RESULT_TRUE,
	  { { "what", K_TEXT }, { "environment", K_ENVIRONMENT, true } } },
};

const struct op_table ops_process = OP_TABLE(rows);
