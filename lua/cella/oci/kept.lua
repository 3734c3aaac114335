--- What later commands need of a config.json: a checked copy, which `create` has put beside the state.

local lazy = require "cella.lazy"
---@module "cella.oci.read.document"
local document = lazy "cella.oci.read.document"
---@module "cella.oci.read.hooks"
local hooks = lazy "cella.oci.read.hooks"

local M = {}

--- The config.json that a container has been made of. nil alone where it has not come to that.
---@param state cella.oci.state
---@return table? config, cella.error?, string? path
function M.config(state)
  local path = state:config_path()
  if not path then return nil end
  local config, err = document.read(path)
  return config, err, path
end

--- The points of which later commands have hooks to run, for the state: where there are none they need not read what
--- the container is made of.
---@param found table<string, cella.oci.hook[]>
---@return table<string, boolean>
function M.hooked(found)
  local result = {}
  for _, point in ipairs { "startContainer", "poststart", "poststop" } do result[point] = #found[point] > 0 end
  return result
end

--- The hooks of a point; none where there is no container yet.
---@param state cella.oci.state
---@param point string
---@return cella.oci.hook[]?, cella.error?
function M.hooks(state, point)
  local hooked = state.data.hooks
  if hooked and not hooked[point] then return {} end
  local config, err, path = M.config(state)
  if not config then return not err and {} or nil, err end
  local found
  found, err = document.checked(path, hooks.of, config.hooks or {})
  return found and found[point], err
end

return M
