-- cella.process.limits: what a container may use, and which of the limits ended it.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local leaks = require "spec.support.leaks"
local outside = require "spec.support.outside"
local program = require "spec.support.program"
local trial = require "spec.support.trial"

local new, sh, raises = program.new, program.sh, program.raises

local needs = able.needs(function(reason) pending(reason) end)

local BUSY = "while :; do :; done"

-- A container that is quickly made.
local function box(keys)
  local description = { namespaces = { net = "host" } }
  for key, value in pairs(keys or {}) do description[key] = value end
  return cella.container(description)
end

local function seconds(result)
  return result.usage.user_seconds + result.usage.system_seconds
end

describe("a limit of processor time", function()
  setup(function() box():run { "/bin/true" } end) -- the program of the init stays open from the first one on
  before_each(leaks.watch)
  after_each(leaks.check)

  it("ends a program that computes, and the result says so", function()
    local result = assert(new(sh(BUSY)):run { cpu_limit = 0.2 })
    assert.equal("cpu", result.reason)
    assert.equal("kill", result.signal)
    assert.is_nil(result.code)
    assert.is_true(seconds(result) >= 0.2)
  end)

  it("does not end one that sleeps, or that uses less", function()
    local process = trial.hold(new(sh "exec sleep 60"):spawn { cpu_limit = 0.3 })
    assert.is_nil((process:wait(0.5)))
    local result = assert(new(sh "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); done; exit 3"):run { cpu_limit = 60 })
    assert.equal("exited", result.reason)
    assert.equal(3, result.code)
  end)

  -- Each of these would use less than the limit by itself.
  for what, script in pairs {
    ["those that run at the same time"] = ("(%s) & (%s) & (%s) & (%s) & wait"):format(BUSY, BUSY, BUSY, BUSY),
    ["those that have ended, one after another"] =
      "while :; do (i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done); done",
    ["orphans"] = ("while :; do ( (i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done) & ); sleep 0.02; done"),
  } do
    it("counts all processes of a container: " .. what, needs("user_namespaces", function()
      local result = assert(box():run(sh(script, { cpu_limit = 0.4, timeout = 100 })))
      assert.equal("cpu", result.reason)
      assert.is_true(seconds(result) >= 0.3, seconds(result))
    end))
  end

  it("counts what other threads of a program have started #slow", function()
    -- A program with threads is not at hand in every shell: this process is one's child as well as any.
    local helper = require "spec.support.helper"
    local library, problem = helper.library()
    if not library then return pending(problem) end
    local counted = outside.lua([[
      host(..., "fork_in_thread")
      wait_for(function()
        local user, system = core.tree_usage(sys.getpid())
        local own = read("/proc/self/stat")
        local own_user, own_system = own:match "%) %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ (%d+) (%d+)"
        return user + system - (own_user + own_system) / 100 > 0.05
      end)
      host(..., "end_fork")
      return true
    ]], { arguments = { library } })
    helper.remove()
    assert.is_true(counted)
  end)

  it("is put to each process by the kernel too, should nobody look #slow", needs("user_namespaces", function()
    local text = tostring(box():plan(sh("true", { cpu_limit = 2.5 })))
    assert.truthy(text:find('setrlimit("cpu", 4, 5)', 1, true), text)
    text = tostring(box({ rlimits = { cpu = 3 } }):plan(sh("true", { cpu_limit = 2.5 })))
    assert.truthy(text:find('setrlimit("cpu", 3, 3)', 1, true), text)
    text = tostring(box():plan(sh "true"))
    assert.is_nil(text:find 'setrlimit%("cpu"')
    -- Nobody waits: the limit is there all the same.
    local process = trial.hold(box():spawn(sh(BUSY, { cpu_limit = 0.1 })))
    core.poll({ process:pidfd() }, 60)
    local result = assert(process:wait())
    assert.equal("cpu", result.reason)
    assert.equal("xcpu", result.signal)
    assert.is_true(seconds(result) >= 1)
  end))

  it("is refused where what is used cannot be seen, before anything runs", needs("root", function()
    local why, ran = outside.lua [[
      own_mounts()
      local marker = os.tmpname()
      os.remove(marker)
      assert(sys.mount("none", "/proc", "tmpfs"))
      local result, err = cella.plan():exec({ "touch", marker }):run { cpu_limit = 1 }
      local file = io.open(marker)
      local unlimited = cella.plan():exec({ "touch", marker }):run {}
      os.remove(marker)
      assert(unlimited)
      assert(sys.umount2("/proc", "detach"))
      return not result and tostring(err), file ~= nil
    ]]
    assert.truthy(why:find("needs a /proc of the caller's own pid namespace", 1, true), why)
    assert.is_false(ran)
  end))

  it("ends what can no longer be seen", needs("root", function()
    local message, left = outside.lua [[
      own_mounts()
      local process = assert(cella.plan():exec({ "sleep", "60", stdout = "null", stderr = "null" })
        :spawn { cpu_limit = 0.3 })
      assert(sys.mount("none", "/proc", "tmpfs"))
      local result, err = process:wait()
      assert(sys.umount2("/proc", "detach"))
      return not result and tostring(err), #children()
    ]]
    assert.truthy(message:find("so it was killed", 1, true), message)
    assert.equal(0, left)
  end))
end)

