--- The home directory of a container's user, where its environment names none: what /etc/passwd in there says, as other
--- runtimes have it.

local core = require "cella.core"

local sys = core.sys
local M = {}

local LONGEST, PASSWD = 1048576, "/etc/passwd"

-- A regular file below a directory, as a process sees it whose root that is. What it is, is asked of a descriptor by
-- which nothing has been opened yet: an image may have a device there.
local function read_in(directory, path)
  local top = core.open(directory, { "path", "directory" })
  local place = top and sys.openat2(path:gsub("^/+", ""), { "path" }, { "in_root", "no_magiclinks" }, top:number())
  if top then top:close() end
  if not place then return nil end
  local status = core.file_status(place)
  local file = status and status.type == "file" and status.size <= LONGEST
    and core.open(("/proc/self/fd/%d"):format(place), { "rdonly" })
  sys.close(place)
  if not file then return nil end
  local parts, size = {}, 0
  while size <= LONGEST do
    local data = file:read()
    if not data or data == "" then break end
    parts[#parts + 1], size = data, size + #data
  end
  file:close()
  return table.concat(parts)
end

local function home_in(text, uid)
  for line in (text or ""):gmatch "[^\n]+" do
    local number, home = line:match "^[^:]*:[^:]*:0*([0-9]+):[^:]*:[^:]*:([^:]*)"
    if number and tonumber(number) == uid then return home:find "^/[^%z]*$" and #home < 4096 and home or "/" end
  end
  return "/"
end

-- Where passwd is on the host: in the root, or in what is mounted over it.
local function place_of(rootfs, mounts)
  local directory, path = rootfs, PASSWD
  for _, mount in ipairs(mounts) do
    local at = mount.destination:gsub("(.)/+$", "%1")
    if at == PASSWD or at == "/" or PASSWD:sub(1, #at + 1) == at .. "/" then
      if mount.type ~= "bind" then return nil end
      local below = at == "/" and PASSWD or PASSWD:sub(#at + 1)
      if below == "" then
        directory, path = mount.source:match "^(.*)/[^/]*$" or ".", mount.source:match "[^/]*$"
        if directory == "" then directory = "/" end
      else
        directory, path = mount.source, below
      end
    end
  end
  return directory, path
end

--- Of a container that is not there yet.
---@param rootfs string
---@param mounts table[]  as the key `mounts` takes them
---@param uid integer
---@return string
function M.of_bundle(rootfs, mounts, uid)
  local directory, path = place_of(rootfs, mounts)
  return home_in(directory and read_in(directory, path), uid)
end

--- Of one that runs.
---@param pid integer
---@param uid integer
---@return string
function M.of_process(pid, uid) return home_in(read_in(("/proc/%d/root"):format(pid), PASSWD), uid) end

return M
