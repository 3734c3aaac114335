/* The kernel's constants under the names that scripts use: lower case, without prefix. */
#include "sys/names.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20 /* Linux 5.12 */
#endif

/* The exec restrictions are newer (Linux 6.14) than the headers that we build with. */
#ifndef SECBIT_EXEC_RESTRICT_FILE
#define SECBIT_EXEC_RESTRICT_FILE (1 << 8)
#define SECBIT_EXEC_RESTRICT_FILE_LOCKED (1 << 9)
#define SECBIT_EXEC_DENY_INTERACTIVE (1 << 10)
#define SECBIT_EXEC_DENY_INTERACTIVE_LOCKED (1 << 11)
#endif

const struct names names_namespace = {
	"namespace",
	(const struct name[]){
		{ "user", CLONE_NEWUSER },
		{ "mount", CLONE_NEWNS },
		{ "pid", CLONE_NEWPID },
		{ "ipc", CLONE_NEWIPC },
		{ "uts", CLONE_NEWUTS },
		{ "net", CLONE_NEWNET },
		{ "cgroup", CLONE_NEWCGROUP },
		{ "time", CLONE_NEWTIME },
		{ 0 },
	},
};

const struct names names_mount = {
	"mount flag",
	(const struct name[]){
		{ "rdonly", MS_RDONLY },
		{ "nosuid", MS_NOSUID },
		{ "nodev", MS_NODEV },
		{ "noexec", MS_NOEXEC },
		{ "synchronous", MS_SYNCHRONOUS },
		{ "remount", MS_REMOUNT },
		{ "mandlock", MS_MANDLOCK },
		{ "dirsync", MS_DIRSYNC },
		{ "nosymfollow", 256 },
		{ "noatime", MS_NOATIME },
		{ "nodiratime", MS_NODIRATIME },
		{ "bind", MS_BIND },
		{ "move", MS_MOVE },
		{ "rec", MS_REC },
		{ "silent", MS_SILENT },
		{ "unbindable", MS_UNBINDABLE },
		{ "private", MS_PRIVATE },
		{ "slave", MS_SLAVE },
		{ "shared", MS_SHARED },
		{ "relatime", MS_RELATIME },
		{ "strictatime", MS_STRICTATIME },
		{ "lazytime", MS_LAZYTIME },
		{ 0 },
	},
};

/* MNT_* and UMOUNT_* are in <sys/mount.h>, which does not go together with <linux/mount.h>. */
const struct names names_umount = {
	"umount flag",
	(const struct name[]){
		{ "force", 1 },
		{ "detach", 2 },
		{ "expire", 4 },
		{ "nofollow", 8 },
		{ 0 },
	},
};

const struct names names_mount_attr = {
	"mount attribute",
	(const struct name[]){
		{ "rdonly", MOUNT_ATTR_RDONLY },
		{ "nosuid", MOUNT_ATTR_NOSUID },
		{ "nodev", MOUNT_ATTR_NODEV },
		{ "noexec", MOUNT_ATTR_NOEXEC },
		{ "noatime", MOUNT_ATTR_NOATIME },
		{ "strictatime", MOUNT_ATTR_STRICTATIME },
		{ "nodiratime", MOUNT_ATTR_NODIRATIME },
		{ "nosymfollow", MOUNT_ATTR_NOSYMFOLLOW },
		{ 0 },
	},
};

const struct names names_open_tree = {
	"open_tree flag",
	(const struct name[]){
		{ "clone", OPEN_TREE_CLONE },
		{ "recursive", AT_RECURSIVE },
		{ "nofollow", AT_SYMLINK_NOFOLLOW },
		{ "no_automount", AT_NO_AUTOMOUNT },
		{ 0 },
	},
};

const struct names names_propagation = {
	"propagation",
	(const struct name[]){
		{ "private", MS_PRIVATE },
		{ "slave", MS_SLAVE },
		{ "shared", MS_SHARED },
		{ "unbindable", MS_UNBINDABLE },
		{ 0 },
	},
};

const struct names names_fsconfig = {
	"fsconfig command",
	(const struct name[]){
		{ "flag", FSCONFIG_SET_FLAG },
		{ "string", FSCONFIG_SET_STRING },
		{ "create", FSCONFIG_CMD_CREATE },
		{ "reconfigure", FSCONFIG_CMD_RECONFIGURE },
		{ 0 },
	},
};

const struct names names_open = {
	"open flag",
	(const struct name[]){
		{ "rdonly", O_RDONLY },
		{ "wronly", O_WRONLY },
		{ "rdwr", O_RDWR },
		{ "path", O_PATH },
		{ "directory", O_DIRECTORY },
		{ "nofollow", O_NOFOLLOW },
		{ "creat", O_CREAT },
		{ "excl", O_EXCL },
		{ "trunc", O_TRUNC },
		{ "append", O_APPEND },
		{ "nonblock", O_NONBLOCK },
		{ 0 },
	},
};

const struct names names_resolve = {
	"resolve flag",
	(const struct name[]){
		{ "beneath", RESOLVE_BENEATH },
		{ "cached", RESOLVE_CACHED },
		{ "in_root", RESOLVE_IN_ROOT },
		{ "no_magiclinks", RESOLVE_NO_MAGICLINKS },
		{ "no_symlinks", RESOLVE_NO_SYMLINKS },
		{ "no_xdev", RESOLVE_NO_XDEV },
		{ 0 },
	},
};

