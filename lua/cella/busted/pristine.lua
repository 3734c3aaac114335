--- Lua's own functions as they were when this was loaded: a suite may have put stubs in their place, which are for the
--- code that it tests, and not for what starts its boxes. And cella's own modules, of which a suite may load others.

local M = {}

local kept = {} -- { table, what it has by name }

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

local has_modules = false

--- Keeps cella's modules as they are loaded now. busted forgets between files what one has loaded: what cella itself
--- loads later would be a second one of its kind, which takes the values of the first for a stranger's.
function M.keep_modules()
  if has_modules then return end
  has_modules = true
  local modules = {}
  for name, module in next, package.loaded do
    if name == "cella" or name:find "^cella%." then modules[name] = module end
  end
  kept[#kept + 1] = { package.loaded, modules }
end

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
