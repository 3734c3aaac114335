--- A started program: waiting for it, what it wrote, and how it ended.

local core = require "cella.core"
local Error = require "cella.error"
local Terminal = require "cella.terminal"
local validate = require "cella.validate"

---@class cella.result
---@field reason "exited"|"signaled"|"timeout"
---@field code integer?    the exit status, 0 to 255, where the program exited
---@field signal string?   the name of the signal that ended it ("kill")
---@field stdout string?   what was captured
---@field stderr string?
---@field truncated boolean?  true where more was written than the bound; the rest was discarded
---@field usage table      user_seconds, system_seconds, max_rss (bytes), wall_seconds

---@class cella.process
---@field pid integer  of the program, as the caller's pid namespace has it
---@field terminal integer?  the caller's end of the program's terminal: a descriptor that does not block
local Process = { __name = "cella.process" }
Process.__index = Process

local M = {}

M.CAPTURE_LIMIT = 16 * 1024 * 1024

--- Wraps a child of the core. `captures` are the parent's ends of pipes, by stream; `status` is that from which to read
--- what an init says of the program; `terminal` is the caller's end of the program's, if it has one.
function M.new(child, captures, options, status, terminal)
  local self = {
    pty = terminal or nil,
    terminal = terminal and captures.stdout ~= terminal.master and terminal.master:number() or nil,
    pid = child:program(),
    child = child,
    captures = {},
    watched = {},
    status = status,
    limit = options.capture_limit or M.CAPTURE_LIMIT,
    started = options.started,
    deadline = options.timeout and options.started + options.timeout,
  }
  for name, fd in pairs(captures) do
    self.captures[name] = { fd = fd, pieces = {}, tail = {}, size = 0 }
  end
  return setmetatable(self, Process)
end

