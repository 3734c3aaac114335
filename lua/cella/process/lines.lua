--- Hands what a program writes to a function, a line at a time.

local Lines = {}
Lines.__index = Lines

local M = {}

--- No call gets more bytes than this: a program that writes no newline must not fill the memory.
M.MOST = 1048576

--- What `put` raises where they need more: the program's doing, not the caller's.
M.EXCEEDED = {}

-- Lua keeps each short string once, in a table that a copy of this process knows: it can write lines that all meet in
-- one place of it, of which each costs what all before it number. So the processor time that taking lines apart may
-- need is bounded, in seconds: some times what any honest output needs.
local WORK, WORK_LINE, WORK_BYTE = 1, 10e-6, 200e-9

---@param name string  of the stream
---@param call fun(line: string, stream: string, partial: boolean?)
function M.new(name, call)
  return setmetatable({ name = name, call = call, pieces = {}, size = 0, worked = 0, allowed = WORK }, Lines)
end

function Lines.is_full()
  return false
end

local function keep(self, data)
  if data == "" then return end
  self.pieces[#self.pieces + 1] = data
  self.size = self.size + #data
end

local function take(self)
  local all = table.concat(self.pieces)
  self.pieces, self.size = {}, 0
  return all
end

-- What is too long for one call goes in several, all but the last of which say so.
local function cut(self, ready)
  while self.size > M.MOST do
    local all = take(self)
    keep(self, all:sub(M.MOST + 1))
    ready[#ready + 1] = all:sub(1, M.MOST)
    ready.partial = ready.partial or {}
    ready.partial[#ready] = true
  end
end

-- The lines that are complete with this data.
local function split(self, data)
  local ready, from = {}, 1
  while true do
    local newline = data:find("\n", from, true)
    if not newline then break end
    keep(self, data:sub(from, newline - 1))
    cut(self, ready)
    ready[#ready + 1] = take(self)
    from = newline + 1
  end
  keep(self, data:sub(from))
  cut(self, ready)
  return ready
end

function Lines:put(data)
  local start = os.clock()
  local ready = split(self, data)
  self.worked = self.worked + os.clock() - start
  self.allowed = self.allowed + WORK_LINE * #ready + WORK_BYTE * #data
  for i, line in ipairs(ready) do
    if ready.partial and ready.partial[i] then self.call(line, self.name, true) else self.call(line, self.name) end
  end
  if self.worked > self.allowed then
    error(M.EXCEEDED, 0)
  end
end

--- A last line may have no newline.
function Lines:finish()
  if self.size > 0 then self.call(take(self), self.name) end
end

return M
