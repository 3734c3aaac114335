--- The key of a container's table that opens what was denied, as Lua.

local core = require "cella.core"
local constants = require "cella.seccomp.constants"
local description = require "cella.root.description"
local kernels = require "cella.host.kernel"
local mappable = require "cella.host.mappable"
local mountinfo = require "cella.mountinfo"
local named = require "cella.seccomp.named"
local printable = require "cella.printable"

local M = {}

local function escaped(character) return ("\\%03d"):format(character:byte()) end

--- A string as Lua, on one line; what is no text byte by byte.
---@param text string
---@return string
function M.quote(text)
  local body = text:gsub('[%z\1-\31\127"\\]', escaped)
  if printable.line(body) ~= body then body = body:gsub("[\128-\255]", escaped) end
  return '"' .. body .. '"'
end

---@class cella.denied.mount
---@field type "bind"|"tmpfs"|"overlay"
---@field path string
---@field readonly boolean?
---@field nodev boolean?  false where devices are meant
---@field idmap boolean?

--- A mount as an entry of `mounts`.
---@param mount cella.denied.mount
---@return string
function M.mount_text(mount)
  local path = M.quote(mount.path)
  if mount.type == "tmpfs" then return ('{ type = "tmpfs", destination = %s }'):format(path) end
  if mount.type == "directory" then return ('{ type = "directory", destination = %s }'):format(path) end
  if mount.type == "overlay" then
    return ('{ type = "overlay", lower = %s, upper = "tmpfs", destination = %s%s }'):format(path, path,
      mount.idmap and ", idmap = true" or "")
  end
  return ('{ type = "bind", source = %s, destination = %s%s%s%s }'):format(path, path,
    mount.readonly and ", readonly = true" or "", mount.nodev == false and ", nodev = false" or "",
    mount.idmap and ", idmap = true" or "")
end

local SYSTEM = { "usr", "bin", "sbin", "lib", "etc", "boot", "opt", "sys", "proc", "dev", "run", "var", "nix", "gnu",
  "snap" }
local OF_USERS = { "/run/user", "/var/tmp" }

