--- The policies that have names, and why each call in them is refused: doc/seccomp.md has the same, call by call.

local M = {}

---@class cella.seccomp.group
---@field reason string
---@field errno string  what is answered
---@field calls table   names, and conditions, as a policy's lists have them

local NAMESPACES = { "mount", "cgroup", "uts", "ipc", "user", "pid", "net" }
local ALL_NAMESPACES = { "mount", "cgroup", "uts", "ipc", "user", "pid", "net", "time" }

local NESTING = {
  { reason = "the tree of files is what the container made it; and what is mounted, the kernel reads", errno = "EPERM",
    calls = { "mount", "umount2", "pivot_root", "chroot", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree",
      "move_mount", "mount_setattr", "open_tree_attr" } },
  { reason = "in a user namespace of its own a program has all capabilities, and reaches what of the kernel is tested "
      .. "least", errno = "EPERM",
    calls = { "setns", unshare = { { 0, "&", ALL_NAMESPACES } }, clone = { { 0, "&", NAMESPACES } } } },
  { reason = "a child for the parent, who knows nothing of it and does not reap it", errno = "EINVAL",
    calls = { clone = { { 0, "&", { "parent" } } } } },
  { reason = "its flags lie in memory, where a filter does not see them: libc goes on with clone(2)", errno = "ENOSYS",
    calls = { "clone3" } },
}

-- IPPROTO_SMC and IPPROTO_MPTCP: the kernel's own numbers, above those that are of packets.
local OTHER_TCP = { { 0, "in", { "inet", "inet6" } }, { 2, ">", 255 } }

