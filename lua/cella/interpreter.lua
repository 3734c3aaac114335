--- The executable of the calling process, which its children share until they have executed something else.
--
-- A program in a container that is a script for /proc/self/exe, or a link to it, would be the caller's interpreter, and
-- whoever its file belongs to in there could write to it (CVE-2019-5736).

local core = require "cella.core"
local render = require "cella.plan.render"

local M = {}

--- Whether the file belongs to somebody whom a container has.
---@param maps { uid: cella.IdMap }?  of the container; nil where it has the caller's
---@param host cella.Host
---@return boolean
function M.is_endangered(maps, host)
  local _, _, _, owner = core.inode "/proc/self/exe"
  if not owner then return true end
  return host.uid_map:outside(owner) ~= nil and (not maps or maps.uid:inside(owner) ~= nil)
end

--- A descriptor of the runner's file, which nobody can write to. (The number that the module keeps is its own.)
---@param lowest integer?  the number of the descriptor is this or above
---@return cella.fd?, string?, integer?
function M.program(lowest)
  local number, message, errno = core.runner_file()
  if not number then return nil, message, errno end
  return core.dup(number, lowest)
end

--- The same as an input of a plan: what an init is executed from.
---@param plan cella.plan
---@param lowest integer?  number of its descriptor
---@return cella.slot
function M.sealed(plan, lowest)
  return plan:input(render.call("memfd_create", { "name", "cella-runner" }), function() return M.program(lowest) end)
end

return M
