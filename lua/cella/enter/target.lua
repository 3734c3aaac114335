--- A process that is looked at and entered. It is held by a pidfd and by its directory in /proc, so that its number can
--- come to mean no other.

local core = require "cella.core"
local Error = require "cella.error"
local files = require "cella.host.file"
local filter = require "cella.filter"
local idmap = require "cella.idmap"
local kinds = require "cella.kinds"
local status = require "cella.host.status"

---@class cella.enter.target
---@field pid integer
local Target = { __name = "cella.enter.target" }
Target.__index = Target

local M = {}

local TITLE = "cella-init" -- of an init, as the name and before what it says
local S_IFREG = 8 -- the type in a mode, in its upper bits
local ESRCH, EACCES, EPERM, EINVAL, ENOENT = 3, 13, 1, 22, 2

local function gone(pid)
  return Error.new { op = "enter", errno = ESRCH, path = ("/proc/%d"):format(pid),
    why = ("process %d has ended, or never was"):format(pid) }
end

local function refused(self, path, message, errno)
  if errno == ESRCH or self:ended() then return gone(self.pid) end
  local why
  local shown = errno == ENOENT and files.read(self:path "status")
  if shown and (status.field(shown, "State") or ""):find "^[ZX]" then
    why = ("the first thread of process %d has ended, and the others are not looked at"):format(self.pid)
  elseif errno == ENOENT and not shown then
    why = ("process %d is there, and /proc does not show it: it hides processes of others (hidepid, proc(5)), or is "
      .. "not that of this pid namespace"):format(self.pid)
  elseif errno == EACCES or errno == EPERM then
    why = "the kernel shows this to who could trace the process: its own user, if it has no more capabilities than you "
      .. "and is dumpable, who owns its user namespace, or who has CAP_SYS_PTRACE there (ptrace(2))"
  end
  return Error.new { op = "open", path = path, errno = errno, why = why,
    message = not errno and message or nil }
end

--- Holds a process.
---@param pid integer
---@return cella.enter.target?, cella.error?
function M.hold(pid)
  local pidfd, _, errno = core.pidfd(pid)
  if not pidfd then
    if errno == ESRCH then return nil, gone(pid) end
    return nil, Error.new { op = "pidfd_open", errno = errno,
      why = (errno == EINVAL or errno == ENOENT) and ("%d is a thread: give the process that it is of"):format(pid)
        or nil }
  end
  local self = setmetatable({ pid = pid, pidfd = pidfd }, Target)
  local message
  self.directory, message, errno = core.open(("/proc/%d"):format(pid), { "path", "directory" })
  -- Not reaped till now: what was opened under its number is its own.
  if self:ended() then
    self:close()
    return nil, gone(pid)
  elseif not self.directory then
    local err
    if errno == ENOENT then
      err = Error.new { op = "open", errno = errno, path = ("/proc/%d"):format(pid),
        why = ("process %d is there, and not in /proc: is that mounted, and of this pid namespace?"):format(pid) }
    else
      err = refused(self, ("/proc/%d"):format(pid), message, errno) -- which asks whether it has ended
    end
    pidfd:close()
    return nil, err
  end
  return self
end

--- Holds the program of a handle.
---@param process cella.process
---@return cella.enter.target?, cella.error?
function M.of(process)
  local child = process.child
  if process.starting then
    return process.starting:refuse "enter"
  end
  if process.detached then return process.detached:refuse "enter" end
  if process.result or not child:pidfd() then return nil, gone(process.pid) end
  local self, err = M.hold(process.pid)
  if not self then return nil, err end
  self.filtered, self.landlock = process.filtered, process.landlock
  -- Behind an init the program is not ours to wait for: but a child of what is.
  local init = child:pid()
  if init ~= process.pid and self:status("PPid") ~= tostring(init) then
    self:close()
    return nil, gone(process.pid)
  end
  return self
end

--- Whether it has ended, reaped or not.
---@return boolean
function Target:ended()
  if not self.pidfd:number() then return true end
  local ready = core.poll({ self.pidfd:number() }, 0)
  return not ready or #ready > 0
