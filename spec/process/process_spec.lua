-- cella.process: how a program ends, who waits for it, and what a handle is.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local helper = require "spec.support.helper"
local leaks = require "spec.support.leaks"
local outside = require "spec.support.outside"
local portable = require "spec.support.portable"
local program = require "spec.support.program"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)
local new, run, sh, state, raises = program.new, program.run, program.sh, program.state, program.raises

describe("a result #vm", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  it("gets signals by sys.pidfd_send_signal, which reach no other once it has ended", function()
    local process = assert(cella.plan():exec({ "sleep", "300", stdin = "null" }):spawn())
    local pidfd = assert(cella.sys.pidfd_open(process.pid))
    local sent = cella.sys.pidfd_send_signal(pidfd, "term")
    local result = assert(process:wait())
    local late, _, errno = cella.sys.pidfd_send_signal(pidfd, "term")
    cella.sys.close(pidfd)
    assert.is_true(sent)
    assert.equal("signaled", result.reason)
    assert.equal("term", result.signal)
    assert.is_nil(late)
    assert.equal(3, errno) -- ESRCH
    local none, _, missing = cella.sys.pidfd_open(2147483647)
    assert.is_nil(none)
    assert.equal(3, missing)
  end)

  it("has the exit status, of all there are", function()
    for _, code in ipairs { 0, 1, 2, 42, 124, 125, 126, 127, 128, 129, 137, 254, 255 } do
      local result = run(sh("exit " .. code))
      assert.equal("exited", result.reason)
      assert.equal(code, result.code)
      assert.is_nil(result.signal)
    end
  end)

  it("has the signal that ended the program, by name", function()
    for _, name in ipairs { "HUP", "INT", "QUIT", "ABRT", "KILL", "USR1", "PIPE", "ALRM", "TERM", "XCPU", "SYS" } do
      local result = run(sh("ulimit -c 0; kill -" .. name .. " $$"))
      assert.equal("signaled", result.reason)
      assert.equal(name:lower(), result.signal)
      assert.is_nil(result.code)
    end
  end)

  it("does not keep the plan, nor what that holds, also where nobody has waited for its start", function()
    for _, wait in ipairs { true, false } do
      local plans = setmetatable({}, { __mode = "k" })
      local process
      do
        local plan = new(sh "true")
        plans[plan] = true
        process = assert(plan:spawn { wait = wait })
      end
      assert.truthy(next(plans)) -- the control: whoever waits may still have to say where it failed
      assert(process:wait())
      portable.collect()
      assert.is_nil(next(plans))
      process:close()
    end
  end)

  it("has the number of a signal without a name", function()
    local result = run(sh "kill -40 $$")
    assert.equal("signaled", result.reason)
    assert.equal("40", result.signal)
    assert.equal(40, result.signal_number)
  end)

  it("of a program that exits with 128 + n is not that of one that a signal ended", function()
    assert.equal("exited", run(sh "exit 137").reason)
    assert.equal("signaled", run(sh "kill -9 $$").reason)
  end)

  it("has what the program used: processor time, memory and time", function()
    local usage = run(sh "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done").usage
    assert.is_true(usage.user_seconds + usage.system_seconds > 0)
    assert.is_true(usage.max_rss >= 4096 and usage.max_rss < 2 ^ 30)
    assert.is_true(usage.wall_seconds > 0)
    assert.is_true(run(sh "").usage.user_seconds < usage.user_seconds + usage.system_seconds)
  end)

  it("is the same each time it is asked for", function()
    local process = assert(new(sh "exit 3"):spawn())
    local first = assert(process:wait())
    assert.equal(first, process:wait())
    assert.equal(first, process:wait(0))
  end)

  it("does not wait for those that the program left behind with its streams", function()
    local result = run { "sh", "-c", "echo first; sleep 60 & echo $!", stdin = "null", stdout = "capture" }
    local pid = result.stdout:match "first\n(%d+)\n"
    assert.is_truthy(pid)
    assert.is_nil(state(tonumber(pid)):find "[gZ]", "the control: it is there and holds the pipe")
    outside.sh("kill -9 " .. pid)
  end)
end)

