--- A plan: the ordered kernel steps of starting a program, as a value.
--
-- `plan:NAME(...)` records the operation that `sys.NAME(...)` would perform now. Nothing happens until
-- plan:spawn(); print(plan) is what will.

local called = require "cella.call"
local core = require "cella.core"
local Error = require "cella.error"
local cgroup = require "cella.cgroup"
local commands = require "cella.command"
local events = require "cella.process.events"
local explain = require "cella.explain"
local interpreter = require "cella.interpreter"
local kinds = require "cella.kinds"
local lists = require "cella.list"
local mapping = require "cella.mapping"
local Process = require "cella.process"
local rlimits = require "cella.rlimits"
local streams = require "cella.streams"
local Terminal = require "cella.terminal"
local usage = require "cella.process.usage"
local validate = require "cella.validate"

local rule = validate.rule

---@class cella.plan
local Plan = { __name = "cella.plan" }

local M = {}

-- The operations of the table are methods. Each returns the slot of a step that yields a descriptor, else the
-- plan, so that calls can be chained.
local methods = {}
for name in pairs(core.operations) do
  methods[name] = function(self, ...)
    local ok, _, slot = pcall(self.recorder.record, self.recorder, name, ...)
    if not ok then error(_, 2) end
    return slot or self
  end
end
Plan.__index = methods

local process_id = rule.integer(1, 2147483647)

local join_rule = rule.record({
  type = rule.one_of(kinds.list),
  path = rule.path,
  pid = process_id,
  fd = rule.integer(0, 2147483647),
  pidfd = rule.integer(0, 2147483647),
}, { "type" })

local joins_rule = rule.list(function(value, path)
  local copy = join_rule(value, path)
  local given = (copy.path and 1 or 0) + (copy.pid and 1 or 0) + (copy.fd and 1 or 0) + (copy.pidfd and 1 or 0)
  if given ~= 1 then validate.fail(path, "exactly one of path, pid, fd and pidfd expected") end
  return copy
end)

local options_rule = rule.record {
  namespaces = rule.list(rule.one_of(kinds.list)),
  join = joins_rule,
  ids = mapping.rule,
  created = rule.callable,
  cgroup = cgroup.rule,
}

