-- Mounts that the kernel has locked: `lock_mounts`, which sys_admin inside cannot undo. What a hostile program makes of
-- them is in spec/escape/mounts_spec.lua.

local able = require "spec.support.able"
local cella = require "cella"
local kernels = require "cella.host.kernel"
local mountinfo = require "cella.mountinfo"
local trial = require "spec.support.trial"

local directory
trial.around(before_each, after_each, function(own) directory = own end)

local needs = able.needs(function(reason) pending(reason) end)
local inside, raised, refused, succeeds = trial.inside, trial.raised, trial.refused, trial.succeeds

local function admin(more)
  local keys = { capabilities = { "sys_admin" }, user = { uid = 0, gid = 0 },
    mounts = { { type = "bind", source = directory, destination = "/data", readonly = true } } }
  for key, value in pairs(more or {}) do keys[key] = value end
  return keys
end

local UNDO = "mount -o remount,bind,rw /data"

local function steps_of(keys)
  local list = {}
  for _, step in ipairs(assert(cella.container(keys):plan { "true" }):steps()) do list[#list + 1] = step end
  return list
end

local function count(keys, op)
  local number = 0
  for _, step in ipairs(steps_of(keys)) do number = number + (step.op == op and 1 or 0) end
  return number
end

describe("the key `lock_mounts`", function()
  it("is true where sys_admin is kept: read-only stays so", needs("user_namespaces", function()
    assert.is_true((succeeds(admin { lock_mounts = false }, UNDO))) -- the control
    for name, more in pairs {
      plain = {}, said = { lock_mounts = true }, ["no init"] = { init = false },
      ["an own clock"] = { namespaces = { time = { monotonic = 5 } } },
      ["with the host's network"] = { namespaces = { net = "host" } },
      ["with the host's processes"] = { namespaces = { pid = "host" } },
      ["with the host's tree"] = { root = "/", mounts = { { type = "bind", source = directory, destination = "/mnt",
        readonly = true } } },
      ["a root of parts"] = { root = { { type = "bind", source = "/", destination = "/", readonly = true } } },
    } do
      local where = more.root and not more.mounts and "/" or more.root and "/mnt" or "/data"
      local keys = admin(more)
      if where == "/" then keys.mounts = nil end
      -- And that is because it is so, not because nothing works.
      local said = inside(keys, ("%s 2>&1 && echo undone; touch %s/file 2>&1; true"):format((UNDO:gsub("/data", where)),
        where))
      assert.matches("permission denied", said:lower(), 1, true)
      assert.matches("Read-only file system", said, 1, true)
      assert.is_nil(said:find "undone", name)
    end
  end))

  it("leaves what else sys_admin may: mounts of its own, over and beside the others", needs("user_namespaces",
    function()
      assert.equal("0\n5\nlost\n", inside(admin(), [[
        mount -t tmpfs none /tmp && mkdir /tmp/a && mount -t tmpfs none /tmp/a && umount /tmp/a && umount /tmp; echo $?
        mount -t tmpfs none /data && echo 5 > /data/file && cat /data/file
        umount /data; cat /data/file 2>/dev/null || echo lost]]))
      assert.is_true((succeeds(admin { capabilities = { "sys_admin", "net_admin", "sys_chroot" } },
        "hostname moon && [ $(hostname) = moon ] && ip link add type dummy 2>/dev/null; chroot / true")))
    end))

  it("needs no second user namespace inside: IDs, capabilities and namespaces are as ever", needs("user_namespaces",
    function()
      local say = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs)' /proc/self/status; wc -l < /proc/self/uid_map"
      assert.equal(inside(admin { lock_mounts = false }, say), inside(admin(), say))
      local process = trial.hold(cella.container(admin()):spawn { "sleep", "1000" })
      local entered = assert(assert(process:enter()):run(trial.script(UNDO)))
      assert.not_equal(0, entered.code)
      assert.equal(0, assert(assert(process:enter()):run(trial.script "ls /data")).code)
    end))

  it("leaves nothing else in the container: no process, no descriptor", needs("user_namespaces", function()
    assert.equal("2\n", inside(admin(), "set -- /proc/[0-9]*; echo $#"))
    local function open(lock) return inside(admin { lock_mounts = lock }, "ls /proc/self/fd | tr '\\n' ' '") end
    assert.equal(open(false), open(true))
  end))

  it("keeps what was said of the mounts #vm", needs("user_namespaces", function()
    local keys = admin { mounts = { { type = "tmpfs", destination = "/mnt", size = "1M", propagation = "shared" },
      { type = "tmpfs", destination = "/srv", propagation = "unbindable" } } }
    if kernels.is_older(kernels.version(), "5.12") then
      return assert.matches("this needs Linux 5.12, and this is ", tostring(refused(keys)), 1, true)
    end
    local look = "findmnt -no PROPAGATION --mountpoint /mnt; findmnt -no PROPAGATION --mountpoint /srv; "
      .. "mkdir /tmp/a; mount --bind /srv /tmp/a 2>/dev/null; echo $?"
    keys.lock_mounts = false
    local before = inside(keys, look)
    keys.lock_mounts = true
    assert.equal(before, inside(keys, look))
    assert.matches("shared", before)
    -- Shared it is: a copy in a mount namespace hears of what is mounted.
    assert.equal("yes\n", inside(keys, [[
      unshare -m --propagation unchanged sh -c 'echo > /tmp/ready; while [ ! -e /tmp/done ]; do sleep 0.02; done
        [ -e /mnt/a/file ] && echo yes' &
      while [ ! -e /tmp/ready ]; do sleep 0.02; done
      mkdir /mnt/a; mount -t tmpfs none /mnt/a; touch /mnt/a/file; touch /tmp/done; wait]]))
  end))

  it("finds what is named from the working directory", needs("user_namespaces", function()
    trial.write(directory .. "/file", "here")
    trial.sh("chmod 755 " .. directory .. "; chmod 644 " .. directory .. "/file")
    local script = ([[
      local cella = require "cella"
      local box = cella.container { capabilities = { "sys_admin" }, lock_mounts = %s,
        mounts = { { type = "bind", source = "./file", destination = "/data",
          readonly = true } } }
      print(assert(box:run { "cat", "/data", stdout = "capture" }).stdout)]])
    for _, lock in ipairs { "true", "false" } do
      trial.write(directory .. "/script.lua", script:format(lock))
      assert.equal("here\n", trial.sh(("cd %s && %s script.lua"):format(directory, trial.interpreter())))
    end
  end))

  it("works where nobody keeps anything, and with functions, pools and no IDs", needs("user_namespaces", function()
    assert.equal("1\n", inside({ lock_mounts = true }, "echo 1"))
    local box = cella.container(admin())
    assert.equal(5, assert(box:run(function() return 5 end)).values[1])
    local pool = trial.hold(cella.pool { box, size = 1 })
    assert.not_equal(0, assert(pool:run(trial.script(UNDO))).code)
    assert.equal("65534\n", inside({ lock_mounts = true, ids = false }, "id -u"))
  end))

  it("is in the plan, and nothing of it where it is not asked for", needs("user_namespaces", function()
    assert.equal(1, count(admin(), "unshare_mounts_below"))
    assert.equal(1, count(admin(), "expect_locked_mounts"))
    for _, keys in ipairs { {}, admin { lock_mounts = false }, { capabilities = { "chown" } } } do
      assert.equal(0, count(keys, "unshare_mounts_below"))
      assert.equal(0, count(keys, "expect_locked_mounts"))
    end
    local seen = {}
    for i, step in ipairs(steps_of(admin())) do
      if step.op == "unshare" and step.args.namespaces[1] == "mount" then seen.unshare = i end
      if not seen[step.op] then seen[step.op] = i end
    end
    assert.is_true(seen.unshare_mounts_below < seen.fsopen and seen.pivot_root < seen.unshare
      and seen.unshare < seen.expect_locked_mounts and seen.expect_locked_mounts < seen.capset)
  end))

  it("is told of with the root, in the stages of a plan", needs("user_namespaces", function()
    local steps = steps_of(admin())
    local stages, seen = require("cella.plan.stage").of(steps), {}
    for i, step in ipairs(steps) do
      if step.op == "unshare" and step.args.namespaces[1] == "mount" then seen[#seen + 1] = stages[i] end
      if step.op:find "mounts" then seen[#seen + 1] = stages[i] end
    end
    assert.same({ "namespaces", "root", "root" }, seen)
  end))

  it("leaves no moment in which the child is among the host's mounts", needs("user_namespaces", function()
    local own, seen = cella.sys.namespace "mount", {}
    local function look(point)
      return function(process) seen[point] = assert(cella.sys.namespace("mount", process.pid)) end
    end
    assert(cella.container(admin { namespaces = { net = "host" }, hooks = { created = look "created",
      mapped = look "mapped", before_exec = look "before_exec" } }):run { "true" })
    assert.is_true(seen.created ~= own and seen.mapped ~= own and seen.before_exec ~= own)
  end))

  it("is read back: what is not locked is told #vm", needs("user_namespaces", function()
    local _, uid = cella.sys.getresuid()
    local plan = cella.plan { namespaces = { "user", "mount" }, ids = { uid = ("0 %d 1"):format(uid),
      gid = ("0 %d 1"):format((cella.sys.getresgid())), setgroups = "deny", via = "self" } }
    plan:mount("none", "/", nil, { "rec", "private" }):mount("none", "/tmp", "tmpfs"):chroot("/tmp"):chdir("/")
    local result, err = plan:expect_locked_mounts():exec({ "true" }):run()
    assert.is_nil(result)
    assert.equal("expect_locked_mounts", err.op)
    assert.equal("ENOTRECOVERABLE", err.code)
    assert.matches("sys_admin could undo them", tostring(err), 1, true)
  end))

  it("opens ID-mapped mounts to who keeps sys_admin", function()
    local keys = { capabilities = { "sys_admin" }, lock_mounts = false, mounts = { { type = "bind", source = directory,
      destination = "/data", idmap = true } } }
    assert.matches("mounts[1].idmap: flags of the host's and mounts below are not locked", raised(cella.container,
      keys), 1, true)
    keys.lock_mounts = nil
    assert.truthy(cella.container(keys))
    if trial.lacks_root() then return end -- who may make such mounts
    keys.mounts[1].readonly, keys.user = true, { uid = 0, gid = 0 }
    local result, err = cella.container(keys):run(trial.script(UNDO))
    if kernels.is_older(kernels.version(), "6.3") and mountinfo.on(directory).kind == "tmpfs" then
      -- No file system that can be ID-mapped: which is said.
      return assert.matches(err.code == "ENOSYS" and "this needs Linux 5.12, and this is "
        or directory .. " (tmpfs) refuses: tmpfs can be ID-mapped from Linux 6.3 on", tostring(err), 1, true)
    end
    assert.not_equal(0, assert(result, err).code)
  end)

  it("is refused where it would not hold", function()
    for expected, keys in pairs {
      ["lock_mounts: needs a user namespace of the container's own"] = { lock_mounts = true,
        namespaces = { user = "host" } },
      ["lock_mounts: needs a new mount namespace"] = { lock_mounts = true, namespaces = { mount = "host" } },
      ["lock_mounts: true or false expected"] = { lock_mounts = 1 },
    } do
      assert.matches(expected, raised(cella.container, keys), 1, true)
    end
  end)

  it("says which limit is in the way", needs("user_namespaces", function()
    -- Of the container that this one is in: one user namespace, and no more.
    local keys = { sysctl = { ["user.max_user_namespaces"] = 1 }, namespaces = { net = "host" }, proc = nil,
      capabilities = { "sys_admin", "setuid", "setgid", "setfcap" } }
    local said = assert(cella.container(keys):run { function()
      local result, err = cella.container({ capabilities = { "sys_admin" }, namespaces = { net = "host" },
        ids = { uid = "0 0 1", gid = "0 0 1" } }):run { "true" }
      return result and "it ran" or tostring(err)
    end }).values[1]
    assert.matches("unshare_mounts_below", said, 1, true)
    assert.matches("user.max_user_namespaces is 1", said, 1, true)
  end))
end)
