--- What the caller does between clone and exec: its steps while the child waits in an `await`, and the waiting for what
--- becomes of the child's. In a coroutine that pauses, where the caller does not want to wait.

local core = require "cella.core"
local Error = require "cella.error"
local failures = require "cella.plan.failure"
local Terminal = require "cella.terminal"
local words = require "cella.words"

local M = {}

local EPROTO, ETIMEDOUT = 71, 110

--- Seconds until the set-up has to be over, by both limits.
---@param options table  of M.perform in cella.plan.spawn
---@return number
function M.seconds_left(options)
  local now = core.now()
  local left = options.setup_until - now
  if options.timeout then left = math.min(left, options.started + options.timeout - now) end
  return left
end

--- From now on `pause` is called where this would wait.
---@param context table  as for finish
---@param pause fun(number: integer, seconds: number)
function M.pausing(context, pause)
  function context.pause(number, seconds)
    context.paused = core.now()
    pause(number, seconds)
  end
end

-- The step that it hangs in is the child's, or it has not come to one.
local function out_of_time(plan, child, options)
  local current = child:current()
  local seconds = options.timeout and options.timeout < options.setup_timeout and options.timeout
    or options.setup_timeout
  local fields = { errno = ETIMEDOUT, message = ("the set-up took longer than %g seconds"):format(seconds) }
  if current < 1 or current > plan.recorder:size() then
    fields.op, fields.code = plan.is_rest and "recvmsg" or "clone3", "ETIMEDOUT"
    return Error.new(fields)
  end
  return failures.of(plan, failures.number_of_child_step(plan, current), fields)
end

-- How often the time for the set-up may begin anew. A child says less than this before exec.
local MOST_LATE = 16

-- What has been waited for is there, and may have been for long: where nobody came to look until the time was over, the
-- time of that pause counts for nothing.
local function catch_up(options, context)
  if context.paused and M.seconds_left(options) <= 0 then
    options.setup_until = options.setup_until + core.now() - context.paused
  end
  context.paused = nil
end

-- Whether the time is over because the caller came late to what the child has said.
local function is_late(child, options, context)
  local channel = context.paused and child:channel()
  if not channel or #(core.poll({ channel }, 0) or {}) == 0 then return false end
  context.late = (context.late or 0) + 1
  if context.late > MOST_LATE then return false end
  catch_up(options, context)
  return true
end

-- Repeats a wait for the child until it has an answer or the time is over.
local function patiently(plan, child, options, context, wait)
  while true do
    local left = M.seconds_left(options)
    if left <= 0 and not is_late(child, options, context) then return nil, out_of_time(plan, child, options) end
    local answer, step, errno = wait(context.pause and 0 or left)
    if answer ~= nil then
      context.paused = nil
      return answer, step, errno
    end
    local code = core.errno_name(errno)
    if code ~= "ETIMEDOUT" and code ~= "EINTR" then
      return nil, Error.new { op = "clone3", message = step, errno = errno }
    end
    left = M.seconds_left(options)
    if context.pause and left > 0 then context.pause(context.supervised or child:channel(), left) end
  end
end

-- Does the parent's part while the child waits. Returns true also where the child has died: wait_for_exec knows why.
local function pass_sync_points(plan, child, options, context)
  for _, sync_point in ipairs(plan.sync_points) do
    local ready, err = patiently(plan, child, options, context, function(left) return child:ready(left) end)
    if ready == nil then return nil, err end
    if not ready then return true end
    local log = context.log
    if log then
      log:child_steps(child, sync_point.index - 1)
      log:begin()
    end
    for i, step in ipairs(sync_point.steps) do
      context.left = math.max(M.seconds_left(options), 0)
      local began = core.now()
      local ok, kept, errno = step.perform(child, context)
      -- What others do while the child waits is their business: it counts for `timeout` alone.
      if step.is_call then options.setup_until = options.setup_until + core.now() - began end
      if not ok then
        return nil, failures.of(plan, failures.number_of_child_step(plan, sync_point.index) + i,
          failures.fields_of(kept, errno))
      end
      if log then log:done(failures.number_of_child_step(plan, sync_point.index) + i) end
      catch_up(options, context)
    end
    if log and log.failure then return nil, log.failure end
    child:release()
  end
  return true
end

