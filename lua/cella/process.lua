--- A started program: waiting for it, what it wrote, and how it ended.

local lazy = require "cella.lazy"
---@module "cella.process.identity"
local identity = lazy "cella.process.identity"
local blame = require "cella.blame"
local core = require "cella.core"
local Error = require "cella.error"
local input = require "cella.process.input"
local limits = require "cella.process.limits"
local serve = require "cella.process.serve"
local Terminal = require "cella.terminal"
local validate = require "cella.validate"

---@class cella.process
---@field pid integer?  of the program, as the caller's pid namespace has it; nil before it is executed (`wait = false`)
---@field cgroup cella.cgroup?  where the container has one
---@field confinement cella.confinement.held?  what a container's program is confined by
---@field terminal integer?  the caller's end of the program's terminal: a descriptor that does not block
local Process = { __name = "cella.process" }
Process.__index = Process

local M = {}

M.GRACE = 10 -- seconds

--- For those above who have something to do with a process.
M.methods = Process

local seconds = validate.rule.seconds
local descriptor = validate.rule.integer(0, 2147483647)

--- Wraps a child of the core. `ends` are the caller's ends of pipes, by stream; "status" is that from which to read
--- what an init says of the program. Owns all of them, also where it fails.
---@param child userdata
---@param ends table<string, userdata>
---@param options table  as spawn takes it; `started`, `set`, `functions`, `terminal`
---@param starting cella.process.starting?  what remains of the start, where nobody has waited for it
---@return cella.process?, cella.error?
function M.new(child, ends, options, starting)
  local self = setmetatable({
    child = child,
    ends = ends,
    options = options,
    status = ends.status,
    set = options.set,
    limits = limits.new(options),
    outputs = {},
    watched = {},
    started = options.started,
    starting = starting,
    unexecuted = options.unexecuted,
    result_limit = options.result_limit,
    cgroup = options.cgroup,
    filtered = options.filtered,
    landlock = options.landlock,
    confinement = options.confinement,
    outlives_caller = options.outlives_caller,
  }, Process)
  if ends.stdin then self.input = input.new(ends.stdin, self.set) end
  local ok, err
  if starting then
    ok, err = serve.add_outputs(self)
    if ok then serve.go_on(self) end
  else
    ok, err = serve.begin(self, options.terminal)
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

--- Does what there is to do now, and waits for nothing: takes output, feeds input, sees to the limits. For those who
--- have a loop of their own; wait() is one.
---@return boolean ended  true once wait() would return at once
function Process:step()
  return serve.step(self)
end

--- Seconds until step() has something to do even if pollfd() is not readable; nil is never.
---@return number?
function Process:timeout()
  return serve.timeout(self)
end

--- A descriptor that is readable when step() has something to do, also for its time, and stays so once the program has
--- ended, until close(). It is an error to read from it.
---@return integer?  nil once closed, and where nobody has asked for it before the end
function Process:pollfd()
  if not self.set.is_open then return nil end
  if not self.exposed then
    local number, err = self.set:expose()
    if not number then blame(tostring(err)) end
    self.exposed = true
    self.set:set_time(self:timeout())
  end
  return self.set:number()
end

--- What pollfd() is to be polled for, as cqueues wants to know it.
---@return "r"
function Process.events()
  return "r"
end

-- Who writes process.wait() in place of process:wait().
local function check_self(self, method)
  if getmetatable(self) ~= Process then
    blame(("process: a process expected, got %s: process:%s(...) has a colon, not a dot"):format(validate.show(self),
      method))
  end
end

-- Sleeps until there is something to do, or `till`.
local function sleep(self, till)
  local limit = self:timeout()
  if till then limit = math.min(limit or math.huge, math.max(0, till - core.now())) end
  local ok, err = self.set:sleep(limit)
  if not ok then serve.fail(self, err) end
end

--- Waits for the program to end. The whole thread waits: in a loop of coroutines use step() and pollfd().
--
-- After `timeout` seconds it returns nil and an error with the code "ETIMEDOUT"; the program runs on. (To end a
-- program after a time, give `timeout` to run or spawn.) May be called again, also after the end.
---@param timeout number?  seconds; 0 only looks
---@return cella.result?, cella.error?
function Process:wait(timeout)
  check_self(self, "wait")
  if timeout ~= nil then validate.check(seconds, timeout, "timeout") end
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
  check_self(self, "write")
  if not self.input then
    blame('there is nothing to write to: the command has to say stdin = "pipe" or terminal = true')
  end
  if type(data) ~= "string" then blame("data: a string expected, got " .. validate.show(data)) end
  if self.input.closing then blame("close_stdin was called before") end
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
  if not self.input or self.input == self.typing then
    blame('there is no pipe to close: the command has to say stdin = "pipe"')
  end
  self.input:finish()
end

