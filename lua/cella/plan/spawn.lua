--- A plan performed: the parent's side, from its first descriptor to the program's exec.

local called = require "cella.call"
local core = require "cella.core"
local Error = require "cella.error"
local file = require "cella.host.file"
local held = require "cella.process.held"
local events = require "cella.process.events"
local failures = require "cella.plan.failure"
local lazy = require "cella.lazy"
local Process = require "cella.process"
local start = require "cella.plan.start"
local starting = require "cella.process.starting"
local status = require "cella.host.status"
local usage = require "cella.process.usage"

---@module "cella.plan.helper"
local helpers = lazy "cella.plan.helper"
---@module "cella.plan.log"
local logs = lazy "cella.plan.log"

local M = {}

local EBADF = 9

-- A number is the caller's, or nobody's: asked before a descriptor of ours could have it.
local function check_needed(plan)
  for i, step in ipairs(plan.before) do
    if step.needs and not core.is_open(step.needs) then return nil, failures.of(plan, i, { errno = EBADF }) end
  end
  return true
end

-- How long the set-up may take where nothing is said: more than any takes that does not hang.
local SETUP_TIMEOUT = 10

local function open_inputs(plan, context, options)
  for i, step in ipairs(plan.before) do
    context.left = math.max(start.seconds_left(options), 0)
    local fd, kept, errno = step.perform(context)
    if fd == nil then
      local fields = failures.fields_of(kept, errno)
      return nil, failures.of(plan, i, fields)
    end
    if context.log then context.log:done(i) end
    if step.slot then
      if fd then context.owned[#context.owned + 1] = fd end
      -- What was optional and is not there: NOTHING of csrc/executor/executor.c.
      context.slots[step.slot:number()] = fd and fd:number() or -1
      local capture = plan.captures[step.slot:number()]
      if capture then context.captures[capture] = kept end
      -- What else is opened by its name in /proc, /dev/stdout for one, is asked for its owner as any file.
      if capture and plan.pipe_owner and capture ~= "status" then
        fd, kept, errno = fd:chown(plan.pipe_owner.uid, plan.pipe_owner.gid)
        if fd == nil then return nil, failures.of(plan, i, { op = "fchown", errno = errno, message = kept }) end
      end
    end
  end
  return true
end

-- What waiting will need is there before there is a child.
local function prepare_waiting(plan, options)
  if options.cpu_limit then
    local ok, why = usage.check()
    if not ok then return nil, Error.new { op = "cpu_limit", message = "cannot be kept", why = why } end
  end
  options.functions = plan.functions
  options.set = events.new()
  return true
end

-- How many seccomp filters this thread has, and so its children. Only where there are any is it worth a look.
local function filters()
  if core.sys.get_seccomp() == 0 then return 0 end
  local text = file.read "/proc/thread-self/status" or ""
  return tonumber(status.field(text, "Seccomp_filters")) or math.huge
end

-- A copy of this process has its executable for /proc/self/exe until the program is executed.
local function exposed(why)
  return Error.new { op = "clone3", code = "EPERM", errno = 1,
    message = "the program would be started from a copy of this process, whose interpreter the container could get "
      .. "hold of", why = "that it takes a copy is because " .. why .. " (credentials(7))" }
end

-- Ends the programs that take part in a start.
local function end_helpers(context)
  if context.helpers then helpers.finish_all(context) end
end

-- What has been begun comes to nothing.
local function give_up(options, context)
  end_helpers(context)
  if context.cgroup then context.cgroup:remove() end
  for _, fd in pairs(context.captures) do fd:close() end
  if context.supervisor then context.supervisor:close() end
  if options.set then options.set:close() end
end

-- The parent's descriptors, which the plan is started with.
local function open(plan, options, context)
  local ok, err = check_needed(plan)
  if ok and not options.parks then ok, err = prepare_waiting(plan, options) end
  if ok then ok, err = open_inputs(plan, context, options) end
  if ok and context.log then ok, err = not context.log.failure, context.log.failure end
  return ok, err
end

-- It would hold all the caller's memory for as long as it is parked.
local function parked_copy(why)
  return Error.new { op = "clone3", code = "EPERM", errno = 1,
    message = "a parked process would be a copy of this one, with all its memory",
    why = "that it takes a copy is because " .. why .. " (credentials(7))" }
end

local function launch(plan, options, context)
  local group, body = context.cgroup, nil
  if (plan.hides_interpreter or options.parks) and not plan.called then
    local why = core.copied(plan.recorder, plan.namespaces, group and group.bounded)
    if why then return nil, options.parks and parked_copy(why) or exposed(why) end
  end
  if plan.called then
    body = called.body(plan.called, context.slots[plan.results:number()], options.result_limit)
  end
  local child, _, errno, call = core.launch(plan.recorder, plan.namespaces, context.slots, group and group:number(),
    group and group.bounded, body, context.log and true)
  if child and context.log then context.log:done(#plan.before + 1) end
  if child then return child end
  return nil, failures.of(plan, #plan.before + 1, { op = call, errno = errno,
    why = group and group:explain_birth(errno) })
end

local function set_times(options)
  options.started = options.started or core.now()
  options.setup_timeout = options.setup_timeout or SETUP_TIMEOUT
  options.setup_until = options.started + options.setup_timeout
end

-- Performs the plan as far as there is a child.
local function begin(plan, options, context)
  local ok, err = open(plan, options, context)
  local child
  if ok then child, err = launch(plan, options, context) end
  for _, fd in ipairs(context.owned) do fd:close() end
  if child then return child end
  give_up(options, context)
  return nil, err
end

-- Goes on with a child until it has executed the program, or for who does not wait at once.
local function complete(plan, child, options, context)
  options.cgroup, options.filtered = context.cgroup, context.filtered
  options.outlives_caller = plan.outlives_caller
  options.landlock = plan.landlock
  options.confinement = plan.confinement and held.new(plan.confinement)
  function options.unexecuted()
    return failures.of(plan, failures.number_of_child_step(plan, plan.recorder:size()), {
      message = "the child was killed in this step" })
  end
  if options.wait == false then
    local process = starting.new(function(pause)
      start.pausing(context, pause)
      local terminal, err = start.finish(plan, child, options, context)
      options.network = context.network
      return terminal, err
    end, function()
      end_helpers(context)
      if context.both then context.both:close() end
      if context.supervisor then context.supervisor:close() end
    end)
    return Process.new(child, context.captures, options, process)
  end
  local err
  options.terminal, err = start.finish(plan, child, options, context)
  options.network = context.network
  if options.terminal ~= nil then return Process.new(child, context.captures, options) end
  child:close()
  give_up(options, context)
  return nil, err
end

-- The filters that the program gets: how many there are then, whether one denies keys, and the policy of another.
local function filtered(plan)
  local given = (plan.denies_keys and 1 or 0) + (plan.filter and 1 or 0) + (plan.is_doubted and 1 or 0)
  if given == 0 then return false end
  return { count = filters() + given, keys = plan.denies_keys or false, policy = plan.filter and plan.filter.policy }
end

local function new_context(plan, options)
  return { slots = {}, owned = {}, captures = {}, filtered = filtered(plan),
    log = options.log and logs.new(plan, options.log) or nil }
end

--- Performs a plan: what plan:spawn says. `options.wait`: false where nobody waits for the program's exec;
--- `options.started`: when its time began, if not now.
---@param plan cella.plan
---@param options table
---@return cella.process?, cella.error?
function M.perform(plan, options)
  set_times(options)
  local refused
  if plan.called then refused = called.refused() end
  if refused then return nil, refused end
  local context = new_context(plan, options)
  local child, err = begin(plan, options, context)
  if not child then return nil, err end
  return complete(plan, child, options, context)
end

---@class cella.plan.parked
---@field child userdata
---@field plan cella.plan
---@field context table
---@field compiled cella.container.compiled?  on which it rests
---@field inherited string?  what it has of this process (core.inherited)
---@field starting cella.process.starting?  until it has come to the end of its plan

--- Performs a plan that ends in `await_plan`, as far as there is a child: what remains goes on in `starting`.
---@param plan cella.plan
---@return cella.plan.parked?, cella.error?
function M.park(plan)
  local options = { parks = true }
  local context = new_context(plan, options)
  set_times(options)
  local child, err = begin(plan, options, context)
  if not child then return nil, err end
  local parked = { child = child, plan = plan, context = context }
  parked.starting = starting.new(function(pause)
    start.pausing(context, pause)
    return start.park(plan, child, options, context)
  end, function() end_helpers(context) end)
  return parked
end

--- Ends it, and all that it has.
---@param parked cella.plan.parked
function M.abandon(parked)
  if parked.starting then parked.starting.give_up() end
  parked.starting = nil
  parked.child:close()
  give_up({}, parked.context)
end

--- Performs the rest of a plan, as `perform`, in a parked child, which is its caller's no longer. The third result is
--- true where that had died before, and nothing has come of it: another can be tried.
---@param parked cella.plan.parked  which has come to the end of its plan
---@param plan cella.plan  parked.plan:rest(), ended by a command
---@param options table    as for perform
---@return cella.process?, cella.error?, boolean? died
function M.hand_over(parked, plan, options)
  set_times(options)
  local context = new_context(plan, options)
  local ok, err = open(plan, options, context)
  local died = false
  if ok then
    local message, errno
    if context.log then context.log:goes_on() end
    ok, message, errno = parked.child:hand_over(plan.recorder, context.slots, context.log and true)
    if not ok then
      died = core.errno_name(errno) == "EPIPE"
      err = failures.of(plan, #plan.before + 1, { op = "sendmsg", errno = errno, message = message })
    end
  end
  for _, fd in ipairs(context.owned) do fd:close() end
  if not ok then
    M.abandon(parked)
    give_up(options, context)
    return nil, err, died
  end
  for name, fd in pairs(parked.context.captures) do context.captures[name] = fd end
  context.cgroup, context.filtered = parked.context.cgroup, parked.context.filtered
  context.network, context.helpers = parked.context.network, parked.context.helpers
  return complete(plan, parked.child, options, context)
end

return M
