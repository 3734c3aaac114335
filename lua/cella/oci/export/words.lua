--- Words of a container's table as another format has them.

local json = require "cella.oci.json"

local M = {}

--- Text as it is; refused where the other format cannot have it.
---@param state { refuse: fun(key: string, why: string) }
---@param value string
---@param key string     what it is of
---@param format string  what has no other text, "JSON"
---@return string
function M.text(state, value, key, format)
  if not json.is_utf8(value) then
    state.refuse(key, ("bytes that are no UTF-8, and %s has no other text"):format(format))
  end
  return value
end

--- The same, for JSON.
---@param state { refuse: fun(key: string, why: string) }
---@param value string
---@param key string
---@return string
function M.json(state, value, key) return M.text(state, value, key, "JSON") end

--- Whether an environment is the caller's, which nobody else has: it is refused.
---@param state { refuse: fun(key: string, why: string) }
---@param given table|"inherit"|nil
---@return boolean
function M.is_inherited(state, given)
  if given ~= "inherit" then return false end
  state.refuse("environment", '"inherit" means what is there when it is started: name the variables')
  return true
end

return M
