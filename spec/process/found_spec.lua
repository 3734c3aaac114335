-- Programs that are found again: process:identity() and cella.find.

local able = require "spec.support.able"
local cella = require "cella"
local kernel = require "cella.host.kernel"
local outside = require "spec.support.outside"
local trial = require "spec.support.trial"

trial.around(before_each, after_each)

local needs = able.needs(function(reason) pending(reason) end)
local raised = trial.raised

-- The identity of a program that a process has left behind, which has ended.
local function left(keys)
  return outside.lua(([[
    local box = cella.container { die_with_parent = false, hostname = "lasting", namespaces = { net = "host" }, %s }
    local process = assert(box:spawn { "sleep", "1000", stdout = "null", stderr = "null" })
    local before = assert(process:identity())
    assert(process:detach())
    assert(process:identity() == before)
    return before
  ]]):format(keys or ""))
end

-- From within a time namespace: who is found by an identity, whose identity the process has there, and when its first
-- process has started.
local function elsewhere(process, offset, text)
  return outside.lua([[
    local given, pid = ...
    local found, err = cella.find(given)
    local stat = assert(require("cella.host.file").read "/proc/1/stat")
    return found and found.pid or tostring(err), assert(require("cella.process.identity").of(tonumber(pid))),
      stat:gsub("^.*%) ", ""):match(("%S+ "):rep(19) .. "(%S+)")
  ]], { prefix = ("unshare --user --map-root-user --time --boottime %d --fork"):format(offset),
    arguments = { text, ("%d"):format(process.pid) } })
end

describe("a program that is detached", function()
  for _, init in ipairs { "true", "false" } do
    it("is found again by another process, entered, and ended: init = " .. init, needs("user_namespaces", function()
      local identity = left("init = " .. init)
      local found = assert(cella.find(identity))
      assert.equal(identity, found.identity)
      assert.matches("sleep", trial.read(("/proc/%d/cmdline"):format(found.pid)), 1, true)
      assert.matches("^cella.found %(pid %d+, running%)$", tostring(found))
      assert.is_false(found:ended())
      assert.is_false(found:wait(0))
      -- Whose filters nobody can tell here are not put on another: only an init says which they are.
      local entrance = trial.hold(found:enter { exceed = init == "false" and { "seccomp" } or nil })
      assert.equal("lasting\n", assert(entrance:run { "hostname", stdout = "capture" }).stdout)
      assert.is_true(found:kill "kill")
      assert.is_true(found:wait(30))
      assert.is_true(found:ended())
      assert.matches("ended", tostring(found), 1, true)
      found:close()
      trial.wait_for(function() return (cella.find(identity)) == nil end, "its end")
      local none, why = cella.find(identity)
      assert.is_nil(none)
      assert.equal("find ESRCH", why.op .. " " .. why.code)
    end))
  end

  it("is let go without an end", needs("user_namespaces", function()
    local identity = left()
    local found = assert(cella.find(identity))
    found:close()
    assert.matches("closed", tostring(found), 1, true)
    assert.matches("kill: it is closed", raised(found.kill, found, "term"), 1, true)
    found = assert(cella.find(identity)) -- it runs
    assert.is_true(found:kill "kill")
    assert.is_true(found:wait(30))
    found:close()
  end))
end)

describe("an identity", function()
  it("is of one process: no other with its number is found, nor one of another boot", function()
    local process = assert(cella.plan():exec({ "sleep", "1000", stdin = "null" }):spawn())
    local identity = assert(process:identity())
    local found = assert(cella.find(identity)) -- the control
    assert.equal(process.pid, found.pid)
    found:close()
    local pid, start, boot = identity:match "^(%d+)%-(%d+)%-(%x+)$"
    assert.equal(process.pid, tonumber(pid))
    local other, err = cella.find(("%s-%.0f-%s"):format(pid, tonumber(start) - 100, boot))
    assert.is_nil(other)
    assert.equal("ESRCH", err.code)
    assert.matches(("it was process %s, and another has that number by now"):format(pid), tostring(err), 1, true)
    other, err = cella.find(("%s-%s-%s"):format(pid, start, boot:reverse()))
    assert.is_nil(other)
    assert.matches("before the machine was started anew", tostring(err), 1, true)
    process:close()
    other, err = cella.find(identity)
    assert.is_nil(other)
    assert.matches(("it was process %s, which has ended"):format(pid), tostring(err), 1, true)
    local none, gone = process:identity()
    assert.is_nil(none)
    assert.equal("ESRCH", gone.code)
  end)

  it("is of the same process in a time namespace #vm", needs("user_namespaces", function()
    local process = assert(cella.plan():exec({ "sleep", "1000", stdin = "null" }):spawn())
    local identity = assert(process:identity())
    local pid, there = elsewhere(process, 1000, identity)
    local found = trial.hold(assert(cella.find(there)))
    assert.same({ process.pid, process.pid }, { pid, found.pid })
    process:close()
  end))

  it("is of the same process by whichever clock it is looked at", needs("user_namespaces", function()
    local process = assert(cella.plan():exec({ "sleep", "1000", stdin = "null" }):spawn())
    local identity = assert(process:identity())
    local uptime = math.floor(tonumber(trial.read "/proc/uptime":match "^%d+"))
    local shown = {}
    for i, offset in ipairs { 0, 1000, -uptime } do -- by the last of which process 1 has started before its beginning
      local pid, there, first = elsewhere(process, offset, identity)
      assert.equal(process.pid, pid, offset)
      local found = trial.hold(assert(cella.find(there)))
      assert.equal(process.pid, found.pid, offset)
      shown[i] = tonumber(first)
    end
    -- The control: the kernel shows them otherwise, from 5.11 on.
    local is_shifted = not kernel.is_older(kernel.version(), "5.11")
    assert.equal(is_shifted and 100000 or 0, shown[2] - shown[1])
    assert.equal(is_shifted, shown[3] > 2 ^ 40)
    local pid, start, boot = identity:match "^(%d+)%-(%d+)%-(%x+)$"
    assert.matches("another has that number by now",
      (elsewhere(process, 1000, ("%s-%.0f-%s"):format(pid, tonumber(start) + 100000, boot))), 1, true)
    process:close()
  end))

  it("is what was told, and nothing else", function()
    for _, wrong in ipairs { "", "5", "0-1-aa", "5-1", "-1-2-aa", "5-1-xyz", "99999999999-1-aa", "5-1-aa\n",
      ("1"):rep(200), 5, {}, false } do
      assert.matches("identity: what process:identity() returns expected, got", raised(cella.find, wrong), 1, true)
    end
    local own = assert(require("cella.process.identity").of(cella.sys.getpid()))
    local found = trial.hold(cella.find(own))
    assert.matches("signal: ", raised(found.kill, found, "nosuch"), 1, true)
    assert.matches("timeout", raised(found.wait, found, -1), 1, true)
    assert.matches("has a colon, not a dot", raised(found.kill, "term"), 1, true)
  end)
end)
