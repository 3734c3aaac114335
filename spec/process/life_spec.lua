-- Many containers, and callers that die: nothing is left of either.

local cella = require "cella"
local core = require "cella.core"
local leaks = require "spec.support.leaks"
local outside = require "spec.support.outside"
local trial = require "spec.support.trial"

local lacks = trial.lacks_user_namespaces()
local function when_able(title, body)
  it(title, function() if lacks then pending(lacks) else body() end end)
end

-- Sanitizers make each start several times as slow; and what root's specs repeat, those of a user need not as often.
local sanitized = (os.getenv "CELLA_BUILD" or ""):find "sanitized" ~= nil
-- CELLA_LIFE=all: 1,000 of each.
local every = os.getenv "CELLA_LIFE" == "all"
local MANY = every and 1000 or sanitized and 400 or trial.lacks_root() and 300 or 500
local AT_ONCE = every and 1000 or sanitized and 100 or 400

-- Processes whose environment has a word in it: those that a caller has started, wherever they are.
local function marked(word)
  local list = {}
  for pid in trial.sh("ls /proc"):gmatch "%f[%d]%d+%f[\n]" do
    local environment = trial.read(("/proc/%s/environ"):format(pid))
    if environment and environment:find(word, 1, true) and trial.runs(pid) then list[#list + 1] = pid end
  end
  return list
end

describe("a container's life #slow", function()
  setup(core.runner_file) -- kept for ever once it is made
  before_each(leaks.watch)
  after_each(leaks.check)

  when_able(("leaves nothing, %d times"):format(MANY), function()
    local wrong, grown = outside.lua([[
      local many = ...
      local function memory()
        local file = io.open "/proc/self/status"
        local text = file:read "*a"
        file:close()
        return tonumber(text:match "VmRSS:%s*(%d+)")
      end
      -- As small as one can be: what is counted is what is left.
      local box = cella.container { namespaces = { net = "host" },
        root = { { type = "bind", source = "/", destination = "/", readonly = true } } }
      local command = { "/bin/true", stdin = "null" }
      local before, wrong
      for i = 1, many do
        if assert(box:run(command)).code ~= 0 then wrong = i end
        if i % 10 == 0 then collectgarbage() end -- or the collector waits for twice what all modules take
        if i == math.floor(many / 5) then
          collectgarbage() collectgarbage()
          before = memory()
        end
      end
      collectgarbage() collectgarbage()
      return wrong, memory() - before
    ]], { arguments = { MANY } })
    assert.is_nil(wrong)
    -- A page for each would be twice that. (ASan holds on to what was freed, and looks for leaks itself.)
    assert.is_true(sanitized or grown < MANY * 1.6, ("%d kB more"):format(grown))
  end)

  when_able(("is led by %d at once, and ends when it is told to"):format(AT_ONCE), function()
    local box = cella.container { namespaces = { net = "host" } }
    local all = {}
    for i = 1, AT_ONCE do
      local process, err = box:spawn { "/bin/sleep", "1000", stdin = "null", stdout = "null", stderr = "null" }
      if not process then
        for _, one in ipairs(all) do one:close() end
        error(("number %d: %s"):format(i, tostring(err)))
      end
      all[i] = process
    end
    for _, process in ipairs(all) do assert(process:kill "kill") end
    for _, process in ipairs(all) do assert.equal("kill", assert(process:wait(60)).signal) end
  end)

  when_able("ends with a caller that is killed at any moment, and leaves nothing", function()
    local directory = trial.directory()
    local mounts = trial.read "/proc/self/mountinfo"
    local started = 0
    for i = 1, 20 do
      local word = ("CELLA_LIFE=%s.%d"):format(directory, i)
      local source = ([[
        local cella = require "cella"
        local box = cella.container { environment = { CELLA_LIFE = %q }, root = "/", mounts = {
          { type = "tmpfs", destination = "/tmp" }, { type = "proc", destination = "/proc" } } }
        local all = {}
        for i = 1, 1e9 do
          all[i %% 5 + 1] = assert(box:spawn { "/bin/sh", "-c", "sleep 1000 & setsid sleep 1000" })
          io.open(%q, "w"):close()
        end
      ]]):format(word:match "=(.*)", directory .. "/started")
      local caller = assert(cella.plan():exec({ "/bin/sh", "-c",
        ("%s exec %s -e %s"):format(word, trial.interpreter(), trial.quote(source)),
        stdin = "null", stdout = "null", stderr = "null" }):spawn())
      local result, err = caller:wait(math.random() * 0.08 * i) -- later and later, where everything is slow
      assert.is_nil(result, "the caller ended by itself")
      assert.equal("ETIMEDOUT", err.code)
      caller:kill "kill"
      caller:wait()
      trial.wait_for(function() return #marked(word) == 0 end, "the end of what the caller had started")
      if trial.read(directory .. "/started") then
        started = started + 1
        os.remove(directory .. "/started")
      end
    end
    assert.equal(mounts, trial.read "/proc/self/mountinfo")
    -- That there was something to end.
    assert.is_true(started > 3, ("%d callers came to start anything"):format(started))
    assert.equal("", trial.sh("ls -A " .. directory))
    trial.remove_directory(directory)
  end)
end)
