--- Why a start takes each of its steps, and where the manual pages tell of it: for `cella plan --html`.

local M = {}

--- Why there is a stage at all.
---@type table<cella.plan.stage, string>
M.STAGES = {
  preparation = "What is opened while there is only the caller: what fails here has cost no child.",
  namespaces = "A user namespace comes first: it governs the others, and who is made with it holds all capabilities "
    .. "over them, whatever he is outside. Its ID maps say who is who; while they are written the child waits. What "
    .. "the kernel has made is compared with what was asked for.",
  root = "The new root is put together beside the old one, from detached mounts, then takes its place, and the "
    .. "old one is let go. Nothing is made in the host's file systems.",
  limits = "What exec would hand on and nobody has decided is set to what it is for every program; limits that "
    .. "somebody has named hold from here on.",
  identity = "Groups first, then group IDs, then user IDs: after the user ID there may be no privilege for the others.",
  capabilities = "What is not kept goes from all five sets: the bounding set for good, the ambient set because it "
    .. "survives exec. After that no exec gives anything back.",
  check = "What the process is now is read from the kernel, and compared with what was asked for. Where it differs, no "
    .. "program runs.",
  command = "The program's streams are put in place, every other descriptor is closed, signals are what they are for "
    .. "any program, and it is executed. Its exec closes the descriptor by which the caller learns that it runs.",
}

