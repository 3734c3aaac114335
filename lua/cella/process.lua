--- A started program: waiting for it, what it wrote, and how it ended.

local calls = require "cella.call"
local capture = require "cella.process.capture"
local core = require "cella.core"
local Error = require "cella.error"
local input = require "cella.process.input"
local limits = require "cella.process.limits"
local lines = require "cella.process.lines"
local output = require "cella.process.output"
local usage = require "cella.process.usage"
local validate = require "cella.validate"

---@class cella.result
---@field reason "exited"|"signaled"|"timeout"|"cpu"|"output"  the last three: the limit that ended it
---@field code integer?    the exit status, 0 to 255, where the program exited
---@field signal string?   the name of the signal that ended it ("kill")
---@field signal_number integer?
---@field stdout string?   what was captured
---@field stderr string?
---@field truncated boolean?  true where more was written than the bounds let through; the rest was discarded
---@field values table?    what a function returned, as table.pack has it
---@field error cella.failure?  what a function raised
---@field lost string?      why there is neither, where the program was a function
---@field usage table      user_seconds, system_seconds, max_rss (bytes), wall_seconds

---@class cella.process
---@field pid integer  of the program, as the caller's pid namespace has it
local Process = { __name = "cella.process" }
Process.__index = Process

local M = {}

M.CAPTURE_LIMIT = 16 * 1024 * 1024
M.GRACE = 10 -- seconds

local seconds = validate.rule.seconds

-- What may call a function of the caller's: if that raises, the container ends, and step() raises the same.
local function guarded(self, call)
  self.calling = true
  local ok, raised = pcall(call)
  self.calling = false
  if ok or self.raised then return end
  self.raised = { raised }
  self.failure = self.failure or Error.new { op = "wait",
    message = "a function that got the program's output raised: " .. tostring(raised) }
end

local function close_output(self, stream)
  self.set:remove(stream.fd:number())
  stream.fd:close()
end

-- What a function returns has a bound of its own, and is no output.
local function values_output(fd, options)
  return output.new(fd, capture.new(calls.most(options.result_limit)), function(size) return size end)
end

local function add_output(self, name, fd, options)
  local call = options.functions and options.functions[name]
  local sink = call and lines.new(name, function(...)
    if not self.failure then call(...) end -- it may have closed the process
  end) or capture.new(options.capture_limit or M.CAPTURE_LIMIT)
  local stream = name == "values" and values_output(fd, options)
    or output.new(fd, sink, function(size) return self.limits:admit(size) end)
  self.outputs[name] = stream
  return self.set:add(fd:number(), function()
    guarded(self, function()
      if stream:take() and stream.fd:number() then close_output(self, stream) end
    end)
  end)
end

--- Wraps a child of the core. `ends` are the caller's ends of pipes, by stream; "status" is that from which to read
--- what an init says of the program. Owns all of them, also where it fails.
---@param child userdata
---@param ends table<string, userdata>
---@param options table  as spawn takes it; `started`, `set`, `functions`
---@return cella.process?, cella.error?
function M.new(child, ends, options)
  local self = setmetatable({
    pid = child:program(),
    child = child,
    status = ends.status,
    set = options.set,
    limits = limits.new(options),
    outputs = {},
    started = options.started,
    exited = options.exited,
    result_limit = options.result_limit,
  }, Process)
  local ok, err = self.set:add(child:pidfd(), function() self.ended = true end)
  for name, fd in pairs(ends) do
    if name == "stdin" then
      self.input = input.new(fd, self.set)
    elseif name ~= "status" then
      local added, problem = add_output(self, name, fd, options)
      if not added then ok, err = nil, problem end
    end
  end
  if ok then return self end
  self:close()
  return nil, err
end

--- True for processes made here.
---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == Process
end

-- All that is held for a running program. Whoever has a loop may have the number of `set` in it still.
local function let_go(self)
  self.set:remove(self.child:pidfd())
  if self.status then self.status:close() end
  if self.input then self.input:fail("the program has ended") end
  for _, stream in pairs(self.outputs) do close_output(self, stream) end
  self.child:close()
  if self.exposed then self.set:set_time(0) else self.set:close() end
end

local function fail(self, err)
  self.failure = self.failure or err
  let_go(self)
end

-- The kernel does not count what those have used whom it ends together with their init: so it is looked at before.
local function kill_all(self)
  if self.child:pidfd() then self.last_usage = usage.usage_of(self, true) or self.last_usage end
  return self.child:kill "kill"
end

local function add_last_usage(used, last)
  if not last then return end
  local known = (used.user_seconds or 0) + (used.system_seconds or 0)
  if last.user_seconds + last.system_seconds > known then
    used.user_seconds, used.system_seconds = last.user_seconds, last.system_seconds
  end
  used.max_rss = math.max(used.max_rss or 0, last.max_rss)
