-- Wrong arguments: an error at the line that gave them, which names what was wrong, from every public function.

local able = require "spec.support.able"
local caps = require "cella.caps"
local cella = require "cella"
local host = require "cella.host"
local idmap = require "cella.idmap"
local policy = require "cella.policy"
local portable = require "spec.support.portable"
local sys = require "cella.sys"
local unpack = table.unpack or unpack

local needs = able.needs(function(reason) pending(reason) end)

-- Calls f from a line of its own, itself and by way of a tail call, whose function is gone by then; and returns what it
-- raised, without the place, which has to be that line.
local function blamed(f, ...)
  local arguments = portable.pack(...)
  local function by_tail_call(...) return f(...) end
  local message
  for _, call in ipairs { f, by_tail_call } do
    local function caller()
      local one, two = call(unpack(arguments, 1, arguments.n))
      return one, two
    end
    local info = debug.getinfo(caller, "S")
    local ok, raised = pcall(caller)
    assert.is_false(ok, "was taken: " .. tostring(raised))
    local place = ("%s:%d: "):format(info.short_src, info.linedefined + 1)
    assert.equal(place, tostring(raised):sub(1, #place), tostring(raised))
    message = tostring(raised):sub(#place + 1)
  end
  return message
end

local function says(words, ...)
  local message = blamed(...)
  assert.truthy(message:find(words, 1, true), message)
end

-- The same of a function of one line, which is to be blamed itself.
local function says_of_line(words, f)
  local ok, message = pcall(f)
  local info = debug.getinfo(f, "S")
  assert.is_false(ok)
  local place = ("%s:%d: "):format(info.short_src, info.linedefined)
  assert.equal(place, message:sub(1, #place), message)
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
      says("command: a table of the program and its arguments expected", box[name], box, "true")
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
    says("detached: true or false expected", plan.init, plan, "yes")
    says("fd: an integer", plan.input_descriptor, plan, -1)
    says("call: a string expected", plan.input, plan)
    says("perform: a function expected", plan.input, plan, "open()")
    says("cella.slot expected", plan.only_with, plan, 1)
    says("only a step that yields a descriptor can be optional", plan.optional, plan)
    says("namespace: unknown key; did you mean 'namespaces'?", cella.plan, { namespace = {} })
    says("mask: an integer from 0 to 4095 expected", plan.umask, plan, "x")
    says("joins: a list expected", plan.join, plan, 5)
    plan:exec { "true" }
    says("the plan ends in an exec, a call or await_plan", plan.exec, plan, { "true" })
    says("the plan ends in an exec, a call or await_plan", plan.call, plan, print)
    says("the plan ends in an exec, a call or await_plan", plan.await, plan, print)
    says("the plan ends in an exec, a call or await_plan", plan.umask, plan, 18)
    says("the plan ends in an exec, a call or await_plan", plan.input, plan, "open()", print)
  end)

  it("namespaces with names", function()
    says("process: a process that cella has started or a process ID expected", cella.namespace.keep, "x", "net", "/x")
    says("path: an absolute path expected", cella.namespace.release, "x")
    says("directory: an absolute path expected", cella.namespace.list, "x")
    says("directory: an absolute path expected", cella.namespace.private, "x")
  end)

  it("an entrance", function()
    says("exactly one of pid and process expected", cella.enter, {})
    says("pid: an integer from 1", cella.enter, { pid = 0 })
    says("a table expected, { pid = 42 }, got 42", cella.enter, 42)
  end)

  it("ID maps", function()
    local map = idmap.new "0 1000 10"
    says("an ID map is made from text, a table or a map", idmap.new, 5)
    says("bad argument #2 to 'new' (one argument too many)", idmap.new, "0 0 1", 2)
    says("bad argument #1 to 'parse'", idmap.parse, 5)
    says("bad argument #1 to 'of'", idmap.of, 0, "uid")
    says("bad argument #1 to 'outside' (id must be", map.outside, map, -1)
    says("bad argument #1 to 'union' (must be an ID map", map.union, map, 5)
    says("bad argument #2 to 'writable' (one argument too many)", map.writable, map, nil, 5)
    says("leave the range", map.shift, map, -2000)
    says_of_line("an ID map cannot be changed", function() map.x = 1 end)
  end)

  it("cella.wait", needs("user_namespaces", function()
    says("processes[2]: a process expected", cella.wait, { box:spawn { "true" }, 2 })
    says("processes[1]: missing", cella.wait, { nil, box:spawn { "true" } })
    says("processes.x: no such key in a list", cella.wait, { x = box:spawn { "true" } })
  end))

  it("a process", needs("user_namespaces", function()
    local process = assert(box:spawn { "sleep", "60" })
    for _, name in ipairs { "kill", "signal_group" } do
      says("signal: unknown signal \"trem\"; did you mean 'term'?", process[name], process, "trem")
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
    says("policy.uid: extent 1: ", policy.resolve, function() return { uid = "0 0 0", gid = map } end, host.facts())
    says("range: uid: an ID map is made from", policy.range, { uid = 5, gid = map })
    says("exactly: 5 is there twice", policy.exactly, { 5, 5 })
    says("name: is empty", policy.slice, "", 5)
  end)

  it("capabilities", function()
    says("plan: a plan expected, got nil", caps.walk)
    says("plan: a plan expected, got nil", caps.check_plan)
    says("stat: unknown key; did you mean 'state'?", caps.walk, cella.plan(), { stat = caps.state() })
    says("stat: unknown key; did you mean 'state'?", caps.check_plan, cella.plan(), { stat = caps.state() })
    local state = caps.state()
    says("a state expected, got nil", state.differences, state)
    says("capabilities: unknown capability 'nett_raw'; did you mean 'net_raw'?", caps.set, "nett_raw")
    says("capabilities: missing", caps.set)
    says("capability: unknown capability the string \"chwon\"", caps.none.has, caps.none, "chwon")
    says_of_line("capabilities: unknown capability 'chwon'", function() return caps.none + "chwon" end)
    says_of_line("a set of capabilities does not change", function() caps.none.x = 1 end)
    says_of_line("a state does not change", function() state.effective = nil end)
    says("effectiv: unknown key", caps.new_state, { effectiv = {} })
    says("effectiv: unknown key", state.with, state, { effectiv = {} })
    says("text: ", caps.parse, "=x")
    says("file: ", caps.file, {})
    says("ruid: an integer from 0", state.after_setresuid, state, -1)
    says("capabilities: unknown capability 'chwon'", state.after_capbset_drop, state, "chwon")
    says("after_setresuid: this state does not say what is effective", caps.new_state({}).after_setresuid,
      caps.new_state {}, 1, 1, 1)
  end)

  it("what sys has in Lua", function()
    says("pid: an integer from 1", sys.setgroups_state, -1)
    says("type: the string \"nett\" is not one of", sys.same_namespace, "nett")
    says("pid: an integer from 1", sys.same_namespace, "net", "1")
    says("other: an integer from 1", sys.same_namespace, "net", nil, 0)
  end)
end)