end

--- A path that leads to one of its files in /proc, as long as it is held.
---@param name string
---@return string
function Target:path(name)
  return ("/proc/self/fd/%d/%s"):format(self.directory:number(), name)
end

--- A file of its directory in /proc.
---@return string?, cella.error?
function Target:read(name)
  local shown = ("/proc/%d/%s"):format(self.pid, name)
  local text, message, errno = files.read(self:path(name))
  if not text then return nil, refused(self, shown, message, errno) end
  return text
end

--- A field of its status, without blanks at its ends; nil where it is gone.
---@return string?
function Target:status(field)
  local text = self:read("status")
  return text and status.field(text, field)
end

--- Which namespace of a kind it is in: nobody else has that number.
---@return integer?, cella.error?
function Target:inode(kind)
  local name = "ns/" .. kinds.link(kind)
  local inode, message, errno = core.inode(self:path(name)) -- or the number, the device and the mode
  if inode then
    -- Linux 5.10 follows a link that may not be followed to the link itself.
    if math.floor(errno / 4096) == S_IFREG then return inode end
    message, errno = nil, EACCES
  end
  return nil, refused(self, ("/proc/%d/%s"):format(self.pid, name), message, errno)
end

local MAPS = { "uid_map", "gid_map", "setgroups" }

local function parse_maps(self, texts)
  local maps = { setgroups = texts.setgroups:match "^[A-Za-z]+" }
  for _, kind in ipairs { "uid", "gid" } do
    local map, message = idmap.parse(texts[kind .. "_map"])
    if not map then
      return nil, Error.new { op = "idmap", path = ("/proc/%d/%s_map"):format(self.pid, kind), message = message }
    end
    maps[kind] = map
  end
  return maps
end

--- The maps of its user namespace.
---@return { uid: cella.IdMap, gid: cella.IdMap, setgroups: "allow"|"deny" }?, cella.error?
function Target:maps()
  local texts = {}
  for _, name in ipairs(MAPS) do
    local err
    texts[name], err = self:read(name)
    if err then return nil, err end
  end
  return parse_maps(self, texts)
end

---@class cella.enter.facts
---@field uid integer[]  real, effective, saved, of the file system: as this process's user namespace has them
---@field gid integer[]
---@field groups integer[]
---@field umask integer
---@field no_new_privs boolean
---@field seccomp { mode: integer, filters: integer }
---@field sets table<string, cella.caps.mask>  the five
---@field namespaces table<string, integer>  inodes
---@field maps { uid: cella.IdMap, gid: cella.IdMap }
---@field setgroups "allow"|"deny"
---@field limits table<string, { soft: integer|"unlimited", hard: integer|"unlimited" }>
---@field cgroups string  /proc/PID/cgroup

--- How it is confined now.
---@param read fun(facts: table, source: cella.confinement.source)  confinement.read
---@return cella.enter.facts?, cella.error?
function Target:facts(read)
  local facts, texts = { namespaces = {} }, {}
  for _, name in ipairs { "status", "uid_map", "gid_map", "setgroups", "limits", "cgroup" } do
    local err
    texts[name], err = self:read(name)
    if err then return nil, err end
  end
  for _, kind in ipairs(kinds.list) do
    local err
    facts.namespaces[kind], err = self:inode(kind)
    if err then return nil, err end
  end
  if self:ended() then return nil, gone(self.pid) end
  read(facts, texts) -- one file of each, so that it is of one moment
  local maps, err = parse_maps(self, texts)
  if not maps then return nil, err end
  facts.maps, facts.setgroups = { uid = maps.uid, gid = maps.gid }, maps.setgroups
  return facts
end

-- The first bytes of a file, at most so many; nil where it cannot be opened.
local function bytes(path, most)
  local opened = io.open(path, "rb")
  if not opened then return nil end
  local text = opened:read(most == math.huge and "*a" or most) or ""
  opened:close()
  return text
end

