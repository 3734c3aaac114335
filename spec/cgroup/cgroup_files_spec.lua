-- cella.cgroup without a kernel: what the key may say, which texts it becomes, what the files say, and where a process
-- may have cgroups, on hosts made of a few texts.

local cella = require "cella"
local description = require "cella.cgroup.description"
local place = require "cella.cgroup.place"
local usage = require "cella.cgroup.usage"

local function refused(cgroup)
  local ok, message = pcall(cella.container, { cgroup = cgroup })
  assert.is_false(ok, "it was not refused")
  return (tostring(message):gsub("^[^\n]-%.lua:%d+: ", ""))
end

local function texts(cgroup)
  local list = {}
  for _, setting in ipairs(description.settings(description.rule(cgroup, "cgroup"))) do
    list[#list + 1] = setting.file .. "=" .. setting.text
  end
  return table.concat(list, ";")
end

describe("the key `cgroup`", function()
  it("becomes the texts of the kernel's files", function()
    assert.equal("", texts {})
    assert.equal("memory.max=67108864;memory.oom.group=1", texts { memory = "64M" })
    assert.equal("memory.max=4096;memory.oom.group=1", texts { memory = 4096 })
    assert.equal("memory.max=max", texts { memory = "unlimited" })
    assert.equal("memory.high=1024000", texts { memory_high = "1000K" })
    assert.equal("memory.swap.max=0", texts { swap = 0 })
    assert.equal("memory.swap.max=1073741824", texts { swap = "1G" })
    assert.equal("memory.max=1099511627776;memory.oom.group=1", texts { memory = "1T" })
    assert.equal("memory.high=65536", texts { memory_high = "64k" })
    assert.equal("pids.max=32", texts { pids = 32 })
    assert.equal("pids.max=max", texts { pids = "unlimited" })
    assert.equal("cpu.max=150000 100000", texts { cpu = 1.5 })
    assert.equal("cpu.max=1000 100000", texts { cpu = 0.01 })
    assert.equal("cpu.max=5000 10000", texts { cpu = { quota = 0.005, period = 0.01 } })
    assert.equal("cpu.max=max 100000", texts { cpu = "unlimited" })
    assert.equal("cpu.weight=10000", texts { cpu_weight = 10000 })
    assert.equal("cpuset.mems=0;cpuset.cpus=0-2,5", texts { cpuset = "0-2,5", cpuset_mems = "0" })
    assert.equal("io.max=8:0 rbps=1048576 wiops=max",
      texts { io = { { device = "8:0", rbps = 1048576, wiops = "unlimited" } } })
    assert.equal("io.max=%s wbps=1", texts { io = { { device = "/dev/vda", wbps = 1 } } })
  end)

  it("has other files of controllers as they are said, and after the keys", function()
    assert.equal("pids.max=7;io.weight=default 50;memory.low=1M", texts { pids = 7,
      unified = { ["memory.low"] = "1M", ["io.weight"] = "default 50" } })
    assert.equal("io.latency=8:0 target=5;io.latency=8:16 target=6;pids.max=9", texts { unified = {
      ["io.latency"] = "8:0 target=5\n8:16 target=6\n", ["pids.max"] = 9 } })
    -- Who says so says it instead of what a key brings along.
    assert.equal("memory.max=4096;memory.oom.group=0", texts { memory = 4096,
      unified = { ["memory.oom.group"] = "0" } })
    local settings = description.settings(description.rule({ unified = { ["rdma.max"] = "x", ["hugetlb.2MB.max"] = 0,
      ["misc.max"] = "x" } }, "cgroup"))
    assert.equal("hugetlb rdma misc", table.concat(description.controllers(settings), " "))
  end)

  it("has other files read back, as the kernel writes them", function()
    local function holds(file, text, found)
      return description.holds({ file = file, text = text, unified = true }, found)
    end
    for _, case in ipairs {
      { "memory.low", "1M", "1048576\n" }, { "memory.high", "5000", "4096\n" }, { "memory.high", "max", "max\n" },
      { "memory.oom.group", "1", "1\n" }, { "hugetlb.2MB.max", "5M", "4194304\n" },
      { "cpu.max", "5000", "5000 100000\n" }, { "io.weight", "50", "default 50\n" },
      { "cpu.max", "5000 20000", "5000 20000\n" }, { "cpu.weight.nice", "3", "3\n" },
      { "io.latency", "8:16 target=6", "8:0 target=5\n8:16 target=6\n" }, { "cpuset.mems", "0", "0\n" },
      { "io.max", "8:0 rbps=5", "8:0 rbps=5 wbps=max riops=max wiops=max\n" },
    } do
      assert.is_true(holds(case[1], case[2], case[3]), case[1] .. " " .. case[2])
    end
    for _, case in ipairs {
      { "memory.low", "1M", "0\n" }, { "memory.low", "1M", "2097152\n" }, { "memory.high", "max", "5\n" },
      { "memory.oom.group", "1", "0\n" }, { "pids.max", "9", "8\n" }, { "cpu.max", "5000 20000", "5000 100000\n" },
      { "io.weight", "50", "default 100\n" }, { "io.latency", "8:16 target=6", "8:16 target=66\n" },
      { "cpuset.cpus.partition", "root", "root invalid (x)\n" }, { "hugetlb.2MB.max", "5M", "0\n" },
    } do
      assert.is_false(holds(case[1], case[2], case[3]), case[1] .. " " .. case[2])
    end
  end)

  it("has no file twice", function()
    for file, key in pairs { ["memory.max"] = "memory", ["pids.max"] = "pids", ["cpuset.cpus"] = "cpuset" } do
      local value = key == "memory" and 4096 or key == "pids" and 5 or "0"
      assert.matches(("cgroup.unified: %s is what the key `%s` says too"):format(file, key),
        refused { [key] = value, unified = { [file] = "5" } }, 1, true)
    end
    assert.matches("io.max is what the key `io` says too", refused { io = { { device = "8:0", rbps = 1 } },
      unified = { ["io.max"] = "8:0 rbps=1" } }, 1, true)
  end)

  it("names the controllers that it needs, each once", function()
    local function controllers(cgroup)
      return table.concat(description.controllers(description.settings(description.rule(cgroup, "cgroup"))), " ")
    end
    assert.equal("", controllers {})
    assert.equal("memory", controllers { memory = "1M", swap = 0, memory_high = "1M" })
    assert.equal("cpuset cpu io memory pids", controllers { pids = 1, memory = "1M", cpu = 1, cpuset = "0",
      io = { { device = "8:0", rbps = 1 } }, cpu_weight = 1 })
  end)

  for _, case in ipairs {
    { "unified", { ["cgroup.kill"] = "1" }, 'cgroup.unified["cgroup.kill"]: what is of the cgroup itself is cella' },
    { "unified", { ["../x"] = "1" }, 'cgroup.unified["../x"]: a file of a controller' },
    { "unified", { ["memory./x"] = "1" }, 'cgroup.unified["memory./x"]: a file of a controller' },
    { "unified", { ["foo.max"] = "1" }, 'cgroup.unified["foo.max"]: a file of a controller' },
    { "unified", { ["memory.low"] = " " }, 'cgroup.unified["memory.low"]: a number, or a text that is not empty' },
    { "unified", { ["memory.low"] = -1 }, 'cgroup.unified["memory.low"]: an integer from 0' },
    { "unified", { ["memory.low"] = "a\0b" }, 'cgroup.unified["memory.low"]: the string has a NU' },
    { "unified", { "memory.low" }, 'cgroup.unified[1]: a file of a controller' },
    { "unified", "memory.low=1", 'cgroup.unified: a table expected' },
    { "memory", 4095, "cgroup.memory: an integer from 4096 to 9007199254740991 expected, got 4095" },
    { "memory", "64MB", 'cgroup.memory: bytes, a string such as "64M", or "unlimited" expected, got the string' },
    { "memory", "1K", 'cgroup.memory: the string "1K" is not from 4096 to 9007199254740991 bytes' },
    { "memory", "9999999999999999T", "cgroup.memory: the string" },
    { "memory", "max", "cgroup.memory: bytes" },
    { "memory", "-1", "cgroup.memory: bytes" },
    { "memory", "64M\n", "cgroup.memory: bytes" },
    { "memory", 4096.5, "cgroup.memory: an integer" },
    { "memory", true, "cgroup.memory: an integer" },
    { "memory_high", 0, "cgroup.memory_high: an integer" },
    { "swap", -1, "cgroup.swap: an integer from 0" },
    { "pids", 0, 'cgroup.pids: an integer from 1 to 4194304 or "unlimited" expected, got 0' },
    { "pids", 4194305, "cgroup.pids: an integer" },
    { "pids", "32", "cgroup.pids: an integer" },
    { "cpu", 0, "cgroup.cpu: CPUs from 0.01 to 1000000" },
    { "cpu", 0 / 0, "cgroup.cpu: CPUs" },
    { "cpu", math.huge, "cgroup.cpu: CPUs" },
    { "cpu", "1", "cgroup.cpu: CPUs" },
    { "cpu", { quota = 1 }, "cgroup.cpu.period: missing" },
    { "cpu", { quota = 0.0001, period = 0.1 }, "cgroup.cpu.quota: seconds from 0.001" },
    { "cpu", { quota = 0.1, period = 2 }, "cgroup.cpu.period: seconds from 0.001 to 1 expected, got 2" },
    { "cpu", { quota = 0.1, period = 0.1, burst = 1 }, "cgroup.cpu.burst: unknown key" },
    { "cpu_weight", 0, "cgroup.cpu_weight: an integer from 1 to 10000 expected, got 0" },
    { "cpu_weight", 10001, "cgroup.cpu_weight: an integer" },
    { "cpuset", "", "cgroup.cpuset: numbers and ranges" },
    { "cpuset", "3-1", "cgroup.cpuset: numbers and ranges" },
    { "cpuset", "0,", "cgroup.cpuset: numbers and ranges" },
    { "cpuset", "0 1", "cgroup.cpuset: numbers and ranges" },
    { "cpuset", "0-99999999999", "cgroup.cpuset: numbers and ranges" },
    { "cpuset", "0\n", "cgroup.cpuset: the string has a newline" },
    { "cpuset", 0, "cgroup.cpuset: a string expected" },
    { "cpuset_mems", "x", "cgroup.cpuset_mems: numbers and ranges" },
    { "io", {}, "cgroup.io: the list is empty" },
    { "io", { { device = "8:0" } }, "cgroup.io[1]: one of rbps, wbps, riops, wiops is missing" },
    { "io", { { rbps = 1 } }, "cgroup.io[1].device: missing" },
    { "io", { { device = "vda", rbps = 1 } }, 'cgroup.io[1].device: a path or "MAJOR:MINOR" expected' },
    { "io", { { device = "8:0 wbps=1", rbps = 1 } }, "cgroup.io[1].device: a path or" },
    { "io", { { device = "8:0", rbps = 0 } }, "cgroup.io[1].rbps: an integer from 1" },
    { "io", { { device = "8:0", rbs = 1 } }, "cgroup.io[1].rbs: unknown key; did you mean 'rbps'?" },
    { "parent", "a/../b", "cgroup.parent: '..' in" },
    { "parent", "", "cgroup.parent: the path is empty" },
    { "parent", "a\0b", "cgroup.parent: the string has a NUL byte" },
    { "name", "..", "cgroup.name: a name of up to 200 letters" },
    { "name", "a/b", "cgroup.name: a name" },
    { "name", "", "cgroup.name: a name" },
    { "name", "a b", "cgroup.name: a name" },
    { "name", ("x"):rep(201), "cgroup.name: a name" },
    { "name", "cgroup.kill", "cgroup.name: the string \"cgroup.kill\" looks like one of the kernel's own files" },
    { "memoy", 1, "cgroup.memoy: unknown key; did you mean 'memory'?" },
  } do
    local shown = type(case[2]) == "table" and "a table" or tostring(case[2])
    if #shown > 30 then shown = "a long string" end
    it(("refuses %s = %s: %s"):format(case[1], (shown:gsub("%c", "?")), case[3]), function()
      local message = refused { [case[1]] = case[2] }
      assert.equal(case[3], message:sub(1, #case[3]))
    end)
  end
end)

describe("what the kernel says back", function()
  local function holds(cgroup, found)
    return description.holds(description.settings(description.rule(cgroup, "cgroup"))[1], found)
  end

  it("may be rounded down to whole pages", function()
    assert.is_true(holds({ memory = 67108864 }, "67108864\n"))
    assert.is_true(holds({ memory = 67108865 }, "67108864\n"))
    assert.is_false(holds({ memory = 67108864 }, "67112960\n"))
    assert.is_false(holds({ memory = 67108864 }, "66048000\n"))
    assert.is_false(holds({ memory = 67108864 }, "max\n"))
    assert.is_false(holds({ memory = 4096 }, "0\n"))
    assert.is_true(holds({ memory = "unlimited" }, "max\n"))
    assert.is_true(holds({ swap = 0 }, "0\n"))
    assert.is_false(holds({ swap = 0 }, "4096\n"))
  end)

  it("has to be the same otherwise", function()
    assert.is_true(holds({ pids = 32 }, "32\n"))
    assert.is_false(holds({ pids = 32 }, "max\n"))
    assert.is_true(holds({ cpu = 0.5 }, "50000 100000\n"))
    assert.is_false(holds({ cpu = 0.5 }, "max 100000\n"))
    assert.is_true(holds({ cpuset = "0,1,2,4" }, "0-2,4\n"))
    assert.is_false(holds({ cpuset = "0,1,2,4" }, "0-2\n"))
    assert.is_false(holds({ cpuset = "0" }, "0-1\n"))
  end)

  it("is looked for in the device's own line", function()
    local io = { io = { { device = "8:0", rbps = 100, wiops = 7 } } }
    assert.is_true(holds(io, "8:16 rbps=1 wbps=1 riops=1 wiops=1\n8:0 rbps=100 wbps=max riops=max wiops=7\n"))
    assert.is_false(holds(io, "8:16 rbps=100 wbps=max riops=max wiops=7\n"))
    assert.is_false(holds(io, "8:0 rbps=1000 wbps=max riops=max wiops=7\n"))
    assert.is_false(holds(io, ""))
    assert.is_true(holds({ io = { { device = "8:0", rbps = "unlimited" } } }, ""))
  end)

  it("names the CPUs that the cgroups above do not have", function()
    local setting = description.settings { cpuset = "0-3,9" }[1]
    assert.equal("2,3,9", description.missing_numbers(setting, "0-1,4\n"))
    assert.is_nil(description.missing_numbers(setting, "0-63\n"))
  end)
end)

describe("the statistics of a cgroup", function()
  it("are read from the kernel's files", function()
    local files = {
      ["cpu.stat"] = "usage_usec 3500000\nuser_usec 2500000\nsystem_usec 1000000\nnr_periods 2\nthrottled_usec 70000\n",
      ["memory.peak"] = "1048576\n", ["memory.swap.peak"] = "4096\n", ["pids.peak"] = "7\n",
      ["pids.events"] = "max 3\n", ["memory.events"] = "low 0\nhigh 0\nmax 12\noom 1\noom_kill 2\noom_group_kill 1\n",
      ["io.stat"] = "8:0 rbytes=100 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2 rios=1 wios=1\n",
      ["cgroup.events"] = "populated 1\nfrozen 0\n",
    }
    local function read(file) return files[file] end
    assert.same({ user_seconds = 2.5, system_seconds = 1, throttled_seconds = 0.07, memory_peak = 1048576,
      swap_peak = 4096, pids_peak = 7, pids_refused = 3, oom_kills = 2, read_bytes = 101, written_bytes = 22 },
      usage.read(read))
    assert.equal(3.5, usage.cpu_seconds(read))
    assert.equal(2, usage.oom_kills(read))
    assert.is_true(usage.event(read, "populated"))
    assert.is_false(usage.event(read, "frozen"))
  end)

  it("are absent where the kernel has no such file", function()
    local function nothing() return nil end
    assert.same({}, usage.read(nothing))
    assert.equal(0, usage.oom_kills(nothing))
    assert.is_nil(usage.cpu_seconds(nothing))
  end)
end)

describe("the place for cgroups", function()
  local V2 = "25 20 0:23 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
  local ALL = "cpuset cpu io memory pids\n"

  -- A host: a table of texts. `groups` is a list of { directory, available, handed down, processes }.
  local function host(own, groups, more)
    local files = { ["/proc/self/mountinfo"] = V2, ["/proc/self/cgroup"] = "0::" .. own .. "\n",
      ["/proc/cgroups"] = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t0\t1\t1\nmemory\t0\t1\t1\n" }
    for _, group in ipairs(groups) do
      local at = "/sys/fs/cgroup" .. (group[1] == "/" and "" or group[1])
      files[at .. "/cgroup.controllers"] = group[2]
      files[at .. "/cgroup.subtree_control"] = group[3]
      files[at .. "/cgroup.procs"] = group[4] or ""
      if group[1] ~= "/" then files[at .. "/cgroup.events"] = "populated 1\n" end
    end
    for path, text in pairs(more or {}) do files[path] = text or nil end
    return { read = function(path) return files[path] end, home = nil }
  end

  local function found(facts, parent, controllers)
    local where, err = place.find(facts, parent, controllers or {})
    assert(where, tostring(err))
    return where.directory
  end

  local function why(facts, parent, controllers)
    local where, err = place.find(facts, parent, controllers or {})
    assert.is_nil(where)
    return tostring(err)
  end

  local function has(text, part)
    assert.truthy(text:find(part, 1, true), ("%q is not in %q"):format(part, text))
  end

  local root = { "/", ALL, ALL }

  it("is the process's own cgroup", function()
    assert.equal("/sys/fs/cgroup/a", found(host("/a", { root, { "/a", ALL, ALL } }), nil, { "memory", "pids" }))
    assert.equal("/sys/fs/cgroup", found(host("/", { root }), nil, { "memory" }))
  end)

  it("is a parent, as a directory or from the mount on", function()
    local facts = host("/a", { root, { "/a", ALL, "" }, { "/b/c", ALL, ALL } })
    assert.equal("/sys/fs/cgroup/b/c", found(facts, "/sys/fs/cgroup/b/c", { "memory" }))
    assert.equal("/sys/fs/cgroup/b/c", found(facts, "/sys/fs/cgroup//b/c/", { "memory" }))
    assert.equal("/sys/fs/cgroup/b/c", found(facts, "b/c", { "memory" }))
  end)

  it("is the one before the process moved into a leaf", function()
    local facts = host("/a/cella.self", { root, { "/a", ALL, ALL }, { "/a/cella.self", ALL, "" } })
    facts.home = "/sys/fs/cgroup/a"
    assert.equal("/sys/fs/cgroup/a", found(facts, nil, { "memory" }))
  end)

  it("is found in a hybrid hierarchy, and where a part of it is mounted", function()
    assert.equal("/sys/fs/cgroup/unified/a", found(host("/a", {}, {
      ["/proc/self/mountinfo"] = "30 20 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
        .. "31 30 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        .. "32 30 0:30 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n",
      ["/sys/fs/cgroup/unified/a/cgroup.controllers"] = "", ["/sys/fs/cgroup/unified/a/cgroup.subtree_control"] = "",
    })))
    assert.equal("/my cgroup/b", found(host("/a/b", {}, {
      ["/proc/self/mountinfo"] = "25 20 0:23 /a /my\\040cgroup rw - cgroup2 cgroup2 rw\n",
      ["/my cgroup/b/cgroup.controllers"] = "", ["/my cgroup/b/cgroup.subtree_control"] = "",
    })))
  end)

  it("needs a mount of version 2", function()
    local message = why(host("/", {}, { ["/proc/self/mountinfo"] = "20 1 8:1 / / rw - ext4 /dev/vda rw\n",
      ["/proc/cgroups"] = "memory\t4\t21\t1\npids\t8\t1\t1\n" }))
    has(message, "cgroup v2 is not mounted here")
    has(message, "this host has cgroup v1 (memory, pids): boot with systemd.unified_cgroup_hierarchy=1")
    has(why(host("/", {}, { ["/proc/self/mountinfo"] = "" })), "mount -t cgroup2")
  end)

  it("has to be seen: not outside of the mount, nor of the cgroup namespace", function()
    has(why(host("/a", {}, { ["/proc/self/mountinfo"] = "25 20 0:23 /b /x rw - cgroup2 cgroup2 rw\n" })),
      "the cgroup of this process (/a) is not below what is mounted (/b)")
    has(why(host("/../other", { root })), "is outside of its cgroup namespace")
    has(why(host("/a", { root }, { ["/proc/self/cgroup"] = "4:memory:/x\n" })), "in no cgroup of version 2")
    has(why(host("/a", { root }), "nowhere"), "`parent` has to be a directory below /sys/fs/cgroup that exists")
    has(why(host("/a", { root }, { ["/elsewhere/cgroup.controllers"] = "" }), "/elsewhere"),
      "is not below the mount of cgroup v2")
  end)

  it("has not a controller that version 1 has", function()
    local message = why(host("/", { { "/", "pids\n", "pids\n" } }, { ["/proc/cgroups"] = "memory\t4\t21\t1\n" }), nil,
      { "memory" })
    has(message, "the controller memory is not available")
    has(message, "cgroup v1 has it (hierarchy 4 in /proc/cgroups): boot with systemd.unified_cgroup_hierarchy=1")
    has(why(host("/", { { "/", "", "" } }, { ["/proc/cgroups"] = "blkio\t7\t1\t1\n" }), nil, { "io" }),
      "cgroup v1 has it (hierarchy 7")
  end)

  it("has not a controller that is switched off, or that the kernel does not have", function()
    has(why(host("/", { { "/", "pids\n", "pids\n" } }, { ["/proc/cgroups"] = "memory\t0\t1\t0\n" }), nil,
      { "memory" }), "boot with cgroup_enable=memory")
    has(why(host("/", { { "/", "pids\n", "pids\n" } }), nil, { "memory" }), "this kernel does not have it")
  end)

  it("names the cgroup above that does not hand a controller down", function()
    local slice = "/user.slice/user-1000.slice/user@1000.service"
    local facts = host(slice .. "/app.slice/x.scope", { root, { "/user.slice", ALL, ALL },
      { "/user.slice/user-1000.slice", ALL, "memory pids\n" }, { slice, "memory pids\n", "memory pids\n" },
      { slice .. "/app.slice", "memory pids\n", "memory pids\n" },
      { slice .. "/app.slice/x.scope", "memory pids\n", "memory pids\n" } })
    local message = why(facts, nil, { "cpuset" })
    has(message, '/sys/fs/cgroup/user.slice/user-1000.slice/cgroup.subtree_control is "memory pids"')
    has(message, "`systemctl edit user@.service`")
    found(facts, nil, { "memory" })
  end)

  it("tells what to do where a controller ends at the process's own cgroup", function()
    local alone = why(host("/a", { root, { "/a", ALL, "", "17\n" } }), nil, { "memory" })
    has(alone, '/sys/fs/cgroup/a/cgroup.subtree_control is ""')
    has(alone, "with 1 process in it")
    has(alone, "call cella.cgroup.delegate() first")
    local shared = why(host("/a", { root, { "/a", ALL, "pids\n", "17\n18\n" } }), nil, { "pids", "memory" })
    has(shared, "the controller memory is not there for cgroups below this one")
    has(shared, 'is "pids", and with 2 processes in it')
    has(shared, "systemd-run --user --scope -p Delegate=yes")
    has(why(host("/", { { "/", ALL, "", "1\n2\n" } }), nil, { "memory" }),
      "`echo +memory > /sys/fs/cgroup/cgroup.subtree_control` as root changes that for the whole host")
    has(why(host("/", { root, { "/b", ALL, "" } }), "b", { "memory" }),
      "`echo +memory > /sys/fs/cgroup/b/cgroup.subtree_control` as its owner")
  end)
end)
