--- What is done for a running program by whoever waits for it: its output is taken, its limits are seen to, and when it
--- has ended that is told. A step takes what there is to do now; it waits for nothing.

local blame = require "cella.blame"
local calls = require "cella.call"
local capture = require "cella.process.capture"
local core = require "cella.core"
local Error = require "cella.error"
local input = require "cella.process.input"
local lines = require "cella.process.lines"
local output = require "cella.process.output"
local results = require "cella.process.result"
local usage = require "cella.process.usage"
local words = require "cella.words"

local M = {}

local EPIPE = 32

M.CAPTURE_LIMIT = 16 * 1024 * 1024

-- Who is killed has ended long before this, in seconds, unless the kernel cannot end it: one of its processes hangs in
-- there, or is waited for by somebody who does not come.
M.DYING = 5

-- How often it is asked how a process has ended, in seconds, where nothing says when that is known.
local ASKING = 0.02

-- What may call a function of the caller's: if that raises, the container ends, and step() raises the same.
local function call_protected(self, call, what)
  self.calling = true
  local ok, raised = pcall(call)
  self.calling = false
  if ok or self.raised then return end
  if raised == lines.EXCEEDED then
    self.raised = { raised, told = true } -- by what wait() returns
    self.failure = self.failure or Error.new { op = "wait",
      message = "the program's lines are so chosen that taking them apart takes too long" }
    return
  end
  self.raised = { raised }
  self.failure = self.failure or Error.new { op = "wait",
    message = ("%s raised: %s"):format(what or "a function that got the program's output", words.of(raised)) }
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
    call_protected(self, function()
      if stream:take() and stream.fd:number() then close_output(self, stream) end
    end)
  end)
end

-- Takes what the program writes. What of it comes from its terminal is there once that is.
function M.add_outputs(self)
  for name, fd in pairs(self.ends) do
    if name ~= "stdin" and name ~= "status" and not self.outputs[name] then
      local ok, err = add_output(self, name, fd, self.options)
      if not ok then return nil, err end
    end
  end
  return true
end

--- What comes by a stream goes to `sink` from now on, whole: it is an answer, and no output.
---@param name string
---@param sink table  of cella.process.output
function M.divert(self, name, sink)
  local stream = self.outputs[name]
  stream.sink, stream.admit = sink, function(size) return size end
end

-- Answers the calls that its filter holds back: cella.denied.
local function add_supervisor(self, supervisor)
  return self.set:add(supervisor:number(), function()
    call_protected(self, function()
      if not supervisor:serve() then self.set:remove(supervisor:number()) end
    end, "the function `denied`")
  end)
end

-- The program that is its way out: what that says is taken, and its end is noted.
local function add_network(self)
  local process = self.network
  return self.set:add(process:pollfd(), function()
    if not process:step() then return end
    self.set:remove(process:pollfd())
    self.network_lost = process.result and tostring(process.result) or tostring(process.failure)
  end)
end

--- The program has been executed: from now on its end is waited for.
---@param pty cella.terminal|false|nil
---@return boolean?, cella.error?
function M.begin(self, pty)
  self.pid = self.child:program()
  self.exited = self.options.exited
  self.network, self.supervisor = self.options.network, self.options.supervisor
  if pty then
    self.pty = pty
    self.terminal = self.ends.stdout ~= pty.master and pty.master:number() or nil
    self.typing = input.new(pty.typed, self.set)
    self.input = self.input or self.typing
  end
  local ok, err = self.set:add(self.child:pidfd(), function() self.ended = true end)
  if ok then ok, err = M.add_outputs(self) end
  if ok and self.supervisor then ok, err = add_supervisor(self, self.supervisor) end
  if ok and self.network then ok, err = add_network(self) end
  self.ends, self.options = nil, nil -- which hold the plan
  return ok, err
end

--- Goes on with a start for which nobody waits.
function M.go_on(self)
  self.calling = true
  local over, terminal, err = self.starting:go_on(self.set)
  self.calling = false
  if not over or self.failure then return end -- a hook may have closed it
  local given_up = self.starting.give_up
  self.starting = nil
  local ok = terminal ~= nil
  if ok then ok, err = M.begin(self, terminal) else given_up() end
  if not ok then M.fail(self, err) end
end

