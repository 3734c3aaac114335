--- The file of the runner (doc/starting.md), for those who execute it for what else it can be: an init, a janitor.

local core = require "cella.core"
local render = require "cella.plan.render"

local M = {}

--- A descriptor of it. (The number that the module keeps is its own.)
---@return cella.fd?, string?, integer?
function M.open()
  local number, message, errno = core.runner_file()
  if not number then return nil, message, errno end
  return core.dup(number)
end

--- The same as an input of a plan.
---@param plan cella.plan
---@return cella.slot
function M.input(plan)
  return plan:input(render.call("memfd_create", { "name", "cella-runner" }), M.open)
end

return M
