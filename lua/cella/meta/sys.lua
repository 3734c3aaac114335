---@meta cella.sys
-- luacheck: ignore 212 (declarations: the functions are C, in csrc/ops and csrc/lib/query.c)
-- Written by tools/meta.lua, from the comments and rows there: change those.
error "for editors and readers, not for running"

---@class cella.sys
local sys = {}

---@alias cella.fd integer|cella.slot  a descriptor, from 0; in a plan also what an earlier step yields
---@alias cella.capabilities "all"|"none"|(string|integer)[]  names with or without "cap_", numbers; "-name" takes away
---@alias cella.limit integer|"unlimited"
---@alias cella.namespace_link cella.namespace|"pid_for_children"|"time_for_children"

---@class cella.capability_sets
---@field effective string[]
---@field permitted string[]
---@field inheritable string[]
---@field bounding string[]
---@field ambient string[]

---@alias cella.namespace "user"|"mount"|"pid"|"ipc"|"uts"|"net"|"cgroup"|"time"

---@alias cella.mount_flag
---|"rdonly"
---|"nosuid"
---|"nodev"
---|"noexec"
---|"synchronous"
---|"remount"
---|"mandlock"
---|"dirsync"
---|"nosymfollow"
---|"noatime"
---|"nodiratime"
---|"bind"
---|"move"
---|"rec"
---|"silent"
---|"unbindable"
---|"private"
---|"slave"
---|"shared"
---|"relatime"
---|"strictatime"
---|"lazytime"

---@alias cella.umount_flag "force"|"detach"|"expire"|"nofollow"

---@alias cella.mount_attribute "rdonly"|"nosuid"|"nodev"|"noexec"|"noatime"|"strictatime"|"nodiratime"|"nosymfollow"

---@alias cella.open_tree_flag "clone"|"recursive"|"nofollow"|"no_automount"

---@alias cella.propagation "private"|"slave"|"shared"|"unbindable"

---@alias cella.fsconfig_command "flag"|"string"|"create"|"reconfigure"

---@alias cella.open_flag
---|"rdonly"
---|"wronly"
---|"rdwr"
---|"path"
---|"directory"
---|"nofollow"
---|"creat"
---|"excl"
---|"trunc"
---|"append"
---|"nonblock"

---@alias cella.resolve_flag "beneath"|"cached"|"in_root"|"no_magiclinks"|"no_symlinks"|"no_xdev"

---@alias cella.kind_of_node "char"|"block"|"fifo"|"socket"|"file"

---@alias cella.securebit
---|"noroot"
---|"noroot_locked"
---|"no_setuid_fixup"
---|"no_setuid_fixup_locked"
---|"keep_caps"
---|"keep_caps_locked"
---|"no_cap_ambient_raise"
---|"no_cap_ambient_raise_locked"
---|"exec_restrict_file"
---|"exec_restrict_file_locked"
---|"exec_deny_interactive"
---|"exec_deny_interactive_locked"

---@alias cella.resource
---|"as"
---|"core"
---|"cpu"
---|"data"
---|"fsize"
---|"locks"
---|"memlock"
---|"msgqueue"
---|"nice"
---|"nofile"
---|"nproc"
---|"rss"
---|"rtprio"
---|"rttime"
---|"sigpending"
---|"stack"

---@alias cella.signal
---|"hup"
---|"int"
---|"quit"
---|"ill"
---|"trap"
---|"abrt"
---|"bus"
---|"fpe"
---|"kill"
---|"usr1"
---|"segv"
---|"usr2"
---|"pipe"
---|"alrm"
---|"term"
---|"stkflt"
---|"chld"
---|"cont"
---|"stop"
---|"tstp"
---|"ttin"
---|"ttou"
---|"urg"
---|"xcpu"
---|"xfsz"
---|"vtalrm"
---|"prof"
---|"winch"
---|"io"
---|"pwr"
---|"sys"

---@alias cella.close_range_flag "unshare"|"cloexec"

