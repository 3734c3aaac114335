-- cella.process: many at once, in one thread: by cella.wait, and in the loops of others.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local leaks = require "spec.support.leaks"
local outside = require "spec.support.outside"
local program = require "spec.support.program"
local trial = require "spec.support.trial"
local unpack = table.unpack or unpack

local new, sh, raises = program.new, program.sh, program.raises

local needs = able.needs(function(reason) pending(reason) end)

-- Sleeps on the descriptor alone, as a loop does that knows no times.
local function loop(process)
  local turns = 0
  while not process:step() do
    assert.is_not_nil(core.poll({ process:pollfd() }, 60)[1], "nothing for 60 seconds")
    turns = turns + 1
  end
  return assert(process:wait(0)), turns
end

describe("a descriptor to poll", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  it("says when the program has ended", function()
    local process = trial.hold(new(sh "exit 3"):spawn())
    assert.equal(3, loop(process).code)
  end)

  it("says when there is output, input can be written, and the end", function()
    local text = ("x"):rep(1000000)
    local process = trial.hold(new(sh("cat; echo err >&2", { stdin = "pipe", stdout = "capture",
      stderr = "capture" })):spawn())
    process:feed(text)
    process:close_stdin()
    local result, turns = loop(process)
    assert.is_true(result.stdout == text)
    assert.equal("err\n", result.stderr)
    assert.is_true(turns > 3)
  end)

  it("says when the time of a limit has come, also where that is known later #slow", function()
    local process = trial.hold(new(sh "exec sleep 60"):spawn { timeout = 2 })
    local result, turns = loop(process)
    assert.equal("timeout", result.reason)
    assert.is_true(turns < 10, turns .. " turns") -- it does not say so all the time
    local computing = trial.hold(new(sh "while :; do :; done"):spawn { cpu_limit = 0.1 })
    assert.equal("cpu", loop(computing).reason)
  end)

  it("stays quiet where there is nothing to do", function()
    local process = trial.hold(new(sh("read x", { stdin = "pipe", stdout = "capture" })):spawn { timeout = 60 })
    assert.same({}, core.poll({ process:pollfd() }, 0))
    assert.is_false(process:step())
    assert.same({}, core.poll({ process:pollfd() }, 0.01))
    process:close_stdin()
    assert.equal(1, loop(process).code)
  end)

  it("stays, and says that there is something, until the handle is closed", function()
    for _, script in ipairs { "exit 3", "exec sleep 60" } do
      local process = assert(new(sh(script)):spawn())
      local number = process:pollfd()
      assert.equal(number, process:pollfd())
      process:kill "kill"
      loop(process)
      for _ = 1, 3 do
        assert.same({ number }, core.poll({ number }, 30))
        assert.is_true(process:step())
      end
      assert.is_true(core.is_open(number))
      process:close()
      assert.is_nil(process:pollfd())
    end
  end)

  it("costs nothing where nobody asks for it", function()
    local before, during, after = outside.lua [[
      local before = #open_descriptors()
      local process = assert(cella.plan():exec({ "true" }):spawn())
      local during = #open_descriptors()
      process:wait()
      return before, during, #open_descriptors()
    ]]
    assert.equal(before + 1, during) -- the process
    assert.equal(before, after)
  end)

  it("has a time with it, for those who want one", function()
    local process = trial.hold(new(sh "exec sleep 60"):spawn { timeout = 50 })
    assert.is_true(process:timeout() > 0 and process:timeout() <= 50)
    local other = trial.hold(new(sh "exec sleep 60"):spawn())
    assert.is_nil(other:timeout())
    assert.equal("r", other:events())
    other:kill "kill"
    other:wait()
    assert.equal(0, other:timeout())
  end)

  it("passes on what a function of a stream raises, once", function()
    local process = trial.hold(new(sh("echo x; exec sleep 60", { stdout = function() error "mine" end })):spawn())
    raises("mine", loop, process)
    assert.is_true(process:step())
  end)

  it("is watched with others of the caller's", function()
    local reading, writing = core.pipe()
    local calls = 0
    local process = trial.hold(new(sh "exec sleep 60"):spawn())
    assert.is_true(process:watch(reading:number(), function()
      reading:read()
      calls = calls + 1
      if calls == 2 then process:kill "term" end
    end))
    writing:write "x"
    while calls == 0 do process:wait(0.01) end
    writing:write "x"
    assert.equal("term", assert(process:wait()).signal)
    assert.equal(2, calls)
    local again = trial.hold(new(sh "exec sleep 60"):spawn())
    assert.is_true(again:watch(reading:number(), function() calls = calls + 1 end))
    assert.is_true(again:watch(reading:number(), nil))
    writing:write "x"
    again:wait(0.01)
    assert.equal(2, calls)
    local ok, err = again:watch(99999, print)
    assert.is_nil(ok)
    assert.equal("EBADF", err.code)
    raises("waits for this one itself", again.watch, again, again:pidfd(), print)
    reading:close()
    writing:close()
  end)
end)

