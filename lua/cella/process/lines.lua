--- Hands what a program writes to a function, a line at a time.

local Lines = {}
Lines.__index = Lines

local M = {}

--- No call gets more bytes than this: a program that writes no newline must not fill the memory.
M.MOST = 1048576

---@param name string  of the stream
---@param call fun(line: string, stream: string, partial: boolean?)
function M.new(name, call)
  return setmetatable({ name = name, call = call, pieces = {}, size = 0 }, Lines)
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
local function cut(self)
  while self.size > M.MOST do
    local all = take(self)
    keep(self, all:sub(M.MOST + 1))
    self.call(all:sub(1, M.MOST), self.name, true)
  end
end

function Lines:put(data)
  local from = 1
  while true do
    local newline = data:find("\n", from, true)
    if not newline then break end
    keep(self, data:sub(from, newline - 1))
    cut(self)
    self.call(take(self), self.name)
    from = newline + 1
  end
  keep(self, data:sub(from))
  cut(self)
end

--- A last line may have no newline.
function Lines:finish()
  if self.size > 0 then self.call(take(self), self.name) end
end

return M