---@alias cella.landlock_access
---|"execute"
---|"write_file"
---|"read_file"
---|"read_dir"
---|"remove_dir"
---|"remove_file"
---|"make_char"
---|"make_dir"
---|"make_reg"
---|"make_sock"
---|"make_fifo"
---|"make_block"
---|"make_sym"
---|"refer"
---|"truncate"
---|"ioctl_dev"
---|"resolve_unix"

---@alias cella.landlock_port_access "bind_tcp"|"connect_tcp"|"bind_udp"|"connect_send_udp"

---@alias cella.landlock_scope "abstract_unix_socket"|"signal"

---@alias cella.landlock_trial "read_dir"|"bind_tcp"|"connect_tcp"

-- Namespaces: unshare(2), setns(2), and what belongs to one of them (namespaces(7)).

--- Moves this process into new namespaces: unshare(2). A pid or time namespace takes its children only.
---@param namespaces cella.namespace|cella.namespace[]
function sys.unshare(namespaces) end

--- Joins a namespace: setns(2). `fd` is one of /proc/PID/ns, or a pidfd together with the namespaces to join (Linux
--- 5.8).
---@param fd cella.fd
---@param namespaces (cella.namespace|cella.namespace[])?
function sys.setns(fd, namespaces) end

--- Up to 64 bytes: sethostname(2).
---@param name string
function sys.sethostname(name) end

--- Up to 64 bytes: setdomainname(2).
---@param name string
function sys.setdomainname(name) end

--- Brings a network interface up: a new network namespace has a loopback device that is down (netdevice(7)).
---@param interface string  "lo"
function sys.link_up(interface) end

-- Mounts: mount(2) and umount2(2), pivot_root(2), and the calls that take descriptors (open_tree(2), move_mount(2),
-- mount_setattr(2), fsopen(2)), which are what a root is assembled with: a descriptor cannot be swapped for a symbolic
-- link between the look and the act.

--- mount(2).
---@param source string?
---@param target string
---@param fstype string?
---@param flags (cella.mount_flag|cella.mount_flag[])?
---@param data string?
function sys.mount(source, target, fstype, flags, data) end

--- umount2(2).
---@param target string
---@param flags (cella.umount_flag|cella.umount_flag[])?
function sys.umount2(target, flags) end

--- pivot_root(2).
---@param new_root string
---@param put_old string
function sys.pivot_root(new_root, put_old) end

--- open_tree(2): a descriptor of what is mounted at a path; with "clone" of a detached copy. An empty path is `dirfd`
--- itself.
---@param path string
---@param flags (cella.open_tree_flag|cella.open_tree_flag[])?
---@param dirfd cella.fd?
---@return cella.fd
function sys.open_tree(path, flags, dirfd) end

--- Attaches the mount that `from_fd` stands for at `to_fd`, or at `to_path` seen from there: move_mount(2). A directory
--- on a file is ENOTDIR, a file on a directory EISDIR.
---@param from_fd cella.fd
---@param to_fd cella.fd?
---@param to_path string?
function sys.move_mount(from_fd, to_fd, to_path) end

--- mount_setattr(2). Before Linux 5.12 mounts are found in /proc and remounted: they have to be attached, and neither
--- access times nor `clear` nor `propagation` can be given. With `userns_fd` a detached mount is ID-mapped: an owner
--- that its file system has is shown as what the map of that user namespace makes of it.
---@param fd cella.fd
---@param recursive boolean
---@param set cella.mount_attribute|cella.mount_attribute[]
---@param clear (cella.mount_attribute|cella.mount_attribute[])?
---@param propagation cella.propagation?
---@param userns_fd cella.fd?  of a user namespace
function sys.mount_setattr(fd, recursive, set, clear, propagation, userns_fd) end

--- fsopen(2): the beginning of a new mount of a file system type.
---@param fstype string
---@return cella.fd
function sys.fsopen(fstype) end

--- fsconfig(2).
---@param fd cella.fd
---@param command cella.fsconfig_command
---@param key string?
---@param value string?
function sys.fsconfig(fd, command, key, value) end

