/* What answers a system call: the kernel, or a seccomp filter before it. Each call is made with arguments at which the
 * kernel's own check fails, with an errno that is known, before anything is done: any other answer is a filter's. It is
 * made by a forked child, with which a filter may do what it likes, and which has little time. */
#include "lib/lib.h"
#include "sys/raw.h"
#include "sys/statx.h"
#include "value/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif

enum { NOWHERE = 1, NO_FLAG = 1 << 30, PATIENCE = 2000 /* milliseconds */ };

struct question {
	const char *name;
	int number;
	long expected;
	bool inside; /* asked by who may mount, in namespaces of its own: others get EPERM first */
	long arguments[5];
};

static const struct question questions[] = {
	{ "clone3", SYS_clone3, -EINVAL, false, { 0, 0 } },
	{ "unshare", SYS_unshare, -EINVAL, false, { 1 } },
	{ "setns", SYS_setns, -EBADF, false, { -1, 0 } },
	{ "mount", SYS_mount, -EFAULT, false, { NOWHERE, NOWHERE, NOWHERE, 0, 0 } },
	{ "umount2", SYS_umount2, -EINVAL, false, { NOWHERE, NO_FLAG } },
	{ "chroot", SYS_chroot, -EFAULT, false, { NOWHERE } },
	{ "execveat", SYS_execveat, -EFAULT, false, { -1, NOWHERE, 0, 0, 0 } },
	{ "openat2", SYS_openat2, -EINVAL, false, { -1, NOWHERE, NOWHERE, 0 } },
	{ "memfd_create", SYS_memfd_create, -EINVAL, false, { NOWHERE, 0x8000 } },
	{ "close_range", SYS_close_range, -EINVAL, false, { 1, 0, 0 } },
	{ "pidfd_open", SYS_pidfd_open, -EINVAL, false, { -1, 0 } },
	{ "seccomp", SYS_seccomp, -EINVAL, false, { 0xffff, 0, 0 } },
	{ "open_tree", SYS_open_tree, -EINVAL, false, { -1, NOWHERE, NO_FLAG } },
	{ "fsconfig", SYS_fsconfig, -EINVAL, false, { -1, 0, 0, 0, 0 } },
	{ "mount_setattr", SYS_mount_setattr, -EINVAL, false, { -1, NOWHERE, NO_FLAG, 0, 0 } },
	{ "fsopen", SYS_fsopen, -EINVAL, true, { NOWHERE, NO_FLAG } },
	{ "fsmount", SYS_fsmount, -EINVAL, true, { -1, NO_FLAG, 0 } },
	{ "move_mount", SYS_move_mount, -EINVAL, true, { -1, NOWHERE, -1, NOWHERE, NO_FLAG } },
	{ "pivot_root", SYS_pivot_root, -EFAULT, true, { NOWHERE, NOWHERE } },
	{ "sethostname", SYS_sethostname, -EINVAL, true, { NOWHERE, -1 } },
	/* The one that succeeds: the level that there is (landlock_create_ruleset(2)). */
	{ "landlock_create_ruleset", SYS_landlock_create_ruleset, 0, false, { 0, 0, 1 } },
};

/* What parent and child share. */
struct answer {
	bool asked;
	long result;
};

/* A child that does `body` and ends; returns 0, or a negative errno: -ETIMEDOUT where it hangs, -EINTR where it was
 * killed. It is no child that a wait(2) of somebody else's would meet: it ends without a signal. */