-- The user namespace comes first, because the right to join the others may come with it.
local function in_joining_order(joins)
  local ordered = {}
  for _, one in ipairs(joins) do
    table.insert(ordered, one.type == "user" and 1 or #ordered + 1, one)
  end
  return ordered
end

-- What one setns joins: a namespace, or those of a process together, where the kernel checks the right to every one
-- before it changes any (Linux 5.8).
local function in_calls(joins)
  local calls, of_process = {}, {}
  for _, one in ipairs(in_joining_order(joins)) do
    local call = one.pidfd and of_process[one.pidfd]
    if call then
      table.insert(call.types, one.type)
    else
      call = { from = one, types = { one.type } }
      calls[#calls + 1] = call
      if one.pidfd then of_process[one.pidfd] = call end
    end
  end
  return calls
end

local function opener(one)
  local number = one.fd or one.pidfd
  if number then return ("dup(%d)"):format(number), function() return core.dup(number) end end
  local path = one.path or ("/proc/%d/ns/%s"):format(one.pid, kinds.link(one.type))
  return ('open(%q, {"rdonly"})'):format(path), function() return core.open(path, "rdonly") end
end

local function record_joins(self, joins)
  local exposed = false
  for _, one in ipairs(joins) do
    exposed = exposed or one.pidfd or one.type == "user" or one.type == "pid" or one.type == "mount"
  end
  -- Who lives there already could trace us, and we share the caller's memory (pitfalls I10).
  if exposed then self:dumpable(false) end
  for _, call in ipairs(in_calls(joins)) do
    local slot = self:input(opener(call.from))
    self:setns(slot, call.types)
    self:close(slot)
  end
end

-- Of a pid namespace only the children are in it, and new namespaces come behind those that are joined. A new pid
-- namespace is made only by who is in the one above it (pid_namespaces(7)).
local function join(self, joins, namespaces)
  record_joins(self, joins)
  local children_only = false
  for _, one in ipairs(joins) do children_only = children_only or one.type == "pid" end
  if children_only and lists.contains(namespaces, "pid") then self:fork {} end
  if #namespaces > 0 or children_only then self:fork(namespaces) end
end

-- That the kernel did what clone3 was asked for. (A time namespace holds children only until exec.)
local function record_expected_namespaces(self, namespaces)
  for _, name in ipairs(namespaces) do
    if name ~= "time" then
      local inode = Error.must("stat", core.sys.namespace(name))
      self:expect_namespace("/proc/self/ns/" .. kinds.link(name), inode, false)
    end
  end
end

-- The parent makes the cgroup before there is a child, which is born in there. A cgroup namespace shows the cgroup of
-- who made it: clone3 would take the parent's, so the child makes its own (or the fork behind a join does).
local function record_cgroup(self, options)
  local function add(op, text, perform)
    self.before[#self.before + 1] = { op = op, text = text, perform = perform }
  end
  add("cgroup", ("cgroup(%s)"):format(options.name and ("%q"):format(options.name) or ""), function(context)
    local group, err = cgroup.create(options)
    context.cgroup = group
    return group, err
  end)
  for _, setting in ipairs((cgroup.needs(options))) do
    add("write_file", ("write_file(%q, %q)"):format(setting.file, setting.text), function(context)
      return context.cgroup:apply(setting)
    end)
  end
  self.cgroup = options
  local kept = {}
  for _, name in ipairs(self.namespaces) do
    if name ~= "cgroup" then kept[#kept + 1] = name end
  end
  if #kept < #self.namespaces then
    self.namespaces = kept
    self:unshare "cgroup"
  end
end

-- Steps after which what shares our memory makes us undumpable, or must not be traced by those whom it has joined.
local GUARDED = { setresuid = true, setresgid = true, dumpable = true }

-- The child waits here for steps of the parent: { op =, text =, perform = function(child, left) } each, which return
-- true or nil and the fields of an error; `left` is how many seconds there are, if they are limited.
local function meet(self, steps)
  local apart = false
  for i = 1, self.recorder:size() do
    local _, op = self.recorder:describe(i)
    apart = apart or GUARDED[op] == true
  end
  -- While a stranger's code of unknown length runs in the parent, its own files in /proc are to be its own.
  self.recorder:record("await", apart)
  self.meetings[#self.meetings + 1] = { index = self.recorder:size(), steps = steps }
end

--- Makes a plan for a child.
---
--- `namespaces`: the new ones it is born into (clone(2)). `join`: existing ones that it joins before that, each
--- `{ type = "net", path | pid | fd | pidfd = ... }` (setns(2)). `ids`: the ID maps of a new user namespace,
--- `{ uid = map, gid = map, setgroups = "allow"|"deny", via = "self"|"parent"|"helper" }`, as a policy returns them.
--- `cgroup`: limits, as the key of a container: the child is born in a cgroup of its own. `created`: called as by
--- plan:await before anything else happens, the maps included.
---@param options { namespaces: string[]?, join: table[]?, ids: table?, cgroup: table?, created: function? }?
---@return cella.plan
function M.new(options)
  options = validate.check(options_rule, options or {}, "", 2)
  local namespaces, joins = options.namespaces or {}, options.join or {}
  local self = setmetatable({
    recorder = core.recorder(),
    before = {},   -- steps of the parent before clone
    meetings = {}, -- steps of the child in which it waits, and those of the parent meanwhile
    namespaces = namespaces, -- of clone3
    new_namespaces = namespaces, -- behind a join they are made by the fork
    captures = {}, -- stream names by slot number
    functions = {}, -- of those streams that a function of the caller's gets, by name
  }, Plan)
  if options.ids and not lists.contains(namespaces, "user") then
    error("ids: there are no ID maps to write without a new user namespace", 2)
  end
  if #joins > 0 then
    join(self, joins, namespaces)
    self.namespaces = {}
  end
  if options.created then self:await(options.created, "hooks.created(PROCESS)") end
  if options.ids then
    self.ids = options.ids
    local steps = mapping.record(self, options.ids)
    if #steps > 0 then meet(self, steps) end
  end
  if options.cgroup then record_cgroup(self, options.cgroup) end
  record_expected_namespaces(self, namespaces)
  return self
end

--- A descriptor that the parent opens before there is a child. `perform` returns it (and the end that the
--- parent keeps); false where there is none and the steps that use it are left out; or nil, a message and an errno, as
--- the core does; or nil and the fields of an error.
---@param text string      for print
---@param perform function
---@param capture string?  the stream of which the parent keeps the end
function methods:input(text, perform, capture)
  local slot = self.recorder:input()
  self.before[#self.before + 1] = { text = ("%s = %s"):format(tostring(slot), text), perform = perform, slot = slot,
    op = text:match("^[%w_]+"), path = text:match('^open%("(.-)"') }
  if capture then self.captures[slot:number()] = capture end
  return slot
end

-- What comes before the last step: streams in place, limits, signals. Returns the environment, and what streams.record
-- returns.
local function record_end(self, command, open_more)
  local more = streams.record(self, command, open_more)
  rlimits.record(self, command.rlimits or {})
  self:sigdefault("all")
  self:sigunblock()
  return commands.environment_list(command.environment), more
end

--- Ends the plan: puts the streams in place, closes every other descriptor, resets signals, and executes.
---@param command table  { "program", "arg", ..., stdin =, stdout =, stderr =, fds =, environment =, rlimits = }
---@return cella.plan
function methods:exec(command)
  command = validate.check(commands.rule, command, "command", 2)
  local environment, through = record_end(self, command, self.hides_interpreter and function(lowest)
    return interpreter.sealed(self, lowest)
  end or nil)
  local argv = {}
  for i = 1, #command do argv[i] = command[i] end
  self:execve(commands.candidates(command[1], environment), argv, environment, nil, through)
  self.program = command[1]
  return self
end

--- Ends the plan with a Lua function: as `exec`, but instead of executing a program the child, a copy of this process,
--- calls the function (see the manual, "A function as the program").
---@param command table|function  { f, argument, ..., n =, stdin =, stdout =, stderr =, fds =, environment =,
---  rlimits = }, or f
---@param ... any  arguments, where the first is the function
---@return cella.plan
function methods:call(command, ...)
  command = validate.check(commands.call_rule, called.command(command, ...), "command", 2)
  local environment
  environment, self.results = record_end(self, command, function(lowest) return streams.results(self, lowest) end)
  self.program = called.name(command[1])
  self.recorder:record("call", self.program, environment)
  self.called = command
  return self
end

--- From here on this process is in namespaces that exist, given as to new{ join = ... }.
---@param joins table[]
---@return cella.plan
function methods:join(joins)
  joins = validate.check(joins_rule, joins, "joins", 2)
  if #joins > 0 then join(self, joins, {}) end
  return self
end

--- A descriptor of the caller's.
---@param fd integer
---@param lowest integer?  the number that it has in the child is this or above
function methods:input_descriptor(fd, lowest)
  return self:input(("dup(%d)"):format(fd), function() return core.dup(fd, lowest) end)
end

--- From here on this process is the init of its pid namespace, and a child of it goes on: reaps orphans, hands signals
--- on, tells how the program ended, and takes everything with it: also when the caller's handle has gone, or the caller
--- has died, unless it `stays`.
---@param stays boolean?
---@return cella.plan
function methods:init(stays)
  if self.has_init then error("a plan has at most one init", 2) end
  self.has_init = true
  local program = interpreter.sealed(self)
  local status = self:input("pipe()", function()
    local reading, writing, errno = core.pipe()
    if not reading then return nil, writing, errno end
    return writing, reading
  end, "status")
  self:sigdefault { "chld" } -- ignored, it would have no children to wait for
  self.recorder:record("init", program, status, stays or nil)
  return self
end

--- Here the child waits until `call` has returned in the parent, which gets `{ pid = }` of the child, and `init =` too
--- where that is behind an init. An error in it, or nil and a message, ends the child: no program runs.
---@param call fun(facts: { pid: integer, init: integer? }): any, string?
---@param text string?  for print; "call(...)" if not given
---@return cella.plan
function methods:await(call, text)
  validate.check(rule.callable, call, "call", 2)
  text = text or "call(...)"
  meet(self, { { op = text:match "^[%w_.]+", text = text, perform = function(child)
    local pid, program = child:pid(), child:program()
    local facts = { pid = program, init = program ~= pid and pid or nil }
    local ok, result, message = xpcall(function() return call(facts) end, function(err)
      return type(err) == "string" and debug.traceback(err, 2) or err
    end)
    if not ok then return nil, { message = tostring(result), cause = result } end
    if not result and message ~= nil then return nil, { message = tostring(message), cause = message } end
    return true
  end } })
  return self
end

--- What the last step opens may be missing: then the steps that use its slot are left out.
function methods:optional()
  self.recorder:optional()
  return self
end

--- The last step is left out where there is nothing in a slot.
---@param slot cella.slot
function methods:only_with(slot)
  self.recorder:only_with(slot)
  return self
end

--- The steps in the order in which they happen.
---@return { number: integer, side: "parent"|"child", op: string, text: string }[]
function methods:steps()
  local steps = {}
  local function add(side, op, text)
    steps[#steps + 1] = { number = #steps + 1, side = side, op = op, text = text }
  end
  for _, step in ipairs(self.before) do add("parent", step.op, step.text) end
  add("parent", "clone3", ("clone3({%s}%s)"):format(
    #self.namespaces > 0 and '"' .. table.concat(self.namespaces, '", "') .. '"' or "",
    self.cgroup and ", cgroup" or ""))
  for i = 1, self.recorder:size() do
    local text, op = self.recorder:describe(i)
    add("child", op, text)
    for _, meeting in ipairs(self.meetings) do
      for _, step in ipairs(meeting.index == i and meeting.steps or {}) do add("parent", step.op, step.text) end
    end
  end
  return steps
end

-- The number in steps() of a step of the child.
local function number_of_child_step(self, index)
  local number = #self.before + 1 + index
  for _, meeting in ipairs(self.meetings) do
    if index > meeting.index then number = number + #meeting.steps end
  end
  return number
end

function Plan:__tostring()
  local lines = {}
  for _, step in ipairs(self:steps()) do
    lines[#lines + 1] = ("%3d %-6s  %s"):format(step.number, step.side, step.text)
  end
  return table.concat(lines, "\n")
end

local function failure(self, number, fields)
  local step = self:steps()[number]
  fields.step, fields.side, fields.op, fields.text = number, step.side, fields.op or step.op, step.text
  local kind = self.ids and step.text:match '^write_file%("/proc/self/([ug]id)_map"'
  if kind then fields.map = { kind = kind, ids = self.ids } end
  fields.why = fields.why or explain.why(fields, self)
  fields.map = nil
  if step.op == "call" then
    fields.text = ("call(%q)"):format(self.program)
  elseif step.op == "execve" then
    fields.path = self.program
    fields.text = ("execve(%q)"):format(self.program)
    if core.errno_name(fields.errno or 0) == "ELIBACC" then
      fields.code, fields.errno, fields.message = "ENOENT", 2, core.strerror(2)
    end
  else
    fields.path = fields.path or step.path or step.text:match('^[%w_ =]*%("(/.-)"')
  end
  return Error.new(fields)
end

local function open_inputs(self, context)
  for i, step in ipairs(self.before) do
    local fd, kept, errno = step.perform(context)
    if fd == nil then
      if type(kept) == "string" then kept = { message = kept, errno = errno } end
      local known = Error.is(kept) or not kept.errno
      return nil, failure(self, i, { errno = kept.errno, path = kept.path or step.path, op = kept.op, why = kept.why,
        code = kept.code, message = known and kept.message or nil })
    end
    if step.slot then
      if fd then context.owned[#context.owned + 1] = fd end
      -- What was optional and is not there: NOTHING of csrc/child.c.
      context.slots[step.slot:number()] = fd and fd:number() or -1
      local capture = self.captures[step.slot:number()]
      if capture then context.captures[capture] = kept end
    end
  end
  return true
end

local function out_of_time(options)
  return Error.new { op = "clone3", code = "ETIMEDOUT",
    message = ("the set-up took longer than %g seconds"):format(options.timeout) }
end

-- Repeats a wait for the child until it has an answer or the time is over.
local function patiently(options, wait)
  while true do
    local left = options.timeout and options.started + options.timeout - core.now()
    if left and left <= 0 then return nil, out_of_time(options) end
    local answer, step, errno = wait(left)
    if answer ~= nil then return answer, step, errno end
    local code = core.errno_name(errno)
    if code ~= "ETIMEDOUT" and code ~= "EINTR" then
      return nil, Error.new { op = "clone3", message = step, errno = errno }
    end
  end
end

-- Does the parent's part while the child waits. Returns true also where the child has died: settle knows why.
local function keep_meetings(self, child, options)
  for _, meeting in ipairs(self.meetings) do
    local ready, err = patiently(options, function(left) return child:ready(left) end)
    if ready == nil then return nil, err end
    if not ready then return true end
    for i, step in ipairs(meeting.steps) do
      local ok, fields = step.perform(child, options.timeout and options.started + options.timeout - core.now())
      if not ok then
        return nil, failure(self, number_of_child_step(self, meeting.index) + i, fields)
      end
    end
    child:release()
  end
  return true
end

local function settle(self, child, options, group)
  local ok, step, errno = patiently(options, function(left) return child:settle(left) end)
  if ok then return true end
  if ok == nil then return nil, step end
  local fields = { errno = errno }
  if errno == 0 then
    fields.errno, fields.message = nil, "the child was killed in this step"
    if group and group:oom() then fields.why = "setting it up takes more memory than cgroup.memory allows" end
  end
  return nil, failure(self, number_of_child_step(self, step), fields)
end

-- The caller's end of the program's terminal: made in the child and sent, or made here. False where it has none.
local function adopt_terminal(self, child, captures)
  if not self.has_terminal then return false end
  local master = captures.terminal or child:sent()
  captures.terminal = nil
  local terminal, fields = Terminal.adopt(master)
  if not terminal then
    master:close()
    return nil, Error.new { op = "ptpeer", message = fields.message, errno = fields.errno }
  end
  if self.has_terminal.captured then captures.stdout = master end
  return terminal
end

local spawn_rule = rule.record(commands.spawn_options)

-- What waiting will need is there before there is a child.
local function prepare_waiting(self, options)
  if options.cpu_limit then
    local ok, why = usage.check()
    if not ok then return nil, Error.new { op = "cpu_limit", message = "cannot be kept", why = why } end
  end
  options.functions = self.functions
  local err
  options.set, err = events.new()
  if err then err.why = explain.why(err, self) end
  return options.set, err
end

--- Performs the plan. Returns once the program has been executed, or nil and what failed; then no program ran
--- and nothing is left of the child.
---
--- `timeout`: seconds after which the program is killed. `cpu_limit`: seconds of processor time, of the program and all
--- that descend from it, after which it is. `output_limit`: bytes of output (captured, or given to functions) after
--- which it is. `capture_limit`: bytes kept of each captured stream, `result_limit`: bytes of memory that what a
--- function returns may take; 16 MiB each if not given. `exited`: called with the result once the program has ended and
--- is waited for, or was killed by close().
---@param options { timeout: number?, cpu_limit: number?, output_limit: integer?, capture_limit: integer?,
---  result_limit: integer?, exited: function? }?
---@return cella.process?, cella.error?
function methods:spawn(options)
  options = validate.check(spawn_rule, options or {}, "", 2)
  options.started = core.now()
  local body, refused
  if self.called then refused = called.refused() end
  if refused then return nil, refused end
  local context = { slots = {}, owned = {}, captures = {} }
  local ok, err = prepare_waiting(self, options)
  if ok then ok, err = open_inputs(self, context) end
  local child, message, errno
  local group = context.cgroup
  if ok then
    if self.called then
      body = called.body(self.called, context.slots[self.results:number()], options.result_limit)
    end
    child, message, errno = core.launch(self.recorder, self.namespaces, context.slots, group and group:number(),
      group and group.own_memory, body)
    if not child then
      err = failure(self, #self.before + 1, { op = message:match("^[%w_]+"), errno = errno,
        why = group and group:explain_birth(errno) })
    end
  end
  for _, fd in ipairs(context.owned) do fd:close() end
  if child then
    ok, err = keep_meetings(self, child, options)
    if ok then ok, err = settle(self, child, options, group) end
    if ok then
      ok, err = adopt_terminal(self, child, context.captures)
      options.terminal = ok
      ok = ok ~= nil
    end
    if ok then
      options.cgroup = group
      return Process.new(child, context.captures, options)
    end
    child:close()
  end
  if group then group:remove() end
  for _, fd in pairs(context.captures) do fd:close() end
  if options.set then options.set:close() end
  return nil, err
end

--- Spawns and waits.
---@param options table?  as for spawn
---@return cella.result?, cella.error?
function methods:run(options)
  Terminal.check_read(self, 2)
  for _, name in pairs(self.captures) do
    if name == "stdin" then error('stdin: "pipe" needs spawn: here nobody could write to it', 2) end
  end
  local process, err = self:spawn(options)
  if not process then return nil, err end
  return process:wait()
end

return M
