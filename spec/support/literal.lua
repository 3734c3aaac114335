--- Lua values as Lua source and back: for results that cross from one process to another.

local M = {}

local function write(value, depth)
  assert(depth < 20, "too deep, or cyclic")
  if type(value) ~= "table" then
    return type(value) == "string" and ("%q"):format(value) or math.type(value) == "float" and ("%q"):format(value)
      or (value == nil or type(value) == "boolean" or type(value) == "number") and tostring(value)
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
  return assert(load("return " .. text, "=result", "t", {}))()
end

return M