static int in_child(void (*body)(struct answer *, const void *), struct answer *answer, const void *data)
{
	uint64_t all = UINT64_MAX, before;
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
	long pid = RAW(SYS_clone, 0, 0, 0, 0, 0);
	if (pid == 0) {
		body(answer, data);
		raw_leave(0);
	}
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, sizeof before);
	if (pid < 0)
		return (int)pid;
	int status = 0;
	long ended = 0;
	for (int i = 0; i < PATIENCE && ended == 0; i++) {
		RAW_RETRY(ended, SYS_wait4, pid, &status, __WALL | WNOHANG, 0);
		if (ended == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	if (ended < 0)
		return (int)ended;
	if (ended == 0) {
		RAW(SYS_kill, pid, SIGKILL);
		RAW_RETRY(ended, SYS_wait4, pid, &status, __WALL, 0);
		return -ETIMEDOUT;
	}
	return WIFEXITED(status) ? 0 : -EINTR;
}

static int ask(lua_State *L, void (*body)(struct answer *, const void *), const void *data, struct answer *result)
{
	struct answer *answer = mmap(NULL, sizeof *answer, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (answer == MAP_FAILED)
		return push_error(L, "mmap", errno);
	int error = in_child(body, answer, data);
	*result = *answer;
	munmap(answer, sizeof *answer);
	if (error == -EINTR) {
		lua_pushnil(L);
		lua_pushliteral(L, "killed");
		return 2;
	}
	if (error < 0)
		return push_error(L, "clone", -error);
	return 0;
}

static void put_question(struct answer *answer, const void *data)
{
	const struct question *question = data;
	const long *a = question->arguments;
	if (question->inside && RAW(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS) < 0)
		return;
	answer->result = RAW(question->number, a[0], a[1], a[2], a[3], a[4]);
	answer->asked = true;
}

/* answer(call [, namespaces]) -> result, expected | nil, message, errno | nil
 * The answer to a system call with arguments that are refused, as a negative errno, and the kernel's own. nil alone:
 * that call is not known here, or cannot be asked about by this process. "killed": the one who asked was. The
 * namespaces are those of unshare(2). */
static int lib_answer(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	long flags = lua_isnoneornil(L, 2) ? 0 : (long)check_flags(L, 2, &names_namespace);
	for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
		if (strcmp(name, questions[i].name) != 0)
			continue;
		struct question question = questions[i];
		if (question.number == SYS_unshare)
			question.arguments[0] |= flags;
		struct answer answer;
		int pushed = ask(L, put_question, &question, &answer);
		if (pushed)
			return pushed;
		if (!answer.asked)
			break;
		lua_pushinteger(L, answer.result);
		lua_pushinteger(L, question.expected);
		return 2;
	}
	lua_pushnil(L);
	return 1;
}

/* The mount and the inode that a path leads to. */
static bool place_of(const char *path, struct kernel_statx *place)
{
	return raw_statx(AT_FDCWD, path, 0, KNOW_INODE | KNOW_MOUNT, place) == 0;
}

/* Pushes whether a body has found something: nil where it could not ask. */
static int push_truth(lua_State *L, void (*body)(struct answer *, const void *))
{
	struct answer answer;
	int pushed = ask(L, body, NULL, &answer);
	if (pushed)
		return pushed;
	if (answer.asked)
		lua_pushboolean(L, answer.result != 0);
	else
		lua_pushnil(L);
	return 1;
}

/* Whoever joins a mount namespace is at its root, also the one that it is in. */
static void join_own_namespace(struct answer *answer, const void *data)
{
	(void)data;
	struct kernel_statx mine, root;
	long fd = RAW(SYS_openat, AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0 || !place_of("/", &mine) || RAW(SYS_setns, fd, CLONE_NEWNS) < 0 || !place_of("/", &root))
		return;
	answer->asked = true;
	answer->result = mine.inode != root.inode || mine.dev_major != root.dev_major ||
			 mine.dev_minor != root.dev_minor || mine.mount_id != root.mount_id;
}

/* is_chrooted() -> boolean | nil [, message, errno]
 * Whether the root directory of this process is not that of its mount namespace (chroot(2)); nil where it is not
 * privileged enough to find out. */
static int lib_is_chrooted(lua_State *L)
{
	return push_truth(L, join_own_namespace);
}

/* The root of a user namespace may make others in it: for who asks the kernel alone. */
static void use_capabilities(struct answer *answer, const void *data)
{
	(void)data;
	if (RAW(SYS_unshare, CLONE_NEWUSER) < 0)
		return;
	answer->result = RAW(SYS_unshare, CLONE_NEWUTS);
	answer->asked = answer->result == 0 || answer->result == -EPERM || answer->result == -EACCES;
}

/* denies_capabilities() -> boolean | nil [, message, errno]
 * Whether something beside the kernel's own rules keeps the root of a new user namespace from using the capabilities
 * that it has there; nil where there is no such namespace to be had, or no other in it. */
static int lib_denies_capabilities(lua_State *L)
{
	return push_truth(L, use_capabilities);
}

void open_answer(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "answer", lib_answer },
		{ "is_chrooted", lib_is_chrooted },
		{ "denies_capabilities", lib_denies_capabilities },
		{ 0 },
	};
	luaL_setfuncs(L, functions, 0);
}
