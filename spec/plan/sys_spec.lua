-- cella.sys: every operation now, and the same arguments in a plan. What an operation does is tried in a process of
-- its own, and seen from there or from beside it.

local able = require "spec.support.able"
local core = require "cella.core"
local helper = require "spec.support.helper"
local leaks = require "spec.support.leaks"
local operations = require "spec.support.operations"
local outside = require "spec.support.outside"
local portable = require "spec.support.portable"
local unpack = table.unpack or unpack

local needs = able.needs(function(reason) pending(reason) end)

local function names_of(t)
  local list = {}
  for name in pairs(t) do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- Where even an operation that was taken by mistake does no harm.
local function harmless()
  return able.lacks "user_namespaces" and "" or "unshare --user --map-root-user --mount --uts --ipc --net"
end

describe("an operation", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  it("is known to these specs", function()
    for name in pairs(core.operations) do assert.truthy(operations[name], name .. " is not in operations.lua") end
    for name in pairs(operations) do assert.truthy(core.operations[name], name .. " is in operations.lua only") end
  end)

  -- What each operation takes by mistake, and what its errors do not name. One process tries them all; what was taken
  -- by mistake may have been its end, and is found by trying each that is without an answer in one of its own.
  local TRY_BAD_ARGUMENTS = [[
    local operations = require "spec.support.operations"
    local bad = require "spec.support.bad"

    local function try_all(name)
      local parameters = operations[name]
      local plan = cella.plan():mkdir("/before", 448)
      local before = tostring(plan)
      local strange = cella.plan():openat2("/", "path")
      local wrong = {}

      local function right_until(count)
        local list = {}
        for i, parameter in ipairs(parameters) do
          if i <= count then list[i] = parameter.right end
        end
        return list
      end

      local function try(words, arguments, count, wanted)
        local function check(tense, ok, message)
          local problem
          if ok then
            problem = "nothing is raised"
          elseif type(message) ~= "string" then
            problem = "what is raised is no string"
          else
            for _, part in ipairs(wanted) do
              if not message:find(part, 1, true) then problem = ("%q does not say %q"):format(message, part) end
            end
          end
          if tostring(plan) ~= before or plan.recorder:size() ~= 1 then
            problem = "the plan has changed"
            plan = cella.plan():mkdir("/before", 448)
          end
          if problem then wrong[#wrong + 1] = ("%s, %s: %s"):format(words, tense, problem) end
        end
        if sys[name] then check("now", pcall(sys[name], unpack(arguments, 1, count))) end
        -- plan:init(), plan:await() and plan:call() are about more than the step.
        if plan[name] and name ~= "init" and name ~= "await" and name ~= "call" then
          check("later", pcall(plan[name], plan, unpack(arguments, 1, count)))
        else
          check("later", pcall(plan.recorder.record, plan.recorder, name, unpack(arguments, 1, count)))
        end
      end

      for i, parameter in ipairs(parameters) do
        local where = { "'" .. name .. "'", "#" .. i .. " ", "(" .. parameter.name .. ": " }
        for _, case in ipairs(bad.arguments(parameter)) do
          local arguments = right_until(#parameters)
          arguments[i] = case[2]
          try(parameter.name .. ": " .. case[1], arguments, #parameters, where)
        end
        if not parameter.optional then
          try(parameter.name .. " left away", right_until(i - 1), i - 1, where)
          local arguments = right_until(#parameters)
          arguments[i] = nil
          try(parameter.name .. " nil", arguments, #parameters, where)
        end
        if parameter.kind == "fd" then
          local arguments = right_until(#parameters)
          arguments[i] = strange
          try(parameter.name .. ": a slot of another plan", arguments, #parameters, where)
        end
      end
      local arguments = right_until(#parameters)
      for _, extra in ipairs { 1, "x", {} } do
        arguments[#parameters + 1] = extra
        try("one argument too many", arguments, #parameters + 1, { "'" .. name .. "'", "too many arguments" })
      end
      try("a nil too many", right_until(#parameters), #parameters + 1, { "'" .. name .. "'", "too many arguments" })
      return table.concat(wrong, "\n")
    end

    local found = {}
    for _, name in ipairs { ... } do found[name] = try_all(name) end
    return found
  ]]

  local found
  local function taken_by_mistake(name)
    if not found then
      local options = { prefix = harmless(), arguments = names_of(operations) }
      local survived, all = pcall(outside.lua, TRY_BAD_ARGUMENTS, options)
      found = survived and all or {}
    end
    return found[name] or outside.lua(TRY_BAD_ARGUMENTS, { prefix = harmless(), arguments = { name } })[name]
  end

  for _, name in ipairs(names_of(operations)) do
    it(("%s refuses what its parameters do not take, now and later, and says which #slow"):format(name), function()
      assert.equal("", taken_by_mistake(name))
    end)
  end

  it("takes in a plan what it takes now", function()
    local plan = require("cella").plan()
    for _, name in ipairs(names_of(operations)) do
      local ends = name == "execve" or name == "call" or name == "await_plan"
      if name ~= "await" and name ~= "fork" and name ~= "init" and not ends then
        local arguments = {}
        for i, parameter in ipairs(operations[name]) do arguments[i] = parameter.right end
        assert.has_no.errors(function() plan[name](plan, unpack(arguments)) end)
      end
    end
  end)

  it("that makes sense in a plan only is not there now", function()
    for _, name in ipairs { "await", "fork", "init", "expect_parent", "close_others", "expect_no_user_namespaces",
      "call", "send_fd" } do
      assert.is_nil(core.sys[name])
      assert.truthy(core.operations[name])
    end
  end)

  for _, name in ipairs { "setresuid", "setresgid" } do
    it(name .. " without any ID is refused, because it would change nothing", function()
      local now, later = outside.lua([[
        local name = ...
        return (pcall(sys[name])), (pcall(cella.plan()[name], cella.plan(), nil, nil, nil))
      ]], { arguments = { name } })
      assert.is_false(now)
      assert.is_false(later)
    end)
  end

  it("that the kernel refuses returns nil, a message and the errno", function()
    local ok, message, errno = outside.lua [[return sys.chdir "/nonexistent/cella-spec"]]
    assert.is_nil(ok)
    assert.equal("chdir: No such file or directory", message)
    assert.equal(2, errno)
  end)
end)

describe("looking", function()
  local LOOKS = {
    getresuid = {}, getresgid = {}, getgroups = {}, getpid = {}, getppid = {}, last_capability = {},
    get_securebits = {},
    get_no_new_privs = {}, get_dumpable = {}, gethostname = {}, environment = {},
    capabilities = { "pid" }, capabilities_text = { "pid" },
    getrlimit = { "resource", "pid" }, namespace = { "type", "pid" },
  }
  local RIGHT = { resource = "nofile", type = "user", pid = 1 }
  local BAD = {
    pid = { "1", -1, 0, 1.5, 2 ^ 31, 2 ^ 32, 4294967297, true, {}, print },
    resource = { "nonsense", "nofile\0", "NOFILE", "", 7, true, {}, { "nofile", "core" }, { nofile = true } },
    type = { "nonsense", "user\0", "mnt", "", 7, true, {}, { "user" } },
  }

  it("takes no argument of a wrong kind, and none too many", function()
    local wrong = {}
    local function try(name, ...)
      if pcall(core.sys[name], ...) then
        wrong[#wrong + 1] = ("%s with %s"):format(name, tostring((select(select("#", ...), ...))))
      end
    end
    for name, parameters in pairs(LOOKS) do
      local arguments = {}
      for i, parameter in ipairs(parameters) do
        for _, bad in ipairs(BAD[parameter]) do
          arguments[i] = bad
          try(name, unpack(arguments, 1, i))
        end
        arguments[i] = RIGHT[parameter]
      end
      arguments[#parameters + 1] = "one too many"
      try(name, unpack(arguments, 1, #parameters + 1))
    end
    if pcall(core.sys.getrlimit) then wrong[#wrong + 1] = "getrlimit without a resource" end
    if pcall(core.sys.namespace) then wrong[#wrong + 1] = "namespace without a type" end
    table.sort(wrong)
    assert.equal("", table.concat(wrong, "\n"))
  end)

  it("getresuid and getresgid give the real, effective and saved IDs", function()
    local uids, gids, in_status = outside.lua [[
      return table.concat({ sys.getresuid() }, " "), table.concat({ sys.getresgid() }, " "),
        (status "Uid" .. " " .. status "Gid"):gsub("%s+", " ")
    ]]
    local u = { in_status:match("^(%d+) (%d+) (%d+) %d+ (%d+) (%d+) (%d+) %d+$") }
    assert.equal(table.concat(u, " ", 1, 3), uids)
    assert.equal(table.concat(u, " ", 4, 6), gids)
  end)

  it("getresuid tells the three apart", needs("several_ids", function()
    local real, effective, saved = outside.with_several_ids [[
      assert(sys.setresuid(1, 2, 3))
      return sys.getresuid()
    ]]
    assert.same({ 1, 2, 3 }, { real, effective, saved })
  end))

  it("getgroups gives the supplementary groups", function()
    local groups, in_status = outside.lua [[return table.concat(sys.getgroups(), " "), status "Groups"]]
    assert.equal(in_status:match("^(.-)%s*$"), groups)
  end)

  it("getpid and getppid are the process and its parent", function()
    local pid, parent, status_pid, status_parent = outside.lua [[
      return sys.getpid(), sys.getppid(), tonumber(status "Pid"), tonumber(status "PPid")
    ]]
    assert.same({ status_pid, status_parent }, { pid, parent })
  end)

  -- The kernel's own figures, from a mask of 64 bits in hexadecimal digits to a list of capability numbers.
  local MASK_OF = [[
    local numbers = {}
    for cap = 0, sys.last_capability() do
      local name = tostring(cella.plan():ambient_lower { cap }):match '{"([%w_]+)"}%)$'
      if name then numbers[name] = cap end
    end
    function mask_of(names)
      local mask = 0
      for _, name in ipairs(names) do mask = mask + 2 ^ (numbers[name] or name) end
      return ("%08x%08x"):format(math.floor(mask / 4294967296), mask % 4294967296)
    end
    function five(pid)
      local sets = assert(sys.capabilities(pid))
      return table.concat({ mask_of(sets.inheritable), mask_of(sets.permitted), mask_of(sets.effective),
        mask_of(sets.bounding), mask_of(sets.ambient) }, " "),
        table.concat({ status("CapInh", pid), status("CapPrm", pid), status("CapEff", pid), status("CapBnd", pid),
          status("CapAmb", pid) }, " ")
    end
  ]]

  it("capabilities gives the five sets of this process", needs("user_namespaces", function()
    local sets, in_status = outside.as_namespace_root(MASK_OF .. [[
      assert(sys.capset({ "all", "-kill", "-chown" }, { "all", "-kill" }, { "net_raw", "sys_nice" }))
      assert(sys.capbset_drop { "syslog", "mknod" }) -- as long as setpcap is effective
      assert(sys.ambient_raise "net_raw")
      return five()
    ]])
    assert.equal(in_status, sets)
    local seen = {}
    for mask in in_status:gmatch("%x+") do
      assert.is_nil(seen[mask], "two of the sets are the same: nothing is told apart")
      seen[mask] = true
    end
  end))

  it("capabilities gives those of another process", needs("user_namespaces", function()
    local sets, in_status, own = outside.as_namespace_root(MASK_OF .. [[
      local child = assert(cella.plan():capbset_drop { "syslog", "mknod" }:exec { "sleep", "60", stdout = "null",
        stderr = "null" }:spawn())
      local sets, text = five(child.pid)
      child:close()
      return sets, text, (five())
    ]])
    assert.equal(in_status, sets)
    assert.not_equal(own, sets)
  end))

  it("capabilities of a process that is not there are nil, a message and the errno", function()
    local sets, message, errno = core.sys.capabilities(2147483647)
    assert.is_nil(sets)
    assert.equal("string", type(message))
    assert.equal("ESRCH", core.errno_name(errno))
  end)

  it("capabilities_text is libcap's text", needs("user_namespaces", function()
    local before, after = outside.as_namespace_root [[
      local before = sys.capabilities_text()
      assert(sys.capset("net_raw", { "net_raw", "chown" }, "none"))
      return before, sys.capabilities_text()
    ]]
    assert.equal("=ep", before)
    assert.equal("cap_net_raw=ep cap_chown+p", after)
  end))

  it("last_capability is the kernel's, not a header's", function()
    local file = io.open "/proc/sys/kernel/cap_last_cap"
    if not file then return pending("needs /proc/sys/kernel/cap_last_cap") end
    local last = file:read "*n"
    file:close()
    assert.equal(last, core.sys.last_capability())
  end)

  it("namespace gives what identifies one: the same for two processes in it", needs("user_namespaces", function()
    local kinds = { "user", "mount", "pid", "ipc", "uts", "net", "cgroup" }
    local own, same, other = outside.lua([[
      local kinds = { ... }
      local function all(pid)
        local list = {}
        for i, kind in ipairs(kinds) do
          local inode, device = assert(sys.namespace(kind, pid))
          list[i] = inode .. ":" .. device
        end
        return list
      end
      local quiet = { "sleep", "60", stdin = "null", stdout = "null", stderr = "null" }
      local beside = assert(cella.plan():exec(quiet):spawn())
      local away = assert(cella.plan { namespaces = kinds }:exec(quiet):spawn())
      local own, same, other = all(), all(beside.pid), all(away.pid)
      beside:close()
      away:close()
      return own, same, other
    ]], { arguments = kinds })
    assert.same(own, same)
    for i, kind in ipairs(kinds) do
      assert.not_equal(own[i], other[i], kind)
      local link = outside.sh(("stat -L -c %%i:%%d /proc/self/ns/%s"):format(kind == "mount" and "mnt" or kind))
      assert.equal(link:match("%S+"), own[i])
    end
  end))

  it("namespace of the children that are to come is another after unshare", needs("user_namespaces", function()
    local before, own, later = outside.as_namespace_root [[
      local before = sys.namespace "pid_for_children"
      assert(sys.unshare "pid")
      local process = assert(cella.plan():exec({ "true" }):spawn())
      process:wait()
      return before, sys.namespace "pid", sys.namespace "pid_for_children" or "none yet"
    ]]
    assert.equal(before, own)
    assert.not_equal(before, later)
  end))

  it("getrlimit gives the soft and the hard limit, of this process and of another", function()
    local soft, hard, own_soft, unlimited = outside.lua [[
      assert(sys.setrlimit("core", 0, 0))
      local _, hard = sys.getrlimit "nofile"
      local child = assert(cella.plan():setrlimit("nofile", 17, 23)
        :exec({ "sleep", "60", stdin = "null", stdout = "null", stderr = "null" }):spawn())
      local a, b = sys.getrlimit("nofile", child.pid)
      child:close()
      return a, b, (sys.getrlimit "core"), (sys.getrlimit "cpu")
    ]]
    assert.same({ 17, 23, 0 }, { soft, hard, own_soft })
    assert.equal(outside.sh("ulimit -t"):match("%S+"), tostring(unlimited))
  end)

  it("environment is a list of NAME=value", function()
    local list = outside.lua([[return sys.environment()]], { prefix = "env CELLA_SPEC='a = b'" })
    local found = 0
    for _, entry in ipairs(list) do
      assert.truthy(entry:find("=", 1, true))
      if entry == "CELLA_SPEC=a = b" then found = found + 1 end
    end
    assert.equal(1, found)
  end)
end)

-- Each in a process that is root of a new user namespace, unless it says otherwise; `scratch()` is a tmpfs of its own.
describe("now,", function()
  before_each(leaks.watch)
  after_each(leaks.check)
  teardown(helper.remove)

  local inside = outside.as_namespace_root

  describe("namespaces:", function()
    it("a new user namespace without a map makes everybody 65534", needs("user_namespaces", function()
      local before, uid, gid, same = outside.lua [[
        local before, namespace = { sys.getresuid() }, sys.namespace "user"
        assert(sys.unshare "user")
        return before, { sys.getresuid() }, { sys.getresgid() }, namespace == sys.namespace "user"
      ]]
      local nobody = 65534
      assert.not_equal(nobody, before[1])
      assert.same({ nobody, nobody, nobody }, uid)
      assert.same({ nobody, nobody, nobody }, gid)
      assert.is_false(same)
    end))

    it("a process writes its own ID into its maps and is root", needs("user_namespaces", function()
      local uid, gid, map, setgroups, before = outside.lua [[
        local _, uid = sys.getresuid()
        local _, gid = sys.getresgid()
        local before = read "/proc/self/setgroups"
        assert(sys.unshare "user")
        assert(sys.write_file("/proc/self/setgroups", "deny"))
        assert(sys.write_file("/proc/self/uid_map", ("0 %d 1"):format(uid)))
        assert(sys.write_file("/proc/self/gid_map", ("0 %d 1"):format(gid)))
        return { sys.getresuid() }, { sys.getresgid() },
          read "/proc/self/uid_map":gsub("%s+", " ") == (" 0 %d 1 "):format(uid), read "/proc/self/setgroups", before
      ]]
      assert.same({ 0, 0, 0 }, uid)
      assert.same({ 0, 0, 0 }, gid)
      assert.is_true(map)
      assert.equal("deny\n", setgroups)
      assert.equal("allow\n", before)
    end))

    it("a map is written once", needs("user_namespaces", function()
      local ok, message, errno = inside [[return sys.write_file("/proc/self/uid_map", "0 0 1")]]
      assert.is_nil(ok)
      assert.equal("write_file: Operation not permitted", message)
      assert.equal(1, errno)
    end))

    it("several namespaces are unshared at once, and no others", needs("user_namespaces", function()
      local changed = inside [[
        local kinds = { "user", "mount", "ipc", "uts", "net", "cgroup" }
        local before, changed = {}, {}
        for _, kind in ipairs(kinds) do before[kind] = sys.namespace(kind) end
        assert(sys.unshare { "ipc", "uts" })
        for _, kind in ipairs(kinds) do
          if before[kind] ~= sys.namespace(kind) then changed[#changed + 1] = kind end
        end
        return table.concat(changed, " ")
      ]]
      assert.equal("ipc uts", changed)
    end))

    it("an empty list of namespaces unshares none", needs("user_namespaces", function()
      assert.is_true(inside [[
        local before = snapshot()
        assert(sys.unshare {})
        return #changes(before, snapshot()) == 0
      ]])
    end))

    it("sethostname and setdomainname act in the uts namespace of the process", needs("user_namespaces", function()
      local before = core.sys.gethostname()
      local host, domain, refused = inside [[
        local refused = select(3, sys.sethostname "cella-outside")
        assert(sys.unshare "uts")
        assert(sys.sethostname "moon")
        assert(sys.setdomainname "far.example")
        return sys.gethostname(), read "/proc/sys/kernel/domainname", refused
      ]]
      assert.equal("moon", host)
      assert.equal("far.example\n", domain)
      assert.equal("EPERM", core.errno_name(refused))
      assert.equal(before, core.sys.gethostname())
    end))

    it("sethostname takes 64 bytes, whatever they are, and not 65", needs("user_namespaces", function()
      local long, refused = inside [[
        assert(sys.unshare "uts")
        assert(sys.sethostname(("x"):rep(64)))
        return sys.gethostname(), select(3, sys.sethostname(("x"):rep(65)))
      ]]
      assert.equal(("x"):rep(64), long)
      assert.equal("EINVAL", core.errno_name(refused))
    end))

    it("setns joins the namespace of a descriptor, if it is of the type", needs("user_namespaces", function()
      local away, wrong, still_away, joined = inside [[
        assert(sys.unshare "uts")
        assert(sys.sethostname "first")
        local fd = assert(core.open("/proc/self/ns/uts", "rdonly"))
        assert(sys.unshare "uts")
        assert(sys.sethostname "second")
        local away = sys.gethostname()
        local wrong = select(3, sys.setns(fd:number(), "net"))
        local still_away = sys.gethostname()
        assert(sys.setns(fd:number(), "uts"))
        return away, wrong, still_away, sys.gethostname()
      ]]
      assert.equal("second", away)
      assert.equal("EINVAL", core.errno_name(wrong))
      assert.equal("second", still_away)
      assert.equal("first", joined)
    end))

    it("setns joins several namespaces of a process at once", needs("user_namespaces", function()
      local before, after = inside [[
        local child = assert(cella.plan { namespaces = { "uts", "ipc", "net" } }
          :exec({ "sleep", "60", stdout = "null", stderr = "null" }):spawn())
        local function same()
          local list = {}
          for _, kind in ipairs { "uts", "ipc", "net" } do
            list[#list + 1] = tostring(sys.namespace(kind) == sys.namespace(kind, child.pid))
          end
          return table.concat(list, " ")
        end
        local before = same()
        assert(sys.setns(child:pidfd(), { "uts", "ipc" }))
        local after = same()
        child:close()
        return before, after
      ]]
      assert.equal("false false false", before)
      assert.equal("true true false", after)
    end))

    it("link_up brings an interface up, and knows which there are", needs("user_namespaces", function()
      local before, after, unknown, long = inside [[
        assert(sys.unshare "net")
        local function up() return read "/proc/net/fib_trie":find("127.0.0.1", 1, true) ~= nil end
        local before = up()
        assert(sys.link_up "lo")
        return before, up(), select(3, sys.link_up "nonesuch"), select(3, sys.link_up(("x"):rep(16)))
      ]]
      assert.is_false(before)
      assert.is_true(after)
      assert.equal("ENODEV", core.errno_name(unknown))
      assert.equal("ENODEV", core.errno_name(long))
    end))
  end)

  describe("mounts: #vm", function()
    it("mount and umount2, in a mount namespace of one's own", needs("user_namespaces", function()
      local before, mounted, after, beside = inside [[
        local beside = assert(cella.plan():exec({ "sleep", "60", stdout = "null", stderr = "null" }):spawn())
        own_mounts()
        local before = mount_at "/mnt"
        assert(sys.mount("cella-spec", "/mnt", "tmpfs", { "nosuid", "noexec" }, "size=64k"))
        local mounted, seen = mount_at "/mnt", mount_at("/mnt", beside.pid)
        assert(sys.umount2 "/mnt")
        beside:close()
        return before or false, mounted, mount_at "/mnt" or false, seen or false
      ]]
      assert.same({ false, false, false }, { before, after, beside })
      assert.equal("tmpfs", mounted.type)
      assert.truthy(mounted.options:find("nosuid", 1, true) and mounted.options:find("noexec", 1, true))
      assert.is_nil(mounted.options:find("nodev", 1, true))
    end))

    it("a bind mount, whose source is given and whose type is not", needs("user_namespaces", function()
      local before, after = inside [[
        local tmp = scratch()
        sys.mkdir(tmp .. "/a", 448)
        sys.mkdir(tmp .. "/b", 448)
        assert(sys.write_file(tmp .. "/a/file", "of a", "creat", 384))
        local before = read(tmp .. "/b/file")
        assert(sys.mount(tmp .. "/a", tmp .. "/b", nil, "bind"))
        return before or false, read(tmp .. "/b/file")
      ]]
      assert.is_false(before)
      assert.equal("of a", after)
    end))

    it("umount2 with detach takes off what is busy, and without does not", needs("user_namespaces", function()
      local busy, after = inside [[
        own_mounts()
        assert(sys.mount("none", "/mnt", "tmpfs"))
        local fd = assert(core.open("/mnt", { "rdonly", "directory" }))
        local busy = select(3, sys.umount2 "/mnt")
        assert(sys.umount2("/mnt", "detach"))
        return busy, mount_at "/mnt" or false, fd:close()
      ]]
      assert.equal("EBUSY", core.errno_name(busy))
      assert.is_false(after)
    end))

    it("chroot and chdir change what paths mean", needs("user_namespaces", function()
      local before, after, working = inside [[
        local tmp = scratch()
        assert(sys.mkdir(tmp .. "/root", 448))
        assert(sys.write_file(tmp .. "/root/marker", "here", "creat", 384))
        local before = read "/marker"
        assert(sys.chdir(tmp .. "/root"))
        local working = read "marker"
        assert(sys.chroot ".")
        return before or false, read "/marker", working
      ]]
      assert.is_false(before)
      assert.equal("here", after)
      assert.equal("here", working)
    end))

    it("pivot_root, and the old root is gone", needs("user_namespaces", function()
      local before, after, old, not_a_mount = inside [[
        local tmp = scratch()
        assert(sys.mkdir(tmp .. "/root", 448))
        local not_a_mount = select(3, sys.pivot_root(tmp .. "/root", tmp .. "/root"))
        assert(sys.mount(tmp .. "/root", tmp .. "/root", nil, { "bind", "rec" }))
        assert(sys.write_file(tmp .. "/root/marker", "here", "creat", 384))
        local before = read "/etc/passwd" ~= nil
        assert(sys.chdir(tmp .. "/root"))
        assert(sys.pivot_root(".", "."))
        assert(sys.umount2(".", "detach"))
        assert(sys.chdir "/")
        return before, read "/marker", read "/etc/passwd" or false, not_a_mount
      ]]
      assert.is_true(before)
      assert.equal("here", after)
      assert.is_false(old)
      assert.equal("EINVAL", core.errno_name(not_a_mount))
    end))

    local function with_attributes(body) return needs("user_namespaces", "mount_setattr", body) end

    -- A tree with a mount below a mount, cloned, made read-only and attached at /mnt.
    local ATTACH = [[
      local tmp = scratch()
      local recursive = ... == "recursive"
      for _, name in ipairs { "/tree", "/tree/below", "/place" } do assert(sys.mkdir(tmp .. name, 448)) end
      assert(sys.mount("none", tmp .. "/tree", "tmpfs"))
      assert(sys.mkdir(tmp .. "/tree/below", 448))
      assert(sys.mount("none", tmp .. "/tree/below", "tmpfs"))
      local function write(name)
        local ok, _, errno = sys.write_file(tmp .. "/place" .. name, "x", "creat", 384)
        return ok or core.errno_name(errno)
      end
      local tree = assert(sys.open_tree(tmp .. "/tree", { "clone", "recursive" }))
      local close_on_exec = read("/proc/self/fdinfo/" .. tree):match("flags:%s*(%d+)")
      assert(sys.mount_setattr(tree, recursive, "rdonly"))
      assert(sys.move_mount(tree, nil, tmp .. "/place"))
      local result = { write "/a", write "/below/b" }
      assert(sys.mount_setattr(tree, true, {}, "rdonly"))
      return result, { write "/c", write "/below/d" },
        math.floor(tonumber(close_on_exec, 8) / tonumber("2000000", 8)) % 2 == 1
    ]]

    it("open_tree, mount_setattr and move_mount: read-only to the last mount below", with_attributes(function()
      local readonly, cleared, close_on_exec = inside(ATTACH, { arguments = { "recursive" } })
      assert.same({ "EROFS", "EROFS" }, readonly)
      assert.same({ true, true }, cleared)
      assert.is_true(close_on_exec)
    end))

    it("mount_setattr that is not recursive leaves the mounts below as they were", with_attributes(function()
      assert.same({ "EROFS", true }, (inside(ATTACH, { arguments = { "top" } })))
    end))

    it("mount_setattr sets the propagation", with_attributes(function()
      local before, after = inside [[
        scratch()
        local before = mount_at("/tmp").optional
        local fd = assert(sys.open_tree "/tmp")
        assert(sys.mount_setattr(fd, false, {}, nil, "shared"))
        return before, mount_at("/tmp").optional
      ]]
      assert.equal("", before)
      assert.truthy(after:find("shared:", 1, true))
    end))

    it("mount_setattr sets one access time setting in place of another", with_attributes(function()
      local before, first, second = inside [[
        scratch()
        local fd = assert(sys.open_tree "/tmp")
        local before = mount_at("/tmp").options
        assert(sys.mount_setattr(fd, false, "noatime"))
        local first = mount_at("/tmp").options
        assert(sys.mount_setattr(fd, false, "strictatime"))
        return before, first, mount_at("/tmp").options
      ]]
      assert.truthy(before:find("relatime", 1, true))
      assert.truthy(first:find("noatime", 1, true))
      assert.is_nil(first:find("relatime", 1, true))
      assert.is_nil(second:find("atime", 1, true))
    end))

    it("fsopen, fsconfig and fsmount make a file system that no path leads to yet", needs("user_namespaces", function()
      local before, after, kind = inside [[
        own_mounts()
        local context = assert(sys.fsopen "tmpfs")
        assert(sys.fsconfig(context, "string", "mode", "0751"))
        assert(sys.fsconfig(context, "create"))
        local fd = assert(sys.fsmount(context, { "nosuid", "nodev" }))
        local before = mount_at "/mnt"
        assert(sys.move_mount(fd, nil, "/mnt"))
        local pipe = io.popen "stat -c %a /mnt"
        local mode = pipe:read "*l"
        pipe:close()
        return before or false, mode, mount_at "/mnt"
      ]]
      assert.is_false(before)
      assert.equal("751", after)
      assert.equal("tmpfs", kind.type)
      assert.truthy(kind.options:find("nosuid,nodev", 1, true))
    end))

    it("open_tree_of opens what a descriptor stands for, in this mount namespace", needs("user_namespaces", function()
      local text, stale = inside [[
        local tmp = scratch()
        assert(sys.mkdir(tmp .. "/a", 448))
        assert(sys.write_file(tmp .. "/a/marker", "of a", "creat", 384))
        local fd = assert(sys.openat2(tmp .. "/a", "path"))
        -- Whose mount namespace this is: it does not end with our leaving it.
        local stays = assert(cella.plan():exec({ "sleep", "60", stdout = "null", stderr = "null" }):spawn())
        assert(sys.unshare "mount")
        local tree = assert(sys.open_tree_of(fd, "clone"))
        assert(sys.move_mount(tree, nil, "/mnt"))
        local text = read "/mnt/marker"
        -- Somebody puts another directory there.
        os.rename(tmp .. "/a", tmp .. "/b")
        assert(sys.mkdir(tmp .. "/a", 448))
        assert(sys.mount("none", tmp .. "/b", "tmpfs"))
        local stale = select(3, sys.open_tree_of(fd))
        stays:close()
        return text, stale
      ]]
      assert.equal("of a", text)
      assert.equal("ESTALE", core.errno_name(stale))
    end))

    it("mask covers a directory with an empty one and a file with nothing", needs("user_namespaces", function()
      local before, directory, file = inside [[
        local tmp = scratch()
        for _, name in ipairs { "/d", "/empty" } do assert(sys.mkdir(tmp .. name, 493)) end
        for _, name in ipairs { "/d/inner", "/f" } do assert(sys.write_file(tmp .. name, "secret", "creat", 420)) end
        local function open(path) return assert(sys.openat2(path, "path")) end
        local before = read(tmp .. "/d/inner") .. read(tmp .. "/f")
        assert(sys.mount("none", tmp .. "/empty", "tmpfs"))
        assert(sys.mask(open(tmp .. "/d"), open "/dev/null", open(tmp .. "/empty")))
        assert(sys.mask(open(tmp .. "/f"), open "/dev/null", open(tmp .. "/empty")))
        return before, read(tmp .. "/d/inner") or "nothing", read(tmp .. "/f") or "nothing"
      ]]
      assert.equal("secretsecret", before)
      assert.equal("nothing", directory)
      assert.is_true(file == "" or file == "nothing")
    end))

    it("fsconfig_at gives a parameter the path of a descriptor", needs("user_namespaces", function()
      local text, below = inside [[
        local tmp = scratch()
        for _, name in ipairs { "/lower", "/lower/sub", "/upper", "/work", "/place" } do
          assert(sys.mkdir(tmp .. name, 493))
        end
        assert(sys.write_file(tmp .. "/lower/sub/file", "of the lower one", "creat", 420))
        local function open(name) return assert(sys.openat2(tmp .. name, "path")) end
        local context = assert(sys.fsopen "overlay")
        assert(sys.fsconfig_at(context, "lowerdir", open "/lower", "sub"))
        assert(sys.fsconfig_at(context, "upperdir", open "/upper"))
        assert(sys.fsconfig_at(context, "workdir", open "/work"))
        assert(sys.fsconfig(context, "flag", "userxattr"))
        local ok, message = sys.fsconfig(context, "create")
        if not ok then return "pending", message end
        assert(sys.move_mount((assert(sys.fsmount(context))), nil, tmp .. "/place"))
        assert(sys.write_file(tmp .. "/place/new", "x", "creat", 420))
        return read(tmp .. "/place/file"), read(tmp .. "/upper/new")
      ]]
      if text == "pending" then return pending("needs overlay in a user namespace: " .. below) end
      assert.equal("of the lower one", text)
      assert.equal("x", below)
    end))

    it("move_mount to a descriptor", needs("user_namespaces", function()
      assert.equal("tmpfs", (inside [[
        own_mounts()
        local context = assert(sys.fsopen "tmpfs")
        assert(sys.fsconfig(context, "create"))
        local fd = assert(sys.fsmount(context))
        local target = assert(sys.openat2("/mnt", "path"))
        assert(sys.move_mount(fd, target))
        return mount_at("/mnt").type
      ]]))
    end))
  end)

  describe("files:", function()
    it("mkdir and its mode, which the umask cuts", needs("user_namespaces", function()
      local previous, again, modes = inside [[
        local tmp = scratch()
        local previous = sys.umask(63)
        assert(sys.mkdir(tmp .. "/cut", 511))
        local again = sys.umask(0)
        assert(sys.mkdir(tmp .. "/whole", 511))
        local fd = assert(sys.openat2(tmp .. "/whole", { "path", "directory" }))
        assert(sys.mkdir("below", 448, fd))
        local pipe = io.popen("cd " .. tmp .. " && stat -c %a cut whole whole/below")
        local modes = pipe:read "*a"
        pipe:close()
        return previous, again, modes
      ]]
      assert.equal(tonumber(outside.sh("umask"), 8), previous)
      assert.equal(63, again)
      assert.equal("700\n777\n700\n", modes)
    end))

    it("symlink, whose target need not exist", needs("user_namespaces", function()
      assert.equal("no/such\n../file\n", (inside [[
        local tmp = scratch()
        assert(sys.symlink("no/such", tmp .. "/a"))
        local fd = assert(sys.openat2(tmp, { "path", "directory" }))
        assert(sys.symlink("../file", "b", fd))
        local pipe = io.popen("cd " .. tmp .. " && readlink a b")
        return pipe:read "*a", pipe:close()
      ]]))
    end))

    it("mknod makes a fifo, a socket and a file for anybody", needs("user_namespaces", function()
      assert.equal("fifo 600\nsocket 640\nregular empty file 644\n", (inside [[
        local tmp = scratch()
        sys.umask(0)
        assert(sys.mknod(tmp .. "/a", "fifo", 384))
        assert(sys.mknod(tmp .. "/b", "socket", 416))
        local fd = assert(sys.openat2(tmp, { "path", "directory" }))
        assert(sys.mknod("c", "file", 420, nil, nil, fd))
        local pipe = io.popen("cd " .. tmp .. " && stat -c '%F %a' a b c")
        return pipe:read "*a", pipe:close()
      ]]))
    end))

    it("mknod makes no device in a user namespace", needs("user_namespaces", function()
      local errno = inside [[return select(3, sys.mknod(scratch() .. "/null", "char", 438, 1, 3))]]
      assert.equal("EPERM", core.errno_name(errno))
    end))

    it("mknod makes a device for root", needs("root", function()
      assert.equal("character special file 1:3\nblock special file 7:ff\ncharacter special file fff:fffff\n",
        (outside.lua [[
          local tmp = scratch()
          assert(sys.mknod(tmp .. "/a", "char", 438, 1, 3))
          assert(sys.mknod(tmp .. "/b", "block", 384, 7, 255))
          assert(sys.mknod(tmp .. "/c", "char", 438, 4095, 1048575))
          local pipe = io.popen("cd " .. tmp .. " && stat -c '%F %t:%T' a b c")
          return pipe:read "*a", pipe:close()
        ]]))
    end))

    it("openat2 resolves links as the root it is given would", needs("user_namespaces", function()
      local free, confined, beneath, magic, missing = inside [[
        local tmp = scratch()
        assert(sys.mkdir(tmp .. "/root", 448))
        assert(sys.mkdir(tmp .. "/root/etc", 448))
        assert(sys.write_file(tmp .. "/root/etc/passwd", "its own", "creat", 384))
        assert(sys.symlink("/etc/passwd", tmp .. "/root/link"))
        assert(sys.symlink("/proc/self/exe", tmp .. "/root/magic"))
        local root = assert(sys.openat2(tmp .. "/root", { "path", "directory" }))
        local function try(resolve, name)
          local fd, _, errno = sys.openat2(name or "link", "rdonly", resolve, root)
          if not fd then return core.errno_name(errno) end
          local text = read("/proc/self/fd/" .. fd)
          sys.close(fd)
          return text == "its own" and text or text == read "/etc/passwd" and "the host's" or "another"
        end
        return try {}, try "in_root", try "beneath", try("no_magiclinks", "magic"), try("in_root", "none")
      ]]
      assert.equal("the host's", free)
      assert.equal("its own", confined)
      assert.equal("EXDEV", beneath)
      assert.equal("ELOOP", magic)
      assert.equal("ENOENT", missing)
    end))

    it("what is opened is closed on exec", function()
      -- Whoever started the runner may have left it some descriptors that are not closed.
      local before = outside.lua [[return open_descriptors()]]
      assert.same(before, (outside.lua [[
        for _, flags in ipairs { { "path" }, { "rdonly" }, { "rdonly", "directory" } } do
          assert(sys.openat2("/", flags))
        end
        assert(sys.open_tree "/")
        assert(sys.execve("/proc/self/exe", { portable.program, arg[0], arg[1], "return open_descriptors()" }))
      ]]))
    end)

    it("write_file writes all of the data, and makes no file unless told to", needs("user_namespaces", function()
      local missing, text, appended, mode = inside [[
        local path = scratch() .. "/file"
        local missing = select(3, sys.write_file(path, "x"))
        assert(sys.write_file(path, "a\0b\n", { "creat", "excl" }, 416))
        local text = read(path)
        assert(sys.write_file(path, ("y"):rep(100000), "append"))
        local pipe = io.popen("stat -c %a " .. path)
        local mode = pipe:read "*l"
        pipe:close()
        return missing, text, #read(path), mode
      ]]
      assert.equal("ENOENT", core.errno_name(missing))
      assert.equal("a\0b\n", text)
      assert.equal(100004, appended)
      assert.equal("640", mode)
    end))

    it("write_file that makes a file without being told its mode makes one that can be read", needs("user_namespaces",
      function()
        assert.equal("644 644\n", (inside [[
          local tmp = scratch()
          sys.umask(18)
          assert(sys.write_file(tmp .. "/a", "x", "creat"))
          assert(sys.openat2(tmp .. "/b", { "wronly", "creat" }))
          local pipe = io.popen("cd " .. tmp .. " && echo $(stat -c %a a b)")
          return pipe:read "*a", pipe:close()
        ]]))
      end))

    it("write_file refuses a /proc that is no procfs", needs("user_namespaces", function()
      local real, fake, written = inside [[
        own_mounts()
        local real = sys.write_file("/proc/self/comm", "cella-spec")
        assert(sys.mount("none", "/proc", "tmpfs"))
        assert(sys.mkdir("/proc/self", 448))
        assert(sys.chdir "/proc/self")
        assert(sys.write_file("comm", "", "creat", 384))
        local fake = select(3, sys.write_file("/proc/self/comm", "cella-spec"))
        return real, fake, read "/proc/self/comm"
      ]]
      assert.is_true(real)
      assert.equal("EXDEV", core.errno_name(fake))
      assert.equal("", written)
    end))

    it("write_file says EIO where only a part was taken", needs("user_namespaces", function()
      local errno, size = inside [[
        own_mounts()
        assert(sys.mount("none", "/mnt", "tmpfs", nil, "size=64k"))
        local errno = select(3, sys.write_file("/mnt/file", ("x"):rep(1000000), "creat", 384))
        return errno, #read "/mnt/file"
      ]]
      assert.equal("EIO", core.errno_name(errno))
      assert.is_true(size > 0 and size < 1000000)
    end))

    it("make_target makes what is missing below a root, and leaves it by no link", needs("user_namespaces", function()
      local made, file, outside_root, foreign = inside [[
        local tmp = scratch()
        sys.umask(0)
        for _, name in ipairs { "/root", "/outside", "/root/other" } do assert(sys.mkdir(tmp .. name, 448)) end
        assert(sys.mount("none", tmp .. "/root/other", "tmpfs"))
        assert(sys.symlink(tmp .. "/outside", tmp .. "/root/link"))
        local root = assert(sys.openat2(tmp .. "/root", { "path", "directory" }))
        local null = assert(sys.openat2("/dev/null", "path"))
        assert(sys.make_target("/a//b/c/", root, root))
        assert(sys.make_target("/a/b/c", root, root))
        assert(sys.make_target("/a/b/file", root, root, null))
        local escaped = sys.make_target("/link/x", root, root)
        local foreign = select(3, sys.make_target("/other/x", root, root))
        local function kind(path)
          local pipe = io.popen("stat -c %F " .. tmp .. path .. " 2>&1")
          local text = pipe:read "*l"
          pipe:close()
          return text
        end
        return kind "/root/a/b/c", kind "/root/a/b/file", kind "/outside/x", foreign
      ]]
      assert.equal("directory", made)
      assert.equal("regular empty file", file)
      assert.truthy(outside_root:find("No such file", 1, true))
      assert.equal("EXDEV", core.errno_name(foreign))
    end))

    it("make_symlink takes a link that is there already, if it says the same", needs("user_namespaces", function()
      local first, same, other, file = inside [[
        local tmp = scratch()
        local first, same = sys.make_symlink("no/such", tmp .. "/a"), sys.make_symlink("no/such", tmp .. "/a")
        assert(sys.write_file(tmp .. "/file", "x", "creat", 384))
        return first, same, select(3, sys.make_symlink("no/such/", tmp .. "/a")),
          select(3, sys.make_symlink("no/such", tmp .. "/file"))
      ]]
      assert.is_true(first)
      assert.is_true(same)
      assert.equal("EEXIST", core.errno_name(other))
      assert.equal("EINVAL", core.errno_name(file)) -- readlink(2)'s for what is no link
    end))

    it("write and fchmod, of a descriptor", needs("user_namespaces", function()
      assert.equal("604 100001\n", (inside [[
        local tmp = scratch()
        local fd = assert(sys.openat2(tmp .. "/file", { "wronly", "creat" }, nil, nil, 384))
        assert(sys.write(fd, ""))
        assert(sys.write(fd, "\0"))
        assert(sys.write(fd, ("x"):rep(100000)))
        assert(sys.fchmod(fd, 388))
        local pipe = io.popen("stat -c '%a %s' " .. tmp .. "/file")
        return pipe:read "*a", pipe:close()
      ]]))
    end))

    it("chdir_first enters the first directory that there is", needs("user_namespaces", function()
      local ok, found, none = inside [[
        local tmp = scratch()
        assert(sys.mkdir(tmp .. "/here", 448))
        assert(sys.write_file(tmp .. "/here/marker", "here", "creat", 384))
        local ok = sys.chdir_first { "/nonexistent/cella", tmp .. "/here", "/" }
        return ok, read "marker", select(3, sys.chdir_first { "/nonexistent/a", "/nonexistent/b" })
      ]]
      assert.is_true(ok)
      assert.equal("here", found)
      assert.equal("ENOENT", core.errno_name(none))
    end))

    it("lock keeps writers' locks away, until its descriptor is closed #slow", function()
      local first, second, blocked, after = outside.lua [[
        local path = os.tmpname()
        local one, other = assert(sys.openat2(path, "rdwr")), assert(sys.openat2(path, "rdwr"))
        local first, second = sys.lock(one), sys.lock(other)
        local function writer()
          return portable.execute(([=[python3 -c 'import fcntl; fcntl.lockf(open("%s", "r+"), 6)' 2>/dev/null]=])
            :format(path)) == true
        end
        local blocked = writer()
        sys.close(one)
        sys.close(other)
        local after = writer()
        os.remove(path)
        return first, second, blocked, after
      ]]
      assert.is_true(first)
      assert.is_true(second)
      assert.is_false(blocked)
      if not after then return pending("needs python3 for a second locker") end
    end)

    it("wait_for_byte takes one byte, or the end", function()
      local first, second, closed, wrong = outside.lua [[
        local reading, writing = core.pipe()
        assert(sys.write(writing:number(), "ab"))
        local first, second = sys.wait_for_byte(reading:number()), sys.wait_for_byte(reading:number())
        writing:close()
        return first, second, sys.wait_for_byte(reading:number()), select(3, sys.wait_for_byte(writing:number() or 999))
      ]]
      assert.same({ true, true, true }, { first, second, closed })
      assert.equal("EBADF", core.errno_name(wrong))
    end)

    it("fchdir", needs("user_namespaces", function()
      assert.equal("here", (inside [[
        local tmp = scratch()
        assert(sys.write_file(tmp .. "/marker", "here", "creat", 384))
        assert(sys.fchdir((assert(sys.openat2(tmp, { "path", "directory" })))))
        return read "marker"
      ]]))
    end))

    it("close, and once only", function()
      local open, closed, errno = outside.lua [[
        local fd = assert(sys.openat2("/", "path"))
        local open = core.is_open(fd)
        assert(sys.close(fd))
        return open, core.is_open(fd), select(3, sys.close(fd))
      ]]
      assert.is_true(open)
      assert.is_false(closed)
      assert.equal("EBADF", core.errno_name(errno))
    end)

    it("dup2 makes a copy that survives exec, also of a descriptor on itself", function()
      local before, after, onto_itself = outside.lua [[
        local function survives(fd)
          local flags = read("/proc/self/fdinfo/" .. fd):match("flags:%s*(%d+)")
          return math.floor(tonumber(flags, 8) / tonumber("2000000", 8)) % 2 == 0
        end
        local fd = assert(sys.openat2("/", "path"))
        assert(sys.dup2(fd, 77))
        local before, after = survives(fd), survives(77)
        assert(sys.dup2(fd, fd))
        return before, after, survives(fd)
      ]]
      assert.same({ false, true, true }, { before, after, onto_itself })
    end)

    it("close_range closes a range, or has it closed on exec", function()
      local before, closed, marked = outside.lua [[
        for number = 50, 60 do assert(sys.dup2(1, number)) end
        local function list()
          local found = {}
          for number = 49, 61 do if core.is_open(number) then found[#found + 1] = number end end
          return table.concat(found, " ")
        end
        local before = list()
        assert(sys.close_range(52, 57))
        assert(sys.close_range(58, 59, "cloexec"))
        local flags = {}
        for _, number in ipairs { 51, 58, 59, 60 } do
          flags[#flags + 1] = read("/proc/self/fdinfo/" .. number):match("flags:%s*%d-(%d)%d%d%d%d%d%d\n") or "0"
        end
        return before, list(), table.concat(flags, " ")
      ]]
      assert.equal("50 51 52 53 54 55 56 57 58 59 60", before)
      assert.equal("50 51 58 59 60", closed)
      assert.equal("0 2 2 0", marked)
    end)
  end)

  describe("IDs:", function()
    it("setresuid changes the three that are given, and leaves those that are nil", needs("several_ids", function()
      local all, some = outside.with_several_ids [[
        assert(sys.setresuid(0, 0, 5))
        local all = { sys.getresuid() }
        assert(sys.setresuid(nil, 7, nil))
        return all, { sys.getresuid() }
      ]]
      assert.same({ 0, 0, 5 }, all)
      assert.same({ 0, 7, 5 }, some)
    end))

    it("setresgid changes the three that are given, and leaves those that are nil", needs("several_ids", function()
      local all, some = outside.with_several_ids [[
        assert(sys.setresgid(1, 2, 3))
        local all = { sys.getresgid() }
        assert(sys.setresgid(nil, nil, 4))
        return all, { sys.getresgid() }
      ]]
      assert.same({ 1, 2, 3 }, all)
      assert.same({ 1, 2, 4 }, some)
    end))

    it("setresuid to another ID cannot be undone, and takes the capabilities", needs("several_ids", function()
      local before, after, back = outside.with_several_ids [[
        local before = #sys.capabilities().effective
        assert(sys.setresuid(9, 9, 9))
        return before > 0, #sys.capabilities().effective, select(3, sys.setresuid(0, 0, 0))
      ]]
      assert.is_true(before)
      assert.equal(0, after)
      assert.equal("EPERM", core.errno_name(back))
    end))

    it("setresuid to an ID without a mapping is EINVAL", needs("user_namespaces", function()
      assert.equal("EINVAL", core.errno_name((inside [[return select(3, sys.setresuid(5, 5, 5))]])))
    end))

    it("setgroups sets exactly the supplementary groups that it is given", needs("several_ids", function()
      local some, none, many = outside.with_several_ids [[
        assert(sys.setgroups { 7, 5, 6 })
        local some = sys.getgroups()
        table.sort(some)
        assert(sys.setgroups {})
        local none, list = sys.getgroups(), {}
        for i = 1, 2000 do list[i] = i end
        assert(sys.setgroups(list))
        return some, none, #sys.getgroups()
      ]]
      assert.same({ 5, 6, 7 }, some)
      assert.same({}, none)
      assert.equal(2000, many)
    end))

    it("setgroups is refused where it is denied", needs("user_namespaces", function()
      local before, errno = inside [[return read "/proc/self/setgroups", select(3, sys.setgroups {})]]
      assert.equal("deny\n", before)
      assert.equal("EPERM", core.errno_name(errno))
    end))

    it("setsid makes a session of its own, once", function()
      local before, after, again = outside.lua [[
        -- A leader of a group may not: a child is none.
        local inner = "local sys = require 'cella.core'.sys"
          .. " local function session()"
          .. " return tonumber(io.open('/proc/self/stat'):read('*a'):match('%) %S+ %S+ %S+ (%d+)')) end"
          .. " print(session() == sys.getpid(), sys.setsid(), session() == sys.getpid(), (select(3, sys.setsid())))"
        local result = assert(cella.plan():exec({ portable.program, "-e", inner, stdout = "capture" }):run())
        return result.stdout:match("^(%S+)\ttrue\t(%S+)\t(%d+)\n$")
      ]]
      assert.equal("false", before)
      assert.equal("true", after)
      assert.equal("EPERM", core.errno_name(tonumber(again)))
    end)
  end)

  describe("capabilities:", function()
    it("capset sets the three sets, and nothing comes back", needs("user_namespaces", function()
      local sets, errno = inside [[
        assert(sys.capset({ "chown" }, { "chown", "kill" }, { "net_raw" }))
        local sets = sys.capabilities()
        return { sets.effective, sets.permitted, sets.inheritable },
          select(3, sys.capset({ "chown" }, { "chown", "kill", "net_raw" }, {}))
      ]]
      assert.same({ { "chown" }, { "chown", "kill" }, { "net_raw" } }, sets)
      assert.equal("EPERM", core.errno_name(errno))
    end))

    it("names are as in man pages, with or without cap_, in any case, or numbers", needs("user_namespaces", function()
      assert.same({ "chown", "kill", "net_raw", "wake_alarm" }, (inside [[
        assert(sys.capset("none", { "CAP_CHOWN", 5, "cap_net_raw", "Wake_Alarm" }, "none"))
        return sys.capabilities().permitted
      ]]))
    end))

    it("capbset_drop drops each of a list, and no other", needs("user_namespaces", function()
      local count, after, effective, again = inside [[
        local before = sys.capabilities().bounding
        assert(sys.capbset_drop { "sys_admin", "chown" })
        local after = set(sys.capabilities().bounding)
        assert(sys.capbset_drop { "sys_admin" })
        return #before - #sys.capabilities().bounding, after.sys_admin or after.chown or false,
          set(sys.capabilities().effective).sys_admin, after.kill
      ]]
      assert.equal(2, count)
      assert.is_false(after)
      assert.is_true(effective) -- the bounding set is about exec
      assert.is_true(again)
    end))

    it("all and a leading minus name the rest", needs("user_namespaces", function()
      assert.same({ "chown", "net_raw" }, (inside [[
        assert(sys.capbset_drop { "all", "-chown", "-cap_net_raw" })
        return sys.capabilities().bounding
      ]]))
    end))

    it("ambient_raise, ambient_lower and ambient_clear", needs("user_namespaces", function()
      local refused, raised, lowered, cleared = inside [[
        local refused = select(3, sys.ambient_raise "chown")
        assert(sys.capset("all", "all", { "chown", "kill", "net_raw" }))
        assert(sys.ambient_raise { "chown", "kill", "net_raw" })
        local raised = sys.capabilities().ambient
        assert(sys.ambient_lower "kill")
        local lowered = sys.capabilities().ambient
        assert(sys.ambient_clear())
        return refused, raised, lowered, sys.capabilities().ambient
      ]]
      assert.equal("EPERM", core.errno_name(refused))
      assert.same({ "chown", "kill", "net_raw" }, raised)
      assert.same({ "chown", "net_raw" }, lowered)
      assert.same({}, cleared)
    end))

    it("securebits sets exactly those given, and a lock cannot be undone", needs("user_namespaces", function()
      local before, first, second, errno = inside [[
        local before = sys.get_securebits()
        assert(sys.securebits { "noroot", "no_setuid_fixup", "keep_caps" })
        local first = sys.get_securebits()
        assert(sys.securebits { "noroot", "noroot_locked" })
        return before, first, sys.get_securebits(), select(3, sys.securebits {})
      ]]
      assert.same({}, before)
      assert.same({ "noroot", "no_setuid_fixup", "keep_caps" }, first)
      assert.same({ "noroot", "noroot_locked" }, second)
      assert.equal("EPERM", core.errno_name(errno))
    end))

    it("keep_caps lets an ID switch leave the permitted set", needs("several_ids", function()
      local with, effective, without, on = outside.with_several_ids [[
        local function kept(on)
          local plan = cella.plan():keep_caps(on):setresuid(9, 9, 9)
          plan:expect_capabilities("none", on and sys.capabilities().permitted or "none", "none",
            sys.capabilities().bounding, "none")
          local result, err = plan:exec({ "true" }):run()
          return result and result.code or err.op .. " " .. err.code
        end
        assert(sys.keep_caps(true))
        return kept(true), 0, kept(false), table.concat(sys.get_securebits(), " ")
      ]]
      assert.equal(0, with)
      assert.equal(effective, without)
      assert.equal("keep_caps", on)
    end))

    it("no_new_privs", function()
      local before, returned, after, in_status = outside.lua [[
        return sys.get_no_new_privs(), sys.no_new_privs(), sys.get_no_new_privs(), status "NoNewPrivs"
      ]]
      assert.same({ false, true, true, "1" }, { before, returned, after, in_status })
    end)
  end)

  describe("the process:", function()
    it("dumpable", function()
      local before, off, on = outside.lua [[
        local before = sys.get_dumpable()
        assert(sys.dumpable(false))
        local off = sys.get_dumpable()
        assert(sys.dumpable(true))
        return before, off, sys.get_dumpable()
      ]]
      assert.same({ true, false, true }, { before, off, on })
    end)

    it("seccomp filters the system calls that follow, of this process and of what it starts", function()
      local before, refused, after, empty, torn = outside.lua [[
        -- Loads the number of the call; 83 and 258 are mkdir and mkdirat on x86_64, 34 mkdirat on aarch64: EROFS (30).
        local instruction = portable.instruction
        local filter = instruction(0x20, 0, 0, 0) .. instruction(0x15, 2, 0, 83) .. instruction(0x15, 1, 0, 258)
          .. instruction(0x06, 0, 0, 0x7fff0000) .. instruction(0x06, 0, 0, 0x00050000 + 30)
        local empty, torn = select(3, sys.seccomp ""), select(3, sys.seccomp(filter:sub(1, -2)))
        local path = os.tmpname()
        os.remove(path)
        local before = sys.mkdir(path, 448)
        assert(os.remove(path))
        assert(sys.no_new_privs())
        assert(sys.seccomp(filter))
        local _, _, refused = sys.mkdir(path, 448)
        return before, refused, not portable.execute("mkdir " .. path .. " 2>/dev/null"), empty, torn
      ]]
      if outside.sh("uname -m") ~= "x86_64\n" then return pending("the filter of this spec is for x86_64") end
      assert.is_true(before)
      assert.equal("EROFS", core.errno_name(refused))
      assert.is_true(after)
      assert.equal("EINVAL", core.errno_name(empty))
      assert.equal("EINVAL", core.errno_name(torn))
    end)

    it("setrlimit sets the soft and the hard limit", function()
      local nofile, core_size, fsize, wrong = outside.lua [[
        assert(sys.setrlimit("nofile", 61, 1000))
        assert(sys.setrlimit("core", 0, 5))
        local same, hard = sys.getrlimit "fsize"
        assert(sys.setrlimit("fsize", same, hard))
        local function limit(name) return read "/proc/self/limits":match(name .. "%s+(%w+%s+%w+)"):gsub("%s+", " ") end
        return limit "Max open files", limit "Max core file size", { sys.getrlimit "fsize" },
          select(3, sys.setrlimit("nofile", 1000, 999))
      ]]
      assert.equal("61 1000", nofile)
      assert.equal("0 5", core_size)
      assert.same({ outside.sh("ulimit -S -f"):match("%w+"), outside.sh("ulimit -H -f"):match("%w+") },
        { tostring(fsize[1]), tostring(fsize[2]) })
      assert.equal("EINVAL", core.errno_name(wrong))
    end)

    it("setrlimit knows every resource of the kernel", function()
      local table_of_names = outside.lua [[
        local names = {}
        for _, name in ipairs { "cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock", "as",
          "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime" } do
          local soft, hard = assert(sys.getrlimit(name))
          assert(sys.setrlimit(name, soft, hard))
          names[#names + 1] = name
        end
        local lines = select(2, read "/proc/self/limits":gsub("\n", "\n")) - 1
        return #names == lines
      ]]
      assert.is_true(table_of_names)
    end)

    it("sigdefault and sigunblock undo what exec would hand on", needs("block_signal", function()
      local before, after = outside.lua([[
        local function masks() return status "SigBlk" .. " " .. status "SigIgn" end
        local before = masks()
        assert(sys.sigdefault { "usr2", 64 })
        assert(sys.sigunblock())
        return before, masks()
      ]], { prefix = "env --block-signal=USR1 --ignore-signal=USR2 --ignore-signal=RTMAX --ignore-signal=HUP" })
      local function has(mask, ...)
        local list = {}
        for i, number in ipairs { ... } do list[i] = portable.has_bit(mask, number - 1) end
        return list
      end
      local usr1, usr2, hup, last = 10, 12, 1, 64
      local blocked, ignored = before:match("(%x+) (%x+)")
      assert.same({ true }, has(blocked, usr1))
      assert.same({ true, true, true }, has(ignored, usr2, last, hup))
      blocked, ignored = after:match("(%x+) (%x+)")
      assert.equal(("0"):rep(16), blocked)
      assert.same({ false, false, true }, has(ignored, usr2, last, hup))
    end))

    it("pdeathsig is the signal that the process gets when its parent ends", function()
      local tied, free = outside.lua [==[
        -- Two children of a shell, of which one is tied to it. Each says who it is.
        local path = os.tmpname()
        local function child(name, first)
          return ("%s -e \"%s local f = io.open([[%s.%s]], [[w]])"
            .. " f:write(require [[cella.core]].sys.getpid(), [[;]]) f:close()"
            .. " require [[cella.core]].poll({}, 60)\" & "):format(portable.program, first, path,
            name)
        end
        local pipe = assert(io.popen("sh -c 'echo $$; "
          .. child("tied", "require [[cella.core]].sys.pdeathsig [[kill]]") .. child("free", "") .. " wait'"))
        local shell, pids = pipe:read "*n", {}
        for _, name in ipairs { "tied", "free" } do
          wait_for(function()
            pids[name] = tonumber((read(path .. "." .. name) or ""):match "^(%d+);")
            return pids[name]
          end)
          os.remove(path .. "." .. name)
        end
        os.remove(path)
        os.execute("kill -9 " .. shell)
        wait_for(function() return not runs(pids.tied) end)
        local free = runs(pids.free)
        os.execute("kill -9 " .. pids.free)
        pipe:close()
        return runs(pids.tied) or false, free
      ]==]
      assert.is_false(tied)
      assert.is_true(free)
    end)

    it("execve becomes another program, of the first path that there is, with its environment", function()
      local output, status = outside.lua([[
        assert(sys.execve({ "/nonexistent/sh", "/bin/sh" }, { "zero", "-c", 'echo "$0 $1 $A $HOME"', "one", "two" },
          { "A=b c" }))
      ]], { output = true })
      assert.equal("one two b c \n", output)
      assert.equal(0, status)
    end)

    it("execve hands on the environment as it is where none is given", function()
      local output = outside.lua([[assert(sys.execve("/bin/sh", { "sh", "-c", 'echo "$CELLA_SPEC"' }))]],
        { output = true, prefix = "env CELLA_SPEC='x  y'" })
      assert.equal("x  y\n", output)
    end)

    it("execve that fails returns, with what distinguishes a missing program from a missing interpreter", function()
      local missing, interpreter, denied = outside.lua [[
        local path = os.tmpname()
        local file = io.open(path, "w")
        file:write "#!/nonexistent/interpreter\n"
        file:close()
        local denied = select(3, sys.execve(path, { "x" }))
        os.execute("chmod 700 " .. path)
        local interpreter = select(3, sys.execve(path, { "x" }))
        os.remove(path)
        return select(3, sys.execve({ "/nonexistent/a", "/etc/passwd/b" }, { "x" })), interpreter, denied
      ]]
      assert.truthy(({ ENOENT = true, ENOTDIR = true })[core.errno_name(missing)])
      assert.equal("ELIBACC", core.errno_name(interpreter))
      assert.equal("EACCES", core.errno_name(denied))
    end)
  end)

  describe("what is expected is looked up, and anything else is ENOTRECOVERABLE:", function()
    local function differs(errno)
      assert.equal("ENOTRECOVERABLE", core.errno_name(errno))
    end

    it("expect_ids, all four of each", needs("several_ids", function()
      local right, wrong = outside.with_several_ids [[
        local wrong = {}
        local function differs(...) wrong[#wrong + 1] = select(3, sys.expect_ids(...)) or "as asked" end
        local right = { sys.expect_ids(0, 0) }
        differs(0, 5)
        differs(5, 0)
        assert(sys.setresgid(0, 0, 3))
        differs(0, 0)
        assert(sys.setresgid(0, 0, 0))
        assert(sys.setresuid(3, 0, 0))
        differs(0, 0)
        assert(sys.setresuid(0, 0, 3))
        differs(0, 0)
        return right[1], wrong
      ]]
      assert.is_true(right)
      assert.equal(5, #wrong)
      for _, errno in ipairs(wrong) do differs(errno) end
    end))

    it("expect_groups, in any order", needs("several_ids", function()
      local right, fewer, more, other, none = outside.with_several_ids [[
        assert(sys.setgroups { 5, 6, 7 })
        local right = sys.expect_groups { 7, 6, 5 }
        local fewer, more, other = select(3, sys.expect_groups { 5, 6 }), select(3, sys.expect_groups { 5, 6, 7, 8 }),
          select(3, sys.expect_groups { 5, 6, 8 })
        assert(sys.setgroups {})
        return right, fewer, more, other, sys.expect_groups {}
      ]]
      assert.is_true(right)
      assert.is_true(none)
      for _, errno in ipairs { fewer, more, other } do differs(errno) end
    end))

    it("expect_capabilities, each of the five sets", needs("user_namespaces", function()
      local right, wrong = inside [[
        assert(sys.capbset_drop { "syslog" })
        assert(sys.capset({ "chown" }, { "chown", "kill" }, { "kill" }))
        assert(sys.ambient_raise "kill")
        local sets = { { "chown" }, { "chown", "kill" }, { "kill" }, { "all", "-syslog" }, { "kill" } }
        local right = sys.expect_capabilities(unpack(sets))
        local wrong = {}
        for i = 1, 5 do
          for _, other in ipairs { "none", "all", { "chown", "kill", "syslog" } } do
            local copy = { unpack(sets) }
            copy[i] = other
            wrong[#wrong + 1] = select(3, sys.expect_capabilities(unpack(copy))) or "as asked"
          end
        end
        return right, wrong
      ]]
      assert.is_true(right)
      assert.equal(15, #wrong)
      for _, errno in ipairs(wrong) do differs(errno) end
    end))

    it("expect_securebits", needs("user_namespaces", function()
      local right, fewer, more = inside [[
        assert(sys.securebits { "noroot" })
        return sys.expect_securebits { "noroot" }, select(3, sys.expect_securebits {}),
          select(3, sys.expect_securebits { "noroot", "keep_caps" })
      ]]
      assert.is_true(right)
      differs(fewer)
      differs(more)
    end))

    it("expect_no_new_privs", function()
      local off, wrong_on, on, wrong_off = outside.lua [[
        local off, wrong_on = sys.expect_no_new_privs(false), select(3, sys.expect_no_new_privs(true))
        assert(sys.no_new_privs())
        return off, wrong_on, sys.expect_no_new_privs(true), select(3, sys.expect_no_new_privs(false))
      ]]
      assert.is_true(off)
      assert.is_true(on)
      differs(wrong_on)
      differs(wrong_off)
    end)

    it("expect_namespace, in a /proc that is not mounted there", function()
      local same, not_same, missing = outside.lua [[
        local inode, proc = sys.namespace "uts", assert(core.open("/proc", { "path", "directory" }))
        return sys.expect_namespace("self/ns/uts", inode, true, proc:number()),
          select(3, sys.expect_namespace("self/ns/uts", inode + 1, true, proc:number())),
          select(3, sys.expect_namespace("self/ns/uts", inode, true, 9999))
      ]]
      assert.is_true(same)
      differs(not_same)
      assert.equal("EBADF", core.errno_name(missing))
    end)

    it("expect_namespace, that it is one or is another", function()
      local same, not_same, other, not_other, missing = outside.lua [[
        local link, inode = "/proc/self/ns/uts", sys.namespace "uts"
        return sys.expect_namespace(link, inode, true), select(3, sys.expect_namespace(link, inode, false)),
          sys.expect_namespace(link, inode + 1, false), select(3, sys.expect_namespace(link, inode + 1, true)),
          select(3, sys.expect_namespace("/proc/self/ns/nonesuch", inode, false))
      ]]
      assert.is_true(same)
      assert.is_true(other)
      differs(not_same)
      differs(not_other)
      assert.equal("ENOENT", core.errno_name(missing))
    end)

    it("expect_map, number by number", needs("several_ids", function()
      local right, wrong = outside.with_several_ids [[
        local text = read "/proc/self/uid_map":gsub("^%s+", ""):gsub("[ \t]+", " "):gsub("\n ", "\n"):gsub("\n$", "")
        local wrong = {}
        for _, other in ipairs { "", text .. "\n7 7 7", text .. " 1", (text:gsub("%d+$", "")), "1" .. text } do
          wrong[#wrong + 1] = select(3, sys.expect_map("/proc/self/uid_map", other)) or "as asked"
        end
        return sys.expect_map("/proc/self/uid_map", text), wrong
      ]]
      assert.is_true(right)
      assert.equal(5, #wrong)
      for _, errno in ipairs(wrong) do differs(errno) end
    end))

    it("expect_node, its type and both numbers", function()
      local right, wrong = outside.lua [[
        local null = assert(sys.openat2("/dev/null", "path"))
        local wrong = {}
        for _, other in ipairs { { "char", 1, 5 }, { "char", 2, 3 }, { "block", 1, 3 }, { "file", 1, 3 } } do
          wrong[#wrong + 1] = select(3, sys.expect_node(null, unpack(other))) or "as asked"
        end
        return sys.expect_node(null, "char", 1, 3), wrong
      ]]
      assert.is_true(right)
      assert.equal(4, #wrong)
      for _, errno in ipairs(wrong) do differs(errno) end
    end)

    it("expect_same_filesystem, by EXDEV", needs("user_namespaces", function()
      local same, other = inside [[
        local tmp = scratch()
        assert(sys.mkdir(tmp .. "/a", 448))
        assert(sys.mkdir(tmp .. "/b", 448))
        assert(sys.mount("none", tmp .. "/b", "tmpfs"))
        local function open(name) return assert(sys.openat2(tmp .. name, "path")) end
        local top = open "/"
        return sys.expect_same_filesystem(top, open "/a"), select(3, sys.expect_same_filesystem(top, open "/b"))
      ]]
      assert.is_true(same)
      assert.equal("EXDEV", core.errno_name(other))
    end))

    it("expect_not_root, under whatever name", needs("user_namespaces", function()
      local other, root, link, bound = inside [[
        local tmp = scratch()
        assert(sys.mkdir(tmp .. "/a", 448))
        assert(sys.symlink("/", tmp .. "/link"))
        assert(sys.mkdir(tmp .. "/b", 448))
        assert(sys.mount("/", tmp .. "/b", nil, { "bind", "rec" }))
        local function open(name) return assert(sys.openat2(name, "path")) end
        local function errno(name) return select(3, sys.expect_not_root(open(name))) end
        return sys.expect_not_root(open(tmp .. "/a")), errno "/", errno(tmp .. "/link"), errno(tmp .. "/b")
      ]]
      assert.is_true(other)
      differs(root)
      differs(link)
      differs(bound)
    end))

    it("expect_root, that the root is a certain mount, with nothing over it", needs("user_namespaces", function()
      local before, pivoted, stacked = inside [[
        local tmp = scratch()
        local before = select(3, sys.expect_root((assert(sys.openat2(tmp, "path")))))
        assert(sys.chdir(tmp))
        local root = assert(sys.openat2(tmp, "path"))
        assert(sys.pivot_root(".", "."))
        local stacked = select(3, sys.expect_root(root)) or "as asked"
        assert(sys.umount2(".", "detach"))
        assert(sys.chdir "/")
        return before, sys.expect_root(root), stacked
      ]]
      differs(before)
      differs(stacked)
      assert.is_true(pivoted)
    end))

    it("expect_no_user_namespaces, in a plan", needs("user_namespaces", function()
      local allowed, forbidden = outside.as_namespace_root [[
        local function try()
          local result, err = cella.plan():expect_no_user_namespaces():exec({ "true" }):run()
          return result and result.code or err.code
        end
        local allowed = try()
        assert(sys.write_file("/proc/sys/user/max_user_namespaces", "0"))
        return allowed, try()
      ]]
      assert.equal("ENOTRECOVERABLE", allowed)
      assert.equal(0, forbidden)
    end))

    it("expect_cwd, that there is a way to it from the root", needs("user_namespaces", function()
      local right, wrong = inside [[
        local tmp = scratch()
        assert(sys.mkdir(tmp .. "/root", 448))
        local right = sys.expect_cwd()
        assert(sys.chdir(tmp))
        assert(sys.chroot(tmp .. "/root"))
        return right, select(3, sys.expect_cwd())
      ]]
      assert.is_true(right)
      differs(wrong)
    end))
  end)

  describe("a process with a second thread", function()
    local CREDENTIALS = {
      unshare = { "uts" }, setns = { 0 }, setgroups = { {} }, setresuid = { 0, 0, 0 }, setresgid = { 0, 0, 0 },
      capset = { "none", "none", "none" }, capbset_drop = { "all" }, ambient_raise = { "chown" },
      ambient_lower = { "chown" }, ambient_clear = {}, securebits = { "noroot" }, no_new_privs = {},
      seccomp = { "12345678" }, keep_caps = { true }, deny_keys = {}, join_session_keyring = {},
    }
    local library, problem

    setup(function() library, problem = helper.library() end)

    for name, arguments in pairs(CREDENTIALS) do
      it(("is refused %s, which would change one thread alone"):format(name), function()
        if not library then return pending(problem) end
        local result, message, errno, after = outside.lua([[
          local library, name = ...
          local arguments = portable.load("return " .. select(3, ...))()
          host(library, "start_thread")
          local before = snapshot()
          local result, message, errno = sys[name](unpack(arguments))
          return result, message, errno, changes(before, snapshot())
        ]], { arguments = { library, name, require("spec.support.literal").write(arguments) } })
        assert.is_nil(result)
        assert.truthy(message:find(name .. ": this process has 2 threads", 1, true), message)
        assert.equal("EINVAL", core.errno_name(errno))
        assert.same({}, after)
      end)
    end

    it("may do all else, and in a plan that too", function()
      if not library then return pending(problem) end
      local mask, code = outside.lua([[
        host(..., "start_thread")
        assert(sys.umask(63))
        return sys.umask(0), assert(cella.plan():no_new_privs():exec({ "sh", "-c",
          "grep -q '^NoNewPrivs:.1' /proc/self/status && exit 7" }):run()).code
      ]], { arguments = { library } })
      assert.equal(63, mask)
      assert.equal(7, code)
    end)
  end)
end)
