-- Shapes of config.json as engines write them: each is a container's table, shown as Lua, exported, and read again as
-- the same; or it is refused by the name of the field. `make test-oci` does that with those of the engines themselves.

local core = require "cella.core"
local features = require "cella.oci.features"
local json = require "cella.oci.json"
local round_trip = require "spec.support.round_trip"
local trial = require "spec.support.trial"

local MACHINES = { x86_64 = "SCMP_ARCH_X86_64", aarch64 = "SCMP_ARCH_AARCH64", riscv64 = "SCMP_ARCH_RISCV64" }
local CAPABILITIES = { "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE",
  "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT" }

local function sets(names)
  return { bounding = names, effective = names, permitted = names }
end

local function profile()
  return { defaultAction = "SCMP_ACT_ERRNO", defaultErrnoRet = 38, architectures = { MACHINES[core.machine] },
    syscalls = {
      { names = { "capget", "capset", "chdir", "clock_gettime", "close", "close_range", "dup3", "execve",
        "execveat", "exit_group", "faccessat", "fcntl", "fstatfs", "getcwd", "getgroups", "getpriority",
        "getresgid", "getresuid", "getrusage", "ioctl", "kill", "madvise", "munmap", "newfstatat", "openat",
        "openat2", "pidfd_open", "pipe2", "ppoll", "prctl", "prlimit64", "read", "recvmsg", "rt_sigaction",
        "rt_sigprocmask", "rt_sigtimedwait", "sched_getaffinity", "sendmsg", "sendto", "setfsgid", "setfsuid",
        "setsid", "signalfd4", "wait4", "write" },
        action = "SCMP_ACT_ALLOW" },
      { names = { "personality" }, action = "SCMP_ACT_ALLOW",
        args = { { index = 0, value = 8, op = "SCMP_CMP_EQ" } } },
      { names = { "personality" }, action = "SCMP_ACT_ALLOW",
        args = { { index = 0, value = 4294967295, op = "SCMP_CMP_EQ" } } },
      { names = { "clone" }, action = "SCMP_ACT_ALLOW",
        args = { { index = 0, value = 2114060288, valueTwo = 0, op = "SCMP_CMP_MASKED_EQ" } } },
      { names = { "bpf", "setns" }, action = "SCMP_ACT_ERRNO", errnoRet = 1 } } }
end