--- fsconfig(2), FSCONFIG_SET_STRING: sets a parameter that is a path to what a descriptor stands for, or to a path seen
--- from there. For file systems that take no descriptors (overlay).
---@param fd cella.fd  of fsopen
---@param key string  "upperdir"
---@param dirfd cella.fd
---@param path string?
function sys.fsconfig_at(fd, key, dirfd, path) end

--- open_tree(2) of the object that a descriptor stands for, in this mount namespace: the descriptor itself is of the
--- mount namespace where it was opened. ESTALE where the path has another object by now.
---@param fd cella.fd
---@param flags (cella.open_tree_flag|cella.open_tree_flag[])?
---@return cella.fd
function sys.open_tree_of(fd, flags) end

--- Covers what `fd` stands for, read-only: a directory with an empty one, anything else with /dev/null. Both covers
--- have to be mounted somewhere: of detached mounts there are no copies before Linux 6.15.
---@param fd cella.fd
---@param null_fd cella.fd  of /dev/null
---@param empty_fd cella.fd  of an empty directory
function sys.mask(fd, null_fd, empty_fd) end

--- fsmount(2): a detached mount.
---@param fd cella.fd
---@param attributes (cella.mount_attribute|cella.mount_attribute[])?
---@return cella.fd
function sys.fsmount(fd, attributes) end

--- chroot(2). A way out stays open: see pivot_root.
---@param path string
function sys.chroot(path) end

-- Files and directories, by path.

--- chdir(2).
---@param path string
function sys.chdir(path) end

--- chdir(2) to the first of these that is there and can be entered; what is wrong with the last if none is.
---@param paths string|string[]
function sys.chdir_first(paths) end

--- fchdir(2).
---@param fd cella.fd
function sys.fchdir(fd) end

--- mkdirat(2).
---@param path string
---@param mode integer|string  0 to 4095, less the umask
---@param dirfd cella.fd?
function sys.mkdir(path, mode, dirfd) end

--- symlinkat(2).
---@param target string
---@param path string
---@param dirfd cella.fd?
function sys.symlink(target, path, dirfd) end

--- symlinkat(2). A link that is there already and says the same is as good. EEXIST: it says something else; EINVAL:
--- what is there is no link.
---@param target string
---@param path string
---@param dirfd cella.fd?
function sys.make_symlink(target, path, dirfd) end

--- mknodat(2).
---@param path string
---@param type cella.kind_of_node
---@param mode integer|string  0 to 4095, less the umask
---@param major integer?
---@param minor integer?
---@param dirfd cella.fd?
function sys.mknod(path, type, mode, major, minor, dirfd) end

--- openat2(2).
---@param path string
---@param flags cella.open_flag|cella.open_flag[]
---@param resolve (cella.resolve_flag|cella.resolve_flag[])?
---@param dirfd cella.fd?
---@param mode (integer|string)?  of a file that is made, less the umask: 438 (0666)
---@return cella.fd
function sys.openat2(path, flags, resolve, dirfd, mode) end

--- Makes what is missing of a path below a root, so that something can be mounted there: directories, and at the end a
--- file where `like_fd` is not a directory. No link leads out of the root.
---@param path string
---@param root_fd cella.fd
---@param within_fd cella.fd?  on the only file system that something is made on: elsewhere EXDEV
---@param like_fd cella.fd?
---@param parents (integer|string)?  the mode of directories, less the umask: 493 (0755)
---@param mode (integer|string)?  that of a directory at the end, if another
function sys.make_target(path, root_fd, within_fd, like_fd, parents, mode) end

--- Opens, writes in one write(2), closes. Less than all of the data is EIO. Without "creat" the file has to exist. A
--- path below /proc that is not on a procfs is EXDEV.
---@param path string
---@param data string
---@param flags (cella.open_flag|cella.open_flag[])?
---@param mode (integer|string)?  of a file that is made, less the umask: 438 (0666)
---@param dirfd cella.fd?
function sys.write_file(path, data, flags, mode, dirfd) end

--- umask(2).
---@param mask integer|string
---@return integer
function sys.umask(mask) end

-- Operations on descriptors: write, lock, copy, close.

--- close(2).
---@param fd cella.fd
function sys.close(fd) end

