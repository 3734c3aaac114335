--- The kinds of namespaces: namespaces(7).

local M = {}

--- In the order of the manual page.
M.list = { "user", "mount", "pid", "ipc", "uts", "net", "cgroup", "time" }

--- The number of every machine's first user namespace, since Linux 3.8 (PROC_USER_INIT_INO).
M.FIRST_USER = 4026531837

--- That of its first time namespace, since there are such: Linux 5.6 (PROC_TIME_INIT_INO).
M.FIRST_TIME = 4026531834

--- What /proc/PID/ns calls a kind.
---@param kind string
---@return string
function M.link(kind)
  return kind == "mount" and "mnt" or kind
end

return M