---@type cella.seccomp.group[]
local REFUSED = {
  { reason = "code for the kernel itself: nothing is left to confine", errno = "EPERM",
    calls = { "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "bpf" } },
  { reason = "the machine's business: its power, clock, swap, quotas, accounting, log and terminals", errno = "EPERM",
    calls = { "reboot", "swapon", "swapoff", "settimeofday", "clock_settime", "quotactl", "quotactl_fd", "acct",
      "syslog", "vhangup" } },
  { reason = "ports of the hardware", errno = "EPERM", calls = { "iopl", "ioperm" } },
  { reason = "files by numbers, past the directories that lead to them", errno = "EPERM",
    calls = { "open_by_handle_at" } },
  { reason = "events of whole file systems, which are others' too", errno = "EPERM", calls = { "fanotify_init" } },
  { reason = "the memory, descriptors and registers of other processes", errno = "EPERM",
    calls = { "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp" } },
  { reason = "where the memory of other processes lies", errno = "EPERM", calls = { "move_pages", "migrate_pages" } },
  { reason = "counters and traces of the kernel, by which a program learns of others, and much of the kernel behind it",
    errno = "EPERM", calls = { "perf_event_open" } },
  { reason = "calls without system calls, which no filter sees: programs go on with read(2), write(2) and epoll(7)",
    errno = "ENOSYS", calls = { "io_uring_setup", "io_uring_enter", "io_uring_register" } },
  { reason = "stops the kernel in the middle of a call for as long as a program likes", errno = "ENOSYS",
    calls = { "userfaultfd" } },
  { reason = "types into the terminal, or pastes from its screen, as if its user did; takes the console's output; "
      .. "loads line disciplines", errno = "EPERM",
    calls = { ioctl = { { 1, "in", { "tiocsti", "tioclinux", "tioccons", "tiocsetd" } } } } },
  { reason = "families of sockets that hardly a program needs: a virtual machine's host (vsock) is behind one, the "
      .. "kernel's ciphers (alg) behind another, and much old code", errno = "EAFNOSUPPORT",
    calls = { "socket", "socketpair" },
    allowed = { socket = { { { 0, "in", { "unix", "inet", "inet6" } } },
        -- NETLINK_ROUTE, _SOCK_DIAG, _KOBJECT_UEVENT
        { { 0, "==", "netlink" }, { 2, "in", { 0, 4, 15 } } } },
      socketpair = { { 0, "in", { "unix", "inet", "inet6", "netlink" } } } } },
  { reason = "an old name for sockets of whole packets (SOCK_PACKET), which are of another family", errno =
      "ESOCKTNOSUPPORT", calls = { socket = { { 0, "==", "inet" }, { 1, "&==", 15, 10 } } } },
  { reason = "other ways to TCP (SMC, MPTCP), much code behind them, which rules about TCP do not know: programs go on "
      .. "without", errno = "EPROTONOSUPPORT",
    calls = { socket = OTHER_TCP } },
  { reason = "limits of process 1, by which the program could end it", errno = "EPERM",
    calls = { prlimit64 = { { 0, "==", 1 } } } },
  { reason = "other behaviours of old systems, among them memory that is executable because it is readable, and "
      .. "addresses that can be foreseen", errno = "EPERM",
    calls = { "personality" },
    -- PER_LINUX, PER_LINUX32, both with UNAME26, and the question which it is
    allowed = { personality = { { 0, "in", { 0, 8, 0x20000, 0x20008, 0xffffffff } } } } },
  { reason = "segments of 16-bit programs", errno = "ENOSYS", calls = { "modify_ldt" } },
  { reason = "obsolete: there is another way, or nothing behind it any more", errno = "ENOSYS",
    calls = { "uselib", "sysfs", "ustat", "_sysctl", "nfsservctl", "lookup_dcookie", "afs_syscall", "getpmsg",
      "putpmsg", "security", "tuxcall", "vserver", "create_module", "get_kernel_syms", "query_module", "epoll_ctl_old",
      "epoll_wait_old", "remap_file_pages" } },
}

-- Memory, time, threads and signals of its own, files to be read, and what it was handed.
local COMPUTING = {
  "brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "mincore", "mlock", "mlock2", "munlock", "msync",
  "membarrier", "pkey_alloc", "pkey_free", "pkey_mprotect", "memfd_create", "map_shadow_stack", "mseal",
  "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2", "lseek",
  "sendfile", "copy_file_range", "splice", "tee", "close", "close_range", "dup", "dup2", "dup3", "fcntl", "fstat",
  "fsync", "fdatasync", "ftruncate", "fallocate", "fadvise64", "flock", "pipe", "pipe2", "eventfd", "eventfd2",
  "stat", "lstat", "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2", "readlink",
  "readlinkat", "getdents", "getdents64", "getcwd", "chdir", "fchdir", "umask", "getxattr", "fgetxattr", "lgetxattr",
  "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
  "epoll_pwait2", "timerfd_create", "timerfd_settime", "timerfd_gettime", "signalfd", "signalfd4",
  "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "times", "alarm", "pause",
  "setitimer", "getitimer", "timer_create", "timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete",
  "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend", "sigaltstack",
  "tgkill", "restart_syscall",
  "futex", "futex_waitv", "futex_wait", "futex_wake", "futex_requeue", "set_robust_list", "get_robust_list",
  "set_tid_address", "rseq", "gettid", "getpid", "getppid", "getpgrp", "getpgid", "getsid", "getuid", "geteuid",
  "getgid", "getegid", "getresuid", "getresgid", "getgroups", "sched_yield", "sched_getaffinity", "sched_setaffinity",
  "sched_getparam", "sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min", "getcpu", "getpriority",
  "getrlimit", "prlimit64", "getrusage", "sysinfo", "uname", "getrandom", "prctl", "arch_prctl", "riscv_flush_icache",
  "riscv_hwprobe", "seccomp", "capget", "execve", "exit", "exit_group", "wait4", "waitid",
  -- For reading alone: O_TMPFILE cannot be without one of the others.
  open = { { 1, "&==", { "accmode", "creat", "trunc" }, 0 } },
  openat = { { 2, "&==", { "accmode", "creat", "trunc" }, 0 } },
  clone = { { 0, "&", "thread" } },
  ioctl = { { 1, "in", { "tcgets", "tiocgwinsz", "tiocgpgrp", "fionread", "fionbio", "fioclex", "fionclex" } } },
}

local function denial(lists)
  local policy = { default = "allow", errno = {}, allow = {} }
  for _, groups in ipairs(lists) do
    for _, group in ipairs(groups) do
      local list = policy.errno[group.errno] or {}
      policy.errno[group.errno] = list
      for key, value in pairs(group.calls) do
        if type(key) == "number" then list[#list + 1] = value else list[key] = value end
      end
      for key, value in pairs(group.allowed or {}) do policy.allow[key] = value end
    end
  end
  return policy
end

local TABLES = {
  default = function() return denial { REFUSED, NESTING } end,
  nesting = function() return denial { REFUSED } end,
  strict = function()
    return { default = "EPERM", allow = COMPUTING, errno = { ENOSYS = { "clone3", "io_uring_setup", "openat2" } } }
  end,
}

-- How a program comes to TCP past Landlock's rules about it, which look at connect(2) and bind(2) of a TCP socket.
local PAST_TCP = { default = "allow", errno = {
  EPROTONOSUPPORT = { socket = OTHER_TCP },
  EOPNOTSUPP = { -- MSG_FASTOPEN
    sendto = { { 3, "&", 0x20000000 } }, sendmsg = { { 2, "&", 0x20000000 } }, sendmmsg = { { 3, "&", 0x20000000 } } },
  ENOSYS = { "io_uring_setup" }, -- by which all of these are called, too
} }

-- A fork for the parent, which makes no namespace: by it who enters comes into a namespace of processes (cella.enter).
local HANDED_ON = { clone = { { 0, "&==", { "parent", "mount", "cgroup", "uts", "ipc", "user", "pid", "net" },
  { "parent" } } } }

--- The list of calls that is.
---@return table
function M.handed_on() return HANDED_ON end

--- The table of a policy that refuses that, and nothing else.
---@return table
function M.past_tcp() return PAST_TCP end

--- Their names.
M.NAMES = { "default", "nesting", "strict" }

--- What each is for.
M.ABOUT = {
  default = "all but what a program in a sandbox never needs",
  nesting = "the same, with what it takes to make containers inside",
  strict = "nothing but computing: memory, time, threads, files to be read, and what it was handed",
}

--- The table of a policy.
---@param name string
---@return table
function M.table(name) return TABLES[name]() end

local function has(group, name)
  for key, value in pairs(group.calls) do
    if key == name or type(key) == "number" and value == name then return true end
  end
  return false
end

--- Why "default" refuses a call, or refuses it on conditions; nil where it does not.
---@param name string
---@return string?
function M.reason(name)
  local reasons = {}
  for _, group in ipairs(M.groups()) do
    if has(group, name) then reasons[#reasons + 1] = group.reason end
  end
  return #reasons > 0 and table.concat(reasons, "; ") or nil
end

--- Whether it is what it takes to make containers inside that "default" refuses, and "nesting" does not.
---@param name string
---@return boolean
function M.is_nesting(name)
  for _, group in ipairs(NESTING) do
    if has(group, name) then return true end
  end
  return false
end

--- The groups of "default", for the document.
---@return cella.seccomp.group[]
function M.groups()
  local all = {}
  for _, groups in ipairs { REFUSED, NESTING } do
    for _, group in ipairs(groups) do all[#all + 1] = group end
  end
  return all
end

return M
