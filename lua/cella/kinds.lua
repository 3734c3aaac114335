--- The kinds of namespaces: namespaces(7).

local M = {}

--- In the order of the manual page.
M.list = { "user", "mount", "pid", "ipc", "uts", "net", "cgroup", "time" }

--- What /proc/PID/ns calls a kind.
---@param kind string
---@return string
function M.link(kind)
  return kind == "mount" and "mnt" or kind
end

return M