describe("waiting", function()
  before_each(leaks.watch)
  after_each(leaks.check)
  teardown(helper.remove)

  it("for a time returns nil and ETIMEDOUT while the program runs, and it runs on", function()
    local process = trial.hold(new(sh "exec sleep 60"):spawn())
    local result, err = process:wait(0.01)
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
    assert.not_equal("gone", state(process.pid))
    assert.truthy(tostring(err):find("0.01 seconds", 1, true))
    assert.is_nil((process:wait(0)))
    assert(process:kill "term")
    assert.equal("term", assert(process:wait(30)).signal)
  end)

  it("for no time looks whether the program has ended", function()
    local process = trial.hold(new(sh "exit 3"):spawn())
    while not process:wait(0) do core.poll({}, 0.001) end
    assert.equal(3, process:wait().code)
  end)

  it("refuses times that are none", function()
    local process = trial.hold(new(sh "exec sleep 60"):spawn())
    for _, bad in ipairs { -1, "5", 0 / 0, math.huge, -math.huge, 1e10, true, {} } do
      raises("timeout", process.wait, process, bad)
      raises("timeout", function() new(sh ""):spawn { timeout = bad } end)
    end
    raises("capture_limit", function() new(sh ""):spawn { capture_limit = -1 } end)
    raises("capture_limit", function() new(sh ""):spawn { capture_limit = "5" } end)
    raises("timeouts: unknown key; did you mean 'timeout'?", function() new(sh ""):spawn { timeouts = 5 } end)
  end)

  it("for a program with a time-out ends with its being killed, and says so", function()
    local result = run({ "sh", "-c", "trap '' TERM INT; echo began; while :; do sleep 0.05; done", stdin = "null",
      stdout = "capture" }, { timeout = 2 })
    assert.equal("timeout", result.reason)
    assert.equal("kill", result.signal)
    assert.equal("began\n", result.stdout)
  end)

  it("for a program that ends in time is not ended by its time-out", function()
    local result = run(sh "exit 3", { timeout = 60 })
    assert.equal("exited", result.reason)
    assert.equal(3, result.code)
  end)

  it("notices the time-out of a program also where it waits for shorter times, and not before #slow", function()
    local process = trial.hold(new(sh "exec sleep 60"):spawn {
      timeout = 2 * (tonumber(os.getenv "CELLA_PATIENCE") or 1) })
    local turns = 0
    local result
    repeat
      result = process:wait(0.001)
      turns = turns + 1
    until result
    assert.is_true(turns > 1)
    assert.equal("timeout", result.reason)
  end)

  it("is not disturbed by other children of the same process", function()
    local first, second = assert(new(sh "exit 3"):spawn()), assert(new(sh "exit 4"):spawn())
    assert.is_true((portable.execute "true"))
    local pipe = io.popen "echo x; exit 5"
    assert.equal("x\n", pipe:read "*a")
    assert.equal(5, portable.closed(pipe, 5))
    assert.equal(4, assert(second:wait()).code)
    assert.equal(3, assert(first:wait()).code)
  end)

  it("never takes the status of a child that is not its own", function()
    assert.equal("exited 7", (outside.lua [[
      -- A child of Lua's own library, already ended.
      local pipe = io.popen "exit 7"
      wait_for(function()
        local pid = children()[1]
        return pid and status("State", pid):find "^Z"
      end)
      assert(cella.plan():exec({ "true" }):run())
      local process = assert(cella.plan():exec({ "sleep", "60", stdout = "null" }):spawn())
      process:close()
      process = assert(cella.plan():fork():exec({ "sleep", "60", stdout = "null" }):spawn())
      process = nil
      collectgarbage()
      return "exited " .. tostring(portable.closed(pipe, 7))
    ]]))
  end)

  it("calls whom it may concern while a watched descriptor is readable", function()
    local process = trial.hold(new(sh "read x"):spawn())
    local reading, writing = core.pipe()
    writing:close()
    local calls = 0
    process:watch(reading:number(), function()
      calls = calls + 1
      if calls == 3 then process:kill "kill" end
    end)
    process:wait()
    assert.is_true(calls >= 1)
    reading:close()
  end)
end)

describe("killing", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  it("sends any signal, by name or by number", function()
    for _, case in ipairs { { "term", "term" }, { 9, "kill" }, { "usr1", "usr1" }, { 2, "int" } } do
      local process = trial.hold(new(sh "exec sleep 60"):spawn())
      assert.is_true(process:kill(case[1]))
      assert.equal(case[2], assert(process:wait()).signal)
    end
  end)

  it("with the signal 0 asks whether the process is there", function()
    local process = trial.hold(new(sh "exec sleep 60"):spawn())
    assert.is_true(process:kill(0))
    assert.not_equal("gone", state(process.pid))
    assert.is_nil((process:wait(0)))
  end)

  it("refuses what is no signal", function()
    local process = trial.hold(new(sh "exec sleep 60"):spawn())
    for _, bad in ipairs { "nonsense", "KILL", "sigkill", "9", "kill\0", -1, 65, 1.5, 2 ^ 32, true, {}, { "kill" },
      { kill = true }, { "term", "int" } } do
      assert.is_false((pcall(process.kill, process, bad)))
      assert.is_false((pcall(process.signal_group, process, bad)))
    end
    assert.is_false((pcall(process.kill, process)))
    assert.is_nil((process:wait(0)), "it was killed all the same")
  end)

  it("what has ended is ESRCH, and reaches nobody else", function()
    local process = assert(new(sh "exit 3"):spawn())
    assert(process:wait())
    local ok, err = process:kill "kill"
    assert.is_nil(ok)
    assert.equal("ESRCH", err.code)
    assert.equal("ESRCH", (select(2, process:signal_group "kill")).code)
  end)

  it("reaches the group that the program leads, and nobody else's", function()
    local marker = os.tmpname()
    -- A leader with a child; a program in the runner's group.
    local leader = assert(cella.plan():setsid():exec(sh("sleep 60 & echo $! > " .. marker .. "; wait")):spawn())
    while not trial.read(marker):find "\n" do core.poll({}, 0.005) end
    local child = tonumber(trial.read(marker))
    local other = trial.hold(new(sh "exec sleep 60"):spawn())
    assert.not_equal("gone", state(child))
    assert(leader:signal_group "kill")
    assert.equal("kill", assert(leader:wait()).signal)
    while not state(child):find "[gZ]" do core.poll({}, 0.005) end
    assert.is_nil((other:wait(0)))
    assert(other:signal_group "kill") -- of a group that it does not lead: itself alone
    assert.equal("kill", assert(other:wait()).signal)
    os.remove(marker)
  end)
end)

