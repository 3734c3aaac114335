--- The key of a container's table that opens what was denied, as Lua.

local core = require "cella.core"
local constants = require "cella.seccomp.constants"
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
    return ('{ type = "overlay", lower = %s, upper = "tmpfs", destination = %s }'):format(path, path)
  end
  return ('{ type = "bind", source = %s, destination = %s%s%s%s }'):format(path, path,
    mount.readonly and ", readonly = true" or "", mount.nodev == false and ", nodev = false" or "",
    mount.idmap and ", idmap = true" or "")
end

-- What belongs to the host's system: to write there is to change the host for everybody.
local function is_systems(path)
  for _, top in ipairs { "usr", "bin", "sbin", "lib", "etc", "boot", "opt", "sys" } do
    if path:find("^/" .. top .. "[a-z0-9]*%f[/%z]") then return true end
  end
  return false
end

--- The mount that opens a file.
---@param found table  of cella.denied.files
---@param who cella.denied.caller
---@return cella.denied.mount
function M.mount(found, who)
  local path, status = found.object, found.status
  if path == "/" then path, status = found.path, nil end
  if found.writes and not status then return { type = "tmpfs", path = path } end
  if found.writes and is_systems(path) and status.type == "directory" then return { type = "overlay", path = path } end
  local is_device = status.type == "char" or status.type == "block"
  local mount = { type = "bind", path = path, readonly = not found.writes and not is_device or nil }
  if is_device then mount.nodev = false end
  -- Who writes has to be the owner's, or somebody in there has no ID on disk.
  local _, me = core.sys.getresuid()
  if (found.writes or found.cause == "permission") and me == 0 and not who:maps(status.uid) then
    mount.idmap = true
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

--- Nil where no key does.
---@param found table
---@param who cella.denied.caller
---@param name string  of the call
---@param policy cella.seccomp.policy|false
---@return string?
function M.of(found, who, name, policy)
  if found.cause == "filter" then
    local its = policy and policy:name()
    local base = its and ("seccomp.named %q"):format(its) or "policy"
    if its == "default" and named.is_nesting(name) then return 'seccomp = "nesting"' end
    return ("seccomp = %s + { %s }"):format(base, call_text(who, name))
  elseif found.cause == "capability" then
    return ("capabilities = { %q }"):format(found.capability)
  elseif found.cause == "network" then
    return 'namespaces = { net = "host" }'
  elseif found.object then
    return ("mounts = { %s }"):format(M.mount_text(M.mount(found, who)))
  end
  return nil
end


return M
