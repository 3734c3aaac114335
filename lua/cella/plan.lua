--- A plan: the ordered kernel steps of starting a program, as a value.
--
-- `plan:NAME(...)` records the operation that `sys.NAME(...)` would perform now. Nothing happens until
-- plan:spawn(); print(plan) is what will.

local core = require "cella.core"
local Error = require "cella.error"
local commands = require "cella.command"
local explain = require "cella.explain"
local mapping = require "cella.mapping"
local Process = require "cella.process"
local streams = require "cella.streams"
local Terminal = require "cella.terminal"
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
-- It takes a parent that answers: `ids` records it where it is needed.
methods.await = nil
Plan.__index = methods

-- /proc has other names for two of them.
local LINK = { mount = "mnt" }

local namespace_names = { "user", "mount", "pid", "ipc", "uts", "net", "cgroup", "time" }
local pid = rule.integer(1, 2147483647)

local join_rule = rule.record({
  type = rule.one_of(namespace_names),
  path = rule.path,
  pid = pid,
  fd = rule.integer(0, 2147483647),
}, { "type" })

local options_rule = rule.record {
  namespaces = rule.list(rule.one_of(namespace_names)),
  join = rule.list(function(value, path)
    local copy = join_rule(value, path)
    local given = (copy.path and 1 or 0) + (copy.pid and 1 or 0) + (copy.fd and 1 or 0)
    if given ~= 1 then validate.fail(path, "exactly one of path, pid and fd expected") end
    return copy
  end),
  ids = mapping.rule,
  held = function(value, path)
    if type(value) ~= "function" then validate.fail(path, "a function expected, got %s", validate.show(value)) end
    return value
  end,
}

local function contains(list, wanted)
  for _, item in ipairs(list) do
    if item == wanted then return true end
  end
  return false
end

