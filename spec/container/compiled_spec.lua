-- What of a container's plan is kept between starts: only while the host would be told the same again.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local host = require "cella.host"
local outside = require "spec.support.outside"
local policy = require "cella.policy"
local trial = require "spec.support.trial"
local unchanged = require "cella.host.unchanged"

local needs = able.needs(function(reason) pending(reason) end)

local function kept(box) return box.description.compiled end

-- How often the host is asked anything while `call` is executed, by whatever way a plan could.
local function questions(call)
  local count, restore = 0, {}
  local function spy(from, name)
    local original = from[name]
    restore[#restore + 1] = function() from[name] = original end
    from[name] = function(...)
      count = count + 1
      return original(...)
    end
  end
  for _, name in ipairs { "inode", "file_status", "readlink", "open", "same_file", "is_executable", "user_name" } do
    spy(core, name)
  end
  for name in pairs(core.sys) do
    if name ~= "getpid" then spy(core.sys, name) end -- by which a state says whose it is
  end
  spy(core.caps, "sets")
  spy(core.caps, "effective")
  spy(io, "open")
  local ok, err = pcall(call)
  for _, undo in ipairs(restore) do undo() end
  assert(ok, tostring(err))
  return count
end

local ROOM = { type = "tmpfs", destination = "/room" }
local BOXES = {
  ["a default one"] = function() return {} end,
  ["one with the host's root"] = function() return { root = "/" } end,
  ["one with the host's network"] = function() return { namespaces = { net = "host" } } end,
  ["one that keeps a capability"] = function() return { capabilities = { "chown" } } end,
  ["one with limits, hooks and mounts"] = function(directory)
    return { ids = policy.root(), rlimits = { nofile = 50 }, hooks = { created = function() end }, mounts = { ROOM,
      { type = "bind", source = directory, destination = "/room/here" },
      { type = "overlay", lower = { "/etc" }, upper = "tmpfs", destination = "/room/etc" } } }
  end,
}

describe("a plan that is kept", function()
  local directory
  before_each(function() directory = trial.directory() end)
  after_each(function() trial.remove_directory(directory) end)

  for name, describe_box in pairs(BOXES) do
    it("rests on the facts of the host alone, of " .. name, needs("user_namespaces", function()
      local box = cella.container(describe_box(directory))
      local first = tostring(assert(box:plan { "true" }))
      local facts = assert(kept(box), "it is kept").host
      local again
      box.description.compiled = nil
      -- What a command asks for itself: which of its streams are open.
      assert.equal(0, questions(function() again = tostring(assert(box.build(box.description, { "true" }, facts))) end))
      assert.equal(first, again)
      box.description.compiled = nil
      assert.not_equal(0, questions(function() assert(box:plan { "true" }) end)) -- the control
    end))
  end

  it("is the same plan, and is the one that runs", needs("user_namespaces", function()
    local box = cella.container { hostname = "kept" }
    local first = tostring(assert(box:plan { "true" }))
    local compiled = kept(box)
    assert.equal(first, tostring(assert(box:plan { "true" })))
    assert.equal("kept\n", assert(box:run { "hostname", stdout = "capture" }).stdout)
    assert.equal(compiled, kept(box))
    local twin = cella.container { hostname = "kept", ids = box.description.ids }
    assert.equal(first, tostring(assert(twin:plan { "true" })))
  end))

  it("can be prepared before the first start", needs("user_namespaces", function()
    local box = cella.container { hostname = "ready" }
    assert.is_nil(kept(box))
    assert.is_true(box:prepare())
    local compiled = assert(kept(box))
    assert.equal("ready\n", assert(box:run { "hostname", stdout = "capture" }).stdout)
    assert.equal(compiled, kept(box))
    local ok, err = cella.container { ids = function() return nil, "no maps today" end }:prepare()
    assert.is_nil(ok)
    assert.truthy(tostring(err):find("no maps today", 1, true))
  end))

  it("ends where a command goes on from it", needs("user_namespaces", function()
    local box = cella.container {}
    local one, other = assert(box:plan { "true" }), assert(box:plan { "echo", "x", stdin = "pipe" })
    assert.truthy(tostring(one):find('execve({"/usr/local/sbin/true"', 1, true))
    assert.is_nil(tostring(one):find("echo", 1, true))
    assert.truthy(tostring(other):find('"echo"', 1, true))
    local ok, err = pcall(kept(box).plan.no_new_privs, kept(box).plan)
    assert.is_false(ok)
    assert.truthy(tostring(err):find("other plans go on from this one", 1, true))
  end))

  it("is made anew with another working directory", needs("user_namespaces", function()
    local box = cella.container { cwd = "/usr" }
    assert.equal("/usr\n", assert(box:run { "pwd", stdout = "capture" }).stdout)
    assert.equal("/etc\n", assert(box:run { "pwd", stdout = "capture", cwd = "/etc" }).stdout)
    assert.equal("/usr\n", assert(box:run { "pwd", stdout = "capture" }).stdout)
  end))

  it("is not kept where a policy of the caller's, a number or a namespace of others decides", function()
    local number = 0
    local function mine(facts)
      number = number + 1
      return policy.root()(facts)
    end
    local box = cella.container { ids = mine }
    assert(box:plan { "true" })
    assert(box:plan { "true" })
    assert.is_nil(kept(box))
    assert.equal(2, number)
    box = cella.container { mounts = { { type = "bind", source = { fd = 0 }, destination = "/x" } } }
    assert(box:plan { "true" })
    assert.is_nil(kept(box))
    box = cella.container { namespaces = { net = "/proc/self/ns/net" } }
    assert(box:plan { "true" })
    assert.is_nil(kept(box))
    box = cella.container { ids = policy.root() } -- the control
    assert(box:plan { "true" })
    assert.truthy(kept(box))
  end)

  -- What is none of the value's.
  local function other_than(value)
    if type(value) == "boolean" then return not value end
    if type(value) == "number" then return value + 1 end
    if type(value) == "string" then return value .. "x" end
    return { "another" }
  end

  it("is not used once a fact on which it rests has changed, whichever", needs("user_namespaces", function()
    local box = cella.container { capabilities = { "chown" }, root = "/", mounts = { ROOM,
      { type = "overlay", lower = { "/etc" }, upper = "tmpfs", destination = "/room/etc" } } }
    assert(box:plan { "true" })
    local facts, seen = assert(kept(box)).host, 0
    assert.is_true(unchanged.are_still(facts, host.facts())) -- the control
    for name, value in pairs(facts) do
      local derived = name == "capabilities" or name == "bounding" or name == "ambient" or name == "problems"
      if type(name) == "string" and not derived then
        local now = host.facts()
        rawset(now, name, other_than(value))
        assert.is_false(unchanged.are_still(facts, now), name)
        seen = seen + 1
      end
    end
    assert.is_true(seen > 15)
    for _, name in ipairs { "effective", "sets" } do
      local original = core.caps[name]
      local answer = original()
      core.caps[name] = function()
        if name == "effective" then return -answer end
        return { effective = -answer.effective, permitted = answer.permitted, inheritable = answer.inheritable,
          bounding = answer.bounding, ambient = answer.ambient }
      end
      local still = unchanged.are_still(facts, host.facts())
      core.caps[name] = original
      assert.is_false(still, name)
    end
  end))

  it("is not known quickly to hold once a fact on which it rests has changed, whichever", needs("user_namespaces",
    function()
      local box = cella.container { capabilities = { "chown" }, ids = policy.root(), rlimits = { nofile = 50 },
        mounts = { ROOM, { type = "bind", source = "/etc", destination = "/room/etc", readonly = true } } }
      assert(box:plan { "true" })
      local facts, seen = assert(kept(box)).host, 0
      -- What it was then is changed in place of what it is now.
      local function check(list, name, what)
        local value = list[name]
        rawset(list, name, other_than(value))
        assert.is_false(unchanged.are_unchanged(facts), what)
        rawset(list, name, value)
        seen = seen + 1
      end
      assert.is_true(unchanged.are_unchanged(facts)) -- the control
      local names = {}
      for name, value in pairs(facts) do names[#names + 1] = { name, value } end
      for _, pair in ipairs(names) do
        local name, value = pair[1], pair[2]
        local derived = name == "capabilities" or name == "bounding" or name == "ambient"
        local is_fact = not derived and (type(name) == "string" or type(value) ~= "boolean")
        local asked_one_by_one = name == "files" or name == "namespaces" or name == "limits"
        if is_fact and not asked_one_by_one then check(facts, name, tostring(name)) end
        if asked_one_by_one then
          local keys = {}
          for key in pairs(value) do keys[#keys + 1] = key end
          for _, key in ipairs(keys) do check(value, key, name .. ": " .. key) end
        end
      end
      assert.is_true(seen > 25, tostring(seen))
      for path, known in pairs(facts.files) do
        for _, field in ipairs { "type", "mode", "uid", "gid", "inode", "device" } do
          check(known, field, path .. ": " .. field)
        end
      end
      rawset(facts, "kernel", { major = 1, minor = 0 }) -- what is not among them is for the other way to compare
      assert.is_false(unchanged.are_unchanged(facts))
    end))

  it("is not used where there is something now that was not there", needs("user_namespaces", function()
    local box = cella.container {}
    local facts = host.facts()
    assert.is_nil(facts.nothing)
    assert(box.build(box.description, { "true" }, facts))
    local now = host.facts()
    assert.is_true(unchanged.are_still(facts, now))
    local absent = host.facts { root_uid = nil }
    rawset(absent, "resolver", "/run/x")
    assert.equal(facts.resolver == "/run/x", unchanged.are_still(facts, absent))
  end))
end)

describe("between two starts", function()
  it("the caller's IDs change", needs("root", function()
    local first, second = outside.lua [[
      local box = cella.container { ids = cella.policy.root() }
      local first = assert(box:run { "cat", "/proc/self/uid_map", stdout = "capture" }).stdout
      assert(sys.setresgid(4321, 4321, 4321))
      assert(sys.setresuid(1234, 1234, 1234))
      assert(sys.dumpable(true))
      return first, assert(box:run { "cat", "/proc/self/uid_map", stdout = "capture" }).stdout
    ]]
    assert.matches("^ +0 +0 +1\n$", first)
    assert.matches("^ +0 +1234 +1\n$", second)
  end))

  it("the caller's groups, securebits and other attributes change", needs("root", function()
    assert.is_true(outside.lua [[
      local function plan(box) return tostring(assert(box:plan { "true" })) end
      local function check(change)
        local box = cella.container { capabilities = { "chown" }, namespaces = { user = "host" },
          rlimits = { nofile = 150 } }
        local before, kept = plan(box), box.description.compiled
        assert(plan(box) == before and box.description.compiled == kept)
        change()
        local after = plan(box)
        assert(box.description.compiled ~= kept)
        assert(after == plan(cella.container { capabilities = { "chown" }, namespaces = { user = "host" },
          rlimits = { nofile = 150 } }))
      end
      check(function() assert(sys.setgroups { 5, 6 }) end)
      check(function() assert(sys.thp_disable(true)) end)
      check(function() assert(sys.setrlimit("nofile", 100, 200)) end)
      check(function() assert(sys.unshare "net") end)
      check(function() assert(sys.securebits { "keep_caps" }) end)
      check(function() assert(sys.capbset_drop { "net_raw" }) end)
      return true
    ]])
  end))

  it("the owner of what it is given changes", needs("root", function()
    local first, second, third = outside.lua [[
      local directory = os.tmpname()
      os.remove(directory)
      assert(sys.mkdir(directory, 511))
      local box = cella.container { mounts = { { type = "bind", source = directory, destination = "/x" } } }
      local function mode(bits)
        local fd = assert(core.open(directory, "rdonly"))
        assert(sys.fchmod(fd:number(), bits))
        fd:close()
      end
      mode(511)
      local function try()
        local result, err = box:run { "touch", "/x/y" }
        return result and result.code or err.code
      end
      local first = try()
      mode(448)
      local second = try()
      mode(511)
      local third = try()
      os.remove(directory .. "/y")
      os.remove(directory)
      return first, second, third
    ]]
    assert.equal(0, first)
    assert.equal("EACCES", second)
    assert.equal(0, third)
  end))

  it("a mount makes of a source the host's root", needs("user_namespaces", function()
    local first, second = outside.as_namespace_root([[
      local box = cella.container { ids = cella.policy.root(),
        mounts = { { type = "bind", source = "/srv", destination = "/x", readonly = true } } }
      local function plan() return tostring(assert(box:plan { "true" })) end
      local first = plan()
      assert(sys.mount("/", "/srv", nil, { "bind", "rec" }))
      local second = plan()
      return select(2, first:gsub("expect_not_root", "")), first ~= second
    ]], { prefix = "unshare --mount" })
    assert.equal(0, first)
    assert.is_true(second)
  end))

  it("a directory of the host's root comes and goes", needs("user_namespaces", function()
    local before, with, after, kept_first, kept_later = outside.as_namespace_root([[
      -- A host of its own, with a root that it may write to.
      assert(sys.mount("none", "/mnt", "tmpfs"))
      for _, name in ipairs { "usr", "etc", "proc", "dev", "tmp", "mnt" } do assert(sys.mkdir("/mnt/" .. name, 493)) end
      for _, name in ipairs { "usr", "etc", "proc", "dev", "tmp" } do
        assert(sys.mount("/" .. name, "/mnt/" .. name, nil, { "bind", "rec" }))
      end
      for _, name in ipairs { "bin", "sbin", "lib", "lib64" } do
        local link = core.readlink("/" .. name)
        if link then assert(sys.symlink(link, "/mnt/" .. name)) end
      end
      assert(sys.chdir "/mnt")
      assert(sys.pivot_root(".", "."))
      assert(sys.umount2(".", "detach"))
      assert(sys.chdir "/")
      local time = os.time
      os.time = function() return time() + 60 end -- what was changed just now would not be trusted
      local box = cella.container { ids = cella.policy.root() }
      local function links()
        return (assert(box:run { "sh", "-c", "cd /; echo lib*", stdout = "capture" }).stdout)
      end
      local before = links()
      local pieces = require "cella.host".facts().system
      local same = pieces == require "cella.host".facts().system
      assert(sys.symlink("usr/lib", "/libx32"))
      local with = links()
      os.remove "/libx32"
      local after = links()
      return before, with, after, same, pieces == require "cella.host".facts().system
    ]], { prefix = "unshare --mount" })
    assert.is_nil(before:find "libx32")
    assert.truthy(with:find "libx32")
    assert.equal(before, after)
    assert.is_true(kept_first)
    assert.is_false(kept_later)
  end))
end)
