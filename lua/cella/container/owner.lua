--- Whether anybody in a container can use what it is given: a directory as its root, and binds that are to be written
--- to. A program that cannot would only say that permission was denied.
--
-- This is a help, and protects nobody: who exchanges a file after the look gains nothing but the kernel's own refusal.

local core = require "cella.core"
local Error = require "cella.error"
local kernels = require "cella.host.kernel"

local M = {}

local ENTER, WRITE = 1, 2 -- of a mode's last three bits

local function status_of(source, host)
  if type(source) ~= "table" then return host.files[source] end
  return source.fd and core.is_open(source.fd) and core.file_status(source.fd) or {}
end

local function has(mode, bit)
  return math.floor(mode / bit) % 2 == 1
end

-- Its group's bits count whoever that is: where there is an access control list they are those of its users too.
-- Without any bits it may be the root of a FUSE that has not been asked yet, and is not here.
local function is_open(status, maps, bit)
  return status.mode == 0 or maps.uid:inside(status.uid) ~= nil or has(status.mode, bit) or has(status.mode, bit * 8)
end

-- What the container's IDs take away is what the caller could do.
local function could(status, host)
  return host.capabilities.dac_override or status.uid == host.uid
end

local function of_idmap(host)
  local kernel = host.kernel
  if not host.capabilities.sys_admin or not host.initial then
    return "`idmap = true`, which shows its IDs as the same inside, is not possible here: that needs CAP_SYS_ADMIN in "
      .. "the user namespace that owns the file system"
  elseif kernel and kernels.is_older(kernel, "5.12") then
    return ("`idmap = true`, which shows its IDs as the same inside, needs Linux 5.12, and this is %d.%d"):format(
      kernel.major, kernel.minor)
  end
  return "`idmap = true` shows its IDs as the same inside, where its file system can do that"
end

local function refusal(key, source, status, host, bit, is_upper)
  local words = { not is_upper and of_idmap(host) or nil }
  if is_upper then
    words[1] = "`upper = \"tmpfs\"` keeps what is written as long as the container"
  elseif bit == WRITE then words[#words + 1] = "`readonly = true` if it is not to be written to" end
  words[#words + 1] = ("`ids` can have a range with %.0f in it"):format(status.uid)
  words[#words + 1] = "with `ids = policy.root()` root inside is the caller" .. (host.uid == host.root_uid
    and ", the host's root, whom the host obeys" or "")
  return Error.new {
    op = key, code = "EACCES", path = type(source) == "string" and source or nil,
    message = ("this belongs to uid %.0f outside, who has no ID in the container, and its mode %04o lets nobody else "
      .. "%s"):format(status.uid, status.mode, bit == WRITE and "write to it" or "in"),
    why = table.concat(words, ";\n  "),
  }
end

local function check(key, mount, bit, maps, host, is_upper)
  if mount.idmap then return true end
  local source = is_upper and mount.upper or mount.source
  local status = status_of(source, host)
  if status.errno and core.errno_name(status.errno) == "ETIMEDOUT" then
    return nil, Error.new { op = key, errno = status.errno, path = source, message = "its file system does not answer",
      why = "a server that is gone, or the daemon of an automount" }
  end
  if status.type ~= "directory" and status.type ~= "file" then return true end
  if is_open(status, maps, bit) or not could(status, host) then return true end
  return nil, refusal(key, source, status, host, bit, is_upper)
end

local function check_is_directory(source, host)
  local kind = status_of(source, host).type
  if kind == nil or kind == "directory" then return true end
  return nil, Error.new { op = "root", code = "ENOTDIR", message = "this is a " .. kind .. ", and no directory",
    path = type(source) == "string" and source or nil,
    why = "a root is a directory with the files of a system: an image that is unpacked, for one. A single file comes "
      .. "into a container by `mounts`" }
end

-- What is to belong to somebody has to find him in the map.
local function check_owner(key, mount, maps)
  for _, kind in ipairs { "uid", "gid" } do
    local id = mount.owner[kind]
    if id and not maps[kind]:outside(id) then
      return nil, Error.new { op = key, code = "EINVAL",
        message = ("owner.%s: %.0f is not in the map"):format(kind, id),
        why = ("the container has no such %s: give it one by `ids`"):format(kind) }
    end
  end
  return true
end

--- Looks at the root and the writable binds of a container, and at what is to belong to somebody.
---@param box table
---@param maps { uid: cella.IdMap, gid: cella.IdMap }?  of the container; nil where it has the caller's, or unknown ones
---@param host cella.Host
---@return boolean? ok, cella.error? err
function M.check(box, maps, host)
  if not maps or not box.root then return true end
  if box.root.source then
    local ok, err = check_is_directory(box.root.source, host)
    if ok then ok, err = check("root", box.root, ENTER, maps, host) end
    if not ok then return nil, err end
  end
  if box.root.owner then
    local ok, err = check_owner("root", box.root, maps)
    if not ok then return nil, err end
  end
  for _, name in ipairs { "root", "mounts" } do
    for i, mount in ipairs(box[name]) do
      if mount.owner then
        local ok, err = check_owner(("%s[%d]"):format(name, i), mount, maps)
        if not ok then return nil, err end
      end
      if mount.type == "bind" and (mount.destination == "/" or not mount.readonly) then
        local bit = mount.destination == "/" and ENTER or WRITE
        local ok, err = check(("%s[%d]"):format(name, i), mount, bit, maps, host)
        if not ok then return nil, err end
      elseif mount.type == "overlay" and mount.upper and mount.upper ~= "tmpfs" and not mount.readonly then
        local ok, err = check(("%s[%d].upper"):format(name, i), mount, WRITE, maps, host, true)
        if not ok then return nil, err end
      end
    end
  end
  return true
end

return M
