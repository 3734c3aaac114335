--- Waiting for several processes at once.

local blame = require "cella.blame"
local core = require "cella.core"
local Error = require "cella.error"
local process_module = require "cella.process"
local validate = require "cella.validate"

local M = {}

-- Others that are above processes (a worker) have two methods for this: has_ended(), and waits_for(), the events
-- (cella.process.events) to sleep on.
local function is_like_one(value)
  local meta = getmetatable(value)
  local methods = type(meta) == "table" and rawget(meta, "__index")
  return type(methods) == "table" and rawget(methods, "waits_for") ~= nil and rawget(methods, "has_ended") ~= nil
end

local function process_rule(value, path)
  if not process_module.is(value) and not is_like_one(value) then
    validate.fail(path, "a process expected, got %s", validate.show(value))
  end
  return value
end

local function set_of(process)
  if process_module.is(process) then return process.set end
  return process:waits_for()
end

local function has_ended(process)
  if process_module.is(process) then return process.result or process.failure end
  return process:has_ended()
end

local processes_rule = validate.rule.list(process_rule)

-- The least of two times, of which each may be nil: never.
local function sooner(a, b)
  if a and b then return math.min(a, b) end
  return a or b
end

local function out_of_time(timeout)
  return nil, Error.new { op = "wait", code = "ETIMEDOUT",
    message = ("all are still running after %g seconds"):format(timeout) }
end

-- Adds what a process waits for, and to each number whose it is: one may be in the list twice, and a descriptor of the
-- caller's be watched by several.
local function collect(process, readers, writers, owners)
  local set = set_of(process) -- a worker may have begun with another
  if not set then return end
  local from_readers, from_writers = #readers, #writers
  set:collect(readers, writers)
  local function add(list, from)
    for i = from + 1, #list do
      local of = owners[list[i]] or {}
      owners[list[i]] = of
      of[#of + 1] = process
    end
  end
  add(readers, from_readers)
  add(writers, from_writers)
end

--- Waits until one of the processes has ended. All of them are served meanwhile: output is taken, limits are seen to.
--- The whole thread waits.
---
--- Returns those that have ended, in the order of the list: each one's wait() then returns at once. It is for the
--- caller to take them off the list. Of an empty list none has.
---@param processes (cella.process|cella.worker)[]  a worker ends when its call does
---@param timeout number?  seconds; 0 only looks
---@return cella.process[]?, cella.error?  nil and "ETIMEDOUT" where none has ended in time
function M.wait(processes, timeout)
  if process_module.is(processes) or process_module.is(timeout) then
    blame("processes: a list of processes expected, cella.wait { process, other }; for one there is process:wait()")
  end
  processes = validate.check(processes_rule, processes, "processes")
  if timeout ~= nil then validate.check(validate.rule.seconds, timeout, "timeout") end
  local till = timeout and core.now() + timeout
  local is_ready = nil -- everyone's turn comes once
  while true do
    local ended, readers, writers, owners, soonest = {}, {}, {}, {}, nil
    for _, process in ipairs(processes) do
      local set = set_of(process)
      local due = process:timeout() == 0 or not set or not set.is_open
      if not is_ready or is_ready[process] or due then process:step() end
      if has_ended(process) then
        ended[#ended + 1] = process
      else
        collect(process, readers, writers, owners)
        soonest = sooner(soonest, process:timeout())
      end
    end
    if #ended > 0 or #readers + #writers == 0 then return ended end
    local now = core.now()
    if till and now >= till then return out_of_time(timeout) end
    local ready, message, errno = core.poll(readers, sooner(soonest, till and till - now), writers)
    if not ready and core.errno_name(errno) ~= "EINTR" then
      return nil, Error.new { op = "poll", errno = errno, message = message }
    end
    is_ready = {}
    for _, number in ipairs(ready or {}) do
      for _, process in ipairs(owners[number]) do
        is_ready[process] = true
        set_of(process):note(number)
      end
    end
  end
end

return M
