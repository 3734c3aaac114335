--- A worker for strangers' Lua: an interpreter in a container, fresh and not a copy of this process, which is called
--- many times.
--
--     local worker = assert(box:worker { memory = "64M", timeout = 0.5 })
--     assert(worker:load("plugin", source))
--     local sum = assert(worker:call("plugin", "add", 1, 2))
--
-- What ends a call by force ends its interpreter too; the next call finds a new one.

local blame = require "cella.blame"
local functions = require "cella.call"
local channel = require "cella.worker.channel"
local core = require "cella.core"
local description = require "cella.worker.description"
local Error = require "cella.error"
local events = require "cella.process.events"
local interpreter = require "cella.worker.interpreter"
local jobs = require "cella.worker.job"
local printable = require "cella.printable"
local serve = require "cella.process.serve"
local validate = require "cella.validate"

local unpack = table.unpack or unpack -- luacheck: ignore 143

---@class cella.worker
---@field pid integer?  of the interpreter, where there is one
---@field version string?  what the interpreter calls itself: "Lua 5.4"
local Worker = { __name = "cella.worker" }
Worker.__index = Worker

local M = {}

local function is_worker(value) return getmetatable(value) == Worker end

--- True for workers made here.
M.is = is_worker

--- What a worker has.
M.methods = Worker

local function check_self(self, method)
  if not is_worker(self) then
    blame(("worker: a worker expected, got %s: worker:%s(...) has a colon, not a dot"):format(validate.show(self),
      method))
  end
  if self.closed then blame "the worker is closed" end
end

-- Starts a job, and waits for it.
local function perform(self, job, err)
  if not job then return nil, err end
  local ok
  ok, err = interpreter.begin(self, job)
  if not ok then return nil, err end
  return self:wait()
end

--- Gives the interpreter a source, by a name: text, never bytecode. It is executed once, in a global environment of its
--- own, within the worker's `timeout`, and again in each new interpreter, before the first call there. The functions to
--- be called are in the table that it returns, or else among its globals.
---@param name string    up to 200 bytes, without a newline
---@param source string  Lua
---@return true?, cella.error?  nil and an error with a `reason`, as of call
function Worker:load(name, source)
  check_self(self, "load")
  return perform(self, jobs.load(self, name, source))
end

--- Calls a function of a source, and waits for what it returns. Arguments and results are plain data, as of a function
--- in a container; what is none among the arguments is raised. (The error of a call is a cella.error, which no source
--- can return.)
---@param name string  as it was loaded
---@param func string  the function
---@param ... any      its arguments
---@return any ...     what it returns; or nil and a cella.error whose `reason` says what came instead: see the manual
function Worker:call(name, func, ...)
  check_self(self, "call")
  functions.check_arguments()
  return perform(self, jobs.call(self, name, func, ...))
end

local function outcome(...)
  local _, err = ...
  if select("#", ...) == 2 and Error.is(err) then return false, err end
  return true, ...
end

--- As call, with what says whether it is results that come: true and these, or false and the error.
---@param name string
---@param func string
---@param ... any
---@return boolean ok, any ...
function Worker:pcall(name, func, ...)
  check_self(self, "pcall")
  functions.check_arguments()
  return outcome(perform(self, jobs.call(self, name, func, ...)))
end

--- Begins a call, and returns at once: step() or wait() go on with it. A worker has one call at a time.
---@param name string
---@param func string
---@param ... any
---@return true?, cella.error?
function Worker:start(name, func, ...)
  check_self(self, "start")
  functions.check_arguments()
  local job, err = jobs.call(self, name, func, ...)
  if not job then return nil, err end
  return interpreter.begin(self, job)
end

--- Does what there is to do now, and waits for nothing. For those who have a loop of their own; wait() is one.
---@return boolean ended  true once wait() would return at once
function Worker:step()
  check_self(self, "step")
  return interpreter.step(self)
end

--- Seconds until step() has something to do even if pollfd() is not readable; nil is never.
---@return number?
function Worker:timeout()
  if not self.job then return 0 end
  return self.process:timeout()
end

--- A descriptor that is readable when step() has something to do, also for its time, and stays so once the call has
--- ended, until the next. It is the same for as long as the worker lives. It is an error to read from it.
---@return integer?  nil once closed
function Worker:pollfd()
  if self.closed then return nil end
  if not self.set then
    local set, err = events.new()
    local number
    if set then number, err = set:expose() end
    if not number then blame(tostring(err)) end
    self.set = set
    local ok
    ok, err = interpreter.watch(self)
    if not ok then blame(tostring(err)) end
    if not self.job then set:set_time(0) end
  end
  return self.set:number()
end

--- What pollfd() is to be polled for, as cqueues wants to know it.
---@return "r"
function Worker.events()
  return "r"
end

-- What cella.wait sleeps on.
function Worker:waits_for() return self.job and self.process.set or nil end
function Worker:has_ended() return self.job == nil end

--- Waits for the call that was begun last, and returns what call() would. May be called again. The whole thread waits:
--- in a loop of coroutines use step() and pollfd().
---
--- After `timeout` seconds it returns nil and an error with the code "ETIMEDOUT"; the call goes on.
---@param timeout number?  seconds; 0 only looks
---@return any ...
function Worker:wait(timeout)
  check_self(self, "wait")
  if timeout ~= nil then validate.check(validate.rule.seconds, timeout, "timeout") end
  if not self.job and not self.done then blame "there is nothing to wait for: worker:start(...) begins a call" end
  local till = timeout and core.now() + timeout
  while not self:step() do
    local limit, now = self.process:timeout(), core.now()
    if till and now >= till then
      return nil, Error.new { op = "wait", code = "ETIMEDOUT",
        message = ("still running after %g seconds"):format(timeout) }
    end
    if till then limit = math.min(limit or math.huge, till - now) end
    if self.process.set.is_open then
      local ok, err = self.process.set:sleep(limit)
      if not ok then serve.fail(self.process, err) end
    end
  end
  return unpack(self.done, 1, self.done.n)
end

--- Ends the interpreter, and the call that is under way. Happens by itself when the worker is collected.
function Worker:close()
  if not is_worker(self) or self.closed then return end
  interpreter.close(self)
  self.closed = true
  if self.set then self.set:close() end
end

Worker.__close = Worker.close

function Worker:__tostring()
  local state = self.closed and "closed" or self.job and "in a call" or self.process and "ready" or "ended"
  return printable.line(("%s (%s%s%s)"):format(Worker.__name, self.version and self.version .. ", " or "",
    self.pid and ("pid %d, "):format(self.pid) or "", state))
end

--- Makes a worker, and waits for its interpreter. `spawn(description)` returns a function that starts a command in a
--- container of that description.
---@param box table  the description of the box
---@param keys cella.worker.keys?
---@param spawn fun(box: table): fun(command: table): cella.process?, cella.error?
---@return cella.worker?, cella.error?
function M.new(box, keys, spawn)
  local own = description.check(keys)
  local whole = description.box(box, own)
  local self = setmetatable({ keys = own, description = whole, spawn = spawn(whole), ids = channel.ids(),
    sources = {}, loaded = {}, greeted = false }, Worker)
  local ok, err = perform(self, { greets = true })
  self.done = nil
  if ok then return self end
  self:close()
  return nil, err
end

return M
