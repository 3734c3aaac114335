-- ids = false: a user namespace without a map, where everybody is nobody.

local cella = require "cella"
local sys = require "cella.sys"
local trial = require "spec.support.trial"

describe("a container without IDs", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  local STATUS = "grep -E '^(Uid|Gid|Cap|NoNewPrivs)' /proc/self/status; wc -c < /proc/self/uid_map; "
    .. "wc -c < /proc/self/gid_map"
  local function expected(no_new_privs)
    local lines = { "Uid:\t65534\t65534\t65534\t65534", "Gid:\t65534\t65534\t65534\t65534" }
    for _, set in ipairs { "Inh", "Prm", "Eff", "Bnd", "Amb" } do
      lines[#lines + 1] = ("Cap%s:\t0000000000000000"):format(set)
    end
    return table.concat(lines, "\n") .. ("\nNoNewPrivs:\t%d\n0\n0\n"):format(no_new_privs)
  end

  for name, keys in pairs {
    ["with an init"] = {},
    ["without one"] = { init = false },
    ["in the caller's pid namespace"] = { namespaces = { pid = "host" }, root = "/" },
    ["in the root of the host"] = { root = "/" },
    ["with a clock and limits of its own"] = { namespaces = { time = { monotonic = 100 } }, rlimits = { nofile = 64 } },
    ["with a keyring of its own"] = { keyrings = "own" },
  } do
    it("has none, no map and no capability, " .. name, function()
      keys.ids = false
      assert.equal(expected(1), trial.inside(keys, STATUS))
    end)
  end

  it("has none where a program may gain something by exec, and gains nothing", function()
    assert.equal(expected(0), trial.inside({ ids = false, no_new_privs = false }, STATUS))
  end)

  it("is another user namespace than that in which its root was made", function()
    local seen
    local function look(process) seen = assert(sys.namespace("user", process.pid)) end
    local keys = { ids = false, hooks = { created = look } }
    local inside = trial.word(keys, "readlink /proc/self/ns/user")
    assert.matches("^user:%[%d+%]$", inside)
    local first = seen
    assert.not_equal(("user:[%d]"):format(first), inside)
    -- The same is one with a map.
    keys.ids = nil
    inside = trial.word(keys, "readlink /proc/self/ns/user")
    assert.equal(("user:[%d]"):format(seen), inside)
  end)

  it("shows both in its plan: the maps that its root is made with, and the namespace without", function()
    local ops, at = {}, {}
    for i, step in ipairs(assert(cella.container({ ids = false }):plan { "true" }):steps()) do
      ops[i] = step
      if step.op == "clone3" or step.op == "pivot_root" or step.op == "capset" or step.op == "expect_ids" then
        at[step.op] = i
      elseif step.op == "unshare" and step.args.namespaces[1] == "user" then
        at.unshare = i
      end
    end
    assert.equal("user", ops[at.clone3].args.namespaces[1])
    assert.is_true(at.clone3 < at.pivot_root and at.pivot_root < at.unshare and at.unshare < at.capset
      and at.capset < at.expect_ids)
    assert.same({ 65534, 65534 }, { ops[at.expect_ids].args.uid, ops[at.expect_ids].args.gid })
  end)

  it("can make files in what is its own, and no user namespace", function()
    assert.equal("65534 65534\n", trial.inside({ ids = false }, "touch /tmp/file; stat -c '%u %g' /tmp/file"))
    local made, why = trial.succeeds({ ids = false }, "unshare -U true")
    assert.is_false(made)
    assert.matches("not permitted", why)
    -- The control: with a map it can.
    assert.is_true((trial.succeeds({ nesting = true }, "unshare -U true")))
  end)

  it("cannot write itself a map", function()
    for _, kind in ipairs { "uid", "gid" } do
      for _, map in ipairs { "0 0 1", "0 65534 1", "65534 65534 1" } do
        assert.is_false((trial.succeeds({ ids = false }, ("echo '%s' > /proc/self/%s_map"):format(map, kind))), map)
      end
    end
    -- The control: who has just made one can.
    local _, uid = sys.getresuid()
    local plan = cella.plan { namespaces = { "user" } }
    plan:write_file("/proc/self/uid_map", ("0 %d 1"):format(uid))
    local result = assert(plan:exec({ "true" }):run())
    assert.equal(0, result.code)
  end)

  it("runs functions, has terminals, and is started by a pool", function()
    local result = assert(cella.container({ ids = false }):run(function() return sys.getresuid() end))
    assert.same({ 65534, 65534, 65534, n = 3 }, result.values)
    local pool = trial.hold(cella.pool { cella.container { ids = false }, size = 1 })
    assert.equal("65534\n", assert(pool:run { "id", "-u", stdout = "capture" }).stdout)
    local process = assert(cella.container({ ids = false }):spawn { "sh", "-c", "tty; id -u", terminal = true,
      stdout = "capture" })
    assert.equal("/dev/pts/0\r\n65534\r\n", assert(process:wait()).stdout)
  end)

  it("is owned outside by who its root is", function()
    local script = ("touch %s/made"):format(directory)
    local bind = { type = "bind", source = directory, destination = directory }
    trial.sh("chmod 1777 " .. directory)
    assert.is_true((trial.succeeds({ ids = false, mounts = { bind } }, script)))
    local owner = trial.sh(("stat -c %%u %s/made"):format(directory))
    assert.not_equal("65534\n", owner)
    trial.sh(("rm -f %s/made"):format(directory))
  end)

  for name, case in pairs {
    ["a user"] = { { user = { uid = 0 } }, "user: with ids = false nobody inside has an ID" },
    ["capabilities"] = { { capabilities = { "chown" } }, "capabilities: with ids = false they would be over" },
    ["the caller's user namespace"] = { { namespaces = { user = "host" } }, "ids: needs a new user namespace" },
  } do
    it("is refused with " .. name .. ", by name", function()
      case[1].ids = false
      assert.matches(case[2], trial.raised(cella.container, case[1]), 1, true)
    end)
  end

  it("is not to be had by true", function()
    assert.matches("ids: a policy such as policy.available(), { uid =, gid = } or false expected, got true",
      trial.raised(cella.container, { ids = true }), 1, true)
    assert.equal(0, assert(cella.container({ ids = false, capabilities = {} }):run { "true" }).code)
  end)

  it("takes nobody in: there is no ID to be there", function()
    local process = trial.hold(cella.container({ ids = false }):spawn { "sleep", "1000" })
    local result, err = assert(process:enter()):run { "true" }
    assert.is_nil(result)
    assert.matches("does not map\n  there is no ID at all", tostring(err))
  end)

  it("is what the command line makes of `ids = false`", function()
    assert.equal("65534\n", trial.cella({ "run", "-e", "ids = false", "--", "id", "-u" }).stdout)
  end)
end)
