--- Lua that somebody types: compiled, with cella's modules at hand by their names.

local M = {}

local NAMES = { "sys", "idmap", "caps", "policy", "namespace", "cgroup", "seccomp", "landlock" }

--- The names that are at hand. `cella` is one.
M.NAMES = { "cella" }
for _, name in ipairs(NAMES) do M.NAMES[#M.NAMES + 1] = name end

local KNOWN = {}
for _, name in ipairs(M.NAMES) do KNOWN[name] = true end

--- The value of a name that is at hand, loaded when it is asked for; nil for any other.
---@param name any
---@return table?
function M.value(name)
  if not KNOWN[name] then return nil end
  local cella = require "cella"
  return name == "cella" and cella or cella[name]
end

--- Compiles text; what it does not define itself is looked up in `environment`.
---@param text string
---@param name string  for messages, as load(3) takes it
---@param environment table
---@return function?, string?
function M.compile(text, name, environment)
  -- Lua 5.1 sets what later ones take as an argument.
  local setfenv = rawget(_G, "setfenv")
  if not setfenv then return load(text, name, "t", environment) end
  local chunk, message = (rawget(_G, "loadstring"))(text, name)
  if chunk then setfenv(chunk, environment) end
  return chunk, message
end

return M
