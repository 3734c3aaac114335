--- Lua values as Lua source and back: for results that cross from one process to another.

local portable = require "spec.support.portable"

local M = {}

-- To the last bit, and what is a float stays one.
local function number(value)
  if math.type and math.type(value) == "integer" then return ("%d"):format(value) end
  if value ~= value then return "(0/0)" end
  if value == math.huge or value == -math.huge then return value > 0 and "1e999" or "-1e999" end
  local text = ("%.17g"):format(value)
  return math.type and not text:find "[.e]" and text .. ".0" or text
end

local function write(value, depth)
  assert(depth < 20, "too deep, or cyclic")
  if type(value) ~= "table" then
    return type(value) == "number" and number(value) or (value == nil or type(value) == "boolean") and tostring(value)
      or ("%q"):format(tostring(value))
  end
  local meta = getmetatable(value)
  local items = {}
  -- An error or a map is its text; what matters of it otherwise is taken out by the source itself.
  if type(meta) == "table" and meta.__tostring then return ("%q"):format(tostring(value)) end
  for key, item in pairs(value) do
    items[#items + 1] = ("[%s] = %s"):format(write(key, depth + 1), write(item, depth + 1))
  end
  return "{ " .. table.concat(items, ", ") .. " }"
end

--- Of any value; what has no literal becomes its tostring.
function M.write(value)
  return write(value, 0)
end

function M.read(text)
  return assert(portable.load("return " .. text, "=result", {}))()
end

return M
