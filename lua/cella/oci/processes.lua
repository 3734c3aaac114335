--- The processes of a container.

local cgroups = require "cella.oci.cgroup"
local core = require "cella.core"
local failed = require "cella.oci.failed"
local file = require "cella.host.file"
local holder = require "cella.oci.holder"

local sys = core.sys

-- Whether a process is in the pid namespace of the container; for those that have none of their own, itself alone.
local function pids_of(state)
  if state.data.cgroup then return cgroups.processes(state.data.cgroup) end
  local first = state.data.pid
  local inode = sys.namespace("pid", first)
  local own = sys.namespace "pid"
  if not inode or inode == own then return { first } end
  local list = {}
  for _, name in ipairs(core.list_directory "/proc" or {}) do
    local pid = name:find "^%d+$" and tonumber(name)
    if pid and sys.namespace("pid", pid) == inode then list[#list + 1] = pid end
  end
  table.sort(list)
  return list
end

---@param state cella.oci.state
---@return { pid: integer, parent: string, uid: string, command: string }[]?, cella.error?
return function(state)
  local pidfd = state:hold()
  if not pidfd then return failed("ps", nil, "container not running") end
  local result = {}
  local pids, err = pids_of(state)
  if not pids then
    pidfd:close()
    return nil, err
  end
  for _, pid in ipairs(pids) do
    local status = file.read(("/proc/%d/status"):format(pid))
    if status then
      result[#result + 1] = { pid = pid, parent = status:match "\nPPid:%s*(%d+)" or "?",
        uid = status:match "\nUid:%s*(%d+)" or "?", command = holder.command_line(pid) }
    end
  end
  pidfd:close()
  return result
end
