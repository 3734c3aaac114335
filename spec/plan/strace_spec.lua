-- What is printed is what happens: strace(1) sees the child make the system calls of the printed steps, in their order,
-- and no others, from clone3 to execve.

local able = require "spec.support.able"
local leaks = require "spec.support.leaks"
local operations = require "spec.support.operations"
local outside = require "spec.support.outside"
local portable = require "spec.support.portable"
local unpack = table.unpack or unpack

local needs = able.needs(function(reason) pending(reason) end)
local function traced(...) return needs("strace", "plain_memory", ...) end

-- The system calls of each operation, in their order: "name", "name ARGUMENT" (a text in the call), each with "?", "*"
-- or "+" behind it as in regular expressions; or several names, of which there may be any number in any order.
local CALLS = {
  unshare = { "unshare" },
  unshare_mounts_below = { "getcwd", "newfstatat?", "openat", "clone3", "wait4", "setns", "close", "chdir?",
    "newfstatat?" },
  setns = { "setns" },
  sethostname = { "sethostname" },
  setdomainname = { "setdomainname" },
  link_up = { "socket", "ioctl SIOCGIFFLAGS", "ioctl SIOCSIFFLAGS", "close" },

  mount = { "mount" },
  umount2 = { "umount2" },
  pivot_root = { "pivot_root" },
  open_tree = { "open_tree" },
  open_tree_of = { "newfstatat", "readlinkat", "open_tree", "newfstatat" },
  move_mount = { "move_mount" },
  mount_setattr = { "mount_setattr" },
  mask = { "newfstatat", "open_tree", "mount_setattr", "move_mount", "close" },
  fsopen = { "fsopen" },
  fsconfig = { "fsconfig" },
  fsconfig_at = { "fsconfig" },
  fsmount = { "fsmount" },
  chroot = { "chroot" },

  chdir = { "chdir" },
  chdir_first = { "chdir+" },
  fchdir = { "fchdir" },
  mkdir = { "mkdirat" },
  symlink = { "symlinkat" },
  make_symlink = { "symlinkat", "readlinkat?" },
  mknod = { "mknodat" },
  openat2 = { "openat2" },
  make_target = { { "newfstatat", "openat2", "mkdirat", "mknodat", "close" } },
  write_file = { "openat", "fstatfs?", "write", "close" },
  write = { "write*" },
  fchmod = { "fchmod", "fchmodat2?" },
  fchown = { "fchownat" },
  lock = { "fcntl F_OFD_SETLK" },
  umask = { "umask" },
  close = { "close" },
  dup2 = { "dup3" },
  close_range = { "close_range+" },
  close_others = { "close_range+" },

  setgroups = { "setgroups" },
  setresuid = { "setresuid" },
  setresgid = { "setresgid" },
  setsid = { "setsid" },

  capset = { "capset" },
  capbset_drop = { "prctl PR_CAPBSET_DROP*" },
  ambient_raise = { "prctl PR_CAP_AMBIENT_RAISE*" },
  ambient_lower = { "prctl PR_CAP_AMBIENT_LOWER*" },
  ambient_clear = { "prctl PR_CAP_AMBIENT_CLEAR_ALL" },
  securebits = { "prctl PR_SET_SECUREBITS" },
  keep_caps = { "prctl PR_SET_KEEPCAPS" },
  no_new_privs = { "prctl PR_SET_NO_NEW_PRIVS" },
  seccomp = { "prctl PR_SET_SECCOMP" },
  expect_seccomp = { "prctl PR_GET_SECCOMP" },
  seccomp_listener = { "clone3", "seccomp", "seccomp?" },
  landlock_create_ruleset = { "landlock_create_ruleset" },
  landlock_add_rule = { "landlock_add_rule" },
  landlock_add_path = { "openat2", { "newfstatat", "landlock_add_rule", "close" } },
  landlock_add_port = { "landlock_add_rule" },
  landlock_restrict_self = { "landlock_restrict_self" },
  expect_landlock = { { "openat", "close", "socket", "bind", "connect" } },
  deny_keys = { "prctl PR_SET_SECCOMP" },
  join_session_keyring = { "keyctl", "keyctl", "keyctl" },
  personality = { "personality" },
  timer_slack = { "prctl PR_SET_TIMERSLACK" },
  setpriority = { "setpriority" },
  expect_priority = { "getpriority" },
  sched_setaffinity = { "sched_setaffinity" },
  expect_affinity = { "sched_getaffinity" },
  thp_disable = { "prctl PR_SET_THP_DISABLE" },
  memory_merge = { "prctl" },

  await = { "sendto", "read" },
  await_plan = { "madvise", "sendto", "recvmsg" },
  fork = { "clone", "exit_group" },
  init = { "pipe2", "fcntl F_DUPFD?", "close?", "fcntl F_DUPFD?", "close?", "clone" },
  wait_for_byte = { "read" },
  sigdefault = { "rt_sigaction*" },
  sigunblock = { "rt_sigprocmask SIG_SETMASK" },
  pidfd_open = { "pidfd_open" },
  pidfd_send_signal = { "pidfd_send_signal" },
  pdeathsig = { "prctl PR_SET_PDEATHSIG" },
  expect_parent = { "ppoll" },
  dumpable = { "prctl PR_SET_DUMPABLE" },
  setrlimit = { "prlimit64" },
  execve = { "prctl PR_SET_NAME", { "execve", "faccessat", "getcwd" } },
  -- Memory for the environment; descriptors held; then out of the reach of others, and on its own.
  call = { { "brk", "mmap", "fcntl F_GETFD", "epoll_create1", "dup3" }, "close?", "prctl PR_SET_DUMPABLE",
    { "brk", "mmap" }, "munmap", "close" },

  openpt = { "openat2", "newfstatat", "ioctl TIOCGPTN", "ioctl TIOCSPTLCK", "fcntl F_DUPFD_CLOEXEC?", "close?" },
  ptpeer = { "ioctl TIOCGPTPEER", "fcntl F_DUPFD_CLOEXEC?", "close?" },
  tcsetwinsize = { "ioctl TIOCSWINSZ" },
  copy_tty = { "ioctl TCGETS2", "ioctl TIOCGWINSZ", "ioctl TCSETS2", "ioctl TIOCSWINSZ" },
  setctty = { "ioctl TIOCSCTTY" },
  send_fd = { "sendmsg", "read" },

  expect_ids = { "getresuid", "setfsuid", "getresgid", "setfsgid" },
  expect_groups = { "getgroups", "getgroups" },
  expect_capabilities = { "capget", "openat2", "fstatfs?", "openat2?", "close?", "read?", "close?",
    { "prctl PR_CAPBSET_READ", "prctl PR_CAP_AMBIENT_IS_SET" } },
  expect_securebits = { "prctl PR_GET_SECUREBITS" },
  expect_no_new_privs = { "prctl PR_GET_NO_NEW_PRIVS" },
  expect_no_keys = { "prctl PR_GET_SECCOMP", "add_key", "request_key", "keyctl" },
  expect_personality = { "personality" },
  expect_timer_slack = { "prctl PR_GET_TIMERSLACK" },
  expect_memory_defaults = { "prctl PR_GET_THP_DISABLE", "prctl" },
  expect_namespace = { "newfstatat" },
  expect_map = { "openat", "read+", "close" },
  expect_node = { "newfstatat" },
  expect_device = { "newfstatat", "statfs", "faccessat2+" },
  expect_root = { "statx", "statx", "statx" },
  expect_same_filesystem = { "newfstatat", "newfstatat" },
  expect_not_root = { "newfstatat", "newfstatat" },
  expect_no_user_namespaces = { "unshare CLONE_NEWUSER" },
  expect_cwd = { "getcwd" },
  expect_locked_mounts = { "statfs", "mount" },
  expect_program = { { "newfstatat", "faccessat" } },
}

