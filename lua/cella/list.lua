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

--- Whether two lists have the same items, in whatever order and however often.
---@param a any[]
---@param b any[]
---@return boolean
function M.same_members(a, b)
  local function covers(list, other)
    local set = {}
    for _, item in ipairs(list) do set[item] = true end
    for _, item in ipairs(other) do
      if not set[item] then return false end
    end
    return true
  end
  return covers(a, b) and covers(b, a)
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
