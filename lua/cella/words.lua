--- Any value as text, whatever was raised: a value's own __tostring may raise, or return no string.

local M = {}

--- What tostring makes of a value; where that fails, what kind of value it is. Never raises.
---@param value any
---@return string
function M.of(value)
  local ok, text = pcall(tostring, value)
  if ok and type(text) == "string" then return text end
  return ("(error object is a %s value)"):format(type(value))
end

return M