local function rules()
  local list = { { allow = false, access = "rwm" } }
  for _, number in ipairs { "1:3", "1:8", "1:7", "5:0", "1:5", "1:9", "5:1", "5:2", "136:*" } do
    local major, minor = number:match "(.*):(.*)"
    list[#list + 1] = { allow = true, type = "c", major = tonumber(major), minor = tonumber(minor), access = "rwm" }
  end
  return list
end

local function bind(destination, source, ...)
  return { destination = destination, type = "bind", source = source, options = { ... } }
end

-- By the names of those that write them.
local BASES = {
  ["runc spec"] = function() return features.config(false) end,
  ["runc spec --rootless"] = function()
    local config = features.config(true)
    for _, maps in ipairs { config.linux.uidMappings, config.linux.gidMappings } do
      maps[2] = { containerID = 1, hostID = 100000, size = 65535 }
    end
    return config
  end,
}

BASES["podman"] = function(directory)
  local config = features.config(false)
  config.process.terminal, config.process.capabilities = false, sets(CAPABILITIES)
  config.process.env = { "PATH=/bin", "TERM=xterm", "container=podman", "HOME=/root", "HOSTNAME=0123abcd" }
  config.process.noNewPrivileges, config.process.user.additionalGids = nil, { 0 }
  config.process.user.umask, config.process.oomScoreAdj = 18, 0
  config.process.rlimits = { { type = "RLIMIT_NOFILE", hard = 1048576, soft = 1048576 },
    { type = "RLIMIT_NPROC", hard = 4194304, soft = 4194304 } }
  config.root.readonly, config.hostname = false, "0123abcd"
  table.remove(config.mounts, 4)
  table.insert(config.mounts, bind("/etc/hosts", directory .. "/file", "bind", "rprivate"))
  table.insert(config.mounts, bind("/dev/shm", directory .. "/data", "bind", "rprivate", "nosuid", "noexec", "nodev"))
  table.insert(config.mounts, bind("/run/.containerenv", directory .. "/file", "bind", "rprivate"))
  config.annotations = { ["io.container.manager"] = "libpod", ["org.opencontainers.image.stopSignal"] = "15" }
  config.linux.sysctl = { ["net.ipv4.ping_group_range"] = "0 0" }
  config.linux.cgroupsPath = "/libpod_parent/libpod-0123abcd"
  config.linux.resources = { pids = { limit = 2048 } }
  config.linux.seccomp = profile()
  return config
end

-- Who is not root may have other IDs.
if not trial.lacks_root() then
  BASES["podman, a user namespace"] = function(directory)
    local config = BASES["podman"](directory)
    table.insert(config.linux.namespaces, { type = "user" })
    config.linux.uidMappings = { { containerID = 0, hostID = 100000, size = 1000 },
      { containerID = 1000, hostID = 200000, size = 10 } }
    config.linux.gidMappings = config.linux.uidMappings
    config.linux.sysctl = nil
    return config
  end
end

BASES["buildah"] = function(directory)
  local config = features.config(false)
  config.process.terminal, config.process.capabilities = false, sets(CAPABILITIES)
  config.process.args = { "/bin/sh", "-c", "make -j2" }
  config.process.env = { "PATH=/bin", "HOME=/root", "container=oci" }
  config.process.cwd, config.root.readonly, config.linux.rootfsPropagation = "/src", false, "private"
  table.insert(config.mounts, bind("/src", directory .. "/data", "rbind", "rprivate"))
  table.insert(config.mounts, bind("/etc/resolv.conf", directory .. "/file", "bind", "ro"))
  config.linux.namespaces = { { type = "pid" }, { type = "ipc" }, { type = "uts" }, { type = "mount" } }
  config.mounts[6] = bind("/sys", "/sys", "rbind", "nosuid", "noexec", "nodev", "ro")
  return config
end

BASES["containerd"] = function()
  local config = features.config(false)
  config.process.terminal, config.process.capabilities = false, sets(CAPABILITIES)
  config.process.env = { "PATH=/usr/bin:/bin", "HOME=/" }
  table.insert(config.mounts, { destination = "/run", type = "tmpfs", source = "tmpfs",
    options = { "nosuid", "strictatime", "mode=755", "size=65536k" } })
  config.linux.cgroupsPath, config.linux.resources = "/default/one", { devices = rules() }
  config.linux.namespaces = { { type = "pid" }, { type = "ipc" }, { type = "uts" }, { type = "mount" },
    { type = "network" } }
  return config
end

BASES["kubernetes"] = function(directory)
  local config = BASES["containerd"](directory)
  config.process.oomScoreAdj, config.process.user = 985, { uid = 65532, gid = 65532, additionalGids = { 65532 } }
  config.process.noNewPrivileges, config.linux.seccomp = true, profile()
  config.hostname = nil
  for _, one in ipairs(config.linux.namespaces) do
    local link = one.type == "network" and "net" or one.type
    if link == "net" or link == "ipc" or link == "uts" then one.path = "/proc/self/ns/" .. link end
  end
  table.insert(config.linux.namespaces, { type = "cgroup" })
  table.insert(config.mounts, { destination = "/sys/fs/cgroup", type = "cgroup", source = "cgroup",
    options = { "nosuid", "noexec", "nodev", "relatime", "ro" } })
  table.insert(config.mounts, bind("/etc/hosts", directory .. "/file", "rbind", "rprivate", "rw"))
  table.insert(config.mounts, bind("/dev/termination-log", directory .. "/file", "rbind", "rprivate", "rw"))
  table.insert(config.mounts, bind("/var/run/secrets", directory .. "/data", "rbind", "rprivate", "ro"))
  config.linux.resources = { devices = rules(), cpu = { shares = 102, quota = 50000, period = 100000 },
    memory = { limit = 134217728, swap = 134217728 }, unified = { ["memory.oom.group"] = "1" } }
  config.annotations = { ["io.kubernetes.cri.container-type"] = "container" }
  return config
end

-- With and without each field: what is changed, and what refuses it, if anything does.
local VARIATIONS = {
  { "as it is", function() end },
  { "with a terminal", function(c) c.process.terminal, c.process.consoleSize = true, { height = 30, width = 90 } end },
  { "without HOME, PATH and TERM", function(c) c.process.env = nil end },
  { "of another user", function(c)
    c.process.user = { uid = 7, gid = 8, additionalGids = { 9 }, umask = 63 }
  end },
  { "without capabilities", function(c) c.process.capabilities = nil end },
  { "with ambient capabilities", function(c) c.process.capabilities.ambient = { "CAP_KILL" } end },
  { "with noNewPrivileges", function(c) c.process.noNewPrivileges = true end },
  { "without limits", function(c) c.process.rlimits = nil end },
  { "with limits of 64 bits", function(c)
    c.process.rlimits = { { type = "RLIMIT_CORE", soft = 0, hard = json.integer "18446744073709551615" } }
  end },
  { "with a working directory", function(c) c.process.cwd = "/not/there/yet" end },
  { "with oomScoreAdj and scheduler", function(c)
    c.process.oomScoreAdj, c.process.scheduler = 100, { policy = "SCHED_OTHER", nice = 5 }
  end },
  { "writable", function(c) c.root.readonly = false end },
  { "without a name", function(c) c.hostname = nil end },
  { "without masks", function(c) c.linux.maskedPaths, c.linux.readonlyPaths = nil, nil end },
  { "with a shared root", function(c) c.linux.rootfsPropagation = "shared" end },
  { "with a filter", function(c) c.linux.seccomp = profile() end },
  { "without a filter", function(c) c.linux.seccomp = nil end },
  { "with volumes", function(c, directory)
    table.insert(c.mounts, bind("/one", directory .. "/data", "rbind", "rslave", "nosuid"))
    table.insert(c.mounts, bind("/two", "data", "rbind", "rro", "noexec"))
    table.insert(c.mounts, { destination = "/three", type = "tmpfs", source = "tmpfs",
      options = { "rprivate", "noatime", "size=10%", "nr_inodes=100", "mode=1777", "uid=7", "gid=8" } })
  end },
  { "with other file systems", function(c)
    table.insert(c.mounts, { destination = "/four", type = "ramfs", source = "here", options = { "mode=700" } })
    table.insert(c.mounts, { destination = "/five", type = "proc", source = "proc",
      options = { "nosuid", "hidepid=2", "subset=pid" } })
  end },
  { "with hooks and annotations", function(c)
    c.hooks = { poststop = { { path = "/bin/true", args = { "true" }, env = { "A=b" }, timeout = 5 } } }
    c.annotations = { a = "b" }
  end },
  { "with device rules", function(c) c.linux.resources = { devices = rules() } end },
  { "with notify", function(c) c.linux.seccomp = { defaultAction = "SCMP_ACT_NOTIFY" } end,
    "the action SCMP_ACT_NOTIFY is not supported" },
  { "with a listener", function(c)
    c.linux.seccomp = profile()
    c.linux.seccomp.listenerPath = "/run/x"
  end, "linux.seccomp.listenerPath: not supported" },
  { "with a label", function(c) c.process.selinuxLabel = "a:b:c" end, "process.selinuxLabel: not supported" },
  { "with intelRdt", function(c) c.linux.intelRdt = { closID = "x" } end, "linux.intelRdt: not supported" },
  { "with a device that is none", function(c)
    c.linux.devices = { { path = "/dev/none", type = "c", major = 4000, minor = 1 } }
  end, "linux.devices[0]: not supported" },
  { "with a BPF's rule", function(c)
    c.linux.resources = { devices = { { allow = true, type = "b", major = 8, minor = 0, access = "r" } } }
  end, "linux.resources.devices[0]: not supported" },
}

describe("a config.json comes back, or is refused by name", function()
  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  before_each(function()
    trial.sh(("cd %s && mkdir -p own/rootfs own/data other data && echo x >file"):format(directory))
  end)

  local function try(base, change)
    local config = BASES[base](directory)
    change(config, directory)
    trial.write(directory .. "/own/config.json", assert(json.encode(config)))
    return round_trip.try(directory .. "/own", directory .. "/other")
  end

  local count = 0
  for base in pairs(BASES) do
    it(base .. ", with and without each field #slow", function()
      for _, variation in ipairs(VARIATIONS) do
        count = count + 1
        local result = try(base, variation[2])
        local name = ("%s, %s: %s"):format(base, variation[1], result)
        if variation[3] then
          assert.matches(variation[3], result, 1, true)
        else
          assert.equal("equal", result, name)
        end
      end
    end)
  end

  it("of each engine, as it is", function()
    for base in pairs(BASES) do assert.equal("equal", try(base, function() end), base) end
    assert.is_true(count == 0 or count > 100)
  end)
end)