describe("cella.wait", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  it("returns those that have ended, as soon as one has", function()
    local gates, processes = {}, {}
    for i = 1, 4 do
      processes[i] = assert(new(sh("read x; exit " .. i, { stdin = "pipe" })):spawn())
      gates[i] = processes[i]
    end
    local nobody, err = cella.wait(processes, 0.01)
    assert.is_nil(nobody)
    assert.equal("ETIMEDOUT", err.code)
    assert.truthy(tostring(err):find("0.01 seconds", 1, true))
    gates[3]:close_stdin()
    assert.same({ gates[3] }, cella.wait(processes))
    assert.same({ gates[3] }, cella.wait(processes, 0)) -- it is for the caller to take it off
    gates[1]:close_stdin()
    assert.equal(1, gates[1]:wait().code)
    assert.same({ gates[1], gates[3] }, cella.wait(processes))
    table.remove(processes, 3)
    table.remove(processes, 1)
    for _, process in ipairs(processes) do process:close() end
    assert.same(processes, cella.wait(processes))
    assert.same({}, cella.wait {})
  end)

  it("serves them all: none is stuck, none exceeds its limits #slow", function()
    local lines, processes = 0, {}
    local text = ("x"):rep(300000)
    processes[1] = assert(new(sh "exec sleep 60"):spawn { timeout = 2 })
    processes[2] = assert(new { "cat", stdin = "pipe", stdout = "capture" }:spawn())
    processes[2]:feed(text)
    processes[2]:close_stdin()
    processes[3] = assert(new { "seq", "20000", stdin = "null", stdout = function() lines = lines + 1 end }:spawn())
    processes[4] = assert(new { "yes", stdin = "null", stdout = "capture" }:spawn { output_limit = 1000 })
    local reasons, left = {}, { unpack(processes) }
    while #left > 0 do
      for _, process in ipairs(assert(cella.wait(left))) do
        for i, other in ipairs(left) do
          if other == process then
            table.remove(left, i)
            break
          end
        end
      end
    end
    for i, process in ipairs(processes) do reasons[i] = process:wait(0).reason end
    assert.same({ "timeout", "exited", "exited", "output" }, reasons)
    assert.equal(20000, lines)
    assert.is_true(processes[2]:wait().stdout == text)
  end)

  it("passes on what a function of a stream raises, and the others go on", function()
    local other = assert(new(sh("read x; exit 5", { stdin = "pipe" })):spawn())
    local process = assert(new(sh("echo x; exec sleep 60", { stdout = function() error "mine" end })):spawn())
    raises("mine", cella.wait, { other, process })
    assert.same({ process }, cella.wait { other, process })
    other:close_stdin()
    assert.equal(5, other:wait().code)
  end)

  it("refuses what is no list of processes", function()
    raises("processes: a list expected, got nil", cella.wait)
    raises("processes[1]: a process expected, got 5", cella.wait, { 5 })
    raises("processes.x: no such key in a list", cella.wait, { x = {} })
    raises("timeout", cella.wait, {}, -1)
  end)
end)

