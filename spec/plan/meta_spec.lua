-- lua/cella/meta, which editors show, is what tools/meta.lua makes of the lines above the functions in csrc/ and of the
-- table of operations; and these lines say what the table says.

local core = require "cella.core"
local operations = require "spec.support.operations"
local sys = require "cella.sys"
local trial = require "spec.support.trial"

-- name -> { { name =, optional = } ... }
local function declared()
  local found, types = {}, {}
  for line in io.lines "lua/cella/meta/sys.lua" do
    local parameter, mark, type = line:match "^%-%-%-@param ([%w_]+)(%??) (.*)$"
    if parameter then types[parameter] = { name = parameter, text = type, mark = mark } end
    local name, list = line:match "^function sys%.([%w_]+)%((.-)%) end$"
    if name then
      found[name] = {}
      for word in list:gmatch "[%w_]+" do table.insert(found[name], types[word] or { name = word, text = "" }) end
      types = {}
    elseif line == "" then
      types = {}
    end
  end
  return found
end

-- name -> its line above the function in C: "setns(fd [, namespaces]) -> ..."
local function commented()
  local found = {}
  for path in trial.sh("ls csrc/ops/*.c"):gmatch "%S+" do
    for name, list in trial.read(path):gmatch "\n/%* ([%w_]+)(%b()) [%-%[]" do found[name] = list end
  end
  return found
end

local function names_of(parameters)
  local names = {}
  for i, parameter in ipairs(parameters) do names[i] = parameter.name end
  return names
end

describe("the metadata of cella.sys", function()
  local meta = declared()

  it("is what tools/meta.lua makes of the sources", function()
    assert.equal("", trial.sh(trial.lua .. " tools/meta.lua check 2>&1"))
  end)

  it("declares every function that there is, and no other", function()
    local there, said = {}, {}
    for name, value in pairs(sys) do
      if debug.getinfo(value).what == "C" then there[name] = true end -- the rest is annotated where it is
    end
    for name in pairs(meta) do said[name] = true end
    assert.same(there, said)
  end)

  for name, parameters in pairs(operations) do
    if core.sys[name] then
      it("has the parameters of " .. name, function()
        assert.same(names_of(parameters), names_of(meta[name] or {}))
        for i, parameter in ipairs(meta[name]) do
          -- As "TYPE?", or one that has nil among its choices; what else the words say comes after two blanks.
          local text = parameter.text:gsub("  .*", "")
          assert.truthy(text ~= "", parameter.name .. " has no type")
          local optional = text:find "%?$" ~= nil or text:find "|nil$" ~= nil
          assert.equal(parameters[i].optional or false, optional, parameter.name)
        end
      end)
    end
  end
end)

describe("the line above an operation in C", function()
  local comments = commented()

  for name, parameters in pairs(operations) do
    it("has the parameters of " .. name, function()
      local list = assert(comments[name], "there is none")
      local words = {}
      for word in list:gsub("| nil", ""):gsub("path | paths", "path"):gmatch "[%w_]+" do words[#words + 1] = word end
      assert.same(names_of(parameters), words)
      -- What may be left away at the end is in brackets; in the middle it is nil.
      for _, parameter in ipairs(parameters) do
        local before, after = list:match("^(.*)%f[%w_]" .. parameter.name .. "%f[^%w_](.*)$")
        local optional = before:find("[", 1, true) ~= nil or after:find "^ | nil" ~= nil
        assert.equal(parameter.optional or false, optional, parameter.name)
      end
    end)
  end
end)
