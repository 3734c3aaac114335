-- Whom the blame falls on: the first frame outside of cella's library, whatever is between, and however it was loaded.

local able = require "spec.support.able"
local cella = require "cella"
local host = require "cella.host"
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)
local quote, sh = trial.quote, trial.sh

local HERE = debug.getinfo(1, "S").short_src

local function line() return debug.getinfo(2, "l").currentline end

-- What is raised has to begin with this file and that line.
local function is_blamed(number, ok, message)
  assert.is_false(ok)
  local place = ("%s:%d: "):format(HERE, number)
  assert.equal(place, tostring(message):sub(1, #place), tostring(message))
end

describe("blame falls on the user's line", function()
  it("through frames of C", function()
    is_blamed(line(), pcall(cella.container, { x = 1 }))
    is_blamed(line(), pcall(table.sort, { 1, 2 }, cella.container))
    is_blamed(line(), pcall(string.gsub, "x", "x", cella.caps.set))
  end)

  it("that called the function of a tail call, or of many", function()
    local function one() return cella.container { x = 1 } end
    local function two(n) if n > 0 then return two(n - 1) end return one() end
    is_blamed(line(), pcall(function() local box = two(10) return box end))
  end)

  it("in a function that cella has called", function()
    local at
    local function choose() at = line() local box = cella.container { x = 1 } return box end
    local ok, message = pcall(cella.policy.resolve, choose, host.facts())
    is_blamed(at, ok, message)
    ok, message = pcall(cella.policy.resolve, cella.policy.first { choose }, host.facts())
    is_blamed(at, ok, message)
  end)

  it("in a function that gets the program's output", needs("user_namespaces", function()
    local at, process
    local function take() at = line() local result = process:wait() return result end
    process = assert(cella.container({}):spawn { "/bin/echo", "x", stdout = take })
    local ok, message = pcall(process.wait, process)
    is_blamed(at, ok, message)
    assert.truthy(message:find("must neither wait", 1, true), message)
    process:close()
  end))

  it("in a hook, of which an error is made", needs("user_namespaces", function()
    local at
    local function hook() at = line() local box = cella.container { x = 1 } return box end
    local result, err = cella.container({ hooks = { mapped = hook } }):run { "/bin/true" }
    assert.is_nil(result)
    is_blamed(at, false, err.cause)
  end))

  it("in a coroutine, and on nobody where nobody's is there", function()
    local function body() local box = cella.container { x = 1 } return box end
    is_blamed(line() - 1, coroutine.resume(coroutine.create(body)))
    local ok, message = coroutine.resume(coroutine.create(cella.container), { x = 1 })
    assert.is_false(ok)
    assert.equal("x: unknown key;", message:sub(1, 15))
  end)

  it("in a chunk without a file", function()
    local chunk = portable.load("local cella = ...\nlocal box = cella.container { x = 1 }", "=typed")
    local ok, message = pcall(chunk, cella)
    assert.is_false(ok)
    assert.equal("typed:2: x: unknown key;", message:sub(1, 24))
  end)
end)

-- In each Lua that there is: validate needs no C.
describe("in a folder with files of the names of ours", function()
  local folder

  before_each(function() folder = sh "mktemp -d":gsub("\n", "") end)
  after_each(function() sh("rm -rf " .. quote(folder)) end)

  local function write(path, text)
    local file = assert(io.open(folder .. "/" .. path, "w"))
    file:write(text)
    file:close()
  end

  local CHECK = [[
    local validate = require "cella.validate"
    local function check() local value = validate.check(validate.rule.boolean, 5, "x") return value end
    local function tail() return check() end
    local function tails() return validate.check(validate.rule.boolean, 5, "x") end
    print(pcall(check))
    print(pcall(tail))
    print(pcall(tails))
  ]]
  local PLACES = { 2, 2, 7 }

  -- That the program CHECK at `path` is blamed there in each Lua; `prepare` is Lua that is executed before it, with the
  -- library's folder as LIBRARY.
  local function is_blamed_there(path, prepare)
    local expected, count = "", 0
    for _, number in ipairs(PLACES) do
      expected = ("%sfalse\t%s:%d: x: true or false expected, got 5\n"):format(expected, path, number)
    end
    for _, lua in ipairs { "lua5.1", "lua5.3", "lua5.4", "luajit" } do
      if sh("command -v " .. lua) ~= "" then
        count = count + 1
        local text = ("LIBRARY = %q\n%s\ndofile %q"):format(trial.top .. "/lua", prepare, path)
        assert.equal(expected, sh(("cd %s && env -u LUA_PATH -u LUA_INIT %s -e %s"):format(quote(folder), lua,
          quote(text))), lua)
      end
    end
    assert.is_true(count > 0)
  end

  local CHECKOUT = 'package.path = LIBRARY .. "/?.lua"'

  it("a user's file is a user's: cella.lua, cella/validate.lua, cella/mine.lua", function()
    sh(("mkdir %s/cella"):format(quote(folder)))
    for _, name in ipairs { "cella.lua", "cella/validate.lua", "cella/mine.lua" } do
      write(name, CHECK)
      is_blamed_there(name, CHECKOUT)
      is_blamed_there("./" .. name, CHECKOUT)
    end
  end)

  it("a user's file is a user's beside ours too", function()
    sh(("cp -r lua/cella %s"):format(quote(folder)))
    write("cella/mine.lua", CHECK)
    is_blamed_there("cella/mine.lua", 'package.path = "?.lua"')
    is_blamed_there("./cella/mine.lua", 'package.path = "./?.lua"')
  end)

  -- The searcher gives what `chunk` makes of a module's text.
  local function searcher(chunk)
    return ([[
      local function chunk(text, name, dotted) %s end
      table.insert(package.searchers or package.loaders, 1, function(module)
        local name = module:gsub("%%.", "/")
        local file = io.open(LIBRARY .. "/" .. name .. ".lua")
        if not file then return nil end
        local text = file:read "*a"
        file:close()
        return assert(chunk(text, name, module))
      end)]]):format(chunk)
  end

  it("ours are known by what a searcher calls them", function()
    write("mine.lua", CHECK)
    for _, chunk in ipairs {
      "return (loadstring or load)(text, '=' .. dotted)", "return (loadstring or load)(text, '@' .. name)",
      "return (loadstring or load)(text, '@/opt/a.b/' .. name .. '.luac')",
      "return (loadstring or load)(text, '@zip:/x.zip/cella_1_0-' .. name .. '.lua')",
      -- Of these no two are called alike: each is its own text; or all are, as they are in a bundle or stripped.
      "return (loadstring or load)(text)", "return (loadstring or load)(text, '@bundle')",
      "return (loadstring or load)(string.dump((loadstring or load)(text), true))",
    } do
      is_blamed_there("mine.lua", searcher(chunk))
    end
  end)
end)
