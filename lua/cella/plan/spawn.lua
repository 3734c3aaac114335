--- A plan performed: the parent's side, from its first descriptor to the program's exec.

local called = require "cella.call"
local core = require "cella.core"
local Error = require "cella.error"
local events = require "cella.process.events"
local explain = require "cella.explain"
local Process = require "cella.process"
local status = require "cella.host.status"
local Terminal = require "cella.terminal"
local usage = require "cella.process.usage"

local M = {}

local EBADF, EPROTO, ETIMEDOUT = 9, 71, 110

-- The number in steps() of a step of the child.
local function number_of_child_step(plan, index)
  local number = #plan.before + 1 + index
  for _, meeting in ipairs(plan.meetings) do
    if index > meeting.index then number = number + #meeting.steps end
  end
  return number
end

-- What a step is about, where that is a path on the host or in the container.
local function path_of(plan, step)
  local args = step.args
  local path = args.path or args.to_path or args.new_root or args.target or args.source
  if type(path) ~= "string" then return nil end
  local directory = args.dirfd or args.to_fd
  local place = path:sub(1, 1) ~= "/" and type(directory) == "table" and plan.places[directory.slot]
  return place and (place == "/" and "" or place) .. "/" .. path or path
end

local function failure(plan, number, fields)
  local step = plan:steps()[number]
  fields.step, fields.side, fields.op, fields.text = number, step.side, fields.op or step.op, step.text
  local kind = plan.ids and step.op == "write_file" and step.side == "child"
    and step.args.path:match "^/proc/self/([ug]id)_map$"
  if kind then fields.map = { kind = kind, ids = plan.ids } end
  fields.args, fields.slot = step.args, step.slot
  fields.why = fields.why or explain.why(fields, plan)
  fields.map, fields.args, fields.slot = nil, nil, nil
  if step.op == "call" then
    fields.text = ("call(%q)"):format(plan.program)
  elseif step.op == "execve" then
    fields.path = plan.program
    fields.text = ("execve(%q)"):format(plan.program)
    if core.errno_name(fields.errno or 0) == "ELIBACC" then
      fields.code, fields.errno, fields.message = "ENOENT", 2, core.strerror(2)
    end
  else
    fields.path = fields.path or path_of(plan, step)
  end
  return Error.new(fields)
end

-- What a step of the parent's has returned with nil, as the fields of an error: those of one, or what the core says.
local function fields_of(kept, errno)
  if type(kept) == "string" then return { errno = errno, message = not errno and kept or nil } end
  if not Error.is(kept) then return kept end
  return { errno = kept.errno, code = kept.code, message = kept.message, why = kept.why, op = kept.op,
    path = kept.path }
end

-- A number is the caller's, or nobody's: asked before a descriptor of ours could have it.
local function check_needed(plan)
  for i, step in ipairs(plan.before) do
    if step.needs and not core.is_open(step.needs) then return nil, failure(plan, i, { errno = EBADF }) end
  end
  return true
end

-- How long the set-up may take where nothing is said: more than any takes that does not hang.
local SETUP_TIMEOUT = 10

-- Seconds until the set-up has to be over, by both limits.
local function seconds_left(options)
  local now = core.now()
  local left = options.setup_until - now
  if options.timeout then left = math.min(left, options.started + options.timeout - now) end
  return left
end