end

-- The caller's hook is called once. What goes wrong in it is told, with the result, by whoever waits.
local function call_exited(self, result)
  local call = self.exited
  self.exited = nil
  if not call then return end
  local ok, message = xpcall(call, debug.traceback, result)
  if not ok then
    self.hook_error = Error.new { op = "hooks.exited", message = tostring(message), result = result }
  end
end

local function finish(self)
  local code, signal, used = self.child:reap(true, self.status)
  if type(used) ~= "table" then
    return fail(self, Error.new {
      op = "waitid", errno = used, message = signal,
      why = "another part of this program waits for any child (waitpid(-1)) and took the status, or has "
        .. "set SIGCHLD to be ignored since the start",
    })
  end
  add_last_usage(used, self.last_usage)
  used.wall_seconds = core.now() - self.started
  local result = {
    code = code,
    signal = signal and (core.signal_name(signal) or tostring(signal)),
    signal_number = signal,
    usage = used,
  }
  guarded(self, function()
    for name, stream in pairs(self.outputs) do
      stream:drain()
      result[name] = stream.sink:finish()
      if name ~= "values" then result.truncated = result.truncated or stream.truncated end
    end
  end)
  result.reason = self.limits:reason(code, signal, used)
  if result.values then
    local data = result.values
    result.values = nil
    calls.receive(result, data, self.result_limit)
  end
  if not self.failure then self.result = result end
  let_go(self)
  call_exited(self, result)
end

-- In a copy of the process that started it (cella.call) nothing of it is there.
local function is_strange(self)
  if self.child:pidfd() then return false end
  self.failure = Error.new { op = "wait", code = "ECHILD", errno = 10, message = "no child of this process" }
  self.exited = nil
  return true
end

--- Does what there is to do now, and waits for nothing: takes output, feeds input, sees to the limits. For those who
--- have a loop of their own; wait() is one.
---@return boolean ended  true once wait() would return at once
function Process:step()
  if self.calling then
    error("a function that gets the program's output must neither wait for the program nor yield", 2)
  end
  if self.result or self.failure then return true end
  if is_strange(self) then return true end
  local ok, err = self.set:turn()
  if self.raised then
    let_go(self)
  elseif not ok then
    fail(self, err)
  elseif self.ended then
    finish(self)
  elseif not self.failure then
    ok, err = self.limits:look(self)
    if not ok then
      -- It may have ended in this moment: then there was nothing left to see.
      if #(core.poll({ self.child:pidfd() }, 0) or {}) == 0 then fail(self, err) end
    elseif self.limits.exceeded and not self.killed then
      self.killed = true
      kill_all(self)
    end
  end
  local raised = self.raised
  if raised and not raised.told then
    raised.told = true
    error(raised[1], 0)
  end
  if self.result or self.failure then return true end
  if self.exposed then self.set:set_time(self:timeout()) end
  return false
end

--- Seconds until step() has something to do even if pollfd() is not readable; nil is never.
---@return number?
function Process:timeout()
  if self.result or self.failure then return 0 end
  local due = self.limits:due()
  return due and math.max(0, due - core.now())
end

--- A descriptor that is readable when step() has something to do, also for its time, and stays so once the program has
--- ended, until close(). It is an error to read from it.
---@return integer?  nil once closed
function Process:pollfd()
  if not self.set:number() then return nil end
  if not self.exposed then
    local number, err = self.set:expose()
    if not number then error(tostring(err), 2) end
    self.exposed = true
    self.set:set_time(self:timeout())
  end
  return self.set:number()
end

--- What pollfd() is to be polled for, as cqueues wants to know it.
function Process:events() -- luacheck: ignore 212
  return "r"
end

-- Sleeps until there is something to do, or `till`.
local function sleep(self, till)
  local patience = self:timeout()
  if till then patience = math.min(patience or math.huge, math.max(0, till - core.now())) end
  local ok, err = self.set:sleep(patience)
  if not ok then fail(self, err) end
end

--- Waits for the program to end. The whole thread waits: in a loop of coroutines use step() and pollfd().
--
-- After `timeout` seconds it returns nil and an error with the code "ETIMEDOUT"; the program runs on. (To end a
-- program after a time, give `timeout` to run or spawn.) May be called again, also after the end.
---@param timeout number?  seconds; 0 only looks
---@return cella.result?, cella.error?
function Process:wait(timeout)
  if timeout ~= nil then validate.check(seconds, timeout, "timeout", 2) end
  local till = timeout and core.now() + timeout
  while not self:step() do
    if till and core.now() >= till then
      return nil, Error.new {
        op = "wait", code = "ETIMEDOUT", message = ("still running after %g seconds"):format(timeout),
      }
    end
    sleep(self, till)
  end
  if self.hook_error then return nil, self.hook_error end
  return self.result, self.failure
