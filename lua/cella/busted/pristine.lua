--- Lua's own functions as they were when this was loaded: a suite may have put stubs in their place, which are for the
--- code that it tests, and not for what starts its boxes.

local M = {}

local kept = {} -- { table, its functions by name }

local function keep(library)
  if type(library) ~= "table" then return end
  local functions = {}
  for name, value in next, library do
    if type(name) == "string" and type(value) == "function" then functions[name] = value end
  end
  kept[#kept + 1] = { library, functions }
end

keep(_G)
for _, name in ipairs { "string", "table", "math", "io", "os", "debug", "coroutine", "package" } do keep(_G[name]) end

local next, rawget, rawset = next, rawget, rawset

--- Puts Lua's functions back.
---@return { [1]: table, [2]: string, [3]: any }[]  what was in their place
function M.put()
  local others = {}
  for i = 1, #kept do
    local library, functions = kept[i][1], kept[i][2]
    for name, f in next, functions do
      local other = rawget(library, name)
      if other ~= f then
        others[#others + 1] = { library, name, other }
        rawset(library, name, f)
      end
    end
  end
  return others
end

--- Puts back what was in their place.
---@param others table  of M.put
function M.undo(others)
  for i = 1, #others do rawset(others[i][1], others[i][2], others[i][3]) end
end

return M
