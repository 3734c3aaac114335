-- Suites that others wrote, unchanged, in boxes and without: the same counts.

local suite = require "spec.support.suite"
local trial = require "spec.support.trial"

describe("a suite of others", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  trial.around(before_each, after_each)

  local function suites()
    local result = trial.host({ "tools/suites" }, 300) -- from a mirror
    if result.status == 69 then return nil, (result.stderr:match "([^\n]*)\n*$") end
    assert.equal(0, result.status, result.stderr)
    return (result.stdout:match "^[^\n]+")
  end

  local BY_COMMAND = trial.top .. "/bin/cella busted -j 2"

  local function counts(directory, arguments, program)
    local report = suite.run(directory, arguments, nil, program)
    return assert(report:match "%d+ successe?s?e?s? / %d+ failures? / %d+ errors? / %d+ pending", report)
  end

  it("counts the same in boxes, or file by file in containers", function()
    local top, reason = suites()
    if not top then return pending(reason) end
    for name, least in pairs { ["lua-say"] = 5, ["lua-luassert"] = 150 } do
      local directory = top .. "/" .. name
      suite.write(directory, {})
      local plain = counts(directory, "spec")
      assert.is_true(tonumber(plain:match "^%d+") >= least, plain)
      -- luassert's expects that nil can be raised: Lua 5.5 makes a string of it.
      local fine = select(2, pcall(error)) ~= nil or plain:find(" / 0 failures / 0 errors / ", 1, true)
      assert.truthy(fine, plain)
      assert.equal(plain, counts(directory, "spec", BY_COMMAND))
      -- Test by test; of the larger one a file, as each is a container.
      local some = name == "lua-say" and "spec" or "spec/state_spec.lua"
      assert.equal(counts(directory, some), counts(directory, "--helper=cella.busted " .. some))
    end
  end)
end)