-- Operations of which the first so many texts are arguments of the system calls as they are.
local SAID = {
  sethostname = 1, setdomainname = 1, link_up = 1, mount = 2, umount2 = 1, pivot_root = 2, open_tree = 1, fsopen = 1,
  chroot = 1, chdir = 1, mkdir = 1, symlink = 2, make_symlink = 2, mknod = 1, openat2 = 1, write_file = 2, write = 1,
  expect_namespace = 1, expect_map = 1, execve = 1,
}

-- Runs the source, which returns plan:steps() and perhaps something else, under strace. Returns the steps, the calls of
-- each process by its pid, and what else there was.
local function trace(source, prefix)
  local directory = outside.sh("mktemp -d /tmp/cella-strace.XXXXXX"):match "%S+"
  outside.sh("chmod 777 " .. directory)
  prefix = ("%s strace -ff -s 400 -o %s/t"):format(prefix or "", directory)
  local ok, steps, more = pcall(outside.lua, source, { prefix = prefix })
  local processes = {}
  for pid in outside.sh("cd " .. directory .. " && ls"):gmatch "t%.(%d+)" do
    local calls = {}
    for line in io.lines(directory .. "/t." .. pid) do
      local name = line:match "^([%w_]+)%("
      if name then calls[#calls + 1] = { name = name, line = line } end
    end
    processes[pid] = calls
  end
  outside.sh("rm -r " .. directory)
  assert(ok, steps)
  return steps, processes, more
end

local function is_call(call, pattern)
  local name, argument = pattern:match "^([%w_]+) ?(.-)$"
  return call and call.name == name and call.line:find(argument, 1, true) ~= nil
end

-- Of the child until it has become the runner, and of the runner until it performs the plan.
local START = {
  "close", { "fcntl F_GETFD", "fcntl F_SETFD" }, "capget", "prctl PR_GET_KEEPCAPS", "prctl PR_CAP_AMBIENT*", "capset?",
  "prctl PR_CAP_AMBIENT*", "execveat", "prctl PR_SET_NAME", "lseek", "mmap", "madvise", "close", "fcntl F_SETFD*",
  "openat /proc/thread-self/status", "fstatfs", "read", "close",
  "capset", "prctl PR_CAP_AMBIENT*", "prctl PR_SET_KEEPCAPS?", "capget", "prctl PR_GET_KEEPCAPS",
  "prctl PR_CAP_AMBIENT*",
}

local function follow(steps, processes, last_call)
  -- The child is whom the last clone3 with a descriptor has made.
  local child, started
  for _, calls in pairs(processes) do
    for _, call in ipairs(calls) do
      if call.name == "clone3" and call.line:find("CLONE_PIDFD", 1, true) then
        child, started = call.line:match "= (%d+)$", call.line
      end
    end
  end
  -- Where a plan forks, the child is that of a monitor, which sees to it that its parent is there.
  local monitor, first = nil, child
  for pid, list in pairs(processes) do
    local asked = false
    for _, call in ipairs(list) do
      asked = asked or call.name == "getppid"
      if asked and call.name == "clone" then monitor, child, started = pid, call.line:match "= (%d+)$", call.line end
      if call.name == "execve" then break end
    end
  end
  assert(child and processes[child], "no child was started")
  local seen = { [child] = true, [monitor or child] = true }
  local calls, at = processes[first], 1

  local function report(step, wanted)
    local lines = {}
    for i = math.max(1, at - 3), math.min(#calls, at + 3) do
      lines[#lines + 1] = (i == at and "> " or "  ") .. calls[i].line
    end
    error(("step %d, %s, is not %s but\n%s"):format(step.number, step.text, wanted, table.concat(lines, "\n")), 0)
  end

  local function take(step, patterns)
    for _, pattern in ipairs(patterns) do
      if type(pattern) == "table" then
        local function any()
          for _, one in ipairs(pattern) do
            if is_call(calls[at], one) then return true end
          end
        end
        while any() do
          at = at + 1
          -- What comes after the exec that succeeded is the program's.
          if calls[at - 1].name == "execve" and calls[at - 1].line:find("= 0$") then break end
        end
      else
        local one, how = pattern:match "^(.-)([?*+]?)$"
        if how ~= "*" and how ~= "?" then
          if not is_call(calls[at], one) then report(step, one) end
          at = at + 1
        elseif how == "?" and is_call(calls[at], one) then
          at = at + 1
        end
        while (how == "*" or how == "+") and is_call(calls[at], one) do at = at + 1 end
      end
    end
  end

  local cloned
  for _, step in ipairs(steps) do
    if step.op == "clone3" then cloned = step end
  end
  if cloned.text:find(", copy", 1, true) then
    take(cloned, { "close", "openat /proc/thread-self/status", "fstatfs", "read", "close*" })
  else
    take(cloned, START)
  end
  if monitor then
    -- Who is a monitor's child says so, and waits for an answer.
    take(cloned, { "rt_sigaction", "prctl PR_SET_PDEATHSIG", "getppid", "clone" })
    calls, at = processes[child], 1
    take(cloned, { "sendto", "read" })
  end

  for _, step in ipairs(steps) do
    if step.side == "child" then
      local begin = at
      take(step, assert(CALLS[step.op], "what are the system calls of " .. step.op .. "?"))
      local made = {}
      for i = begin, at - 1 do made[#made + 1] = calls[i].line end
      made = table.concat(made, "\n")
      -- strace of a user cannot read the memory of a process that is not dumpable, as one is that joins.
      local readable = not made:find "[(,]%s?0x%x+[,)]" or made:find('"', 1, true)
      local said = 0
      for text in step.text:gmatch '"([^"]*)"' do
        said = said + 1
        if not readable or said > (SAID[step.op] or 0) then break end
        if not made:find(text, 1, true) then report(step, ("with %q"):format(text)) end
      end
      if step.op == "fork" or step.op == "init" then
        -- The rest is another process's, whose number is that of another pid namespace where there is one.
        local opening = step.op == "init" and { "close", "read", "close", "sendto" } or { "sendto", "read" }
        local function begins(list)
          for i, one in ipairs(opening) do
            if not is_call(list[i], one) then return false end
          end
          return true
        end
        local next_pid = made:match "clone.*= (%d+)\n" or made:match "clone.*= (%d+)$"
        if not (processes[next_pid] and begins(processes[next_pid])) then
          next_pid = nil
          for pid, list in pairs(processes) do
            if not seen[pid] and begins(list) then next_pid = pid end
          end
        end
        if not next_pid then report(step, "followed by one that goes on") end
        seen[next_pid] = true
        calls, at = processes[next_pid], #opening + 1
      end
    end
  end
  local last = calls[at - 1]
  assert(last.name == (last_call or "execve") and last.line:find "= 0$", "the last call is " .. last.line)
  return started, child
end

describe("strace shows", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  it("- its calls for every operation are known here", function()
    for name in pairs(operations) do assert.truthy(CALLS[name], name) end
  end)

  it("the calls of a program that gets a terminal of its own", traced("user_namespaces", function()
    for _, where in ipairs { "container", "host" } do
      local steps, processes = trace(([[
        local command = { "true", terminal = { rows = 5, columns = 6, from = %q }, stdout = "capture" }
        -- A root that has terminals, and in which no mount point is made: how many calls that takes is not known.
        local root = { { type = "bind", source = "/", destination = "/", readonly = true, nodev = false } }
        local plan = assert(cella.container({ root = root }):plan(command))
        assert(plan:run())
        return plan:steps()
      ]]):format(where))
      follow(steps, processes)
    end
  end))

  it("- a control: a call that is not printed, or one that is missing, would be seen", traced(function()
    local steps, processes = trace [[
      local plan = cella.plan():umask(18):chdir("/"):exec { "/bin/true" }
      assert(plan:run())
      return plan:steps()
    ]]
    follow(steps, processes)
    local all = {}
    for i, step in ipairs(steps) do all[i] = step end
    for i, step in ipairs(steps) do
      if step.side == "child" and step.op ~= "sigdefault" then
        local fewer = { unpack(all) }
        table.remove(fewer, i)
        assert.is_false((pcall(follow, fewer, processes)), "a missing " .. step.op .. " was not noticed")
        local more = { unpack(all) }
        table.insert(more, i, step)
        assert.is_false((pcall(follow, more, processes)), "a second " .. step.op .. " was not noticed")
      end
    end
    all[3], all[4] = all[4], all[3]
    assert.is_false((pcall(follow, all, processes)), "another order was not noticed")
  end))

  -- Steps that anybody can take in namespaces of their own. `several` is whether there are IDs to switch between.
  local EVERYTHING = [[
    local function record(plan, several, devices)
      plan:dumpable(true):umask(18):sethostname("moon"):setdomainname("far"):link_up("lo"):setsid()
      plan:mount("none", "/", nil, { "rec", "private" })
      plan:mount("cella-spec", "/tmp", "tmpfs", { "nosuid" }, "size=1m")
      plan:mkdir("/tmp/root", 493):mkdir("/tmp/gone", 493):symlink("some/where", "/tmp/root/link")
      plan:make_symlink("some/where", "/tmp/root/link")
      plan:mknod("/tmp/root/fifo", "fifo", 420)
      if devices then plan:mknod("/tmp/root/null", "char", 438, 1, 3) end
      plan:write_file("/tmp/root/file", "some data", { "creat", "excl" }, 420)
      local file = plan:openat2("/tmp/root/file", { "wronly", "append" })
      plan:write(file, "and more"):fchown(file, 0):fchmod(file, 384)
      plan:close(file)
      local null = plan:openat2("/dev/null", "path")
      plan:expect_node(null, "char", 1, 3):expect_device "/dev/null"
      plan:mount("none", "/tmp/gone", "tmpfs"):umount2("/tmp/gone", "detach")

      local context = plan:fsopen "tmpfs"
      plan:fsconfig(context, "string", "source", "cella-tmp"):fsconfig(context, "create")
      local mount = plan:fsmount(context, { "nosuid", "nodev" })
      local tree = plan:open_tree("/tmp/root", { "clone", "recursive" })
      plan:mount_setattr(tree, true, { "nosuid" }):move_mount(tree, nil, "/tmp/root")
      local root = plan:openat2("/tmp/root", { "path", "directory" })
      local within = plan:openat2("/tmp/root/", { "path", "directory" })
      plan:expect_same_filesystem(root, within)
      plan:expect_not_root(root)
      plan:make_target("/a/b", root, within):umask(18)
      local target = plan:openat2("/a/b", "path", { "in_root", "no_magiclinks" }, root)
      plan:move_mount(mount, target)
      -- The program needs the files of the host.
      for _, name in ipairs { "usr", "proc" } do
        local part = plan:open_tree("/" .. name, { "clone", "recursive" })
        plan:make_target("/" .. name, root, within):umask(18)
        local place = plan:openat2("/" .. name, "path", "in_root", root)
        plan:move_mount(part, place):close(part):close(place)
      end
      for _, name in ipairs { "bin", "lib", "lib64" } do plan:symlink("usr/" .. name, name, root) end
      plan:fchdir(root):pivot_root(".", "."):umount2(".", "detach"):chdir("/"):expect_cwd()
      plan:chdir_first { "/nonexistent", "/a" }
      plan:chroot("/"):chdir "/"
      plan:unshare_mounts_below(true):unshare("mount"):expect_locked_mounts()
      plan:setrlimit("core", 0, 0):setrlimit("nofile", 200, "unlimited" and 200)
      plan:setpriority(19):expect_priority(19):sched_setaffinity { 0 }:expect_affinity { 0 }
      plan:dup2(2, 20):close_range(21, 4294967295, "cloexec"):close(20)

      plan:securebits { "no_setuid_fixup" }
      if several then
        plan:setgroups { 5, 6 }
        plan:setresgid(7, 7, 7):setresuid(8, 8, 8)
        plan:expect_ids(8, 7):expect_groups { 6, 5 }
      else
        plan:setresgid(0, 0, 0):setresuid(0, 0, 0):expect_ids(0, 0)
      end
      plan:capbset_drop { "sys_time", "mknod" }:securebits {}
      plan:capset("chown", { "chown", "kill" }, { "chown", "kill" })
      plan:ambient_clear():ambient_raise { "chown", "kill" }:ambient_lower { "kill" }
      plan:no_new_privs():pdeathsig("kill"):expect_parent()
      local bounding = {}
      for _, name in ipairs(several and sys.capabilities().bounding or { "all" }) do bounding[#bounding + 1] = name end
      bounding[#bounding + 1], bounding[#bounding + 2] = "-sys_time", "-mknod"
      plan:expect_capabilities("chown", { "chown", "kill" }, { "chown", "kill" }, bounding, "chown")
      plan:expect_securebits({}):expect_no_new_privs(true)
      local environment = { PATH = "/sbin:/usr/bin" }
      return plan:exec { "true", stdin = "null", stderr = "stdout", fds = { [9] = 1 }, environment = environment }
    end
  ]]

  local function kinds(steps)
    local count, names = 0, {}
    for _, step in ipairs(steps) do
      if step.side == "child" and not names[step.op] then
        names[step.op] = true
        count = count + 1
      end
    end
    return count, names
  end

  it("the printed calls in the printed order, for nearly every operation, as the root of a user namespace",
    traced("user_namespaces", function()
      local steps, processes = trace(EVERYTHING .. [[
        local plan = cella.plan { namespaces = { "user", "mount", "uts", "net", "ipc", "pid" }, ids = { via = "self",
          uid = { inside = 0, outside = select(2, sys.getresuid()), count = 1 },
          gid = { inside = 0, outside = select(2, sys.getresgid()), count = 1 } } }
        record(plan, false, false)
        local result, err = plan:run()
        assert(result, tostring(err))
        assert(result.code == 0, tostring(result.code))
        return plan:steps()
      ]])
      local started = follow(steps, processes)
      for _, flag in ipairs { "USER", "NS", "UTS", "NET", "IPC", "PID" } do
        assert.truthy(started:find("CLONE_NEW" .. flag .. "[|%s,]"), flag .. " is not in " .. started)
      end
      assert.is_nil(started:find "CLONE_NEWCGROUP")
      assert.is_true(kinds(steps) >= 50, kinds(steps))
    end))

  it("the printed calls in the printed order, with IDs to switch between", traced("several_ids", function()
    local steps, processes = trace(EVERYTHING .. [[
      local plan = cella.plan { namespaces = { "mount", "uts", "net", "ipc", "pid" } }
      record(plan, true, ... == "devices")
      local result, err = plan:run()
      assert(result, tostring(err))
      assert(result.code == 0, tostring(result.code))
      return plan:steps()
    ]], outside.several_ids_prefix())
    follow(steps, processes)
    local _, names = kinds(steps)
    assert.is_true(names.setgroups and names.expect_groups)
  end))

  it("the printed calls where a signal was ignored: that is reset", traced("block_signal", function()
    local steps, processes, ignored = trace([[
      local plan = cella.plan():exec { "true" }
      assert(plan:run())
      return plan:steps(), status "SigIgn"
    ]], "env --default-signal --ignore-signal=USR1 --ignore-signal=PIPE")
    local _, child = follow(steps, processes)
    local reset, count = {}, 0
    for _, call in ipairs(processes[child]) do
      if call.name == "execve" then break end
      reset[#reset + 1] = call.line:match "^rt_sigaction%(([%w_]+), {"
    end
    assert.equal("SIGUSR1 SIGPIPE", table.concat(reset, " ", 1, 2))
    -- libc's posix_spawn, which is behind io.popen, leaves two that it hides ignored.
    for bit = 0, 63 do
      if portable.has_bit(ignored, bit) then count = count + 1 end
    end
    assert.equal(count, #reset)
  end))

  it("the printed calls of a copy, of a process that exec would not leave as it is", traced("root", function()
    local steps, processes = trace [[
      assert(sys.setresuid(1, 0, 0))
      local plan = cella.plan { namespaces = { "uts" } }:sethostname("moon"):exec { "true" }
      assert(plan:run())
      return plan:steps()
    ]]
    local started = follow(steps, processes)
    assert.is_nil(started:find "CLONE_VM")
    assert.equal('clone3({"uts"}, copy)', steps[1].text)
  end))

  it("the printed calls of both processes, where namespaces are joined", traced("user_namespaces", function()
    local steps, processes = trace [[
      local ids = { via = "self", uid = { inside = 0, outside = select(2, sys.getresuid()), count = 1 },
        gid = { inside = 0, outside = select(2, sys.getresgid()), count = 1 } }
      local quiet = { "sleep", "60", stdin = "null", stdout = "null", stderr = "null" }
      local target = assert(cella.plan { namespaces = { "user", "pid" }, ids = ids }:exec(quiet):spawn())
      local plan = cella.plan { namespaces = { "uts", "pid" },
        join = { { type = "pid", pid = target.pid }, { type = "user", pid = target.pid } } }
      plan:sethostname("moon"):exec { "true" }
      local result, err = plan:run()
      target:close()
      assert(result, tostring(err))
      assert(result.code == 0)
      return plan:steps()
    ]]
    follow(steps, processes)
    local _, names = kinds(steps)
    assert.is_true(names.fork and names.setns)
  end))

  it("the printed calls of a function, which is called in a copy", traced("user_namespaces", function()
    local steps, processes = trace [[
      local held = assert(io.open "/etc/passwd")
      local plan = cella.plan { namespaces = { "user", "uts", "pid" }, ids = { via = "self",
        uid = { inside = 0, outside = select(2, sys.getresuid()), count = 1 },
        gid = { inside = 0, outside = select(2, sys.getresgid()), count = 1 } } }
      plan:sethostname("moon"):init()
      local result, err = plan:call(function() return held ~= nil end):run()
      assert(result, tostring(err))
      assert(result.values[1] == true, result.lost)
      return plan:steps()
    ]]
    local started = follow(steps, processes, "close")
    assert.is_nil(started:find "CLONE_VM")
    assert.truthy(started:find "CLONE_CHILD_SETTID", started)
  end))

  it("that the parent writes each map with one write", traced("user_namespaces", function()
    local steps, processes = trace [[
      local plan = cella.plan { namespaces = { "user" }, ids = { via = "parent", setgroups = "deny",
        uid = { inside = 0, outside = select(2, sys.getresuid()), count = 1 },
        gid = { inside = 0, outside = select(2, sys.getresgid()), count = 1 } } }
      plan:setresuid(0, 0, 0):exec { "true" }
      assert(plan:run())
      return plan:steps()
    ]]
    local _, child = follow(steps, processes)
    local seen = {}
    for pid, calls in pairs(processes) do
      for i, call in ipairs(calls) do
        local name = call.line:match 'openat%(.*"([%w_/]+)", O_WRONLY'
        if (name == "uid_map" or name == "gid_map" or name == "setgroups") and pid ~= child then
          local writes = 0
          for j = i + 1, #calls do
            if calls[j].name == "write" then writes = writes + 1 end
            if calls[j].name == "close" then break end
          end
          seen[#seen + 1] = name .. " " .. writes
        end
      end
    end
    assert.equal("setgroups 1, uid_map 1, gid_map 1", table.concat(seen, ", "))
  end))
end)
