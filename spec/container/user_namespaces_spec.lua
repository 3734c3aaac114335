-- A container in which nobody can make a user namespace: `user_namespaces = false`.

local able = require "spec.support.able"
local cella = require "cella"
local trial = require "spec.support.trial"

trial.around(before_each, after_each)

local needs = able.needs(function(reason) pending(reason) end)
local inside, raised, succeeds = trial.inside, trial.raised, trial.succeeds

local MAKE = "unshare --user true"

describe("the key `user_namespaces`", function()
  it("false lets nobody make one, with an init, without, and as a user inside", needs("user_namespaces", function()
    for name, keys in pairs {
      plain = {}, unfiltered = { seccomp = false }, ["no init"] = { init = false },
      ["own keyring"] = { keyrings = "own" }, ["no IDs"] = { ids = false },
      capabilities = { capabilities = { "sys_admin", "setuid", "setgid", "setfcap", "dac_override" } },
      ["set-user-ID programs"] = { no_new_privs = false },
    } do
      keys.user_namespaces = true
      if name ~= "no IDs" then assert.is_true((succeeds(keys, MAKE)), name) end -- the control
      keys.user_namespaces = false
      local ok, said = succeeds(keys, MAKE)
      assert.is_false(ok, name)
      assert.truthy(said:find("No space left on device", 1, true) or said:find("not permitted", 1, true), said)
      assert.is_true((succeeds(keys, "true")), name)
    end
  end))

  it("false is the default, and also without a filter", needs("user_namespaces", function()
    for name, keys in pairs { plain = {}, unfiltered = { seccomp = false } } do
      assert.equal("0\n", inside(keys, "cat /proc/sys/user/max_user_namespaces"), name)
      assert.is_false((succeeds(keys, MAKE)), name)
    end
    -- What is more than it: a key that says so, and capabilities that could lift it, or are for namespaces.
    for name, keys in pairs { nesting = { nesting = true }, policy = { seccomp = "nesting" },
      privileged = { capabilities = { "sys_admin" } },
      limits = { capabilities = { "sys_resource" }, seccomp = false } } do
      assert.is_true((succeeds(keys, MAKE)), name)
    end
  end))

  it("false cannot be lifted, whatever is mounted", needs("user_namespaces", function()
    local keys = { user_namespaces = false, capabilities = { "sys_admin", "dac_override", "fowner", "chown" },
      mounts = { { type = "tmpfs", destination = "/mnt" } } }
    assert.is_false((succeeds(keys, "echo 9 >/proc/sys/user/max_user_namespaces")))
    assert.is_false((succeeds(keys, "mkdir /mnt/proc && mount -t proc proc /mnt/proc && "
      .. "echo 9 >/mnt/proc/sys/user/max_user_namespaces")))
    assert.equal("0\n", inside(keys, "mkdir /mnt/proc && mount -t proc proc /mnt/proc && "
      .. "cat /mnt/proc/sys/user/max_user_namespaces"))
  end))

  it("false says why nothing that needs one starts in it", needs("user_namespaces", function()
    local function start()
      local result, err = cella.plan({ namespaces = { "user" } }):exec({ "true" }):run()
      return result and "it ran" or tostring(err)
    end
    -- Without a filter, which would answer before the kernel.
    local function said(keys)
      keys.seccomp = false
      return assert(cella.container(keys):run { start }).values[1]
    end
    assert.equal("it ran", said { user_namespaces = true, namespaces = { net = "host" } }) -- the control
    local text = said { user_namespaces = false, namespaces = { net = "host" } }
    assert.truthy(text:find("user.max_user_namespaces is 0", 1, true), text)
  end))

  it("false is of the container, not of the host", needs("user_namespaces", function()
    local before = trial.read "/proc/sys/user/max_user_namespaces"
    inside({ user_namespaces = false }, "true")
    assert.equal(before, trial.read "/proc/sys/user/max_user_namespaces")
    assert.is_true((succeeds({ user_namespaces = true }, MAKE)))
  end))

  it("is refused where it would not hold", function()
    for expected, keys in pairs {
      ["needs a new user namespace"] = { user_namespaces = false, namespaces = { user = "host" } },
      ["sys_resource do not go together"] = { user_namespaces = false, capabilities = "all" },
      ['sysctl["user.max_user_namespaces"] says too'] = { user_namespaces = false,
        sysctl = { ["user.max_user_namespaces"] = 5 } },
      ["user_namespaces: true or false expected"] = { user_namespaces = 0 },
    } do
      local said = raised(cella.container, keys)
      assert.truthy(said:find(expected, 1, true), said)
    end
  end)
end)
