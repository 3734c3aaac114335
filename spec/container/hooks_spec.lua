-- Functions of the caller's at points of a container's life: what they see there, and that an error in one means that
-- no program ran.

local cella = require "cella"
local core = require "cella.core"
local trial = require "spec.support.trial"

local lacks = trial.lacks_user_namespaces()
local function when_able(title, body)
  it(title, function() if lacks then pending(lacks) else body() end end)
end

local POINTS = { "created", "mapped", "before_exec" }

-- Whether the container's first program has begun: it makes a file outside.
local function marking(directory, keys)
  keys.root, keys.ids = keys.root or "/", require "cella.policy".root()
  keys.mounts = { { type = "bind", source = directory, destination = "/tmp" } }
  keys.command = { "/bin/sh", "-c", "echo ran > /tmp/ran" }
  return cella.container(keys)
end

describe("hooks", function()
  local directory
  setup(core.runner_file) -- kept for ever once it is made
  trial.around(before_each, after_each, function(own) directory = own end)

  when_able("are called in order, with the process of which they tell", function()
    local calls = {}
    local hooks = {}
    for _, point in ipairs(POINTS) do
      hooks[point] = function(facts)
        calls[#calls + 1] = point
        assert.is_true(trial.runs(facts.pid))
        assert.not_equal(core.sys.namespace "mount", core.sys.namespace("mount", facts.pid))
        if facts.init then assert.equal("cella-init\n", trial.read(("/proc/%d/comm"):format(facts.init))) end
      end
    end
    hooks.exited = function(result)
      calls[#calls + 1] = ("exited %s"):format(result.code)
    end
    for _, init in ipairs { true, false } do
      calls = {}
      assert.equal(3, assert(cella.container { hooks = hooks, init = init }:run { "/bin/sh", "-c", "exit 3" }).code)
      assert.equal("created mapped before_exec exited 3", table.concat(calls, " "))
    end
  end)

  when_able("find no maps when created, maps when mapped, and in the end what the program will be", function()
    local maps, bounding, nnp, root = {}, {}, {}, nil
    local function look(point)
      return function(facts)
        maps[point] = trial.read(("/proc/%d/uid_map"):format(facts.pid))
        bounding[point] = trial.status(facts.pid, "CapBnd")
        nnp[point] = trial.status(facts.pid, "NoNewPrivs")
        if point == "before_exec" then root = facts.init ~= nil end
      end
    end
    local box = cella.container { hooks = { created = look "created", mapped = look "mapped",
      before_exec = look "before_exec" } }
    local result = assert(box:run { "sh", "-c", "cat /proc/self/uid_map; grep -E 'CapBnd|NoNewPrivs' /proc/self/status",
      stdout = "capture" })
    assert.equal("", maps.created)
    assert.matches("^%s*0%s+%d+%s+%d+\n$", maps.mapped)
    assert.equal(maps.mapped, result.stdout:match "^[^\n]*\n")
    assert.equal("0", nnp.mapped)
    assert.equal("1", nnp.before_exec)
    assert.not_equal(("0"):rep(16), bounding.mapped)
    assert.equal(("0"):rep(16), bounding.before_exec)
    assert.equal(bounding.before_exec, result.stdout:match "CapBnd:%s*(%x+)")
    assert.is_true(root)
  end)

  when_able("are steps of the plan, of the parent's side", function()
    local function nothing() end
    local plan = assert(cella.container { hooks = { created = nothing, mapped = nothing, before_exec = nothing } }
      :plan { "true" })
    local seen = {}
    for _, step in ipairs(plan:steps()) do
      if step.op:find "^hooks" then
        assert.equal("parent", step.side)
        seen[#seen + 1] = step.op
      end
    end
    assert.same({ "hooks.created", "hooks.mapped", "hooks.before_exec" }, seen)
  end)

  for _, point in ipairs(POINTS) do
    when_able(("stop the container where %s fails, and say so"):format(point), function()
      local ways = {
        ["an error"] = function() error "not today" end,
        ["nil and a message"] = function() return nil, "not today" end,
        ["false and a message"] = function() return false, "not today" end,
      }
      for way, hook in pairs(ways) do
        local ended
        local box = marking(directory, { hooks = { [point] = hook, exited = function() ended = true end } })
        local result, err = box:run()
        assert.is_nil(result, way)
        assert.equal("hooks." .. point, err.op)
        assert.equal("parent", err.side)
        assert.matches("not today", err.message)
        assert.is_nil(trial.read(directory .. "/ran"), way)
        assert.is_nil(ended)
      end
      -- The control: the same container with a hook that has nothing against it.
      assert(marking(directory, { hooks = { [point] = function() end } }):run())
      assert.equal("ran\n", trial.read(directory .. "/ran"))
    end)
  end

  when_able("give back what was raised", function()
    local reason = { 1 }
    local _, err = cella.container { hooks = { mapped = function() error(reason) end } }:run { "true" }
    assert.equal(reason, err.cause)
  end)

  when_able("may do what they like to the parent's own files, also while the child has changed its IDs", function()
    local readable
    assert(cella.container { hooks = { before_exec = function()
      readable = io.open "/proc/self/environ" ~= nil
    end } }:run { "true" })
    assert.is_true(readable)
  end)

  when_able("may start another container", function()
    local inner = cella.container { hostname = "inner" }
    local said
    assert(cella.container { hooks = { before_exec = function()
      said = assert(inner:run { "hostname", stdout = "capture" }).stdout
    end } }:run { "true" })
    assert.equal("inner\n", said)
  end)

  when_able("do not see a child that has died: what killed it is told", function()
    local result, err = cella.container { hooks = { created = function(facts)
      trial.sh("kill -9 " .. facts.pid)
    end, before_exec = function() error "never" end } }:run { "true" }
    assert.is_nil(result)
    assert.matches("killed in this step", tostring(err))
  end)

  describe("exited", function()
    when_able("has the result, of a program that was killed too", function()
      local seen
      local box = cella.container { hooks = { exited = function(result) seen = result end } }
      local process = assert(box:spawn { "sleep", "100" })
      process:kill "kill"
      assert.equal(assert(process:wait()), seen)
      assert.equal("kill", seen.signal)
    end)

    when_able("is called by close", function()
      local seen
      local process = assert(cella.container { hooks = { exited = function(result) seen = result end } }
        :spawn { "sleep", "100" })
      process:close()
      assert.equal("kill", seen.signal)
      process:close()
    end)

    when_able("is called where a function that gets the output raises, or closes the handle", function()
      for _, script in ipairs { "echo x; sleep 100", "echo x", "printf x" } do
        local calls, process = {}, nil
        local box = cella.container { hooks = { exited = function(how) calls[#calls + 1] = how.reason end } }
        process = assert(box:spawn { "sh", "-c", script, stdout = function() error("not that", 0) end })
        local ok, raised = pcall(process.wait, process)
        assert.is_false(ok)
        assert.equal("not that", raised)
        process:close()
        process = assert(box:spawn { "sh", "-c", script, stdout = function() process:close() end })
        local fine, result, err = pcall(process.wait, process)
        assert.is_true(fine, result)
        assert.is_nil(result)
        assert.matches("was closed", err.message)
        process:close()
        assert.equal(2, #calls, script)
      end
    end)

    when_able("is not called where no program ran", function()
      local called
      local result = cella.container { hooks = { exited = function() called = true end } }:run { "/nonexistent" }
      assert.is_nil(result)
      assert.is_nil(called)
    end)

    when_able("is called once, and what it raises comes with the result", function()
      local calls = 0
      local process = assert(cella.container { hooks = { exited = function()
        calls = calls + 1
        error "no room"
      end } }:spawn { "sh", "-c", "exit 7" })
      for _ = 1, 2 do
        local result, err = process:wait()
        assert.is_nil(result)
        assert.matches("no room", err.message)
        assert.equal("hooks.exited", err.op)
        assert.equal(7, err.result.code)
      end
      assert.equal(1, calls)
    end)
  end)

  it("are functions, with the names of the points", function()
    assert.has_error(function() cella.container { hooks = { before_exec = 1 } } end)
    local _, message = pcall(cella.container, { hooks = { create = print } })
    assert.matches("hooks.create: unknown key.*created", message)
  end)
end)

describe("plan:await", function()
  when_able("lets the child wait anywhere", function()
    local seen = {}
    local plan = cella.plan { namespaces = { "user", "uts" }, ids = { uid = "0 " .. select(2, core.sys.getresuid())
      .. " 1", gid = "0 " .. select(2, core.sys.getresgid()) .. " 1", via = "self" } }
    plan:await(function(facts) seen[1] = facts.pid end)
    plan:sethostname "moon"
    plan:await(function(facts) seen[2] = facts.pid end, "second")
    plan:exec { "hostname", stdout = "capture" }
    assert.equal("moon\n", assert(plan:run()).stdout)
    assert.equal(seen[1], seen[2])
    assert.matches("second%(PROCESS%)", tostring(plan))
    -- Again: a plan is a value.
    seen = {}
    assert(plan:run())
    assert.equal(2, #seen)
  end)

  when_able("counts as time of the set-up", function()
    local plan = cella.plan { namespaces = { "user" } }
    plan:await(function() core.poll({}, 0.2) end)
    plan:await(function() end)
    local result, err = plan:exec({ "true" }):run { timeout = 0.1 }
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
  end)
end)