--- dup2(2): the copy survives exec, also where both numbers are the same.
---@param fd cella.fd
---@param number integer
function sys.dup2(fd, number) end

--- close_range(2). "cloexec" needs Linux 5.11.
---@param first integer
---@param last integer
---@param flags (cella.close_range_flag|cella.close_range_flag[])?
function sys.close_range(first, last, flags) end

--- Writes all of the data, in as many calls of write(2) as that takes.
---@param fd cella.fd
---@param data string
function sys.write(fd, data) end

--- fchmod(2), also of what was opened as a path only: by fchmodat2(2), before Linux 6.6 by its name in /proc.
---@param fd cella.fd
---@param mode integer|string  0 to 4095
function sys.fchmod(fd, mode) end

--- fchownat(2) of what a descriptor stands for, also of what was opened as a path only.
---@param fd cella.fd
---@param uid integer?  nil: it stays
---@param gid integer?  nil: it stays
function sys.fchown(fd, uid, gid) end

--- A lock for reading on all of a file (fcntl(2), F_OFD_SETLK), which lasts until the last copy of the descriptor is
--- closed, whichever process has it.
---@param fd cella.fd
function sys.lock(fd) end

-- Who the process is: credentials(7).

--- setgroups(2).
---@param groups integer[]
function sys.setgroups(groups) end

--- setresuid(2); nil leaves one as it is.
---@param ruid integer?
---@param euid integer?
---@param suid integer?
function sys.setresuid(ruid, euid, suid) end

--- setresgid(2); nil leaves one as it is.
---@param rgid integer?
---@param egid integer?
---@param sgid integer?
function sys.setresgid(rgid, egid, sgid) end

--- setsid(2).
function sys.setsid() end

-- Capability sets, securebits and no_new_privs: capabilities(7).

--- capset(2): the three sets at once.
---@param effective cella.capabilities
---@param permitted cella.capabilities
---@param inheritable cella.capabilities
function sys.capset(effective, permitted, inheritable) end

--- PR_CAPBSET_DROP for each, for ever. One that is gone already is not an error.
---@param capabilities cella.capabilities
function sys.capbset_drop(capabilities) end

--- PR_CAP_AMBIENT_RAISE for each.
---@param capabilities cella.capabilities
function sys.ambient_raise(capabilities) end

--- PR_CAP_AMBIENT_LOWER for each.
---@param capabilities cella.capabilities
function sys.ambient_lower(capabilities) end

--- PR_CAP_AMBIENT_CLEAR_ALL.
function sys.ambient_clear() end

--- PR_SET_SECUREBITS. An empty list clears all.
---@param bits cella.securebit|cella.securebit[]
function sys.securebits(bits) end

--- PR_SET_KEEPCAPS: an ID switch leaves the permitted set. The next exec clears the flag.
---@param on boolean
function sys.keep_caps(on) end

--- PR_SET_NO_NEW_PRIVS, for ever.
function sys.no_new_privs() end

-- The process itself: its limits, its signals, its tie to the parent, and the program that it becomes.

--- Signals back to their defaults. Ignored ones stay ignored across exec (signal(7)), so a program would inherit them
--- unawares.
---@param signals "all"|(cella.signal|integer)[]
function sys.sigdefault(signals) end

--- Unblocks every signal.
function sys.sigunblock() end

--- pidfd_open(2): a descriptor that stands for a process, and never for another that gets its number. Readable once it
--- has ended.
---@param pid integer
---@return cella.fd
function sys.pidfd_open(pid) end

--- pidfd_send_signal(2). ESRCH once the process has ended and is waited for.
---@param pidfd cella.fd
---@param signal cella.signal
function sys.pidfd_send_signal(pidfd, signal) end

--- PR_SET_PDEATHSIG: the signal that this process gets when the thread that started it ends. An ID switch erases it.
---@param signal cella.signal
function sys.pdeathsig(signal) end

--- PR_SET_DUMPABLE.
---@param on boolean
function sys.dumpable(on) end

--- setrlimit(2).
---@param resource cella.resource
---@param soft cella.limit
---@param hard cella.limit
function sys.setrlimit(resource, soft, hard) end

