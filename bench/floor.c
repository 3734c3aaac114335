/* What the kernel itself costs: the same sandbox as bench/shape.lua, made by nothing but its system calls, in
 * the memory of the caller (CLONE_VM), so that a program that starts containers can come near to it and not
 * below.
 *
 *   floor [OPTIONS] COMMAND [ARGUMENT ...]
 *
 *   --plain               no sandbox: vfork and exec. Whatever is a command line is started and timed in this
 * way
 *   --init FILE           FILE is process 1 (bench/init.c), and executes COMMAND
 *   --host-network        no network namespace
 *   --filter FILE         a filter of system calls, as the kernel takes it (seccomp(2))
 *   --files DIR           DIR is /bench in there, read-only
 *   --binds N             N more bind mounts
 *   --helpers UIDS GIDS   a user namespace alone, whose maps newuidmap and then newgidmap write ("0 100000
 * 65536")
 *   --heap MIB, --descriptors N  the caller has so much memory, so many descriptors open
 *   --once N              N starts, one after the other, and that is all
 *
 * Without --once it does as it is told by lines on its standard input, and answers each with a line:
 *
 *   start N P   N starts, P of them at once: "NANOSECONDS CPU_NANOSECONDS BLOCKED_NANOSECONDS" for all of
 * them, where blocked is until the caller could go on idle N      starts N, which are left to run kill ends
 * and reaps these
 */
#include "sys/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* As mount(2), pivot_root(2) and umount2(2) have them; <sys/mount.h> does not go together with
 * <linux/mount.h>. */
enum { NOSUID = 2, NODEV = 4, NOEXEC = 8, REC = 16384, PRIVATE = 1 << 18, DETACH = 2 };
enum { STACK = 64 * 1024, MAX_BINDS = 4096, LAST_CAPABILITY = 63, INIT_FD = 3 };

/* A child in flight. It has a stack of its own, and says here what went wrong: the memory is the caller's. */
struct slot {
	char *stack;
	long pid;
	const char *failed;
	long error;
	int go_on[2];
};

static struct {
	bool plain, host_network;
	const char *init, *files, *uid_map, *gid_map, *filter;
	long binds, heap, descriptors, once;
	char **command, **with_init;
} options;

static struct sock_filter filter[4096]; /* BPF_MAXINSNS */
static struct sock_fprog filter_program = { .filter = filter };
static char own_uid_map[64], own_gid_map[64];
static char *environment[] = { (char *)"PATH=/usr/bin:/bin", NULL };
static char bind_names[MAX_BINDS][32];
static const char *const shared[] = { "usr", "bin", "lib", "lib64", "etc" };
static const char *const devices[] = { "null", "zero", "full", "random", "urandom", "tty" };

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* The child's: a call that has to succeed. */
static long must(struct slot *slot, const char *name, long result)
{
	if (result >= 0)
		return result;
	slot->failed = name;
	slot->error = -result;
	raw_leave(EXIT_SETUP_FAILED);
}

#define DO(...) DO_PAD(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define DO_PAD(call, ...) must(slot, #call, RAW_PAD(SYS_##call, __VA_ARGS__))

