-- Where cella is installed its modules come as bytecode, which does what the sources do.
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"

local WHERE = [[
  local cella = require "cella"
  local function origin(f) return (debug.getinfo(f).source:gsub("^@.*/lua/", "@")) end
  io.write(origin(cella.container), " ", origin(require("cella.cli").main))
]]

local BUILD = os.getenv "CELLA_BUILD" or "build/lua5.4"
local VERSION = BUILD:match "lua([%d.]+)$" or BUILD:match "lua(jit)$" or "5.4"
-- One that nobody has.
local RELEASE = VERSION == "jit" and "LuaJIT 2.1.999" or "Lua " .. VERSION .. ".99"

-- What a Lua program says that finds cella in a tree alone.
local function says(tree, program)
  local path = os.tmpname()
  trial.write(path, program)
  local said = trial.sh(("cd / && env LUA_PATH='%s/lua/?.lua;;' LUA_CPATH='%s/lib/?.so;;' %s %s 2>&1"):format(tree,
    tree, trial.lua, path))
  os.remove(path)
  return (said:gsub(path, "FILE"))
end

describe("an installed cella #slow", function()
  if (os.getenv "CELLA_BUILD" or ""):find "sanitized" then
    it("has bytecode", function() pending "its build is the one that is tested here" end)
    return
  end

  local directory

  local function install(name, variables)
    local tree = directory .. "/" .. name
    local said = trial.sh(("cd %s && make -s install LUA=%s INTERPRETER=%s -o %s/cella/core.so BUILD=%s "
      .. "BYTECODE=%s.bytecode PREFIX=%s INST_LUADIR=%s/lua INST_LIBDIR=%s/lib %s && echo good"):format(
      trial.quote(trial.top), VERSION, trial.lua, BUILD, BUILD, tree, tree, tree, tree, variables or ""))
    assert(said:find "good\n$", said)
    return tree
  end

  setup(function() directory = trial.directory() end)
  teardown(function() trial.remove_directory(directory) end)

  it("is performed from bytecode, by the Lua that it was made for", function()
    local tree = install "tree"
    assert.equal("=cella.container =cella.cli", says(tree, WHERE))
    assert.equal("3", says(tree, 'io.write(require("cella").container({}):run({ "sh", "-c", "exit 3" }).code)'))
    -- Not by one with other sources, as a checkout is,
    trial.sh(("mv %s/lua/cella.lua %s/kept && cp %s/lua/cella.lua %s/lua/"):format(tree, tree, trial.top, tree))
    assert.equal("@cella/container.lua @cella/cli.lua", says(tree, WHERE))
    trial.sh(("sed 's/^local bytecode = \"./&0/' %s/kept > %s/lua/cella.lua"):format(tree, tree))
    assert.equal("@cella/container.lua @cella/cli.lua", says(tree, WHERE))
    -- nor where it is not there any more.
    trial.sh(("mv %s/kept %s/lua/cella.lua"):format(tree, tree))
    assert.equal("=cella.container =cella.cli", says(tree, WHERE))
    os.remove(tree .. "/lib/cella/bytecode.so")
    assert.equal("@cella/container.lua @cella/cli.lua", says(tree, WHERE))
  end)

  it("is performed from its sources by another release of Lua", function()
    local wrapper = directory .. "/lua-of-another-time"
    trial.write(wrapper, '#!/bin/sh\n[ "$1" = -v ] && echo "' .. RELEASE .. '  Copyright" && exit\nexec '
      .. trial.lua .. ' "$@"\n')
    trial.sh("chmod +x " .. wrapper)
    local tree = install("other", "INTERPRETER=" .. wrapper)
    assert.truthy(trial.read(tree .. "/lib/cella/bytecode.so"))
    assert.equal("@cella/container.lua @cella/cli.lua", says(tree, WHERE))
    tree = install("none", "INTERPRETER=/nonexistent")
    assert.is_nil(trial.read(tree .. "/lib/cella/bytecode.so"))
    assert.equal("@cella/container.lua @cella/cli.lua", says(tree, WHERE))
  end)

  it("raises where the caller made the mistake, and tells its own lines", function()
    local said = says(install "tree", '\n\nlocal cella = require "cella"\n\ncella.container { hostnam = "x" }\n')
    assert.truthy(said:find("FILE:5: hostnam: unknown key", 1, true), said)
    assert.truthy(said:find("cella.validate:%d+: in "), said)
  end)
end)

describe("bytecode", function()
  it("does without the names of variables, and nothing else", function()
    local unnamed = dofile(trial.top .. "/tools/bytecode/unnamed.lua")
    local source = [[
      local first, second = 1, 2.5
      local long = ("x"):rep(300) .. "]] .. ("y"):rep(300) .. [["
      return function(argument, ...)
        local inner = { nil, true, false, first, second, #long, argument }
        inner[2] = nil
        return function() return inner[argument], long, missing.field end
      end
    ]]
    local whole = string.dump(assert(portable.load(source, "=source")))
    local bare = unnamed(whole)
    if _VERSION ~= "Lua 5.4" then return assert.equal(whole, bare) end
    for _, name in ipairs { "first", "second", "argument", "_ENV" } do
      assert.truthy(whole:find(name, 1, true), name) -- the control
      assert.is_nil(bare:find(name, 1, true), name)
    end
    local globals = {}
    local made = load(bare, "=", "b", setmetatable(globals, { __index = _G }))()(4)
    local ok, message = pcall(made)
    assert.is_false(ok)
    assert.matches("^source:6: attempt to index a nil value", message)
    globals.missing = { field = 7 }
    assert.same({ 1, ("x"):rep(300) .. ("y"):rep(300), 7 }, { made() })
  end)
end)
