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

--- A list without the items that are `unwanted`.
---@param list any[]
---@return any[]
function M.without(list, unwanted)
  local kept = {}
  for _, item in ipairs(list) do
    if item ~= unwanted then kept[#kept + 1] = item end
  end
  return kept
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

--- The keys of a table in order: numbers, then strings, then what else there is.
---@return any[]
function M.sorted_keys(t)
  local numbers, keys, others = {}, {}, {}
  for key in pairs(t) do
    local list = type(key) == "number" and numbers or type(key) == "string" and keys or others
    list[#list + 1] = key
  end
  -- By Lua's own comparison: a function that is asked a million times takes seconds.
  table.sort(numbers)
  table.sort(keys)
  table.sort(others, function(a, b) return tostring(a) < tostring(b) end)
  for _, list in ipairs { keys, others } do
    for _, key in ipairs(list) do numbers[#numbers + 1] = key end
  end
  return numbers
end

return M
