-- What a runtime knows of its containers.
local cella = require "cella"
local core = require "cella.core"
local identity = require "cella.process.identity"
local states = require "cella.oci.state"
local trial = require "spec.support.trial"

describe("the state of a runtime's container", function()
  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  it("is of a process of this boot", function()
    local state, pid = assert(states.create(directory .. "/states", "one")), cella.sys.getpid()
    assert(state:write { pid = pid, start = states.start_time(pid) })
    assert.equal("running", state:status())
    local boot = identity.boot
    identity.boot = function() return "0123" end
    local status = state:status()
    identity.boot = boot
    assert.equal("stopped", status)
    -- Of another time namespace, whose clock differs by part of a tick; and of another process.
    local tick, digits = states.start_time(pid):match "^(%d+)(.*)$"
    assert(state:write { pid = pid, start = ("%.0f%s"):format(tonumber(tick) + 1, digits) })
    assert.equal("running", state:status())
    assert(state:write { pid = pid, start = ("%.0f%s"):format(tonumber(tick) + 100, digits) })
    assert.equal("stopped", state:status())
    assert(state:remove())
  end)

  it("is not there where the kernel gives no lock", function()
    local flock = core.flock
    core.flock = function() return nil, "flock: No locks available", 37 end
    local ok, state, err = pcall(states.create, directory .. "/states", "one")
    core.flock = flock
    assert.is_true(ok, state)
    assert.is_nil(state)
    assert.equal("ENOLCK", err.code)
    assert.same({}, states.list(directory .. "/states"))
  end)

  it("is of nobody once another command has deleted it", function()
    assert(states.create(directory .. "/states", "one")):unlock()
    local flock = core.flock
    core.flock = function(...) -- in the time that it takes to get the lock
      trial.sh(("rm -r %s/states/one"):format(directory))
      return flock(...)
    end
    local ok, state, err = pcall(states.open, directory .. "/states", "one", true)
    core.flock = flock
    assert.is_true(ok, state)
    assert.is_nil(state)
    assert.matches("container does not exist", tostring(err), 1, true)
  end)
end)

describe("an error of the runtime", function()
  local failed = require "cella.oci.failed"

  it("has our words in full, and the kernel's by the errno", function()
    local _, err = failed("delete", nil, "running: it has to be stopped, or: --force")
    assert.equal("delete: running: it has to be stopped, or: --force", tostring(err))
    _, err = failed("open", "/a: b", "/a: b: No such file or directory", 2)
    assert.equal("open: No such file or directory (ENOENT)\n  /a: b", tostring(err))
  end)
end)