describe("what a tree of processes has used", function()
  it("is the same where the kernel does not tell a process's children", needs("user_namespaces", function()
    local told, scanned = outside.lua [[
      local box = cella.container { namespaces = { net = "host" } }
      local ended = 0
      local process = assert(box:spawn { "/bin/sh", "-c", "(i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done;"
        .. "echo done; exec sleep 60) & i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo done; wait",
        stdin = "null", stdout = function() ended = ended + 1 end, stderr = "null" })
      while ended < 2 do process:wait(0.01) end
      local told, scanned, after
      wait_for(function() -- until the looks fall between two ticks of the clock
        told, scanned = { core.tree_usage(process.pid, true) }, { core.tree_usage(process.pid, true, true) }
        after = { core.tree_usage(process.pid, true) }
        return told[1] == after[1] and told[2] == after[2] and told[3] == after[3]
      end)
      process:close()
      return told, scanned
    ]]
    assert.same(told, scanned)
    assert.is_true(told[1] > 0.02)
    assert.is_true(told[3] > 100000)
  end))

  it("of nobody is ESRCH", function()
    local process = assert(new(sh "true"):spawn())
    local pid = process.pid
    process:wait()
    local user, _, errno = core.tree_usage(pid)
    assert.is_nil(user)
    assert.equal("ESRCH", core.errno_name(errno))
    assert.is_false((pcall(core.tree_usage, 0)))
    assert.is_false((pcall(core.tree_usage, "1")))
  end)

  it("is in the result also where the container is killed, which the kernel itself does not count #slow",
    needs("user_namespaces", function()
      local line = ("(%s) & %s"):format(BUSY, BUSY)
      local function much(used, rss) return used > 0.05 and rss > 100000 end
      local process = assert(box():spawn(sh(line)))
      trial.wait_for(function()
        process:wait(0.05)
        local user, system, rss = core.tree_usage(process.pid, true)
        return user and much(user + system, rss)
      end, "work")
      process:kill "kill"
      local result = assert(process:wait())
      assert.equal("kill", result.signal)
      assert.is_true(much(seconds(result), result.usage.max_rss), "kill: " .. seconds(result))
      -- On a busy machine it may have computed little in its time: then once more, with more of it.
      local timeout = 2
      repeat
        result = assert(box():run(sh(line, { timeout = timeout })))
        timeout = timeout * 2
      until timeout > 32 or much(seconds(result), result.usage.max_rss)
      assert.equal("timeout", result.reason)
      assert.is_true(much(seconds(result), result.usage.max_rss), "time-out: " .. seconds(result))
    end))
end)

