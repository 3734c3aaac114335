-- A start for which nobody waits: spawn with `wait = false`.

local cella = require "cella"
local core = require "cella.core"
local policy = require "cella.policy"
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"

describe("a program that is spawned without waiting", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local before
  before_each(function() before = trial.snapshot() end)
  after_each(function()
    collectgarbage()
    trial.nothing_left(before)
  end)

  local several, no_several = trial.several_ids()
  if type(no_several) ~= "string" then no_several = nil end

  it("is there before it is executed, and does what it would do", function()
    local process = assert(cella.container {}:spawn { "sh", "-c", "echo out; echo err >&2; cat; exit 3", wait = false,
      stdin = "pipe", stdout = "capture", stderr = "capture" })
    assert.is_nil(process.pid)
    assert.equal("cella.process (starting)", tostring(process))
    process:feed "fed\n"
    process:close_stdin()
    local result = assert(process:wait())
    assert.same({ 3, "out\nfed\n", "err\n" }, { result.code, result.stdout, result.stderr })
    assert.truthy(process.pid)
  end)

  it("returns while the child is set up, which waits for nobody else", function()
    local order = {}
    local box = cella.container { hooks = {
      created = function() order[#order + 1] = "created" end,
      mapped = function() order[#order + 1] = "mapped" end,
      before_exec = function() order[#order + 1] = "before_exec" end,
      exited = function(result) order[#order + 1] = "exited " .. result.code end,
    } }
    local process = assert(box:spawn { "true", wait = false })
    order[#order + 1] = "returned"
    assert.equal(0, assert(process:wait()).code)
    -- The first may have been there by then.
    local text = table.concat(order, " "):gsub("created returned", "returned created")
    assert.equal("returned created mapped before_exec exited 0", text)
    order = {}
    assert(box:spawn { "true" }):wait() -- the control
    assert.equal("created mapped before_exec exited 0", table.concat(order, " "))
  end)

  it("tells by wait and step what has failed, as spawn does", function()
    for _, command in ipairs { { "no-such-program" }, { "true", cwd = "/nowhere" } } do
      local process, at_once = cella.container {}:spawn(command)
      assert.is_nil(process)
      command.wait = false
      process = assert(cella.container {}:spawn(command))
      local result, err = process:wait()
      assert.is_nil(result)
      assert.equal(tostring(at_once), tostring(err))
      assert.equal(at_once.step, err.step)
      assert.is_true(process:step())
      assert.is_nil(process.pid)
      assert.equal("cella.process (closed)", tostring(process))
    end
  end)

  it("does not call hooks.exited where no program ran", function()
    local called = false
    local process = assert(cella.container { hooks = { exited = function() called = true end } }
      :spawn { "no-such-program", wait = false })
    assert.is_nil(process:wait())
    process:close()
    assert.is_false(called)
  end)

  it("fails with its hooks, also with one that yields or raises", function()
    local yields = portable.yields_anywhere and "nobody would resume it" or "attempt to yield"
    for text, hook in pairs {
      [yields] = function() coroutine.yield() end,
      ["no luck"] = function() error "no luck" end,
      ["not today"] = function() return nil, "not today" end,
    } do
      for _, wait in ipairs { true, false } do
        local process, err = cella.container { hooks = { mapped = hook } }:spawn { "true", wait = wait }
        if process then process, err = process:wait() end
        assert.is_nil(process)
        assert.truthy(tostring(err):find(text, 1, true), tostring(err))
        assert.equal("hooks.mapped", err.op)
      end
    end
  end)

  it("is not to be waited for by its own hook", function()
    local process, said
    process = assert(cella.container { hooks = {
      before_exec = function() said = select(2, pcall(process.wait, process)) end,
    } }:spawn { "true", wait = false })
    assert.equal(0, assert(process:wait()).code)
    assert.truthy(tostring(said):find("a hook must neither wait", 1, true), said)
  end)

  it("may be closed by its own hook, or before it has begun, or be forgotten", function()
    local process
    process = assert(cella.container { hooks = { before_exec = function() process:close() end } }
      :spawn { "true", wait = false })
    local result, err = process:wait()
    assert.is_nil(result)
    assert.truthy(tostring(err):find("closed", 1, true))
    process = assert(cella.container {}:spawn { "sleep", "1000", wait = false })
    process:close()
    assert.is_nil(process:wait())
    cella.container {}:spawn { "sleep", "1000", wait = false }
    process = nil
  end)

  it("can be killed, and not yet be acted on otherwise", function()
    local box = cella.container { hooks = { mapped = function() end } } -- waits for this process in a step
    local process = assert(box:spawn { "sleep", "1000", wait = false, terminal = true })
    for _, call in ipairs {
      function() return process:kill "term" end, function() return process:signal_group "term" end,
      function() return process:resize(10, 10) end, function() return process:hang_up() end,
      function() return process:enter() end,
    } do
      local ok, err = call()
      assert.is_nil(ok)
      assert.equal("EAGAIN", err.code)
    end
    assert.is_nil(process:pidfd())
    assert(process:kill "kill")
    local result, err = process:wait()
    assert.is_nil(result)
    assert.truthy(tostring(err):find("the child was killed in this step", 1, true))
  end)

  it("ends in time, its set-up too #slow", function()
    local box = cella.container { hooks = { mapped = function() core.poll({}, 0.3) end } }
    local process = assert(box:spawn { "sleep", "1000", wait = false, timeout = 0.2 })
    local result, err = process:wait()
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
    process = assert(cella.container {}:spawn { "sleep", "1000", wait = false, timeout = 4 })
    result = assert(process:wait())
    assert.equal("timeout", result.reason)
  end)

  it("runs, however long nobody comes to look whether its set-up is over #slow", function()
    local box = cella.container { hooks = { mapped = function() end } } -- waits for this process in a step
    local process = assert(box:spawn { "echo", "done", wait = false, stdout = "capture", setup_timeout = 1 })
    core.poll({}, 2)
    assert.equal("done\n", assert(process:wait()).stdout)
    -- One that hangs is given up all the same.
    local directory = trial.directory()
    trial.sh("mkfifo " .. directory .. "/fifo")
    local reading = assert(core.open(directory .. "/fifo", "rdwr"))
    process = assert(cella.plan():wait_for_byte(reading:number()):exec({ "true" }):spawn { wait = false,
      setup_timeout = 0.5 })
    core.poll({}, 1)
    local result, err = process:wait(10)
    reading:close()
    trial.remove_directory(directory)
    assert.is_nil(result)
    assert.equal("wait_for_byte", err.op)
    assert.equal("ETIMEDOUT", err.code)
  end)

  -- Runs `check` with a plan whose helpers are such scripts, and tells how many children there are.
  local function with_helper(script, check)
    local directory = trial.directory()
    local path = directory .. "/helper"
    local file = assert(io.open(path, "w"))
    file:write("#!/bin/sh\n" .. script)
    file:close()
    trial.sh("chmod 755 " .. path)
    local map = { inside = 0, outside = 0, count = 1 }
    local ids = { uid = map, gid = map, via = "helper", newuidmap = path, newgidmap = path }
    local function children()
      local _, count = trial.read(("/proc/self/task/%d/children"):format(core.sys.getpid())):gsub("%d+", "")
      return count
    end
    collectgarbage()
    collectgarbage "stop" -- nothing is to be ended by being collected
    local ok, problem = pcall(check, cella.plan { namespaces = { "user" }, ids = ids }:exec { "true" }, children)
    collectgarbage "restart"
    trial.remove_directory(directory)
    if not ok then error(problem, 0) end
  end

  it("is closed with the helpers that write its maps", function()
    with_helper("case $1 in fd:*) exec sleep 1000 ;; esac; echo fd: >&2", function(plan, children)
      local mine = children()
      local process = assert(plan:spawn { wait = false })
      for _ = 1, 500 do
        if children() == mine + 3 or process:step() then break end
        core.poll({}, 0.02)
      end
      assert.equal(mine + 3, children()) -- both, and the child that waits for them
      process:close()
      assert.equal(mine, children())
    end)
  end)

  it("holds nothing of helpers that have ended", function()
    with_helper("echo fd: >&2; exit 1", function(plan)
      local function sets()
        local count = 0
        for number = 0, 1023 do
          local what = core.readlink(("/proc/self/fd/%d"):format(number))
          if what == "anon_inode:[eventpoll]" then count = count + 1 end
        end
        return count
      end
      local before_it = sets()
      local process = assert(plan:spawn { wait = false })
      local result, err = process:wait()
      process:close()
      assert.is_nil(result)
      assert.equal("newuidmap", err.op)
      assert.equal(before_it, sets())
    end)
  end)

  it("waits in a loop of the caller's, by its descriptor", function()
    local process = assert(cella.container {}:spawn { "echo", "done", wait = false, stdout = "capture" })
    local turns = 0
    while not process:step() do
      core.poll({ process:pollfd() }, 60)
      turns = turns + 1
    end
    assert.equal("done\n", process:wait().stdout)
    assert.is_true(turns < 100)
    process:close()
  end)

  it("starts beside others in one process", function()
    local box, list, seen = cella.container {}, {}, {}
    for i = 1, 16 do list[i] = assert(box:spawn { "sh", "-c", "exit " .. i, wait = false }) end
    while #list > 0 do
      for _, process in ipairs(assert(cella.wait(list))) do
        seen[process:wait().code] = true
        for i, other in ipairs(list) do
          if other == process then table.remove(list, i) break end
        end
      end
    end
    assert.equal(16, #seen)
  end)

  it("has a terminal once it runs", function()
    local process = assert(cella.container {}:spawn { "sh", "-c", "tty; stty size", wait = false, terminal = true,
      stdout = "capture" })
    assert.matches("/dev/pts/0", assert(process:wait()).stdout)
  end)

  it("has helpers that write its maps, several at once", function()
    if no_several then return pending(no_several) end
    if not trial.lacks_root() then return pending "needs an ordinary user, whom helpers help" end
    local box, list = cella.container { ids = several }, {}
    for i = 1, 4 do
      list[i] = assert(box:spawn { "cat", "/proc/self/uid_map", wait = false, stdout = "capture" })
    end
    local expected = assert(box:run { "cat", "/proc/self/uid_map", stdout = "capture" }).stdout
    for _, process in ipairs(list) do assert.equal(expected, assert(process:wait()).stdout) end
    assert.equal("helper", assert(box:plan { "true" }).policy.via)
  end)

  it("may be a function", function()
    local process = assert(cella.container {}:spawn { function(a, b) return a + b end, 3, 4, wait = false })
    assert.equal(7, assert(process:wait()).values[1])
  end)

  it("is not for run, which waits", function()
    assert.error_matches(function() cella.container {}:run { "true", wait = false } end, "run waits")
    assert.error_matches(function() cella.container {}:plan { "true" }:run { wait = false } end, "run waits")
    assert.error_matches(function() cella.container {}:spawn { "true", wait = "no" } end, "command.wait: ")
  end)

  it("has its child make the network namespace, which takes longer than all others", function()
    local text = tostring(assert(cella.container { ids = policy.root() }:plan { "true" }))
    assert.is_nil(text:find('clone3%({[^}]*"net"'))
    assert.truthy(text:find('unshare({"net"})', 1, true))
  end)
end)
