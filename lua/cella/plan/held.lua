--- Namespaces that are to be joined, held by a descriptor from the moment they are named: a path or a process ID may
--- mean another by the time at which a plan is performed.

local lazy = require "cella.lazy"
local core = require "cella.core"
local Error = require "cella.error"
local kinds = require "cella.kinds"
local open_within = require "cella.open"
local render = require "cella.plan.render"
---@module "cella.enter.target"
local targets = lazy "cella.enter.target"

local M = {}

local ESRCH, EBADF, EINVAL = 3, 9, 22

---@class cella.plan.held
---@field type string
---@field call cella.plan.call  how a plan shows it
---@field fd userdata?     of the namespace, or of a process (pidfd); nil where it could not be opened
---@field inode integer?   the number of the namespace; nil where a process decides
---@field failure table?   why it could not be opened, as the fields of an error
---@field pid integer?     a process that is in it, or was

local made = setmetatable({}, { __mode = "k" })

--- Whether a value is what M.hold returns.
function M.is(value) return made[value] ~= nil end

-- Only an inode of the file system that the kernel has for them is a namespace (nsfs).
local function inode_of(fd)
  local inode, device = core.inode(("/proc/self/fd/%d"):format(fd:number()))
  local _, nsfs = core.inode "/proc/self/ns/user"
  return device and device == nsfs and inode or nil
end

local function failure(op, path, message, errno)
  return nil, nil, { op = op, path = path, errno = errno, message = not errno and message or nil }
end

-- By way of O_PATH, which waits for nobody: to open(2) a FIFO would wait for who writes to it, to open a device might
-- do something.
local function open(path, shown)
  local place, message, errno = open_within.bounded(path)
  if not place then return failure("open", shown, message, errno) end
  local inode, fd = inode_of(place), nil
  if inode then
    fd, message, errno = core.open(("/proc/self/fd/%d"):format(place:number()), "rdonly")
  end
  place:close()
  if fd then return fd, inode end
  if inode then return failure("open", shown, message, errno) end
  return nil, nil, { op = "open", path = shown, errno = EINVAL, message = "this is not a namespace",
    why = core.inode "/proc/self/ns/user" == nil and "there is no /proc mounted here by which that could be told"
      or "a namespace is a file as in /proc/PID/ns, or one on which such a file is mounted (namespaces(7))" }
end

-- Of a process: its number is asked for once, and is that of no other while its files are opened.
local function open_of_process(one, processes)
  local shown = ("/proc/%d/ns/%s"):format(one.pid, kinds.link(one.type))
  local target = processes[one.pid]
  if not target then
    local err
    target, err = targets.hold(one.pid)
    if not target then
      return nil, nil, { op = "open", errno = err.errno, path = shown, message = err.message, why = err.why }
    end
    processes[one.pid] = target
  end
  local fd, inode, fields = open(target:path("ns/" .. kinds.link(one.type)), shown)
  if fd then return fd, inode end
  if target:ended() then fields = select(2, target:inode(one.type)) end
  return nil, nil, fields
end

-- One that is open already: that of a namespace, or of a process.
local function duplicate(number)
  -- What cella keeps open for itself is not the caller's to name.
  if not core.is_open(number) then return failure("dup", nil, core.strerror(EBADF), EBADF) end
  local fd, message, errno = core.dup(number)
  if not fd then return failure("dup", nil, message, errno) end
  return fd, inode_of(fd)
end

local function hold(one, processes)
  local held = { type = one.type }
  if one.path then
    held.call = render.call("open", { "path", one.path }, { "flags", { "rdonly" } })
    held.pid = tonumber(one.path:match "^/proc/(%d+)/ns/user$")
    held.fd, held.inode, held.failure = open(one.path, one.path)
  elseif one.pid then
    held.call = render.call("open", { "path", ("/proc/%d/ns/%s"):format(one.pid, kinds.link(one.type)) },
      { "flags", { "rdonly" } })
    held.pid = one.pid
    held.fd, held.inode, held.failure = open_of_process(one, processes)
  else
    held.call = render.call("dup", { "fd", one.fd })
    held.fd, held.inode, held.failure = duplicate(one.fd)
  end
  made[held] = true
  return held
end

--- The maps of a user namespace that is held, where a process is known that is in it. That one may have come to be in
--- another meanwhile, and its number to be that of another.
---@param held cella.plan.held
---@return { uid: cella.IdMap, gid: cella.IdMap, setgroups: "allow"|"deny" }?, cella.error?  nil alone: it is not known
function M.maps(held)
  if held.failure then
    return nil, Error.is(held.failure) and held.failure or Error.new(held.failure)
  end
  if not held.pid then return nil end
  local target, err = targets.hold(held.pid)
  if not target then return nil, err end
  local maps
  maps, err = target:maps()
  local inode = target:inode "user"
  if inode ~= held.inode or target:ended() then
    maps, err = nil, Error.new { op = "open", path = ("/proc/%d/ns/user"):format(held.pid), errno = ESRCH,
      message = "the process is not in that namespace any more", why = "its number has come to mean another, or it has "
        .. "entered another user namespace: what is known of it does not hold for what would be joined" }
  end
  target:close()
  return maps, err
end

--- Opens what is to be joined. What cannot be opened is an error when the plan is performed.
---@param joins table[]  `{ type =, path | pid | fd | pidfd = }`; what has a pidfd is left as it is
---@return table[]
function M.hold(joins)
  local list, processes = {}, {}
  -- The caller's own numbers first: what is opened here is not to be taken for one.
  for i, one in ipairs(joins) do
    if one.pidfd or M.is(one) then list[i] = one elseif one.fd then list[i] = hold(one) end
  end
  for i, one in ipairs(joins) do list[i] = list[i] or hold(one, processes) end
  for _, target in pairs(processes) do target:close() end
  return list
end

return M
