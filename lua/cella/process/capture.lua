--- Keeps what a program writes, up to a bound.

local Capture = {}
Capture.__index = Capture

local M = {}

---@param limit integer  bytes
function M.new(limit)
  return setmetatable({ limit = limit, size = 0, pieces = {}, tail = {} }, Capture)
end

--- Nothing more would be kept.
function Capture:is_full()
  return self.size == self.limit
end

function Capture:put(data)
  local room = self.limit - self.size
  if #data > room then data = data:sub(1, room) end
  if data == "" then return end
  self.size = self.size + #data
  local tail = self.tail
  tail[#tail + 1] = data
  -- A program that writes byte by byte must not cost a table entry for each.
  if #tail == 256 then
    self.pieces[#self.pieces + 1] = table.concat(tail)
    self.tail = {}
  end
end

--- All of it. Joined once: it may be large.
function Capture:finish()
  for _, piece in ipairs(self.tail) do self.pieces[#self.pieces + 1] = piece end
  local all = table.concat(self.pieces)
  self.pieces, self.tail = {}, {}
  return all
end

return M
