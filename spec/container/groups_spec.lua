-- Supplementary groups do not come along: what the program has is what was said, in every user namespace there is.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local leaks = require "spec.support.leaks"
local outside = require "spec.support.outside"
local policy = require "cella.policy"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)

-- What a program says of its groups, and whether it reads a file that is only for group 27.
local SHOW = [[
  local SHOW = { "sh", "-c", "grep ^Groups: /proc/self/status | tr -d '\t'; cat ]] .. "%s" .. [[ 2>/dev/null",
    stdin = "null", stdout = "capture" }
  local function shown(...)
    local result, err = ...
    return result and (result.stdout:gsub("%%s*\n", "\n"):gsub("\n$", "")) or tostring(err)
  end
  local policy = require "cella.policy"
  -- Of one ID each, which are nobody's, where setgroups is denied.
  local DENIED = { uid = "0 165533 1", gid = "0 165532 1", setgroups = "deny" }
]]

describe("supplementary groups", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  local directory
  setup(function()
    cella.container({}):run { "true" } -- the init's program is kept for the next
    if trial.lacks_root() then return end
    directory = trial.directory()
    trial.write(directory .. "/secret", "read")
    trial.host { "chown", "1:27", directory .. "/secret" }
    trial.host { "chmod", "040", directory .. "/secret" }
    trial.host { "chmod", "755", directory }
  end)
  teardown(function()
    if directory then trial.remove_directory(directory) end
  end)

  -- As root that has groups, which read a file that is under / and in no place that a container has of its own.
  local function as_root(source, groups)
    return outside.lua(SHOW:format(directory .. "/secret") .. source, { prefix = "setpriv --groups "
      .. (groups or "0,4,27") })
  end

  it("of root's do not come into a user namespace of its own that denies setgroups", needs("root", function()
    local none, said, kept = as_root [[
      local function run(ids, user)
        return shown(cella.container { ids = ids, user = user, namespaces = { mount = "host" } }:run(SHOW))
      end
      return run(DENIED), run(DENIED, { groups = { 0 } }), run(policy.keep_groups(function() return DENIED end))
    ]]
    assert.equal("Groups:", none)
    assert.equal("Groups:0", said)
    -- A policy that says so has them: that is a control.
    assert.matches("read$", kept)
  end))

  -- A container of root's whose user namespace denies setgroups, with nobody's IDs: it stands for a user's.
  local THEIRS = [[
    local other = assert(cella.container { ids = DENIED, user = { uid = 0, gid = 0 } }:spawn { "sleep", "1000",
      stdin = "null" })
    local ns = "/proc/" .. other.pid .. "/ns/user"
  ]]

  it("of root's do not come into one that is joined, by process, path or descriptor", needs("root", function()
    local found, control = as_root(THEIRS .. [[
      local found = {}
      local fd = assert(core.open(ns, "rdonly"))
      for _, user in ipairs { { pid = other.pid }, { path = ns }, { fd = fd:number() } } do
        found[#found + 1] = shown(cella.container { namespaces = { user = user, mount = "host" } }:run(SHOW))
        found[#found + 1] = shown(cella.container { namespaces = { user = user, mount = "host" },
          user = { groups = {} } }:run(SHOW))
      end
      found[#found + 1] = shown(cella.container { namespaces = { user = { pid = other.pid }, mount = "host" },
        user = { groups = { 0 } } }:run(SHOW))
      local control = cella.plan { join = { { type = "user", pid = other.pid } } }:setresgid(0, 0, 0):setresuid(0, 0, 0)
        :exec(SHOW):run()
      fd:close()
      other:close()
      return found, shown(control)
    ]])
    assert.same({ "Groups:", "Groups:", "Groups:", "Groups:", "Groups:", "Groups:", "Groups:0" }, found)
    assert.matches("read$", control)
  end))

  it("are refused where they are asked for in one that denies them, if that is not known", needs("root", function()
    local err = as_root(THEIRS .. [[
      local fd = assert(core.open(ns, "rdonly"))
      local box = cella.container { namespaces = { user = { fd = fd:number() } }, user = { groups = { 0 } } }
      local _, err = box:run(SHOW)
      fd:close()
      other:close()
      return err.op .. " " .. err.code
    ]])
    assert.equal("setgroups EPERM", err)
  end))

  it("of root's do not come into one that has a name", needs("root", function()
    local found = as_root([[
      local namespace = require "cella.namespace"
      local tmp = scratch()
      assert(sys.mkdir(tmp .. "/kept", 448))
    ]] .. THEIRS .. [[
      assert(namespace.keep(other, "user", tmp .. "/kept/user"))
      other:close()
      local found = shown(cella.container { namespaces = { user = tmp .. "/kept/user", mount = "host" } }:run(SHOW))
      assert(namespace.release(tmp .. "/kept/user"))
      return found
    ]])
    assert.equal("Groups:", found)
  end))

  it("of root's do not come along with who enters", needs("root", function()
    local found = as_root(THEIRS .. [[
      local found = {}
      for i, user in ipairs { { uid = 0 }, { uid = 0, groups = {} }, { groups = {} }, {}, { groups = { 0 } } } do
        found[i] = shown(assert(cella.enter { pid = other.pid, user = user, namespaces = { "user", "pid" } }):run(SHOW))
      end
      other:close()
      return found
    ]])
    assert.same({ "Groups:", "Groups:", "Groups:", "Groups:", "Groups:0" }, found)
  end))

  it("are set inside where that is allowed, and given up before also there", needs("root", function()
    local first, found, shows = as_root [[
      local ids = { uid = "0 165533 10", gid = "0 165533 10" }
      local other = assert(cella.container { ids = ids, user = { groups = { 7 } } }:spawn { "sleep", "1000",
        stdin = "null" })
      local box = cella.container { namespaces = { user = { pid = other.pid }, mount = "host" },
        user = { groups = { 5, 6 } } }
      local plan = tostring(box:plan(SHOW))
      local found = { shown(box:run(SHOW)), shown(other:enter({ namespaces = { "user" } }):run(SHOW)) }
      other:close()
      return shown(cella.container { ids = ids, namespaces = { mount = "host" }, user = { groups = { 5 } } }:run(SHOW)),
        found, plan:find("setgroups({})", 1, true) < plan:find("setns(", 1, true)
    ]]
    assert.equal("Groups:5", first)
    assert.same({ "Groups:5 6", "Groups:7" }, found)
    assert.is_true(shows)
  end))

  it("may be 1,500 and more", needs("root", function()
    local list = {}
    for i = 1, 1500 do list[i] = 3000 + i end
    local found, entered, denied = as_root([[
      local COUNT = { "sh", "-c", "id -G | wc -w", stdin = "null", stdout = "capture" }
      local list = sys.getgroups()
      local box = { namespaces = { user = "host" }, user = { uid = 1, gid = 3001, groups = list } }
      local found = shown(cella.container(box):run(COUNT))
      local other = assert(cella.container(box):spawn { "sleep", "1000", stdin = "null" })
      local entered = shown(assert(other:enter()):run(COUNT))
      other:close()
      return found, entered, shown(cella.container { ids = DENIED }:run(COUNT))
    ]], table.concat(list, ","))
    assert.equal("1500", found)
    assert.equal("1500", entered)
    assert.equal("1", denied)
  end))

  describe("of an ordinary user", function()
    local own = core.sys.getgroups()

    it("stay where they cannot be given up, and asking for none is an error", function()
      if not trial.lacks_root() then return pending "needs an ordinary user" end
      if trial.lacks_user_namespaces() then return pending(trial.lacks_user_namespaces()) end
      if #own == 0 then return pending "this user has no supplementary groups" end
      local seen = trial.inside({ ids = policy.root(), mounts = { { type = "proc", destination = "/proc" } } },
        "grep ^Groups: /proc/self/status")
      assert.equal(#own, select(2, seen:gsub("%d+", "")))
      local message = trial.raised(function()
        return cella.container { ids = policy.root(), user = { groups = {} } }:run { "true" }
      end)
      assert.matches("^[^\n]*user%.groups: they cannot be given up: setgroups is denied", message)
    end)

    -- Somebody with a group more than his own, as who may use a device or read the logs.
    it("open files and sockets that they open outside", needs("root", function()
      local script = [[
        local cella, policy = require "cella", require "cella.policy"
        local file = %q
        local function reads(keys, path)
          keys.ids, keys.mounts = policy.me(), keys.root and { { type = "bind", source = path, destination = path,
            readonly = true } } or nil
          local result, err = cella.container(keys):run { "cat", path, stdin = "null", stdout = "capture",
            stderr = "null" }
          return result and result.stdout or tostring(err)
        end
        io.write(reads({ root = "/" }, file))
      ]]
      local as_user = "setpriv --reuid 65533 --regid 65533 --groups %s --inh-caps=-all --reset-env "
      local words = outside.interpreter() .. " -e " .. trial.quote(script:format(directory .. "/secret"))
      local with = outside.sh(as_user:format "65533,27" .. words)
      local without = outside.sh(as_user:format "65533" .. words)
      assert.equal("read", with)
      assert.equal("", without)
    end))
  end)
end)
