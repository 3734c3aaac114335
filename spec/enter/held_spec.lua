-- What is joined is what it was when the plan was made, whatever its path or its process mean later.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local outside = require "spec.support.outside"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)

describe("a namespace that is joined", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  trial.around(before_each, after_each)

  local function sleeper()
    return trial.hold(cella.container {}:spawn { "sleep", "1000", stdin = "null" })
  end

  local function net_of(plan)
    plan:exec { "readlink", "/proc/self/ns/net", stdin = "null", stdout = "capture" }
    local result, err = plan:run()
    assert(result, tostring(err))
    return tonumber(result.stdout:match "%[(%d+)%]")
  end

  it("is that of the path at the time of the plan", function()
    local one, other = sleeper(), sleeper()
    local inode = core.inode(("/proc/%d/ns/net"):format(one.pid))
    local directory = trial.directory()
    local path = directory .. "/net"
    assert(core.sys.symlink(("/proc/%d/ns/net"):format(one.pid), path))
    local function joining()
      return cella.plan { join = { { type = "user", pid = one.pid }, { type = "net", path = path } } }
    end
    local plan = joining()
    assert(os.remove(path))
    assert(core.sys.symlink(("/proc/%d/ns/net"):format(other.pid), path))
    assert.equal(inode, net_of(plan))
    -- A plan that is made now would join the other one, which that user namespace does not own.
    local late, err = joining():exec({ "true" }):run()
    assert.is_nil(late)
    assert.equal("setns EPERM", err.op .. " " .. err.code)
    trial.remove_directory(directory)
  end)

  it("is that of a descriptor which was closed, or is another's, meanwhile", function()
    local one = sleeper()
    local inode = core.inode(("/proc/%d/ns/net"):format(one.pid))
    local fd = assert(core.open(("/proc/%d/ns/net"):format(one.pid), "rdonly"))
    local plan = cella.plan { join = { { type = "user", pid = one.pid }, { type = "net", fd = fd:number() } } }
    fd:close()
    assert.equal(inode, net_of(plan))
  end)

  it("is that of a process that has ended, and whose number is another's", function()
    local first, found, second, reused = outside.lua([[
      local one = assert(cella.container { ids = require("cella.policy").root() }:spawn { "sleep", "1000" })
      local pid = one.pid
      local wanted = sys.namespace("net", pid)
      local box = cella.container { namespaces = { user = { pid = pid }, net = ("/proc/%d/ns/net"):format(pid),
        mount = "host" } }
      local plan = assert(box:plan { "readlink", "/proc/self/ns/net", stdin = "null", stdout = "capture" })
      one:close()
      assert(sys.write_file("/proc/sys/kernel/ns_last_pid", tostring(pid - 2)))
      local other = assert(cella.container { ids = require("cella.policy").root() }:spawn { "sleep", "1000" })
      local result = assert(plan:run())
      local theirs = sys.namespace("net", other.pid)
      local same = other.pid == pid
      other:close()
      return wanted, tonumber(result.stdout:match "%[(%d+)%]"), theirs, same
    ]], { prefix = "unshare --user --map-root-user --pid --fork --mount-proc" })
    assert.equal(first, found)
    assert.not_equal(second, found)
    assert.is_true(reused)
  end)

  it("is not taken for that of another process, whose number it has by then", function()
    local code, why, reused = outside.lua([[
      local apart = cella.container { ids = require("cella.policy").root() }
      local one = assert(apart:spawn { "sleep", "1000" })
      local pid, pidfd, other = one.pid, core.pidfd, nil
      -- Between the opening of the namespace and the reading of the maps.
      core.pidfd = function(number)
        if number == pid and not other then
          other = true
          one:close()
          assert(sys.write_file("/proc/sys/kernel/ns_last_pid", tostring(pid - 2)))
          other = assert(apart:spawn { "sleep", "1000" })
        end
        return pidfd(number)
      end
      local box = cella.container { namespaces = { user = ("/proc/%d/ns/user"):format(pid), mount = "host" } }
      local result, err = box:run { "true" }
      core.pidfd = pidfd
      local reused = other.pid == pid
      other:close()
      return not result and err.code, err and err.why, reused
    ]], { prefix = "unshare --user --map-root-user --pid --fork --mount-proc" })
    assert.is_true(reused)
    assert.equal("ESRCH", code)
    assert.matches("its number has come to mean another", why)
  end)

  it("is a namespace: a FIFO is not waited for, and nothing else is opened", function()
    local directory = trial.directory()
    local fifo = directory .. "/fifo"
    trial.host { "mkfifo", fifo }
    for _, path in ipairs { fifo, "/dev/zero", "/etc/passwd", "/proc/self/ns" } do
      local before = core.now()
      local result, err = cella.container { namespaces = { net = path } }:run { "true", timeout = 20 }
      assert.is_nil(result)
      assert.is_true(core.now() - before < 10)
      assert.equal("open EINVAL " .. path, ("%s %s %s"):format(err.op, err.code, err.path))
      assert.truthy(tostring(err):find("this is not a namespace", 1, true), tostring(err))
    end
    trial.remove_directory(directory)
  end)

  it("is read back: who is not in it does not go on", needs("user_namespaces", function()
    local one = sleeper()
    local plan = cella.plan { join = { { type = "user", pid = one.pid }, { type = "net", pid = one.pid } } }
    local inode = core.inode(("/proc/%d/ns/net"):format(one.pid))
    assert.truthy(tostring(plan):find(('expect_namespace("self/ns/net", %d, true'):format(inode), 1, true))
  end))

  it("is not said to be of a process that has ended where there is no descriptor left to look", function()
    local one = sleeper()
    local soft, hard = core.sys.getrlimit "nofile"
    local function refused_with(free)
      local taken = {}
      assert(core.sys.setrlimit("nofile", 300, hard))
      collectgarbage()
      repeat
        local fd = core.open("/dev/null", "rdonly")
        taken[#taken + 1] = fd
      until not fd
      for _ = 1, free do table.remove(taken):close() end
      local plan, err = cella.container { namespaces = { user = { pid = one.pid } } }:plan { "true" }
      for _, fd in ipairs(taken) do fd:close() end
      assert(core.sys.setrlimit("nofile", soft, hard))
      return plan, err
    end
    local codes = {}
    for free = 0, 8 do
      local plan, err = refused_with(free)
      codes[plan and "planned" or tostring(err.code)] = true
    end
    assert.same({ EMFILE = true, planned = true }, codes)
  end)
end)
