--- A stream that a program writes to: the caller's end, and what becomes of the data.

local Output = {}
Output.__index = Output

local M = {}

-- Of reading, and seconds of processor time that what is read may need, before another descriptor, and the time limit,
-- get their turn.
local ROUNDS, TURN = 16, 0.1

--- `sink` gets the data: put(data), is_full(), finish(), and is_done() where it waits for so much and no more. `admit`
--- is asked how many of so many bytes may be put.
---@param fd userdata  of the core, which does not block
---@param sink table
---@param admit fun(size: integer): integer
function M.new(fd, sink, admit)
  return setmetatable({ fd = fd, sink = sink, admit = admit }, Output)
end

-- Takes what one read gives. Returns the number of bytes, false where there is nothing yet, nil at the end.
local function take_once(self)
  local size, data
  if self.sink:is_full() then
    size = self.fd:skip()
  else
    data = self.fd:read()
    size = data and #data
  end
  if size == false or data == false then return false end
  if not size or size == 0 then return nil end
  local admitted = self.admit(size)
  if data and admitted > 0 then
    local before = self.sink.size
    if admitted < size then data = data:sub(1, admitted) end
    self.sink:put(data)
    -- A capture has its own bound.
    if self.sink.limit then admitted = self.sink.size - before end
  else
    admitted = 0
  end
  if admitted < size then self.truncated = true end
  return size
end

--- Takes what is there. Returns true at the end of the stream, or once it is closed.
function Output:take()
  local till = os.clock() + TURN
  for _ = 1, ROUNDS do
    if not self.fd:number() then return true end
    local size = take_once(self)
    if size == nil then return true end
    if size == false then return false end
    if self.sink.is_done and self.sink:is_done() or os.clock() > till then return false end
  end
  return false
end

--- Takes what is there now and no more: whatever the program wrote is in the pipe once it has ended, and a stranger who
--- holds the other end may go on writing.
function Output:drain()
  local left = self.fd:number() and self.fd:available() or 0
  while left > 0 and self.fd:number() do
    local size = take_once(self)
    if not size then break end
    left = left - size
  end
end

-- More than a terminal keeps of what nobody has read.
local MOST_OF_TERMINAL = 1048576

--- The same for a terminal, which does not tell how much there is.
function Output:drain_terminal()
  local left = MOST_OF_TERMINAL
  while left > 0 and self.fd:number() do
    local size = take_once(self)
    if not size then break end
    left = left - size
  end
end

return M
