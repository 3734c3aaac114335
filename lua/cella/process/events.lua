--- What a process is waited for with: descriptors, for each a function that is called when it is ready, and a time. All
--- of it is one descriptor too, for those who have a loop of their own.

local core = require "cella.core"
local Error = require "cella.error"

local Events = {}
Events.__index = Events

local M = {}

local function failed(op, message, errno)
  return nil, Error.new { op = op, errno = errno, message = message }
end

---@return table?, cella.error?
function M.new()
  local set, message, errno = core.poll_set()
  if not set then return failed("epoll_create1", message, errno) end
  return setmetatable({ set = set, calls = {} }, Events)
end

--- Calls `call` in each turn() in which the descriptor can be read from, or with `writes` written to.
function Events:add(number, call, writes)
  local ok, message, errno = self.set:watch(number, writes)
  if not ok then return failed("epoll_ctl", message, errno) end
  self.calls[number] = call
  return true
end

function Events:has(number)
  return self.calls[number] ~= nil
end

--- Has to come before the descriptor is closed: a copy in another process would keep it in the set.
function Events:remove(number)
  if number and self.calls[number] then
    self.calls[number] = nil
    self.set:forget(number)
  end
end

--- Calls those whose descriptors are ready; waits for nothing.
function Events:turn()
  local ready, message, errno = self.set:ready()
  if not ready then return failed("epoll_wait", message, errno) end
  for _, number in ipairs(ready) do
    local call = self.calls[number]
    if call then call() end -- unless one before has removed it
  end
  return true
end

--- Sleeps until a descriptor is ready, for at most so many seconds. A signal ends it too, so that Lua's own handlers
--- get their turn.
function Events:sleep(seconds)
  local ready, message, errno = core.poll({ self.set:number() }, seconds)
  if ready or core.errno_name(errno) == "EINTR" then return true end
  return failed("poll", message, errno)
end

--- The descriptor of all this: readable when there is something for turn(), and from now on also when the time of
--- set_time() has come.
function Events:expose()
  if not self.timer then
    local timer, message, errno = core.timer()
    if not timer then return failed("timerfd_create", message, errno) end
    local ok
    ok, message, errno = self.set:watch(timer:number())
    if not ok then
      timer:close()
      return failed("epoll_ctl", message, errno)
    end
    self.timer = timer
  end
  return self.set:number()
end

---@param seconds number?  from now; nil is never
function Events:set_time(seconds)
  if self.timer then self.timer:set_timer(seconds) end
end

--- The descriptor's number; nil once closed.
function Events:number()
  return self.set:number()
end

function Events:close()
  self.calls = {}
  self.set:close()
  if self.timer then self.timer:close() end
end

return M
