--- The operations and their parameters, as the manual has them: said here once more, independently of the table in C.
---
--- Each parameter: its name, its kind, an argument that is right, and whether it may be left away.

local NOWHERE = "/nonexistent/cella-spec"
local CLOSED = 99999 -- a descriptor that nobody has

local function optional(parameter)
  parameter.optional = true
  return parameter
end

local function p(name, kind, right)
  return { name = name, kind = kind, right = right }
end

local function path(name) return p(name or "path", "path", NOWHERE) end
local function fd(name) return p(name or "fd", "fd", CLOSED) end
local function text(name) return p(name, "text", "cella-spec") end
local function flags(name, right) return p(name, "flags", right) end
local function caps(name) return p(name or "capabilities", "capabilities", "wake_alarm") end
local function id(name) return optional(p(name, "id", 0)) end

return {
  unshare = { flags("namespaces", "uts") },
  unshare_mounts_below = { optional(p("keep_cwd", "boolean", true)) },
  setns = { fd(), optional(flags("namespaces", "uts")) },
  sethostname = { text "name" },
  setdomainname = { text "name" },
  link_up = { text "interface" },

  mount = { optional(text "source"), path "target", optional(text "fstype"), optional(flags("flags", "nosuid")),
    optional(text "data") },
  umount2 = { path "target", optional(flags("flags", "detach")) },
  pivot_root = { path "new_root", path "put_old" },
  open_tree = { text "path", optional(flags("flags", "clone")), optional(fd "dirfd") },
  move_mount = { fd "from_fd", optional(fd "to_fd"), optional(path "to_path") },
  mount_setattr = { fd(), p("recursive", "boolean", true), flags("set", "rdonly"), optional(flags("clear", "nosuid")),
    optional(p("propagation", "name", "private")), optional(fd "userns_fd") },
  fsopen = { text "fstype" },
  fsconfig = { fd(), p("command", "name", "create"), optional(text "key"), optional(text "value") },
  fsconfig_at = { fd(), text "key", fd "dirfd", optional(path()) },
  open_tree_of = { fd(), optional(flags("flags", "clone")) },
  mask = { fd(), fd "null_fd", fd "empty_fd" },
  fsmount = { fd(), optional(flags("attributes", "rdonly")) },
  chroot = { path() },

  chdir = { path() },
  chdir_first = { p("paths", "strings", { NOWHERE }) },
  fchdir = { fd() },
  mkdir = { path(), p("mode", "mode", 448), optional(fd "dirfd") },
  symlink = { path "target", path(), optional(fd "dirfd") },
  make_symlink = { path "target", path(), optional(fd "dirfd") },
  mknod = { path(), p("type", "name", "fifo"), p("mode", "mode", 384), optional(p("major", "major", 1)),
    optional(p("minor", "minor", 3)), optional(fd "dirfd") },
  openat2 = { path(), flags("flags", "rdonly"), optional(flags("resolve", "beneath")), optional(fd "dirfd"),
    optional(p("mode", "mode", 384)) },
  make_target = { path(), fd "root_fd", optional(fd "within_fd"), optional(fd "like_fd"),
    optional(p("parents", "mode", 448)), optional(p("mode", "mode", 448)) },
  write_file = { path(), p("data", "data", "x"), optional(flags("flags", "trunc")), optional(p("mode", "mode", 384)),
    optional(fd "dirfd") },
  write = { fd(), p("data", "data", "x") },
  fchmod = { fd(), p("mode", "mode", 438) }, -- a mutant may do it to /dev/null
  fchown = { fd(), id "uid", id "gid" },
  lock = { fd() },
  umask = { p("mask", "mode", 18) },
  close = { fd() },
  dup2 = { fd(), p("number", "int", CLOSED) },
  close_range = { p("first", "int", CLOSED), p("last", "u32", CLOSED), optional(flags("flags", "cloexec")) },
  close_others = { p("keep", "descriptors", { 0, 1, 2 }), optional(fd()) },

  setgroups = { p("groups", "ids", { 0 }) },
  setresuid = { id "ruid", id "euid", id "suid" },
  setresgid = { id "rgid", id "egid", id "sgid" },
  setsid = {},

  capset = { caps "effective", caps "permitted", caps "inheritable" },
  capbset_drop = { caps() },
  ambient_raise = { caps() },
  ambient_lower = { caps() },
  ambient_clear = {},
  securebits = { flags("bits", "noroot") },
  keep_caps = { p("on", "boolean", true) },
  no_new_privs = {},

  await = {},
  await_plan = {},
  fork = { optional(flags("namespaces", "uts")) },
  init = { fd "program_fd", fd "status_fd", optional(p("detached", "boolean", true)),
    optional(text "label") },
  sigdefault = { p("signals", "signals", { "usr1" }) },
  sigunblock = {},
  pidfd_open = { p("pid", "int", 2147483647) }, -- more than there can be
  pidfd_send_signal = { fd "pidfd", p("signal", "name", "term") },
  pdeathsig = { p("signal", "name", "term") },
  expect_parent = {},
  dumpable = { p("on", "boolean", true) },
  setrlimit = { p("resource", "name", "core"), p("soft", "limit", 0), p("hard", "limit", "unlimited") },
  wait_for_byte = { fd() },
  seccomp = { p("filter", "data", "x"), optional(p("policy", "text", "default")) },
  expect_seccomp = { p("mark", "u32", 1) },
  seccomp_listener = { p("filter", "data", "x"), optional(p("policy", "text", "default")) },
  landlock_create_ruleset = { optional(flags("fs", "read_file")), optional(flags("net", "bind_tcp")),
    optional(flags("scoped", "signal")) },
  landlock_add_rule = { fd "ruleset_fd", fd(), flags("access", "read_file") },
  landlock_add_path = { fd "ruleset_fd", path(), flags("access", "read_file"), optional(flags("of_file", "read_file")),
    optional(p("optional", "boolean", true)), optional(p("links_in", "strings", { NOWHERE })) },
  landlock_add_port = { fd "ruleset_fd", p("port", "port", 80), flags("access", "bind_tcp") },
  landlock_restrict_self = { fd "ruleset_fd" },
  expect_landlock = { flags("trials", "read_dir"), optional(p("port", "port", 65535)) },
  deny_keys = {},
  join_session_keyring = {},
  personality = { p("persona", "u32", 0) },
  setpriority = { p("nice", "nice", 19) },
  expect_priority = { p("nice", "nice", 19) },
  sched_setaffinity = { p("cpus", "cpus", { 0 }) },
  expect_affinity = { p("cpus", "cpus", { 0 }) },
  timer_slack = { p("nanoseconds", "u32", 50000) },
  thp_disable = { p("on", "boolean", false) },
  memory_merge = { p("on", "boolean", false) },
  expect_no_user_namespaces = {},
  expect_program = { p("path", "strings", { NOWHERE }) },
  execve = { p("path", "strings", { NOWHERE }), p("argv", "strings", { "x" }),
    optional(p("environment", "strings", {})), optional(p("pwd", "boolean", true)) },
  call = { text "what", optional(p("environment", "strings", {})) },

  openpt = { path(), optional(p("min_fd", "int", 3)) },
  ptpeer = { fd(), optional(p("min_fd", "int", 3)) },
  tcsetwinsize = { fd(), p("rows", "int", 24), p("columns", "int", 80) },
  copy_tty = { fd(), fd "model_fd" },
  setctty = { fd() },
  send_fd = { fd() },

  expect_ids = { p("uid", "id", 0), p("gid", "id", 0) },
  expect_groups = { p("groups", "ids", { 0 }) },
  expect_capabilities = { caps "effective", caps "permitted", caps "inheritable", caps "bounding", caps "ambient" },
  expect_securebits = { flags("bits", "noroot") },
  expect_no_new_privs = { p("on", "boolean", true) },
  expect_no_keys = {},
  expect_personality = { p("persona", "u32", 0) },
  expect_timer_slack = { p("nanoseconds", "u32", 50000) },
  expect_memory_defaults = {},
  expect_namespace = { path "link", p("inode", "limit", 1), p("same", "boolean", true), optional(fd "dirfd") },
  expect_map = { path(), text "text" },
  expect_node = { fd(), p("type", "name", "char"), p("major", "major", 1), p("minor", "minor", 3) },
  expect_device = { path() },
  expect_same_filesystem = { fd(), fd "other_fd" },
  expect_not_root = { fd() },
  expect_root = { fd() },
  expect_cwd = {},
  expect_locked_mounts = {},
}
