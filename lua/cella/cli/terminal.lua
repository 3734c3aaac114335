--- The terminal of `cella run`: the program gets one of its own, and this passes on what is typed here and what comes
--- out of there, as script(1) and ssh(1) do.

local core = require "cella.core"

local M = {}

-- At once; where a write may block, less than what every kind of file takes once it has room.
local MOST, MOST_BLOCKING = 16384, 512
local EOF = "\4"

local function is_inherited(value) return value == nil or value == "inherit" end

local NAMES = { [0] = "stdin", "stdout", "stderr" }

-- Which of the streams that the program would have of ours are a terminal, which it could read and write as we can.
local function shared_terminals(command)
  local list = {}
  for number = 0, 2 do
    list[number] = is_inherited(command[NAMES[number]]) and core.isatty(number)
  end
  return list
end

-- Whether a program may have a terminal of its own without a word about it. What is process 1 itself would not get the
-- signals that a terminal makes (pid_namespaces(7)).
local function may_have(box)
  return box.new_session ~= false and not (box.init == false and box.namespaces.pid == "new")
end

-- Somebody sits there, but not at both ends: what is shown goes by way of a terminal of the program's own, and nothing
-- is read, because others in the pipeline may do that.
local function show_only(command, shared)
  for number = 0, 2 do
    local name = NAMES[number]
    if not shared[number] then command[name] = command[name] or "inherit" else command[name] = nil end
  end
  if shared[0] then command.stdin = "null" end
  command.terminal = { like = shared[1] and 1 or 2 }
end

--- What is to be run, with the terminal that it is to have. No terminal of ours gets inside, but where somebody asks
--- for that: `--no-terminal`, or a file with `terminal = false`, `new_session = false` or `init = false`. What is no
--- terminal, a pipe or a file, the program has as any that a shell starts.
---@param box cella.container
---@param request { command: string[]?, terminal: boolean? }
---@return table? command
---@return "whole"|"shown"|false terminal  of its own: to type into and to be seen, only the latter, or none
---@return boolean may_be_ours  whether that may be made in our /dev/pts, where the container has none
function M.choose(box, request)
  -- A container may be any table that has its methods.
  local description = type(box.description) == "table" and box.description or { namespaces = {} }
  local given = request.command or description.command
  if not given then return request.command, false, false end
  local said = description.command and description.command.terminal
  if request.terminal ~= nil then said = request.terminal and (said or true) end
  local command = {}
  for key, value in pairs(given) do command[key] = value end
  local shared = shared_terminals(command)
  local natural = said == nil and may_have(description) and (shared[0] or shared[1] or shared[2])
  if not said and not natural then
    command.terminal = nil
    command.stdin = command.stdin or "inherit"
    return command, false, false
  elseif natural and not (shared[0] and shared[1]) then
    local read_by_us = command.stdout == "capture" or type(command.stdout) == "function"
    if read_by_us and shared[2] then
      command.stderr = "capture" -- is shown at the end, as what the file has captured
    elseif shared[1] or shared[2] then
      show_only(command, shared)
      return command, "shown", true
    end
    if shared[0] then command.stdin = "null" end
    command.stdin = command.stdin or "inherit"
    return command, false, false
  end
  command.terminal = {}
  for key, value in pairs(type(said) == "table" and said or {}) do command.terminal[key] = value end
  if core.isatty(0) and command.terminal.like == nil then command.terminal.like = 0 end
  if command.stderr == nil and not core.isatty(2) then command.stderr = "inherit" end
  return command, "whole", natural and true or false
end

---@class cella.cli.relay
local Relay = {}
Relay.__index = Relay

-- A description of its own, so that ours alone does not block, and not the shell's that shares the other one.
local function open_own(number, flag)
  if core.isatty(number) then
    local fd = core.open(("/proc/self/fd/%d"):format(number), { flag, "nonblock" })
    if fd then return fd, MOST end
  end
  return assert(core.dup(number)), MOST_BLOCKING
end

