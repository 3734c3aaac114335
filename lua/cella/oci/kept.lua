--- What later commands need of a config.json: a checked copy, which `create` has put beside the state.

local read = require "cella.oci.read"

local M = {}

--- The config.json that a container has been made of. nil alone where it has not come to that.
---@param state cella.oci.state
---@return table? config, cella.error?, string? path
function M.config(state)
  local path = state:config_path()
  if not path then return nil end
  local config, err = read.document(path)
  return config, err, path
end

--- The hooks of a point; none where there is no container yet.
---@param state cella.oci.state
---@param point string
---@return cella.oci.hook[]?, cella.error?
function M.hooks(state, point)
  local config, err, path = M.config(state)
  if not config then return not err and {} or nil, err end
  local found
  found, err = read.checked(path, read.hooks, config.hooks or {})
  return found and found[point], err
end

return M
