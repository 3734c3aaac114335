-- Containers that are started before there is a command for them.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local outside = require "spec.support.outside"
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)

local LOOK = [[
  grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|SigBlk|SigIgn|SigCgt|NSpid)' /proc/self/status
  wc -l < /proc/self/mountinfo
  cat /proc/self/limits /proc/self/uid_map /proc/self/oom_score_adj
  umask; env | sort; pwd; hostname; ls -l /proc/self/fd | grep -c '>'; cat /proc/self/stat | cut -d' ' -f6
  ip -o link 2>/dev/null || cat /proc/net/dev | cut -d: -f1
]]

-- The pids of those that are parked, and of their inits.
local function parked_pids(pool)
  local list = {}
  for _, parked in ipairs(pool.parked) do
    list[#list + 1] = { init = parked.child:pid(), program = parked.child:program() }
  end
  return list
end

local function fill(pool)
  trial.wait_for(function() return pool:step() == pool.size end, "the pool to be full")
end

describe("a pool", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local pool, directory
  trial.around(before_each, after_each, function(own) directory = own end, function()
    if pool then pool:close() end
    pool = nil
    collectgarbage()
  end)

  it("starts what the container starts", function()
    for what, description in pairs { default = {}, ["with limits"] = { rlimits = { nofile = 40, core = 0 },
      hostname = "pooled", cwd = "/usr", environment = { PATH = "/usr/bin:/bin", A = "1" },
      capabilities = { "chown" } }, ["without an init"] = { init = false },
      ["with the host's network"] = { namespaces = { net = "host" } } } do
      local box = cella.container(description)
      pool = assert(cella.pool { box, size = 2 })
      for _ = 1, 3 do
        local command = { "sh", "-c", LOOK, stdout = "capture", stderr = "stdout" }
        local one, other = assert(box:run(command)), assert(pool:run(command))
        assert.truthy(#one.stdout > 500, what)
        assert.equal(one.stdout, other.stdout, what)
        assert.equal(one.code, other.code)
      end
      pool:close()
    end
  end)

  it("gives each sandbox to one command", function()
    pool = assert(cella.pool { cella.container {}, size = 3 })
    fill(pool)
    local expected, seen = {}, {}
    local command = { "sh", "-c", "ls -A /tmp; echo mine > /tmp/mine; all=$(ls /proc); echo \"$all\" | grep '^[0-9]'",
      stdout = "capture" }
    local alone = assert(cella.container {}:run(command)).stdout
    assert.matches("^1\n2\n", alone)
    for _, pids in ipairs(parked_pids(pool)) do expected[pids.init] = true end
    for i = 1, 8 do
      local process = assert(pool:spawn(command))
      local init = process.child:pid()
      assert.is_nil(seen[init])
      seen[init] = true
      if i <= 3 then assert.is_true(expected[init]) end
      assert.equal(alone, assert(process:wait()).stdout)
    end
  end)

  it("is filled again by whoever waits for one of its processes", function()
    pool = assert(cella.pool { cella.container {}, size = 2 })
    fill(pool)
    local process = assert(pool:spawn { "sleep", "60" })
    assert.equal(1, #pool)
    trial.wait_for(function()
      process:wait(0.01)
      return #pool == 2
    end, "the pool to be full")
    assert.is_nil(process.result)
    assert.is_nil(pool:timeout())
    process:close()
    process = assert(pool:spawn { "sleep", "60" }) -- the control: nobody looks
    core.poll({}, 0.1)
    assert.equal(1, #pool)
    assert.equal(0, pool:timeout()) -- it has been time for long
    assert.equal(1, #core.poll({ pool:pollfd() }, 5))
    process:close()
  end)

  it("makes what is missing where more are asked for at once", function()
    pool = assert(cella.pool { cella.container {}, size = 2 })
    local processes = {}
    for i = 1, 5 do
      processes[i] = assert(pool:spawn { "sh", "-c", "cat; echo $1", "sh", tostring(i), stdin = "pipe",
        stdout = "capture" })
    end
    for i, process in ipairs(processes) do
      process:feed(("%d "):format(i))
      process:close_stdin()
    end
    for i, process in ipairs(processes) do
      assert.equal(("%d %d\n"):format(i, i), assert(process:wait()).stdout)
    end
  end)

  it("hands over every kind of stream and descriptor", function()
    local path = directory .. "/out"
    local file = assert(io.open(path, "w+"))
    pool = assert(cella.pool { cella.container {}, size = 1 })
    local result = assert(pool:run { "sh", "-c", "cat; echo three <&3 >&2; read line <&7; echo $line; echo more >&8; "
      .. "ls /proc/self/fd | tr '\\n' ' '", stdin = { content = "content\n" }, stdout = "capture",
      stderr = { path = directory .. "/err" }, fds = { [3] = 0, [7] = { content = "seven\n" }, [8] = file,
      [200] = { content = "200\n" } } })
    file:close()
    local listed = "0 1 2 200 3 4 7 8 "
    assert.equal("content\nseven\n" .. listed, result.stdout)
    assert.equal("three\n", trial.read(directory .. "/err"))
    assert.equal("more\n", trial.read(path))
    -- What is the caller's own at the time of the command, not when it was parked.
    assert.equal("out\n", (outside.lua([[
      local pool = assert(cella.pool { cella.container {}, size = 1 })
      assert(sys.dup2(1, 50) and sys.dup2(2, 1) and sys.dup2(50, 2))
      assert(pool:run { "sh", "-c", "echo out >&2; echo err" })
    ]], { output = true, redirect = "2>/dev/null" })))
  end)

  it("gives a command a terminal", function()
    pool = assert(cella.pool { cella.container {}, size = 1 })
    local result = assert(pool:run { "sh", "-c", "tty; stty size; test -t 0 && echo yes", terminal = { rows = 7,
      columns = 9 }, stdout = "capture" })
    assert.equal("/dev/pts/0\r\n7 9\r\nyes\r\n", result.stdout)
    local process = assert(pool:spawn { "sh", "-c", "read a; echo got $a", terminal = true, stdout = "capture" })
    process:feed "x\n"
    assert.truthy(assert(process:wait()).stdout:find("got x", 1, true))
    assert.truthy(trial.raised(pool.run, pool, { "true", terminal = true }):find("nobody reads", 1, true))
  end)

  it("parks processes that hold nothing of the caller's", function()
    pool = assert(cella.pool { cella.container {}, size = 1 })
    local pids = parked_pids(pool)[1]
    local function open(pid)
      return trial.sh(("ls -l /proc/%d/fd | grep -o '[0-9]* -> .*' | sed 's/\\[.*\\]//' | sort"):format(pid))
    end
    if not trial.lacks_root() then
      assert.matches("^%d+ %-> socket:\n$", open(pids.program))
      -- Where it says how the program ended, and what it waits with.
      assert.equal("0 -> anon_inode:\n1 -> anon_inode:\n3 -> pipe:\n", open(pids.init))
    end
    assert.matches("^cella", trial.read(("/proc/%d/comm"):format(pids.program)))
  end)

  it("hands on no signal that came before there was a command", function()
    for _, description in ipairs { {}, { init = false } } do
      pool = assert(cella.pool { cella.container(description), size = 1 })
      for _, name in ipairs { "int", "term", "usr1", 40 } do
        local child = pool.parked[1].child
        assert(child:kill(name))
        trial.wait_for(function()
          local status = trial.read(("/proc/%d/status"):format(child:program())) or "SigPnd:\t1 ShdPnd:\t1"
          return not status:find "ShdPnd:\t0+\n"
        end, "the signal")
        assert.equal("ran\n", assert(pool:run { "echo", "ran", stdout = "capture" }).stdout)
        fill(pool)
      end
      -- The control: one that comes when it has a command.
      local process = assert(pool:spawn { "sleep", "60" })
      assert(process.child:kill "kill")
      assert.equal("kill", assert(process:wait()).signal)
      pool:close()
    end
  end)

  it("waits no longer for one that is stopped than for any", function()
    pool = assert(cella.pool { cella.container {}, size = 1 })
    local pids = parked_pids(pool)[1]
    trial.sh("kill -STOP " .. pids.program)
    local result, err = pool:run { "true", timeout = 0.3 }
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
    assert.equal("recvmsg", err.op) -- as what dies before it has read its plan
    trial.wait_for(function() return not trial.runs(pids.init) end, "its end")
    assert.equal(0, assert(pool:run { "true", timeout = 60 }).code)
  end)

  it("refuses a second init", function()
    pool = assert(cella.pool { cella.container {}, size = 1 })
    local rest, reading, writing = core.recorder(), core.pipe()
    rest:record("init", rest:input(), rest:input())
    rest:record("execve", { "/bin/true" }, { "true" }, {})
    local child = pool.parked[1].child
    assert(child:hand_over(rest, { [0] = core.runner_file(), [1] = writing:number() }))
    local executed, step, errno = child:wait_for_exec(10)
    assert.is_false(executed)
    assert.equal(1, step)
    assert.equal("EINVAL", core.errno_name(errno))
    reading:close()
    writing:close()
  end)

  it("survives who cuts short what is handed over", needs("root", function()
    assert.is_true(outside.lua [[
      local refused = 0
      local pool
      pool = assert(cella.pool { cella.container { hooks = { before_exec = function(facts)
        for line in io.lines(("/proc/%d/maps"):format(facts.pid)) do
          local range = line:match "^(%x+%-%x+) .*cella%-plan"
          if range then
            local path = ("/proc/%d/map_files/%s"):format(facts.pid, range)
            assert(io.open(path, "r+")):close() -- the control
            if not portable.execute("truncate -s 0 " .. path .. " 2>/dev/null") then refused = refused + 1 end
          end
        end
      end } } })
      assert(assert(pool:run { "true" }).code == 0)
      assert(refused == 1)
      return true
    ]])
  end))

  it("gives nobody one that has died, nor one that is not whole", function()
    pool = assert(cella.pool { cella.container {}, size = 3 })
    fill(pool)
    local pids = parked_pids(pool)
    assert(pool.parked[1].child:kill "kill")
    assert(pool.parked[3].child:kill "kill")
    trial.wait_for(function() return not trial.runs(pids[1].init) and not trial.runs(pids[3].init) end, "their end")
    local taken = assert(pool:spawn { "true" })
    assert.equal(pids[2].init, taken.child:pid())
    assert.equal(0, assert(taken:wait()).code)
    fill(pool)
    pids = parked_pids(pool)
    for i = 1, 3 do pool.parked[i].child:kill "kill" end
    trial.wait_for(function()
      return not trial.runs(pids[1].init) and not trial.runs(pids[2].init) and not trial.runs(pids[3].init)
    end, "their end")
    assert.equal(0, assert(pool:run { "true" }).code)
  end)

  it("gives nobody one that rests on facts that have changed", needs("root", function()
    assert.is_true(outside.lua [[
      local pool = assert(cella.pool { cella.container { ids = cella.policy.root() }, size = 2 })
      while pool:step() < 2 do end
      local parked = pool.parked[1].child:pid()
      local process = assert(pool:spawn { "true" })
      assert(process.child:pid() == parked) -- the control
      assert(process:wait())
      while pool:step() < 2 do end
      assert(sys.setresgid(4321, 4321, 4321))
      assert(sys.setresuid(1234, 1234, 1234))
      assert(sys.dumpable(true))
      assert(assert(pool:run { "cat", "/proc/self/uid_map", stdout = "capture" }).stdout:find " 1234 +1\n$")
      return true
    ]])
  end))

  it("gives nobody one that has not inherited what the caller has now", function()
    for what, change in pairs {
      limits = 'assert(sys.setrlimit("nofile", 200, 200))',
      priority = 'os.execute("renice -n 19 -p " .. sys.getpid() .. " >/dev/null")',
      ["out of memory"] = 'local f = io.open("/proc/self/oom_score_adj", "w") f:write "500" f:close()',
      keyring = 'assert(sys.join_session_keyring()); hidden = true', -- from a container that does not ask for it
      -- BPF_RET | BPF_K, SECCOMP_RET_ALLOW
      filters = 'assert(sys.seccomp "\\6\\0\\0\\0\\0\\0\\255\\127")',
    } do
      assert.is_true(outside.lua(([[
        local LOOK = "cat /proc/self/limits /proc/self/oom_score_adj; cut -d ' ' -f 18,19 /proc/self/stat; "
          .. "grep Seccomp /proc/self/status"
        assert(sys.no_new_privs())
        local box = cella.container {}
        local pool = assert(cella.pool { box, size = 1 })
        local before, hidden
        local function look()
          while pool:step() < 1 do end
          local parked = pool.parked[1].child:pid()
          local process = assert(pool:spawn { "sh", "-c", LOOK, stdout = "capture" })
          local result = assert(process:wait())
          assert(result.stdout == assert(box:run { "sh", "-c", LOOK, stdout = "capture" }).stdout)
          local other = result.stdout ~= before
          before = result.stdout
          return process.child:pid() == parked, other
        end
        local same, other = look()
        assert(same)
        same, other = look()
        assert(same and not other) -- the control
        while pool:step() < 1 do end
        local parked = pool.parked[1].child:pid()
        %s
        local process = assert(pool:spawn { "true" })
        assert(process.child:pid() ~= parked)
        assert(process:wait())
        same, other = look()
        assert(same and (other or hidden))
        return true
      ]]):format(change)), what)
    end
  end)

  it("gives nobody what was started by who has given that up, whoever decides about it", needs("root", function()
    assert.is_true(outside.lua [[
      local target = assert(cella.container { init = false, namespaces = { user = "host" } }:spawn {
        "cat", stdin = "pipe", stdout = "null", stderr = "null" }) -- which ends when this process does
      local root = cella.policy.root()
      local own = assert(cella.pool { cella.container { ids = function(host) return root(host) end } })
      local joined = assert(cella.pool { cella.container {
        namespaces = { user = "host", uts = { pid = target.pid } } } })
      for _, pool in ipairs { own, joined } do -- the control
        local parked = pool.parked[1].child:pid()
        local process = assert(pool:spawn { "true" })
        assert(process.child:pid() == parked)
        assert(process:wait())
        while pool:step() < 1 do end
      end
      assert(sys.setresgid(4321, 4321, 4321))
      assert(sys.setresuid(1234, 1234, 1234))
      assert(sys.dumpable(true))
      assert(assert(own:run { "cat", "/proc/self/uid_map", stdout = "capture" }).stdout:find " 1234 +1\n$")
      local result, err = joined:run { "true" }
      assert(result == nil and err.code == "EPERM")
      return true
    ]])
  end))

  it("says what is wrong with a command as the container does", function()
    local box = cella.container {}
    pool = assert(cella.pool { box, size = 1 })
    for _, command in ipairs { { "no-such-program" }, { "/etc/passwd" }, { "true", stdin = { path = "/nonexistent" } },
      { "true", fds = { [9] = 1000 } } } do
      local _, one = box:run(command)
      local result, other = pool:run(command)
      assert.is_nil(result)
      assert.equal(one.code, other.code)
      assert.equal(one.why, other.why)
      assert.equal(one.op, other.op)
      assert.equal(one.path, other.path)
    end
    assert.equal(0, assert(pool:run { "true" }).code)
    local many = {}
    for i = 10, 300 do many[i] = 0 end
    local result, err = pool:run { "true", fds = many, stdin = "null" }
    assert.is_nil(result)
    assert.equal("E2BIG", err.code)
    assert.equal("sendmsg", err.op)
    assert.equal(0, assert(pool:run { "true" }).code)
  end)

  it("refuses what cannot be", function()
    local box = cella.container {}
    local function refused(why, ...) assert.truthy(trial.raised(...):find(why, 1, true), trial.raised(...)) end
    refused("container expected", cella.pool, { 5 })
    refused("one container expected", cella.pool, {})
    refused("one container expected", cella.pool, { box, box })
    refused("size", cella.pool, { box, size = 0 })
    refused("size", cella.pool, { box, size = 1.5 })
    refused("siez", cella.pool, { box, siez = 1 })
    pool = assert(cella.pool { box })
    refused("pool:run { ... } has a colon, not a dot", pool.run, { "true" })
    refused("copy of this process", pool.run, pool, { function() end })
    refused("copy of this process", pool.run, pool, function() end)
    refused("command.cwd", pool.run, pool, { "true", cwd = "/usr" })
    refused('command.stdin: "pipe"', pool.run, pool, { "true", stdin = "pipe" })
    refused("command.wait", pool.run, pool, { "true", wait = false })
    refused("command", pool.spawn, pool, {})
    assert.equal(0, assert(pool:run { "true", cwd = "/" }).code)
    pool:close()
    pool:close()
    refused("the pool is closed", pool.run, pool, { "true" })
    refused("the pool is closed", pool.step, pool)
    assert.is_nil(pool:pollfd())
    assert.equal("cella.pool (closed)", tostring(pool))
  end)

  it("is none where its container cannot be started, for the same reason", function()
    for _, description in ipairs { { mounts = { { type = "bind", source = "/nonexistent", destination = "/x" } } },
      { ids = function() return nil, "no maps today" end },
      { hooks = { mapped = function() error "not today" end } } } do
      local box = cella.container(description)
      local _, one = box:run { "true" }
      local none, other = cella.pool { box, size = 3 }
      assert.is_nil(none)
      assert.equal(tostring(one):match "\n(.*)" or one.message, tostring(other):match "\n(.*)" or other.message)
    end
  end)

  it("calls hooks when what they are about happens", function()
    local order = {}
    local box = cella.container { hooks = {
      created = function() order[#order + 1] = "created" end,
      mapped = function(facts) order[#order + 1] = facts.pid and "mapped" end,
      before_exec = function(facts) order[#order + 1] = facts.init and "before_exec" end,
      exited = function(result) order[#order + 1] = "exited " .. result.code end,
    } }
    pool = assert(cella.pool { box })
    assert.equal("created mapped", table.concat(order, " "))
    order = {}
    pool.size = 0 -- none in its place
    assert(pool:run { "sh", "-c", "exit 3" })
    assert.equal("before_exec exited 3", table.concat(order, " "))
    order = {}
    pool.size = 1
    fill(pool)
    assert.equal("created mapped", table.concat(order, " "))
    pool:close()
    assert.equal("created mapped", table.concat(order, " ")) -- no program ran
  end)

  it("is used by nobody while it is at work on what is parked", function()
    local use, said, parked, plan, errno
    local box = cella.container { hooks = {
      created = function() if use then said = trial.raised(use) end end,
      before_exec = function() if plan then errno = select(3, parked.child:hand_over(plan.recorder, {})) end end,
    } }
    pool = assert(cella.pool { box, size = 1 })
    parked = pool.parked[1]
    plan = box:rest_plan(parked, { "true", stdin = "null", stdout = "null", stderr = "null" })
    -- In the place of a finalizer, which Lua may call anywhere.
    local rest_plan = box.rest_plan
    function box.rest_plan(...)
      assert.truthy(trial.raised(pool.spawn, pool, { "true" }):find("must not use the pool", 1, true))
      assert.equal(1, pool:step())
      return rest_plan(...)
    end
    local process = assert(pool:spawn { "cat", stdin = "pipe", stdout = "capture" })
    box.rest_plan = nil
    assert.equal(parked.child, process.child)
    assert.equal("EALREADY", core.errno_name(errno))
    plan = nil
    process:close_stdin()
    for _, call in ipairs { function() pool:run { "true" } end, function() pool:close() end } do
      use, said = call, nil
      local result = pool:run { "true" }
      while not said do
        pool:step()
        core.poll({}, 0.01)
      end
      assert.truthy(said:find("must not use the pool", 1, true))
      assert.truthy(result == nil or result.code == 0)
    end
    use = nil
    assert.equal(0, assert(pool:run { "true" }).code)
    assert.equal("", assert(process:wait()).stdout)
  end)

  it("returns what the host does not tell", function()
    local host, Error = require "cella.host", require "cella.error"
    local facts = host.facts
    pool = assert(cella.pool { cella.container {}, size = 2 })
    pool.size = 3
    function host.facts() error(Error.new { op = "prctl", errno = 4 }, 0) end
    local fine, result, err = pcall(pool.run, pool, { "true" })
    local stepped, _, failure = pcall(pool.step, pool)
    host.facts = facts
    assert.is_true(fine and stepped)
    assert.is_nil(result)
    assert.equal("EINTR", err.code)
    assert.equal("EINTR", failure.code)
    assert.equal(0, assert(pool:run { "true" }).code)
  end)

  it("may be closed by a hook of its command", function()
    local box = cella.container { hooks = { before_exec = function() pool:close() end } }
    pool = assert(cella.pool { box, size = 2 })
    assert.equal("went on\n", assert(pool:run { "echo", "went on", stdout = "capture" }).stdout)
    assert.equal("cella.pool (closed)", tostring(pool))
  end)

  it("sleeps while none is parked", function()
    local stopped
    pool = assert(cella.pool { cella.container { hooks = { mapped = function(facts)
      if stopped then trial.sh("kill -STOP " .. facts.pid) end
    end } }, size = 1 })
    stopped = true
    assert(pool:spawn { "true" }):close() -- the time at which it is to be filled comes before anybody looks
    local turns, turn = 0, pool.set.turn
    function pool.set.turn(...)
      turns = turns + 1
      return turn(...)
    end
    local result, err = pool:run { "true", timeout = 0.5 }
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
    assert.is_true(turns > 0 and turns < 50, turns)
  end)

  it("hears of a hook that fails when it fills itself, and tries again for a command", function()
    local fails = false
    local box = cella.container { hooks = { created = function() if fails then error "not today" end end } }
    pool = assert(cella.pool { box, size = 1 })
    fails = true
    assert.equal(0, assert(pool:run { "true" }).code)
    local count, err
    trial.wait_for(function()
      count, err = pool:step()
      return err
    end, "a failure")
    assert.equal(0, count)
    assert.truthy(tostring(err):find("not today", 1, true))
    assert.is_nil(pool:timeout())
    local result
    result, err = pool:run { "true" }
    assert.is_nil(result)
    assert.truthy(tostring(err):find("not today", 1, true))
    fails = false
    assert.equal(0, assert(pool:run { "true" }).code)
  end)

  it("keeps the limits of a command", function()
    pool = assert(cella.pool { cella.container {}, size = 1 })
    assert.equal("timeout", assert(pool:run { "sleep", "60", timeout = 0.2 }).reason)
    assert.equal("output", assert(pool:run { "yes", stdout = "capture", output_limit = 1000 }).reason)
    assert.equal("cpu", assert(pool:run { "sh", "-c", "while :; do :; done", cpu_limit = 0.2, timeout = 60 }).reason)
  end)

  it("starts without waiting for exec", function()
    pool = assert(cella.pool { cella.container {}, size = 2 })
    local process = assert(pool:spawn { "cat", stdin = { content = "x" }, stdout = "capture", wait = false })
    assert.equal("x", assert(process:wait()).stdout)
    process = assert(pool:spawn { "no-such-program", wait = false })
    local result, err = process:wait()
    assert.is_nil(result)
    assert.equal("ENOENT", err.code)
    process = assert(pool:spawn { "sleep", "60", wait = false })
    process:close()
  end)

  it("lets its processes go on when it is closed", function()
    pool = assert(cella.pool { cella.container {}, size = 2 })
    local process = assert(pool:spawn { "cat", stdin = "pipe", stdout = "capture" })
    fill(pool)
    local pids = parked_pids(pool)
    pool:close()
    for _, one in ipairs(pids) do assert.is_false(trial.runs(one.init)) end
    process:feed "still\n"
    process:close_stdin()
    assert.equal("still\n", assert(process:wait()).stdout)
  end)

  it("ends with its caller, and with the last reference to it", function()
    local pid = tonumber((outside.lua([[
      local pool = assert(cella.pool { cella.container {}, size = 1 })
      io.write(pool.parked[1].child:pid(), "\n")
      io.flush()
      os.exit(0, false)
    ]], { output = true }):match "%d+"))
    trial.wait_for(function() return not trial.runs(pid) end, "its end")
    local other = assert(cella.pool { cella.container {}, size = 1 })
    pid = other.parked[1].child:pid()
    assert.is_true(trial.runs(pid)) -- the control
    other = nil -- luacheck: ignore 311
    portable.collect()
    assert.is_false(trial.runs(pid))
  end)

  it("ends with a caller that must not kill it any more", needs("root", function()
    for what, close in pairs { ["it is closed"] = "pool:close()", ["the caller ends"] = "os.exit(0, false)" } do
      local output = outside.lua([[
        local target = assert(cella.container { init = false, namespaces = { user = "host" } }:spawn {
          "cat", stdin = "pipe", stdout = "null", stderr = "null" })
        local pool = assert(cella.pool { cella.container {
          namespaces = { user = "host", uts = { pid = target.pid } } } })
        local child = pool.parked[1].child
        local monitor = io.open(("/proc/%d/stat"):format(child:pid())):read "*a":match "%) %a (%d+)"
        assert(sys.setresgid(4321, 4321, 4321))
        assert(sys.setresuid(1234, 1234, 1234))
        print(child:pid(), child:program(), monitor)
        assert(io.open(("/proc/%d/stat"):format(child:program()))) -- the control
        ]] .. close .. [[

        for _, pid in ipairs { child:pid(), child:program(), tonumber(monitor) } do
          assert(not io.open(("/proc/%d/stat"):format(pid)), pid)
        end
        os.exit(0, false)
      ]], { output = true })
      local init, program, monitor = output:match "(%d+)%s(%d+)%s(%d+)"
      for _, pid in ipairs { init, program, monitor } do
        trial.wait_for(function() return not trial.runs(tonumber(pid)) end, "the end where " .. what)
      end
    end
  end))

  it("is nobody's in a copy of its process", function()
    pool = assert(cella.pool { cella.container {}, size = 2 })
    fill(pool)
    local result = assert(cella.container {}:run(function()
      local process, err = pool:spawn { "true" }
      pool:close()
      return process == nil and err.code
    end))
    assert.equal("ECHILD", result.values and result.values[1] or tostring(result.error))
    assert.equal(2, #pool)
    assert.equal(0, assert(pool:run { "true" }).code)
  end)

  it("is nobody's in a copy that a hook makes, either", function()
    local copied
    pool = assert(cella.pool { cella.container { hooks = { created = function()
      copied = pool and assert(cella.container {}:run(function()
        pool:close()
        return "closed"
      end))
    end } } })
    pool:run { "true" }
    trial.wait_for(function()
      pool:step()
      return copied
    end, "the hook")
    assert.equal("closed", copied.values and copied.values[1], tostring(copied.error))
    assert.equal(0, assert(pool:run { "true" }).code)
  end)

  it("works where another process waits in the caller's place", function()
    outside.lua([[
      local pool = assert(cella.pool { cella.container {}, size = 2 })
      for i = 1, 4 do
        assert(assert(pool:run { "sh", "-c", "exit " .. i }).code == i)
        assert(assert(pool:run { "sh", "-c", "kill -9 $$" }).signal == "kill")
      end
      local result, err = pool:run { "no-such-program" }
      assert(result == nil and err.code == "ENOENT")
      pool = assert(cella.pool { cella.container { init = false }, size = 2 })
      for i = 1, 4 do assert(assert(pool:run { "sh", "-c", "exit " .. i }).code == i) end
      pool:close()
    ]], { prefix = "env --ignore-signal=CHLD" })
  end)
end)
