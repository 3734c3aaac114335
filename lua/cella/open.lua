--- Opening what may hang: a FIFO of which nobody has the other end, a file on a mount that does not answer. Another
--- process does it, with this one's rights, and is killed when its time is over.

local core = require "cella.core"

local M = {}

--- As open(2), within a number of seconds.
---@param path string
---@param flags string[]
---@param mode integer?    of a file that is made, less the umask
---@param min_fd integer?  the number of the descriptor is this or above
---@param seconds number
---@return cella.fd?, string?, integer?  or nil, a message and an errno: ETIMEDOUT, or that of the system calls
function M.within(path, flags, mode, min_fd, seconds)
  local recorder = core.recorder()
  -- openat2(2) refuses a mode where nothing is created.
  local _, slot = recorder:record("openat2", path, flags, nil, nil, mode)
  recorder:record("send_fd", slot)
  local child, message, errno = core.launch(recorder, {}, {})
  if not child then return nil, message, errno end
  local till = core.now() + seconds
  local ok, step
  repeat
    ok, step, errno = child:wait_for_exec(math.max(till - core.now(), 0))
  until ok ~= nil or core.errno_name(errno) ~= "EINTR"
  if ok then
    local sent = child:sent()
    child:reap(true)
    child:close()
    if not sent then return nil, path .. ": " .. core.strerror(24), 24 end -- there was no room for it: EMFILE
    local fd
    fd, message, errno = core.dup(sent:number(), min_fd)
    sent:close()
    return fd, message, errno
  end
  child:close()
  if ok == nil then return nil, ("%s: %s"):format(path, step), errno end
  return nil, ("%s: %s"):format(path, core.strerror(errno)), errno
end

local PATIENCE = 5 -- seconds, for a look
local silent = {}  -- path -> until when nobody is sent there again
local latest = math.huge -- when the last look has to be over, by core.now()

--- Calls a function, whose looks together take no longer than until `till`.
---@param till number  by core.now()
---@param call fun(): any
---@return boolean ok, ... as pcall
function M.before(till, call)
  local outer = latest
  latest = math.min(outer, till)
  local ok, first, second = pcall(call)
  latest = outer
  return ok, first, second
end

-- What the kernel itself makes up always answers; and what is "self" there is not the same for another process.
local function is_of_proc(path) return path:sub(1, 6) == "/proc/" end

-- The number of one that only stands for a path, if the kernel has all of it in its cache.
local function open_cached(path) return (core.sys.openat2(path, { "path" }, { "cached" })) end

-- The same of a path whose file system may have to be asked, which another process does.
local function open_by_another(path)
  local now = core.now()
  if silent[path] and now < silent[path] then return nil, path .. ": " .. core.strerror(110), 110 end -- ETIMEDOUT
  local fd, message, errno = M.within(path, { "path" }, nil, nil, math.max(0, math.min(PATIENCE, latest - now)))
  silent[path] = not fd and core.errno_name(errno) == "ETIMEDOUT" and core.now() + PATIENCE or nil
  return fd, message, errno
end

--- A descriptor that only stands for a path (O_PATH), if it can be had in a few seconds, or in those that M.before
--- leaves. What the kernel has in its cache it tells without waiting for a file system.
---@param path string
---@return cella.fd?, string?, integer?  or nil, a message and an errno: ETIMEDOUT where nobody answers
function M.bounded(path)
  if is_of_proc(path) then return core.open(path, "path") end
  local number = open_cached(path)
  if not number then return open_by_another(path) end
  local fd, message, errno = core.dup(number)
  core.sys.close(number)
  return fd, message, errno
end

-- Whether a file system is on a block device of this machine: it waits for no server, as it may on the devices that
-- are none (NFS, FUSE, and tmpfs too).
local function is_local(device) return math.floor(device / 256) % 4096 ~= 0 end

--- A regular file, or whatever else is there, to be read: opened within a number of seconds, without another process
--- where nobody can keep this one waiting.
---@param path string
---@param seconds number
---@return cella.fd?, string?, integer?  or nil, a message and an errno
function M.to_read(path, seconds)
  local number = not is_of_proc(path) and open_cached(path)
  local status = number and core.file_status(number)
  local fd
  if status and status.type == "file" and is_local(status.device) then
    -- What has been looked at, and nothing that may be there by now.
    fd = core.open(("/proc/self/fd/%d"):format(number), { "rdonly", "nonblock" })
  end
  if number then core.sys.close(number) end
  if fd then return fd end
  return M.within(path, { "rdonly", "nonblock" }, nil, nil, seconds)
end

--- As core.file_status of a path, by a look.
---@param path string
---@return table?, string?, integer?
function M.status(path)
  local number = not is_of_proc(path) and open_cached(path)
  if number then
    local status, problem, code = core.file_status(number)
    core.sys.close(number)
    return status, problem, code
  end
  local open = is_of_proc(path) and M.bounded or open_by_another
  local fd, message, errno = open(path)
  if not fd then return nil, message, errno end
  local status
  status, message, errno = core.file_status(fd:number())
  fd:close()
  return status, message, errno
end

return M
