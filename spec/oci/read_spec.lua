-- A config.json becomes a container's table, or is refused by the name of a field.
local bundles = require "spec.support.bundle"
local cella = require "cella"
local fields = require "cella.oci.read.fields"
local json = require "cella.oci.json"
local oci = require "cella.oci"
local trial = require "spec.support.trial"

describe("a bundle", function()
  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  local function read(change)
    bundles.write(directory, { "sh" }, function(config)
      config.linux.uidMappings, config.linux.gidMappings = nil, nil
      for i, one in ipairs(config.linux.namespaces) do
        if one.type == "user" then table.remove(config.linux.namespaces, i) end
      end
      if change then change(config) end
    end)
    return oci.read(directory)
  end

  local function refused(change)
    local bundle, err = read(change)
    assert.is_nil(bundle)
    return tostring(err)
  end

  it("is a container's table, and what belongs to its command", function()
    local bundle = assert(read(function(config)
      config.domainname = "example"
      config.process.user = { uid = 1, gid = 2, additionalGids = { 3 }, umask = 63 }
      config.process.oomScoreAdj, config.process.cwd = 5, "/some/where"
      config.process.scheduler = { policy = "SCHED_OTHER", nice = 7 }
      config.linux.personality = { domain = "LINUX" }
      config.process.rlimits[2] = { type = "RLIMIT_CORE", soft = 0, hard = json.integer "18446744073709551615" }
      config.process.capabilities = { bounding = { "CAP_KILL", "CAP_CHOWN" }, permitted = { "CAP_KILL" },
        effective = { "CAP_KILL" }, ambient = { "CAP_KILL" } }
      config.linux.sysctl = { ["net.ipv4.ip_forward"] = "1" }
      config.linux.namespaces[3] = { type = "ipc", path = "/proc/1/ns/ipc" }
      config.annotations = { a = "b" }
    end))
    local keys = bundle.container
    assert.equal("cella", keys.hostname)
    assert.equal("example", keys.domainname)
    assert.same({ uid = 1, gid = 2, groups = { 3 } }, keys.user)
    assert.equal("077", keys.umask)
    assert.equal(5, keys.oom_score_adj)
    assert.equal(7, keys.nice)
    assert.same({ nofile = { soft = 1024, hard = 1024 }, core = { soft = 0, hard = "unlimited" } }, keys.rlimits)
    assert.same({ bounding = { "kill", "chown" }, permitted = { "kill" }, effective = { "kill" },
      inheritable = { "kill" }, ambient = { "kill" } }, keys.capabilities)
    assert.equal("/proc/1/ns/ipc", keys.namespaces.ipc)
    assert.equal("host", keys.namespaces.user)
    assert.is_true(keys.no_new_privs)
    assert.is_true(keys.root.readonly)
    assert.equal("sh", bundle.command[1])
    assert.equal("xterm", bundle.command.environment.TERM)
    assert.is_false(bundle.command.environment.HOME)
    assert.equal("b", bundle.annotations.a)
    assert.truthy(cella.container(keys))
  end)

  it("has the host's devices that it names, and those of each container", function()
    local found
    for name in trial.sh("find /dev -maxdepth 1 -type c"):gmatch "/dev/(%S+)" do
      if name == "fuse" or name == "kmsg" or name == "rtc0" or name == "hpet" then found = name end
    end
    if not found then return pending("needs a device beside those of each container") end
    local major, minor = trial.sh("stat -c '%Hr %Lr' /dev/" .. found):match "(%d+) (%d+)"
    local function with(config)
      config.linux.devices = { { path = "/dev/here", type = "c", major = tonumber(major), minor = tonumber(minor) },
        { path = "/dev/null", type = "c", major = 1, minor = 3, fileMode = 438 } }
    end
    if trial.sh(("readlink /dev/char/%s:%s || true"):format(major, minor)) == "" then
      assert.matches("neither at this path nor in /dev/char", refused(with), 1, true) -- without udev
    end
    local function at_its_path(config)
      with(config)
      config.linux.devices[1].path = "/dev/" .. found
      config.linux.resources = { devices = { { allow = false, access = "rwm" },
        { allow = true, type = "c", major = tonumber(major), minor = tonumber(minor), access = "rwm" } } }
    end
    local keys = assert(read(at_its_path)).container
    assert.same({ { path = "/dev/" .. found, destination = "/dev/" .. found } }, keys.devices)
    assert.matches("linux.resources.devices[1]: not supported", refused(function(config)
      at_its_path(config)
      config.linux.devices = nil
    end), 1, true)
    assert.matches("linux.devices[0].uid: not supported: the device is the host's", refused(function(config)
      at_its_path(config)
      config.linux.devices[1].uid = 4242
    end), 1, true)
  end)

  it("is refused where a device that is there could do more than the rules allow", function()
    local block
    for name in trial.sh("find /dev -maxdepth 1 -type b"):gmatch "/dev/(%S+)" do block = block or name end
    if not block then return pending("needs a block device") end
    local node = "/dev/" .. block
    local major, minor = trial.sh("stat -c '%Hr %Lr' " .. node):match "(%d+) (%d+)"
    major, minor = tonumber(major), tonumber(minor)
    local deny = { allow = false, access = "rwm" }
    local function allow(access, of) return { allow = true, type = "b", major = major, minor = of, access = access } end
    local function named(config)
      config.linux.devices = { { path = node, type = "b", major = major, minor = minor } }
    end
    local function bound(config)
      table.insert(config.mounts, { destination = "/dev/x", type = "bind", source = node, options = { "bind", "rw" } })
    end
    trial.sh(("ln -s %s %s/ldev"):format(node, directory))
    local function linked(config)
      table.insert(config.mounts, { destination = "/dev/x", type = "bind", source = "ldev", options = { "bind" } })
    end
    for _, way in ipairs { { named, "linux.devices[0]: " }, { bound, "mounts[3]: " }, { linked, "mounts[3]: " } } do
      local function with(...)
        local rules = { ... }
        return function(config)
          while config.mounts[4] do table.remove(config.mounts) end
          way[1](config)
          config.linux.resources = { devices = rules }
        end
      end
      assert(read(with(deny, allow("rwm", minor))))
      assert(read(with(deny, allow("r", minor), allow("w", minor))))
      assert(read(with(allow("rw", minor))))
      for _, change in ipairs { with(deny), with(deny, allow("r", minor)), with(deny, allow("m", minor)),
        with(allow("rwm", minor), deny), with(deny, allow("m")), with(allow("m")) } do
        assert.matches(way[2] .. "not supported: ", refused(change), 1, true)
        assert.matches("linux.resources.devices does not allow both", refused(change), 1, true)
      end
    end
    -- What no rule is about is denied, and other ways to devices are refused with that.
    for _, one in ipairs { deny, allow("rwm", minor) } do
      for _, words in ipairs { "with the option dev of /x", "with CAP_SYS_ADMIN over the host" } do
        assert.matches("linux.resources.devices[0]: not supported together " .. words, refused(function(config)
          named(config)
          config.linux.resources = { devices = { one, allow("rwm", minor) } }
          if words:find "dev of" then
            table.insert(config.mounts, { destination = "/x", type = "tmpfs", options = { "dev" } })
          else
            table.insert(config.process.capabilities.bounding, "CAP_SYS_ADMIN")
          end
        end), 1, true)
      end
    end
    -- What each container has is allowed, as other runtimes have it, wherever it is bound.
    assert(read(function(config)
      table.insert(config.mounts, { destination = "/x", type = "bind", source = "/dev/zero", options = { "bind" } })
      config.linux.resources = { devices = { deny } }
    end))
    -- What is said of the mount of a device is held, or refused.
    for _, option in ipairs { "rshared", "shared", "unbindable", "suid", "exec", "noatime", "idmap" } do
      assert.matches(("the option %q of a device is not supported"):format(option), refused(function(config)
        bound(config)
        local map = { { containerID = 0, hostID = 5, size = 1 } }
        local mount = config.mounts[#config.mounts]
        mount.options[3] = option
        if option == "idmap" then mount.uidMappings, mount.gidMappings = map, map end
      end), 1, true)
    end
    assert.matches(".uidMappings: not supported of a device", refused(function(config)
      bound(config)
      local map = { { containerID = 0, hostID = 5, size = 1 } }
      config.mounts[#config.mounts].uidMappings, config.mounts[#config.mounts].gidMappings = map, map
    end), 1, true)
  end)

  it("is refused by the name of each field that is not supported", function()
    local count = 0
    for _, row in ipairs(fields.rows) do
      if row[3] == false then
        count = count + 1
        local said = refused(function(config)
          local at, parts = config, {}
          for part in row[1]:gmatch "[^.]+" do parts[#parts + 1] = part end
          for i = 1, #parts - 1 do
            at[parts[i]] = at[parts[i]] or {}
            at = at[parts[i]]
          end
          local values = { string = "x", integer = 1, boolean = true, any = { x = 1 }, strings = { "x" } }
          at[parts[#parts]] = values[row[2]]
        end)
        assert.matches(row[1] .. ": not supported", said, 1, true)
      end
    end
    assert.is_true(count > 20)
  end)

  it("is refused where a value is not of its type, out of range, or there twice", function()
    for message, change in pairs {
      ["rooot: not supported: cella knows no such field; did you mean 'root'?"] = function(c) c.rooot = {} end,
      ["process.args: the list is empty"] = function(c) c.process.args = json.array {} end,
      ["process.args[0]: a string expected, got 1"] = function(c) c.process.args = { 1 } end,
      ["process.user.uid: an integer from 0 to 4294967294 expected, got 4294967295"] = function(c)
        c.process.user.uid = 4294967295
      end,
      ["process.user.uid: an integer from 0 to 4294967294 expected, got 18446744073709551616"] = function(c)
        c.process.user.uid = json.integer "18446744073709551616"
      end,
      ["process.user.gid: an integer from 0 to 4294967294 expected, got -1"] = function(c)
        c.process.user.gid = -1
      end,
      ["process.user.uid: an integer expected, got the string \"0\""] = function(c) c.process.user.uid = "0" end,
      ["process.cwd: an absolute path expected"] = function(c) c.process.cwd = "tmp" end,
      ["process.env[2]: PATH is there twice"] = function(c) c.process.env[3] = "PATH=/x" end,
      ["process.env[0]: NAME=VALUE expected"] = function(c) c.process.env = { "x" } end,
      ["process.rlimits[1].type: RLIMIT_NOFILE is there twice"] = function(c)
        c.process.rlimits[2] = c.process.rlimits[1]
      end,
      ["linux.namespaces[1].type: pid is there twice"] = function(c) c.linux.namespaces[2] = { type = "pid" } end,
      ["not supported without a new mount namespace"] = function(c)
        c.linux.namespaces = { { type = "pid" } }
      end,
      ["linux.uidMappings: needs a user namespace"] = function(c)
        c.linux.uidMappings = { { containerID = 0, hostID = 0, size = 1 } }
      end,
      ["mounts[0].destination: an absolute path expected"] = function(c) c.mounts[1].destination = "proc" end,
      ["mounts[0].destination: '..' in"] = function(c) c.mounts[1].destination = "/a/../proc" end,
      ["mounts[1].destination: what is at / is said by root.path"] = function(c) c.mounts[2].destination = "//" end,
      ["process.cwd: '..' in"] = function(c) c.process.cwd = "/a/../b" end,
      ["linux.maskedPaths[1]: '..' in"] = function(c) c.linux.maskedPaths = { "/x", "/a/../b" } end,
      ["linux.maskedPaths[0]: an absolute path"] = function(c) c.linux.maskedPaths = { "x" } end,
      ["linux.readonlyPaths[0]: the root cannot be covered"] = function(c) c.linux.readonlyPaths = { "/" } end,
      ["ociVersion: \"1.0.2\\"] = function(c) c.ociVersion = "1.0.2\n" end,
      ["the option \"exotic\" of a tmpfs is not supported"] = function(c)
        c.mounts[4] = { destination = "/x", type = "tmpfs", options = { "exotic" } }
      end,
      ["linux.resources: memory.max needs a cgroup, and cgroupsPath is missing"] = function(c)
        c.linux.resources = { memory = { limit = 1048576 } }
      end,
      ["root.path: longer than 4095 bytes"] = function(c) c.root.path = "/" .. ("x"):rep(4095) end,
      ["linux.resources.cpu.quota: an integer from 1000 to"] = function(c)
        c.linux.resources = { cpu = { quota = json.integer "18446744073709551615" } }
      end,
      ["linux.cgroupsPath: no path of a cgroup"] = function(c) c.linux.cgroupsPath = "/a/../../b" end,
      ["linux.resources.devices[0]: not supported"] = function(c)
        c.linux.resources = { devices = { { allow = true, type = "b", major = 8, minor = 0, access = "rwm" } } }
      end,
      ["linux.devices[0]: not supported: no node is made"] = function(c)
        c.linux.devices = { { path = "/dev/none", type = "c", major = 4000, minor = 1 } }
      end,
      ["linux.devices[0].fileMode: not supported: the device is the host's, where this is 666"] = function(c)
        c.linux.devices = { { path = "/dev/null", type = "c", major = 1, minor = 3, fileMode = 384 } }
      end,
      ["linux.devices[0].type: \"p\" is not supported"] = function(c)
        c.linux.devices = { { path = "/dev/x", type = "p" } }
      end,
      ["process.scheduler.policy: \"SCHED_FIFO\" is not supported"] = function(c)
        c.process.scheduler = { policy = "SCHED_FIFO" }
      end,
      ["linux.personality.domain: \"LINUX32\" is not supported"] = function(c)
        c.linux.personality = { domain = "LINUX32" }
      end,
      ["the option \"rrw\" of a bind is not supported"] = function(c)
        c.mounts[4] = { destination = "/x", type = "bind", source = "/tmp", options = { "rbind", "rrw" } }
      end,
      ["rbind and uidMappings without \"ridmap\" are not supported"] = function(c)
        local map = { { containerID = 0, hostID = 5, size = 1 } }
        c.mounts[4] = { destination = "/x", type = "bind", source = "/tmp", options = { "rbind", "idmap" },
          uidMappings = map, gidMappings = map }
      end,
      ["ociVersion: \"2.0.0\" is not supported"] = function(c) c.ociVersion = "2.0.0" end,
      ["root: missing"] = function(c) c.root = nil end,
      ["hooks.poststop[0].path: an absolute path expected"] = function(c)
        c.hooks = { poststop = { { path = "x" } } }
      end,
      ["mounts: more than 1024"] = function(c)
        for i = 1, 1025 do c.mounts[i] = { destination = "/" .. i, type = "tmpfs" } end
      end,
      ["linux.uidMappings: 341 extents; the kernel allows 340"] = function(c)
        table.insert(c.linux.namespaces, { type = "user" })
        c.linux.uidMappings = {}
        for i = 1, 341 do c.linux.uidMappings[i] = { containerID = i, hostID = 100000 + 2 * i, size = 1 } end
        c.linux.gidMappings = c.linux.uidMappings
      end,
      ["process.rlimits[0].hard: not supported: 1152921504606846976 is more than 2^53"] = function(c)
        c.process.rlimits[1] = { type = "RLIMIT_CORE", soft = 0, hard = json.integer "1152921504606846976" }
      end,
      ["linux.timeOffsets.boottime.nanosecs: not supported"] = function(c)
        table.insert(c.linux.namespaces, { type = "time" })
        c.linux.timeOffsets = { monotonic = { secs = -4000000, nanosecs = 123456789 },
          boottime = { secs = 4000000000, nanosecs = 1 } }
      end,
      ["linux.devices: more than 1024"] = function(c)
        c.linux.devices = {}
        for i = 1, 1025 do c.linux.devices[i] = { path = "/dev/null", type = "c", major = 1, minor = 3 } end
      end,
      ["linux.resources.devices: more than 1024"] = function(c)
        c.linux.resources = { devices = {} }
        for i = 1, 1025 do c.linux.resources.devices[i] = { allow = false, access = "rwm" } end
      end,
      ["linux.seccomp.syscalls[512].args: more than 1024 comparisons in all"] = function(c)
        c.linux.seccomp = { defaultAction = "SCMP_ACT_ERRNO", syscalls = {} }
        for i = 1, 600 do
          c.linux.seccomp.syscalls[i] = { names = { "personality", "clone" }, action = "SCMP_ACT_ALLOW",
            args = { { index = 0, value = i, op = "SCMP_CMP_EQ" } } }
        end
      end,
      ["hooks.poststop[0].env[1]: NAME=VALUE expected"] = function(c)
        c.hooks = { poststop = { { path = "/x", env = { "A=b", "C" } } } }
      end,
      ["hooks.prestart[0].env[1]: A is there twice"] = function(c)
        c.hooks = { prestart = { { path = "/x", env = { "A=b", "A=c" } } } }
      end,
      ["CAP_NOTHING"] = function(c) c.process.capabilities.bounding[1] = "CAP_NOTHING" end,
    } do
      local said = refused(change)
      assert.matches(message == "CAP_NOTHING" and "nothing" or message, said, 1, true)
    end
  end)

  it("has file systems that become read-only when all is mounted in them", function()
    local keys = assert(read(function(config)
      for _, destination in ipairs { "/a", "/ab/c", "/d", "/d/e//f/", "/d", "/d/x", "/e/x", "/e" } do
        table.insert(config.mounts, { destination = destination, type = "tmpfs", options = { "ro" } })
      end
    end)).container
    local seen = {}
    for _, mount in ipairs(keys.mounts) do
      if mount.type ~= "dev" and mount.destination:find "^/[ade]" then
        seen[#seen + 1] = mount.destination .. (mount.type == "remount" and " later" or mount.readonly and " ro" or "")
      end
    end
    assert.equal("/a ro, /ab/c ro, /d, /d/e//f/ ro, /d, /d/x ro, /e/x ro, /e ro, /d later, /d later",
      table.concat(seen, ", "):match "/a ro.*")
  end)

  it("has a cgroup by its path, which is not the root of all", function()
    local function with(path) return function(config) config.linux.cgroupsPath = path end end
    assert.equal("/a/bc", assert(read(with "/a/bc")).cgroup.path)
    for _, path in ipairs { "/", "//", ".", "..", "/a/..", "/a/./b" } do
      assert.matches("linux.cgroupsPath: no path of a cgroup", refused(with(path)), 1, true)
    end
  end)

  it("is read with a bound, and from a regular file", function()
    trial.sh(("mkdir -p %s/bundle; mkfifo %s/bundle/config.json"):format(directory, directory))
    local _, err = oci.read(directory .. "/bundle")
    assert.matches("a regular file expected", tostring(err), 1, true)
    os.remove(directory .. "/bundle/config.json")
    trial.write(directory .. "/bundle/config.json", '{"a":"' .. ("x"):rep(4194304) .. '"}')
    _, err = oci.read(directory .. "/bundle")
    assert.matches("longer than 4194304 bytes", tostring(err), 1, true)
    _, err = oci.read(directory .. "/nothing")
    assert.equal("ENOENT", err.code)
  end)
end)

describe("a filter of a bundle", function()
  local seccomp = require "cella.oci.read.seccomp"
  local core = require "cella.core"
  local MACHINES = { x86_64 = "SCMP_ARCH_X86_64", aarch64 = "SCMP_ARCH_AARCH64", riscv64 = "SCMP_ARCH_RISCV64" }
  local OWN = MACHINES[core.machine]

  local function policy(change)
    local described = { defaultAction = "SCMP_ACT_ERRNO", defaultErrnoRet = 38, architectures = { OWN }, syscalls = {
      { names = { "read", "execve", "not_a_call" }, action = "SCMP_ACT_ALLOW" },
      { names = { "personality" }, action = "SCMP_ACT_ALLOW",
        args = { { index = 0, value = 8, op = "SCMP_CMP_EQ" } } },
      { names = { "clone" }, action = "SCMP_ACT_ALLOW",
        args = { { index = 0, value = 2114060288, valueTwo = 0, op = "SCMP_CMP_MASKED_EQ" } } },
      { names = { "setns" }, action = "SCMP_ACT_ALLOW" },
      { names = { "setns" }, action = "SCMP_ACT_ERRNO", errnoRet = 1 },
      { names = { "ioperm" }, action = "SCMP_ACT_KILL" },
    } }
    if change then change(described) end
    return seccomp.policy(described)
  end

  it("answers as it says", function()
    local one = policy()
    assert.equal("allow", one:answer "read")
    assert.equal("ENOSYS", one:answer "write")
    assert.equal("allow", one:answer("personality", 8))
    assert.equal("ENOSYS", one:answer("personality", 9))
    assert.equal("allow", one:answer("clone", 17))
    assert.equal("ENOSYS", one:answer("clone", "0x10000000"))
    assert.equal("EPERM", one:answer "setns") -- of two the strictest
    assert.equal("kill", one:answer "ioperm")
    assert.is_false(seccomp.policy(nil))
  end)

  it("is refused where it would not", function()
    for message, change in pairs {
      ["the action SCMP_ACT_NOTIFY is not supported"] = function(d) d.syscalls[1].action = "SCMP_ACT_NOTIFY" end,
      ["which this machine is, is not among them"] = function(d) d.architectures = { "SCMP_ARCH_S390X" } end,
      ["SECCOMP_FILTER_FLAG_LOG is not supported"] = function(d) d.flags = { "SECCOMP_FILTER_FLAG_LOG" } end,
      ["no such comparison"] = function(d) d.syscalls[2].args[1].op = "SCMP_CMP_X" end,
      ["is to be refused, and cella knows no such call"] = function(d)
        d.defaultAction, d.defaultErrnoRet = "SCMP_ACT_ALLOW", nil
        d.syscalls = { { names = { "not_a_call" }, action = "SCMP_ACT_ERRNO" } }
      end,
      ["defaultAction: missing"] = function(d) d.defaultAction = nil end,
    } do
      local ok, err = pcall(policy, change)
      assert.is_false(ok)
      assert.matches(message, err.refused, 1, true)
    end
  end)
end)