describe("terminating", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  -- A program that is ready for the signal.
  local function started(script, options)
    local ready = false
    local process = assert(new(sh(script, { stdout = function() ready = true end })):spawn(options))
    repeat local ended = process:wait(0.01) until ended or ready
    assert(ready, "it ended before it was ready")
    return process
  end

  it("lets the program end as it likes", function()
    local process = started "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done"
    local result = assert(process:terminate(60))
    assert.equal(5, result.code)
    assert.equal("exited", result.reason)
    assert.equal("term", assert(started("echo ready; exec sleep 60"):terminate()).signal)
  end)

  it("kills the one that does not", function()
    local process = started "trap '' TERM; echo ready; while :; do sleep 0.01; done"
    local result = assert(process:terminate(0.1))
    assert.equal("kill", result.signal)
    assert.equal("signaled", result.reason)
    assert.equal("kill", assert(started("trap '' TERM; echo ready; while :; do sleep 0.01; done"):terminate(0)).signal)
  end)

  it("what has ended changes nothing", function()
    local process = assert(new(sh "exit 3"):spawn())
    assert(process:wait())
    assert.equal(3, process:terminate(60).code)
    process = assert(new(sh "exec sleep 60"):spawn())
    process:close()
    assert.is_nil((process:terminate()))
    raises("grace", process.terminate, process, -1)
  end)

  it("or killing ends everything in a container #slow", needs("user_namespaces", function()
    for _, how in ipairs { "kill", "terminate", "close", "timeout" } do
      local inside, left = outside.lua([[
        local how = ...
        local box = cella.container { namespaces = { net = "host" } }
        local count, process, held, namespace
        -- All those whose pid namespace is the program's. While it is open here, no other one has its number.
        local function living()
          local pipe = io.popen "ls /proc"
          local list = pipe:read "*a"
          pipe:close()
          local found = 0
          for pid in list:gmatch "%d+" do
            if sys.namespace("pid", tonumber(pid)) == namespace then found = found + 1 end
          end
          return found
        end
        -- A time limit may be over before all fifty are there, or counted: then once more, with a longer one.
        local seconds, inside = 2, nil
        repeat
          if held then held:close() end
          count = 0
          process = assert(box:spawn { "/bin/sh", "-c",
            "trap '' TERM; i=0; while [ $i -lt 50 ]; do (setsid sleep 60 & echo x; wait) & i=$((i+1)); done; wait",
            stdin = "null", stdout = function() count = count + 1 end, timeout = how == "timeout" and seconds or nil })
          held = assert(core.open(("/proc/%d/ns/pid"):format(process.pid), "rdonly"))
          namespace = sys.namespace("pid", process.pid)
          repeat local ended = process:wait(0.01) until ended or count == 50
          inside = living()
          seconds = seconds * 2
        until how ~= "timeout" or not process:wait(0)
        if how == "kill" then process:kill "kill" end
        if how == "terminate" then process:terminate(0.01) end
        if how == "close" then process:close() end
        local result = process:wait()
        assert(how == "close" or result.signal == "kill")
        -- close() kills and does not wait: who has not ended by then is reaped when another is started.
        if how == "close" then
          wait_for(function()
            assert(cella.plan():exec({ "true" }):run())
            return living() == 0
          end)
        end
        return inside, living(), held:close()
      ]], { arguments = { how } })
      assert.is_true(inside > 50, how .. ": " .. inside)
      assert.equal(0, left, how)
    end
  end))
end)

-- In the loops of others.
local CQUEUES = (pcall(require, "cqueues"))
local LUV = (pcall(require, "luv"))

describe("in the loop of cqueues", function()
  if not CQUEUES then return pending "needs cqueues (Debian: lua-cqueues)" end

  it("several coroutines wait for processes, and for one together #slow", function()
    local order, both, reason, taken = outside.lua [[
      local cqueues = require "cqueues"
      local loop = cqueues.new()
      local order, both = {}, {}
      local function wait(process)
        local fd = process:pollfd()
        while not process:step() do cqueues.poll(process) end
        cqueues.cancel(fd)
        return assert(process:wait(0))
      end
      local box = cella.container { namespaces = { net = "host" } }
      -- The first ends when the second has been heard of.
      local first = assert(box:spawn { "/bin/sh", "-c", "read x; exit 1", stdin = "pipe" })
      loop:wrap(function() table.insert(order, wait(first).code) end)
      loop:wrap(function()
        local second = assert(box:spawn { "/bin/sh", "-c", "echo x; exit 2", stdin = "null",
          stdout = function() first:close_stdin() end })
        table.insert(order, wait(second).code)
      end)
      local shared = assert(box:spawn { "/bin/sh", "-c", "sleep 0.1; exit 7", stdin = "null" })
      for i = 1, 2 do loop:wrap(function() both[i] = wait(shared).code end) end
      local reason
      loop:wrap(function()
        reason = wait(assert(box:spawn { "/bin/sleep", "60", timeout = 2 })).reason
      end)
      local began = core.now()
      assert(loop:loop())
      return order, both, reason, core.now() - began
    ]]
    table.sort(order)
    assert.same({ 1, 2 }, order)
    assert.same({ 7, 7 }, both)
    assert.equal("timeout", reason)
    assert.is_true(taken < 60)
  end)
end)

describe("in the loop of luv", function()
  if not LUV then return pending "needs luv (Debian: lua-luv)" end

  it("processes are waited for by the descriptor alone, also for their time #slow", function()
    local codes, reason, text = outside.lua [[
      local uv = require "luv"
      local function wait(process, done)
        local poll = uv.new_poll(process:pollfd())
        local function turn()
          if not process:step() then return end
          poll:stop()
          poll:close()
          done(assert(process:wait(0)))
          process:close()
        end
        poll:start("r", turn)
      end
      local box = cella.container { namespaces = { net = "host" } }
      local codes, reason, text = {}, nil, nil
      for code = 1, 5 do
        wait(assert(box:spawn { "/bin/sh", "-c", "exit " .. code, stdin = "null" }), function(result)
          codes[code] = result.code
        end)
      end
      wait(assert(box:spawn { "/bin/sleep", "60", timeout = 2 }), function(result) reason = result.reason end)
      wait(assert(box:spawn { "/usr/bin/seq", "100000", stdout = "capture" }), function(result)
        text = #result.stdout
      end)
      uv.run()
      return codes, reason, text
    ]]
    assert.same({ 1, 2, 3, 4, 5 }, codes)
    assert.equal("timeout", reason)
    assert.equal(588895, text)
  end)
end)
