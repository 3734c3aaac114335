-- What a start says of each step once it is done (`log`).

local cella = require "cella"
local core = require "cella.core"
local policy = require "cella.policy"
local trial = require "spec.support.trial"

describe("a log", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  local function now()
    local seconds, nanoseconds = core.wall_clock()
    return seconds + nanoseconds / 1e9
  end

  -- Starts a command in a container and returns what its log told, the plan, and what run returned.
  local function told_by(keys, command)
    local told, box = {}, cella.container(keys)
    if type(command) == "function" then command = { command } end
    function command.log(step) told[#told + 1] = step end
    local began = now()
    local result, err = box:run(command)
    return told, assert(box:plan(command)), result, err, began
  end

  local function by_number(told)
    local list = {}
    for _, step in ipairs(told) do
      assert.is_nil(list[step.number], step.text .. " was told twice")
      list[step.number] = step
    end
    return list
  end

  -- That every step of the plan was told, with times that go on within those of the whole.
  local function is_whole(told, plan, began)
    local steps, list, last, over = plan:steps(), by_number(told), {}, now()
    for number, step in ipairs(steps) do
      local done = assert(list[number], step.text .. " was not told")
      assert.same({ step.side, step.op, step.text, step.slot, step.args },
        { done.side, done.op, done.text, done.slot, done.args })
      assert.is_string(done.stage)
      assert.is_true(done.at >= began - 1e-6 and done.at <= over + 1e-6, step.text)
      assert.is_true(done.at >= (last[step.side] or began) - 1e-6, step.text)
      assert.is_true(done.took >= 0 and done.took <= over - began, step.text)
      last[step.side] = done.at
    end
    assert.equal(#steps, #told)
  end

  local KINDS = {
    ["with an init"] = { {}, { "true" } },
    ["without one"] = { { init = false, namespaces = { pid = "host" } }, { "true" } },
    ["with a clock of its own"] = { { namespaces = { time = { monotonic = 100000, boottime = 100000 } } }, { "true" } },
    ["of a function"] = { {}, function() return 1 end },
    ["with hooks"] = { { hooks = { created = function() end, before_exec = function() end } }, { "true" } },
  }
  for name, kind in pairs(KINDS) do
    it("tells each step of a start " .. name, function()
      kind[1].ids = policy.root()
      local told, plan, result, err, began = told_by(kind[1], kind[2])
      assert.is_table(result, tostring(err))
      is_whole(told, plan, began)
    end)
  end

  it("tells those behind a fork", function()
    local told, began = {}, now()
    local plan = cella.plan { namespaces = { "user" }, ids = { uid = "0 0 1", gid = "0 0 1", via = "self",
      setgroups = "deny" } }
    if trial.lacks_root() then
      local uid, gid = core.sys.getresuid(), core.sys.getresgid()
      plan = cella.plan { namespaces = { "user" }, ids = { uid = { inside = 0, outside = uid, count = 1 },
        gid = { inside = 0, outside = gid, count = 1 }, via = "self", setgroups = "deny" } }
    end
    plan:unshare("pid"):fork():setsid():exec { "true" }
    assert(plan:run { log = function(step) told[#told + 1] = step end })
    is_whole(told, plan, began)
  end)

  it("has the time that a step takes, on both sides", function()
    local function slow() core.poll({}, 0.1) end
    local list = by_number((told_by({ hooks = { created = slow } }, { "true" })))
    local hook, await
    for number, step in pairs(list) do
      if step.op == "hooks.created" then hook, await = step, list[number - 1] end
    end
    assert.equal("await", await.op)
    assert.is_true(hook.took >= 0.1 and hook.took < 10, hook.took)
    assert.is_true(await.took >= 0.1 and await.took < 10, await.took)
    assert.is_true(await.at >= hook.at)
    -- Another step took what such a step takes.
    for _, step in pairs(list) do
      if step.op == "sigunblock" then assert.is_true(step.took < 0.1, step.took) end
    end
  end)

  it("says of each what it is for", function()
    local list, stages = by_number((told_by({ hostname = "moon", rlimits = { nofile = 64 } }, { "true" }))), {}
    for _, step in pairs(list) do stages[step.op] = step.stage end
    for op, stage in pairs { clone3 = "namespaces", sethostname = "namespaces", pivot_root = "root",
      setresuid = "identity", setrlimit = "limits", capset = "capabilities", expect_ids = "check", execve = "command",
      memfd_create = "preparation" } do
      assert.equal(stage, stages[op], op)
    end
  end)

  it("ends with the step before the one that failed", function()
    local told, plan, result, err = told_by({ ids = policy.root() }, { "no-such-program" })
    assert.is_nil(result)
    assert.equal("execve", err.op)
    local list = by_number(told)
    assert.is_nil(list[err.step])
    assert.equal(err.step - 1, #list)
    assert.equal(err.step, #plan:steps())
    -- In the middle, and of the parent's.
    local many = {}
    local failed = select(2, cella.plan({ namespaces = { "user" } }):setsid():sethostname("moon"):exec({ "true" })
      :run { log = function(step) many[#many + 1] = step.op end })
    assert.equal("EPERM", failed.code)
    assert.same({ "clone3", "expect_namespace", "setsid" }, many)
    many = {}
    failed = select(2, cella.plan():exec({ "true", stdin = { path = "/no/such/file" } })
      :run { log = function(step) many[#many + 1] = step.op end })
    assert.equal("ENOENT", failed.code)
    assert.same({}, many)
  end)

  it("goes with a start that nobody waits for", function()
    local told, began = {}, now()
    local box = cella.container { ids = policy.root() }
    local command = { "true", wait = false, log = function(step) told[#told + 1] = step end }
    local process = assert(box:spawn(command))
    assert.equal(0, assert(process:wait()).code)
    is_whole(told, assert(box:plan(command)), began)
  end)

  it("goes with what a parked container does for its command", function()
    local told, began = {}, now()
    local pool = trial.hold(cella.pool { cella.container { ids = policy.root() }, size = 1 })
    trial.wait_for(function() return pool:step() == 1 end, "a parked container")
    local result = assert(pool:run { "true", log = function(step) told[#told + 1] = step end })
    assert.equal(0, result.code)
    assert.equal("execve", told[#told].op)
    local last = began
    for _, step in ipairs(told) do
      assert.is_true(step.op ~= "clone3" and step.stage == "preparation" or step.side == "child", step.text)
      assert.is_true(step.at >= last - 1e-6 and step.at <= now() + 1e-6, step.text)
      assert.is_true(step.took >= 0, step.text)
      last = step.at
    end
    assert.is_true(#told >= 4)
  end)

  for name, case in pairs {
    ["raises"] = { function() error("boom", 0) end, "boom" },
    ["raises a table"] = { function() error(setmetatable({}, { __tostring = function() return "a table" end })) end,
      "a table" },
    ["yields"] = { function() coroutine.yield() end, "yield" },
  } do
    it("whose function " .. name .. " ends the start, and no program runs", function()
      local path = directory .. "/ran"
      for _, op in ipairs { "clone3", "memfd_create", "hooks.created" } do
        local went_on = false
        local hooks = { created = function() end, before_exec = function() went_on = true end }
        local box = cella.container { init = true, root = "/", hooks = hooks,
          ids = policy.root(), mounts = { { type = "bind", source = directory, destination = directory } } }
        local ran = { "touch", path, log = function(step)
          if step.op == op then case[1]() end
        end }
        local result, err = box:run(ran)
        assert.is_nil(result, op)
        assert.equal("log", err.op)
        assert.matches(case[2], tostring(err), 1, true)
        assert.is_nil(trial.read(path))
        assert.is_false(went_on)
        -- The same with a log that does nothing.
        ran.log = function() end
        assert.equal(0, assert(box:run(ran)).code)
        assert.is_string(trial.read(path))
        os.remove(path)
      end
    end)
  end

  it("costs no call where there is none", function()
    local script = [[
      local cella, policy = require "cella", require "cella.policy"
      local box = cella.container { ids = policy.root() }
      assert(box:run { "true", log = %s })
      if %s then io.write(#assert(box:plan { "true" }):steps()) end
    ]]
    local function calls(log, also)
      local path = trial.write(directory .. "/script.lua", script:format(log, also))
      local said = trial.sh(("%s %s; strace -f -qq -e trace=clock_gettime -o %s/trace %s %s >/dev/null; cat %s/trace")
        :format(trial.interpreter(), path, directory, trial.interpreter(), path, directory))
      local count = select(2, said:gsub("clock_gettime%(CLOCK_REALTIME", ""))
      return count, said
    end
    if trial.sh("command -v strace") == "" then return pending "needs strace" end
    assert.equal(0, (calls("nil", "false")))
    local count, said = calls("function() end", "true")
    assert.is_true(count > 100, said)
  end)

  it("is a function, and nothing else", function()
    assert.matches("command.log: a function expected", trial.raised(cella.container({}).run, cella.container {},
      { "true", log = "yes" }))
  end)
end)

describe("`cella run --debug`", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  it("tells the steps on the standard error, with their times, and how the program ended", function()
    local result = trial.cella { "run", "--debug", "-e", 'hostname = "moon"', "--", "sh", "-c", "echo out; exit 3" }
    assert.equal(3, result.status)
    assert.equal("out\n", result.stdout)
    local last, count = "", 0
    for line in result.stderr:gmatch "[^\n]+" do
      local time = line:match "^%[(%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%d%d%d%dZ) %a+ +%a+ *%] "
      assert.is_string(time, line)
      last, count = line, count + 1
    end
    assert.is_true(count > 100)
    assert.matches('Z namespaces   child ] sethostname("moon") (', result.stderr, 1, true)
    assert.matches("Z command      parent] the program runs: process %d+\n", result.stderr)
    assert.matches("exited with 3$", last)
    assert.equal("", trial.cella({ "run", "--", "true" }).stderr)
  end)

  it("says what failed behind the steps that did not", function()
    local result = trial.cella { "run", "--debug", "--", "no-such-program" }
    assert.equal(127, result.status)
    assert.matches("expect_seccomp%(%d+%) %(%d+ us%)\ncella: step ", result.stderr)
  end)
end)
