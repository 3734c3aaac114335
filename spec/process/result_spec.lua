-- What is printed of a result, and of the other values that a program of a user's holds.

local able = require "spec.support.able"
local cella = require "cella"
local results = require "cella.process.result"

local needs = able.needs(function(reason) pending(reason) end)

local TIMEOUT = 1.5 -- seconds: the set-up has to be over by then, or it is the one that fails

describe("a result is printed:", needs("user_namespaces", function()
  local box = cella.container {}

  local function printed(command, ...) return tostring(assert(box:run(command, ...))) end
  local function sh(line, more)
    local command = { "sh", "-c", line }
    for key, value in pairs(more or {}) do command[key] = value end
    return printed(command)
  end

  it("how the program ended by itself", function()
    assert.equal("exited 0", sh "true")
    assert.equal("exited 3", sh "exit 3")
    assert.equal("ended by the signal term (15)", sh "kill -TERM $$")
    assert.equal("ended by the signal 40", sh "kill -40 $$")
  end)

  it("by which limit, and how much that was", function()
    assert.equal("killed: timed out after 1.5 s", sh("sleep 60", { timeout = TIMEOUT }))
    assert.equal("killed: used more than 0.1 s of processor time", sh("while :; do :; done", { cpu_limit = 0.1 }))
    assert.equal("killed: wrote more than 64K",
      sh("while :; do echo 0123456789; done", { output_limit = 65536, stdout = "capture" }))
    local said = sh("echo 0123456789", { output_limit = 5, stdout = "capture" })
    assert.matches("^[a-z 0]+: wrote more than 5 bytes$", said)
    local result = assert(box:run { "sleep", "60", timeout = TIMEOUT })
    assert.same({ "timeout", TIMEOUT }, { result.reason, result.limit })
    assert.is_nil(assert(box:run { "true", timeout = 60 }).limit)
  end)

  it("that not all of its output was kept", function()
    assert.equal("exited 0, with more output than was kept", sh("echo 0123456789", { stdout = "capture",
      capture_limit = 5 }))
    assert.equal("exited 0", sh("echo 0123", { stdout = "capture", capture_limit = 5 }))
  end)

  it("what became of a function", function()
    assert.equal("exited 0, returned 3 values", printed(function() return 1, nil, "x" end))
    assert.equal("exited 0, returned 1 value", printed(function() return 1 end))
    assert.matches("^exited 1, raised: .*result_spec.lua:%d+: bo\\x1bom$", printed(function() error "bo\27om" end))
    assert.equal("exited 4; the function has not returned: it left with the status 4",
      printed(function() os.exit(4) end))
  end)

  it("and comes out of a function in a container as what it is: a plain table", function()
    local result = assert(cella.plan():call(function()
      return assert(cella.plan():exec({ "sh", "-c", "exit 7" }):run())
    end):run())
    assert.same({ "exited", 7 }, { result.values[1].reason, result.values[1].code })
    -- Which nothing with a metatable of another's does.
    result = assert(cella.plan():call(function() return setmetatable({}, {}) end):run())
    assert.matches("a table with a metatable, which would be lost", result.error.message, 1, true)
  end)

  it("by its process too, which says what it does before that", function()
    local process = assert(box:spawn { "sleep", "60" })
    assert.matches("^cella.process %(pid %d+, running%)$", tostring(process))
    process:kill "kill"
    process:wait()
    assert.matches("^cella.process %(pid %d+, ended by the signal kill %(9%)%)$", tostring(process))
  end)
end))

describe("a result", function()
  it("whose fields somebody has changed is printed all the same", function()
    for _, fields in ipairs { {}, { reason = "timeout" }, { reason = "exited", code = "x" }, { reason = {} } } do
      assert.equal("cella.result", tostring(results.new(fields)))
    end
  end)

  it("of a lack of memory says the limit, if it is known", function()
    assert.equal("killed: needed more memory than its limit of 64M",
      tostring(results.new { reason = "oom", signal = "kill", signal_number = 9, limit = 67108864 }))
    assert.equal("killed: needed more memory than there is",
      tostring(results.new { reason = "oom", signal = "kill", signal_number = 9 }))
  end)
end)
