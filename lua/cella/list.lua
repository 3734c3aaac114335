--- What lists and tables have in common.

local M = {}

---@param list any[]?
---@return boolean
function M.contains(list, wanted)
  for _, item in ipairs(list or {}) do
    if item == wanted then return true end
  end
  return false
end

--- The keys of a table, in order.
---@return any[]
function M.sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

return M
