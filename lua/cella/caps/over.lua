--- Over what a process holds its capabilities: its user namespace, what that governs, and what is below it
--- (user_namespaces(7)). Over anything above it, and beside it, they are worth nothing.

local core = require "cella.core"
local explain = require "cella.caps.explain"
local idmap = require "cella.idmap.value"
local kinds = require "cella.kinds"
local set = require "cella.caps.set"

local M = {}

---@class cella.caps.over
---@field user integer?        the number of its user namespace; nil where that may not be looked at
---@field first boolean?       whether that is the machine's first
---@field owner_uid integer?   who made it, as the caller's user namespace has the uid
---@field owner_unmapped boolean?  that is 65534 because he has no ID here
---@field errno integer?       why it may not be looked at

--- Of a process; of this one where none is named.
---@param pid integer?
---@return cella.caps.over
function M.of(pid)
  local fd, _, errno = core.open(("/proc/%s/ns/user"):format(pid and ("%d"):format(pid) or "self"), "rdonly")
  if not fd then return { errno = errno } end
  local over = { user = core.file_status(fd:number()).inode, owner_uid = core.namespace_owner_uid(fd:number()) }
  over.first = over.user == kinds.FIRST_USER
  -- In a namespace that maps 65534 as well there is no telling; but hardly anybody is that one.
  over.owner_unmapped = over.owner_uid == idmap.overflow and core.sys.namespace "user" ~= kinds.FIRST_USER or nil
  fd:close()
  return over
end

local host_only

--- Those that the kernel asks for over the machine's first user namespace alone: elsewhere they allow nothing.
---@return cella.caps.set
function M.host_only()
  if not host_only then
    local list = {}
    for number = 0, set.last do
      if explain.of(number).host_only then list[#list + 1] = number end
    end
    host_only = set.new(list)
  end
  return host_only
end

--- In words, for a list of sets: "user namespace 4026532801 (made by uid 1000), ...".
---@param over cella.caps.over
---@return string
function M.words(over)
  if not over.user then
    return "its user namespace, which may not be looked at (" .. core.strerror(over.errno or 0) .. ")"
  elseif over.first then
    return ("the machine's first user namespace, %.0f: the host, and all below it"):format(over.user)
  end
  local owner = over.owner_unmapped and " (owned by somebody who has no ID here)"
    or over.owner_uid and (" (owned by uid %.0f)"):format(over.owner_uid) or ""
  return ("user namespace %.0f%s and those below it only; nothing over the host's"):format(over.user, owner)
end

return M
