---@meta cella.sys
-- luacheck: ignore 212 (declarations: the functions are C, in csrc/ops and csrc/lib/query.c)
error "for editors and readers, not for running"

---@class cella.sys
local sys = {}

---@alias cella.namespace "user"|"mount"|"pid"|"ipc"|"uts"|"net"|"cgroup"|"time"
---@alias cella.fd integer|cella.slot  a descriptor, from 0; in a plan also what an earlier step yields
---@alias cella.capabilities "all"|"none"|(string|integer)[]  names with or without "cap_", numbers; "-name" takes away

--- Namespaces: namespaces(7).

--- Moves this process into new namespaces: unshare(2). A pid or time namespace takes its children only.
---@param namespaces cella.namespace|cella.namespace[]
function sys.unshare(namespaces) end

--- Joins a namespace: setns(2). `fd` is one of /proc/PID/ns, or a pidfd together with what to join.
---@param fd cella.fd
---@param namespaces (cella.namespace|cella.namespace[])?
function sys.setns(fd, namespaces) end

--- Up to 64 bytes: sethostname(2).
---@param name string
function sys.sethostname(name) end

--- Up to 64 bytes: setdomainname(2).
---@param name string
function sys.setdomainname(name) end

--- Brings a network interface up: netdevice(7).
---@param interface string  "lo"
function sys.link_up(interface) end

--- Mounts.

--- mount(2). Flags: rdonly nosuid nodev noexec synchronous remount mandlock dirsync nosymfollow noatime nodiratime
--- bind move rec silent unbindable private slave shared relatime strictatime lazytime.
---@param source string?
---@param target string
---@param fstype string?
---@param flags (string|string[])?
---@param data string?
function sys.mount(source, target, fstype, flags, data) end

--- umount2(2). Flags: force detach expire nofollow.
---@param target string
---@param flags (string|string[])?
function sys.umount2(target, flags) end

--- pivot_root(2).
---@param new_root string
---@param put_old string
function sys.pivot_root(new_root, put_old) end

--- open_tree(2): a descriptor of what is mounted at a path; with "clone" of a detached copy. An empty path is `dirfd`
--- itself. Flags: clone recursive nofollow no_automount.
---@param path string
---@param flags (string|string[])?
---@param dirfd cella.fd?
---@return cella.fd
function sys.open_tree(path, flags, dirfd) end

--- Attaches a detached mount to the object of a descriptor, or to a path seen from there: move_mount(2).
---@param from_fd cella.fd
---@param to_fd cella.fd?
---@param to_path string?
function sys.move_mount(from_fd, to_fd, to_path) end

--- mount_setattr(2). Before Linux 5.12 mounts are found in /proc and remounted: they have to be attached, and neither
--- access times nor `clear` nor `propagation` can be given. Attributes: rdonly nosuid nodev noexec noatime strictatime
--- nodiratime nosymfollow.
---@param fd cella.fd
---@param recursive boolean
---@param set string|string[]
---@param clear (string|string[])?
---@param propagation "private"|"slave"|"shared"|"unbindable"|nil
---@param userns_fd cella.fd?  of a user namespace: its maps become those of a detached mount
function sys.mount_setattr(fd, recursive, set, clear, propagation, userns_fd) end

--- fsopen(2): the beginning of a new mount of a file system type.
---@param fstype string
---@return cella.fd
function sys.fsopen(fstype) end

--- fsconfig(2).
---@param fd cella.fd
---@param command "flag"|"string"|"create"|"reconfigure"
---@param key string?
---@param value string?
function sys.fsconfig(fd, command, key, value) end

--- fsconfig(2), FSCONFIG_SET_STRING: sets a parameter that is a path to what a descriptor stands for, or to a path seen
--- from there. For file systems that take no descriptors (overlay).
---@param fd cella.fd    of fsopen
---@param key string     "upperdir"
---@param dirfd cella.fd
---@param path string?
function sys.fsconfig_at(fd, key, dirfd, path) end

--- open_tree(2) of what a descriptor stands for, in this mount namespace: the descriptor itself is of that where it was
--- opened. ESTALE where its path has something else by now. Flags as for open_tree.
---@param fd cella.fd
---@param flags (string|string[])?
---@return cella.fd
function sys.open_tree_of(fd, flags) end

--- Covers what a descriptor stands for, read-only: a directory with an empty one, anything else with /dev/null. Both
--- covers have to be mounted somewhere.
---@param fd cella.fd
---@param null_fd cella.fd   of /dev/null
---@param empty_fd cella.fd  of an empty directory
function sys.mask(fd, null_fd, empty_fd) end

--- fsmount(2): a detached mount, with attributes as for mount_setattr.
---@param fd cella.fd
---@param attributes (string|string[])?
---@return cella.fd
function sys.fsmount(fd, attributes) end

--- chroot(2). A way out stays open: see pivot_root.
---@param path string
function sys.chroot(path) end

--- Files and descriptors. Everything that is opened is close-on-exec.

--- chdir(2).
---@param path string
function sys.chdir(path) end

--- chdir(2) to the first of these that can be entered.
---@param paths string[]
function sys.chdir_first(paths) end

