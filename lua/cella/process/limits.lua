--- The limits that are put to a container from outside: how long it may run, how much it may compute and write. Whoever
--- waits for the process sees to them.

local core = require "cella.core"
local Error = require "cella.error"
local usage = require "cella.process.usage"

local Limits = {}
Limits.__index = Limits

local M = {}

local BRIEFEST = 0.02 -- seconds between two looks at the processor time: they cost something too

---@param options table  as spawn takes it, and `started`
function M.new(options)
  return setmetatable({
    timeout = options.timeout,
    deadline = options.timeout and options.started + options.timeout,
    output = options.output_limit,
    written = 0,
    cpu = options.cpu_limit,
    -- All processors cannot use it up sooner.
    next_check = options.cpu_limit and options.started + math.max(BRIEFEST, options.cpu_limit / core.processors()),
  }, Limits)
end

--- Whether there are any.
---@return boolean
function Limits:any()
  return (self.timeout or self.cpu or self.output) ~= nil
end

--- From now on it may run so many seconds more, and write as much as in the beginning.
---@param seconds number?  nil: for as long as it likes
function Limits:renew(seconds)
  self.timeout, self.deadline = seconds, seconds and core.now() + seconds
  self.written = 0
end

--- The soft and the hard RLIMIT_CPU that go with a cpu_limit: for each process by itself, should nobody be looking.
---@param limit number  seconds
---@param soft integer|"unlimited"  what holds already
---@param hard integer|"unlimited"
function M.backstop(limit, soft, hard)
  local function least(wanted, there)
    return there == "unlimited" and wanted or math.min(wanted, there)
  end
  local whole = math.ceil(limit)
  return least(whole + 1, soft), least(whole + 2, hard)
end

--- How many of so many bytes that a program has written may be handed on.
---@param size integer
---@return integer
function Limits:admit(size)
  if not self.output then return size end
  local room = math.max(0, self.output - self.written)
  self.written = self.written + size
  if size <= room then return size end
  self.exceeded = self.exceeded or "output"
  return room
end

--- When check() has something to do next, by the clock of core.now(); nil is never.
function Limits:due()
  if self.exceeded then return nil end
  if self.deadline and self.next_check then return math.min(self.deadline, self.next_check) end
  return self.deadline or self.next_check
end

local function look_at_cpu(self, process, now)
  local used, message, errno = usage.usage_of(process)
  if not used then
    return nil, Error.new { op = "cpu_limit", errno = errno, message = message,
      why = "what the container uses of the processors could not be seen any more, so it was killed" }
  end
  local seconds = used.user_seconds + used.system_seconds
  if seconds >= self.cpu then
    self.exceeded = self.exceeded or "cpu"
  else
    self.next_check = now + math.max(BRIEFEST, (self.cpu - seconds) / core.processors())
  end
  return true
end

--- Looks what has been exceeded: `exceeded` is then the name of the limit. Nil and an error where that cannot be told.
---@param process cella.process
function Limits:check(process)
  local now = core.now()
  if self.exceeded then return true end
  if self.deadline and now >= self.deadline then
    self.exceeded = "timeout"
  elseif self.next_check and now >= self.next_check then
    return look_at_cpu(self, process, now)
  end
  return true
end

--- How much it was of what ended a program; nil where none of these did.
---@param reason string
---@return number?
function Limits:limit_of(reason)
  local limits = { timeout = self.timeout, cpu = self.cpu, output = self.output }
  return limits[reason]
end

--- How the program ended: by itself, by a signal, or by one of the limits.
---@param code integer?
---@param signal integer?
---@param used table  the usage of the result
function Limits:reason(code, signal, used)
  -- What was written is there to be counted, also where the program was quicker than its end.
  if self.exceeded == "output" then return "output" end
  if code then return "exited" end
  local name = core.signal_name(signal)
  if self.exceeded and name == "kill" then return self.exceeded end
  -- The kernel, by the RLIMIT_CPU of one process, was there first.
  if self.cpu and (name == "xcpu" or name == "kill")
    and (used.user_seconds or 0) + (used.system_seconds or 0) >= self.cpu then
    return "cpu"
  end
  return "signaled"
end

return M