-- Takes what is there. Returns true at the end of the stream.
local function take(self, capture)
  for _ = 1, 64 do
    local data = capture.fd:read()
    if data == false then return false end
    if not data or data == "" then
      capture.fd:close()
      return true
    end
    local room = self.limit - capture.size
    if #data > room then
      data = data:sub(1, room)
      self.truncated = true
    end
    capture.size = capture.size + #data
    local tail = capture.tail
    if data ~= "" then tail[#tail + 1] = data end
    -- A program that writes byte by byte must not cost a table entry for each.
    if #tail == 256 then
      capture.pieces[#capture.pieces + 1] = table.concat(tail)
      capture.tail = {}
    end
  end
  return false
end

-- An init tells how the program ended; one that was killed has told nothing, and its own end counts.
local function told_by_init(self, code, signal)
  if not self.status then return code, signal end
  local report = self.status:read()
  self.status:close()
  local kind, value = (report or ""):sub(1, 1), (report or ""):sub(2, 2)
  if value == "" then return code, signal end
  if kind == "e" then return value:byte(), nil end
  if kind == "s" then return nil, value:byte() end
  return code, signal
end

local function finish(self, code, signal, usage)
  code, signal = told_by_init(self, code, signal)
  if self.pty then self.pty:release() end
  usage.wall_seconds = core.now() - self.started
  local result = {
    reason = self.timed_out and "timeout" or code and "exited" or "signaled",
    code = code,
    signal = signal and (core.signal_name(signal) or tostring(signal)),
    signal_number = signal,
    usage = usage,
    truncated = self.truncated,
  }
  for name, capture in pairs(self.captures) do
    -- Whatever the program wrote is in the pipe by now. A stranger may hold the other end open: we do
    -- not wait for it.
    while capture.fd:number() do
      local before = capture.size
      if take(self, capture) or capture.size == before then break end
    end
    capture.fd:close()
    -- Joined once: it may be large.
    for _, piece in ipairs(capture.tail) do capture.pieces[#capture.pieces + 1] = piece end
    result[name] = table.concat(capture.pieces)
    capture.pieces, capture.tail = {}, {}
  end
  self.result = result
  self.child:close()
  return result
end

-- One turn: sleeps until something happens or `till`. Returns true once the program has ended.
local function turn(self, till)
  local pidfd = self.child:pidfd()
  local fds, by_number = { pidfd }, {}
  for _, capture in pairs(self.captures) do
    local number = capture.fd:number()
    if number then
      fds[#fds + 1] = number
      by_number[number] = capture
    end
  end
  local writing = {}
  if self.pty and self.pty:is_pending() then writing[1] = self.pty.master:number() end
  for number, watch in pairs(self.watched) do
    local reads, writes = true, false
    if watch.wants then reads, writes = watch.wants() end
    if reads then fds[#fds + 1] = number end
    if writes then writing[#writing + 1] = number end
  end
  local ready, message, errno = core.poll(fds, till and math.max(0, till - core.now()), writing)
  if not ready then
    if core.errno_name(errno) == "EINTR" then return false end -- Lua's own handlers run now
    self.failure = Error.new { op = "poll", errno = errno, message = message }
    self:close()
    return false
  end
  local ended = false
  for _, number in ipairs(message) do
    if self.pty and number == self.pty.master:number() then self.pty:flush() end
    if self.watched[number] then self.watched[number].call(true) end
  end
  for _, number in ipairs(ready) do
    if by_number[number] then
      take(self, by_number[number])
    elseif self.watched[number] then
      self.watched[number].call(false)
    elseif number == pidfd then
      ended = true
    end
  end
  return ended
end

local seconds = validate.rule.seconds

--- Waits for the program to end.
--
-- After `timeout` seconds it returns nil and an error with the code "ETIMEDOUT"; the program runs on. (To end a
-- program after a time, give `timeout` to run or spawn.) May be called again, also after the end.
---@param timeout number?  seconds
---@return cella.result?, cella.error?
function Process:wait(timeout)
  if timeout ~= nil then validate.check(seconds, timeout, "timeout", 2) end
  local till = timeout and core.now() + timeout
  while not self.result do
    if self.failure then return nil, self.failure end
    local now = core.now()
    if self.deadline and now >= self.deadline and not self.timed_out then
      self.timed_out = true
      self:kill("kill")
    end
    local until_when = not self.timed_out and self.deadline or nil
    if till and (not until_when or till < until_when) then until_when = till end
    if turn(self, until_when) then
      local code, signal, usage = self.child:reap(true)
      if type(usage) ~= "table" then
        self.failure = Error.new {
          op = "waitid", errno = usage, message = signal,
          why = "another part of this program waits for any child (waitpid(-1)) and took the status, or has "
            .. "set SIGCHLD to be ignored since the start",
        }
        self.child:close()
        return nil, self.failure
      end
      return finish(self, code, signal, usage)
    end
    if till and core.now() >= till then
      return nil, Error.new {
        op = "wait", code = "ETIMEDOUT", message = ("still running after %g seconds"):format(timeout),
      }
    end
  end
  return self.result
end

--- Sends a signal to the program: an init hands it on, and "kill" ends everything in there. Without an init the
--- program is the first process of its pid namespace, and gets of what it does not handle only "kill" and "stop"
--- (pid_namespaces(7)).
---@param signal string|integer  "term", 15
---@return boolean?, cella.error?
function Process:kill(signal)
  -- A stop would hit the init alone; this it makes one of the program.
  if self.status and (signal == "stop" or signal == 19) then signal = "tstp" end
  local ok, message, errno = self.child:kill(signal)
  if ok then return true end
  return nil, Error.new { op = "pidfd_send_signal", errno = errno, message = message:match(": (.*)$") }
end

--- Sends a signal to the program's process group: to what a terminal would call the foreground.
---@param signal string|integer
---@return boolean?, cella.error?
function Process:signal_group(signal)
  local ok, message, errno = self.child:kill_group(signal)
  if ok then return true end
  return nil, Error.new { op = "kill", errno = errno, message = message:match(": (.*)$") }
end

--- While the process is waited for, `call` is called whenever the descriptor is readable. `wants`, if given, says
--- before each wait whether that is of interest, and whether room for writing is: then `call` gets true.
---@param fd integer
---@param call fun(writable: boolean)
---@param wants (fun(): boolean, boolean)?
function Process:watch(fd, call, wants)
  self.watched[fd] = { call = call, wants = wants }
end

local function closed_terminal(op)
  return Error.new { op = op, code = "EIO", message = "the terminal is closed" }
end

--- Types at the program's terminal: "\3" is Ctrl-C. What there is no room for goes out while the process is waited for.
---@param data string
---@return boolean?, cella.error?
function Process:write(data)
  if not self.pty then error("the program has no terminal: give its command the key `terminal`", 2) end
  if type(data) ~= "string" then error(("data: a string expected, got %s"):format(validate.show(data)), 2) end
  if not self.pty.master:number() then return nil, closed_terminal "write" end
  self.pty:write(data)
  return true
end

--- Takes the program's terminal away: its session gets SIGHUP, and whoever reads from it an end of file.
function Process:hang_up()
  if not self.pty then error("the program has no terminal: give its command the key `terminal`", 2) end
  if self.terminal then self.watched[self.terminal] = nil end
  self.terminal = nil
  self.pty:close()
end

--- Gives the program's terminal another size; its foreground gets SIGWINCH.
---@param rows integer     1 to 65535
---@param columns integer  1 to 65535
---@return boolean?, cella.error?
function Process:resize(rows, columns)
  if not self.pty then error("the program has no terminal: give its command the key `terminal`", 2) end
  validate.check(Terminal.size_rule, rows, "rows", 2)
  validate.check(Terminal.size_rule, columns, "columns", 2)
  if not self.pty.master:number() then return nil, closed_terminal "tcsetwinsize" end
  local ok, message, errno = self.pty:resize(rows, columns)
  if ok then return true end
  return nil, Error.new { op = "tcsetwinsize", errno = errno, message = message:match(": (.*)$") }
end

--- A descriptor that is readable once the program has ended; nil after that has been waited for.
---@return integer?
function Process:pidfd()
  return self.child:pidfd()
end

--- Kills the program if it runs still, and reaps it. Happens by itself when the handle is collected.
function Process:close()
  if self.status then self.status:close() end
  for _, capture in pairs(self.captures) do capture.fd:close() end
  if self.pty then self.pty:close() end
  self.child:close()
  if not self.result then
    self.failure = self.failure or Error.new { op = "wait", message = "the process was closed" }
  end
end

Process.__close = Process.close

function Process:__tostring()
  local state = self.result and self.result.reason or self.failure and "closed" or "running"
  return ("%s (pid %d, %s)"):format(Process.__name, self.pid, state)
end

return M