-- All that is held for a running program. Whoever has a loop may have the number of `set` in it still.
function M.let_go(self)
  self.unexecuted, self.ends, self.options = nil, nil, nil -- which hold the plan, and with it what that holds
  if self.starting then
    self.set:remove(self.starting.number)
    self.starting.give_up()
    self.starting = nil
  end
  self.set:remove(self.child:pidfd())
  self.set:remove(self.child:monitor())
  if self.status then self.status:close() end
  if self.input then self.input:fail("the program has ended", EPIPE) end
  if self.typing then self.typing:fail("the program has ended", EPIPE) end
  for _, stream in pairs(self.outputs) do close_output(self, stream) end
  if self.supervisor then self.set:remove(self.supervisor:number()) end
  self.child:close()
  if self.supervisor then self.supervisor:close() end -- not before: what is about to die would hear of ENOSYS
  if self.network then
    self.set:remove(self.network:pollfd())
    self.network:close()
  end
  if self.cgroup then self.cgroup:remove() end
  if self.exposed then self.set:set_time(0) else self.set:close() end
end

-- The kernel does not count what those have used whom it ends together with their init: so it is looked at before.
function M.kill_all(self)
  self.killed_at = self.killed_at or core.now()
  if not self.child:pidfd() then return self.child:kill "kill" end
  self.last_usage = usage.usage_of(self, true) or self.last_usage
  if self.cgroup then self.cgroup:kill() end
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

-- Ends what has outlived the program in its cgroup, and adds what all of it has used. Returns whether the kernel has
-- killed the program for want of memory.
local function settle_cgroup(self, signal, used)
  if not self.cgroup then return false end
  self.cgroup:remove()
  for key, value in pairs(self.cgroup:usage()) do used[key] = value end
  return signal == 9 and self.cgroup:oom()
end

local function still_dying(self)
  return Error.new { op = "wait", code = "ETIMEDOUT",
    message = ("it was killed and has not ended in %d seconds"):format(M.DYING),
    why = ("a process in there (process %d, or one of its kind) hangs in the kernel, or nobody waits for it"):format(
      self.pid) }
end

local function kept_from_us(self)
  return Error.new { op = "waitid", code = "ETIMEDOUT",
    message = ("it has ended, and in %d seconds nobody could tell how"):format(M.DYING),
    why = ("a process that traces it (process %d) does not let go of it (ptrace(2))"):format(self.pid) }
end

-- How it has ended. Nil and an error where nobody can tell; false where that is not known yet: of a process that is
-- traced the tracer is told first, and may be in no hurry.
local function reap(self)
  local code, signal, used = self.child:reap(false, self.status)
  if code == false then return false end
  if code == nil and signal == nil and self.unexecuted then return nil, self.unexecuted() end
  if type(used) ~= "table" then
    return nil, Error.new {
      op = "waitid", errno = used, message = signal,
      why = core.errno_name(used) == "ECHILD" and "another part of this program waits for any child (waitpid(-1)) and "
        .. "took the status, or has set SIGCHLD to be ignored since the start; or the process that waited in the place "
        .. "of this one was killed" or nil,
    }
  end
  add_last_usage(used, self.last_usage)
  used.wall_seconds = core.now() - self.started
  return results.new {
    code = code,
    signal = signal and (core.signal_name(signal) or tostring(signal)),
    signal_number = signal,
    usage = used,
    confinement = self.confinement,
  }
end

-- The same, of one that was killed: it may take a moment.
local function reap_killed(self)
  local till = (self.killed_at or core.now()) + M.DYING
  while true do
    local result, err = reap(self)
    if result ~= false then return result, err end
    local left = till - core.now()
    if left <= 0 then return nil, self.ended and kept_from_us(self) or still_dying(self) end
    local pidfd = self.child:pidfd()
    local runs = pidfd and #(core.poll({ pidfd }, 0) or {}) == 0
    core.poll({ runs and pidfd or nil }, runs and left or ASKING)
  end
end

-- It has ended, and asked is from now on when its monitor has, or from time to time.
local function ask_later(self)
  local now = core.now()
  self.asked_since = self.asked_since or now
  self.ask_at = now + ASKING
  self.set:remove(self.child:pidfd())
  local monitor = self.child:monitor()
  if monitor then self.set:add(monitor, function() end) end
end

-- Of a cgroup that may be gone by now: what was asked for.
local function memory_limit(cgroup)
  for _, setting in ipairs(cgroup.settings or {}) do
    if setting.file == "memory.max" then return tonumber(setting.text) end
  end
  return nil