end

local function check_input(self, data)
  if not self.input then error('there is no pipe to write to: the command has to say stdin = "pipe"', 3) end
  if type(data) ~= "string" then error("data: a string expected, got " .. validate.show(data), 3) end
  if self.input.closing then error("close_stdin was called before", 3) end
end

--- Has data written to the program's standard input (stdin = "pipe") by whoever waits or steps; returns at once.
---@param data string
---@return boolean?, cella.error?  nil and EPIPE once the program has closed it
function Process:feed(data)
  check_input(self, data)
  if not self.input.failure then self.input:add(data) end
  if self.input.failure then return nil, self.input.failure end
  return true
end

--- Writes to the program's standard input (stdin = "pipe"), and waits until the pipe has taken all of it. Meanwhile
--- output is taken and limits are seen to, as in wait().
---@param data string
---@return boolean?, cella.error?  nil and EPIPE where the program has closed it or has ended
function Process:write(data)
  check_input(self, data)
  if not self.input.failure then self.input:add(data) end
  while self.input:is_pending() and not self:step() do
    if self.input:is_pending() then sleep(self) end
  end
  if self.input.failure then return nil, self.input.failure end
  return true
end

--- Ends the program's standard input (stdin = "pipe"), once all has been written that was given.
function Process:close_stdin()
  if not self.input then error('there is no pipe to close: the command has to say stdin = "pipe"', 2) end
  self.input:finish()
end

local function sent(op, ok, message, errno)
  if ok then return true end
  return nil, Error.new { op = op, errno = errno, message = message:match(": (.*)$") }
end

--- Sends a signal to the program: an init hands it on, and "kill" ends everything in there. Without an init the
--- program is the first process of its pid namespace, and gets of what it does not handle only "kill" and "stop"
--- (pid_namespaces(7)).
---@param signal string|integer  "term", 15
---@return boolean?, cella.error?
function Process:kill(signal)
  if signal == "kill" or signal == 9 then return sent("pidfd_send_signal", kill_all(self)) end
  -- A stop would hit the init alone; this it makes one of the program.
  if self.status and (signal == "stop" or signal == 19) then signal = "tstp" end
  return sent("pidfd_send_signal", self.child:kill(signal))
end

--- Sends a signal to the program's process group: to what a terminal would call the foreground.
---@param signal string|integer
---@return boolean?, cella.error?
function Process:signal_group(signal)
  return sent("kill", self.child:kill_group(signal))
end

--- Asks the program to end ("term"), and ends it and everything in there if it has not done so after a time.
---@param grace number?  seconds; 10
---@return cella.result?, cella.error?
function Process:terminate(grace)
  if grace ~= nil then validate.check(seconds, grace, "grace", 2) end
  if not self:step() then
    self:kill "term"
    self:wait(grace or M.GRACE)
    if not self.result and not self.failure then self:kill "kill" end
  end
  return self:wait()
end

--- Another program where this one is, confined as it is: see cella.enter for the options and what comes back.
---@param options table?
---@return cella.entrance?, cella.error?
function Process:enter(options)
  local copy = {}
  for key, value in pairs(options or {}) do copy[key] = value end
  copy.process = self
  return require("cella.enter").new(copy)
end

--- While the process is waited for, `call` is called whenever the descriptor is readable. A call of nil ends that,
--- which has to come before the descriptor is closed.
---@param fd integer
---@param call function?
---@return boolean?, cella.error?
function Process:watch(fd, call)
  if call == nil then return self.set:remove(fd) or true end
  return self.set:add(fd, call)
end

--- A descriptor that is readable once the program has ended; nil after that has been waited for.
---@return integer?
function Process:pidfd()
  return self.child:pidfd()
end

--- Kills the program if it runs still, and reaps it. Happens by itself when the handle is collected (but nobody calls
--- `hooks.exited` then).
function Process:close()
  if not self.result and not self.failure and is_strange(self) then return end
  if self.exited and not self.result and not self.failure then
    self:kill "kill"
    self:wait()
  end
  if not self.result then
    self.failure = self.failure or Error.new { op = "wait", message = "the process was closed" }
  end
  if self.set:number() then
    let_go(self)
    self.set:close()
  end
end

Process.__close = Process.close

function Process:__tostring()
  local state = self.result and self.result.reason or self.failure and "closed" or "running"
  return ("%s (pid %d, %s)"):format(Process.__name, self.pid, state)
end

return M
