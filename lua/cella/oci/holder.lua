--- Who holds a lock, in words.

local core = require "cella.core"
local file = require "cella.host.file"
local printable = require "cella.printable"

local M = {}

local MOST_SAID = 200 -- of a command line: bytes

--- The command line of a process, for people; its name in brackets where it has none.
---@param pid integer
---@return string
function M.command_line(pid)
  local words = (file.read(("/proc/%d/cmdline"):format(pid)) or ""):gsub("%z", " "):gsub(" $", "")
  if words ~= "" then return words end
  return "[" .. ((file.read(("/proc/%d/status"):format(pid)) or ""):match "^Name:%s*([^\n]*)" or "") .. "]"
end

-- Whether a device number (makedev(3)) is that of these hexadecimal digits. It is none of a file system for which the
-- kernel's list has another than stat(2) (btrfs).
local function is_device(device, major, minor)
  return math.floor(device / 256) % 4096 == tonumber(major, 16)
    and device % 256 + math.floor(device / 1048576) * 256 == tonumber(minor, 16)
end

--- The process that holds the lock of a file: the kernel lists them by file, and by the number that their process has
--- here. (flock(2), proc_locks(5))
---@param fd cella.fd
---@return string
function M.of(fd)
  local status = core.file_status(fd:number())
  for line in (status and file.read "/proc/locks" or ""):gmatch "[^\n]+" do
    local pid, major, minor, inode = line:match "FLOCK +[A-Z]+ +[A-Z]+ +([0-9]+) +(%x+):(%x+):([0-9]+) "
    if pid and tonumber(pid) > 0 and tonumber(inode) == status.inode and is_device(status.device, major, minor) then
      return ("process %s, %s"):format(pid, printable.line(M.command_line(tonumber(pid)):sub(1, MOST_SAID)))
    end
  end
  return "another command"
end

return M