-- The child has sent the listener of its filter: from here on it waits, at its execve(2) for one, for who answers.
local function take_listener(plan, child, context)
  local listener = child:listener()
  if not listener then return true end
  context.supervisor = plan.filter.supervise(listener)
  local set, message, errno = core.poll_set()
  if not set then return nil, message, errno end
  context.both = set
  context.supervised = set:number()
  for _, number in ipairs { child:channel(), listener:number() } do
    local ok
    ok, message, errno = set:watch(number)
    if not ok then return nil, message, errno end
  end
  return true
end

-- Answers while nobody has a process yet that could be waited for.
local function serve(context, left)
  local supervisor = context.supervisor
  local ready, message, errno = core.poll({ context.supervised }, left)
  if not ready then return nil, message, errno end
  local ok, raised = pcall(supervisor.serve, supervisor)
  if ok then return true end
  if not Error.is(raised) then raised = Error.new { op = "denied", message = words.of(raised), cause = raised } end
  context.raised = raised
  return false
end

local function wait_for_exec(plan, child, options, context)
  local call
  local group = context.cgroup
  local ok, step, errno = patiently(plan, child, options, context, function(left)
    local done, message, problem
    if context.supervisor then
      done, message, problem = serve(context, left)
      if not done then return done, message, problem end
    end
    local executed, number, code, failed = child:wait_for_exec(context.supervisor and 0 or left)
    call = failed
    if executed == nil and core.errno_name(code) == "EINTR" then
      done, message, problem = take_listener(plan, child, context)
      if not done then return nil, message, problem end
    end
    return executed, number, code
  end)
  if context.both then
    context.both:close()
    context.both, context.supervised = nil, nil
  end
  if context.raised then return nil, context.raised end
  if ok then return true end
  if ok == nil then return nil, step end
  if step > plan.recorder:size() then
    return nil, Error.new { op = "clone3", code = "EPROTO", errno = EPROTO,
      message = "the child was killed, and somebody has written into its memory how far it had come" }
  end
  local fields = { errno = errno, op = call }
  if step == 0 and errno ~= 0 and group then fields.why = group:explain_birth(errno) end
  if errno == 0 then
    fields.errno, fields.message = nil, "the child was killed in this step"
    if group and group:oom() then fields.why = "setting it up takes more memory than cgroup.memory allows" end
  end
  return nil, failures.of(plan, failures.number_of_child_step(plan, step), fields)
end

-- The caller's end of the program's terminal: made in the child and sent, or made here. False where it has none.
local function adopt_terminal(plan, child, captures)
  if not plan.has_terminal then return false end
  local master = captures.terminal or child:sent()
  captures.terminal = nil
  if not master then
    return nil, Error.new { op = "ptpeer", code = "EPROTO", errno = EPROTO, message = "the child has sent no terminal" }
  end
  local terminal, fields = Terminal.adopt(master)
  if not terminal then
    master:close()
    return nil, Error.new { op = "ptpeer", message = fields.message, errno = fields.errno }
  end
  if plan.has_terminal.captured then captures.stdout = master end
  return terminal
end

--- Goes on until the child has come to the `await_plan` at the end of its plan. Returns true; or nil and an error.
---@param plan cella.plan
---@param child userdata
---@param options table
---@param context table  as for finish
---@return true?, cella.error?
function M.park(plan, child, options, context)
  local ok, err = pass_sync_points(plan, child, options, context)
  if not ok then return nil, err end
  ok, err = patiently(plan, child, options, context, function(left) return child:ready(left) end)
  if ok then return true end
  if ok == false then err = select(2, wait_for_exec(plan, child, options, context)) end
  return nil, err or Error.new { op = "await_plan", code = "EPROTO", errno = EPROTO,
    message = "the child has ended without a word" }
end

--- Goes on until the program is executed. Returns the caller's end of its terminal, false where it has none; or nil and
--- an error: then no program runs.
---
--- `context.pause`, if there is one, is called in place of waiting: with the descriptor that will be readable then, and
--- the seconds that are left. `context.paused` is when it was called last.
---@param plan cella.plan
---@param child userdata
---@param options table
---@param context table  what the steps before have left
---@return cella.terminal|false|nil, cella.error?
function M.finish(plan, child, options, context)
  local ok, err = pass_sync_points(plan, child, options, context)
  if ok then ok, err = wait_for_exec(plan, child, options, context) end
  if context.log then
    context.log:finish(child, ok, err)
    if ok and context.log.failure then ok, err = nil, context.log.failure end
  end
  if not ok then return nil, err end
  options.supervisor = context.supervisor
  return adopt_terminal(plan, child, context.captures)
end

return M
