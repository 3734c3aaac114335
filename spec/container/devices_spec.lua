-- Devices of the host that a container may open: the key `devices`.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local policy = require "cella.policy"
local trial = require "spec.support.trial"

local directory
trial.around(before_each, after_each, function(own) directory = own end)

local needs = able.needs(function(reason) pending(reason) end)
local inside, raised, refused, succeeds = trial.inside, trial.raised, trial.refused, trial.succeeds

-- A device that everybody may open, and that no container has by itself; and one that only root may.
local OPEN, CLOSED
for _, path in ipairs { "/dev/autofs", "/dev/fuse", "/dev/net/tun", "/dev/kvm", "/dev/loop-control" } do
  local status = core.file_status(path)
  if status and status.type == "char" then
    if math.floor(status.mode / 4) % 2 == 1 then OPEN = OPEN or path end
    if status.mode % 64 == 0 and status.uid == 0 then CLOSED = CLOSED or path end
  end
end

local function device(name, body)
  return it(name, needs("user_namespaces", function()
    if not OPEN then return pending "needs a device of the host's that everybody may read" end
    return body()
  end))
end

local function opens(path) return ("exec 3< %s && echo opened"):format(path) end

describe("the key `devices`", function()
  device("lets a program open what is named, and nothing else", function()
    local others = {}
    for path in trial.sh "find /dev -xdev -type c -o -xdev -type b":gmatch "%S+" do
      others[path] = core.file_status(path) and true
    end
    for _, own in ipairs { "null", "zero", "full", "random", "urandom", "tty", "ptmx" } do
      others["/dev/" .. own] = nil
    end
    others[OPEN] = nil
    assert.equal("opened\n", inside({ devices = { OPEN } }, opens(OPEN)))
    for _, root in ipairs { "system", "/" } do
      local found = inside({ root = root, devices = { OPEN } },
        "for f in /dev/* /dev/*/*; do if [ -c $f ] || [ -b $f ]; then echo $f; fi; done")
      assert.truthy(found:find(OPEN .. "\n", 1, true))
      for path in pairs(others) do assert.is_nil(found:find(path .. "\n", 1, true), path) end
    end
    -- The control: without the key there is none; bound as any file, it does not open.
    assert.is_false((succeeds({}, opens(OPEN))))
    local bind = { type = "bind", source = OPEN, destination = OPEN }
    local ok, why = succeeds({ mounts = { bind } }, opens(OPEN))
    assert.is_false(ok)
    assert.matches("Permission denied", why, 1, true)
    -- And so it is with the key, for another.
    bind = { type = "bind", source = "/dev/zero", destination = "/mnt" }
    ok, why = succeeds({ devices = { OPEN }, mounts = { bind } }, "exec 4< /dev/zero; exec 3< /mnt")
    assert.is_false(ok)
    assert.matches("/mnt: Permission denied", why, 1, true)
  end)

  device("has it where it is to be, and cannot be given another mode there", function()
    assert.equal("opened\n", inside({ devices = { { path = OPEN, destination = "/dev/a/b" } } }, opens "/dev/a/b"))
    assert.equal("opened\n", inside({ devices = { { path = OPEN, destination = "/tmp/x" } } }, opens "/tmp/x"))
    if trial.lacks_root() then return end
    local ok, why = succeeds({ ids = policy.root(), devices = { OPEN } }, "chmod 777 " .. OPEN)
    assert.is_false(ok)
    assert.matches("Read-only", why, 1, true)
  end)

  device("takes a directory of some, and what is not there where that is said", function()
    local net = core.file_status "/dev/net" and "/dev/net" or nil
    if net then
      assert.equal(trial.sh "ls /dev/net", inside({ devices = { net } }, "ls /dev/net"))
      assert.is_nil(inside({ devices = { net } }, "findmnt -no OPTIONS /dev/net"):find("nodev", 1, true))
    end
    assert.equal("no\n", inside({ devices = { { path = "/dev/cella-none", optional = true } } },
      "ls /dev/cella-none 2>/dev/null || echo no"))
  end)

  device("works with an init, without, with functions, pools and who enters", function()
    assert.equal("opened\n", inside({ init = false, devices = { OPEN } }, opens(OPEN)))
    local box = cella.container { devices = { OPEN } }
    assert.is_true(assert(box:run(function(path) return io.open(path) ~= nil end, OPEN)).values[1])
    local pool = trial.hold(cella.pool { box, size = 1 })
    assert.equal("opened\n", assert(pool:run(trial.script(opens(OPEN)))).stdout)
    local process = trial.hold(box:spawn { "sleep", "1000" })
    assert.equal("opened\n", assert(trial.hold(process:enter()):run(trial.script(opens(OPEN)))).stdout)
  end)

  it("says beforehand whose a device is that the program could not open", needs("user_namespaces", function()
    if not CLOSED then return pending "needs a device that only root may open" end
    local ids = { user = { uid = 7, gid = 7 }, ids = { uid = ("7 %d 1"):format(cella.sys.getresuid()),
      gid = ("7 %d 1"):format((cella.sys.getresgid())) } }
    if not trial.lacks_root() then ids = {} end
    ids.devices = { CLOSED }
    local err = refused(ids)
    assert.equal("expect_device", err.op)
    assert.equal("EACCES", err.code)
    assert.matches(CLOSED .. " belongs to uid 0 and gid %d+ on the host, with mode 0600", tostring(err))
    -- The control: who is its owner there.
    if not trial.lacks_root() then
      assert.equal("char\n", inside({ ids = policy.root(), devices = { CLOSED } }, ("test -c %s && echo char"):format(
        CLOSED)))
    end
  end))

  it("lets in a group that has come along, and no other", needs("user_namespaces", function()
    if trial.lacks_root() then return pending "needs root, who makes a device of a group" end
    trial.sh(("mknod -m 060 %s/node c 1 5 && chown 0:4321 %s/node && chmod 755 %s"):format(directory, directory,
      directory))
    local keys = { ids = { uid = "0 100000 1000", gid = "0 100000 1000\n1000 4321 1" },
      user = { uid = 0, gid = 0, groups = { 1000 } },
      devices = { { path = directory .. "/node", destination = "/dev/node" } } }
    if core.file_status(directory .. "/node").type ~= "char" then return pending "needs mknod(2)" end
    assert.equal("opened\n", inside(keys, opens "/dev/node"))
    keys.user.groups = {}
    assert.matches("belongs to uid 0 and gid 4321 on the host, with mode 0060", tostring(refused(keys)), 1, true)
  end))

  it("is refused by name where there is none, or what is there is none", needs("user_namespaces", function()
    local err = refused { devices = { "/dev/null", "/dev/cella-none" } }
    assert.equal("devices[2]", err.op)
    assert.equal("ENOENT", err.code)
    assert.matches("this host has no such device (ENOENT)\n  /dev/cella-none", tostring(err), 1, true)
    assert.matches("`optional = true`", tostring(err), 1, true)
    err = refused { devices = { "/etc/passwd" } }
    assert.equal("ENODEV", err.code)
    assert.matches("this is a file, and no device", tostring(err), 1, true)
    for expected, devices in pairs {
      ["devices[1].path: these are all that the host has"] = { "/dev/" },
      ["devices[1].path: these are the terminals of others"] = { { path = "//dev/./pts" } },
      ["devices[1].path: a device, or a directory of some"] = { "/" },
      ["devices[1]: an absolute path"] = { "dev/null" },
      ["devices[2]: there is one at the string \"/dev/zero\" already"] = { "/dev/zero", { path = "/dev/full",
        destination = "/dev//zero" } },
      ["devices[1].destination: a device cannot be a root"] = { { path = "/dev/null", destination = "/" } },
      ["devices[1].optionl"] = { { path = "/dev/null", optionl = true } },
      ['devices: a list expected, { "/dev/fuse" }, got a string'] = "/dev/fuse",
    } do
      assert.matches(expected, raised(cella.container, { devices = devices }), 1, true)
    end
    assert.matches("devices: needs a new mount namespace", raised(cella.container, { devices = { "/dev/fuse" },
      namespaces = { mount = "host" } }), 1, true)
  end))

  device("is what the plan shows, with the device's number", function()
    local found
    for _, step in ipairs(assert(cella.container({ devices = { OPEN } }):plan { "true" }):steps()) do
      if step.op == "expect_node" then found = ("%d:%d"):format(step.args.major, step.args.minor) end
      if step.op == "expect_device" then assert.equal(OPEN, step.args.path) end
    end
    assert.equal(core.file_status(OPEN).number, found)
  end)
end)
