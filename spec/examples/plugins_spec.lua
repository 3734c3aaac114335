-- examples/plugins.lua: what a host hears of three plugins, of which one is hostile.

local trial = require "spec.support.trial"

describe("examples/plugins.lua", function()
  local lacks = trial.lacks_user_namespaces()
  if lacks then return pending(lacks) end

  trial.around(before_each, after_each)

  it("hears the two that mean well, whatever the third does", function()
    local said = trial.sh(trial.interpreter() .. " examples/plugins.lua 'a b a'; echo status $?")
    assert.is_truthy(said:find('counts   answers { "a" = 2, "b" = 1 }', 1, true), said)
    assert.is_truthy(said:find('shouts   answers "A B A!"', 1, true), said)
    -- It was asked each time in the same interpreter.
    assert.is_truthy(said:find('shouts   says "asked for the 7. time"', 1, true), said)
    assert.matches("status 0\n$", said)
    local reasons = {}
    for reason in said:gmatch "hostile  fails %(([^\n]*)%)\n" do reasons[#reasons + 1] = reason end
    -- A machine that has other things to do is not quick enough to run out of memory.
    if reasons[3] == "timeout" then reasons[3] = "memory" end
    assert.same({ "error", "timeout", "memory", "timeout", "output", "error", "it did not: nil" }, reasons)
    -- Nothing that a terminal would obey.
    assert.is_nil(said:find "[%z\1-\8\11-\31\127-\255]")
  end)
end)
