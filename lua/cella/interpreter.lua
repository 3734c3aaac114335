--- The executable of the calling process, which its children share until they have executed something else.
--
-- A program in a container that is a script for /proc/self/exe, or a link to it, would be the caller's interpreter, and
-- whoever its file belongs to in there could write to it (CVE-2019-5736).

local M = {}

--- Whether the file belongs to somebody whom a container has.
---@param maps { uid: cella.IdMap }?  of the container; nil where it has the caller's
---@param host cella.Host
---@return boolean
function M.is_exposed(maps, host)
  local owner = host.interpreter
  if not owner then return true end
  return host.uid_map:outside(owner) ~= nil and (not maps or maps.uid:inside(owner) ~= nil)
end

return M
