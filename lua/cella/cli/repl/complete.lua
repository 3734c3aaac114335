--- The names that begin as a word does: of what is there, and of the fields and methods of what is named.

local M = {}

-- Its own names, and those that it has from its metatable, by one or several tables.
local function names_of(value)
  local names = {}
  local seen = {}
  while type(value) == "table" and not seen[value] do
    seen[value] = true
    for key in pairs(value) do
      if type(key) == "string" and key:find "^[A-Za-z_][A-Za-z0-9_]*$" then names[key] = true end
    end
    local class = getmetatable(value)
    value = type(class) == "table" and rawget(class, "__index") or nil
  end
  return names
end

--- The words that can stand for an unfinished one, in order.
---@param word string  "sys.uns", "plan:ex", "pol"
---@param environment table  in which names mean something
---@param more table<any, string[]>  names of tables that do not show them, and of the environment itself
---@return string[]
function M.of(word, environment, more)
  local before, last = word:match "^(.*[.:])([A-Za-z0-9_]*)$"
  if not before then before, last = "", word:match "^[A-Za-z0-9_]*$" or "" end
  local value = environment
  for name in before:gmatch "[A-Za-z0-9_]+" do
    local ok, inner = pcall(function() return value[name] end)
    value = ok and inner or nil
    if value == nil then return {} end
  end
  local names, list = names_of(value), {}
  for _, name in ipairs(more[value] or {}) do names[name] = true end
  for name in pairs(names) do
    if name:sub(1, #last) == last and (last ~= "" or name:sub(1, 1) ~= "_") then list[#list + 1] = before .. name end
  end
  table.sort(list)
  return list
end

return M
