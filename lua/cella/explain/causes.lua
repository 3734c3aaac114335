--- Why each operation fails, by errno; see cella.explain.

local files = require "cella.host.file"
local kernel = require "cella.host.kernel"
local lazy = require "cella.lazy"
local ascii = require "cella.ascii"
local core = require "cella.core"
local lists = require "cella.list"
local status = require "cella.host.status"
local obstacles = require "cella.explain.obstacles"
---@module "cella.explain.program"
local program = lazy "cella.explain.program"

local sys = core.sys
local M = {}

local read = files.read_trimmed

local function has(capability)
  local sets = sys.capabilities()
  for _, name in ipairs(sets and sets.effective or {}) do
    if name == capability then return true end
  end
  return false
end

local function namespace_limits(namespaces)
  local found = {}
  for _, name in ipairs(namespaces) do
    local key, value = obstacles.limit(name)
    if value then found[#found + 1] = ("%s is %s"):format(key, value) end
  end
  return table.concat(found, ", ")
end

local function older_than(version) return kernel.is_older(kernel.version(), version) end

local function needs_linux(what, version)
  return ("%s needs Linux %s, and this is %s"):format(what, version, kernel.release() or "unknown")
end

local CAP_HINT = "; give the container a user namespace of its own, in which it has it"

local function needs(capability, what, plan, namespace)
  if plan and lists.contains(plan.new_namespaces, "user") then
    local denied = obstacles.apparmor_restriction() or obstacles.security_module()
    if denied then return denied end
    return ("%s needs CAP_%s in the user namespace that owns what is changed: give the plan a new %s namespace too")
      :format(what, ascii.upper(capability), namespace)
  end
  if has(capability) then
    return ("%s needs CAP_%s in the user namespace that owns what is changed"):format(what, ascii.upper(capability))
  end
  return ("%s needs CAP_%s, which this process does not have"):format(what, ascii.upper(capability)) .. CAP_HINT
end

local why = {}

-- What is left where none of the causes that can be seen is there.
local UNSEEN = "the kernel refuses this process a user namespace, and why is not to be seen from here: its IDs are "
  .. "mapped, and no switch, filter or AppArmor label forbids it; a chroot(2) onto a mount would, or another security "
  .. "module"

local function refused_namespace(op, namespaces)
  if lists.contains(namespaces, "user") then return obstacles.user_namespace("EPERM", op) or UNSEEN end
  return obstacles.filter(op, namespaces) or needs("sys_admin", "a new namespace other than a user namespace")
end

local function limited(namespaces)
  return obstacles.max_namespaces(namespaces)
    or "a limit on namespaces is reached, or they are nested 33 deep: " .. namespace_limits(namespaces)
end

local function denied_namespace()
  return obstacles.user_namespace "EACCES" or "a security module refused it, and which one is not to be seen"
end

why.clone3 = {
  EPERM = function(_, plan) return refused_namespace("clone3", plan.namespaces) end,
  ENOSPC = function(_, plan) return limited(plan.namespaces) end,
  EUSERS = function(_, plan) return limited(plan.namespaces) end,
  EACCES = function(_, plan) return lists.contains(plan.namespaces, "user") and denied_namespace() or nil end,
  EAGAIN = function()
    return ("too many processes: RLIMIT_NPROC is %s, or the cgroup's pids.max is reached"):format(
      tostring(sys.getrlimit("nproc")))
  end,
  ENOMEM = "the pid namespace of the caller's children is dead (its first process has ended), or memory is short",
}

local function no_more_processes(_, plan)
  local pids = plan.cgroup and plan.cgroup.pids
  return ("too many processes: cgroup.pids is %s, of which the container's init is one; RLIMIT_NPROC is %s")
    :format(tostring(pids or "not set"), tostring(sys.getrlimit("nproc")))
end
why.init = { EAGAIN = no_more_processes }

local function map_refused(fields)
  local map = fields.map
  if not map then return nil end
  local ok, check = pcall(require, "cella.idmap.check")
  if not ok then return nil end
  return check.explain(map.ids[map.kind], map.kind, map.ids)
end

-- The name of the child's own file in /proc that a step writes to, by whichever side; nil for any other file.
local function proc_file(fields)
  local path = fields.args and fields.args.path
  return path and path:match(fields.side == "parent" and "^/proc/PID/([^/]+)$" or "^/proc/self/([^/]+)$")
end

-- The name of a parameter of the kernel that a step writes to.
local function parameter(fields)
  local path = fields.args and fields.args.path
  return type(path) == "string" and path:match "^/proc/sys/(.+)$" or nil
end

local MAPS = { uid_map = true, gid_map = true }

local function on_map(fields)
  return MAPS[proc_file(fields)] or fields.map
end

why.write_file = {
  EPERM = function(fields)
    local said = map_refused(fields)
    if said then return said end
    if parameter(fields) then
      return "the kernel leaves this parameter to root of the initial user namespace"
    elseif on_map(fields) then
      return obstacles.apparmor_restriction() or obstacles.security_module()
        or "the kernel refused this ID map: unprivileged, a map is one extent of one ID, the caller's own; others need "
        .. "CAP_SETUID and CAP_SETGID over the parent namespace, or newuidmap and subordinate IDs "
        .. "(user_namespaces(7))"
    elseif proc_file(fields) == "setgroups" then
      return "setgroups cannot be changed once the gid_map is written, nor allowed again where it is denied"
    end
    return nil
  end,
  EACCES = function(fields)
    local file = proc_file(fields)
    if parameter(fields) then
      return "the kernel leaves this parameter to root of the initial user namespace"
    elseif file == "oom_score_adj" and not has "sys_resource" then
      return ("%s is less than it may be: below what this process has only CAP_SYS_RESOURCE over the initial user "
        .. "namespace takes it (proc_pid_oom_score_adj(5))"):format(fields.args.data)
    elseif on_map(fields) or file == "timens_offsets" or file == "setgroups" then
      return obstacles.apparmor_restriction() or obstacles.security_module()
        or "the child's files in /proc belong to root, because it is not dumpable (prctl(2), PR_SET_DUMPABLE), as "
        .. "nobody is who has joined a user, pid or mount namespace: behind that only root maps IDs"
    end
    return nil
  end,
  EINVAL = function(fields)
    return parameter(fields) and "the parameter does not take this value" or map_refused(fields)
  end,
  EROFS = function(fields)
    if parameter(fields) then return obstacles.readonly_proc() or "/proc/sys is mounted read-only here" end
    return proc_file(fields) and obstacles.readonly_proc() or nil
  end,
  ERANGE = function(fields)
    return proc_file(fields) == "timens_offsets"
      and "a clock would be before its beginning or beyond 146 years (time_namespaces(7))" or nil
  end,
  EXDEV = "what is mounted on /proc here is not a procfs",
  EISDIR = function(fields)
    return parameter(fields) and "this is the name of several parameters, not of one" or nil
  end,
  EIO = function(fields) return parameter(fields) and "the parameter does not take all of this value" or nil end,
  ENOENT = function(fields)
    local path = fields.args.path
    if parameter(fields) and core.inode "/proc/self" then
      return "a namespace has no such parameter here: see sysctl -a in one"
    end
    return path:match "^/proc/" and not core.inode "/proc/self" and "there is no /proc mounted here" or nil
  end,
}

-- What newuidmap(1) and newgidmap(1) say themselves is in the message.
local function helper(fields)
  if fields.code == "ENOENT" or fields.errno == 2 then
    return { name = "no_helper", remedy = obstacles.INSTALL_HELPERS,
      says = "the program is not installed: on Debian it is in the package `uidmap`, elsewhere in `shadow-utils`" }
  end
  local said = map_refused(fields)
  if said then return said end
  local map = fields.map
  if not map or has("set" .. map.kind) then return nil end
  local tracer = status.field(read "/proc/self/status" or "", "TracerPid")
  if tracer and tracer ~= "0" then
    return ("this process is traced (by process %s), and so is the helper: a set-user-ID program gains nothing then "
      .. "(execve(2))"):format(tracer)
  end
  return map.helper and obstacles.helper_file(map.helper)
end
why.newuidmap = { any = helper }
why.newgidmap = { any = helper }

why.setgroups = {
  EPERM = function(_, plan)
    local maps = plan.id_maps or plan.ids or { setgroups = sys.setgroups_state() }
    if maps.setgroups == "deny" or maps.via == "self" then return "setgroups is denied in this user namespace" end
    return needs("setgid", "changing supplementary groups")
  end,
  EINVAL = "one of the groups has no mapping in this user namespace",
}
why.setresuid = {
  EINVAL = "the user ID has no mapping in this user namespace",
  EPERM = function() return needs("setuid", "becoming another user") end,
  EAGAIN = "the user has more processes than RLIMIT_NPROC allows",
}
why.setresgid = {
  EINVAL = "the group ID has no mapping in this user namespace",
  EPERM = function() return needs("setgid", "becoming another group") end,
}
local setpcap = { EPERM = function() return needs("setpcap", "changing the bounding set or the securebits") end }
why.capbset_drop, why.securebits = setpcap, setpcap
why.capset = {
  EPERM = "a capability was asked for that the process does not have (capabilities(7))",
  ENOTRECOVERABLE = "the runner does not have the capabilities that the child had before it executed the runner: a "
    .. "security module has changed them",
}
why.ambient_raise = { EPERM = "an ambient capability has to be permitted and inheritable (capabilities(7))" }
why.sethostname = { EPERM = function(_, plan) return needs("sys_admin", "a host name", plan, "uts") end,
  EINVAL = "a host name is at most 64 bytes long" }
why.link_up = { EPERM = function(_, plan) return needs("net_admin", "bringing an interface up", plan, "net") end }

why.setns = {
  EPERM = "joining needs CAP_SYS_ADMIN in the user namespace that owns the target: join that user namespace too, or be "
    .. "root",
  ESRCH = "the process to be entered has ended",
  EINVAL = "the descriptor is not a namespace of that type, or the process is in that user namespace already",
}
local function of_step(fields) return fields.args and fields.args.namespaces or {} end

local function unshare_limit(fields) return limited(of_step(fields)) end

why.fork = {
  ENOMEM = "the pid namespace is dead: its first process has ended, and nobody is born in there any more "
    .. "(pid_namespaces(7)); or memory is short",
  ENOSPC = unshare_limit,
  EPERM = function(fields) return refused_namespace("clone3", of_step(fields)) end,
  EACCES = function(fields) return lists.contains(of_step(fields), "user") and denied_namespace() or nil end,
  EAGAIN = no_more_processes,
}
why.chroot = { EPERM = function() return needs("sys_chroot", "another root directory") end }
why.fchdir = {
  EACCES = function(_, plan)
    if plan.entered then
      return "the working directory of the process may not be searched by who enters: give another, `cwd`"
    end
    return "the directory may not be searched"
  end,
}
why.expect_cwd = { ENOENT = "the working directory is deleted: give another, `cwd`" }

why.unshare = {
  ENOSPC = unshare_limit,
  EUSERS = unshare_limit,
  EPERM = function(fields) return refused_namespace("unshare", of_step(fields)) end,
  EACCES = function(fields) return lists.contains(of_step(fields), "user") and denied_namespace() or nil end,
  EINVAL = "the process shares its memory with another",
}

local BELOW = { "user", "mount" }
why.unshare_mounts_below = {
  ENOSPC = function() return limited(BELOW) end,
  EUSERS = function() return limited(BELOW) end,
  EPERM = function() return refused_namespace("clone3", BELOW) end,
  EACCES = denied_namespace,
  EAGAIN = no_more_processes,
  ENOENT = "the working directory, from which paths of the description are seen, is deleted or not to be reached",
  ESTALE = "the working directory, from which paths of the description are seen, is another by now",
}
why.expect_locked_mounts = { ENOTRECOVERABLE = "the kernel has not locked the mounts: sys_admin could undo them" }

require "cella.explain.mounts" (why, { needs = needs, read = read, older_than = older_than,
  needs_linux = needs_linux })

why.close_range = {
  EINVAL = function(fields)
    return lists.contains(fields.args.flags or {}, "cloexec") and older_than "5.11"
      and needs_linux("the flag cloexec", "5.11") or nil
  end,
}
why.chdir = {
  ENOENT = "the working directory does not exist in the container",
  EACCES = "the container's user may not search the working directory",
}
why.setrlimit = {
  EPERM = function(fields)
    local _, hard = sys.getrlimit(fields.args.resource)
    return ("the hard limit of this process is %s, and raising it needs CAP_SYS_RESOURCE over the initial user "
      .. "namespace"):format(tostring(hard))
  end,
}

local NOT_THERE = "there is no such program in the container"

-- A line for a shell in place of a program's name.
local function is_line(name)
  local first = not name:find "^%s" and name:match "^(%S+)%s"
  return first and ("%s: the first item is the program alone, and arguments are items of their own, { %q, ... }; a "
    .. "line for a shell is { \"sh\", \"-c\", %q }"):format(NOT_THERE, first, #name < 80 and name or first .. " ...")
end

why.execve = {
  ENOENT = function(_, plan)
    local line = plan.program and is_line(plan.program)
    if line then return line end
    local in_path = plan.program and not plan.program:find("/", 1, true)
    return NOT_THERE .. (in_path and "'s PATH" or "") .. program.missing(plan)
  end,
  -- The child's way to say that the file exists and still the kernel says ENOENT.
  ELIBACC = function(_, plan)
    return program.interpreter(plan) or "the program is there, but not its interpreter: the one that its first line "
      .. "names (#!), or the dynamic linker, is missing in the container"
  end,
  EACCES = function(_, plan)
    local said = "the file is not executable for the container's user, is a directory, or lies on a noexec mount"
    return plan.landlock and said .. "; or no rule of `landlock` allows `execute` and `read_file` on it, on the "
      .. "interpreter that its first line names, or on the dynamic linker" or said
  end,
  ENOEXEC = "the file is neither a program for this machine nor a script that begins with #!",
  ETXTBSY = "the file is open for writing",
  E2BIG = "the arguments or the environment are too long: one string may have 131071 bytes (execve(2))",
  EPERM = "the program has file capabilities outside the bounding set: it refuses to run without them",
  EAGAIN = "the user has more processes than RLIMIT_NPROC allows",
  ENAMETOOLONG = "a component of the path is longer than 255 bytes",
  ELOOP = "too many symbolic links in the path, or in the chain of interpreters",
}

why.expect_program = why.execve

why.seccomp = {
  EINVAL = "no filter: it has to be a whole number of instructions of 8 bytes, 1 to 4096, that the kernel's checker "
    .. "accepts; or this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)",
  EACCES = "a filter needs no_new_privs, or CAP_SYS_ADMIN in the user namespace (seccomp(2))",
}
why.landlock_create_ruleset = {
  EOPNOTSUPP = "the kernel has Landlock, and it is not among its security modules: lsm=landlock,... on its command "
    .. "line",
  EINVAL = "this kernel's Landlock is older than what is asked for (sys.landlock_abi)",
  E2BIG = "this kernel's Landlock is older than what is asked for (sys.landlock_abi)",
  ENOMSG = "no right at all is named",
}
local function of_rule(fields)
  local args = fields.args or {}
  return ("what is there is no directory, and of these some are rights to directories alone: %s"):format(
    table.concat(args.of_file or args.access or {}, ", "))
end
local ROOT = "a rule's path is one in the container, as the program sees it"
why.landlock_add_path = {
  ENOENT = ROOT .. ": there is no such file there; a rule for what need not be there says `optional = true`",
  ENOTDIR = ROOT .. ": part of it is no directory",
  EACCES = ROOT .. ": the container's user may not search a directory on it",
  ELOOP = function(fields)
    if fields.args and fields.args.links_in then
      return ROOT .. ": a symbolic link is on it, below a directory where another rule lets programs make links; name "
        .. "what it leads to"
    end
    return ROOT .. ": too many symbolic links, or one of /proc, which lead to whatever is open"
  end,
  EINVAL = of_rule,
  ENOMSG = "what is there is no directory, and all that is allowed are rights to directories",
  EBADFD = "what is there is on no file system that Landlock can have rules about",
  EMFILE = "no descriptor is free for the rules",
}
why.landlock_add_rule = { EINVAL = "a right that the ruleset is not about, or one to directories, and this is none",
  ENOMSG = "no right at all is named", EBADFD = "the descriptor is of no file that Landlock can have rules about, or "
    .. "ruleset_fd is no ruleset" }
why.landlock_add_port = {
  EAFNOSUPPORT = "this kernel has no TCP (CONFIG_INET)",
  EINVAL = "a right that the ruleset is not about",
}
why.landlock_restrict_self = {
  EPERM = "rules need no_new_privs, or CAP_SYS_ADMIN in the user namespace (landlock_restrict_self(2))",
  E2BIG = "this process is under 16 layers of rules already, and there are no more (landlock(7))",
}
why.expect_landlock = {
  ENOTRECOVERABLE = "something that the rules refuse can be done: a rule of another path may lead there, by a link or "
    .. "a bind (Landlock goes by the directory, whichever way leads to it)",
}

why.seccomp_listener = {
  EINVAL = why.seccomp.EINVAL, EACCES = why.seccomp.EACCES,
  EBUSY = "this process is under a filter already whose calls somebody else answers, and the kernel allows one "
    .. "(seccomp_unotify(2)): what runs in a container with `denied` cannot start another with it",
  EAGAIN = "for `denied` the process has a second thread for a moment, and a limit on processes leaves no room for it: "
    .. "`rlimits.nproc`, `cgroup.pids`",
}
why.deny_keys = {
  EINVAL = 'this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER): `keyrings = "host"` does without one',
  EACCES = "the filter that keeps a program from keys needs no_new_privs, or CAP_SYS_ADMIN in the user namespace "
    .. '(seccomp(2)): say `no_new_privs = true`, or `keyrings = "host"`',
}
why.join_session_keyring = {
  EDQUOT = function()
    local me = sys.getresuid()
    local prefix = "/proc/sys/kernel/keys/" .. (me == 0 and "root_" or "")
    return ("the user has as many keys, or bytes in them, as kernel.keys allows one (maxkeys %s, maxbytes %s; root has "
      .. 'more): each running container with `keyrings = "own"` takes one'):format(
      tostring(read(prefix .. "maxkeys")), tostring(read(prefix .. "maxbytes")))
  end,
  ENOSYS = "this kernel has no keys (CONFIG_KEYS), or a seccomp filter of the caller's hides them",
}
local OWN_DEV = '{ type = "dev", destination = "/dev" } in its mounts gives it a /dev of its own'
why.openpt = {
  ENOENT = "there is no /dev/ptmx, with the terminals that belong to it, in the container: " .. OWN_DEV,
  EACCES = "the container's user may not open /dev/ptmx, or it lies on a mount with nodev: " .. OWN_DEV,
  ENOTTY = "/dev/ptmx in the container is not the terminal multiplexer (character device 5, 2): it is not touched",
  ENOSPC = function()
    return ("there are no more terminals: kernel.pty.max is %s"):format(tostring(read("/proc/sys/kernel/pty/max")))
  end,
}
why.openpt.ENODEV, why.openpt.ENXIO = why.openpt.ENOENT, why.openpt.ENOENT
why.setctty = {
  EPERM = "this process does not lead a session, or that has a terminal already: in a plan, plan:setsid() comes before",
}
why.copy_tty = { ENOTTY = "the descriptor is not a terminal's" }
-- What lowers a nice value or an oom_score_adj has to have it outside too: no container gives it.
why.setpriority = {
  EACCES = function(fields)
    return ("a nice value of %d is less than this process has, which needs RLIMIT_NICE (%s here) or CAP_SYS_NICE over "
      .. "the initial user namespace, which nobody has in a user namespace of its own"):format(fields.args.nice,
      tostring(sys.getrlimit "nice"))
  end,
}

why.sched_setaffinity = {
  EINVAL = "none of these processors is there and allowed by the cgroup (cpuset(7))",
}

why.expect_affinity = {
  ENOTRECOVERABLE = "not all of these processors are there and allowed by the cgroup (cpuset(7))",
}

why.expect_no_user_namespaces = { ENOTRECOVERABLE = "a user namespace could still be made in there" }

local RUNNER = "the child becomes cella's runner, a sealed file in memory (memfd_create(2)), before it does anything"
local function of_the_runner(obstacle)
  return obstacle and { name = obstacle.name, says = RUNNER .. ": " .. obstacle.says, remedy = obstacle.remedy }
end

why.memfd_create = { EACCES = function() return of_the_runner(obstacles.memfd_noexec()) end }
local function seen_filter()
  local seen = of_the_runner(obstacles.filter "execveat")
  return seen or sys.get_seccomp() ~= 0 and "a seccomp filter of the caller's refuses execveat(2): " .. RUNNER or nil
end
why.execveat = {
  EACCES = function()
    return obstacles.apparmor_restriction() or of_the_runner(obstacles.disconnected()) or seen_filter()
  end,
  EPERM = seen_filter, ENOSYS = seen_filter,
  ENOMEM = RUNNER .. ": there is not enough memory for that, within the limits of the caller",
  EAGAIN = "RLIMIT_NPROC of the caller is exceeded (execve(2))",
}
why["idmap.of"] = {
  ENOENT = function() return not core.inode "/proc/self" and "there is no /proc mounted here" or nil end,
}
why.open = {
  ENOENT = "there is no such file, or the process is gone",
  EACCES = "the caller may not open it",
}

-- The oldest kernels that have the calls without which nothing is done another way.
local SINCE = {
  clone3 = "5.5", close_range = "5.9", close_others = "5.9", openat2 = "5.6", make_target = "5.6", open_tree = "5.2",
  open_tree_of = "5.2", move_mount = "5.2", fsopen = "5.2", fsconfig = "5.2", fsmount = "5.2", mask = "5.2",
  mount_setattr = "5.12",
}

local general = {
  ENOSYS = function(fields)
    local since = SINCE[fields.op]
    if since and older_than(since) then return needs_linux("this", since) end
    local there = since and ("Linux has this since %s, and this is %s"):format(since, kernel.release() or "unknown")
    local seen = obstacles.filter(fields.op, of_step(fields))
    if seen then
      return { name = seen.name, says = (there and there .. ": " or "") .. seen.says, remedy = seen.remedy }
    end
    if sys.get_seccomp() == 2 then
      return there and there .. ": a seccomp filter hides it"
        or "this kernel does not have the system call, or a seccomp filter hides it"
    end
    return there and there .. ", and no seccomp filter is seen: why it is not there is unknown"
      or "this kernel does not have the system call"
  end,
  ECANCELED = "the parent is gone",
  ENOTRECOVERABLE = "the kernel's answer is not what the steps before asked for: the program was not run",
}

--- The cause for an operation and the name of an errno: a sentence, an obstacle, or a function of the error's fields
--- and the plan that returns one; nil where none is known.
---@param op string
---@param code string
---@return string|cella.obstacle|function|nil
function M.of(op, code)
  local rules = why[op] or {}
  return rules[code] or rules.any or general[code]
end

return M
