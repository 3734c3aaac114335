--- What a container has used of the machine so far.
--
-- Its cgroup, where it has one, tells exactly. Else by /proc: of the first process and of all that descend from it, and
-- what they have waited for. It misses those that have ended and that nobody waited for (whose parent ignores SIGCHLD),
-- and, where a container has no pid namespace of its own, those whose parent has ended. What it says was used has been
-- used.

local core = require "cella.core"

local M = {}

---@param process cella.process
---@param memory boolean?  max_rss too, which costs more
---@return { user_seconds: number, system_seconds: number, max_rss: integer? }?, string?, integer?
function M.usage_of(process, memory)
  local exact = process.cgroup and process.cgroup:usage()
  if exact and exact.user_seconds and not memory then
    return { user_seconds = exact.user_seconds, system_seconds = exact.system_seconds }
  end
  local user, system, most = core.tree_usage(process.child:pid(), memory)
  if not user then return nil, system, most end
  return { user_seconds = user, system_seconds = system, max_rss = memory and most or nil }
end

--- Whether usage_of can work here: /proc has to be that of the caller's own pid namespace. Nil and why not.
---@return boolean?, string?
function M.check()
  local file = io.open "/proc/self/stat"
  local pid = file and file:read "*n"
  if file then file:close() end
  if pid == core.sys.getpid() then return true end
  return nil, "needs a /proc of the caller's own pid namespace, to see what the container uses"
end

return M
