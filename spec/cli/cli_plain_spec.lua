-- A line without options of cella's own is taken apart without argparse, as argparse would have done it.

local able = require "spec.support.able"
local grammar = require "cella.cli.grammar"
local trial = require "spec.support.trial"
local words = require "cella.cli.words"

local needs = able.needs(function(reason) pending(reason) end)

local LINES = {
  { "run" }, { "run", "" }, { "run", "x.lua" }, { "run", "a b" }, { "run", "run" }, { "run", "--", "--", "-t" },
  { "run", "x.lua", "1", "-v", "--terminal" }, { "run", "x.lua", "--", "sh", "-c", "x" }, { "run", "--", "sh" },
  { "run", "--" }, { "run", "x.lua", "--" }, { "run", "=" }, { "run", "[x]" },
}

local OTHERS = {
  {}, { "" }, { "--version" }, { "--help" }, { "run", "-h" }, { "run", "-t", "--", "sh" }, { "run", "-" },
  { "run", "-e", "", "--", "sh" }, { "run", "--debug", "x.lua" }, { "plan", "--html", "x.lua" }, { "run", "-x" },
  { "enter", "1", "--", "sh" }, { "doctor" }, { "ru", "x.lua" }, { "tree", "1" },
  { "plan", "x.lua" }, { "run", "-t", "x.lua" },
}

describe("a line without options", function()
  it("means without argparse what it means with it", function()
    for _, line in ipairs(LINES) do
      local expected = grammar.parser(line[1]):parse(words.split(line).ours)
      assert.same(expected, words.plain(line), table.concat(line, " "))
    end
  end)

  it("is not one that has some, nor of another command", function()
    for _, line in ipairs(OTHERS) do assert.is_nil(words.plain(line), table.concat(line, " ")) end
  end)

  it("runs where there is no argparse, and one with options does not", needs("user_namespaces", function()
    local directory = trial.directory()
    trial.write(directory .. "/without.lua", [[
      table.insert(package.searchers or package.loaders, 2, function(name)
        if name == "argparse" then error("module 'argparse' not found:\n\tno field", 0) end
      end)]])
    local function run(options)
      return trial.sh(("LUA_INIT=@%s/without.lua %s %s/bin/cella run %s -- echo inside"):format(directory,
        trial.interpreter(), trial.top, options))
    end
    local plain, other = run "", run "--no-terminal"
    trial.remove_directory(directory)
    assert.equal("inside\n", plain)
    assert.truthy(other:find("argparse is missing", 1, true), other)
  end))
end)
