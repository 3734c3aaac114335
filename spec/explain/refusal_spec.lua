-- What is refused costs little, however large it is and whatever somebody has made of it: a description may come from
-- a file of somebody else's.

local caps = require "cella.caps"
local cella = require "cella"
local idmap = require "cella.idmap"
local policy = require "cella.policy"
local sys = require "cella.sys"

local MANY = 1000000
local LONG = ("x"):rep(1048576)

local function names(value)
  local t = {}
  for i = 1, MANY do t["k" .. i] = value end
  return t
end

local function list(item)
  local t = {}
  for i = 1, MANY do t[i] = item end
  return t
end

local function box(description) return function() cella.container(description) end end

-- Every call refuses what it is given. Returns the message and the processor time.
local function refused(call)
  local start = os.clock()
  local ok, err = pcall(call)
  assert.is_false(ok, "it was taken")
  return err, os.clock() - start
end

describe("what is large and refused", function()
  -- It takes less than one on a machine of today; before there were bounds it was 8 to 50, or for ever.
  local function is_cheap(call)
    local _, seconds = refused(call)
    assert.is_true(seconds < 4, ("%.1f s"):format(seconds))
  end

  it("is an unknown key or word of a mebibyte", function()
    for _, description in ipairs {
      { [LONG] = 1 }, { namespaces = { [LONG] = "new" } }, { namespaces = { user = LONG } },
      { rlimits = { [LONG] = 1 } },
      { mounts = { { type = LONG, destination = "/a" } } }, { mounts = { { type = "tmpfs", [LONG] = 1 } } },
      { capabilities = { LONG } }, { capabilities = LONG }, { cgroup = { [LONG] = 1 } }, { hooks = { [LONG] = 1 } },
      { command = { "true", [LONG] = 1 } }, { command = { "true", stdin = LONG } }, { user = { [LONG] = 1 } },
      { hostname = LONG }, { cwd = LONG }, { root = LONG }, { cgroup = { memory = LONG } },
    } do
      is_cheap(box(description))
    end
    is_cheap(function() caps.set(LONG) end)
    is_cheap(function() caps.set("kill"):has(LONG) end)
    is_cheap(function() caps.set("kill"):has(("-"):rep(#LONG)) end)
    is_cheap(function() idmap.new { [LONG] = 1 } end)
    is_cheap(function() sys.unshare(LONG) end)
  end)

  it("says how long it is, and not all of it", function()
    local err = refused(box { [LONG] = 1 })
    assert.is_true(#err < 4096)
    assert.truthy(err:find("(1048576 bytes)", 1, true))
  end)

  it("is a million names #slow", function()
    local many = names "x"
    for _, description in ipairs {
      many, { environment = many }, { rlimits = many }, { namespaces = many }, { user = many }, { hooks = many },
      { user = { uid = 0, gid = 0, groups = many } }, { mounts = many }, { command = many }, { cgroup = many },
      { capabilities = many }, { command = { "true", environment = many } }, { command = { "true", fds = many } },
    } do
      is_cheap(box(description))
    end
    is_cheap(function() idmap.new(many) end)
    is_cheap(function() sys.setgroups(many) end)
  end)

  it("is a million items #slow", function()
    local arguments = list "x"
    arguments[MANY] = true
    is_cheap(box { command = arguments })
    for _, description in ipairs {
      { mounts = list {} }, { root = list {} }, { user = { uid = 0, gid = 0, groups = list(5) } },
      { masked_paths = list "/a" }, { cgroup = { io = list {} } }, { command = { "true", fds = list(1) } },
      { capabilities = list "x" },
    } do
      is_cheap(box(description))
    end
    is_cheap(function() idmap.new(list { inside = 0, outside = 0, count = 1 }) end)
    is_cheap(function() idmap.new(("0 0 1\n"):rep(MANY)) end)
    is_cheap(function() sys.setgroups(list(5)) end)
    is_cheap(function() policy.first(list(5)) end)
  end)

  it("is a table in a table in a table", function()
    local deep = {}
    for _ = 1, MANY do deep = { deep } end
    for _, key in ipairs { "mounts", "root", "command", "environment", "namespaces", "cgroup", "capabilities" } do
      is_cheap(box { [key] = deep })
    end
    is_cheap(function() idmap.new(deep) end)
  end)
end)

describe("a table with a metatable", function()
  -- As a list without an end, or as a map that gives out other things each time: no metamethod is called.
  local function endless()
    local function never() error("a metamethod was called", 0) end
    return setmetatable({}, { __len = never, __index = never, __pairs = never, __ipairs = never })
  end

  local function is_refused(call)
    local err = refused(call)
    assert.truthy(tostring(err):find("metatable", 1, true), err)
  end

  it("is no list, no map and no record of a container's", function()
    for _, key in ipairs { "namespaces", "user", "mounts", "masked_paths", "readonly_paths", "capabilities", "hooks",
      "rlimits", "cgroup", "command", "root", "environment", "ids" } do
      local err = refused(box { [key] = endless() })
      assert.falsy(tostring(err):find("metamethod", 1, true), key .. ": " .. tostring(err))
    end
    for _, description in ipairs {
      { namespaces = { time = endless() } }, { mounts = { endless() } }, { root = { endless() } },
      { mounts = { { type = "bind", destination = "/a", source = endless() } } },
      { mounts = { { type = "overlay", destination = "/a", lower = endless() } } },
      { command = { "true", stdin = endless() } }, { command = { "true", stdout = endless() } },
      { command = { "true", terminal = endless() } },
    } do
      local err = refused(box(description))
      assert.falsy(tostring(err):find("metamethod", 1, true), tostring(err))
    end
    is_refused(box { user = { uid = 0, gid = 0, groups = endless() } })
    is_refused(box { rlimits = endless() })
    is_refused(box { mounts = endless() })
    is_refused(box { masked_paths = endless() })
    is_refused(box { command = { "true", fds = endless() } })
    is_refused(box { ids = { uid = endless(), gid = "0 0 1" } })
  end)

  it("is no environment", function()
    local err = refused(box { environment = setmetatable({ A = "b" }, { __pairs = function() error "called" end }) })
    assert.falsy(err:find("called", 1, true), err)
    assert.is_true((pcall(cella.container, { environment = { A = "b" } })))
  end)

  it("is no ID map, and no extent of one", function()
    is_refused(function() idmap.new(endless()) end)
    is_refused(function() idmap.new(setmetatable({ inside = 0, outside = 0, count = 1 }, {})) end)
    is_refused(function() idmap.new { setmetatable({ inside = 0, outside = 0, count = 1 }, {}) } end)
    assert.equal("0 0 1", tostring(idmap.new { { inside = 0, outside = 0, count = 1 } }))
  end)

  it("is no list for an operation, but for a set of capabilities", function()
    is_refused(function() sys.setgroups(endless()) end)
    is_refused(function() sys.unshare(endless()) end)
    is_refused(function() cella.plan():setgroups(setmetatable({ 0 }, {})) end)
    assert.truthy(cella.plan():setgroups { 0 })
    assert.truthy(cella.plan():capset(caps.set "kill", caps.set "kill", caps.set "none"))
  end)
end)
