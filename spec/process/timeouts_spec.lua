-- Nothing that the caller does for a container waits without bound: for those who stop what enters their container, for
-- the other end of a FIFO, for a child. How long it takes is compared with for ever, and decides nothing closer.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local leaks = require "spec.support.leaks"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)
local LONG = 20 * (tonumber(os.getenv "CELLA_PATIENCE") or 1) -- seconds

describe("a time-out", function()
  local directory
  setup(function() cella.container({}):run { "/bin/true" } end) -- what is kept open from the first one on
  trial.around(before_each, after_each, function(own)
    directory = own
    leaks.watch() -- for `undying`
  end)

  local function soon(call)
    local start = core.now()
    local result, err = call()
    assert.is_true(core.now() - start < LONG, ("%.1f seconds"):format(core.now() - start))
    return result, err
  end

  it("holds for who enters where all processes are stopped again and again #slow", needs("user_namespaces", function()
    -- Whoever has the IDs of the program may stop it: an ordinary user's container has one ID, and so has this.
    local _, uid = core.sys.getresuid()
    local _, gid = core.sys.getresgid()
    local box = cella.container { ids = { uid = { inside = 0, outside = uid, count = 1 },
      gid = { inside = 0, outside = gid, count = 1 } } }
    local hostile = assert(box:spawn { "/bin/sh", "-c", "while :; do kill -STOP -1; done", stdout = "null",
      stderr = "null" })
    local other = assert(box:spawn { "/bin/sleep", "1000" })
    local entrance = assert(hostile:enter())
    for _ = 1, 5 do
      local result, err = soon(function() return entrance:run { "/bin/true", timeout = 0.5 } end)
      -- Before its exec, or after, or it was quicker.
      assert.is_true(result ~= nil or err.code == "ETIMEDOUT", tostring(err))
    end
    entrance:close()
    soon(function() hostile:close() return true end)
    -- Others are not kept waiting.
    assert.equal("exited", assert(soon(function() return box:run { "/bin/true" } end)).reason)
    other:close()
  end))

  it("holds for opening what has no other end, and the error names it", needs("user_namespaces", function()
    local fifo = directory .. "/fifo"
    trial.sh("mkfifo " .. fifo)
    local box = cella.container {}
    for _, command in ipairs { { "/bin/cat", stdin = { path = fifo } }, { "/bin/true", stdout = { path = fifo } },
      { "/bin/true", stderr = { path = fifo, append = true } } } do
      for _, limit in ipairs { "timeout", "setup_timeout" } do
        command.timeout, command.setup_timeout = nil, nil
        command[limit] = 0.3
        local result, err = soon(function() return box:run(command) end)
        assert.is_nil(result)
        assert.equal("ETIMEDOUT", err.code)
        assert.equal(fifo, err.path)
      end
    end
    -- A control: with somebody at the other end it works.
    local writer = io.popen(("sleep 0.3; echo hello >%s"):format(fifo), "r")
    local result = assert(soon(function()
      return box:run { "/bin/cat", stdin = { path = fifo }, stdout = "capture", timeout = LONG }
    end))
    assert.equal("hello\n", result.stdout)
    writer:close()
    local refused = select(2, soon(function()
      return cella.container({ namespaces = { net = fifo } }):run { "/bin/true", timeout = LONG }
    end))
    assert.equal("EINVAL", refused.code)
  end))

  it("of the set-up is one of its own, in which what hooks take does not count", needs("user_namespaces", function()
    local function hold() os.execute "sleep 0.6" end
    local box = cella.container { hooks = { created = hold } }
    assert.equal("exited", assert(box:run { "/bin/true", setup_timeout = 0.5 * LONG / 20 }).reason)
    -- A step that hangs is named.
    trial.sh("mkfifo " .. directory .. "/fifo")
    local reading = assert(core.open(directory .. "/fifo", "rdwr"))
    local plan = cella.plan():wait_for_byte(reading:number()):exec { "/bin/true" }
    local result, err = soon(function() return plan:run { setup_timeout = 0.3 } end)
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
    assert.equal("wait_for_byte", err.op)
    assert.equal("child", err.side)
    reading:close()
  end))

  -- Who has entered a pid namespace and is not waited for holds its init, which the kernel then does not end.
  local function undying(description, command)
    local process = assert(cella.container(description):spawn(command))
    -- It is stopped once its child is in there, for which it alone could wait.
    local said = trial.sh(("nsenter --preserve-credentials -U -p -t %d sleep 1000 >%s/said 2>&1 & echo $! >%s/pid; "
      .. "i=0; while [ -z \"$(cat /proc/$!/task/$!/children)\" ] && [ $i -lt 200 ]; do sleep 0.05; i=$((i + 1)); done; "
      .. "kill -STOP $!; cat /proc/$!/task/$!/children %s/said 2>&1"):format(process.init or process.pid, directory,
      directory, directory))
    assert.matches("^%d+ *\n?$", said)
    local function let_die()
      trial.sh(("kill -KILL $(cat %s/pid)"):format(directory))
      -- It is reaped with the next start after its end.
      for _ = 1, 100 do
        assert.equal("exited", assert(cella.container({}):run { "/bin/true" }).reason)
        if not pcall(leaks.check) then trial.sh "sleep 0.1" else break end
      end
    end
    return process, let_die
  end

  local function needs_nsenter(body)
    return needs("user_namespaces", function()
      if trial.sh "command -v nsenter" == "" then pending "needs nsenter" end
      body()
    end)
  end

  it("holds for a container that does not die #slow", needs_nsenter(function()
    local process, let_die = undying({}, { "/bin/sleep", "1000", timeout = 1 })
    local result, err = soon(function() return process:wait() end)
    let_die()
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
    assert.truthy(err.message:find("has not ended", 1, true))
  end))

  it("holds for closing one, also where somebody is to hear of its end #slow", needs_nsenter(function()
    local heard
    local process, let_die = undying({ hooks = { exited = function(_, err) heard = err end } },
      { "/bin/sleep", "1000" })
    soon(function()
      process:close()
      return true
    end)
    let_die()
    assert.equal("ETIMEDOUT", heard.code)
  end))
end)