describe("a limit of output", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  it("ends a program that writes more, and what is kept is what was allowed", function()
    local result = assert(new({ "yes", stdin = "null", stdout = "capture" }):run { output_limit = 100001 })
    assert.equal("output", result.reason)
    assert.equal("kill", result.signal)
    assert.equal(100001, #result.stdout)
    assert.is_true(result.truncated)
  end)

  it("does not end one that writes as much", function()
    for _, limit in ipairs { 0, 1, 100000 } do
      local result = assert(new({ "head", "-c", tostring(limit), "/dev/zero", stdin = "null", stdout = "capture" })
        :run { output_limit = limit })
      assert.equal("exited", result.reason)
      assert.equal(limit, #result.stdout)
      assert.is_nil(result.truncated)
    end
  end)

  it("is said also where the program was quicker than its end", function()
    for _ = 1, 5 do
      local process = assert(new(sh("echo too much; exit 3", { stdout = "capture" })):spawn { output_limit = 3 })
      core.poll({ process:pidfd() }, 30)
      local result = assert(process:wait())
      assert.equal("output", result.reason)
      assert.equal(3, result.code)
      assert.equal("too", result.stdout)
    end
  end)

  it("is that of all streams together, given to functions or discarded", function()
    local got = 0
    local result = assert(new(sh("head -c 600 /dev/zero; head -c 600 /dev/zero >&2; exec sleep 60",
      { stdout = "capture", stderr = function(line) got = got + #line end }))
      :run { output_limit = 1000, capture_limit = 10 })
    assert.equal("output", result.reason)
    assert.equal(10, #result.stdout)
    assert.is_true(got >= 400 and got <= 600, got)
    -- After the first bytes nothing is kept of this one, but all is counted.
    result = assert(new({ "yes", stdin = "null", stdout = "capture" })
      :run { output_limit = 1000000, capture_limit = 10, timeout = 100 })
    assert.equal("output", result.reason)
    assert.equal("y\ny\ny\ny\ny\n", result.stdout)
  end)

  it("does not count what is not captured", function()
    local result = assert(new(sh "head -c 100000 /dev/zero"):run { output_limit = 10 })
    assert.equal("exited", result.reason)
  end)
end)

describe("limits", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  it("that a program does not come to do not end it: what did is said", function()
    local options = { timeout = 60, cpu_limit = 60, output_limit = 1000000 }
    local result = assert(new(sh("echo x; kill -9 $$", { stdout = "capture" })):run(options))
    assert.equal("signaled", result.reason)
    assert.equal("kill", result.signal)
    assert.equal("x\n", result.stdout)
    result = assert(new(sh "exit 4"):run(options))
    assert.equal("exited", result.reason)
  end)

  it("of time that are over when the program has ended already do not count", function()
    local process = assert(new(sh "exit 3"):spawn { timeout = 5 })
    core.poll({ process:pidfd() }, 30)
    process.limits.deadline = core.now() - 1 -- nobody looked for as long
    local result = assert(process:wait())
    assert.equal("exited", result.reason)
    assert.equal(3, result.code)
  end)

  it("are keys of a container's command #slow", needs("user_namespaces", function()
    assert.equal("timeout", assert(box():run(sh("sleep 60", { timeout = 2 }))).reason)
    assert.equal("output", assert(box():run(sh("yes", { output_limit = 5, stdout = "capture" }))).reason)
    assert.equal("cpu", assert(box():run(sh(BUSY, { cpu_limit = 0.1 }))).reason)
  end))

  it("are refused where they are none", function()
    for _, bad in ipairs { -1, "5", 0 / 0, 1 / 0, true, {} } do
      raises("cpu_limit", function() new(sh ""):spawn { cpu_limit = bad } end)
      raises("output_limit", function() new(sh ""):spawn { output_limit = bad } end)
      raises("command.cpu_limit", function() box():run(sh("", { cpu_limit = bad })) end)
    end
    raises("output_limit", function() new(sh ""):spawn { output_limit = 1.5 } end)
    raises("cpu_limits: unknown key; did you mean 'cpu_limit'?", function() new(sh ""):spawn { cpu_limits = 5 } end)
  end)
end)