--- Passes on between our streams and the terminal of a process, while that is waited for.
---@param process cella.process
---@param terminal "whole"|"shown"  what comes out of it only, or also what is typed here
---@return cella.cli.relay
function M.relay(process, terminal)
  local self = setmetatable({ process = process, out = "", reads = terminal == "whole", attached = true, watched = {} },
    Relay)
  self.reads_nothing = terminal == "shown"
  self.is_terminal = self.reads and core.isatty(0)
  self.modes = self.is_terminal and core.modes(0) or nil
  self.input = self.reads and open_own(0, "rdonly") or nil
  self.output, self.most = open_own((self.reads or core.isatty(1)) and 1 or 2, "wronly")
  self:resume()
  return self
end

-- Has a function called when a descriptor is ready, while that is of interest. A file is always ready, and cannot be
-- waited for: then it is called at once.
local function watch(self, fd, wanted, call, writes)
  local number = fd and fd:number()
  if not number or wanted == (self.watched[number] or false) then return end
  self.watched[number] = wanted
  local set = self.process.set
  if not wanted then
    set:remove(number)
  elseif not set:add(number, call, writes) then
    self.watched[number] = false
    call()
    self.again = true
  end
end

-- What there is to wait for now: nothing more is taken before there is room for it.
function Relay:arrange()
  self.again = false
  local process = self.process
  local room = self.out == ""
  watch(self, self.output, not room, function() self:give_output() end, true)
  if process.terminal then
    watch(self, process.pty.master, room and not self.ended, function() self:take_output() end)
  end
  watch(self, self.input, self.reads and self.attached and not process.typing:is_pending(),
    function() self:take_input() end)
end

--- Waits for the process to end.
---@return cella.result?, cella.error?
function Relay:wait()
  local process = self.process
  while not process:step() do
    self:arrange()
    local limit = self.again and 0 or math.min(process:timeout() or math.huge, self:timeout() or math.huge)
    if process.set.is_open then process.set:sleep(limit < math.huge and limit or nil) end
    if self:timeout() then self:resume() end
  end
  return process:wait()
end

function Relay:take_input()
  if self.is_terminal and not core.in_foreground(0) then
    self.attached = false
    return
  end
  local data = self.input:read()
  if data == false then return end
  if data and data ~= "" then
    self.process.typing:add(data)
    return
  end
  self.reads = false
  if self.is_terminal then
    -- It has hung up, and so do we.
    self.ended, self.out = true, ""
    self.process:hang_up()
  else
    self.process.typing:add(EOF)
  end
end

-- Where nothing is typed ours is not raw, and makes of each newline what the program's has made of it already.
function Relay:as_ours_wants_it(data)
  return self.reads_nothing and data:gsub("\r+\n", "\n") or data
end

function Relay:take_output()
  local data = self.process.pty.master:read()
  if data == false then return end
  if not data or data == "" then
    self.ended = true
    return
  end
  self.out = self:as_ours_wants_it(data)
  self:give_output()
end

function Relay:give_output()
  local count = self.output:write(self.out:sub(1, self.most))
  if count == false then return false end
  -- Nobody is there to see it.
  self.out = count and self.out:sub(count + 1) or ""
  return true
end

--- Takes up the terminal, if we are in its foreground: at the start, when we have been stopped, and from time to time
--- while we are in the background, because nobody tells.
function Relay:resume()
  if not self.is_terminal then return end
  self.attached = core.in_foreground(0)
  if not self.attached then return end
  if self.modes then self.modes:raw() end
  self:resize()
end

--- Gives it back, before we are stopped.
function Relay:suspend()
  if self.modes then self.modes:restore() end
end

--- The program's terminal gets the size of ours.
function Relay:resize()
  local rows, columns = core.window_size(core.isatty(1) and 1 or 0)
  if rows and rows > 0 and columns > 0 then self.process:resize(rows, columns) end
end

--- How long to wait before the next look.
---@return number? seconds
function Relay:timeout()
  return self.is_terminal and not self.attached and 0.25 or nil
end

--- The program has ended: shows the rest of what it has written. A signal that would end us ends this.
---@param ends fun(): boolean  whether one has come
---@param signals table
function Relay:finish(signals, ends)
  local master = self.process.terminal and self.process.pty.master
  local set = assert(core.poll_set())
  set:watch(signals:number())
  set:watch(self.output:number(), true) -- a file is always ready
  while master and master:number() and not self.ended do
    if self.out == "" then self.out = self:as_ours_wants_it(master:read() or "") end
    if self.out == "" then break end
    if not self:give_output() then core.poll { set:number() } end
    if ends() then break end
  end
  set:close()
  self:suspend()
end

return M