local function open_inputs(plan, context, options)
  for i, step in ipairs(plan.before) do
    context.left = math.max(seconds_left(options), 0)
    local fd, kept, errno = step.perform(context)
    if fd == nil then
      local fields = fields_of(kept, errno)
      return nil, failure(plan, i, fields)
    end
    if step.slot then
      if fd then context.owned[#context.owned + 1] = fd end
      -- What was optional and is not there: NOTHING of csrc/executor/executor.c.
      context.slots[step.slot:number()] = fd and fd:number() or -1
      local capture = plan.captures[step.slot:number()]
      if capture then context.captures[capture] = kept end
      -- What else is opened by its name in /proc, /dev/stdout for one, is asked for its owner as any file.
      if capture and plan.pipe_owner and capture ~= "status" then
        fd, kept, errno = fd:chown(plan.pipe_owner.uid, plan.pipe_owner.gid)
        if fd == nil then return nil, failure(plan, i, { op = "fchown", errno = errno, message = kept }) end
      end
    end
  end
  return true
end

-- The step that it hangs in is the child's, or it has not come to one.
local function out_of_time(plan, child, options)
  local current = child:current()
  local seconds = options.timeout and options.timeout < options.setup_timeout and options.timeout
    or options.setup_timeout
  local fields = { errno = ETIMEDOUT, message = ("the set-up took longer than %g seconds"):format(seconds) }
  if current < 1 or current > plan.recorder:size() then
    fields.op, fields.code = "clone3", "ETIMEDOUT"
    return Error.new(fields)
  end
  return failure(plan, number_of_child_step(plan, current), fields)
end

-- Repeats a wait for the child until it has an answer or the time is over.
local function patiently(plan, child, options, wait)
  while true do
    local left = seconds_left(options)
    if left <= 0 then return nil, out_of_time(plan, child, options) end
    local answer, step, errno = wait(left)
    if answer ~= nil then return answer, step, errno end
    local code = core.errno_name(errno)
    if code ~= "ETIMEDOUT" and code ~= "EINTR" then
      return nil, Error.new { op = "clone3", message = step, errno = errno }
    end
  end
end

-- Does the parent's part while the child waits. Returns true also where the child has died: settle knows why.
local function keep_meetings(plan, child, options, context)
  for _, meeting in ipairs(plan.meetings) do
    local ready, err = patiently(plan, child, options, function(left) return child:ready(left) end)
    if ready == nil then return nil, err end
    if not ready then return true end
    for i, step in ipairs(meeting.steps) do
      context.left = math.max(seconds_left(options), 0)
      local began = core.now()
      local ok, kept, errno = step.perform(child, context)
      -- What others do while the child waits is their business: it counts for `timeout` alone.
      if step.is_call then options.setup_until = options.setup_until + core.now() - began end
      if not ok then
        return nil, failure(plan, number_of_child_step(plan, meeting.index) + i, fields_of(kept, errno))
      end
    end
    child:release()
  end
  return true
end

local function settle(plan, child, options, group)
  local call
  local ok, step, errno = patiently(plan, child, options, function(left)
    local settled, number, code, failed = child:settle(left)
    call = failed
    return settled, number, code
  end)
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
  return nil, failure(plan, number_of_child_step(plan, step), fields)
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

-- What waiting will need is there before there is a child.
local function prepare_waiting(plan, options)
  if options.cpu_limit then
    local ok, why = usage.check()
    if not ok then return nil, Error.new { op = "cpu_limit", message = "cannot be kept", why = why } end
  end
  options.functions = plan.functions
  local err
  options.set, err = events.new()
  if err then err.why = explain.why(err, plan) end
  return options.set, err
end

-- How many seccomp filters this thread has, and so its children. Only where there are any is it worth a look.
local function filters()
  if core.sys.get_seccomp() == 0 then return 0 end
  local file = io.open "/proc/thread-self/status"
  local text = file and file:read "*a" or ""
  if file then file:close() end
  return tonumber(status.field(text, "Seccomp_filters")) or math.huge
end

-- A copy of this process has its executable for /proc/self/exe until the program is executed.
local function exposed(why)
  return Error.new { op = "clone3", code = "EPERM", errno = 1,
    message = "the program would be started from a copy of this process, whose interpreter the container could get "
      .. "hold of", why = "that it takes a copy is because " .. why .. " (credentials(7))" }
end

--- Performs a plan: what plan:spawn says.
---@param plan cella.plan
---@param options table
---@return cella.process?, cella.error?
function M.perform(plan, options)
  options.started = core.now()
  options.setup_timeout = options.setup_timeout or SETUP_TIMEOUT
  options.setup_until = options.started + options.setup_timeout
  local body, refused
  if plan.called then refused = called.refused() end
  if refused then return nil, refused end
  local keys_filter = plan.denies_keys and filters() + 1 or false
  local context = { slots = {}, owned = {}, captures = {} }
  local ok, err = check_needed(plan)
  if ok then ok, err = prepare_waiting(plan, options) end
  if ok then ok, err = open_inputs(plan, context, options) end
  local child, call, errno, _
  local group = context.cgroup
  if ok and plan.hides_interpreter and not plan.called then
    local why = core.copied(plan.recorder, plan.namespaces, group and group.bounded)
    if why then ok, err = nil, exposed(why) end
  end
  if ok then
    if plan.called then
      body = called.body(plan.called, context.slots[plan.results:number()], options.result_limit)
    end
    child, _, errno, call = core.launch(plan.recorder, plan.namespaces, context.slots, group and group:number(),
      group and group.bounded, body)
    if not child then
      err = failure(plan, #plan.before + 1, { op = call, errno = errno,
        why = group and group:explain_birth(errno) })
    end
  end
  for _, fd in ipairs(context.owned) do fd:close() end
  if child then
    ok, err = keep_meetings(plan, child, options, context)
    if ok then ok, err = settle(plan, child, options, group) end
    if ok then
      ok, err = adopt_terminal(plan, child, context.captures)
      options.terminal = ok
      ok = ok ~= nil
    end
    if ok then
      options.cgroup = group
      function options.unexecuted()
        return failure(plan, number_of_child_step(plan, plan.recorder:size()), {
          message = "the child was killed in this step" })
      end
      options.keys_filter = keys_filter
      return Process.new(child, context.captures, options)
    end
    child:close()
  end
  if group then group:remove() end
  for _, fd in pairs(context.captures) do fd:close() end
  if options.set then options.set:close() end
  return nil, err
end

return M