const struct names names_node = {
	"kind of node",
	(const struct name[]){
		{ "char", S_IFCHR },
		{ "block", S_IFBLK },
		{ "fifo", S_IFIFO },
		{ "socket", S_IFSOCK },
		{ "file", S_IFREG },
		{ 0 },
	},
};

const struct names names_securebits = {
	"securebit",
	(const struct name[]){
		{ "noroot", SECBIT_NOROOT },
		{ "noroot_locked", SECBIT_NOROOT_LOCKED },
		{ "no_setuid_fixup", SECBIT_NO_SETUID_FIXUP },
		{ "no_setuid_fixup_locked", SECBIT_NO_SETUID_FIXUP_LOCKED },
		{ "keep_caps", SECBIT_KEEP_CAPS },
		{ "keep_caps_locked", SECBIT_KEEP_CAPS_LOCKED },
		{ "no_cap_ambient_raise", SECBIT_NO_CAP_AMBIENT_RAISE },
		{ "no_cap_ambient_raise_locked", SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED },
		{ "exec_restrict_file", SECBIT_EXEC_RESTRICT_FILE },
		{ "exec_restrict_file_locked", SECBIT_EXEC_RESTRICT_FILE_LOCKED },
		{ "exec_deny_interactive", SECBIT_EXEC_DENY_INTERACTIVE },
		{ "exec_deny_interactive_locked", SECBIT_EXEC_DENY_INTERACTIVE_LOCKED },
		{ 0 },
	},
};

const struct names names_rlimit = {
	"resource",
	(const struct name[]){
		{ "as", RLIMIT_AS },
		{ "core", RLIMIT_CORE },
		{ "cpu", RLIMIT_CPU },
		{ "data", RLIMIT_DATA },
		{ "fsize", RLIMIT_FSIZE },
		{ "locks", RLIMIT_LOCKS },
		{ "memlock", RLIMIT_MEMLOCK },
		{ "msgqueue", RLIMIT_MSGQUEUE },
		{ "nice", RLIMIT_NICE },
		{ "nofile", RLIMIT_NOFILE },
		{ "nproc", RLIMIT_NPROC },
		{ "rss", RLIMIT_RSS },
		{ "rtprio", RLIMIT_RTPRIO },
		{ "rttime", RLIMIT_RTTIME },
		{ "sigpending", RLIMIT_SIGPENDING },
		{ "stack", RLIMIT_STACK },
		{ 0 },
	},
};

const struct names names_signal = {
	"signal",
	(const struct name[]){
		{ "hup", SIGHUP },   { "int", SIGINT },     { "quit", SIGQUIT },     { "ill", SIGILL },
		{ "trap", SIGTRAP }, { "abrt", SIGABRT },   { "bus", SIGBUS },       { "fpe", SIGFPE },
		{ "kill", SIGKILL }, { "usr1", SIGUSR1 },   { "segv", SIGSEGV },     { "usr2", SIGUSR2 },
		{ "pipe", SIGPIPE }, { "alrm", SIGALRM },   { "term", SIGTERM },     { "stkflt", SIGSTKFLT },
		{ "chld", SIGCHLD }, { "cont", SIGCONT },   { "stop", SIGSTOP },     { "tstp", SIGTSTP },
		{ "ttin", SIGTTIN }, { "ttou", SIGTTOU },   { "urg", SIGURG },       { "xcpu", SIGXCPU },
		{ "xfsz", SIGXFSZ }, { "vtalrm", SIGVTALRM }, { "prof", SIGPROF },   { "winch", SIGWINCH },
		{ "io", SIGIO },     { "pwr", SIGPWR },     { "sys", SIGSYS },       { 0 },
	},
};

const struct names names_close_range = {
	"close_range flag",
	(const struct name[]){
		{ "unshare", CLOSE_RANGE_UNSHARE },
		{ "cloexec", CLOSE_RANGE_CLOEXEC },
		{ 0 },
	},
};

/* Numbers of bits: the kernel adds some that the headers which we build with do not have. landlock(7). */
const struct names names_landlock_fs = {
	"landlock access",
	(const struct name[]){
		{ "execute", 1 << 0 },      { "write_file", 1 << 1 },  { "read_file", 1 << 2 },  { "read_dir", 1 << 3 },
		{ "remove_dir", 1 << 4 },   { "remove_file", 1 << 5 }, { "make_char", 1 << 6 },  { "make_dir", 1 << 7 },
		{ "make_reg", 1 << 8 },     { "make_sock", 1 << 9 },   { "make_fifo", 1 << 10 }, { "make_block", 1 << 11 },
		{ "make_sym", 1 << 12 },    { "refer", 1 << 13 },      { "truncate", 1 << 14 },  { "ioctl_dev", 1 << 15 },
		{ "resolve_unix", 1 << 16 }, { 0 },
	},
};

const struct names names_landlock_net = {
	"landlock port access",
	(const struct name[]){
		{ "bind_tcp", 1 << 0 },
		{ "connect_tcp", 1 << 1 },
		{ "bind_udp", 1 << 2 },
		{ "connect_send_udp", 1 << 3 },
		{ 0 },
	},
};

const struct names names_landlock_scope = {
	"landlock scope",
	(const struct name[]){
		{ "abstract_unix_socket", 1 << 0 },
		{ "signal", 1 << 1 },
		{ 0 },
	},
};

/* cella's own: what sys.expect_landlock tries. */
const struct names names_landlock_trial = {
	"landlock trial",
	(const struct name[]){
		{ "read_dir", 1 << 0 },
		{ "bind_tcp", 1 << 1 },
		{ "connect_tcp", 1 << 2 },
		{ 0 },
	},
};
