--- Which file systems can be ID-mapped (mount_setattr(2)), and since which Linux.

local kernel = require "cella.host.kernel"

local M = {}

-- false: none that is known. The others, as far as it is known, can since there are such mounts. (Overlays: tried, 6.18
-- has them not, 7.3 has.)
local FIRST = "5.12"
local SINCE = { btrfs = "5.15", ntfs3 = "5.15", f2fs = "5.18", erofs = "5.19", squashfs = "6.2", tmpfs = "6.3",
  ceph = "6.7", hugetlbfs = "6.9", overlay = "7.3", proc = false, sysfs = false, devtmpfs = false }

--- The Linux that this one is too old for, to ID-map a file system of that type; false where none is known that can;
--- nil where nothing is in the way.
---@param kind string?
---@param least string?  the Linux that is needed besides, whatever the type
---@return string|false|nil
function M.needs(kind, least)
  local since = kind and SINCE[kind]
  if since == false then return false end
  local needed = FIRST
  for _, one in ipairs { since or FIRST, least or FIRST } do
    if kernel.is_older(kernel.version(needed), one) then needed = one end
  end
  return kernel.is_older(kernel.version(), needed) and needed or nil
end

return M
