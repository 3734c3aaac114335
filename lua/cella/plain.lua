--- Lists for libraries of JSON: dkjson takes an empty table for an object unless it is told.

local M = {}

---@param items any[]  which is marked
---@return any[]
function M.list(items) return setmetatable(items, { __jsontype = "array" }) end

--- What a function makes of each item.
---@param items any[]
---@param make fun(item: any): any
---@return any[]
function M.each(items, make)
  local made = {}
  for i, item in ipairs(items) do made[i] = make(item) end
  return M.list(made)
end

---@param items any[]
---@return any[]
function M.copy(items) return M.each(items, function(item) return item end) end

return M
