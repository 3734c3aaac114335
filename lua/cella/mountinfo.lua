--- The mounts of a mount namespace, as the kernel lists them: proc_pid_mountinfo(5).

local file = require "cella.host.file"

local M = {}

-- Blanks and the like are written in octal.
local function unescaped(text)
  return (text:gsub("\\([0-3][0-7][0-7])", function(digits) return string.char(tonumber(digits, 8)) end))
end

---@class cella.mount
---@field id string
---@field root string      what of the file system is there
---@field point string     where
---@field optional string  " shared:1 master:2", or ""
---@field flags string     of the mount: "rw,nosuid"
---@field kind string      the file system's type
---@field options string   of the file system

--- Those in a text of mountinfo, from the first on; one that is mounted on another comes after that.
---@param text string
---@return cella.mount[]
function M.parse(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do
    local id, root, point, flags, optional, kind, rest = line:match
        "^(%d+) %d+ %S+ (%S+) (%S+) (%S+)(.-) %- (%S+)(.*)$"
    if id then
      list[#list + 1] = { id = id, root = unescaped(root), point = unescaped(point), flags = flags,
        optional = optional, kind = kind, options = rest:match "%S+$" or "" }
    end
  end
  return list
end

--- Those that this process sees; none where there is no /proc.
---@return cella.mount[]
function M.own()
  return M.parse(file.read "/proc/self/mountinfo" or "")
end

--- The `id` of the mount that a descriptor of ours is on; nil where there is no /proc.
---@param number integer
---@return string?
function M.id_at(number)
  return (file.read(("/proc/self/fdinfo/%d"):format(number)) or ""):match "mnt_id:[ \t]*([0-9]+)"
end

--- The one that a path is on, which is one without links and dots; nil where there is no /proc.
---@param path string
---@return cella.mount?
function M.on(path)
  local found
  for _, mount in ipairs(M.own()) do
    local prefix = (mount.point:match "^(.-)/*$") .. "/"
    if (path .. "/"):sub(1, #prefix) == prefix and (not found or #mount.point >= #found.point) then found = mount end
  end
  return found
end

--- Those that this process sees below a path, and not on it.
---@param path string
---@return cella.mount[]
function M.below(path)
  local list, prefix = {}, (path:match "^(.-)/*$") .. "/"
  for _, mount in ipairs(M.own()) do
    if mount.point ~= "/" and mount.point:sub(1, #prefix) == prefix then list[#list + 1] = mount end
  end
  return list
end

return M
