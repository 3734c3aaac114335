-- Parameters of the kernel that a container has to itself: the key `sysctl`.

local able = require "spec.support.able"
local trial = require "spec.support.trial"

local cella = require "cella"

trial.around(before_each, after_each)

local needs = able.needs(function(reason) pending(reason) end)
local inside, raised, refused, word = trial.inside, trial.raised, trial.refused, trial.word

local FORWARD = "cat /proc/sys/net/ipv4/ip_forward"

describe("the key `sysctl`", function()
  it("sets what the new namespaces have for themselves, and nothing of the host's", needs("user_namespaces", function()
    local before = trial.sh(FORWARD .. " /proc/sys/kernel/shm_rmid_forced /proc/sys/user/max_ipc_namespaces")
    -- A new network has what the host's has.
    local other = word({}, FORWARD) == "0" and 1 or 0
    assert.equal(tostring(other), word({ sysctl = { ["net.ipv4.ip_forward"] = other } }, FORWARD))
    assert.equal(tostring(other), word({ sysctl = { ["net/ipv4/ip_forward"] = tostring(other) } }, FORWARD))
    assert.equal("1\n2\n", inside({ sysctl = { ["net.ipv4.conf.lo.forwarding"] = 1, ["user.max_ipc_namespaces"] = 2 } },
      "cat /proc/sys/net/ipv4/conf/lo/forwarding /proc/sys/user/max_ipc_namespaces"))
    assert.equal(before, trial.sh(FORWARD .. " /proc/sys/kernel/shm_rmid_forced /proc/sys/user/max_ipc_namespaces"))
  end))

  it("sets those of System V IPC where the kernel lets a namespace's root", needs("user_namespaces", function()
    local box = { sysctl = { ["kernel.msgmni"] = 77 } }
    local result, err = cella.container(box):run(trial.script "cat /proc/sys/kernel/msgmni")
    if not result then
      -- Before Linux 6.2 they are the initial root's.
      assert.same({ "write_file", "EACCES" }, { err.op, err.code })
      assert.truthy(tostring(err):find("root of the initial user namespace", 1, true), tostring(err))
      return
    end
    assert.equal("77\n", result.stdout)
    assert.not_equal("77\n", inside({}, "cat /proc/sys/kernel/msgmni"))
  end))

  it("holds: who is in there has no right to change it", needs("user_namespaces", function()
    local box = { sysctl = { ["user.max_user_namespaces"] = 0 }, seccomp = false }
    assert.is_false((trial.succeeds(box, "unshare --user true")))
    assert.is_false((trial.succeeds(box, "echo 9 >/proc/sys/user/max_user_namespaces")))
    assert.is_true((trial.succeeds({ nesting = true }, "unshare --user true"))) -- the control
  end))

  it("says what the kernel does not take, and the program does not run", needs("user_namespaces", function()
    local err = refused { sysctl = { ["net.ipv4.no_such"] = 1 } }
    assert.same({ "write_file", "ENOENT" }, { err.op, err.code })
    assert.truthy(tostring(err):find("a namespace has no such parameter", 1, true), tostring(err))
    err = refused { sysctl = { ["net.ipv4.ip_forward"] = "many" } }
    assert.same({ "write_file", "EINVAL" }, { err.op, err.code })
    assert.truthy(tostring(err):find("does not take this value", 1, true), tostring(err))
    err = refused { sysctl = { ["net.ipv4"] = 1 } }
    assert.equal("EISDIR", err.code)
    assert.truthy(tostring(err):find("the name of several parameters", 1, true), tostring(err))
  end))

  it("is refused where it is the host's, or none", function()
    for expected, keys in pairs {
      ['sysctl["kernel.panic"]: is the whole host\'s'] = { sysctl = { ["kernel.panic"] = 1 } },
      ["is the whole host's: a container has net.*"] = { sysctl = { ["vm/overcommit_memory"] = 1 } },
      ["that is the key `hostname`"] = { sysctl = { ["kernel.hostname"] = "x" } },
      ["not the name of a parameter"] = { sysctl = { ["net.ipv4/../../kernel/panic"] = 1 } },
      ["not the name of a parameter, such as"] = { sysctl = { ["net/../kernel/panic"] = 1 } },
      ["not the name of a parameter, such"] = { sysctl = { ["/net/ipv4/ip_forward"] = 1 } },
      ["not the name of a parameter,"] = { sysctl = { ["net..ipv4"] = 1 } },
      ["the text is empty"] = { sysctl = { ["net.ipv4.ip_forward"] = "" } },
      ["1 for yes, 0 for no"] = { sysctl = { ["net.ipv4.ip_forward"] = true } },
      ["is there twice, as"] = { sysctl = { ["net.ipv4.ip_forward"] = 1, ["net/ipv4/ip_forward"] = 1 } },
      ["needs a new net namespace"] = { namespaces = { net = "host" }, sysctl = { ["net.ipv4.ip_forward"] = 1 } },
      ["needs a new user namespace"] = { namespaces = { user = "host" }, sysctl = { ["user.max_net_namespaces"] = 0 } },
      ["needs a new ipc namespace"] = { namespaces = { ipc = "/proc/1/ns/ipc" }, sysctl = { ["kernel.shmmax"] = 1 } },
    } do
      local said = raised(cella.container, keys)
      assert.truthy(said:find(expected, 1, true), said)
    end
  end)
end)
