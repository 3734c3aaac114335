--- A module that is loaded when it is first used: a start needs few of cella's, and compiling all takes longer than it.
---
--- `lazy "cella.caps"` stands for the table that the module returns, for who calls its functions or reads its fields. A
--- module that can no longer be loaded raises, so nothing that happens behind a clone is lazy.

local M = {}

--- require(3), which blames the module's path for a limit on descriptors.
---@param name string
function M.load(name)
  local loaded, module = pcall(require, name)
  if loaded then return module end
  local file, message = io.open "/dev/null"
  if file then
    file:close()
    error(module, 0)
  end
  error(("module '%s' cannot be loaded: %s"):format(name, message:gsub("^[^:]*: ", "")), 0)
end

local NAME = {}
local proxy = {}

function proxy:__index(key)
  local module = M.load(rawget(self, NAME))
  setmetatable(self, { __index = module })
  return module[key]
end

return setmetatable(M, { __call = function(_, name)
  return setmetatable({ [NAME] = name }, proxy)
end })
