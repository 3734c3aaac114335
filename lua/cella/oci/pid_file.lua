--- The file that an engine finds a process's number in.

local core = require "cella.core"
local failed = require "cella.oci.failed"

local sys = core.sys
local M = {}

local EEXIST = 17
local MOST_TRIES = 16

--- Whether a path can be that of such a file: before anything is started that would have to end again.
---@param path string?
---@return true?, cella.error?
function M.check(path)
  if path == nil then return true end
  if path == "" then return failed("pid-file", nil, "the path is empty") end
  local last = path:match "[^/]*$"
  local there = core.file_status(path)
  if last == "" or last == "." or last == ".." or there and there.type == "directory" then
    return failed("pid-file", path, "the path of a directory: that of a file expected")
  end
  -- What is there is replaced: root would have no /dev/null any more.
  if there and there.type ~= "file" then
    return failed("pid-file", path, ("something else is there (%s): the path of a file expected")
      :format(there.type))
  end
  local above = path:match "^(.*/)[^/]*$" or "."
  local status, message, errno = core.file_status(above)
  if not status then return failed("pid-file", above, message, errno) end
  if status.type ~= "directory" then return failed("pid-file", above, "no directory") end
  return true
end

-- A file beside it that nobody has: what is there of another name is somebody's.
local function create(path)
  local random, fd, message, errno = io.open("/dev/urandom", "rb"), nil, nil, nil
  if not random then return nil, nil, "no /dev/urandom" end
  random:setvbuf "no"
  local new
  for _ = 1, MOST_TRIES do
    local bytes = random:read(8) or ""
    new = (path:match "^(.*/)[^/]*$" or "") .. ".cella-" .. bytes:gsub(".", function(c)
      return ("%02x"):format(c:byte())
    end)
    fd, message, errno = core.open(new, { "wronly", "creat", "excl", "nofollow" }, 420) -- 0644
    if fd or errno ~= EEXIST then break end
  end
  random:close()
  return new, fd, message, errno
end

--- Writes it, as a whole. Where that fails nothing stays.
---@param path string
---@param pid integer
---@return true?, cella.error?
function M.write(path, pid)
  local ok, err = M.check(path)
  if not ok then return nil, err end
  local new, fd, message, errno = create(path)
  if not fd then return failed("open", new, message, errno) end
  ok, message, errno = sys.write(fd:number(), ("%d"):format(pid))
  fd:close()
  if ok then
    ok, message, errno = os.rename(new, path)
    if ok then return true end
  end
  os.remove(new)
  return failed("pid-file", path, message, errno)
end

return M
