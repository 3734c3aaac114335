--- The pipe to a program's standard input: what waits to be written to it.

local core = require "cella.core"
local Error = require "cella.error"

local Input = {}
Input.__index = Input

local M = {}

---@param fd userdata  of the core, which does not block
---@param events table
function M.new(fd, events)
  return setmetatable({ fd = fd, events = events, queue = {}, first = 1, last = 0 }, Input)
end

function Input:is_pending()
  return self.first <= self.last
end

-- The pipe is closed once nothing waits any more.
local function settle(self)
  self.events:remove(self.fd:number())
  self.watching = false
  if self.closing or self.failure then self.fd:close() end
end

--- Nobody reads any more: what waits is dropped, and whoever writes is told.
function Input:fail(message, errno)
  self.failure = self.failure or Error.new { op = "write", path = "stdin", errno = errno, message = message }
  self.queue, self.first, self.last = {}, 1, 0
  settle(self)
end

--- Writes what the pipe takes now.
function Input:flush()
  while self:is_pending() do
    local item = self.queue[self.first]
    local count, message, errno = self.fd:write(item.data, item.from)
    if count == false then
      if not self.watching then
        local ok, err = self.events:add(self.fd:number(), function() self:flush() end, true)
        if not ok then return self:fail(err.message, err.errno) end
        self.watching = true
      end
      return
    elseif not count then
      local why = core.errno_name(errno) == "EPIPE" and "the program has closed its standard input, or has ended"
      return self:fail(why or message, errno)
    end
    item.from = item.from + count
    if item.from > #item.data then
      self.queue[self.first] = nil
      self.first = self.first + 1
    end
  end
  settle(self)
end

function Input:add(data)
  if data == "" then return end
  self.last = self.last + 1
  self.queue[self.last] = { data = data, from = 1 }
  if not self.watching then self:flush() end
end

--- Closes the pipe when all that waits has been written.
function Input:finish()
  self.closing = true
  if not self:is_pending() then settle(self) end
end

return M
