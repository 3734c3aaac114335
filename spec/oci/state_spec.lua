-- What a runtime knows of its containers.
local cella = require "cella"
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
    assert(state:remove())
  end)
end)
