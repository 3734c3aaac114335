--- A plan: the ordered kernel steps of starting a program, as a value.
--
-- `plan:NAME(...)` records the operation that `sys.NAME(...)` would perform now. Nothing happens until
-- plan:spawn(); print(plan) is what will.

local lazy = require "cella.lazy"
local blame = require "cella.blame"
local called = require "cella.call"
local core = require "cella.core"
local Error = require "cella.error"
---@module "cella.cgroup"
local cgroup = lazy "cella.cgroup"
local commands = require "cella.command"
---@module "cella.plan.join"
local join = lazy "cella.plan.join"
local kinds = require "cella.kinds"
---@module "cella.landlock.record"
local landlock = lazy "cella.landlock.record"
local lists = require "cella.list"
local mapping = require "cella.mapping"
local render = require "cella.plan.render"
local rlimits = require "cella.rlimits"
local runner = require "cella.runner"
local printable = require "cella.printable"
local spawn = require "cella.plan.spawn"
local streams = require "cella.streams"
local Terminal = require "cella.terminal"
local validate = require "cella.validate"
local words = require "cella.words"

local rule = validate.rule

---@class cella.plan
local Plan = { __name = "cella.plan" }

local M = {}

-- Calls a method of the recorder: what that complains about is what the user wants recorded.
local function recorded(self, method, ...)
  local ok, result, slot = pcall(self.recorder[method], self.recorder, ...)
  if not ok then blame(result) end
  return result, slot
end

-- The operations of the table are methods. Each returns the slot of a step that yields a descriptor, else the
-- plan, so that calls can be chained.
local methods = {}
for name, number in pairs(core.operations) do
  methods[name] = function(self, ...)
    local _, slot = recorded(self, "record", number, ...)
    return slot or self
  end
end
Plan.__index = methods

local MOST_LABEL = 31

local options_rule = rule.record {
  namespaces = rule.list(rule.one_of(kinds.list)),
  join = function(value, path) return join.rule(value, path) end,
  ids = mapping.rule,
  groups = rule.list(rule.id),
  created = rule.callable,
  cgroup = function(value, path) return cgroup.rule(value, path) end,
  unshare = rule.list(rule.one_of(kinds.list)),
}

-- That the kernel did what clone3 was asked for. (A time namespace holds children only until exec.)
local function record_expected_namespaces(self, namespaces, host)
  for _, name in ipairs(namespaces) do
    if name ~= "time" then
      local path = "/proc/self/ns/" .. kinds.link(name)
      local inode, _, errno = host and host.namespaces[name], nil, nil
      if not inode then inode, _, errno = core.sys.namespace(name) end
      if not inode then
        local why = core.errno_name(errno) == "ENOENT" and "there is no /proc mounted here" or nil
        error(Error.new { op = "stat", errno = errno, path = path, why = why }, 0)
      end
      self:expect_namespace(path, inode, false)
    end
  end
end

