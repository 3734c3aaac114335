--- Files that are written: bundles and images.

local Error = require "cella.error"
local core = require "cella.core"

local M = {}

--- Nil and an error of these fields.
---@return nil, cella.error
function M.failed(op, path, message, errno)
  return nil, Error.new { op = op, path = path, errno = errno, message = message }
end

--- Makes a directory; `mine`: it is the one that a user has named.
---@param path string
---@param mine boolean?
---@return true?, cella.error?
function M.make_directory(path, mine)
  local ok, message, errno = core.sys.mkdir(path, 493) -- 0755
  if ok then return true end
  local _, err = M.failed("mkdir", path, message, errno)
  if mine and err.code == "EEXIST" then
    err.why = "nothing is written over: name a directory that is not there yet"
  end
  return nil, err
end

--- Writes a file anew.
---@param path string
---@param content string
---@return true?, cella.error?
function M.write(path, content)
  local file, message, errno = io.open(path, "wb")
  if not file then return M.failed("open", path, message, errno) end
  local ok
  ok, message, errno = file:write(content)
  if ok then ok, message, errno = file:close() else file:close() end
  if not ok then return M.failed("write", path, message, errno) end
  return true
end

--- A path of the host, from wherever it is written.
---@param path string
---@return string
function M.absolute(path)
  if path:sub(1, 1) == "/" then return path end
  return assert(core.readlink "/proc/self/cwd") .. "/" .. path
end

--- Whether a path, which need not be there, lies somewhere below a directory: by what is above it, whatever its name.
---@param path string
---@param directory string
---@return boolean
function M.is_below(path, directory)
  local wanted, wanted_device = core.inode(directory)
  local above = (M.absolute(path):match "^(.*)/[^/]+/*$" or "") .. "/."
  local before, before_device
  while true do
    local inode, device = core.inode(above)
    if not inode or inode == before and device == before_device then return false end
    if inode == wanted and device == wanted_device then return true end
    before, before_device, above = inode, device, above .. "/.."
  end
end

return M
