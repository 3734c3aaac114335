--- Namespaces with names: kept alive by a mount on a file after the last process in them has gone, as ip-netns(8) does.
---
---     local namespace = require "cella.namespace"
---     assert(namespace.keep(process, "net", "/run/cella/web"))
---     cella.container { namespaces = { net = "/run/cella/web" } }
---     assert(namespace.release "/run/cella/web")
---
--- Mounting takes CAP_SYS_ADMIN over the mount namespace. Who has none keeps a namespace by a descriptor of it:
--- `namespaces = { net = { fd = ... } }`.

local blame = require "cella.blame"
local confinement = require "cella.confinement"
local core = require "cella.core"
local Error = require "cella.error"
local hold = require "cella.policy.hold"
local host = require "cella.host"
local kinds = require "cella.kinds"
local mountinfo = require "cella.mountinfo"
local printable = require "cella.printable"
local targets = require "cella.enter.target"
local validate = require "cella.validate"

local rule, sys = validate.rule, core.sys
---@class cella.namespace.module
local M = {}

local S_IWGRP_IWOTH = { 16, 2 } -- of the mode: who else may write

local KIND_OF_LINK = {}
for _, kind in ipairs(kinds.list) do KIND_OF_LINK[kinds.link(kind)] = kind end

local function failed(op, path, message, errno, why)
  return nil, Error.new { op = op, path = path, errno = errno, message = not errno and message or nil, why = why }
end

-- The mount that a descriptor is on.
local function mount_of(fd)
  local id = mountinfo.id_at(fd:number())
  for _, mount in ipairs(mountinfo.own()) do
    if mount.id == id then return mount end
  end
  return nil
end

local function through(fd, name)
  return ("/proc/self/fd/%d%s"):format(fd:number(), name and "/" .. name or "")
end

-- A directory in which nobody else can put something else in the place of what is made there.
local function open_directory(path)
  local fd, message, errno = core.open(path, { "path", "directory" })
  if not fd then return failed("open", path, message, errno) end
  local _, _, mode, owner = core.inode(through(fd))
  local _, uid = sys.getresuid()
  local open = false
  for _, bit in ipairs(S_IWGRP_IWOTH) do open = open or math.floor(mode / bit) % 2 == 1 end
  if open or owner ~= uid and owner ~= 0 then
    fd:close()
    return failed("keep", path, "others may write to the directory", nil,
      "who may write there could put another file in the place of the name: a directory of one's own (or root's), that "
      .. "only its owner may write to")
  end
  return fd
end

-- "/run/cella/web" -> "/run/cella", "web"
local function split(path)
  local directory, name = path:match "^(.*)/([^/]+)$"
  return directory == "" and "/" or directory, name
end

local function name_rule(value, path)
  rule.absolute(value, path)
  if not value:find "[^/]$" then validate.fail(path, "the name of a file expected, got %s", validate.show(value)) end
  return value
end

local kind_rule = rule.one_of(kinds.list)

-- Why the kernel would not mount it there, by what is there to be seen.
local function refusal(kind, mount, errno)
  local code = core.errno_name(errno)
  if code == "EPERM" then
    return "mounting needs CAP_SYS_ADMIN over this mount namespace. Without it a namespace is kept by a descriptor: "
      .. "core.open(\"/proc/PID/ns/" .. kinds.link(kind) .. "\", \"rdonly\"), and namespaces = { " .. kind
      .. " = { fd = ... } }"
  elseif code == "EINVAL" and kind == "mount" then
    if mount and mount.optional:find(" shared:", 1, true) then
      return ("the directory lies on %s, whose mounts are shared with others, and a mount namespace cannot be mounted "
        .. "in itself: make the directory a private mount first, with namespace.private(DIRECTORY)"):format(mount.point)
    end
    return "a mount namespace can be mounted only in one that is older than it: loops could not be freed. (Linux 6.18 "
      .. "tells the age by numbers that each CPU deals out by itself: one that was made on another CPU may count as "
      .. "older. The first one of the machine is older than all.)"
  end
  return nil
end

local function make_file(directory, name)
  local path = through(directory, name)
  local fd, message, errno = core.open(path, { "rdonly", "creat", "excl", "nofollow" }, 292) -- 0444
  if not fd then return nil, message, errno end
  return fd
end

local function mount_on(target, kind, directory, path, name)
  local shown = ("/proc/%d/ns/%s"):format(target.pid, kinds.link(kind))
  local source, message, errno = core.open(target:path("ns/" .. kinds.link(kind)), "rdonly")
  if not source then
    local _, err = target:inode(kind)
    return nil, err or Error.new { op = "open", path = shown, errno = errno, message = not errno and message or nil }
  end
  local file
  file, message, errno = make_file(directory, name)
  if not file then
    source:close()
    return failed("open", path, message, errno, core.errno_name(errno or 0) == "EEXIST"
      and "the name is taken: namespace.release(PATH) gives it back" or nil)
  end
  local ok
  ok, message, errno = sys.mount(through(source), through(file), nil, { "bind" })
  local err
  if not ok then
    local mount = mount_of(file)
    err = Error.new { op = "mount", path = path, errno = errno, message = not errno and message or nil,
      why = refusal(kind, mount, errno) }
    os.remove(through(directory, name)) -- it was made by us, exclusively, where nobody else writes
  end
  source:close()
  file:close()
  if err then return nil, err end
  return true
