-- Wrong arguments: an error at the line that gave them, which names what was wrong, from every public function.

local able = require "spec.support.able"
local caps = require "cella.caps"
local cella = require "cella"
local host = require "cella.host"
local idmap = require "cella.idmap"
local policy = require "cella.policy"
local sys = require "cella.sys"

local needs = able.needs(function(reason) pending(reason) end)

-- Calls f from a line of its own, and returns what it raised, without the place, which has to be that line.
local function blamed(f, ...)
  local arguments = table.pack(...)
  local function caller()
    local one, two = f(table.unpack(arguments, 1, arguments.n))
    return one, two
  end
  local info = debug.getinfo(caller, "S")
  local ok, message = pcall(caller)
  assert.is_false(ok, "was taken: " .. tostring(message))
  local place = ("%s:%d: "):format(info.short_src, info.linedefined + 1)
  assert.equal(place, tostring(message):sub(1, #place), tostring(message))
  return tostring(message):sub(#place + 1)
end

local function says(words, ...)
  local message = blamed(...)
  assert.truthy(message:find(words, 1, true), message)
end

describe("who gave a wrong argument is told where:", function()
  local box = cella.container {}

  it("a container, of its command", function()
    for _, name in ipairs { "plan", "spawn", "run" } do
      says("command.stdin: the string \"nul\" is not one of inherit, null, pipe; did you mean 'null'?", box[name], box,
        { "true", stdin = "nul" })
      says("command[2]: the string has a NUL byte", box[name], box, { "true", "a\0b" })
      says("command.timeot: unknown key; did you mean 'timeout'?", box[name], box, { "true", timeot = 1 })
      says("command: a table expected", box[name], box, "true")
      says("command: missing", box[name], box)
    end
  end)

  it("a container, of what its description rules out", function()
    local attached = cella.container { new_session = false }
    for _, name in ipairs { "plan", "spawn", "run" } do
      says("command.terminal: a terminal of its own", attached[name], attached, { "true", terminal = true })
    end
  end)

  it("a container, in words that name what there may be", function()
    says('namespaces.net: "new", "host", a path, { pid = N } or { fd = N } expected, got false', cella.container,
      { namespaces = { net = false } })
    says("root: \"system\", a directory, { path = ... } or a list of parts expected, got true", cella.container,
      { root = true })
  end)

  it("a plan", function()
    local plan = cella.plan()
    says("timeot: unknown key; did you mean 'timeout'?", plan.run, plan, { timeot = 1 })
    says("timeot: unknown key; did you mean 'timeout'?", plan.spawn, plan, { timeot = 1 })
    says("stays: true or false expected", plan.init, plan, "yes")
    says("fd: an integer", plan.input_descriptor, plan, -1)
    says("call: a string expected", plan.input, plan)
    says("perform: a function expected", plan.input, plan, "open()")
    says("cella.slot expected", plan.only_with, plan, 1)
    says("only a step that yields a descriptor can be optional", plan.optional, plan)
  end)

  it("cella.wait", needs("user_namespaces", function()
    says("processes[2]: a process expected", cella.wait, { box:spawn { "true" }, 2 })
    says("processes[1]: a process expected, got nil", cella.wait, { nil, box:spawn { "true" } })
    says("processes.x: no such key in a list", cella.wait, { x = box:spawn { "true" } })
  end))

  it("a process", needs("user_namespaces", function()
    local process = assert(box:spawn { "sleep", "60" })
    for _, name in ipairs { "kill", "signal_group" } do
      says("signal: unknown signal 'trem'", process[name], process, "trem")
      says("signal: an integer from 0 to 64 expected, got 65", process[name], process, 65)
      says("signal: ", process[name], process)
    end
    says("fd: an integer from 0", process.watch, process, "x", print)
    says("call: a function expected", process.watch, process, 0, 0)
    says("a table expected, got the string \"x\"", process.enter, process, "x")
    says("capabilties: unknown key; did you mean 'capabilities'?", process.enter, process, { capabilties = {} })
    process:close()
  end))

  it("an entrance that is closed", needs("user_namespaces", function()
    local process = assert(box:spawn { "sleep", "60" })
    local entrance = assert(process:enter())
    entrance:close()
    for _, name in ipairs { "plan", "spawn", "run" } do
      says("the entrance is closed", entrance[name], entrance, { "true" })
    end
    process:close()
  end))

  it("cgroup.controllers", function()
    says("parent: a string expected, got 5", cella.cgroup.controllers, 5)
    says("parent: the path is empty", cella.cgroup.controllers, "")
    says("parent: the string has a NUL byte", cella.cgroup.controllers, "a\0b")
    says("parent: '..' in", cella.cgroup.controllers, "../other")
  end)

  it("policies", function()
    says("range: three numbers, or one table expected", policy.range)
    says("owner: the string has a NUL byte", policy.subids, "me\0")
    says("host: a table of facts expected, got nil", policy.resolve, policy.root())
    says("host.uid: an integer", policy.resolve, policy.root(), {})
    for _, choose in ipairs { policy.root(), policy.keep_groups(policy.root()), policy.first { policy.root() } } do
      says("host: a table of facts expected, got nil", choose)
    end
    local map = idmap.new "0 0 1"
    says("host: a table of facts expected, got nil", policy.via, { uid = map, gid = map })
    says("gid: an ID map expected, got nil", policy.via, { uid = map }, { uid = 0, gid = 0 })
    says("overrides: a table of facts expected, got 5", host.facts, 5)
    says("host: a table of facts expected, got 5", idmap.check, map, 5)
  end)

  it("capabilities", function()
    says("plan: a plan expected, got nil", caps.walk)
    says("plan: a plan expected, got nil", caps.check_plan)
    says("stat: unknown key; did you mean 'state'?", caps.walk, cella.plan(), { stat = caps.state() })
    says("stat: unknown key; did you mean 'state'?", caps.check_plan, cella.plan(), { stat = caps.state() })
    says("a state expected, got nil", caps.state().differences, caps.state())
  end)

  it("what sys has in Lua", function()
    says("pid: an integer from 1", sys.setgroups_state, -1)
    says("type: the string \"nett\" is not one of", sys.same_namespace, "nett")
    says("pid: an integer from 1", sys.same_namespace, "net", "1")
    says("other: an integer from 1", sys.same_namespace, "net", nil, 0)
  end)
end)