-- The user namespace comes first, because the right to join the others may come with it.
local function in_joining_order(joins)
  local ordered = {}
  for _, one in ipairs(joins) do
    table.insert(ordered, one.type == "user" and 1 or #ordered + 1, one)
  end
  return ordered
end

local function record_joins(self, joins)
  local exposed = false
  for _, one in ipairs(joins) do
    exposed = exposed or one.type == "user" or one.type == "pid" or one.type == "mount"
  end
  -- Who lives there already could trace us, and we share the caller's memory (pitfalls I10).
  if exposed then self:dumpable(false) end
  for _, one in ipairs(in_joining_order(joins)) do
    local text, perform
    if one.fd then
      text = ("dup(%d)"):format(one.fd)
      perform = function() return core.dup(one.fd) end
    else
      local path = one.path or ("/proc/%d/ns/%s"):format(one.pid, LINK[one.type] or one.type)
      text = ('open(%q, {"rdonly"})'):format(path)
      perform = function() return core.open(path, "rdonly") end
    end
    local slot = self:input(text, function()
      local fd, message, errno = perform()
      if fd then return fd end
      return nil, { message = message, errno = errno }
    end)
    self:setns(slot, one.type)
    self:close(slot)
  end
end

-- That the kernel did what clone3 was asked for. (A time namespace holds children only until exec.)
local function record_expected_namespaces(self, namespaces)
  for _, name in ipairs(namespaces) do
    if name ~= "time" then
      local inode = assert(core.sys.namespace(name))
      self:expect_namespace("/proc/self/ns/" .. (LINK[name] or name), inode, false)
    end
  end
end

-- The child waits once: where the parent writes the maps, this follows them.
local function record_held(self, held)
  if #self.maps == 0 then
    self.recorder:record "await"
    self.awaited = self.recorder:size()
  end
  self.maps[#self.maps + 1] = { op = "held", text = "held(PID)", perform = function(child)
    local ok, message = held(child:pid())
    if ok then return true end
    return nil, { message = message or "given up" }
  end }
end

--- Makes a plan for a child.
---
--- `namespaces`: the new ones it is born into (clone(2)). `join`: existing ones that it joins before that, each
--- `{ type = "net", path | pid | fd = ... }` (setns(2)). `ids`: the ID maps of a new user namespace, `{ uid = map,
--- gid = map, setgroups = "allow"|"deny", via = "self"|"parent"|"helper" }`, as a policy returns them.
--- `held`: called with the child's pid while the child waits, in its namespaces and with their maps, before anything
--- else; nil and a message end it.
---@param options { namespaces: string[]?, join: table[]?, ids: table?, held: function? }?
---@return cella.plan
function M.new(options)
  options = validate.check(options_rule, options or {}, "", 2)
  local namespaces, joins = options.namespaces or {}, options.join or {}
  local self = setmetatable({
    recorder = core.recorder(),
    before = {},   -- steps of the parent before clone
    maps = {},     -- steps of the parent while the child waits
    namespaces = namespaces, -- of clone3
    new_namespaces = namespaces, -- behind a join they are made by the fork
    captures = {}, -- stream names by slot number
  }, Plan)
  if options.ids and not contains(namespaces, "user") then
    error("ids: there are no ID maps to write without a new user namespace", 2)
  end
  if #joins > 0 then
    record_joins(self, joins)
    local children_only = false
    for _, one in ipairs(joins) do children_only = children_only or one.type == "pid" end
    if #namespaces > 0 or children_only then self:fork(namespaces) end
    self.namespaces = {}
  end
  if options.ids then
    self.ids = options.ids
    self.maps = mapping.record(self, options.ids)
    self.awaited = self.recorder:size()
  end
  if options.held then record_held(self, options.held) end
  record_expected_namespaces(self, namespaces)
  return self
end

--- A descriptor that the parent opens before there is a child. `perform` returns it (and the end that the
--- parent keeps), or nil and { message =, errno = }.
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

--- Ends the plan: puts the streams in place, closes every other descriptor, resets signals, and executes.
---@param command table  { "program", "arg", ..., stdin =, stdout =, stderr =, fds =, environment = }
---@return cella.plan
function methods:exec(command)
  command = validate.check(commands.rule, command, "command", 2)
  local environment = commands.environment_list(command.environment)
  streams.record(self, command)
  self:sigdefault("all")
  self:sigunblock()
  local argv = {}
  for i = 1, #command do argv[i] = command[i] end
  self:execve(commands.candidates(command[1], environment), argv, environment)
  self.program = command[1]
  return self
end

--- A descriptor of the caller's.
---@param fd integer
---@param lowest integer?  the number that it has in the child is this or above
function methods:input_descriptor(fd, lowest)
  return self:input(("dup(%d)"):format(fd), function()
    local copy, message, errno = core.dup(fd, lowest)
    if copy then return copy end
    return nil, { message = message, errno = errno }
  end)
end

--- From here on this process is the init of its pid namespace, and a child of it goes on: reaps orphans, hands signals
--- on, tells how the program ended, and takes everything with it.
---@return cella.plan
function methods:init()
  if self.has_init then error("a plan has at most one init", 2) end
  self.has_init = true
  local function failed(message, errno) return nil, { message = message, errno = errno } end
  local program = self:input('memfd("cella-init")', function()
    local number, message, errno = core.init_program()
    if not number then return failed(message, errno) end
    local copy
    copy, message, errno = core.dup(number)
    if copy then return copy end
    return failed(message, errno)
  end)
  local status = self:input("pipe()", function()
    local reading, writing, errno = core.pipe()
    if not reading then return failed(writing, errno) end
    return writing, reading
  end, "status")
  self:sigdefault { "chld" } -- ignored, it would have no children to wait for
  self.recorder:record("init", program, status)
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
  add("parent", "clone3", ("clone3({%s})"):format(
    #self.namespaces > 0 and '"' .. table.concat(self.namespaces, '", "') .. '"' or ""))
  for i = 1, self.recorder:size() do
    local text, op = self.recorder:describe(i)
    add("child", op, text)
    if i == self.awaited then
      for _, step in ipairs(self.maps) do add("parent", step.op, step.text) end
    end
  end
  return steps
end

-- The number in steps() of a step of the child, or of a map step.
local function number_of_child_step(self, index)
  local number = #self.before + 1 + index
  if self.awaited and index > self.awaited then number = number + #self.maps end
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
  if step.op == "execve" then
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
    local fd, kept = step.perform()
    if not fd then
      return nil, failure(self, i, { errno = kept.errno, path = step.path })
    end
    context.owned[#context.owned + 1] = fd
    context.slots[step.slot:number()] = fd:number()
    local capture = self.captures[step.slot:number()]
    if capture then context.captures[capture] = kept end
  end
  return true
end

-- Writes the ID maps while the child waits. Returns true also where the child has died: settle knows why.
local function write_maps(self, child)
  local ready, message, errno = child:ready()
  if ready == nil then return nil, Error.new { op = "clone3", message = message, errno = errno } end
  if not ready then return true end
  for i, step in ipairs(self.maps) do
    local ok, fields = step.perform(child)
    if not ok then
      return nil, failure(self, number_of_child_step(self, self.awaited) + i, fields)
    end
  end
  child:release()
  return true
end

local function settle(self, child, options)
  while true do
    local patience = options.timeout and math.max(0, options.started + options.timeout - core.now())
    local ok, step, errno = child:settle(patience)
    if ok then return true end
    if ok == false then
      local fields = { errno = errno }
      if errno == 0 then
        fields.errno, fields.message = nil, "the child was killed in this step"
      end
      return nil, failure(self, number_of_child_step(self, step), fields)
    elseif core.errno_name(errno) == "ETIMEDOUT" then
      return nil, Error.new { op = "clone3", code = "ETIMEDOUT",
        message = ("the set-up took longer than %g seconds"):format(options.timeout) }
    elseif core.errno_name(errno) ~= "EINTR" then
      return nil, Error.new { op = "clone3", message = step, errno = errno }
    end
  end
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

local spawn_rule = rule.record(commands.spawn_fields)

--- Performs the plan. Returns once the program has been executed, or nil and what failed; then no program ran
--- and nothing is left of the child.
---
--- `timeout`: seconds after which the program is killed. `capture_limit`: bytes kept of each captured stream,
--- 16 MiB if not given.
---@param options { timeout: number?, capture_limit: integer? }?
---@return cella.process?, cella.error?
function methods:spawn(options)
  options = validate.check(spawn_rule, options or {}, "", 2)
  options.started = core.now()
  local context = { slots = {}, owned = {}, captures = {} }
  local ok, err = open_inputs(self, context)
  local child, message, errno
  if ok then
    child, message, errno = core.launch(self.recorder, self.namespaces, context.slots)
    if not child then
      err = failure(self, #self.before + 1, { op = message:match("^[%w_]+"), errno = errno })
    end
  end
  for _, fd in ipairs(context.owned) do fd:close() end
  if child then
    ok = true
    if #self.maps > 0 then ok, err = write_maps(self, child) end
    if ok then ok, err = settle(self, child, options) end
    if ok then
      local terminal
      terminal, err = adopt_terminal(self, child, context.captures)
      if terminal ~= nil then
        local status = context.captures.status
        context.captures.status = nil
        return Process.new(child, context.captures, options, status, terminal)
      end
    end
    child:close()
  end
  for _, fd in pairs(context.captures) do fd:close() end
  return nil, err
end

--- Spawns and waits.
---@param options table?  as for spawn
---@return cella.result?, cella.error?
function methods:run(options)
  Terminal.check_read(self, 2)
  local process, err = self:spawn(options)
  if not process then return nil, err end
  return process:wait()
end

return M
