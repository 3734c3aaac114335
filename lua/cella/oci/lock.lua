--- The lock of a container: flock(2) of a file in its directory. It ends with the process that holds it, however that
--- ends.

local core = require "cella.core"
local failed = require "cella.oci.failed"
local lazy = require "cella.lazy"

local M = {}

local ENOENT = 2
local PATIENCE = 10 -- seconds

--- Waits until it is free, and holds it until the descriptor is closed. ENOENT: there is no such directory, or whoever
--- held the lock before has removed it.
---@param path string
---@return cella.fd?, cella.error?
function M.take(path)
  local fd, message, errno = core.open(path, { "rdwr", "creat", "nofollow", "nonblock" }, 384) -- 0600
  if not fd then return failed("open", path, message, errno) end
  local till = core.now() + PATIENCE
  while true do
    local ok
    ok, message, errno = core.flock(fd:number())
    if ok then break end
    if ok == nil then
      fd:close()
      return failed("flock", path, message, errno)
    elseif core.now() > till then
      local who = lazy.load "cella.oci.holder".of(fd)
      fd:close()
      return failed("flock", path, ("%s: holds the lock for more than %d seconds"):format(who, PATIENCE))
    end
    core.poll({}, 0.005)
  end
  -- Who held it may have made another container of the name.
  local held, there = core.file_status(fd:number()), core.file_status(path)
  if held and there and held.inode == there.inode and held.device == there.device then return fd end
  fd:close()
  return failed("flock", path, nil, ENOENT)
end

--- Whether somebody has it now.
---@param path string
---@return boolean
function M.is_held(path)
  local fd = core.open(path, { "rdwr", "nofollow", "nonblock" })
  if not fd then return false end
  local free = core.flock(fd:number())
  fd:close()
  return free == false
end

return M
