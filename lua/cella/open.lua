--- Opening what may hang: a FIFO of which nobody has the other end, a file on a mount that does not answer. Another
--- process does it, with this one's rights, and is killed when its time is over.

local core = require "cella.core"

local M = {}

--- As open(2), within a number of seconds.
---@param path string
---@param flags string[]
---@param mode integer?    of a file that is made, less the umask
---@param lowest integer?  the number of the descriptor is this or above
---@param seconds number
---@return cella.fd?, string?, integer?  or nil, a message and an errno: ETIMEDOUT, or that of the system calls
function M.within(path, flags, mode, lowest, seconds)
  local recorder = core.recorder()
  -- openat2(2) refuses a mode where nothing is created.
  local _, slot = recorder:record("openat2", path, flags, nil, nil, mode)
  recorder:record("send_fd", slot)
  local child, message, errno = core.launch(recorder, {}, {})
  if not child then return nil, message, errno end
  local till = core.now() + seconds
  local ok, step
  repeat
    ok, step, errno = child:settle(math.max(till - core.now(), 0))
  until ok ~= nil or core.errno_name(errno) ~= "EINTR"
  if ok then
    local sent = child:sent()
    child:reap(true)
    child:close()
    if not sent then return nil, path .. ": " .. core.strerror(24), 24 end -- there was no room for it: EMFILE
    local fd
    fd, message, errno = core.dup(sent:number(), lowest)
    sent:close()
    return fd, message, errno
  end
  child:close()
  if ok == nil then return nil, ("%s: %s"):format(path, step), errno end
  return nil, ("%s: %s"):format(path, core.strerror(errno)), errno
end

return M
