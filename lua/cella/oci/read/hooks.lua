--- What a config.json says of hooks.

local fields = require "cella.oci.read.fields"
local process = require "cella.oci.read.process"
local schema = require "cella.oci.read.schema"

local fail, required, within = schema.fail, schema.required, schema.within
local M = {}

---@class cella.oci.hook
---@field path string
---@field args string[]?
---@field env string[]?
---@field timeout integer?  seconds

local MOST_HOOKS = 256

--- The hooks of a config.json, by their points. Raises { refused = message }.
---@param hooks table
---@return table<string, cella.oci.hook[]>
function M.of(hooks)
  local result = {}
  for _, point in ipairs(fields.hooks) do
    result[point] = {}
    local list = hooks[point] or {}
    if #list > MOST_HOOKS then fail("hooks." .. point, "more than %d", MOST_HOOKS) end
    for i, hook in ipairs(list) do
      local path = ("hooks.%s[%d]"):format(point, i - 1)
      if required(hook.path, path .. ".path"):sub(1, 1) ~= "/" then
        fail(path .. ".path", "an absolute path expected")
      end
      process.environment(hook.env, path .. ".env")
      result[point][i] = { path = hook.path, args = hook.args, env = hook.env,
        timeout = hook.timeout and within(hook.timeout, path .. ".timeout", 1, 86400) }
    end
  end
  return result
end

return M