--- Sleeps until somebody has written to the other end, or closed it. Takes one byte.
---@param fd cella.fd
function sys.wait_for_byte(fd) end

--- From here on every system call of this process passes a filter: seccomp(2). Needs no_new_privs, or CAP_SYS_ADMIN.
---@param filter string  a compiled classic BPF program, as policy:filter() or seccomp_export_bpf(3) make it
---@param policy string?  what a printed plan calls it
function sys.seccomp(filter, policy) end

--- That the filter with this mark is there, and the last: it is asked, and answers what the kernel never does, also
--- where it refuses every other call (lua/cella/seccomp/compile.lua). A number in /proc would not say which it is.
---@param mark integer  of a policy, policy:mark() of cella.seccomp
function sys.expect_seccomp(mark) end

--- execve(2): of several paths the first that exists and may be executed counts, as in execvp(3), but a file in no
--- known format is an error, not a shell script. ELIBACC says that the file is there and its interpreter is not.
--- Without an environment, that of this process.
---@param path string|string[]
---@param argv string|string[]
---@param environment (string|string[])?  "NAME=value"
---@param pwd boolean?  a PWD in the environment becomes the working directory
function sys.execve(path, argv, environment, pwd) end

-- Pseudo-terminals: ioctl_tty(2), pty(7).

--- The master of a new pseudo-terminal, unlocked: posix_openpt(3), unlockpt(3). What is at `path` has to be the
--- terminal multiplexer, or it is ENOTTY. Does not block, neither here nor when it is read from.
---@param path string  "/dev/ptmx"
---@param min_fd integer?  the descriptor is this or above
---@return cella.fd
function sys.openpt(path, min_fd) end

--- The slave of a master (TIOCGPTPEER), by no name.
---@param fd cella.fd
---@param min_fd integer?
---@return cella.fd
function sys.ptpeer(fd, min_fd) end

--- TIOCSWINSZ. The foreground of the terminal gets SIGWINCH if that changes it.
---@param fd cella.fd
---@param rows integer  0 to 65535; above, ERANGE
---@param columns integer
function sys.tcsetwinsize(fd, rows, columns) end

--- Gives a terminal the modes and the size of another.
---@param fd cella.fd
---@param model_fd cella.fd
function sys.copy_tty(fd, model_fd) end

--- TIOCSCTTY: makes it the controlling terminal of this session, which this process has to lead, and which has none. It
--- is never taken away from another session.
---@param fd cella.fd
function sys.setctty(fd) end

-- The kernel's keys: keyrings(7).

--- From here on add_key(2), request_key(2) and keyctl(2) answer ENOSYS, by whatever entry of the kernel they are
--- called: a filter, as by sys.seccomp.
function sys.deny_keys() end

--- That there is a seccomp filter, and that the three calls of sys.deny_keys, tried, answer ENOSYS: without one they
--- would answer something else to these arguments.
function sys.expect_no_keys() end

--- A new session keyring without a name, in place of the one that was inherited: keyctl_join_session_keyring(3).
function sys.join_session_keyring() end

-- Landlock: what a process may do with files, ports and other processes, by rules that it gives itself and cannot take
-- back: landlock(7).

--- landlock_create_ruleset(2): what is refused where no rule allows it.
---@param fs (cella.landlock_access|cella.landlock_access[])?  rights to files
---@param net (cella.landlock_port_access|cella.landlock_port_access[])?  rights to ports
---@param scoped (cella.landlock_scope|cella.landlock_scope[])?  what ends at the processes under the same rules
---@return cella.fd
function sys.landlock_create_ruleset(fs, net, scoped) end

--- landlock_add_rule(2), LANDLOCK_RULE_PATH_BENEATH: what is allowed with a file, or a directory and all below.
---@param ruleset_fd cella.fd
---@param fd cella.fd
---@param access cella.landlock_access|cella.landlock_access[]
function sys.landlock_add_rule(ruleset_fd, fd, access) end

