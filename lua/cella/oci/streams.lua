--- The streams of a container's program: those that an engine has handed to the runtime, or a terminal, which is sent
--- to the engine.

local core = require "cella.core"
local failed = require "cella.oci.failed"
local file = require "cella.host.file"

local M = {}

--- The first descriptor behind the standard streams.
M.FIRST = 3

--- Sends what a terminal is read and written by to a socket of an engine's.
---@param path string
---@param fd integer
---@return true?, cella.error?
function M.send_console(path, fd)
  local ok, message, errno = core.send_descriptor(path, fd, "/dev/ptmx")
  if ok then return true end
  return failed("console-socket", path, message, errno)
end

--- Whether who is to have the terminal has been named, where there is one.
---@param options { console_socket: string?, foreground: boolean? }
---@param terminal any
---@return true?, cella.error?
function M.check(options, terminal)
  if terminal and not options.console_socket and not options.foreground then
    return failed("console-socket", nil,
      "missing: process.terminal is true, and somebody has to be given the terminal")
  elseif not terminal and options.console_socket then
    return failed("console-socket", nil, "process.terminal is false: there is no terminal to be sent")
  end
  return true
end

-- The map of a container's process. One that is joined only the kernel knows: it is asked in each case.
local function each_extent(kind, pid)
  local lines = (file.read(("/proc/%d/%s_map"):format(pid, kind)) or ""):gmatch "([0-9]+) +([0-9]+) +([0-9]+)"
  return function()
    local inside, there, count = lines()
    if inside then return tonumber(inside), tonumber(there), tonumber(count) end
  end
end

-- An ID of a container's as this process has it; nil where it is in no map.
local function outside(id, kind, pid)
  for inside, there, count in each_extent(kind, pid) do
    if id >= inside and id < inside + count then return there + id - inside end
  end
  return nil
end

--- The ID of a container's root; of one that has none, the first that there is.
---@param kind "uid"|"gid"
---@param pid integer  a process of the container
---@return integer
function M.first_id(kind, pid)
  if outside(0, kind, pid) then return 0 end
  return (each_extent(kind, pid)())
end

-- Pipes that an engine hands in become the program's user's: what opens /dev/stdout is asked for its owner as any file
-- is. Never a device, which is everybody's; and where this process must not give files away, they stay as they are.

--- Gives the pipes among them to the program's user.
---@param command table
---@param user { uid: integer?, gid: integer? }
---@param pid integer  a process of the container
function M.give(command, user, pid)
  if command.terminal then return end
  local uid, gid = outside(user.uid or 0, "uid", pid), outside(user.gid or 0, "gid", pid)
  for number = 0, 2 do
    local status = uid and gid and core.file_status(number)
    if status and status.type == "fifo" and status.uid ~= uid then
      local fd = core.dup(number)
      if fd then
        fd:chown(uid, gid)
        fd:close()
      end
    end
  end
end

--- The streams of a command that has no terminal are those of the caller; and more descriptors, where that is said.
---@param command table
---@param preserve integer?
---@return table command
function M.inherit(command, preserve)
  if not command.terminal then command.stdin, command.stdout, command.stderr = "inherit", "inherit", "inherit" end
  command.fds = {}
  for i = M.FIRST, M.FIRST + (preserve or 0) - 1 do command.fds[i] = i end
  return command
end

return M
