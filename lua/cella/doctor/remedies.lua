--- What removes an obstacle that lies in how a host is set up, and not in the kernel's answer to one call.

local core = require "cella.core"
local grant = require "cella.host.grant"

local M = {}

--- Subordinate IDs for the caller.
---@param host cella.Host
---@return string?
function M.ranges(host) return grant.command(host) end

local UNIFIED = [[
# the kernel's command line, then a boot: all controllers in cgroup v2
systemd.unified_cgroup_hierarchy=1]]

local DELEGATE = [[
# a program in a cgroup of its own (as root without --user); cella.cgroup.delegate() in it hands the controllers down
systemd-run --user --scope -p Delegate=yes COMMAND
# as root: controllers for all users' services, from their next login on
mkdir -p /etc/systemd/system/user@.service.d
printf '[Service]\nDelegate=cpu cpuset io memory pids\n' > /etc/systemd/system/user@.service.d/delegate.conf
systemctl daemon-reload
# as root: the user's services also while nobody is logged in
loginctl enable-linger %s]]

local function has_systemd() return core.inode "/run/systemd/system" ~= nil end

--- What gives the caller cgroups, by what an error of them says.
---@param err cella.error
---@param host cella.Host
---@return string?
function M.cgroup(err, host)
  if (err.why or ""):find("unified_cgroup_hierarchy", 1, true) then return UNIFIED end
  if has_systemd() and err.code ~= "EROFS" then
    return DELEGATE:format(grant.name(host) or "USER")
  end
  return nil
end

M.landlock = "# the kernel's command line, then a boot: what is in /sys/kernel/security/lsm, and landlock before it\n"
  .. "lsm=landlock,..."

return M