-- The first process of its pid namespace, if that is among those above it: its number here.
local function first_of_namespace(pid)
  local depth
  for _ = 1, 4096 do
    local text = files.read(("/proc/%d/status"):format(pid))
    local numbers = status.numbers(text or "", "NSpid")
    depth = depth or #numbers
    if #numbers < 2 or #numbers ~= depth then return nil end
    if numbers[#numbers] == 1 then return pid, text end
    pid = tonumber(status.field(text, "PPid"))
  end
  return nil
end

---@class cella.enter.filtered
---@field count integer  of the seccomp filters that the process has if it has given itself none
---@field keys boolean   whether one of them denies keys
---@field policy cella.seccomp.policy|string|nil  of another; or its name
---@field mark integer?  of that, where it is all that is known

-- Until an init says which filters its program has, which it does once that is executed.
local SAYS_WITHIN = 1 -- seconds

-- What an init says of the filters of its program.
local function label_of(init)
  local until_then = core.now() + SAYS_WITHIN
  repeat
    local words = files.read(("/proc/%d/cmdline"):format(init)) or ""
    if words:sub(1, #TITLE) == TITLE then return filter.labelled(words:sub(#TITLE + 1)) end
    core.poll({}, 0.002)
  until core.now() > until_then
  return nil, false
end

-- How many filters a process has, by its status.
local function filters_of(text) return tonumber(status.field(text or "", "Seccomp_filters")) end

-- Whether the filters that an init has are ours: as many, and so has who has started it, in our pid namespace. Where we
-- have none, it has none.
local function are_ours(text, own)
  if filters_of(text) ~= own then return false end
  if own == 0 then return true end
  local parent = files.read(("/proc/%s/status"):format(status.field(text, "PPid") or ""))
  return filters_of(parent) == own and #status.numbers(parent, "NSpid") == 1
end

--- The filters that the process was started with, besides those of who started it. A handle knows. Of a bare number its
--- init says it, where that is cella's.
---
--- Whoever says so in there could be a hostile program, which is process 1 of its pid namespace and executes a copy of
--- the runner; or which traces the init. A program of cella's is under filters, and nobody gets rid of one: an init has
--- none but those of who has started it, where the program is not one that could trace it (confinement.lua).
---@param own integer  filters of this process
---@return cella.enter.filtered?
function Target:filters_given(own)
  if self.filtered ~= nil then return self.filtered or nil end
  local init, text = first_of_namespace(self.pid)
  if not init or status.field(text, "Name") ~= TITLE or not are_ours(text, own) then return nil end
  -- Of a plan that somebody has made by hand: who may trace it writes there what he likes.
  for _, set in ipairs { "CapBnd", "CapPrm", "CapInh" } do
    if core.caps.mask(status.field(text, set)):has "sys_ptrace" then return nil end
  end
  -- Another version's says something else. It may be a hostile program's file, of any size.
  local program = core.runner_file()
  local ours = program and bytes("/proc/self/fd/" .. program, math.huge) or ""
  if ours == "" or bytes(("/proc/%d/exe"):format(init), #ours + 1) ~= ours then return nil end
  local mark, keys = label_of(init)
  return { count = own + (mark and 1 or 0) + (keys and 1 or 0), keys = keys, mark = mark }
end

--- What Target:facts says of this process. `seccomp` is the number of its filters.
---@param read fun(facts: table, source: cella.confinement.source)
---@return table? facts, cella.error? err
function M.own(read)
  local texts = {}
  for _, name in ipairs { "limits", "cgroup", "status" } do
    local path = "/proc/self/" .. name
    local text, message, errno = files.read(path)
    if not text then
      return nil, Error.new { op = "open", path = path, message = not errno and message or nil, errno = errno }
    end
    texts[name] = text
  end
  local own = { namespaces = {} }
  read(own, texts)
  for _, kind in ipairs(kinds.list) do own.namespaces[kind] = core.inode("/proc/self/ns/" .. kinds.link(kind)) end
  own.seccomp = tonumber(status.field(texts.status, "Seccomp_filters") or "0")
  return own
end

--- Lets go of it.
function Target:close()
  self.pidfd:close()
  if self.directory then self.directory:close() end
end

return M
