-- The suite of doc/busted.md has the report that stands there.

local suite = require "spec.support.suite"
local trial = require "spec.support.trial"

describe("the suite of doc/busted.md", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local directory
  trial.around(before_each, after_each, function() directory = trial.directory() end,
    function() trial.remove_directory(directory) end)

  local document = trial.read "doc/busted.md"
  local text = assert(document:match "```lua\n(%-%- box_spec.lua\n.-)```")
  local said = assert(document:match "```output\n(.-)```"):gsub("%.%.%. seconds", "TIME seconds")

  it("gives the report of the document", function()
    suite.write(directory, { ["box_spec.lua"] = text })
    local report, status = suite.run(directory, "box_spec.lua")
    assert.equal(1, status)
    assert.equal(said, (report:gsub("\n+$", "\n")))
  end)

  it("is that of busted where nothing hangs, crashes or leaves", function()
    suite.write(directory, { ["box_spec.lua"] = text })
    local report = suite.run(directory, "--filter='fails' --filter='pending' -v box_spec.lua")
    suite.write(directory, { ["box_spec.lua"] = text:gsub("boxed%.it", "it") })
    assert.equal(report, (suite.run(directory, "--filter='fails' --filter='pending' -v box_spec.lua")))
    assert.truthy(report:find("0 successes / 1 failure / 0 errors / 1 pending", 1, true), report)
  end)
end)