-- What belongs to the host's system: to write there is to change the host for everybody.
local function is_systems(path)
  for _, own in ipairs(OF_USERS) do
    if path:sub(1, #own + 1) == own .. "/" then return false end
  end
  for _, top in ipairs(SYSTEM) do
    if path:find("^/" .. top .. "[a-z0-9]*%f[/%z]") then return true end
  end
  return false
end

local function parent_of(path) return path:match "^(.+)/[^/]+$" or "/" end

-- By its path, or by where that leads; files at the root are too.
local function is_of_system(path, status)
  return is_systems(path) or is_systems(status.real) or status.type == "file" and parent_of(status.real) == "/"
end

-- A path without what goes up in it, if that leads to the same file.
local function straight(path, status)
  path = description.clean(path)
  if not path:find "/%.%.%f[/%z]" then return path end
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then parts[#parts] = nil else parts[#parts + 1] = part end
  end
  local direct = "/" .. table.concat(parts, "/")
  local there = status and core.file_status(direct)
  if there and there.inode == status.inode and there.device == status.device then return direct end
  return path
end

-- An ID-mapped mount of what is at a path, if the kernel has such; else nil and why. `layered`: of an overlay, which
-- has them since 5.19.
local function mapped(mount, path, layered)
  local there = mountinfo.on(path)
  local kind = there and there.kind
  local needs = mappable.needs(kind, layered and "5.19" or nil)
  if needs == false or layered and kind == "overlay" then -- (an overlay of such: nobody has tried it)
    return nil, ("`idmap = true` of a mount would open it, which the kernel does not have of %s"):format(kind)
  end
  if needs then
    return nil, ("`idmap = true` of a mount would open it, which needs Linux %s%s"):format(needs,
      kind and " of " .. kind or "")
  end
  mount.idmap = true
  return mount
end

-- Where what belongs to the system is written: the directory above, or itself, as an overlay. Nil where that opens
-- nothing.
local function overlay(path, status, is_foreign, may_map)
  if status.type == "directory" then return { type = "overlay", path = path } end
  -- It is still another's in there.
  if is_foreign and not may_map then return nil end
  if core.readlink(path) then path = status.real end -- a link to it is one in there too
  local directory = parent_of(path)
  if directory == "/" then return nil end
  local mount = { type = "overlay", path = directory }
  if is_foreign then return mapped(mount, status.real, true) end
  return mount
end

--- Whether the owner of what is written has no ID inside, and the caller may give him one.
---@param found table
---@param who cella.denied.caller
---@return boolean
function M.is_foreign(found, who)
  local _, me = core.sys.getresuid()
  return me == 0 and found.status ~= nil and not who:maps(found.status.uid)
end

--- The mount that opens a file; nil where none does, and why if that is this kernel.
---@param found table  of cella.denied.files
---@param who cella.denied.caller
---@return cella.denied.mount?, string?
function M.mount(found, who)
  local path, status = straight(found.object, found.status), found.status
  if path == "/" then path, status = description.clean(found.place), nil end
  if found.writes and not status then return { type = "tmpfs", path = path } end
  local is_data = status.type == "file" or status.type == "directory"
  if found.writes and is_data and is_of_system(path, status) then
    local mount, why = overlay(path, status, not who:maps(status.uid), M.is_foreign(found, who))
    if mount and kernels.is_older(kernels.version(), "5.11") and who:is_below_first() then
      return nil, "an overlay would open it, which in a user namespace needs Linux 5.11"
    end
    return mount, why
  end
  -- What is written to a device, a socket or a FIFO goes through a read-only mount; it is itself not to be changed.
  if not is_data and found.does == "change" then return nil end
  local mount = { type = "bind", path = path, readonly = (not found.writes or not is_data) or nil }
  if status.type == "char" or status.type == "block" then mount.nodev = false end
  -- Who writes has to be the owner's, or somebody in there has no ID on disk.
  if (found.writes or found.cause == "permission") and M.is_foreign(found, who) then
    return mapped(mount, status.real)
  end
  return mount
end

-- The arguments on which "default" and the like depend, by call.
local DEPENDS = { socket = 0, socketpair = 0, ioctl = 1, personality = 0 }

local function call_text(who, name)
  local index = DEPENDS[name]
  if not index then return M.quote(name) end
  local value = who:int(index)
  local constant = constants.name(name, index, value)
  return ("%s = { { %d, \"==\", %s } }"):format(name, index, constant and M.quote(constant) or ("%.0f"):format(value))
end

--- What a key is made of, by the event that has it: for those who put many together (cella.learn).
---@class cella.denied.part
---@field mount cella.denied.mount?
---@field does string?         to the file, as cella.denied.calls has it
---@field path string?         of the file, as the container has it
---@field object string?       which the container is to have: the file, or its directory
---@field status table?        of that, on the host
---@field writes boolean?
---@field is_foreign boolean?  its owner has no ID inside, and the caller may give him one
---@field call string?         as an item of a policy's list
---@field policy string?       the name of the policy that refuses it
---@field capability string?
---@field network true?
local parts = setmetatable({}, { __mode = "k" })

---@param event cella.denied.event
---@return cella.denied.part?
function M.part(event) return parts[event] end

-- The line of a policy of Landlock's that is missing, for the policy that there is.
local function landlock_text(found)
  local ports = found.ports
  if ports then return ("landlock = { %s = { %s = { %d } } }"):format(ports.protocol, ports.what, ports.port) end
  local rules = {}
  for i, rule in ipairs(found.rules) do
    local rights = {}
    for k, name in ipairs(rule.rights) do rights[k] = M.quote(name) end
    rules[i] = ("{ path = %s, allow = { %s } }"):format(M.quote(rule.path), table.concat(rights, ", "))
  end
  return ("landlock = { files = { %s } }"):format(table.concat(rules, ", "))
end

--- Nil where no key does.
---@param found table
---@param who cella.denied.caller
---@param name string  of the call
---@param policy cella.seccomp.policy|false
---@return string?
function M.of(found, who, name, policy)
  if found.cause == "filter" then
    local its = policy and policy:name()
    parts[found] = { call = call_text(who, name), policy = its }
    local base = its and ("seccomp.named %q"):format(its) or "policy"
    if its == "default" and named.is_nesting(name) then return "nesting = true" end
    return ("seccomp = %s + { %s }"):format(base, parts[found].call)
  elseif found.cause == "capability" then
    parts[found] = { capability = found.capability }
    return ("capabilities = { %q }"):format(found.capability)
  elseif found.cause == "network" then
    parts[found] = { network = true }
    return 'network = "host"'
  elseif found.cause == "landlock" then
    return landlock_text(found)
  elseif found.cause == "limit" then
    return ("rlimits = { nofile = %d }"):format(2 * found.nofile)
  elseif found.object then
    local mount, problem = M.mount(found, who)
    if mount and mount.path:find("\n", 1, true) then mount, problem = nil, "no key names a path with a newline" end
    if not mount then
      if problem then found.why = ("%s; %s"):format(found.why, problem) end
      return nil
    elseif mount.nodev == false and mount.path:find "^/dev/." then
      return ("devices = { %s }"):format(M.quote(mount.path)) -- no part: a device is more than a file
    end
    parts[found] = { mount = mount, does = found.does, path = found.place, object = found.object, status = found.status,
      writes = found.writes, is_foreign = M.is_foreign(found, who) }
    return ("mounts = { %s }"):format(M.mount_text(mount))
  end
  return nil
end

return M