--- fchdir(2).
---@param fd cella.fd
function sys.fchdir(fd) end

--- mkdirat(2).
---@param path string
---@param mode integer  0 to 4095, less the umask
---@param dirfd cella.fd?
function sys.mkdir(path, mode, dirfd) end

--- symlinkat(2).
---@param target string
---@param path string
---@param dirfd cella.fd?
function sys.symlink(target, path, dirfd) end

--- symlinkat(2); a link that is there already and says the same is as good.
---@param target string
---@param path string
---@param dirfd cella.fd?
function sys.make_symlink(target, path, dirfd) end

--- mknodat(2).
---@param path string
---@param type "char"|"block"|"fifo"|"socket"|"file"
---@param mode integer  0 to 4095, less the umask
---@param major integer?
---@param minor integer?
---@param dirfd cella.fd?
function sys.mknod(path, type, mode, major, minor, dirfd) end

--- openat2(2). Flags: rdonly wronly rdwr path directory nofollow creat excl trunc append nonblock. Resolve: beneath
--- cached in_root no_magiclinks no_symlinks no_xdev.
---@param path string
---@param flags string|string[]
---@param resolve (string|string[])?
---@param dirfd cella.fd?
---@param mode integer?  of a file that is made, less the umask: 438 (0666)
---@return cella.fd
function sys.openat2(path, flags, resolve, dirfd, mode) end

--- Makes what is missing of a path below a root, directories and at the end a file where `like_fd` is none. No link
--- leads out of the root.
---@param path string
---@param root_fd cella.fd
---@param within_fd cella.fd?  on the only file system that something is made on: elsewhere EXDEV
---@param like_fd cella.fd?
---@param parents integer?  the mode of directories, less the umask: 493 (0755)
---@param mode integer?     that of a directory at the end, if another
function sys.make_target(path, root_fd, within_fd, like_fd, parents, mode) end

--- Opens, writes in one write(2), closes. Less than all of the data is EIO. Below /proc the file has to be on a procfs
--- (EXDEV). Flags as for openat2: without "creat" the file has to exist.
---@param path string
---@param data string
---@param flags (string|string[])?
---@param mode integer?  of a file that is made, less the umask: 438 (0666)
---@param dirfd cella.fd?
function sys.write_file(path, data, flags, mode, dirfd) end

--- Writes all of the data, in as many calls of write(2) as that takes.
---@param fd cella.fd
---@param data string
function sys.write(fd, data) end

--- fchmod(2), also of what was opened as a path only.
---@param fd cella.fd
---@param mode integer  0 to 4095
function sys.fchmod(fd, mode) end

--- A lock for reading on a whole file, until the last copy of the descriptor is closed: fcntl(2), F_OFD_SETLK.
---@param fd cella.fd
function sys.lock(fd) end

--- umask(2).
---@param mask integer
---@return integer before
function sys.umask(mask) end

--- close(2).
---@param fd cella.fd
function sys.close(fd) end

--- dup2(2): the copy survives exec, also where both numbers are the same.
---@param fd cella.fd
---@param number integer
function sys.dup2(fd, number) end

--- close_range(2). Flags: unshare cloexec (Linux 5.11).
---@param first integer
---@param last integer
---@param flags (string|string[])?
function sys.close_range(first, last, flags) end

--- Who the process is: credentials(7).

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

--- Capabilities: capabilities(7).

--- capset(2): the three sets at once.
---@param effective cella.capabilities
---@param permitted cella.capabilities
---@param inheritable cella.capabilities
function sys.capset(effective, permitted, inheritable) end

--- PR_CAPBSET_DROP for each. For ever.
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

--- PR_SET_SECUREBITS: noroot no_setuid_fixup keep_caps no_cap_ambient_raise exec_restrict_file exec_deny_interactive,
--- each also with _locked. An empty list clears all.
---@param bits string|string[]
function sys.securebits(bits) end

--- PR_SET_KEEPCAPS: an ID switch leaves the permitted set. The next exec clears it.
---@param on boolean
function sys.keep_caps(on) end

--- PR_SET_NO_NEW_PRIVS. For ever.
function sys.no_new_privs() end

--- The process.

--- PR_SET_PDEATHSIG: the signal for when the thread that started this process ends. An ID switch erases it.
---@param signal string  "kill"
function sys.pdeathsig(signal) end

--- PR_SET_DUMPABLE.
---@param on boolean
function sys.dumpable(on) end

--- setrlimit(2). Resources: as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime
--- sigpending stack.
---@param resource string
---@param soft integer|"unlimited"
---@param hard integer|"unlimited"
function sys.setrlimit(resource, soft, hard) end

--- Signals back to their defaults: signal(7).
---@param signals "all"|(string|integer)[]
function sys.sigdefault(signals) end

--- Unblocks every signal.
function sys.sigunblock() end

--- Sleeps until a byte, which it takes, or the end has come.
---@param fd cella.fd
function sys.wait_for_byte(fd) end

--- Filters every system call from here on: seccomp(2). Needs no_new_privs, or CAP_SYS_ADMIN.
---@param filter string  a compiled classic BPF program, as seccomp_export_bpf(3) writes it
function sys.seccomp(filter) end