-- OPERATION PAGE: REASON
local TEXT = [[
clone3 clone(2): The child is born into its namespaces: there is no moment at which it is outside.
unshare unshare(2): Namespaces that the process makes for itself, while the caller goes on.
unshare_mounts_below mount_namespaces(7): The root is made among mounts of another user namespace: a copy is locked.
setns setns(2): Joins a namespace that exists.
fork clone(2): Who joins a pid or time namespace stays outside; a child of it is inside.
newuidmap newuidmap(1): The helper may map the subordinate IDs of /etc/subuid, which the user himself may not.
newgidmap newgidmap(1): The helper may map the subordinate IDs of /etc/subgid, which the user himself may not.
user_namespace user_namespaces(7): A namespace with the map that a mount is to be shown with.
idmapped_tree mount_setattr(2): The caller's privilege is needed to show files with other owners.
cgroup cgroups(7): The control group that the child is born in: its limits hold from the first moment.
memfd_create memfd_create(2): A program, or a text, in memory that nobody can change.
pipe pipe(2): What comes through it is read by the caller.
open open(2): Opened by the caller, as the caller: what the child is not allowed to open it cannot be tricked into.
dup dup(2): A descriptor of the caller's, by a number that the plan does not use.
hold_signals signalfd(2): From now on signals to the caller are handed on to the program.
link_up netdevice(7): A new network namespace has a loopback device, and it is down.
sethostname sethostname(2): The name is of the new UTS namespace; the host's stays.
setdomainname setdomainname(2): The name is of the new UTS namespace; the host's stays.
mount mount(2): Nothing that is mounted here is to appear in the host's mount namespace, and nothing of the host's here.
umount2 umount(2): The old root is let go: nothing of it can be reached any more.
pivot_root pivot_root(2): The new root takes the place of the old; from a chroot(2) there would be a way out.
open_tree open_tree(2): A copy of what is mounted there, which is nowhere yet: it is made what it should be first.
open_tree_of open_tree(2): The same for an open file, and only while it is that file still.
move_mount move_mount(2): The copy gets its place in the new root.
mount_setattr mount_setattr(2): Read-only, without set-user-ID programs or devices: by the mount, not by permissions.
fsopen fsopen(2): A new file system of the container's own.
fsconfig fsconfig(2): What it is to be like.
fsconfig_at fsconfig(2): What it is to be made of, given as a descriptor, so that no link leads elsewhere.
fsmount fsmount(2): It is a mount now, which is nowhere yet.
mask mount(2): Something that is in the root and not meant for the program is covered.
chroot chroot(2): The root of path lookup is another.
chdir chdir(2): Where the program begins, entered as who it is.
chdir_first chdir(2): The first of these directories that can be entered.
fchdir fchdir(2): pivot_root(2) goes from here: the new root is the working directory.
mkdir mkdir(2): A place to mount something at, in a file system of the container's own.
mknod mknod(2): A place to mount a device at, in a file system of the container's own.
symlink symlink(2): As the host has it.
make_symlink symlink(2): A link that has to say this.
make_target openat2(2): A place to mount something at; no link leads out of the root.
openat2 openat2(2): Opened below the root alone, whatever links there are.
write_file write(2): The kernel takes what is said in one write.
umask umask(2): The caller's is the caller's business.
close close(2): It is of no more use.
dup2 dup(2): The stream gets its number.
close_range close_range(2): These descriptors are not for the program.
close_others close_range(2): No descriptor of the caller's gets inside that nobody has named (CVE-2024-21626).
write write(2): Data that goes in before the program begins.
fchown fchownat(2): Whose it is inside.
fchmod fchmod(2): The mode that was asked for, whatever the umask is.
lock fcntl(2): Somebody can see that the container lives.
setgroups setgroups(2): Supplementary groups would go on giving what they give outside.
setresuid setresuid(2): All three user IDs: a saved one would be a way back.
setresgid setresgid(2): All three group IDs: a saved one would be a way back.
setsid setsid(2): A session of its own: nobody types into the caller's terminal.
capset capset(2): The effective, permitted and inheritable sets are what was asked for.
capbset_drop capabilities(7): What is not in the bounding set is gained by no exec, root or not.
ambient_raise capabilities(7): What is kept survives the exec of a program that is not set-user-ID root.
ambient_lower capabilities(7): What is not kept does not survive the exec.
ambient_clear capabilities(7): Nothing that the caller had ambient survives the exec.
securebits capabilities(7): Whether user ID 0 gives capabilities, and what a change of IDs takes away.
keep_caps prctl(2): The permitted set survives the change of IDs.
no_new_privs prctl(2): No exec gives more than there is: set-user-ID programs and file capabilities do nothing.
sigdefault sigaction(2): A signal that the caller ignores would stay ignored.
sigunblock sigprocmask(2): A signal that was held back would stay so.
pidfd_open pidfd_open(2): A descriptor of a process, and never of another that has its number later.
pidfd_send_signal pidfd_send_signal(2): A signal to the process of that descriptor.
pdeathsig prctl(2): The process ends when its caller does.
dumpable prctl(2): Who may trace the process, and to whom its files in /proc belong.
setrlimit setrlimit(2): A limit for the program, which it cannot raise.
wait_for_byte read(2): It goes on when somebody says so.
seccomp seccomp(2): System calls that the program never needs are refused.
landlock_create_ruleset landlock(7): What is refused from here on where no rule allows it.
landlock_add_rule landlock(7): What is allowed with this file, or in this directory and below.
landlock_add_path landlock(7): What is allowed with this file, or in this directory and below, as the program sees it.
landlock_add_port landlock(7): What is allowed with this port.
landlock_restrict_self landlock(7): The rules hold, for the program and all that it starts, and cannot be taken back.
deny_keys keyctl(2): Keys are the user's outside, whatever namespace the program is in; so the calls are not there.
join_session_keyring keyctl(2): The keyring of the caller's session stays outside.
expect_program access(2): The program is there, and may be executed.
execve execve(2): The program. What was set up holds, and it cannot be undone from here.
call fork(2): A function of the caller's, in a copy of its memory.
openpt pts(4): A terminal of the program's own, never the caller's.
ptpeer ioctl_tty(2): The other end of it, by no name that could lead elsewhere.
tcsetwinsize ioctl_tty(2): It is as large as the caller's.
copy_tty termios(3): It has the modes of the caller's.
setctty ioctl_tty(2): Ctrl-C and job control are the terminal's own.
send_fd unix(7): The caller gets the end to read and write at.
personality personality(2): Addresses are random, and nothing readable is executable for that alone.
timer_slack prctl(2): The caller's would be handed on.
setpriority setpriority(2): How far it stands back behind others.
sched_setaffinity sched_setaffinity(2): The processors that it runs on.
thp_disable prctl(2): The caller's would be handed on.
memory_merge prctl(2): Equal pages that become one can be found out by how long a write takes.
init pid_namespaces(7): Number 1 reaps orphans, hands signals on, and takes everybody in there with it when it ends.
await socketpair(2): The child waits here until the caller has done its part.
await_plan socketpair(2): The child waits here until there is a command.
expect_map user_namespaces(7): The map says what was written, number by number.
expect_namespace namespaces(7): The namespace is a new one, or the one that was to be joined.
expect_no_user_namespaces user_namespaces(7): No user namespace can be made in here: tried, because no number tells.
expect_locked_mounts mount_namespaces(7): No mount can be undone inside, also with sys_admin: tried, for nothing tells.
expect_device open(2): The program may open the device that was named, as who it is.
expect_node stat(2): What is about to be mounted is the device that it should be (CVE-2025-31133).
expect_root path_resolution(7): The root is the new one, and nothing lies over it.
expect_not_root path_resolution(7): What was opened is not the root itself, exchanged meanwhile.
expect_same_filesystem stat(2): No link has led to another mount.
expect_cwd getcwd(2): The working directory can be reached from the root: otherwise it is a way out (CVE-2024-21626).
expect_parent getppid(2): The caller lives: one that died before would leave this process behind.
expect_ids credentials(7): All four user IDs and group IDs, the saved ones and those of the file system too.
expect_groups getgroups(2): These groups, and no others.
expect_capabilities capabilities(7): Effective, permitted, inheritable, bounding and ambient, capability by capability.
expect_securebits prctl(2): The securebits are these.
expect_no_new_privs prctl(2): It is set.
seccomp_listener seccomp_unotify(2): What the filter holds back is told to the caller, who answers.
expect_seccomp seccomp(2): The filter answers a question that nothing else does.
expect_landlock landlock(7): What the rules refuse is refused: tried, because the kernel tells nobody what they are.
expect_no_keys keyctl(2): The three calls are not there: tried.
expect_personality personality(2): It is what every program has.
expect_timer_slack prctl(2): It is what every program has.
expect_priority getpriority(2): The nice value is this.
expect_affinity sched_getaffinity(2): These processors, and no others: a cgroup leaves out some silently.
expect_memory_defaults prctl(2): They are what every program has.
]]