static void write_file(struct slot *slot, const char *path, const char *text)
{
	long fd = DO(openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
	DO(write, fd, text, strlen(text));
	DO(close, fd);
}

/* A copy of what is mounted at `source`, which is nowhere yet. */
static long copy_tree(struct slot *slot, const char *source, unsigned flags, uint64_t attributes)
{
	struct mount_attr attr = { .attr_set = attributes };
	long tree = DO(open_tree, AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
	if (attributes)
		DO(mount_setattr, tree, "", AT_EMPTY_PATH | flags, &attr, sizeof attr);
	return tree;
}

static void attach(struct slot *slot, long tree, const char *target)
{
	DO(move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
	DO(close, tree);
}

static const uint64_t READ_ONLY = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

static void share_directory(struct slot *slot, const char *source, const char *target)
{
	DO(mkdirat, AT_FDCWD, target, 0755);
	attach(slot, copy_tree(slot, source, AT_RECURSIVE, READ_ONLY), target);
}

static void make_devices(struct slot *slot)
{
	static const char *const links[][2] = {
		{ "/proc/self/fd", "dev/fd" },	     { "/proc/self/fd/0", "dev/stdin" },
		{ "/proc/self/fd/1", "dev/stdout" }, { "/proc/self/fd/2", "dev/stderr" },
		{ "/proc/kcore", "dev/core" },	     { "pts/ptmx", "dev/ptmx" },
	};
	char source[] = "/dev/urandom";
	DO(mkdirat, AT_FDCWD, "dev", 0755);
	DO(mount, "tmpfs", "dev", "tmpfs", NOSUID | NOEXEC, "mode=755");
	for (size_t i = 0; i < COUNT(devices); i++) {
		strcpy(source + 5, devices[i]);
		DO(mknodat, AT_FDCWD, source + 1, S_IFREG | 0644, 0);
		attach(slot, copy_tree(slot, source, 0, 0), source + 1);
	}
	DO(mkdirat, AT_FDCWD, "dev/pts", 0755);
	DO(mount, "devpts", "dev/pts", "devpts", NOSUID | NOEXEC, "newinstance,ptmxmode=0666,mode=620");
	DO(mkdirat, AT_FDCWD, "dev/shm", 01777);
	for (size_t i = 0; i < COUNT(links); i++)
		DO(symlinkat, links[i][0], AT_FDCWD, links[i][1]);
}

static void make_root(struct slot *slot)
{
	char source[] = "/lib64", env[] = "/usr/bin/env";
	DO(mount, "none", "/", 0, REC | PRIVATE, 0);
	/* It may lie in /tmp, over which the new root is put together. */
	long files = options.files ? copy_tree(slot, options.files, AT_RECURSIVE, READ_ONLY) : -1;
	DO(mount, "tmpfs", "/tmp", "tmpfs", NOSUID | NODEV, "mode=755");
	DO(chdir, "/tmp");
	for (size_t i = 0; i < COUNT(shared); i++) {
		strcpy(source + 1, shared[i]);
		if (RAW(SYS_faccessat, AT_FDCWD, source, F_OK) == 0)
			share_directory(slot, source, shared[i]);
	}
	if (options.files) {
		DO(mkdirat, AT_FDCWD, "bench", 0755);
		attach(slot, files, "bench");
	}
	DO(mkdirat, AT_FDCWD, "proc", 0555);
	DO(mount, "proc", "proc", "proc", NOSUID | NODEV | NOEXEC, 0);
	make_devices(slot);
	DO(mkdirat, AT_FDCWD, "tmp", 0755);
	DO(mount, "tmpfs", "tmp", "tmpfs", NOSUID | NODEV, "mode=1777");
	if (options.binds)
		DO(mkdirat, AT_FDCWD, "mnt", 0755);
	for (long i = 0; i < options.binds; i++) {
		DO(mknodat, AT_FDCWD, bind_names[i], S_IFREG | 0644, 0);
		attach(slot, copy_tree(slot, env, 0, READ_ONLY), bind_names[i]);
	}
	DO(pivot_root, ".", ".");
	DO(umount2, ".", DETACH);
	DO(chdir, "/");
}

static void set_loopback_up(struct slot *slot)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	long fd = DO(socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	DO(ioctl, fd, SIOCSIFFLAGS, &request);
	DO(close, fd);
}

static void give_up_privileges(struct slot *slot)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	for (int i = 0; i <= LAST_CAPABILITY; i++) {
		if (RAW(SYS_prctl, PR_CAPBSET_DROP, i) == -EINVAL)
			break; /* the kernel has no more */
	}
	DO(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
	DO(capset, &header, none);
	DO(prctl, PR_SET_NO_NEW_PRIVS, 1);
	if (filter_program.len)
		DO(prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter_program);
}

static void execute(struct slot *slot)
{
	if (options.init)
		DO(execveat, INIT_FD, "", options.with_init, environment, AT_EMPTY_PATH);
	DO(execve, options.command[0], options.command, environment);
	raw_leave(EXIT_SETUP_FAILED);
}

static void sandboxed_child(void *data)
{
	struct slot *slot = data;
	/* The table of descriptors is the caller's until here: of a large one nothing has been copied. */
	DO(close_range, options.init ? INIT_FD + 1 : INIT_FD, ~0U, CLOSE_RANGE_UNSHARE);
	write_file(slot, "/proc/self/setgroups", "deny");
	write_file(slot, "/proc/self/uid_map", own_uid_map);
	write_file(slot, "/proc/self/gid_map", own_gid_map);
	make_root(slot);
	DO(sethostname, "bench", 5);
	if (!options.host_network)
		set_loopback_up(slot);
	DO(setsid);
	give_up_privileges(slot);
	execute(slot);
}

static void mapped_child(void *data)
{
	struct slot *slot = data;
	char byte;
	DO(read, slot->go_on[0], &byte, 1);
	execute(slot);
}

static void plain_child(void *data)
{
	struct slot *slot = data;
	DO(execve, options.command[0], options.command, environ);
}

static _Noreturn void give_up(const char *what, long error)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror((int)error));
	exit(EXIT_SETUP_FAILED);
}

static long clone_child(struct slot *slot, uint64_t flags, void (*body)(void *), void *data)
{
	struct clone_args args = {
		.flags = flags | CLONE_VM,
		.exit_signal = SIGCHLD,
		.stack = (uint64_t)(uintptr_t)slot->stack,
		.stack_size = STACK,
	};
	long pid = raw_clone3(&args, sizeof args, body, data);
	if (pid < 0)
		give_up("clone3", -pid);
	return pid;
}

struct helper {
	char *argv[32];
	char pid[16], text[256];
};

static void helper_child(void *data)
{
	struct helper *helper = data;
	RAW(SYS_execve, helper->argv[0], helper->argv, environment);
	raw_leave(127);
}

/* One after the other, as a shell script would. */
static void write_map(struct slot *slot, const char *program, const char *map)
{
	static struct slot of_helper;
	static struct helper helper;
	int status, words = 2;
	if (!of_helper.stack)
		of_helper.stack = malloc(STACK);
	snprintf(helper.pid, sizeof helper.pid, "%ld", slot->pid);
	snprintf(helper.text, sizeof helper.text, "%s", map);
	helper.argv[0] = (char *)(uintptr_t)program;
	helper.argv[1] = helper.pid;
	for (char *word = strtok(helper.text, " "); word && words < 31; word = strtok(NULL, " "))
		helper.argv[words++] = word;
	helper.argv[words] = NULL;
	long pid = clone_child(&of_helper, CLONE_VFORK, helper_child, &helper);
	if (waitpid((pid_t)pid, &status, 0) < 0 || status != 0)
		give_up(program, EPERM);
}

static void start(struct slot *slot)
{
	uint64_t all = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
		       CLONE_NEWCGROUP | CLONE_FILES;
	slot->failed = NULL;
	if (options.plain) {
		slot->pid = clone_child(slot, CLONE_VFORK, plain_child, slot);
	} else if (options.uid_map) {
		if (pipe2(slot->go_on, O_CLOEXEC) < 0)
			give_up("pipe2", errno);
		slot->pid = clone_child(slot, CLONE_NEWUSER, mapped_child, slot);
		write_map(slot, "/usr/bin/newuidmap", options.uid_map);
		write_map(slot, "/usr/bin/newgidmap", options.gid_map);
		if (write(slot->go_on[1], "", 1) != 1)
			give_up("write", errno);
		close(slot->go_on[0]);
		close(slot->go_on[1]);
	} else {
		slot->pid = clone_child(slot, all | (options.host_network ? 0 : CLONE_NEWNET),
					sandboxed_child, slot);
	}
}

static struct slot *slots;
static long slot_count;

static void need_slots(long count)
{
	if (count <= slot_count)
		return;
	slots = realloc(slots, (size_t)count * sizeof *slots);
	for (; slot_count < count; slot_count++) {
		slots[slot_count] = (struct slot){ .stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
								 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) };
		if (slots[slot_count].stack == MAP_FAILED)
			give_up("mmap", errno);
	}
}