--- add_key(2), request_key(2) and keyctl(2) answer ENOSYS from here on: a filter, as by sys.seccomp.
function sys.deny_keys() end

--- A new session keyring, without a name: keyctl_join_session_keyring(3).
function sys.join_session_keyring() end

--- personality(2).
---@param persona integer
function sys.personality(persona) end

--- PR_SET_TIMERSLACK.
---@param nanoseconds integer
function sys.timer_slack(nanoseconds) end

--- PR_SET_THP_DISABLE.
---@param on boolean
function sys.thp_disable(on) end

--- PR_SET_MEMORY_MERGE (Linux 6.4).
---@param on boolean
function sys.memory_merge(on) end

--- Terminals: pty(7), ioctl_tty(2).

--- posix_openpt(3) and unlockpt(3): the master of a new pseudo-terminal, which does not block. ENOTTY where there is
--- something else than the terminal multiplexer.
---@param path string      "/dev/ptmx"
---@param lowest integer?  the descriptor is this or above
---@return cella.fd
function sys.openpt(path, lowest) end

--- The slave of a master (TIOCGPTPEER), by no name.
---@param fd cella.fd
---@param lowest integer?
---@return cella.fd
function sys.ptpeer(fd, lowest) end

--- TIOCSWINSZ.
---@param fd cella.fd
---@param rows integer     0 to 65535; above, ERANGE
---@param columns integer
function sys.tcsetwinsize(fd, rows, columns) end

--- Gives a terminal the modes and the size of another.
---@param fd cella.fd
---@param model_fd cella.fd
function sys.copy_tty(fd, model_fd) end

--- TIOCSCTTY: the controlling terminal of this session, if this process leads it and it has none.
---@param fd cella.fd
function sys.setctty(fd) end

--- execve(2): of several paths the first that can be executed. ELIBACC says that the file is there and its interpreter
--- is not. Without an environment, that of this process.
---@param path string|string[]
---@param argv string[]
---@param environment string[]?  "NAME=value"
---@param pwd boolean?  a PWD in the environment becomes the working directory
function sys.execve(path, argv, environment, pwd) end

--- Looking back. Each fails with ENOTRECOVERABLE where the kernel says otherwise.

--- All four user and all four group IDs.
---@param uid integer
---@param gid integer
function sys.expect_ids(uid, gid) end

--- Exactly these supplementary groups.
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
---@param bits string|string[]  as for securebits
function sys.expect_securebits(bits) end

--- PR_GET_NO_NEW_PRIVS.
---@param on boolean
function sys.expect_no_new_privs(on) end

--- That there is a seccomp filter, and that the three calls of sys.deny_keys answer ENOSYS.
function sys.expect_no_keys() end

--- personality(2).
---@param persona integer
function sys.expect_personality(persona) end

--- PR_GET_TIMERSLACK; 0 where the scheduling policy is a realtime one, which has none.
---@param nanoseconds integer
function sys.expect_timer_slack(nanoseconds) end

--- That PR_GET_THP_DISABLE and PR_GET_MEMORY_MERGE are not set.
function sys.expect_memory_defaults() end

--- Whether /proc/self/ns/... has the inode, or has not.
---@param link string
---@param inode integer
---@param same boolean
---@param dirfd cella.fd?  of a /proc that is not mounted here: then the link is "self/ns/..."
function sys.expect_namespace(link, inode, same, dirfd) end

--- That a uid_map or gid_map says what the text says.
---@param path string
---@param text string
function sys.expect_map(path, text) end

--- That a descriptor is this device.
---@param fd cella.fd
---@param type "char"|"block"|"fifo"|"socket"|"file"
---@param major integer
---@param minor integer
function sys.expect_node(fd, type, major, minor) end

--- That two descriptors are of one file system: EXDEV where they are not.
---@param fd cella.fd
---@param other_fd cella.fd
function sys.expect_same_filesystem(fd, other_fd) end

--- That a descriptor is not the root directory, under whatever name it was opened.
---@param fd cella.fd
function sys.expect_not_root(fd) end

--- That the root is the mount of a descriptor, with nothing above it.
---@param fd cella.fd
function sys.expect_root(fd) end

--- That the working directory can be reached from the root.
function sys.expect_cwd() end

--- Looking, now only.

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
---@return { effective: string[], permitted: string[], inheritable: string[], bounding: string[], ambient: string[] }
function sys.capabilities(pid) end

--- Effective, permitted and inheritable as cap_to_text(3) has them: "=ep".
---@param pid integer?  this process
---@return string
function sys.capabilities_text(pid) end

--- The number of the highest capability that the running kernel knows.
---@return integer
function sys.last_capability() end

--- Of this process; the kernel does not tell another's.
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

--- prlimit(2).
---@param resource string
---@param pid integer?  this process
---@return integer|"unlimited" soft, integer|"unlimited" hard
function sys.getrlimit(resource, pid) end

--- What identifies a namespace of a process (namespaces(7)): two are the same where both numbers are.
---@param type cella.namespace|"pid_for_children"|"time_for_children"
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
