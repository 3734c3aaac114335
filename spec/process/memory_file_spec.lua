-- Files in memory: the limit on the size of files is not in their way, and none outlives the Lua state that made it.

local able = require "spec.support.able"
local outside = require "spec.support.outside"
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)

-- What comes of it under `ulimit` where the caller starts a container with `size` bytes of input.
local START = [[
  local limit, size = ...
  local result, err = cella.container({ root = "/", namespaces = { net = "host" } }):run { "/usr/bin/wc", "-c",
    stdin = { content = ("x"):rep(size) }, stdout = "capture" }
  local soft, hard = sys.getrlimit "fsize"
  return result and tonumber(result.stdout), err and err.code, err and err.why, soft, hard
]]

local function start(ulimit, size)
  return outside.lua(START, { prefix = ("sh -c 'ulimit %s; exec \"$@\"' sh"):format(ulimit), arguments = { 0, size } })
end

describe("RLIMIT_FSIZE of the caller #slow", function()
  it("below the size of the init stops nothing as long as the hard limit allows it, and stays", needs("user_namespaces",
    function()
      local count, code, _, soft, hard = start("-S -f 1", 300000)
      assert.equal(nil, code)
      assert.equal(300000, count)
      assert.equal("512 unlimited", ("%s %s"):format(soft, hard))
    end))

  it("kills nobody: where it forbids the file it is an error that names it", needs("user_namespaces", function()
    local before = trial.word({ namespaces = { net = "host" } }, "echo as always")
    assert.equal("as always", before)
    for _, limit in ipairs { "-f 1", "-f 100" } do -- the init, and the input
      local count, code, why = start(limit, 300000)
      if able.lacks "raise_limits" then
        assert.equal(nil, count)
        assert.equal("EFBIG", code)
        assert.truthy(why:find("RLIMIT_FSIZE", 1, true), why)
      else
        assert.equal(300000, count)
      end
    end
  end))
end)

describe("a thread that changes which signals are ignored #slow", function()
  local directory = trial.directory()
  teardown(function() trial.remove_directory(directory) end)

  it("changes nothing for what is started meanwhile, nor for its init", needs("user_namespaces", function()
    local made = trial.sh(("cc -O1 -o %s/run spec/support/dispositions.c %s -lpthread"):format(directory,
      portable.flags()))
    if made ~= "" then return pending("needs a C compiler and Lua's library: " .. made) end
    local said = trial.sh(("env LUA_PATH=%s LUA_CPATH=%s %s/run %s 2>&1"):format(trial.quote(package.path),
      trial.quote(package.cpath), directory, trial.quote [[
        local cella = require "cella"
        local seen = {}
        for i = 1, 40 do
          local result, err = cella.container({}):run { "grep", "SigIgn", "/proc/self/status", stdout = "capture",
            timeout = 20 }
          seen[result and (result.reason .. " " .. result.stdout) or tostring(err)] = true
        end
        for text in pairs(seen) do io.write(text) end
      ]]))
    assert.equal("exited SigIgn:\t0000000000000000\n", said)
  end))
end)

describe("Lua states that are opened and closed #slow", function()
  local directory = trial.directory()
  teardown(function() trial.remove_directory(directory) end)

  it("leave no descriptor behind, in threads neither", needs("user_namespaces", function()
    local made = trial.sh(("cc -O1 -o %s/states spec/support/states.c %s -lpthread"):format(directory,
      portable.flags()))
    if made ~= "" then return pending("needs a C compiler and Lua's library: " .. made) end
    local said = trial.sh(("env LUA_PATH=%s LUA_CPATH=%s %s/states %s 1000"):format(trial.quote(package.path),
      trial.quote(package.cpath), directory, trial.quote [[
        local core = require "cella.core"
        assert(core.runner_file())
        assert(core.content("x"))
      ]]))
    local before, after = said:match "^(%d+) (%d+)\n$"
    assert.truthy(before, said)
    assert.equal(before, after)
  end))
end)
