--- What a process is waited for with: descriptors, for each a function that is called when it is ready, and a time. All
--- of it is one descriptor too (epoll(7)), for those who have a loop of their own; who only waits needs none.

local core = require "cella.core"
local Error = require "cella.error"

local Events = {}
Events.__index = Events

local M = {}

local function failed(op, message, errno)
  return nil, Error.new { op = op, errno = errno, message = message }
end

---@return table
function M.new()
  return setmetatable({ calls = {}, writes = {}, is_open = true }, Events)
end

--- Calls `call` in each turn() in which the descriptor can be read from, or with `writes` written to.
function Events:add(number, call, writes)
  if self.set then
    local ok, message, errno = self.set:watch(number, writes)
    if not ok then return failed("epoll_ctl", message, errno) end
  end
  self.calls[number], self.writes[number], self.ready = call, writes or nil, nil
  return true
end

function Events:has(number)
  return self.calls[number] ~= nil
end

--- Has to come before the descriptor is closed: a copy in another process would keep it in the set.
function Events:remove(number)
  if number and self.calls[number] then
    self.calls[number], self.writes[number], self.ready = nil, nil, nil
    if self.set then self.set:forget(number) end
  end
end

--- Adds to two lists what is to be polled for, to read from and to write to.
---@param readers integer[]
---@param writers integer[]
function Events:collect(readers, writers)
  if self.set then
    readers[#readers + 1] = self.set:number()
    return
  end
  for number in pairs(self.calls) do
    local list = self.writes[number] and writers or readers
    list[#list + 1] = number
  end
end

--- One of those is ready, and the next turn() need not ask.
function Events:note(number)
  if self.set then return end
  self.ready = self.ready or {}
  self.ready[#self.ready + 1] = number
end

local function poll(self, seconds)
  local readers, writers = {}, {}
  self:collect(readers, writers)
  return core.poll(readers, seconds, writers)
end

-- What turn() is to see to: what was found by who has slept, if nothing has changed since.
local function ready_now(self)
  if self.set then return self.set:ready() end
  local ready, message, errno = self.ready, nil, nil
  self.ready = nil
  if not ready then
    ready, message, errno = poll(self, 0)
    if not ready and core.errno_name(errno) == "EINTR" then return {} end
  end
  return ready, message, errno
end

--- Calls those whose descriptors are ready; waits for nothing.
function Events:turn()
  local ready, message, errno = ready_now(self)
  if not ready then return failed("poll", message, errno) end
  for _, number in ipairs(ready) do
    local call = self.calls[number]
    if call then call() end -- unless one before has removed it
  end
  return true
end

--- Sleeps until a descriptor is ready, for at most so many seconds. A signal ends it too, so that Lua's own handlers
--- get their turn.
function Events:sleep(seconds)
  local ready, message, errno = poll(self, seconds)
  if not ready then
    if core.errno_name(errno) == "EINTR" then return true end
    return failed("poll", message, errno)
  end
  self.ready = nil
  for _, number in ipairs(ready) do self:note(number) end
  return true
end

--- Makes one descriptor of all this, which tells of each that it cannot be waited for.
---@return integer?, cella.error?  its number
function Events:join()
  if self.set or not self.is_open then return self:number() end
  local set, message, errno = core.poll_set()
  if not set then return failed("epoll_create1", message, errno) end
  for number in pairs(self.calls) do
    local ok
    ok, message, errno = set:watch(number, self.writes[number])
    if not ok then
      set:close()
      return failed("epoll_ctl", message, errno)
    end
  end
  self.set, self.ready = set, nil
  return set:number()
end

--- The descriptor of all this: readable when there is something for turn(), and from now on also when the time of
--- set_time() has come.
function Events:expose()
  local number, err = self:join()
  if not number then return nil, err end
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
  return number
end

---@param seconds number?  from now; nil is never
function Events:set_time(seconds)
  if self.timer then self.timer:set_timer(seconds) end
end

--- The descriptor's number; nil where there is none.
function Events:number()
  return self.set and self.set:number()
end

function Events:close()
  self.calls, self.writes, self.ready, self.is_open = {}, {}, nil, false
  if self.set then self.set:close() end
  if self.timer then self.timer:close() end
end

return M
