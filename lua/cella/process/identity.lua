--- Which process a number stands for: a number is given to another once a process has ended, but not with the same
--- start, since the same boot (proc_pid_stat(5)).

local core = require "cella.core"
local Error = require "cella.error"
local file = require "cella.host.file"

local M = {}

local BOOT_ID = "/proc/sys/kernel/random/boot_id"
local FORM = "^(%d+)%-(%d+)%-(%x+)$"
local ESRCH = 3

--- What a text says, which M.of has made; nil of any other.
---@param text any
---@return { pid: integer, start: string, boot: string }?
function M.parse(text)
  if type(text) ~= "string" or #text > 100 then return nil end
  local pid, start, boot = text:match(FORM)
  pid = pid and #pid <= 10 and math.floor(tonumber(pid)) or nil
  if not pid or pid < 1 or pid > 2147483647 then return nil end
  return { pid = pid, start = start, boot = boot }
end

-- The 22nd field: clock ticks since boot. The second is a name, in which anything may be.
local function start_of(stat)
  local number = 2
  for word in stat:gsub("^.*%) ", ""):gmatch "%S+" do
    number = number + 1
    if number == 22 then return word:match "^%d+$" end
  end
  return nil
end

--- The number of this boot, as text of hexadecimal digits.
---@return string?, cella.error?
function M.boot()
  local text, message, errno = file.read(BOOT_ID)
  local digits = text and text:gsub("[^%x]", "")
  if digits and digits ~= "" then return digits end
  return nil, Error.new { op = "open", path = BOOT_ID, errno = errno, message = not errno and message or nil }
end

--- When a process has started, from its /proc/PID/stat.
---@param stat string
---@return string?
function M.start(stat) return start_of(stat) end

--- The identity of a process that is not reaped meanwhile.
---@param pid integer
---@return string?, cella.error?
function M.of(pid)
  local path = ("/proc/%d/stat"):format(pid)
  local stat, message, errno = file.read(path)
  local start = stat and start_of(stat)
  if not start then
    return nil, Error.new { op = "open", path = path, errno = errno, message = not errno and message or nil,
      why = core.errno_name(errno or ESRCH) == "ENOENT" and "there is no /proc here that shows it" or nil }
  end
  local boot, err = M.boot()
  if not boot then return nil, err end
  return ("%d-%s-%s"):format(pid, start, boot)
end

return M
