--- The kernel's operations, now: each acts on this process. The same names, with the same arguments, are methods of a
--- plan (cella.plan), where they become steps of a child.
--
-- Every function returns `true` (or what is said below), or `nil, message, errno`, as Lua's own io library does. Wrong
-- arguments raise, with the number and name of the argument. An ID is an integer from 0 to 4294967294; a string has no
-- NUL byte; a list has no holes. Flags are a name or a list of names, without the prefix that C gives them.
--
-- Those that change credentials change the calling thread alone, and so are refused (EINVAL) in a process that has
-- others: use a plan.
---@class cella.sys

local core = require "cella.core"
local load_everything = require "cella.everything"
local idmap = require "cella.idmap"
local kinds = require "cella.kinds"
local validate = require "cella.validate"

local types = { "pid_for_children", "time_for_children" }
for _, name in ipairs(kinds.list) do types[#types + 1] = name end
local namespace_type = validate.rule.one_of(types)
local process_id = validate.rule.integer(1, 2147483647)

---@class cella.sys
local sys = core.sys

-- The functions are C; cella/meta/sys.lua describes each.

-- Behind them this process may be where cella's files are not, or may not read them. (A module that asks for this one
-- meanwhile has it: Lua would begin to load it anew.)
package.loaded["cella.sys"] = sys
load_everything()

--- Whether two processes are in the same namespace. nil is this process.
---@param type cella.namespace
---@param pid integer?
---@param other integer?
---@return boolean?, string?, integer?
function sys.same_namespace(type, pid, other)
  validate.check(namespace_type, type, "type")
  if pid ~= nil then validate.check(process_id, pid, "pid") end
  if other ~= nil then validate.check(process_id, other, "other") end
  local inode, device, errno = sys.namespace(type, pid)
  if not inode then return nil, device, errno end
  local other_inode, other_device, other_errno = sys.namespace(type, other)
  if not other_inode then return nil, other_device, other_errno end
  return inode == other_inode and device == other_device
end

--- The ID map of a process's user namespace: see idmap.of.
---@param kind "uid"|"gid"|"projid"
---@param pid integer?  this process
---@return cella.IdMap?, cella.error?
function sys.id_map(kind, pid)
  return idmap.of(pid or "self", kind)
end

--- Whether setgroups(2) is permitted in a process's user namespace.
---@param pid integer?  this process
---@return "allow"|"deny"|nil, string?, integer?
function sys.setgroups_state(pid)
  if pid ~= nil then validate.check(process_id, pid, "pid") end
  local file, message, errno = io.open(("/proc/%s/setgroups"):format(pid and ("%d"):format(pid) or "self"), "r")
  if not file then return nil, message, errno end
  local state = file:read "*l"
  file:close()
  return state
end

return sys