--- The same for what a path leads to. Links of /proc are not followed (ELOOP): they lead to whatever is open.
---@param ruleset_fd cella.fd
---@param path string
---@param access cella.landlock_access|cella.landlock_access[]
---@param of_file (cella.landlock_access|cella.landlock_access[])?  in place of `access`, where it is no directory
---@param optional boolean?  a path that is not there (ENOENT) needs no rule
---@param links_in (string|string[])?  in and below these no link is followed (ELOOP): who gets rules may have made it
function sys.landlock_add_path(ruleset_fd, path, access, of_file, optional, links_in) end

--- landlock_add_rule(2), LANDLOCK_RULE_NET_PORT: what is allowed with a port.
---@param ruleset_fd cella.fd
---@param port integer
---@param access cella.landlock_port_access|cella.landlock_port_access[]
function sys.landlock_add_port(ruleset_fd, port, access) end

--- landlock_restrict_self(2): from here on this process, and all that it makes, are under these rules too. Needs
--- no_new_privs, or CAP_SYS_ADMIN.
---@param ruleset_fd cella.fd
function sys.landlock_restrict_self(ruleset_fd) end

--- That what the rules refuse is refused: tried, because the kernel tells nobody which rules there are. ENOTRECOVERABLE
--- where it can be done: reading the root directory, or the port on 127.0.0.1.
---@param trials cella.landlock_trial|cella.landlock_trial[]
---@param port integer?  one that needs no privilege
function sys.expect_landlock(trials, port) end

-- Attributes of a process that execve(2) leaves as they are, and that would weaken a program if the caller had them
-- set, or tell the program something.

--- personality(2).
---@param persona integer
function sys.personality(persona) end

--- PR_SET_TIMERSLACK. A child of this process has it for its default too.
---@param nanoseconds integer
function sys.timer_slack(nanoseconds) end

--- PR_SET_THP_DISABLE: of this memory, and of all that exec and fork make of it.
---@param on boolean
function sys.thp_disable(on) end

--- PR_SET_MEMORY_MERGE (Linux 6.4): whether equal pages of this memory and of others become one.
---@param on boolean
function sys.memory_merge(on) end

--- personality(2).
---@param persona integer
function sys.expect_personality(persona) end

--- PR_GET_TIMERSLACK. The kernel gives none (0) to a process of a realtime policy (sched(7)), whatever is asked.
---@param nanoseconds integer
function sys.expect_timer_slack(nanoseconds) end

--- That PR_GET_THP_DISABLE and PR_GET_MEMORY_MERGE are not set.
function sys.expect_memory_defaults() end

-- On which processors a process runs, and how far it stands back behind others there: sched(7).

--- setpriority(2) of this process. Less than it has needs RLIMIT_NICE, or CAP_SYS_NICE over the initial user namespace.
---@param nice integer  -20, before others, to 19, behind them
function sys.setpriority(nice) end

--- getpriority(2).
---@param nice integer
function sys.expect_priority(nice) end

--- sched_setaffinity(2) of this process. The kernel leaves out those that its cgroup does not allow (cpuset(7)), and
--- says nothing; where it allows none, EINVAL.
---@param cpus integer[]  numbers from 0
function sys.sched_setaffinity(cpus) end

--- sched_getaffinity(2): these, and no others.
---@param cpus integer[]
function sys.expect_affinity(cpus) end

-- A filter whose calls somebody else hears of and answers: seccomp_unotify(2).

-- Reading back: each of these operations reads from the kernel what an earlier step was to bring about, and fails with
-- ENOTRECOVERABLE if it is not so.

--- All four of each: real, effective, saved and file system.
---@param uid integer
---@param gid integer
function sys.expect_ids(uid, gid) end

--- Exactly these supplementary groups, in any order: up to NGROUPS_MAX of them, which no stack here has room for.
---@param groups integer[]
function sys.expect_groups(groups) end

--- Exactly these five sets: capabilities(7).
---@param effective cella.capabilities
---@param permitted cella.capabilities
---@param inheritable cella.capabilities
---@param bounding cella.capabilities
---@param ambient cella.capabilities
function sys.expect_capabilities(effective, permitted, inheritable, bounding, ambient) end

