-- Containers without namespaces of their own, and the first of several that a host can start.

local able = require "spec.support.able"
local cella = require "cella"
local landlock = require "cella.landlock"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)

local function stdout(keys, script)
  local result, err = cella.container(keys):run { "sh", "-c", script, stdout = "capture", stderr = "stdout" }
  if not result then error(tostring(err), 2) end
  return result.stdout, result
end

-- What an ordinary program of the host reads and executes.
local PROGRAMS = { path = { "/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/proc" },
  allow = { "read", "execute" }, optional = true }

describe("a container without namespaces of its own", function()
  trial.around(before_each, after_each)

  it("is in the caller's, as the caller, and keeps nothing else", function()
    assert(cella.sys.getresuid())
    local said, result = stdout({ namespaces = "host" }, [[
      for kind in user mnt pid ipc uts net cgroup; do readlink /proc/self/ns/$kind; done
      id -u; id -g; env | grep -c SECRET; ls /proc/self/fd | wc -l
      grep -E '^(CapEff|CapPrm|CapInh|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\t']])
    local expected = {}
    for _, kind in ipairs { "user", "mount", "pid", "ipc", "uts", "net", "cgroup" } do
      expected[#expected + 1] = ("%s:[%.0f]"):format(kind == "mount" and "mnt" or kind, cella.sys.namespace(kind))
    end
    local uid, gid = cella.sys.getresuid(), cella.sys.getresgid()
    for _, line in ipairs { ("%d"):format(uid), ("%d"):format(gid), "0", "4", "CapInh:0000000000000000",
      "CapPrm:0000000000000000", "CapEff:0000000000000000", "CapAmb:0000000000000000", "NoNewPrivs:1", "Seccomp:2" } do
      expected[#expected + 1] = line
    end
    local lines = {}
    for line in said:gmatch "[^\n]+" do lines[#lines + 1] = line:match "^%s*(.-)%s*$" end
    assert.same(expected, lines)
    assert.same({}, result.confinement.namespaces)
    assert.equal("cella.container (no root of its own; new: none)",
      tostring(cella.container { namespaces = "host" }))
    assert.equal("namespaces: none of its own", (tostring(result.confinement):match "[^\n]*"))
  end)

  it("is the same as each of them by itself, and refuses what needs one", function()
    local each = {}
    for _, kind in ipairs { "user", "mount", "pid", "ipc", "uts", "net", "cgroup" } do each[kind] = "host" end
    assert.equal(tostring(cella.container { namespaces = each }:plan { "true" }),
      tostring(cella.container { namespaces = "host" }:plan { "true" }))
    for key, value in pairs { hostname = "moon", root = "/", mounts = {}, ids = false, init = true } do
      local message = trial.raised(cella.container, { namespaces = "host", [key] = value })
      assert.truthy(message:find(key .. ": needs a new", 1, true) or message:find(key .. ": needs a ", 1, true),
      message)
    end
    local message = trial.raised(cella.container, { namespaces = "none" })
    assert.truthy(message:find('namespaces: a table, { net = "host" }, or "host" expected', 1, true), message)
  end)

  it("confines by rules and by a filter", function()
    local abi = landlock.abi()
    if not abi or abi < 6 then return pending "needs Landlock's ABI 6" end
    local outside_file = trial.directory() .. "/file"
    trial.write(outside_file, "secret\n")
    local script = ("cat %s; kill -0 %d && echo reached; unshare --user true && echo made"):format(outside_file,
      cella.sys.getpid())
    local rules = { files = { PROGRAMS }, tcp = {}, scopes = { "signal" } }
    local said, result = stdout({ namespaces = "host", seccomp = "default", landlock = rules },
      script)
    assert.truthy(said:find "Permission denied", said)
    assert.is_nil(said:find "secret" or said:find "reached" or said:find "made", said)
    assert.equal("default, past Landlock's TCP nothing", result.confinement.seccomp)
    assert.same({ needs = 6, abi = abi, lacks = {} }, result.confinement.landlock)
    -- The control: a program of the caller's may do the first two at least.
    said, result = stdout({ namespaces = "host" }, script)
    assert.truthy(said:find "secret" and said:find "reached", said)
    assert.is_nil(result.confinement.landlock)
    trial.remove_directory(outside_file:match "^(.*)/")
  end)

  it("is what there is where user namespaces are forbidden", needs("user_namespaces", function()
    cella.load_everything()
    -- In a container in which nobody can make any.
    local result = assert(cella.container { root = "/", user_namespaces = false,
      seccomp = false, capabilities = "setfcap" }:run(function()
      local nested = cella.container { ids = false }
      local refused, err = nested:run { "true" }
      local box, tried = assert(cella.first { nested, cella.container { namespaces = "host" } })
      local ran = assert(box:run { "true" })
      return refused == nil, err.op, #tried, ran.code, ran.confinement.choice.number
    end))
    assert.equal("nil", tostring(result.error and result.error.message))
    assert.same({ n = 5, true, "clone3", 1, 0, 2 }, result.values)
  end))
end)

describe("the first of several containers", function()
  trial.around(before_each, after_each)

  -- More rights than any kernel has here: one that says so for the time of a spec.
  local asked
  before_each(function() asked = landlock.abi end)
  after_each(function() landlock.abi = asked end)

  local function impossible()
    return cella.container { namespaces = "host", landlock = { files = {}, restrict = "all" } }
  end
  local function plain(keys)
    keys = keys or {}
    keys.namespaces = "host"
    return cella.container(keys)
  end

  it("is the first that can be started, and every result says which", function()
    landlock.abi = function() return 1 end
    local box, refused = cella.first { impossible(), plain(), plain { umask = "077" } }
    assert.equal(1, #refused)
    assert.truthy(tostring(refused[1]):find("ABI 1, which lacks refer", 1, true), tostring(refused[1]))
    local result = assert(box:run { "sh", "-c", "umask", stdout = "capture" })
    assert.equal("0022\n", result.stdout)
    assert.equal(2, result.confinement.choice.number)
    assert.equal(refused[1], result.confinement.choice.refused[1])
    assert.truthy(tostring(result.confinement):find("choice: container 2", 1, true))
    local process = trial.hold(assert(box:spawn { "true" }))
    assert.equal(2, process.confinement.choice.number)
    -- The first of all, where that can be.
    box, refused = cella.first { plain { umask = "077" }, plain() }
    assert.same({}, refused)
    result = assert(box:run { "sh", "-c", "umask", stdout = "capture" })
    assert.equal("0077\n", result.stdout)
    assert.equal(1, result.confinement.choice.number)
  end)

  it("is none where none can be, with the reason of each", function()
    landlock.abi = function() return 1 end
    local box, err = cella.first { impossible(), impossible() }
    assert.is_nil(box)
    assert.equal("first", err.op)
    assert.equal(2, #err.tried)
    assert.equal("2", err.tried[2].name)
    assert.truthy(tostring(err):find "none of the 2 containers.*1: landlock: .*2: landlock: ", tostring(err))
  end)

  it("is found without a program or a hook, and leaves the given ones as they are", needs("user_namespaces", function()
    local called = 0
    local function hook() called = called + 1 end
    local given = cella.container { hooks = { created = hook, mapped = hook, before_exec = hook, exited = hook } }
    local box = assert(cella.first { given })
    assert.equal(0, called)
    assert.equal("exited", assert(box:run { "true" }).reason)
    assert.equal(4, called)
    assert.is_nil(assert(given:run { "true" }).confinement.choice)
  end))

  it("may have a policy with `notify`, which takes one who hears of calls", function()
    local seccomp = { default = "allow", notify = { "getcwd" } }
    local box, refused = cella.first { plain { seccomp = seccomp } }
    assert.same({}, refused)
    local heard = 0
    assert(box:run { "pwd", "-P", stdout = "null", denied = function() heard = heard + 1 end })
    assert.equal(1, heard)
  end)

  it("is asked of containers alone", function()
    for words, list in pairs { ["containers[1]: a container"] = { {} }, ["at least one"] = {},
      ["containers[2]: missing"] = { plain(), nil, plain() }, ["containers[1]: a container,"] = { "host" } } do
      local message = trial.raised(cella.first, list)
      assert.truthy(message:find(words, 1, true), message)
    end
  end)
end)
