-- Programs that are to live without the handle, and without the caller: process:detach().

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local outside = require "spec.support.outside"
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"

trial.around(before_each, after_each)

local needs = able.needs(function(reason) pending(reason) end)
local raised = trial.raised

local BOX = { die_with_parent = false, hostname = "lasting", namespaces = { net = "host" } }

local function with(keys)
  local box = {}
  for key, value in pairs(BOX) do box[key] = value end
  for key, value in pairs(keys or {}) do box[key] = value end
  return cella.container(box)
end

local function finish(pid)
  trial.sh("kill -9 " .. pid)
  trial.wait_for(function() return not trial.runs(pid) end, "its end")
end

-- The zombies among the children of this process.
local function zombies()
  local own, found = cella.sys.getpid(), 0
  for pid in trial.read(("/proc/%d/task/%d/children"):format(own, own)):gmatch "%d+" do
    if (trial.read("/proc/" .. pid .. "/stat") or ""):find "%) Z " then found = found + 1 end
  end
  return found
end

describe("a program that is detached", function()
  for _, init in ipairs { true, false } do
    it(("lives on when its handle is closed and collected, with init = %s"):format(tostring(init)),
      needs("user_namespaces", function()
        local process = assert(with { init = init }:spawn { "/bin/sleep", "1000" })
        local pid = process.pid
        assert.is_true(process:detach())
        assert.truthy(tostring(process):find("detached", 1, true), tostring(process))
        process:close()
        process = nil -- luacheck: ignore
        portable.collect()
        local ran = trial.runs(pid)
        finish(pid)
        assert.is_true(ran)
        -- The control: without that it is killed.
        process = assert(with { init = init }:spawn { "/bin/sleep", "1000" })
        pid = process.pid
        process:close()
        trial.wait_for(function() return not trial.runs(pid) end, "its end")
      end))
  end

  it("is waited for by nobody, and is reaped when another is started", needs("user_namespaces", function()
    local process = assert(with():spawn { "/bin/sleep", "1000" })
    local pid = process.pid
    assert(process:detach())
    local result, err = process:wait()
    assert.is_nil(result)
    assert.same({ "wait", "ECHILD" }, { err.op, err.code })
    for op, refuse in pairs {
      pidfd_send_signal = function() return process:kill "term" end,
      kill = function() return process:signal_group "term" end,
      detach = function() return process:detach() end,
      enter = function() return process:enter {} end,
    } do
      local ok
      ok, err = refuse()
      assert.is_nil(ok)
      assert.same({ op, "ESRCH", "the process was detached" }, { err.op, err.code, err.message })
    end
    assert.is_true(trial.runs(pid))
    finish(pid)
    trial.wait_for(function()
      assert(cella.plan():exec({ "true" }):run())
      return zombies() == 0
    end, "those that have ended to be reaped")
    assert.is_nil((process:detach()))
  end))

  it("lives on when the caller ends, and is found again", needs("user_namespaces", function()
    local pid = outside.lua [[
      local process = assert(cella.container({ die_with_parent = false, hostname = "lasting" }):spawn {
        "/bin/sleep", "1000", stdout = "null", stderr = "null" })
      assert(process:detach())
      return process.pid
    ]]
    assert.is_true(trial.runs(pid))
    local entrance = assert(cella.enter { pid = pid })
    local said, err = entrance:run { "hostname", stdout = "capture" }
    entrance:close()
    finish(pid)
    assert.equal("lasting\n", assert(said, err).stdout)
  end))

  it("lives on where another process waits in the caller's place", needs("user_namespaces", function()
    local pid = outside.lua([[
      local process = assert(cella.container({ die_with_parent = false }):spawn {
        "/bin/sleep", "1000", stdout = "null", stderr = "null" })
      assert(process:detach())
      process:close()
      assert(cella.plan():exec({ "true" }):run())
      return process.pid
    ]], { prefix = "env --ignore-signal=CHLD" })
    local ran = trial.runs(pid)
    finish(pid)
    assert.is_true(ran)
  end))

  it("was not needed by its caller", needs("user_namespaces", function()
    local function refusal(keys, command)
      command[1], command[2] = "/bin/sleep", "1000"
      local process = assert(with(keys):spawn(command))
      local said = raised(process.detach, process)
      process:close()
      return said
    end
    for expected, case in pairs {
      ["unless the container says die_with_parent = false"] = { { die_with_parent = true }, {} },
      ["nobody would take its output"] = { {}, { stdout = "capture" } },
      ["take its output"] = { {}, { stderr = function() end } },
      ['stdin = "pipe"'] = { {}, { stdin = "pipe" } },
      ["the other end of its terminal"] = { {}, { terminal = true } },
      ["nobody would see to its limits"] = { {}, { timeout = 100 } },
      ["see to its limits"] = { {}, { cpu_limit = 100 } },
      ["its limits"] = { {}, { output_limit = 100, stdout = "null" } },
      ["nobody would call hooks.exited"] = { { hooks = { exited = function() end } }, {} },
    } do
      local said = refusal(case[1], case[2])
      assert.truthy(said:find(expected, 1, true), said)
    end
  end))

  it("has neither ended nor is it still to be executed", needs("user_namespaces", function()
    local process = assert(with():spawn { "true" })
    trial.wait_for(function() return process:step() end, "its end")
    local ok, err = process:detach()
    assert.is_nil(ok)
    assert.same({ "detach", "ESRCH" }, { err.op, err.code })
    assert.equal(0, process:wait().code)
    process = assert(with():spawn { "/bin/sleep", "1000", wait = false })
    ok, err = process:detach()
    assert.is_nil(ok)
    assert.equal("detach", err.op)
    process:close()
    assert.is_number(core.now())
  end))
end)