/* Waits for a child in flight, and returns its slot. What was started has to end well, or nothing was
 * measured. */
static struct slot *reap(int *status)
{
	pid_t pid = waitpid(-1, status, 0);
	if (pid < 0)
		give_up("waitpid", errno);
	for (long i = 0; i < slot_count; i++) {
		if (slots[i].pid != pid)
			continue;
		if (slots[i].failed)
			give_up(slots[i].failed, slots[i].error);
		slots[i].pid = 0;
		return &slots[i];
	}
	give_up("a child that nobody has started", ECHILD);
}

static int64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static int64_t used(void)
{
	int64_t sum = 0;
	const int whose[] = { RUSAGE_SELF, RUSAGE_CHILDREN };
	for (size_t i = 0; i < COUNT(whose); i++) {
		struct rusage usage;
		getrusage(whose[i], &usage);
		sum += (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000000) +
		       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * INT64_C(1000);
	}
	return sum;
}

static int last_status;

/* How long the caller was kept, in all. */
static int64_t run(long count, long at_once)
{
	int64_t blocked = 0;
	long running = 0;
	struct slot *slot = NULL;
	need_slots(at_once);
	while (count > 0 || running > 0) {
		if (count > 0 && running < at_once) {
			struct slot *next = slot ? slot : &slots[running];
			int64_t begun = now();
			start(next);
			blocked += now() - begun;
			slot = NULL;
			running++;
			count--;
			continue;
		}
		slot = reap(&last_status);
		running--;
		if (last_status != 0 && !options.once)
			give_up("the command did not succeed", EINVAL);
	}
	return blocked;
}

