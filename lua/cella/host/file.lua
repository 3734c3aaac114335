--- Whole files of the host: regular ones, and never a FIFO or a device, at which a reader would wait.

local core = require "cella.core"

local M = {}

local EISDIR, EINVAL = 21, 22

--- The text of a file.
---@param path string
---@return string? text, string? message, integer? errno
function M.read(path)
  if path:find("\0", 1, true) then return nil, "the path has a NUL byte in it", EINVAL end
  local file, message, errno = core.open(path, { "rdonly", "nonblock" })
  if not file then return nil, message, errno end
  local parts = {}
  local status, data
  status, message, errno = core.file_status(file:number())
  if status and status.type ~= "file" then
    errno = status.type == "directory" and EISDIR or EINVAL
    status, message = nil, ("%s: not a regular file, but a %s"):format(path, status.type)
  end
  while status do
    data, message, errno = file:read()
    if not data or data == "" then break end
    parts[#parts + 1] = data
  end
  file:close()
  if not status or not data then return nil, message, errno end
  return table.concat(parts)
end

--- The same, without the white space at its end: what most of the kernel's files end in.
---@param path string
---@return string? text
function M.read_trimmed(path)
  local text = M.read(path)
  return text and (text:gsub("%s+$", ""))
end

return M