-- The child waits here for steps of the parent: { op =, args =, text =, perform = function(child, context) } each,
-- which return true, or nil and the fields of an error or the error itself. `context` is what the steps before have
-- left; `context.left` is how many seconds there are, if they are limited.
local function add_sync_point(self, steps)
  recorded(self, "record", "await")
  self.sync_points[#self.sync_points + 1] = { index = self.recorder:size(), steps = steps }
end

-- The parent makes the cgroup before there is a child, which is born in there. A cgroup namespace shows the cgroup of
-- who made it: clone3 would take the parent's, so the child makes its own (or the fork behind a join does).
local function record_cgroup(self, options)
  local function add(call, perform)
    call.perform = perform
    self.before[#self.before + 1] = call
  end
  add(render.call("cgroup", options.name and { "name", options.name }), function(context)
    local group, err = cgroup.create(options, M.new)
    context.cgroup = group
    return group, err
  end)
  local later = {}
  for _, setting in ipairs((cgroup.needs(options))) do
    local call = render.call("write_file", { "path", setting.file }, { "data", setting.text })
    if setting.controller == "cpuset" then
      -- Before Linux 6.4 who was born in a cgroup ran where its parent might: only a change reached it.
      later[#later + 1] = call
      function call.perform(child, context) return context.cgroup:apply(setting, child:pid()) end
    else
      add(call, function(context) return context.cgroup:apply(setting) end)
    end
  end
  self.cgroup = options
  local kept = lists.without(self.namespaces, "cgroup")
  if #kept < #self.namespaces then
    self.namespaces = kept
    self:unshare "cgroup"
  end
  if #later > 0 then add_sync_point(self, later) end
end

--- Makes a plan for a child.
---
--- `namespaces`: the new ones it is born into (clone(2)). `join`: existing ones that it joins before that, each
--- `{ type = "net", path | pid | fd | pidfd = ... }` (setns(2)). `ids`: the ID maps of a new user namespace,
--- `{ uid = map, gid = map, setgroups = "allow"|"deny", via = "self"|"parent"|"helper" }`, as a policy returns them.
--- `groups`: supplementary groups that the child has before it enters any of them.
--- `unshare`: namespaces that it makes before anything else: who waits for clone3 does not wait for them.
--- `cgroup`: limits, as the key of a container: the child is born in a cgroup of its own. `created`: called as by
--- plan:await before anything else happens, the maps included.
---@param options cella.plan.keys?
---@param host cella.Host?  facts of this process, where somebody has them
---@return cella.plan
function M.new(options, host)
  options = validate.check(options_rule, options or {}, "")
  local namespaces, joins = options.namespaces or {}, options.join or {}
  local self = setmetatable({
    recorder = core.recorder(),
    before = {},   -- steps of the parent before clone
    sync_points = {}, -- steps of the child in which it waits, and those of the parent meanwhile
    namespaces = namespaces, -- of clone3
    new_namespaces = namespaces, -- behind a join, or groups, they are made by the fork; some by the child itself
    captures = {}, -- stream names by slot number
    places = {}, -- where, in the container, the file systems are attached that slots stand for
    functions = {}, -- of those streams that a function of the caller's gets, by name
    new = M.new, -- for those who take part in this one and have to start a program themselves
  }, Plan)
  if options.ids and not lists.contains(namespaces, "user") then
    blame("ids: there are no ID maps to write without a new user namespace")
  end
  local later = options.unshare or {}
  if #later > 0 then
    self:unshare(later)
    self.new_namespaces = {}
    for _, list in ipairs { namespaces, later } do
      for _, name in ipairs(list) do table.insert(self.new_namespaces, name) end
    end
  end
  if options.groups then self:setgroups(options.groups):expect_groups(options.groups) end
  if #joins > 0 then
    join.record(self, joins, namespaces)
    self.namespaces = {}
  elseif options.groups and #namespaces > 0 then
    self:fork(namespaces)
    self.namespaces = {}
  end
  if options.created then self:await(options.created, "hooks.created") end
  if options.ids then
    self.ids = options.ids
    local steps = mapping.record(self, options.ids)
    if #steps > 0 then add_sync_point(self, steps) end
  end
  if options.cgroup then record_cgroup(self, options.cgroup) end
  record_expected_namespaces(self, namespaces, host)
  record_expected_namespaces(self, later, host)
  return self
end

--- Another plan with the same steps, to go on from here in a way of its own. This one ends here.
---@return cella.plan
function methods:branch()
  local plan = {}
  for key, value in pairs(self) do plan[key] = value end
  for _, key in ipairs { "before", "sync_points", "captures", "functions" } do
    plan[key] = {}
    for name, value in pairs(self[key]) do plan[key][name] = value end
  end
  plan.recorder = self.recorder:branch()
  return setmetatable(plan, Plan)
end

--- What remains of a plan that ends in `await_plan`, whose child is there already: an empty plan for the command.
---@return cella.plan
function methods:rest()
  local plan = {}
  for key, value in pairs(self) do plan[key] = value end
  for _, key in ipairs { "before", "sync_points", "captures", "functions", "places", "namespaces", "new_namespaces" } do
    plan[key] = {}
  end
  plan.recorder = core.recorder()
  plan.is_rest = true
  return setmetatable(plan, Plan)
end

--- Here the child waits for steps of the parent: { op =, args =, text =, perform = function(child, context) } each.
---@param steps table[]
function methods:await_steps(steps)
  if #steps > 0 then add_sync_point(self, steps) end
  return self
end

--- A descriptor that the parent opens before there is a child. `perform` returns it (and the end that the
--- parent keeps); false where there is none and the steps that use it are left out; or nil, a message and an errno, as
--- the core does; or nil and the fields of an error.
---@param call string|cella.plan.call  for print, and for the error: the name of the function, or with its arguments
---@param perform function
---@param capture string?  the stream of which the parent keeps the end
---@param needs integer?   the number of a descriptor that the caller has to have open, before anything of ours is
function methods:input(call, perform, capture, needs)
  if not render.is(call) then
    validate.check(rule.line, call, "call")
    call = render.call(call)
  end
  validate.check(rule.callable, perform, "perform")
  local slot = recorded(self, "input")
  self.before[#self.before + 1] = { op = call.op, args = call.args, slot = slot, perform = perform, needs = needs,
    text = ("%s = %s"):format(tostring(slot), call.text) }
  if capture then self.captures[slot:number()] = capture end
  return slot
end

-- What comes before the last step: streams in place, limits, signals. Returns the environment, and what streams.record
-- returns.
local function record_end(self, command, open_more)
  local more, slave = streams.record(self, command, open_more)
  if self.finish then self.finish(slave) end
  if self.landlock then landlock.record(self, self.landlock) end -- opens files: before limits on them
  rlimits.record(self, command.rlimits or {})
  self:sigdefault("all")
  self:sigunblock()
  local filter = self.filter
  if filter then
    if filter.unheard then
      blame("seccomp: the policy has `notify`, and nobody is told: the command needs a function `denied`")
    end
    if not self.is_filtered then
      self[filter.supervise and "seccomp_listener" or "seccomp"](self, filter.program, filter.name)
    end
    self:expect_seccomp(filter.mark)
  end
  return commands.environment_list(command.environment), more
end

--- Ends the plan: puts the streams in place, closes every other descriptor, resets signals, and executes. Without
--- `environment` the program has that of the caller.
---@param command cella.exec.keys  { "program", "argument", stdout = "capture" }
---@return cella.plan
function methods:exec(command)
  command = validate.check(commands.rule, command, "command")
  local environment = record_end(self, command)
  local argv = { command.argv0 or command[1] }
  for i = 2, #command do argv[i] = command[i] end
  self.candidates = commands.candidates(command[1], environment)
  self:execve(self.candidates, argv, environment)
  self.program = command[1]
  return self
end

--- Ends the plan with a Lua function: as `exec`, but instead of executing a program the child, a copy of this process,
--- calls the function (see the manual, "A function as the program").
---@param command cella.call.keys|function  { f, argument, ..., n =, stdout = "capture" }, or f
---@param ... any  arguments, where the first is the function
---@return cella.plan
function methods:call(command, ...)
  command = validate.check(commands.call_rule, called.command(command, ...), "command")
  local environment
  environment, self.results = record_end(self, command, function(min_fd) return streams.results(self, min_fd) end)
  self.program = called.name(command[1])
  recorded(self, "record", "call", self.program, environment)
  self.called = command
  return self
end

--- From here on this process is in namespaces that exist, given as to new{ join = ... }.
---@param joins cella.plan.join.keys[]
---@return cella.plan
function methods:join(joins)
  joins = validate.check(join.rule, joins, "joins")
  if #joins > 0 then join.record(self, joins, {}) end
  return self
end

--- A descriptor of the caller's.
---@param fd integer
---@param min_fd integer?  the number that it has in the child is this or above
function methods:input_descriptor(fd, min_fd)
  validate.check(rule.integer(0, 2147483647), fd, "fd")
  if min_fd ~= nil then validate.check(rule.integer(0, 2147483647), min_fd, "min_fd") end
  return self:input(render.call("dup", { "fd", fd }), function() return core.dup(fd, min_fd) end, nil, fd)
end

--- From here on this process is the init of its pid namespace, and a child of it goes on: reaps orphans, hands signals
--- on, tells how the program ended, and takes everything with it: also when the caller's handle has gone, or the caller
--- has died, unless it is `detached`.
---@param detached boolean?
---@param label string?  what its command line says behind its name, at most 31 bytes
---@return cella.plan
function methods:init(detached, label)
  if self.has_init then blame("a plan has at most one init") end
  if detached ~= nil then validate.check(rule.boolean, detached, "detached") end
  if label ~= nil then
    validate.check(rule.line, label, "label")
    if #label > MOST_LABEL then blame(("label: longer than %d bytes"):format(MOST_LABEL)) end
  end
  self.has_init = true
  local program = runner.input(self)
  local status = self:input(render.call "pipe", function()
    local reading, writing, errno = core.pipe()
    if not reading then return nil, writing, errno end
    return writing, reading
  end, "status")
  self:sigdefault { "chld" } -- ignored, it would have no children to wait for
  recorded(self, "record", "init", program, status, detached or label and false, label)
  return self
end

--- Here the child waits until `call` has returned in the parent, which gets `{ pid = }` of the child, and `init =` too
--- where that is behind an init. An error in it, or nil and a message, ends the child: no program runs.
---@param call fun(facts: { pid: integer, init: integer? }): any, string?
---@param name string|cella.plan.call|nil  for print, and for the error: that of the function; "call" if not given
---@return cella.plan
function methods:await(call, name)
  validate.check(rule.callable, call, "call")
  local printed = name
  if not render.is(name) then
    if name ~= nil then validate.check(rule.line, name, "name") end
    printed = render.call(name or "call", { "process", render.name "PROCESS" })
  end
  add_sync_point(self, { { op = printed.op, args = {}, text = printed.text, is_call = true, perform = function(child)
    local pid, program = child:pid(), child:program()
    local facts = { pid = program, init = program ~= pid and pid or nil }
    local ok, result, message = called.whole(call, facts)
    if not ok then return nil, { message = words.of(result), cause = result } end
    if not result and message ~= nil then return nil, { message = words.of(message), cause = message } end
    return true
  end } })
  return self
end

--- Here the child waits until `perform(child)` has returned in the parent: true, or nil and the fields of an error.
---@param perform fun(child: userdata): true?, table?
---@param name string
function methods:meet(perform, name)
  local printed = render.call(name)
  add_sync_point(self, { { op = printed.op, args = {}, text = printed.text, is_call = true, perform = perform } })
  return self
end

--- What the last step opens may be missing: then the steps that use its slot are left out.
function methods:optional()
  recorded(self, "optional")
  return self
end

--- The last step is left out where there is nothing in a slot.
---@param slot cella.slot
function methods:only_with(slot)
  recorded(self, "only_with", slot)
  return self
end

-- Whether a copy of this process performs it, not the runner. A cgroup that bounds memory has a monitor.
local function is_copied(self)
  local options = self.cgroup or {}
  local bounded = options.memory or options.memory_high or options.swap
  return self.called or core.copied(self.recorder, self.namespaces, bounded and true or false)
end

--- Goes through the steps in the order in which they happen: visit(number, side, op, args, step), where `step` is the
--- number among the child's, or the parent's own record. Ends where visit returns something.
---
--- `only`: of the child's steps those alone whose operations' numbers (core.operations) are keys of this table, with
--- masks (cella.caps.set) for sets of capabilities.
---@param visit fun(number: integer, side: "parent"|"child", op: string, args: table, step: any, slot: integer?): any
---@param only table<integer, true>?
function methods:visit(visit, only)
  for i, step in ipairs(self.before) do
    if visit(i, "parent", step.op, step.args, step, step.slot and step.slot:number()) then return end
  end
  local clone = #self.before + 1
  if self.is_rest then
    if visit(clone, "parent", "sendmsg", {}) then return end
  elseif visit(clone, "parent", "clone3", { namespaces = self.namespaces }) then
    return
  end
  local wanted = only and self.recorder:find(only)
  local count = wanted and #wanted or self.recorder:size()
  local met, next_sync_point = 0, 1 -- how many steps of the parent there have been since clone3
  for position = 1, count + 1 do
    local i = position > count and math.huge or wanted and wanted[position] or position
    local sync_point = self.sync_points[next_sync_point]
    while sync_point and sync_point.index < i do
      for _, step in ipairs(sync_point.steps) do
        met = met + 1
        if visit(clone + sync_point.index + met, "parent", step.op, step.args, step) then return end
      end
      next_sync_point = next_sync_point + 1
      sync_point = self.sync_points[next_sync_point]
    end
    if position > count then return end
    local op, args, slot = self.recorder:data(i, only ~= nil)
    if visit(clone + i + met, "child", op, args, i, slot) then return end
  end
end

---@class cella.plan.step
---@field number integer           its place among those of both sides
---@field side "parent"|"child"    who performs it
---@field op string                the operation
---@field args table<string, any>  its arguments by name; a descriptor is a number, or { slot = } with that of a slot
---@field slot integer?            the number of the slot that it yields
---@field text string              as `print(plan)` has it

--- The steps in the order in which they happen.
---@return cella.plan.step[]
function methods:steps()
  local steps = {}
  self:visit(function(number, side, op, args, step, slot)
    local text
    if side == "child" then
      text = self.recorder:describe(step)
    elseif step then
      text = step.text
    elseif self.is_rest then
      text = "sendmsg(the steps below)"
    else
      text = ("clone3({%s}%s%s)"):format(#self.namespaces > 0 and '"' .. table.concat(self.namespaces, '", "') .. '"'
        or "", self.cgroup and ", cgroup" or "", is_copied(self) and ", copy" or "")
    end
    steps[number] = { number = number, side = side, op = op, args = args, text = text, slot = slot }
  end)
  return steps
end

function Plan:__tostring()
  local lines = {}
  for _, note in ipairs(self.policy and self.policy.notes or {}) do
    lines[#lines + 1] = "-- ids: " .. printable.line(note)
  end
  for _, step in ipairs(self:steps()) do
    lines[#lines + 1] = ("%3d %-6s  %s"):format(step.number, step.side, printable.line(step.text))
  end
  return table.concat(lines, "\n")
end

local spawn_rule = rule.record(commands.spawn_options)

--- Performs the plan. Returns once the program has been executed, or nil and what failed; then no program ran
--- and nothing is left of the child.
---
--- `timeout`: seconds after which the program is killed. `cpu_limit`: seconds of processor time, of the program and all
--- that descend from it, after which it is. `output_limit`: bytes of output (captured, or given to functions) after
--- which it is. `capture_limit`: bytes kept of each captured stream, `result_limit`: bytes of memory that what a
--- function returns may take; 16 MiB each if not given. `exited`: called with the result once the program has ended and
--- is waited for, or was killed by close(). `log`: called with each step once it is done (cella.plan.done). `wait`:
--- false returns as soon as there is a child: what remains of its start goes on in step() and wait(), which tell what
--- failed.
---@param options cella.spawn.keys?
---@return cella.process?, cella.error?
function methods:spawn(options)
  return spawn.perform(self, validate.check(spawn_rule, options or {}, ""))
end

--- Spawns and waits.
---@param options cella.spawn.keys?  as for spawn
---@return cella.result?, cella.error?
function methods:run(options)
  options = validate.check(spawn_rule, options or {}, "")
  if options.wait == false then blame "wait: run waits for the end of the program; false is for spawn" end
  Terminal.check_read(self)
  for _, name in pairs(self.captures) do
    if name == "stdin" then blame('stdin: "pipe" needs spawn: here nobody could write to it') end
  end
  local process, err = self:spawn(options)
  if not process then return nil, err end
  return process:wait()
end

return M
