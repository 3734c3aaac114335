--- Which process a number stands for: a number is given to another once a process has ended, but not with the same
--- start, since the same boot (proc_pid_stat(5)).
--
-- The kernel shows a start by the clock of the time namespace of who reads it (time_namespaces(7)); before Linux 5.11
-- by that of the machine, as it is here, so that whoever reads it finds the same.

local core = require "cella.core"
local Error = require "cella.error"
local file = require "cella.host.file"
local kernel = require "cella.host.kernel"
local kinds = require "cella.kinds"

local M = {}

local BOOT_ID = "/proc/sys/kernel/random/boot_id"
local FORM = "^(%d+)%-(%d+)%-(%x+)$"
local ESRCH = 3

local TICKS = 100 -- in a second, on each machine that cella is for (USER_HZ)

-- What lies before the beginning of a time namespace's clock is a 64-bit number of nanoseconds all the same.
local WRAPPED, TURN = 2 ^ 63 / 1e9 * TICKS, 2 ^ 64 / 1e9 * TICKS

-- By how many ticks starts of one process may differ, read in two namespaces: whose clocks may differ by parts of one.
local SLACK = 2

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
local function shown_in(stat)
  local number = 2
  for word in stat:gsub("^.*%) ", ""):gmatch "%S+" do
    number = number + 1
    if number == 22 then return tonumber(word:match "^%d+$") end
  end
  return nil
end

-- What timens_offsets tells is of the namespace that the children of a process come into.
local function offset_told_by(of, own)
  if core.readlink(("/proc/%s/ns/time_for_children"):format(of)) ~= own then return nil end
  local seconds, nanoseconds = (file.read(("/proc/%s/timens_offsets"):format(of)) or "")
    :match "boottime[ \t]+(-?%d+)[ \t]+(%d+)"
  return seconds and (tonumber(seconds) + tonumber(nanoseconds) / 1e9) * TICKS
end

-- By how many ticks the clock by which this process is shown starts is ahead of the machine's; nil where it cannot be
-- told.
local function offset()
  if kernel.is_older(kernel.version(), "5.11") then return 0 end
  local own = core.readlink "/proc/self/ns/time"
  if not own or own == ("time:[%.0f]"):format(kinds.FIRST_TIME) then return 0 end
  return offset_told_by("self", own) or offset_told_by(("%d"):format(core.sys.getppid()), own)
end

--- The number of this boot, as text of hexadecimal digits.
---@return string?, cella.error?
function M.boot()
  local text, message, errno = file.read(BOOT_ID)
  local digits = text and text:gsub("[^%x]", "")
  if digits and digits ~= "" then return digits end
  return nil, Error.new { op = "open", path = BOOT_ID, errno = errno, message = not errno and message or nil }
end

--- When a process has started, from its /proc/PID/stat, in ticks of the machine's clock. Nil where that says nothing,
--- and where this process has made a time namespace for its children while it is in another one that nobody tells of.
---@param stat string
---@return string?, string? why
function M.start(stat)
  local shown, ahead = shown_in(stat), offset()
  if not shown then return nil end
  if not ahead then
    return nil, "this process has made a time namespace for its children, and by which clock its own shows when "
      .. "processes have started cannot be told"
  end
  if shown >= WRAPPED then shown = shown - TURN end
  return ("%.0f"):format(math.max(0, math.floor(shown - ahead + 0.5)))
end

--- Whether two starts are of the same process, if they are of the same number: each by M.start, in whatever time
--- namespace.
---@param one string
---@param other string
---@return boolean
function M.is_same(one, other) return math.abs(tonumber(one) - tonumber(other)) <= SLACK end

--- The identity of a process that is not reaped meanwhile.
---@param pid integer
---@return string?, cella.error?
function M.of(pid)
  local path = ("/proc/%d/stat"):format(pid)
  local stat, message, errno = file.read(path)
  local start, why
  if stat then start, why = M.start(stat) end
  if not start then
    return nil, Error.new { op = "open", path = path, errno = errno, message = not errno and (message or why) or nil,
      why = not why and core.errno_name(errno or ESRCH) == "ENOENT" and "there is no /proc here that shows it" or nil }
  end
  local boot, err = M.boot()
  if not boot then return nil, err end
  return ("%d-%s-%s"):format(pid, start, boot)
end

return M