--- Exactly these: PR_GET_SECUREBITS.
---@param bits cella.securebit|cella.securebit[]
function sys.expect_securebits(bits) end

--- PR_GET_NO_NEW_PRIVS.
---@param on boolean
function sys.expect_no_new_privs(on) end

--- Whether /proc/self/ns/... is that of the given inode, or is not.
---@param link string
---@param inode cella.limit
---@param same boolean
---@param dirfd cella.fd?  of a /proc that is not mounted here: then the link is "self/ns/..."
function sys.expect_namespace(link, inode, same, dirfd) end

--- That /proc/self/uid_map or gid_map says what the text says, number by number: the kernel pads its own.
---@param path string
---@param text string
function sys.expect_map(path, text) end

--- That a descriptor is the device it should be before it is bound: an image may have a link to another in its place
--- (CVE-2025-31133).
---@param fd cella.fd
---@param type cella.kind_of_node
---@param major integer
---@param minor integer
function sys.expect_node(fd, type, major, minor) end

--- That this process may open the device at a path, for reading or for writing, or search the directory: EACCES where
--- neither its mode nor a list of access lets it, EPERM where its mount has nodev.
---@param path string
function sys.expect_device(path) end

--- That the root is the mount that the descriptor stands for, and that nothing lies over it: an old root that has
--- stayed would be found by going up from there.
---@param fd cella.fd
function sys.expect_root(fd) end

--- That a descriptor is not the root directory of this process, under whatever name it was opened: what a plan takes
--- for a directory of its own may have been exchanged since.
---@param fd cella.fd
function sys.expect_not_root(fd) end

--- That two descriptors are of one file system. EXDEV where they are not: a link has led to another mount.
---@param fd cella.fd
---@param other_fd cella.fd
function sys.expect_same_filesystem(fd, other_fd) end

--- That the working directory can be reached from the root: otherwise it is a way out (CVE-2024-21626).
function sys.expect_cwd() end

-- Queries, performed at once only.

--- getresuid(2).
---@return integer real, integer effective, integer saved
function sys.getresuid() end

--- getresgid(2).
---@return integer real, integer effective, integer saved
function sys.getresgid() end

--- The supplementary groups: getgroups(2).
---@return integer[]
function sys.getgroups() end

--- getpid(2).
---@return integer
function sys.getpid() end

--- getppid(2): 0 where the parent is in another pid namespace.
---@return integer
function sys.getppid() end

--- The five sets as lists of names: cap_get_pid(3), cap_iab_get_pid(3).
---@param pid integer?  this process
---@return cella.capability_sets
function sys.capabilities(pid) end

--- Effective, permitted and inheritable as cap_to_text(3) has them: "=ep".
---@param pid integer?  this process
---@return string
function sys.capabilities_text(pid) end

--- The number of the highest capability that the running kernel knows.
---@return integer
function sys.last_capability() end

--- Of this process: the kernel tells nobody else's.
---@return string[]
function sys.get_securebits() end

--- PR_GET_NO_NEW_PRIVS.
---@return boolean
function sys.get_no_new_privs() end

--- PR_GET_DUMPABLE: whether it is not 0.
---@return boolean
function sys.get_dumpable() end

--- PR_GET_SECCOMP: 2 where this thread is under filters; 0 where it is not, or the kernel has none.
---@return integer
function sys.get_seccomp() end

--- Which Landlock the kernel has: landlock_create_ruleset(2), LANDLOCK_CREATE_RULESET_VERSION.
---@return integer
function sys.landlock_abi() end

--- prlimit(2).
---@param resource cella.resource
---@param pid integer?  this process
---@return cella.limit soft, cella.limit hard
function sys.getrlimit(resource, pid) end

--- What identifies a namespace of a process (namespaces(7)): two processes are in the same one where both numbers are
--- equal.
---@param type cella.namespace_link
---@param pid integer?  this process
---@return integer inode, integer device
function sys.namespace(type, pid) end

--- gethostname(2).
---@return string
function sys.gethostname() end

--- The environment of this process (environ(7)): "NAME=value", in no order.
---@return string[]
function sys.environment() end

return sys