---@type table<string, { page: string, why: string }>
local OPERATIONS = {}
for op, page, why in TEXT:gmatch "([A-Za-z0-9_]+) ([A-Za-z0-9_().]+): ([^\n]+)" do
  OPERATIONS[op] = { page = page, why = why }
end

local HOOK = { page = "cella(7)", why = "A function of the caller's is called while the child waits." }

-- What is written to a file in /proc is about that file.
local FILES = {
  uid_map = { page = "user_namespaces(7)", why = "Which user IDs inside stand for which outside: who is not here "
    .. "is nobody (65534) inside." },
  gid_map = { page = "user_namespaces(7)", why = "Which group IDs inside stand for which outside." },
  setgroups = { page = "user_namespaces(7)", why = "Who maps his own group alone must not be able to drop others: "
    .. "a file may be closed to a group." },
  timens_offsets = { page = "time_namespaces(7)", why = "How far the clocks of the new namespace are set forward." },
  oom_score_adj = { page = "proc_pid_oom_score_adj(5)", why = "How soon it is killed where memory is short." },
}

local PARAMETER = { page = "proc_sys(5)", why = "A parameter that the new namespace has for itself." }

--- Where the manual pages tell of a step, and why a start takes it.
---@param step { op: string, args: table }
---@return { page: string, why: string }?
function M.of(step)
  local op, path = step.op, step.args.path
  local file = op == "write_file" and type(path) == "string" and path:match "^/proc/[A-Za-z0-9]+/([A-Za-z0-9_]+)$"
  if file and FILES[file] then return FILES[file] end
  if op == "write_file" and type(path) == "string" and path:find "^/proc/sys/" then return PARAMETER end
  return OPERATIONS[op] or op:find "^hooks%." and HOOK or nil
end

return M