describe("a handle", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  it("names the process in numbers: its pid, and a descriptor that is readable once it has ended", function()
    local process = assert(new { "sh", "-c", "echo $$; read x", stdin = "null", stdout = "capture" }:spawn())
    assert.same({ process:pidfd() }, (core.poll({ process:pidfd() }, 30)))
    local result = assert(process:wait())
    assert.equal(process.pid .. "\n", result.stdout)
    assert.is_nil(process:pidfd())
  end)

  it("holds nothing that other programs would inherit", function()
    local before, held, during = outside.lua [[
      local function inherited()
        local pipe = io.popen "ls /proc/self/fd"
        return pipe:read "*a", pipe:close()
      end
      local before, count = inherited(), #open_descriptors()
      local process = assert(cella.plan():exec({ "sleep", "60", stdout = "capture", stderr = "capture" }):spawn())
      local own = { core.open("/", "rdonly"), core.dup(1), core.pipe() }
      local held, during = #open_descriptors() - count, inherited()
      process:close()
      for _, fd in ipairs(own) do fd:close() end
      return before, held, during
    ]]
    assert.is_true(held >= 6)
    assert.equal(before, during)
  end)

  it("is a text that a person can read", function()
    local process = assert(new(sh "exec sleep 60"):spawn())
    assert.equal(("cella.process (pid %d, running)"):format(process.pid), tostring(process))
    process:kill "kill"
    process:wait()
    assert.equal(("cella.process (pid %d, ended by the signal kill (9))"):format(process.pid), tostring(process))
  end)

  it("that is dropped kills and reaps the program", function()
    local process = assert(new(sh "trap '' TERM HUP; while :; do sleep 0.05; done"):spawn())
    local pid = process.pid
    assert.not_equal("gone", state(pid))
    process = nil -- luacheck: ignore 311
    portable.collect()
    assert.equal("gone", state(pid))
  end)

  -- What only Lua 5.4 and later have: a call with a handle that goes out of scope with it.
  local scope = portable.closes and assert(portable.load "local handle <close> = ... return (select(2, ...))(handle)")

  it("that goes out of scope kills and reaps the program", function()
    if not scope then return pending "this Lua closes no variables" end
    local pid
    scope(new(sh "exec sleep 60"):spawn(), function(process)
      pid = process.pid
      assert.not_equal("gone", state(pid))
    end)
    assert.equal("gone", state(pid))
    assert.is_false((pcall(scope, new(sh "exec sleep 60"):spawn(), function(process)
      pid = process.pid
      assert.not_equal("gone", state(pid))
      error "something else"
    end)))
    assert.equal("gone", state(pid))
  end)

  it("that goes out of scope is closed, whatever it is of", needs("user_namespaces", function()
    if not scope then return pending "this Lua closes no variables" end
    local descriptor = assert(core.open("/", "rdonly"))
    assert.is_number(scope(descriptor, function(handle) return handle:number() end))
    assert.is_nil(descriptor:number())
    local process = trial.hold(cella.container({}):spawn { "sleep", "60" })
    local entrance = assert(process:enter())
    assert.equal(0, scope(entrance, function(handle) return assert(handle:run { "true" }).code end))
    assert.is_false((pcall(entrance.run, entrance, { "true" })))
  end))

  it("may be closed any number of times, at any time", function()
    local process = assert(new({ "sleep", "60", stdin = "null", stdout = "capture" }):spawn())
    process:close()
    process:close()
    assert.equal("gone", state(process.pid))
    local result, err = process:wait()
    assert.is_nil(result)
    assert.truthy(err.message:find("closed", 1, true))
    assert.equal("ESRCH", (select(2, process:kill "term")).code)
    local ended = assert(new(sh "exit 3"):spawn())
    assert(ended:wait())
    ended:close()
    assert.equal(3, ended:wait().code)
  end)

  it("is let go when the Lua state ends, also in an error", function()
    local output = outside.lua([[
      local process = assert(cella.plan():exec({ "sleep", "60", stdout = "null", stderr = "null" }):spawn())
      kept = process
      io.write("pid ", process.pid, "\n")
      error "the script ends here"
    ]], { output = true })
    assert.equal("gone", state(tonumber(output:match "pid (%d+)")))
  end)
end)