end

-- IDs that were given to a container for as long as it lives are given for longer now.
local function hold_ids(target)
  local own = host.facts()
  if not own.runtime then return true end
  local facts, err = target:facts(confinement.read)
  if not facts then return nil, err end
  local extents = facts.maps.uid:extents()
  -- In a namespace without a map the process is still who it was outside.
  for _, uid in ipairs(facts.uid) do extents[#extents + 1] = { outside = uid, count = 1 } end
  for _, extent in ipairs(extents) do
    local ok
    ok, err = hold.keep(own.runtime, extent.outside, extent.count, own.uid)
    if not ok then return nil, err end
  end
  return true
end

--- Keeps a namespace of a process under a name, until it is released or the machine goes down.
---
--- The file is made, and must not be there; its directory is one that only its owner may write to, and the owner is the
--- caller or root. A pid namespace is kept, but of no use once its first process has ended: nobody is born in it any
--- more (ENOMEM, pid_namespaces(7)). Joining a user namespace, or one that it owns, takes CAP_SYS_ADMIN in it. The IDs
--- of a container that were chosen by default are nobody else's until the next boot.
---@param process cella.process|integer  or a process ID
---@param kind "user"|"mount"|"pid"|"ipc"|"uts"|"net"|"cgroup"|"time"
---@param path string  absolute
---@return true?, cella.error?
function M.keep(process, kind, path)
  local is_number = type(process) == "number"
  if is_number then
    validate.check(rule.integer(1, 2147483647), process, "process")
  elseif type(process) ~= "table" or (getmetatable(process) or {}).__name ~= "cella.process" then
    blame("process: a process that cella has started or a process ID expected, got " .. validate.show(process))
  end
  validate.check(kind_rule, kind, "kind")
  validate.check(name_rule, path, "path")
  local target, err
  if is_number then target, err = targets.hold(process) else target, err = targets.of(process) end
  if not target then return nil, err end
  local above, name = split(path)
  local directory, ok
  directory, err = open_directory(above)
  if directory then
    ok, err = hold_ids(target)
    if ok then ok, err = mount_on(target, kind, directory, path, name) end
    directory:close()
  end
  target:close()
  if not ok then return nil, err end
  return true
end

--- Gives a name back: the namespace goes with its last process, mount or descriptor.
---@param path string
---@return true?, cella.error?
function M.release(path)
  validate.check(name_rule, path, "path")
  local above, name = split(path)
  local directory, err = open_directory(above)
  if not directory then return nil, err end
  local fd, message, errno = core.open(through(directory, name), { "path", "nofollow" })
  if not fd then
    directory:close()
    return failed("open", path, message, errno)
  end
  local mount, ok = mount_of(fd), false
  if not mount or mount.kind ~= "nsfs" then
    message, errno = "no namespace is kept there", nil
  else
    -- By the descriptor: this mount, whatever the path means meanwhile. It is what keeps it busy.
    ok, message, errno = sys.umount2(through(fd), "detach")
    if ok then ok, message, errno = os.remove(through(directory, name)) end
  end
  fd:close()
  directory:close()
  if ok then return true end
  return failed("release", path, message, errno)
end

local Kept = { __name = "cella.namespace.kept", __plain = true } -- see cella.process.result

function Kept:__tostring()
  return printable.line(("%s:[%.0f] kept at %s"):format(self.kind, self.inode, self.path))
end

---@class cella.namespace.kept
---@field path string
---@field kind string    "net"
---@field inode integer  the namespace's number, as sys.namespace has it

--- The namespaces that are kept in a directory.
---@param directory string
---@return cella.namespace.kept[]
function M.list(directory)
  validate.check(rule.absolute, directory, "directory")
  local prefix, list = (directory:gsub("/*$", "")) .. "/", {}
  for _, mount in ipairs(mountinfo.own()) do
    local link, inode = mount.root:match "^([A-Za-z]+):%[(%d+)%]$"
    local name = mount.point:sub(1, #prefix) == prefix and mount.point:sub(#prefix + 1)
    if mount.kind == "nsfs" and name and not name:find("/", 1, true) and KIND_OF_LINK[link] then
      list[#list + 1] = setmetatable({ path = mount.point, kind = KIND_OF_LINK[link], inode = tonumber(inode) }, Kept)
    end
  end
  table.sort(list, function(a, b) return a.path < b.path end)
  return list
end

--- Makes a directory a mount of its own whose mounts nobody else sees: what mount namespaces are kept in. umount(8)
--- undoes it.
---@param directory string
---@return true?, cella.error?
function M.private(directory)
  validate.check(rule.absolute, directory, "directory")
  local fd, err = open_directory(directory)
  if not fd then return nil, err end
  local ok, message, errno = sys.mount(through(fd), through(fd), nil, { "bind" })
  fd:close()
  if not ok then return failed("mount", directory, message, errno, refusal("mount", nil, errno)) end
  -- What lies there now is the new mount: the directory was ours, and nobody else mounts here.
  ok, message, errno = sys.mount("none", directory, nil, { "private" })
  if not ok then return failed("mount", directory, message, errno) end
  return true
end

return M