static void end_all(void)
{
	int status;
	long left = 0;
	for (long i = 0; i < slot_count; i++) {
		if (slots[i].pid) {
			kill((pid_t)slots[i].pid, SIGKILL);
			left++;
		}
	}
	while (left-- > 0)
		reap(&status);
}

static void serve(void)
{
	char line[64];
	/* What is started gets no request to read. */
	int own = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, INIT_FD + 1),
	    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	FILE *requests = own < 0 ? NULL : fdopen(own, "r");
	if (!requests || null < 0 || dup2(null, STDIN_FILENO) < 0)
		give_up("standard input", errno);
	while (fgets(line, sizeof line, requests)) {
		long count = 0, at_once = 1;
		int64_t begun = now(), cpu = used(), blocked = 0;
		if (sscanf(line, "start %ld %ld", &count, &at_once) == 2) {
			blocked = run(count, at_once);
		} else if (sscanf(line, "idle %ld", &count) == 1) {
			need_slots(count);
			for (long i = 0; i < count; i++)
				start(&slots[i]);
		} else if (strcmp(line, "kill\n") == 0) {
			end_all();
		} else {
			give_up(line, EINVAL);
		}
		printf("%lld %lld %lld\n", (long long)(now() - begun), (long long)(used() - cpu),
		       (long long)blocked);
		fflush(stdout);
	}
}

static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "plain", no_argument, NULL, 'p' },	    { "init", required_argument, NULL, 'i' },
		{ "host-network", no_argument, NULL, 'n' }, { "files", required_argument, NULL, 'f' },
		{ "binds", required_argument, NULL, 'b' },  { "helpers", required_argument, NULL, 'u' },
		{ "heap", required_argument, NULL, 'h' },   { "descriptors", required_argument, NULL, 'd' },
		{ "once", required_argument, NULL, 'o' },   { "filter", required_argument, NULL, 's' },
		{ 0 },
	};
	int option;
	while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		switch (option) {
		case 'p':
			options.plain = true;
			break;
		case 'i':
			options.init = optarg;
			break;
		case 'n':
			options.host_network = true;
			break;
		case 'f':
			options.files = optarg;
			break;
		case 'b':
			options.binds = atol(optarg);
			break;
		case 'u':
			options.uid_map = optarg;
			options.gid_map = argv[optind++];
			break;
		case 's':
			options.filter = optarg;
			break;
		case 'h':
			options.heap = atol(optarg);
			break;
		case 'd':
			options.descriptors = atol(optarg);
			break;
		case 'o':
			options.once = atol(optarg);
			break;
		default:
			exit(EXIT_SETUP_FAILED);
		}
	}
	if (optind >= argc || options.binds > MAX_BINDS)
		give_up("no command, or too many binds", EINVAL);
	options.command = argv + optind;
	options.with_init = calloc((size_t)(argc - optind) + 2, sizeof(char *));
	options.with_init[0] = (char *)"init";
	memcpy(options.with_init + 1, options.command, (size_t)(argc - optind) * sizeof(char *));
}

static void read_filter(void)
{
	int fd = open(options.filter, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, filter, sizeof filter);
	if (size < 0)
		give_up(options.filter, errno);
	if (size == 0 || (size_t)size % sizeof *filter)
		give_up(options.filter, EINVAL);
	filter_program.len = (unsigned short)((size_t)size / sizeof *filter);
	close(fd);
}

static void prepare(void)
{
	size_t size = (size_t)options.heap << 20;
	snprintf(own_uid_map, sizeof own_uid_map, "%u %u 1", getuid(), getuid());
	snprintf(own_gid_map, sizeof own_gid_map, "%u %u 1", getgid(), getgid());
	for (long i = 0; i < options.binds; i++)
		snprintf(bind_names[i], sizeof bind_names[i], "mnt/%ld", i);
	if (options.filter)
		read_filter();
	int fd = options.init ? open(options.init, O_PATH | O_CLOEXEC) : -1;
	if (options.init && (fd < 0 || (fd != INIT_FD && dup3(fd, INIT_FD, O_CLOEXEC) < 0)))
		give_up(options.init, errno);
	if (size) {
		char *heap = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (heap == MAP_FAILED)
			give_up("mmap", errno);
		memset(heap, 1, size);
	}
	if (options.descriptors) {
		struct rlimit limit;
		getrlimit(RLIMIT_NOFILE, &limit);
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	for (long i = 0; i < options.descriptors; i++) {
		if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
			give_up("open", errno);
	}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	prepare();
	if (!options.once) {
		serve();
		return 0;
	}
	run(options.once, 1);
	return WIFEXITED(last_status) ? WEXITSTATUS(last_status) : 128 + WTERMSIG(last_status);
}