end

local function set_reason(self, result, oom)
  result.reason = self.limits:reason(result.code, result.signal_number, result.usage)
  if oom and result.reason == "signaled" then result.reason = "oom" end
  result.limit = self.limits:limit_of(result.reason)
  if result.reason == "oom" then result.limit = memory_limit(self.cgroup) end
end

-- The caller's hook is called once. What goes wrong in it is told, with the result, by whoever waits.
local function call_exited(self, result, err)
  local call = self.exited
  self.exited = nil
  if not call then return end
  local ok, message = xpcall(function() return call(result, err) end, debug.traceback)
  if not ok and not self.failure then
    self.hook_error = Error.new { op = "hooks.exited", message = words.of(message), result = result }
  end
end

--- There will be no result: ends what runs still.
function M.fail(self, err)
  self.failure = self.failure or err
  local result
  if self.exited then
    if not self.ended then M.kill_all(self) end
    result, err = reap_killed(self)
    if result then set_reason(self, result, settle_cgroup(self, result.signal_number, result.usage)) end
  end
  M.let_go(self)
  call_exited(self, result, err)
end

local function finish(self)
  if self.pty then self.pty:release() end
  self.set:remove(self.child:monitor()) -- before it is reaped, and its descriptor closed
  local result, err = reap(self)
  if result == false then
    ask_later(self)
    if core.now() < self.asked_since + M.DYING then return end
    err = kept_from_us(self)
  end
  if not result then
    self.failure = err
    M.let_go(self)
    return call_exited(self, nil, err)
  end
  local oom = settle_cgroup(self, result.signal_number, result.usage)
  call_protected(self, function()
    for name, stream in pairs(self.outputs) do
      if self.pty and stream.fd == self.pty.master then stream:drain_terminal() else stream:drain() end
      result[name] = stream.sink:finish()
      if name ~= "values" then result.truncated = result.truncated or stream.truncated end
    end
  end)
  set_reason(self, result, oom)
  result.network_lost = self.network_lost
  if result.values then
    local data = result.values
    result.values = nil
    calls.receive(result, data, self.result_limit)
  end
  if not self.failure then self.result = result end
  M.let_go(self)
  call_exited(self, result)
end

--- Whether this is a copy of the process that started it (cella.call): then nothing of it is there.
function M.is_strange(self)
  if self.child:pidfd() or self.starting and self.child:channel() then return false end
  self.failure = Error.new { op = "wait", code = "ECHILD", errno = 10, message = "no child of this process" }
  self.exited = nil
  return true
end

--- Seconds until there is something to do even if no descriptor is ready; nil is never.
function M.timeout(self)
  if self.result or self.failure then return 0 end
  if self.starting then return math.max(0, self.starting.till - core.now()) end
  if self.ask_at then return math.max(0, self.ask_at - core.now()) end
  local due = self.limits:due()
  if self.killed then due = self.killed_at + M.DYING end
  return due and math.max(0, due - core.now())
end

--- See Process:step.
---@param self cella.process
---@return boolean
function M.step(self)
  if self.calling then
    blame((self.starting and "a hook" or "a function that gets the program's output")
      .. " must neither wait for the program nor yield")
  end
  if self.result or self.failure or M.is_strange(self) then return true end
  local ok, err = self.set:turn()
  if self.raised then
    M.fail(self)
  elseif self.result or self.failure then
    return true -- what was called has closed it, or waited for it
  elseif not ok then
    M.fail(self, err)
  elseif self.starting then
    M.go_on(self)
  elseif self.ended then
    finish(self)
  elseif not self.failure then
    ok, err = self.limits:check(self)
    if self.killed and core.now() >= self.killed_at + M.DYING then
      M.fail(self, still_dying(self))
    elseif not ok then
      -- It may have ended in this moment: then there was nothing left to see.
      if #(core.poll({ self.child:pidfd() }, 0) or {}) == 0 then M.fail(self, err) end
    elseif self.limits.exceeded and not self.killed then
      self.killed = true
      M.kill_all(self)
    end
  end
  local raised = self.raised
  if raised and not raised.told then
    raised.told = true
    error(raised[1], 0)
  end
  if self.result or self.failure then return true end
  if self.exposed then self.set:set_time(M.timeout(self)) end
  return false
end

return M