-- A program that has been let go: it lives, but not as its handle's.
local Detached = {}
Detached.__index = Detached

function Detached:refuse(op)
  return nil, Error.new { op = op, code = "ESRCH", errno = 3, message = "the process was detached",
    why = ("this handle has it no more; it had the pid %d"):format(self.pid) }
end

local function sent(self, op, ok, message, errno)
  if ok then return true end
  if self.detached then return self.detached:refuse(op) end
  return nil, Error.new { op = op, errno = errno, message = message:match(": (.*)$") }
end

local function signal_names()
  local names = {}
  for number = 1, 31 do names[#names + 1] = core.signal_name(number) end
  return names
end

-- Calls a function of the core that takes a signal; what is wrong with that is raised for who called the method.
local function with_signal(signal, call)
  local good, ok, message, errno = pcall(call)
  if good then return ok, message, errno end
  local near = type(signal) == "string" and validate.nearest(signal, signal_names())
  if near then blame(("signal: unknown signal %q; did you mean '%s'?"):format(signal:sub(1, 80), near)) end
  blame("signal: " .. (tostring(ok):match "%((.*)%)$" or tostring(ok)))
end

--- Sends a signal to the program: an init hands it on, and "kill" ends everything in there. Without an init the
--- program is the first process of its pid namespace, and gets of what it does not handle only "kill" and "stop"
--- (pid_namespaces(7)).
---@param signal string|integer  "term", 15
---@return boolean?, cella.error?
function Process:kill(signal)
  check_self(self, "kill")
  if signal == "kill" or signal == 9 then return sent(self, "pidfd_send_signal", serve.kill_all(self)) end
  if self.starting then return self.starting:refuse "pidfd_send_signal" end
  -- A stop would hit the init alone; this it makes one of the program.
  if self.status and (signal == "stop" or signal == 19) then signal = "tstp" end
  return sent(self, "pidfd_send_signal", with_signal(signal, function() return self.child:kill(signal) end))
end

--- Sends a signal to the program's process group: to what a terminal would call the foreground.
---@param signal string|integer
---@return boolean?, cella.error?
function Process:signal_group(signal)
  if self.starting and (signal == "kill" or signal == 9) then
    self.child:kill_group "kill" -- it may have executed the program by now, and that have children
    return self:kill "kill"
  end
  if self.starting then return self.starting:refuse "kill" end
  return sent(self, "kill", with_signal(signal, function() return self.child:kill_group(signal) end))
end

--- Asks the program to end ("term"), and ends it and everything in there if it has not done so after a time.
---@param grace number?  seconds; 10
---@return cella.result?, cella.error?
function Process:terminate(grace)
  check_self(self, "terminate")
  if grace ~= nil then validate.check(seconds, grace, "grace") end
  if not self:step() then
    if self.starting then self:kill "kill" else self:kill "term" end
    self:wait(grace or M.GRACE)
    if not self.result and not self.failure then self:kill "kill" end
  end
  return self:wait()
end

local function with_cgroup(self, what)
  if not self.cgroup then
    blame(what .. ": this program has no cgroup of its own: give the container the key `cgroup`")
  end
  if self.result or self.failure then
    return nil, Error.new { op = what, code = "ESRCH", message = "the program has ended" }
  end
  if self.starting then return self.starting:refuse(what) end
  return self.cgroup
end

--- Stops everything in the container's cgroup, and returns once it stands still. It can be killed then, and takes other
--- signals when it goes on. Raises where there is no cgroup.
---@return boolean?, cella.error?
function Process:freeze()
  local cgroup, err = with_cgroup(self, "freeze")
  if not cgroup then return nil, err end
  return cgroup:freeze()
end

--- Lets what was frozen go on.
---@return boolean?, cella.error?
function Process:thaw()
  local cgroup, err = with_cgroup(self, "thaw")
  if not cgroup then return nil, err end
  return cgroup:thaw()
end

--- While the process is waited for, `call` is called whenever the descriptor is readable. A call of nil ends that,
--- which has to come before the descriptor is closed.
---@param fd integer
---@param call function?
---@return boolean?, cella.error?
function Process:watch(fd, call)
  validate.check(descriptor, fd, "fd")
  if call ~= nil then validate.check(validate.rule.callable, call, "call") end
  if self.set:has(fd) and not self.watched[fd] then blame("fd: the process waits for this one itself") end
  self.set:remove(fd)
  self.watched[fd] = call and true
  if call == nil then return true end
  local number, err = self.set:join() -- which says of what is no descriptor, or always ready, that it is
  if not number then return nil, err end
  return self.set:add(fd, call)
end

--- Takes the program's terminal away: its session gets SIGHUP, and whoever reads from it an end of file.
function Process:hang_up()
  if self.starting then return self.starting:refuse "hang_up" end
  if not self.pty then blame("the program has no terminal: give its command the key `terminal`") end
  self.set:remove(self.pty.master:number())
  self.terminal = nil
  self.typing:fail("the terminal is closed", 5)
  self.pty:close()
end

--- Gives the program's terminal another size; its foreground gets SIGWINCH.
---@param rows integer     1 to 65535
---@param columns integer  1 to 65535
---@return boolean?, cella.error?
function Process:resize(rows, columns)
  if self.starting then return self.starting:refuse "tcsetwinsize" end
  if not self.pty then blame("the program has no terminal: give its command the key `terminal`") end
  validate.check(Terminal.size_rule, rows, "rows")
  validate.check(Terminal.size_rule, columns, "columns")
  if not self.pty.master:number() then
    return nil, Error.new { op = "tcsetwinsize", code = "EIO", message = "the terminal is closed" }
  end
  local ok, message, errno = self.pty:resize(rows, columns)
  if ok then return true end
  return nil, Error.new { op = "tcsetwinsize", errno = errno, message = message:match(": (.*)$") }
end

--- A descriptor that is readable once the program has ended; nil after that has been waited for, and before it is
--- executed.
---@return integer?
function Process:pidfd()
  return not self.starting and self.child:pidfd() or nil
end

--- Kills the program if it runs still, and reaps it. Happens by itself when the handle is collected (but nobody calls
--- `hooks.exited` then).
function Process:close()
  if not self.result and not self.failure and serve.is_strange(self) then return end
  if self.exited and not self.calling and not self.result and not self.failure then
    self.killed_at = core.now()
    self:kill "kill"
    self:wait(serve.DYING)
  end
  if not self.result and not self.failure then
    serve.fail(self, Error.new { op = "wait", message = "the process was closed" })
  end
  if self.set.is_open then
    serve.let_go(self)
    self.set:close()
  end
  if self.pty then self.pty:close() end
end

-- What only the caller does for a program, by the words of who asked for it.
local function needed_for(self)
  if not self.outlives_caller then
    return "it ends with its caller, unless the container says die_with_parent = false"
  end
  if self.limits:any() then return "nobody would see to its limits: timeout, cpu_limit, output_limit" end
  if self.cgroup then return "nobody would remove its cgroup" end
  if self.exited then return "nobody would call hooks.exited" end
  if self.supervisor then return "nobody would answer the calls that its filter holds back for `denied`" end
  if self.pty then return "nobody would be at the other end of its terminal" end
  if next(self.outputs) then return "nobody would take its output: give it a file, or \"null\"" end
  if self.input then return 'nobody would write to its standard input: stdin = "pipe"' end
  return nil
end

--- What tells this program from every other, of this boot, as a text for a file: `cella.find` finds it by that, in
--- whatever process. Also of one that is detached.
---@return string?, cella.error?  nil where it has ended, or is not yet executed
function Process:identity()
  check_self(self, "identity")
  if self.starting then return self.starting:refuse "identity" end
  if self.detached and self.detached.identity then return self.detached.identity end
  if self:step() or self.failure then
    return nil, Error.new { op = "identity", code = "ESRCH", errno = 3, message = "the program has ended" }
  end
  return identity.of(self.pid)
end

--- Lets the program live without this handle, and without the caller (`die_with_parent = false`): it is not killed
--- when the handle is closed or collected, and nobody learns how it ends. `cella.find` finds it by its identity.
--- Raises where the caller is needed for what was asked for: captured streams, a terminal, limits, a cgroup.
---@return true?, cella.error?  nil where it has ended, or is not yet executed (`wait = false`)
function Process:detach()
  check_self(self, "detach")
  if self.starting then return self.starting:refuse "detach" end
  if not self.result and not self.failure then
    local reason = needed_for(self)
    if reason then blame("detach: " .. reason) end
  end
  if self.detached then return self.detached:refuse "detach" end
  if self:step() then
    return nil, Error.new { op = "detach", code = "ESRCH", errno = 3, message = "the program has ended" }
  end
  local known = identity.of(self.pid) -- nil where there is no /proc: then there is its number
  self.set:remove(self.child:pidfd())
  self.set:remove(self.child:monitor())
  local ok, message, errno = self.child:detach()
  if not ok then return nil, Error.new { op = "detach", errno = errno, message = message } end
  self.failure = Error.new { op = "wait", code = "ECHILD", errno = 10, message = "the process was detached" }
  self.detached = setmetatable({ pid = self.pid, identity = known }, Detached)
  serve.let_go(self)
  return true
end

Process.__close = Process.close

function Process:__tostring()
  local state = self.result and tostring(self.result) or self.detached and "detached" or self.failure and "closed"
    or "running"
  if self.starting then state = "starting" end
  if not self.pid then return ("%s (%s)"):format(Process.__name, state) end -- it has not been executed
  return ("%s (pid %d, %s)"):format(Process.__name, self.pid, state)
end

return M
